"""Networks for sequences: numbers of parameters, initial values, what they see, training, bad options."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_networks import bits, duplicates

import nnfast as nf
from nnfast import models
from nnfast.core.typing import Array

SMALL: dict[str, Any] = {"sequence_length": 8, "depth": 2, "width": 16, "heads": 2}


def gpt2_parameters(vocabulary: int, length: int, depth: int, width: int) -> int:
    """Tables, blocks (four projections, two dense layers, biases, two normalizations), the last normalization."""
    block = 12 * width**2 + 13 * width
    return (vocabulary + length) * width + depth * block + 2 * width


def test_numbers_of_parameters() -> None:
    assert gpt2_parameters(50257, 1024, 12, 768) == 124_439_808  # GPT-2, as Hugging Face counts it
    net = models.transformer(11, **SMALL)
    assert net.num_parameters == gpt2_parameters(11, 8, 2, 16)
    apart = models.transformer(11, **SMALL, tied=False)
    assert apart.num_parameters == net.num_parameters + 16 * 11 + 11
    for positions in ("rotary", "sine"):
        other = models.transformer(11, **SMALL, positions=positions)
        trained = sum(other.parameters[name].size for name in other.trainable)
        assert trained == net.num_parameters - 8 * 16


def test_initial_values() -> None:
    """Of GPT-2's source: 0.02, positions half of that, residual kernels smaller, biases 0."""
    net = models.transformer(200, 50, depth=8, width=64, heads=2, seed=3)
    for name, view in net.parameters.items():
        if name.endswith(("bias", "beta")):
            assert not view.any(), name
        elif not name.endswith("gamma"):
            wanted = 0.01 if name.startswith("positions") else 0.02
            if "output" in name:
                wanted /= 4
            # The relative deviation of a sample's deviation is 1 / sqrt(2 n).
            assert abs(view.std() / wanted - 1) < 5 / np.sqrt(2 * view.size), name


