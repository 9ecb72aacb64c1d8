"""Metrics of classifiers."""

from __future__ import annotations

import numpy as np

from nnfast import losses
from nnfast.core.typing import Array, Shape, Spec
from nnfast.metrics.base import Measured, Metric

__all__ = ["Accuracy"]


class Accuracy(Metric):
    """Fraction of rows that are classified correctly; NaN if an output is NaN.

    The predicted class is the index of the largest output, the true one a class index or the index of the largest
    target. A single output means class 1 if it is above 0.5, or above 0 if the loss takes it as a logit
    (``from_logits=True``), and a target above 0.5 means class 1. With "binary_cross_entropy", several outputs are as
    many such answers, and the fraction of correct ones counts (binary accuracy in Keras). Several positions per row, as
    in (N, T, K), are averaged.

    Raises
    ------
    ValueError
        From `fit` and `evaluate`, with a regression loss such as "mse": if the targets neither have two values nor are
        rows of probabilities.

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import layers, metrics
    >>> net = nf.Network([layers.Input((2,)), layers.Activation("softmax")])
    >>> trainer = nf.Trainer(net, loss="cross_entropy", metrics=[metrics.Accuracy()])
    >>> trainer.evaluate([[1.0, 2.0], [2.0, 1.0]], [1, 1])["accuracy"]
    0.5
    """

    name = "accuracy"
    higher_is_better = True

    def spec(self, output: Measured) -> Spec | None:
        return {"name": "accuracy"}

    def check_targets(self, targets: Array, output_shape: Shape, loss: losses.Loss) -> None:
        if loss.targets != "real" or _are_classes(targets, output_shape[-1]):
            return
        minimum, maximum = targets.min(), targets.max()
        other = targets[(targets != minimum) & (targets != maximum)][0]
        raise ValueError(
            f"accuracy: expected classes, as one-hot rows or as 0 and 1, got targets such as {minimum:.6g}, "
            f'{other:.6g} and {maximum:.6g}; for a regression pass metrics=["mae"] instead'
        )


def _are_classes(targets: Array, outputs: int) -> bool:
    """Whether targets have two values, or are rows of probabilities, which sum to 1."""
    minimum, maximum = targets.min(), targets.max()
    if ((targets == minimum) | (targets == maximum)).all():
        return True
    return outputs > 1 and bool(minimum >= 0 and np.allclose(targets.sum(axis=-1), 1, atol=1e-3))
