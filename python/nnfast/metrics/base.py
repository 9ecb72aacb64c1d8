"""The base class of all metrics, and what it knows of the output that it is of."""

from __future__ import annotations

import math
from typing import Any, ClassVar, NamedTuple

import numpy as np

from nnfast import _core, losses
from nnfast.core.arrays import TargetKind, as_numbers, as_rows, as_targets, as_weights
from nnfast.core.options import Configured, real
from nnfast.core.typing import Array, Shape, Spec

__all__ = ["Metric"]


class Measured(NamedTuple):
    """The output that a metric is of."""

    shape: Shape
    """Of a row."""
    loss: losses.Loss | None
    """None outside of a trainer."""
    is_masked: bool = False

    @property
    def classes(self) -> int:
        """Size of the last axis."""
        return self.shape[-1] if self.shape else 1

    @property
    def answers_apart(self) -> bool:
        """Whether outputs are independent yes-or-no answers, rather than scores of classes."""
        return self.classes == 1 or isinstance(self.loss, losses.BinaryCrossEntropy)

    def is_read_apart(self, threshold: float | None) -> bool:
        """Likewise for a metric that may have a threshold, with which outputs are always independent."""
        return threshold is not None or self.answers_apart


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
        Which way callbacks look with ``mode="auto"``; None if neither is better.

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.get("accuracy").name
    'accuracy'
    >>> metrics.get("mae").evaluate([[1.0]], [[3.0]])
    2.0

    The largest error, however the rows are divided into parts:

    >>> import numpy as np
    >>> import nnfast as nf
    >>> class LargestError(metrics.Metric):
    ...     name = "largest_error"
    ...     higher_is_better = False
    ...
    ...     def reset_state(self):
    ...         self.largest = 0.0
    ...
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.largest = max(self.largest, float(np.abs(y_true - y_pred).max()))
    ...
    ...     def result(self):
    ...         return self.largest
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
        """Description for the core of the state that it collects; None if the metric runs in Python.

        Raises an error if the metric is not defined for such an output.
        """
        return None

    def value_of(self, state: Array, output: Measured) -> Any:
        """The value of the metric from the state that the core has collected: by default, of a weighted mean."""
        return float(state[0] / state[1]) if state[1] else math.nan

    def check_targets(self, targets: Array, output_shape: Shape, loss: losses.Loss | None) -> None:
        """Refuse targets, in the core's form, for which the metric is undefined. For nnfast's own metrics.

        `loss` is None outside of a trainer.
        """

    # ---- on arrays -----------------------------------------------------------

    def evaluate(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The value of the metric on arrays.

        Parameters
        ----------
        y_true : array_like (N, ...)
            Targets: of the shape of `y_pred`, or class numbers. A user-defined metric gets them as the caller has
            passed them.
        y_pred : array_like (N, ...)
            Predictions; a single axis stands for (N, 1). Those of several columns are of classes, unless the metric has
            an option that says something else.
        sample_weight : array_like (N,), optional
            0 or larger. Passed only to a user-defined metric that is among the ``weighted_metrics`` of a trainer, and
            only if there are weights.

        Returns
        -------
        float or ndarray

        Examples
        --------
        >>> from nnfast import metrics
        >>> metrics.Recall().evaluate([1, 1, 0, 0], [0.9, 0.2, 0.7, 0.1])
        0.5
        """
        spec, output, prediction, target, weight = self._arrays(y_true, y_pred, sample_weight)
        return self.value_of(_core.metric_state(spec, prediction, target, weight), output)

    def _arrays(
        self, y_true: Any, y_pred: Any, sample_weight: Any
    ) -> tuple[Spec, Measured, Array, Array, Array | None]:
        """What the core takes, checked: predictions, targets and weights."""
        prediction = predictions(y_pred)
        output = Measured(prediction.shape[1:], None)
        spec = self.spec(output)
        if spec is None:
            raise NotImplementedError(
                f"{type(self).__name__}: expected a method evaluate, or reset_state, update_state and result"
            )
        kind: TargetKind = "classes" if output.classes > 1 and np.ndim(y_true) < prediction.ndim else "real"
        target = as_targets(y_true, len(prediction), output.shape, "float64", kind)
        target = target.reshape(prediction.shape) if target.dtype.kind == "f" else target
        self.check_targets(target, output.shape, None)
        return spec, output, prediction, target, as_weights(sample_weight, len(prediction), "float64")

    # ---- on parts of the data ------------------------------------------------

    def arguments(self, y_true: Any, y_pred: Array, output: Measured) -> tuple[Any, Any]:
        """Targets and predictions for `update_state`. For nnfast's own metrics."""
        return y_true, y_pred

    def reset_state(self) -> None:
        """Forget what `update_state` has collected. Called before each evaluation."""
        self._sum, self._weight = 0.0, 0.0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add rows. By default, `result` is the mean over rows of the values of `evaluate`.

        Parameters
        ----------
        y_true, y_pred, sample_weight
            As in `evaluate`.
        """
        if sample_weight is None:
            weight, value = float(len(y_pred)), self.evaluate(y_true, y_pred)
        else:
            weight, value = float(np.sum(sample_weight)), self.evaluate(y_true, y_pred, sample_weight)
        if weight:
            self._sum, self._weight = self._sum + weight * value, self._weight + weight

    def result(self) -> Any:
        """The value of the metric on the rows since `reset_state`.

        Returns
        -------
        float or ndarray
        """
        return self._sum / self._weight if self._weight else math.nan


def predictions(y_pred: Any) -> Array:
    """Predictions of a caller (N, ...), at least two axes, as float64."""
    array = np.asarray(as_numbers(y_pred, "y_pred", "y_pred"))
    array = array[:, None] if array.ndim == 1 else array
    return as_rows(array, array.shape[1:], "float64", "y_pred").astype("float64")


def reading(output: Measured, threshold: float | None) -> Spec:
    """How the core reads yes-or-no answers, or classes if there is no threshold."""
    if not output.is_read_apart(threshold):
        return {"apart": 0}
    if not output.answers_apart and isinstance(output.loss, losses.CrossEntropy) and output.loss.from_logits:
        raise ValueError(
            f"threshold: expected probabilities, of a network that ends in a softmax, got {output.classes} logits; use "
            "cross_entropy with from_logits=False"
        )
    limit = 0.5 if threshold is None else threshold
    odds = 0.0 if limit <= 0 else np.inf if limit >= 1 else limit / (1 - limit)
    with np.errstate(divide="ignore"):
        logit = 0.0 if odds == 1 else float(_core.math_forward("log", np.array([odds]))[0])
    return {"apart": 1, "threshold": limit, "logit_threshold": logit}


def limit_of(where: str, threshold: float | None) -> float | None:
    """A threshold as a float."""
    return None if threshold is None else real(where, "threshold", threshold)
