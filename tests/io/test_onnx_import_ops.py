"""Operations that are composed of several layers or functions: the same answers as ONNX Runtime."""

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


def numbers(*shape: int) -> Array:
    """Random numbers in float32."""
    return RNG.standard_normal(shape, np.float32)


def compare(
    nodes: list[Any], x: Array, weights: dict[str, Any], outputs: tuple[str, ...] = ("y",), **types: Any
) -> Any:
    """Both programs on the same rows; the network."""
    model = model_of(nodes, {"x": ["N", *x.shape[1:]]}, list(outputs), weights, **types)
    net = nf.from_onnx(model)
    assert_close(predicted(net, x), answers(model, {"x": x}))
    return net


# ---- windows over three axes -----------------------------------------------------


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"strides": [2, 1, 3], "pads": [1, 0, 2, 0, 1, 2]},
        {"dilations": [1, 2, 2]},
        {"strides": [1, 2, 2], "auto_pad": "SAME_UPPER"},
    ],
)
def test_convolution_over_three_axes(options: dict[str, Any], groups: int) -> None:
    node = helper.make_node("Conv", ["x", "c.weight", "c.bias"], ["y"], group=groups, **options)
    weights = {"c.weight": numbers(6, 4 // groups, 2, 3, 2), "c.bias": numbers(6)}
    net = compare([node], numbers(2, 4, 5, 7, 6), weights)
    assert sum(array.size for array in net.parameters.values()) == sum(array.size for array in weights.values())
    assert len(net.trainable) == 2 * groups


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"strides": [2, 1, 3], "pads": [1, 0, 3, 0, 1, 2]},
        {"strides": [2, 3, 2], "output_padding": [1, 2, 0], "dilations": [1, 1, 2]},
    ],
)
def test_transposed_convolution_over_three_axes(options: dict[str, Any], groups: int) -> None:
    node = helper.make_node("ConvTranspose", ["x", "c.weight", "c.bias"], ["y"], group=groups, **options)
    weights = {"c.weight": numbers(4, 6 // groups, 2, 3, 2), "c.bias": numbers(6)}
    compare([node], numbers(2, 4, 3, 4, 3), weights)


# ---- where the maxima are --------------------------------------------------------


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_shape": [3, 2], "pads": [1, 0, 2, 1], "strides": [2, 1]},
        {"kernel_shape": [2, 3], "dilations": [2, 1], "ceil_mode": 1, "strides": [3, 2]},
        {"kernel_shape": [3, 3], "auto_pad": "SAME_LOWER"},
    ],
)
def test_indices_of_maxima(options: dict[str, Any], order: int) -> None:
    node = helper.make_node("MaxPool", ["x"], ["y", "i"], storage_order=order, **options)
    model = model_of([node], {"x": [1, 3, 7, 6]}, ["y", "i"], {}, i=TensorProto.INT64)
    x = RNG.integers(0, 5, (4, 3, 7, 6)).astype(np.float32)  # with ties: the first one counts
    single = [answers(model, {"x": row[None]}) for row in x]
    wanted = [np.concatenate(parts) for parts in zip(*single, strict=True)]
    for got, expected in zip(predicted(nf.from_onnx(model), x), wanted, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_indices_that_count_through_the_batch_are_refused() -> None:
    node = helper.make_node("MaxPool", ["x"], ["y", "i"], name="pool", kernel_shape=[2, 2])
    with pytest.raises(
        ValueError, match=r"'pool' \(MaxPool\): expected a batch of 1 or its second output to be unused"
    ):
        nf.from_onnx(model_of([node], {"x": ["N", 1, 4, 4]}, ["y", "i"], {}))


# ---- regions ---------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("sizes", [[5, 4], [1, 3]])
@pytest.mark.parametrize("beyond", [0.0, -3.0])
def test_a_region_is_resized(beyond: float, mode: str, sizes: list[int]) -> None:
    options = {"coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": beyond}
    node = helper.make_node("Resize", ["x", "roi", "", "sizes"], ["y"], mode=mode, axes=[2, 3], **options)
    weights = {"roi": np.array([0.32, -0.4, 0.85, 1.3], np.float32), "sizes": np.array(sizes)}
    compare([node], numbers(2, 3, 6, 7), weights, opset=18)
    wrong = dict(weights, roi=np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="a region of 4 finite numbers"):
        nf.from_onnx(model_of([node], {"x": ["N", 3, 6, 7]}, ["y"], wrong, opset=18))


# ---- sums of products ------------------------------------------------------------


@pytest.mark.parametrize(
    ("equation", "shape", "other"),
    [
        ("...ii->...i", (3, 4, 5, 5), None),
        ("niji", (3, 5, 4, 5), None),
        ("...ij,...jk", (3, 4, 5), (1, 5, 3)),
        ("...ij,jk", (3, 2, 4, 5), (5, 3)),
        ("n...i,i->n...", (3, 2, 4, 5), (5,)),
        ("nijj,jj->ni", (3, 2, 5, 5), (5, 5)),
        ("nij,jkl->nikl", (3, 2, 5), (5, 4, 3)),
        ("nikl,klj->jni", (3, 2, 5, 4), (5, 4, 3)),
        ("nij,ijk->nik", (3, 2, 5), (2, 5, 4)),
        ("nij,ik->nk", (3, 2, 5), (2, 4)),
        ("nijk,ikj->ni", (3, 2, 4, 5), (2, 5, 4)),
    ],
)
def test_einsum(equation: str, shape: tuple[int, ...], other: tuple[int, ...] | None) -> None:
    x, w = numbers(*shape), None if other is None else numbers(*other)
    nodes = [helper.make_node("Einsum", ["x"] if w is None else ["x", "w"], ["e"], equation=equation)]
    total = helper.make_node("Identity", ["e"], ["y"])
    if equation in ("niji", "nikl,klj->jni"):  # the batch comes first in what goes out
        total = helper.make_node("Transpose", ["e"], ["y"], perm=[1, 0] if equation == "niji" else [1, 0, 2])
    compare([*nodes, total], x, {} if w is None else {"w": w})


def test_attention_by_einsum() -> None:
    """As Keras writes it: weights are those of dense layers, and no product of all sizes is in memory."""
    size, heads, width = 256, 4, 64
    nodes = [
        *(helper.make_node("Einsum", ["x", w], [f"{w}x"], equation="abc,cde->abde") for w in "qkv"),
        helper.make_node("Einsum", ["qx", "kx"], ["scores"], equation="aecd,abcd->acbe"),
        helper.make_node("Softmax", ["scores"], ["weights"], axis=2),
        helper.make_node("Einsum", ["weights", "vx"], ["mixed"], equation="acbe,abcd->aecd"),
        helper.make_node("Einsum", ["mixed", "o"], ["y"], equation="abcd,cde->abe"),
    ]
    weights = {name: numbers(size, heads, width) / 16 for name in "qkv"} | {"o": numbers(heads, width, size) / 16}
    net = compare(nodes, numbers(2, 300, size), weights)
    assert sorted(net.trainable) == ["k.kernel", "o.kernel", "q.kernel", "v.kernel"]


@pytest.mark.parametrize(
    ("equation", "text"),
    [
        ("nnij->ij", "the same size for 'n'"),
        ("nij->n", "for operands of .4. axes"),
        ("nijk->nijj", "each letter of the result once"),
        ("n..ij->n", "'...' at most once"),
        ("niij->nij", "axes of the same size for 'i'"),
    ],
)
def test_equations_that_are_refused(equation: str, text: str) -> None:
    node = helper.make_node("Einsum", ["x"], ["y"], equation=equation)
    with pytest.raises(ValueError, match=text):
        nf.from_onnx(model_of([node], {"x": ["N", 2, 3, 2]}, ["y"], {}))


# ---- recurrent layers ------------------------------------------------------------


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("what", ["peepholes", "clip", "coupled", "functions"])
def test_lstm_step_by_step(what: str, direction: str) -> None:
    ways, units, size, steps = 1 + (direction == "bidirectional"), 3, 4, 5
    weights = {
        "W": numbers(ways, 4 * units, size),
        "R": numbers(ways, 4 * units, units),
        "B": numbers(ways, 8 * units),
        "P": numbers(ways, 3 * units),
    }
    options: dict[str, Any] = {"hidden_size": units, "direction": direction}
    names = ["s", "W", "R", "B", "", "h", "c"]
    if what == "peepholes":
        names.append("P")
    elif what == "coupled":
        options["input_forget"] = 1
    elif what == "clip":
        options["clip"] = 0.5
    else:
        options["activations"] = ["Sigmoid", "Tanh", "Softsign"] * ways
    states = numbers(steps * size, ways * units)
    nodes = [
        helper.make_node("Transpose", ["x"], ["s"], perm=[1, 0, 2]),
        # The state at the beginning is computed from the inputs, too.
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "M"], ["product"]),
        helper.make_node("Reshape", ["product", "shape"], ["divided"]),
        helper.make_node("Transpose", ["divided"], ["h"], perm=[1, 0, 2]),
        helper.make_node("Tanh", ["h"], ["c"]),
        helper.make_node("LSTM", names, ["Y", "last", "cell"], **options),
        helper.make_node("Transpose", ["Y"], ["y"], perm=[2, 0, 1, 3]),
    ]
    shape = np.array([-1, ways, units])
    net = compare(nodes, numbers(2, steps, size), {**weights, "M": states, "shape": shape})
    assert ("P_0.value" in net.trainable) == (what == "peepholes")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"op_type": "GRU", "clip": 1.0}, "expected no clip"),
        ({"op_type": "LSTM", "clip": -1.0}, "expected no clip"),
        ({"op_type": "LSTM", "activations": ["Sigmoid", "Elu", "Tanh"]}, "activations among"),
    ],
)
def test_recurrent_layers_that_are_refused(options: dict[str, Any], text: str) -> None:
    gates = {"GRU": 3, "LSTM": 4}[options["op_type"]]
    node = helper.make_node(inputs=["x", "W", "R"], outputs=["y"], layout=1, name="cell", **options)
    weights = {"W": numbers(1, gates * 2, 3), "R": numbers(1, gates * 2, 2)}
    with pytest.raises(ValueError, match=rf"'cell' \({node.op_type}\).*{text}"):
        nf.from_onnx(model_of([node], {"x": ["N", 4, 3]}, ["y"], weights))


def test_lstm_with_peepholes_from_zeros() -> None:
    weights = {"W": numbers(1, 8, 4), "R": numbers(1, 8, 2), "P": numbers(1, 6)}
    nodes = [
        helper.make_node("Transpose", ["x"], ["s"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["s", "W", "R", "", "", "", "", "P"], ["", "h", "c"], hidden_size=2),
        helper.make_node("Concat", ["h", "c"], ["both"], axis=2),
        helper.make_node("Squeeze", ["both", "first"], ["y"]),
    ]
    compare(nodes, numbers(3, 4, 4), {**weights, "first": np.array([0])})
    with pytest.raises(ValueError, match="at most 256 steps"):
        nf.from_onnx(model_of(nodes, {"x": ["N", 300, 4]}, ["y"], {**weights, "first": np.array([0])}))
