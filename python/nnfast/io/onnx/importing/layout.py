"""How a tensor of nnfast stands for a tensor of an ONNX graph.

An ONNX graph means axes in its own order, for images (N, C, H, W), and may put the batch anywhere. nnfast holds the
batch first and the channels last. A `View` is a tensor of nnfast with, for each axis that the graph means, the axes of
the tensor that make it up, slowest first:

- (N, C, H, W), held as (N, H, W, C): ``[(0,), (3,), (1,), (2,)]``;
- the same after Flatten: ``[(0,), (3, 1, 2)]``, without any data moving;
- batch and heads as one axis, (N * heads, T, D), held as (N, heads, T, D): ``[(0, 1), (2,), (3,)]``.

Reshaping, transposing, squeezing and their kin change this description alone. Data move where an operation needs axes
in another order than that in which they are held.

Axes of size 1 need no axis of the tensor: ``()``. A graph made for a batch of 1 is one for each row by itself: its
batch axis is ``()`` too, and so is any axis that comes to stand in its place.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from nnfast.core.tensor import Tensor
from nnfast.core.typing import Array, Shape
from nnfast.io.onnx.importing.errors import Unsupported
from nnfast.ops.core import apply

__all__ = ["Group", "View", "aligned", "contracted", "reshaped_to"]

Group = tuple[int, ...]
"""The axes of a tensor that make up one axis of the graph, slowest first; 0 is the batch."""


class View:
    """A tensor, and how its axes make up those that the graph means.

    Parameters
    ----------
    tensor : Tensor
        With the batch axis.
    axes : sequence of Group
        Each axis of the tensor that has more than one element is in one of them; of a graph made for a batch of 1, the
        batch is in none.
    batch : int
        The size of the batch, as the graph's own numbers have it.
    """

    __slots__ = ("axes", "batch", "tensor")

    def __init__(self, tensor: Tensor, axes: Iterable[Group], batch: int) -> None:
        self.tensor: Any = tensor
        """A Tensor, whose operators type checkers do not see."""
        self.axes = tuple(axes)
        self.batch = batch

    @property
    def held(self) -> Shape:
        """The sizes of the tensor's axes."""
        return (self.batch, *self.tensor.shape)

    def size(self, group: Group) -> int:
        """The product of the sizes of some axes of the tensor."""
        held = self.held
        return math.prod(held[axis] for axis in group)

    @property
    def shape(self) -> Shape:
        """The sizes of the axes that the graph means."""
        return tuple(self.size(group) for group in self.axes)

    @property
    def rank(self) -> int:
        """The number of axes that the graph means."""
        return len(self.axes)

    @property
    def batch_axis(self) -> int | None:
        """The axis that the batch is part of; None if it is in none."""
        return next((i for i, group in enumerate(self.axes) if 0 in group), None)

    def axis(self, number: int) -> int:
        """An axis counted from 0."""
        if not -self.rank <= number < self.rank:
            raise Unsupported(f"expected an axis from {-self.rank} to {self.rank - 1}, got {number}")
        return number % self.rank

    def like(self, tensor: Any) -> View:
        """A tensor held in the same way."""
        return View(tensor, self.axes, self.batch)

    def permuted(self, order: Sequence[int]) -> View:
        """The axes in another order."""
        return View(self.tensor, [self.axes[axis] for axis in order], self.batch)

    def with_axes(self, axes: Iterable[Group]) -> View:
        """The same tensor, as other axes."""
        return View(self.tensor, axes, self.batch)

    def flat(self, axis: int) -> View:
        """A view in which one axis of the graph, which is not the batch, is one axis of the tensor."""
        group = self.axes[axis]
        self.require_no_batch(axis)
        if len(group) == 1:
            return self
        if not group:
            made = _reshape(self.tensor, (*self.tensor.shape, 1))
            return View(made, [*self.axes[:axis], (len(self.held),), *self.axes[axis + 1 :]], self.batch)
        held = self.held
        blocks: list[Group] = [(i,) for i in range(1, len(held)) if i not in group and held[i] > 1]
        place = sum(block[0] < min(group) for block in blocks)
        blocks.insert(place, group)
        return self.arranged(blocks)

    def require_no_batch(self, axis: int) -> None:
        """Refuse to work along the batch."""
        if 0 in self.axes[axis]:
            raise Unsupported(
                f"it works along axis {axis}, which is the batch; rows are independent of each other in a Network"
            )

    def arranged(self, blocks: Sequence[Group]) -> View:
        """With axes of the tensor joined: axis i + 1 of the new tensor is block i.

        All axes with more than one element are in the blocks; groups of the view consist of whole blocks.
        """
        place = {block[0]: i + 1 for i, block in enumerate(blocks) if block} | {0: 0}
        axes = [tuple(place[axis] for axis in group if axis in place) for group in self.axes]
        return View(self.tensor_of(blocks), axes, self.batch)

    def tensor_of(self, blocks: Sequence[Group]) -> Tensor:
        """A tensor whose axes behind the batch are these blocks; all axes with more than one element are in them."""
        held = self.held
        order = [axis for block in blocks for axis in block if held[axis] > 1]
        tensor = self.tensor
        if order != sorted(order):
            kept = [axis for axis in range(1, len(held)) if held[axis] > 1]
            tensor = _reshape(tensor, [held[axis] for axis in kept])
            tensor = apply("transpose", [tensor], tensor.domain, axes=[0, *(kept.index(axis) + 1 for axis in order)])
        return _reshape(tensor, [self.size(block) for block in blocks])

    def in_order(self, axes: Sequence[int]) -> Tensor:
        """A tensor whose axes behind the batch are these axes of the graph; the batch itself is left out of them."""
        return self.tensor_of([tuple(axis for axis in self.axes[i] if axis) for i in axes])

    def require_batch_first(self, what: str) -> None:
        """Refuse a tensor whose axis 0 is not the batch."""
        group = self.axes[0] if self.axes else ()
        if group == (0,) or (self.batch_axis is None and self.size(group) == 1):
            return
        raise Unsupported(
            f"{what} has the shape {self.shape}, whose axis 0 is not the batch of the network; if that is another axis "
            "of the graph's inputs, give batch_axis="
        )


