"""Exported networks whose sequences have any length: they give what a network for that length gives."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx_runs import as_list, exported, outputs
from small_networks import randomize, same

import nnfast as nf
from nnfast import layers, models
from nnfast.core.typing import Array
from nnfast.io.onnx.export import model_of
from nnfast.io.onnx.messages import ModelProto
from nnfast.io.onnx.origin import network_of

SMALL: dict[str, Any] = {"depth": 2, "width": 16, "heads": 2, "seed": 0}


def recurrent(steps: int, masked: bool = False, dtype: str = "float32") -> nf.Network:
    x = layers.Input((steps, 3))
    h = layers.Masking(9.0)(x) if masked else layers.Conv1D(4, 3, padding="same", activation="relu")(x)
    h = layers.Bidirectional(layers.GRU(4, return_sequences=True))(h)
    h = layers.BatchNormalization()(h)
    h = layers.LSTM(3, return_sequences=True)(layers.GroupNormalization(2)(h))
    return nf.Network(inputs=x, outputs=[h, layers.GlobalAvgPool1D()(h)], seed=0, dtype=dtype)


def convolutional(steps: int) -> nf.Network:
    """Strided, up again, and a reshape of which one size is open."""
    x = layers.Input((steps, 3))
    h = layers.MaxPool1D(2, padding="same")(layers.Conv1D(4, 3, strides=2, padding="same")(x))
    h = layers.Reshape((-1, 2))(layers.UpSampling1D(2)(layers.ZeroPadding1D(1)(h)))
    return nf.Network(inputs=x, outputs=[h, layers.GlobalMaxPool1D()(h)], seed=0)


def with_options(**options: Any) -> Callable[[int], nf.Network]:
    return lambda steps: models.transformer(11, steps, **SMALL, **options)


NETWORKS: dict[str, Callable[[int], nf.Network]] = {
    "recurrent": recurrent,
    "masked": lambda steps: recurrent(steps, masked=True),
    "in double precision": lambda steps: recurrent(steps, masked=True, dtype="float64"),
    "convolutional": convolutional,
    "char_lstm": lambda steps: models.char_lstm(11, steps, 4, seed=0),
    "transformer": with_options(),
    "transformer, rotary": with_options(positions="rotary", normalization="rms", key_value_heads=1),
    "transformer, classes": with_options(causal=False, classes=3),
    "transformer, the last step": with_options(classes=3),
    "transformer, padded": with_options(mask_zero=True),
}


def rows_for(net: nf.Network, rng: np.random.Generator) -> list[Array]:
    made = []
    for name, shape in zip(net.architecture.inputs.names, net._input_shapes, strict=True):
        layer: Any = net.architecture.by_name[name]
        if layer.dtype:
            made.append(rng.integers(0, 11, (3, *shape)).astype(layer.dtype))
        else:
            made.append(rng.normal(size=(3, *shape)).astype(net.dtype))
            made[-1][0, -1] = 9
    return made


def with_parameters_of(net: nf.Network, other: nf.Network) -> nf.Network:
    """Tables of positions may be shorter."""
    for name, view in other.parameters.items():
        view[...] = net.parameters[name][tuple(slice(size) for size in view.shape)]
    return other


def largest_difference(model: Any, net: nf.Network, rng: np.random.Generator) -> float:
    feeds = rows_for(net, rng)
    found, wanted = outputs(model, feeds), as_list(net.predict(net.architecture.inputs.arrange(feeds)))
    assert [y.shape for y in found] == [y.shape for y in wanted]
    return max(float(np.abs(a - b).max()) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("name", NETWORKS)
def test_other_lengths(name: str, rng: np.random.Generator) -> None:
    net = randomize(NETWORKS[name](8), rng)
    model = exported(net, dynamic_time=True)
    assert model.graph.input[0].type.tensor_type.shape.dim[1].dim_param == "T"
    for steps in (8, 5, 2, 1):
        assert largest_difference(model, with_parameters_of(net, NETWORKS[name](steps)), rng) < 1e-5


def test_two_lengths(rng: np.random.Generator) -> None:
    """Of the source and of the target; with one length where both are added."""

    def translator(source: int, target: int) -> nf.Network:
        return models.transformer_seq2seq(11, 13, source, target, depth=2, width=16, heads=2, seed=0)

    net = randomize(translator(6, 6), rng)
    model = exported(net, dynamic_time=True)
    a, b = (value.type.tensor_type.shape.dim[1].dim_param for value in model.graph.input)
    assert a != b
    for lengths in ((6, 6), (3, 5), (6, 1)):
        assert largest_difference(model, with_parameters_of(net, translator(*lengths)), rng) < 1e-5

    def added(steps: int) -> nf.Network:
        x, y = layers.Input((steps, 3), name="x"), layers.Input((steps, 3), name="y")
        return nf.Network(inputs=[x, y], outputs=layers.GRU(2)(layers.Add()([x, y])), seed=0)

    net = randomize(added(6), rng)
    model = exported(net, dynamic_time=True)
    assert {value.type.tensor_type.shape.dim[1].dim_param for value in model.graph.input} == {"T"}
    assert largest_difference(model, with_parameters_of(net, added(9)), rng) < 1e-5


def chain(*between: layers.Layer) -> Callable[[], nf.Network]:
    return lambda: nf.Network([layers.Input((6, 4), name="x"), *between], seed=0)


def of_function(function: Callable[[Any], Any]) -> Callable[[], nf.Network]:
    x = layers.Input((6, 4))
    return lambda: nf.Network(inputs=x, outputs=function(x), seed=0)


REFUSED: dict[str, tuple[Callable[[], nf.Network], str]] = {
    "weights for each step": (
        chain(layers.Flatten(), layers.Dense(2, name="whole")),
        "'whole', which needs the number",
    ),
    "a table of numbers": (lambda: models.transformer(11, 8, **SMALL, positions="sine"), "'positions.constant', which"),
    "slices": (of_function(lambda x: x[:, :-1]), r"'slice\w*', which needs the number that it has; leave dynamic_time"),
    "slices backwards": (of_function(lambda x: nf.ops.flip(x, axis=1)), "but with others: .*expected a slice within"),
    "no sequences": (lambda: models.lenet5(seed=0), r"expected inputs of shape \(T, D\), or \(T,\) for token ids"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_layers_that_need_their_length_are_named(name: str) -> None:
    make, text = REFUSED[name]
    with pytest.raises(ValueError, match=text):
        model_of(make(), dynamic_time=True)


def test_metadata_restore_the_network(rng: np.random.Generator) -> None:
    net = randomize(NETWORKS["transformer"](8), rng)
    again = network_of(ModelProto.parse(model_of(net, dynamic_time=True).serialize()), {})
    assert again is not None
    assert same(again, net)
    assert again.input_shape == (8,)
