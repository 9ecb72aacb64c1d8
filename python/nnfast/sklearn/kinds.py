"""Classifiers and regressors: targets, losses, scores and the methods of scikit-learn's."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import compute_sample_weight
from sklearn.utils.metaestimators import available_if

from nnfast import losses, ops
from nnfast.core.typing import Array
from nnfast.losses import Loss
from nnfast.network import Network
from nnfast.sklearn.base import NeuralEstimator, stochastic_only
from nnfast.sklearn.targets import ClassTargets, NumberTargets

__all__ = ["NeuralClassifier", "NeuralRegressor", "poisson"]

_NAMES = {"squared_error": "half_squared_error", "absolute_error": "mae"}


def poisson(y_true: Any, y_pred: Any) -> Any:
    """Half the Poisson deviance of predicted means, without what does not depend on them."""
    return ops.mean(y_pred - y_true * ops.log(y_pred), axis=-1)


class NeuralClassifier(ClassifierMixin, NeuralEstimator):
    """Base class of classifiers."""

    class_weight: Any
    classes_: Array
    _targets: ClassTargets
    _softmax_of_two = False
    """Whether two classes are two units."""

    def _targets_of(self, y: Any, classes: Any) -> ClassTargets:
        made = ClassTargets(y, None if classes is None else np.asarray(classes), self._softmax_of_two)
        if not made.is_multilabel:
            made.require_known(y, f"{type(self).__name__}.partial_fit", False)
        self.classes_ = made.classes
        return made

    def _check_targets(self, y: Any, incremental: bool) -> None:
        if not self._targets.is_multilabel:
            where = f"{type(self).__name__}.{'partial_fit' if incremental else 'fit'}"
            self._targets.require_known(y, where, not incremental)

    def _encode(self, y: Any) -> Array:
        target = super()._encode(y)
        is_log_loss = isinstance(self.loss, str) and self.loss == "log_loss"
        if target.ndim > 1 or is_log_loss or losses.get(self.loss).targets in ("classes", "any"):
            return target
        one_hot: Array = np.eye(self._targets.units, dtype="float32")[target]  # "mse" takes no numbers of classes
        return one_hot

    def _weights_by_class(self, y: Any, incremental: bool) -> Array | None:
        if self.class_weight is None:
            return None
        if incremental and isinstance(self.class_weight, str):
            raise ValueError(
                f"{type(self).__name__}.partial_fit: expected class_weight as a dict, got {self.class_weight!r}, which "
                "depends on all rows; use sklearn.utils.class_weight.compute_class_weight"
            )
        weights: Array = compute_sample_weight(self.class_weight, y)
        return weights

    def _strata(self, y: Any) -> Any:
        return None if self._targets.is_multilabel else y

    def _loss_of(self, network: Network) -> tuple[Any, float]:
        if not isinstance(self.loss, str) or self.loss != "log_loss":
            return self.loss, 1.0
        if self._targets.out_activation == "softmax":
            return losses.CrossEntropy(), 1.0
        return losses.BinaryCrossEntropy(), float(self._targets.units)  # the sum over labels, not their mean

    def _score_of(self, network: Network, x: Any, y: Array, sample_weight: Array | None) -> float:
        predicted = self._targets.decode(self._of_network(network, x))
        return float(accuracy_score(y, predicted, sample_weight=sample_weight))

    def fit(self, X: Any, y: Any, sample_weight: Any = None, validation_data: Any = None) -> Self:
        """Fit the network to data."""
        return self._fit(X, y, sample_weight, validation_data)

    @available_if(stochastic_only)
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Make one epoch on these rows; the network and the optimizer go on from where they are."""
        is_first = not hasattr(self, "network_")
        if is_first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if not is_first and classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"`classes={classes!r}` is not the same as on last call to partial_fit: {self.classes_}")
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    def predict(self, X: Any) -> Array:
        """The most probable class of each row, or the labels whose probability is above 1/2."""
        output = self._output(X)
        return self._targets.decode(output)

    def predict_proba(self, X: Any) -> Array:
        """Probabilities (n_samples, n_classes) of the classes, in the order of `classes_`."""
        output = self._output(X)
        return self._targets.probabilities(output)

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithms of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class NeuralRegressor(RegressorMixin, NeuralEstimator):
    """Base class of regressors."""

    _targets: NumberTargets
    _y_is_numeric = True
    _fewest_scored = 2  # R^2 of one row is NaN, with which no other score compares

    def _targets_of(self, y: Any, classes: Any) -> NumberTargets:
        is_poisson = isinstance(self.loss, str) and self.loss == "poisson"
        return NumberTargets(y, "exp" if is_poisson else "identity")

    def _loss_of(self, network: Network) -> tuple[Any, float]:
        if isinstance(self.loss, str) and self.loss == "poisson":
            return poisson, 1.0
        made: Any = self.loss if isinstance(self.loss, Loss) else _NAMES.get(self.loss, self.loss)
        return made, 1.0

    def _encode(self, y: Any) -> Array:
        if isinstance(self.loss, str) and self.loss == "poisson" and np.min(y) < 0:
            raise ValueError(
                f"{type(self).__name__}: expected y >= 0 with loss='poisson', got {np.min(y)}; use 'squared_error', or "
                "leave such rows out"
            )
        return super()._encode(y)

    def _score_of(self, network: Network, x: Any, y: Array, sample_weight: Array | None) -> float:
        predicted = self._targets.decode(self._of_network(network, x))
        if not np.isfinite(predicted).all():
            return float("nan")
        return float(r2_score(y, predicted, sample_weight=sample_weight))

    def fit(self, X: Any, y: Any, sample_weight: Any = None, validation_data: Any = None) -> Self:
        """Fit the network to data."""
        return self._fit(X, y, sample_weight, validation_data)

    @available_if(stochastic_only)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Make one epoch on these rows; the network and the optimizer go on from where they are."""
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Array:
        """Predicted numbers (n_samples,) or (n_samples, n_outputs): float32 if network and X are, else float64."""
        output = self._output(X)
        is_short = getattr(X, "dtype", None) in (np.float32, np.uint8)
        return self._targets.decode(output if is_short else output.astype(np.float64, copy=False))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
