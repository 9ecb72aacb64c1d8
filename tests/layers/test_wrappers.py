"""Layers around other layers: Bidirectional and TimeDistributed."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recurrent_networks import FEATURES, MASKS, ROWS, STEPS, UNITS, called, network, sequences, truth
from small_networks import randomize

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

# ---- Bidirectional -----------------------------------------------------------------------------------------

MERGES: dict[Any, Callable[[Array, Array], list[Array]]] = {
    "concat": lambda a, b: [np.concatenate([a, b], axis=-1)],
    "sum": lambda a, b: [a + b],
    "ave": lambda a, b: [(a + b) / 2],
    "mul": lambda a, b: [a * b],
    None: lambda a, b: [a, b],
}


@pytest.mark.parametrize("merge_mode", MERGES)
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("masked", MASKS)
def test_bidirectional(merge_mode: str | None, return_sequences: bool, with_state: bool, masked: str) -> None:
    x, mask = sequences(masked), MASKS[masked]
    rng = np.random.default_rng(2)
    start = [rng.normal(size=(ROWS, UNITS)) if with_state else np.zeros((ROWS, UNITS)) for _ in range(4)]
    entries = [layers.Input((STEPS, FEATURES)), *(layers.Input((UNITS,)) for _ in range(4 * with_state))]
    made = layers.Bidirectional(
        layers.LSTM(UNITS, return_sequences=return_sequences, return_state=True), merge_mode, name="b"
    )
    outputs = made(layers.Masking()(entries[0]), initial_state=entries[1:] or None)
    net = nf.Network(inputs=entries, outputs=outputs, dtype="float64")
    randomize(net, np.random.default_rng(5))
    y, state = truth("lstm", net, x, "b.forward_lstm", states=tuple(start[:2]), mask=mask)
    z, other_state = truth("lstm", net, x, "b.backward_lstm", states=tuple(start[2:]), mask=mask, backwards=True)
    steps = mask[..., None]
    ends = (steps * y, steps * z[:, ::-1]) if return_sequences else (y[:, -1], z[:, -1])
    found = net.predict([x, *start][: len(entries)])
    for a, b in zip(found, [*MERGES[merge_mode](*ends), *state, *other_state], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13)
    heads = net.heads("test", "mse").all
    count = len(MERGES[merge_mode](*ends))
    assert [head.mask for head in heads] == ["masking.mask" if return_sequences else None] * count + [None] * 4


def test_bidirectional_with_two_different_layers_and_its_gradients() -> None:
    made = layers.Bidirectional(
        layers.LSTM(4, return_sequences=True), backward_layer=layers.GRU(2, return_sequences=True, go_backwards=True)
    )
    net = network(layers.Masking(), made, layers.Dense(2))
    x, mask = sequences("middle"), MASKS["middle"]
    y, _ = truth("lstm", net, x, "bidirectional.forward_lstm", mask=mask)
    z, _ = truth("gru", net, x, "bidirectional.backward_gru", mask=mask, backwards=True)
    wanted = mask[..., None] * np.concatenate([y, z[:, ::-1]], axis=-1)
    np.testing.assert_allclose(net.trace(x)["bidirectional"], wanted, rtol=1e-13, atol=1e-13)
    report = nf.check_gradients(net, x, np.zeros((ROWS, STEPS, 2)), "mse", max_elements=10)
    assert report, f"\n{report}"


def test_parts_of_bidirectional_can_be_frozen_and_begin_with_other_values() -> None:
    layer = layers.Bidirectional(layers.GRU(3, trainable=("kernel",)))
    net = nf.Network([layers.Input((STEPS, FEATURES)), layer], seed=1)
    assert net.trainable == ["bidirectional.forward_gru.kernel", "bidirectional.backward_gru.kernel"]
    one, other = (net.parameters[name] for name in net.trainable)
    assert (one != other).any()
    layer = layers.Bidirectional(layers.GRU(3), trainable=("forward_gru.bias",))
    assert nf.Network([layers.Input((STEPS, FEATURES)), layer]).trainable == ["bidirectional.forward_gru.bias"]


def test_calls_share_the_parts() -> None:
    a, b = layers.Input((STEPS, FEATURES)), layers.Input((2, FEATURES))
    both, each = layers.Bidirectional(layers.GRU(3)), layers.TimeDistributed(layers.PReLU("random_normal"))
    net = nf.Network(inputs=[a, b], outputs=[both(each(a)), both(each(b))], dtype="float64")
    randomize(net, np.random.default_rng(5))
    assert len(net.parameters) == 7
    x = sequences()
    _, other = net.predict([x, x[:, :2]])
    short = nf.Network(inputs=b, outputs=layers.Bidirectional(layers.GRU(3))(b), dtype="float64")
    short.set_weights(net.get_weights()[1:])
    slope = net.get_weights()[0]
    np.testing.assert_allclose(short.predict(np.where(x > 0, x, slope * x)[:, :2]), other, rtol=1e-13, atol=1e-14)
    report = nf.check_gradients(net, [x, x[:, :2]], [np.zeros((ROWS, 6))] * 2, "mse", max_elements=6)
    assert report, f"\n{report}"


# ---- TimeDistributed ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Dense(4, "tanh"),
        lambda: layers.LayerNormalization(),
        lambda: layers.PReLU("random_normal"),
        lambda: layers.Flatten(),
        lambda: layers.LSTM(3),
        lambda: layers.Conv1D(3, 2),
        lambda: layers.TimeDistributed(layers.Flatten()),
        lambda: layers.Bidirectional(layers.GRU(2, return_sequences=True)),
    ],
    ids=["dense", "norm", "prelu", "flatten", "lstm", "conv", "nested", "bidirectional"],
)
def test_each_step_by_itself(make: Callable[[], layers.Layer]) -> None:
    x = np.random.default_rng(1).normal(size=(4, 3, 5, 2))
    net = randomize(
        nf.Network([layers.Input((3, 5, 2)), layers.TimeDistributed(make())], dtype="float64"), np.random.default_rng(5)
    )
    single = nf.Network([layers.Input((5, 2)), make()], dtype="float64")
    single.set_weights(net.get_weights())
    wanted = np.stack([single.predict(x[:, t]) for t in range(3)], axis=1)
    np.testing.assert_allclose(net.predict(x), wanted, rtol=1e-14, atol=1e-15)
    if net.parameters:
        report = nf.check_gradients(net, x, np.zeros(wanted.shape), "mse", max_elements=6)
        assert report, f"\n{report}"


def test_sentences_of_words() -> None:
    """The mask of words goes to the layer of each sentence, and ends there."""
    ids = np.array([[[1, 2, 0], [3, 0, 0], [0, 0, 0]], [[2, 2, 2], [0, 0, 0], [1, 0, 3]]])
    net = nf.Network(
        [
            layers.Input((3, 3), dtype="int32"),
            layers.Embedding(4, 2, mask_zero=True),
            layers.TimeDistributed(layers.LSTM(UNITS, name="r")),
        ],
        dtype="float64",
    )
    randomize(net, np.random.default_rng(5))
    assert [head.mask for head in net.heads("test", "mse").all] == [None]
    x = net.parameters["embedding.embeddings"][ids].reshape(6, 3, 2)
    y, _ = truth("lstm", net, x, "time_distributed.r", mask=ids.reshape(6, 3) != 0)
    np.testing.assert_allclose(net.predict(ids), y[:, -1].reshape(2, 3, UNITS), rtol=1e-13, atol=1e-13)


def test_masks_of_steps_pass() -> None:
    chain = [layers.Input((STEPS, FEATURES)), layers.Masking()]
    for layer in (layers.Dense(2), layers.PReLU()):
        net = nf.Network([*chain, layers.TimeDistributed(layer)])
        assert [head.mask for head in net.heads("test", "mse").all] == ["masking.mask"]
        chain = [layers.Input((STEPS, FEATURES)), layers.Masking()]


# ---- what does not fit -------------------------------------------------------------------------------------

BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "Bidirectional of a dense layer": (
        lambda: layers.Bidirectional(layers.Dense(3)),
        TypeError,
        "Bidirectional: expected layer as a recurrent layer such as layers.LSTM(32), got Dense(3)",
    ),
    "Bidirectional of a layer that reads backwards": (
        lambda: layers.Bidirectional(layers.LSTM(3, go_backwards=True)),
        ValueError,
        "expected a layer that reads forwards",
    ),
    "a second layer that reads forwards": (
        lambda: layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3)),
        ValueError,
        "expected backward_layer with go_backwards=True",
    ),
    "layers that return other things": (
        lambda: layers.Bidirectional(
            layers.LSTM(3), backward_layer=layers.LSTM(3, go_backwards=True, return_sequences=True)
        ),
        ValueError,
        "expected the same return_sequences of both layers, got False and True",
    ),
    "an unknown merge_mode": (
        lambda: layers.Bidirectional(layers.LSTM(3), "concatenate"),
        ValueError,
        "unknown merge_mode 'concatenate'; did you mean 'concat'?",
    ),
    "two of four states": (
        lambda: called(layers.Bidirectional(layers.LSTM(3), name="b"), (4, 2), (3,), (3,)),
        ValueError,
        "b: expected the initial states of both layers, h and c of each, got 2 tensors",
    ),
    "TimeDistributed of a number": (lambda: layers.TimeDistributed(3), TypeError, "TimeDistributed: expected a layer"),
    "TimeDistributed of vectors": (
        lambda: called(layers.TimeDistributed(layers.Dense(3), name="t"), (4,)),
        ValueError,
        "t: expected one input (N, T, ...), got 2 axes",
    ),
    "TimeDistributed of two inputs": (
        lambda: called(layers.TimeDistributed(layers.Add(), name="t"), (4, 2), (4, 2)),
        ValueError,
        "t: expected one input (N, T, ...), got several inputs",
    ),
    "TimeDistributed of two outputs": (
        lambda: called(layers.TimeDistributed(layers.Split(2), name="t"), (4, 2)),
        ValueError,
        "t: expected a layer with one output, got 2 of Split(2)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit(case: str) -> None:
    call, error, text = BAD[case]
    with pytest.raises(error, match=re.escape(text)):
        call()


def test_descriptions_that_do_not_fit(tmp_path: Path) -> None:
    """Of layers in layers, which files may hold."""
    net = nf.Network([layers.Input((4, 2)), layers.Bidirectional(layers.LSTM(3))])
    build = type(net.architecture).from_description
    for inner, text in (
        ({"class": "Dense", "config": {"units": 3}}, "expected layer as a recurrent layer"),
        ({"class": "LTSM", "config": {"units": 3}}, "did you mean 'LSTM'?"),
        ({"class": "LSTM", "config": {"unit": 3}}, "unknown argument 'unit'"),
        ({"class": "LSTM"}, "layer class: expected"),
        ("LSTM", "expected layer as a recurrent layer"),
    ):
        description = net.architecture.describe()
        description["layers"][1]["config"]["layer"] = inner
        with pytest.raises((ValueError, TypeError), match=re.escape(text)):
            build(description, {})
    description = net.architecture.describe()
    inner = {"class": "Flatten", "config": {}}
    for _ in range(50):
        inner = {"class": "TimeDistributed", "config": {"layer": inner}}
    description["layers"][1] = {"name": "t", "inputs": ["input"], **inner}
    with pytest.raises(ValueError, match="expected layers in at most 10 others"):
        build(description, {})


def test_own_initializers_within_a_wrapper(tmp_path: Path) -> None:
    class Half(nf.initializers.Initializer):
        def __call__(self, shape: Any, seed: int, stream: int) -> Array:
            return np.full(shape, 0.5)

    net = nf.Network([layers.Input((4, 2)), layers.Bidirectional(layers.LSTM(3, kernel_initializer=Half()))])
    assert (net.get_weights()[0] == 0.5).all()
    net.save(tmp_path / "net")
    loaded = nf.Network.load(tmp_path / "net", custom_objects={"Half": Half})
    assert isinstance(loaded.get_layer("bidirectional").layer.kernel_initializer, Half)
