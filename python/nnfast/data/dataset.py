"""Datasets: rows with targets and weights, combined, mapped, filtered and split without being copied."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from nnfast import _core
from nnfast.core.moments import Moments
from nnfast.core.options import integer
from nnfast.core.slices import map_parts, parts_of, row_ranges
from nnfast.core.typing import Array
from nnfast.data import splits
from nnfast.data.labels import encoded, one_hot
from nnfast.data.sources import (
    ArraySource,
    JoinedSource,
    MappedSource,
    RowSource,
    Source,
    WrappedSource,
    ZippedSource,
)

if TYPE_CHECKING:
    from nnfast.data.frames import TableEncoding

__all__ = ["Dataset"]


class Dataset:
    """Rows x with targets y and weights, in memory or in files: an immutable view on which `Trainer.fit` trains.

    Each method returns a new Dataset and copies no data; functions are called when rows are needed, with many rows at
    once.

    Parameters
    ----------
    x : array_like (N, ...), or list or dict of them, or object with ``__len__`` and ``take``
        One array for each input. Arrays may be in files, see `docs/data.md`. A user-defined `training.Dataset` is taken
        alone.
    y : array_like (N, ...), or tuple, list or dict of them, optional
        Targets, for each output. Numbers, or texts for `encode_labels`.
    sample_weight : array_like (N,), or list or dict of them, optional
    feature_names : sequence of str, optional
        Names of the columns of x.

    Attributes
    ----------
    classes : ndarray or None
        After `encode_labels`: the class of each number.
    feature_names : tuple of str or None

    Notes
    -----
    Training on a Dataset of arrays in memory gives the bits of training on these arrays. With arrays in files, the rows
    of an epoch are shuffled as described in `Trainer.fit`.

    Examples
    --------
    >>> import numpy as np
    >>> import nnfast as nf
    >>> x = np.arange(20.0).reshape(10, 2)
    >>> data = nf.data.Dataset(x, np.array(["cat", "dog"] * 5)).encode_labels()
    >>> train, test = data.split(0.8, stratify=True, seed=0)
    >>> len(train), len(test), data.classes
    (8, 2, array(['cat', 'dog'], dtype='<U3'))
    >>> scaled = train.map(lambda x, y: (x / 20, y))
    >>> net = nf.Network([nf.layers.Input((2,)), nf.layers.Dense(2, "softmax")], seed=0)
    >>> history = nf.Trainer(net, loss="cross_entropy").fit(scaled, epochs=2)
    """

    source: Source
    """Of the rows; for nnfast's own modules."""
    classes: Array | None
    feature_names: tuple[str, ...] | None
    encoding: TableEncoding | None
    """Of a table, see `from_dataframe`."""

    def __init__(
        self, x: Any, y: Any = None, sample_weight: Any = None, *, feature_names: Sequence[str] | None = None
    ) -> None:
        if y is None and sample_weight is not None:
            raise ValueError("Dataset: expected y with sample_weight, got none")
        source: Source
        if isinstance(x, Dataset):
            _refuse_more(y)
            source = x.source
        elif hasattr(x, "take") and hasattr(x, "__len__") and not hasattr(x, "__array__"):
            _refuse_more(y)
            source = WrappedSource(x)
        else:
            names = getattr(x, "columns", None)
            if feature_names is None and names is not None and not callable(names):
                feature_names = [str(name) for name in names]
            given = (x, y, sample_weight)
            source = ArraySource(given[: 1 + (y is not None) + (sample_weight is not None)])
        kept = None if feature_names is None else tuple(feature_names)
        self.__dict__.update(source=source, classes=None, feature_names=kept, encoding=None)
        if len(self) == 0:
            raise ValueError("Dataset: expected one row or more, got none")

    def _with(self, source: Source, **changed: Any) -> Dataset:
        """A dataset of this source, with the attributes of this one but those given."""
        made = Dataset.__new__(Dataset)
        made.__dict__.update({**vars(self), "source": source, **changed})
        return made

    def with_encoding(self, encoding: TableEncoding, classes: Array | None) -> Dataset:
        """This dataset, with what is known of its table; for nnfast's own modules.

        Parameters
        ----------
        encoding : TableEncoding
        classes : ndarray or None
        """
        return self._with(self.source, encoding=encoding, classes=classes)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"Dataset: {name} is fixed; make a new Dataset")

    @classmethod
    def from_arrays(cls, x: Any, y: Any = None, sample_weight: Any = None) -> Dataset:
        """``Dataset(x, y, sample_weight)``.

        Parameters
        ----------
        x, y, sample_weight : array_like
        """
        return cls(x, y, sample_weight)

    def __repr__(self) -> str:
        kinds = ", ".join(
            f"{name} {_describe(column)}"
            for name, column in zip(("x", "y", "sample_weight"), self.take(np.arange(1)), strict=False)
        )
        return f"<Dataset: {len(self)} rows, {kinds}>"

    # ---- rows ------------------------------------------------------------------

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.source)

    def take(self, rows: Any) -> Any:
        """Rows as arrays; or, with a number n, a Dataset of the first n rows.

        Parameters
        ----------
        rows : int or array_like of int
            Row numbers, in any order.

        Returns
        -------
        Dataset, or tuple (x,), (x, y) or (x, y, sample_weight)

        Examples
        --------
        >>> import nnfast as nf
        >>> data = nf.data.Dataset([[1.0], [2.0], [3.0]], [0, 1, 2])
        >>> len(data.take(2))
        2
        >>> data.take([2, 0])
        (array([[3.],
               [1.]]), array([2, 0]))
        """
        if isinstance(rows, int | np.integer):
            return self._rows(np.arange(min(integer("Dataset.take", "rows", rows, minimum=0), len(self))))
        wanted = np.asarray(rows, dtype=np.int64) if np.size(rows) else np.zeros(0, np.int64)
        if wanted.ndim != 1 or (wanted.size and not 0 <= wanted.min() <= wanted.max() < len(self)):
            raise ValueError(f"Dataset.take: expected row numbers from 0 to {len(self) - 1}, got {rows!r}")
        return self.source.take(wanted)

    def arrays(self) -> Any:
        """All rows as arrays: x, (x, y) or (x, y, sample_weight).

        Examples
        --------
        >>> import nnfast as nf
        >>> nf.data.Dataset([[1.0], [2.0]], [3, 4]).map(lambda x, y: (2 * x, y)).arrays()
        (array([[2.],
               [4.]]), array([3, 4]))
        """
        columns = self.source.take(np.arange(len(self)))
        return columns[0] if len(columns) == 1 else columns

    def parts(self) -> Iterator[tuple[Any, ...]]:
        """All rows in order, some megabytes at a time: tuples of arrays.

        Examples
        --------
        >>> import nnfast as nf
        >>> for x, y in nf.data.Dataset([[1.0], [2.0]], [3, 4]).parts():
        ...     print(len(x))
        2
        """
        return map(self.source.take, row_ranges(len(self), self.source.row_bytes()))

    def _rows(self, rows: Array) -> Dataset:
        return self._with(RowSource(self.source, rows))

    def skip(self, n: int) -> Dataset:
        """All rows but the first n.

        Parameters
        ----------
        n : int
        """
        return self._rows(np.arange(integer("Dataset.skip", "n", n, minimum=0), len(self)))

    def shuffle(self, seed: int = 0) -> Dataset:
        """The rows in a random order, the same for the same seed.

        Parameters
        ----------
        seed : int, default 0

        Notes
        -----
        Not needed for training, because `Trainer.fit` shuffles in each epoch; rows of files are then read one by one,
        which is slow.
        """
        return self._rows(_core.random_permutation(len(self), integer("Dataset.shuffle", "seed", seed, minimum=0), 0))

    # ---- functions ---------------------------------------------------------------

    def map(self, function: Callable[..., Any]) -> Dataset:
        """A function of the rows, computed whenever they are read.

        Parameters
        ----------
        function : callable
            (x, y) -> (x, y), with as many arguments as the dataset has columns, called with many rows at once. It may
            return x alone, or a third item, sample weights. While `fit` trains it is called by another thread, and
            before with one row, whose size determines how many rows are read at once.

        Examples
        --------
        >>> import nnfast as nf
        >>> data = nf.data.Dataset([[1.0], [2.0]], [3, 4])
        >>> data.map(lambda x, y: (x / 2, y)).take([1])
        (array([[1.]]), array([4]))
        """
        if not callable(function):
            raise TypeError(f"Dataset.map: expected a function, got {function!r}")
        return self._with(MappedSource(self.source, function), feature_names=None)

    def filter(self, function: Callable[..., Any]) -> Dataset:
        """The rows for which a function is true. It is called now, in one pass over all rows.

        Parameters
        ----------
        function : callable
            (x, y) -> array of bool (N,), called with many rows at once.

        Examples
        --------
        >>> import nnfast as nf
        >>> data = nf.data.Dataset([[1.0], [2.0], [3.0]], [0, 1, 0])
        >>> data.filter(lambda x, y: y == 0).arrays()[0].ravel()
        array([1., 3.])
        """
        kept = []
        for columns in self.parts():
            keep = np.asarray(function(*columns))
            rows = len(parts_of(columns[0])[0])
            if keep.dtype != bool or keep.shape != (rows,):
                raise ValueError(
                    f"Dataset.filter: expected the function to return {rows} bools, one for each row, got shape "
                    f"{keep.shape} of dtype {keep.dtype}; it is called with many rows at once"
                )
            kept.append(keep)
        return self._rows(np.flatnonzero(np.concatenate(kept)))

    def moments(self) -> tuple[Array, Array]:
        """Mean and variance of each feature of x, the last axis, in float64; one pass over all rows.

        Examples
        --------
        >>> import nnfast as nf
        >>> nf.data.Dataset([[1.0, 0.0], [3.0, 0.0]]).moments()
        (array([2., 0.]), array([1., 0.]))
        """
        found: Moments | None = None
        for x, *_ in self.parts():
            if len(parts_of(x)) > 1 or isinstance(x, dict):
                raise ValueError("Dataset.moments: expected one array as x, got several")
            (array,) = parts_of(x)
            found = found or Moments([array.ndim - 1] if array.ndim > 1 else [])
            found.add(array)
        assert found is not None
        return found.mean, found.variance

    def standardize(self, moments: tuple[Any, Any] | None = None) -> Dataset:
        """(x - mean) / standard deviation for each feature; features that do not vary become 0.

        Parameters
        ----------
        moments : (mean, variance), optional
            By default those of this dataset. Test data need those of the training data.

        See Also
        --------
        nnfast.layers.Normalization : the same in the network, and saved with it.

        Examples
        --------
        >>> import nnfast as nf
        >>> train, test = nf.data.Dataset([[1.0], [3.0]]), nf.data.Dataset([[4.0]])
        >>> train.standardize().arrays().ravel(), test.standardize(train.moments()).arrays().ravel()
        (array([-1.,  1.]), array([2.]))
        """
        mean, variance = self.moments() if moments is None else map(np.asarray, moments)
        deviation = np.where(variance > 0, np.sqrt(variance), 1.0)

        def standardized(x: Any, *others: Any) -> tuple[Any, ...]:
            return (map_parts(lambda part: (part - mean) / deviation, x), *others)

        return self._with(MappedSource(self.source, standardized))

    def encode_labels(self, classes: Any = None) -> Dataset:
        """Targets, such as texts, as class numbers; `classes` has the class of each number.

        Parameters
        ----------
        classes : array_like (K,), optional
            By default the sorted different targets, found in one pass over all rows. Test data need the classes of the
            training data.

        Examples
        --------
        >>> import nnfast as nf
        >>> train = nf.data.Dataset([[1], [2], [3]], ["no", "yes", "no"]).encode_labels()
        >>> train.arrays()[1], train.classes
        (array([0, 1, 0]), array(['no', 'yes'], dtype='<U3'))
        >>> nf.data.Dataset([[4]], ["yes"]).encode_labels(train.classes).arrays()[1]
        array([1])
        """
        found = self._different_labels() if classes is None else np.asarray(classes)

        def with_numbers(x: Any, y: Any, *others: Any) -> tuple[Any, ...]:
            return (x, encoded(y, found), *others)

        return self._with(MappedSource(self.source, with_numbers), classes=found)

    def one_hot(self, classes: Any = None) -> Dataset:
        """Targets as rows of 0 and a single 1; see `nnfast.data.one_hot`.

        Parameters
        ----------
        classes : int or array_like (K,), optional
            By default the sorted different targets.
        """
        found = self._different_labels() if classes is None else classes

        def with_rows(x: Any, y: Any, *others: Any) -> tuple[Any, ...]:
            return (x, one_hot(y, found), *others)

        known = self.classes if isinstance(found, int) else np.asarray(found)
        return self._with(MappedSource(self.source, with_rows), classes=known)

    def _labels(self) -> Array:
        """All targets, which must be a single array (N,) or (N, 1)."""
        found = []
        for columns in self.parts():
            y = columns[1] if len(columns) > 1 else None
            if not isinstance(y, np.ndarray) or y.size != len(y):
                got = "none" if y is None else f"shape {y.shape}" if isinstance(y, np.ndarray) else type(y).__name__
                raise ValueError(f"Dataset: expected one class for each row as y, got {got}")
            found.append(y.reshape(-1))
        return np.concatenate(found)

    def _different_labels(self) -> Array:
        return np.unique(self._labels())

    # ---- combinations ------------------------------------------------------------

    def concatenate(self, *others: Dataset) -> Dataset:
        """The rows of this dataset and then those of others.

        Parameters
        ----------
        *others : Dataset
        """
        return self._with(JoinedSource([self.source, *(_source_of("concatenate", other) for other in others)]))

    def zip(self, *others: Dataset) -> Dataset:
        """The inputs of several datasets of the same length side by side, and likewise targets and weights.

        Parameters
        ----------
        *others : Dataset

        Examples
        --------
        >>> import nnfast as nf
        >>> both = nf.data.Dataset([[1], [2]]).zip(nf.data.Dataset([[3], [4]], [0, 1]))
        >>> both.take([1])
        ([array([[2]]), array([[4]])], array([1]))
        """
        sources = [self.source, *(_source_of("zip", other) for other in others)]
        lengths = {len(source) for source in sources}
        if len(lengths) > 1:
            raise ValueError(f"Dataset.zip: expected datasets of the same length, got {sorted(lengths)} rows")
        return self._with(ZippedSource(sources), feature_names=None)

    def split(
        self, fractions: float | Sequence[float], *, stratify: Any = None, groups: Any = None, seed: int | None = None
    ) -> tuple[Dataset, ...]:
        """Disjoint parts that contain every row, each in the order of this dataset.

        Parameters
        ----------
        fractions : float or sequence of float
            Of the rows of each part, with the sum 1. A single fraction f stands for (f, 1 - f).
        stratify : True or array_like (N,), optional
            Classes, or True for the targets: each part gets its fraction of every class, within one row.
        groups : array_like (N,), optional
            Rows of the same group stay together; parts are as close to their fractions as whole groups permit, by a
            greedy method.
        seed : int, optional
            For a random choice of rows. By default parts take rows from the beginning on.

        Returns
        -------
        tuple of Dataset

        Examples
        --------
        >>> import numpy as np
        >>> import nnfast as nf
        >>> data = nf.data.Dataset(np.arange(10)[:, None], [0] * 5 + [1] * 5)
        >>> train, test = data.split(0.8, stratify=True, seed=1)
        >>> np.bincount(train.arrays()[1]), np.bincount(test.arrays()[1])
        (array([4, 4]), array([1, 1]))
        """
        shares = splits.as_fractions(fractions)
        if stratify is not None and groups is not None:
            raise ValueError("Dataset.split: expected stratify or groups, got both; stratify the groups beforehand")
        count = len(self)
        if isinstance(stratify, bool | np.bool_):
            stratify = self._labels() if stratify else None
        order = np.arange(count)
        if seed is not None:
            order = _core.random_permutation(count, integer("Dataset.split", "seed", seed, minimum=0), 0)
        if stratify is not None:
            parts = splits.stratified(order, splits.as_keys("stratify", stratify, count), shares)
        elif groups is not None:
            parts = splits.grouped(order, splits.as_keys("groups", groups, count), shares)
        else:
            parts = np.split(order, splits.cuts(count, shares))
        for share, part in zip(shares, parts, strict=True):
            if len(part) == 0:
                raise ValueError(
                    f"Dataset.split: expected rows for each part, got none for the fraction {share:g} of {count} rows"
                )
        return tuple(self._rows(np.sort(part)) for part in parts)


def _refuse_more(y: Any) -> None:
    if y is not None:
        raise ValueError("Dataset: expected a dataset alone, got y beside it")


def _source_of(where: str, dataset: Any) -> Source:
    if not isinstance(dataset, Dataset):
        raise TypeError(f"Dataset.{where}: expected a Dataset, got {type(dataset).__name__}; write Dataset(x, y)")
    return dataset.source


def _describe(column: Any) -> str:
    if isinstance(column, dict):
        return "{" + ", ".join(f"{key!r}: {_describe(part)}" for key, part in column.items()) + "}"
    if isinstance(column, list | tuple):
        return f"[{', '.join(map(_describe, column))}]"
    return f"{column.shape[1:]} {column.dtype}"
