"""Metrics, reported along with the loss: "accuracy", any loss, or a function of (y_true, y_pred).

Sample weights do not apply to metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnfast import losses
from nnfast.core.options import choose, custom_classes, description_of, from_config, module_names, public_classes
from nnfast.metrics import classification, function, loss
from nnfast.metrics.base import Metric
from nnfast.metrics.classification import *
from nnfast.metrics.function import *
from nnfast.metrics.loss import *

__all__ = ["Metric", "get"]
__all__ += classification.__all__
__all__ += function.__all__
__all__ += loss.__all__

__getattr__, __dir__ = module_names(__name__, __all__)

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
