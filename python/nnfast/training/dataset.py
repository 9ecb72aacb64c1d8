"""Data for training: rows with targets and weights, checked and in the core's form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from nnfast.core.arrays import are_several, as_class_weights, as_weights
from nnfast.core.typing import Array
from nnfast.graph.ends import number_of_rows
from nnfast.graph.heads import Heads
from nnfast.graph.row_expression import Parts

if TYPE_CHECKING:
    from nnfast.network import Network

__all__ = ["ArrayDataset", "Dataset", "ProducedDataset", "is_dataset", "rows_before"]


@runtime_checkable
class Dataset(Protocol):
    """Protocol of what `Trainer.fit` and `Trainer.evaluate` accept in place of arrays: produces rows on demand.

    Any class with these two methods is a Dataset. It chooses how many rows to return at a time, for example as many as
    fit into memory; the result of training does not depend on this choice and equals that of training on arrays, bit
    for bit. `nnfast.data.Dataset` is such a class, for arrays in memory and in files; it also takes any other one, to
    map, filter and split it.

    Notes
    -----
    Exceptions raised by `take` are passed on; the network stays as after the last step, and the next `fit` continues
    the epoch from there. A function among the metrics is called with the rows of each `take`; evaluation reports the
    mean of its values, weighted by the number of rows.

    Examples
    --------
    Squares of the row indices, computed 1000 rows at a time:

    >>> import nnfast as nf
    >>> class Squares:
    ...     def __len__(self):
    ...         return 4000
    ...
    ...     def take(self, rows):
    ...         x = rows[:1000, None] / 4000
    ...         return x, x**2
    >>> net = nf.Network([nf.layers.Input((1,)), nf.layers.Dense(8, "tanh"), nf.layers.Dense(1)], seed=0)
    >>> trainer = nf.Trainer(net, loss="mse")
    >>> history = trainer.fit(Squares(), epochs=2, batch_size=100)
    """

    def __len__(self) -> int:
        """Number of rows in an epoch."""
        ...

    def take(self, rows: Array) -> Any:
        """The rows with the given indices, or only the first of them.

        Parameters
        ----------
        rows : ndarray of int64
            Row indices in the order of training: all that remain of the epoch. Read-only. If not all of these rows are
            returned, their number must be a multiple of the batch size; in evaluation it may be any.

        Returns
        -------
        (x, y) or (x, y, sample_weight)
            In the form accepted by `Trainer.fit`.
        """
        ...


class ArrayDataset:
    """Checked rows, targets and weights in the core's form, and the targets as passed by the caller.

    `x` is an array, or a list of them for several inputs; `y` has for each head an array, or a tuple of them; `core`
    are x, y and weights as the core takes them.
    """

    __slots__ = ("core", "weight", "x", "y", "y_given")

    def __init__(
        self, x: Any, y: list[Any], weight: list[Array | None], y_given: list[Any], core: tuple[Any, Any, Any]
    ) -> None:
        self.x = x
        self.y = y
        self.weight = weight
        self.y_given = y_given
        self.core = core

    @classmethod
    def of(
        cls,
        network: Network,
        heads: Heads,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        class_weight: Mapping[Any, float] | None = None,
    ) -> ArrayDataset:
        """Check data from a caller."""
        if is_dataset(x):
            raise TypeError("x: expected arrays, got a Dataset; pass it to fit, or here what its take(rows) returns")
        rows = network.as_rows(x)
        count = number_of_rows(rows)
        given = heads.split_targets(y)
        targets = heads.as_targets(given, count, network.dtype)
        for head, own in zip(heads.all, targets, strict=True):
            for metric in head.all_metrics:
                metric.check_targets(own[0] if isinstance(own, tuple) else own, head.shape, head.loss)
        weights = heads.as_weights(sample_weight, count, network.dtype)
        if class_weight is not None:
            if not heads.single:
                raise ValueError(
                    "class_weight: expected a network with one output, got several; use sample_weight, a list or dict"
                )
            first = targets[0]
            if isinstance(first, Parts):
                if len(first) != 1:
                    raise ValueError(
                        "class_weight: expected one array of class numbers, got several; pass sample_weight"
                    )
                first = first[0]
            by_class = as_class_weights(class_weight, first, heads.all[0].shape, network.dtype)
            with np.errstate(over="ignore"):  # infinity is found
                both = by_class if weights[0] is None else weights[0] * by_class
            weights = [as_weights(both, count, network.dtype)]
        return cls._made(heads, rows, targets, weights, given)

    @classmethod
    def _made(cls, heads: Heads, x: Any, y: list[Any], weight: list[Array | None], given: list[Any]) -> ArrayDataset:
        return cls(x, y, weight, given, (x, *heads.for_core(y, weight)))

    def __len__(self) -> int:
        return number_of_rows(self.x)

    def chunk(self, rows: Array, batch_size: int) -> tuple[ArrayDataset, Array]:
        """Arrays, and the positions of the first of these rows in them: here, of all rows."""
        return self, rows

    def parts(self) -> Iterator[ArrayDataset]:
        """All rows in order."""
        yield self

    def split(self, share: float, heads: Heads) -> tuple[ArrayDataset, ArrayDataset]:
        """Split off the given fraction of rows at the end."""
        cut = rows_before(share, len(self))

        def part(where: slice) -> ArrayDataset:
            x = [array[where] for array in self.x] if isinstance(self.x, list) else self.x[where]
            weight = [None if own is None else own[where] for own in self.weight]
            given = [_rows_of(own, where) for own in self.y_given]
            return self._made(heads, x, [_rows_of(own, where) for own in self.y], weight, given)

        return part(slice(None, cut)), part(slice(cut, None))


def rows_before(share: float, rows: int) -> int:
    """How many rows a `validation_split` leaves for training."""
    cut = rows - int(rows * share)
    if not 0 < cut < rows:
        raise ValueError(
            f"fit: expected a validation_split that leaves rows on both sides, got {share} of {rows} rows; pass "
            "validation_data instead, or another share"
        )
    return cut


def _rows_of(y: Any, where: slice) -> Any:
    """Some rows of an array, or of each in a tuple, list or dict."""
    if isinstance(y, Mapping):
        return {key: np.asarray(part)[where] for key, part in y.items()}
    if isinstance(y, Parts):
        return y.rows(where)
    if are_several(y):
        return tuple(np.asarray(part)[where] for part in y)
    return np.asarray(y)[where]


class ProducedDataset:
    """Rows of a user-defined `Dataset`, checked when they are produced."""

    def __init__(self, where: str, network: Network, heads: Heads, source: Dataset) -> None:
        self._network = network
        self._heads = heads
        self._source = source
        if len(source) < 1:
            raise ValueError(f"{where}: expected a Dataset of one row or more, got an empty one")

    def __len__(self) -> int:
        return len(self._source)

    def chunk(self, rows: Array, batch_size: int) -> tuple[ArrayDataset, Array]:
        """Arrays that contain the first of these rows and no others, and where in them they are."""
        asked = rows[:]
        asked.flags.writeable = False  # sorting them in place would change the order of the epoch
        taken = self._source.take(asked)
        if not isinstance(taken, tuple | list) or len(taken) not in (2, 3):
            got = f"{len(taken)} items" if isinstance(taken, tuple | list) else type(taken).__name__
            raise ValueError(f"Dataset.take: expected (x, y) or (x, y, sample_weight), got {got}")
        try:
            arrays = ArrayDataset.of(self._network, self._heads, *taken)
        except (ValueError, TypeError) as error:
            raise type(error)(f"Dataset.take: {error}") from error
        count = len(arrays)
        if count > len(rows):
            raise ValueError(f"Dataset.take: expected at most the {len(rows)} rows asked for, got {count}")
        if count < len(rows) and count % batch_size:
            raise ValueError(
                f"Dataset.take: expected all {len(rows)} rows, or a multiple of the batch size of {batch_size}, got "
                f"{count}; return the first {count - count % batch_size or batch_size}"
            )
        return arrays, np.arange(count)

    def parts(self) -> Iterator[ArrayDataset]:
        """All rows in order."""
        rows, done = np.arange(len(self)), 0
        while done < len(rows):
            part, _ = self.chunk(rows[done:], 1)
            done += len(part)
            yield part


def is_dataset(value: Any) -> bool:
    """Whether it is a `Dataset`; arrays and tables, which also have a length and `take`, are not."""
    # element_spec: a tf.data.Dataset, whose take(n) is another one
    return isinstance(value, Dataset) and not hasattr(value, "__array__") and not hasattr(value, "element_spec")
