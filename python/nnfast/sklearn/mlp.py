"""Multilayer perceptrons with the parameters of scikit-learn's."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np

from nnfast import activations, layers, ops, regularizers
from nnfast.core.options import flag, integer, real
from nnfast.core.tensor import Tensor
from nnfast.core.text import short_repr
from nnfast.core.typing import Array
from nnfast.network import Network
from nnfast.sklearn.base import NeuralEstimator
from nnfast.sklearn.kinds import NeuralClassifier, NeuralRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "hidden_sizes"]

_ACTIVATIONS = {"logistic": "sigmoid"}
_LAST = {"identity": None, "exp": None, "logistic": "sigmoid", "softmax": "softmax"}
"""Activation of the last layer, by scikit-learn's name."""


class _Views(list[Array]):
    """Views of parameters. An item that is assigned is written into them, where a list would only forget its view."""

    def __setitem__(self, index: Any, value: Any) -> None:
        views, arrays = (self[index], value) if isinstance(index, slice) else ([self[index]], [value])
        if len(views) != len(arrays) or any(view.shape != np.shape(a) for view, a in zip(views, arrays, strict=True)):
            raise ValueError(
                f"weights: expected arrays of shapes {[view.shape for view in views]}, got "
                f"{[np.shape(array) for array in arrays]}; fit an estimator with other hidden_layer_sizes"
            )
        for view, array in zip(views, arrays, strict=True):
            view[...] = array


class _Perceptron(NeuralEstimator):
    """What the two share: the network."""

    hidden_layer_sizes: Any
    activation: Any
    dropout: Any
    batch_norm: Any
    _takes_sparse = True

    def _make_network(self, input_shape: tuple[int, ...], dtype: str, seed: int, rng: np.random.RandomState) -> Network:
        where = type(self).__name__
        sizes = hidden_sizes(where, self.hidden_layer_sizes)
        functions = _per_layer(where, "activation", self.activation, len(sizes))
        rates = _per_layer(where, "dropout", self.dropout, len(sizes))
        normalizes = flag(where, "batch_norm", self.batch_norm)
        penalty = regularizers.L2(self._penalty / 2) if self._penalty else None
        entry = layers.Input(input_shape)
        x: Tensor = entry
        for size, given, rate in zip(sizes, functions, rates, strict=True):
            function = activations.get(_ACTIVATIONS.get(given, given) if isinstance(given, str) else given)
            x = layers.Dense(size, None if normalizes else function, kernel_regularizer=penalty)(x)
            x = layers.Activation(function)(layers.BatchNormalization()(x)) if normalizes else x
            x = layers.Dropout(rate)(x) if real(where, "dropout", rate, minimum=0.0, upper_bound=1.0) else x
        last = self._targets.out_activation
        x = layers.Dense(self._targets.units, _LAST[last], kernel_regularizer=penalty)(x)
        x = ops.exp(x) if last == "exp" else x
        network = Network(inputs=entry, outputs=x, seed=seed, dtype=dtype, name=where.lower())
        _initialize(network, [*functions, functions[-1] if functions else None], rng)
        return network

    def _fitted(self, name: str) -> list[Array]:
        if not hasattr(self, "network_"):
            raise AttributeError(f"{type(self).__name__}: expected a call of fit first, which makes the weights")
        return _Views(_of_dense_layers(self.network_, name))

    @property
    def coefs_(self) -> list[Array]:
        """The kernels (inputs, units) of the dense layers: writable views of `network_`."""
        return self._fitted("kernel")

    @coefs_.setter
    def coefs_(self, arrays: list[Array]) -> None:
        self._fitted("kernel")[:] = arrays

    @property
    def intercepts_(self) -> list[Array]:
        """The biases (units,) of the dense layers, likewise."""
        return self._fitted("bias")

    @intercepts_.setter
    def intercepts_(self, arrays: list[Array]) -> None:
        self._fitted("bias")[:] = arrays

    @property
    def n_layers_(self) -> int:
        """Number of layers, including the input."""
        return len(self.coefs_) + 1

    @property
    def _optimizer(self) -> Any:
        """By the name that scikit-learn gives it."""
        return self.trainer_.optimizer

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _of_dense_layers(network: Network, name: str) -> list[Array]:
    return [network.parameters[f"{layer.place}.{name}"] for layer in network.layers if type(layer) is layers.Dense]


def _initialize(network: Network, functions: list[Any], rng: np.random.RandomState) -> None:
    """Draw the weights that scikit-learn draws, in its order, uniformly."""
    kernels, biases = (_of_dense_layers(network, name) for name in ("kernel", "bias"))
    for kernel, bias, function in zip(kernels, biases, functions, strict=True):
        bound = np.sqrt((2 if function in ("logistic", "sigmoid") else 6) / sum(kernel.shape))
        kernel[...] = rng.uniform(-bound, bound, kernel.shape)
        bias[...] = rng.uniform(-bound, bound, bias.shape)


