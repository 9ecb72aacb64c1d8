"""Saving and loading networks, and weights from other libraries.

`Network.save` and `Network.load` are for files of nnfast. `load_keras_weights` and `load_torch_weights` read
weights of Keras and PyTorch, `nnfast.from_keras` reads whole models of Keras, and `to_keras` and `to_torch` make models
of theirs to compare with.
"""

import importlib
from typing import TYPE_CHECKING, Any

from nnfast.core.options import unknown_attribute

if TYPE_CHECKING:
    from nnfast.io.keras.export import to_keras
    from nnfast.io.keras.weights import load_keras_weights
    from nnfast.io.torch.export import to_torch
    from nnfast.io.torch.weights import load_torch_weights

__all__ = ["load_keras_weights", "load_torch_weights", "to_keras", "to_torch"]

_DEFINED_IN = {
    "load_keras_weights": "keras.weights",
    "load_torch_weights": "torch.weights",
    "to_keras": "keras.export",
    "to_torch": "torch.export",
}
"""What is imported on first use, since saving and loading do not need it."""


def __getattr__(name: str) -> Any:
    if name in _DEFINED_IN:
        found = getattr(importlib.import_module(f"nnfast.io.{_DEFINED_IN[name]}"), name)
        globals()[name] = found
        return found
    raise unknown_attribute("nnfast.io", name, __all__)


def __dir__() -> list[str]:
    return sorted(__all__)
