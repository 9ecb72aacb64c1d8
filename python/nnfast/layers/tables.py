"""Layers for tables: embeddings of single numbers, and factors of features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nnfast import initializers
from nnfast.core.options import integer, real
from nnfast.core.tensor import batch_shape
from nnfast.layers.base import Layer
from nnfast.layers.merge import Concatenate
from nnfast.layers.operation import Operation
from nnfast.layers.reshape import Reshape

__all__ = ["LayerScale", "PeriodicEmbedding"]


class LayerScale(Layer):
    """y = scale x with a trained factor for each feature, the last axis.

    Parameters
    ----------
    scale_initializer : Initializer, str, float or array_like, default "ones"
        Initial factors; small ones, such as 1e-6, let the residual blocks of a deep network begin as the identity.
    trainable, name
        See `nnfast.layers`.

    Notes
    -----
    Shape (N, ..., C) to (N, ..., C). Parameter: scale (C,).

    References
    ----------
    Touvron et al. (2021), Going deeper with image Transformers, arXiv:2103.17239. Holzmueller, Grinsztajn & Steinwart
    (2024), Better by default: strong pre-tuned MLPs and boosted trees on tabular data, arXiv:2407.04491, which use it
    as the first layer.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((2,)), layers.LayerScale([0.5, 2.0])]).predict([[1.0, 1.0]])
    array([[0.5, 2. ]], dtype=float32)
    """

    passes_mask = True

    def __init__(
        self, scale_initializer: Any = "ones", *, trainable: bool | Sequence[str] = True, name: str | None = None
    ) -> None:
        super().__init__(name=name)
        self._declare_trainable(trainable)
        self.scale_initializer = initializers.get(scale_initializer)

    def build(self, input_shape: Any) -> None:
        self._scale = self.add_weight((input_shape[-1],), self.scale_initializer, name="scale")

    def call(self, inputs: Any) -> Any:
        return inputs * self._scale


class PeriodicEmbedding(Layer):
    """Turns each feature x of a row into `units` features: x itself, and functions of waves of x.

    y = (x, W^T cos(2 pi f x + b) + c), where each feature has its own frequencies f, phases b, matrix W and vector c.

    Parameters
    ----------
    units : int, default 4
        Number of outputs for each feature, at least 2.
    frequencies : int, default 16
        Number F of waves of each feature.
    sigma : float, default 0.1
        Standard deviation of the initial frequencies, in periods per unit of x; above 0.
    trainable, name
        See `nnfast.layers`.

    Notes
    -----
    Shape (N, D) to (N, D, units). Parameters: frequency and phase (D, F), kernel (D, F, units - 1), bias
    (D, units - 1). Features should have sizes near 1.

    References
    ----------
    Gorishniy, Rubachev & Babenko (2022), On embeddings for numerical features in tabular deep learning,
    arXiv:2203.05556. Holzmueller, Grinsztajn & Steinwart (2024), Better by default, arXiv:2407.04491 ("PBLD").

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> net = Network([layers.Input((3,)), layers.PeriodicEmbedding(), layers.Flatten()], seed=0)
    >>> net.predict([[1.0, 2.0, 3.0]]).shape
    (1, 12)
    """

    def __init__(
        self,
        units: int = 4,
        frequencies: int = 16,
        sigma: float = 0.1,
        *,
        trainable: bool | Sequence[str] = True,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self._declare_trainable(trainable)
        self.units = integer("PeriodicEmbedding", "units", units, minimum=2)
        self.frequencies = integer("PeriodicEmbedding", "frequencies", frequencies)
        self.sigma = real("PeriodicEmbedding", "sigma", sigma, minimum=0.0)

    def build(self, input_shape: Any) -> None:
        if len(input_shape) != 1:
            raise ValueError(
                f"{self.place}: expected an input of (N, D), got {batch_shape(input_shape)}; add layers.Flatten() "
                "before it"
            )
        features, waves, learned = input_shape[0], self.frequencies, self.units - 1
        bound = 1 / math.sqrt(waves)
        uniform = initializers.RandomUniform(-bound, bound)
        self._frequency = self.add_weight(
            (features, waves), initializers.RandomNormal(0.0, self.sigma), name="frequency"
        )
        self._phase = self.add_weight((features, waves), initializers.RandomUniform(-math.pi, math.pi), name="phase")
        self._kernel = self.add_weight((features, waves, learned), uniform, name="kernel")
        self._bias = self.add_weight((features, learned), uniform, name="bias")

    def call(self, inputs: Any) -> Any:
        features = inputs.shape[0]
        x: Any = Reshape((features, 1))(inputs)
        waves = Operation("elementwise", {"function": "cos"})(2 * math.pi * x * self._frequency + self._phase)
        # A product of matrices for each feature, of one row each.
        row: Any = Reshape((features, 1, self.frequencies))(waves)
        learned: Any = Reshape((features, self.units - 1))(row @ self._kernel)
        return Concatenate()([x, learned + self._bias])
