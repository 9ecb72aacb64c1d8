"""Recurrent networks, described as data for the adapters of all libraries.

Layouts are nnfast's, which are Keras's: sequences (N, T, D), gates i f c o and z r h.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.workloads import Array, Prediction, Step, aligned

GATES = {"SimpleRNN": 1, "GRU": 3, "LSTM": 4}


@dataclass(frozen=True)
class Recurrent:
    """Recurrent layers of one kind, and a dense layer. It has the attributes of a `Workload` that tasks read."""

    name: str
    cell: str
    units: int
    depth: int
    steps: int
    outputs: int
    batch: int
    features: int = 0
    vocabulary: int = 0
    """Input: numbers (N, T, features), or characters (N, T), which are embedded as vectors of `embedding` numbers and
    of which each one's successor is predicted. Otherwise a number per row is."""
    embedding: int = 0
    optimizer: str = "adam"
    learning_rate: float = 1e-5

    @property
    def reads_characters(self) -> bool:
        return self.vocabulary > 0

    @property
    def loss(self) -> str:
        return "cross_entropy" if self.reads_characters else "mse"

    @property
    def width(self) -> int:
        """Of the first recurrent layer's input."""
        return self.embedding or self.features

    def weights(self) -> list[Array]:
        """In nnfast's order: the embedding; kernel, recurrent kernel and bias of each layer; kernel and bias."""
        rng = np.random.default_rng(1)

        def uniform(rows: int, columns: int) -> Array:
            limit = np.sqrt(6 / (rows + columns))
            return aligned(rng.uniform(-limit, limit, (rows, columns)).astype(np.float32))

        found = [uniform(self.vocabulary, self.embedding)] if self.reads_characters else []
        columns, width = GATES[self.cell] * self.units, self.width
        for _ in range(self.depth):
            # A GRU that resets after the product has two biases.
            shape = (2, columns) if self.cell == "GRU" else (columns,)
            bias = rng.uniform(-0.1, 0.1, shape).astype(np.float32)
            found += [uniform(width, columns), uniform(self.units, columns), aligned(bias)]
            width = self.units
        return [*found, uniform(self.units, self.outputs), aligned(np.zeros(self.outputs, np.float32))]

    def inputs(self, rows: int) -> Array | NDArray[np.int32]:
        rng = np.random.default_rng(2)
        if self.reads_characters:
            return aligned(rng.integers(0, self.vocabulary, (rows, self.steps), dtype=np.int32))
        return aligned(rng.random((rows, self.steps, self.features), dtype=np.float32))

    def targets(self, rows: int) -> NDArray[np.int64] | Array:
        rng = np.random.default_rng(3)
        if self.reads_characters:
            return aligned(rng.integers(0, self.vocabulary, (rows, self.steps)))
        return aligned(rng.random((rows, self.outputs), dtype=np.float32))

    def forward_operations(self, rows: int) -> float:
        """Multiplications and additions of the matrix products."""
        columns, width, count = GATES[self.cell] * self.units, self.width, 0.0
        for _ in range(self.depth):
            count += self.steps * (width + self.units) * columns
            width = self.units
        count += (self.steps if self.reads_characters else 1) * self.units * self.outputs
        return 2.0 * rows * count

    def step_operations(self) -> float:
        """Operations forward, and twice as many backward, except those of the unused gradient of numbers."""
        first = 2.0 * self.batch * self.steps * self.features * GATES[self.cell] * self.units
        return 3 * self.forward_operations(self.batch) - first


def characters(cell: str) -> Recurrent:
    sizes = {"units": 128, "depth": 2, "steps": 50, "outputs": 65, "batch": 50, "vocabulary": 65, "embedding": 128}
    return Recurrent(f"characters, 2 {cell} of 128, 50 steps", cell, **sizes)


def time_series(cell: str) -> Recurrent:
    return Recurrent(f"time series, {cell} of 32, 20 steps", cell, 32, 1, 20, 1, 64, features=8)


@dataclass(frozen=True, kw_only=True)
class RecurrentStep(Step):
    """Forward, loss, backward and update on one batch."""

    workload: Recurrent  # type: ignore[assignment]

    kind = "recurrent step"


@dataclass(frozen=True, kw_only=True)
class RecurrentPrediction(Prediction):
    """The network's output for one batch."""

    workload: Recurrent  # type: ignore[assignment]

    kind = "recurrent prediction"
