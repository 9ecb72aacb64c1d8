"""Parts of tensors: slices, elements at places that another tensor holds, and sorting.

Indices are integers; negative ones count from the end. Those in a tensor are known only when the network runs, which
raises a ValueError for one that is out of range or no whole number. Gradients go back to where the elements came from;
elements taken several times get the sum.

Parameters
----------
x : Tensor, array_like or number
    The tensor. With a batch, its axis 0 is the batch.
axis : int
    Negative ones count from the last axis.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nnfast.core.options import flag
from nnfast.core.tensor import Tensor
from nnfast.core.text import short_repr
from nnfast.ops.axes import axis_of, is_batched, shape_text, sizes_of, whole
from nnfast.ops.core import apply, apply_several, domain_of, is_symbolic
from nnfast.ops.reduction import broadcast_to
from nnfast.ops.shapes import expand_dims, moveaxis, reshape, squeeze

__all__ = ["argsort", "get_item", "one_hot", "sort", "take", "take_along_axis", "top_k"]


class TopK(NamedTuple):
    """What `top_k` returns."""

    values: Any
    indices: Any


def _integers(function: str, indices: Any) -> Any:
    """Indices, checked to be integers, as far as that is known before the network runs."""
    domain = domain_of(indices)
    if domain == "boolean" or (domain == "real" and not isinstance(indices, Tensor)):
        raise TypeError(
            f"{function}: expected integers as indices, got {domain} numbers; convert whole numbers with "
            'nf.ops.cast(x, "int32"), and choose by condition with nf.ops.where'
        )
    return indices


def _typed(result: Any, x: Any) -> Any:
    """A result on arrays with the dtype of x, if that holds integers."""
    if is_symbolic(result) or domain_of(x) != "integer":
        return result
    return np.asarray(result, np.asarray(x).dtype)[()]


def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """The elements at some places along an axis.

    Parameters
    ----------
    indices : Tensor, array_like of int or int
        The places. Their axes stand in the result in place of the one along which elements are taken. With a batch of
        their own, the axis is 0: they look up rows of a table.
    axis : int, optional
        By default the elements are taken as if they had one axis.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.take([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [2, 0], axis=1)
    array([[3., 1.],
           [6., 4.]])
    >>> words = nf.layers.Input((7,), dtype="int32")
    >>> nf.ops.take(nf.ops.reshape(range(500), (100, 5)), words, axis=0).shape
    (7, 5)
    """
    _integers("take", indices)
    if axis is None:
        if is_batched(x):
            raise ValueError(f"take: expected an axis for a tensor with a batch, {shape_text(x)}, got None")
        return take(reshape(x, -1), indices, 0)
    return _typed(apply("take", [x, indices], domain_of(x), axis=axis_of("take", axis, x)), x)


def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Any:
    """The elements at places along an axis that are given for each place of the other axes.

    It puts the results of `argsort` and `argmax` to use.

    Parameters
    ----------
    indices : Tensor or array_like of int
        With as many axes as x, whose sizes are those of x or 1 except for the one along which elements are taken.
    axis : int, optional
        By default the elements of x are taken as if they had one axis.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.take_along_axis([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[2], [0]], axis=1)
    array([[3.],
           [4.]])
    """
    _integers("take_along_axis", indices)
    if axis is None:
        if is_batched(x):
            raise ValueError(f"take_along_axis: expected an axis for a tensor with a batch, {shape_text(x)}, got None")
        return take_along_axis(reshape(x, -1), indices, 0)
    place = axis_of("take_along_axis", axis, x)
    sizes, wanted = list(sizes_of(x)), list(sizes_of(indices))
    if len(sizes) != len(wanted):
        raise ValueError(
            f"take_along_axis: expected indices with as many axes as {shape_text(x)}, got {shape_text(indices)}; add "
            "axes of size 1 with nf.ops.expand_dims"
        )
    common = [b if a == 1 else a for a, b in zip(sizes, wanted, strict=True)]
    if sizes[:place] + sizes[place + 1 :] != common[:place] + common[place + 1 :]:
        x = broadcast_to(x, (*common[:place], sizes[place], *common[place + 1 :]))
    if wanted[:place] + wanted[place + 1 :] != common[:place] + common[place + 1 :]:
        indices = broadcast_to(indices, (*common[:place], wanted[place], *common[place + 1 :]))
    return _typed(apply("take_along_axis", [x, indices], domain_of(x), axis=place), x)


def one_hot(x: Any, num_classes: int, axis: int = -1) -> Any:
    """1 at the place of each number along a new axis, else 0.

    Parameters
    ----------
    x : Tensor or array_like of int
        Numbers from 0 to num_classes - 1.
    num_classes : int
        The size of the new axis.
    axis : int, default -1
        Where the new axis is in the result.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.one_hot([2, 0], 3)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    if domain_of(x) == "real" and not isinstance(x, Tensor):
        raise TypeError('one_hot: expected integers, got real numbers; convert whole ones with nf.ops.cast(x, "int32")')
    classes = whole("one_hot", "num_classes", num_classes)
    place = axis_of("one_hot", axis, x, 1)
    if is_batched(x) and place == 0:
        raise ValueError(f"one_hot: expected an axis behind the batch of {shape_text(x)}, got {axis}")
    return moveaxis(apply("one_hot", [x], classes=classes), -1, place)


def _sorted(function: str, x: Any, axis: int | None, **attributes: Any) -> tuple[Any, Any]:
    """Numbers in order, and where they stood."""
    if axis is None and not is_batched(x):
        return _sorted(function, reshape(x, -1), -1, **attributes)
    place = axis_of(function, axis, x)
    if is_batched(x) and place == 0:
        raise ValueError(f"{function}: expected an axis other than the batch of {shape_text(x)}, got {axis}")
    if domain_of(x) != "real" and not is_symbolic(x):
        values, indices = _sorted(function, np.asarray(x, "float64"), axis, **attributes)
        return np.asarray(values, np.asarray(x).dtype), indices
    values, indices = apply_several("sort", [moveaxis(x, place, -1)], (domain_of(x), "integer"), **attributes)
    return moveaxis(values, -1, place), moveaxis(indices, -1, place)


def sort(x: Any, axis: int | None = -1) -> Any:
    """The numbers along an axis in ascending order; NaN comes last.

    Parameters
    ----------
    axis : int or None, default -1
        None sorts all numbers of x as one axis.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.sort([[3.0, 1.0, 2.0]])
    array([[1., 2., 3.]])
    """
    return _sorted("sort", x, axis)[0]


def argsort(x: Any, axis: int | None = -1) -> Any:
    """Where the numbers stand that `sort` returns; of equal ones the first comes first.

    Parameters
    ----------
    axis : int or None, default -1
        None sorts all numbers of x as one axis.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.argsort([[3.0, 1.0, 2.0]])
    array([[1, 2, 0]])
    """
    return _sorted("argsort", x, axis)[1]


def top_k(x: Any, k: int, sorted: bool = True) -> TopK:
    """The k largest numbers along the last axis, and their places; NaN counts as the smallest.

    Parameters
    ----------
    k : int
        At most the size of the axis.
    sorted : bool, default True
        As in Keras; they are always sorted, the largest first and of equal ones the first.

    Returns
    -------
    values, indices : Tensor or ndarray

    Examples
    --------
    >>> import nnfast as nf
    >>> values, indices = nf.ops.top_k([3.0, 1.0, 2.0], 2)
    >>> values, indices
    (array([3., 2.]), array([0, 2]))
    """
    flag("top_k", "sorted", sorted)
    return TopK(*_sorted("top_k", x, -1, descending=1, k=whole("top_k", "k", k)))


def get_item(x: Any, key: Any) -> Any:
    """``x[key]``.

    Parameters
    ----------
    key : int, slice, None, Ellipsis, or tuple of them
        As in NumPy. The batch is taken as a whole, ``:``. Other keys have their functions: `take` for lists of places,
        `where` for conditions.

    Examples
    --------
    >>> import nnfast as nf
    >>> x = nf.layers.Input((5, 3))
    >>> x[:, ::2, None, 0].shape
    (3, 1)
    >>> nf.ops.get_item([1.0, 2.0, 3.0], slice(None, None, -1))
    array([3., 2., 1.])
    """
    keys = _full_keys(x, key if isinstance(key, tuple) else (key,))
    slices: dict[str, Any] = {"axes": [], "starts": [], "steps": [], "sizes": []}
    single, new = [], []  # axes of x that vanish, and of the result without them that are new
    sizes = sizes_of(x)
    axis = place = 0
    for part in keys:
        if part is None:
            new.append(place)
            place += 1
            continue
        start, step, size = _range(x, axis, sizes[axis], part)
        if (step, size) != (1, sizes[axis]):
            for name, number in zip(slices, (axis, start, step, size), strict=True):
                slices[name].append(number)
        if isinstance(part, slice):
            place += 1
        else:
            single.append(axis)
        axis += 1
    if slices["axes"]:
        x = apply("slice", [x], domain_of(x), **slices)
    if single:
        x = squeeze(x, single)
    return expand_dims(x, new) if new else x


def _full_keys(x: Any, keys: tuple[Any, ...]) -> list[Any]:
    """One key for each axis, and None for new ones."""
    for part in keys:
        is_number = hasattr(part, "__index__") and not isinstance(part, bool | np.bool_ | Tensor | np.ndarray)
        if not (part is None or part is Ellipsis or isinstance(part, slice) or is_number):
            raise TypeError(
                f"x[...]: expected ints, slices, None and ..., got {short_repr(part)}; use nf.ops.take for lists of "
                "places, nf.ops.where for conditions"
            )
    dots = sum(part is Ellipsis for part in keys)
    given = sum(part is not None and part is not Ellipsis for part in keys)
    ndim = len(sizes_of(x))
    if dots > 1 or given > ndim:
        got = f"{dots} times ..." if dots > 1 else f"{given} indices"
        raise IndexError(f"x[...]: expected an index for each of the {ndim} axes of {shape_text(x)} at most, got {got}")
    where = next((i for i, part in enumerate(keys) if part is Ellipsis), len(keys))
    return [*keys[:where], *[slice(None)] * (ndim - given), *keys[where + dots :]]


def _range(x: Any, axis: int, extent: int | None, key: Any) -> tuple[int, int, Any]:
    """Start, step and size of what a slice or an int takes of an axis."""
    if extent is None:
        if isinstance(key, slice) and key in (slice(None), slice(None, None, 1)):
            return 0, 1, None
        raise ValueError(
            f"x[...]: expected ':' for the batch axis of {shape_text(x)}, which may be of any size, got "
            f"{_key_text(key)}; the axes of a row come after it, as in x[:, 0]"
        )
    if isinstance(key, slice):
        start, stop, step = key.indices(extent)
        size = len(range(start, stop, step))
        if size == 0:
            raise ValueError(
                f"x[...]: expected a slice of one element or more of axis {axis} of {shape_text(x)}, got "
                f"{_key_text(key)}, which has none"
            )
        return start, step if size > 1 else 1, size
    place = whole("x[...]", "index", key)
    if not -extent <= place < extent:
        raise IndexError(
            f"x[...]: expected an index from {-extent} to {extent - 1} for axis {axis} of {shape_text(x)}, got {place}"
        )
    return place % extent, 1, 1


def _key_text(key: Any) -> str:
    """As written: "1:5:2"."""
    if not isinstance(key, slice):
        return str(key)
    ends = ["" if end is None else str(end) for end in (key.start, key.stop)]
    return ":".join([*ends, str(key.step)] if key.step is not None else ends)


Tensor.operators["getitem"] = get_item