def hidden_sizes(where: str, given: Any) -> list[int]:
    """The argument `hidden_layer_sizes` as a list."""
    sizes = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    if any(isinstance(size, numbers.Real) and size <= 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {short_repr(sizes)}.")
    return [integer(where, "hidden_layer_sizes", size) for size in sizes]


def _per_layer(where: str, name: str, given: Any, count: int) -> list[Any]:
    """One value for each hidden layer."""
    if not isinstance(given, list | tuple):
        return [given] * count
    if len(given) != count:
        raise ValueError(
            f"{where}: expected {name} for each of {count} hidden layers, or one for all, got {len(given)}"
        )
    return list(given)


class MLPClassifier(_Perceptron, NeuralClassifier):
    """Multilayer perceptron that classifies, with the parameters of scikit-learn's and more.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default (100,)
        Units of each hidden layer.
    activation : str, activation layer, or list of them, default "relu"
        Of the hidden layers: "identity", "logistic", "tanh", "relu", or any of `nnfast.activations`; a list has one for
        each layer.
    alpha : float, default 0.0001
        Penalty alpha/2 sum w^2 on the kernels, divided by the weight of a batch: its number of rows, or the sum of
        their sample weights.
    loss : str, Loss or callable, default "log_loss"
        "log_loss" is the cross-entropy; or one of `nnfast.losses` that suits the output. Of three and more classes, a
        function gets the numbers (N,) from 0, and losses that compare numbers, such as "mse", get one-hot rows.
    dropout : float or list of float, default 0
        Rate of dropout after each hidden layer; a list has one for each.
    batch_norm : bool, default False
        Normalize batches before the activation of each hidden layer, see `layers.BatchNormalization`.
    class_weight : dict, "balanced" or None, default None
        Weights by class label, multiplied with `sample_weight`; "balanced" are weights in inverse proportion to the
        number of rows of a class.
    **others
        See `nnfast.sklearn`.

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        Kernels and biases, as writable views. Arrays that are assigned, ``model.coefs_[0] = w``, are copied into them.
    n_layers_ : int
        Including the input.

    See Also
    --------
    nnfast.sklearn : Other attributes.

    Notes
    -----
    Two classes are one unit with a sigmoid, more are a softmax, and labels are units with sigmoids, whose losses are
    added. Initial weights are those of scikit-learn with the same `random_state`; the order of rows is another one.

    References
    ----------
    Glorot & Bengio (2010), Understanding the difficulty of training deep feedforward neural networks, AISTATS.

    Examples
    --------
    >>> import nnfast as nf
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X, y = load_iris(return_X_y=True)
    >>> model = nf.sklearn.MLPClassifier((32,), learning_rate_init=0.02, dropout=0.1, random_state=0)
    >>> make_pipeline(StandardScaler(), model).fit(X, y).score(X, y) > 0.95
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: Any = 0.0001,
        batch_size: Any = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: Any = 0.001,
        power_t: Any = 0.5,
        max_iter: Any = 200,
        shuffle: Any = True,
        random_state: Any = None,
        tol: Any = 1e-4,
        verbose: Any = False,
        warm_start: Any = False,
        momentum: Any = 0.9,
        nesterovs_momentum: Any = True,
        early_stopping: Any = False,
        validation_fraction: Any = 0.1,
        beta_1: Any = 0.9,
        beta_2: Any = 0.999,
        epsilon: Any = 1e-8,
        n_iter_no_change: Any = 10,
        max_fun: Any = 15000,
        loss: Any = "log_loss",
        dropout: Any = 0.0,
        batch_norm: Any = False,
        class_weight: Any = None,
        optimizer: Any = None,
        schedule: Any = None,
        callbacks: Any = None,
        metrics: Any = (),
        n_threads: Any = None,
        dtype: Any = None,
    ) -> None:
        self._store(locals())


class MLPRegressor(_Perceptron, NeuralRegressor):
    """Multilayer perceptron that predicts numbers, with the parameters of scikit-learn's and more.

    Parameters
    ----------
    loss : str, Loss or callable, default "squared_error"
        "squared_error" is half the squared error, summed over outputs; "poisson" half the Poisson deviance, for y >= 0
        and with an exponential function after the last layer; or one of `nnfast.losses`, such as "huber".
    hidden_layer_sizes, activation, alpha, dropout, batch_norm
        See `MLPClassifier`.
    **others
        See `nnfast.sklearn`.

    Attributes
    ----------
    coefs_, intercepts_, n_layers_
        See `MLPClassifier`.

    Examples
    --------
    >>> import numpy as np
    >>> import nnfast as nf
    >>> X = np.linspace(-1, 1, 100)[:, None]
    >>> model = nf.sklearn.MLPRegressor(activation="tanh", solver="lbfgs", tol=1e-6, random_state=0)
    >>> model = model.fit(X, X.ravel() ** 2)
    >>> model.predict([[0.5]]).round(2)
    array([0.25])
    """

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: Any = 0.0001,
        batch_size: Any = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: Any = 0.001,
        power_t: Any = 0.5,
        max_iter: Any = 200,
        shuffle: Any = True,
        random_state: Any = None,
        tol: Any = 1e-4,
        verbose: Any = False,
        warm_start: Any = False,
        momentum: Any = 0.9,
        nesterovs_momentum: Any = True,
        early_stopping: Any = False,
        validation_fraction: Any = 0.1,
        beta_1: Any = 0.9,
        beta_2: Any = 0.999,
        epsilon: Any = 1e-8,
        n_iter_no_change: Any = 10,
        max_fun: Any = 15000,
        dropout: Any = 0.0,
        batch_norm: Any = False,
        optimizer: Any = None,
        schedule: Any = None,
        callbacks: Any = None,
        metrics: Any = (),
        n_threads: Any = None,
        dtype: Any = None,
    ) -> None:
        self._store(locals())
