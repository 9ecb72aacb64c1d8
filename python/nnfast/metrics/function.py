"""Functions as metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnfast.core.options import function_name
from nnfast.core.typing import Array
from nnfast.metrics.base import Metric

__all__ = ["FunctionMetric"]


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

    def evaluate(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
        values = np.asarray(self.function(y_true, y_pred))
        if sample_weight is None:
            return float(np.mean(values))
        if values.ndim == 0 or len(values) != len(sample_weight):
            raise ValueError(
                f"{self.name}: expected one value for each row in weighted_metrics, got shape {values.shape}; put it "
                "into metrics, or return the values before their mean"
            )
        return float(np.average(values.reshape(len(values), -1).mean(axis=1), weights=sample_weight))
