"""Networks that read sequences step by step, and sampling of tokens."""

import pickle

import numpy as np
import pytest

import nnfast as nf
from nnfast import _core, layers
from nnfast.generation import generate, sample, stream
from nnfast.graph import stepping

RNG = np.random.default_rng(0)
STEPS = 13


def numbers(*shape: int, dtype: str = "float32") -> np.ndarray:
    return RNG.normal(size=shape).astype(dtype)


def recurrent(cell: str, dtype: str = "float32", **options: object) -> nf.Network:
    x = layers.Input((STEPS, 3))
    h = getattr(layers, cell)(5, return_sequences=True, **options)(layers.Dense(4, "tanh")(x))
    h = layers.LayerNormalization()(getattr(layers, cell)(6, return_sequences=True)(h))
    return nf.Network(inputs=x, outputs=layers.Dense(2)(h), seed=1, dtype=dtype)


def one_by_one(stepper: nf.generation.Stepper, x: np.ndarray) -> np.ndarray:
    return np.stack([stepper(x[:, t]) for t in range(x.shape[1])], axis=1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", ["SimpleRNN", "GRU", "LSTM"])
def test_steps_have_the_bits_of_whole_sequences(cell: str, dtype: str) -> None:
    net, x = recurrent(cell, dtype), numbers(4, STEPS, 3, dtype=dtype)
    whole = net.predict(x)
    stepper = net.stepper()
    np.testing.assert_array_equal(one_by_one(stepper, x), whole)
    assert stepper.position == STEPS
    stepper.reset()
    assert stepper.position == 0
    assert stepper.state == {}
    np.testing.assert_array_equal(stepper.feed(x), whole)
    stepper.reset()
    parts = [stepper.feed(x[:, :5]), stepper.feed(x[:, 5:6]), stepper.feed(x[:, 6:])]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


def test_a_last_state_is_that_after_the_step() -> None:
    x = layers.Input((STEPS, 3))
    net = nf.Network(inputs=x, outputs=layers.Dense(2, "softmax")(layers.LSTM(5)(x)), seed=1)
    rows, stepper = numbers(2, STEPS, 3), net.stepper()
    for t in range(STEPS):
        last = stepper(rows[:, t])
    np.testing.assert_array_equal(last, net.predict(rows))
    np.testing.assert_array_equal(net.stepper().feed(rows), net.predict(rows))


@pytest.mark.parametrize("key_value_heads", [None, 1])
@pytest.mark.parametrize("positions", ["learned", "sine", "rotary"])
def test_attention_keeps_keys_and_values(positions: str, key_value_heads: int | None) -> None:
    net = nf.models.transformer(
        11, STEPS, depth=2, width=8, heads=2, positions=positions, key_value_heads=key_value_heads, seed=0
    )
    x = RNG.integers(0, 11, (3, STEPS))
    whole, stepper = net.predict(x), net.stepper()
    assert stepper.limit == (None if positions == "rotary" else STEPS)
    np.testing.assert_array_equal(one_by_one(stepper, x), whole)
    assert stepper.state["block_0.self_attention.attention:k"].shape[1] >= STEPS
    stepper.reset()
    np.testing.assert_array_equal(np.concatenate([stepper.feed(x[:, :3]), stepper.feed(x[:, 3:])], axis=1), whole)
    if positions != "rotary":
        with pytest.raises(ValueError, match=f"at most {STEPS} steps, as many as the network has positions, got 14"):
            stepper(x[:, 0])


def test_other_blocks_of_transformers() -> None:
    options = {"normalization": "rms", "activation": "swiglu", "positions": "rotary", "use_bias": False, "tied": False}
    net = nf.models.transformer(11, STEPS, depth=2, width=8, heads=2, dropout=0.1, seed=0, **options)
    x = RNG.integers(0, 11, (3, STEPS))
    np.testing.assert_array_equal(one_by_one(net.stepper(), x), net.predict(x))


def test_kinds_are_those_of_the_core() -> None:
    """A kind with another name would be refused."""
    per_step = stepping._PER_ELEMENT | stepping._PER_STEP | stepping._RECURRENT
    assert per_step <= set(_core.op_names())


def test_caches_grow_with_the_sequence() -> None:
    long = 150
    net = nf.models.transformer(7, long, depth=1, width=8, heads=2, positions="rotary", seed=0)
    x = RNG.integers(0, 7, (2, long))
    whole, stepper = net.predict(x), net.stepper()
    np.testing.assert_array_equal(stepper.feed(x[:, :60]), whole[:, :60])
    assert stepper.state["block_0.self_attention.attention:v"].shape == (2, 64, 8)
    np.testing.assert_array_equal(one_by_one(stepper, x[:, 60:]), whole[:, 60:])
    assert stepper.state["block_0.self_attention.attention:v"].shape == (2, 256, 8)
    # Further than the sequences that the network was made for.
    assert stepper.feed(x).shape == (2, long, 7)


def test_states_with_caches_move_between_steppers() -> None:
    net = nf.models.transformer(7, 150, depth=1, width=8, heads=2, positions="learned", seed=0)
    x = RNG.integers(0, 7, (1, 150))
    first, second = net.stepper(), net.stepper()
    first.feed(x[:, :70])
    second.state = first.state
    np.testing.assert_array_equal(second.feed(x[:, 70:]), net.predict(x)[:, 70:])
    with pytest.raises(ValueError, match="expected a position of at most 150, got 151"):
        second.state = first.state | {"position": 151}
    with pytest.raises(ValueError, match="expected keys and values of 140 steps or more, got 128"):
        second.state = first.state | {"position": 140}
    second.state = {}
    assert second.position == 0


def test_a_failed_call_may_have_let_caches_grow() -> None:
    net = nf.models.transformer(7, 150, depth=1, width=8, heads=2, positions="rotary", seed=0)
    x = RNG.integers(0, 7, (1, 70))
    stepper = net.stepper()
    stepper.feed(x[:, :63])
    with pytest.raises(ValueError, match="expected ids from 0 to 6, got 9"):
        stepper.feed([[1, 2, 3, 9]])
    assert stepper.position == 63
    np.testing.assert_array_equal(stepper.feed(x[:, 63:]), net.predict(np.pad(x, ((0, 0), (0, 80))))[:, 63:70])


def test_sequences_of_one_step_know_their_positions() -> None:
    x = layers.Input((1,), dtype="int32")
    net = nf.Network(inputs=x, outputs=layers.TokenAndPositionEmbedding(5, 16, 4)(x), seed=0)
    stepper = net.stepper()
    assert stepper.limit == 16
    steps = [stepper([1]) for _ in range(3)]
    np.testing.assert_allclose(
        np.diff(np.concatenate(steps), axis=0),
        np.diff(net.parameters["token_and_position_embedding.position_embedding.embeddings"][:3], axis=0),
        atol=1e-7,
    )


def test_summaries_of_the_whole_sequence_are_no_steps() -> None:
    x = layers.Input((STEPS, 3))
    sequence, last = layers.GRU(3, return_sequences=True)(x), layers.GRU(3)(x)
    repeated = layers.RepeatVector(STEPS)(last)
    for end in (sequence * layers.Reshape((1, 3))(last), layers.MultiHeadAttention(1, 3)(sequence, repeated)):
        with pytest.raises(ValueError, match="depends on the whole sequence; predict whole sequences instead"):
            nf.Network(inputs=x, outputs=end, seed=0).stepper()


def test_tables_with_a_row_for_each_step_are_read_at_the_present_step() -> None:
    x = layers.Input((STEPS, 3))
    net = nf.Network(inputs=x, outputs=x - np.arange(STEPS)[:, None] * np.ones(3))
    rows, stepper = numbers(2, STEPS, 3), net.stepper()
    assert stepper.limit == STEPS
    np.testing.assert_array_equal(one_by_one(stepper, rows), net.predict(rows))


def test_texts_longer_than_the_table_of_positions() -> None:
    net = nf.models.transformer(5, 8, depth=1, width=8, heads=2, positions="learned", seed=0)
    made = generate(net, [1, 2, 3], 30, temperature=0)
    # The same with whole predictions: after eight tokens, the last four begin again.
    text, begin = [1, 2, 3], 0
    for _ in range(30):
        if len(text) - begin > 8:
            begin = len(text) - 4
        window = np.zeros((1, 8), np.int32)
        window[0, : len(text) - begin] = text[begin:]
        text.append(int(net.predict(window)[0, len(text) - begin - 1].argmax()))
    assert made.tolist() == text[3:]


def test_tokens_and_dicts_go_in_as_in_predict() -> None:
    tokens, extra = layers.Input((STEPS,), dtype="int32", name="tokens"), layers.Input((STEPS, 2), name="extra")
    h = layers.Concatenate()([layers.Embedding(7, 3)(tokens), extra])
    h = layers.GRU(4, return_sequences=True)(h)
    ends = {"scores": layers.Dense(7)(h), "value": layers.Dense(1)(h)}
    net = nf.Network(inputs={"tokens": tokens, "extra": extra}, outputs=ends, seed=0)
    x = {"tokens": RNG.integers(0, 7, (3, STEPS)), "extra": numbers(3, STEPS, 2)}
    whole, stepper = net.predict(x), net.stepper()
    for t in range(STEPS):
        y = stepper({name: value[:, t] for name, value in x.items()})
        for name, value in y.items():
            np.testing.assert_array_equal(value, whole[name][:, t])
    np.testing.assert_array_equal(net.stepper().feed(x)["scores"], whole["scores"])


def test_steps_use_the_present_parameters() -> None:
    net, x = recurrent("GRU"), numbers(2, STEPS, 3)
    stepper = net.stepper()
    before = stepper.feed(x)
    net.parameters["gru.bias"] = net.parameters["gru.bias"] + 1
    stepper.reset()
    after = stepper.feed(x)
    np.testing.assert_array_equal(after, net.predict(x))
    assert not np.array_equal(before, after)


def test_a_copy_continues_separately_and_states_can_be_set() -> None:
    net, x = recurrent("LSTM"), numbers(2, STEPS, 3)
    stepper = net.stepper()
    stepper.feed(x[:, :6])
    twin, saved = stepper.copy(), stepper.state
    assert sorted(saved) == ["lstm:c", "lstm:h", "lstm_1:c", "lstm_1:h", "position"]
    expected = stepper.feed(x[:, 6:])
    np.testing.assert_array_equal(twin.feed(x[:, 6:]), expected)
    twin.state = saved
    np.testing.assert_array_equal(twin.feed(x[:, 6:]), expected)
    fresh = net.stepper()
    fresh.state = saved
    np.testing.assert_array_equal(fresh.feed(x[:, 6:]), expected)
    assert fresh.position == STEPS
    again = pickle.loads(pickle.dumps(twin))
    twin.state = again.state = saved
    np.testing.assert_array_equal(again.feed(x[:, 6:]), twin.feed(x[:, 6:]))
    with pytest.raises(ValueError, match=r"stepper: expected lstm:h of shape \(2, 5\), got \(2, 4\)"):
        twin.state = saved | {"lstm:h": np.zeros((2, 4))}
    with pytest.raises(ValueError, match="position"):
        twin.state = saved | {"position": -5}
    with pytest.raises(ValueError, match="expected states lstm:h, lstm:c"):
        twin.state = {"lstm:h": saved["lstm:h"]}


@pytest.mark.usefixtures("threads")
def test_many_threads_give_the_same_bits() -> None:
    inputs = layers.Input((STEPS, 40))
    hidden = layers.GRU(64, return_sequences=True)(layers.LSTM(64, return_sequences=True)(inputs))
    net = nf.Network(inputs=inputs, outputs=layers.MultiHeadAttention(4, 16, causal=True)(hidden), seed=0)
    x, found = numbers(33, STEPS, 40), []
    for threads in (1, 2, 3, 8):
        nf.set_num_threads(threads)
        found.append(one_by_one(net.stepper(), x))
    for other in (*found, net.predict(x)):
        np.testing.assert_array_equal(other, found[0])


def test_a_failed_call_changes_nothing() -> None:
    net, x = recurrent("GRU"), numbers(2, STEPS, 3)
    stepper = net.stepper()
    stepper.feed(x[:, :4])
    before = stepper.state
    with pytest.raises(ValueError, match="expected 2 rows, as in the calls before, got 1; call reset"):
        stepper(x[:1, 4])
    broken = x[:, 4:9].copy()
    broken[0, 4] = np.nan
    with pytest.raises(ValueError, match="finite"):
        stepper.feed(broken)
    with pytest.raises(ValueError, match=r"expected x of \(N, T, ...\) with T of 1 or more"):
        stepper.feed(x[:, :0])
    with pytest.raises(ValueError, match="expected one step of N sequences"):
        stepper(3.0)
    assert stepper.position == 4
    for name, value in stepper.state.items():
        np.testing.assert_array_equal(value, before[name])


def test_networks_that_need_whole_sequences_are_refused() -> None:
    x = layers.Input((STEPS, 3))
    backwards = layers.LSTM(4, return_sequences=True, go_backwards=True)(x)
    both = layers.Bidirectional(layers.GRU(4, return_sequences=True))(x)
    pooled = layers.GlobalAveragePooling1D()(x)
    convolved = layers.Conv1D(2, 3)(x)
    flat = layers.Dense(2)(layers.Flatten()(x))
    over_time = nf.ops.softmax(x, axis=1)
    looks_ahead = layers.MultiHeadAttention(1, 3)(x)
    twice = layers.Concatenate(axis=1)([x, x])
    for end in (twice, backwards, both, pooled, convolved, flat, over_time, looks_ahead):
        with pytest.raises(ValueError, match="predict whole sequences instead"):
            nf.Network(inputs=x, outputs=end, seed=0).stepper()
    with pytest.raises(ValueError, match="prelu: expected a layer that treats each step of a sequence alike"):
        nf.Network([layers.Input((STEPS, 3)), layers.PReLU()]).stepper()
    assert nf.Network([layers.Input((STEPS, 3)), layers.PReLU(shared_axes=[1])]).stepper()(numbers(1, 3)).shape == (
        1,
        3,
    )
    features = nf.Network([layers.Input((4,)), layers.Dense(2)], seed=0)
    with pytest.raises(ValueError, match="dense: expected a layer that treats each step of a sequence alike"):
        features.stepper()


# ---- sampling ------------------------------------------------------------------


def test_draws_have_the_probabilities_of_a_softmax() -> None:
    logits = np.array([0.0, 1.0, -1.0, 2.0])
    for temperature in (0.5, 1.0, 2.0):
        expected = np.exp(logits / temperature)
        expected /= expected.sum()
        drawn = sample(np.tile(logits, (200_000, 1)), temperature, seed=3)
        found = np.bincount(drawn, minlength=4) / len(drawn)
        # Five standard deviations.
        np.testing.assert_array_less(abs(found - expected), 5 * np.sqrt(expected * (1 - expected) / len(drawn)))


def test_top_k_and_top_p_draw_among_the_most_likely() -> None:
    logits = np.log([[0.1, 0.4, 0.3, 0.2]] * 20_000)
    assert set(sample(logits, top_k=2, seed=0)) == {1, 2}
    assert set(sample(logits, top_p=0.6, seed=0)) == {1, 2}
    assert set(sample(logits, top_p=0.39, seed=0)) == {1}
    assert set(sample(logits, top_p=1.0, seed=0)) == {0, 1, 2, 3}
    drawn = sample(logits, top_p=0.6, seed=0)
    assert abs((drawn == 1).mean() - 4 / 7) < 5 * np.sqrt(12 / 49 / len(drawn))
    # Of equals, the first.
    assert sample([[1.0, 1.0, 1.0]], temperature=0).tolist() == [0]
    assert sample([[1.0, 1.0, 1.0]] * 50, top_k=1, seed=0).tolist() == [0] * 50


def test_extreme_scores_are_fine() -> None:
    assert sample([[1e300, -1e300, -np.inf]], temperature=1e-300, seed=0).tolist() == [0]
    assert set(sample([[0.0, -np.inf]] * 100, 1e9, seed=0)) == {0}


def test_bad_options_of_sampling() -> None:
    for options, message in (
        ({"temperature": -1}, "temperature"),
        ({"top_k": 0}, "top_k"),
        ({"top_p": 0}, r"top_p in \(0, 1\]"),
        ({"top_p": 1.5}, r"top_p in \(0, 1\]"),
    ):
        with pytest.raises(ValueError, match=message):
            sample([[0.0, 1.0]], **options)
    with pytest.raises(ValueError, match="finite one in each row"):
        sample([[np.nan, 1.0]])
    with pytest.raises(ValueError, match="finite one in each row"):
        sample([[-np.inf, -np.inf]])
    with pytest.raises(ValueError, match=r"expected logits of \(N, K\), got \(2,\)"):
        sample([0.0, 1.0])


def language_model(softmax: bool = False) -> nf.Network:
    x = layers.Input((8,), dtype="int32")
    h = layers.GRU(6, return_sequences=True)(layers.Embedding(5, 4, embeddings_initializer="normal")(x))
    return nf.Network(inputs=x, outputs=layers.Dense(5, "softmax" if softmax else None)(h), seed=2)


def test_texts_are_those_of_repeated_predictions() -> None:
    """The slow way: predict the whole text for each token."""
    net, prompt = language_model(), np.array([[1, 2, 3], [4, 0, 4]])
    made = generate(net, prompt, 5, temperature=0)
    text = prompt
    for _ in range(5):
        padded = np.zeros((2, 8), np.int32)
        padded[:, : text.shape[1]] = text
        scores = net.predict(padded)[:, text.shape[1] - 1]
        text = np.concatenate([text, scores.argmax(axis=1)[:, None]], axis=1)
    np.testing.assert_array_equal(made, text[:, 3:])


def test_the_same_seed_gives_the_same_text() -> None:
    net = language_model()
    first = generate(net, [1], 30, seed=7)
    np.testing.assert_array_equal(first, generate(net, [1], 30, seed=7))
    assert not np.array_equal(first, generate(net, [1], 30, seed=8))
    assert [token.tolist() for token in stream(net, [1], 30, seed=7)] == first[:, None].tolist()
    assert generate(net, [1], 0).shape == (0,)


def test_probabilities_and_logits_give_the_same_text() -> None:
    """Logarithms of probabilities are the logits up to a constant, but for rounding."""
    plain, softmax = language_model(), language_model(softmax=True)
    softmax.set_weights(plain.get_weights())
    np.testing.assert_array_equal(generate(plain, [1, 2], 40, seed=0), generate(softmax, [1, 2], 40, seed=0))


def test_bad_prompts() -> None:
    net = language_model()
    with pytest.raises(TypeError, match="a text with vocabulary="):
        generate(net, "abc", 3)
    for prompt in ([], [[[1]]], [0.5]):
        with pytest.raises(ValueError, match="expected a prompt of token ids"):
            generate(net, prompt, 3)
    with pytest.raises(ValueError, match="expected ids from 0 to 4, got 9"):
        generate(net, [9], 3)
    with pytest.raises(ValueError, match="length"):
        generate(net, [1], -1)
    with pytest.raises(ValueError, match="got 4294967297"):
        generate(net, [2**32 + 1], 1)
    with pytest.raises(TypeError, match="got token ids with one"):
        generate(net, [1], 1, vocabulary=nf.text.CharacterVocabulary("abc"))