def _reshape(tensor: Any, row: Sequence[int]) -> Tensor:
    made: Tensor = tensor if tuple(row) == tensor.shape else apply("reshape", [tensor], tensor.domain, shape=list(row))
    return made


# ---- reshaping -------------------------------------------------------------------


def reshaped_to(view: View, shape: Sequence[int]) -> View:
    """A view of the same elements as other axes; axes of the tensor are divided where that is enough."""
    if math.prod(shape) != math.prod(view.shape):
        raise Unsupported(f"expected a shape with as many elements as {view.shape}, got {tuple(shape)}")
    while True:
        made = _divided(view, shape)
        if isinstance(made, View):
            return made
        view = _joined(view, made)


def _divided(view: View, shape: Sequence[int]) -> View | Group:
    """The view as other axes; or the axes of the tensor that have to be joined before."""
    held = view.held
    pending = [axis for group in view.axes for axis in group if held[axis] > 1]
    parts: dict[int, list[int]] = {axis: [] for axis in pending}  # into which an axis is divided
    rest = dict(zip(pending, (held[axis] for axis in pending), strict=True))
    groups: list[list[tuple[int, int]]] = []
    for place, size in enumerate(shape):
        group: list[tuple[int, int]] = []
        while size > 1:
            axis = pending[0]
            step = math.gcd(size, rest[axis])
            if step not in (size, rest[axis]) or (axis == 0 and step != view.batch):
                return _to_be_joined(view, shape, place, axis)
            group.append((axis, len(parts[axis])))
            parts[axis].append(step)
            size //= step
            rest[axis] //= step
            if rest[axis] == 1:
                pending.pop(0)
        groups.append(group)
    start, place = {0: 0}, 1
    row: list[int] = []
    for axis in range(1, len(held)):
        if axis in parts:
            start[axis] = place
            row += parts[axis]
            place += len(parts[axis])
    axes = [tuple(start[axis] + part for axis, part in group) for group in groups]
    return View(_reshape(view.tensor, row), axes, view.batch)


def _to_be_joined(view: View, shape: Sequence[int], place: int, axis: int) -> Group:
    """The axes around one that sizes do not divide, up to where the old and the new ones meet."""
    held = view.held
    order = [a for group in view.axes for a in group if held[a] > 1]
    ends, total = [], 1
    for a in order:
        total *= held[a]
        ends.append(total)
    new_ends = set(np.cumprod(np.array(shape, object)).tolist())
    at = order.index(axis)
    first = max((i for i in range(at + 1) if i == 0 or ends[i - 1] in new_ends), default=0)
    last = next(i for i in range(at, len(order)) if ends[i] in new_ends)
    run = tuple(order[first : last + 1])
    if 0 in run or len(run) == 1:
        raise Unsupported(f"the shape {tuple(shape)} divides or mixes the batch of {view.shape}")
    return run


