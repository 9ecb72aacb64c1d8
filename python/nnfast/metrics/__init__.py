"""Metrics, reported along with the loss, by `Trainer.fit` for training and validation data and by `Trainer.evaluate`.

A trainer takes a list of metrics. Each is a name ("accuracy", "f1", "auc", "rmse", or that of any loss), an object of
one of the classes below, or a function of (y_true, y_pred). Those in ``Trainer(metrics=[...])`` ignore sample and class
weights, those in ``Trainer(weighted_metrics=[...])`` use them, as ``sample_weight`` of scikit-learn's functions.

>>> import numpy as np
>>> import nnfast as nf
>>> from nnfast import layers, metrics
>>> net = nf.Network([layers.Input((2,)), layers.Dense(1, "sigmoid")], seed=0)
>>> measured = ["accuracy", metrics.Precision(threshold=0.3), "auc"]
>>> trainer = nf.Trainer(net, loss="binary_cross_entropy", metrics=measured, weighted_metrics=["accuracy"])
>>> x = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
>>> list(trainer.evaluate(x, [0, 0, 1], sample_weight=[1.0, 2.0, 3.0]))
['loss', 'accuracy', 'precision', 'auc', 'weighted_accuracy']

A metric of the core collects a few sums while the network trains, and reports the value that follows from them. Counts
are exact, so they do not depend on how the rows are divided into batches or among processes; sums may differ in the
last bits. Those that the core does not know, which are user-defined ones, are in the logs of validation only.

`ConfusionMatrix` and metrics with ``average=None`` have arrays as values, in the results of `Trainer.evaluate` and in
the history; the progress display leaves them out.

Functions of scikit-learn may be passed as they are, also within `functools.partial`:
``metrics=[sklearn.metrics.f1_score, partial(sklearn.metrics.f1_score, average="macro")]``. A function belongs to it if
its module's name begins with "sklearn.metrics". Its own name decides what it gets, all rows of an evaluation at once:
probabilities if it ends in ``_auc_score`` or is ``log_loss``, ``average_precision_score``, ``top_k_accuracy_score``,
``brier_score_loss`` or another function of scores; the arrays if it is one of a regression (``mean_...``, ``r2_score``,
``max_error``, ...); else class numbers, or 0 and 1 for yes-or-no answers. Of two classes, the probability is that of
class 1. With more, ``roc_auc_score`` gets ``multi_class="ovr"``, unless the partial says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from nnfast import losses
from nnfast.core.options import choose, custom_classes, description_of, from_config, module_names, public_classes
from nnfast.metrics import classification, counts, function, loss, ranking, regression
from nnfast.metrics.base import Metric
from nnfast.metrics.classification import *
from nnfast.metrics.counts import *
from nnfast.metrics.function import *
from nnfast.metrics.function import SklearnMetric, is_of_scikit_learn
from nnfast.metrics.loss import *
from nnfast.metrics.ranking import *
from nnfast.metrics.regression import *

__all__ = ["Metric", "get"]
__all__ += classification.__all__
__all__ += counts.__all__
__all__ += function.__all__
__all__ += loss.__all__
__all__ += ranking.__all__
__all__ += regression.__all__

__getattr__, __dir__ = module_names(__name__, __all__)

# Keras's names.
CategoricalAccuracy = SparseCategoricalAccuracy = Accuracy
SparseTopKCategoricalAccuracy = TopKCategoricalAccuracy

CLASSES = public_classes(Metric, FunctionMetric, SklearnMetric)
_MAKERS: dict[str, Callable[[], Metric]] = {
    **{c.name: c for c in CLASSES.values() if "name" in vars(c)},
    "pr_auc": lambda: AUC("PR", name="pr_auc"),
}
"""Metrics that need no arguments."""
_ALIASES = {
    **losses.ALIASES,
    **dict.fromkeys(("acc", "categorical_accuracy", "sparse_categorical_accuracy"), "accuracy"),
    **dict.fromkeys(("subset_accuracy", "exact_match_ratio"), "exact_match"),
    **dict.fromkeys(("top_k_accuracy", "sparse_top_k_categorical_accuracy"), "top_k_categorical_accuracy"),
    "f1": "f1_score",
    "fbeta": "fbeta_score",
    **dict.fromkeys(("roc_auc", "roc_auc_score"), "auc"),
    **dict.fromkeys(("auc_pr", "average_precision", "average_precision_score"), "pr_auc"),
    **dict.fromkeys(("mcc", "matthews_corrcoef", "matthews_correlation_coefficient"), "matthews_correlation"),
    **dict.fromkeys(("kappa", "cohen_kappa_score"), "cohen_kappa"),
    "balanced_accuracy_score": "balanced_accuracy",
    "logloss": "log_loss",
    "root_mean_squared_error": "rmse",
    "mean_absolute_percentage_error": "mape",
    "r2": "r2_score",
    "cosine": "cosine_similarity",
    "precision_score": "precision",
    "recall_score": "recall",
}
_TOP_K = r"top_?(\d{1,9})(_categorical)?(_accuracy)?"


def get(metric: Any) -> Metric:
    """Look up or construct a metric.

    Parameters
    ----------
    metric : Metric, Loss, str or callable

    Examples
    --------
    >>> from nnfast import metrics
    >>> metrics.get("mse"), metrics.get("f1"), metrics.get("huber")
    (MeanSquaredError(), F1Score(), LossMetric(Huber()))
    """
    if type(metric) is FunctionMetric and is_of_scikit_learn(metric.function):
        return SklearnMetric(metric.function, metric.name)
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
        return SklearnMetric(metric) if is_of_scikit_learn(metric) else FunctionMetric(metric)
    top_k = re.fullmatch(_TOP_K, metric) if isinstance(metric, str) else None
    if top_k is not None:
        return TopKCategoricalAccuracy(int(top_k[1]), metric)
    name = choose("metric", metric, {**losses.NAMES, **_MAKERS}, _ALIASES)
    return _MAKERS[name]() if name in _MAKERS else LossMetric(name)


def describe(metric: Metric) -> str | dict[str, Any]:
    """Description of a metric for checkpoints; a function is stored by its name only."""
    if type(metric) is Accuracy and metric.name == Accuracy.name:
        return metric.name
    if type(metric) is LossMetric:
        return metric.get_config()
    if isinstance(metric, FunctionMetric):
        if isinstance(metric.function, losses.CustomLoss):
            return {"loss": description_of(metric.function)}
        return {"function": metric.name}
    return description_of(metric)


def from_description(description: Any, custom_objects: Mapping[str, Any]) -> Metric:
    """Metric from the output of `describe`; user-defined functions and classes are looked up in `custom_objects`."""
    if isinstance(description, Mapping) and "function" in description:
        name = choose("function in custom_objects", description["function"], custom_objects)
        found = get(custom_objects[name])
        if isinstance(found, FunctionMetric) and found.name != name:
            return type(found)(found.function, name)
        return found
    if isinstance(description, Mapping) and "class" in description:
        return from_config("metric", description, CLASSES | custom_classes(custom_objects, Metric))
    if isinstance(description, Mapping):
        return get(losses.get(description.get("loss"), custom_objects))
    return get(description)
