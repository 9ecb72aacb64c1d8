"""JAX on images, channels last, with one compiled function per task."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from bench import peers
from bench.images import (
    NORM,
    Conv,
    Convolution,
    Dense,
    Dropout,
    Flatten,
    ImagePrediction,
    ImageStep,
    ImageWorkload,
    MaxPool,
    Normalization,
    Pooling,
)
from bench.peers import Contender, jax_

_ACTIVATIONS = {"identity": lambda z: z, "relu": jax.nn.relu, "softmax": jax.nn.softmax}


def _convolution(layer: Conv, x: Any, kernel: Any, bias: Any) -> Any:
    return bias + lax.conv_general_dilated(
        x, kernel, (layer.strides,) * 2, [(layer.padding,) * 2] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _windows(x: Any) -> Any:
    """(N, H, W, C) to (N, H/2, 2, W/2, 2, C)."""
    n, h, w, c = x.shape
    return x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c)


def _fits(workload: ImageWorkload) -> bool:
    """JAX itself has neither layers nor batch normalization; the two small networks are easy to write."""
    return all(isinstance(layer, Conv | MaxPool | Flatten | Dropout | Dense) for layer in workload.layers)


def _weights(workload: ImageWorkload) -> list[Any]:
    return [jnp.array(array, copy=True) for values in workload.weights() for array in values.values()]


def _forward(workload: ImageWorkload, weights: list[Any], x: Any, key: Any = None, *, logits: bool) -> Any:
    """The output of the network, with `logits` for training; with a `key` for random numbers, dropout is active."""
    remaining: Iterator[Any] = iter(weights)
    for layer in workload.layers:
        match layer:
            case Conv():
                x = _convolution(layer, x, next(remaining), next(remaining))
            case Dense():
                x = x @ next(remaining) + next(remaining)
            case MaxPool() if logits:
                x = _windows(x).max((2, 4))
            case MaxPool():
                # Quicker than the former, but its gradient takes ten times as long.
                x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
            case Flatten():
                x = x.reshape(len(x), -1)
            case Dropout() if key is not None:
                kept = jax.random.bernoulli(key, 1 - layer.rate, x.shape)
                x = jnp.where(kept, x / (1 - layer.rate), 0)
        name = getattr(layer, "activation", "identity")
        if not (logits and name == "softmax"):
            x = _ACTIVATIONS[name](x)
    return x


def step(task: ImageStep) -> Contender | None:
    workload = task.workload
    if not _fits(workload):
        return None
    x, y = jnp.asarray(workload.inputs(workload.batch)), jnp.asarray(workload.targets(workload.batch))
    state = (jax.random.key(0), *jax_.first_state(_weights(workload)))

    def loss_of(weights: list[Any], key: Any, x: Any, y: Any) -> Any:
        output = _forward(workload, weights, x, key, logits=True)
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(output), y[:, None], axis=1))

    @partial(jax.jit, donate_argnums=0)
    def update(state: Any, x: Any, y: Any) -> Any:
        key, now = jax.random.split(state[0])
        loss, gradients = jax.value_and_grad(loss_of)(state[1], now, x, y)
        return (key, *jax_.adam(state[1:], gradients, workload.learning_rate)), loss

    def call() -> Any:
        nonlocal state
        state, loss = update(state, x, y)
        return loss

    return Contender(
        call, lambda: peers.step_results(call, lambda: state[1]), finish=lambda: jax.block_until_ready(state)
    )


def predict(task: ImagePrediction) -> Contender | None:
    if not _fits(task.workload):
        return None
    weights, x = _weights(task.workload), jnp.asarray(task.workload.inputs(task.batch))
    forward = jax.jit(partial(_forward, task.workload, logits=False))

    def call() -> Any:
        return forward(weights, x).block_until_ready()

    return Contender(call, lambda: {"output": np.asarray(call())})


def convolve(task: Convolution) -> Contender:
    x, kernel, bias, dy = (jnp.asarray(array) for array in (task.x(), task.kernel(), task.bias(), task.dy()))
    forward = partial(_convolution, task.layer)
    if task.direction == "forward":
        compiled = jax.jit(forward)
        return Contender(
            lambda: compiled(x, kernel, bias).block_until_ready(),
            lambda: {"output": np.asarray(compiled(x, kernel, bias))},
        )

    @jax.jit
    def backward(x: Any, kernel: Any, bias: Any, dy: Any) -> Any:
        if task.input_gradient:
            return dict(zip(("dx", "dkernel", "dbias"), jax.vjp(forward, x, kernel, bias)[1](dy), strict=True))
        return dict(zip(("dkernel", "dbias"), jax.vjp(partial(forward, x), kernel, bias)[1](dy), strict=True))

    def call() -> Any:
        return jax.block_until_ready(backward(x, kernel, bias, dy))

    return Contender(call, lambda: {name: np.asarray(value) for name, value in call().items()})


def pool(task: Pooling) -> Contender:
    functions = {
        "max 2x2": lambda x: _windows(x).max((2, 4)),
        "average 2x2": lambda x: _windows(x).mean((2, 4)),
        "global average": lambda x: x.mean((1, 2)),
    }
    function = functions[task.function]
    x, dy = jnp.asarray(task.x()), jnp.asarray(task.dy())
    compiled = jax.jit((lambda x, dy: jax.vjp(function, x)[1](dy)[0]) if task.backward else lambda x, dy: function(x))

    def call() -> Any:
        return compiled(x, dy).block_until_ready()

    return Contender(call, lambda: {"output": np.asarray(call())})


def normalize(task: Normalization) -> Contender:
    x, dy = jnp.asarray(task.x()), jnp.asarray(task.dy())
    gamma, beta, mean, variance = (jnp.asarray(array) for array in task.parameters().values())

    def scaled(x: Any, gamma: Any, beta: Any, mean: Any, variance: Any) -> Any:
        return (x - mean) * (gamma * lax.rsqrt(variance + NORM["epsilon"])) + beta

    def training(x: Any, gamma: Any, beta: Any) -> Any:
        return scaled(x, gamma, beta, x.mean((0, 1, 2)), x.var((0, 1, 2)))

    def backward(x: Any, gamma: Any, beta: Any) -> Any:
        return dict(zip(("dx", "dgamma", "dbeta"), jax.vjp(training, x, gamma, beta)[1](dy), strict=True))

    def outputs(x: Any, gamma: Any, beta: Any) -> Any:
        return {"output": scaled(x, gamma, beta, mean, variance)}

    functions = {"training": lambda *a: {"output": training(*a)}, "backward": backward, "inference": outputs}
    compiled = jax.jit(functions[task.direction])

    def call() -> Any:
        return jax.block_until_ready(compiled(x, gamma, beta))

    return Contender(call, lambda: {name: np.asarray(value) for name, value in call().items()})
