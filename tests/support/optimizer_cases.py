"""Every optimizer, and small networks to train with it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers, losses, optimizers
from nnfast.core.typing import Array

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])

EVERY: dict[str, Callable[[float], optimizers.Optimizer]] = {
    "sgd": optimizers.SGD,
    "momentum": lambda rate: optimizers.SGD(rate, momentum=0.9),
    "nesterov": lambda rate: optimizers.SGD(rate, momentum=0.9, nesterov=True),
    "adam": optimizers.Adam,
    "adam, amsgrad": lambda rate: optimizers.Adam(rate, amsgrad=True),
    "adamw": optimizers.AdamW,
    "nadam": optimizers.Nadam,
    "adamax": optimizers.Adamax,
    "lion": optimizers.Lion,
    "lamb": optimizers.Lamb,
    "muon": optimizers.Muon,
    "adagrad": optimizers.Adagrad,
    "adadelta": optimizers.Adadelta,
    "rmsprop": optimizers.RMSprop,
    "rmsprop, momentum": lambda rate: optimizers.RMSprop(rate, momentum=0.9),
    "rmsprop, centered": lambda rate: optimizers.RMSprop(rate, centered=True),
    "rmsprop, both": lambda rate: optimizers.RMSprop(rate, momentum=0.9, centered=True),
}
"""Optimizers with every set of state vectors, by the learning rate."""


class Given(losses.CustomLoss):
    """A loss of 1 in each row, with the gradient that the test asks for."""

    def __init__(self, slope: Any = 1.0) -> None:
        self.slope = slope

    def value(self, target: Array, prediction: Array) -> Array:
        return np.ones(len(target))

    def gradient(self, target: Array, prediction: Array) -> Array:
        return np.broadcast_to(np.asarray(self.slope, prediction.dtype), prediction.shape)


def chain(dtype: str = "float64", width: int = 3) -> nf.Network:
    return nf.Network(
        [layers.Input((width,)), layers.Dense(width, name="a"), layers.Dense(2, name="b")], seed=1, dtype=dtype
    )


def data(rng: np.random.Generator, width: int = 3) -> tuple[Array, Array]:
    return rng.normal(size=(5, width)), rng.normal(size=(5, 2))


def parts(trainer: nf.Trainer) -> list[bytes]:
    """The bits of everything that a step changes."""
    plan = trainer.plan
    return [part.tobytes() for part in (trainer.network.flat(), *plan.state().values())]
