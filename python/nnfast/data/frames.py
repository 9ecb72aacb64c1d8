"""Tables as datasets: of pandas or polars, and CSV and Parquet files, which one of them reads."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from nnfast.core.options import choose, real
from nnfast.core.text import short_repr
from nnfast.core.typing import Array
from nnfast.data.dataset import Dataset

__all__ = ["TableEncoding", "from_dataframe", "read_csv", "read_parquet"]

_MISSING = "(missing)"
"""The category of missing values."""


class TableEncoding(NamedTuple):
    """How a table was encoded, so that another table can be encoded alike."""

    columns: tuple[str, ...]
    """Those of x, in their order."""
    categories: dict[str, Array]
    """By column, of those that are no numbers."""
    as_ids: bool
    missing: str | float
    fill: dict[str, float]
    """By column, what takes the place of missing numbers."""


class _Column(NamedTuple):
    name: str
    values: Array
    """Numbers, or objects."""
    missing: Array
    """Where there is no value."""

    @property
    def is_number(self) -> bool:
        return self.values.dtype.kind in "uif"


def read_csv(path: str | os.PathLike[str], target: Any = None, *, separator: str = ",", **options: Any) -> Dataset:
    """A CSV file with a header as a Dataset; requires pandas or polars.

    Parameters
    ----------
    path : str or path-like
    target : str or sequence of str, optional
        Column of the targets.
    separator : str, default ","
    **options
        Of `from_dataframe`. For other formats read the file with pandas or polars, and pass the table to it.

    Raises
    ------
    ImportError
        If neither pandas nor polars is installed.

    Examples
    --------
    >>> import nnfast as nf
    >>> data = nf.data.read_csv("wine.csv", target="quality")  # doctest: +SKIP
    """
    name, library = _library()
    if name == "pandas":
        # Before version 3, the default precision was not that of Python.
        exact = {"float_precision": "round_trip"} if int(library.__version__.partition(".")[0]) < 3 else {}
        table = library.read_csv(path, sep=separator, **exact)
    else:
        table = library.read_csv(path, separator=separator, infer_schema_length=None)
    return from_dataframe(table, target, **options)


def read_parquet(path: str | os.PathLike[str], target: Any = None, **options: Any) -> Dataset:
    """A Parquet file as a Dataset; requires polars, or pandas with pyarrow.

    Parameters
    ----------
    path : str or path-like
    target : str or sequence of str, optional
        Column of the targets.
    **options
        Of `from_dataframe`.

    Raises
    ------
    ImportError
        If what reads such files is not installed.

    Examples
    --------
    >>> import nnfast as nf
    >>> data = nf.data.read_parquet("wine.parquet", target="quality")  # doctest: +SKIP
    """
    _, library = _library()
    return from_dataframe(library.read_parquet(path), target, **options)


def _library() -> tuple[str, Any]:
    for name in ("pandas", "polars"):
        try:
            return name, importlib.import_module(name)
        except ImportError:
            continue
    raise ImportError("nnfast.data: expected pandas or polars to read tables, found neither; pip install pandas")


def from_dataframe(
    table: Any,
    target: Any = None,
    *,
    sample_weight: str | None = None,
    categories: str = "one_hot",
    missing: str | float = "error",
    like: Dataset | None = None,
) -> Dataset:
    """A table of pandas or polars as a Dataset: numbers as they are, other columns as categories.

    Parameters
    ----------
    table : DataFrame
    target : str or sequence of str, optional
        Column of the targets, or several columns of numbers. Texts become class numbers, see `Dataset.classes`.
    sample_weight : str, optional
        Column of weights.
    categories : {"one_hot", "ids"}, default "one_hot"
        Columns of texts and categories: a column of 0 and 1 for each category, named "<column>_<category>"; or numbers
        from 0, for `layers.Embedding`. With "ids", x is a dict with the entry "numbers" (N, D) and an entry (N, 1) for
        each such column.
    missing : {"error", "drop", "mean"} or float, default "error"
        What to do about missing values: raise an error that names column and row, leave the rows out, or replace
        numbers by the column's mean or by the given number, and texts by an additional category. Rows without target
        are left out with "drop" only.
    like : Dataset, optional
        Encode the table as this one was: the same columns, categories, and numbers for missing ones. For test data.

    Returns
    -------
    Dataset
        With `feature_names` and, for a target of texts, `classes`.

    Examples
    --------
    >>> import polars
    >>> import nnfast as nf
    >>> table = polars.DataFrame({"age": [20, 30], "town": ["Rome", "Oslo"], "buys": ["no", "yes"]})
    >>> data = nf.data.from_dataframe(table, target="buys")
    >>> data.feature_names
    ('age', 'town_Oslo', 'town_Rome')
    >>> data.arrays()
    (array([[20.,  0.,  1.],
           [30.,  1.,  0.]]), array([0, 1]))
    >>> new = polars.DataFrame({"town": ["Oslo"], "age": [40]})
    >>> nf.data.from_dataframe(new, like=data).arrays()
    array([[40.,  1.,  0.]])
    """
    columns = {column.name: column for column in _columns_of(table)}
    targets = [target] if isinstance(target, str) else list(target or ())
    for name in (*targets, *([] if sample_weight is None else [sample_weight])):
        choose("column", name, list(columns))
    taken = {*targets, sample_weight}
    if like is None:
        policy = _as_policy(missing)
        as_ids = choose("categories of from_dataframe", categories, ("one_hot", "ids")) == "ids"
        names = [name for name in columns if name not in taken]
        encoding: TableEncoding | None = None
    else:
        encoding = like.encoding
        if encoding is None:
            raise ValueError("from_dataframe: expected like= made by from_dataframe, got another Dataset")
        policy, as_ids, names = encoding.missing, encoding.as_ids, list(encoding.columns)
        for name in names:
            choose("column", name, list(columns))
    if not names:
        raise ValueError("from_dataframe: expected columns besides target and sample_weight, got none")
    if policy == "drop":
        keep = ~np.any([columns[name].missing for name in (*names, *(name for name in taken if name))], axis=0)
        columns = {n: _Column(n, c.values[keep], c.missing[keep]) for n, c in columns.items()}
        if not keep.any():
            raise ValueError("from_dataframe: expected a row without missing values, got none")
    used = [columns[name] for name in names]
    if encoding is None:
        encoding = _encoding(used, as_ids, policy)
    x, feature_names = _encoded(used, encoding)
    y = _targets([columns[name] for name in targets], None if like is None else like.classes)
    weight = None if sample_weight is None else _numbers(columns[sample_weight], {}, "sample_weight")
    return Dataset(x, y, weight, feature_names=feature_names).with_encoding(encoding, _classes(columns, targets, like))


def _as_policy(missing: Any) -> str | float:
    if isinstance(missing, str):
        return choose("missing of from_dataframe", missing, ("error", "drop", "mean"))
    return real("from_dataframe", "missing", missing)


def _encoding(columns: Sequence[_Column], as_ids: bool, policy: str | float) -> TableEncoding:
    """How the columns of training data are encoded."""
    categories, fill = {}, {}
    for column in columns:
        known = column.values[~column.missing]
        if not column.is_number:
            if column.missing.any() and policy == "error":
                _refuse_missing(column)
            found = np.unique(known.astype(str))
            categories[column.name] = np.append(found, _MISSING) if column.missing.any() else found
        elif policy == "mean":
            fill[column.name] = float(np.mean(known, dtype=np.float64)) if len(known) else 0.0
        elif not isinstance(policy, str):
            fill[column.name] = policy
    return TableEncoding(tuple(column.name for column in columns), categories, as_ids, policy, fill)


def _encoded(columns: Sequence[_Column], encoding: TableEncoding) -> tuple[Any, list[str]]:
    """x, and the names of its columns."""
    parts: list[Array] = []
    names: list[str] = []
    ids: dict[str, Array] = {}
    for column in columns:
        known = encoding.categories.get(column.name)
        if known is None:
            parts.append(_numbers(column, encoding.fill, "x")[:, None])
            names.append(column.name)
            continue
        numbers = _category_numbers(column, known)
        if encoding.as_ids:
            ids[column.name] = numbers[:, None].astype(np.int32)
        else:
            parts.append(numbers[:, None] == np.arange(len(known)))
            names += [f"{column.name}_{category}" for category in known]
    wide = np.concatenate(parts, axis=1, dtype=np.float64) if parts else None
    if encoding.as_ids:
        return {**({} if wide is None else {"numbers": wide}), **ids}, [*names, *ids]
    return wide, names


def _numbers(column: _Column, fill: Mapping[str, float], name: str) -> Array:
    """A column of numbers, without missing ones."""
    if not column.is_number:
        row = int(np.flatnonzero(~column.missing)[0]) if (~column.missing).any() else 0
        raise TypeError(
            f"from_dataframe: expected numbers in column {column.name!r} of {name}, got "
            f"{short_repr(column.values[row])} in row {row}"
        )
    values = column.values
    if column.missing.any():
        if column.name not in fill:
            _refuse_missing(column)
        values = np.where(column.missing, fill[column.name], values)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(
            f"from_dataframe: expected finite numbers in column {column.name!r}, got {values[row]} in row {row}"
        )
    return values


def _refuse_missing(column: _Column) -> NoReturn:
    rows = np.flatnonzero(column.missing)
    raise ValueError(
        f"from_dataframe: expected no missing values, got {len(rows)} in column {column.name!r}, the first in row "
        f'{rows[0]}; pass missing="drop" to leave such rows out, or missing="mean" or a number to fill them'
    )


def _category_numbers(column: _Column, known: Array) -> Array:
    """The number of each row's category."""
    if column.missing.any() and _MISSING not in known:
        _refuse_missing(column)
    texts = np.where(column.missing, _MISSING, column.values.astype(str))
    by_text = {text: number for number, text in enumerate(known.tolist())}
    numbers = np.array([by_text.get(text, -1) for text in texts.tolist()])
    unknown = np.flatnonzero(numbers < 0)
    if len(unknown):
        raise ValueError(
            f"from_dataframe: expected a known category in column {column.name!r}, got "
            f"{texts[unknown[0]].item()!r} in row {unknown[0]}; leave such rows out, or make the first Dataset of a "
            "table that has it"
        )
    return numbers


