"""Shapes with the batch axis, as arguments of functions."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

__all__ = ["full_sizes"]


def full_sizes(function: str, shape: Any) -> tuple[list[int], bool]:
    """The sizes of all axes for the core, with -1 for the batch (None), and whether there is the batch.

    >>> full_sizes("random_normal", (None, 3))
    ([-1, 3], True)
    """
    if not isinstance(shape, Sequence) or isinstance(shape, str):
        raise TypeError(f"{function}: expected a tuple of sizes as shape, got {shape!r}")
    batched = len(shape) > 0 and shape[0] is None
    try:
        sizes = [operator.index(size) for size in shape[batched:]]
    except TypeError:
        raise TypeError(
            f"{function}: expected whole numbers as sizes, and None only first, for the batch; got {tuple(shape)!r}"
        ) from None
    if any(size < 0 for size in sizes):
        raise ValueError(f"{function}: expected sizes of 0 or more, got {tuple(shape)!r}")
    return [-1] * batched + sizes, batched
