"""Areas under curves of scores."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from nnfast.core.options import flag, integer
from nnfast.core.typing import Array, Spec
from nnfast.metrics.base import Measured
from nnfast.metrics.classification import _OfAnswers
from nnfast.metrics.counts import Average, AverageOver, mean_of

__all__ = ["AUC"]

_PARTS = 8
"""In how many steps the precision within a bin is averaged."""


class AUC(_OfAnswers):
    """The area under the ROC curve, or under the precision-recall curve (average precision).

    The first is the probability that the score of a row of the class is larger than that of another row, with ties
    counted half; the second the mean of the precision at the scores of the rows of the class. For several classes, each
    is taken against the others.

    On arrays, `evaluate` is exact. In a trainer, the scores are sorted into bins, which are narrower near 0 and 1, so
    that the memory is fixed and no data are kept.

    Parameters
    ----------
    curve : {"ROC", "PR"}, default "ROC"
    num_thresholds : int, optional
        Number of bins in a trainer, from 32 to 65536; by default 8192 for a single output, and with K outputs 8192 / K,
        but at least 256. In training, each step takes time proportional to it and to K.
    average : {"auto", "binary", "macro", "micro", "weighted"} or None, default "auto"
        As in `FBetaScore`; "micro" ranks all pairs of a row and a class together.
    class_id : int, optional
        Only the figure of this class or label.
    multi_label : bool, optional
        Whether several outputs are as many yes-or-no answers; by default, with the loss "binary_cross_entropy".
    name : str, default "auc"

    Notes
    -----
    Pairs of rows in the same bin count half, as ties do. So the area under the ROC curve differs from the exact one at
    most by half the fraction of pairs (a row of the class, another row) that share a bin, and is exact if no two rows
    with different scores do. Of the rows in a bin, the average precision takes those of the class as evenly spread
    among the others. The largest differences from scikit-learn's figures in 20 samples of calibrated scores, with 8192
    bins and exponentially distributed sample weights, are below; they are larger if one class is rare.

    ============  ========  =======  =======  ========  =======
    Rows of the   Weights   ROC,     ROC,     PR,       PR,
    class                   1000     10,000   1000      10,000
    ============  ========  =======  =======  ========  =======
    50 %          none      4.2e-5   3.8e-6   8.0e-5    7.3e-6
    50 %          given     9.0e-5   6.8e-6   4.3e-4    3.1e-5
    5 %           none      6.0e-5   7.1e-6   2.8e-4    5.3e-5
    5 %           given     1.6e-4   1.2e-5   3.2e-3    3.6e-4
    ============  ========  =======  =======  ========  =======

    Other samples may differ by a few times as much. The bins are made for probabilities and for logits of a loss with
    ``from_logits=True``. They are coarse for other scores: scores around 10^4 that differ by a few units share one bin,
    and the area is near 1/2. Let the network end in a sigmoid or softmax, or train it on logits. For exact figures,
    call `evaluate` on the output of `Network.predict`, or pass scikit-learn's function as a metric.

    Without rows of a class, or without others, its area is NaN and left out of averages.

    References
    ----------
    Hanley and McNeil (1982), The meaning and use of the area under a ROC curve, DOI 10.1148/radiology.143.1.7063747.

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.AUC().evaluate([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    >>> round(metrics.AUC("PR").evaluate([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """

    name = "auc"
    higher_is_better = True

    def __init__(
        self,
        curve: Literal["ROC", "PR"] = "ROC",
        num_thresholds: int | None = None,
        average: Average | None = "auto",
        class_id: int | None = None,
        multi_label: bool | None = None,
        name: str = name,
    ) -> None:
        if not isinstance(curve, str) or curve.upper() not in ("ROC", "PR"):
            raise ValueError(f'AUC: expected curve as "ROC" or "PR", got {curve!r}')
        self.curve = curve.upper()
        self.num_thresholds = (
            None
            if num_thresholds is None
            else integer("AUC", "num_thresholds", num_thresholds, minimum=32, upper_bound=2**16 + 1)
        )
        self._over = AverageOver("AUC", average, class_id)
        self.average, self.class_id = average, self._over.class_id
        self.multi_label = None if multi_label is None else flag("AUC", "multi_label", multi_label)
        self.name = name

    def _reads_apart(self, output: Measured) -> bool:
        return output.classes == 1 or (output.answers_apart if self.multi_label is None else self.multi_label)

    def spec(self, output: Measured) -> Spec | None:
        apart = self._reads_apart(output)
        self._over.check(self.name, output, apart)
        return {"name": "scores", "apart": int(apart), "bins": self._bins(output)}

    def _bins(self, output: Measured) -> int:
        return max(256, 8192 // output.classes) if self.num_thresholds is None else self.num_thresholds

    def value_of(self, state: Array, output: Measured) -> Any:
        average, only = self._over.chosen(output, self._reads_apart(output))
        parts = state[1:].reshape(output.classes, 1 + 2 * self._bins(output))
        if only is not None:
            parts = parts[only : only + 1]
        elif average == "micro":
            parts = parts.sum(axis=0, keepdims=True)
        count, yes, no = parts[:, 0], *np.split(parts[:, 1:], 2, axis=1)
        values = self._areas(count, yes, no)
        if math.isnan(state[0]):
            values[:] = math.nan
        return _average(values, yes.sum(axis=1), average, only)

    def evaluate(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        _, output, prediction, target, weight = self._arrays(y_true, y_pred, sample_weight)
        apart = self._reads_apart(output)
        average, only = self._over.chosen(output, apart)
        scores = prediction.reshape(-1, output.classes)
        if target.dtype.kind != "f":
            answers = target.reshape(-1, 1) == np.arange(output.classes)
        elif apart:
            answers = target.reshape(scores.shape) > 0.5
        else:
            answers = target.reshape(scores.shape).argmax(axis=1)[:, None] == np.arange(output.classes)
        weights = np.ones(len(scores)) if weight is None else np.repeat(weight, len(scores) // len(weight))
        counted = weights > 0
        scores, answers, weights = scores[counted], answers[counted], weights[counted]
        if average == "micro":
            weights = np.repeat(weights, output.classes)
            scores, answers = scores.reshape(-1, 1), answers.reshape(-1, 1)
        columns = range(scores.shape[1]) if only is None else [only]
        values = np.array([self._exact_area(answers[:, j], scores[:, j], weights) for j in columns])
        if np.isnan(scores).any():
            values[:] = math.nan
        return _average(values, weights @ answers[:, columns], average, only)

    def _exact_area(self, answers: Array, scores: Array, weights: Array) -> float:
        """From the weights at each score, which take the place of the bins."""
        levels, place = np.unique(scores, return_inverse=True)
        yes, no = (np.bincount(place, weights * own, len(levels)) for own in (answers, ~answers))
        if not yes.any() or not no.any():
            return math.nan
        if self.curve == "ROC":
            return float(yes @ (np.cumsum(no) - no / 2) / (yes.sum() * no.sum()))
        hits, others = np.cumsum(yes[::-1]), np.cumsum(no[::-1])
        return float(yes[::-1] @ (hits / (hits + others)) / yes.sum())

    def _areas(self, count: Array, yes: Array, no: Array) -> Array:
        """Of each class, from the weights in bins (J, B) of its rows, whose number is `count` (J,), and of others."""
        pairs = yes.sum(axis=1) * no.sum(axis=1)
        values = np.full(len(pairs), math.nan)
        known = pairs > 0
        if self.curve == "ROC":
            below = np.cumsum(no, axis=1) - no / 2
            np.divide(np.einsum("jb,jb->j", yes, below), pairs, out=values, where=known)
        else:
            values[known] = [_precision(*own) for own in zip(count[known], yes[known], no[known], strict=True)]
        return values


def _average(values: Array, yes: Array, average: str | None, only: int | None) -> Any:
    """One figure of those of classes, whose rows have the weights `yes`."""
    if only is not None or average == "micro":
        return float(values[0])
    if average is None:
        return values
    return mean_of(values, ~np.isnan(values), yes if average == "weighted" else None, math.nan)


def _precision(count: float, yes: Array, no: Array) -> float:
    """The mean precision at each row of the class, of which those in a bin are evenly spread among the others.

    Scores of exactly 0 and exactly 1 have separate bins, whose rows are ties: their precision is that of all of them.
    """
    outside = len(yes) // 16
    is_tie = np.zeros(len(yes), bool)
    is_tie[[outside, -outside - 1]] = True
    yes, no = yes[::-1], no[::-1]  # is_tie is the same in both directions
    above_yes, above_no = np.cumsum(yes) - yes, np.cumsum(no) - no
    bins = yes > 0
    yes, no, above_yes, above_no, is_tie = (part[bins, None] for part in (yes, no, above_yes, above_no, is_tie))
    rows = np.maximum(np.rint(yes * (count / yes.sum())), 1)  # of the class in a bin
    parts = np.minimum(rows, _PARTS)
    place = (np.arange(_PARTS) + 0.5) / parts  # in the bin; those above 1 do not count
    hits = above_yes + yes * np.where(is_tie, 1, place + 0.5 / rows)
    precision = hits / (hits + above_no + no * np.where(is_tie, 1, place))
    return float((yes / parts * precision * (place < 1)).sum() / yes.sum())
