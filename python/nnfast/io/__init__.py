"""Saving and loading networks, and weights from other libraries.

`Network.save` and `Network.load` are for files of nnfast. Weights of Keras are read with `load_keras_weights`; whole
models of Keras with `nnfast.from_keras`.
"""

import importlib
from typing import TYPE_CHECKING, Any

from nnfast.core.options import unknown_attribute

if TYPE_CHECKING:
    from nnfast.io.keras.export import to_keras
    from nnfast.io.keras.weights import load_keras_weights

__all__ = ["load_keras_weights", "to_keras"]

_DEFINED_IN = {"load_keras_weights": "keras.weights", "to_keras": "keras.export"}
"""What is imported on first use, since saving and loading do not need it."""


def __getattr__(name: str) -> Any:
    if name in _DEFINED_IN:
        found = getattr(importlib.import_module(f"nnfast.io.{_DEFINED_IN[name]}"), name)
        globals()[name] = found
        return found
    raise unknown_attribute("nnfast.io", name, __all__)


def __dir__() -> list[str]:
    return sorted(__all__)
