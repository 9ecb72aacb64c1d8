"""Arrays from users: checked and converted to the form that the core expects. Arrays in that form are not copied."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Mapping
from itertools import permutations
from typing import Any, Literal, NamedTuple

import numpy as np

from nnfast.core.objects import explain_no_numbers, from_table, refuse_masked
from nnfast.core.options import real
from nnfast.core.tensor import Tensor
from nnfast.core.typing import Array, Shape

__all__ = [
    "IntegerRange",
    "TargetKind",
    "as_array",
    "as_class_weights",
    "as_numbers",
    "as_rows",
    "as_targets",
    "as_weights",
    "dtype_name",
    "require_finite",
]

TargetKind = Literal["any", "classes", "probability", "real"]
"""Targets of a loss: class indices or class probabilities, probabilities in [0, 1], or any finite numbers."""

_CORE_INTEGERS = (np.uint8, np.int32, np.int64)


class IntegerRange(NamedTuple):
    """Which integers an input takes, beside the limits of the network's dtype."""

    stop: float = math.inf
    layer: str = ""
    """That has a table of so many rows."""


def _text(shape: Shape) -> str:
    return f"(N{''.join(f', {size}' for size in shape)}{'' if shape else ','})"


def are_several(y: Any) -> bool:
    """Whether targets are several arrays: a tuple, or a list with an array in it, which is not a list of rows."""
    return isinstance(y, tuple) or (isinstance(y, list) and any(isinstance(part, np.ndarray) for part in y))


def as_numbers(value: Any, where: str, name: str) -> Array:
    """`value` as an array of real numbers of any dtype; bools become bytes of 0 and 1."""
    if isinstance(value, Tensor):
        raise explain_no_numbers(value, np.empty((), object), where, name)
    array = as_array(value, where, name)
    if array.dtype.kind == "b":
        return array.view(np.uint8)
    if array.dtype.kind not in "uif":
        raise explain_no_numbers(value, array, where, name)
    return array


def as_array(value: Any, where: str, name: str) -> Array:
    """`value` as an array of any dtype; masks are refused, because they would be lost."""
    if type(value) is not np.ndarray:
        refuse_masked(value, where, name)
        value = from_table(value, where, name)
    try:
        return np.asarray(value)
    except ValueError as error:
        if not isinstance(value, list | tuple):
            raise
        raise ValueError(
            f"{where}: expected rows of one shape in {name}, got lists of different lengths; pad or truncate them"
        ) from error


def _cast(array: Array, dtype: Any) -> Array:
    """`array` as `dtype`, C-contiguous and aligned; values that overflow become infinity, which checks find."""
    with np.errstate(over="ignore"):
        made = np.require(array, dtype, ["C", "A"])
    # Some readers of files, such as zarr, spell the native byte order out, which the core takes for another one.
    return made if made.dtype.byteorder in "=|" else made.view(made.dtype.newbyteorder("="))


def dtype_name(dtype: Any) -> Literal["float32", "float64"]:
    """Name of a network's dtype."""
    try:
        name = "none" if dtype is None else np.dtype(dtype).name
    except (TypeError, ValueError):
        name = str(dtype)
    if name == "float32":
        return "float32"
    if name == "float64":
        return "float64"
    raise ValueError(f'Network: expected dtype "float32" or "float64", got {dtype!r}')


def as_rows(x: Any, shape: Shape, dtype: str, where: str, *, integers: IntegerRange | None = None) -> Array:
    """`x` as rows of `shape`: (N, *shape), uint8 or `dtype`, C-contiguous; other real dtypes are cast to `dtype`.

    With `integers`, of inputs that take no other numbers, such as token ids: uint8, int32 or int64.
    """
    array = as_numbers(x, where, "x")
    if array.shape[1:] != shape or array.ndim == 0:
        remedy = _for(x, "x", _remedy(array.shape, shape, integers is not None))
        raise ValueError(f"{where}: expected input {_text(shape)}, got {array.shape}{remedy}")
    if len(array) == 0:
        raise ValueError(f"{where}: expected input {_text(shape)} with at least one row, got an empty array")
    if integers is not None:
        return _as_integers(x, array, dtype, where, integers)
    return _cast(array, np.uint8 if array.dtype == np.uint8 else dtype)


