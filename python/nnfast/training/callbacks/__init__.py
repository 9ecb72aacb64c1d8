"""Callbacks: code that `Trainer.fit` runs between epochs or batches. One file for each, and base.py for all."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from nnfast.core.hints import CALLBACKS
from nnfast.core.options import unknown_attribute
from nnfast.training.callbacks.base import Callback

if TYPE_CHECKING:
    from nnfast.training.callbacks.backup import BackupAndRestore
    from nnfast.training.callbacks.early_stopping import EarlyStopping
    from nnfast.training.callbacks.function import LambdaCallback
    from nnfast.training.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
    from nnfast.training.callbacks.loggers import CSVLogger, JSONLogger, Logger
    from nnfast.training.callbacks.model_checkpoint import ModelCheckpoint
    from nnfast.training.callbacks.pruning import OptunaPruning, TrialPruned
    from nnfast.training.callbacks.swap_ema_weights import SwapEMAWeights
    from nnfast.training.callbacks.tensorboard import TensorBoard
    from nnfast.training.callbacks.terminate import TerminateOnCondition, TerminateOnNaN
    from nnfast.training.callbacks.timing import Timing

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "JSONLogger",
    "LambdaCallback",
    "LearningRateScheduler",
    "Logger",
    "ModelCheckpoint",
    "OptunaPruning",
    "ReduceLROnPlateau",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnCondition",
    "TerminateOnNaN",
    "Timing",
    "TrialPruned",
]

_MODULES = {
    "BackupAndRestore": "backup",
    "CSVLogger": "loggers",
    "EarlyStopping": "early_stopping",
    "JSONLogger": "loggers",
    "LambdaCallback": "function",
    "LearningRateScheduler": "learning_rate",
    "Logger": "loggers",
    "ModelCheckpoint": "model_checkpoint",
    "OptunaPruning": "pruning",
    "ReduceLROnPlateau": "learning_rate",
    "SwapEMAWeights": "swap_ema_weights",
    "TensorBoard": "tensorboard",
    "TerminateOnCondition": "terminate",
    "TerminateOnNaN": "terminate",
    "Timing": "timing",
    "TrialPruned": "pruning",
}
"""Modules imported with the first use of what they define, to keep the import of nnfast fast."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise unknown_attribute("nnfast.callbacks", name, __all__, CALLBACKS)
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