def _joined(view: View, run: Group) -> View:
    """With neighbouring axes as one; the groups that they were in are one group."""
    held = view.held
    blocks: list[Group] = [(i,) for i in range(1, len(held)) if i not in run and held[i] > 1]
    blocks.insert(sum(block[0] < min(run) for block in blocks), run)
    atoms = [axis for group in view.axes for axis in group if held[axis] > 1 and axis not in run[1:]]
    place = {block[0]: i + 1 for i, block in enumerate(blocks)} | {0: 0}
    return View(view.tensor_of(blocks), [tuple(place[axis] for axis in atoms)], view.batch)


# ---- several operands ------------------------------------------------------------


class _Operand:
    """An operand, with its axes of the graph counted from the right and divided as those of the others are."""

    def __init__(self, value: View | Array, rank: int) -> None:
        self.value = value
        self.axes = (None,) * (rank - len(value.shape)) + tuple(range(len(value.shape)))

    def factors(self, axis: int) -> list[int]:
        """The sizes that make up an axis, the batch negative; empty for an axis of one element."""
        own = self.axes[axis]
        if own is None:
            return []
        if isinstance(self.value, View):
            held = self.value.held
            return [-held[i] if i == 0 else held[i] for i in self.value.axes[own] if held[i] > 1]
        return [self.value.shape[own]] if self.value.shape[own] > 1 else []


