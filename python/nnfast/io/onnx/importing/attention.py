"""Attention and RotaryEmbedding, of opset 23 on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from nnfast import ops
from nnfast.core.typing import Array
from nnfast.io.onnx.importing.elementwise import broadcast
from nnfast.io.onnx.importing.errors import Unsupported
from nnfast.io.onnx.importing.layout import View, reshaped_to
from nnfast.io.onnx.importing.nodes import Const, Node, Value, imports
from nnfast.io.onnx.importing.products import product
from nnfast.io.onnx.importing.selections import sliced
from nnfast.io.onnx.importing.shapes import joined

__all__: list[str] = []

_HIDDEN = -1e38
"""A mask that is added hides the keys for which it is lower; files have the lowest number in place of -inf."""
_LOWEST = -3.4028234663852886e38


class _Operands(NamedTuple):
    """Of shape (N, heads, steps, features); the queries' heads are a multiple of those of keys and values."""

    q: Value
    k: Value
    v: Value
    past: int
    """The number of keys from earlier steps."""

    @property
    def sizes(self) -> tuple[int, int]:
        """The numbers of queries and keys."""
        return self.q.shape[2], self.k.shape[2]


@imports("Attention")
def _attention(node: Node) -> list[Value | None]:
    operands = _operands(node)
    allowed, bias = _masks(node, operands)
    softcap = node.number("softcap", 0.0)
    scale = node.number("scale", 1 / math.sqrt(operands.q.shape[3]))
    if not math.isfinite(scale) or not 0 <= softcap < math.inf:
        raise Unsupported(f"expected a finite scale and a softcap of 0 or more, got {scale} and {softcap}")
    y, scores = _composed(node, operands, allowed, bias, scale, softcap)
    if len(node.value(0).shape) == 3:
        n, h, t, d = y.shape
        y = reshaped_to(y.permuted([0, 2, 1, 3]), [n, t, h * d])
    return [y, operands.k, operands.v, scores]


def _operands(node: Node) -> _Operands:
    node.view(0)
    values = [node.value(i) for i in range(3)]
    rank = len(values[0].shape)
    if rank not in (3, 4) or any(len(value.shape) != rank for value in values):
        raise Unsupported(f"expected Q, K and V of 3 axes each or 4, got {[value.shape for value in values]}")
    if rank == 3:
        heads = [node.integer(name, 0) for name in ("q_num_heads", "kv_num_heads", "kv_num_heads")]
        values = [_with_heads(value, count) for value, count in zip(values, heads, strict=True)]
    past = 0
    if node.has_input(4) != node.has_input(5):
        raise Unsupported("expected past_key and past_value together")
    if node.has_input(4):
        past = node.value(4).shape[2]
        values[1:] = [_side_by_side(node, [node.value(4 + i), values[1 + i]], 2) for i in range(2)]
    q, k, v = values
    if q.shape[3] != k.shape[3] or k.shape[1] != v.shape[1] or q.shape[1] % k.shape[1] or k.shape[2] != v.shape[2]:
        raise Unsupported(
            "expected Q (N, H, T, D), K (N, G, S, D) and V (N, G, S, E) where G divides H, got "
            f"{q.shape}, {k.shape} and {v.shape}"
        )
    return _Operands(q, k, v, past)