def _targets(columns: Sequence[_Column], classes: Array | None) -> Array | None:
    if not columns:
        return None
    for column in columns:
        if column.missing.any():
            _refuse_missing(column)
    if len(columns) == 1:
        (column,) = columns
        if column.is_number:
            return _numbers(column, {}, "target")
        texts = column.values.astype(str)
        return _category_numbers(column, np.unique(texts) if classes is None else classes)
    return np.stack([_numbers(column, {}, "target") for column in columns], axis=1)


def _classes(columns: Mapping[str, _Column], targets: Sequence[str], like: Dataset | None) -> Array | None:
    """The class of each number of a target of texts."""
    if like is not None and like.classes is not None:
        return like.classes
    if len(targets) != 1 or columns[targets[0]].is_number:
        return None
    found: Array = np.unique(columns[targets[0]].values.astype(str))
    return found


# ---- the libraries -----------------------------------------------------------------------


def _columns_of(table: Any) -> list[_Column]:
    library = type(table).__module__.partition(".")[0]
    if library not in ("pandas", "polars") or not hasattr(table, "columns"):
        raise TypeError(f"from_dataframe: expected a DataFrame of pandas or polars, got {type(table).__name__}")
    names = [str(name) for name in table.columns]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"from_dataframe: expected different names of columns, got {name!r} twice")
    series = [table.iloc[:, i] for i in range(len(names))] if library == "pandas" else table.get_columns()
    read = _column_of_pandas if library == "pandas" else _column_of_polars
    found = [read(name, column) for name, column in zip(names, series, strict=True)]
    if not found or not len(found[0].values):
        raise ValueError("from_dataframe: expected one row or more, got none")
    return found