OPTIONS: dict[str, dict[str, Any]] = {
    "decoder": {},
    "rotary": {"positions": "rotary", "normalization": "rms", "activation": "swiglu", "key_value_heads": 1},
    "sine, not tied": {"positions": "sine", "tied": False, "use_bias": False},
    "encoder": {"causal": False},
    "classes": {"causal": False, "classes": 3},
    "classes of the last step": {"classes": 3, "dropout": 0.1},
    "padded": {"mask_zero": True, "dropout": 0.1},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_shapes_training_and_files(name: str, rng: np.random.Generator, tmp_path: Path) -> None:
    options = OPTIONS[name]
    net = models.transformer(11, **SMALL, **options, seed=1)
    classes = options.get("classes")
    assert net.output_shape == ((8, 11) if classes is None else (classes,))
    x = rng.integers(1, 11, (6, 8))
    y = rng.integers(0, net.output_shape[-1], (6,) if classes else (6, 8))
    np.testing.assert_allclose(net.predict(x).sum(axis=-1), 1, rtol=1e-5)
    trainer = nf.Trainer(net, loss="cross_entropy", optimizer=nf.optimizers.Adam(0.01))
    losses = [trainer.train_on_batch(x, y) for _ in range(30)]
    assert losses[-1] < 0.9 * losses[0]
    for way, twin in duplicates(net, tmp_path, {}).items():
        assert bits(twin.predict(x)) == bits(net.predict(x)), way
        after = nf.Trainer(twin, loss="cross_entropy").train_on_batch(x, y)
        assert after == nf.Trainer(net.copy(), loss="cross_entropy").train_on_batch(x, y), way


def test_sequences_of_vectors(rng: np.random.Generator) -> None:
    one = models.transformer(None, **SMALL, features=3)
    two = models.transformer(None, **SMALL, features=3, classes=4, causal=False)
    assert (one.input_shape, one.output_shape, two.output_shape) == ((8, 3), (8, 3), (4,))
    assert one.predict(rng.normal(size=(2, 8, 3))).min() < 0


@pytest.mark.parametrize("positions", ["learned", "rotary", "sine"])
def test_a_decoder_sees_no_future_and_an_encoder_does(positions: Any) -> None:
    x = np.full((1, 8), 2)
    other = x.copy()
    other[0, 5] = 3
    for causal in (True, False):
        net = models.transformer(11, **SMALL, causal=causal, positions=positions, seed=1)
        one, two = net.predict(x), net.predict(other)
        assert np.array_equal(one[:, :5], two[:, :5]) == causal
        assert not np.array_equal(one[:, 5:], two[:, 5:])


def test_the_order_matters() -> None:
    """With positions; an encoder without them would only see a set."""
    x = np.arange(1, 9)[None]
    for positions in ("learned", "rotary", "sine"):
        options: Any = {"causal": False, "classes": 3, "positions": positions, "dtype": "float64"}
        net = models.transformer(11, **SMALL, **options, seed=1)
        assert not np.allclose(net.predict(x), net.predict(x[:, ::-1]), rtol=1e-9)


def test_padding_does_not_count() -> None:
    """An encoder's classes are those of the sequence without its padding."""
    long = models.transformer(11, 8, 2, 16, 2, causal=False, classes=3, mask_zero=True, seed=1, dtype="float64")
    short = models.transformer(11, 5, 2, 16, 2, causal=False, classes=3, mask_zero=True, seed=1, dtype="float64")
    for name, view in short.parameters.items():
        view[...] = long.parameters[name][: len(view)]
    x = np.array([[3, 1, 4, 1, 5, 0, 0, 0]])
    np.testing.assert_allclose(long.predict(x), short.predict(x[:, :5]), rtol=1e-10)


def test_the_table_of_tokens_is_the_last_kernel() -> None:
    net = models.transformer(11, **SMALL, seed=1, dtype="float64")
    x = np.arange(8)[None]
    traced = net.trace(x)
    scores = traced["norm"] @ net.parameters["tokens.embeddings"].T
    wanted = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(net.predict(x), wanted, rtol=1e-12)
    assert "head.kernel" not in net.parameters


# ---- tasks that need attention ---------------------------------------------------------


def accuracy(net: nf.Network, x: Any, y: Array) -> float:
    return float((net.predict(x).argmax(axis=-1) == y).mean())


def test_an_encoder_learns_to_sort(rng: np.random.Generator) -> None:
    net = models.transformer(10, 6, depth=1, width=32, heads=4, causal=False, tied=False, seed=1)
    x = rng.integers(0, 10, (2048, 6))
    trainer = nf.Trainer(net, loss="cross_entropy", optimizer=nf.optimizers.Adam(0.003))
    trainer.fit(x, np.sort(x, axis=1), batch_size=32, epochs=4, progress=False)
    new = rng.integers(0, 10, (500, 6))
    assert accuracy(net, new, np.sort(new, axis=1)) > 0.95


@pytest.mark.parametrize("positions", ["learned", "rotary", "sine"])
def test_a_decoder_learns_to_copy(positions: Any, rng: np.random.Generator) -> None:
    """The second half repeats the first: its tokens are certain, and those of the first half are not."""
    half = rng.integers(0, 8, (2048, 3))
    x = np.concatenate([half, half], axis=1)
    net = models.transformer(8, 5, depth=2, width=32, heads=2, positions=positions, tied=positions != "sine", seed=1)
    trainer = nf.Trainer(net, loss="cross_entropy", optimizer=nf.optimizers.Adam(0.005))
    trainer.fit(x[:, :-1], x[:, 1:], batch_size=32, epochs=8, progress=False)
    new = rng.integers(0, 8, (500, 3))
    got = net.predict(np.concatenate([new, new], axis=1)[:, :-1]).argmax(axis=-1)
    assert (got[:, 2:] == new).mean() > 0.95
    assert (got[:, :2] == new[:, 1:]).mean() < 0.3


def test_an_encoder_and_a_decoder_learn_to_reverse(rng: np.random.Generator, tmp_path: Path) -> None:
    """Sequences of different lengths; token 1 starts the target, 0 is padding."""

    def data(rows: int) -> tuple[dict[str, Array], Array]:
        source = rng.integers(2, 10, (rows, 6))
        lengths = rng.integers(3, 7, rows)
        source[np.arange(6) >= lengths[:, None]] = 0
        target = np.zeros_like(source)
        for row, length in enumerate(lengths):
            target[row, :length] = source[row, :length][::-1]
        shifted = np.concatenate([np.ones((rows, 1), int), target[:, :-1]], axis=1)
        shifted[np.arange(6) >= lengths[:, None]] = 0
        return {"source": source, "target": shifted}, target

    net = models.transformer_seq2seq(10, 10, 6, 6, depth=1, width=32, heads=4, seed=1)
    trainer = nf.Trainer(net, loss="cross_entropy", optimizer=nf.optimizers.Adam(0.003))
    trainer.fit(*data(2048), batch_size=32, epochs=5, progress=False)
    x, y = data(500)
    counts = y != 0
    right = net.predict(x).argmax(axis=-1) == y
    assert right[counts].mean() > 0.9
    for way, twin in duplicates(net, tmp_path, {}).items():
        assert bits(twin.predict(x)) == bits(net.predict(x)), way


# ---- recurrent -------------------------------------------------------------------------


def test_char_lstm(rng: np.random.Generator, tmp_path: Path) -> None:
    net = models.char_lstm(7, 12, units=16, depth=2, embedding=5, dropout=0.1, seed=1)
    cells = [4 * 16 * (size + 16) + 4 * 16 for size in (5, 16)]
    assert net.num_parameters == 7 * 5 + sum(cells) + 16 * 7 + 7
    x = np.tile(rng.permutation(7), 40)
    rows = np.stack([x[i : i + 13] for i in range(200)])
    trainer = nf.Trainer(net, loss="cross_entropy", optimizer=nf.optimizers.Adam(0.01))
    trainer.fit(rows[:, :-1], rows[:, 1:], batch_size=20, epochs=6, progress=False)
    assert accuracy(net, rows[:, :-1], rows[:, 1:]) > 0.95
    for way, twin in duplicates(net, tmp_path, {}).items():
        assert bits(twin.predict(rows[:3, :-1])) == bits(net.predict(rows[:3, :-1])), way


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "padded steps at the end": (
        lambda: models.transformer(11, 8, 2, 16, 2, classes=3, mask_zero=True),
        ValueError,
        "expected causal=False for classes of padded sequences",
    ),
    "padding of vectors": (
        lambda: models.transformer(None, 8, 2, 16, 2, features=3, mask_zero=True),
        ValueError,
        "expected a vocabulary with mask_zero=True",
    ),
    "heads that do not divide": (lambda: models.transformer(11, 8, 2, 16, 3), ValueError, "multiple of num_heads=3"),
    "neither tokens nor vectors": (lambda: models.transformer(None, 8), ValueError, "either a vocabulary.*or features"),
    "both": (lambda: models.transformer(11, 8, features=3), ValueError, "either a vocabulary.*or features"),
    "other positions": (lambda: models.transformer(11, 8, positions="none"), ValueError, "learned, rotary, sine"),
    "no depth": (lambda: models.transformer(11, 8, depth=0), ValueError, "depth >= 1"),
    "a length that is not a number": (lambda: models.transformer(11, "8"), TypeError, "sequence_length"),
    "too long rows": (
        lambda: models.transformer(11, **SMALL).predict(np.zeros((1, 9), int)),
        ValueError,
        r"\(N, 8\), got \(1, 9\)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_options(name: str) -> None:
    make, error, message = BAD[name]
    with pytest.raises(error, match=message):
        make()
