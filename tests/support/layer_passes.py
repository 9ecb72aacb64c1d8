"""A layer by itself: its outputs, and its gradients for given gradients of the outputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array, Shape


class Start(layers.CustomLayer):
    """y = x; keeps its gradient. Its parameter, which does nothing, lets the gradient come so far."""

    gradient: Any = None  # where none arrives

    def parameter_shapes(self, input_shape: Any) -> dict[str, Shape]:
        return {"unused": (1,)}

    def forward(self, inputs: list[Array], output: Array, parameters: dict[str, Array], training: bool) -> None:
        output[...] = inputs[0]

    def backward(self, d_output: Array, d_inputs: list[Array], *others: Any) -> None:
        self.gradient = d_output.copy()
        d_inputs[0][...] = d_output


class End(layers.CustomLayer):
    """Keeps its inputs, and gives each the gradient that it is told."""

    def __init__(self, gradients: Sequence[Array]) -> None:
        super().__init__()
        self.gradients = gradients

    def output_shape(self, input_shape: Any) -> Shape:
        return (1,)

    def forward(self, inputs: list[Array], output: Array, parameters: dict[str, Array], training: bool) -> None:
        self.values = [x.copy() for x in inputs]
        output[...] = 0

    def backward(self, d_output: Array, d_inputs: list[Array], *others: Any) -> None:
        for d_input, gradient in zip(d_inputs, self.gradients, strict=True):
            d_input[...] = gradient


@dataclass
class Passes:
    outputs: list[Array]
    d_inputs: list[Any]
    """None where no gradient passes."""
    d_parameters: dict[str, Array]
    """By the layer's own names."""


def passes(
    layer: layers.Layer,
    inputs: Sequence[Array],
    d_outputs: Sequence[Array | None],
    parameters: dict[str, Array] | None = None,
) -> Passes:
    """Forward and backward pass of a layer with these parameters; None for an output that nothing reads."""
    layer.take_name("examined")
    entries = [layers.Input(x.shape[1:]) for x in inputs]
    starts = [Start() for _ in inputs]
    tensors = [start(entry) for start, entry in zip(starts, entries, strict=True)]
    made: Any = layer(tensors if len(tensors) > 1 else tensors[0])
    outputs = made if isinstance(made, list) else [made]
    wanted = [i for i, gradient in enumerate(d_outputs) if gradient is not None]
    end = End([np.asarray(d_outputs[i]) for i in wanted])
    net = nf.Network(inputs=list(entries), outputs=end([outputs[i] for i in wanted]), seed=0, dtype=inputs[0].dtype)
    for name, value in (parameters or {}).items():
        net.parameters[f"examined.{name}"] = value
    found = net.loss_and_gradients(list(inputs), np.zeros((len(inputs[0]), 1), inputs[0].dtype), "mse")[1]
    own = {name.removeprefix("examined."): g for name, g in found.items() if name.startswith("examined.")}
    return Passes(end.values, [vars(start).get("gradient") for start in starts], own)
