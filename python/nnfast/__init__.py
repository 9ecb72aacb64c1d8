"""nnfast: fast, exact and reproducible neural networks on CPUs.

>>> import nnfast as nf
>>> from nnfast import layers
>>> net = nf.Network([layers.Input((4,)), layers.Dense(8, activation="relu"), layers.Dense(3)], seed=0)
>>> net
<Network 'network': 3 layers, 67 parameters, input (4,), output (3,), float32>

Docstrings write N for the batch size, H and W for height and width, C for channels, T for time, D for features and K
for classes. Invalid values and shapes raise a ValueError, wrong types and dtypes a TypeError, calls at the wrong time a
RuntimeError; only errors that are not evident are listed. Random numbers depend on seeds alone.
"""

import importlib
from typing import TYPE_CHECKING, Any

from nnfast import activations, initializers, layers
from nnfast._core import __version__
from nnfast.core.hints import PACKAGE
from nnfast.core.machine import get_num_threads, set_num_threads, show_config
from nnfast.core.options import unknown_attribute
from nnfast.core.tensor import Tensor
from nnfast.network import Network

if TYPE_CHECKING:
    from nnfast import callbacks, losses, metrics, optimizers, schedules, training
    from nnfast.inspect.gradient_check import check_gradients
    from nnfast.io.keras.model import from_keras
    from nnfast.io.onnx.importing.importer import from_onnx
    from nnfast.training.ensemble import Ensemble
    from nnfast.training.history import History
    from nnfast.training.trainer import Trainer

__all__ = [
    "Ensemble",
    "History",
    "Network",
    "Trainer",
    "__version__",
    "activations",
    "callbacks",
    "check_gradients",
    "constraints",
    "data",
    "from_keras",
    "from_onnx",
    "generation",
    "get_num_threads",
    "initializers",
    "io",
    "kernels",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "plot",
    "regularizers",
    "schedules",
    "set_num_threads",
    "show_config",
    "sklearn",
    "text",
    "training",
]

_MODULES = (
    "callbacks",
    "constraints",
    "data",
    "generation",
    "io",
    "kernels",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "plot",
    "regularizers",
    "schedules",
    "sklearn",
    "text",
    "training",
)
_DEFINED_IN = {
    "Ensemble": "training.ensemble",
    "History": "training.history",
    "Trainer": "training.trainer",
    "check_gradients": "inspect.gradient_check",
    "from_keras": "io.keras.model",
    "from_onnx": "io.onnx.importing.importer",
}
"""What is imported on first use, to keep the import of nnfast fast for programs that only predict."""


Tensor.operators.load = lambda: importlib.import_module("nnfast.ops")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"nnfast.{name}")
    if name in _DEFINED_IN:
        found = getattr(importlib.import_module(f"nnfast.{_DEFINED_IN[name]}"), name)
        globals()[name] = found
        return found
    raise unknown_attribute("nnfast", name, __all__, PACKAGE)


def __dir__() -> list[str]:
    return sorted(__all__)
