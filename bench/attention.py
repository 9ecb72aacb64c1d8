"""Attention, a block of a Transformer, and steps of a sequence one by one, described as data for all adapters."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bench.sequences import Recurrent
from bench.workloads import Array, Task, aligned


@dataclass(frozen=True, kw_only=True)
class Attention(Task):
    """y of causal attention, and with `backward` its gradients too: q, k and v of (N, T, H, d)."""

    batch: int
    steps: int
    heads: int = 4
    width: int = 32
    backward: bool = False

    kind = "attention"

    @property
    def name(self) -> str:
        both = ", forward and backward" if self.backward else ", forward"
        return f"causal attention, {self.heads} heads of {self.width}, {self.steps} steps, batch {self.batch}{both}"

    @property
    def amount(self) -> float:
        """Two products of half a square matrix forward; backward five, with the scores computed again."""
        seen = self.steps * (self.steps + 1) / 2
        return 2.0 * (7 if self.backward else 2) * self.batch * self.heads * seen * self.width

    def operands(self) -> tuple[Array, Array, Array, Array]:
        """q, k, v, dy."""
        rng = np.random.default_rng(6)
        shape = (self.batch, self.steps, self.heads, self.width)
        q, k, v, dy = (aligned(rng.standard_normal(shape, dtype=np.float32)) for _ in range(4))
        return q, k, v, dy


@dataclass(frozen=True, kw_only=True)
class BlockStep(Task):
    """Forward, loss, backward and update of one block of an encoder on one batch."""

    width: int = 128
    heads: int = 4
    steps: int = 64
    batch: int = 64
    learning_rate: float = 1e-5

    kind = "transformer block"
    names: ClassVar[tuple[str, ...]] = (
        *(f"self_attention.{part}" for part in ("query", "key", "value", "attention_output")),
        *("self_attention_norm", "feedforward", "feedforward_output", "feedforward_norm"),
    )
    """The parts of the block, in nnfast's order."""

    @staticmethod
    def comparable(weights: list[Array]) -> list[Array]:
        """Without the bias of the keys: softmax does not depend on it, so its gradient is nothing but rounding."""
        return weights[:3] + weights[4:]

    @property
    def name(self) -> str:
        return f"Transformer block of {self.width}, {self.heads} heads, {self.steps} steps, batch {self.batch}"

    @property
    def amount(self) -> float:
        """Twelve products of a square matrix with every step, and two of all pairs of steps; thrice, but for dx."""
        rows = self.batch * self.steps
        forward = 2.0 * rows * (12 * self.width**2 + 2 * self.steps * self.width)
        return 3 * forward - 2.0 * rows * 3 * self.width**2

    def weights(self) -> list[Array]:
        """Kernel (D, O) and bias (O,) of each part; gamma and beta of normalizations."""
        rng = np.random.default_rng(1)
        found: list[Array] = []
        for name in self.names:
            inputs = 4 * self.width if name == "feedforward_output" else self.width
            units = 4 * self.width if name == "feedforward" else self.width
            if name.endswith("norm"):
                found.append(aligned(1 + rng.uniform(-0.1, 0.1, units).astype(np.float32)))
            else:
                limit = np.sqrt(6 / (inputs + units))
                found.append(aligned(rng.uniform(-limit, limit, (inputs, units)).astype(np.float32)))
            found.append(aligned(rng.uniform(-0.1, 0.1, units).astype(np.float32)))
        return found

    def data(self) -> tuple[Array, Array]:
        rng = np.random.default_rng(2)
        x, y = (rng.standard_normal((self.batch, self.steps, self.width), dtype=np.float32) for _ in range(2))
        return aligned(x), aligned(y)


@dataclass(frozen=True, kw_only=True)
class NextStep(Task):
    """The output for one further step of each sequence, with the state kept."""

    workload: Recurrent
    batch: int = 1

    kind = "next step"

    @property
    def name(self) -> str:
        return f"one step at a time: {self.workload.name}, batch {self.batch}"

    @property
    def amount(self) -> float:
        return self.workload.forward_operations(self.batch) / self.workload.steps
