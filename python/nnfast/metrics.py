"""Metrics: what is reported beside the loss. A metric is "accuracy", any loss, or a function of (y_true, y_pred)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nnfast import losses
from nnfast.core.options import (
    Configured,
    choose,
    custom_classes,
    description_of,
    from_config,
    function_name,
    module_names,
    public_classes,
)
from nnfast.core.typing import Array, Shape, Spec

__all__ = ["Accuracy", "FunctionMetric", "LossMetric", "Metric", "get"]

__getattr__, __dir__ = module_names(__name__, __all__)


class Metric(Configured):
    """Base of all metrics. A function is all that a metric of your own needs; see `FunctionMetric`.

    A class of your own has a `name`, a method `evaluate`, and each argument of its constructor as an attribute of the
    same name; `Trainer.resume` finds it by name in `custom_objects`.

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.get("accuracy").name
    'accuracy'
    >>> metrics.get("mae").evaluate([[1.0]], [[3.0]])
    2.0
    """

    name: str

    def spec(self) -> Spec | None:
        """The core's description of this metric; None for one that runs in Python, in evaluation alone."""
        return None

    def check_targets(self, targets: Array, output_shape: Shape, loss: losses.Loss) -> None:
        """Refuse targets, in the core's form, of which the metric says nothing. For nnfast's own metrics."""

    def evaluate(self, y_true: Array, y_pred: Array) -> float:
        """The metric of some rows; not for `Accuracy`, which the core alone computes.

        Parameters
        ----------
        y_true : array_like (N, ...)
            Targets as the caller gave them.
        y_pred : array_like (N, ...)
            Predictions.

        Returns
        -------
        float

        Raises
        ------
        NotImplementedError
            If the core alone computes the metric.
        ValueError, TypeError
            For arrays that do not fit the loss of a `LossMetric`.
        """
        raise NotImplementedError


