"""PyTorch on images: contiguous (NCHW) and channels_last, eager and compiled.

Networks consist of torch.nn modules. Tensors are converted to the memory format before the measurement.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from bench import peers
from bench.images import (
    NORM,
    Array,
    Conv,
    Convolution,
    Dense,
    Dropout,
    Flatten,
    GlobalAverage,
    ImagePrediction,
    ImageStep,
    ImageWorkload,
    Layer,
    MaxPool,
    Norm,
    Normalization,
    Parameters,
    Pooling,
    Residual,
    Subsample,
    output_shape,
)
from bench.peers import Contender, layouts, torch_
from bench.workloads import MOMENTUM

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def from_nhwc(x: Array, layout: str) -> torch.Tensor:
    """(N, H, W, C) as a tensor (N, C, H, W), which in the channels_last format keeps its order in memory."""
    return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=FORMATS[layout])


def to_nhwc(x: torch.Tensor) -> Array:
    return x.detach().permute(0, 2, 3, 1).numpy() if x.ndim == 4 else x.detach().numpy()


class _Subsample(torch.nn.Module):
    def __init__(self, strides: int, more_maps: int) -> None:
        super().__init__()
        self.strides = strides
        self.more_maps = more_maps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.pad(x[:, :, :: self.strides, :: self.strides], (0, 0, 0, 0, 0, self.more_maps))


class _Residual(torch.nn.Module):
    def __init__(self, main: torch.nn.Module, shortcut: torch.nn.Module) -> None:
        super().__init__()
        self.main = main
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.main(x) + self.shortcut(x))


class Network:
    """A workload's network as modules, with the names of its parameters in nnfast's layouts."""

    def __init__(self, workload: ImageWorkload, *, logits: bool, layout: str = "contiguous") -> None:
        self._back: list[tuple[torch.nn.Parameter, Callable[[Array], Array]]] = []
        self._logits = logits
        self._weights: Iterator[Parameters] = workload.weights()
        module, _ = self._sequence(workload.layers, workload.shape)
        self.module = module.to(memory_format=FORMATS[layout])

    def _sequence(self, layers: tuple[Layer, ...], shape: tuple[int, ...]) -> tuple[torch.nn.Module, tuple[int, ...]]:
        modules: list[torch.nn.Module] = []
        image = None
        for layer in layers:
            if isinstance(layer, Flatten):
                image = shape
            modules += self._modules(layer, shape, image)
            if isinstance(layer, Dense):
                image = None
            shape = output_shape(layer, shape)
        return torch.nn.Sequential(*modules), shape

    def _modules(self, layer: Layer, shape: tuple[int, ...], image: tuple[int, ...] | None) -> list[torch.nn.Module]:
        match layer:
            case Conv():
                size = (layer.filters, layer.size, layer.strides, layer.padding)
                convolution = torch.nn.Conv2d(shape[2], *size, bias=layer.use_bias)
                return [self._with_kernel(convolution, None), *self._activation(layer.activation)]
            case Dense():
                linear = torch.nn.Linear(shape[0], layer.units)
                return [self._with_kernel(linear, image), *self._activation(layer.activation)]
            case Norm():
                norm = torch.nn.BatchNorm2d(shape[2], eps=NORM["epsilon"], momentum=1 - NORM["momentum"])
                return [self._with_statistics(norm), *self._activation(layer.activation)]
            case Residual():
                main, _ = self._sequence(layer.main, shape)
                shortcut, _ = self._sequence(layer.shortcut, shape)
                return [_Residual(main, shortcut)]
            case Subsample():
                return [_Subsample(layer.strides, layer.filters - shape[2])]
            case Dropout():
                return [torch.nn.Dropout(layer.rate)]
            case MaxPool():
                return [torch.nn.MaxPool2d(2)]
            case GlobalAverage():
                return [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
            case Flatten():
                return [torch.nn.Flatten()]

    def _activation(self, name: str) -> list[torch.nn.Module]:
        modules = {"identity": [], "relu": [torch.nn.ReLU()], "softmax": [torch.nn.Softmax(dim=-1)]}
        return [] if name == "softmax" and self._logits else modules[name]

    def _take(self, parameter: torch.Tensor, values: Array) -> None:
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(values))

    def _with_kernel(self, module: Any, image: tuple[int, ...] | None) -> torch.nn.Module:
        values = next(self._weights)
        self._take(module.weight, layouts.outputs_first(values["kernel"], image))
        self._back.append((module.weight, partial(layouts.outputs_last, image=image)))
        if module.bias is not None:
            self._take(module.bias, values["bias"])
            self._back.append((module.bias, np.asarray))
        return module

    def _with_statistics(self, module: Any) -> torch.nn.Module:
        values = next(self._weights)
        for own, name in (("weight", "gamma"), ("bias", "beta")):
            self._take(getattr(module, own), values[name])
            self._back.append((getattr(module, own), np.asarray))
        self._take(module.running_mean, values["moving_mean"])
        self._take(module.running_var, values["moving_variance"])
        return module

    def parameters(self) -> list[Array]:
        """The trained parameters, in nnfast's layouts."""
        return [back(parameter.detach().numpy()) for parameter, back in self._back]


def optimizer_of(workload: ImageWorkload, parameters: Any, fused: bool) -> torch.optim.Optimizer:
    if workload.optimizer == "adam":
        return torch_.adam(parameters, workload.learning_rate, fused)
    return torch.optim.SGD(parameters, lr=workload.learning_rate, momentum=MOMENTUM, fused=fused)


