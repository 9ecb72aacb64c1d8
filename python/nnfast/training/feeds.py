"""Feeds: where the batches of an epoch come from, in the order of training."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from nnfast import _core
from nnfast.core.typing import Array
from nnfast.training.prefetch import Prefetch

if TYPE_CHECKING:
    from nnfast.data.sources import Source
    from nnfast.training.dataset import ArrayDataset, ProducedDataset
    from nnfast.training.sources import BatchDataset, ChunkedDataset

__all__ = ["BatchFeed", "ChunkFeed", "Feed", "FeedOptions", "OrderedFeed", "Part", "permutation"]

_ORDER_STREAM = 1 << 31
"""First stream of random numbers for the order of rows; smaller ones are for parameters and layers."""
_BLOCK = 1 << 20
"""Bytes of neighboring rows that are read together when the rows of files are shuffled."""
_GOLDEN = 0x9E3779B97F4A7C15
"""Odd, so that multiples of it are different seeds."""
_UNKNOWN = 1 << 53
"""Rows of an epoch whose length is not known."""


class FeedOptions(NamedTuple):
    """Arguments of `fit` that feeds need."""

    batch_size: int
    seed: int
    epochs: int
    """How many are run."""
    shuffle: bool = True
    drop_last: bool = False
    prefetch: int = 2
    steps: int | None = None


class Part(NamedTuple):
    """Batches in a row: rows of a dataset in the order of training."""

    data: ArrayDataset
    rows: Array
    size: int
    """Rows of each batch but the last."""

    @property
    def batches(self) -> int:
        """Number of batches."""
        return -(-len(self.rows) // self.size)


class Feed(Protocol):
    """The batches of all epochs of one `fit`."""

    rows: int
    batch_size: int
    """With `rows`, what an interrupted epoch is recognized by."""
    count: int | None
    """Batches of an epoch, if known."""
    samples: int | None
    """Rows of an epoch, if known."""

    def resume(self, seed: int, epochs: int) -> None:
        """Before the first `start`: go on with a run of this seed, of which so many epochs have been trained."""
        ...

    def start(self, epoch: int, batches: int) -> None:
        """Begin an epoch, of which so many batches have been trained."""
        ...

    def part(self, batch: int) -> Part | None:
        """Batches of the epoch from this one on; None if there is none."""
        ...

    def rows_in(self, batches: int) -> int:
        """Number of rows in the first batches of the epoch."""
        ...

    def close(self, timeout: float | None = None) -> None:
        """End the thread, if there is one, and wait for it for up to so many seconds."""
        ...


def permutation(rows: int, seed: int, epoch: int, window: int = 0) -> Array:
    """A random order of rows, a function of the arguments."""
    return _core.random_permutation(rows, (seed + window * _GOLDEN) % (1 << 63), _ORDER_STREAM + epoch % _ORDER_STREAM)


class _KnownFeed:
    """Of data with a known number of rows, in batches of one size."""

    def __init__(self, rows: int, options: FeedOptions) -> None:
        self.rows = rows
        self.batch_size = options.batch_size
        self._options = options
        self._used = rows - rows % self.batch_size if options.drop_last else rows
        self.samples: int | None = self._used
        self.count: int | None = -(-self._used // self.batch_size)

    def resume(self, seed: int, epochs: int) -> None:
        self._options = self._options._replace(seed=seed)

    def rows_in(self, batches: int) -> int:
        return min(batches * self.batch_size, self._used)


class OrderedFeed(_KnownFeed):
    """Rows in any order, of arrays or of a user's `Dataset`."""

    def __init__(self, data: ArrayDataset | ProducedDataset, options: FeedOptions) -> None:
        super().__init__(len(data), options)
        self._data = data

    def start(self, epoch: int, batches: int) -> None:
        order = permutation(self.rows, self._options.seed, epoch) if self._options.shuffle else np.arange(self.rows)
        self._order = order[: self._used]

    def part(self, batch: int) -> Part | None:
        if batch * self.batch_size >= self._used:
            return None
        data, rows = self._data.chunk(self._order[batch * self.batch_size :], self.batch_size)
        return Part(data, rows, self.batch_size)

    def close(self, timeout: float | None = None) -> None:
        pass


