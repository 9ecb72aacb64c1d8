"""What a layer of nnfast is called in PyTorch: the tensors of a module, and how parameters are computed from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from nnfast.core.typing import Array, Shape
from nnfast.io.torch.flattening import reordered
from nnfast.layers import (
    GRU,
    LSTM,
    BatchNormalization,
    Bidirectional,
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Embedding,
    GroupNormalization,
    Layer,
    LayerNormalization,
    MultiHeadAttention,
    Normalization,
    PositionEmbedding,
    PReLU,
    RMSNormalization,
    SimpleRNN,
    TimeDistributed,
)
from nnfast.network import Network

__all__ = ["Part", "parts_of", "with_gates_moved"]

_TIED = "tied"
"""Stands for the kernel that a layer shares with another one."""
Shapes = Mapping[str, Shape]
Tensors = Mapping[str, Array]


class Form(NamedTuple):
    """One form that a module may have: the shapes of its tensors, and the parameters computed from them."""

    shapes: dict[str, Shape]
    convert: Callable[[Tensors], dict[str, Array]]


class Part(NamedTuple):
    """A layer, or a part of one, that is a module in PyTorch."""

    name: str
    """Such as "dense", or "encoder.feedforward" of a composed layer."""
    forms: list[Form]


def parts_of(network: Network, flattened: Mapping[str, Shape]) -> list[Part]:
    """The parts of a network that have parameters other than constants, in the order of its calls.

    `flattened` has what layers get that was flattened from channels-first images; see `flattened_shapes`.
    """
    shapes = {name: view.shape for name, view in network.parameters.items() if not name.endswith(".value")}
    found = []
    # Those whose statistics are found by `adapt` stay as they are.
    for layer in network.layers:
        for name, part, own in _parts(layer.place, layer, shapes):
            forms = _forms(name, part, own, flattened.get(name))
            found.append(Part(name, forms))
    return found


def _parts(name: str, layer: Layer, shapes: Shapes) -> Iterator[tuple[str, Layer, dict[str, Shape]]]:
    start = f"{name}."
    own = {key.removeprefix(start): shape for key, shape in shapes.items() if key.startswith(start)}
    if isinstance(layer, Dense) and layer.tied_parameter is not None:
        own[_TIED] = shapes[layer.tied_parameter]
    if not own:
        return
    if isinstance(layer, TimeDistributed) or (layer.is_composed and type(layer) not in _FORMS):
        if not isinstance(layer, Normalization) and any(name in own for name in layer.composition.weights):
            raise _unknown(name, layer)
        for inner, part in layer.composition.layers.items():
            yield from _parts(start + inner, part, shapes)
    else:
        yield name, layer, own


def _forms(name: str, layer: Layer, own: dict[str, Shape], flat: Shape | None) -> list[Form]:
    make = next((_FORMS[cls] for cls in type(layer).__mro__ if cls in _FORMS), None)
    if make is None:
        raise _unknown(name, layer)
    forms: list[Form] = make(layer, own, flat)
    return forms


def _unknown(name: str, layer: Layer) -> ValueError:
    return ValueError(
        f"load_torch_weights: expected layers that PyTorch has, got {name} ({type(layer).__name__}); assign to "
        "net.parameters yourself"
    )


# ---- layers ----------------------------------------------------------------------


def _renamed(own: Shapes, names: Mapping[str, str], moved: Callable[[Array], Array] = lambda value: value) -> Form:
    """A form whose tensors are the parameters under other names."""
    pairs = {name: theirs for name, theirs in names.items() if name in own}
    return Form(
        {theirs: own[name] for name, theirs in pairs.items()},
        lambda tensors: {name: moved(tensors[theirs]) for name, theirs in pairs.items()},
    )


def _dense(layer: Dense, own: Shapes, flat: Shape | None) -> list[Form]:
    bias = {"bias": own["bias"]} if "bias" in own else {}

    def convert(tensors: Tensors) -> dict[str, Array]:
        found = {name: tensors[name] for name in bias}
        if "kernel" in own:
            kernel = tensors["weight"].T
            found["kernel"] = kernel if flat is None else reordered(kernel, flat)
        return found

    if _TIED in own:  # a state_dict has it twice, unless it is from a file that does not
        return [Form({"weight": own[_TIED], **bias}, convert), Form(bias, convert)]
    return [Form({"weight": own["kernel"][::-1], **bias}, convert)]


def _convolution(layer: Layer, own: Shapes, flat: Shape | None) -> list[Form]:
    *window, before, after = own["kernel"]
    if isinstance(layer, DepthwiseConv2D):
        weight, axes = (before * after, 1, *window), (2, 3, 0, 1)
    else:
        weight, axes = (after, before, *window), (*range(2, len(window) + 2), 1, 0)
    bias = {"bias": own["bias"]} if "bias" in own else {}

    def convert(tensors: Tensors) -> dict[str, Array]:
        kernel = tensors["weight"].transpose(axes).reshape(own["kernel"])
        return {"kernel": kernel, **{name: tensors[name] for name in bias}}

    return [Form({"weight": weight, **bias}, convert)]


def _batch_norm(layer: Layer, own: Shapes, flat: Shape | None) -> list[Form]:
    names = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
    return [_renamed(own, names, lambda value: value if flat is None else reordered(value, flat))]


def _norm(layer: Layer, own: Shapes, flat: Shape | None) -> list[Form]:
    return [_renamed(own, {"gamma": "weight", "beta": "bias"})]


def _embedding(layer: Layer, own: Shapes, flat: Shape | None) -> list[Form]:
    return [_renamed(own, {"embeddings": "weight"})]


def _prelu(layer: Layer, own: Shapes, flat: Shape | None) -> list[Form]:
    alpha = own["alpha"]

    def convert(tensors: Tensors) -> dict[str, Array]:
        return {"alpha": np.broadcast_to(tensors["weight"], alpha)}

    return [Form({"weight": shape}, convert) for shape in dict.fromkeys([alpha[-1:], (1,)])]


_GATES = {"lstm": (0, 1, 2, 3), "gru": (1, 0, 2), "simple_rnn": (0,)}
"""The place of each gate of nnfast among PyTorch's."""


