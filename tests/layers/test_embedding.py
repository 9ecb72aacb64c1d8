"""Embedding: rows of a table by their numbers, and the sums of their gradients."""

import numpy as np
import pytest
from small_networks import bits

import nnfast as nf
from nnfast import layers

SIZES = [
    # vocabulary, width, shape of a row of ids, rows
    (1, 1, (1,), 1),
    (3, 1, (5,), 7),
    (11, 3, (4,), 5),
    (7, 16, (2, 3), 4),
    (50, 33, (65,), 3),
    (9, 64, (129,), 2),
]
every_size = pytest.mark.parametrize(("vocabulary", "width", "shape", "rows"), SIZES)
both_types = pytest.mark.parametrize("dtype", ["float32", "float64"])


def network(vocabulary: int, width: int, shape: tuple[int, ...], dtype: str = "float32") -> nf.Network:
    chain = [layers.Input(shape, dtype="int32"), layers.Embedding(vocabulary, width, "random_normal")]
    return nf.Network(chain, seed=1, dtype=dtype)


@every_size
@both_types
def test_rows_and_gradient(
    vocabulary: int, width: int, shape: tuple[int, ...], rows: int, dtype: str, rng: np.random.Generator
) -> None:
    """Exactly: values are copied, and gradients added in the order of the ids, as numpy.add.at does it."""
    net = network(vocabulary, width, shape, dtype)
    ids = rng.integers(0, vocabulary, size=(rows, *shape))
    y, pullback = net.vjp(ids)
    assert y.shape == (rows, *shape, width)
    table = net.parameters["embedding.embeddings"]
    np.testing.assert_array_equal(y, table[ids])
    np.testing.assert_array_equal(net.predict(ids), table[ids])
    dy = rng.normal(size=y.shape).astype(dtype)
    wanted = np.zeros_like(table)
    np.add.at(wanted, ids, dy)
    for _ in range(2):  # the second overwrites the first
        gradients, dx = pullback(dy)
        np.testing.assert_array_equal(gradients["embedding.embeddings"], wanted)
        assert dx.shape == ids.shape
        assert not dx.any()


@both_types
@pytest.mark.usefixtures("threads")
def test_threads_change_no_bit(dtype: str, rng: np.random.Generator) -> None:
    """With enough ids and columns that there is work for three."""
    ids = rng.integers(0, 40, size=(300, 30))
    dy = rng.normal(size=(300, 30, 70)).astype(dtype)
    found = set()
    for threads in (1, 2, 3):
        nf.set_num_threads(threads)
        y, pullback = network(40, 70, (30,), dtype).vjp(ids)
        found.add((y.tobytes(), *bits(pullback(dy)[0])))
    assert len(found) == 1


def test_two_calls_share_the_table(rng: np.random.Generator) -> None:
    a, b = layers.Input((3,), dtype="int32"), layers.Input((4,), dtype="int64")
    shared = layers.Embedding(6, 5)
    net = nf.Network(inputs=[a, b], outputs=[shared(a), shared(b)], seed=0, dtype="float64")
    ids = [rng.integers(0, 6, size=(2, 3)), rng.integers(0, 6, size=(2, 4))]
    y, pullback = net.vjp(ids)
    dy = [rng.normal(size=own.shape) for own in y]
    gradients, dx = pullback(dy)
    wanted = np.zeros((6, 5))
    for own, d_own in zip(ids, dy, strict=True):
        np.add.at(wanted, own, d_own)
    assert list(gradients) == ["embedding.embeddings"]
    # Two orders of at most 14 summands around 1.
    np.testing.assert_allclose(gradients["embedding.embeddings"], wanted, rtol=0, atol=64 * np.finfo(float).eps)
    assert not any(own.any() for own in dx)


def test_a_step_moves_only_the_rows_that_were_read() -> None:
    net = nf.Network(
        [layers.Input((2,), dtype="int32"), layers.Embedding(5, 3), layers.Flatten(), layers.Dense(1)], seed=0
    )
    before = net.parameters["embedding.embeddings"].copy()
    nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.1)).train_on_batch([[1, 3], [3, 3]], [[1.0], [2.0]])
    moved = (net.parameters["embedding.embeddings"] != before).any(axis=1)
    assert moved.tolist() == [False, True, False, True, False]


def test_a_frozen_table_stays() -> None:
    chain = [layers.Input((2,), dtype="int32"), layers.Embedding(5, 3, trainable=False), layers.Flatten()]
    net = nf.Network([*chain, layers.Dense(1)], seed=0)
    before = net.parameters["embedding.embeddings"].copy()
    nf.Trainer(net, loss="mse").fit(np.array([[1, 3], [3, 3]]), np.ones((2, 1)), epochs=3)
    np.testing.assert_array_equal(net.parameters["embedding.embeddings"], before)


def test_initial_values_are_those_of_keras() -> None:
    table = nf.Network([layers.Input((1,), dtype="int32"), layers.Embedding(300, 50)], seed=0).get_weights()[0]
    assert abs(table).max() <= 0.05
    # The standard deviation of the mean of 15000 numbers, uniform over 0.1, is 0.1 / sqrt(12 * 15000).
    assert abs(table.mean()) < 5 * 0.1 / np.sqrt(12 * table.size)
    assert table.std() == pytest.approx(0.1 / np.sqrt(12), rel=0.02)


