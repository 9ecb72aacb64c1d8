"""Attention: `MultiHeadAttention`, `GroupQueryAttention`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

import numpy as np
from numpy.typing import ArrayLike

from nnfast import initializers
from nnfast.core.arrays import as_numbers
from nnfast.core.options import flag, integer, named_arguments, real
from nnfast.core.tensor import Tensor, batch_shape
from nnfast.core.text import short_repr
from nnfast.core.typing import Array, Shape, Spec
from nnfast.layers.base import Layer
from nnfast.layers.core import Dense
from nnfast.layers.operation import Operation, constant
from nnfast.layers.positions import RotaryEmbedding
from nnfast.layers.weight_options import KernelOptions

__all__ = ["GroupQueryAttention", "MultiHeadAttention"]

_Inputs = Tensor | Sequence[Tensor]


class _Attention(Layer):
    """softmax(scale q k^T) v for heads that stand side by side: q (T, H Dh), k (S, G Dh), v (S, G Dv) to (T, H Dv)."""

    op = "attention"
    num_inputs = None
    masked_input = 1

    def __init__(self, options: Spec, *, takes_mask: bool) -> None:
        super().__init__(name="attention")
        self.options = options
        self.takes_mask = takes_mask

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, **self.options, "has_mask": int(len(input_shapes) == 4)}


class _JointMask(Layer):
    """What both an explicit mask and that of the keys let through."""

    num_inputs = 2
    takes_mask = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        _, explicit = inputs
        if mask is None:
            return explicit
        if len(explicit.shape) == 2:
            mask = Operation("reshape", {"shape": [1, *mask.shape]})(mask)
        return explicit * mask


class MultiHeadAttention(Layer):
    """Attention of several heads: each step of the query gets a mean of the values, weighted by its fit to their keys.

    For each head, with the projections q = query Wq + bq (T, Dh), k = key Wk + bk (S, Dh), v = value Wv + bv (S, Dv):
    softmax(q k^T / sqrt(Dh)) v. The heads' outputs, side by side, are projected again: y = [heads] Wo + bo.

    Call it as in Keras: ``layer(query, value, key=value)``, or ``layer(x)`` for self-attention, so that it fits into a
    list of layers.

    Parameters
    ----------
    num_heads : int
        Number H of heads.
    key_dim : int
        Size Dh of the queries and keys of a head.
    value_dim : int, optional
        Size Dv of the values of a head; by default `key_dim`.
    dropout : float, default 0
        In training, the probability of a weight (after the softmax) to be dropped; 0 <= dropout < 1.
    use_bias : bool, default True
        Whether the four projections have biases.
    output_shape : int, optional
        Size of the output; by default that of the query.
    kernel_initializer, bias_initializer, trainable, name, **weights
        See `nnfast.layers`; for all four projections.
    causal : bool, default False
        Whether a step sees itself and earlier ones only. ``layer(x, x, use_causal_mask=True)`` sets it too.
    num_key_value_heads : int, optional
        Number G of heads of keys and values, a divisor of `num_heads`: H / G queries share each, which saves time and
        memory. By default H.
    rotary : bool or float, default False
        Whether queries and keys are rotated by angles proportional to their positions, so that their products depend on
        distances: the `max_wavelength` of a `RotaryEmbedding`. True stands for 10000, False for 0.
    output_initializer : Initializer, str, float or array_like, optional
        Initial kernel of the output's projection; by default `kernel_initializer`.

    Notes
    -----
    Shape (N, T, D), (N, S, D'), (N, S, D'') to (N, T, D). Parameters, which are Keras's with axes joined, so that
    `set_weights` takes Keras's arrays too: query.kernel (D, H Dh), key.kernel (D'', G Dh), value.kernel (D', G Dv),
    attention_output.kernel (H Dv, D), and biases.

    Padding of the keys, known from `Masking` or `Embedding`, is not seen. The output has the mask of the query. A step
    that may see nothing gets zeros in place of a mean. If causal, the last step of the query is at the last key: step t
    sees the keys up to t + S - T.

    References
    ----------
    Vaswani et al. (2017), Attention is all you need, arXiv:1706.03762. Ainslie et al. (2023), GQA: training generalized
    multi-query transformer models from multi-head checkpoints, arXiv:2305.13245.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> x, memory = layers.Input((5, 8)), layers.Input((3, 8))
    >>> y = layers.MultiHeadAttention(num_heads=2, key_dim=4, causal=True)(x)
    >>> z = layers.MultiHeadAttention(num_heads=2, key_dim=4, name="cross")(y, memory)
    >>> net = Network(inputs=[x, memory], outputs=z, seed=0)
    >>> net.output_shape, net.parameters["cross.query.kernel"].shape
    ((5, 8), (8, 8))
    """

    num_inputs = None
    takes_mask = True
    passes_mask = True
    shared_arguments: ClassVar[dict[str, Any]] = dict.fromkeys(KernelOptions.__annotations__)

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        *,
        causal: bool = False,
        num_key_value_heads: int | None = None,
        rotary: bool | float = False,
        output_initializer: Any = None,
        trainable: bool | Sequence[str] = True,
        name: str | None = None,
        **weights: Unpack[KernelOptions],
    ) -> None:
        super().__init__(name=name)
        where = type(self).__name__
        self._declare_trainable(trainable)
        self._declare_weights(weights)
        self.num_heads = integer(where, "num_heads", num_heads)
        self.key_dim = integer(where, "key_dim", key_dim)
        self.value_dim = None if value_dim is None else integer(where, "value_dim", value_dim)
        self.dropout = real(where, "dropout", dropout, minimum=0.0, upper_bound=1.0)
        self.use_bias = flag(where, "use_bias", use_bias)
        self.output_shape = _size_of_output(where, output_shape)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.causal = flag(where, "causal", causal)
        self.num_key_value_heads = _groups(where, num_key_value_heads, self.num_heads)
        self.rotary = _base(where, rotary, self.key_dim)
        self.output_initializer = None if output_initializer is None else initializers.get(output_initializer)

    @named_arguments
    def __call__(
        self,
        query: _Inputs,
        value: Tensor | None = None,
        key: Tensor | None = None,
        *,
        attention_mask: Any = None,
        use_causal_mask: bool | None = None,
    ) -> Tensor:
        """Apply the layer to symbolic tensors.

        Parameters
        ----------
        query : Tensor (N, T, D), or a list of query, value, key and mask
        value : Tensor (N, S, D'), optional
            By default the query: self-attention.
        key : Tensor (N, S, D''), optional
            By default the value.
        attention_mask : Tensor (N, T, S), (N, S), (T, S) or array_like, optional
            1 (or True) where a step of the query may see one of the values, else 0. Arrays are (T, S) or (S,).
        use_causal_mask : bool, optional
            Keras's way to set `causal`, at the first call.

        Returns
        -------
        Tensor (N, T, D)
        """
        given: list[Any] = list(query) if isinstance(query, list | tuple) else [query]
        if len(given) > 1 and (value is not None or key is not None or attention_mask is not None):
            raise ValueError(f"{self.place}: expected tensors either in a list or as arguments, got both")
        if not 1 <= len(given) <= 4:
            raise ValueError(f"{self.place}: expected query, value, key and attention_mask, got {len(given)} tensors")
        if len(given) == 1:
            given = self._as_list(given[0], value, key, attention_mask)
        if use_causal_mask is not None and flag(self.place, "use_causal_mask", use_causal_mask) != self.causal:
            if self.causal or self.composition.built:
                raise ValueError(
                    f"{self.place}: expected use_causal_mask={self.causal}, as in the layer's first call, got "
                    f"{use_causal_mask}; make two layers"
                )
            self.causal = use_causal_mask
        return super().__call__(given)

    def _as_list(self, query: Tensor, value: Tensor | None, key: Tensor | None, mask: Any) -> list[Any]:
        """Of the fewest tensors that say the same; with a mask always of four."""
        value = query if value is None else value
        if mask is not None:
            made = mask if isinstance(mask, Tensor) else _constant_mask(self.place, mask)
            return [query, value, value if key is None else key, made]
        if key is not None and key is not value:
            return [query, value, key]
        return [query] if value is query else [query, value]

    def build(self, input_shape: Any) -> None:
        options = {option: getattr(self, option) for option in KernelOptions.__annotations__}

        def projection(units: int, name: str, initializer: Any = None) -> Dense:
            return Dense(
                units,
                use_bias=self.use_bias,
                kernel_initializer=self.kernel_initializer if initializer is None else initializer,
                bias_initializer=self.bias_initializer,
                name=name,
                **options,
            )

        query = input_shape[0] if isinstance(input_shape, list) else input_shape
        heads, groups = self.num_heads, self.num_key_value_heads or self.num_heads
        value_dim = self.value_dim or self.key_dim
        self._query = projection(heads * self.key_dim, "query")
        self._key = projection(groups * self.key_dim, "key")
        self._value = projection(groups * value_dim, "value")
        units = query[-1] if self.output_shape is None else self.output_shape
        options["activity_regularizer"] = None  # the layer's own is that of its output
        self._output = projection(units, "attention_output", self.output_initializer)
        self._joint_mask = _JointMask(name="joint_mask")

    def call(self, inputs: Any, mask: Any = None) -> Any:
        # Steps of the query that are padding may see what they like: nothing depends on what they get.
        given = inputs if isinstance(inputs, list) else [inputs]
        last = min(len(given), 3) - 1
        query, value, key, explicit = given[0], given[min(1, last)], given[last], given[3:]
        self._require_sequences(query, value, key)
        heads, groups = self.num_heads, self.num_key_value_heads or self.num_heads
        q, k, v = self._query(query), self._key(key), self._value(value)
        masks = [self._joint_mask([key, self._checked_mask(m, query.shape[0], value.shape[0])]) for m in explicit]
        if self.rotary:
            if self.causal and query.shape[0] != key.shape[0]:
                counts = f"{query.shape[0]} and {key.shape[0]}"
                raise ValueError(
                    f"{self.place}: expected as many queries as keys, if both are rotated and the mask is causal, got "
                    f"{counts}; rotate them before, with layers.RotaryEmbedding and the position of the first query"
                )
            q = RotaryEmbedding(self.rotary, heads, name="rotary_query")(q)
            k = RotaryEmbedding(self.rotary, groups, name="rotary_key")(k)
        options = {
            "heads": heads,
            "key_value_heads": groups,
            "scale": self.key_dim**-0.5,
            "causal": int(self.causal),
            "dropout": self.dropout,
        }
        attention = _Attention(options, takes_mask=not masks)
        return self._output(attention([q, k, v, *masks]))

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Set the layer's parameters, given in their own shapes or in Keras's, whose heads are an axis.

        Parameters
        ----------
        weights : sequence of array_like
            One array per parameter, in the order of `get_weights`, which is Keras's.

        Raises
        ------
        RuntimeError
            If the layer is not part of exactly one network.
        """
        own = self._parameters(self._network()).values()
        if len(own) == len(weights):
            weights = [_with_joined_heads(np.asarray(a), b.shape) for a, b in zip(weights, own, strict=True)]
        super().set_weights(weights)

    def _require_sequences(self, query: Tensor, value: Tensor, key: Tensor) -> None:
        for name, tensor in (("query", query), ("value", value), ("key", key)):
            if len(tensor.shape) != 2 or not tensor.batched:
                raise ValueError(
                    f"{self.place}: expected a {name} of (N, T, D), got {batch_shape(tensor.shape)}; sequences of "
                    "images or of single numbers need a layers.Reshape((T, D)) before the layer"
                )
        if key.shape[0] != value.shape[0]:
            raise ValueError(
                f"{self.place}: expected as many keys as values, got {key.shape[0]} keys and {value.shape[0]} values"
            )

    def _checked_mask(self, mask: Tensor, steps: int, seen: int) -> Tensor:
        """The mask with the batch axis."""
        if tuple(mask.shape) not in ((seen,), (steps, seen)):
            raise ValueError(
                f"{self.place}: expected an attention_mask for {steps} queries and {seen} values, of (N, {steps}, "
                f"{seen}), ({steps}, {seen}), (N, {seen}) or ({seen},), got {batch_shape(mask.shape)}"
            )
        return mask if mask.batched else Operation("broadcast_to", {"shape": [-1, *mask.shape]})(mask)


class GroupQueryAttention(MultiHeadAttention):
    """`MultiHeadAttention` in which several queries share keys and values, with Keras's arguments.

    Parameters
    ----------
    head_dim : int
        Size of the queries, keys and values of a head.
    num_query_heads : int
        Number H of heads of queries.
    num_key_value_heads : int
        Number G of heads of keys and values, a divisor of `num_query_heads`.
    dropout, use_bias, kernel_initializer, bias_initializer, causal, rotary, trainable, name, **weights
        See `MultiHeadAttention`.

    References
    ----------
    Ainslie et al. (2023), GQA: training generalized multi-query transformer models from multi-head checkpoints,
    arXiv:2305.13245.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> net = Network([layers.Input((5, 8)), layers.GroupQueryAttention(4, 6, 2, name="attention")], seed=0)
    >>> net.output_shape, net.parameters["attention.key.kernel"].shape
    ((5, 8), (8, 8))
    """

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        *,
        causal: bool = False,
        rotary: bool | float = False,
        trainable: bool | Sequence[str] = True,
        name: str | None = None,
        **weights: Unpack[KernelOptions],
    ) -> None:
        where = type(self).__name__
        self.head_dim = integer(where, "head_dim", head_dim)
        self.num_query_heads = integer(where, "num_query_heads", num_query_heads)
        super().__init__(
            num_query_heads,
            head_dim,
            None,
            dropout,
            use_bias,
            None,
            kernel_initializer,
            bias_initializer,
            causal=causal,
            num_key_value_heads=integer(where, "num_key_value_heads", num_key_value_heads),
            rotary=rotary,
            trainable=trainable,
            name=name,
            **weights,
        )


