"""Metrics of regressions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnfast import losses
from nnfast.core.typing import Array, Shape, Spec
from nnfast.metrics.base import Measured, Metric
from nnfast.metrics.loss import LossMetric, require_values

__all__ = [
    "CosineSimilarity",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "R2Score",
    "RootMeanSquaredError",
]


class MeanAbsoluteError(LossMetric):
    """mean abs(t - p), over outputs and rows.

    Parameters
    ----------
    name : str, default "mae"

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.MeanAbsoluteError().evaluate([0.0, 1.0], [0.5, 1.0])
    0.25
    """

    name = "mae"

    def __init__(self, name: str = name) -> None:
        super().__init__(losses.MeanAbsoluteError())
        self.name = name


class MeanSquaredError(LossMetric):
    """mean (t - p)^2, over outputs and rows.

    Parameters
    ----------
    name : str, default "mse"

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.MeanSquaredError().evaluate([0.0, 1.0], [1.0, 1.0])
    0.5
    """

    name = "mse"

    def __init__(self, name: str = name) -> None:
        super().__init__(losses.MeanSquaredError())
        self.name = name


class RootMeanSquaredError(MeanSquaredError):
    """sqrt(mean (t - p)^2), over outputs and rows.

    Parameters
    ----------
    name : str, default "rmse"

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.RootMeanSquaredError().evaluate([0.0, 1.0], [3.0, 5.0]) == 12.5**0.5
    True
    """

    name = "rmse"

    def __init__(self, name: str = name) -> None:
        super().__init__(name)

    def value_of(self, state: Array, output: Measured) -> Any:
        return math.sqrt(super().value_of(state, output))


class _OfValues(Metric):
    """A metric of numbers, not of class numbers."""

    def check_targets(self, targets: Array, output_shape: Shape, loss: losses.Loss | None) -> None:
        require_values(self.name, targets, output_shape)


class MeanAbsolutePercentageError(_OfValues):
    """100 mean(abs(t - p) / max(abs(t), 1e-7)), over outputs and rows.

    Parameters
    ----------
    name : str, default "mape"

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.MeanAbsolutePercentageError().evaluate([2.0, 4.0], [1.0, 5.0])
    37.5
    """

    name = "mape"
    higher_is_better = False

    def __init__(self, name: str = name) -> None:
        self.name = name

    def spec(self, output: Measured) -> Spec | None:
        return {"name": "mape"}


class CosineSimilarity(_OfValues):
    """The cosine of the angle between targets and outputs along the last axis, 0 if either is 0; the mean over rows.

    Parameters
    ----------
    name : str, default "cosine_similarity"

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.CosineSimilarity().evaluate([[0.0, 1.0], [1.0, 0.0]], [[0.0, 2.0], [0.0, 3.0]])
    0.5
    """

    name = "cosine_similarity"
    higher_is_better = True

    def __init__(self, name: str = name) -> None:
        self.name = name

    def spec(self, output: Measured) -> Spec | None:
        return {"name": "cosine_similarity"}


class R2Score(_OfValues):
    """The coefficient of determination of each output, 1 - sum (t - p)^2 / sum (t - mean(t))^2.

    As in scikit-learn, constant targets have 1 if they are met exactly, else 0. Several positions per row, as in
    (N, T, D), are as many rows.

    Parameters
    ----------
    class_aggregation : {"uniform_average", "variance_weighted_average"} or None, default "uniform_average"
        The mean over outputs, weighted with the variance of their targets in the second case; None returns an array.
    name : str, default "r2_score"

    Notes
    -----
    Sums are merged as in Chan, Golub and LeVeque (1983), DOI 10.1080/00031305.1983.10483115, so a large mean of the
    targets costs no accuracy. Other batches change the last bits.

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.R2Score().evaluate([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    0.5
    """

    name = "r2_score"
    higher_is_better = True

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        name: str = name,
    ) -> None:
        if class_aggregation not in ("uniform_average", "variance_weighted_average", None):
            raise ValueError(
                'R2Score: expected class_aggregation as "uniform_average", "variance_weighted_average" or None, got '
                f"{class_aggregation!r}"
            )
        self.class_aggregation = class_aggregation
        self.name = name

    def spec(self, output: Measured) -> Spec | None:
        return {"name": "moments"}

    def value_of(self, state: Array, output: Measured) -> Any:
        _, spread, error = state[1:].reshape(3, -1)
        constant = np.where(error == 0, 1.0, 0.0)
        values = 1 - np.divide(error, spread, out=1 - constant, where=spread != 0)
        values[np.isnan(error)] = math.nan
        if not state[0]:
            values[:] = math.nan
        if self.class_aggregation is None:
            return values
        weights = spread if self.class_aggregation != "uniform_average" and spread.any() else np.ones_like(spread)
        return float((values * weights).sum() / weights.sum())
