"""`nnfast.io.to_keras`: the same network in Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from nnfast.core.tensor import output_name
from nnfast.core.window import padding_of
from nnfast.io.packages import required
from nnfast.layers import Bidirectional, Input, Layer, MultiHeadAttention, Normalization, Operation, TimeDistributed
from nnfast.layers.recurrent import Recurrent

if TYPE_CHECKING:
    from nnfast.network import Network

__all__ = ["to_keras"]

_POOLING = "pool_size strides padding"
_CONVOLUTION = "filters kernel_size strides padding dilation_rate use_bias activation"
_NORMALIZATION = "epsilon center scale"
_RECURRENT = "units activation use_bias return_sequences return_state go_backwards dropout recurrent_dropout"
_OPTIONS = {
    "Activation": "activation",
    "Add": "",
    "Average": "",
    "AvgPool1D": _POOLING,
    "AvgPool2D": _POOLING,
    "BatchNormalization": f"{_NORMALIZATION} momentum",
    "Concatenate": "axis",
    "Conv1D": f"{_CONVOLUTION} groups",
    "Conv1DTranspose": _CONVOLUTION,
    "Conv2D": f"{_CONVOLUTION} groups",
    "Conv2DTranspose": _CONVOLUTION,
    "Cropping1D": "cropping",
    "Cropping2D": "cropping",
    "Dense": "units use_bias activation",
    "DepthwiseConv2D": "kernel_size strides padding depth_multiplier dilation_rate use_bias activation",
    "Dropout": "rate",
    "Embedding": "input_dim output_dim mask_zero",
    "Flatten": "",
    "GaussianNoise": "stddev",
    "GlobalAvgPool1D": "keepdims",
    "GlobalAvgPool2D": "keepdims",
    "GlobalMaxPool1D": "keepdims",
    "GlobalMaxPool2D": "keepdims",
    "GroupNormalization": f"groups {_NORMALIZATION}",
    "GroupQueryAttention": "head_dim num_query_heads num_key_value_heads dropout use_bias",
    "GRU": f"{_RECURRENT} recurrent_activation reset_after",
    "LayerNormalization": _NORMALIZATION,
    "LSTM": f"{_RECURRENT} recurrent_activation",
    "Masking": "mask_value",
    "MaxPool1D": _POOLING,
    "MaxPool2D": _POOLING,
    "Maximum": "",
    "Minimum": "",
    "MultiHeadAttention": "num_heads key_dim value_dim dropout use_bias output_shape",
    "Multiply": "",
    "Normalization": "axis invert",
    "Permute": "dims",
    "PReLU": "shared_axes",
    "RepeatVector": "n",
    "Rescaling": "scale offset",
    "Reshape": "target_shape",
    "RMSNormalization": "epsilon",
    "SimpleRNN": _RECURRENT,
    "SpatialDropout1D": "rate",
    "SpatialDropout2D": "rate",
    "Subtract": "",
    "UpSampling1D": "size",
    "UpSampling2D": "size interpolation",
    "ZeroPadding1D": "padding",
    "ZeroPadding2D": "padding",
}
"""Options that are passed on, by class; those of nnfast that Keras does not have must be as they are by default."""
_ONLY_HERE = ("tied_to", "rotary", "num_key_value_heads")


def to_keras(network: Network) -> Any:
    """The same network in Keras, with the same weights, to compare or to use it there.

    Parameters
    ----------
    network : Network

    Returns
    -------
    keras.Model
        With layers of the same names, in which "/" becomes "__"; inputs and outputs are those of `predict`.

    Raises
    ------
    ModuleNotFoundError
        If Keras is not installed.
    ValueError
        If a layer, which the message names, or an option of it is not in Keras.

    Examples
    --------
    >>> import nnfast as nf
    >>> net = nf.Network([nf.layers.Input((4,)), nf.layers.Dense(3)])
    >>> nf.io.to_keras(net).count_params()  # doctest: +SKIP
    15
    """
    keras = required("keras", "to_keras", "pip install keras torch")
    architecture = network.architecture
    made: dict[str, Callable[..., Any]] = {}
    values: dict[str, Any] = {}
    for node in architecture.nodes:
        layer = node.layer
        if isinstance(layer, Input):
            dtype = network.dtype if layer.dtype is None else layer.dtype
            values[node.name] = keras.Input(layer.shape, name=_name(layer), dtype=dtype)
            continue
        if layer.place not in made:
            made[layer.place] = _made(keras, layer, network.dtype)
        outputs = _called(made[layer.place], layer, [values[name] for name in node.inputs])
        for index, output in enumerate(outputs if isinstance(outputs, list | tuple) else [outputs]):
            values[output_name(node.name, index)] = output
    inputs, outputs = ([values[name] for name in ends.names] for ends in (architecture.inputs, architecture.outputs))
    single = architecture.inputs.single, architecture.outputs.single
    model = keras.Model(inputs[0] if single[0] else inputs, outputs[0] if single[1] else outputs, name=network.name)
    for name, layer in architecture.by_name.items():
        if name in made:
            _copy_weights(network, layer, made[name])
    return model


def _name(layer: Layer) -> str:
    return layer.place.replace("/", "__")


def _made(keras: Any, layer: Layer, dtype: str) -> Any:
    """The layer of Keras, or a function of its tensors."""
    if isinstance(layer, Operation):
        return _operation(keras, layer)
    kind, common = type(layer).__name__, {"name": _name(layer), "dtype": dtype}
    if getattr(layer, "function", None) is not None and kind not in _OPTIONS and layer.op == "activation":
        return keras.layers.Activation(_activation(keras, layer, layer.function.plain()), **common)
    if isinstance(layer, Bidirectional):
        inner = [_made(keras, part, dtype) for part in (layer.layer, layer.backward_layer) if part is not None]
        return keras.layers.Bidirectional(inner[0], layer.merge_mode, None, *inner[1:], **common)
    if isinstance(layer, TimeDistributed):
        return keras.layers.TimeDistributed(_made(keras, layer.layer, dtype), **common)
    if kind not in _OPTIONS or type(layer).__module__.partition(".")[0] != "nnfast":
        raise ValueError(f"to_keras: expected layers that Keras has, got {layer.place} ({kind})")
    config = layer.get_config()
    options = {key: config[key] for key in _OPTIONS[kind].split()}
    for key in _ONLY_HERE:
        if key not in options and config.get(key):
            raise ValueError(f"to_keras: expected options that Keras has, got {layer.place} with {key}={config[key]!r}")
    for key in ("activation", "recurrent_activation"):
        if key in options:
            options[key] = _activation(keras, layer, options[key])
    padding = options.get("padding")
    cls = getattr(keras.layers, kind)
    if padding is None or isinstance(padding, str) or kind.startswith("ZeroPadding"):
        return cls(**options, **common)
    if kind not in ("Conv1D", "Conv2D", "DepthwiseConv2D"):
        raise ValueError(f'to_keras: expected padding "valid" or "same", got {layer.place} with {padding!r}')
    return _padded(keras, cls(**{**options, "padding": "valid"}, **common), padding)


class _Padded:
    """A convolution, and the padding before it."""

    def __init__(self, pad: Any, layer: Any) -> None:
        self.pad, self.layer = pad, layer

    def __call__(self, x: Any) -> Any:
        return self.layer(self.pad(x))


def _padded(keras: Any, layer: Any, padding: Any) -> _Padded:
    axes = len(padding)
    pairs = padding_of("to_keras", padding, axes)
    if axes == 1:
        return _Padded(keras.layers.ZeroPadding1D(pairs[0], name=f"{layer.name}_padding"), layer)
    return _Padded(keras.layers.ZeroPadding2D(pairs, name=f"{layer.name}_padding"), layer)


def _activation(keras: Any, layer: Layer, value: Any) -> Any:
    """A name of Keras, or a function."""
    name, alpha = (value["name"], value["alpha"]) if isinstance(value, dict) else (value, None)
    if name is None or name == "identity":
        return "linear"
    if name == "gelu_tanh":
        return lambda x: keras.activations.gelu(x, approximate=True)
    if name == "leaky_relu":
        slope = 0.01 if alpha is None else alpha
        return lambda x: keras.activations.leaky_relu(x, negative_slope=slope)
    if name == "elu" and alpha is not None:
        return lambda x: keras.activations.elu(x, alpha=alpha)
    if name == "heaviside":
        raise ValueError(f"to_keras: expected activation functions that Keras has, got {name} of {layer.place}")
    return name


def _operation(keras: Any, layer: Operation) -> Callable[..., Any]:
    attributes = layer.attributes
    function = getattr(keras.ops, str(attributes.get("function")), None)
    if layer.kind != "elementwise" or function is None:
        name = attributes.get("function", layer.kind)
        raise ValueError(f"to_keras: expected operations that to_keras knows, got {name} ({layer.place})")

    def call(*tensors: Any) -> Any:
        operands = list(tensors)
        if "constant" in attributes:
            operands.insert(int(str(attributes.get("constant_at", 1))), attributes["constant"])
        return function(*operands)

    return call


def _called(made: Any, layer: Layer, inputs: list[Any]) -> Any:
    if isinstance(layer, Operation):
        return made(*inputs)
    if isinstance(layer, MultiHeadAttention):
        last = min(len(inputs), 3) - 1
        query, value, key = inputs[0], inputs[min(1, last)], inputs[last]
        mask = inputs[3] if len(inputs) > 3 else None
        return made(query, value, key, attention_mask=mask, use_causal_mask=layer.causal)
    if isinstance(layer, Recurrent | Bidirectional) and len(inputs) > 1:
        return made(inputs[0], initial_state=inputs[1:])
    return made(inputs[0] if len(inputs) == 1 else inputs)


def _copy_weights(network: Network, layer: Layer, made: Any) -> None:
    start = f"{layer.place}."
    values = [np.array(view) for name, view in network.parameters.items() if name.startswith(start)]
    target = made.layer if isinstance(made, _Padded) else made
    if not values:
        return
    if isinstance(layer, Normalization):
        values.append(np.zeros(()))
    target.set_weights([value.reshape(own.shape) for value, own in zip(values, target.get_weights(), strict=True)])
    if isinstance(layer, Normalization):
        target.finalize_state()