def _as_integers(x: Any, array: Array, dtype: str, where: str, limits: IntegerRange) -> Array:
    if array.dtype.kind == "f":
        remedy = _for(x, "x", 'use x.astype("int32")')
        raise TypeError(f"{where}: expected an integer dtype, such as int32, in x, got {array.dtype}; {remedy}")
    largest = 1 << (np.finfo(dtype).nmant + 1)  # up to here `dtype` holds every integer
    least, most = int(array.min()), int(array.max())
    if least < 0 or most > largest:
        row, got = _first(array, (array < 0) | (array > largest))
        wider = 'make the network with dtype="float64", or ' if got >> 53 == 0 else ""
        remedy = "count from 0, for example with x - x.min()"
        if got > 0:
            remedy = f"{wider}number tokens with numpy.unique(x, return_inverse=True)"
        raise ValueError(
            f"{where}: expected integers from 0 to {largest} in x, got {got} in row {row}; {_for(x, 'x', remedy)}"
        )
    if most >= limits.stop:
        row, got = _first(array, array >= limits.stop)
        raise ValueError(
            f"{limits.layer}: expected ids from 0 to {limits.stop - 1}, got {got} in row {row}; make the layer with "
            f"input_dim={most + 1} or more, or give unknown tokens an id of the table"
        )
    small = (array.dtype.kind == "i" and array.dtype.itemsize < 4) or array.dtype == np.uint16
    return _cast(array, array.dtype if array.dtype in _CORE_INTEGERS else np.int32 if small else np.int64)


def _first(array: Array, where: Array) -> tuple[int, int]:
    """The row of the first element that is marked, and the element."""
    place = np.unravel_index(int(where.argmax()), array.shape)
    return int(place[0]), int(array[place])


def _for(value: Any, name: str, remedy: str) -> str:
    """`remedy` adapted to what was given: lists and pandas columns do not have the methods of arrays."""
    return remedy if isinstance(value, np.ndarray) else re.sub(rf"\b{name}(?=[.\[])", f"np.asarray({name})", remedy)


def _remedy(got: Shape, shape: Shape, integers: bool) -> str:
    if got == shape:
        return "; for one row pass x[None]"
    if got and sorted(got[1:]) == sorted(shape):  # reshaping would scramble the elements
        order = (0, *(axis + 1 for axis in _order(got[1:], shape)))
        return f"; move its axes with x.transpose({', '.join(map(str, order))})"
    if got and sorted(got) == sorted(shape):
        return f"; for one row pass x.transpose({', '.join(map(str, _order(got, shape)))})[None]"
    if got and math.prod(got[1:]) == math.prod(shape):
        return f"; reshape it with x.reshape({', '.join(str(size) for size in (-1, *shape))})"
    if math.prod(got[1:]) and len(got) > 1:
        dtype = ', dtype="int32"' if integers else ""
        return f"; give each row the shape {shape}, or make the network with layers.Input({got[1:]}{dtype})"
    return ""


def _order(got: Shape, wanted: Shape) -> tuple[int, ...]:
    """The permutation of axes from `got` to `wanted`; channels-first layouts are tried before other permutations."""
    orders = [(*range(1, len(got)), 0), *permutations(range(len(got)))]
    return next(order for order in orders if tuple(got[axis] for axis in order) == wanted)


def as_targets(y: Any, rows: int, shape: Shape, dtype: str, kind: TargetKind) -> Array:
    """`y` for outputs of `shape`: class indices (N, ...) unchanged, or finite targets (N, *shape) as `dtype`."""
    array = as_numbers(y, "y", "y")
    if array.ndim == 0 or len(array) != rows:
        got = "a single number" if array.ndim == 0 else f"{len(array)} rows"
        raise ValueError(
            f"y: expected one row for each of the {rows} rows of x, got {got}; row i of y belongs to row i of x"
        )
    if kind == "classes" and array.dtype.kind in "ui" and _is_shape_of_labels(array.shape, shape):
        return _labels(array, shape)
    if array.shape != (rows, *shape) and not (array.shape == (rows,) and shape == (1,)):
        labels = f" or class numbers {_text(shape[:-1])} of an integer dtype" if kind == "classes" else ""
        raise ValueError(
            f"y: expected targets {_text(shape)}{labels}, got {array.shape} of dtype {array.dtype}"
            f"{_for(y, 'y', _target_remedy(array, shape, kind))}"
        )
    targets = _cast(array, dtype)
    require_finite(targets, "y")
    if kind != "real" and not (targets.min() >= 0 and targets.max() <= 1):
        raise ValueError(
            f"y: expected probabilities from 0 to 1, got {targets.min()} to {targets.max()}; rescale them, or use a "
            'loss for arbitrary numbers, such as "mse"'
        )
    return targets


def _is_shape_of_labels(got: Shape, shape: Shape) -> bool:
    """Whether `got` is (N, ...) or (N, ..., 1) for outputs (N, ..., K)."""
    return got[1:] != shape and got[1:] in (shape[:-1], (*shape[:-1], 1))


