"""What a `Dataset` consists of: arrays, and rows, functions and combinations of other sources. All are lazy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from nnfast.core.arrays import as_array
from nnfast.core.slices import is_sliced, is_sparse, map_parts, parts_of, row_bytes, take_rows
from nnfast.core.text import short_repr
from nnfast.core.typing import Array

__all__ = [
    "ArraySource",
    "Columns",
    "JoinedSource",
    "MappedSource",
    "RowSource",
    "Source",
    "WrappedSource",
    "ZippedSource",
]

Columns = tuple[Any, ...]
"""(x,), (x, y) or (x, y, sample_weight). Each is an array, or a list or dict of them."""


class Source(Protocol):
    """Rows on demand."""

    @property
    def is_sliced(self) -> bool:
        """Whether rows are fast to read only where they are neighbors."""
        ...

    def row_bytes(self) -> int:
        """Size of a row, for choosing how many to read at once."""
        ...

    def __len__(self) -> int: ...
    def take(self, rows: Array) -> Columns:
        """All of the given rows, in their order."""
        ...


class ArraySource:
    """Arrays, in memory or not."""

    def __init__(self, columns: Columns) -> None:
        self._columns = tuple(_as_column(column, i, keep_sparse=True) for i, column in enumerate(columns))
        self._arrays = [part for column in self._columns for part in parts_of(column)]
        self.is_sliced = any(is_sliced(part) for part in self._arrays)
        for part in self._arrays:
            if len(part.shape) == 0 or part.shape[0] != self._arrays[0].shape[0]:
                got = f"{part.shape[0]} rows" if len(part.shape) else "a single number"
                raise ValueError(
                    f"Dataset: expected {self._arrays[0].shape[0]} rows in every array, as x has, got {got}"
                )

    def __len__(self) -> int:
        return int(self._arrays[0].shape[0])

    def row_bytes(self) -> int:
        return sum(row_bytes(part) for part in self._arrays)

    def take(self, rows: Array) -> Columns:
        return tuple(map_parts(lambda part: take_rows(part, rows), column) for column in self._columns)

    @property
    def columns(self) -> Columns:
        """The arrays themselves."""
        return self._columns


def _as_column(value: Any, place: int, keep_sparse: bool = False) -> Any:
    """An array, or a list or dict of arrays, with lists of numbers made to arrays."""
    name = ("x", "y", "sample_weight")[place]
    several = isinstance(value, dict | tuple) or (
        isinstance(value, list) and any(isinstance(part, np.ndarray) or is_sliced(part) for part in value)
    )
    if several and not value:
        raise ValueError(f"Dataset: expected an array or more as {name}, got none")

    def as_part(part: Any) -> Any:
        is_kept = is_sliced(part) and (keep_sparse or not is_sparse(part))
        return part if is_kept else as_array(part, "Dataset", name)

    return map_parts(as_part, value) if several else as_part(value)


class RowSource:
    """Some rows of a source, in any order."""

    _source: Source
    _rows: Array

    def __init__(self, source: Source, rows: Array) -> None:
        self._source, self._rows = source, rows
        if isinstance(source, RowSource):
            self._source, self._rows = source._source, source._rows[rows]

    @property
    def is_sliced(self) -> bool:
        return self._source.is_sliced

    def __len__(self) -> int:
        return len(self._rows)

    def row_bytes(self) -> int:
        return self._source.row_bytes()

    def take(self, rows: Array) -> Columns:
        return self._source.take(self._rows[rows])


class MappedSource:
    """A function of the columns of a source."""

    def __init__(self, source: Source, function: Callable[..., Any]) -> None:
        self._source = source
        self._function = function

    @property
    def is_sliced(self) -> bool:
        return self._source.is_sliced

    def __len__(self) -> int:
        return len(self._source)

    def row_bytes(self) -> int:
        """That of the larger of argument and result; the function is called with one row."""
        made = self.take(np.arange(min(1, len(self))))
        return max(self._source.row_bytes(), sum(row_bytes(part) for column in made for part in parts_of(column)))

    def take(self, rows: Array) -> Columns:
        made = self._function(*self._source.take(rows))
        columns = made if isinstance(made, tuple) else (made,)
        if not 1 <= len(columns) <= 3:
            raise ValueError(
                f"Dataset.map: expected the function to return x, (x, y) or (x, y, sample_weight), got {len(columns)} "
                "items; return several inputs as a list"
            )
        columns = tuple(_as_column(column, i) for i, column in enumerate(columns))
        for part in (part for column in columns for part in parts_of(column)):
            if len(part.shape) == 0 or part.shape[0] != len(rows):
                got = f"shape {part.shape}" if len(part.shape) else short_repr(made)
                raise ValueError(
                    f"Dataset.map: expected the function to return one row for each of {len(rows)}, got {got}; it is "
                    "called with many rows at once"
                )
        return columns


class JoinedSource:
    """The rows of one source after those of another."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = list(sources)
        self._starts = np.cumsum([0, *(len(source) for source in sources)])

    @property
    def is_sliced(self) -> bool:
        return any(source.is_sliced for source in self._sources)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def row_bytes(self) -> int:
        return max(source.row_bytes() for source in self._sources)

    def take(self, rows: Array) -> Columns:
        owners = np.searchsorted(self._starts, rows, side="right") - 1
        used = [int(owner) for owner in np.unique(owners)] or [0]
        if len(used) == 1:
            return self._sources[used[0]].take(rows - self._starts[used[0]])
        places = [np.flatnonzero(owners == owner) for owner in used]
        found = [
            self._sources[owner].take(rows[own] - self._starts[owner]) for owner, own in zip(used, places, strict=True)
        ]
        order = np.argsort(np.concatenate(places), kind="stable")
        if len({len(columns) for columns in found}) > 1:
            raise ValueError("Dataset.concatenate: expected y and sample_weight in all datasets or in none")
        return tuple(_joined(columns, order) for columns in zip(*found, strict=True))


