"""Matrix products. Those with an initializer become dense layers, whose rows follow the order in which x is held."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from nnfast import layers, ops
from nnfast.core.typing import Array
from nnfast.io.onnx.importing.elementwise import broadcast
from nnfast.io.onnx.importing.errors import Unsupported
from nnfast.io.onnx.importing.layout import View, aligned, contracted, reshaped_to
from nnfast.io.onnx.importing.nodes import Const, Node, Value, imports, slim
from nnfast.io.onnx.importing.selections import sliced
from nnfast.ops.core import apply

__all__ = ["dense", "product"]


def dense(node: Node, view: View, weights: Const, bias: Const | None) -> View:
    """A dense layer on the last axis of a view; weights (D, O)."""
    view.require_no_batch(view.rank - 1)
    group, held = view.axes[-1], view.held
    if view.shape[-1] != weights.array.shape[0]:
        raise Unsupported(f"expected {view.shape[-1]} rows of weights for {view.shape}, got {weights.array.shape}")
    # The rows follow the order in which the axes are held, so that the data need not move.
    own = [axis for axis in group if held[axis] > 1]
    order = sorted(range(len(own)), key=own.__getitem__)
    kernel = weights.array
    if order != sorted(order):
        divided = kernel.reshape([*(held[axis] for axis in own), -1])
        kernel = np.transpose(divided, [*order, len(own)]).reshape(kernel.shape)
    units = kernel.shape[1]
    front = [(axis,) for axis in range(1, len(held)) if held[axis] > 1 and axis not in own]
    tensor = view.tensor_of([*front, tuple(sorted(own))])
    key = ("dense", units, tuple(order), bias is not None)
    values: dict[str, Any] = {"kernel": Const(kernel, weights.source)}
    if bias is not None:
        values["bias"] = Const(bias.array.reshape(-1), bias.source)

    def make() -> Any:
        return layers.Dense(units, use_bias=bias is not None, kernel_initializer="zeros")

    result = node.builder.layer(key, make, node, values)(tensor)
    place = {block[0]: i + 1 for i, block in enumerate(front)} | {0: 0}
    axes = [tuple(place[axis] for axis in group if held[axis] > 1) for group in view.axes[:-1]]
    return View(result, [*axes, (len(front) + 1,)], view.batch)


@imports("MatMul")
def _matmul(node: Node) -> View:
    a, b = node.value(0), node.value(1)
    if isinstance(a, View) and isinstance(b, Const) and b.array.ndim == 2 and a.rank >= 1 and _is_weight(b):
        return dense(node, a, b, node.builder.bias_behind(node, b.array.shape[1]))
    return product(node, a, b)


def _is_weight(value: Const) -> bool:
    return value.array.dtype.kind == "f"


def product(node: Node, a: Value, b: Value) -> View:
    """A product of any two operands."""
    first, second = _operand(a), _operand(b)
    row, column = len(first.shape) == 1, len(second.shape) == 1
    if not first.shape or not second.shape:
        raise Unsupported("expected operands of one axis or more, got a single number")
    if row:
        first = first.with_axes([(), *first.axes]) if isinstance(first, View) else first[None]
    if column:
        second = second.with_axes([*second.axes, ()]) if isinstance(second, View) else second[:, None]
    if first.shape[-1] != second.shape[-2]:
        raise Unsupported(
            f"expected shapes (..., M, K) and (..., K, N) with the same K, got {first.shape} and {second.shape}"
        )
    made, view = contracted(first, second)
    sources = [value.source if isinstance(value, Const) else None for value in (a, b)]
    (x, x_turned), (y, y_turned) = made
    flags = {"transpose_a": x_turned, "transpose_b": y_turned}
    tensors = [node.builder.matrix(value, source, node) for value, source in zip((x, y), sources, strict=True)]
    options: dict[str, Any] = {key: 1 for key, value in flags.items() if value}
    result = apply("matmul", tensors, **options)
    axes = list(view.axes)
    if column:
        axes.pop()
    if row:
        axes.pop(-1 if column else -2)
    return View(result, axes, view.batch)


def _operand(value: Value) -> View | Array:
    if isinstance(value, View):
        return value
    lead = slim(value.array).shape[:-2]
    return value.array[tuple(slice(0, size) for size in lead)]


@imports("Gemm")
def _gemm(node: Node) -> View:
    a, b = node.value(0), node.value(1)
    alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
    c = node.value(2) if node.has_input(2) else None
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise Unsupported(f"expected two matrices, got {a.shape} and {b.shape}")
    a = _turned(a) if node.integer("transA", 0) else a
    b = _turned(b) if node.integer("transB", 0) else b
    fits = c is None or (
        isinstance(c, Const) and c.array.size == b.shape[1] and c.array.shape in ((b.shape[1],), (1, b.shape[1]))
    )
    if isinstance(a, View) and isinstance(b, Const) and alpha == 1 and fits and (c is None or beta == 1):
        return dense(node, a, b, c if isinstance(c, Const) else None)
    result = product(node, a, b)
    if alpha != 1:
        result = result.like(result.tensor * alpha)
    if c is None or not beta:
        return result
    return broadcast(node, [result, c], lambda x, y: ops.add(x, y if beta == 1 else ops.multiply(y, beta)))


def _turned(value: Value) -> Value:
    return value.permuted([1, 0]) if isinstance(value, View) else Const(value.array.T, value.source)


@imports("Einsum")
def _einsum(node: Node) -> View:
    values = [_operand(node.value(i)) for i in range(len(node.inputs))]
    terms, result = _terms(node.text("equation", ""), [len(value.shape) for value in values])
    letters = [*dict.fromkeys("".join(terms))]
    spread: list[View | Array] = []
    for term, value in zip(terms, values, strict=True):
        single, own = _diagonals(term, value)
        spread.append(_spread(own, [single.find(letter) for letter in letters]))
    tensors, view = aligned(spread)
    summed = [i for i, letter in enumerate(letters) if letter not in result]
    for i in summed:
        view.require_no_batch(i)
    return _sum_of_products(node, tensors, view, letters, result, summed)


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


def _diagonals(term: str, value: View | Array) -> tuple[str, View | Array]:
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
            value = np.diagonal(value, axis1=first, axis2=second)
    return term, value


def _spread(value: View | Array, places: list[int]) -> View | Array:
    """With its axes at the places of their letters, and axes of one element for the others."""
    if isinstance(value, View):
        return value.with_axes([value.axes[place] if place >= 0 else () for place in places])
    order = [place for place in places if place >= 0]
    sizes = [value.shape[place] if place >= 0 else 1 for place in places]
    return np.transpose(value, order).reshape(sizes)


def _sum_of_products(
    node: Node, tensors: list[Any], view: View, letters: list[str], result: str, summed: list[int]
) -> View:
    over = tuple(axis for i in summed for axis in view.axes[i])
    total: Any = None
    for tensor in tensors:
        made = node.builder.tensor(tensor, None, node)
        total = made if total is None else total * made
    if over and math.prod(total.shape) > 1 << 24:
        raise Unsupported("expected a product of fewer numbers; write it as a matrix product")
    y = ops.sum(total, over, keepdims=True) if over else total
    kept = view.with_axes([() if i in summed else group for i, group in enumerate(view.axes)])
    return kept.like(y).permuted([letters.index(letter) for letter in result])