def _groups(where: str, groups: Any, heads: int) -> int | None:
    """The number of heads of keys and values."""
    if groups is None:
        return None
    number = integer(where, "num_key_value_heads", groups)
    if heads % number:
        raise ValueError(f"{where}: expected a num_key_value_heads that divides {heads}, the heads, got {number}")
    return number


def _base(where: str, rotary: Any, key_dim: int) -> float:
    """The base of rotary positions; 0 without them."""
    if rotary is True or rotary is False or isinstance(rotary, np.bool_):
        base = 10000.0 if rotary else 0.0
    else:
        base = real(where, "rotary", rotary, minimum=0.0)
    if base and key_dim % 2:
        raise ValueError(f"{where}: expected an even key_dim with rotary positions, got {key_dim}")
    return base


def _size_of_output(where: str, output_shape: Any) -> int | None:
    """The size of an output step; Keras gives it as a tuple too."""
    if output_shape is None:
        return None
    if isinstance(output_shape, list | tuple) and len(output_shape) == 1:
        output_shape = output_shape[0]
    return integer(where, "output_shape", output_shape)


def _constant_mask(where: str, mask: Any) -> Tensor:
    array = as_numbers(mask, where, "attention_mask")
    if not np.isin(array, (0, 1)).all():
        raise ValueError(f"{where}: expected an attention_mask of zeros and ones, got {short_repr(mask)}")
    return constant(array)


def _with_joined_heads(given: Array, shape: Shape) -> Array:
    """An array of Keras's shape, which has one axis more, in ours."""
    sizes = given.shape
    joined = {(*sizes[:i], sizes[i] * sizes[i + 1], *sizes[i + 2 :]) for i in range(len(sizes) - 1)}
    return given.reshape(shape) if sizes != shape and shape in joined else given
