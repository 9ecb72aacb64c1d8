"""Precision, recall and other figures of counts of right and wrong answers.

The outputs are read as in `nnfast.metrics.Accuracy`. Several positions per row, as in (N, T, K), are as many answers;
masked ones do not count. NaN among the outputs makes a metric NaN.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np

from nnfast.core.options import integer, real
from nnfast.core.typing import Array, Spec
from nnfast.metrics.base import Measured, limit_of, reading
from nnfast.metrics.classification import _OfAnswers, require_classes

__all__ = [
    "BalancedAccuracy",
    "CohenKappa",
    "ConfusionMatrix",
    "F1Score",
    "FBetaScore",
    "LabelAccuracy",
    "MatthewsCorrelation",
    "Precision",
    "Recall",
]

_MOST_CLASSES = 4096
"""Of a confusion matrix, which then has 128 MiB."""

Average = Literal["auto", "binary", "macro", "micro", "weighted"]
_AVERAGES = ("auto", "binary", "macro", "micro", "weighted")


class _Counts(NamedTuple):
    """Sums of weights; `hits`, `predicted` and `true` (J,) for each class or yes-or-no answer."""

    total: float
    hits: Array
    predicted: Array
    true: Array

    @classmethod
    def of(cls, state: Array) -> _Counts:
        """From the core's state. All are NaN if an output was NaN."""
        total, (hits, predicted, true) = float(state[0]), state[1:].reshape(3, -1)
        if math.isnan(total):
            hits, predicted, true = (np.full_like(part, math.nan) for part in (hits, predicted, true))
        return cls(total, hits, predicted, true)

    def by_class(self) -> _Counts:
        """Those of a single yes-or-no answer as those of two classes."""
        if len(self.hits) > 1:
            return self
        no_predicted, no_true = self.total - self.predicted, self.total - self.true
        no_hits = self.total - self.predicted - self.true + self.hits
        pairs = ((no_hits, self.hits), (no_predicted, self.predicted), (no_true, self.true))
        return _Counts(self.total, *(np.concatenate(pair) for pair in pairs))


def _quotient(numerator: Array, denominator: Array, otherwise: float = math.nan) -> Array:
    """Element by element; `otherwise` where the denominator is 0."""
    out = np.full(np.shape(denominator), otherwise)
    return np.asarray(np.divide(numerator, denominator, out=out, where=np.asarray(denominator) != 0))


class AverageOver:
    """How the figures of classes or labels become one: the options that precision, recall and areas share."""

    def __init__(self, where: str, average: Average | None, class_id: int | None) -> None:
        if average is not None and (not isinstance(average, str) or average not in _AVERAGES):
            raise ValueError(f"{where}: expected average as one of {', '.join(_AVERAGES)} or None, got {average!r}")
        if class_id is not None and average not in ("auto", None):
            raise ValueError(f"{where}: expected class_id or average, got both; one class has nothing to average")
        self.average = average
        self.class_id = None if class_id is None else integer(where, "class_id", class_id, minimum=0)

    def check(self, where: str, output: Measured, apart: bool) -> None:
        """Refuse outputs that do not fit."""
        if self.class_id is not None and self.class_id >= output.classes:
            raise ValueError(f"{where}: expected class_id below {output.classes}, got {self.class_id}")
        if self.average == "binary" and not _is_binary(output, apart):
            raise ValueError(
                f'{where}: expected one output or two classes because of average="binary", got {output.classes} '
                'outputs; use "macro", "micro", "weighted" or None'
            )

    def chosen(self, output: Measured, apart: bool) -> tuple[str | None, int | None]:
        """The average, and the class that alone counts."""
        if self.class_id is not None:
            return None, self.class_id
        binary = self.average == "binary" or (self.average == "auto" and _is_binary(output, apart))
        if binary:
            return None, output.classes - 1
        return "macro" if self.average == "auto" else self.average, None


def _is_binary(output: Measured, apart: bool) -> bool:
    return output.classes == 1 or (output.classes == 2 and not apart)


def mean_of(values: Array, counted: Array, weights: Array | None, otherwise: float) -> float:
    """The mean of the values that count and are not NaN."""
    counted = counted & ~np.isnan(values)
    if not counted.any():
        return math.nan if np.isnan(values).any() else otherwise
    if weights is None:
        return float(values[counted].mean())
    total = weights[counted].sum()
    return float((values[counted] * weights[counted]).sum() / total) if total else otherwise


