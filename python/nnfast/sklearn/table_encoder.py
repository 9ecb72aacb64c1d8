"""Tables as numbers: robust scaling and smooth clipping of numbers, one-hot categories."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.preprocessing import OneHotEncoder

from nnfast.core.text import short_repr
from nnfast.core.typing import Array

__all__ = ["TableEncoder", "is_read_by_columns", "names_categories"]

_CLIP = 3.0
"""Where numbers end that are clipped smoothly."""


def names_categories(categorical: Any) -> bool:
    """Whether `categorical_features` lists columns."""
    return categorical is not None and not (isinstance(categorical, str) and categorical == "from_dtype")


def is_read_by_columns(X: Any, categorical: Any) -> bool:
    """Whether it is a DataFrame with columns that are not numbers, or that are found by name."""
    if not hasattr(X, "columns"):
        return False
    return names_categories(categorical) or not all(_is_numeric(_column(X, i)) for i in range(len(X.columns)))


class TableEncoder:
    """Encodes tables as Holzmueller et al. (2024, arXiv:2407.04491) do.

    A number x becomes z = (x - median) / (third quartile - first quartile), or (x - median) / ((max - min) / 2) if the
    quartiles are equal, and then z / sqrt(1 + (z / 3)^2), which is between -3 and 3. NaN becomes 0, and a further
    column says where it was. A category becomes a column of 0 and 1 for each of those that `fit` sees.
    """

    def __init__(self, categorical: Any) -> None:
        self.categorical = categorical

    def fit(self, X: Any) -> TableEncoder:
        """Learn scales and categories."""
        width = len(X.columns) if hasattr(X, "columns") else X.shape[1]
        self._categories = self._positions(X, width)
        self._numbers = [i for i in range(width) if i not in self._categories]
        numbers = self._numeric(X)
        present = np.where(np.isfinite(numbers).any(axis=0), numbers, 0)
        low, first, self._center, third, high = np.nanquantile(present, [0, 0.25, 0.5, 0.75, 1], axis=0)
        width_of = np.where(third > first, third - first, (high - low) / 2)
        self._factor = np.divide(1.0, width_of, out=np.zeros_like(width_of), where=width_of > 0)
        self._with_gaps = np.flatnonzero(np.isnan(numbers).any(axis=0))
        if self._categories:
            self._one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(self._labels(X))
        return self

    @property
    def n_numbers(self) -> int:
        """Number of columns of numbers, which are the first ones."""
        return len(self._numbers)

    def transform(self, X: Any) -> Array:
        """The table (N, D) as numbers."""
        numbers = self._numeric(X)
        z = (numbers - self._center) * self._factor
        z = np.nan_to_num(z / np.sqrt(1 + (z / _CLIP) ** 2), nan=0.0)
        parts = [z, np.isnan(numbers[:, self._with_gaps]).astype(float)]
        if self._categories:
            parts.append(self._one_hot.transform(self._labels(X)))
        return np.hstack(parts)

    def _positions(self, X: Any, width: int) -> list[int]:
        """The columns that are categories."""
        given = self.categorical
        if not names_categories(given):
            if given is None or not hasattr(X, "columns"):
                return []
            found = [i for i in range(width) if not _is_numeric(_column(X, i))]
            for i in found:
                _refuse_times(X, i)
            return found
        is_list = isinstance(given, Iterable) and not isinstance(given, str)
        items = list(given) if is_list else []
        is_mask = [isinstance(item, bool | np.bool_) for item in items]
        if len(items) == width and all(is_mask):
            return [i for i, item in enumerate(items) if item]
        names = list(map(str, X.columns)) if hasattr(X, "columns") else []
        places = [names.index(item) if item in names else item for item in items]
        are_places = all(isinstance(i, int | np.integer) and 0 <= i < width for i in places)
        if not is_list or any(is_mask) or not are_places:
            raise ValueError(
                f"categorical_features: expected a list of names or numbers of columns, a mask of {width} bools, None "
                f"or 'from_dtype', got {short_repr(given)}"
            )
        return sorted({int(i) for i in places})

    def _numeric(self, X: Any) -> Array:
        columns = [_as_numbers(X, i) for i in self._numbers]
        rows = len(X)
        table: Array = np.column_stack(columns) if columns else np.zeros((rows, 0))
        if np.isinf(table).any():
            raise ValueError("Input X contains infinity or a value too large for dtype('float64').")
        return table

    def _labels(self, X: Any) -> Array:
        return np.column_stack([_as_labels(_column(X, i)) for i in self._categories])


def _column(X: Any, i: int) -> Any:
    if hasattr(X, "iloc"):
        return X.iloc[:, i]
    return X[X.columns[i]] if hasattr(X, "columns") else X[:, i]


def _name(X: Any, i: int) -> str:
    return f"column {X.columns[i]!r}" if hasattr(X, "columns") else f"column {i}"


def _as_numbers(X: Any, i: int) -> Array:
    column = _column(X, i)
    try:
        if hasattr(column, "isna"):  # of pandas, whose missing values may be no numbers
            numbers: Array = column.to_numpy(dtype=np.float64, na_value=np.nan)
            return numbers
        return np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"X: expected numbers in {_name(X, i)} ({str(error)[:100]}); convert it, or fit with it among the "
            "categorical_features"
        ) from error


def _refuse_times(X: Any, i: int) -> None:
    """Refuse dates and durations, of which each would be a category that no other row has."""
    dtype = _column(X, i).dtype
    is_time = dtype.is_temporal() if hasattr(dtype, "is_temporal") else getattr(dtype, "kind", "O") in "mM"
    if is_time:
        raise ValueError(
            f"X: expected numbers or categories in {_name(X, i)}, got {dtype}; replace it by numbers, such as days "
            "since a date, hours or months"
        )


def _as_labels(column: Any) -> Array:
    labels: Array = np.array(column, dtype=object)
    # What is missing is one category, whether it was NaN, None or pandas.NA.
    labels[column.isna().to_numpy() if hasattr(column, "isna") else labels != labels] = None
    return labels


def _is_numeric(column: Any) -> bool:
    dtype = column.dtype
    if hasattr(dtype, "is_numeric"):  # of polars
        return bool(dtype.is_numeric()) or str(dtype) == "Boolean"
    kind = getattr(dtype, "kind", "O")
    return kind in "iufb" and getattr(dtype, "name", "") != "category"
