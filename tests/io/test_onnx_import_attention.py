"""Attention and RotaryEmbedding: the same answers as ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast.core.typing import Array

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper
from onnx_graphs import answers, assert_close, model_of, predicted

RNG = np.random.default_rng(0)
ROWS, STEPS = 3, 5


def numbers(*shape: int) -> Array:
    """Random numbers in float32."""
    return RNG.standard_normal(shape, np.float32)


def self_attention(
    heads: int, groups: int, size: int, extra: list[str], weights: dict[str, Any], **options: Any
) -> tuple[bytes, list[Any]]:
    """A graph in which queries, keys and values are products of the same sequence "x" (N, 5, 6); heads in axis 2."""
    nodes = [helper.make_node("MatMul", ["x", name], [f"{name}x"]) for name in "qkv"]
    nodes.append(
        helper.make_node(
            "Attention",
            ["qx", "kx", "vx", *extra],
            ["y"],
            name="mix",
            q_num_heads=heads,
            kv_num_heads=groups,
            **options,
        )
    )
    arrays = {"q": numbers(6, heads * size), "k": numbers(6, groups * size), "v": numbers(6, groups * 2)}
    return model_of(nodes, {"x": ["N", STEPS, 6]}, ["y"], {**arrays, **weights}, opset=23), nodes


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(
    "options", [{}, {"is_causal": 1}, {"scale": 0.1}, {"softcap": 2.0}, {"softcap": 1.5, "is_causal": 1}]
)
def test_heads_in_a_sequence(options: dict[str, Any], groups: int) -> None:
    model, _ = self_attention(4, groups, 4, [], {}, **options)
    net = nf.from_onnx(model)
    x = numbers(ROWS, STEPS, 6)
    assert_close(predicted(net, x), answers(model, {"x": x}))
    assert len(net.trainable) == 3


MASKS = {
    "bool": RNG.random((STEPS, STEPS)) > 0.4,
    "hidden": np.where(RNG.random((1, 1, STEPS, STEPS)) > 0.4, 0, -np.inf).astype(np.float32),
    "bias": numbers(4, STEPS, STEPS),
}
MASKS["bool"][:, 0] = MASKS["hidden"][..., 0] = True  # ONNX Runtime has NaN where nothing is seen


@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("name", MASKS)
def test_masks(name: str, causal: int) -> None:
    model, _ = self_attention(4, 2, 4, ["mask"], {"mask": MASKS[name]}, is_causal=causal)
    net = nf.from_onnx(model)
    x = numbers(ROWS, STEPS, 6)
    assert_close(predicted(net, x), answers(model, {"x": x}))
    assert ("mask" in " ".join(net.trainable)) == (name == "bias")


def test_a_mask_for_each_row() -> None:
    """The padding of a batch."""
    model, nodes = self_attention(2, 2, 4, ["mask"], {})
    shapes = {"x": ["N", STEPS, 6], "seen": ["N", STEPS]}
    nodes.insert(0, helper.make_node("Unsqueeze", ["seen", "axes"], ["mask"]))
    weights = {name: numbers(6, size) for name, size in (("q", 8), ("k", 8), ("v", 4))} | {"axes": np.array([1, 2])}
    model = model_of(nodes, shapes, ["y"], weights, opset=23, seen=TensorProto.BOOL)
    feeds = {"x": numbers(ROWS, STEPS, 6), "seen": np.arange(STEPS) < np.array([[5], [2], [1]])}
    got = nf.from_onnx(model).predict(feeds)
    nodes.insert(1, helper.make_node("Expand", ["mask", "shape"], ["all"]))  # ONNX Runtime wants one for each query
    nodes[-1].input[3] = "all"
    weights["shape"] = np.array([1, 1, STEPS, 1])
    full = model_of(nodes, shapes, ["y"], weights, opset=23, seen=TensorProto.BOOL)
    assert_close([got], answers(full, feeds))


@pytest.mark.parametrize("name", ["bool", "hidden"])
def test_a_mask_of_the_first_keys_hides_the_others(name: str) -> None:
    _, nodes = self_attention(2, 2, 4, ["mask"], {})
    weights = {key: numbers(6, size) for key, size in (("q", 8), ("k", 8), ("v", 4))}
    hidden = False if name == "bool" else -np.inf
    full = MASKS[name].copy()
    full[..., 3:] = hidden
    x = numbers(ROWS, STEPS, 6)
    short, whole = (
        nf.from_onnx(model_of(nodes, {"x": ["N", STEPS, 6]}, ["y"], {**weights, "mask": mask}, opset=24)).predict(x)
        for mask in (full[..., :3], full)
    )
    np.testing.assert_array_equal(short, whole)


def test_a_query_that_sees_nothing_gets_zeros() -> None:
    mask = np.tril(np.ones((STEPS, STEPS), bool), -1)
    model, _ = self_attention(2, 2, 4, ["mask"], {"mask": mask})
    y = nf.from_onnx(model).predict(numbers(ROWS, STEPS, 6))
    assert not y[:, 0].any()
    assert y[:, 1:].all()


def test_keys_from_before() -> None:
    """The caches come in and go out, and a window moves over both."""
    node = helper.make_node(
        "Attention",
        ["q", "k", "v", "", "past_k", "past_v"],
        ["y", "now_k", "now_v"],
        is_causal=1,
    )
    shapes = {"q": ["N", 4, 2, 3], "k": ["N", 2, 2, 3], "v": ["N", 2, 2, 5]}
    shapes |= {"past_k": ["N", 2, 4, 3], "past_v": ["N", 2, 4, 5]}
    model = model_of([node], shapes, ["y", "now_k", "now_v"], {}, opset=23)
    feeds = {name: numbers(ROWS, *shape[1:]) for name, shape in shapes.items()}  # type: ignore[arg-type]
    net = nf.from_onnx(model)
    got = net.predict(feeds)
    assert_close([got["now_k"], got["now_v"]], answers(model, feeds)[1:])
    k, v = np.concatenate([feeds["past_k"], feeds["k"]], 2), np.concatenate([feeds["past_v"], feeds["v"]], 2)
    scores = feeds["q"].reshape(ROWS, 2, 2, 2, 3) @ k[:, :, None].swapaxes(-1, -2) / np.sqrt(3)
    scores[..., np.arange(6) > np.arange(2)[:, None] + 4] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    assert_close([got["y"]], [(weights @ v[:, :, None]).reshape(ROWS, 4, 2, 5)])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"q_num_heads": 5}, "that divide 8"),
        ({"scale": float("inf")}, "finite scale"),
        ({"softcap": -1.0}, "softcap of 0 or more"),
        ({"kv_num_heads": 1}, "where G divides H"),
    ],
)
def test_attention_that_is_refused(changes: dict[str, Any], text: str) -> None:
    _, nodes = self_attention(2, 2, 4, [], {})
    weights = {name: numbers(6, size) for name, size in (("q", 8), ("k", 8), ("v", 4))}
    for name, value in changes.items():
        kept = [attribute for attribute in nodes[-1].attribute if attribute.name != name]
        del nodes[-1].attribute[:]
        nodes[-1].attribute.extend([*kept, helper.make_attribute(name, value)])
    with pytest.raises(ValueError, match=rf"'mix' \(Attention\): .*{text}"):
        nf.from_onnx(model_of(nodes, {"x": ["N", STEPS, 6]}, ["y"], weights, opset=23))


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("width", [0, 4])
@pytest.mark.parametrize("known", [False, True])
def test_rotary_positions(known: bool, width: int, interleaved: int) -> None:
    angles = np.arange(9)[:, None] / 10 ** np.arange((width or 6) // 2)
    weights: dict[str, Any] = {"cos": np.cos(angles).astype("f4"), "sin": np.sin(angles).astype("f4")}
    places = RNG.integers(0, 9, (ROWS, STEPS))
    feeds: dict[str, Any] = {"x": numbers(ROWS, STEPS, 12)}
    shapes: dict[str, list[Any]] = {"x": ["N", STEPS, 12], "place": ["N", STEPS]}
    if known:
        weights["place"] = np.arange(STEPS)[None]
        del shapes["place"]
    else:
        feeds["place"] = places
    node = helper.make_node(
        *("RotaryEmbedding", ["x", "cos", "sin", "place"], ["y"]),
        num_heads=2,
        rotary_embedding_dim=width,
        interleaved=interleaved,
    )
    model = model_of([node], shapes, ["y"], weights, opset=23, place=TensorProto.INT64)
    net = nf.from_onnx(model)
    assert not net.trainable  # the tables are no weights
    wanted = dict(feeds, place=np.broadcast_to(weights["place"], (ROWS, STEPS))) if known else feeds
    if known:  # ONNX Runtime wants positions for each row
        shapes["place"] = ["N", STEPS]
        tables = {name: weights[name] for name in ("cos", "sin")}
        model = model_of([node], shapes, ["y"], tables, opset=23, place=TensorProto.INT64)
    got = net.predict(feeds["x"] if known else feeds)
    assert_close([got], answers(model, wanted))
