"""Types used in signatures."""

from typing import Any

from numpy.typing import NDArray

__all__ = ["Array", "Shape", "Spec", "Unbatched"]

Array = NDArray[Any]
Shape = tuple[int, ...]
"""Sizes of one row, without the batch axis; an `Unbatched` is that of a tensor without one."""
Spec = dict[str, Any]
"""Description of a layer, loss, metric or optimizer for the core: plain values by name."""


class Unbatched(tuple[int, ...]):
    """Sizes of a tensor without the batch axis: a weight, a constant, or a sum over the batch."""

    __slots__ = ()