def _common_factors(operands: Sequence[_Operand], axis: int) -> list[int]:
    """The sizes into which all operands can divide an axis."""
    lists = [found for operand in operands if (found := operand.factors(axis))]
    if not lists:
        return []
    sizes = {abs(math.prod(found)) for found in lists}
    if len(sizes) > 1:
        raise Unsupported(f"expected sizes that are equal or 1 along axis {axis}, got {sorted(sizes)}")
    ends = {1}
    for found in lists:
        total = 1
        for factor in reversed(found):
            total *= abs(factor)
            ends.add(total)
    places = sorted(ends)
    fits = all(large % small == 0 for small, large in itertools.pairwise(places))
    batches = {_batch_end(found) for found in lists if any(factor < 0 for factor in found)}
    if len(batches) > 1:
        raise Unsupported("its operands have the batch in different places")
    if not fits:
        if batches:
            raise Unsupported("its operands divide an axis with the batch in different ways")
        return [sizes.pop()]
    found = [large // small for small, large in itertools.pairwise(places)][::-1]
    return [
        -factor if batches and _after(found, i) == next(iter(batches)) else factor for i, factor in enumerate(found)
    ]


def _after(factors: Sequence[int], place: int) -> int:
    return math.prod(abs(factor) for factor in factors[place + 1 :])


def _batch_end(factors: Sequence[int]) -> int:
    return _after(factors, next(i for i, factor in enumerate(factors) if factor < 0))


def _full_shape(factors: Sequence[Sequence[int]], operand: _Operand, rank: int) -> list[int]:
    """The shape of an operand whose axes are divided into factors."""
    shape: list[int] = []
    for axis in range(rank):
        has = bool(operand.factors(axis))
        shape += [abs(factor) if has else 1 for factor in factors[axis]]
    return shape


def aligned(values: Sequence[View | Array]) -> tuple[list[Tensor | Array], View]:
    """Operands as tensors and arrays that broadcast, and a view with the axes of the result.

    The result is held as the largest operand is. The tensor of the view is that of any operand.
    """
    rank = max(len(value.shape) for value in values)
    operands = [_Operand(value, rank) for value in values]
    factors = [_common_factors(operands, axis) for axis in range(rank)]
    keys = [(axis, part) for axis in range(rank) for part in range(len(factors[axis]))]
    divided = [_divide(operand, factors, rank) for operand in operands]
    views = [value for value in divided if isinstance(value, View)]
    order = _held_order(views, keys, factors)
    made: list[Tensor | Array] = [_in_order(value, keys, order) for value in divided]
    place = {key: i + 1 for i, key in enumerate(order)}
    axes = [tuple(place.get((axis, part), 0) for part in range(len(factors[axis]))) for axis in range(rank)]
    return made, View(views[0].tensor, axes, views[0].batch)


def _divide(operand: _Operand, factors: Sequence[Sequence[int]], rank: int) -> View | Array:
    """An operand with one axis for each factor of each axis."""
    shape = _full_shape(factors, operand, rank)
    if isinstance(operand.value, View):
        return reshaped_to(operand.value, shape)
    return operand.value.reshape(shape)


def _held_order(
    views: Sequence[View], keys: Sequence[tuple[int, int]], factors: Sequence[Sequence[int]]
) -> list[tuple[int, int]]:
    """The order of the result's axes behind the batch: that of the largest tensor, if it has them all."""
    rows = [key for key in keys if factors[key[0]][key[1]] > 0]
    largest = max(views, key=lambda view: math.prod(view.tensor.shape))
    own = {key: group[0] for key, group in zip(keys, largest.axes, strict=True) if group and group != (0,)}
    return sorted(rows, key=own.__getitem__) if all(key in own for key in rows) else rows


def _in_order(value: View | Array, keys: Sequence[tuple[int, int]], order: Sequence[tuple[int, int]]) -> Tensor | Array:
    """With the axes behind the batch in an order; arrays without the batch."""
    places = [keys.index(key) for key in order]
    if isinstance(value, View):
        return value.tensor_of([value.axes[place] for place in places])
    batch = [i for i in range(value.ndim) if i not in places]
    if any(value.shape[i] > 1 for i in batch):
        raise Unsupported("a constant has other values for each row of the batch")
    return np.transpose(value, batch + places).reshape([value.shape[place] for place in places])


def contracted(a: View | Array, b: View | Array) -> tuple[list[tuple[Any, bool]], View]:
    """The operands of a matrix product (..., M, K) and (..., K, N), and a view with the axes of the result.

    Returns
    -------
    operands : list of (Tensor or ndarray, bool)
        With the axes before the last two aligned, and whether the last two are transposed.
    view : View
        Of the tensor (batch, ..., M, N) that is to come.
    """
    lead = max(len(a.shape), len(b.shape)) - 2
    wide = [_with_lead(a, lead, (0, None, 1)), _with_lead(b, lead, (None, 1, 0))]  # (..., M, N, K)
    operands = [_Operand(value, lead + 3) for value in wide]
    factors = [_common_factors(operands, axis) for axis in range(lead + 3)]
    if any(factor < 0 for axis in factors[lead:] for factor in axis):
        raise Unsupported(
            "a matrix of the product has the batch as its rows or columns, and both operands vary with it"
        )
    keys = [(axis, part) for axis in range(lead + 3) for part in range(len(factors[axis]))]
    divided = [_divide(operand, factors, lead + 3) for operand in operands]
    rows = [i for i, key in enumerate(keys) if key[0] < lead and factors[key[0]][key[1]] > 0]
    m, n, k = ([i for i, key in enumerate(keys) if key[0] == lead + which] for which in range(3))
    made = [_matrices(value, rows, left, right) for value, left, right in zip(divided, (m, k), (k, n), strict=True)]
    view = next(value for value in divided if isinstance(value, View))
    place = {keys[i]: at + 1 for at, i in enumerate(rows)}
    axes = [tuple(place.get((axis, part), 0) for part in range(len(factors[axis]))) for axis in range(lead)]
    return made, View(view.tensor, [*axes, (len(rows) + 1,), (len(rows) + 2,)], view.batch)


def _with_lead(value: View | Array, lead: int, last: Sequence[int | None]) -> View | Array:
    """(..., I, J) with further axes of one element: in front up to `lead`, and where `last` has None."""
    rank = len(value.shape)
    missing = lead - (rank - 2)
    if isinstance(value, View):
        tail = [() if i is None else value.axes[rank - 2 + i] for i in last]
        return value.with_axes([()] * missing + list(value.axes[: rank - 2]) + tail)
    order = [*range(rank - 2), *(rank - 2 + i for i in last if i is not None)]
    moved = np.transpose(value, order)
    tail_sizes = iter(moved.shape[rank - 2 :])
    return moved.reshape(
        [1] * missing + list(moved.shape[: rank - 2]) + [1 if i is None else next(tail_sizes) for i in last]
    )


def _matrices(
    value: View | Array, rows: Sequence[int], left: Sequence[int], right: Sequence[int]
) -> tuple[Tensor | Array, bool]:
    """(..., left, right), or transposed if that is how it is held."""
    if not isinstance(value, View):
        sizes = [value.shape[i] for i in rows]
        array = np.transpose(
            value, [i for i in range(value.ndim) if i not in {*rows, *left, *right}] + [*rows, *left, *right]
        )
        return array.reshape([*sizes, math.prod(value.shape[i] for i in left), -1]), False
    blocks = [value.axes[i] for i in rows]
    first = tuple(axis for i in left for axis in value.axes[i])
    last = tuple(axis for i in right for axis in value.axes[i])
    held = value.held

    def in_place(order: Sequence[Group]) -> bool:
        flat = [axis for block in order for axis in block if held[axis] > 1]
        return flat == sorted(flat)

    turned = not in_place([*blocks, first, last]) and in_place([*blocks, last, first])
    return value.tensor_of([*blocks, last, first] if turned else [*blocks, first, last]), turned
