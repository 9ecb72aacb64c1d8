"""How parameters are stored in a file: after steps that other layouts need, with the steps that undo them.

A step is a list of JSON values: ["reshape", sizes], ["transpose", axes], ["take", axis, places], and ["zeros", axis,
count], which appends zeros, and ["cut", axis, size], which removes what is behind the first `size`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from nnfast.core.typing import Array, Shape

__all__ = ["Step", "inverse", "restored", "stored"]

Step = Sequence[Any]


def stored(array: Array, steps: Iterable[Step]) -> Array:
    """An array after some steps.

    Examples
    --------
    >>> import numpy as np
    >>> stored(np.arange(6).reshape(2, 3), [["transpose", [1, 0]], ["take", 0, [2, 0, 1]]])
    array([[2, 5],
           [0, 3],
           [1, 4]])
    """
    for step in steps:
        array = _after(array, step)
    return np.ascontiguousarray(array) if array.ndim else array


def inverse(shape: Shape, steps: Iterable[Step]) -> list[Step]:
    """The steps that give an array of a shape back from what `stored` makes of it.

    Examples
    --------
    >>> inverse((2, 3), [["transpose", [1, 0]], ["take", 0, [2, 0, 1]]])
    [['take', 0, [1, 2, 0]], ['transpose', [1, 0]]]
    """
    made: list[Step] = []
    # Zeros that take up no memory: only the shapes count.
    array = np.broadcast_to(np.zeros((), bool), shape)
    for step in steps:
        kind, *arguments = step
        if kind == "reshape":
            made.append(["reshape", list(array.shape)])
        elif kind == "transpose":
            made.append(["transpose", np.argsort(arguments[0]).tolist()])
        elif kind == "take":
            made.append(["take", arguments[0], np.argsort(arguments[1]).tolist()])
        else:
            made.append(["cut", arguments[0], array.shape[arguments[0]]])
        array = _after(array, step)
    return made[::-1]


def restored(array: Array, steps: Any) -> Array:
    """An array after steps from a file, which are not trusted: none makes an array larger."""
    for step in steps:
        kind, *arguments = step
        if kind == "take":
            axis, places = arguments
            if sorted(places) != list(range(array.shape[axis])):
                raise ValueError(f"expected each of {array.shape[axis]} places once, got others")
        elif kind == "cut":
            axis, size = arguments
            if not 0 <= size <= array.shape[axis]:
                raise ValueError(f"expected at most {array.shape[axis]} elements, got {size}")
        elif kind not in ("reshape", "transpose"):
            raise ValueError(f"expected a step of reshape, transpose, take or cut, got {kind!r}")
        array = _after(array, step)
    return np.ascontiguousarray(array) if array.ndim else array


def _after(array: Array, step: Step) -> Array:
    kind, *arguments = step
    if kind == "reshape":
        return np.reshape(array, arguments[0])
    if kind == "transpose":
        return np.transpose(array, arguments[0])
    axis, what = arguments
    if kind == "take":
        return np.asarray(np.take(array, what, axis=axis))
    if kind == "cut":
        return np.take(array, range(what), axis=axis)
    if kind != "zeros":
        raise ValueError(f"expected a step of reshape, transpose, take, zeros or cut, got {kind!r}")
    sizes = list(array.shape)
    sizes[axis] = what
    return np.concatenate([array, np.zeros(sizes, array.dtype)], axis=axis)