def _target_remedy(array: Array, shape: Shape, kind: TargetKind) -> str:
    row = array.shape[1:]
    if kind == "classes" and array.dtype.kind == "f" and _is_shape_of_labels(array.shape, shape):
        return '; if these are class numbers, convert them with y.astype("int64")'
    if kind != "classes" and array.dtype.kind in "ui" and row == () and len(shape) == 1:
        return f"; if these are class numbers, make them one-hot with np.eye({shape[0]})[y]"
    if len(shape) > 1 and len(row) < 2:
        return "; for one answer per row let the network end in a vector: add layers.Flatten() before its Dense layers"
    if len(row) == len(shape) and row[:-1] == shape[:-1]:
        return f"; give the last layer {row[-1]} outputs, or y {shape[-1]} columns"
    return ""


def _labels(array: Array, shape: Shape) -> Array:
    labels, classes = array.reshape(len(array), *shape[:-1]), shape[-1]
    minimum, maximum = int(labels.min()), int(labels.max())
    if minimum < 0 or maximum >= classes:
        got = minimum if minimum < 0 else maximum
        remedy = "" if minimum < 0 else f", or give the last layer {maximum + 1} outputs"
        raise ValueError(f"y: expected class numbers from 0 to {classes - 1}, got {got}; count classes from 0{remedy}")
    return _cast(labels, array.dtype if array.dtype in _CORE_INTEGERS else np.int64)


def as_weights(weights: Any, rows: int, dtype: str, signed: bool = False) -> Array | None:
    """Sample weights (N,) as `dtype`: finite and, unless `signed`, non-negative; None is returned unchanged."""
    if weights is None:
        return None
    array = as_numbers(weights, "sample_weight", "sample_weight")
    if array.shape != (rows,):
        raise ValueError(f"sample_weight: expected one for each of the {rows} rows, got shape {array.shape}")
    array = _cast(array, dtype)
    require_finite(array, "sample_weight")
    if not signed and array.min() < 0:
        raise ValueError(f"sample_weight: expected non-negative weights, got {array.min()}")
    return array


def as_class_weights(class_weight: Mapping[Any, float], targets: Array, shape: Shape, dtype: str) -> Array:
    """One weight per row from weights per class; classes not in `class_weight` have weight 1."""
    if not isinstance(class_weight, Mapping):
        raise TypeError(f"class_weight: expected a dict of class number to weight, got {class_weight!r}")
    if targets.ndim > 2 or (targets.ndim == 2 and targets.shape[1] > 1 and targets.dtype.kind != "f"):
        raise ValueError(f"class_weight: expected one class per row, got targets {targets.shape}; use sample_weight")
    if targets.ndim == 2 and targets.shape[1] > 1:
        labels, classes = targets.argmax(axis=1), targets.shape[1]
        # Probabilities may be rounded to float32 or further; for rows of several classes no weight is defined.
        if targets.min() < 0 or np.abs(targets.sum(axis=1) - 1).max() > 1e-2:
            raise ValueError(
                "class_weight: expected one class per row, as targets whose rows sum to 1; use sample_weight for others"
            )
    else:
        column = targets.reshape(-1)
        labels, classes = column.astype(np.int64), max(shape[-1], 2)
        if not ((labels == column) & (labels >= 0) & (labels < classes)).all():
            raise ValueError("class_weight: expected targets of 0 and 1 for one output; use sample_weight for others")
    table = np.ones(classes)
    for key, weight in class_weight.items():
        label = _class_number(key, classes)
        table[label] = real("class_weight", f"weight of class {label}", weight)
    weights = as_weights(table[labels], len(labels), dtype)
    assert weights is not None
    return weights


def _class_number(key: Any, classes: int) -> int:
    """A key of class weights as an index; False and 1.0 equal 0 and 1, as in dicts."""
    if isinstance(key, numbers.Real | np.bool_) and key in range(classes):
        return range(classes).index(key)  # type: ignore[arg-type]
    got = f"{key!r}" if isinstance(key, numbers.Real) else f"{key!r} of type {type(key).__name__}"
    raise ValueError(f"class_weight: expected class numbers from 0 to {classes - 1}, got {got}")


def require_finite(array: Array, name: str) -> None:
    """Refuse NaN and infinity; the error names the first position."""
    if array.dtype.kind != "f":
        return
    finite = np.isfinite(array)
    if finite.all():
        return
    row, *rest = (int(i) for i in np.unravel_index(int(finite.argmin()), array.shape))
    column = f", column {rest[0]}" if len(rest) == 1 else f", place {tuple(rest)}" if rest else ""
    raise ValueError(
        f"{name}: expected finite numbers, got NaN or infinity (or too large for {array.dtype}) in row {row}{column}; "
        "remove or replace such rows"
    )
