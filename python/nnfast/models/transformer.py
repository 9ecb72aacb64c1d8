"""Transformers for sequences of tokens, and of vectors."""

from __future__ import annotations

from typing import Any, Literal

from nnfast import layers, ops
from nnfast.core.options import choose, flag, integer, real
from nnfast.core.tensor import Tensor
from nnfast.initializers import RandomNormal
from nnfast.network import Network

__all__ = ["transformer", "transformer_seq2seq"]

_STDDEV, _POSITION_STDDEV = 0.02, 0.01
"""Of the initial weights, as in GPT-2's source."""
_POSITIONS = ("learned", "rotary", "sine")


def transformer(
    vocabulary: int | None,
    sequence_length: int = 128,
    depth: int = 6,
    width: int = 384,
    heads: int = 6,
    *,
    causal: bool = True,
    classes: int | None = None,
    features: int | None = None,
    mlp_ratio: float = 4.0,
    activation: Any = "gelu_tanh",
    normalization: Literal["layer", "rms"] = "layer",
    positions: Literal["learned", "rotary", "sine"] = "learned",
    key_value_heads: int | None = None,
    use_bias: bool = True,
    dropout: float = 0.0,
    tied: bool = True,
    mask_zero: bool = False,
    seed: int | None = None,
    dtype: Any = "float32",
) -> Network:
    """Transformer of `depth` blocks: a language model (a decoder, as GPT-2), or an encoder of sequences.

    By default its output at each step is the probability of each token to be the next, (N, T, V). Targets are the
    tokens, shifted by one: train with ``loss="cross_entropy"``.

    Parameters
    ----------
    vocabulary : int or None
        Number V of tokens, which are integers from 0 to V - 1; None for sequences of vectors.
    sequence_length : int, default 128
        Number T of steps of a row.
    depth, width, heads : int, default 6, 384 and 6
        Number of blocks, size D of a step within the network, and number of heads of attention, a divisor of `width`.
    causal : bool, default True
        Whether a step sees itself and earlier ones only (decoder), or all (encoder).
    classes : int, optional
        Number K of classes of whole sequences. The output is then (N, K): the softmax of a dense layer on the last step
        if `causal`, else on the mean of the steps.
    features : int, optional
        With ``vocabulary=None``: the size of the vectors (T, features). Without `classes`, the output is of the same
        shape, and linear.
    mlp_ratio : float, default 4
        Units of the inner dense layer of each block, in multiples of `width`.
    activation, normalization, use_bias, dropout
        See `layers.TransformerEncoder`. Dropout is applied to the sum of tokens and positions too.
    positions : {"learned", "rotary", "sine"}, default "learned"
        See `layers.PositionEmbedding`, `layers.RotaryEmbedding`, `layers.SinePositionEncoding`.
    key_value_heads : int, optional
        Number of heads of keys and values; see `layers.MultiHeadAttention`.
    tied : bool, default True
        Whether the last layer uses the table of tokens, transposed, and no bias.
    mask_zero : bool, default False
        Whether token 0 is padding, which does not count and is not seen.
    seed, dtype
        See `nnfast.models`.

    Returns
    -------
    Network

    Notes
    -----
    Blocks normalize first: x + f(norm(x)), and after the last there is another normalization. Kernels and tables start
    normal with standard deviation 0.02 (positions: 0.01); those whose outputs are added to the stream, with that
    divided by sqrt(2 depth), and biases with 0. Before sines are added, vectors are multiplied by sqrt(width), as in
    the original, and the table starts with a standard deviation of 1 / sqrt(width). AdamW with a warmup and a cosine of
    the learning rate trains it well: ``schedules.Cosine(1e-3, steps, warmup=100)``.

    References
    ----------
    Radford et al. (2019), Language models are unsupervised multitask learners, and its source,
    https://github.com/openai/gpt-2. Vaswani et al. (2017), Attention is all you need, arXiv:1706.03762. Press & Wolf
    (2017), Using the output embedding to improve language models, arXiv:1608.05859.

    Examples
    --------
    >>> import nnfast as nf
    >>> net = nf.models.transformer(65, sequence_length=64, depth=2, width=32, heads=4, seed=0)
    >>> net.output_shape, net.num_parameters
    ((64, 65), 29600)
    """
    where = "transformer"
    width, depth = integer(where, "width", width), integer(where, "depth", depth)
    causal, kind = flag(where, "causal", causal), choose("positions", positions, _POSITIONS)
    if flag(where, "mask_zero", mask_zero):
        if vocabulary is None:
            raise ValueError(
                "transformer: expected a vocabulary with mask_zero=True, got None; vectors have no token 0"
            )
        if causal and classes is not None:
            raise ValueError(
                "transformer: expected causal=False for classes of padded sequences, got causal=True, which answers at "
                "the last step, and that may be padding"
            )
    entry, tokens, x = _entry(where, vocabulary, features, sequence_length, width, kind, mask_zero)
    x = _located(x, kind, dropout, "positions")
    block = layers.TransformerDecoder if causal else layers.TransformerEncoder
    options = _block_options(depth, width, heads, mlp_ratio, activation, dropout)
    more: dict[str, Any] = {
        "normalization": normalization,
        "num_key_value_heads": key_value_heads,
        "rotary": kind == "rotary",
        "use_bias": use_bias,
    }
    for index in range(depth):
        x = block(**options, **more, name=f"block_{index}")(x)
    x = _norm(normalization, "norm")(x)
    return Network(
        inputs=entry,
        outputs=_head(x, vocabulary, features, classes, causal, tokens if tied else None),
        seed=seed,
        dtype=dtype,
        name="transformer",
    )


