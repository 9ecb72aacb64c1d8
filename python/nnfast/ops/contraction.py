"""Sums of products of tensors whose axes have labels, by transpositions, matrix products and sums."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nnfast.ops.axes import sizes_of
from nnfast.ops.core import apply, same_domain
from nnfast.ops.elementwise import multiply
from nnfast.ops.reduction import sum as sum_over
from nnfast.ops.shapes import reshape, transpose

__all__ = ["Labeled", "contract", "contract_all"]

Label = Hashable


@dataclass(frozen=True)
class Labeled:
    """A tensor or an array, and a label for each of its axes, all different."""

    tensor: Any
    labels: tuple[Label, ...]

    def sizes(self, labels: Iterable[Label]) -> list[int | None]:
        """The sizes of axes, None for the batch; 1 for those that it does not have."""
        own = dict(zip(self.labels, sizes_of(self.tensor), strict=True))
        return [own.get(label, 1) for label in labels]

    @property
    def batch(self) -> Label | None:
        """The label of the batch, if it has one."""
        return next((label for label in self.labels if self.sizes([label]) == [None]), None)

    def without(self, labels: Iterable[Label]) -> Labeled:
        """Summed over these axes, if it has them."""
        summed = [i for i, label in enumerate(self.labels) if label in set(labels)]
        if not summed:
            return self
        kept = tuple(label for i, label in enumerate(self.labels) if i not in summed)
        return Labeled(sum_over(self.tensor, tuple(summed)), kept)

    def ordered(self, labels: Sequence[Label]) -> Labeled:
        """With its axes in this order; `labels` may hold others too."""
        order = tuple(label for label in labels if label in self.labels)
        if order == self.labels:
            return self
        return Labeled(transpose(self.tensor, [self.labels.index(label) for label in order]), order)

    def shaped(self, groups: Sequence[Sequence[Label]]) -> Any:
        """The tensor, whose axes are in the order of the groups, with one axis for each group."""
        sizes = [_product(self.sizes(group)) for group in groups]
        return self.tensor if sizes == list(sizes_of(self.tensor)) else reshape(self.tensor, sizes)


def _product(sizes: Sequence[int | None]) -> int | None:
    """Of the sizes of axes that become one; the batch stays alone."""
    if None in sizes:
        return None
    product = 1
    for size in sizes:
        product *= size or 0
    return product


def contract_all(factors: Sequence[Labeled], result: Sequence[Label]) -> Any:
    """The sum, over all labels that are not in `result`, of the product of the factors, two at a time from the left."""
    first, *others = factors
    for i, other in enumerate(others):
        kept = {*result, *(label for later in others[i + 1 :] for label in later.labels)}
        first = contract(first, other, kept)
    return first.without(set(first.labels) - set(result)).ordered(result).tensor


def contract(a: Labeled, b: Labeled, kept: Collection[Label]) -> Labeled:
    """The product of two, summed over the labels that are not kept."""
    # What only one has, or is of size 1 in one, is summed there.
    lonely = {label for label in {*a.labels, *b.labels} - {*kept} if a.sizes([label]) != b.sizes([label])}
    a, b = a.without(lonely), b.without(lonely)
    summed = [label for label in a.labels if label in b.labels and label not in kept]
    if b.batch is not None and b.batch not in a.labels:
        a, b = b, a  # a free batch is one of the rows
    batch = a.batch if a.batch is not None else b.batch
    if batch in summed and (len(summed) > 1 or set(a.labels) & set(b.labels) != {batch}):
        return contract(a, b, {*kept, batch}).without([batch])
    if not summed:
        return _outer(a, b, batch)
    return _matrix_product(a, b, summed, batch)


def _batch_first(labels: Iterable[Label], batch: Label | None) -> list[Label]:
    return sorted(labels, key=lambda label: label != batch)


def _outer(a: Labeled, b: Labeled, batch: Label | None) -> Labeled:
    labels = _batch_first([*a.labels, *(label for label in b.labels if label not in a.labels)], batch)
    factors = [x.ordered(labels).shaped([[label] for label in labels]) for x in (a, b)]
    return Labeled(multiply(*factors), tuple(labels))


def _matrix_product(a: Labeled, b: Labeled, summed: list[Label], batch: Label | None) -> Labeled:
    """By matmul: (leading axes, rows, summed) times (leading axes, summed, columns).

    All free labels of b become one axis, for one product of all of them. Those of a but the last stay leading axes,
    because the batch must; the core joins them.
    """
    free = _batch_first([label for label in a.labels if label not in b.labels], batch)
    columns = [label for label in b.labels if label not in a.labels]
    leading = _batch_first(
        free[:-1] + [label for label in a.labels if label in b.labels and label not in summed], batch
    )
    rows = free[-1:]
    if batch in summed:
        leading, rows = [], free
    elif rows == [batch] and leading:
        leading, rows = [*rows, *leading], []
    # Transposed matrices are read as they are.
    a_groups, a_turned = _as_stored(a, leading, rows, summed)
    b_groups, b_turned = _as_stored(b, leading, summed, columns)
    product = apply(
        "matmul",
        [_stacked(a, a_groups), _stacked(b, b_groups)],
        same_domain(a.tensor, b.tensor),
        transpose_a=int(a_turned),
        transpose_b=int(b_turned),
    )
    lead = [x if x != 1 else y for x, y in zip(a.sizes(leading), b.sizes(leading), strict=True)]
    sizes = [*lead, *a.sizes(rows), *b.sizes(columns)]
    if sizes != list(sizes_of(product)):
        product = reshape(product, sizes)
    return Labeled(product, (*leading, *rows, *columns))


def _as_stored(
    x: Labeled, leading: list[Label], first: list[Label], last: list[Label]
) -> tuple[list[list[Label]], bool]:
    """The groups of axes of a stack of matrices (first, last), and whether it is stored as (last, first) instead."""
    stored = [*(label for label in leading if label in x.labels), *last, *first]
    turned = bool(first) and bool(last) and stored == list(x.labels)
    must_turn = x.batch is not None and x.batch in last and not leading
    groups = [[label] for label in leading]
    return ([*groups, last, first], True) if turned or must_turn else ([*groups, first, last], False)


def _stacked(x: Labeled, groups: Sequence[Sequence[Label]]) -> Any:
    return x.ordered([label for group in groups for label in group]).shaped(groups)
