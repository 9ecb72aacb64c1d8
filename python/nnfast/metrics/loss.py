"""Losses as metrics."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnfast import losses
from nnfast.core.typing import Array, Shape, Spec
from nnfast.metrics.base import Measured, Metric

__all__ = ["LossMetric"]


class LossMetric(Metric):
    """A loss that is reported but not trained on.

    A cross-entropy of probabilities is reported by evaluation and validation only, and for outputs (N, K): in training,
    the core computes it only as the loss, together with its softmax.

    Parameters
    ----------
    loss : Loss or str
        Not a `losses.CustomLoss` or a function, which can be used as metrics directly.

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.LossMetric("mae").name
    'mae'
    """

    higher_is_better = False

    def __init__(self, loss: Any) -> None:
        self.loss = losses.get(loss)
        if isinstance(self.loss, losses.CustomLoss | losses.FunctionLoss):
            raise TypeError(f"LossMetric: expected one of nnfast's losses, got {loss!r}; pass it to metrics directly")
        self.name = self.loss.name

    def spec(self, output: Measured) -> Spec | None:
        of_probabilities = isinstance(self.loss, losses.CrossEntropy) and not self.loss.from_logits
        return None if of_probabilities else self.loss.spec()

    def check_targets(self, targets: Array, output_shape: Shape, loss: losses.Loss) -> None:
        if targets.dtype.kind != "f" and self.loss.targets != "classes":
            raise ValueError(
                f"y: expected one-hot targets because of the metric {self.name}, got class numbers; make them one-hot "
                f"with np.eye({output_shape[-1]})[y]"
            )

    def evaluate(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
        if sample_weight is None:
            return self.loss(y_true, y_pred)
        return self.loss(y_true, y_pred, sample_weight) * len(sample_weight) / float(np.sum(sample_weight))
