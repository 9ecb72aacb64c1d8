"""What `Trainer.fit` takes besides arrays: datasets read in windows, and iterables of batches."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from nnfast.core.slices import MEMORY, any_sliced, row_ranges
from nnfast.core.typing import Array
from nnfast.graph.heads import Heads
from nnfast.training.dataset import ArrayDataset, ProducedDataset, is_dataset, rows_before
from nnfast.training.feeds import BatchFeed, ChunkFeed, Feed, FeedOptions, OrderedFeed
from nnfast.training.prefetch import Prefetch

if TYPE_CHECKING:
    from nnfast.data.dataset import Dataset
    from nnfast.data.sources import Source
    from nnfast.network import Network

__all__ = ["AnyDataset", "BatchDataset", "ChunkedDataset", "as_dataset", "feed_of", "validation_of"]


class ChunkedDataset:
    """Rows of a `nnfast.data.Dataset`, checked when they are read."""

    def __init__(
        self, network: Network, heads: Heads, source: Source, class_weight: Mapping[Any, float] | None = None
    ) -> None:
        self._network = network
        self._heads = heads
        self._class_weight = class_weight
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def read(self, rows: Array) -> ArrayDataset:
        """The given rows."""
        x, y, weight = (*self.source.take(rows), None, None)[:3]
        try:
            return ArrayDataset.of(self._network, self._heads, x, y, weight, self._class_weight)
        except (ValueError, TypeError) as error:
            # The row within those that were read becomes the row of the data.
            text = re.sub(r"\bin row (\d+)", lambda found: f"in row {rows[int(found[1])]}", str(error))
            raise type(error)(text) from error

    def parts(self) -> Iterator[ArrayDataset]:
        """All rows in order."""
        ahead = Prefetch(map(self.read, row_ranges(len(self), self.source.row_bytes())), 1)
        try:
            yield from ahead
        finally:
            ahead.close(1.0)

    def split(self, share: float, heads: Heads) -> tuple[ChunkedDataset, ChunkedDataset]:
        """Split off the given fraction of rows at the end."""
        from nnfast.data.sources import RowSource

        first, second = np.split(np.arange(len(self)), [rows_before(share, len(self))])
        one, two = (
            ChunkedDataset(self._network, heads, RowSource(self.source, part), weight)
            for part, weight in ((first, self._class_weight), (second, None))
        )
        return one, two


class BatchDataset:
    """Batches of an iterable, checked one by one."""

    def __init__(
        self,
        where: str,
        network: Network,
        heads: Heads,
        items: Iterable[Any],
        class_weight: Mapping[Any, float] | None = None,
    ) -> None:
        self._where = where
        self._network = network
        self._heads = heads
        self._class_weight = class_weight
        self._items = items
        self.is_iterator = isinstance(items, Iterator)
        self.batches = _length(items)

    def items(self) -> Iterator[Any]:
        """The batches from the beginning, or the next ones of an iterator."""
        return iter(self._items)

    def checked(
        self, items: Iterator[Any], epoch: int | None = None, steps: int | None = None
    ) -> Iterator[ArrayDataset]:
        """Batches in the core's form; an error names the batch."""
        for number, item in enumerate(items):
            where = f"{self._where}: batch {number}"
            if epoch is not None:
                where = f"{self._where}: {self.name(number, epoch, steps)}"
            if not isinstance(item, tuple | list) or len(item) not in (2, 3):
                got = f"{len(item)} items" if isinstance(item, tuple | list) else type(item).__name__
                raise TypeError(f"{where}: expected (x, y) or (x, y, sample_weight), got {got}")
            x, y, weight = (*item, None)[:3]
            try:
                made = ArrayDataset.of(self._network, self._heads, x, y, weight, self._class_weight)
            except (ValueError, TypeError) as error:
                raise type(error)(f"{where}: {error}") from error
            del item, x, y, weight
            yield made

    @staticmethod
    def name(number: int, epoch: int, steps: int | None = None) -> str:
        """The number of a batch, and of its epoch, both from 0."""
        if steps is not None:
            epoch, number = epoch + number // steps, number % steps
        return f"batch {number} of epoch {epoch} (from 0)"

    def require_enough(self, batches: int, steps: int | None, epoch: int) -> None:
        """An error if the iterable has ended after so many batches of an epoch, and should not have."""
        if steps is not None:
            remedy = "make the generator endless" if self.is_iterator else "pass fewer steps_per_epoch"
            raise ValueError(
                f"{self._where}: expected steps_per_epoch={steps} batches in an epoch, got the end before "
                f"{self.name(batches, epoch)}; {remedy}, or leave steps_per_epoch out"
            )
        if batches == 0:
            again = ", or one that was used before" if self.is_iterator else ""
            raise ValueError(f"{self._where}: expected one batch or more, got an empty iterable{again}")

    def parts(self) -> Iterator[ArrayDataset]:
        """The batches, made ahead by a thread."""
        ahead, count = Prefetch(self.checked(self.items()), 2), 0
        try:
            for part in ahead:
                count += 1
                yield part
        finally:
            ahead.close(1.0)
        self.require_enough(count, None, 0)


AnyDataset = ArrayDataset | ProducedDataset | ChunkedDataset | BatchDataset


