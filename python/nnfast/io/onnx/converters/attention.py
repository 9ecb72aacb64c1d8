"""Attention by products and softmax, and rotary positions."""

from __future__ import annotations

import numpy as np

from nnfast.io.onnx.builder import GraphBuilder
from nnfast.io.onnx.converters.registry import Call, converter

__all__: list[str] = []


@converter("attention")
def _attention(call: Call) -> None:
    """Heads that share keys and values are an axis of their own: (N, G, H / G, T, d) with (N, G, 1, d, S)."""
    graph = call.graph
    heads = call.option("heads")
    groups = call.option("key_value_heads", heads)
    shared = [] if groups == heads else [heads // groups]
    (queries, width), (keys, value_width) = call.input_shape(), call.input_shape(2)
    d, d_value = width // heads, value_width // groups
    # Behind batch and time: 2 groups, then 3 the heads that share them, if there are any; the last is d.
    inner, last = ([2, 3], 4) if shared else ([2], 3)
    alone = [1] if shared else []
    q = graph.transpose(graph.reshape(call.input(0), [0, 0, groups, *shared, d]), [0, *inner, 1, last])
    k = graph.transpose(graph.reshape(call.input(1), [0, 0, groups, *alone, d]), [0, *inner, last, 1])
    v = graph.transpose(graph.reshape(call.input(2), [0, 0, groups, *alone, d_value]), [0, *inner, 1, last])
    scores = graph.op("MatMul", graph.op("Mul", q, graph.number(call.option("scale", d**-0.5))), k)
    seen = _seen(call, queries, keys, inner)
    if seen:
        # Not infinity: where nothing is seen, that would be 0 / 0.
        scores = graph.op("Where", seen, scores, graph.number(float(np.finfo(graph.dtype).min) / 2))
    weights = graph.op("Softmax", scores, axis=-1)
    if call.option("has_mask", 0) or (call.option("causal", 0) and queries > keys):
        weights = graph.op("Where", seen, weights, graph.number(0))
    y = graph.op("MatMul", weights, v)
    y = graph.transpose(y, [0, last - 1, *range(1, last - 1), last])
    call.put(graph.reshape(y, [0, 0, heads * d_value]))


def _seen(call: Call, queries: int, keys: int, inner: list[int]) -> str:
    """Which query sees which key, in a shape that fits the scores; "" if all see all."""
    graph, found = call.graph, []
    if call.option("causal", 0):
        if graph.free_time:
            found.append(_causal(graph, call.input(0), call.input(1)))
        else:
            seen = np.arange(keys) <= np.arange(queries)[:, None] + keys - queries
            found.append(graph.constant(seen, "causal", "bool"))
    if call.option("has_mask", 0):
        by_query = len(call.input_shape(3)) == 2
        axes = [axis - 1 for axis in inner] + ([] if by_query else [len(inner) + 1])
        found.append(graph.truth(graph.op("Unsqueeze", call.input(3), graph.integers(axes))))
    return "" if not found else found[0] if len(found) == 1 else graph.op("And", *found)


def _causal(graph: GraphBuilder, q: str, k: str) -> str:
    """Which query sees which key, for any number of both: counted from the end, each those before it and its own."""
    lengths = (graph.op("Shape", x, start=1, end=2) for x in (k, q))
    more = graph.op("Sub", *lengths)
    last = graph.op("Unsqueeze", graph.op("Add", graph.steps_of(q), more), graph.integers([1]))
    return graph.op("LessOrEqual", graph.steps_of(k), last)


@converter("rotary")
def _rotary(call: Call) -> None:
    """x cos(a) + turned(x) sin(a), where each pair (u, v) is turned to (-v, u)."""
    graph, heads = call.graph, call.option("heads")
    steps, width = call.shape
    d, interleaved = width // heads, bool(call.option("interleaved", 0))
    # In double precision: an angle may be thousands of radians.
    frequencies = float(call.option("base", 10000.0)) ** (-2 * np.arange(d // 2) / d)
    frequencies = frequencies.repeat(2) if interleaved else np.concatenate([frequencies, frequencies])
    if call.option("has_offset", 0) or graph.free_time:
        numbers = graph.steps_of(call.input()) if graph.free_time else graph.integers(range(steps))
        places = graph.reshape(graph.cast(numbers, "float64"), [-1, 1, 1])
        if call.option("has_offset", 0):
            places = graph.op("Add", places, graph.cast(graph.reshape(call.input(1), [-1, 1, 1, 1]), "float64"))
        angle = graph.op("Mul", places, graph.constant(frequencies, "frequencies", "float64"))
        cosine, sine = (graph.cast(graph.op(f, angle), graph.dtype) for f in ("Cos", "Sin"))
    else:
        angles = np.arange(steps)[:, None, None] * frequencies
        cosine, sine = graph.constant(np.cos(angles), "cosines"), graph.constant(np.sin(angles), "sines")
    x = graph.reshape(call.input(), [0, 0, heads, d])
    own = np.arange(d)
    partners = own ^ 1 if interleaved else (own + d // 2) % d
    signs = np.where(partners > own, -1.0, 1.0)
    turned = graph.op("Gather", x, graph.integers(partners.tolist()), axis=3)
    turned = graph.op("Mul", turned, graph.constant(signs, "signs"))
    y = graph.op("Add", graph.op("Mul", x, cosine), graph.op("Mul", turned, sine))
    call.put(graph.reshape(y, [0, 0, width]))