class _Windows:
    """The rows of an epoch in windows, which fit into memory.

    Rows that are fast to read in any order are in the order of arrays. Others are shuffled in two steps, so that
    neighbors are read together: blocks of neighboring rows change places, and then the rows of each window of blocks.
    If there is one window, its order is that of arrays too. All depends on the seed and the epoch alone.
    """

    def __init__(self, source: Source, options: FeedOptions, memory: int) -> None:
        size = source.row_bytes()
        self.options = options
        self._rows = len(source)
        self.rows = max(1, memory // (size * options.batch_size)) * options.batch_size
        """Of a window: a multiple of the batch size."""
        self._is_sliced = source.is_sliced
        self._block = max(1, _BLOCK // size)
        self._epoch: int | None = None
        self._order = self._starts = self._sizes = self._ends = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return -(-self._rows // self.rows)

    def window(self, epoch: int, number: int) -> tuple[Array, Array]:
        """Numbers of the rows, and their positions among these in the order of training."""
        begin, end = number * self.rows, min((number + 1) * self.rows, self._rows)
        if not self.options.shuffle:
            return np.arange(begin, end), np.arange(end - begin)
        if self._epoch != epoch:
            self._shuffle(epoch)
        if not self._is_sliced:
            return self._order[begin:end], np.arange(end - begin)
        first, last = (int(np.searchsorted(self._ends, place, "right")) for place in (begin, end - 1))
        starts = self._starts[first : last + 1].copy()
        ends = self._ends[first : last + 1]
        counts = np.minimum(ends, end) - np.maximum(ends - self._sizes[first : last + 1], begin)
        starts[0] += max(0, begin - (ends[0] - self._sizes[first]))
        order = np.argsort(starts)
        rows = np.concatenate([np.arange(starts[i], starts[i] + counts[i]) for i in order])
        return rows, permutation(end - begin, self.options.seed, epoch, number)

    def _shuffle(self, epoch: int) -> None:
        self._epoch, seed = epoch, self.options.seed
        if not self._is_sliced:
            self._order = permutation(self._rows, seed, epoch)
            return
        blocks = permutation(-(-self._rows // self._block), seed, epoch, -1)
        self._starts = blocks * self._block
        self._sizes = np.minimum(self._starts + self._block, self._rows) - self._starts
        self._ends = np.cumsum(self._sizes)


class ChunkFeed(_KnownFeed):
    """Rows of a `nnfast.data.Dataset`, read by a thread a window ahead, also across the ends of epochs."""

    def __init__(self, data: ChunkedDataset, options: FeedOptions, memory: int) -> None:
        super().__init__(len(data), options)
        self._data = data
        self._windows = _Windows(data.source, options, memory)
        self._ahead: Prefetch[Part] | None = None
        self._next: tuple[int, int] | None = None  # epoch and window of what comes next
        self._last: int | None = None
        self._epoch = 0

    def resume(self, seed: int, epochs: int) -> None:
        super().resume(seed, epochs)
        self._windows.options = self._options

    def start(self, epoch: int, batches: int) -> None:
        if self._last is None:
            self._last = epoch + self._options.epochs
        self._epoch = epoch

    def part(self, batch: int) -> Part | None:
        row = batch * self.batch_size
        if row >= self._used:
            return None
        number = row // self._windows.rows
        if self._next != (self._epoch, number) or self._ahead is None:
            self.close()
            self._ahead = Prefetch(self._parts(self._epoch, number), min(1, self._options.prefetch))
        self._next = None
        data, rows, size = next(self._ahead)
        self._next = (self._epoch, number + 1) if number + 1 < len(self._windows) else (self._epoch + 1, 0)
        begin = number * self._windows.rows
        return Part(data, rows[row - begin : self._used - begin], size)

    def _parts(self, epoch: int, number: int) -> Iterator[Part]:
        while self._last is None or epoch < self._last:
            for window in range(number, len(self._windows)):
                rows, order = self._windows.window(epoch, window)
                yield Part(self._data.read(rows), order, self.batch_size)
            epoch, number = epoch + 1, 0

    def close(self, timeout: float | None = None) -> None:
        if self._ahead is not None:
            self._ahead.close(timeout)
            self._ahead = None


class BatchFeed:
    """Batches of an iterable, which a thread makes ahead.

    An iterator goes on from epoch to epoch; other iterables begin anew with each.
    """

    batch_size = 1
    """The position in an epoch counts batches."""

    def __init__(self, data: BatchDataset, options: FeedOptions) -> None:
        self._data = data
        self._options = options
        self.rows = options.steps or _UNKNOWN
        self.count = options.steps or data.batches
        self.samples: int | None = None
        self._ahead: Prefetch[ArrayDataset] | None = None
        self._ends = [0]
        self._epoch = self._done = 0

    def resume(self, seed: int, epochs: int) -> None:
        self._done = epochs

    def start(self, epoch: int, batches: int) -> None:
        self._epoch = epoch
        self._ends = [0]  # of the batches, in rows
        if self._ahead is None or not self._data.is_iterator:
            self.close()
            self._ahead = Prefetch(self._items(), self._options.prefetch)
        if self._data.is_iterator:  # it has begun anew, as the script has
            for _ in range(self._done * (self._options.steps or 0)):
                next(self._ahead, None)
            self._done = 0
        for batch in range(batches):  # of an interrupted epoch
            self._take(batch)

    def _items(self) -> Iterator[ArrayDataset]:
        steps, epochs = self._options.steps, self._options.epochs if self._data.is_iterator else 1
        most = None if steps is None else steps * epochs
        return self._data.checked(islice(self._data.items(), most), self._epoch, steps)

    def _take(self, batch: int) -> ArrayDataset | None:
        assert self._ahead is not None
        if batch == self._options.steps:
            return None
        item = next(self._ahead, None)
        if item is None:
            self._data.require_enough(batch, self._options.steps, self._epoch)
            return None
        self._ends.append(self._ends[-1] + len(item))
        return item

    def part(self, batch: int) -> Part | None:
        item = self._take(batch)
        return None if item is None else Part(item, np.arange(len(item)), len(item))

    def rows_in(self, batches: int) -> int:
        return self._ends[batches]

    def close(self, timeout: float | None = None) -> None:
        if self._ahead is not None:
            self._ahead.close(timeout)
            self._ahead = None
