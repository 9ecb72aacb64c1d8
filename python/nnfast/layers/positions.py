"""Positions of the steps of a sequence: learned, of sines, and rotations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

import numpy as np

from nnfast import initializers
from nnfast.core.options import flag, integer, real
from nnfast.core.tensor import Tensor, batch_shape
from nnfast.core.typing import Array, Shape, Spec
from nnfast.layers.base import Layer
from nnfast.layers.embedding import Embedding
from nnfast.layers.merge import Add
from nnfast.layers.operation import Operation, constant
from nnfast.layers.weight_options import EmbeddingOptions

__all__ = ["PositionEmbedding", "RotaryEmbedding", "SinePositionEncoding", "TokenAndPositionEmbedding"]


def _require_sequence(where: str, x: Any) -> Shape:
    shape: Shape = x.shape
    if len(shape) != 2 or not x.batched:
        raise ValueError(
            f"{where}: expected an input of (N, T, D), got {batch_shape(shape)}; tokens pass through "
            "layers.Embedding first"
        )
    return shape


def _for_each_row(positions: Tensor) -> Tensor:
    return Operation("broadcast_to", {"shape": [-1, *positions.shape]})(positions)


class PositionEmbedding(Layer):
    """A learned vector for each position of a sequence, to be added to it: ``x + PositionEmbedding(length)(x)``.

    Parameters
    ----------
    sequence_length : int
        Number L of positions, at least that of the steps of the input.
    embeddings_initializer : Initializer, str, float or array_like, default "glorot_uniform"
        Initial vectors; see `nnfast.initializers`.
    trainable, name, **weights
        See `nnfast.layers`.

    Notes
    -----
    Shape (N, T, D) to (N, T, D), of which each row is the same: as in KerasHub, the layer does not add them. Parameter:
    embeddings (L, D). For tokens, `TokenAndPositionEmbedding` does everything.

    References
    ----------
    Gehring et al. (2017), Convolutional sequence to sequence learning, arXiv:1705.03122.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> x = layers.Input((2, 1))
    >>> positions = layers.PositionEmbedding(3, embeddings_initializer=[[1.0], [2.0], [3.0]])
    >>> Network(inputs=x, outputs=x + positions(x)).predict([[[10.0], [20.0]]])
    array([[[11.],
            [22.]]], dtype=float32)
    """

    passes_mask = True
    shared_arguments: ClassVar[dict[str, Any]] = dict.fromkeys(EmbeddingOptions.__annotations__)

    def __init__(
        self,
        sequence_length: int,
        embeddings_initializer: Any = "glorot_uniform",
        *,
        trainable: bool | Sequence[str] = True,
        name: str | None = None,
        **weights: Unpack[EmbeddingOptions],
    ) -> None:
        super().__init__(name=name)
        self._declare_trainable(trainable)
        self._declare_weights(weights)
        self.sequence_length = integer("PositionEmbedding", "sequence_length", sequence_length)
        self.embeddings_initializer = initializers.get(embeddings_initializer)

    def build(self, input_shape: Any) -> None:
        self._table = self.add_weight(
            (self.sequence_length, input_shape[-1]),
            self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
            name="embeddings",
        )

    def call(self, inputs: Any) -> Any:
        steps, _ = _require_sequence(self.place, inputs)
        return _for_each_row(self.first(steps))

    def first(self, steps: int) -> Tensor:
        """The vectors of the first positions (T, D), without the batch axis.

        Parameters
        ----------
        steps : int
        """
        if steps > self.sequence_length:
            raise ValueError(
                f"{self.place}: expected at most {self.sequence_length} steps, the number of positions, got {steps}; "
                f"make the layer with sequence_length={steps} or more, or cut the sequences"
            )
        if steps == self.sequence_length:
            return self._table
        return Operation("slice", {"axes": [0], "starts": [0], "steps": [1], "sizes": [steps]})(self._table)


class SinePositionEncoding(Layer):
    """Sines and cosines of the positions of a sequence, to be added to it: ``x + SinePositionEncoding()(x)``.

    Of step t, elements 2 i and 2 i + 1 are sin and cos of t / max_wavelength^(2 i / D).

    Parameters
    ----------
    max_wavelength : float, default 10000
        The longest wavelength divided by 2 pi; larger than 0.

    Notes
    -----
    Shape (N, T, D) to (N, T, D), of which each row is the same: as in KerasHub, the layer does not add them. The table
    (T, D) is saved with the parameters, but not trained.

    References
    ----------
    Vaswani et al. (2017), Attention is all you need, arXiv:1706.03762.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import Network, layers
    >>> net = Network([layers.Input((3, 2)), layers.SinePositionEncoding()])
    >>> net.predict(np.zeros((1, 3, 2))).round(4)
    array([[[ 0.    ,  1.    ],
            [ 0.8415,  0.5403],
            [ 0.9093, -0.4161]]], dtype=float32)
    """

    passes_mask = True

    def __init__(self, max_wavelength: float = 10000.0, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.max_wavelength = _wavelength("SinePositionEncoding", max_wavelength)

    def call(self, inputs: Any) -> Any:
        steps, size = _require_sequence(self.place, inputs)
        return _for_each_row(constant(self._values(steps, size)))

    def _values(self, steps: int, size: int) -> Array:
        element = np.arange(size)
        angles = np.arange(steps)[:, None] * self.max_wavelength ** (-2.0 * (element // 2) / size)
        return np.where(element % 2, np.cos(angles), np.sin(angles))


class RotaryEmbedding(Layer):
    """Rotate pairs of elements by angles proportional to the position: products of two steps depend on their distance.

    Of step t, the pair i of the D elements of a head is rotated by the angle t / max_wavelength^(2 i / D).

    Parameters
    ----------
    max_wavelength : float, default 10000
        The longest wavelength divided by 2 pi; larger than 0.
    num_heads : int, default 1
        Number H of heads that stand side by side in a step; the positions of all are the same.
    interleaved : bool, default False
        Whether a pair are the elements 2 i and 2 i + 1, as in the paper, or else i and i + D / 2, as in KerasHub.

    Notes
    -----
    Shape (N, T, H D) to the same, for even D. `MultiHeadAttention` has an option `rotary`, which applies the layer to
    queries and keys. Called on a list of two tensors, the second (N, 1) holds the position of the first step, else 0.

    References
    ----------
    Su et al. (2021), RoFormer: enhanced transformer with rotary position embedding, arXiv:2104.09864.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> net = Network([layers.Input((3, 2)), layers.RotaryEmbedding()])
    >>> net.predict([[[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]]).round(4)
    array([[[ 1.    ,  0.    ],
            [ 0.5403,  0.8415],
            [-0.4161,  0.9093]]], dtype=float32)
    """

    op = "rotary"
    num_inputs = None
    passes_mask = True

    def __init__(
        self,
        max_wavelength: float = 10000.0,
        num_heads: int = 1,
        interleaved: bool = False,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.max_wavelength = _wavelength("RotaryEmbedding", max_wavelength)
        self.num_heads = integer("RotaryEmbedding", "num_heads", num_heads)
        self.interleaved = flag("RotaryEmbedding", "interleaved", interleaved)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {
            "op": self.op,
            "heads": self.num_heads,
            "base": self.max_wavelength,
            "interleaved": int(self.interleaved),
            "has_offset": int(len(input_shapes) > 1),
        }


class TokenAndPositionEmbedding(Layer):
    """A vector for each token plus one for each position: y[t] = E[x[t]] + P[t].

    Parameters
    ----------
    vocabulary_size : int
        Number V of ids; see `Embedding`.
    sequence_length : int
        Number L of positions, at least that of the tokens of a row.
    embedding_dim : int
        Number D of elements of a vector.
    embeddings_initializer : Initializer, str, float or array_like, default "random_uniform"
        Initial values of both tables; see `nnfast.initializers`.
    mask_zero : bool, default False
        Whether 0 is padding, not a token; see `Embedding`.
    trainable, name, **weights
        See `nnfast.layers`; regularizers and constraints are those of both tables.

    Notes
    -----
    Shape (N, T) to (N, T, D). Parameters: token_embedding.embeddings (V, D), position_embedding.embeddings (L, D).

    References
    ----------
    Radford et al. (2019), Language models are unsupervised multitask learners.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> tokens = layers.Input((3,), dtype="int32")
    >>> net = Network(inputs=tokens, outputs=layers.TokenAndPositionEmbedding(10, 5, 4)(tokens), seed=0)
    >>> net.output_shape, net.num_parameters
    ((3, 4), 60)
    """

    shared_arguments: ClassVar[dict[str, Any]] = dict.fromkeys(EmbeddingOptions.__annotations__)

    def __init__(
        self,
        vocabulary_size: int,
        sequence_length: int,
        embedding_dim: int,
        embeddings_initializer: Any = "random_uniform",
        mask_zero: bool = False,
        *,
        trainable: bool | Sequence[str] = True,
        name: str | None = None,
        **weights: Unpack[EmbeddingOptions],
    ) -> None:
        super().__init__(name=name)
        self._declare_trainable(trainable)
        self._declare_weights(weights)
        self.vocabulary_size = integer("TokenAndPositionEmbedding", "vocabulary_size", vocabulary_size)
        self.sequence_length = integer("TokenAndPositionEmbedding", "sequence_length", sequence_length)
        self.embedding_dim = integer("TokenAndPositionEmbedding", "embedding_dim", embedding_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.mask_zero = flag("TokenAndPositionEmbedding", "mask_zero", mask_zero)

    def build(self, input_shape: Any) -> None:
        options: Any = {name: getattr(self, name) for name in EmbeddingOptions.__annotations__}
        self._tokens = Embedding(
            self.vocabulary_size,
            self.embedding_dim,
            self.embeddings_initializer,
            mask_zero=self.mask_zero,
            name="token_embedding",
            **options,
        )
        self._positions = PositionEmbedding(
            self.sequence_length, self.embeddings_initializer, name="position_embedding", **options
        )

    def call(self, inputs: Any) -> Any:
        if len(inputs.shape) != 1:
            raise ValueError(f"{self.place}: expected tokens of (N, T), got {batch_shape(inputs.shape)}")
        tokens = self._tokens(inputs)
        return Add(name="sum")([tokens, self._positions(tokens)])


def _wavelength(where: str, value: Any) -> float:
    number = real(where, "max_wavelength", value, minimum=0.0)
    if number == 0:
        raise ValueError(f"{where}: expected max_wavelength > 0, got 0.0")
    return number