# ---- ids that are no rows of the table ---------------------------------------------------------------


def training_network() -> nf.Network:
    return nf.Network(
        [layers.Input((2,), dtype="int32"), layers.Embedding(5, 3), layers.Flatten(), layers.Dense(1)], seed=0
    )


def test_an_id_beyond_the_table_changes_nothing() -> None:
    match = (
        r"embedding: expected ids from 0 to 4, got 7( in row 67)?; make the layer with input_dim=8 or more, or give "
    )
    x, y = np.zeros((70, 2), "int32"), np.zeros((70, 1), "float32")
    x[67, 1], x[68, 0] = 7, 5
    net = training_network()
    before = bits(dict(net.parameters))
    trainer = nf.Trainer(net, loss="mse", optimizer="sgd")
    calls = {
        "predict": lambda: net.predict(x),
        "a list": lambda: net.predict(x.tolist()),
        "by batches": lambda: net.predict(x, batch_size=3),
        "trace": lambda: net.trace(x),
        "vjp": lambda: net.vjp(x),
        "train_on_batch": lambda: trainer.train_on_batch(x, y),
        "fit": lambda: trainer.fit(x, y, epochs=1),
        "evaluate": lambda: trainer.evaluate(x, y),
        "loss_and_gradients": lambda: net.loss_and_gradients(x, y, "mse"),
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match=match):
            call()
        assert bits(dict(net.parameters)) == before, name
    # The remedies.
    larger = nf.Network([layers.Input((2,), dtype="int32"), layers.Embedding(8, 3)])
    assert larger.predict(x).shape == (70, 2, 3)
    x[x > 4] = 0
    assert net.predict(x).shape == (70, 1)
    assert trainer.train_on_batch(x, y) >= 0


def test_the_smallest_table_counts_before_training() -> None:
    """Of several that look up one input, also in another shape."""
    ids = layers.Input((4,), dtype="int32", name="ids")
    one, two = layers.Embedding(9, 2, name="nine"), layers.Embedding(7, 2, name="seven")
    joined = layers.Concatenate()([layers.Flatten()(one(ids)), layers.Flatten()(two(layers.Reshape((2, 2))(ids)))])
    net = nf.Network(inputs=ids, outputs=layers.Dense(1)(joined))
    before = bits(net.get_weights())
    x = np.full((100, 4), 6)
    x[90, 3] = 8
    with pytest.raises(ValueError, match=r"seven: expected ids from 0 to 6, got 8 in row 90; .* input_dim=9 or more"):
        nf.Trainer(net, loss="mse").fit(x, np.ones((100, 1)), epochs=1, batch_size=5)
    assert bits(net.get_weights()) == before


@pytest.mark.parametrize("rows", [1, 3000])
def test_the_first_id_is_named_whatever_the_threads(rows: int, threads: None) -> None:
    net = network(5, 3, (4,))
    x = np.zeros((rows, 4), "int64")
    x.reshape(-1)[-2:] = 6, 8
    for count in (1, 3):
        nf.set_num_threads(count)
        with pytest.raises(ValueError, match="got 6;"):
            net.predict(x)


def test_numbers_that_are_no_integers() -> None:
    net = nf.Network([layers.Input((2,)), layers.Embedding(5, 3)], seed=0)
    np.testing.assert_array_equal(net.predict([[4.0, -0.0]]), net.parameters["embedding.embeddings"][[[4, 0]]])
    for wrong in (1.5, -1.0, 1e30):
        with pytest.raises(
            ValueError, match=r"ids from 0 to 4, got .*; read tokens, .*, with layers\.Input\(shape, dty"
        ):
            net.predict([[0.0, wrong]])
    with pytest.raises(ValueError, match="got 5; make the layer with input_dim=6 or more"):
        net.predict([[0.0, 5.0]])


def test_a_table_at_the_limit_of_float32() -> None:
    """2^24 and 2^24 - 1 are exact, and no bound is rounded."""
    largest = 1 << 24
    x = np.array([[largest - 1], [largest]])
    chain = [layers.Input((1,), dtype="int64"), layers.Embedding(largest + 1, 1, "zeros")]
    net = nf.Network(chain)
    net.parameters["embedding.embeddings"][-2:] = [[1.0], [2.0]]
    np.testing.assert_array_equal(net.predict(x).ravel(), [1.0, 2.0])
    smaller = nf.Network([layers.Input((1,), dtype="int64"), layers.Embedding(largest - 1, 1, "zeros")])
    with pytest.raises(ValueError, match=f"from 0 to {largest - 2}, got {largest - 1}; .*input_dim={largest} or more"):
        smaller.predict(x)


@pytest.mark.parametrize(
    ("options", "match"), [((0, 3), "input_dim >= 1, got 0"), ((3, -1), "output_dim >= 1, got -1")]
)
def test_sizes_that_cannot_be(options: tuple[int, int], match: str) -> None:
    with pytest.raises(ValueError, match=f"Embedding: expected {match}"):
        layers.Embedding(*options)
