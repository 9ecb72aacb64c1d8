"""Layers of Keras as layers of nnfast, from their configurations.

What a configuration says and nnfast has no option for must have the value that changes nothing; otherwise it is an
error. Initializers are left out, since the weights are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, NamedTuple

from nnfast import constraints, layers, ops, regularizers
from nnfast.core.options import argument_names
from nnfast.core.text import short_repr
from nnfast.io.keras.activations import activation_of, relu_of
from nnfast.layers.wrappers import _OF_THE_LAST_AXIS

__all__ = ["Built", "translated"]

Config = Mapping[str, Any]


class Built(NamedTuple):
    """A layer of Keras as it is called, and the layers of nnfast with their parts of its variables."""

    call: Callable[..., Any]
    layers: list[tuple[layers.Layer, slice]]
    by_step: bool = False
    """Whether the layer is called for each step of a sequence separately."""


_ALL = slice(None)
_RENAMED = {
    "depthwise_regularizer": "kernel_regularizer",
    "depthwise_constraint": "kernel_constraint",
    "alpha": "negative_slope",
}
_FREE = {
    "dtype",
    "flash_attention",
    "implementation",
    "name",
    "renorm_momentum",
    "seed",
    "trainable",
    "unroll",
    "zero_output_for_mask",
}
"""Options that change nothing that is computed here, or are read elsewhere."""
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "attention_axes": ([1], (1,)),
    "batch_input_shape": (),
    "data_format": ("channels_last",),
    "groups": (1,),
    "input_length": (),
    "ragged": (False,),
    "renorm": (False,),
    "rms_scaling": (False,),
    "sparse": (False,),
    "stateful": (False,),
    "synchronized": (False,),
    "time_major": (False,),
    "use_gate": (False,),
}
"""Values other than None that mean the same as to leave an option out; any, where there are none."""
# fmt: off
_SAME_NAMES = frozenset({
    "Add", "Average", "AveragePooling1D", "AveragePooling2D", "BatchNormalization", "Concatenate", "Conv1D",
    "Conv1DTranspose", "Conv2D", "Conv2DTranspose", "Cropping1D", "Cropping2D", "Dense", "DepthwiseConv2D", "Dropout",
    "ELU", "Embedding", "Flatten", "GRU", "GaussianNoise", "GlobalAveragePooling1D", "GlobalAveragePooling2D",
    "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GroupNormalization", "GroupQueryAttention", "LSTM",
    "LayerNormalization", "LeakyReLU", "Masking", "MaxPooling1D", "MaxPooling2D", "Maximum", "Minimum",
    "MultiHeadAttention", "Multiply", "Normalization", "PReLU", "Permute", "RMSNormalization", "RepeatVector",
    "Rescaling", "Reshape", "SimpleRNN", "Softmax", "SpatialDropout1D", "SpatialDropout2D", "Subtract",
    "UpSampling1D", "UpSampling2D", "ZeroPadding1D", "ZeroPadding2D",
})
# fmt: on
_LAST_AXIS = ("BatchNormalization", "GroupNormalization", "LayerNormalization", "RMSNormalization", "Softmax")
_REGULARIZERS = ("L1", "L2", "L1L2", "OrthogonalRegularizer")
_CONSTRAINTS = ("MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm")


def translated(where: str, entry: Mapping[str, Any], name: str, own: Mapping[str, type[layers.Layer]]) -> Built:
    """The layer of an entry of Keras's description of a model.

    Parameters
    ----------
    where : str
        The layer, for error messages.
    entry : dict
        With ``"class_name"`` and ``"config"``.
    name : str
        For the layer of nnfast.
    own : dict
        Layers of nnfast by the names of user-defined classes.
    """
    kind, config = entry.get("class_name"), entry.get("config")
    if not isinstance(kind, str) or not isinstance(config, Mapping):
        raise ValueError(f"{where}: expected a layer with its configuration, got {short_repr(entry)}")
    if kind in own:
        return _user_defined(where, own[kind], config, name)
    if kind in _SPECIAL:
        return _SPECIAL[kind](where, config, name)
    if kind not in _SAME_NAMES:
        reason = " (a Lambda layer is code, which is not run)" if kind == "Lambda" else ""
        raise ValueError(
            f"{where}: expected a layer that nnfast has, got {short_repr(kind)}{reason}; write it as a "
            f"layers.Layer with a method call, and pass custom_objects={{{kind!r}: <the class>}}"
        )
    return _plain(where, kind, config, name)


def _plain(where: str, kind: str, config: Config, name: str) -> Built:
    """A layer of the same name."""
    layer, after = _layer(where, kind, config, name)
    axis = config.get("axis", -1) if kind in _LAST_AXIS else -1

    def call(inputs: Any, *arguments: Any, **keywords: Any) -> Any:
        _require_last(where, axis, inputs)
        y = layer(inputs, *arguments, **keywords)
        return y if after is None else after(y)

    return Built(call, [(layer, _ALL)])


def _layer(where: str, kind: str, config: Config, name: str) -> tuple[layers.Layer, Callable[[Any], Any] | None]:
    """A layer, and what is applied to its output after it."""
    cls: Any = getattr(layers, kind)
    known = argument_names(cls)
    given: dict[str, Any] = {}
    after = None
    for key, value in config.items():
        option = key if key in known else _RENAMED.get(key, key)
        if key in _FREE or key.endswith("_initializer") or (key == "axis" and kind in _LAST_AXIS):
            continue
        if option == "activation":
            given[option], after = activation_of(where, value)
        elif option == "recurrent_activation":
            given[option], later = activation_of(where, value)
            if later is not None:
                raise ValueError(f"{where}: expected recurrent_activation that nnfast has, got {short_repr(value)}")
        elif option.endswith(("_regularizer", "_constraint")):
            if value is not None:
                given[option] = _rule(f"{where}, {option}", option, value)
        elif option in known:
            given[option] = tuple(value) if isinstance(value, list) else value
        elif value is not None and (key not in _NEUTRAL or (_NEUTRAL[key] and value not in _NEUTRAL[key])):
            raise ValueError(f"{where}: expected options of {kind} that nnfast has, got {key}={short_repr(value)}")
    if after is not None and kind in ("LSTM", "GRU", "SimpleRNN"):
        raise ValueError(f"{where}: expected an activation that nnfast has, got {short_repr(config['activation'])}")
    return cls(**given, name=name), after


def _rule(where: str, option: str, value: Any) -> Any:
    """A regularizer or constraint."""
    module, names = (regularizers, _REGULARIZERS) if option.endswith("_regularizer") else (constraints, _CONSTRAINTS)
    kind, config = (value.get("class_name"), value.get("config")) if isinstance(value, Mapping) else (None, None)
    if kind not in names or not isinstance(config, Mapping):
        raise ValueError(f"{where}: expected one of {', '.join(names)}, got {short_repr(value)}")
    options = {key: tuple(item) if isinstance(item, list) else item for key, item in config.items()}
    return getattr(module, str(kind))(**options)


def _require_last(where: str, axis: Any, inputs: Any) -> None:
    given = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if given != -1 and given != len(inputs.shape):
        raise ValueError(f"{where}: expected the last axis, got axis={short_repr(axis)}")


def _user_defined(where: str, cls: type[layers.Layer], config: Config, name: str) -> Built:
    known = argument_names(cls)
    options = {key: value for key, value in config.items() if key not in ("name", "dtype", "trainable")}
    if unknown := [key for key in options if key not in known]:
        raise ValueError(f"{where}: expected options that {cls.__name__} takes, got {', '.join(unknown)}")
    layer = cls(**options, **({"name": name} if "name" in known else {}))
    if "name" not in known:
        layer.take_name(name)
    return Built(layer, [(layer, _ALL)])


# ---- layers that are not the same ------------------------------------------------


def _of_activation(where: str, config: Config, name: str) -> Built:
    return _activated(config_activation(where, config), name)


def config_activation(where: str, config: Config) -> Any:
    """The activation function of a layer that is nothing else."""
    return activation_of(where, config.get("activation"))


def _activated(activation: Any, name: str) -> Built:
    layer = layers.Activation("linear" if activation.option is None else activation.option, name=name)
    after = activation.after
    return Built(lambda x: layer(x) if after is None else after(layer(x)), [])


def _relu(where: str, config: Config, name: str) -> Built:
    return _activated(relu_of(where, dict(config)), name)


def _separable(where: str, config: Config, name: str) -> Built:
    """Two layers: a depthwise convolution, and one of 1 x 1 over the channels."""
    shared = ("strides", "padding", "data_format", "dilation_rate", "kernel_size", "depth_multiplier", "groups")
    depthwise = {key: config[key] for key in shared if key in config}
    for rule in ("regularizer", "constraint"):
        depthwise[f"kernel_{rule}"] = config.get(f"depthwise_{rule}")
    pointwise = {key: value for key, value in config.items() if key not in shared and "wise_" not in key}
    for rule in ("regularizer", "constraint"):
        pointwise[f"kernel_{rule}"] = config.get(f"pointwise_{rule}")
    first = _plain(where, "DepthwiseConv2D", {**depthwise, "use_bias": False}, f"{name}/depthwise")
    second = _plain(where, "Conv2D", {**pointwise, "kernel_size": 1}, f"{name}/pointwise")
    (one, _), (other, _) = *first.layers, *second.layers
    return Built(lambda x: second.call(first.call(x)), [(one, slice(0, 1)), (other, slice(1, None))])


def _bidirectional(where: str, config: Config, name: str) -> Built:
    ways = [_inner(where, config, key) for key in ("layer", "backward_layer") if config.get(key) is not None]
    merge = config.get("merge_mode", "concat")
    layer = layers.Bidirectional(ways[0], merge, *ways[1:], name=name)
    return Built(layer, [(layer, _ALL)])


def _inner(where: str, config: Config, key: str) -> Any:
    """The layer that another one is around, without the activation functions that nnfast does not have."""
    entry = config.get(key)
    kind, inner = (entry.get("class_name"), entry.get("config")) if isinstance(entry, Mapping) else (None, None)
    if kind not in _SAME_NAMES or not isinstance(inner, Mapping):
        raise ValueError(f"{where}: expected a layer that nnfast has as {key}, got {short_repr(kind)}")
    layer, after = _layer(f"{where}, {key}", str(kind), inner, _inner_name(inner))
    if after is not None:
        raise ValueError(f"{where}: expected {key} with an activation that nnfast has")
    return layer


def _inner_name(config: Config) -> str:
    # The two of a Bidirectional are called forward_lstm and backward_lstm there already.
    return str(config.get("name")).removeprefix("forward_").removeprefix("backward_")


def _time_distributed(where: str, config: Config, name: str) -> Built:
    inner = _inner(where, config, "layer")
    layer = layers.TimeDistributed(inner, name=name)
    return Built(layer, [(layer, _ALL)], by_step=not isinstance(inner, _OF_THE_LAST_AXIS))


def _merged(kind: str) -> Callable[[str, Config, str], Built]:
    """A merging layer, whose inputs of different shapes are broadcast in Keras."""
    function = {"Average": ops.add, "Subtract": ops.subtract}.get(kind) or getattr(ops, kind.lower())

    def made(where: str, config: Config, name: str) -> Built:
        built = _plain(where, kind, config, name)

        def call(inputs: Any) -> Any:
            if not isinstance(inputs, list | tuple) or len({x.shape for x in inputs}) == 1:
                return built.call(inputs)
            y = reduce(function, inputs)
            return y / len(inputs) if kind == "Average" else y

        return Built(call, [])

    return made


def _dropout(where: str, config: Config, name: str) -> Built:
    """Dropout, which Keras may apply to several elements at once."""
    shared = config.get("noise_shape")
    built = _plain(where, "Dropout", {**config, "noise_shape": None}, name)
    if shared is None:
        return built

    def call(x: Any) -> Any:
        if not isinstance(shared, list) or len(shared) != len(x.shape) + 1 or shared[0] is not None:
            raise ValueError(f"{where}: expected noise_shape for (N, *{x.shape}), got {short_repr(shared)}")
        part = (slice(None), *(slice(0, 1) if size == 1 else slice(None) for size in shared[1:]))
        return x * built.call(ops.get_item(x, part) * 0.0 + 1.0)

    return Built(call, [])


def _identity(where: str, config: Config, name: str) -> Built:
    return Built(lambda x: x, [])


def _regularization(where: str, config: Config, name: str) -> Built:
    layer = layers.ActivityRegularization(config.get("l1", 0.0), config.get("l2", 0.0), name=name)
    return Built(layer, [])


_SPECIAL: dict[str, Callable[[str, Config, str], Built]] = {
    "Activation": _of_activation,
    "ActivityRegularization": _regularization,
    "Bidirectional": _bidirectional,
    "Dropout": _dropout,
    "Identity": _identity,
    "ReLU": _relu,
    "SeparableConv2D": _separable,
    "TimeDistributed": _time_distributed,
    **{kind: _merged(kind) for kind in ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")},
}
