"""Transformers: codes of autoencoders, and what a layer of a network makes of the data."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.utils import check_array
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from nnfast import layers
from nnfast.core.objects import refuse_masked
from nnfast.core.options import integer
from nnfast.core.typing import Array
from nnfast.models.autoencoder import autoencoder
from nnfast.network import Network
from nnfast.sklearn.base import NeuralEstimator, stochastic_only
from nnfast.sklearn.mlp import hidden_sizes
from nnfast.sklearn.targets import NumberTargets

__all__ = ["Autoencoder", "FeatureExtractor"]


class Autoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, NeuralEstimator):
    """Transforms rows into short codes from which a second network, the decoder, makes the rows again.

    Parameters
    ----------
    n_components : int, default 2
        Number of elements of the code.
    hidden_layer_sizes : int or sequence of int, default (100,)
        Units of the layers before the code. The decoder has them in reverse order.
    activation, code_activation, output_activation : str or activation layer, default "relu", None and None
        Of the hidden layers, of the code and of the output, see `models.autoencoder`: "sigmoid" for data in [0, 1].
    noise : float, default 0
        Standard deviation of normal noise that is added to the input in training: a denoising autoencoder.
    tied : bool, default False
        Whether the decoder's kernels are those of the encoder, transposed.
    loss : str, Loss or callable, default "mse"
        One of `nnfast.losses`.
    **others
        See `nnfast.sklearn`.

    Attributes
    ----------
    encoder_, decoder_ : Network
        Parts of `network_`.

    Notes
    -----
    With `early_stopping`, the score is that of the method `score`.

    References
    ----------
    Hinton & Salakhutdinov (2006), Reducing the dimensionality of data with neural networks, DOI
    10.1126/science.1127647.

    Examples
    --------
    >>> import nnfast as nf
    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().data[:500] / 16
    >>> model = nf.sklearn.Autoencoder(8, output_activation="sigmoid", max_iter=20, tol=1e-2, random_state=0)
    >>> codes = model.fit_transform(X)
    >>> codes.shape, model.inverse_transform(codes).shape, model.get_feature_names_out()[0]
    ((500, 8), (500, 64), 'autoencoder0')
    """

    encoder_: Network
    decoder_: Network
    n_components: Any
    hidden_layer_sizes: Any
    activation: Any
    code_activation: Any
    output_activation: Any
    noise: Any
    tied: Any
    _y_is_numeric = True
    _y_may_be_column = False

    def __init__(
        self,
        n_components: Any = 2,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        code_activation: Any = None,
        output_activation: Any = None,
        noise: Any = 0.0,
        tied: Any = False,
        loss: Any = "mse",
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
        dtype: Any = None,
    ) -> None:
        self._store(locals())

    def _targets_of(self, y: Any, classes: Any) -> NumberTargets:
        return NumberTargets(y)

    def _make_network(self, input_shape: tuple[int, ...], dtype: str, seed: int, rng: np.random.RandomState) -> Network:
        return autoencoder(
            input_shape,
            integer("Autoencoder", "n_components", self.n_components),
            hidden_sizes("Autoencoder", self.hidden_layer_sizes),
            activation=self.activation,
            code_activation=self.code_activation,
            output_activation=self.output_activation,
            noise=self.noise,
            tied=self.tied,
            seed=seed,
            dtype=dtype,
        )

    def _loss_of(self, network: Network) -> tuple[Any, float]:
        return self.loss, 1.0

    def _score_of(self, network: Network, x: Any, y: Array, sample_weight: Array | None) -> float:
        errors = ((self._of_network(network, x) - y) ** 2).mean(axis=1)
        return -float(np.average(errors, weights=sample_weight))

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, validation_data: Any = None) -> Self:
        """Learn to reproduce the rows of X.

        Parameters
        ----------
        y : None
            Not used.
        validation_data : array_like of shape (n_samples, n_features), optional
            Rows to reproduce, evaluated after each epoch.
        """
        validation = None if validation_data is None else (validation_data, validation_data)
        return self._fit(X, X, sample_weight, validation)._with_parts()

    @available_if(stochastic_only)
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Make one epoch on these rows; the network and the optimizer go on from where they are.

        Parameters
        ----------
        y : None
            Not used.
        """
        return self._fit(X, X, sample_weight, incremental=True)._with_parts()

    def _with_parts(self) -> Self:
        self.encoder_ = self.network_.extract("code")
        self.decoder_ = self.network_.extract("decoded", inputs="code")
        return self

    @property
    def _n_features_out(self) -> int:
        return int(self.encoder_.output_shape[0])

    def transform(self, X: Any) -> Array:
        """The codes (n_samples, n_components) of the rows of X."""
        check_is_fitted(self)
        x = self._validated(X, reset=False)
        with self._threads():
            return self._of_network(self.encoder_, x)

    def inverse_transform(self, X: Any) -> Array:
        """Rows (n_samples, n_features) that the decoder makes of codes.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_components)
        """
        check_is_fitted(self)
        self._refuse_masked(X=X)
        codes = check_array(X, dtype=np.dtype(self.decoder_.dtype), estimator=self)
        with self._threads():
            return self._of_network(self.decoder_, codes)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The mean squared error of the reproduction, negative, so that more is better.

        Parameters
        ----------
        y : None
            Not used.
        """
        check_is_fitted(self)
        x = self._validated(X, reset=False)
        weights = self._weights(sample_weight, None, len(x), False)
        with self._threads():
            return self._score_of(self.network_, x, x, weights)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"] if self.dtype is None else []
        return tags


class FeatureExtractor(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Transforms rows into the output of a layer of a network: features that a classifier has learned, for another one.

    Parameters
    ----------
    estimator : estimator of nnfast.sklearn, or Network
        An estimator is cloned and fitted. A `Network`, such as a trained one of a file, is taken as it is, and so is a
        ``sklearn.frozen.FrozenEstimator(estimator)``.
    layer : str or None, default None
        Name of the layer, see `Network.extract`; by default the one before the last dense layer. Outputs of several
        axes become vectors.

    Attributes
    ----------
    estimator_ : estimator
        The fitted one.
    extractor_ : Network
        The part of the network up to the layer.

    Examples
    --------
    >>> import nnfast as nf
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = nf.sklearn.MLPClassifier((20, 10), solver="lbfgs", random_state=0)
    >>> nf.sklearn.FeatureExtractor(model).fit_transform(X, y).shape
    (150, 10)
    """

    extractor_: Network

    def __init__(self, estimator: Any, layer: Any = None) -> None:
        self.estimator = estimator
        self.layer = layer

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the estimator, and take the part of its network up to the layer."""
        if isinstance(self.estimator, Network):
            self._checked(X, reset=True)
            network = self.estimator
        else:
            self.estimator_ = clone(self.estimator)
            self.estimator_.fit(X, y, **({} if sample_weight is None else {"sample_weight": sample_weight}))
            self.n_features_in_ = self.estimator_.n_features_in_
            if hasattr(self.estimator_, "feature_names_in_"):
                self.feature_names_in_ = self.estimator_.feature_names_in_
            network = self.estimator_.network_
        self.extractor_ = network.extract(_before_last(network) if self.layer is None else self.layer)
        return self

    def transform(self, X: Any) -> Array:
        """The layer's output (n_samples, n_features_out) for the rows of X."""
        check_is_fitted(self)
        if isinstance(self.estimator, Network):
            x = self._checked(X, reset=False)
        else:
            x = self.estimator_._validated(X, reset=False)
        output = np.asarray(self.extractor_.predict(x))
        return output.reshape(len(output), -1)

    def _checked(self, X: Any, *, reset: bool) -> Any:
        """X for a `Network`, which takes any numbers: token ids and bytes stay integers."""
        refuse_masked(X, "FeatureExtractor", "X")
        return validate_data(self, X, allow_nd=True, reset=reset)

    @property
    def _n_features_out(self) -> int:
        return int(np.prod(self.extractor_.output_shape))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        if not isinstance(self.estimator, Network):
            own = self.estimator.__sklearn_tags__()
            tags.target_tags, tags.input_tags = own.target_tags, own.input_tags
        return tags


def _before_last(network: Network) -> str:
    """The layer before the last dense one."""
    for node in reversed(network.architecture.nodes):
        if isinstance(node.layer, layers.Dense):
            return str(node.inputs[0])
    raise ValueError(f"FeatureExtractor: expected layer= with {network!r}, which has no dense layer")
