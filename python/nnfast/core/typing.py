"""Types used in signatures."""

from typing import Any

from numpy.typing import NDArray

__all__ = ["Array", "Shape", "Spec"]

Array = NDArray[Any]
Shape = tuple[int, ...]
"""Sizes of one row, without the batch axis."""
Spec = dict[str, Any]
"""Description of a layer, loss, metric or optimizer for the core: plain values by name."""
