"""Estimators for scikit-learn. They require scikit-learn 1.6 or newer, ``pip install scikit-learn``.

`MLPClassifier` and `MLPRegressor` have the parameters, defaults and attributes of those in `sklearn.neural_network`,
and more; `TabularClassifier` and `TabularRegressor` have defaults that suit many tables; `NetworkClassifier` and
`NetworkRegressor` train any network, for images and sequences too; `Autoencoder` and `FeatureExtractor` are
transformers. All of them work in pipelines and searches, can be cloned and pickled, and take arrays and DataFrames of
pandas and polars; the first two also take sparse matrices. In workers of joblib (``n_jobs=2``), each uses as many
threads as its share of the processors.

These parameters are shared by all estimators:

solver : {"adam", "sgd", "lbfgs"}, default "adam"
    `optimizers.Adam`, `optimizers.SGD` or `optimizers.LBFGS`, with the parameters below. "lbfgs" takes all rows at once
    and suits small data.
batch_size : int, "auto" or "full", default "auto"
    Rows of a batch. "auto" is 200, or all rows if there are fewer, and "full" all rows.
learning_rate : {"constant", "invscaling", "adaptive"}, default "constant"
    For "sgd": `learning_rate_init`; or, after each epoch, learning_rate_init / (t + 1)^power_t, with t the number of
    rows seen; or a fifth of the rate instead of the end of the training, until it is 1e-6.
learning_rate_init : float, default 0.001
    Of "sgd" and "adam", and of an `optimizer` given by name.
power_t : float, default 0.5
    Exponent of "invscaling".
max_iter : int, default 200
    Most epochs of a `fit`; with "lbfgs", most steps.
shuffle : bool, default True
    Whether each epoch has its own order of rows.
random_state : int, RandomState or None, default None
    Determines initial weights, the split for early stopping, the order of rows and dropout.
tol : float, default 1e-4
    Least improvement of the loss, or with `early_stopping` of the score, that counts. With "lbfgs", training ends when
    no derivative of the loss is larger.
verbose : bool, default False
    Print the loss of each epoch.
warm_start : bool, default False
    Whether `fit` continues from the weights of the previous one.
momentum, nesterovs_momentum : float and bool, default 0.9 and True
    Of "sgd"; see `optimizers.SGD`.
early_stopping : bool, default False
    Set `validation_fraction` of the rows aside, stratified by class, or use `validation_data`. Training ends if their
    score does not improve, and the weights with the best score are kept.
validation_fraction : float, default 0.1
    See `early_stopping`.
beta_1, beta_2, epsilon : float, default 0.9, 0.999 and 1e-8
    Of "adam"; see `optimizers.Adam`.
n_iter_no_change : int or inf, default 10
    Training ends after more than this number of epochs without improvement.
max_fun : int, default 15000
    For "lbfgs": most evaluations of the loss, counted as two for each step.
optimizer : str, Optimizer or None, default None
    Any of `nnfast.optimizers` in place of `solver`. An object is copied.
schedule : Schedule, callable or None, default None
    One of `nnfast.schedules`, or a function of the number of updates: the learning rate.
callbacks : Callback, list of them or None, default None
    See `nnfast.callbacks`.
metrics : tuple of str, Metric or callable, default ()
    Computed in each epoch and recorded in `history_`; see `nnfast.metrics`.
n_threads : int or None, default None
    Number of threads of the process during `fit` and predictions; by default `nnfast.get_num_threads`. It changes no
    result.
dtype : {"float32", "float64"} or None, default None
    Of the network. By default, estimators for tables take that of X, as scikit-learn does: float32 if X is float32, and
    float64 otherwise. float32 takes about half the time.

Methods share these:

X : array_like, sparse matrix or DataFrame of shape (n_samples, n_features)
    For networks of images and sequences (n_samples, ...).
y : array_like of shape (n_samples,) or (n_samples, n_outputs)
    Class labels of any kind, or a matrix of 0 and 1 for several labels of each row; for regressors numbers.
sample_weight : array_like of shape (n_samples,), optional
    0 or larger. Only their ratios matter: a weight of 2 counts like two rows, as in scikit-learn.
validation_data : (X, y) or (X, y, sample_weight), optional
    Evaluated after each epoch; see `history_` and `early_stopping`.
classes : array_like of shape (n_classes,), optional
    All classes that will occur; needed in the first call.

After `fit`, estimators have these attributes:

network_ : Network
    ``network_.save(path)`` writes a file that needs neither scikit-learn nor pickle.
trainer_ : Trainer
history_ : History
    Of the last `fit`: loss, metrics, and those of the validation data, by epoch.
loss_curve_ : list of float
    The loss of each epoch.
loss_, best_loss_ : float
    The last loss, and the smallest; the latter is None with `early_stopping`.
validation_scores_, best_validation_score_ : list of float, and float
    With `early_stopping`: the accuracy or R^2 after each epoch, and the best one; else None.
n_iter_ : int
    Number of epochs of the last `fit`.
t_ : int
    Number of rows seen.
n_outputs_, out_activation_ : int and str
    Of the last layer.
classes_ : ndarray of shape (n_classes,)
    Of classifiers.
n_features_in_, feature_names_in_ : int and ndarray
    As in all estimators of scikit-learn.

>>> import numpy as np
>>> import nnfast as nf
>>> X = np.random.default_rng(0).normal(size=(200, 4))
>>> y = np.where(X[:, 0] * X[:, 1] > 0, "same", "opposite")
>>> model = nf.sklearn.MLPClassifier((32,), solver="lbfgs", random_state=0).fit(X, y)
>>> model.score(X, y), model.predict([[1.0, -1.0, 0.0, 0.0]])
(1.0, array(['opposite'], dtype='<U8'))
"""

import importlib
from typing import TYPE_CHECKING, Any

from nnfast.core.options import unknown_attribute

if TYPE_CHECKING:
    from nnfast.sklearn.mlp import MLPClassifier, MLPRegressor
    from nnfast.sklearn.networks import NetworkClassifier, NetworkRegressor
    from nnfast.sklearn.tabular import TabularClassifier, TabularRegressor
    from nnfast.sklearn.transformers import Autoencoder, FeatureExtractor

__all__ = [
    "Autoencoder",
    "FeatureExtractor",
    "MLPClassifier",
    "MLPRegressor",
    "NetworkClassifier",
    "NetworkRegressor",
    "TabularClassifier",
    "TabularRegressor",
]

_DEFINED_IN = {
    "Autoencoder": "transformers",
    "FeatureExtractor": "transformers",
    "MLPClassifier": "mlp",
    "MLPRegressor": "mlp",
    "NetworkClassifier": "networks",
    "NetworkRegressor": "networks",
    "TabularClassifier": "tabular",
    "TabularRegressor": "tabular",
}
"""scikit-learn is imported with the first of them, so that this module can be imported without it."""


def __getattr__(name: str) -> Any:
    if name not in _DEFINED_IN:
        raise unknown_attribute(__name__, name, __all__)
    try:
        module = importlib.import_module(f"{__name__}.{_DEFINED_IN[name]}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "sklearn":
            raise
        raise ImportError(
            f"{__name__}.{name}: expected scikit-learn, which is not installed; run `pip install scikit-learn`"
        ) from error
    globals()[name] = found = getattr(module, name)
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
