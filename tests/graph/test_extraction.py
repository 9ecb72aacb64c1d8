"""Network.extract: a part of a network as a separate network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_networks import GRAPHS, bits, duplicates, flat, inputs_of, nested, randomize, same

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

ROWS = 5


def chain(dtype: str = "float64") -> nf.Network:
    return nf.Network(
        [
            layers.Input((6, 5, 2)),
            layers.Conv2D(3, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.25),
            layers.Dense(7, "tanh"),
            layers.Dense(4, "softmax"),
        ],
        seed=11,
        dtype=dtype,
        name="whole",
    )


def towers(dtype: str = "float64", form: type = dict) -> nf.Network:
    """Two inputs with a layer each, a layer that both go through, and a layer of their sum."""
    a, b = layers.Input((3,), name="a"), layers.Input((4,), name="b")
    shared = layers.Dense(5, "tanh", name="shared")
    left, right = shared(layers.Dense(6, name="left")(a)), shared(layers.Dense(6, name="right")(b))
    last = layers.Dense(2, name="last")(layers.Add(name="sum")([left, right]))
    inputs: Any = {"first": a, "second": b} if form is dict else form([a, b])
    return nf.Network(inputs=inputs, outputs=last, seed=12, dtype=dtype)


def two_decoders(dtype: str = "float64") -> nf.Network:
    """The code of one input is decoded by the kernels of the encoder of another one."""
    x, code = layers.Input((6,), name="x"), layers.Input((3,), name="code")
    encoder = layers.Dense(3, "tanh", name="encoder")
    decoders = [layers.Dense(6, tied_to=tie, name=name) for tie, name in ((encoder, "one"), ("encoder", "two"))]
    decoded = [decoder(code) for decoder in decoders]
    return nf.Network(inputs=[x, code], outputs=[encoder(x), *decoded], seed=13, dtype=dtype)


NETWORKS: dict[str, Callable[..., nf.Network]] = {**GRAPHS, "chain": chain, "towers": towers, "decoders": two_decoders}


def given_to(part: nf.Network, whole: nf.Network, x: Any) -> Any:
    """Of the inputs of a network those that a part of it has."""
    named = dict(zip(whole.architecture.inputs.names, flat(x), strict=True))
    return part.architecture.inputs.arrange([named[name] for name in part.architecture.inputs.names])


def values_of(net: nf.Network) -> dict[str, Array]:
    return {name: view.copy() for name, view in net.parameters.items()}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_as_the_end_predicts_what_it_has_in_the_whole(
    name: str, dtype: str, rng: np.random.Generator
) -> None:
    net = randomize(NETWORKS[name](dtype), rng)
    x = inputs_of(net, rng, ROWS)
    known, before = net.trace(x), values_of(net)
    for node in net.architecture.nodes:
        part = net.extract(node.name)
        assert (part.seed, part.dtype, part.name) == (net.seed, net.dtype, net.name)
        result = part.predict(given_to(part, net, x))
        assert result.tobytes() == known[node.name].tobytes(), node.name
        assert set(part.frozen) == set(net.frozen) & set(part.parameters)
        for view in part.parameters.values():
            view[...] = 0
    assert all(view.tobytes() == before[key].tobytes() for key, view in net.parameters.items())


@pytest.mark.parametrize("form", [list, tuple, dict])
def test_several_outputs_in_their_form(form: type, rng: np.random.Generator) -> None:
    net = randomize(chain(), rng)
    x = inputs_of(net, rng, ROWS)
    names = ["flatten", "conv2d", "dense_1"]
    part = net.extract({name[0]: name for name in names} if form is dict else form(names))
    result = part.predict(x)
    assert list(result) == ["f", "c", "d"] if form is dict else isinstance(result, list)
    known = net.trace(x)
    assert bits(result) == [known[name].tobytes() for name in names]
    assert part.output_shape == part.architecture.outputs.arrange([known[name].shape[1:] for name in names])


def test_only_what_is_needed_is_kept() -> None:
    part = chain().extract("flatten")
    assert [layer.name for layer in part.layers] == [
        "input",
        "conv2d",
        "batch_normalization",
        "max_pool2d",
        "flatten",
    ]
    assert {name.partition(".")[0] for name in part.parameters} == {"conv2d", "batch_normalization"}
    assert part.statistics == ["batch_normalization.moving_mean", "batch_normalization.moving_variance"]
    assert not set(part.layers) & set(chain().layers)


@pytest.mark.parametrize(("form", "shapes"), [(dict, {"second": (4,)}), (list, [(4,)]), (tuple, [(4,)])])
def test_inputs_that_are_not_needed_are_left_out(form: type, shapes: Any, rng: np.random.Generator) -> None:
    net = towers(form=form)
    part = net.extract("right")
    assert part.input_shape == shapes
    x = rng.normal(size=(ROWS, 4))
    wanted = x @ net.parameters["right.kernel"] + net.parameters["right.bias"]
    for given in ({"second": x} if form is dict else [x], {"b": x}):
        np.testing.assert_allclose(part.predict(given), wanted, rtol=1e-13)
    assert net.extract("sum").input_shape == net.input_shape


def test_a_later_call_of_a_layer_has_its_parameters(rng: np.random.Generator) -> None:
    """The first call, which the parameters are named after, is not part of it."""
    net = randomize(towers(), rng)
    x = rng.normal(size=(ROWS, 4))
    part = net.extract("shared:2")
    assert [node.name for node in part.architecture.nodes] == ["b", "right", "shared"]
    hidden = x @ net.parameters["right.kernel"] + net.parameters["right.bias"]
    wanted = np.tanh(hidden @ net.parameters["shared.kernel"] + net.parameters["shared.bias"])
    np.testing.assert_allclose(part.predict({"second": x}), wanted, rtol=1e-13)
    both = net.extract(["shared:2", "shared"])
    assert [node.name for node in both.architecture.nodes] == [node.name for node in net.architecture.nodes[:-2]]


def test_shared_layers_stay_shared(rng: np.random.Generator) -> None:
    net = randomize(towers(), rng)
    part = net.extract("sum")
    assert sum(name.startswith("shared") for name in part.parameters) == 2
    x = inputs_of(net, rng, ROWS)
    before = part.predict(x)
    part.parameters["shared.bias"] += 1
    assert (part.predict(x) > before).all()


def test_tied_kernels_stay_tied_if_both_layers_are_kept(rng: np.random.Generator) -> None:
    net = randomize(GRAPHS["autoencoder"](), rng)
    part = net.extract("decoder")
    assert list(part.parameters) == ["encoder.kernel", "encoder.bias", "decoder.bias"]
    x, p = inputs_of(net, rng, ROWS), part.parameters
    p["encoder.kernel"] *= 2
    code = np.tanh(x @ p["encoder.kernel"] + p["encoder.bias"])
    wanted = np.maximum(code @ p["encoder.kernel"].T + p["decoder.bias"], 0)
    np.testing.assert_allclose(part.predict(x), wanted, rtol=1e-13)


@pytest.mark.parametrize("frozen", [(), ("encoder",)])
def test_a_kernel_tied_to_a_layer_that_is_left_out(frozen: tuple[str, ...], rng: np.random.Generator) -> None:
    net = randomize(two_decoders(), rng)
    if frozen:
        net.freeze(*frozen)
    part = net.extract(["one", "two"])
    assert set(part.parameters) == {"one.kernel", "one.bias", "two.kernel", "two.bias"}
    for name in ("one", "two"):
        assert np.array_equal(part.parameters[f"{name}.kernel"], net.parameters["encoder.kernel"].T)
    assert part.frozen == (["one.kernel", "two.kernel"] if frozen else [])
    code = rng.normal(size=(ROWS, 3))
    wanted = net.predict([np.zeros((ROWS, 6)), code])[1:]
    assert bits(part.predict([code])) == bits(wanted)
    assert net.get_layer("one").tied_to is net.get_layer("encoder")


def test_what_is_frozen_stays_so_and_what_was_thawed_trains() -> None:
    hidden = layers.Dense(3, trainable=False, name="hidden")
    net = nf.Network([layers.Input((2,)), layers.Dense(4, name="first"), hidden, layers.Dense(1)], seed=0)
    assert net.extract("hidden").frozen == ["hidden.kernel", "hidden.bias"]
    net.unfreeze("hidden.kernel")
    net.freeze("first.bias")
    part = net.extract("hidden")
    assert part.frozen == ["first.bias", "hidden.bias"]
    part.unfreeze()
    assert net.frozen == ["first.bias", "hidden.bias"]


def test_layers_of_a_network_within_a_network(rng: np.random.Generator) -> None:
    net = randomize(nested(), rng)
    x, p = inputs_of(net, rng, ROWS), net.parameters
    part = net.extract("inner/dense_1")
    assert part.frozen == ["inner/dense.bias"]
    wanted = np.tanh(x @ p["inner/dense.kernel"] + p["inner/dense.bias"]) @ p["inner/dense_1.kernel"]
    np.testing.assert_allclose(part.predict(x), wanted + p["inner/dense_1.bias"], rtol=1e-12)


PARTS = {
    "chain": "dense",
    "towers": "shared:2",
    "autoencoder": "decoder",
    "nested": ["inner/dense", "inner/dense_1:2"],
    "decoders": {"decoded": "two"},
}


@pytest.mark.parametrize("name", PARTS)
def test_files_pickles_and_copies(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    net = randomize(NETWORKS[name](), rng)
    net.freeze(next(iter(net.parameters)))
    part = net.extract(PARTS[name])
    x = given_to(part, net, inputs_of(net, rng, ROWS))
    for way, other in duplicates(part, tmp_path, {}).items():
        assert same(part, other), way
        assert other.frozen == part.frozen, way
        assert bits(other.predict(x)) == bits(part.predict(x)), way
        assert other.architecture.describe() == part.architecture.describe(), way


@pytest.mark.parametrize("name", PARTS)
def test_a_part_in_another_network(name: str, rng: np.random.Generator) -> None:
    net = randomize(NETWORKS[name](), rng)
    net.freeze(next(iter(net.parameters)))
    part = net.extract(PARTS[name])
    shapes = dict(zip(part.architecture.inputs.names, flat(part.input_shape), strict=True))
    entries = [layers.Input(shape) for shape in shapes.values()]
    outputs = part(part.architecture.inputs.arrange(entries))
    other = nf.Network(inputs=entries, outputs=outputs, dtype=part.dtype)
    values = flat(given_to(part, net, inputs_of(net, rng, ROWS)))
    assert bits(other.predict(values)) == bits(part.predict(part.architecture.inputs.arrange(values)))
    assert other.frozen == [f"{part.name}/{parameter}" for parameter in part.frozen]


def test_transfer_by_hand() -> None:
    """A frozen part below a new head stays as it is in training, and trains when it is thawed."""
    net = chain("float32")
    base = net.extract("flatten")
    base.freeze()
    x = layers.Input((6, 5, 2))
    other = nf.Network(inputs=x, outputs=layers.Dense(2, "softmax", name="head")(base(x)), seed=1)
    images, labels = np.random.default_rng(0).normal(size=(8, 6, 5, 2)).astype("float32"), np.arange(8) % 2
    trainer = nf.Trainer(other, loss="cross_entropy")
    trainer.fit(images, labels, epochs=2, batch_size=4)
    assert other.trainable == ["head.kernel", "head.bias"]
    for name, view in base.parameters.items():
        assert other.parameters[f"whole/{name}"].tobytes() == view.tobytes() == net.parameters[name].tobytes()
    other.unfreeze()
    trainer.fit(images, labels, epochs=1, batch_size=4)
    assert all((other.parameters[f"whole/{name}"] != view).any() for name, view in base.parameters.items())


BAD = {
    "a name that is nearly one": ("fltten", ValueError, r"unknown layer 'fltten'; did you mean 'flatten'\?"),
    "one of several": (["dense", "dens"], ValueError, "did you mean 'dense'"),
    "a later call that there is not": ("dense:2", ValueError, "unknown layer 'dense:2'"),
    "no name": (
        [],
        ValueError,
        "extract: expected the name of one layer or more, got none; valid names: input, conv2d",
    ),
    "none by key": ({}, ValueError, "expected the name of one layer or more, got none"),
    "one twice": (["dense", "dense"], ValueError, r"expected layers that differ, got \['dense', 'dense'\]"),
    "a number": (6, TypeError, "layer: expected a name, got 6"),
    "nothing": (None, TypeError, "layer: expected a name, got None"),
    "a key that is no text": ({1: "dense"}, TypeError, r"expected texts as keys of outputs, got \[1\]"),
    "an empty key": ({"": "dense"}, TypeError, "expected texts as keys"),
}


@pytest.mark.parametrize("bad", BAD)
def test_bad_names(bad: str) -> None:
    outputs, error, text = BAD[bad]
    with pytest.raises(error, match=text):
        chain().extract(outputs)


def test_an_input_alone() -> None:
    part = chain("float32").extract("input")
    x = np.ones((2, 6, 5, 2), "float32")
    assert part.predict(x).tobytes() == x.tobytes()
    assert not part.parameters


def test_outputs_of_a_layer_that_has_several(rng: np.random.Generator) -> None:
    x = layers.Input((6,))
    _, second = layers.Split([2], name="split")(x)
    net = nf.Network(inputs=x, outputs=layers.Dense(3, name="last")(second), seed=0, dtype="float64")
    values = rng.normal(size=(ROWS, 6))
    assert np.array_equal(net.extract("split").predict(values), values[:, :2])
    assert np.array_equal(net.extract("split#1").predict(values), values[:, 2:])
    assert np.array_equal(net.extract("last").predict(values), net.predict(values))
    with pytest.raises(ValueError, match="unknown layer 'split#2'"):
        net.extract("split#2")
