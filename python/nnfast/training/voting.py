"""What the members of an `Ensemble` vote for, and losses and metrics of votes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from nnfast.core.tensor import Tensor
from nnfast.layers import Activation, Input
from nnfast.losses import BinaryCrossEntropy, CrossEntropy, CustomLoss, FunctionLoss, Loss
from nnfast.network import Network

if TYPE_CHECKING:
    from nnfast.training.trainer import Trainer

__all__ = ["ballot", "identity", "losses_of"]

_SMALLEST = 1e-37
"""Smallest probability of which the logarithm is taken."""


def losses_of(trainer: Trainer | None) -> dict[int, Loss | None]:
    """The loss of each output that has one, by the number of the output."""
    return {} if trainer is None else {head.output: head.loss for head in trainer.heads.all}


def _activations(network: Network) -> list[str | None]:
    """The function that makes each output, if it is that of a layer."""
    found = {node["name"]: node.get("activation") for node in network.architecture.expand().nodes}
    return [found.get(name) for name in network.architecture.outputs.names]


def ballot(network: Network, trainer: Trainer | None, output: int) -> Callable[[Any], Any]:
    """The function that makes votes, 1 or 0, of an output of a member."""
    loss, activation = losses_of(trainer).get(output), _activations(network)[output]
    classes = network.architecture.outputs.split(network.output_shape, "output_shape")[output][-1]
    if isinstance(loss, CrossEntropy):
        return _for_class
    if isinstance(loss, BinaryCrossEntropy):
        return partial(_for_labels, threshold=0.0 if loss.from_logits else 0.5)
    unknown = loss is None or isinstance(loss, CustomLoss | FunctionLoss)
    if activation == "sigmoid" and (unknown or classes == 1):
        return partial(_for_labels, threshold=0.5)
    if activation == "softmax" or (loss is not None and classes > 1):
        return _for_class
    got = "no loss" if loss is None else f"loss={loss!r} and one output"
    raise ValueError(
        f"Ensemble: expected classes to vote on, from a softmax or sigmoid or with a loss that says so, got {got}; "
        'use combine="mean", or pass a loss such as loss="cross_entropy"'
    )


def _for_class(prediction: Any) -> Any:
    return (np.arange(prediction.shape[-1]) == prediction.argmax(axis=-1)[..., None]).astype("float64")


def _for_labels(prediction: Any, threshold: float) -> Any:
    return (prediction > threshold).astype("float64")


def identity(network: Network, voted: Mapping[int, Loss | None]) -> Network:
    """A network from the outputs of another to the same outputs, which evaluates losses and metrics of them.

    Some losses require probabilities to come from a softmax or sigmoid, and compute with its argument. Outputs that are
    fractions of votes, with their losses in `voted`, become logits where losses expect these.
    """
    ends, activations = network.architecture.outputs, _activations(network)
    inputs = [
        Input(shape, name=f"output {i}") for i, shape in enumerate(ends.split(network.output_shape, "output_shape"))
    ]
    outputs = []
    for i, name in enumerate(ends.names):
        loss = voted.get(i)
        if isinstance(loss, CrossEntropy | BinaryCrossEntropy) and loss.from_logits:
            function = "softmax" if isinstance(loss, CrossEntropy) else "sigmoid"
            tensor, activation = _argument_of(function, inputs[i])[0], "identity"
        else:
            tensor, activation = _argument_of(activations[i], inputs[i])
        outputs.append(Activation(activation, name=None if "#" in name or ":" in name else name)(tensor))
    return Network(inputs=ends.arrange(inputs), outputs=ends.arrange(outputs), seed=0, dtype=network.dtype)


def _argument_of(activation: str | None, values: Tensor) -> tuple[Tensor, str]:
    """A tensor whose softmax or sigmoid has the given values, and the name of the function; else the values."""
    from nnfast import ops

    if activation not in ("softmax", "sigmoid"):
        return values, "identity"
    log = ops.log(ops.maximum(values, _SMALLEST))
    if activation == "softmax":
        return log, activation
    return ops.subtract(log, ops.log(ops.maximum(ops.subtract(1.0, values), _SMALLEST))), activation