def stepper(
    workload: ImageWorkload, network: Network, layout: str, *, fused: bool, compiled: bool
) -> Callable[[], Any]:
    """A function that makes one training step."""
    module = network.module
    optimizer = optimizer_of(workload, module.parameters(), fused)
    x = from_nhwc(workload.inputs(workload.batch), layout)
    y = torch.from_numpy(workload.targets(workload.batch))

    def forward() -> torch.Tensor:
        return functional.cross_entropy(module(x), y)

    return torch_.training_step(forward, optimizer, compiled)


def _step(task: ImageStep, layout: str = "contiguous", *, fused: bool = True, compiled: bool = False) -> Contender:
    network = Network(task.workload, logits=True, layout=layout)
    call = stepper(task.workload, network, layout, fused=fused, compiled=compiled)
    return Contender(call, lambda: peers.step_results(call, network.parameters))


def step(task: ImageStep) -> Contender:
    return _step(task, fused=False)


step_fused = partial(_step)
step_channels_last = partial(_step, layout="channels_last")
step_compiled = partial(_step, compiled=True)
step_compiled_channels_last = partial(_step, layout="channels_last", compiled=True)


def _predict(task: ImagePrediction, layout: str, *, compiled: bool = False) -> Contender:
    module = Network(task.workload, logits=False, layout=layout).module.eval()
    x = from_nhwc(task.workload.inputs(task.batch), layout)
    if compiled:
        # Parameters become constants, whose layout is chosen once.
        module = torch.compile(module, options={"freezing": True})

    @torch.no_grad()
    def call() -> torch.Tensor:
        return module(x)

    return Contender(call, lambda: {"output": call().numpy()})


predict = partial(_predict, layout="contiguous")
predict_channels_last = partial(_predict, layout="channels_last")
predict_compiled = partial(_predict, layout="channels_last", compiled=True)


def _convolve(task: Convolution, layout: str) -> Contender:
    x, dy = from_nhwc(task.x(), layout), from_nhwc(task.dy(), layout)
    kernel = torch.from_numpy(layouts.outputs_first(task.kernel())).contiguous(memory_format=FORMATS[layout])
    bias = torch.from_numpy(task.bias())
    strides, padding = [task.layer.strides] * 2, [task.layer.padding] * 2
    if task.direction == "forward":

        @torch.inference_mode()
        def forward() -> torch.Tensor:
            return torch.conv2d(x, kernel, bias, strides, padding)

        return Contender(forward, lambda: {"output": to_nhwc(forward())})
    wanted = [task.input_gradient, True, True]

    @torch.inference_mode()
    def backward() -> Any:
        return torch.ops.aten.convolution_backward(
            dy, x, kernel, [len(bias)], strides, padding, [1, 1], False, [0, 0], 1, wanted
        )

    def result() -> peers.Results:
        dx, dkernel, dbias = backward()
        found = {"dkernel": layouts.outputs_last(dkernel.numpy()), "dbias": dbias.numpy()}
        return found | ({"dx": to_nhwc(dx)} if task.input_gradient else {})

    return Contender(backward, result)


convolve = partial(_convolve, layout="contiguous")
convolve_channels_last = partial(_convolve, layout="channels_last")


def _pool(task: Pooling, layout: str) -> Contender:
    aten = torch.ops.aten
    x = from_nhwc(task.x(), layout)
    dy = torch.from_numpy(task.dy())
    dy = dy[:, :, None, None] if dy.ndim == 2 else from_nhwc(task.dy(), layout)
    _, places = functional.max_pool2d(x, 2, return_indices=True)
    calls: dict[tuple[str, bool], Callable[[], torch.Tensor]] = {
        ("max 2x2", False): lambda: functional.max_pool2d(x, 2),
        ("average 2x2", False): lambda: functional.avg_pool2d(x, 2),
        ("global average", False): lambda: x.mean((2, 3)),
        ("max 2x2", True): lambda: aten.max_pool2d_with_indices_backward(
            dy, x, [2, 2], [2, 2], [0, 0], [1, 1], False, places
        ),
        ("average 2x2", True): lambda: aten.avg_pool2d_backward(dy, x, [2, 2], [2, 2], [0, 0], False, True, None),
        # What autograd does for a mean: divide, then spread.
        ("global average", True): lambda: (dy / x[0, 0].numel()).expand_as(x).contiguous(memory_format=FORMATS[layout]),
    }
    call = torch.inference_mode()(calls[task.function, task.backward])
    return Contender(call, lambda: {"output": to_nhwc(call())})


pool = partial(_pool, layout="contiguous")
pool_channels_last = partial(_pool, layout="channels_last")


def _normalize(task: Normalization, layout: str) -> Contender:
    aten = torch.ops.aten
    x, dy = from_nhwc(task.x(), layout), from_nhwc(task.dy(), layout)
    gamma, beta, mean, variance = (torch.from_numpy(array) for array in task.parameters().values())
    momentum, epsilon = 1 - NORM["momentum"], NORM["epsilon"]

    def forward(training: bool) -> Any:
        return aten.native_batch_norm(x, gamma, beta, mean, variance, training, momentum, epsilon)

    if task.direction != "backward":
        call = torch.inference_mode()(partial(forward, task.direction == "training"))
        return Contender(call, lambda: {"output": to_nhwc(call()[0])})
    _, saved_mean, saved_deviation = forward(True)

    @torch.inference_mode()
    def backward() -> Any:
        return aten.native_batch_norm_backward(
            dy, x, gamma, mean, variance, saved_mean, saved_deviation, True, epsilon, [True, True, True]
        )

    def result() -> peers.Results:
        dx, dgamma, dbeta = backward()
        return {"dx": to_nhwc(dx), "dgamma": dgamma.numpy(), "dbeta": dbeta.numpy()}

    return Contender(backward, result)


normalize = partial(_normalize, layout="contiguous")
normalize_channels_last = partial(_normalize, layout="channels_last")
