"""Metrics, reported along with the loss: "accuracy", any loss, or a function of (y_true, y_pred).

Sample weights do not apply to metrics.
"""

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
    """Base class of all metrics. For most user-defined metrics a function is enough; see `FunctionMetric`.

    A user-defined class has a `name`, a method `evaluate`, and an attribute for each constructor argument;
    `Trainer.resume` looks it up by name in `custom_objects`.

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
        """Description of this metric for the core; None if it runs in Python, in evaluation only."""
        return None

    def check_targets(self, targets: Array, output_shape: Shape, loss: losses.Loss) -> None:
        """Refuse targets, in the core's form, for which the metric is undefined. For nnfast's own metrics."""

    def evaluate(self, y_true: Array, y_pred: Array) -> float:
        """The value of the metric; not for `Accuracy`, which only the core computes.

        Parameters
        ----------
        y_true : array_like (N, ...)
            Targets as passed by the caller.
        y_pred : array_like (N, ...)
            Predictions.

        Returns
        -------
        float
        """
        raise NotImplementedError


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
    """Whether targets have two values, or are rows of probabilities, which sum to 1."""
    minimum, maximum = targets.min(), targets.max()
    if ((targets == minimum) | (targets == maximum)).all():
        return True
    return outputs > 1 and bool(minimum >= 0 and np.allclose(targets.sum(axis=-1), 1, atol=1e-3))


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

    def __init__(self, loss: Any) -> None:
        self.loss = losses.get(loss)
        if isinstance(self.loss, losses.CustomLoss | losses.FunctionLoss):
            raise TypeError(f"LossMetric: expected one of nnfast's losses, got {loss!r}; pass it to metrics directly")
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
    """A Python function (y_true, y_pred) -> float, or one value per row, called by evaluation and validation only.

    It may be written with NumPy, with `nnfast.ops`, or be one of scikit-learn's.

    Its name is that of the function, by which `Trainer.resume` looks it up in `custom_objects`.

    Parameters
    ----------
    function : callable
        Called with the targets as passed by the caller, as an array, and the predictions (N, ...).

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
        return float(np.mean(self.function(y_true, y_pred)))


_NAMES = {c.name: c for c in public_classes(Metric).values() if "name" in vars(c)}
"""Metrics without arguments."""
_ALIASES = {
    **losses.ALIASES,
    **dict.fromkeys(("acc", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy"), "accuracy"),
}


def get(metric: Any) -> Metric:
    """Look up or construct a metric.

    Parameters
    ----------
    metric : Metric, Loss, str or callable

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
    if isinstance(metric, losses.FunctionLoss):
        return FunctionMetric(metric.function)
    if isinstance(metric, losses.Loss):
        return LossMetric(metric)
    if isinstance(metric, type):
        raise TypeError(f"metric: expected a metric, got the class {metric.__name__}; write {metric.__name__}()")
    if callable(metric):
        return FunctionMetric(metric)
    name = choose("metric", metric, [*_NAMES, *losses.NAMES], _ALIASES)
    return _NAMES[name]() if name in _NAMES else LossMetric(name)


def describe(metric: Metric) -> str | dict[str, Any]:
    """Description of a metric for checkpoints; a function is stored by its name only."""
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
    """Metric from the output of `describe`; user-defined functions and classes are looked up in `custom_objects`."""
    if isinstance(description, Mapping) and "function" in description:
        return get(custom_objects[choose("function in custom_objects", description["function"], custom_objects)])
    if isinstance(description, Mapping) and "class" in description:
        return from_config("metric", description, custom_classes(custom_objects, Metric))
    if isinstance(description, Mapping):
        return get(losses.get(description.get("loss"), custom_objects))
    return get(description)
