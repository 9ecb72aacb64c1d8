"""Shares of correct answers.

Of several outputs, the largest is the predicted class. With the loss "binary_cross_entropy", for a single output, and
with an explicit threshold, outputs are independent yes-or-no answers instead: an answer is yes if the output is larger
than 0.5, or the logit larger than 0. NaN among the outputs makes a metric NaN.
"""

from __future__ import annotations

import numpy as np

from nnfast import losses
from nnfast.core.options import integer
from nnfast.core.typing import Array, Shape, Spec
from nnfast.metrics.base import Measured, Metric, limit_of, reading

__all__ = ["Accuracy", "BinaryAccuracy", "ExactMatch", "TopKCategoricalAccuracy"]


class Accuracy(Metric):
    """Fraction of rows that are classified correctly; NaN if an output is NaN.

    The predicted class is the index of the largest output, the true one a class index or the index of the largest
    target. A single output means class 1 if it is above 0.5, or above 0 if the loss takes it as a logit
    (``from_logits=True``), and a target above 0.5 means class 1. With "binary_cross_entropy", several outputs are as
    many such answers, and the fraction of correct ones counts (binary accuracy in Keras). Several positions per row, as
    in (N, T, K), are averaged.

    Parameters
    ----------
    name : str, default "accuracy"

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

    def __init__(self, name: str = name) -> None:
        self.name = name

    def spec(self, output: Measured) -> Spec | None:
        return {"name": "accuracy", **reading(output, None)}

    def check_targets(self, targets: Array, output_shape: Shape, loss: losses.Loss | None) -> None:
        if loss is not None and loss.targets != "real":
            return
        if targets.dtype.kind != "f" or _are_classes(targets, output_shape[-1]):
            return
        if loss is None and targets.min() >= 0 and targets.max() <= 1:
            return
        minimum, maximum = targets.min(), targets.max()
        other = targets[(targets != minimum) & (targets != maximum)][0]
        raise ValueError(
            f"{self.name}: expected classes, as one-hot rows or as 0 and 1, got targets such as {minimum:.6g}, "
            f'{other:.6g} and {maximum:.6g}; for a regression pass metrics=["mae"] instead'
        )


def _are_classes(targets: Array, outputs: int) -> bool:
    """Whether targets have two values, or are rows of probabilities, which sum to 1."""
    minimum, maximum = targets.min(), targets.max()
    if ((targets == minimum) | (targets == maximum)).all():
        return True
    return outputs > 1 and bool(minimum >= 0 and np.allclose(targets.sum(axis=-1), 1, atol=1e-3))


class BinaryAccuracy(Accuracy):
    """Fraction of correct yes-or-no answers, of which each output is one.

    Parameters
    ----------
    threshold : float, default 0.5
        An answer is yes if the output, or the sigmoid of a logit, is larger.
    name : str, default "binary_accuracy"

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.BinaryAccuracy(threshold=0.4).evaluate([[1, 0], [1, 0]], [[0.45, 0.1], [0.3, 0.9]])
    0.5
    """

    name = "binary_accuracy"

    def __init__(self, threshold: float = 0.5, name: str = name) -> None:
        super().__init__(name)
        self.threshold = limit_of(type(self).__name__, threshold)

    def spec(self, output: Measured) -> Spec | None:
        return {"name": "accuracy", **reading(output, self.threshold)}


class ExactMatch(BinaryAccuracy):
    """Fraction of rows, or of positions, all of whose yes-or-no answers are correct.

    It is the accuracy of several labels in scikit-learn.

    Parameters
    ----------
    threshold : float, default 0.5
        An answer is yes if the output, or the sigmoid of a logit, is larger.
    name : str, default "exact_match"

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.ExactMatch().evaluate([[1, 0], [1, 0]], [[0.9, 0.1], [0.9, 0.9]])
    0.5
    """

    name = "exact_match"

    def __init__(self, threshold: float = 0.5, name: str = name) -> None:
        super().__init__(threshold, name)

    def spec(self, output: Measured) -> Spec | None:
        return {"name": "accuracy", **reading(output, self.threshold), "exact": 1}


class TopKCategoricalAccuracy(Metric):
    """Fraction of rows whose class is among those with the k largest outputs.

    Of equal outputs, that of the smaller class number counts as larger, so that k = 1 is the accuracy and the same
    outputs for all classes are not all right. Several positions per row are averaged.

    Parameters
    ----------
    k : int, default 5
    name : str, default "top_k_categorical_accuracy"

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.TopKCategoricalAccuracy(k=2).evaluate([2, 2], [[0.5, 0.3, 0.2], [0.5, 0.2, 0.3]])
    0.5
    >>> metrics.get("top_3_accuracy")
    TopKCategoricalAccuracy(k=3, name='top_3_accuracy')
    """

    name = "top_k_categorical_accuracy"
    higher_is_better = True

    def __init__(self, k: int = 5, name: str = name) -> None:
        self.k = integer("TopKCategoricalAccuracy", "k", k)
        self.name = name

    def spec(self, output: Measured) -> Spec | None:
        require_classes(self, output)
        return {"name": "top_k", "k": self.k}


class _OfAnswers(Metric):
    """A metric of classes or yes-or-no answers, not of arbitrary numbers."""

    def check_targets(self, targets: Array, output_shape: Shape, loss: losses.Loss | None) -> None:
        if targets.dtype.kind != "f" or (targets.min() >= 0 and targets.max() <= 1):
            return
        count = int(targets.max()) + 1
        remedy = (
            f"classes from 0 to {count - 1} need {count} outputs with a softmax, and two others to be made 0 and 1, as "
            "by (y == y.max()).astype(float)"
        )
        if count < 3 or count > 10**6 or (targets != np.rint(targets)).any():
            remedy = "make classes 0 and 1, as by (y == y.max()).astype(float); for a regression use mae or r2_score"
        raise ValueError(
            f"{self.name}: expected targets 0 and 1, or probabilities between them, got {targets.min():.6g} to "
            f"{targets.max():.6g}; {remedy}"
        )


def require_classes(metric: Metric, output: Measured) -> None:
    """Refuse outputs that are not of classes."""
    if output.answers_apart:
        got = "a single one" if output.classes == 1 else f"{output.classes} yes-or-no answers"
        raise ValueError(f"{metric.name}: expected an output with one number for each class, got {got}")