class FBetaScore(_OfAnswers):
    r"""The weighted harmonic mean of precision and recall, F = (1 + b^2) tp / ((1 + b^2) tp + b^2 fn + fp).

    Here tp are the right "yes" answers, fp the wrong ones, and fn the missing ones, of one class against the others.

    Parameters
    ----------
    average : {"auto", "binary", "macro", "micro", "weighted"} or None, default "auto"
        "binary" is the figure of class 1, for a single output or two classes; "macro" the mean over classes or labels;
        "weighted" that mean with the number of their rows as weights; "micro" the figure of the sums of their counts.
        None returns an array with the figure of each. "auto" is "binary" for a single output or two classes, else
        "macro". As in scikit-learn, classes without rows and predictions are left out of averages.
    beta : float, default 1
        Larger values give more weight to recall.
    threshold : float, optional
        If given, each output is a yes-or-no answer, and yes if it, or the sigmoid of a logit, is larger. By default, it
        is 0.5 for yes-or-no answers, and of classes the largest output counts.
    class_id : int, optional
        Only the figure of this class or label.
    zero_division : 0, 1 or nan, default 0
        The value where the denominator is 0. NaN is left out of averages. If all sample weights are 0, or all positions
        are masked, the value is NaN in any case.
    name : str, default "fbeta_score"

    References
    ----------
    van Rijsbergen (1979), Information Retrieval, 2nd edition, chapter 7.

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.FBetaScore(beta=2.0).evaluate([1, 1, 0], [0.9, 0.1, 0.8])
    0.5
    """

    name = "fbeta_score"
    higher_is_better = True

    def __init__(
        self,
        average: Average | None = "auto",
        beta: float = 1.0,
        threshold: float | None = None,
        class_id: int | None = None,
        zero_division: float = 0.0,
        name: str = name,
    ) -> None:
        where = type(self).__name__
        self._over = AverageOver(where, average, class_id)
        self.average, self.class_id = average, self._over.class_id
        self.beta = real(where, "beta", beta, minimum=0.0)
        self.threshold = limit_of(where, threshold)
        if not isinstance(zero_division, int | float) or not (zero_division in (0, 1) or math.isnan(zero_division)):
            raise ValueError(f"{where}: expected zero_division as 0, 1 or nan, got {zero_division!r}")
        self.zero_division = float(zero_division)
        self.name = name

    def spec(self, output: Measured) -> Spec | None:
        self._over.check(self.name, output, output.is_read_apart(self.threshold))
        return {"name": "counts", **reading(output, self.threshold)}

    def _fraction(self, hits: Array, predicted: Array, true: Array) -> tuple[Array, Array]:
        """Numerators and denominators."""
        squared = self.beta**2
        return (1 + squared) * hits, squared * true + predicted

    def value_of(self, state: Array, output: Measured) -> Any:
        counts = _Counts.of(state)
        apart = output.is_read_apart(self.threshold)
        average, only = self._over.chosen(output, apart)
        numerator, denominator = self._fraction(*counts[1:])
        if not counts.total:
            numerator = np.full_like(numerator, math.nan)
            denominator = np.ones_like(numerator)
        if average == "micro":
            return float(_quotient(numerator.sum(), denominator.sum(), self.zero_division))
        values = _quotient(numerator, denominator, self.zero_division)
        if only is not None:
            return float(values[only])
        if average is None:
            return values
        occur = (counts.predicted + counts.true > 0) | np.isnan(values) | apart
        return mean_of(values, occur, counts.true if average == "weighted" else None, self.zero_division)


class F1Score(FBetaScore):
    """The harmonic mean of precision and recall, 2 tp / (2 tp + fn + fp).

    Parameters
    ----------
    average, threshold, class_id, zero_division
        As in `FBetaScore`.
    name : str, default "f1_score"

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import metrics
    >>> p = np.eye(3)[[0, 1, 2, 2]]
    >>> metrics.F1Score(average=None).evaluate([0, 1, 2, 1], p).round(2)
    array([1.  , 0.67, 0.67])
    """

    name = "f1_score"

    def __init__(
        self,
        average: Average | None = "auto",
        threshold: float | None = None,
        class_id: int | None = None,
        zero_division: float = 0.0,
        name: str = name,
    ) -> None:
        super().__init__(average, 1.0, threshold, class_id, zero_division, name)


