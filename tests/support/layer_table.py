"""The table of layers: one row each, from which its shape, values, gradients, file, repr and argument tests follow."""

from collections.abc import Callable
from typing import Any

import numpy as np
from layer_row import Row
from layer_table_recurrent import RECURRENT
from reference.activations import activation_forward
from reference.convolution import conv_forward, conv_transpose_forward
from reference.normalization import group_norm, layer_norm, rms_norm
from reference.pooling import avg_pool, max_pool
from reference.resize import upsample
from reference.softmax import log_softmax_forward, softmax_forward
from small_networks import randomize

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array, Shape


class Scale(layers.CustomLayer):
    """y = factor * x, scaled once more by a fixed number.

    Examples
    --------
    >>> Scale(2.0)
    Scale(2.0)
    """

    def __init__(self, extra: float, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.extra = extra

    def parameter_shapes(self, input_shape: Any) -> dict[str, Shape]:
        return {"factor": (input_shape[-1],)}

    def initializer(self, parameter: str) -> Any:
        return "ones"

    def forward(self, inputs: list[Array], output: Array, parameters: dict[str, Array], training: bool) -> None:
        output[...] = self.extra * parameters["factor"] * inputs[0]

    def backward(
        self,
        d_output: Array,
        d_inputs: list[Array],
        inputs: list[Array],
        output: Array,
        parameters: dict[str, Array],
        d_parameters: dict[str, Array],
    ) -> None:
        d_inputs[0][...] = self.extra * parameters["factor"] * d_output
        d_parameters["factor"] += self.extra * (d_output * inputs[0]).sum(axis=tuple(range(d_output.ndim - 1)))


def periodic(x: Array, frequency: Array, phase: Array, kernel: Array, bias: Array) -> Array:
    waves = np.cos(2 * np.pi * x[:, :, None] * frequency + phase)
    return np.concatenate([x[:, :, None], np.einsum("ndf,dfu->ndu", waves, kernel) + bias], axis=-1)


def named(make: Callable[[], layers.Layer], function: str, text: str, alpha: float = 0.0) -> Row:
    return Row(make, lambda x: activation_forward(function, x, alpha), text=text)


def dense(x: Array, kernel: Array, bias: Array) -> Array:
    return np.asarray(np.tanh(x @ kernel + bias))


def attention(query: Array, value: Array, *parameters: Array, groups: int = 2, causal: bool = False) -> Array:
    """Of two heads; kernels and biases of queries, keys, values and outputs, in turn."""
    inputs = (query, value, value)
    q, k, v = (x @ parameters[2 * i] + parameters[2 * i + 1] for i, x in enumerate(inputs))
    heads = [x.reshape(*x.shape[:2], count, -1) for x, count in ((q, 2), (k, groups), (v, groups))]
    q, k, v = (x.repeat(2 // x.shape[2], axis=2) for x in heads)
    scores = np.einsum("nthd,nshd->nhts", q, k) / np.sqrt(q.shape[-1])
    if causal:
        scores[:, :, np.tri(*scores.shape[2:]) == 0] = -np.inf
    y = np.einsum("nhts,nshd->nthd", softmax_forward(scores), v)
    return np.asarray(y.reshape(*y.shape[:2], -1) @ parameters[6] + parameters[7])


def transformer_block(x: Array, *parameters: Array, causal: bool) -> Array:
    """Normalized after each sum."""
    attended, (gamma, beta), (first, bias, last, shift), after = (
        attention(x, x, *parameters[:8], causal=causal),
        parameters[8:10],
        parameters[10:14],
        parameters[14:],
    )
    x = layer_norm(x + attended, gamma, beta, 1e-5)
    return layer_norm(x + np.tanh(x @ first + bias) @ last + shift, *after, 1e-5)


def rotated(x: Array) -> Array:
    """Two heads of two elements each."""
    angles = np.arange(x.shape[1])
    turned = (x[..., ::2] + 1j * x[..., 1::2]) * np.exp(1j * angles)[:, None]
    return np.stack([turned.real, turned.imag], axis=-1).reshape(x.shape)


BLOCK: dict[str, Shape] = {
    **{
        f"self_attention.{name}.{part}": (4, 4) if part == "kernel" else (4,)
        for name in ("query", "key", "value", "attention_output")
        for part in ("kernel", "bias")
    },
    "self_attention_norm.gamma": (4,),
    "self_attention_norm.beta": (4,),
    "feedforward.kernel": (4, 3),
    "feedforward.bias": (3,),
    "feedforward_output.kernel": (3, 4),
    "feedforward_output.bias": (4,),
    "feedforward_norm.gamma": (4,),
    "feedforward_norm.beta": (4,),
}


ROWS = RECURRENT | {
    "Input": Row(lambda: layers.Activation("identity"), lambda x: x, text="Activation('identity')"),
    "Input of integers": Row(
        lambda: layers.Activation("identity"), lambda x: x, (4,), (4,), text="Activation('identity')", vocabulary=9
    ),
    "ActivityRegularization": Row(
        lambda: layers.ActivityRegularization(0.25, 0.5), lambda x: x, text="ActivityRegularization(l1=0.25, l2=0.5)"
    ),
    "Rescaling": Row(lambda: layers.Rescaling(0.5, 1.0), lambda x: 0.5 * x + 1, text="Rescaling(0.5, offset=1.0)"),
    "Dense": Row(
        lambda: layers.Dense(3, "tanh"),
        dense,
        output_shape=(3,),
        parameters={"kernel": (5, 3), "bias": (3,)},
        text="Dense(3, activation='tanh')",
    ),
    "Dense on rows of vectors": Row(
        lambda: layers.Dense(4, use_bias=False, kernel_initializer="he_normal"),
        lambda x, kernel: x @ kernel,
        shape=(2, 3),
        output_shape=(2, 4),
        parameters={"kernel": (3, 4)},
        text="Dense(4, use_bias=False, kernel_initializer=HeNormal())",
    ),
    "Embedding": Row(
        lambda: layers.Embedding(6, 3),
        lambda x, table: table[x.astype(int)],
        shape=(2, 2),
        output_shape=(2, 2, 3),
        parameters={"embeddings": (6, 3)},
        text="Embedding(6, 3)",
        vocabulary=6,
    ),
    "PositionEmbedding": Row(
        lambda: layers.PositionEmbedding(4),
        lambda x, table: np.broadcast_to(table[:2], x.shape),
        shape=(2, 3),
        output_shape=(2, 3),
        parameters={"embeddings": (4, 3)},
        text="PositionEmbedding(4)",
    ),
    "SinePositionEncoding": Row(
        lambda: layers.SinePositionEncoding(100),
        lambda x, table: np.broadcast_to(table, x.shape),
        shape=(2, 3),
        output_shape=(2, 3),
        parameters={"constant.value": (2, 3)},
        text="SinePositionEncoding(max_wavelength=100.0)",
    ),
    "RotaryEmbedding": Row(
        lambda: layers.RotaryEmbedding(100, num_heads=2),
        rotated,
        shape=(3, 4),
        output_shape=(3, 4),
        text="RotaryEmbedding(max_wavelength=100.0, num_heads=2)",
    ),
    "TokenAndPositionEmbedding": Row(
        lambda: layers.TokenAndPositionEmbedding(6, 4, 3),
        lambda x, words, places: words[x.astype(int)] + places,
        shape=(4,),
        output_shape=(4, 3),
        parameters={"token_embedding.embeddings": (6, 3), "position_embedding.embeddings": (4, 3)},
        text="TokenAndPositionEmbedding(6, 4, 3)",
        vocabulary=6,
    ),
    "MultiHeadAttention": Row(
        lambda: layers.MultiHeadAttention(2, 3, value_dim=2, causal=True),
        lambda x, *parameters: attention(x, x, *parameters, causal=True),
        shape=(3, 4),
        output_shape=(3, 4),
        parameters={
            "query.kernel": (4, 6),
            "query.bias": (6,),
            "key.kernel": (4, 6),
            "key.bias": (6,),
            "value.kernel": (4, 4),
            "value.bias": (4,),
            "attention_output.kernel": (4, 4),
            "attention_output.bias": (4,),
        },
        text="MultiHeadAttention(2, 3, value_dim=2, causal=True)",
        tolerance=100,
    ),
    "GroupQueryAttention": Row(
        lambda: layers.GroupQueryAttention(3, 2, 1),
        lambda query, value, *parameters: attention(query, value, *parameters, groups=1),
        shape=(3, 4),
        output_shape=(3, 4),
        inputs=2,
        parameters={
            "query.kernel": (4, 6),
            "query.bias": (6,),
            "key.kernel": (4, 3),
            "key.bias": (3,),
            "value.kernel": (4, 3),
            "value.bias": (3,),
            "attention_output.kernel": (6, 4),
            "attention_output.bias": (4,),
        },
        text="GroupQueryAttention(3, 2, 1)",
        tolerance=100,
    ),
    "TransformerEncoder": Row(
        lambda: layers.TransformerEncoder(3, 2, activation="tanh"),
        lambda x, *parameters: transformer_block(x, *parameters, causal=False),
        shape=(3, 4),
        output_shape=(3, 4),
        parameters=BLOCK,
        text="TransformerEncoder(3, 2, activation='tanh')",
        tolerance=500,
    ),
    "TransformerDecoder": Row(
        lambda: layers.TransformerDecoder(3, 2, activation="tanh"),
        lambda x, *parameters: transformer_block(x, *parameters, causal=True),
        shape=(3, 4),
        output_shape=(3, 4),
        parameters=BLOCK,
        text="TransformerDecoder(3, 2, activation='tanh')",
        tolerance=500,
    ),
    "Embedding with padding": Row(
        lambda: layers.Embedding(6, 3, mask_zero=True),
        lambda x, table: table[x.astype(int)],
        shape=(2, 2),
        output_shape=(2, 2, 3),
        parameters={"embeddings": (6, 3)},
        text="Embedding(6, 3, mask_zero=True)",
        vocabulary=6,
    ),
    "LayerScale": Row(
        lambda: layers.LayerScale(0.5),
        lambda x, scale: scale * x,
        shape=(2, 3),
        output_shape=(2, 3),
        parameters={"scale": (3,)},
        text="LayerScale(scale_initializer=Constant(value=0.5))",
    ),
    "PeriodicEmbedding": Row(
        lambda: layers.PeriodicEmbedding(3, frequencies=4, sigma=0.5),
        periodic,
        shape=(5,),
        output_shape=(5, 3),
        parameters={"frequency": (5, 4), "phase": (5, 4), "kernel": (5, 4, 2), "bias": (5, 2)},
        text="PeriodicEmbedding(units=3, frequencies=4, sigma=0.5)",
    ),
    "Flatten": Row(layers.Flatten, lambda x: x.reshape(len(x), -1), shape=(2, 3), output_shape=(6,), text="Flatten()"),
    "Reshape": Row(
        lambda: layers.Reshape((3, -1)),
        lambda x: x.reshape(len(x), 3, 2),
        shape=(6,),
        output_shape=(3, 2),
        text="Reshape((3, -1))",
    ),
    "Masking": Row(
        lambda: layers.Masking(9.0), lambda x: x, shape=(3, 2), output_shape=(3, 2), text="Masking(mask_value=9.0)"
    ),
    "Add": Row(layers.Add, lambda a, b, c: a + b + c, inputs=3, text="Add()"),
    "Subtract": Row(layers.Subtract, lambda a, b: a - b, inputs=2, text="Subtract()"),
    "Average": Row(layers.Average, lambda a, b, c: (a + b + c) / 3, inputs=3, text="Average()"),
    "Maximum": Row(layers.Maximum, lambda a, b, c: np.maximum(np.maximum(a, b), c), inputs=3, text="Maximum()"),
    "Minimum": Row(layers.Minimum, lambda a, b: np.minimum(a, b), inputs=2, text="Minimum()"),
    "PReLU": Row(
        lambda: layers.PReLU("he_normal"),
        lambda x, alpha: np.where(x > 0, x, alpha * x),
        parameters={"alpha": (5,)},
        text="PReLU(alpha_initializer=HeNormal())",
    ),
    "PReLU with a slope for each channel": Row(
        lambda: layers.PReLU(0.25, shared_axes=(1, 2)),
        lambda x, alpha: np.where(x > 0, x, alpha * x),
        shape=(2, 3, 4),
        output_shape=(2, 3, 4),
        parameters={"alpha": (1, 1, 4)},
        text="PReLU(alpha_initializer=Constant(value=0.25), shared_axes=(1, 2))",
    ),
    "PReLU with a slope for each row of an image": Row(
        lambda: layers.PReLU(-0.5, shared_axes=(2, 3)),
        lambda x, alpha: np.where(x > 0, x, alpha * x),
        shape=(3, 2, 2),
        output_shape=(3, 2, 2),
        parameters={"alpha": (3, 1, 1)},
        text="PReLU(alpha_initializer=Constant(value=-0.5), shared_axes=(2, 3))",
    ),
    "Permute": Row(
        lambda: layers.Permute((3, 1, 2)),
        lambda x: x.transpose(0, 3, 1, 2),
        shape=(2, 3, 4),
        output_shape=(4, 2, 3),
        text="Permute((3, 1, 2))",
    ),
    "RepeatVector": Row(
        lambda: layers.RepeatVector(3),
        lambda x: x[:, None].repeat(3, axis=1),
        output_shape=(3, 5),
        text="RepeatVector(3)",
    ),
    "Multiply": Row(layers.Multiply, lambda a, b, c: a * b * c, inputs=3, text="Multiply()"),
    "Concatenate": Row(
        lambda: layers.Concatenate(axis=1),
        lambda a, b: np.concatenate([a, b], axis=1),
        shape=(2, 3),
        output_shape=(4, 3),
        inputs=2,
        text="Concatenate(axis=1)",
    ),
    "Concatenate on the last axis": Row(
        layers.Concatenate,
        lambda a, b: np.concatenate([a, b], axis=-1),
        shape=(2, 3),
        output_shape=(2, 6),
        inputs=2,
        text="Concatenate()",
    ),
    "Split": Row(
        lambda: layers.Split([1, 3], axis=1),
        lambda x: x[:, :1],
        shape=(4, 2),
        output_shape=(1, 2),
        text="Split((1, 3), axis=1)",
    ),
    "Split into equal parts": Row(
        lambda: layers.Split(2), lambda x: x[..., :3], shape=(2, 6), output_shape=(2, 3), text="Split(2)"
    ),
    "Conv2D": Row(
        lambda: layers.Conv2D(2, (2, 3), strides=(2, 1), padding="same", activation="tanh"),
        lambda x, kernel, bias: np.tanh(conv_forward(x, kernel, bias, (2, 1), "same", (1, 1), 1)),
        shape=(4, 3, 1),
        output_shape=(2, 3, 2),
        parameters={"kernel": (2, 3, 1, 2), "bias": (2,)},
        text="Conv2D(2, (2, 3), strides=(2, 1), padding='same', activation='tanh')",
    ),
    "Conv2D in groups": Row(
        lambda: layers.Conv2D(4, 2, padding=((0, 1), (1, 0)), dilation_rate=(1, 2), groups=2, use_bias=False),
        lambda x, kernel: conv_forward(x, kernel, None, (1, 1), ((0, 1), (1, 0)), (1, 2), 2),
        shape=(3, 4, 2),
        output_shape=(3, 3, 4),
        parameters={"kernel": (2, 2, 1, 4)},
        text="Conv2D(4, 2, padding=((0, 1), (1, 0)), dilation_rate=(1, 2), groups=2, use_bias=False)",
    ),
    "Conv1D": Row(
        lambda: layers.Conv1D(3, 2, activation="gelu"),
        lambda x, kernel, bias: activation_forward("gelu", conv_forward(x, kernel, bias, (1,), "valid", (1,), 1), 0.0),
        shape=(5, 2),
        output_shape=(4, 3),
        parameters={"kernel": (2, 2, 3), "bias": (3,)},
        text="Conv1D(3, 2, activation='gelu')",
    ),
    "DepthwiseConv2D": Row(
        lambda: layers.DepthwiseConv2D(2, depth_multiplier=2),
        lambda x, kernel, bias: conv_forward(x, kernel.reshape(2, 2, 1, 4), bias, (1, 1), "valid", (1, 1), 2),
        shape=(3, 3, 2),
        output_shape=(2, 2, 4),
        parameters={"kernel": (2, 2, 2, 2), "bias": (4,)},
        text="DepthwiseConv2D(2, depth_multiplier=2)",
    ),
    "Conv2DTranspose": Row(
        lambda: layers.Conv2DTranspose(2, 3, strides=2, padding="same", activation="relu"),
        lambda x, kernel, bias: np.maximum(conv_transpose_forward(x, kernel, bias, (4, 6), (2, 2), "same"), 0),
        shape=(2, 3, 1),
        output_shape=(4, 6, 2),
        parameters={"kernel": (3, 3, 2, 1), "bias": (2,)},
        text="Conv2DTranspose(2, 3, strides=2, padding='same', activation='relu')",
    ),
    "Conv2DTranspose with padding": Row(
        lambda: layers.Conv2DTranspose(1, 3, padding=1),
        lambda x, kernel, bias: conv_transpose_forward(x, kernel, bias, (2, 3), (1, 1), ((1, 1), (1, 1))),
        shape=(2, 3, 1),
        output_shape=(2, 3, 1),
        parameters={"kernel": (3, 3, 1, 1), "bias": (1,)},
        text="Conv2DTranspose(1, 3, padding=((1, 1), (1, 1)))",
    ),
    "Conv1DTranspose": Row(
        lambda: layers.Conv1DTranspose(2, 2, strides=3),
        lambda x, kernel, bias: conv_transpose_forward(x, kernel, bias, (9,), (3,), "valid"),
        shape=(3, 2),
        output_shape=(9, 2),
        parameters={"kernel": (2, 2, 2), "bias": (2,)},
        text="Conv1DTranspose(2, 2, strides=3)",
    ),
    "Dropout": Row(lambda: layers.Dropout(0.5), lambda x: x, text="Dropout(0.5)"),
    "BatchNormalization": Row(
        lambda: layers.BatchNormalization(momentum=0.9),
        lambda x, gamma, beta, mean, variance: gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta,
        parameters=dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), (5,)),
        text="BatchNormalization(momentum=0.9)",
    ),
    "BatchNormalization of images": Row(
        lambda: layers.BatchNormalization(center=False, scale=False, moving_variance_initializer=0.5),
        lambda x, mean, variance: (x - mean) / np.sqrt(variance + 1e-3),
        shape=(2, 2, 3),
        output_shape=(2, 2, 3),
        parameters=dict.fromkeys(("moving_mean", "moving_variance"), (3,)),
        text="BatchNormalization(center=False, scale=False, moving_variance_initializer=Constant(value=0.5))",
    ),
    "Normalization": Row(
        layers.Normalization,
        lambda x, mean, variance: (x - mean) / np.sqrt(variance),
        parameters={"mean": (5,), "variance": (5,)},
        text="Normalization()",
    ),
    "Normalization inverted, of images": Row(
        lambda: layers.Normalization([1, 3], invert=True),
        lambda x, mean, variance: mean + x * np.sqrt(variance),
        shape=(2, 2, 3),
        output_shape=(2, 2, 3),
        parameters={"mean": (2, 1, 3), "variance": (2, 1, 3)},
        text="Normalization(axis=[1, 3], invert=True)",
    ),
    "LayerNormalization": Row(
        lambda: layers.LayerNormalization(epsilon=0.01),
        lambda x, gamma, beta: layer_norm(x, gamma, beta, 0.01),
        parameters={"gamma": (5,), "beta": (5,)},
        text="LayerNormalization(epsilon=0.01)",
    ),
    "RMSNormalization": Row(
        lambda: layers.RMSNormalization(epsilon=0.01),
        lambda x, gamma: rms_norm(x, gamma, 0.01),
        parameters={"gamma": (5,)},
        text="RMSNormalization(epsilon=0.01)",
    ),
    "GroupNormalization": Row(
        lambda: layers.GroupNormalization(2, scale=False),
        lambda x, beta: group_norm(x, np.ones(4), beta, 2, 1e-3),
        shape=(2, 3, 4),
        output_shape=(2, 3, 4),
        parameters={"beta": (4,)},
        text="GroupNormalization(groups=2, scale=False)",
    ),
    "SpatialDropout1D": Row(
        lambda: layers.SpatialDropout1D(0.5),
        lambda x: x,
        shape=(2, 3),
        output_shape=(2, 3),
        text="SpatialDropout1D(0.5)",
    ),
    "SpatialDropout2D": Row(
        lambda: layers.SpatialDropout2D(0.5),
        lambda x: x,
        shape=(2, 1, 3),
        output_shape=(2, 1, 3),
        text="SpatialDropout2D(0.5)",
    ),
    "GaussianNoise": Row(lambda: layers.GaussianNoise(0.1), lambda x: x, text="GaussianNoise(0.1)"),
    "Sampling": Row(lambda: layers.Sampling(0.25), lambda mean, log_variance: mean, inputs=2, text="Sampling(0.25)"),
    "CustomLayer": Row(
        lambda: Scale(2.0), lambda x, factor: 2 * factor * x, parameters={"factor": (5,)}, text="Scale(2.0)"
    ),
    "Activation": named(lambda: layers.Activation("tanh"), "tanh", "Activation('tanh')"),
    "Heaviside": named(lambda: layers.Heaviside(0.2), "heaviside", "Heaviside(threshold=0.2)", 0.2),
    "Sigmoid": named(layers.Sigmoid, "sigmoid", "Sigmoid()"),
    "Tanh": named(layers.Tanh, "tanh", "Tanh()"),
    "ReLU": named(layers.ReLU, "relu", "ReLU()"),
    "LeakyReLU": named(lambda: layers.LeakyReLU(0.3), "leaky_relu", "LeakyReLU(negative_slope=0.3)", 0.3),
    "ELU": named(lambda: layers.ELU(0.5), "elu", "ELU(alpha=0.5)", 0.5),
    "SELU": named(layers.SELU, "selu", "SELU()"),
    "GELU": named(layers.GELU, "gelu", "GELU()"),
    "GELU by tanh": named(lambda: layers.GELU(True), "gelu_tanh", "GELU(approximate=True)"),
    "SiLU": named(layers.SiLU, "silu", "SiLU()"),
    "Softplus": named(layers.Softplus, "softplus", "Softplus()"),
    "Softsign": named(layers.Softsign, "softsign", "Softsign()"),
    "HardSigmoid": named(layers.HardSigmoid, "hard_sigmoid", "HardSigmoid()"),
    "Softmax": Row(layers.Softmax, softmax_forward, text="Softmax()"),
    "LogSoftmax": Row(layers.LogSoftmax, log_softmax_forward, text="LogSoftmax()"),
    "MaxPool2D": Row(layers.MaxPool2D, lambda x: max_pool(x, (2, 2), (2, 2)), (5, 4, 3), (2, 2, 3), text="MaxPool2D()"),
    "MaxPool2D that overlaps": Row(
        lambda: layers.MaxPool2D(3, (1, 2), "same"),
        lambda x: max_pool(x, (3, 3), (1, 2), "same"),
        (3, 4, 2),
        (3, 2, 2),
        text="MaxPool2D(pool_size=3, strides=(1, 2), padding='same')",
    ),
    "AvgPool2D": Row(
        lambda: layers.AvgPool2D((2, 1), padding=((1, 0), (0, 0))),
        lambda x: avg_pool(x, (2, 1), (2, 1), ((1, 0), (0, 0))),
        (3, 2, 2),
        (2, 2, 2),
        text="AvgPool2D(pool_size=(2, 1), padding=((1, 0), (0, 0)))",
    ),
    "MaxPool1D": Row(
        lambda: layers.MaxPool1D(3, 2),
        lambda x: max_pool(x[:, None], (1, 3), (1, 2))[:, 0],
        (7, 2),
        (3, 2),
        text="MaxPool1D(pool_size=3, strides=2)",
    ),
    "AvgPool1D": Row(
        lambda: layers.AvgPool1D(padding="same"),
        lambda x: avg_pool(x[:, None], (1, 2), (1, 2), "same")[:, 0],
        (5, 2),
        (3, 2),
        text="AvgPool1D(padding='same')",
    ),
    "GlobalMaxPool2D": Row(
        layers.GlobalMaxPool2D, lambda x: x.max(axis=(1, 2)), (2, 3, 4), (4,), text="GlobalMaxPool2D()"
    ),
    "GlobalAvgPool2D": Row(
        lambda: layers.GlobalAvgPool2D(keepdims=True),
        lambda x: x.mean(axis=(1, 2), keepdims=True),
        (2, 2, 4),
        (1, 1, 4),
        text="GlobalAvgPool2D(keepdims=True)",
    ),
    "GlobalMaxPool1D": Row(
        lambda: layers.GlobalMaxPool1D(True),
        lambda x: x.max(axis=1, keepdims=True),
        (5, 2),
        (1, 2),
        text="GlobalMaxPool1D(keepdims=True)",
    ),
    "GlobalAvgPool1D": Row(layers.GlobalAvgPool1D, lambda x: x.mean(axis=1), (4, 3), (3,), text="GlobalAvgPool1D()"),
    "UpSampling2D": Row(
        lambda: layers.UpSampling2D((2, 3)),
        lambda x: x.repeat(2, axis=1).repeat(3, axis=2),
        (2, 2, 3),
        (4, 6, 3),
        text="UpSampling2D(size=(2, 3))",
    ),
    "UpSampling2D between pixels": Row(
        lambda: layers.UpSampling2D(2, "bilinear"),
        lambda x: upsample(x, (2, 2), "bilinear"),
        (2, 3, 2),
        (4, 6, 2),
        text="UpSampling2D(interpolation='bilinear')",
    ),
    "UpSampling1D": Row(
        lambda: layers.UpSampling1D(3), lambda x: x.repeat(3, axis=1), (3, 2), (9, 2), text="UpSampling1D(size=3)"
    ),
    "ZeroPadding2D": Row(
        lambda: layers.ZeroPadding2D(((1, 0), (0, 2))),
        lambda x: np.pad(x, ((0, 0), (1, 0), (0, 2), (0, 0))),
        (2, 2, 3),
        (3, 4, 3),
        text="ZeroPadding2D(padding=((1, 0), (0, 2)))",
    ),
    "ZeroPadding1D": Row(
        lambda: layers.ZeroPadding1D((0, 2)),
        lambda x: np.pad(x, ((0, 0), (0, 2), (0, 0))),
        (3, 2),
        (5, 2),
        text="ZeroPadding1D(padding=(0, 2))",
    ),
    "Cropping2D": Row(
        lambda: layers.Cropping2D((1, 0)), lambda x: x[:, 1:-1], (4, 2, 2), (2, 2, 2), text="Cropping2D((1, 0))"
    ),
    "Cropping1D": Row(lambda: layers.Cropping1D(1), lambda x: x[:, 1:-1], (5, 2), (3, 2), text="Cropping1D(1)"),
}


def network(row: Row, dtype: str = "float64", layer: layers.Layer | None = None) -> nf.Network:
    """The layer behind one dense layer per input, so that gradients have to come through it; parameters at random.

    Integers come from the network's input itself.
    """
    x = layers.Input((4,), dtype="int32" if row.vocabulary else None)
    size = int(np.prod(row.shape))
    sources = [x if row.vocabulary else layers.Dense(size)(x) for _ in range(row.inputs)]
    branches = [layers.Reshape(row.shape)(source) for source in sources]
    layer = row.make() if layer is None else layer
    layer.take_name("examined")
    made: Any = layer(branches[0] if row.inputs == 1 else branches)
    flat = [layers.Flatten()(y) for y in (made if isinstance(made, list) else [made])]
    y = flat[0] if len(flat) == 1 else layers.Concatenate()(flat)
    net = nf.Network(inputs=x, outputs=layers.Dense(2)(y), seed=3, dtype=dtype)
    return randomize(net, np.random.default_rng(17))
