"""What `Trainer.fit` takes besides arrays: datasets read in windows, and iterables of batches."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from nnfast.core.options import function_name
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
    """Batches of an iterable, or of the one that a function makes, checked one by one."""

    steps: int | None = None
    """Number of batches that `parts` yields; by default all."""

    def __init__(
        self,
        where: str,
        network: Network,
        heads: Heads,
        items: Iterable[Any] | Callable[[], Iterable[Any]],
        class_weight: Mapping[Any, float] | None = None,
    ) -> None:
        self._where = where
        self._network = network
        self._heads = heads
        self._class_weight = class_weight
        self._items = items
        self.is_iterator = isinstance(items, Iterator)
        self.batches = _length(items)
        if _makes_batches(items):
            _require_no_arguments(where, items)

    def items(self) -> Iterator[Any]:
        """The batches from the beginning, or the next ones of an iterator."""
        if isinstance(self._items, Iterable):
            return iter(self._items)
        made: Any = self._items()
        if not isinstance(made, Iterable):
            raise TypeError(
                f"{self._where}: expected the function {function_name(self._items)} to return batches, got "
                f"{type(made).__name__}"
            )
        return iter(made)

    def skip(self, epochs: int) -> None:
        """Leave out the batches that `parts` yielded in so many epochs of an earlier run, if an iterator goes on."""
        if self.is_iterator:
            for _ in range(epochs * (self.steps or 0)):
                next(self.items(), None)

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
            again = ", or one that was used before" if self.is_iterator or callable(self._items) else ""
            raise ValueError(f"{self._where}: expected one batch or more, got an empty iterable{again}")

    def parts(self) -> Iterator[ArrayDataset]:
        """The batches, made ahead by a thread."""
        ahead, count = Prefetch(self.checked(islice(self.items(), self.steps)), 2), 0
        try:
            for part in ahead:
                count += 1
                yield part
        finally:
            ahead.close(1.0)
        if self.steps is not None and count < self.steps:
            raise ValueError(
                f"{self._where}: expected validation_steps={self.steps} batches, got {count} before the end; pass "
                "fewer validation_steps"
            )
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
    """Whether it yields batches, or makes what does: neither an array nor rows nor several inputs."""
    if isinstance(value, Iterator) or _makes_batches(value):
        return True
    return (
        isinstance(value, Iterable)
        and not isinstance(value, Sequence | Mapping | Set | memoryview | type)
        and not any(hasattr(value, name) for name in ("__array__", "shape", "to_numpy"))
    )


def _makes_batches(value: Any) -> bool:
    """Whether it is a function, such as one with ``yield``, to be called for the batches."""
    return inspect.isroutine(value) or isinstance(value, partial)


def _require_no_arguments(where: str, function: Any) -> None:
    try:
        signature = inspect.signature(function)
    except ValueError:  # some built-in functions have none
        return
    try:
        signature.bind()
    except TypeError:
        raise TypeError(
            f"{where}: expected a function without arguments that returns batches, got {function_name(function)}"
            f"{signature}; bind them with functools.partial"
        ) from None


def is_alone(value: Any) -> bool:
    """Whether data contain their targets: a dataset, an iterable of batches, or a function that makes one."""
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


def validation_of(
    data: AnyDataset, given: Any, share: float, steps: int | None, epochs: int, network: Network, heads: Heads
) -> AnyDataset | None:
    """The argument `validation_data` of `fit`; checks that it, its number of steps and `validation_split` fit."""
    if given is None:
        if steps is not None:
            raise ValueError("fit: expected validation_data with validation_steps, got none")
        if share and not isinstance(data, ArrayDataset | ChunkedDataset):
            kind = "an iterable" if isinstance(data, BatchDataset) else "a Dataset"
            raise ValueError(f"fit: expected validation_data with {kind}, got validation_split")
        return None
    if share:
        raise ValueError("fit: expected validation_data or validation_split, got both")
    if isinstance(given, list | tuple) and len(given) in (2, 3):
        validation = as_dataset("fit", network, heads, *given)
    elif is_alone(given):
        validation = as_dataset("fit: validation_data", network, heads, given)
    else:
        raise ValueError(
            "fit: expected validation_data as (x, y), (x, y, sample_weight), a Dataset, an iterable of batches or a "
            f"function that returns one, got {type(given).__name__}"
        )
    if isinstance(validation, BatchDataset):
        validation.steps = steps
        if validation.is_iterator and steps is None and epochs > 1:
            raise ValueError(
                f"fit: expected validation_data for {epochs} epochs, got an iterator ({type(given).__name__}), which "
                "can be read once; pass the function that makes it, without calling it, or an object whose __iter__ "
                "begins anew; or, if it is endless, validation_steps"
            )
    elif steps is not None:
        raise ValueError("fit: expected validation_steps with an iterable of batches only; pass fewer rows")
    return validation


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
