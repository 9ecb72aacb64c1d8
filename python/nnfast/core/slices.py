"""Arrays that are not in memory, such as `numpy.memmap`, HDF5 and zarr: recognized, and read slice by slice.

Sparse matrices of SciPy are among them, because as dense arrays they may not fit into memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from nnfast.core.tensor import Tensor
from nnfast.core.typing import Array

__all__ = [
    "MEMORY",
    "any_sliced",
    "in_parts",
    "is_sliced",
    "is_sparse",
    "map_parts",
    "parts_of",
    "row_bytes",
    "row_ranges",
    "take_rows",
    "without_maps",
]

MEMORY = 1 << 26
"""Bytes: more of an array than this is not read at once."""
_PIECE = 1 << 23
"""Bytes of the largest slice that is read ..."""
_GAP = 1 << 16
"""... and of the rows that are read in vain, rather than starting a new slice after them."""
_MOST_INPUTS = 32
"""Longer lists are rows, not inputs."""
_OF_MEMORY = ("__dlpack__", "__array_interface__", "to_numpy")
"""What arrays and tables in memory have, and those in files do not."""


def is_sparse(value: Any) -> bool:
    """Whether `value` is a sparse matrix or array of SciPy."""
    return hasattr(type(value), "tocsr") and hasattr(type(value), "toarray")


def is_sliced(value: Any) -> bool:
    """Whether `value` has a shape, a dtype and slices, but is not an array in memory.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast.core.slices import is_sliced
    >>> is_sliced(np.zeros((2, 3)))
    False
    """
    if isinstance(value, np.ndarray):
        return isinstance(value, np.memmap) and getattr(value, "_mmap", None) is not None and value.ndim > 0
    if isinstance(value, list | tuple | Mapping | str | Tensor | np.generic):
        return False
    if is_sparse(value):
        return True
    kind = type(value)
    if not hasattr(kind, "__getitem__") or any(hasattr(kind, name) for name in _OF_MEMORY):
        return False
    shape = getattr(value, "shape", None)
    return isinstance(shape, tuple) and len(shape) > 0 and hasattr(value, "dtype")


def any_sliced(*columns: Any) -> bool:
    """Whether one of the arguments, or an array in a list or dict of inputs, is to be read in slices.

    A `nnfast.data.Dataset` is, which is passed alone.
    """
    if len(columns) == 1 and hasattr(columns[0], "parts"):
        return True
    return any(is_sliced(part) for column in columns for part in parts_of(column)[:_MOST_INPUTS])


def without_maps(value: Any) -> Any:
    """The same arrays, also in lists, tuples and dicts, with memory maps as plain arrays."""
    are_rows = isinstance(value, list) and value and not isinstance(value[0], np.ndarray)
    if isinstance(value, list | tuple | Mapping) and not are_rows:
        return map_parts(without_maps, value)
    return np.asarray(value) if isinstance(value, np.memmap) else value


def parts_of(value: Any) -> list[Any]:
    """The arrays of a list, tuple or dict of them; else `value` alone."""
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else [value]


def map_parts(function: Callable[[Any], Any], value: Any) -> Any:
    """`function` of each array in a list, tuple or dict of them, or of `value` alone."""
    if isinstance(value, Mapping):
        return {key: function(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(function(part) for part in value)
    return function(value)


def row_bytes(value: Any) -> int:
    """Size of a row of an array."""
    try:
        size = np.dtype(value.dtype).itemsize
    except TypeError:  # a dtype of another library
        size = 8
    return max(1, int(size * math.prod(value.shape[1:])))


def row_ranges(count: int, size: int) -> Iterator[Array]:
    """The numbers of `count` rows of `size` bytes in order, some megabytes at a time; of none, one empty range."""
    rows = max(1, MEMORY // 4 // size)
    return (np.arange(start, min(start + rows, count)) for start in range(0, max(count, 1), rows))


def take_rows(value: Any, rows: Array) -> Array:
    """The given rows of an array, in their order; of one that is not in memory, read in contiguous slices."""
    if not is_sliced(value):
        return np.asarray(value)[rows]
    if is_sparse(value):
        return np.asarray(value.tocsr()[rows].toarray())
    if len(rows) == 0:
        return np.asarray(value[0:0])
    steps = np.diff(rows)
    if (steps > 0).all():
        return _take_ascending(value, rows, steps)
    unique, places = np.unique(rows, return_inverse=True)
    return _take_ascending(value, unique, np.diff(unique))[places]


def _take_ascending(value: Any, rows: Array, steps: Array) -> Array:
    size = row_bytes(value)
    longest = max(1, _PIECE // size)
    ends = np.flatnonzero(steps > 1 + _GAP // size) + 1  # where a new slice begins
    runs = [(0, len(rows))] if len(ends) == 0 else list(zip([0, *ends], [*ends, len(rows)], strict=True))
    out: Array | None = None
    for begin, end in runs:
        while begin < end:
            first = int(rows[begin])
            after = begin + int(np.searchsorted(rows[begin:end], first + longest))
            last = int(rows[after - 1]) + 1
            piece = np.asarray(value[first:last])
            if piece.ndim == 0 or len(piece) != last - first:
                got = f"shape {piece.shape}"
                raise ValueError(f"expected the slice [{first}:{last}] to have {last - first} rows, got {got}")
            if out is None:
                out = np.empty((len(rows), *piece.shape[1:]), piece.dtype)
            if piece.shape[1:] != out.shape[1:]:
                raise ValueError(f"expected rows of shape {out.shape[1:]}, got {piece.shape[1:]} in row {first}")
            out[begin:after] = piece if after - begin == last - first else piece[rows[begin:after] - first]
            begin = after
    assert out is not None
    return out


def in_parts(function: Callable[[Any], list[Array]], value: Any) -> list[Array]:
    """The arrays that `function` makes of arrays in files, of which a part is in memory at a time."""
    if hasattr(value, "parts"):  # a nnfast.data.Dataset
        return _joined(len(value), (function(x) for x, *_ in value.parts()))
    columns = parts_of(value)
    count = columns[0].shape[0]
    wanted = row_ranges(count, sum(map(row_bytes, columns)))
    return _joined(count, (function(map_parts(partial(take_rows, rows=own), value)) for own in wanted))


def _joined(count: int, parts: Iterable[list[Array]]) -> list[Array]:
    made: list[Array] = []
    done = 0
    for results in parts:
        made = made or [np.empty((count, *own.shape[1:]), own.dtype) for own in results]
        for whole, own in zip(made, results, strict=True):
            whole[done : done + len(own)] = own
        done += len(results[0])
    return made
