"""Types that the signatures of nnfast share."""

from typing import Any

from numpy.typing import NDArray

__all__ = ["Array", "Shape", "Spec"]

Array = NDArray[Any]
Shape = tuple[int, ...]
"""Sizes of one row, without the batch axis."""
Spec = dict[str, Any]
"""What the compiled core is told about a layer, loss, metric or optimiser: plain values by name."""