class Precision(F1Score):
    """The fraction of the "yes" answers that are right, tp / (tp + fp).

    Of several classes, the largest output counts, as in scikit-learn; Keras compares each with 0.5, which is
    ``threshold=0.5`` here.

    Parameters
    ----------
    average, threshold, class_id, zero_division
        As in `FBetaScore`.
    name : str, default "precision"

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.Precision().evaluate([1, 1, 0, 0], [0.9, 0.2, 0.7, 0.1])
    0.5
    """

    name = "precision"

    def __init__(
        self,
        average: Average | None = "auto",
        threshold: float | None = None,
        class_id: int | None = None,
        zero_division: float = 0.0,
        name: str = name,
    ) -> None:
        super().__init__(average, threshold, class_id, zero_division, name)

    def _fraction(self, hits: Array, predicted: Array, true: Array) -> tuple[Array, Array]:
        return hits, predicted


class Recall(Precision):
    """The fraction of the answers that should be "yes" and are, tp / (tp + fn).

    Parameters
    ----------
    average, threshold, class_id, zero_division
        As in `FBetaScore`.
    name : str, default "recall"

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.Recall().evaluate([1, 1, 1, 0], [0.9, 0.6, 0.2, 0.1]) == 2 / 3
    True
    """

    name = "recall"

    def __init__(
        self,
        average: Average | None = "auto",
        threshold: float | None = None,
        class_id: int | None = None,
        zero_division: float = 0.0,
        name: str = name,
    ) -> None:
        super().__init__(average, threshold, class_id, zero_division, name)

    def _fraction(self, hits: Array, predicted: Array, true: Array) -> tuple[Array, Array]:
        return hits, true


class LabelAccuracy(_OfAnswers):
    """The accuracy of each label, or of each class against the others, as an array.

    Parameters
    ----------
    threshold : float, optional
        As in `FBetaScore`.
    name : str, default "label_accuracy"

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.LabelAccuracy(threshold=0.5).evaluate([[1, 0], [1, 0]], [[0.9, 0.1], [0.9, 0.9]])
    array([1. , 0.5])
    """

    name = "label_accuracy"
    higher_is_better = True

    def __init__(self, threshold: float | None = None, name: str = name) -> None:
        self.threshold = limit_of("LabelAccuracy", threshold)
        self.name = name

    def spec(self, output: Measured) -> Spec | None:
        return {"name": "counts", **reading(output, self.threshold)}

    def value_of(self, state: Array, output: Measured) -> Any:
        total, hits, predicted, true = _Counts.of(state)
        return _quotient(total - predicted - true + 2 * hits, np.full_like(hits, total))


class _OfClasses(_OfAnswers):
    """A figure of several classes, or of a single yes-or-no answer."""

    higher_is_better = True

    def __init__(self, threshold: float | None, name: str) -> None:
        self.threshold = limit_of(type(self).__name__, threshold)
        self.name = name

    def spec(self, output: Measured) -> Spec | None:
        if output.classes > 1:
            require_classes(self, output)
            if self.threshold is not None:
                raise ValueError(f"{self.name}: expected a threshold for a single output, got one for classes")
        return {"name": "counts", **reading(output, self.threshold)}

    def value_of(self, state: Array, output: Measured) -> Any:
        counts = _Counts.of(state).by_class()
        return self._value(counts) if counts.total else math.nan

    def _value(self, counts: _Counts) -> float:
        raise NotImplementedError


class BalancedAccuracy(_OfClasses):
    """The mean over classes of their recall; classes without rows are left out.

    Parameters
    ----------
    threshold : float, optional
        For a single output; 0.5 by default.
    name : str, default "balanced_accuracy"

    References
    ----------
    Brodersen et al. (2010), The balanced accuracy and its posterior distribution, DOI 10.1109/ICPR.2010.764.

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.BalancedAccuracy().evaluate([0, 0, 0, 1], [0.1, 0.2, 0.3, 0.4])
    0.5
    """

    name = "balanced_accuracy"

    def __init__(self, threshold: float | None = None, name: str = name) -> None:
        super().__init__(threshold, name)

    def _value(self, counts: _Counts) -> float:
        recall = _quotient(counts.hits, counts.true)
        return math.nan if math.isnan(counts.total) else mean_of(recall, counts.true > 0, None, math.nan)