def _length(items: Any) -> int | None:
    try:
        return len(items)
    except TypeError:  # none, or unknown
        return None


def _is_data_set(value: Any) -> TypeGuard[Dataset]:
    """Whether it is a `nnfast.data.Dataset`, whose module is not imported for this question."""
    module = sys.modules.get("nnfast.data.dataset")
    return module is not None and isinstance(value, module.Dataset)


def _are_batches(value: Any) -> bool:
    """Whether it yields batches: neither an array nor rows nor several inputs."""
    if isinstance(value, Iterator):
        return True
    return (
        isinstance(value, Iterable)
        and not isinstance(value, Sequence | Mapping | Set | memoryview | type)
        and not any(hasattr(value, name) for name in ("__array__", "shape", "to_numpy"))
    )


def is_alone(value: Any) -> bool:
    """Whether data contain their targets: a dataset, or an iterable of batches."""
    return is_dataset(value) or _are_batches(value)


def as_dataset(
    where: str,
    network: Network,
    heads: Heads,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    class_weight: Mapping[Any, float] | None = None,
) -> AnyDataset:
    """Data for the fit loop and `evaluate`: of arrays, or of what is passed alone as x."""
    columns = (x, y, sample_weight)
    if not is_dataset(x) and not (_are_batches(x) and y is None and sample_weight is None):
        if any_sliced(*columns):
            return _from_files(network, heads, columns, class_weight)
        return ArrayDataset.of(network, heads, x, y, sample_weight, class_weight)
    if isinstance(x, type):
        raise TypeError(f"{where}: expected a Dataset, got the class {x.__name__}; write {x.__name__}(...)")
    if not is_dataset(x):
        return BatchDataset(where, network, heads, x, class_weight)
    is_ours = _is_data_set(x)
    if y is not None or sample_weight is not None or (class_weight is not None and not is_ours):
        raise ValueError(f"{where}: expected a Dataset alone, got y or weights beside it; let take() return them")
    if is_ours:
        return _of_source(network, heads, x.source, class_weight)
    return ProducedDataset(where, network, heads, x)


def _from_files(network: Network, heads: Heads, columns: Sequence[Any], class_weight: Any) -> AnyDataset:
    from nnfast.data.sources import ArraySource

    x, y, weight = columns
    if y is None:
        given: tuple[Any, ...] = (x,)
    else:
        given = (x, y) if weight is None else (x, y, weight)
    return _of_source(network, heads, ArraySource(given), class_weight)


def _of_source(network: Network, heads: Heads, source: Source, class_weight: Any) -> AnyDataset:
    """Arrays, where they are in memory or are read at once."""
    from nnfast.data.sources import ArraySource

    if isinstance(source, ArraySource):
        if not source.is_sliced:
            columns = source.columns
        elif source.row_bytes() * len(source) <= MEMORY:
            columns = source.take(np.arange(len(source)))
        else:
            return ChunkedDataset(network, heads, source, class_weight)
        x, y, weight = (*columns, None, None)[:3]
        return ArrayDataset.of(network, heads, x, y, weight, class_weight)
    return ChunkedDataset(network, heads, source, class_weight)


def validation_of(data: AnyDataset, given: Any, share: float, network: Network, heads: Heads) -> AnyDataset | None:
    """The argument `validation_data` of `fit`; checks that it and `validation_split` fit the data."""
    if given is None:
        if share and not isinstance(data, ArrayDataset | ChunkedDataset):
            kind = "an iterable" if isinstance(data, BatchDataset) else "a Dataset"
            raise ValueError(f"fit: expected validation_data with {kind}, got validation_split")
        return None
    if share:
        raise ValueError("fit: expected validation_data or validation_split, got both")
    if isinstance(given, list | tuple) and len(given) in (2, 3):
        return as_dataset("fit", network, heads, *given)
    if isinstance(given, Iterator) or not is_alone(given):
        remedy = "; an iterator can be used once only" if isinstance(given, Iterator) else ""
        raise ValueError(
            "fit: expected validation_data as (x, y), (x, y, sample_weight), a Dataset or an iterable of batches, got "
            f"{type(given).__name__}{remedy}"
        )
    return as_dataset("fit", network, heads, given)


def feed_of(data: AnyDataset, options: FeedOptions) -> Feed:
    """The batches of the data."""
    if isinstance(data, BatchDataset):
        if options.drop_last:
            raise ValueError(
                "fit: expected drop_last=False with batches of an iterable, got True; leave them out there"
            )
        if data.is_iterator and options.steps is None and options.epochs > 1:
            raise ValueError(
                f"fit: expected steps_per_epoch with an iterator and {options.epochs} epochs, got none; or pass an "
                "object whose __iter__ begins anew"
            )
        return BatchFeed(data, options)
    if options.steps is not None:
        raise ValueError(
            "fit: expected steps_per_epoch with an iterable of batches only; here an epoch uses every row once, so "
            "pass fewer rows"
        )
    options = options._replace(batch_size=min(options.batch_size, len(data)))
    if isinstance(data, ChunkedDataset):
        return ChunkFeed(data, options, MEMORY)
    return OrderedFeed(data, options)
