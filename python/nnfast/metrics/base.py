"""The base class of all metrics."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from nnfast import losses
from nnfast.core.options import Configured
from nnfast.core.typing import Array, Shape, Spec

__all__ = ["Metric"]


class Measured(NamedTuple):
    """The output that a metric is of."""

    shape: Shape
    """Of a row."""
    loss: losses.Loss | None


class Metric(Configured):
    """Base class of all metrics. For most user-defined metrics a function is enough; see `FunctionMetric`.

    A user-defined class has a `name`, and an attribute for each constructor argument; `Trainer.resume` looks it up by
    name in `custom_objects`. It runs in evaluation and validation only, and defines either `evaluate`, or
    `reset_state`, `update_state` and `result`, if its value is not the mean of those of parts of the data.

    Attributes
    ----------
    name : str
        Name in the logs.
    higher_is_better : bool or None
        Which way the callbacks look with ``mode="auto"``; None if neither is better.

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.get("accuracy").name
    'accuracy'
    >>> metrics.get("mae").evaluate([[1.0]], [[3.0]])
    2.0

    The largest error, however the rows are divided into parts:

    >>> import numpy as np
    >>> class LargestError(metrics.Metric):
    ...     name = "largest_error"
    ...     higher_is_better = False
    ...     def reset_state(self):
    ...         self.largest = 0.0
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.largest = max(self.largest, np.abs(y_true - y_pred).max())
    ...     def result(self):
    ...         return self.largest
    >>> import nnfast as nf
    >>> net = nf.Network([nf.layers.Input((1,)), nf.layers.Activation("identity")])
    >>> nf.Trainer(net, loss="mse", metrics=[LargestError()]).evaluate([[1.0], [5.0]], [[2.0], [3.0]])
    {'loss': 2.5, 'largest_error': 2.0}
    """

    name: str
    higher_is_better: ClassVar[bool | None] = None
    _sum: Any = 0.0
    _weight = 0.0

    # ---- in the core ---------------------------------------------------------

    def spec(self, output: Measured) -> Spec | None:
        """Description for the core of the state that it collects; None if the metric runs in Python."""
        return None

    def value_of(self, state: Array, output: Measured) -> Any:
        """The value of the metric from the state that the core has collected: by default, of a weighted mean."""
        return _ratio(float(state[0]), float(state[1]))

    def check_targets(self, targets: Array, output_shape: Shape, loss: losses.Loss) -> None:
        """Refuse targets, in the core's form, for which the metric is undefined. For nnfast's own metrics."""

    # ---- in Python -----------------------------------------------------------

    def evaluate(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Any:
        """The value of the metric on arrays.

        Parameters
        ----------
        y_true : array_like (N, ...)
            Targets as passed by the caller.
        y_pred : array_like (N, ...)
            Predictions.
        sample_weight : array_like (N,), optional
            Passed only to a user-defined metric that is listed in ``weighted_metrics``, if there are weights.

        Returns
        -------
        float
        """
        raise NotImplementedError(
            f"{type(self).__name__}: expected a method evaluate, or reset_state, update_state and result"
        )

    def reset_state(self) -> None:
        """Forget what `update_state` has collected. Called before each evaluation."""
        self._sum, self._weight = 0.0, 0.0

    def update_state(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> None:
        """Add rows. By default, the value of `evaluate`, of which `result` is the mean over rows.

        Parameters
        ----------
        y_true, y_pred, sample_weight
            As in `evaluate`.
        """
        if sample_weight is None:
            weight, value = float(len(y_pred)), self.evaluate(y_true, y_pred)
        else:
            weight, value = float(sample_weight.sum()), self.evaluate(y_true, y_pred, sample_weight)
        if weight:
            self._sum, self._weight = self._sum + weight * value, self._weight + weight

    def result(self) -> Any:
        """The value of the metric on the rows since `reset_state`.

        Returns
        -------
        float or ndarray
        """
        return self._sum / self._weight if self._weight else float("nan")


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else float("nan")
