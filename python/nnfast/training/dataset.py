"""Rows, targets and weights for training, checked once and in the core's form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnfast.core.arrays import as_class_weights, as_targets, as_weights
from nnfast.core.typing import Array
from nnfast.graph.ends import number_of_rows
from nnfast.metrics import Metric

if TYPE_CHECKING:
    from nnfast.losses import Loss
    from nnfast.network import Network

__all__ = ["ArrayDataset"]


@dataclass(frozen=True, slots=True)
class ArrayDataset:
    """Checked rows with targets and weights, in the core's form, and the targets as the caller gave them."""

    x: Any
    """An array, or a list of them for several inputs."""
    y: Array
    weight: Array | None
    y_given: Any

    @classmethod
    def of(
        cls,
        network: Network,
        loss: Loss,
        measured: list[Metric],
        x: Any,
        y: Any,
        sample_weight: Any = None,
        class_weight: Mapping[Any, float] | None = None,
    ) -> ArrayDataset:
        """Check what a caller gave, for a loss and metrics."""
        rows = network.as_rows(x)
        count = number_of_rows(rows)
        targets = as_targets(y, count, network.output_shape, network.dtype, loss.targets)
        for metric in measured:
            metric.check_targets(targets, network.output_shape, loss)
        weights = as_weights(sample_weight, count, network.dtype)
        if class_weight is not None:
            by_class = as_class_weights(class_weight, targets, network.output_shape, network.dtype)
            with np.errstate(over="ignore"):  # infinity is found
                both = by_class if weights is None else weights * by_class
            weights = as_weights(both, count, network.dtype)
        return cls(rows, targets, weights, y)

    def __len__(self) -> int:
        return number_of_rows(self.x)

    def split(self, share: float) -> tuple[ArrayDataset, ArrayDataset]:
        """All but the last rows, and the last rows, which are so large a share of all."""
        rows = len(self)
        cut = rows - int(rows * share)
        if not 0 < cut < rows:
            raise ValueError(
                f"fit: expected a validation_split that leaves rows on both sides, got {share} of {rows} rows; pass "
                "validation_data instead, or another share"
            )
        given = np.asarray(self.y_given)

        def part(where: slice) -> ArrayDataset:
            weight = None if self.weight is None else self.weight[where]
            x = [array[where] for array in self.x] if isinstance(self.x, list) else self.x[where]
            return ArrayDataset(x, self.y[where], weight, given[where])

        return part(slice(None, cut)), part(slice(cut, None))
