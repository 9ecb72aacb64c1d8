"""Losses as metrics."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnfast import losses
from nnfast.core.arrays import as_numbers
from nnfast.core.typing import Array, Shape, Spec
from nnfast.metrics.base import Measured, Metric, predictions

__all__ = ["LogLoss", "LossMetric"]


class LossMetric(Metric):
    """A loss that is reported but not trained on.

    With sample weights, the value is sum_i weight_i value_i / sum_i weight_i. A cross-entropy of probabilities, unless
    the network is trained on the same, is reported by evaluation and validation only, and for outputs (N, K): in
    training, the core computes it only together with its softmax.

    Parameters
    ----------
    loss : Loss or str
        Not a `losses.CustomLoss` or a function, which can be used as metrics directly.

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.LossMetric("huber").name
    'huber'
    """

    higher_is_better = False

    def __init__(self, loss: Any) -> None:
        self.loss = losses.get(loss)
        if isinstance(self.loss, losses.CustomLoss | losses.FunctionLoss):
            raise TypeError(f"LossMetric: expected one of nnfast's losses, got {loss!r}; pass it to metrics directly")
        self.name = self.loss.name

    def spec(self, output: Measured) -> Spec | None:
        return _in_core(self.loss, output)

    def check_targets(self, targets: Array, output_shape: Shape, loss: losses.Loss | None) -> None:
        if self.loss.targets != "classes":
            require_values(self.name, targets, output_shape)

    def evaluate(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if self.loss.spec().get("from_logits") == 0:
            return _mean(self.loss, y_true, y_pred, sample_weight)
        return super().evaluate(y_true, y_pred, sample_weight)


class LogLoss(Metric):
    """The cross-entropy of probabilities with the classes, -mean log p of the right class.

    It is "binary_cross_entropy" of yes-or-no answers, and "cross_entropy" of classes, of which `LossMetric` says when
    it is reported. Outputs that the loss takes as logits are logits here too.

    Parameters
    ----------
    name : str, default "log_loss"

    Examples
    --------
    >>> from nnfast import metrics
    >>> round(metrics.LogLoss().evaluate([0, 1], [[0.5, 0.5], [0.75, 0.25]]), 4)
    1.0397
    """

    name = "log_loss"
    higher_is_better = False

    def __init__(self, name: str = name) -> None:
        self.name = name

    def spec(self, output: Measured) -> Spec | None:
        return _in_core(_log_loss(output), output)

    def evaluate(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        return _mean(_log_loss(Measured(predictions(y_pred).shape[1:], None)), y_true, y_pred, sample_weight)


def _log_loss(output: Measured) -> losses.Loss:
    from_logits = getattr(output.loss, "from_logits", False)
    kind = losses.BinaryCrossEntropy if output.answers_apart else losses.CrossEntropy
    return kind(from_logits=from_logits)


def _in_core(loss: losses.Loss, output: Measured) -> Spec | None:
    """Description of a loss for the core, which computes a cross-entropy of probabilities beside its like only."""
    if isinstance(loss, losses.CrossEntropy) and not loss.from_logits:
        same = isinstance(output.loss, losses.CrossEntropy) and not output.loss.from_logits
        return loss.spec() if same else None
    return loss.spec()


def _mean(loss: losses.Loss, y_true: Any, y_pred: Any, sample_weight: Any) -> float:
    prediction = predictions(y_pred)
    if prediction.shape[1:] == (1,) and np.ndim(y_true) == 1:
        y_true = np.asarray(as_numbers(y_true, "y_true", "y_true"))[:, None]
    value = loss(y_true, prediction, sample_weight)
    if sample_weight is None:
        return value
    total = float(np.sum(sample_weight))
    return value * len(sample_weight) / total if total else float("nan")


def require_values(name: str, targets: Array, output_shape: Shape) -> None:
    """Refuse class numbers as targets of outputs (N, ..., K)."""
    if targets.dtype.kind != "f":
        raise ValueError(
            f"y: expected one-hot targets because of the metric {name}, got class numbers; make them one-hot with "
            f"np.eye({output_shape[-1]})[y]"
        )
