"""Matrix products. Those with an initializer become dense layers, whose rows follow the order in which x is held."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnfast import layers, ops
from nnfast.core.typing import Array
from nnfast.io.onnx.importing.elementwise import broadcast
from nnfast.io.onnx.importing.errors import Unsupported
from nnfast.io.onnx.importing.layout import View, contracted
from nnfast.io.onnx.importing.nodes import Const, Node, Value, imports, slim
from nnfast.ops.core import apply

__all__ = ["dense", "operand", "product"]


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
    first, second = operand(a), operand(b)
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


def operand(value: Value) -> View | Array:
    """A tensor, or an array with one element along axes in front that repeat the same numbers."""
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
    a = a.permuted([1, 0]) if node.integer("transA", 0) else a
    b = b.permuted([1, 0]) if node.integer("transB", 0) else b
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
