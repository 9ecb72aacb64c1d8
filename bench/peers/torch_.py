"""PyTorch: eager, with the fused optimizer, and compiled."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from bench import machine, peers
from bench.peers import Contender
from bench.workloads import (
    ADAM,
    EXPRESSIONS,
    BatchedProduct,
    Chain,
    Elementwise,
    Prediction,
    Product,
    Reduction,
    Step,
    Workload,
)

torch.set_num_threads(machine.threads())
torch.set_num_interop_threads(1)

_MODULES = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid, "identity": torch.nn.Identity}


def _network(workload: Workload, *, logits: bool) -> torch.nn.Sequential:
    """The network; with `logits`, without the softmax, as expected by PyTorch's cross-entropy."""
    modules: list[torch.nn.Module] = []
    for (kernel, bias), activation in zip(workload.weights(), workload.activations(), strict=True):
        linear = torch.nn.Linear(*kernel.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(kernel.T))
            linear.bias.copy_(torch.from_numpy(bias))
        modules.append(linear)
        if activation == "softmax":
            modules += [] if logits else [torch.nn.Softmax(dim=-1)]
        elif activation != "identity":
            modules.append(_MODULES[activation]())
    return torch.nn.Sequential(*modules)


def adam(parameters: Any, rate: float, fused: bool) -> torch.optim.Optimizer:
    betas = (ADAM["beta_1"], ADAM["beta_2"])
    return torch.optim.Adam(parameters, lr=rate, betas=betas, eps=ADAM["epsilon"], fused=fused)


def training_step(
    forward: Callable[[], torch.Tensor], optimizer: torch.optim.Optimizer, compiled: bool = False
) -> Callable[[], torch.Tensor]:
    """A function that makes one step on the loss that `forward` computes."""
    run: Callable[[], torch.Tensor] = torch.compile(forward) if compiled else forward

    def call() -> torch.Tensor:
        optimizer.zero_grad()
        loss = run()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return call


def _step(task: Step, *, fused: bool, compiled: bool) -> Contender:
    workload = task.workload
    network = _network(workload, logits=True)
    if workload.optimizer == "adam":
        optimizer = adam(network.parameters(), workload.learning_rate, fused)
    else:
        optimizer = torch.optim.SGD(network.parameters(), lr=workload.learning_rate, fused=fused)
    x, y = torch.from_numpy(workload.inputs(workload.batch)), torch.from_numpy(workload.targets(workload.batch))
    loss_of = functional.cross_entropy if workload.loss == "cross_entropy" else functional.mse_loss

    def forward() -> torch.Tensor:
        return loss_of(network(x), y)

    call = training_step(forward, optimizer, compiled)

    def parameters() -> list[Any]:
        return [p.detach().numpy().T for p in network.parameters()]

    return Contender(call, lambda: peers.step_results(call, parameters))


def step(task: Step) -> Contender:
    return _step(task, fused=False, compiled=False)


def step_fused(task: Step) -> Contender:
    return _step(task, fused=True, compiled=False)


def step_compiled(task: Step) -> Contender:
    return _step(task, fused=True, compiled=True)


def predict(task: Prediction) -> Contender:
    network = _network(task.workload, logits=False).eval()
    x = torch.from_numpy(task.workload.inputs(task.batch))

    @torch.inference_mode()
    def call() -> torch.Tensor:
        return network(x)

    return Contender(call, lambda: {"output": call().numpy()})


def product(task: Product) -> Contender:
    a, b = (torch.from_numpy(array) for array in task.operands())
    left, right = a.t() if task.transpose_a else a, b.t() if task.transpose_b else b
    out = torch.empty((task.m, task.n))

    def call() -> torch.Tensor:
        return torch.mm(left, right, out=out)

    return Contender(call, lambda: {"output": call().numpy().copy()})


def elementwise(task: Elementwise) -> Contender:
    if task.function == "adam":
        return _adam_update(task)
    aten = torch.ops.aten
    x, out = torch.from_numpy(task.x()), torch.empty(task.shape)
    dy, y = torch.from_numpy(task.dy()), torch.from_numpy(task.y())
    calls: dict[str, Callable[[], torch.Tensor]] = {
        "relu": lambda: aten.relu.out(x, out=out),
        "sigmoid": lambda: aten.sigmoid.out(x, out=out),
        "tanh": lambda: aten.tanh.out(x, out=out),
        "gelu": lambda: aten.gelu.out(x, out=out),
        "softmax": lambda: aten._softmax.out(x, -1, False, out=out),
        "relu backward": lambda: aten.threshold_backward.grad_input(dy, y, 0, grad_input=out),
        "sigmoid backward": lambda: aten.sigmoid_backward.grad_input(dy, y, grad_input=out),
        "tanh backward": lambda: aten.tanh_backward.grad_input(dy, y, grad_input=out),
        "gelu backward": lambda: aten.gelu_backward.grad_input(dy, x, grad_input=out),
    }
    call = calls[task.function]
    return Contender(call, lambda: {"output": call().numpy().copy()})


def _adam_update(task: Elementwise) -> Contender:
    p = torch.from_numpy(task.x().ravel()).requires_grad_()
    p.grad = torch.from_numpy(task.dy().ravel())
    optimizer = adam([p], 1e-3, fused=True)

    def call() -> float:
        optimizer.step()
        return 1.0

    return Contender(call, lambda: peers.step_results(call, lambda: [np.asarray(p.detach())]))


def batched_product(task: BatchedProduct) -> Contender:
    a, b = (torch.from_numpy(array) for array in task.operands())
    return Contender(lambda: torch.bmm(a, b), lambda: {"output": torch.bmm(a, b).numpy()})


def chain(task: Chain) -> Contender:
    x, y = (torch.from_numpy(array) for array in task.operands())
    function = EXPRESSIONS[task.expression]
    return Contender(lambda: function(torch, x, y), lambda: {"output": function(torch, x, y).numpy()})


def reduction(task: Reduction) -> Contender:
    x = torch.from_numpy(task.x())
    function = getattr(torch, "amax" if task.function == "max" else task.function)
    axes = (0, 1) if task.axis is None else task.axis

    def call() -> torch.Tensor:
        result: torch.Tensor = function(x, axes)
        return result

    return Contender(call, lambda: {"output": call().numpy()})
