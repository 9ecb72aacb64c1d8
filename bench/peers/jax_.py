"""JAX: one compiled function whose state is donated, so that it is updated in place.

JAX runs calls asynchronously. The steps of a round follow each other without waiting, as in a training loop, and the
round ends when the last one is done; predictions are waited for.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bench import peers
from bench.peers import Contender
from bench.workloads import (
    ADAM,
    EXPRESSIONS,
    BatchedProduct,
    Chain,
    Elementwise,
    Prediction,
    Product,
    Step,
    Workload,
)

_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "gelu": partial(jax.nn.gelu, approximate=False),
    "softmax": jax.nn.softmax,
    "identity": lambda z: z,
}


def _weights(workload: Workload) -> list[Any]:
    # Copies: JAX may otherwise keep using NumPy's memory, which must not be donated.
    return [jnp.array(array, copy=True) for pair in workload.weights() for array in pair]


def _forward(workload: Workload, weights: list[Any], x: Any, *, logits: bool) -> Any:
    for layer, activation in enumerate(workload.activations()):
        x = x @ weights[2 * layer] + weights[2 * layer + 1]
        if not (logits and activation == "softmax"):
            x = _ACTIVATIONS[activation](x)
    return x


def _loss(workload: Workload, weights: list[Any], x: Any, y: Any) -> Any:
    output = _forward(workload, weights, x, logits=True)
    if workload.loss == "mse":
        return jnp.mean((output - y) ** 2)
    chosen = jnp.take_along_axis(jax.nn.log_softmax(output), y[:, None], axis=1)
    return -jnp.mean(chosen)


def adam(state: Any, gradients: Any, rate: float) -> Any:
    """State after a step: parameters, first and second moments, number of steps."""
    parameters, m, v, steps = state
    steps = steps + 1
    first, second = 1 - ADAM["beta_1"] ** steps, 1 - ADAM["beta_2"] ** steps
    m = jax.tree.map(lambda m, g: ADAM["beta_1"] * m + (1 - ADAM["beta_1"]) * g, m, gradients)
    v = jax.tree.map(lambda v, g: ADAM["beta_2"] * v + (1 - ADAM["beta_2"]) * g * g, v, gradients)

    def update(p: Any, m: Any, v: Any) -> Any:
        return p - rate * (m / first) / (jnp.sqrt(v / second) + ADAM["epsilon"])

    return jax.tree.map(update, parameters, m, v), m, v, steps


def first_state(parameters: list[Any]) -> Any:
    return parameters, [jnp.zeros_like(p) for p in parameters], [jnp.zeros_like(p) for p in parameters], jnp.float32(0)


def step(task: Step) -> Contender:
    workload = task.workload
    is_adam = workload.optimizer == "adam"
    x, y = jnp.asarray(workload.inputs(workload.batch)), jnp.asarray(workload.targets(workload.batch))
    state = first_state(_weights(workload)) if is_adam else (_weights(workload),)

    @partial(jax.jit, donate_argnums=0)
    def update(state: Any, x: Any, y: Any) -> Any:
        loss, gradients = jax.value_and_grad(partial(_loss, workload))(state[0], x, y)
        if is_adam:
            return adam(state, gradients, workload.learning_rate), loss
        return (jax.tree.map(lambda p, g: p - workload.learning_rate * g, state[0], gradients),), loss

    def call() -> Any:
        nonlocal state
        state, loss = update(state, x, y)
        return loss

    return Contender(
        call, lambda: peers.step_results(call, lambda: state[0]), finish=lambda: jax.block_until_ready(state)
    )


def predict(task: Prediction) -> Contender:
    weights, x = _weights(task.workload), jnp.asarray(task.workload.inputs(task.batch))
    forward = jax.jit(partial(_forward, task.workload, logits=False))

    def call() -> Any:
        return forward(weights, x).block_until_ready()

    return Contender(call, lambda: {"output": np.asarray(call())})


def product(task: Product) -> Contender:
    a, b = (jnp.asarray(array) for array in task.operands())
    multiply = jax.jit(lambda a, b: (a.T if task.transpose_a else a) @ (b.T if task.transpose_b else b))

    def call() -> Any:
        return multiply(a, b).block_until_ready()

    return Contender(call, lambda: {"output": np.asarray(call())})


def elementwise(task: Elementwise) -> Contender | None:
    if task.function == "adam":
        return _adam_update(task)
    if task.function not in _ACTIVATIONS:
        return None
    x, function = jnp.asarray(task.x()), jax.jit(_ACTIVATIONS[task.function])

    def call() -> Any:
        return function(x).block_until_ready()

    return Contender(call, lambda: {"output": np.asarray(call())})


def _adam_update(task: Elementwise) -> Contender:
    state, gradients = first_state([jnp.array(task.x().ravel(), copy=True)]), [jnp.asarray(task.dy().ravel())]
    update = jax.jit(partial(adam, rate=1e-3), donate_argnums=0)

    def call() -> float:
        nonlocal state
        state = update(state, gradients)
        return 1.0

    return Contender(
        call, lambda: peers.step_results(call, lambda: state[0]), finish=lambda: jax.block_until_ready(state)
    )


def _jitted(function: Callable[..., Any], *arrays: Any) -> Contender:
    compiled, operands = jax.jit(function), [jnp.asarray(array) for array in arrays]

    def call() -> Any:
        return compiled(*operands).block_until_ready()

    return Contender(call, lambda: {"output": np.asarray(call())})


def batched_product(task: BatchedProduct) -> Contender:
    return _jitted(jnp.matmul, *task.operands())


def chain(task: Chain) -> Contender:
    return _jitted(partial(EXPRESSIONS[task.expression], jnp), *task.operands())