def _joined(columns: Sequence[Any], order: Array) -> Any:
    """The rows of one column of several sources, in the given order."""
    first = columns[0]
    if isinstance(first, dict):
        return {key: _joined([column[key] for column in columns], order) for key in first}
    if isinstance(first, list | tuple):
        return type(first)(_joined(parts, order) for parts in zip(*columns, strict=True))
    for column in columns:
        if column.shape[1:] != first.shape[1:]:
            raise ValueError(
                f"Dataset.concatenate: expected rows of shape {first.shape[1:]}, as in the first dataset, got "
                f"{column.shape[1:]}"
            )
    return np.concatenate(columns)[order]


class ZippedSource:
    """The columns of several sources side by side: lists of inputs, of targets and of weights."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = list(sources)

    @property
    def is_sliced(self) -> bool:
        return any(source.is_sliced for source in self._sources)

    def __len__(self) -> int:
        return len(self._sources[0])

    def row_bytes(self) -> int:
        return sum(source.row_bytes() for source in self._sources)

    def take(self, rows: Array) -> Columns:
        found = [source.take(rows) for source in self._sources]
        columns: list[Any] = []
        for place in range(max(len(own) for own in found)):
            parts = [own[place] for own in found if len(own) > place and own[place] is not None]
            if place == 0:
                columns.append([part for value in parts for part in parts_of(value)])
            elif len(parts) < 2:
                columns += parts or [None]
            else:
                columns.append(tuple(part for value in parts for part in parts_of(value)))
        return tuple(columns)


class WrappedSource:
    """A user's object with ``__len__`` and ``take``, which may return fewer rows than asked for."""

    is_sliced = False

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def row_bytes(self) -> int:
        return sum(row_bytes(part) for column in self._some(np.arange(1)) for part in parts_of(column))

    def _some(self, rows: Array) -> Columns:
        taken = self._dataset.take(rows)
        columns = taken if isinstance(taken, tuple | list) else (taken,)
        return tuple(_as_column(column, i) for i, column in enumerate(columns))

    def take(self, rows: Array) -> Columns:
        found: list[Columns] = []
        done = 0
        while done < len(rows) or not found:
            found.append(self._some(rows[done:]))
            count = len(parts_of(found[-1][0])[0])
            if not 0 < count <= len(rows) - done and len(rows):
                raise ValueError(f"Dataset.take: expected 1 to {len(rows) - done} rows, got {count}")
            done += count
        if len(found) == 1:
            return found[0]
        return tuple(_joined(columns, np.arange(len(rows))) for columns in zip(*found, strict=True))
