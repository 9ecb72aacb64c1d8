"""Blocks of Transformers: `TransformerEncoder`, `TransformerDecoder`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnfast import activations, initializers
from nnfast.core.options import choose, flag, integer, named_arguments, real
from nnfast.core.tensor import Tensor, batch_shape
from nnfast.layers.attention import MultiHeadAttention
from nnfast.layers.base import Layer
from nnfast.layers.core import Dense
from nnfast.layers.merge import Add, Multiply
from nnfast.layers.normalization import LayerNormalization, RMSNormalization
from nnfast.layers.regularization import Dropout

__all__ = ["TransformerDecoder", "TransformerEncoder"]

_NORMALIZATIONS = {"layer": LayerNormalization, "rms": RMSNormalization}
_GATED = "swiglu"


class _TransformerBlock(Layer):
    """What both blocks have in common: their options, and residual branches with normalization and dropout."""

    num_inputs = None

    def __init__(
        self,
        intermediate_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        activation: Any = "relu",
        layer_norm_epsilon: float = 1e-5,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        normalize_first: bool = False,
        *,
        normalization: str = "layer",
        num_key_value_heads: int | None = None,
        rotary: bool | float = False,
        use_bias: bool = True,
        output_initializer: Any = None,
        trainable: bool | Sequence[str] = True,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        where = type(self).__name__
        self._declare_trainable(trainable)
        self.intermediate_dim = integer(where, "intermediate_dim", intermediate_dim)
        self.num_heads = integer(where, "num_heads", num_heads)
        self.dropout = real(where, "dropout", dropout, minimum=0.0, upper_bound=1.0)
        is_gated = isinstance(activation, str) and activation.lower() == _GATED
        self.activation = _GATED if is_gated else activations.get(activation).plain()
        self.layer_norm_epsilon = real(where, "layer_norm_epsilon", layer_norm_epsilon, minimum=0.0)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.normalize_first = flag(where, "normalize_first", normalize_first)
        self.normalization = choose("normalization", normalization, _NORMALIZATIONS)
        self.use_bias = flag(where, "use_bias", use_bias)
        self.output_initializer = None if output_initializer is None else initializers.get(output_initializer)
        # Their values are checked by the layer that has them.
        example = MultiHeadAttention(self.num_heads, 2, num_key_value_heads=num_key_value_heads, rotary=rotary)
        self.num_key_value_heads, self.rotary = example.num_key_value_heads, example.rotary

    def _attention(self, name: str, width: int, *, causal: bool, rotary: float) -> MultiHeadAttention:
        if width % self.num_heads:
            raise ValueError(
                f"{self.place}: expected an input whose size is a multiple of num_heads={self.num_heads}, got {width}"
            )
        return MultiHeadAttention(
            self.num_heads,
            width // self.num_heads,
            dropout=self.dropout,
            use_bias=self.use_bias,
            kernel_initializer=self.kernel_initializer,
            bias_initializer=self.bias_initializer,
            causal=causal,
            num_key_value_heads=self.num_key_value_heads,
            rotary=rotary,
            output_initializer=self.output_initializer,
            name=name,
        )

    def _dense(self, units: int, name: str, activation: Any = None, initializer: Any = None) -> Dense:
        kernel = self.kernel_initializer if initializer is None else initializer
        return Dense(units, activation, self.use_bias, kernel, self.bias_initializer, name=name)

    def _branch(self, x: Tensor, name: str, function: Callable[[Tensor], Tensor]) -> Tensor:
        """x + function(x), with a normalization before the function or after the sum."""
        normalize = _NORMALIZATIONS[self.normalization](epsilon=self.layer_norm_epsilon, name=f"{name}_norm")
        y = function(normalize(x) if self.normalize_first else x)
        if self.dropout:
            y = Dropout(self.dropout, name=f"{name}_dropout")(y)
        total = Add(name=f"{name}_sum")([x, y])
        return total if self.normalize_first else normalize(total)

    def _feedforward(self, x: Tensor) -> Tensor:
        width = x.shape[-1]
        if self.activation == _GATED:
            gate = self._dense(self.intermediate_dim, "feedforward_gate", "silu")(x)
            inner = Multiply(name="feedforward_product")([gate, self._dense(self.intermediate_dim, "feedforward")(x)])
        else:
            inner = self._dense(self.intermediate_dim, "feedforward", self.activation)(x)
        return self._dense(width, "feedforward_output", initializer=self.output_initializer)(inner)

    def _sequence(self, x: Tensor) -> Tensor:
        if len(x.shape) != 2 or not x.batched:
            raise ValueError(
                f"{self.place}: expected an input of (N, T, D), got {batch_shape(x.shape)}; tokens pass through "
                "layers.TokenAndPositionEmbedding first"
            )
        return x


class TransformerEncoder(_TransformerBlock):
    """Block of a Transformer's encoder: self-attention, then two dense layers on each step, each added to its input.

    Parameters
    ----------
    intermediate_dim : int
        Units of the first dense layer; the second has as many as the input.
    num_heads : int
        Number of heads, a divisor of the size D of the input.
    dropout : float, default 0
        Rate of dropout of attention's weights and of what is added; 0 <= dropout < 1.
    activation : str or activation layer, default "relu"
        Activation function of the first dense layer; or "swiglu", for which a third one, with silu, multiplies it.
    layer_norm_epsilon : float, default 1e-5
        Of the normalizations; larger than 0.
    kernel_initializer, bias_initializer, trainable, name
        See `nnfast.layers`; for all projections and dense layers.
    normalize_first : bool, default False
        Whether inputs of the parts are normalized, x + f(norm(x)), as in GPT-2; else sums, norm(x + f(x)), as in the
        original. The former needs no warmup of the learning rate.
    normalization : {"layer", "rms"}, default "layer"
        `LayerNormalization` or `RMSNormalization`.
    num_key_value_heads : int, optional
        Number of heads of keys and values; see `MultiHeadAttention`.
    rotary : bool or float, default False
        Rotary positions in self-attention; see `MultiHeadAttention`.
    use_bias : bool, default True
        Whether projections and dense layers have biases.
    output_initializer : Initializer, str, float or array_like, optional
        Initial kernels of the two layers whose outputs are added; by default `kernel_initializer`.

    Notes
    -----
    Shape (N, T, D) to the same. Parameters are those of the parts: self_attention.query.kernel, feedforward.kernel,
    feedforward_norm.gamma, ... A mask, such as that of `Masking`, hides padding and is passed on.

    References
    ----------
    Vaswani et al. (2017), Attention is all you need, arXiv:1706.03762. Xiong et al. (2020), On layer normalization in
    the Transformer architecture, arXiv:2002.04745. Shazeer (2020), GLU variants improve Transformer, arXiv:2002.05202.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> block = layers.TransformerEncoder(intermediate_dim=16, num_heads=2, normalize_first=True)
    >>> Network([layers.Input((5, 8)), block], seed=0).output_shape
    (5, 8)
    """

    def call(self, inputs: Any) -> Any:
        if isinstance(inputs, list):
            raise ValueError(
                f"{self.place}: expected one input, got {len(inputs)}; a block that looks at a second sequence is "
                "layers.TransformerDecoder"
            )
        x = self._sequence(inputs)
        attention = self._attention("self_attention", x.shape[-1], causal=False, rotary=self.rotary)
        x = self._branch(x, "self_attention", attention)
        return self._branch(x, "feedforward", self._feedforward)


class TransformerDecoder(_TransformerBlock):
    """Block of a Transformer's decoder: causal self-attention, attention to a memory, and two dense layers.

    Called on one tensor, ``block(x)``, it has no second attention, as in GPT; on two, ``block([x, memory])``, the
    second is what an encoder has made of another sequence.

    Parameters
    ----------
    intermediate_dim, num_heads, dropout, activation, layer_norm_epsilon, kernel_initializer, bias_initializer
        See `TransformerEncoder`.
    normalize_first, normalization, num_key_value_heads, rotary, use_bias, output_initializer, trainable, name
        See `TransformerEncoder`.

    Notes
    -----
    Shape (N, T, D), or that and (N, S, D'), to (N, T, D). A step sees itself and earlier ones of x, and all of memory.

    References
    ----------
    Vaswani et al. (2017), Attention is all you need, arXiv:1706.03762. Radford et al. (2019), Language models are
    unsupervised multitask learners.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> x, memory = layers.Input((5, 8)), layers.Input((3, 4))
    >>> y = layers.TransformerDecoder(intermediate_dim=16, num_heads=2)([x, memory])
    >>> Network(inputs=[x, memory], outputs=y, seed=0).output_shape
    (5, 8)
    """

    @named_arguments
    def __call__(self, inputs: Any, encoder_sequence: Tensor | None = None) -> Tensor:
        """Apply the block to one or two symbolic tensors, given as a list or, as in KerasHub, as two arguments.

        Parameters
        ----------
        inputs : Tensor (N, T, D), or a list of that and the memory
        encoder_sequence : Tensor (N, S, D'), optional
            The memory.
        """
        return super().__call__(inputs if encoder_sequence is None else [inputs, encoder_sequence])

    def call(self, inputs: Any) -> Any:
        x, *memories = [self._sequence(tensor) for tensor in (inputs if isinstance(inputs, list) else [inputs])]
        if len(memories) > 1:
            raise ValueError(f"{self.place}: expected one or two inputs, got {1 + len(memories)}")
        width = x.shape[-1]
        x = self._branch(x, "self_attention", self._attention("self_attention", width, causal=True, rotary=self.rotary))
        for memory in memories:
            cross = self._attention("cross_attention", width, causal=False, rotary=0.0)
            x = self._branch(x, "cross_attention", lambda q, cross=cross, memory=memory: cross(q, memory))  # type: ignore[misc]
        return self._branch(x, "feedforward", self._feedforward)
