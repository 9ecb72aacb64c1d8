"""Embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

from nnfast import initializers
from nnfast.core.options import flag, integer
from nnfast.core.typing import Shape, Spec
from nnfast.initializers import Initializer
from nnfast.layers.base import Layer
from nnfast.layers.weight_options import EmbeddingOptions

__all__ = ["Embedding"]


class Embedding(Layer):
    """A vector for each token: y = E[x], with a table E of one row per id.

    Parameters
    ----------
    input_dim : int
        Number V of ids: x holds integers from 0 to V - 1. Another one is a ValueError that names it.
    output_dim : int
        Number D of elements of a vector.
    embeddings_initializer : Initializer, str, float or array_like, default "random_uniform"
        First values of E; see `nnfast.initializers`. By default uniform from -.05 to .05.
    mask_zero : bool, default False
        Whether 0 is padding, not a token: steps with it do not count, as behind a `layers.Masking`. Row 0 of E is there
        all the same.
    trainable, name, **weights
        See `nnfast.layers`.

    Notes
    -----
    Shape (N, T...) to (N, T..., D), for example (N, T) to (N, T, D). Parameter: embeddings (V, D). Ids come from a
    `layers.Input` of an integer dtype; other numbers must be whole, and their gradient is 0. A training step costs
    O(N T D + V D).

    References
    ----------
    Bengio et al. (2003), A neural probabilistic language model, https://www.jmlr.org/papers/v3/bengio03a.html.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> table = [[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]]
    >>> net = Network([layers.Input((3,), dtype="int32"), layers.Embedding(3, 2, embeddings_initializer=table)])
    >>> net.predict([[2, 0, 2]])
    array([[[3., 4.],
            [0., 0.],
            [3., 4.]]], dtype=float32)
    """

    op = "embedding"
    shared_arguments: ClassVar[dict[str, Any]] = dict.fromkeys(EmbeddingOptions.__annotations__)

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "random_uniform",
        *,
        mask_zero: bool = False,
        trainable: bool | Sequence[str] = True,
        name: str | None = None,
        **weights: Unpack[EmbeddingOptions],
    ) -> None:
        super().__init__(name=name)
        self._declare_trainable(trainable)
        self._declare_weights(weights)
        self.input_dim = integer("Embedding", "input_dim", input_dim)
        self.output_dim = integer("Embedding", "output_dim", output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.mask_zero = flag("Embedding", "mask_zero", mask_zero)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "input_dim": self.input_dim, "output_dim": self.output_dim}

    def mask_spec(self) -> Spec | None:
        if not self.mask_zero:
            return None
        return {"op": "elementwise", "function": "not_equal", "constant": 0.0, "constant_at": 1}

    def initializer(self, parameter: str) -> Initializer:
        return {"embeddings": self.embeddings_initializer}[parameter]
