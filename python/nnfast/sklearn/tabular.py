"""Networks for tables with defaults that rarely need a change."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.utils import check_X_y
from sklearn.utils.validation import validate_data

from nnfast import activations, initializers, layers, losses, ops, optimizers
from nnfast.core.arrays import dtype_name
from nnfast.core.options import flag, real
from nnfast.core.tensor import Tensor
from nnfast.core.typing import Array
from nnfast.network import Network
from nnfast.schedules import Schedule
from nnfast.sklearn.base import NeuralEstimator
from nnfast.sklearn.kinds import NeuralClassifier, NeuralRegressor
from nnfast.sklearn.mlp import hidden_sizes
from nnfast.sklearn.solver import batch_size_of
from nnfast.sklearn.table_encoder import TableEncoder, is_read_by_columns, names_categories
from nnfast.sklearn.targets import NumberTargets
from nnfast.training.trainer import Trainer

__all__ = ["TabularClassifier", "TabularRegressor"]

_FACTORS = {"scale": 6.0, "bias": 0.1, "periodic_embedding": 0.1}
"""Of the learning rate."""


class CosineOfLog(Schedule):
    """initial (1 - cos(2 pi log2(1 + 15 t))) / 2, t from 0 to 1: four waves, each twice as long as that before."""

    def __init__(self, initial: float, steps: int) -> None:
        self.initial = initial
        self.steps = steps

    def __call__(self, step: int) -> float:
        t = min(step / self.steps, 1.0)
        return self.initial * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * t))) / 2


def mish(x: Any) -> Any:
    """x tanh(softplus(x)) (Misra 2019, arXiv:1908.08681)."""
    return x * ops.tanh(ops.softplus(x))


class _Tabular(NeuralEstimator):
    """What the two share: the table as numbers, the network, the optimizer."""

    hidden_layer_sizes: Any
    activation: Any
    dropout: Any
    weight_decay: Any
    periodic_embeddings: Any
    categorical_features: Any
    _encoder: TableEncoder

    solver = "adam"
    shuffle = True
    warm_start = False
    optimizer = None
    schedule = None
    _fits_in_parts = False
    _warns_of_the_end = False
    _auto_batch = 256

    def _validated(self, X: Any, y: Any = "no_validation", *, reset: bool) -> Any:
        has_y = not isinstance(y, str)
        self._refuse_masked(X=X, y=y)
        categorical = self.categorical_features if reset else self._encoder.categorical
        if is_read_by_columns(X, categorical) or (hasattr(X, "columns") and not reset and categorical is not None):
            X = validate_data(self, X, reset=reset, skip_check_array=True)
            if has_y:
                columns = np.zeros((len(X), 1))  # in place of X, which is checked when it is encoded
                _, y = check_X_y(columns, y, multi_output=True, y_numeric=self._y_is_numeric, estimator=self)
        else:
            dtype = None if names_categories(categorical) else "numeric"  # categories may be texts
            options = {"reset": reset, "dtype": dtype, "ensure_all_finite": "allow-nan"}
            if has_y:
                X, y = validate_data(self, X, y, multi_output=True, y_numeric=self._y_is_numeric, **options)
            else:
                X = validate_data(self, X, **options)
        if reset:
            self._encoder = TableEncoder(categorical).fit(X)
        encoded = self._encoder.transform(X).astype(dtype_name(self.dtype), copy=False)
        return (encoded, y) if has_y else encoded

    def _make_network(self, input_shape: tuple[int, ...], dtype: str, seed: int, rng: np.random.RandomState) -> Network:
        where = type(self).__name__
        rate = real(where, "dropout", self.dropout, minimum=0.0, upper_bound=1.0)
        entry = layers.Input(input_shape)
        x: Any = entry
        numbers = self._encoder.n_numbers
        if flag(where, "periodic_embeddings", self.periodic_embeddings) and numbers:
            embedded = layers.Flatten()(layers.PeriodicEmbedding()(x[:, :numbers]))
            x = layers.Concatenate()([embedded, x[:, numbers:]]) if numbers < input_shape[0] else embedded
        x = layers.LayerScale()(x)
        for size in hidden_sizes(where, self.hidden_layer_sizes):
            x = _activated(_dense(size)(_divided(x)), self.activation)
            x = layers.Dropout(rate)(x) if rate else x
        softmax = "softmax" if self._targets.out_activation == "softmax" else None
        last = "sigmoid" if self._targets.out_activation == "logistic" else softmax
        x = layers.Dense(self._targets.units, last, kernel_initializer="zeros")(_divided(x))
        return Network(inputs=entry, outputs=x, seed=seed, dtype=dtype, name=where.lower())

    def _prepare(self, X: Any, *arguments: Any) -> None:
        self._steps = int(self.max_iter) * math.ceil(X.shape[0] / batch_size_of(self, X.shape[0], warn=False))
        super()._prepare(X, *arguments)

    def _make_trainer(self, network: Network) -> Trainer:
        loss, weight = self._loss_of(network)
        known = {part for name in network.parameters for part in (name.partition(".")[0], name.rpartition(".")[2])}
        optimizer = optimizers.AdamW(
            CosineOfLog(real(type(self).__name__, "learning_rate_init", self.learning_rate_init), self._steps),
            real(type(self).__name__, "weight_decay", self.weight_decay, minimum=0.0),
            beta_2=0.95,
            epsilon=1e-8,
            learning_rate_multipliers={name: factor for name, factor in _FACTORS.items() if name in known},
        )
        return Trainer(network, loss=loss, loss_weights=[weight], optimizer=optimizer, metrics=self.metrics)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


def _divided(x: Tensor) -> Tensor:
    """x / sqrt(D), so that weights of size 1 keep the size of rows (the neural tangent parametrization)."""
    return layers.Rescaling(1 / math.sqrt(x.shape[0]))(x)


def _dense(units: int) -> layers.Dense:
    normal = initializers.RandomNormal(0.0, 1.0)
    return layers.Dense(units, kernel_initializer=normal, bias_initializer=normal)


def _activated(x: Tensor, activation: Any) -> Any:
    if isinstance(activation, str) and activation == "mish":
        return mish(x)
    return layers.Activation(activations.get(activation))(x)


class TabularClassifier(_Tabular, NeuralClassifier):
    """Classifier of tables with numbers, categories and gaps, after RealMLP, whose defaults suit many data sets.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default (256, 256, 256)
        Units of each hidden layer.
    activation : str or activation layer, default "selu"
        "mish", or any of `nnfast.activations`.
    dropout : float, default 0.15
        Rate of dropout after each hidden layer.
    weight_decay : float, default 0.02
        Decoupled decay of all weights but biases, see `optimizers.AdamW`.
    label_smoothing : float, default 0.1
        See `losses.CrossEntropy`; not with several labels.
    periodic_embeddings : bool, default True
        Whether numbers pass through a `layers.PeriodicEmbedding`.
    categorical_features : "from_dtype", sequence of int, str or bool, or None, default "from_dtype"
        Names or numbers of the columns that are categories, or a mask. "from_dtype": columns of DataFrames that are not
        numbers; dates are an error, because no date of the training data may come again.
    learning_rate_init : float, default 0.04
        Largest learning rate, which rises and falls in four waves.
    batch_size : int, "auto" or "full", default "auto"
        "auto" is 256, or all rows if there are fewer.
    max_iter : int, default 256
        Number of epochs. The length of the learning rate's waves depends on it.
    early_stopping : bool, default False
        Set `validation_fraction` of the rows aside, or use `validation_data`, and keep the weights of the best epoch,
        as RealMLP does. For a classifier of few rows, the rows are worth more.
    n_iter_no_change : int or inf, default inf
        With `early_stopping`, end after so many epochs without improvement.
    class_weight : dict, "balanced" or None, default None
        See `MLPClassifier`.
    **others
        See `nnfast.sklearn`.

    Notes
    -----
    Numbers are scaled by their median and quartiles and clipped smoothly to [-3, 3]; NaN is allowed, and becomes 0 with
    a further column. Categories become columns of 0 and 1; those that `fit` has not seen are 0 in all of them. The
    network has a factor for each feature and weights in the neural tangent parametrization. Of RealMLP, these are left
    out: embeddings of categories of more than eight values, parametric activations, initial weights and biases that
    depend on the data, and the decrease of dropout and decay in the second half.

    References
    ----------
    Holzmueller, Grinsztajn & Steinwart (2024), Better by default: strong pre-tuned MLPs and boosted trees on tabular
    data, arXiv:2407.04491.

    Examples
    --------
    >>> import nnfast as nf
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = nf.sklearn.TabularClassifier(max_iter=30, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    """

    label_smoothing: Any
    loss = "log_loss"
    _softmax_of_two = True

    def __init__(
        self,
        hidden_layer_sizes: Any = (256, 256, 256),
        *,
        activation: Any = "selu",
        dropout: Any = 0.15,
        weight_decay: Any = 0.02,
        label_smoothing: Any = 0.1,
        periodic_embeddings: Any = True,
        categorical_features: Any = "from_dtype",
        learning_rate_init: Any = 0.04,
        batch_size: Any = "auto",
        max_iter: Any = 256,
        random_state: Any = None,
        verbose: Any = False,
        early_stopping: Any = False,
        validation_fraction: Any = 0.2,
        n_iter_no_change: Any = np.inf,
        tol: Any = 0.0,
        class_weight: Any = None,
        callbacks: Any = None,
        metrics: Any = (),
        n_threads: Any = None,
        dtype: Any = "float32",
    ) -> None:
        self._store(locals())

    def _loss_of(self, network: Network) -> tuple[Any, float]:
        if self._targets.out_activation == "softmax":
            return losses.CrossEntropy(label_smoothing=self.label_smoothing), 1.0
        return super()._loss_of(network)


class ScaledTargets(NumberTargets):
    """Numbers with mean 0 and standard deviation 1; predictions stay within the range of y."""

    def __init__(self, y: Array) -> None:
        super().__init__(y)
        columns = y[:, None] if y.ndim == 1 else y
        self._mean, deviation = columns.mean(axis=0), columns.std(axis=0)
        self._deviation = np.where(deviation > 0, deviation, 1.0)
        self._range = columns.min(axis=0), columns.max(axis=0)

    def encode(self, y: Array) -> Array:
        scaled: Array = (super().encode(y) - self._mean) / self._deviation
        return scaled

    def decode(self, output: Array) -> Array:
        return super().decode(np.clip(output * self._deviation + self._mean, *self._range))


class TabularRegressor(_Tabular, NeuralRegressor):
    """Regressor of tables with numbers, categories and gaps, after RealMLP, whose defaults suit many data sets.

    Parameters
    ----------
    hidden_layer_sizes, dropout, weight_decay, periodic_embeddings, categorical_features
        See `TabularClassifier`.
    batch_size, max_iter, n_iter_no_change
        See `TabularClassifier`.
    activation : str or activation layer, default "mish"
        "mish", or any of `nnfast.activations`.
    learning_rate_init : float, default 0.07
        Largest learning rate, which rises and falls in four waves.
    early_stopping : bool, default True
        As in `TabularClassifier`. By default the weights of the best epoch are kept: a squared error rises again sooner
        than the error of a classifier with smoothed labels.
    loss : str, Loss or callable, default "squared_error"
        See `MLPRegressor`, except "poisson"; of y with mean 0 and standard deviation 1.
    **others
        See `nnfast.sklearn`.

    Notes
    -----
    See `TabularClassifier`. y is scaled, and predictions are between the smallest and the largest y of `fit`.

    Examples
    --------
    >>> import nnfast as nf
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = nf.sklearn.TabularRegressor(max_iter=30, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.4
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (256, 256, 256),
        *,
        activation: Any = "mish",
        loss: Any = "squared_error",
        dropout: Any = 0.15,
        weight_decay: Any = 0.02,
        periodic_embeddings: Any = True,
        categorical_features: Any = "from_dtype",
        learning_rate_init: Any = 0.07,
        batch_size: Any = "auto",
        max_iter: Any = 256,
        random_state: Any = None,
        verbose: Any = False,
        early_stopping: Any = True,
        validation_fraction: Any = 0.2,
        n_iter_no_change: Any = np.inf,
        tol: Any = 0.0,
        callbacks: Any = None,
        metrics: Any = (),
        n_threads: Any = None,
        dtype: Any = "float32",
    ) -> None:
        self._store(locals())

    def _targets_of(self, y: Any, classes: Any) -> ScaledTargets:
        if isinstance(self.loss, str) and self.loss == "poisson":
            raise ValueError(
                "TabularRegressor: expected a loss of scaled numbers, which may be negative, got 'poisson'; use "
                "MLPRegressor(loss='poisson')"
            )
        return ScaledTargets(y)