def transformer_seq2seq(
    source_vocabulary: int,
    target_vocabulary: int,
    source_length: int = 64,
    target_length: int = 64,
    depth: int = 3,
    width: int = 256,
    heads: int = 4,
    *,
    mlp_ratio: float = 4.0,
    activation: Any = "gelu_tanh",
    positions: Literal["learned", "rotary", "sine"] = "learned",
    dropout: float = 0.0,
    tied: bool = True,
    mask_zero: bool = True,
    seed: int | None = None,
    dtype: Any = "float32",
) -> Network:
    """Transformer that turns one sequence into another: an encoder of the source, and a decoder of the target.

    Inputs are the source (N, S) and the target so far (N, T), which starts with a token that says so; the output at
    each step is the probability of each token to be the next, (N, T, V). Train with ``loss="cross_entropy"``.

    Parameters
    ----------
    source_vocabulary, target_vocabulary : int
        Numbers of tokens, which are integers from 0.
    source_length, target_length : int, default 64
        Numbers S and T of steps of a row.
    depth : int, default 3
        Number of blocks of the encoder, and of the decoder.
    width, heads, mlp_ratio, activation, positions, dropout
        See `transformer`.
    tied : bool, default True
        Whether the last layer uses the table of target tokens, transposed, and no bias.
    mask_zero : bool, default True
        Whether token 0 is padding, which does not count and is not seen.
    seed, dtype
        See `nnfast.models`.

    Returns
    -------
    Network
        Its inputs are named "source" and "target".

    References
    ----------
    Vaswani et al. (2017), Attention is all you need, arXiv:1706.03762.

    Examples
    --------
    >>> import nnfast as nf
    >>> net = nf.models.transformer_seq2seq(20, 30, 8, 9, depth=1, width=16, heads=2, seed=0)
    >>> net.predict({"source": [[3] * 8], "target": [[1] * 9]}).shape
    (1, 9, 30)
    """
    where = "transformer_seq2seq"
    width, depth = integer(where, "width", width), integer(where, "depth", depth)
    kind = choose("positions", positions, _POSITIONS)
    options = _block_options(depth, width, heads, mlp_ratio, activation, dropout) | {"rotary": kind == "rotary"}
    source, _, memory = _entry(where, source_vocabulary, None, source_length, width, kind, mask_zero, "source")
    memory = _located(memory, kind, dropout, "source_positions")
    for index in range(depth):
        memory = layers.TransformerEncoder(**options, name=f"encoder_{index}")(memory)
    memory = _norm("layer", "encoder_norm")(memory)
    target, tokens, x = _entry(where, target_vocabulary, None, target_length, width, kind, mask_zero, "target")
    x = _located(x, kind, dropout, "target_positions")
    for index in range(depth):
        x = layers.TransformerDecoder(**options, name=f"decoder_{index}")([x, memory])
    x = _norm("layer", "decoder_norm")(x)
    y = _head(x, target_vocabulary, None, None, True, tokens if tied else None)
    return Network(inputs={"source": source, "target": target}, outputs=y, seed=seed, dtype=dtype, name=where)


