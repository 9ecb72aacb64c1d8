"""ONNX Runtime: plain calls, and with input and output bound beforehand."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from bench import machine, workloads
from bench.peers import Contender
from bench.workloads import Prediction, Workload

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
    # Versions that every ONNX Runtime since 1.18 reads, whatever the installed onnx would write.
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _session(workload: Workload) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = machine.threads()
    options.inter_op_num_threads = 1
    model = _model(workload).SerializeToString()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def predict(task: Prediction) -> Contender:
    session, x = _session(task.workload), task.workload.inputs(task.batch)

    def call() -> list[np.ndarray]:
        return session.run(None, {"x": x})

    return Contender(call, lambda: {"output": call()[0]})


def predict_bound(task: Prediction) -> Contender:
    session, x = _session(task.workload), task.workload.inputs(task.batch)
    out = workloads.empty((task.batch, task.workload.sizes[-1]))
    binding = session.io_binding()
    binding.bind_cpu_input("x", x)
    name = session.get_outputs()[0].name
    binding.bind_output(name, "cpu", 0, np.float32, out.shape, out.ctypes.data)

    def call() -> np.ndarray:
        session.run_with_iobinding(binding)
        return out

    return Contender(call, lambda: {"output": call().copy()})
