"""ONNX Runtime on images, which are passed in its own layout, channels first."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bench import workloads
from bench.images import (
    NORM,
    Array,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAverage,
    ImagePrediction,
    ImageWorkload,
    Layer,
    MaxPool,
    Norm,
    Parameters,
    Residual,
    Subsample,
    output_shape,
)
from bench.peers import Contender, layouts, onnxruntime_

_ACTIVATIONS = {"relu": "Relu", "softmax": "Softmax"}


class _Builder:
    """Nodes and constants of a model, of images (N, C, H, W)."""

    def __init__(self, workload: ImageWorkload) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self._weights: Iterator[Parameters] = workload.weights()

    def sequence(self, layers: tuple[Layer, ...], value: str, shape: tuple[int, ...]) -> str:
        """Adds layers that read `value`; returns the name of their output."""
        image = None
        for layer in layers:
            if isinstance(layer, Flatten):
                image = shape
            value = self._layer(layer, value, shape, image)
            if name := _ACTIVATIONS.get(getattr(layer, "activation", "")):
                value = self._node(name, [value])
            if isinstance(layer, Dense):
                image = None
            shape = output_shape(layer, shape)
        return value

    def _layer(self, layer: Layer, value: str, shape: tuple[int, ...], image: tuple[int, ...] | None) -> str:
        match layer:
            case Conv():
                options = {"pads": [layer.padding] * 4, "strides": [layer.strides] * 2}
                return self._node("Conv", [value, *self._kernel(None)], **options)
            case Dense():
                return self._node("Gemm", [value, *self._kernel(image)], transB=1)
            case Norm():
                statistics = [self._tensor(array) for array in next(self._weights).values()]
                return self._node("BatchNormalization", [value, *statistics], epsilon=NORM["epsilon"])
            case Residual():
                main = self.sequence(layer.main, value, shape)
                shortcut = self.sequence(layer.shortcut, value, shape)
                return self._node("Relu", [self._node("Add", [main, shortcut])])
            case Subsample():
                return self._subsample(value, layer.strides, layer.filters - shape[2])
            case MaxPool():
                return self._node("MaxPool", [value], kernel_shape=[2, 2], strides=[2, 2])
            case GlobalAverage():
                return self._node("Flatten", [self._node("GlobalAveragePool", [value])])
            case Flatten():
                return self._node("Flatten", [value])
            case Dropout():
                return value

    def _subsample(self, value: str, strides: int, more_maps: int) -> str:
        starts, ends, axes, steps = (0, 0), (np.iinfo(np.int64).max,) * 2, (2, 3), (strides, strides)
        slices = [self._tensor(np.array(numbers)) for numbers in (starts, ends, axes, steps)]
        pads = self._tensor(np.array([0, 0, 0, 0, 0, more_maps, 0, 0]))
        return self._node("Pad", [self._node("Slice", [value, *slices]), pads])

    def _kernel(self, image: tuple[int, ...] | None) -> list[str]:
        values = next(self._weights)
        bias = [self._tensor(values["bias"])] if "bias" in values else []
        return [self._tensor(layouts.outputs_first(values["kernel"], image)), *bias]

    def _tensor(self, values: NDArray[Any]) -> str:
        self.tensors.append(numpy_helper.from_array(values, f"constant_{len(self.tensors)}"))
        return self.tensors[-1].name

    def _node(self, operator: str, inputs: list[str], **options: object) -> str:
        value = f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [value], **options))
        return value


def _model(workload: ImageWorkload) -> onnx.ModelProto:
    builder = _Builder(workload)
    output = builder.sequence(workload.layers, "x", workload.shape)
    height, width, channels = workload.shape
    ends = [("x", ["N", channels, height, width]), (output, ["N", workload.classes])]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in ends)
    return onnxruntime_.model_of(helper.make_graph(builder.nodes, workload.name, [x], [y], builder.tensors))


def _images(task: ImagePrediction) -> Array:
    return workloads.aligned(layouts.channels_first(task.workload.inputs(task.batch)))


def predict(task: ImagePrediction) -> Contender:
    return onnxruntime_.plain(onnxruntime_.session(_model(task.workload)), _images(task))


def predict_bound(task: ImagePrediction) -> Contender:
    out = workloads.empty((task.batch, task.workload.classes))
    return onnxruntime_.bound(onnxruntime_.session(_model(task.workload)), _images(task), out)