def _entry(
    where: str,
    vocabulary: int | None,
    features: int | None,
    length: int,
    width: int,
    positions: str,
    mask_zero: bool,
    name: str = "",
) -> tuple[layers.Input, layers.Embedding | None, Tensor]:
    """The input, the layer that has the table of tokens, if there is one, and the steps (T, width)."""
    if (vocabulary is None) == (features is None):
        raise ValueError(
            f"{where}: expected either a vocabulary, of tokens, or features, of vectors, got vocabulary={vocabulary} "
            f"and features={features}"
        )
    length = integer(where, "sequence_length", length)
    if vocabulary is None:
        entry = layers.Input((length, integer(where, "features", features)), name=name or None)
        return entry, None, layers.Dense(width, name="features")(entry)
    entry = layers.Input((length,), dtype="int32", name=name or None)
    # Sines are as large as 1, and would drown smaller vectors.
    stddev = width**-0.5 if positions == "sine" else _STDDEV
    tokens = f"{name}_tokens".lstrip("_")
    table = layers.Embedding(vocabulary, width, RandomNormal(stddev=stddev), mask_zero=mask_zero, name=tokens)
    x = table(entry)
    return entry, table, layers.Rescaling(width**0.5, name=f"{tokens}_scaled")(x) if positions == "sine" else x


def _located(x: Tensor, kind: str, dropout: float, name: str) -> Tensor:
    """The steps plus their positions, unless attention sees those."""
    made: dict[str, layers.Layer] = {
        "learned": layers.PositionEmbedding(x.shape[0], RandomNormal(stddev=_POSITION_STDDEV), name=name),
        "sine": layers.SinePositionEncoding(name=name),
    }
    if kind in made:
        x = layers.Add(name=f"{name}_sum")([x, made[kind](x)])
    return layers.Dropout(dropout, name=f"{name}_dropout")(x) if dropout else x


def _block_options(
    depth: int, width: int, heads: int, mlp_ratio: float, activation: Any, dropout: float
) -> dict[str, Any]:
    units = round(real("transformer", "mlp_ratio", mlp_ratio, minimum=0.0) * width)
    return {
        "intermediate_dim": units,
        "num_heads": heads,
        "dropout": dropout,
        "activation": activation,
        "kernel_initializer": RandomNormal(stddev=_STDDEV),
        "output_initializer": RandomNormal(stddev=_STDDEV / (2 * depth) ** 0.5),
        "normalize_first": True,
    }


def _norm(normalization: str, name: str) -> layers.Layer:
    kind = layers.RMSNormalization if normalization == "rms" else layers.LayerNormalization
    return kind(epsilon=1e-5, name=name)


def _head(
    x: Tensor,
    vocabulary: int | None,
    features: int | None,
    classes: int | None,
    causal: bool,
    tokens: layers.Embedding | None,
) -> Tensor:
    initial = RandomNormal(stddev=_STDDEV)
    if classes is not None:
        pooled = ops.take(x, -1, axis=1) if causal else layers.GlobalAvgPool1D(name="mean")(x)
        return layers.Dense(classes, "softmax", kernel_initializer=initial, name="head")(pooled)
    if vocabulary is None:
        return layers.Dense(integer("transformer", "features", features), kernel_initializer=initial, name="head")(x)
    if tokens is None:
        return layers.Dense(vocabulary, "softmax", kernel_initializer=initial, name="head")(x)
    return layers.Dense(vocabulary, "softmax", use_bias=False, tied_to=tokens, name="head")(x)
