"""Recurrent nodes of the core beside their reference: cases, inputs, passes."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import reference.recurrent as ref
from layer_passes import Passes, passes

from nnfast import layers
from nnfast.core.typing import Array, Shape
from nnfast.layers.base import MultiOutput

GATES = {"simple_rnn": 1, "gru": 3, "gru_before": 3, "lstm": 4}
CELLS = tuple(GATES)


class RecurrentNode(MultiOutput):
    """A node of the core with any attributes; further inputs are states and a mask."""

    num_inputs = None

    def __init__(self, cell: str, units: int, **attributes: Any) -> None:
        super().__init__()
        self.cell, self.units = cell, units
        self.op = cell.removesuffix("_before")
        self.attributes = {"units": units, **attributes}
        if cell == "gru_before":
            self.attributes["reset_after"] = 0

    def spec(self, input_shapes: list[Shape]) -> dict[str, Any]:
        return {"op": self.op, **self.attributes}

    def initializer(self, parameter: str) -> Any:
        return "glorot_uniform" if parameter != "bias" else "zeros"


@dataclass(frozen=True)
class Case:
    """A cell with attributes of its node."""

    cell: str
    attributes: dict[str, Any] = field(default_factory=dict)
    rows: int = 3
    steps: int = 3
    inputs: int = 2
    units: int = 3

    def has(self, attribute: str) -> bool:
        return bool(self.attributes.get(attribute, 0))

    @property
    def state_count(self) -> int:
        return 2 if self.cell == "lstm" else 1

    def node(self) -> layers.Layer:
        return RecurrentNode(self.cell, self.units, **self.attributes)

    def parameters(self, rng: np.random.Generator) -> dict[str, Array]:
        width = GATES[self.cell] * self.units
        made = {
            "kernel": rng.normal(size=(self.inputs, width)) / np.sqrt(self.inputs),
            "recurrent_kernel": rng.normal(size=(self.units, width)) / np.sqrt(self.units),
        }
        if self.attributes.get("use_bias", 1):
            made["bias"] = rng.normal(size=(2, width) if self.cell == "gru" else width)
        return made

    def arrays(self, rng: np.random.Generator) -> list[Array]:
        """The input, and states and a mask where the node takes them."""
        made = [rng.normal(size=(self.rows, self.steps, self.inputs))]
        if self.has("has_state"):
            made += [rng.normal(size=(self.rows, self.units)) for _ in range(self.state_count)]
        if self.has("has_mask"):
            mask = rng.random((self.rows, self.steps)) < 0.6
            mask[0] = True
            mask[-1, -1:] = False
            made.append(mask.astype(np.float64))
        return made

    def outputs(self, arrays: list[Array], parameters: dict[str, Array], dropout: Array | float = 1.0) -> list[Array]:
        """The reference's outputs."""
        y, last = ref.layer(
            self.cell,
            arrays[0],
            parameters,
            tuple(arrays[1 : 1 + self.state_count]) if self.has("has_state") else (),
            arrays[-1] if self.has("has_mask") else None,
            self.has("go_backwards"),
            (self.attributes.get("activation", "tanh"), self.attributes.get("recurrent_activation", "sigmoid")),
            dropout,
        )
        if self.has("go_backwards") and self.has("in_order"):
            y = y[:, ::-1]
        return [y if self.has("return_sequences") else last[0], *(last if self.has("return_state") else ())]

    def passes(self, arrays: list[Array], d_outputs: list[Any], parameters: dict[str, Array], dtype: str) -> Passes:
        """The core's outputs and gradients."""
        given = [np.ascontiguousarray(a, dtype=dtype) for a in arrays]
        gradients = [None if d is None else d.astype(dtype) for d in d_outputs]
        return passes(self.node(), given, gradients, {k: v.astype(dtype) for k, v in parameters.items()})

    def slopes(self, arrays: list[Array], d_outputs: list[Array], parameters: dict[str, Array]) -> list[Array]:
        """Gradients of the reference by central differences: by the input, the states, and the parameters by name."""
        count = len(arrays) - self.has("has_mask")

        def loss() -> float:
            outputs = self.outputs(arrays, parameters)
            return float(sum((d * y).sum() for d, y in zip(d_outputs, outputs, strict=True)))

        return [slope(loss, array) for array in (*arrays[:count], *(parameters[k] for k in sorted(parameters)))]


STEP = 1e-5  # of central differences: errors of about STEP^2 and of eps / STEP


def slope(loss: Any, array: Array) -> Array:
    """The derivative of loss() by each number of an array that it reads."""
    found = np.empty_like(array)
    for index in np.ndindex(array.shape):
        before = array[index]
        values = []
        for moved in (before + STEP, before - STEP):
            array[index] = moved
            values.append(loss())
        array[index] = before
        found[index] = (values[0] - values[1]) / (2 * STEP)
    return found
