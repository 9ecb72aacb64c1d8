"""Shapes and axes of tensors and arrays, the batch counted."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from nnfast.core.tensor import Tensor, batch_shape

__all__ = ["axes_of", "axis_of", "full_sizes", "is_batched", "shape_text", "sizes_of", "whole"]


def is_batched(x: Any) -> bool:
    """Whether it is a tensor with the batch axis."""
    return isinstance(x, Tensor) and x.batched


def sizes_of(x: Any) -> tuple[int | None, ...]:
    """The sizes of all axes, None for the batch."""
    if not isinstance(x, Tensor):
        return tuple(np.shape(x))
    return (None, *x.shape) if x.batched else tuple(x.shape)


def shape_text(x: Any) -> str:
    """The shape as shown to users: "(N, 3)"."""
    return batch_shape(x.shape) if isinstance(x, Tensor) else str(np.shape(x))


def whole(function: str, name: str, value: Any) -> int:
    """`value` as an int; booleans and floats are not."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{function}: expected an int as {name}, got {value!r}")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{function}: expected an int as {name}, got {value!r}") from None


def axis_of(function: str, axis: Any, x: Any, new: int = 0) -> int:
    """An axis counted from 0; of a result with `new` axes more than x."""
    number, ndim = whole(function, "axis", axis), len(sizes_of(x)) + new
    if not -ndim <= number < ndim:
        valid = f"from {-ndim} to {ndim - 1}" if ndim else "but there is none"
        raise ValueError(f"{function}: expected an axis of {shape_text(x)}, {valid}, got {number}")
    return number % ndim


def axes_of(function: str, axis: Any, x: Any, new: int = 0) -> list[int]:
    """One axis or several, as different numbers from 0."""
    several = list(axis) if isinstance(axis, tuple | list) else [axis]
    axes = [axis_of(function, i, x, new) for i in several]
    if len(set(axes)) < len(axes):
        raise ValueError(f"{function}: expected different axes of {shape_text(x)}, got {tuple(several)}")
    return axes


def full_sizes(function: str, shape: Any) -> tuple[list[int], bool]:
    """The sizes of all axes for the core, with -1 for the batch (None), and whether there is the batch.

    >>> full_sizes("random_normal", (None, 3))
    ([-1, 3], True)
    """
    if not isinstance(shape, tuple | list):
        raise TypeError(f"{function}: expected a tuple of sizes as shape, got {shape!r}")
    batched = len(shape) > 0 and shape[0] is None
    if None in shape[batched:]:
        raise ValueError(f"{function}: expected None only as the first size, for the batch, got {tuple(shape)}")
    sizes = [whole(function, "size", size) for size in shape[batched:]]
    if any(size < 1 for size in sizes):
        raise ValueError(f"{function}: expected sizes of 1 or more, got {tuple(shape)}")
    return [-1] * batched + sizes, batched
