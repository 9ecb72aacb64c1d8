"""Metrics by their definitions, in NumPy float64.

Classes and answers are integers, weights one per row. A figure without a value is NaN.
"""

import numpy as np

from nnfast.core.typing import Array


def confusion_matrix(true: Array, predicted: Array, classes: int, weights: Array) -> Array:
    matrix = np.zeros((classes, classes))
    for t, p, w in zip(true, predicted, weights, strict=True):
        matrix[t, p] += w
    return matrix


def precision(matrix: Array, k: int, otherwise: float = 0.0) -> float:
    column = matrix[:, k].sum()
    return float(matrix[k, k] / column) if column else otherwise


def recall(matrix: Array, k: int, otherwise: float = 0.0) -> float:
    row = matrix[k].sum()
    return float(matrix[k, k] / row) if row else otherwise


def f_beta(matrix: Array, k: int, beta: float = 1.0, otherwise: float = 0.0) -> float:
    hits, missed, wrong = matrix[k, k], matrix[k].sum() - matrix[k, k], matrix[:, k].sum() - matrix[k, k]
    whole = (1 + beta**2) * hits + beta**2 * missed + wrong
    return float((1 + beta**2) * hits / whole) if whole else otherwise


def matthews(matrix: Array) -> float:
    """The correlation of the indicators of true and predicted classes, added over classes."""
    share = matrix / matrix.sum()
    t, p = share.sum(axis=1), share.sum(axis=0)
    covariance = np.trace(share) - t @ p
    spread = np.sqrt((1 - t @ t) * (1 - p @ p))
    return float(covariance / spread) if spread else 0.0


def cohen_kappa(matrix: Array) -> float:
    share = matrix / matrix.sum()
    chance = share.sum(axis=1) @ share.sum(axis=0)
    return float((np.trace(share) - chance) / (1 - chance)) if chance != 1 else float("nan")


def top_k(true: Array, scores: Array, k: int, weights: Array) -> float:
    """Of equal scores, the first are the largest."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    right = (best == true[:, None]).any(axis=1)
    return float((right * weights).sum() / weights.sum())


def roc_auc(true: Array, scores: Array, weights: Array) -> float:
    """The weighted share of pairs in which the row of the class has the larger score, ties half."""
    yes, no = true == 1, true == 0
    if not weights[yes].any() or not weights[no].any():
        return float("nan")
    difference = scores[yes][:, None] - scores[no]
    pairs = weights[yes][:, None] * weights[no]
    return float((pairs * ((difference > 0) + 0.5 * (difference == 0))).sum() / pairs.sum())


def average_precision(true: Array, scores: Array, weights: Array) -> float:
    """The sum over thresholds of precision times the gain in recall."""
    total, area, before = weights[true == 1].sum(), 0.0, 0.0
    if not total:
        return float("nan")
    for threshold in np.unique(scores)[::-1]:
        above = scores >= threshold
        hits = weights[above & (true == 1)].sum()
        if hits:
            area += hits / weights[above].sum() * (hits - before) / total
        before = hits
    return float(area)


def r2(true: Array, predicted: Array, weights: Array) -> Array:
    """Of each column (N, D)."""
    w = weights[:, None]
    mean = (w * true).sum(axis=0) / w.sum()
    error, spread = (w * (true - predicted) ** 2).sum(axis=0), (w * (true - mean) ** 2).sum(axis=0)
    return np.array([1 - e / s if s else float(e == 0) for e, s in zip(error, spread, strict=True)])


def percentage_error(true: Array, predicted: Array, weights: Array) -> float:
    values = 100 * (np.abs(true - predicted) / np.maximum(np.abs(true), 1e-7)).mean(axis=1)
    return float((weights * values).sum() / weights.sum())


def cosine_similarity(true: Array, predicted: Array, weights: Array) -> float:
    lengths = np.linalg.norm(true, axis=1) * np.linalg.norm(predicted, axis=1)
    values = np.divide((true * predicted).sum(axis=1), lengths, out=np.zeros(len(true)), where=lengths > 0)
    return float((weights * values).sum() / weights.sum())
