"""Network.extract with inputs=: a part of a network that begins at its layers, such as a decoder."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_networks import GRAPHS, bits, duplicates, inputs_of, nested, randomize, same

import nnfast as nf
from nnfast import layers

ROWS = 5


def chain(dtype: str = "float64") -> nf.Network:
    return nf.Network(
        [
            layers.Input((6, 5, 2)),
            layers.Conv2D(3, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(7, "tanh"),
            layers.Dropout(0.25),
            layers.Dense(4, "softmax"),
        ],
        seed=11,
        dtype=dtype,
        name="whole",
    )


def conditional() -> nf.Network:
    """The decoder gets a label besides the code."""
    x, label = layers.Input((6,), name="x"), layers.Input((2,), name="label")
    code = layers.Dense(3, "tanh", name="code")(layers.Concatenate(name="both")([x, label]))
    decoded = layers.Dense(6, name="decoded")(layers.Concatenate(name="again")([code, label]))
    return nf.Network(inputs=[x, label], outputs=decoded, seed=12, dtype="float64")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_two_parts_are_the_whole(dtype: str, rng: np.random.Generator) -> None:
    net = randomize(chain(dtype), rng)
    x = inputs_of(net, rng, ROWS)
    traced = net.trace(x)
    for node in net.architecture.nodes:
        first, second = net.extract(node.name), net.extract("dense_1", inputs=node.name)
        assert second.input_shape == traced[node.name].shape[1:]
        assert second.predict(first.predict(x)).tobytes() == net.predict(x).tobytes(), node.name
        values = set(first.parameters) | set(second.parameters)
        assert values == set(net.parameters)
        assert not set(first.parameters) & set(second.parameters)
        for view in second.parameters.values():
            view[...] = 0
    assert (net.predict(x) == traced["dense_1"]).all()


def test_the_input_has_the_name_of_the_layer(rng: np.random.Generator) -> None:
    net = randomize(chain(), rng)
    part = net.extract("dense_1", inputs="flatten")
    assert [layer.name for layer in part.layers] == ["flatten", "dense", "dropout", "dense_1"]
    assert isinstance(part.layers[0], layers.Input)
    assert (part.seed, part.dtype, part.name) == (net.seed, net.dtype, net.name)


@pytest.mark.parametrize("form", [list, dict])
def test_several_inputs(form: type, rng: np.random.Generator) -> None:
    net = randomize(conditional(), rng)
    x, label = rng.normal(size=(ROWS, 6)), rng.normal(size=(ROWS, 2))
    names = {"z": "code", "y": "label"}
    decoder = net.extract("decoded", inputs=names if form is dict else list(names.values()))
    code = net.extract("code").predict([x, label])
    given = {"y": label, "z": code} if form is dict else [code, label]
    assert np.array_equal(decoder.predict(given), net.predict([x, label]))
    assert decoder.input_shape == ({"z": (3,), "y": (2,)} if form is dict else [(3,), (2,)])


def test_what_else_outputs_depend_on_is_named() -> None:
    with pytest.raises(ValueError, match=r"depend on 'label' too; add it to inputs="):
        conditional().extract("decoded", inputs="code")


def test_later_calls_and_what_remains_of_the_layer(rng: np.random.Generator) -> None:
    """The part begins at one call of a layer and contains another one."""
    x = layers.Input((4,), name="x")
    shared = layers.Dense(4, "tanh", name="shared")
    net = nf.Network(inputs=x, outputs=layers.Dense(2, name="last")(shared(shared(x))), seed=0, dtype="float64")
    randomize(net, rng)
    values = rng.normal(size=(ROWS, 4))
    traced = net.trace(values)
    part = net.extract("last", inputs="shared")
    assert [layer.name for layer in part.layers] == ["shared_input", "shared", "last"]
    assert part.predict(traced["shared"]).tobytes() == traced["last"].tobytes()
    after = net.extract("last", inputs="shared:2")
    assert [layer.name for layer in after.layers] == ["shared_2", "last"]
    assert after.predict(traced["shared:2"]).tobytes() == traced["last"].tobytes()


def test_one_of_several_outputs(rng: np.random.Generator) -> None:
    x = layers.Input((6,))
    first, second = layers.Split([2], name="split")(x)
    last = layers.Dense(3, name="last")(layers.Concatenate()([second, first]))
    net = randomize(nf.Network(inputs=x, outputs=last, seed=0, dtype="float64"), rng)
    values = rng.normal(size=(ROWS, 6))
    part = net.extract("last", inputs=["split#1", "split"])
    assert [layer.name for layer in part.layers][:2] == ["split_1", "split"]
    assert np.array_equal(part.predict([values[:, 2:], values[:, :2]]), net.predict(values))


def test_a_tied_decoder_alone(rng: np.random.Generator) -> None:
    net = randomize(GRAPHS["autoencoder"](), rng)
    net.freeze("encoder.kernel")
    decoder = net.extract("decoder", inputs="encoder")
    assert list(decoder.parameters) == ["decoder.kernel", "decoder.bias"]
    assert decoder.frozen == ["decoder.kernel"]
    code = rng.normal(size=(ROWS, 3))
    p = net.parameters
    wanted = np.maximum(code @ p["encoder.kernel"].T + p["decoder.bias"], 0)
    np.testing.assert_allclose(decoder.predict(code), wanted, rtol=1e-13)


def test_layers_of_a_network_within_a_network(rng: np.random.Generator) -> None:
    net = randomize(nested(), rng)
    x = inputs_of(net, rng, ROWS)
    traced = net.trace(x)
    part = net.extract("inner/dense_1:2", inputs="inner/dense_1")
    assert part.predict(traced["inner/dense_1"]).tobytes() == traced["inner/dense_1:2"].tobytes()


def test_integers_stay_integers() -> None:
    tokens = layers.Input((3,), dtype="int32", name="tokens")
    table = layers.Embedding(9, 2, name="table")(tokens)
    net = nf.Network(inputs=tokens, outputs=layers.Dense(2, name="last")(table), seed=0)
    x = np.array([[0, 8, 3]], dtype="int32")
    part = net.extract("table", inputs="tokens")
    assert part.layers[0].dtype == "int32"
    assert np.array_equal(net.extract("last", inputs="table").predict(part.predict(x)), net.predict(x))


def test_files_pickles_copies_and_other_networks(tmp_path: Path, rng: np.random.Generator) -> None:
    net = randomize(conditional(), rng)
    part = net.extract("decoded", inputs={"z": "code", "y": "label"})
    x = {"z": rng.normal(size=(ROWS, 3)), "y": rng.normal(size=(ROWS, 2))}
    for way, other in duplicates(part, tmp_path, {}).items():
        assert same(part, other), way
        assert bits(other.predict(x)) == bits(part.predict(x)), way
        assert other.architecture.describe() == part.architecture.describe(), way
    z, y = layers.Input((3,)), layers.Input((2,))
    outer = nf.Network(inputs=[z, y], outputs=part({"z": z, "y": y}), dtype="float64")
    assert bits(outer.predict([x["z"], x["y"]])) == bits(part.predict(x))


def test_it_trains_on_its_own() -> None:
    net = chain("float32")
    part = net.extract("dense_1", inputs="flatten")
    before = part.get_weights()
    x = np.random.default_rng(0).normal(size=(8, *part.input_shape)).astype("float32")
    nf.Trainer(part, loss="cross_entropy").fit(x, np.arange(8) % 4, epochs=1, batch_size=4, progress=False)
    assert all((new != old).any() for new, old in zip(part.get_weights(), before, strict=True))


def summed() -> nf.Network:
    x = layers.Input((3,))
    total = nf.ops.sum(x, axis=0)
    return nf.Network(inputs=x, outputs=x * total, seed=0)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: chain().extract("dense_1", inputs="dens"), ValueError, "unknown layer 'dens'; did you mean 'dense'"),
        (lambda: chain().extract("dense", inputs="dense_1"), ValueError, "'dense_1', which none of them needs; leave"),
        (lambda: chain().extract("dense", inputs=[]), ValueError, "expected the name of one layer or more, got none"),
        (lambda: chain().extract("dense", inputs=["flatten"] * 2), ValueError, "expected layers that differ"),
        (lambda: chain().extract("dense", inputs=3), TypeError, "layer: expected a name, got 3"),
        (lambda: chain().extract("dense", inputs={1: "flatten"}), TypeError, "expected texts as keys of inputs"),
        (
            lambda: summed().extract("multiply", inputs=["input", "sum"]),
            ValueError,
            r"expected inputs with the batch axis, got 'sum' of shape \(3,\)",
        ),
    ],
)
def test_bad_names(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_a_part_that_would_lose_a_mask_is_refused() -> None:
    x = layers.Input((5,), dtype="int32")
    embedded = layers.Embedding(9, 4, mask_zero=True, name="embedding")(x)
    read = layers.LSTM(3, return_sequences=True, name="lstm")(embedded)
    net = nf.Network(inputs=x, outputs=layers.Dense(2, name="head")(layers.GRU(3, name="gru")(read)), seed=0)
    for begin in ("embedding", "lstm"):
        with pytest.raises(
            ValueError, match=f"got '{begin}' with the mask of 'embedding', .*; begin before 'embedding'"
        ):
            net.extract("head", inputs=begin)
    assert net.extract("head", inputs="gru").input_shape == (3,)
    assert net.extract("head", inputs="input").input_shape == (5,)
