"""Class labels as numbers, and as rows of 0 and 1."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from nnfast.core.arrays import as_array
from nnfast.core.options import integer
from nnfast.core.text import short_repr
from nnfast.core.typing import Array

__all__ = ["encoded", "one_hot"]


def encoded(labels: Any, classes: Array, name: str = "y") -> Array:
    """The index in `classes` of each label; an unknown one is an error."""
    array = as_array(labels, "encode_labels", name)
    array = array.reshape(len(array)) if array.size == len(array) else array
    if classes.ndim != 1 or len(classes) == 0:
        raise ValueError(f"encode_labels: expected classes (K,), got shape {classes.shape}")
    order = np.argsort(classes, kind="stable")
    try:
        places = np.searchsorted(classes[order], array).clip(max=len(classes) - 1)
    except TypeError as error:
        raise TypeError(
            f"encode_labels: expected {name} of the classes' dtype {classes.dtype}, got {array.dtype}"
        ) from error
    numbers: Array = order[places]
    wrong = np.flatnonzero((classes[numbers] != array).reshape(-1))
    if len(wrong):
        got, row = array.reshape(-1)[wrong[0]], int(wrong[0]) * len(array) // array.size
        known = ", ".join(short_repr(_plain(label)) for label in classes[:10])
        raise ValueError(
            f"encode_labels: expected {name} among the {len(classes)} classes {known}"
            f"{', ...' if len(classes) > 10 else ''}, got {short_repr(_plain(got))} in row {row}; pass classes= with "
            "it, or leave such rows out with filter"
        )
    return numbers


def _plain(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label


def one_hot(labels: Any, classes: Any = None, dtype: Any = "float32") -> Array:
    """Class labels as rows of 0 and a single 1.

    Parameters
    ----------
    labels : array_like (N, ...)
        Class numbers from 0, or any labels with `classes` that contains them.
    classes : int or array_like (K,), optional
        Number of classes, or the label of each. By default one more than the largest number, or the sorted different
        labels.
    dtype : dtype, default "float32"

    Returns
    -------
    ndarray (N, ..., K)

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.data.one_hot([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    >>> nf.data.one_hot(["b", "a"])
    array([[0., 1.],
           [1., 0.]], dtype=float32)
    """
    array = as_array(labels, "one_hot", "labels")
    if array.size == 0:
        raise ValueError("one_hot: expected one label or more, got none")
    if array.dtype.kind == "f" and (array == np.floor(array)).all():
        array = array.astype(np.int64)
    if classes is None:
        classes = int(array.max()) + 1 if array.dtype.kind in "ui" else np.unique(array)
    try:
        count = integer("one_hot", "classes", operator.index(classes))
    except TypeError:
        known = np.asarray(classes)
        array, count = encoded(array, known, "labels"), len(known)
    if array.dtype.kind not in "uib":
        raise TypeError(
            f"one_hot: expected class numbers of an integer dtype, got {array.dtype}; pass the labels as classes="
        )
    if array.min() < 0 or array.max() >= count:
        got = array.min() if array.min() < 0 else array.max()
        raise ValueError(f"one_hot: expected class numbers from 0 to {count - 1}, got {got}")
    made = np.zeros((*array.shape, count), dtype)
    np.put_along_axis(made, array[..., None].astype(np.int64), 1, axis=-1)
    return made
