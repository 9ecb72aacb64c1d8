"""Estimators of any network, for images and sequences too."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nnfast import layers, losses, ops
from nnfast.core.options import function_name
from nnfast.core.text import short_repr
from nnfast.core.typing import Array
from nnfast.network import Network
from nnfast.sklearn.base import NeuralEstimator
from nnfast.sklearn.kinds import NeuralClassifier, NeuralRegressor

__all__ = ["NetworkClassifier", "NetworkRegressor"]


class _Built(NeuralEstimator):
    """What the two share: networks that a function makes."""

    build: Any
    build_options: Any
    _takes_any_shape = True

    def _make_network(self, input_shape: tuple[int, ...], dtype: str, seed: int, rng: np.random.RandomState) -> Network:
        build = _perceptron if self.build is None else self.build
        facts = {"input_shape": input_shape, "n_outputs": self._targets.units, "seed": seed, "dtype": dtype}
        where = type(self).__name__
        if isinstance(build, Network | layers.Layer) or not callable(build):
            raise TypeError(
                f"{where}: expected build as a function that returns a Network or a list of layers, got "
                f"{short_repr(build)}; write a function, which makes a new network for each fit"
            )
        options = {} if self.build_options is None else self.build_options
        if not isinstance(options, Mapping):
            raise TypeError(f"{where}: expected build_options as a dict, got {short_repr(options)}")
        where = f"{where}: {function_name(build)}"
        made = build(**(_taken(build, facts) | dict(options)))
        if isinstance(made, list | tuple):
            starts = bool(made) and isinstance(made[0], layers.Input)
            made = Network([*([] if starts else [layers.Input(input_shape)]), *made], seed=seed, dtype=dtype)
        if not isinstance(made, Network):
            raise TypeError(f"{where}: expected a Network or a list of layers, got {short_repr(made)}")
        if made.output_shape != (self._targets.units,):
            raise ValueError(
                f"{where}: expected a network with an output of shape {(self._targets.units,)}, got "
                f"{made.output_shape}; end it in layers.Dense(n_outputs)"
            )
        return made.copy(dtype)  # which may be one that the function returns again


def _taken(build: Callable[..., Any], facts: dict[str, Any]) -> dict[str, Any]:
    """Those that a function has parameters for."""
    parameters = inspect.signature(build).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return facts
    return {name: value for name, value in facts.items() if name in parameters}


def _perceptron(input_shape: tuple[int, ...], n_outputs: int) -> list[layers.Layer]:
    """The network of scikit-learn's MLP, as the default."""
    return [layers.Flatten(), layers.Dense(100, "relu"), layers.Dense(n_outputs)]


class NetworkClassifier(_Built, NeuralClassifier):
    """Classifier with a network that a function makes: for images, sequences, tables.

    Parameters
    ----------
    build : callable or None, default None
        Returns a `Network`, or a list of layers of which `layers.Input` may be left out. It is called with those of
        these that it has parameters for: ``input_shape``, the shape of a row of X; ``n_outputs``, the number of classes
        or labels; ``seed``, which a Network needs for results that `random_state` determines; and ``dtype``. The
        network has `n_outputs` outputs: probabilities, if it ends in a softmax, or with labels in a sigmoid, and logits
        otherwise. By default, a hidden layer of 100 units.
    build_options : dict or None, default None
        More keyword arguments of `build`, for searches: ``{"build_options": [{"width": 16}, {"width": 32}]}``.
    loss : str, Loss or callable, default "log_loss"
        See `MLPClassifier`.
    class_weight : dict, "balanced" or None, default None
        See `MLPClassifier`.
    **others
        See `nnfast.sklearn`. `dtype` is "float32" by default.

    Notes
    -----
    Images of uint8 are not converted, if a `layers.Rescaling` comes first. Functions that are defined in modules can be
    pickled, and ``lambda`` cannot.

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import layers
    >>> from sklearn.datasets import load_digits
    >>> def build(input_shape, n_outputs, filters=8):
    ...     convolution = layers.Conv2D(filters, 3, activation="relu")
    ...     return [convolution, layers.MaxPool2D(2), layers.Flatten(), layers.Dense(n_outputs)]
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> model = nf.sklearn.NetworkClassifier(build, learning_rate_init=0.01, tol=1e-2, random_state=0)
    >>> model.fit(X.reshape(-1, 8, 8, 1) / 16, y).score(X.reshape(-1, 8, 8, 1) / 16, y) > 0.95
    True
    """

    _softmax_of_two = True

    def __init__(
        self,
        build: Any = None,
        *,
        build_options: Any = None,
        loss: Any = "log_loss",
        solver: Any = "adam",
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
        class_weight: Any = None,
        optimizer: Any = None,
        schedule: Any = None,
        callbacks: Any = None,
        metrics: Any = (),
        n_threads: Any = None,
        dtype: Any = "float32",
    ) -> None:
        self._store(locals())

    def _loss_of(self, network: Network) -> tuple[Any, float]:
        if not isinstance(self.loss, str) or self.loss != "log_loss":
            return self.loss, 1.0
        from_logits = self._gives_logits(network)
        if self._targets.out_activation == "softmax":
            return losses.CrossEntropy(from_logits=from_logits), 1.0
        return losses.BinaryCrossEntropy(from_logits=from_logits), float(self._targets.units)

    def _gives_logits(self, network: Network) -> bool:
        wanted = "softmax" if self._targets.out_activation == "softmax" else "sigmoid"
        return network.last_activation != wanted

    def _of_network(self, network: Network, x: Any) -> Array:
        output = super()._of_network(network, x)
        if not self._gives_logits(network):
            return output
        function = ops.softmax if self._targets.out_activation == "softmax" else ops.sigmoid
        return np.asarray(function(output))


class NetworkRegressor(_Built, NeuralRegressor):
    """Regressor with a network that a function makes: for images, sequences, tables.

    Parameters
    ----------
    build, build_options
        See `NetworkClassifier`; ``n_outputs`` is the number of columns of y.
    loss : str, Loss or callable, default "squared_error"
        See `MLPRegressor`; with "poisson", the network must give positive numbers.
    **others
        See `nnfast.sklearn`. `dtype` is "float32" by default.

    Examples
    --------
    >>> import numpy as np
    >>> import nnfast as nf
    >>> from nnfast import layers
    >>> def build(input_shape, n_outputs, seed):
    ...     x = layers.Input(input_shape)
    ...     last = layers.GRU(8)(x)
    ...     return nf.Network(inputs=x, outputs=layers.Dense(n_outputs)(last), seed=seed)
    >>> X = np.random.default_rng(0).normal(size=(64, 5, 1))
    >>> model = nf.sklearn.NetworkRegressor(build, max_iter=300, learning_rate_init=0.01, random_state=0)
    >>> model.fit(X, X[:, -1, 0]).score(X, X[:, -1, 0]) > 0.9
    True
    """

    def __init__(
        self,
        build: Any = None,
        *,
        build_options: Any = None,
        loss: Any = "squared_error",
        solver: Any = "adam",
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
        optimizer: Any = None,
        schedule: Any = None,
        callbacks: Any = None,
        metrics: Any = (),
        n_threads: Any = None,
        dtype: Any = "float32",
    ) -> None:
        self._store(locals())

    def _hint_at_divergence(self) -> str:
        if isinstance(self.loss, str) and self.loss == "poisson":
            return (
                "; with loss='poisson', the network must give positive numbers: end it in "
                'Dense(n_outputs, "softplus")'
            )
        return ""
