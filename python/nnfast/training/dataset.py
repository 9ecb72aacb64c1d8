"""Rows, targets and weights for training, checked once and in the core's form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnfast.core.arrays import as_class_weights, as_rows, as_targets, as_weights, require_finite
from nnfast.core.typing import Array
from nnfast.metrics import Metric

if TYPE_CHECKING:
    from nnfast.losses import Loss
    from nnfast.network import Network

__all__ = ["ArrayDataset"]


@dataclass(frozen=True, slots=True)
class ArrayDataset:
    """Checked rows with targets and weights, in the core's form, and the targets as the caller gave them."""

    x: Array
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
        rows = as_rows(x, network.input_shape, network.dtype, network.layers[0].place)
        require_finite(rows, "x")
        targets = as_targets(y, len(rows), network.output_shape, network.dtype, loss.targets)
        for metric in measured:
            metric.check_targets(targets, network.output_shape, loss)
        weights = as_weights(sample_weight, len(rows), network.dtype)
        if class_weight is not None:
            by_class = as_class_weights(class_weight, targets, network.output_shape, network.dtype)
            with np.errstate(over="ignore"):  # infinity is found
                both = by_class if weights is None else weights * by_class
            weights = as_weights(both, len(rows), network.dtype)
        return cls(rows, targets, weights, y)

    def split(self, share: float) -> tuple[ArrayDataset, ArrayDataset]:
        """All but the last rows, and the last rows, which are so large a share of all."""
        rows = len(self.x)
        cut = rows - int(rows * share)
        if not 0 < cut < rows:
            raise ValueError(
                f"fit: expected a validation_split that leaves rows on both sides, got {share} of {rows} rows; pass "
                "validation_data instead, or another share"
            )
        given = np.asarray(self.y_given)

        def part(where: slice) -> ArrayDataset:
            weight = None if self.weight is None else self.weight[where]
            return ArrayDataset(self.x[where], self.y[where], weight, given[where])

        return part(slice(None, cut)), part(slice(cut, None))
