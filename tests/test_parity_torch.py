"""Whole networks trained here and in PyTorch from the same parameters stay together, in float64."""

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

ROWS, FEATURES, UNITS, CLASSES, STEPS, RATE = 13, 7, 9, 5, 25, 0.02

# Rounding differs in each of some 1e3 operations that a parameter depends on; the steps spread it.
TOLERANCE = 1e-10

ACTIVATIONS = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": lambda x: torch.nn.functional.leaky_relu(x, 0.01),
    "elu": torch.nn.functional.elu,
    "selu": torch.selu,
    "gelu": torch.nn.functional.gelu,
    "gelu_tanh": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
    "silu": torch.nn.functional.silu,
    "softplus": torch.nn.functional.softplus,
    "softsign": torch.nn.functional.softsign,
    # Not torch.nn.functional.hardsigmoid, whose 1/6 has float32's digits in float64 too.
    "hard_sigmoid": lambda x: torch.clamp(x / 6 + 0.5, 0, 1),
}

OPTIMIZERS = {
    "sgd": (lambda: nf.optimizers.SGD(RATE), lambda p: torch.optim.SGD(p, RATE)),
    "momentum": (lambda: nf.optimizers.SGD(RATE, momentum=0.9), lambda p: torch.optim.SGD(p, RATE, momentum=0.9)),
    "nesterov": (
        lambda: nf.optimizers.SGD(RATE, momentum=0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, RATE, momentum=0.9, nesterov=True),
    ),
    "adam": (lambda: nf.optimizers.Adam(RATE, epsilon=1e-8), lambda p: torch.optim.Adam(p, RATE, eps=1e-8)),
}

LOSSES = {
    "mse": torch.nn.functional.mse_loss,
    "half_squared_error": lambda p, t: ((p - t) ** 2).sum(1).mean() / 2,
    "mae": torch.nn.functional.l1_loss,
    "sum_absolute_error": lambda p, t: (p - t).abs().sum(1).mean(),
    "huber": torch.nn.functional.huber_loss,
}


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    return rng.normal(size=(ROWS, FEATURES)), rng.normal(size=(ROWS, CLASSES)), rng.integers(0, CLASSES, ROWS)


def network(activation: str, last: str = "linear") -> nf.Network:
    """Dense layers, a skip by a sum, and a branch by a concatenation."""
    x = layers.Input((FEATURES,))
    first = layers.Dense(UNITS, activation=activation, name="first")(x)
    second = layers.Dense(UNITS, activation=activation, name="second")(first)
    joined = layers.Concatenate()([first + second, x])
    return nf.Network(
        inputs=x, outputs=layers.Dense(CLASSES, activation=last, name="last")(joined), seed=3, dtype="float64"
    )


def logits_in_torch(parameters: dict, x: "torch.Tensor", activation: str) -> "torch.Tensor":
    def dense(name: str, inputs: "torch.Tensor") -> "torch.Tensor":
        return inputs @ parameters[f"{name}.kernel"] + parameters[f"{name}.bias"]

    apply = ACTIVATIONS[activation]
    first = apply(dense("first", x))
    second = apply(dense("second", first))
    return dense("last", torch.cat([first + second, x], 1))


def assert_same_training(net: nf.Network, trainer: nf.Trainer, y: np.ndarray, loss, optimizer, activation: str) -> None:
    x = data()[0]
    parameters = {name: torch.tensor(value.copy(), requires_grad=True) for name, value in net.parameters.items()}
    steps = optimizer(list(parameters.values()))
    target = torch.tensor(y)
    for _ in range(STEPS):
        here = trainer.train_on_batch(x, y)
        steps.zero_grad()
        there = loss(logits_in_torch(parameters, torch.tensor(x), activation), target)
        there.backward()
        steps.step()
        assert here == pytest.approx(there.item(), rel=TOLERANCE)
    for name, value in net.parameters.items():
        np.testing.assert_allclose(value, parameters[name].detach().numpy(), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation: str) -> None:
    net = network(activation)
    trainer = nf.Trainer(net, loss="mse", optimizer=OPTIMIZERS["sgd"][0]())
    assert_same_training(net, trainer, data()[1], LOSSES["mse"], OPTIMIZERS["sgd"][1], activation)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name: str) -> None:
    net = network("tanh")
    here, there = OPTIMIZERS[name]
    trainer = nf.Trainer(net, loss="mse", optimizer=here())
    assert_same_training(net, trainer, data()[1], LOSSES["mse"], there, "tanh")


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str) -> None:
    net = network("tanh")
    trainer = nf.Trainer(net, loss=name, optimizer=OPTIMIZERS["sgd"][0]())
    assert_same_training(net, trainer, data()[1], LOSSES[name], OPTIMIZERS["sgd"][1], "tanh")


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(smoothing: float) -> None:
    net = network("tanh", last="softmax")
    loss = nf.losses.CrossEntropy(label_smoothing=smoothing)
    trainer = nf.Trainer(net, loss=loss, optimizer=OPTIMIZERS["adam"][0]())

    def in_torch(logits: "torch.Tensor", target: "torch.Tensor") -> "torch.Tensor":
        return torch.nn.functional.cross_entropy(logits, target, label_smoothing=smoothing)

    assert_same_training(net, trainer, data()[2], in_torch, OPTIMIZERS["adam"][1], "tanh")


def test_binary_cross_entropy() -> None:
    net = network("tanh", last="sigmoid")
    trainer = nf.Trainer(net, loss="binary_cross_entropy", optimizer=OPTIMIZERS["adam"][0]())
    y = (data()[1] > 0).astype(np.float64)
    there = torch.nn.functional.binary_cross_entropy_with_logits
    assert_same_training(net, trainer, y, there, OPTIMIZERS["adam"][1], "tanh")
