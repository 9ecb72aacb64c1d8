"""Small ONNX graphs, and what ONNX Runtime and an imported network make of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

import nnfast as nf
from nnfast.core.typing import Array

__all__ = ["answers", "assert_close", "model_of", "predicted"]


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