def _with_heads(value: Value, heads: int) -> Value:
    """(N, H, T, D) from (N, T, H D)."""
    n, t, size = value.shape
    if heads < 1 or size % heads:
        raise Unsupported(f"expected q_num_heads and kv_num_heads that divide {size}, got {heads}")
    return _reshaped(value, [n, t, heads, size // heads]).permuted([0, 2, 1, 3])


def _reshaped(value: Value, shape: Sequence[int]) -> Value:
    return reshaped_to(value, shape) if isinstance(value, View) else Const(value.array.reshape(shape), value.source)


def _side_by_side(node: Node, values: Sequence[Value], axis: int) -> Value:
    if all(isinstance(value, Const) for value in values):
        return Const(np.concatenate([value.array for value in values if isinstance(value, Const)], axis))
    return joined(node, values, axis)


def _combined(node: Node, function: Callable[..., Any], *values: Value) -> Value:
    """A function of operands that broadcast, computed at import where all of them are known."""
    if any(isinstance(value, View) for value in values):
        return broadcast(node, values, function)
    arrays = [np.require(value.array, requirements=["C", "A"]) for value in values if isinstance(value, Const)]
    return Const(np.asarray(function(*arrays)))


# ---- masks -----------------------------------------------------------------------


def _masks(node: Node, operands: _Operands) -> tuple[Value | None, Value | None]:
    """Which keys each query may see, and what is added to the scores; None for all and for nothing."""
    found = [*_structure(node, operands), *_of_padding(node, operands)]
    bias: Value | None = None
    if node.has_input(3):
        mask = _to_all_keys(node.value(3), operands.sizes[1])
        if _is_boolean(mask):
            found.append(mask)
        else:
            bias = mask
            seen = _combined(node, lambda x: ops.greater(x, _HIDDEN), mask)
            if isinstance(seen, View) or not seen.array.all():
                found.append(seen)
                bias = _combined(node, lambda see, x: ops.where(see, x, 0.0), seen, mask)
    allowed: Value | None = None
    for value in found:
        allowed = value if allowed is None else _combined(node, ops.logical_and, allowed, value)
    return allowed, bias


def _is_boolean(value: Value) -> bool:
    return value.tensor.domain == "boolean" if isinstance(value, View) else value.array.dtype.kind == "b"


def _to_all_keys(mask: Value, keys: int) -> Value:
    """A mask for the first keys, which hides the others."""
    rank, known = len(mask.shape), mask.shape[-1] if mask.shape else 0
    if not 1 <= rank <= 4 or known > keys:
        raise Unsupported(f"expected a mask of 1 to 4 axes for {keys} keys, got {mask.shape}")
    if known in (1, keys):
        return mask
    if isinstance(mask, Const):
        hidden = False if _is_boolean(mask) else -np.inf
        return Const(np.pad(mask.array, [(0, 0)] * (rank - 1) + [(0, keys - known)], constant_values=hidden))
    flat = mask.flat(rank - 1)
    widths = [(0, 0)] * len(flat.held)
    widths[flat.axes[-1][0]] = (0, keys - known)
    if _is_boolean(mask):
        return flat.like(ops.not_equal(ops.pad(ops.cast(flat.tensor, "float32"), widths), 0.0))
    return flat.like(ops.pad(flat.tensor, widths, constant_values=_LOWEST))


def _distances(operands: _Operands) -> Array:
    """(T, S): by how much a key is ahead of the query that has the same number."""
    queries, keys = operands.sizes
    if queries * keys > 1 << 26:
        raise Unsupported(f"expected masks of at most 2^26 numbers, got {queries} queries and {keys} keys")
    return np.arange(keys) - np.arange(queries)[:, None]


def _structure(node: Node, operands: _Operands) -> list[Value]:
    """What is_causal and each side of the window let through, from the position of the first query on."""
    left, right = node.integer("left_window_size", -1), node.integer("right_window_size", -1)
    rules: list[tuple[Callable[..., Any], int]] = []
    if node.integer("is_causal", 0):
        rules.append((ops.less_equal, 0))
    if right >= 0:
        rules.append((ops.less_equal, right))
    if left >= 0:
        rules.append((ops.greater_equal, -left))
    if not rules:
        return []
    start: Value = Const(np.array(operands.past))
    if node.has_input(6):
        start = _combined(node, lambda count: ops.subtract(count, operands.sizes[0]), _counts(node))
    ahead = _combined(node, lambda distance, first: ops.subtract(distance, first), Const(_distances(operands)), start)
    return [_combined(node, compare, ahead, Const(np.array(bound))) for compare, bound in rules]


def _counts(node: Node) -> Value:
    """nonpad_kv_seqlen (N,) as (N, 1, 1, 1)."""
    counts = node.value(6)
    if node.has_input(4) or len(counts.shape) != 1:
        raise Unsupported(f"expected nonpad_kv_seqlen (N,) without past keys, got {counts.shape}")
    if isinstance(counts, View):
        return counts.with_axes([counts.axes[0], (), (), ()])
    return Const(counts.array.reshape(-1, 1, 1, 1))


def _of_padding(node: Node, operands: _Operands) -> list[Value]:
    if not node.has_input(6):
        return []
    return [_combined(node, ops.less, Const(np.arange(operands.sizes[1])), _counts(node))]


# ---- scores ----------------------------------------------------------------------


def _composed(
    node: Node, operands: _Operands, allowed: Value | None, bias: Value | None, scale: float, softcap: float
) -> tuple[View, Value]:
    """Y, and the scores that are wanted of those before and behind softcap, masks and softmax."""
    n, h, t, d = operands.q.shape
    groups, keys = operands.k.shape[1], operands.k.shape[2]
    # Heads that share keys and values are rows of the same product.
    q = _reshaped(operands.q, [n, groups, h // groups * t, d])
    stages = [reshaped_to(product(node, q, operands.k.permuted([0, 1, 3, 2])), [n, h, t, keys])]
    stages[0] = stages[0].like(stages[0].tensor * scale)
    stages.append(stages[0])
    if softcap:
        stages[1] = stages[0].like(ops.tanh(stages[0].tensor * (1 / softcap)) * softcap)
    stages.append(stages[1] if bias is None else broadcast(node, [stages[1], bias], ops.add))
    scores = stages[2]
    if allowed is not None:
        scores = broadcast(node, [allowed, scores], lambda see, x: ops.where(see, x, _LOWEST))
    mode = node.integer("qk_matmul_output_mode", 0)
    if not 0 <= mode <= 3:
        raise Unsupported(f"expected qk_matmul_output_mode from 0 to 3, got {mode}")
    if node.wants(3) and mode == 2 and allowed is not None:
        stages[2] = broadcast(node, [allowed, stages[2]], lambda see, x: ops.where(see, x, -math.inf))
    flat = scores.flat(3)
    weights = flat.like(ops.softmax(flat.tensor, flat.axes[3][0]))
    if allowed is not None:  # a query that sees nothing gets 0
        weights = broadcast(node, [allowed, weights], lambda see, x: ops.where(see, x, 0.0))
    stages.append(weights)
    y = product(node, reshaped_to(weights, [n, groups, h // groups * t, keys]), operands.v)
    return reshaped_to(y, [n, h, t, operands.v.shape[3]]), stages[mode]


# ---- positions -------------------------------------------------------------------


@imports("RotaryEmbedding")
def _rotary(node: Node) -> View:
    given = node.view(0)
    if given.rank == 4:
        x = given.permuted([0, 2, 1, 3])
    else:
        n, t, size = given.shape
        heads = node.integer("num_heads", 0)
        if given.rank != 3 or heads < 1 or size % heads:
            raise Unsupported(f"expected (N, H, T, D), or (N, T, H D) with num_heads, got {given.shape} and {heads}")
        x = reshaped_to(given, [n, t, heads, size // heads])
    width = node.integer("rotary_embedding_dim", 0) or x.shape[3]
    if width < 2 or width % 2 or width > x.shape[3]:
        raise Unsupported(f"expected an even number of features up to {x.shape[3]} that are rotated, got {width}")
    cos, sin = (_angles(node, place, width // 2) for place in (1, 2))
    first, second = _pairs(x, width, bool(node.integer("interleaved", 0)))
    turned = [
        _turned(node, ops.subtract, (first, cos), (second, sin)),
        _turned(node, ops.add, (first, sin), (second, cos)),
    ]
    if node.integer("interleaved", 0):
        turned = [view.with_axes([*view.axes, ()]) for view in turned]
        made = reshaped_to(joined(node, turned, 4), [*x.shape[:3], width])
    else:
        made = joined(node, turned, 3)
    if width < x.shape[3]:
        made = joined(node, [made, sliced(x, 3, slice(width, None))], 3)
    return made.permuted([0, 2, 1, 3]) if given.rank == 4 else reshaped_to(made, given.shape)


def _pairs(x: View, width: int, interleaved: bool) -> tuple[View, View]:
    """The features that are rotated together."""
    half = width // 2
    keys = (slice(0, width, 2), slice(1, width, 2)) if interleaved else (slice(0, half), slice(half, width))
    return sliced(x, 3, keys[0]), sliced(x, 3, keys[1])


def _turned(node: Node, join: Callable[[Any, Any], Any], left: tuple[View, Value], right: tuple[View, Value]) -> View:
    parts = [broadcast(node, [x, factor], ops.multiply) for x, factor in (left, right)]
    return broadcast(node, parts, join)


def _angles(node: Node, place: int, half: int) -> Value:
    """Cosines or sines as (N, T, 1, half), as constants: a table of angles is nothing to train."""
    found: Value = node.value(place)
    if node.has_input(3):
        table, positions = node.constant(place, "the table of angles"), node.value(3)
        if table.ndim != 2 or len(positions.shape) != 2:
            raise Unsupported(f"expected a table and positions (N, T), got {table.shape} and {positions.shape}")
        if isinstance(positions, View):
            tensor = positions.tensor if positions.tensor.shape else ops.reshape(positions.tensor, (None, 1))
            rows = ops.take(table, ops.cast(tensor, "int64"), 0)
            found = View(rows, [*positions.axes, (len(rows.shape),)], positions.batch)
        else:
            found = Const(table[positions.array])
    if len(found.shape) != 3 or found.shape[2] != half:
        raise Unsupported(f"expected cosines and sines (N, T, {half}), got {found.shape}")
    if isinstance(found, View):
        return found.with_axes([*found.axes[:2], (), found.axes[2]])
    return Const(found.array[:, :, None])