class MatthewsCorrelation(_OfClasses):
    """The correlation of true and predicted classes, from -1 to 1; 0 if either has a single class.

    (c s - sum_k p_k t_k) / sqrt((s^2 - sum_k p_k^2) (s^2 - sum_k t_k^2)), where c rows of s are right, class k is
    predicted p_k times and true t_k times.

    Parameters
    ----------
    threshold : float, optional
        For a single output; 0.5 by default.
    name : str, default "matthews_correlation"

    References
    ----------
    Matthews (1975), DOI 10.1016/0005-2795(75)90109-9. Gorodkin (2004), Comparing two K-category assignments by a
    K-category correlation coefficient, DOI 10.1016/j.compbiolchem.2004.09.006.

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.MatthewsCorrelation().evaluate([0, 0, 1, 1], [0.1, 0.9, 0.9, 0.9]).__round__(4)
    0.5774
    """

    name = "matthews_correlation"

    def __init__(self, threshold: float | None = None, name: str = name) -> None:
        super().__init__(threshold, name)

    def _value(self, counts: _Counts) -> float:
        # Shares, because squares of counts would lose digits.
        right, predicted, true = (part / counts.total for part in (counts.hits.sum(), counts.predicted, counts.true))
        product = (1 - (predicted**2).sum()) * (1 - (true**2).sum())
        if math.isnan(product):
            return math.nan
        one_class = np.count_nonzero(predicted) < 2 or np.count_nonzero(true) < 2
        return 0.0 if one_class else float((right - (predicted * true).sum()) / math.sqrt(product))


class CohenKappa(_OfClasses):
    """The agreement of true and predicted classes beyond chance, (p_o - p_e) / (1 - p_e).

    Here p_o is the accuracy, and p_e that of answers drawn at random with the frequencies of the predictions. NaN if
    there is a single class.

    Parameters
    ----------
    threshold : float, optional
        For a single output; 0.5 by default.
    name : str, default "cohen_kappa"

    References
    ----------
    Cohen (1960), A coefficient of agreement for nominal scales, DOI 10.1177/001316446002000104.

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.CohenKappa().evaluate([0, 0, 1, 1], [0.1, 0.9, 0.9, 0.9])
    0.5
    """

    name = "cohen_kappa"

    def __init__(self, threshold: float | None = None, name: str = name) -> None:
        super().__init__(threshold, name)

    def _value(self, counts: _Counts) -> float:
        chance = float((counts.predicted * counts.true).sum()) / counts.total
        return float(_quotient(counts.hits.sum() - chance, np.asarray(counts.total - chance)))


class ConfusionMatrix(_OfAnswers):
    """Numbers of rows by true class (row) and predicted class (column), as an array (K, K).

    With sample weights, the sums of the weights. Several yes-or-no answers have a matrix (2, 2) each, of no and yes.

    Parameters
    ----------
    normalize : {"true", "pred", "all"}, optional
        Divide by the sums of rows, of columns, or of all; 0 where the sum is 0.
    threshold : float, optional
        As in `FBetaScore`.
    name : str, default "confusion_matrix"

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import metrics
    >>> metrics.ConfusionMatrix().evaluate([0, 1, 2, 1], np.eye(3)[[0, 1, 2, 2]])
    array([[1., 0., 0.],
           [0., 1., 1.],
           [0., 0., 1.]])
    """

    name = "confusion_matrix"

    def __init__(
        self,
        normalize: Literal["true", "pred", "all"] | None = None,
        threshold: float | None = None,
        name: str = name,
    ) -> None:
        if normalize is not None and normalize not in ("true", "pred", "all"):
            raise ValueError(f'ConfusionMatrix: expected normalize as "true", "pred", "all" or None, got {normalize!r}')
        self.normalize = normalize
        self.threshold = limit_of("ConfusionMatrix", threshold)
        self.name = name

    def spec(self, output: Measured) -> Spec | None:
        if output.is_read_apart(self.threshold):
            return {"name": "counts", **reading(output, self.threshold)}
        if output.classes > _MOST_CLASSES:
            raise ValueError(f"{self.name}: expected at most {_MOST_CLASSES} classes, got {output.classes}")
        return {"name": "confusion"}

    def value_of(self, state: Array, output: Measured) -> Any:
        matrices = (
            self._of_answers(state) if output.is_read_apart(self.threshold) else self._of_classes(state, output.classes)
        )
        if self.normalize is not None:
            axes: Any = {"true": -1, "pred": -2, "all": (-2, -1)}[self.normalize]
            sums = np.broadcast_to(matrices.sum(axis=axes, keepdims=True), matrices.shape)
            matrices = _quotient(matrices, sums, 0.0)
        return matrices

    @staticmethod
    def _of_classes(state: Array, classes: int) -> Array:
        matrix = state.reshape(classes, classes)
        return np.full_like(matrix, math.nan) if math.isnan(state[0]) else matrix.copy()

    @staticmethod
    def _of_answers(state: Array) -> Array:
        total, hits, predicted, true = _Counts.of(state)
        wrong, missed = predicted - hits, true - hits
        matrices = np.stack([total - predicted - missed, wrong, missed, hits], axis=-1).reshape(-1, 2, 2)
        return matrices[0] if len(matrices) == 1 else matrices
