"""Functions as metrics."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from nnfast.core.options import function_name, inner_function
from nnfast.core.typing import Array
from nnfast.metrics.base import Measured, Metric

__all__ = ["FunctionMetric"]


class FunctionMetric(Metric):
    """A function (y_true, y_pred) of tensors or arrays.

    If it consists of operators and functions of `nnfast.ops` and returns one value per row, or one per element, which
    are averaged, it is compiled: the core computes it in training as well, as it does a `losses.FunctionLoss`. Any
    other function is called with arrays, in evaluation and validation only, and so are all functions of an output with
    a mask. Functions of scikit-learn may be passed as they are, see `nnfast.metrics`.

    By its name, `Trainer.resume` looks it up in `custom_objects`. As in scikit-learn, higher values are better if the
    name, or else that of the function, ends in "_score" or "accuracy", lower ones if it ends in "_loss", "_error" or
    "_deviance".

    Parameters
    ----------
    function : callable
        Called once for each form of targets with symbolic tensors: `y_true` of the output's shape, or class numbers.
        If it fails or does not return a tensor with a row for each of the batch, it is called with arrays: the targets
        as passed by the caller, and the predictions (N, ...). Among ``weighted_metrics``, it must return one value per
        row, whose weighted mean is reported.
    name : str, optional
        By default, that of the function. Two metrics of one function need it:
        ``FunctionMetric(partial(f1_score, average="macro"), name="macro_f1")``. It is then also the key in
        `custom_objects`.

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

    def __init__(self, function: Callable[[Any, Any], float], name: str | None = None) -> None:
        if not callable(function):
            raise TypeError(f"FunctionMetric: expected a function (y_true, y_pred) -> float, got {function!r}")
        _refuse_scorer(function)
        if name is not None and (not isinstance(name, str) or not name):
            raise ValueError(f"FunctionMetric: expected name as a str that is not empty, got {name!r}")
        own_name = function_name(function)
        if name is not None and name != own_name:
            function = partial(function)
            function.__name__ = name  # type: ignore[attr-defined]  # checkpoints look it up by this name
        self.function = function
        self.name = own_name if name is None else name

    @property
    def higher_is_better(self) -> bool | None:  # type: ignore[override]
        """Which way callbacks look with ``mode="auto"``; None if the name does not say."""
        for name in (self.name, function_name(inner_function(self.function))):
            if name.endswith(("_score", "accuracy")):
                return True
            if name.endswith(("_loss", "_error", "_deviance")):
                return False
        return None

    def evaluate(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        values = np.asarray(self.function(y_true, y_pred))
        if sample_weight is None:
            return float(np.mean(values))
        if values.ndim == 0 or len(values) != len(sample_weight):
            raise ValueError(
                f"{self.name}: expected one value for each row in weighted_metrics, got shape {values.shape}; put it "
                "into metrics, or return the values before their mean"
            )
        return float(np.average(values.reshape(len(values), -1).mean(axis=1), weights=sample_weight))


def _keywords(function: Any) -> dict[str, Any]:
    """The arguments within `functools.partial`; the outermost win."""
    return _keywords(function.func) | function.keywords if isinstance(function, partial) else {}


def _refuse_scorer(function: Any) -> None:
    """Refuse what `sklearn.metrics.make_scorer` returns, which takes an estimator and data."""
    scorer = inner_function(function)
    if not type(scorer).__module__.startswith("sklearn.metrics"):
        return
    wrapped = getattr(scorer, "_score_func", None)
    name = getattr(wrapped, "__name__", "f1_score")
    raise TypeError(
        f"metric: expected a function (y_true, y_pred), got the scorer {scorer!r}, a function of an estimator and "
        f"data; pass the function itself: {name}, or functools.partial({name}, ...) if it needs options"
    )


def is_of_scikit_learn(function: Any) -> bool:
    """Whether the function, or that within `functools.partial`, is one of ``sklearn.metrics``."""
    return str(getattr(inner_function(function), "__module__", "")).startswith("sklearn.metrics")


# Compiled with their first use, because most programs have none of these functions.
_SCORES = (
    r"(\w+_auc|average_precision|top_k_accuracy|(n?dcg)|d2_(log_loss|brier)|label_ranking_average_precision)_score"
    r"|log_loss|brier_score_loss|hinge_loss|coverage_error|label_ranking_loss"
)
"""The functions of scikit-learn that want probabilities or other scores."""
_VALUES = (
    r"(mean|median|root_mean)_\w+|max_error|r2_score|explained_variance_score|d2_(tweedie|pinball|absolute_error)_score"
)
"""Those of regressions; the others want class numbers."""


class SklearnMetric(FunctionMetric):
    """One of scikit-learn's functions, called once with all rows of an evaluation."""

    def arguments(self, y_true: Any, y_pred: Array, output: Measured) -> tuple[Any, Any]:
        if re.fullmatch(_VALUES, self._kind):
            return _columns(y_true), _columns(y_pred)
        if output.is_masked:
            raise ValueError(
                f"{self.name}: expected an output without a mask, of which scikit-learn does not know; use the metrics "
                "of nnfast"
            )
        scores = _probabilities(np.asarray(y_pred, "float64").reshape(-1, output.classes), output)
        truth = np.asarray(y_true)
        if output.answers_apart:
            answers = truth.reshape(-1, output.classes) > 0.5
            return _columns(answers.astype(int)), _columns(scores if self._wants_scores else (scores > 0.5).astype(int))
        one_hot = truth.size == scores.size
        classes = truth.reshape(scores.shape).argmax(axis=1) if one_hot else truth.reshape(-1)
        if not self._wants_scores:
            return classes, scores.argmax(axis=1)
        return classes, scores[:, 1] if output.classes == 2 else scores

    @property
    def _kind(self) -> str:
        return function_name(inner_function(self.function))

    @property
    def _wants_scores(self) -> bool:
        return re.fullmatch(_SCORES, self._kind) is not None

    def reset_state(self) -> None:
        self._true: list[Array] = []
        self._pred: list[Array] = []
        self._weights: list[Array] = []

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self._true.append(y_true)
        self._pred.append(y_pred)
        if sample_weight is not None:
            self._weights.append(np.repeat(sample_weight, len(y_pred) // len(sample_weight)))

    def result(self) -> Any:
        y_true, y_pred = np.concatenate(self._true), np.concatenate(self._pred)
        weights = np.concatenate(self._weights) if self._weights else None
        self.reset_state()
        return self.evaluate(y_true, y_pred, weights)

    def evaluate(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        options: dict[str, Any] = {} if sample_weight is None else {"sample_weight": sample_weight}
        given = _keywords(self.function)
        if self._wants_scores and np.ndim(y_true) == 1 and np.ndim(y_pred) == 2:
            if self._kind == "roc_auc_score":
                options["multi_class"] = "ovr"
            if self._kind in ("roc_auc_score", "log_loss", "top_k_accuracy_score"):
                options["labels"] = np.arange(y_pred.shape[1])
        value = self.function(y_true, y_pred, **{key: own for key, own in options.items() if key not in given})
        return float(value) if np.ndim(value) == 0 else np.asarray(value)


def _columns(array: Any) -> Array:
    """Rows of numbers, or one number for each row."""
    rows = np.asarray(array)
    rows = rows.reshape(len(rows), -1)
    return rows[:, 0] if rows.shape[1] == 1 else rows


def _probabilities(outputs: Array, output: Measured) -> Array:
    if not getattr(output.loss, "from_logits", False):
        return outputs
    if output.answers_apart:
        return 0.5 + 0.5 * np.tanh(outputs / 2)
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
