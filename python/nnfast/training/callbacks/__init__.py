"""Callbacks: code that `Trainer.fit` runs between epochs or batches. One file for each, and base.py for all."""

from nnfast.training.callbacks.base import Callback
from nnfast.training.callbacks.early_stopping import EarlyStopping
from nnfast.training.callbacks.terminate import TerminateOnCondition

__all__ = ["Callback", "EarlyStopping", "TerminateOnCondition"]