def with_gates_moved(layer: Any, value: Array) -> Array:
    """Rows of gates in PyTorch's order from those in nnfast's, or the other way, which is the same permutation."""
    gates = list(_GATES[layer.op])
    return value.reshape(len(gates), layer.units, *value.shape[1:])[gates].reshape(value.shape)


def _recurrent(layer: Any, own: Shapes, flat: Shape | None) -> list[Form]:
    return [_recurrent_form(layer, own, "")]


def _recurrent_form(layer: Any, own: Shapes, end: str) -> Form:
    rows = len(_GATES[layer.op]) * layer.units
    shapes = {f"weight_ih{end}": own["kernel"][::-1], f"weight_hh{end}": own["recurrent_kernel"][::-1]}
    if layer.use_bias:
        shapes |= {f"bias_ih{end}": (rows,), f"bias_hh{end}": (rows,)}
    if isinstance(layer, GRU) and not layer.reset_after:
        shapes = {}  # PyTorch does not have it

    def convert(tensors: Tensors) -> dict[str, Array]:
        found = {
            "kernel": with_gates_moved(layer, tensors[f"weight_ih{end}"]).T,
            "recurrent_kernel": with_gates_moved(layer, tensors[f"weight_hh{end}"]).T,
        }
        if layer.use_bias:
            one, other = (with_gates_moved(layer, tensors[f"bias_{part}{end}"]) for part in ("ih", "hh"))
            found["bias"] = np.stack([one, other]) if isinstance(layer, GRU) else one + other
        return found

    return Form(shapes, convert)


def _bidirectional(layer: Bidirectional, own: Shapes, flat: Shape | None) -> list[Form]:
    ways = []
    for way, end in zip(layer.ways, ("", "_reverse"), strict=True):
        start = f"{way.place}."
        within = {name.removeprefix(start): shape for name, shape in own.items() if name.startswith(start)}
        ways.append((start, _recurrent_form(way, within, end)))

    def convert(tensors: Tensors) -> dict[str, Array]:
        return {start + name: value for start, form in ways for name, value in form.convert(tensors).items()}

    return [Form({name: shape for _, form in ways for name, shape in form.shapes.items()}, convert)]


_PROJECTIONS = ("query", "key", "value")


def _attention(layer: MultiHeadAttention, own: Shapes, flat: Shape | None) -> list[Form]:
    kernels = [own[f"{name}.kernel"] for name in _PROJECTIONS]
    out = own["attention_output.kernel"]
    shapes: dict[str, Shape] = {"out_proj.weight": out[::-1]}
    units = [kernel[1] for kernel in kernels]
    cuts = np.cumsum(units)[:-1]
    if layer.use_bias:
        shapes |= {"in_proj_bias": (sum(units),), "out_proj.bias": own["attention_output.bias"]}

    def converted(tensors: Tensors, weights: list[Array]) -> dict[str, Array]:
        found = {f"{name}.kernel": weight.T for name, weight in zip(_PROJECTIONS, weights, strict=True)}
        found["attention_output.kernel"] = tensors["out_proj.weight"].T
        if layer.use_bias:
            biases = np.split(tensors["in_proj_bias"], cuts)
            found |= {f"{name}.bias": bias for name, bias in zip(_PROJECTIONS, biases, strict=True)}
            found["attention_output.bias"] = tensors["out_proj.bias"]
        return found

    def joint(tensors: Tensors) -> dict[str, Array]:
        return converted(tensors, np.split(tensors["in_proj_weight"], cuts))

    def separate(tensors: Tensors) -> dict[str, Array]:
        return converted(tensors, [tensors[f"{name[0]}_proj_weight"] for name in _PROJECTIONS])

    apart = {f"{name[0]}_proj_weight": kernel[::-1] for name, kernel in zip(_PROJECTIONS, kernels, strict=True)}
    forms = [Form({**apart, **shapes}, separate)]
    if len({kernel[0] for kernel in kernels}) == 1:
        forms.append(Form({"in_proj_weight": (sum(units), kernels[0][0]), **shapes}, joint))
    return forms


_FORMS: dict[type[Layer], Callable[..., list[Form]]] = {
    BatchNormalization: _batch_norm,
    Bidirectional: _bidirectional,
    Conv1D: _convolution,
    Conv1DTranspose: _convolution,
    Conv2D: _convolution,
    Conv2DTranspose: _convolution,
    Dense: _dense,
    DepthwiseConv2D: _convolution,
    Embedding: _embedding,
    GRU: _recurrent,
    GroupNormalization: _norm,
    LSTM: _recurrent,
    LayerNormalization: _norm,
    MultiHeadAttention: _attention,
    PReLU: _prelu,
    PositionEmbedding: _embedding,
    RMSNormalization: _norm,
    SimpleRNN: _recurrent,
}
