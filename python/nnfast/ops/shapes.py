"""Tensors in another shape or order: reshaped, transposed, joined, cut, repeated and padded.

Axes count the batch, which is axis 0 of a tensor that has one. It stays where it is: a function that would move it,
join along it or cut it is an error for a symbolic tensor with a batch.

Parameters
----------
x : Tensor, array_like or number
    The tensor.
axis : int
    Negative ones count from the last axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnfast.core.options import choose
from nnfast.core.tensor import Tensor
from nnfast.core.text import short_repr
from nnfast.ops.axes import axes_of, axis_of, is_batched, shape_text, sizes_of, whole
from nnfast.ops.core import apply, apply_several, domain_of
from nnfast.ops.reduction import broadcast_to

__all__ = [
    "concatenate",
    "expand_dims",
    "flip",
    "moveaxis",
    "ndim",
    "pad",
    "repeat",
    "reshape",
    "roll",
    "shape",
    "size",
    "split",
    "squeeze",
    "stack",
    "swapaxes",
    "tile",
    "transpose",
    "unstack",
]

PAD_MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


def shape(x: Any) -> tuple[int | None, ...]:
    """The sizes of all axes, None for the batch.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.shape(nf.layers.Input((2, 3)))
    (None, 2, 3)
    >>> nf.ops.shape([1.0, 2.0])
    (2,)
    """
    return sizes_of(x)


def ndim(x: Any) -> int:
    """The number of axes, the batch counted.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.ndim(nf.layers.Input((2, 3)))
    3
    """
    return len(sizes_of(x))


def size(x: Any) -> int:
    """The number of elements of an array or of a tensor without a batch.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.size([[1.0, 2.0], [3.0, 4.0]])
    4
    """
    if is_batched(x):
        raise ValueError(
            f"size: expected a tensor without a batch, got {shape_text(x)}, whose batch may be of any size; the sizes "
            "of a row are in x.shape"
        )
    return math.prod(int(extent or 0) for extent in sizes_of(x))


def reshape(x: Any, newshape: int | Sequence[int | None]) -> Any:
    """The elements in the same order in another shape.

    Parameters
    ----------
    newshape : int or sequence of int
        Sizes of all axes. One may be -1, which works it out from the others. If x has a batch, the first is None or -1
        and stands for it, and another one may be -1.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.reshape([1.0, 2.0, 3.0, 4.0], (2, -1))
    array([[1., 2.],
           [3., 4.]])
    >>> nf.ops.reshape(nf.layers.Input((6,)), (None, 2, -1)).shape
    (2, 3)
    """
    given = tuple(newshape) if isinstance(newshape, list | tuple) else (newshape,)
    if is_batched(x):
        if not given or given[0] not in (None, -1):
            raise ValueError(
                f"reshape: expected a shape that begins with None, for the batch of {shape_text(x)}, got {given}"
            )
        given = given[1:]
    return apply("reshape", [x], domain_of(x), shape=[whole("reshape", "size", extent) for extent in given])


def _reshaped(x: Any, row: Sequence[int]) -> Any:
    """In the shape whose sizes without the batch are `row`, which fits; of an array a view."""
    if not isinstance(x, Tensor):
        return np.reshape(x, row)
    return apply("reshape", [x], domain_of(x), shape=list(row))


def _row(sizes: Sequence[int | None]) -> list[int]:
    """All sizes but None."""
    return [extent for extent in sizes if extent is not None]


def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Any:
    """Without axes of size 1.

    Parameters
    ----------
    axis : int or tuple of int, optional
        Which; by default all of size 1.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.squeeze([[[1.0], [2.0]]])
    array([1., 2.])
    >>> nf.ops.squeeze(nf.layers.Input((3, 1)), -1).shape
    (3,)
    """
    sizes = sizes_of(x)
    axes = [i for i, extent in enumerate(sizes) if extent == 1] if axis is None else axes_of("squeeze", axis, x)
    for i in axes:
        if sizes[i] != 1:
            raise ValueError(f"squeeze: expected an axis of size 1, got axis {i} of {shape_text(x)}")
    return _reshaped(x, _row([extent for i, extent in enumerate(sizes) if i not in axes]))


def expand_dims(x: Any, axis: int | Sequence[int]) -> Any:
    """With new axes of size 1.

    Parameters
    ----------
    axis : int or tuple of int
        Where they are in the result.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.expand_dims([1.0, 2.0], -1)
    array([[1.],
           [2.]])
    """
    axes = axes_of("expand_dims", axis, x, len(axis) if isinstance(axis, tuple | list) else 1)
    sizes = list(sizes_of(x))
    for i in sorted(axes):
        sizes.insert(i, 1)
    _require_batch_first("expand_dims", x, sizes)
    return _reshaped(x, _row(sizes))


def _require_batch_first(function: str, x: Any, order: Sequence[int | None], batch: int | None = None) -> None:
    """`order` has the batch, as `batch`, in front."""
    if is_batched(x) and order[0] != batch:
        raise ValueError(f"{function}: expected the batch axis of {shape_text(x)} to stay the first one")


def transpose(x: Any, axes: Sequence[int] | None = None) -> Any:
    """The axes in another order.

    Parameters
    ----------
    axes : sequence of int, optional
        For each axis of the result that of x; by default they are reversed. The batch stays first: ``(0, 2, 1)``.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.transpose([[1.0, 2.0, 3.0]])
    array([[1.],
           [2.],
           [3.]])
    """
    order = list(range(ndim(x)))[::-1] if axes is None else axes_of("transpose", list(axes), x)
    if len(order) != ndim(x):
        raise ValueError(f"transpose: expected each of the {ndim(x)} axes of {shape_text(x)} once, got {tuple(order)}")
    return _transposed("transpose", x, order)


def _transposed(function: str, x: Any, order: list[int]) -> Any:
    _require_batch_first(function, x, order, 0)
    if order == list(range(len(order))):
        return x if isinstance(x, Tensor) else np.asarray(x)[()]
    return apply("transpose", [x], domain_of(x), axes=order)


def _unchanged(x: Any) -> Any:
    return x if isinstance(x, Tensor) else np.array(x)[()]


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """With two axes exchanged.

    Parameters
    ----------
    axis1, axis2 : int
        Which.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.swapaxes(nf.layers.Input((2, 3)), 1, 2).shape
    (3, 2)
    """
    order = list(range(ndim(x)))
    first, second = axis_of("swapaxes", axis1, x), axis_of("swapaxes", axis2, x)
    order[first], order[second] = second, first
    return _transposed("swapaxes", x, order)


def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    """With axes moved to other places; the others keep their order.

    Parameters
    ----------
    source, destination : int or sequence of int
        Where they are, and where they go.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.moveaxis(nf.layers.Input((2, 3, 4)), 1, -1).shape
    (3, 4, 2)
    """
    sources, places = axes_of("moveaxis", source, x), axes_of("moveaxis", destination, x)
    if len(sources) != len(places):
        raise ValueError(f"moveaxis: expected as many places as axes, got {destination!r} for {source!r}")
    order = [i for i in range(ndim(x)) if i not in sources]
    for place, moved in sorted(zip(places, sources, strict=True)):
        order.insert(place, moved)
    return _transposed("moveaxis", x, order)


def _list_of(function: str, x: Any) -> list[Any]:
    """The tensors of a list."""
    if isinstance(x, Tensor) or not isinstance(x, Sequence | np.ndarray) or not len(x):
        raise TypeError(f"{function}: expected a list of one tensor or more, got {x!r}")
    return list(x)


def _common_domain(tensors: Sequence[Any]) -> str:
    domains = [domain_of(x) for x in tensors]
    return next((domain for domain in ("real", "integer") if domain in domains), "boolean")


def _row_axis(function: str, axis: Any, x: Any) -> int:
    """An axis without the batch counted, which it is not."""
    number = axis_of(function, axis, x)
    if is_batched(x) and number == 0:
        raise ValueError(f"{function}: expected an axis other than the batch of {shape_text(x)}, from 1 on, got {axis}")
    return number - is_batched(x)


def concatenate(xs: Sequence[Any], axis: int = 0) -> Any:
    """Tensors side by side along an axis; all other sizes are equal.

    Parameters
    ----------
    xs : sequence of Tensor or array_like
        Either all or none of them have a batch; `broadcast_to` gives a tensor one.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.concatenate([[1.0, 2.0], [3.0]])
    array([1., 2., 3.])
    >>> x = nf.layers.Input((2, 3))
    >>> nf.ops.concatenate([x, x], axis=-1).shape
    (2, 6)
    """
    tensors = _list_of("concatenate", xs)
    batched = next((x for x in tensors if is_batched(x)), tensors[0])
    row_axis = _row_axis("concatenate", axis, batched)
    if len(tensors) == 1:
        return _unchanged(tensors[0])
    return apply("concatenate", tensors, _common_domain(tensors), axis=row_axis)


def stack(x: Sequence[Any], axis: int = 0) -> Any:
    """Tensors of one shape side by side along a new axis.

    Parameters
    ----------
    x : sequence of Tensor or array_like
    axis : int, default 0
        Where the new axis is in the result.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.stack([[1.0, 2.0], [3.0, 4.0]], axis=1)
    array([[1., 3.],
           [2., 4.]])
    """
    tensors = _list_of("stack", x)
    first = sizes_of(tensors[0])
    if any(sizes_of(tensor) != first for tensor in tensors):
        raise ValueError(f"stack: expected tensors of one shape, got {' and '.join(map(shape_text, tensors))}")
    return concatenate([expand_dims(tensor, axis) for tensor in tensors], axis_of("stack", axis, tensors[0], 1))


def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Any]:
    """A tensor cut into parts along an axis.

    Parameters
    ----------
    indices_or_sections : int or sequence of int
        The number of equal parts, or the places at which to cut, in ascending order.

    Returns
    -------
    list of Tensor or ndarray

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.split([1.0, 2.0, 3.0], [1])
    [array([1.]), array([2., 3.])]
    """
    row_axis = _row_axis("split", axis, x)
    several = isinstance(indices_or_sections, list | tuple | np.ndarray)
    parts = indices_or_sections if several else [indices_or_sections]
    numbers = [whole("split", "indices_or_sections", part) for part in parts]  # type: ignore[union-attr]
    if numbers == ([] if several else [1]):
        return [_unchanged(x)]
    count = len(numbers) + 1 if several else numbers[0]
    extent = sizes_of(x)[axis]
    if not several and (count < 1 or int(extent or 0) % count):
        raise ValueError(
            f"split: expected a number of parts that divides axis {axis} of {shape_text(x)}, got {count}; or give the "
            "places at which to cut"
        )
    where = {"indices": numbers} if several else {"sections": count}
    return apply_several("split", [x], (domain_of(x),) * count, axis=row_axis, **where)


def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Any]:
    """The parts of a tensor along an axis, which they no longer have.

    Parameters
    ----------
    num : int, optional
        The size of the axis, if it is to be checked.

    Returns
    -------
    list of Tensor or ndarray

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.unstack([[1.0, 2.0], [3.0, 4.0]])
    [array([1., 2.]), array([3., 4.])]
    """
    _row_axis("unstack", axis, x)
    extent = int(sizes_of(x)[axis] or 0)
    if num is not None and whole("unstack", "num", num) != extent:
        raise ValueError(f"unstack: expected the size of axis {axis} of {shape_text(x)} as num, {extent}, got {num}")
    return [squeeze(part, axis) for part in split(x, extent, axis)]


def flip(x: Any, axis: int | Sequence[int] | None = None) -> Any:
    """In reverse order along axes.

    Parameters
    ----------
    axis : int or tuple of int, optional
        By default all.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.flip([1.0, 2.0, 3.0])
    array([3., 2., 1.])
    """
    axes = list(range(ndim(x))) if axis is None else axes_of("flip", axis, x)
    if not axes:
        return _unchanged(x)
    if is_batched(x) and 0 in axes:
        raise ValueError(f"flip: expected axes other than the batch of {shape_text(x)}, got {axis}")
    sizes = _row([sizes_of(x)[i] for i in axes])
    starts = [extent - 1 for extent in sizes]
    return apply("slice", [x], domain_of(x), axes=axes, starts=starts, steps=[-1] * len(axes), sizes=sizes)


def roll(x: Any, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Any:
    """Shifted along axes; what leaves at the end returns at the beginning.

    Parameters
    ----------
    shift : int or tuple of int
        By how many places, for each of the axes.
    axis : int or tuple of int, optional
        By default the elements are shifted as if they had one axis.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.roll([1.0, 2.0, 3.0], 1)
    array([3., 1., 2.])
    """
    if axis is None:
        return reshape(roll(_flat("roll", x), shift, 0), sizes_of(x))
    axes = list(axis) if isinstance(axis, tuple | list) else [axis]
    shifts = list(shift) if isinstance(shift, tuple | list) else [shift]
    if len(axes) != len(shifts) and min(len(axes), len(shifts)) != 1:
        raise ValueError(f"roll: expected as many shifts as axes, or one, got {shift!r} for {axis!r}")
    sums: dict[int, int] = {}  # the same axis may come twice, as in NumPy
    for i in range(max(len(axes), len(shifts))):
        place = axis_of("roll", axes[i % len(axes)], x)
        sums[place] = sums.get(place, 0) + whole("roll", "shift", shifts[i % len(shifts)])
    return apply("roll", [x], domain_of(x), axes=list(sums), shifts=list(sums.values())) if sums else _unchanged(x)


def _flat(function: str, x: Any) -> Any:
    """As one axis."""
    if is_batched(x):
        raise ValueError(f"{function}: expected an axis for a tensor with a batch, {shape_text(x)}, got None")
    return _reshaped(x, [-1])


def _repeated(function: str, x: Any, axis: int, times: int, *, each: bool) -> Any:
    """`times` copies along an axis, of each element or of the whole."""
    if is_batched(x) and axis == 0:
        raise ValueError(f"{function}: expected axes other than the batch of {shape_text(x)}")
    if times < 1:
        raise ValueError(f"{function}: expected to repeat 1 time or more, got {times}")
    if times == 1:
        return _unchanged(x)
    row, at = _row(sizes_of(x)), axis - is_batched(x)
    # With three axes, however many x has.
    before, extent, behind = math.prod(row[:at]), row[at], math.prod(row[at + 1 :])
    copies = [before, extent, times, behind] if each else [before, times, extent * behind]
    single = [1 if i == (2 if each else 1) else size for i, size in enumerate(copies)]
    batch = [None] * is_batched(x)
    spread = broadcast_to(_reshaped(x, single), (*batch, *copies))
    return _reshaped(spread, [*row[:at], extent * times, *row[at + 1 :]])


def tile(x: Any, repeats: int | Sequence[int]) -> Any:
    """Copies of a tensor side by side.

    Parameters
    ----------
    repeats : int or sequence of int
        How many, for each axis; missing ones in front are 1, and x gets further axes in front if there are more than it
        has. That of the batch is 1.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.tile([1.0, 2.0], 2)
    array([1., 2., 1., 2.])
    """
    given = list(repeats) if isinstance(repeats, list | tuple | np.ndarray) else [repeats]
    counts = [whole("tile", "repeats", count) for count in given]
    missing = len(counts) - ndim(x)
    if missing > 0:
        x = expand_dims(x, tuple(range(missing)))
    counts = [1] * -missing + counts
    if all(count == 1 for count in counts):
        return _unchanged(x)
    for axis, count in enumerate(counts):
        if count != 1:
            x = _repeated("tile", x, axis, count, each=False)
    return x


def repeat(x: Any, repeats: int | Sequence[int], axis: int | None = None) -> Any:
    """Copies of each element one after the other.

    Parameters
    ----------
    repeats : int or sequence of int
        How many, of all elements along the axis or of each.
    axis : int, optional
        By default the elements are repeated as if they had one axis.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.repeat([1.0, 2.0], 2)
    array([1., 1., 2., 2.])
    >>> nf.ops.repeat([1.0, 2.0], [1, 3])
    array([1., 2., 2., 2.])
    """
    if axis is None:
        return repeat(_flat("repeat", x), repeats, 0)
    place = axis_of("repeat", axis, x)
    given = list(repeats) if isinstance(repeats, list | tuple | np.ndarray) else [repeats]
    counts = [whole("repeat", "repeats", count) for count in given]
    if len(counts) == 1:
        return _repeated("repeat", x, place, counts[0], each=True)
    extent = sizes_of(x)[place]
    if len(counts) != extent or min(counts) < 0 or not any(counts):
        raise ValueError(
            f"repeat: expected one number of 0 or more, not all 0, for each of the {extent} elements along axis "
            f"{place} of {shape_text(x)}, got {short_repr(counts)}"
        )
    places = np.repeat(np.arange(len(counts)), counts)
    return apply("take", [x, places], domain_of(x), axis=place)


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: float | None = None) -> Any:
    """With further elements at both ends of axes.

    Parameters
    ----------
    pad_width : int, (int, int), or sequence of (int, int)
        How many before and behind: for all axes, or for each. Of the batch none; one number or pair leaves it out.
    mode : {"constant", "edge", "reflect", "symmetric", "wrap"}
        What they are: a constant; the last element; the tensor mirrored at its last element ("reflect") or behind it
        ("symmetric"); the tensor from its other end.
    constant_values : float, optional
        The constant, by default 0.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.pad([1.0, 2.0, 3.0], 1)
    array([0., 1., 2., 3., 0.])
    >>> nf.ops.pad([1.0, 2.0, 3.0], (0, 2), mode="reflect")
    array([1., 2., 3., 2., 1.])
    """
    mode = choose("mode of pad", mode, PAD_MODES)
    if constant_values is not None and mode != "constant":
        raise ValueError(f"pad: expected no constant_values in mode {mode!r}, got {constant_values!r}")
    widths = {i: pair for i, pair in enumerate(_pad_pairs(x, pad_width)) if pair != (0, 0)}
    if not widths:
        return _unchanged(x)
    before, after = ([pair[end] for pair in widths.values()] for end in (0, 1))
    value = 0.0 if constant_values is None else float(constant_values)
    return apply("pad", [x], domain_of(x), axes=list(widths), before=before, after=after, mode=mode, value=value)


def _pad_pairs(x: Any, pad_width: Any) -> list[tuple[int, int]]:
    """For each axis."""
    try:
        widths = np.asarray(pad_width)
        one_for_all = widths.size in (1, 2) and widths.ndim <= 1
        pairs = np.broadcast_to(widths, (ndim(x), 2)).tolist()
    except ValueError:
        raise ValueError(
            f"pad: expected a number, a pair or {ndim(x)} pairs of numbers as pad_width for {shape_text(x)}, got "
            f"{pad_width!r}"
        ) from None
    if is_batched(x) and one_for_all:
        pairs[0] = [0, 0]
    return [(whole("pad", "pad_width", first), whole("pad", "pad_width", last)) for first, last in pairs]


Tensor.operators["transpose"] = transpose
