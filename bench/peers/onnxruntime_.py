"""ONNX Runtime: plain calls, and with inputs and outputs bound in advance."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from bench import machine, workloads
from bench.peers import Contender
from bench.workloads import Array, Prediction, Workload

_OPERATORS = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "softmax": "Softmax"}


def _model(workload: Workload) -> onnx.ModelProto:
    nodes, tensors, value = [], [], "x"
    for layer, ((kernel, bias), activation) in enumerate(
        zip(workload.weights(), workload.activations(), strict=True), start=1
    ):
        tensors.append(numpy_helper.from_array(kernel, f"kernel_{layer}"))
        tensors.append(numpy_helper.from_array(bias, f"bias_{layer}"))
        nodes.append(helper.make_node("Gemm", [value, f"kernel_{layer}", f"bias_{layer}"], [f"sum_{layer}"]))
        value = f"sum_{layer}"
        if activation in _OPERATORS:
            nodes.append(helper.make_node(_OPERATORS[activation], [value], [f"value_{layer}"]))
            value = f"value_{layer}"
    ends = [(name, ["N", size]) for name, size in (("x", workload.sizes[0]), (value, workload.sizes[-1]))]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in ends)
    graph = helper.make_graph(nodes, workload.name, [x], [y], tensors)
    return model_of(graph)


def model_of(graph: onnx.GraphProto) -> onnx.ModelProto:
    # Versions that every ONNX Runtime since 1.18 reads, whatever the installed onnx would write.
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = machine.threads()
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def plain(session: onnxruntime.InferenceSession, x: Array) -> Contender:
    def call() -> list[Array]:
        return session.run(None, {"x": x})

    return Contender(call, lambda: {"output": call()[0]})


def bound(session: onnxruntime.InferenceSession, x: Array, out: Array) -> Contender:
    binding = session.io_binding()
    binding.bind_cpu_input("x", x)
    name = session.get_outputs()[0].name
    binding.bind_output(name, "cpu", 0, np.float32, out.shape, out.ctypes.data)

    def call() -> Array:
        session.run_with_iobinding(binding)
        return out

    return Contender(call, lambda: {"output": call().copy()})


def predict(task: Prediction) -> Contender:
    return plain(session(_model(task.workload)), task.workload.inputs(task.batch))


def predict_bound(task: Prediction) -> Contender:
    out = workloads.empty((task.batch, task.workload.sizes[-1]))
    return bound(session(_model(task.workload)), task.workload.inputs(task.batch), out)