def _column_of_pandas(name: str, series: Any) -> _Column:
    kind = series.dtype.kind
    missing = np.asarray(series.isna(), dtype=bool)
    if kind in "buif":
        dtype = np.float64 if missing.any() else np.dtype(getattr(series.dtype, "numpy_dtype", series.dtype))
        values = series.to_numpy(dtype=dtype, na_value=np.nan) if missing.any() else series.to_numpy(dtype=dtype)
        return _Column(name, values.astype(np.uint8) if values.dtype.kind == "b" else values, missing)
    return _objects(name, np.asarray(series, dtype=object), missing, series.dtype)


def _column_of_polars(name: str, series: Any) -> _Column:
    missing = series.is_null().to_numpy().astype(bool)
    dtype = series.dtype
    if dtype.is_integer() or dtype.is_float() or str(dtype) == "Boolean":
        values = np.asarray(series.cast(importlib.import_module("polars").Float64) if missing.any() else series)
        if values.dtype.kind == "f":
            missing = np.isnan(values)
        return _Column(name, values.astype(np.uint8) if values.dtype.kind == "b" else values, missing)
    return _objects(name, np.array(series.to_list(), dtype=object), missing, dtype)


def _objects(name: str, values: Array, missing: Array, dtype: Any) -> _Column:
    """A column of texts; or of numbers, which pandas keeps as objects beside missing ones."""
    known = values[~missing].tolist()
    if all(isinstance(value, int | float) for value in known):
        numbers = np.full(len(values), np.nan)
        numbers[~missing] = known
        return _Column(name, numbers, missing)
    for row in np.flatnonzero(~missing):
        if not isinstance(values[row], str | bool | int):
            raise TypeError(
                f"from_dataframe: expected numbers or texts in column {name!r}, got {short_repr(values[row])} in row "
                f"{row} (dtype {dtype}); convert it to numbers, or leave it out"
            )
    return _Column(name, values, missing)
