"""Input other than arrays of numbers: tables, text, masked arrays, generators. Errors name column and row."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

from nnfast.core.slices import is_sparse
from nnfast.core.tensor import Tensor
from nnfast.core.typing import Array

__all__ = ["explain_no_numbers", "from_table", "refuse_masked"]


def refuse_masked(value: Any, where: str, name: str) -> None:
    """Raise a ValueError if `value`, or an array in a list, has masked elements: the mask would be lost."""
    if isinstance(value, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(value)
        if mask.any():
            row = f", the first in row {int(mask.nonzero()[0][0])}" if mask.ndim else ""
            raise ValueError(
                f"{where}: expected {name} without masked elements, got {mask.sum()}{row}; leave such rows out, or "
                "fill them with .filled(value)"
            )
    elif isinstance(value, list | tuple) and not {int, float}.issuperset(map(type, value)):
        for item in value:
            refuse_masked(item, where, name)


def from_table(value: Any, where: str, name: str) -> Any:
    """A table or column of pandas or polars, or a sparse matrix, as an array of numbers; anything else unchanged.

    Columns without numbers, and missing values, are errors that name the column.
    """
    if is_sparse(value):
        return value.toarray()
    return _from_polars(_from_pandas(value, where, name), where, name)


def _from_polars(value: Any, where: str, name: str) -> Any:
    polars = sys.modules.get("polars")
    if polars is None or not isinstance(value, polars.DataFrame | polars.Series):
        return value
    is_table = isinstance(value, polars.DataFrame)
    columns = value.get_columns() if is_table else [value]
    arrays = []
    for series in columns:
        what = f"column {series.name!r}" if is_table or series.name else "it"
        if not (series.dtype.is_integer() or series.dtype.is_float() or series.dtype == polars.Boolean):
            if not is_table:
                return series.to_numpy()
            first = "" if series.is_empty() else f" with {series[0]!r} in row 0"
            remedy = (
                f"number its classes with `classes, y = np.unique(y[{series.name!r}], return_inverse=True)`"
                if name == "y"
                else f"encode it, for example with {name}.to_dummies({series.name!r}), or leave it out"
            )
            raise TypeError(
                f"{where}: expected columns of numbers in {name}, got {what} of dtype {series.dtype}{first}; {remedy}"
            )
        if series.null_count():
            raise ValueError(
                f"{where}: expected finite numbers in {name}, got a missing one in {what}, row "
                f"{series.is_null().arg_max()}; use {name}.drop_nulls() or {name}.fill_null(value)"
            )
        array = series.to_numpy()
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row = int(np.isfinite(array).argmin())
            raise ValueError(
                f"{where}: expected finite numbers in {name}, got {array[row]} in {what}, row {row}; remove or replace "
                "such rows"
            )
        arrays.append(array)
    if not is_table:
        return arrays[0]
    dtype = np.result_type(*(array.dtype for array in arrays)) if arrays else None
    return np.stack(arrays, axis=1, dtype=dtype, casting="unsafe") if arrays else np.empty((0, 0))


def _from_pandas(value: Any, where: str, name: str) -> Any:
    """A pandas table or column of numbers as an array; anything else unchanged.

    Mixed dtypes, bools and pandas's own numeric dtypes are converted to a common NumPy dtype.
    """
    pandas = sys.modules.get("pandas")  # if it is not imported, `value` is not one of its objects
    if pandas is None or not isinstance(value, pandas.DataFrame | pandas.Series):
        return value
    is_table = isinstance(value, pandas.DataFrame)
    if not is_table and value.dtype.kind not in "buif":
        return value
    table = value if is_table else value.to_frame()
    for position, (column, dtype) in enumerate(zip(table.columns, table.dtypes, strict=True)):
        series = table.iloc[:, position]
        if dtype.kind not in "buif":
            _refuse_column(series, column, where, name)
        missing = series.isna().to_numpy()
        if missing.any():
            raise ValueError(
                f"{where}: expected finite numbers in {name}, got a missing one in column {column!r}, "
                f"{_row(table, int(missing.argmax()))}; use {name}.dropna() or {name}.fillna(value)"
            )
        infinite = np.isinf(series.to_numpy(dtype=float)) if dtype.kind == "f" else missing
        if infinite.any():
            raise ValueError(
                f"{where}: expected finite numbers in {name}, got infinity in column {column!r}, "
                f"{_row(table, int(infinite.argmax()))}; remove or replace such rows"
            )
    types = [np.dtype(getattr(d, "numpy_dtype", getattr(d, "subtype", d))) for d in table.dtypes]
    array = table.to_numpy(dtype=np.result_type(*types) if types else None)
    return array if is_table else array[:, 0]


def _refuse_column(series: Any, column: Any, where: str, name: str) -> None:
    values = np.asarray(series, dtype=object)
    index, item = _first_without_number(values) or ((0,), None)
    if item is None and len(values):
        got, remedy = "", f"convert it with {name}.astype({{{column!r}: float}})"
    else:
        got = f" with {item!r} in {_row(series, index[0])}" if len(values) else ""
        remedy = (
            f"number its classes with `classes, y = np.unique(y[{column!r}], return_inverse=True)`"
            if name == "y"
            else f"encode it, for example with pandas.get_dummies({name}, columns=[{column!r}]), or leave it out"
        )
    raise TypeError(
        f"{where}: expected columns of numbers in {name}, got column {column!r} of dtype {series.dtype}{got}; {remedy}"
    )


def _row(table: Any, row: int) -> str:
    label = table.index[row]
    return f"row {row}" if isinstance(label, int | np.integer) and label == row else f"row {row} (index {label!r})"


def explain_no_numbers(value: Any, array: Array, where: str, name: str) -> TypeError:
    """The error for `array`, made from `value`, whose dtype is not numeric."""
    if array.ndim == 0 and array.dtype.kind in "OSU":
        hint = ""
        if isinstance(value, Iterable) and not isinstance(value, str | bytes):
            hint = "; collect its items with np.stack(list(...)), or pass batches (x, y) to fit or evaluate, alone"
        if hasattr(value, "collect"):  # a LazyFrame of polars
            hint = f"; pass {name}.collect()"
        if isinstance(value, Tensor):
            hint = "; predict takes numbers: call the network itself on symbolic tensors"
        kind = type(value).__name__
        got = "None" if value is None else f"{'an' if kind[0] in 'AEIOUaeiou' else 'a'} {kind}"
        return TypeError(f"{where}: expected an array as {name}, got {got}{hint}")
    got = f"dtype {array.dtype}"
    remedy = f'convert it first, for example with np.asarray({name}).astype("float32")'
    if array.dtype.kind == "c":
        remedy = f"take {name}.real, or numbers such as np.abs({name})"
    found = _first_without_number(array) if array.dtype.kind in "OSU" else None
    if found is not None:
        index, item = found
        got += f" with {item!r} in row {index[0]}" + "".join(f", column {i}" for i in index[1:2])
        remedy = "leave it out, or put a number in its place"
        if isinstance(item, str | bytes) and name == "y":
            remedy = "number the classes with `classes, y = np.unique(y, return_inverse=True)`"
        elif isinstance(item, str | bytes):
            remedy = "encode text as numbers, for example with nnfast.text.TfIdf or pandas.get_dummies, or leave it out"
    return TypeError(f"{where}: expected {name} of real numbers, got {got}; {remedy}")


def _first_without_number(array: Array) -> tuple[tuple[int, ...], Any] | None:
    """Index and value of the first element that does not represent a number."""
    for index, item in np.ndenumerate(array):
        try:
            float(item)
        except (TypeError, ValueError):
            return index, item.item() if isinstance(item, np.generic) else item
    return None