class Accuracy(Metric):
    """Share of rows whose class is predicted right.

    The predicted class is the place of the largest output, the true one a class number or the place of the largest
    target. One output means class 1 where it is more than .5, or more than 0 where the loss takes it as a logit
    (``from_logits=True``), and a target of more than .5 means class 1. Several outputs beside "binary_cross_entropy"
    are as many answers of that kind, and the share of right ones counts (Keras calls it binary accuracy). Where a row
    has several positions, as (N, T, K) has, their mean counts.

    Raises
    ------
    ValueError
        From `fit` and `evaluate`, with a loss for any numbers such as "mse": if the targets are neither of two values
        nor rows of probabilities, as in a regression.

    Notes
    -----
    NaN where an output is NaN. Not differentiable, hence a metric and no loss. Sample weights do not matter.

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

    def spec(self) -> Spec | None:
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
    """Whether targets have two values, or are rows of probabilities, which add up to 1."""
    minimum, maximum = targets.min(), targets.max()
    if ((targets == minimum) | (targets == maximum)).all():
        return True
    return outputs > 1 and bool(minimum >= 0 and np.allclose(targets.sum(axis=-1), 1, atol=1e-3))


class LossMetric(Metric):
    """A loss, reported and not trained on.

    Parameters
    ----------
    loss : Loss or str
        Not a `losses.CustomLoss`: a list of metrics takes that as it is.

    Raises
    ------
    ValueError
        For an unknown name; the text gives the nearest valid one.
    TypeError
        For a class, a custom loss, or what is neither a loss nor a name.

    Notes
    -----
    Sample weights do not matter. A cross-entropy of probabilities is reported by evaluation and validation only, and
    for outputs (N, K): in training the core knows it only together with its softmax, as the loss.

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.LossMetric("mae").name
    'mae'
    """

    def __init__(self, loss: Any) -> None:
        self.loss = losses.get(loss)
        if isinstance(self.loss, losses.CustomLoss):
            raise TypeError(f"LossMetric: expected one of nnfast's losses, got {loss!r}; pass it as a metric as it is")
        self.name = self.loss.name

    def spec(self) -> Spec | None:
        of_probabilities = isinstance(self.loss, losses.CrossEntropy) and not self.loss.from_logits
        return None if of_probabilities else self.loss.spec()

    def check_targets(self, targets: Array, output_shape: Shape, loss: losses.Loss) -> None:
        if targets.dtype.kind != "f" and self.loss.targets != "classes":
            raise ValueError(
                f"y: expected one-hot targets because of the metric {self.name}, got class numbers; make them one-hot "
                f"with np.eye({output_shape[-1]})[y]"
            )

    def evaluate(self, y_true: Array, y_pred: Array) -> float:
        return self.loss(y_true, y_pred)


class FunctionMetric(Metric):
    """A Python function (y_true, y_pred) -> float, reported by evaluation and validation only.

    Parameters
    ----------
    function : callable
        Gets the targets as the caller gave them, as an array, and the predictions (N, ...).

    Raises
    ------
    TypeError
        If `function` is none. From `evaluate`, if it gives no number. What the function raises is passed on.

    Notes
    -----
    The metric's name is the function's; by it `Trainer.resume` finds the function in `custom_objects`. Sample weights
    do not matter.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import metrics
    >>> def largest_error(y_true, y_pred):
    ...     return float(np.abs(y_true - y_pred).max())
    >>> metric = metrics.FunctionMetric(largest_error)
    >>> metric.name, metric.evaluate(np.array([1.0, 2.0]), np.array([1.5, 2.0]))
    ('largest_error', 0.5)
    """

    def __init__(self, function: Callable[[Any, Any], float]) -> None:
        if not callable(function):
            raise TypeError(f"FunctionMetric: expected a function (y_true, y_pred) -> float, got {function!r}")
        self.function = function
        self.name = function_name(function)

    def evaluate(self, y_true: Array, y_pred: Array) -> float:
        return float(self.function(y_true, y_pred))


_NAMES = {c.name: c for c in public_classes(Metric).values() if "name" in vars(c)}
"""The metrics that need no argument."""
_ALIASES = {
    **losses.ALIASES,
    **dict.fromkeys(("acc", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy"), "accuracy"),
}


def get(metric: Any) -> Metric:
    """The metric that a name, a loss or a function stands for.

    Parameters
    ----------
    metric : Metric, Loss, str or callable

    Returns
    -------
    Metric

    Raises
    ------
    ValueError
        For an unknown name; the text gives the nearest valid one.
    TypeError
        For a class, or for anything else.

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.get("mse")
    LossMetric(MeanSquaredError())
    """
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, losses.CustomLoss):
        return FunctionMetric(metric)
    if isinstance(metric, losses.Loss):
        return LossMetric(metric)
    if isinstance(metric, type):
        raise TypeError(f"metric: expected a metric, got the class {metric.__name__}; write {metric.__name__}()")
    if callable(metric):
        return FunctionMetric(metric)
    name = choose("metric", metric, [*_NAMES, *losses.NAMES], _ALIASES)
    return _NAMES[name]() if name in _NAMES else LossMetric(name)


def describe(metric: Metric) -> str | dict[str, Any]:
    """A metric as a checkpoint keeps it; a function by its name alone."""
    if isinstance(metric, Accuracy):
        return metric.name
    if isinstance(metric, LossMetric):
        return metric.get_config()
    if isinstance(metric, FunctionMetric):
        if isinstance(metric.function, losses.CustomLoss):
            return {"loss": description_of(metric.function)}
        return {"function": metric.name}
    return description_of(metric)


def from_description(description: Any, custom_objects: Mapping[str, Any]) -> Metric:
    """The metric that `describe` wrote; functions and classes of the user's are found in `custom_objects`."""
    if isinstance(description, Mapping) and "function" in description:
        return get(custom_objects[choose("function in custom_objects", description["function"], custom_objects)])
    if isinstance(description, Mapping) and "class" in description:
        return from_config("metric", description, custom_classes(custom_objects, Metric))
    if isinstance(description, Mapping):
        return get(losses.get(description.get("loss"), custom_objects))
    return get(description)
