"""Einsum: as a product of matrices where it is one, else as a sum of products."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnfast import ops
from nnfast.core.typing import Array
from nnfast.io.onnx.importing.errors import Unsupported
from nnfast.io.onnx.importing.layout import View, aligned, reshaped_to
from nnfast.io.onnx.importing.nodes import Const, Node, Value, imports
from nnfast.io.onnx.importing.products import dense, operand, product
from nnfast.io.onnx.importing.selections import sliced

__all__: list[str] = []

_Term = tuple[str, Value]
"""An operand, and a letter for each of its axes, all different."""


@imports("Einsum")
def _einsum(node: Node) -> View:
    values = [node.value(i) for i in range(len(node.inputs))]
    terms, result = _terms(node.text("equation", ""), [len(value.shape) for value in values])
    operands = [_diagonals(term, value) for term, value in zip(terms, values, strict=True)]
    for term, value in operands:
        for axis, letter in enumerate(term):
            if isinstance(value, View) and letter not in result:
                value.require_no_batch(axis)
    made = _as_product(node, operands, result) if len(operands) == 2 else None
    return _as_sum(node, operands, result) if made is None else made


def _as_product(node: Node, operands: Sequence[_Term], result: str) -> View | None:
    """A product of matrices; None if the operands lack what one has."""
    (a, x), (b, y) = operands if isinstance(operands[0][1], View) else operands[::-1]
    sizes = dict(zip(a + b, x.shape + y.shape, strict=True))
    summed = [letter for letter in a if letter in b and letter not in result]
    fits = [sizes[letter] for letter in a] == [*x.shape]  # else one of them has one element for a letter
    if not isinstance(x, View) or not summed or not fits or {*a, *b} - {*result} != {*summed}:
        return None
    shared = [letter for letter in a if letter in b and letter in result]
    rows, columns = ([letter for letter in term if letter not in other] for term, other in ((a, b), (b, a)))
    if isinstance(y, Const) and y.array.dtype.kind == "f" and not shared and rows:
        lead, rest = rows, []
        weights = _matrix(b, y, [], summed, columns)
        assert isinstance(weights, Const)
        view = _matrix(a, x, rows, [], summed)
        assert isinstance(view, View)
        made = dense(node, view.with_axes([*view.axes[:-2], view.axes[-1]]), weights, None)
    else:
        # The batch is no part of a matrix: what has it comes in front, too.
        held = [letter for letter in rows if 0 in x.axes[a.index(letter)]]
        lead, rest = shared + held, [letter for letter in rows if letter not in held]
        if isinstance(y, View) and any(0 in y.axes[b.index(letter)] for letter in columns):
            return None
        made = product(node, _matrix(a, x, lead, rest, summed), _matrix(b, y, lead, summed, columns))
    order = [*lead, *rest, *columns]
    return reshaped_to(made, [sizes[letter] for letter in order]).permuted([order.index(letter) for letter in result])


def _matrix(term: str, value: Value, lead: Sequence[str], rows: Sequence[str], columns: Sequence[str]) -> Value:
    """(lead..., rows, columns), with one element for letters in front that the operand lacks."""
    if isinstance(value, View):
        axes = dict(zip(term, value.axes, strict=True))
        joined = [tuple(axis for letter in part for axis in axes[letter]) for part in (rows, columns)]
        return value.with_axes([*(axes.get(letter, ()) for letter in lead), *joined])
    sizes = dict(zip(term, value.shape, strict=True))
    order = [term.index(letter) for letter in (*lead, *rows, *columns) if letter in sizes]
    flat = [math.prod(sizes[letter] for letter in part) for part in (rows, columns)]
    array = np.transpose(value.array, order).reshape([*(sizes.get(letter, 1) for letter in lead), *flat])
    return Const(array, value.source)


def _as_sum(node: Node, operands: Sequence[_Term], result: str) -> View:
    letters = [*dict.fromkeys("".join(term for term, _ in operands))]
    spread = [_spread(operand(value), [term.find(letter) for letter in letters]) for term, value in operands]
    tensors, view = aligned(spread)
    summed = [i for i, letter in enumerate(letters) if letter not in result]
    for i in summed:
        view.require_no_batch(i)
    over = tuple(axis for i in summed for axis in view.axes[i])
    total: Any = None
    for tensor, (_, value) in zip(tensors, operands, strict=True):
        made = node.builder.tensor(tensor, value.source if isinstance(value, Const) else None, node)
        total = made if total is None else total * made
    if over and math.prod(total.shape) > 1 << 24:
        raise Unsupported("expected a product of fewer numbers; write it as a matrix product")
    y = ops.sum(total, over, keepdims=True) if over else total
    kept = view.with_axes([() if i in summed else group for i, group in enumerate(view.axes)])
    return kept.like(y).permuted([letters.index(letter) for letter in result])


def _terms(equation: str, ranks: list[int]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, with digits for the axes of '...', the last one 0."""
    given, arrow, result = equation.replace(" ", "").partition("->")
    terms = given.split(",")
    if not all(re.fullmatch(r"[A-Za-z]*(\.\.\.)?[A-Za-z]*", term) for term in [*terms, result]):
        raise Unsupported(f"expected letters, and '...' at most once in a term, got {equation!r}")
    widths = [rank - len(term.replace("...", "")) for term, rank in zip(terms, ranks, strict=False)]
    if (
        len(terms) != len(ranks)
        or not 0 <= min(widths) <= max(widths) <= 10
        or any(width and "..." not in term for term, width in zip(terms, widths, strict=True))
    ):
        raise Unsupported(f"expected an equation for operands of {ranks} axes, got {equation!r}")
    if not arrow:
        once = sorted(letter for letter in set(given) - set(".,") if given.count(letter) == 1)
        result = "..." * ("..." in given) + "".join(once)
    digits = "9876543210"
    terms = [term.replace("...", digits[10 - width :]) for term, width in zip(terms, widths, strict=True)]
    result = result.replace("...", digits[10 - max(widths) :])
    if len(set(result)) < len(result) or not set(result) <= set("".join(terms)):
        raise Unsupported(f"expected each letter of the result once, and in an operand, got {equation!r}")
    return terms, result


def _diagonals(term: str, value: Value) -> _Term:
    """The elements whose places along axes with the same letter are the same, and the letters of what is left."""
    while letter := next((letter for letter in term if term.count(letter) > 1), None):
        first = term.index(letter)
        second = term.index(letter, first + 1)
        size = value.shape[first]
        if value.shape[second] != size:
            raise Unsupported(f"expected axes of the same size for {letter!r}, got {value.shape} for {term!r}")
        rest = [i for i in range(len(term)) if i not in (first, second)]
        term = "".join(term[i] for i in rest) + letter
        if isinstance(value, View):
            value.require_no_batch(first)
            value.require_no_batch(second)
            flat = reshaped_to(value.permuted([*rest, first, second]), [*(value.shape[i] for i in rest), size * size])
            value = sliced(flat, len(rest), slice(0, None, size + 1))
        else:
            value = Const(np.diagonal(value.array, axis1=first, axis2=second))
    return term, value


def _spread(value: View | Array, places: list[int]) -> View | Array:
    """With its axes at the places of their letters, and axes of one element for the others."""
    if isinstance(value, View):
        return value.with_axes([value.axes[place] if place >= 0 else () for place in places])
    order = [place for place in places if place >= 0]
    sizes = [value.shape[place] if place >= 0 else 1 for place in places]
    return np.transpose(value, order).reshape(sizes)
