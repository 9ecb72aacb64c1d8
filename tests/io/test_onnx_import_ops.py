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
def test_a_region_is_resized(mode: str, sizes: list[int]) -> None:
    options = {"coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": -3.0}
    node = helper.make_node("Resize", ["x", "roi", "", "sizes"], ["y"], mode=mode, axes=[2, 3], **options)
    weights = {"roi": np.array([0.32, -0.4, 0.85, 1.3], np.float32), "sizes": np.array(sizes)}
    compare([node], numbers(2, 3, 6, 7), weights, opset=18)
    wrong = dict(weights, roi=np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="a region of 4 finite numbers"):
        nf.from_onnx(model_of([node], {"x": ["N", 3, 6, 7]}, ["y"], wrong, opset=18))
