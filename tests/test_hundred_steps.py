"""A hundred steps of every optimizer beside PyTorch's, and Optax's for those that PyTorch does not have.

The same initial weights, data and order of batches. The loss is smooth, so that rounding errors hardly grow: parameters
agree to 1e-10 of the largest in float64, and to 1e-5 in float32.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers, optimizers
from nnfast.core.typing import Array

STEPS, ROWS, BATCH = 100, 24, 8
TOLERANCES = {"float32": 1e-5, "float64": 1e-10}
TINY = 1e-30
"""An epsilon that does not matter, where the libraries add it in different places."""


def network(dtype: str) -> nf.Network:
    return nf.Network([layers.Input((4,)), layers.Dense(6, "tanh"), layers.Dense(3)], seed=1, dtype=dtype)


def batches(dtype: str) -> list[tuple[Array, Array]]:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(ROWS, 4)).astype(dtype)
    y = np.sin(x @ rng.normal(size=(4, 3))).astype(dtype)
    parts = [slice(first, first + BATCH) for first in range(0, ROWS, BATCH)]
    return [(x[parts[i % len(parts)]], y[parts[i % len(parts)]]) for i in range(STEPS)]


def assert_agrees(
    optimizer: optimizers.Optimizer, there: Callable[[list[Array]], list[Array]], dtype: str, tolerance: float
) -> None:
    net = network(dtype)
    wanted = there([value.copy() for value in net.parameters.values()])
    trainer = nf.Trainer(net, loss="mse", optimizer=optimizer)
    for x, y in batches(dtype):
        trainer.train_on_batch(x, y)
    largest = max(np.abs(value).max() for value in wanted)
    for value, other in zip(net.parameters.values(), wanted, strict=True):
        np.testing.assert_allclose(value, other, rtol=0, atol=tolerance * largest)


# ---- PyTorch -------------------------------------------------------------------------------------


IN_TORCH: dict[str, tuple[Callable[[], optimizers.Optimizer], str, dict[str, Any]]] = {
    "sgd": (lambda: optimizers.SGD(0.05), "SGD", {"lr": 0.05}),
    "momentum": (lambda: optimizers.SGD(0.02, momentum=0.9), "SGD", {"lr": 0.02, "momentum": 0.9}),
    "nesterov": (
        lambda: optimizers.SGD(0.02, momentum=0.9, nesterov=True),
        "SGD",
        {"lr": 0.02, "momentum": 0.9, "nesterov": True},
    ),
    "adam": (lambda: optimizers.Adam(0.003, epsilon=1e-8), "Adam", {"lr": 0.003, "eps": 1e-8}),
    "amsgrad": (
        lambda: optimizers.Adam(0.003, epsilon=1e-8, amsgrad=True),
        "Adam",
        {"lr": 0.003, "eps": 1e-8, "amsgrad": True},
    ),
    "adamw": (
        lambda: optimizers.AdamW(0.003, 0.1, epsilon=1e-8, weight_decay_exclude=()),
        "AdamW",
        {"lr": 0.003, "eps": 1e-8, "weight_decay": 0.1},
    ),
    "nadam": (
        lambda: optimizers.Nadam(0.003, epsilon=1e-8, momentum_decay=0.004),
        "NAdam",
        {"lr": 0.003, "eps": 1e-8, "momentum_decay": 0.004},
    ),
    "adamax": (lambda: optimizers.Adamax(0.003, epsilon=TINY), "Adamax", {"lr": 0.003, "eps": TINY}),
    "adagrad": (
        lambda: optimizers.Adagrad(0.02, initial_accumulator_value=0.1, epsilon=TINY),
        "Adagrad",
        {"lr": 0.02, "initial_accumulator_value": 0.1, "eps": TINY},
    ),
    "adadelta": (
        lambda: optimizers.Adadelta(1.0, rho=0.9, epsilon=1e-6),
        "Adadelta",
        {"lr": 1.0, "rho": 0.9, "eps": 1e-6},
    ),
}


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", IN_TORCH)
def test_as_in_pytorch(name: str, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    here, kind, options = IN_TORCH[name]

    def there(values: list[Array]) -> list[Array]:
        parameters = [torch.tensor(value, requires_grad=True) for value in values]
        steps = getattr(torch.optim, kind)(parameters, **options)
        for x, y in batches(dtype):
            steps.zero_grad()
            w, b, v, c = parameters
            loss = ((torch.tanh(torch.tensor(x) @ w + b) @ v + c - torch.tensor(y)) ** 2).mean()
            loss.backward()
            steps.step()
        return [parameter.detach().numpy() for parameter in parameters]

    if name == "nadam" and dtype == "float64":
        pytest.skip("PyTorch keeps the product of the momenta in float32")
    assert_agrees(here(), there, dtype, TOLERANCES[dtype])


# ---- Optax ---------------------------------------------------------------------------------------


IN_OPTAX: dict[str, tuple[Callable[[], optimizers.Optimizer], Callable[[Any], Any]]] = {
    "rmsprop": (
        lambda: optimizers.RMSprop(0.003, rho=0.9, epsilon=1e-8),
        lambda optax: optax.rmsprop(0.003, decay=0.9, eps=1e-8, eps_in_sqrt=True),
    ),
    "centered": (
        lambda: optimizers.RMSprop(0.003, rho=0.9, epsilon=1e-8, centered=True),
        lambda optax: optax.rmsprop(0.003, decay=0.9, eps=1e-8, eps_in_sqrt=True, centered=True),
    ),
    "lion": (
        lambda: optimizers.Lion(0.001, beta_1=0.9, beta_2=0.99),
        lambda optax: optax.lion(0.001, b1=0.9, b2=0.99, weight_decay=0.0),
    ),
    "lamb": (
        lambda: optimizers.Lamb(0.003, epsilon=1e-6),
        lambda optax: optax.lamb(0.003, eps=1e-6),
    ),
    # Optax's look-ahead mixes other shares of the momentum, because it corrects its bias.
    "muon": (
        lambda: optimizers.Muon(0.003, nesterov=False, epsilon=1e-8),
        lambda optax: optax.contrib.muon(0.003, nesterov=False, consistent_rms=0.2, eps=1e-8),
    ),
}


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", IN_OPTAX)
def test_as_in_optax(name: str, dtype: str) -> None:
    optax = pytest.importorskip("optax")
    import jax
    import jax.numpy as jnp

    here, there_made = IN_OPTAX[name]

    def loss(parameters: list[Any], x: Any, y: Any) -> Any:
        w, b, v, c = parameters
        return jnp.mean((jnp.tanh(x @ w + b) @ v + c - y) ** 2)

    def there(values: list[Array]) -> list[Array]:
        with jax.enable_x64(dtype == "float64"):
            steps = there_made(optax)
            parameters = [jnp.asarray(value) for value in values]
            state = steps.init(parameters)

            @jax.jit
            def step(parameters: Any, state: Any, x: Any, y: Any) -> Any:
                updates, new = steps.update(jax.grad(loss)(parameters, x, y), state, parameters)
                return optax.apply_updates(parameters, updates), new

            for x, y in batches(dtype):
                parameters, state = step(parameters, state, x, y)
            return [np.asarray(value) for value in parameters]

    # Muon divides by a norm plus 1e-7; Optax's norm is that of a corrected mean, up to 20 times larger.
    assert_agrees(here(), there, dtype, max(TOLERANCES[dtype], 1e-6 if name == "muon" else 0.0))
