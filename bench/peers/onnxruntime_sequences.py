"""ONNX Runtime: prediction of recurrent networks."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bench import workloads
from bench.peers import Contender
from bench.peers.onnxruntime_ import bound, model_of, plain, session
from bench.sequences import GATES, Recurrent, RecurrentPrediction
from bench.workloads import Array

# Places of nnfast's gates among ONNX's: i o f c.
_ORDER = {"SimpleRNN": (0,), "LSTM": (0, 3, 1, 2), "GRU": (0, 1, 2)}
_OPERATORS = {"SimpleRNN": "RNN", "LSTM": "LSTM", "GRU": "GRU"}


def _turned(array: Array, cell: str) -> Array:
    """(1, gates, ...) as ONNX has it, from columns of gates."""
    gates = np.split(array, GATES[cell], axis=-1)
    return np.ascontiguousarray(np.concatenate([gates[i] for i in _ORDER[cell]], axis=-1).T)[None]


def _model(workload: Recurrent) -> onnx.ModelProto:
    nodes, tensors = [], []
    values = workload.weights()

    def constant(name: str, value: Array) -> str:
        tensors.append(numpy_helper.from_array(value, name))
        return name

    steps_first = [1, 0] if workload.reads_characters else [1, 0, 2]
    nodes.append(helper.make_node("Transpose", ["x"], ["steps"], perm=steps_first))
    value = "steps"
    if workload.reads_characters:
        nodes.append(helper.make_node("Gather", [constant("embedding", values.pop(0)), value], ["embedded"]))
        value = "embedded"
    for i in range(workload.depth):
        kernel, recurrent, bias = (values.pop(0) for _ in range(3))
        biases = bias if workload.cell == "GRU" else np.stack([bias, np.zeros_like(bias)])
        both = np.concatenate([_turned(b, workload.cell) for b in biases], axis=1)
        inputs = [value, constant(f"w{i}", _turned(kernel, workload.cell))]
        inputs += [constant(f"r{i}", _turned(recurrent, workload.cell)), constant(f"b{i}", both)]
        options = {"linear_before_reset": 1} if workload.cell == "GRU" else {}
        operator = _OPERATORS[workload.cell]
        nodes.append(helper.make_node(operator, inputs, [f"all{i}", f"last{i}"], hidden_size=workload.units, **options))
        last = i == workload.depth - 1 and not workload.reads_characters
        source, axis = (f"last{i}", 0) if last else (f"all{i}", 1)
        axes = constant(f"axes{i}", np.array([axis]))
        nodes.append(helper.make_node("Squeeze", [source, axes], [f"h{i}"]))
        value = f"h{i}"
    nodes.append(helper.make_node("MatMul", [value, constant("kernel", values.pop(0))], ["product"]))
    nodes.append(helper.make_node("Add", ["product", constant("bias", values.pop(0))], ["sum"]))
    end = ["N", workload.outputs]
    if workload.reads_characters:
        nodes.append(helper.make_node("Softmax", ["sum"], ["softmax"], axis=-1))
        nodes.append(helper.make_node("Transpose", ["softmax"], ["y"], perm=[1, 0, 2]))
        end = ["N", workload.steps, workload.outputs]
    else:
        nodes.append(helper.make_node("Identity", ["sum"], ["y"]))
    kind, shape = TensorProto.FLOAT, ["N", workload.steps, workload.features]
    if workload.reads_characters:
        kind, shape = TensorProto.INT32, ["N", workload.steps]
    x, y = helper.make_tensor_value_info("x", kind, shape), helper.make_tensor_value_info("y", TensorProto.FLOAT, end)
    return model_of(helper.make_graph(nodes, workload.cell, [x], [y], tensors))


def predict(task: RecurrentPrediction) -> Contender:
    return plain(session(_model(task.workload)), task.workload.inputs(task.batch))


def predict_bound(task: RecurrentPrediction) -> Contender:
    w = task.workload
    shape = (task.batch, w.steps, w.outputs) if w.reads_characters else (task.batch, w.outputs)
    return bound(session(_model(w)), w.inputs(task.batch), workloads.empty(shape))
