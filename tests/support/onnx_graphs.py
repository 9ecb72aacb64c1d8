"""Small ONNX graphs, and what ONNX Runtime and an imported network make of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

import nnfast as nf
from nnfast.core.typing import Array

__all__ = ["answers", "assert_close", "composed_graphs", "model_of", "predicted"]


def answers(model: bytes, feeds: dict[str, Array]) -> list[Array]:
    """The outputs of ONNX Runtime."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    found: list[Array] = session.run(None, feeds)
    return found


def predicted(net: nf.Network, x: Array) -> list[Array]:
    """The outputs, in order."""
    y = net.predict(x)
    return list(y.values()) if isinstance(y, dict) else [y]


def assert_close(got: list[Array], wanted: list[Array]) -> None:
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, atol=1e-5 * max(1, np.abs(b).max()))


def model_of(
    nodes: list[Any], inputs: dict[str, list[Any]], outputs: list[str], weights: dict[str, Any], **types: Any
) -> bytes:
    """A file with some nodes; sizes of inputs are numbers or names."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [
            helper.make_tensor_value_info(name, types.get(name, TensorProto.FLOAT), shape)
            for name, shape in inputs.items()
        ],
        [helper.make_tensor_value_info(name, types.get(name, TensorProto.FLOAT), None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", types.get("opset", 17)), helper.make_opsetid("ai.onnx.ml", 3)]
    made: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return made


def composed_graphs() -> list[bytes]:
    """Files with operations that are composed of several layers and functions."""
    rng = np.random.default_rng(0)

    def numbers(*shape: int) -> Array:
        return rng.standard_normal(shape, np.float32)

    def single(name: str, inputs: list[str], shape: list[Any], weights: dict[str, Any], **options: Any) -> bytes:
        return model_of(
            [helper.make_node(name, ["x", *inputs], ["y"], **options)], {"x": shape}, ["y"], weights, opset=23
        )

    angles = np.arange(12, dtype=np.float32).reshape(4, 3)
    return [
        single("Conv", ["w", "b"], ["N", 2, 4, 3, 4], {"w": numbers(4, 1, 2, 2, 2), "b": numbers(4)}, group=2),
        single(
            "ConvTranspose", ["w"], ["N", 2, 3, 3, 2], {"w": numbers(2, 3, 2, 2, 2)}, strides=[2, 1, 3], pads=[1] * 6
        ),
        single("MaxPool", [], [1, 2, 5, 6], {}, kernel_shape=[2, 3], pads=[1, 0, 0, 2], storage_order=1),
        single(
            *("Resize", ["r", "", "s"], ["N", 2, 5, 4], {"r": numbers(4), "s": np.array([3, 6])}),
            coordinate_transformation_mode="tf_crop_and_resize",
            axes=[2, 3],
            mode="linear",
        ),
        single("Einsum", ["w"], ["N", 3, 4, 3], {"w": numbers(4, 2)}, equation="niji,jk->nk"),
        single(
            *("LSTM", ["W", "R", "B", "", "", "", "P"], ["N", 4, 3]),
            {"W": numbers(1, 8, 3), "R": numbers(1, 8, 2), "B": numbers(1, 16), "P": numbers(1, 6)},
            layout=1,
            hidden_size=2,
            clip=2.0,
        ),
        single(
            *("Attention", ["x", "v", "m"], ["N", 5, 12], {"v": numbers(1, 5, 8), "m": numbers(1, 5, 3)}),
            q_num_heads=4,
            kv_num_heads=4,
            is_causal=1,
        ),
        single(
            *("RotaryEmbedding", ["c", "s", "p"], ["N", 2, 8]),
            {"c": np.cos(angles), "s": np.sin(angles), "p": np.array([[3, 0]])},
            num_heads=1,
            rotary_embedding_dim=6,
        ),
    ]
