"""Recurrent layers that keep their states from batch to batch of a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers

ROWS, STEPS, WIDTH, UNITS = 4, 5, 3, 6
KINDS = {"rnn": layers.SimpleRNN, "gru": layers.GRU, "lstm": layers.LSTM}


def network(kind: str, stateful: int = ROWS, dtype: str = "float64", steps: int = STEPS, **options: Any) -> nf.Network:
    layer = KINDS[kind](UNITS, return_sequences=True, stateful=stateful, name="r", **options)
    chain = [layers.Input((steps, WIDTH)), layer, layers.Dense(2, name="head")]
    return nf.Network(chain, seed=3, dtype=dtype)


def parts(count: int = 3, rows: int = ROWS, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).normal(size=(count, rows, STEPS, WIDTH)))


def states(net: nf.Network) -> dict[str, np.ndarray]:
    return {name: value.copy() for name, value in net.parameters.items() if name in ("r.h", "r.c")}


def trainer_of(net: nf.Network, **options: Any) -> nf.Trainer:
    return nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.1), **options)


@pytest.mark.parametrize("returns", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_parts_of_a_sequence_are_as_the_whole(kind: str, returns: bool) -> None:
    net = network(kind)
    if returns:  # the last states are outputs too
        x = layers.Input((STEPS, WIDTH))
        y, *_ = KINDS[kind](UNITS, return_sequences=True, return_state=True, stateful=ROWS, name="r")(x)
        other = nf.Network(inputs=x, outputs=layers.Dense(2, name="head")(y), dtype="float64", seed=3)
        for name, value in net.parameters.items():
            other.parameters[name] = value
        net = other
    whole = network(kind, 0, steps=3 * STEPS)
    for name in whole.parameters:
        whole.parameters[name] = net.parameters[name]
    xs = parts()
    expected = whole.predict(np.concatenate(xs, axis=1))
    found = [net.vjp(x, training=True)[0] for x in xs]
    np.testing.assert_array_equal(np.concatenate(found, axis=1), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_with_the_states_as_constants(kind: str) -> None:
    net = network(kind)
    x = layers.Input((STEPS, WIDTH))
    given = [layers.Input((UNITS,)) for _ in range(2 if kind == "lstm" else 1)]
    y = KINDS[kind](UNITS, return_sequences=True, name="r")(x, initial_state=given)
    other = nf.Network(inputs=[x, *given], outputs=layers.Dense(2, name="head")(y), dtype="float64", seed=3)
    for name in other.parameters:
        other.parameters[name] = net.parameters[name]
    first, second, _ = parts()
    net.vjp(first, training=True)
    before = states(net)
    assert all(np.abs(value).max() > 0.01 for value in before.values())
    y, pullback = net.vjp(second, training=True)
    expected, other_pullback = other.vjp([second, *before.values()])
    dy = np.random.default_rng(1).normal(size=y.shape)
    np.testing.assert_array_equal(y, expected)
    gradients, _ = pullback(dy)
    wanted, _ = other_pullback(dy)
    assert set(gradients) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_array_equal(gradients[name], value)


def test_prediction_and_evaluation_begin_with_zeros_and_change_nothing() -> None:
    net = network("lstm")
    zeros = net.copy()
    x = parts()[0]
    net.vjp(x, training=True)
    kept = states(net)
    np.testing.assert_array_equal(net.predict(x), zeros.predict(x))
    trainer_of(net).evaluate(x, np.zeros((ROWS, STEPS, 2)))
    for name, value in states(net).items():
        np.testing.assert_array_equal(value, kept[name])


def test_a_smaller_batch_moves_its_own_rows() -> None:
    net = network("gru")
    first, second, _ = parts()
    net.vjp(first, training=True)
    before = states(net)["r.h"]
    net.vjp(second[:3], training=True)
    after = states(net)["r.h"]
    np.testing.assert_array_equal(after[3], before[3])
    assert (after[:3] != before[:3]).any(axis=1).all()


def test_more_rows_than_states_are_an_error() -> None:
    net = network("gru")
    x = parts(rows=6)[0]
    with pytest.raises(ValueError, match=r"r: expected batches of at most 4 rows.* got 6; train with batch_size=4"):
        trainer_of(net).train_on_batch(x, np.zeros((6, STEPS, 2)))
    assert not states(net)["r.h"].any()
    trainer_of(net).fit(x, np.zeros((6, STEPS, 2)), batch_size=4, epochs=1, shuffle=False, progress=False)
    assert states(net)["r.h"].any()


@pytest.mark.parametrize("options", [{"micro_batch_size": 2}, {"shards": 2}])
def test_states_of_parts_of_a_batch(options: dict[str, Any]) -> None:
    """Whatever part of a batch is computed when, each row goes on with its own state."""
    net, other = network("lstm"), network("lstm")
    x = np.concatenate(parts())
    y = np.random.default_rng(2).normal(size=(len(x), STEPS, 2))
    for each, extra in ((net, {}), (other, options)):
        trainer = trainer_of(each, **extra)
        trainer.fit(x, y, batch_size=ROWS, epochs=2, shuffle=False, progress=False)
    for name, value in net.parameters.items():
        np.testing.assert_allclose(other.parameters[name], value, rtol=1e-9, atol=1e-12)


def test_a_step_that_fails_keeps_the_states() -> None:
    net = network("lstm")
    first, second, _ = parts()
    trainer = trainer_of(net)
    y = np.zeros((ROWS, STEPS, 2))
    trainer.train_on_batch(first, y)
    before = states(net)
    second[1, 2, 0] = np.nan
    with pytest.raises(ValueError, match="finite"):
        trainer.train_on_batch(second, y)
    for name, value in states(net).items():
        np.testing.assert_array_equal(value, before[name])


def test_saved_copied_and_resumed(tmp_path: Path) -> None:
    x = np.concatenate(parts())
    y = np.random.default_rng(2).normal(size=(len(x), STEPS, 2))

    def fit(trainer: nf.Trainer, epochs: int) -> None:
        trainer.fit(x, y, batch_size=ROWS, epochs=epochs, shuffle=False, progress=False)

    straight = trainer_of(network("gru"))
    fit(straight, 4)
    halfway = trainer_of(network("gru"))
    fit(halfway, 2)
    halfway.save_checkpoint(tmp_path / "half.safetensors")
    halfway.network.save(tmp_path / "net.safetensors")
    resumed = nf.Trainer.resume(tmp_path / "half.safetensors")
    for copy in (nf.Network.load(tmp_path / "net.safetensors"), halfway.network.copy(), resumed.network):
        np.testing.assert_array_equal(copy.parameters["r.h"], halfway.network.parameters["r.h"])
    fit(resumed, 2)
    for name, value in straight.network.parameters.items():
        np.testing.assert_array_equal(resumed.network.parameters[name], value)


def test_reset_states() -> None:
    both = layers.Bidirectional(layers.LSTM(3, stateful=2, name="way"), name="both")
    inner = nf.Network([layers.Input((STEPS, 6)), layers.GRU(4, stateful=2, name="g")], name="inner")
    x = layers.Input((STEPS, WIDTH))
    sequence = layers.SimpleRNN(6, return_sequences=True, stateful=2, name="s")(x)
    net = nf.Network(inputs=x, outputs=[both(sequence), inner(sequence)], seed=0)
    net.vjp(parts(rows=2)[0], training=True)
    kept = [name for name in net.parameters if name.rpartition(".")[2] in ("h", "c")]
    assert len(kept) == 6
    assert all(net.parameters[name].all() for name in kept)
    others = {name: value.copy() for name, value in net.parameters.items() if name not in kept}
    net.reset_states()
    assert not any(net.parameters[name].any() for name in kept)
    for name, value in others.items():
        np.testing.assert_array_equal(net.parameters[name], value)


def test_the_stepper_of_such_a_network() -> None:
    """A step by step reading begins with zeros, whatever training has kept."""
    net, plain = network("lstm", dtype="float32"), network("lstm", 0, dtype="float32")
    for name in plain.parameters:
        plain.parameters[name] = net.parameters[name]
    x = parts()[0].astype(np.float32)
    net.vjp(x, training=True)
    stepper, other = net.stepper(), plain.stepper()
    for step in range(STEPS):
        np.testing.assert_array_equal(stepper(x[:, step]), other(x[:, step]))


def test_it_learns_what_only_the_state_can_tell() -> None:
    """The label of both parts of a sequence stands in its first part: without the state the second is a guess."""
    rng = np.random.default_rng(0)
    losses = {}
    for stateful in (0, 16):
        label = rng.integers(0, 2, (20, 16)).astype(np.float32)
        first = np.zeros((20, 16, 3, 1), np.float32)
        first[:, :, 0, 0] = 2 * label - 1
        x = np.stack([first, np.zeros_like(first)], axis=1).reshape(-1, 3, 1)
        y = np.stack([label, label], axis=1).reshape(-1, 1)
        chain = [layers.Input((3, 1)), layers.GRU(8, stateful=stateful), layers.Dense(1, "sigmoid")]
        trainer = nf.Trainer(nf.Network(chain, seed=1), loss="binary_cross_entropy", optimizer=nf.optimizers.Adam(0.02))
        history = trainer.fit(x, y, batch_size=16, epochs=30, shuffle=False, progress=False)
        losses[stateful] = history["loss"][-1]
    assert losses[0] > 0.3  # half of ln 2, at best
    assert losses[16] < 0.1


def test_bad_arguments() -> None:
    with pytest.raises(TypeError, match="LSTM: expected the rows of a batch as stateful, got True; write stateful=32"):
        layers.LSTM(3, stateful=True)
    assert layers.LSTM(3, stateful=False).stateful == 0
    with pytest.raises(ValueError, match="expected stateful >= 0, got -1"):
        layers.GRU(3, stateful=-1)
    x, h = layers.Input((STEPS, WIDTH)), layers.Input((UNITS,))
    with pytest.raises(ValueError, match="expected either an initial_state or stateful=4"):
        layers.GRU(UNITS, stateful=4)(x, initial_state=h)
    assert repr(layers.GRU(3, stateful=4)) == "GRU(3, stateful=4)"
