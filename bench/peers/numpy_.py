"""Hand-written NumPy, with as few temporary arrays as possible."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bench import peers, workloads
from bench.peers import Contender
from bench.workloads import (
    ADAM,
    EXPRESSIONS,
    Array,
    BatchedProduct,
    Chain,
    Elementwise,
    Prediction,
    Product,
    Reduction,
    Step,
    Workload,
    aligned,
)


def product(task: Product) -> Contender:
    a, b = task.operands()
    left, right = a.T if task.transpose_a else a, b.T if task.transpose_b else b
    out = workloads.empty((task.m, task.n))

    def call() -> object:
        return np.matmul(left, right, out=out)

    return Contender(call, lambda: {"output": call().copy()})


def _activate(name: str, z: Array) -> Array:
    """In place."""
    if name == "relu":
        return np.maximum(z, 0, out=z)
    if name == "tanh":
        return np.tanh(z, out=z)
    if name == "sigmoid":
        np.exp(np.negative(z, out=z), out=z)
        return np.reciprocal(np.add(z, 1, out=z), out=z)
    if name == "softmax":
        z -= z.max(axis=-1, keepdims=True)
        np.exp(z, out=z)
        z /= z.sum(axis=-1, keepdims=True)
    return z


def _slope(name: str, y: Array) -> Array:
    """Derivative of an activation, from its output."""
    return {"relu": lambda: y > 0, "tanh": lambda: 1 - y * y, "sigmoid": lambda: y * (1 - y)}[name]()


def _forward(workload: Workload, weights: list[tuple[Array, Array]], x: Array) -> list[Array]:
    """The input and every layer's output."""
    values = [x]
    for (kernel, bias), activation in zip(weights, workload.activations(), strict=True):
        z = values[-1] @ kernel
        z += bias
        values.append(_activate(activation, z))
    return values


def _loss(workload: Workload, output: Array, y: NDArray[np.generic]) -> tuple[float, Array]:
    """The loss and its gradient with respect to the last layer's output before the activation."""
    if workload.loss == "cross_entropy":
        rows = np.arange(len(output))
        loss = -float(np.log(output[rows, y]).mean())
        output[rows, y] -= 1
        return loss, output / np.float32(len(output))
    error = output - y
    dz = error * np.float32(2 / error.size)
    if workload.output != "identity":
        dz *= _slope(workload.output, output)
    return float(np.mean(error * error)), dz


def _optimizer(workload: Workload, parameters: list[Array]) -> Callable[[list[Array]], None]:
    rate = workload.learning_rate
    if workload.optimizer == "sgd":

        def sgd(gradients: list[Array]) -> None:
            for p, g in zip(parameters, gradients, strict=True):
                p -= rate * g

        return sgd
    moments = [(aligned(np.zeros_like(p)), aligned(np.zeros_like(p))) for p in parameters]
    steps = 0

    def adam(gradients: list[Array]) -> None:
        nonlocal steps
        steps += 1
        first, second = 1 - ADAM["beta_1"] ** steps, 1 - ADAM["beta_2"] ** steps
        for p, g, (m, v) in zip(parameters, gradients, moments, strict=True):
            m += (1 - ADAM["beta_1"]) * (g - m)
            v += (1 - ADAM["beta_2"]) * (g * g - v)
            p -= rate / first * m / (np.sqrt(v / second) + ADAM["epsilon"])

    return adam


def step(task: Step) -> Contender:
    workload = task.workload
    weights = workload.weights()
    parameters = [array for pair in weights for array in pair]
    update = _optimizer(workload, parameters)
    x, y = workload.inputs(workload.batch), workload.targets(workload.batch)

    def call() -> float:
        values = _forward(workload, weights, x)
        loss, dz = _loss(workload, values[-1], y)
        gradients: list[Array] = []
        for layer in reversed(range(len(weights))):
            gradients[:0] = [values[layer].T @ dz, dz.sum(axis=0)]
            if layer:
                dz = dz @ weights[layer][0].T
                dz *= _slope(workload.hidden, values[layer])
        update(gradients)
        return loss

    return Contender(call, lambda: peers.step_results(call, lambda: parameters))


def predict(task: Prediction) -> Contender:
    weights, x = task.workload.weights(), task.workload.inputs(task.batch)

    def call() -> Array:
        return _forward(task.workload, weights, x)[-1]

    return Contender(call, lambda: {"output": call()})


def elementwise(task: Elementwise) -> Contender | None:
    if task.function not in ("relu", "tanh", "sigmoid", "softmax"):
        return None
    x, out = task.x(), workloads.empty(task.shape)

    def call() -> Array:
        if task.function == "relu":
            return np.maximum(x, 0, out=out)
        if task.function == "tanh":
            return np.tanh(x, out=out)
        np.copyto(out, x)
        return _activate(task.function, out)

    return Contender(call, lambda: {"output": call().copy()})


def reduction(task: Reduction) -> Contender:
    x, function = task.x(), getattr(np, task.function)

    def call() -> object:
        return function(x, task.axis)

    return Contender(call, lambda: {"output": np.asarray(call())})


def batched_product(task: BatchedProduct) -> Contender:
    a, b = task.operands()
    return Contender(lambda: np.matmul(a, b), lambda: {"output": np.matmul(a, b)})


def chain(task: Chain) -> Contender:
    x, y = task.operands()
    function = EXPRESSIONS[task.expression]
    return Contender(lambda: function(np, x, y), lambda: {"output": function(np, x, y)})
