"""Recurrent layers: values, gradients, masks, states and dropout."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recurrent_networks import FEATURES, KINDS, MASKS, ROWS, STEPS, UNITS, called, network, sequences, states_of, truth
from small_networks import bits, duplicates, randomize, same

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

every_kind = pytest.mark.parametrize("kind", KINDS)
every_mask = pytest.mark.parametrize("masked", MASKS)

# ---- values ------------------------------------------------------------------------------------------------


@every_kind
@every_mask
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sequences_and_last_outputs(kind: str, masked: str, go_backwards: bool, dtype: str) -> None:
    make, cell = KINDS[kind]
    x, mask = sequences(masked, dtype), MASKS[masked]
    for return_sequences in (False, True):
        layer = make(UNITS, return_sequences=return_sequences, go_backwards=go_backwards, name="r")
        net = network(layers.Masking(), layer, dtype=dtype)
        y, _ = truth(cell, net, x, mask=mask, backwards=go_backwards)
        # Seven steps, each with sums of eight products of numbers around 1, and functions that are right to a few ULP.
        tolerance = 64 * np.finfo(dtype).eps
        found = net.predict(x)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, y if return_sequences else y[:, -1], rtol=tolerance, atol=tolerance)


@every_kind
@every_mask
def test_the_mask_of_a_sequence_that_was_read_backwards(kind: str, masked: str) -> None:
    """It has the order of that sequence: the next layer passes over the steps that were padding."""
    make, cell = KINDS[kind]
    x, mask = sequences(masked), MASKS[masked]
    first = make(UNITS, return_sequences=True, go_backwards=True, name="r")
    net = network(layers.Masking(), first, make(UNITS, name="s"), dtype="float64")
    y, _ = truth(cell, net, x, mask=mask, backwards=True)
    z, _ = truth(cell, net, y, "s", mask=None if mask is None else mask[:, ::-1])
    np.testing.assert_allclose(net.predict(x), z[:, -1], rtol=1e-12, atol=1e-12)


@every_kind
@every_mask
def test_states_in_and_out(kind: str, masked: str) -> None:
    """The last state of one layer is the first of the next one, and the output is h."""
    make, cell = KINDS[kind]
    x, mask = sequences(masked), MASKS[masked]
    start = states_of(kind)
    entry = layers.Input((STEPS, FEATURES))
    states = [layers.Input((UNITS,)) for _ in start]
    m = layers.Masking()(entry)
    for return_sequences in (False, True):
        layer = make(UNITS, return_sequences=return_sequences, return_state=True, name="r")
        outputs = layer(m, initial_state=states if len(states) > 1 else states[0])
        assert [y.shape for y in outputs] == [(STEPS, UNITS) if return_sequences else (UNITS,)] + [(UNITS,)] * len(
            start
        )
        last = make(UNITS, name="last")([m, *outputs[1:]])
        net = nf.Network(inputs=[entry, *states], outputs=[*outputs, last], dtype="float64")
        randomize(net, np.random.default_rng(5))
        y, after = truth(cell, net, x, states=start, mask=mask)
        again, _ = truth(cell, net, x, "last", states=after, mask=mask)
        found = net.predict([x, *start])
        wanted = [y if return_sequences else y[:, -1], *after, again[:, -1]]
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-13)


@every_kind
def test_without_a_bias(kind: str) -> None:
    make, cell = KINDS[kind]
    net = network(make(UNITS, use_bias=False, name="r"))
    assert [name for name, _ in net.parameters.items()] == ["r.kernel", "r.recurrent_kernel"]
    y, _ = truth(cell, net, sequences())
    np.testing.assert_allclose(net.predict(sequences()), y[:, -1], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("activation", ["relu", "identity", "softsign", "sigmoid"])
@pytest.mark.parametrize("gate", ["hard_sigmoid", "tanh"])
@every_kind
def test_other_activations(kind: str, activation: str, gate: str) -> None:
    make, cell = KINDS[kind]
    gates = {} if kind == "SimpleRNN" else {"recurrent_activation": gate}
    net = network(make(UNITS, activation=activation, name="r", **gates))
    y, _ = truth(cell, net, sequences(), activations=(activation, gate))
    np.testing.assert_allclose(net.predict(sequences()), y[:, -1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("steps", "features", "units"), [(1, 1, 1), (1, 4, 2), (5, 1, 17), (3, 33, 1), (19, 2, 8)])
@every_kind
def test_awkward_sizes(kind: str, steps: int, features: int, units: int) -> None:
    make, cell = KINDS[kind]
    net = network(make(units, return_sequences=True, name="r"), steps=steps, features=features)
    for rows in (1, 2, 9):
        x = np.random.default_rng(rows).normal(size=(rows, steps, features))
        y, _ = truth(cell, net, x)
        np.testing.assert_allclose(net.predict(x), y, rtol=1e-12, atol=1e-12)


def test_stacked() -> None:
    net = network(layers.Masking(), layers.LSTM(4, return_sequences=True), layers.Dropout(0.5), layers.GRU(3))
    x, mask = sequences("middle"), MASKS["middle"]
    first, _ = truth("lstm", net, x, "lstm", mask=mask)
    second, _ = truth("gru", net, first, "gru", mask=mask)
    np.testing.assert_allclose(net.predict(x), second[:, -1], rtol=1e-13, atol=1e-13)


def test_tokens() -> None:
    ids = np.array([[3, 1, 0, 0], [2, 2, 4, 1], [0, 0, 0, 0], [1, 0, 2, 0]])
    net = nf.Network(
        [layers.Input((4,), dtype="int32"), layers.Embedding(5, FEATURES, mask_zero=True), layers.LSTM(UNITS)],
        dtype="float64",
    )
    randomize(net, np.random.default_rng(5))
    table = net.parameters["embedding.embeddings"]
    y, _ = truth("lstm", net, table[ids], "lstm", mask=ids != 0)
    np.testing.assert_allclose(net.predict(ids), y[:, -1], rtol=1e-13, atol=1e-13)


def test_user_defined_layers_hand_masks_to_their_parts() -> None:
    class Encoder(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.memory = layers.GRU(UNITS, return_sequences=True)

        def call(self, x: Any) -> Any:
            return layers.GRU(2, name="last")(x + self.memory(x)[:, :, :FEATURES] * 0.0)

    net = network(layers.Masking(), Encoder(name="e"))
    y, _ = truth("gru", net, sequences("right"), "e.last", mask=MASKS["right"])
    np.testing.assert_allclose(net.predict(sequences("right")), y[:, -1], rtol=1e-13, atol=1e-13)


# ---- initial values, options -------------------------------------------------------------------------------


def test_initial_values_are_those_of_keras() -> None:
    net = nf.Network([layers.Input((STEPS, 6)), layers.LSTM(5, return_sequences=True), layers.GRU(4)], seed=1)
    kernel, recurrent, bias = net.get_layer("lstm").get_weights()
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(5), atol=1e-6)
    assert np.abs(kernel).max() <= np.sqrt(6 / (6 + 20))
    assert np.abs(kernel).max() > 0.8 * np.sqrt(6 / (6 + 20))
    np.testing.assert_array_equal(bias, np.repeat([0.0, 1.0, 0.0, 0.0], 5))
    assert not net.get_layer("gru").get_weights()[2].any()
    assert net.get_layer("gru").get_weights()[2].shape == (2, 12)
    plain = nf.Network([layers.Input((STEPS, 6)), layers.LSTM(5, unit_forget_bias=False, bias_initializer=0.5)])
    np.testing.assert_array_equal(plain.get_layer("lstm").bias, np.full(20, 0.5))
    given = nf.Network([layers.Input((STEPS, 6)), layers.LSTM(2, bias_initializer=np.arange(8.0))])
    np.testing.assert_array_equal(given.get_layer("lstm").bias, np.arange(8.0))
    drawn = nf.Network([layers.Input((STEPS, 6)), layers.LSTM(2, bias_initializer="random_normal")], seed=1)
    values = drawn.get_layer("lstm").bias
    np.testing.assert_array_equal(values[2:4], 1)
    assert len(set(values.tolist())) == 7


@every_kind
def test_regularizers_constraints_and_frozen_parameters(kind: str) -> None:
    make, _ = KINDS[kind]
    layer = make(
        UNITS,
        recurrent_regularizer=nf.regularizers.L2(0.5),
        activity_regularizer=nf.regularizers.L2(0.25),
        kernel_constraint="non_neg",
        recurrent_constraint=nf.constraints.MaxNorm(0.5),
        trainable=("kernel", "recurrent_kernel"),
        name="r",
    )
    net = network(layer)
    assert net.trainable == ["r.kernel", "r.recurrent_kernel"]
    bias = net.parameters["r.bias"].copy()
    x, y = sequences(), np.zeros((ROWS, UNITS))
    penalty = 0.5 * (net.parameters["r.recurrent_kernel"] ** 2).sum()
    loss = net.loss_and_gradients(x, y, "mse")[0]
    squares = net.predict(x) ** 2
    assert loss == pytest.approx(squares.mean() + penalty + 0.25 * squares.sum() / ROWS, rel=1e-12)
    nf.Trainer(net, loss="mse").train_on_batch(x, y)
    assert (net.parameters["r.kernel"] >= 0).all()
    assert np.linalg.norm(net.parameters["r.recurrent_kernel"], axis=0).max() < 0.5 + 1e-6
    np.testing.assert_array_equal(net.parameters["r.bias"], bias)


# ---- gradients ---------------------------------------------------------------------------------------------


def check_input_gradients(net: nf.Network, inputs: list[Array]) -> None:
    """Against central differences of L = sum(dy y); zeros are padding, without a gradient."""
    rng = np.random.default_rng(8)
    y, pullback = net.vjp(inputs)
    dy = [rng.normal(size=part.shape) for part in y]
    for own, gradient in zip(inputs, pullback(dy)[1], strict=True):
        assert not gradient[own == 0].any()
        flat = own.reshape(-1)
        for i in np.flatnonzero(flat)[::3]:
            before, values = flat[i], []
            for step in (1e-6, -1e-6):
                flat[i] = before + step
                values.append(sum((a * b).sum() for a, b in zip(net.predict(inputs), dy, strict=True)))
            flat[i] = before
            # The error of the difference is about h^2 + eps L / h, for L of some 100.
            assert gradient.reshape(-1)[i] == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-6, abs=1e-7)


@every_kind
@pytest.mark.parametrize("masked", ["none", "middle"])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_gradients_of_all_inputs_and_outputs(kind: str, masked: str, go_backwards: bool) -> None:
    make, _ = KINDS[kind]
    x = sequences(masked)
    states = states_of(kind)
    entries = [layers.Input((STEPS, FEATURES)), *(layers.Input((UNITS,)) for _ in states)]
    layer = make(UNITS, return_sequences=True, return_state=True, go_backwards=go_backwards, name="r")
    net = nf.Network(inputs=entries, outputs=layer([layers.Masking()(entries[0]), *entries[1:]]), dtype="float64")
    randomize(net, np.random.default_rng(5))
    check_input_gradients(net, [x, *states])
    targets = [np.zeros(y.shape) for y in net.predict([x, *states])]
    report = nf.check_gradients(net, [x, *states], targets, "mse", max_elements=12)
    assert report, f"\n{report}"


@every_kind
@pytest.mark.parametrize("return_sequences", [False, True])
def test_gradients_in_training(kind: str, return_sequences: bool) -> None:
    """With dropout of inputs and states, and without initial states."""
    make, _ = KINDS[kind]
    options = {"dropout": 0.3, "recurrent_dropout": 0.4, "return_sequences": return_sequences}
    net = network(layers.Masking(), make(UNITS, **options), layers.Dense(2))
    x = sequences("right")
    y = np.random.default_rng(4).normal(size=(ROWS, STEPS, 2) if return_sequences else (ROWS, 2))
    for training in (False, True):
        report = nf.check_gradients(net, x, y, "mse", training=training, max_elements=12)
        assert report, f"\n{report}"


# ---- dropout -----------------------------------------------------------------------------------------------


def test_dropout_of_inputs_and_states_has_one_mask_for_all_steps() -> None:
    """With ones as inputs and identities as weights, outputs tell what was dropped, and how often."""
    n, rate = 600, 0.25
    identity = {"activation": None, "kernel_initializer": np.eye(n), "recurrent_initializer": np.eye(n)}
    x = np.ones((1, 3, n))
    first = nf.Network(
        [layers.Input((3, n)), layers.SimpleRNN(n, dropout=rate, return_sequences=True, **identity)],
        seed=1,
        dtype="float64",
    )
    y = first.vjp(x, training=True)[0][0]
    scale = 1 / (1 - rate)
    kept = y[0] > 0
    np.testing.assert_allclose(y, np.outer([1, 2, 3], scale * kept), rtol=1e-12)
    # The mean of n of them stays within five of its standard deviations.
    assert abs(kept.mean() - (1 - rate)) < 5 * np.sqrt(rate * (1 - rate) / n)
    second = nf.Network(
        [layers.Input((3, n)), layers.SimpleRNN(n, recurrent_dropout=rate, return_sequences=True, **identity)],
        seed=1,
        dtype="float64",
    )
    y = second.vjp(x, training=True)[0][0]
    kept = y[1] > 1
    np.testing.assert_allclose(y, [np.ones(n), 1 + scale * kept, 1 + scale * kept * (1 + scale * kept)], rtol=1e-12)
    assert abs(kept.mean() - (1 - rate)) < 5 * np.sqrt(rate * (1 - rate) / n)
    again = second.vjp(x, training=True)[0][0]
    assert (again != y).any()
    np.testing.assert_array_equal(second.predict(x)[0, 2], np.full(n, 3.0))


@every_kind
def test_training_with_dropout_resumes_with_the_same_bits(kind: str, tmp_path: Path) -> None:
    make, _ = KINDS[kind]
    x = sequences("right", "float32")
    y = np.random.default_rng(4).normal(size=(ROWS, 2)).astype("float32")
    chain = [layers.Masking(), make(UNITS, dropout=0.3, recurrent_dropout=0.2), layers.Dense(2)]
    net = network(*chain, dtype="float32")
    trainer = nf.Trainer(net, loss="mse")
    trainer.train_on_batch(x, y)
    trainer.save_checkpoint(tmp_path / "checkpoint")
    resumed = nf.Trainer.resume(tmp_path / "checkpoint")
    losses = [[one.train_on_batch(x, y) for _ in range(3)] for one in (trainer, resumed)]
    assert losses[0] == losses[1]
    assert len({str(loss) for loss in losses[0]}) == 3
    assert same(resumed.network, net)


# ---- bits --------------------------------------------------------------------------------------------------


@every_kind
def test_a_sequence_alone_and_padded_has_the_same_bits(kind: str) -> None:
    make, _ = KINDS[kind]
    x, mask = sequences("right", "float32"), MASKS["right"]
    long = network(layers.Masking(), make(UNITS, return_state=True, name="r"), dtype="float32")
    dy = [np.random.default_rng(3 + i).normal(size=y.shape).astype("float32") for i, y in enumerate(long.predict(x))]
    outputs, pullback = long.vjp(x)
    gradient = pullback(dy)[1]
    for row, length in enumerate(mask.sum(axis=1)):
        if length == 0:
            continue
        short = network(layers.Masking(), make(UNITS, return_state=True, name="r"), dtype="float32", steps=length)
        short.parameters.update(long.parameters)
        y, pull = short.vjp(x[row : row + 1, :length])
        assert bits(y) == [part[row].tobytes() for part in outputs]
        assert pull([part[row : row + 1] for part in dy])[1].tobytes() == gradient[row, :length].tobytes()


@pytest.mark.usefixtures("threads")
@every_kind
def test_threads_change_no_bit(kind: str) -> None:
    make, _ = KINDS[kind]
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(130, 5, 9)).astype("float32"), rng.normal(size=(130, 5, 40)).astype("float32")
    x[::3, 2:] = 0
    found = set()
    for threads in (1, 2, 3, 8):
        nf.set_num_threads(threads)
        chain = [layers.Masking(), make(40, return_sequences=True, recurrent_dropout=0.2, dropout=0.1)]
        net = network(*chain, dtype="float32", steps=5, features=9)
        prediction = net.predict(x)
        loss, gradients = net.loss_and_gradients(x, y, "mse", training=True)
        found.add((prediction.tobytes(), loss, *bits(gradients)))
    assert len(found) == 1


def test_files_and_copies(tmp_path: Path) -> None:
    x = layers.Input((STEPS, FEATURES), name="x")
    m = layers.Masking()(x)
    y, h, c = layers.LSTM(4, "softsign", dropout=0.1, return_sequences=True, return_state=True)(m)
    z = layers.Bidirectional(layers.GRU(3, reset_after=False, return_sequences=True), "sum")(y)
    last = layers.LSTM(4, recurrent_dropout=0.2, go_backwards=True)(z, initial_state=[h, c])
    each = layers.TimeDistributed(layers.Bidirectional(layers.SimpleRNN(2)))(layers.Reshape((STEPS, 3, 1))(z))
    net = nf.Network(inputs=x, outputs=[last, each], seed=1)
    randomize(net, np.random.default_rng(5))
    data = sequences("right", "float32")
    targets = [np.zeros(y.shape, "float32") for y in net.predict(data)]
    twins = duplicates(net, tmp_path, {})
    for way, twin in twins.items():
        assert [repr(layer) for layer in twin.layers] == [repr(layer) for layer in net.layers], way
        assert twin.trainable == net.trainable
        assert same(twin, net), way
        assert bits(twin.predict(data)) == bits(net.predict(data)), way
    losses = {str(nf.Trainer(one, loss="mse").train_on_batch(data, targets)) for one in (net, *twins.values())}
    assert len(losses) == 1
    assert all(same(twin, net) for twin in twins.values())


def test_in_another_network_and_extracted() -> None:
    x = layers.Input((STEPS, FEATURES))
    y, h, c = layers.LSTM(4, return_sequences=True, return_state=True, name="r")(layers.Masking()(x))
    inner = nf.Network(inputs=x, outputs=layers.LSTM(2, name="last")([y, *[layers.Dense(2)(s) for s in (h, c)]]))
    z = layers.Input((STEPS, FEATURES))
    outer = nf.Network(inputs=z, outputs=inner(z))
    data = sequences("middle", "float32")
    assert bits(outer.predict(data)) == bits(inner.predict(data))
    assert bits(inner.extract("r").predict(data)) == bits(inner.trace(data)["r"])


# ---- looking inside ----------------------------------------------------------------------------------------


def test_trace_summary_and_description() -> None:
    x = layers.Input((STEPS, FEATURES), name="x")
    y, h, c = layers.LSTM(4, return_sequences=True, return_state=True, dropout=0.5)(layers.Masking()(x))
    net = nf.Network(inputs=x, outputs=[layers.Bidirectional(layers.GRU(2))(y), h, c])
    tensors = net.trace(sequences("left"))
    assert tensors["lstm"].shape == (ROWS, STEPS, 4)
    assert tensors["lstm#1"].tobytes() == np.ascontiguousarray(tensors["lstm"][:, -1]).tobytes()
    assert tensors["lstm#2"].shape == (ROWS, 4)
    np.testing.assert_array_equal(tensors["masking.mask"], MASKS["left"])
    summary = net.summary()
    assert "lstm (LSTM)                    (N, 7, 4), (N, 4), (N, 4)" in summary
    assert "bidirectional (Bidirectional)" in summary
    assert str(4 * (3 * 4 + 4 * 4 + 4)) in summary
    assert "lstm" in str(net.describe())
    assert list(net.parameters) == [
        *("lstm.kernel", "lstm.recurrent_kernel", "lstm.bias"),
        *(f"bidirectional.{way}_gru.{own}" for way in ("forward", "backward") for own in WEIGHTS),
    ]
    assert net.get_layer("lstm").recurrent_kernel.shape == (4, 16)


WEIGHTS = ("kernel", "recurrent_kernel", "bias")


def test_printing() -> None:
    made = [
        layers.LSTM(3),
        layers.LSTM(3, "relu", "hard_sigmoid", False, dropout=0.5, return_sequences=True, name="r"),
        layers.GRU(3, reset_after=False, recurrent_regularizer="l2"),
        layers.SimpleRNN(3, None, go_backwards=True),
        layers.Bidirectional(layers.LSTM(3), None, layers.GRU(3, go_backwards=True)),
        layers.TimeDistributed(layers.Dense(3)),
    ]
    texts = [
        "LSTM(3)",
        "LSTM(3, activation='relu', recurrent_activation='hard_sigmoid', use_bias=False, dropout=0.5, "
        "return_sequences=True, name='r')",
        "GRU(3, reset_after=False, recurrent_regularizer=L2())",
        "SimpleRNN(3, activation='identity', go_backwards=True)",
        "Bidirectional(LSTM(3), merge_mode=None, backward_layer=GRU(3, go_backwards=True))",
        "TimeDistributed(Dense(3))",
    ]
    assert [repr(layer) for layer in made] == texts
    for layer in made:
        again = eval(repr(layer), {**vars(layers), **vars(nf.regularizers)})
        assert again.get_config() == layer.get_config()


# ---- what does not fit -------------------------------------------------------------------------------------


BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "vectors": (lambda: called(layers.LSTM(3, name="r"), (4,)), ValueError, "r: expected"),
    "images": (lambda: called(layers.GRU(3, name="r"), (4, 4, 3)), ValueError, "r: expected"),
    "a state of other units": (lambda: called(layers.GRU(3, name="r"), (4, 2), (4,)), ValueError, "r: expected"),
    "a state of sequences": (lambda: called(layers.GRU(3, name="r"), (4, 2), (1, 3)), ValueError, "r: expected"),
    "one state of two": (
        lambda: called(layers.LSTM(3, name="r"), (4, 2), (3,)),
        ValueError,
        "r: expected h and c as initial state, got 1 tensors",
    ),
    "a tensor as two states": (
        lambda: called(layers.LSTM(3, name="r"), (4, 2), initial_state=layers.Input((3,))),
        ValueError,
        "r: expected h and c as initial state, got 1 tensors",
    ),
    "an array as state": (
        lambda: called(layers.GRU(3, name="r"), (4, 2), initial_state=np.zeros((1, 3))),
        TypeError,
        "r: expected symbolic tensors",
    ),
    "no units": (lambda: layers.LSTM(0), ValueError, "LSTM: expected units >= 1, got 0"),
    "a rate of 1": (lambda: layers.GRU(3, dropout=1.0), ValueError, "GRU: expected 0 <= dropout < 1, got 1.0"),
    "another rate": (lambda: layers.GRU(3, recurrent_dropout=-0.1), ValueError, "recurrent_dropout"),
    "an unknown activation": (lambda: layers.LSTM(3, "tahn"), ValueError, "did you mean 'tanh'?"),
    "an unknown option": (lambda: layers.LSTM(3, return_sequence=True), TypeError, "did you mean 'return_sequences'?"),
    "unroll": (lambda: layers.LSTM(3, unroll=True), TypeError, "leave it out"),
    "PyTorch's layers": (lambda: layers.RNN, AttributeError, "write layers.SimpleRNN(units)"),
    "PyTorch's arguments": (lambda: layers.LSTM(3, num_layers=2), TypeError, "return_sequences=True"),
    "PyTorch's directions": (lambda: layers.GRU(3, bidirectional=True), TypeError, "layers.Bidirectional(layer)"),
    "a wrong flag": (lambda: layers.LSTM(3, return_state="yes"), TypeError, "expected True or False as return_state"),
    "trainable": (
        lambda: called(layers.LSTM(3, trainable=("kernle",), name="r"), (4, 2)),
        ValueError,
        "did you mean 'kernel'?",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit(case: str) -> None:
    call, error, text = BAD[case]
    with pytest.raises(error, match=re.escape(text)):
        call()


def test_ids_outside_the_vocabulary() -> None:
    net = nf.Network(
        [layers.Input((3,), dtype="int32"), layers.Embedding(5, 2, mask_zero=True), layers.LSTM(2), layers.Dense(1)]
    )
    before = bits(dict(net.parameters))
    trainer = nf.Trainer(net, loss="mse")
    for call in (lambda x: net.predict(x), lambda x: trainer.fit(x, np.zeros((2, 1)), epochs=1)):
        with pytest.raises(ValueError, match="embedding: expected ids from 0 to 4, got 5"):
            call(np.array([[1, 2, 0], [1, 5, 0]]))
    assert bits(dict(net.parameters)) == before
