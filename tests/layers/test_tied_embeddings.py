"""A dense layer whose kernel is the transposed table of an embedding."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_networks import bits, duplicates, randomize, same

import nnfast as nf
from nnfast import layers

V, D, T = 7, 3, 4


def network(tie: Any = None, dtype: str = "float64", units: int = V) -> nf.Network:
    """Scores of the tokens (T, V) from their own vectors."""
    tokens = layers.Input((T,), dtype="int32", name="ids")
    table = layers.Embedding(V, D, name="tokens")
    hidden = layers.Dense(D, "tanh", name="hidden")(table(tokens))
    head = layers.Dense(units, "softmax", tied_to=table if tie is None else tie, name="head")
    net = nf.Network(inputs=tokens, outputs=head(hidden), seed=1, dtype=dtype)
    return randomize(net, np.random.default_rng(2))


@pytest.mark.parametrize("tie", [None, "tokens.embeddings"])
def test_values_and_gradients(tie: str | None, rng: np.random.Generator) -> None:
    net = network(tie)
    assert sorted(net.parameters) == ["head.bias", "hidden.bias", "hidden.kernel", "tokens.embeddings"]
    x = rng.integers(0, V, (5, T))
    p = net.parameters
    hidden = np.tanh(p["tokens.embeddings"][x] @ p["hidden.kernel"] + p["hidden.bias"])
    scores = np.exp(hidden @ p["tokens.embeddings"].T + p["head.bias"])
    np.testing.assert_allclose(net.predict(x), scores / scores.sum(axis=-1, keepdims=True), rtol=1e-13)
    report = nf.check_gradients(net, x, rng.integers(0, V, (5, T)), "cross_entropy")
    assert all(error <= report.tolerance for error in report.errors.values()), f"\n{report}"


def test_files_copies_and_training(rng: np.random.Generator, tmp_path: Path) -> None:
    net = network(dtype="float32")
    x, y = rng.integers(0, V, (5, T)), rng.integers(0, V, (5, T))
    twins = duplicates(net, tmp_path, {})
    losses = {nf.Trainer(one, loss="cross_entropy").train_on_batch(x, y) for one in (net, *twins.values())}
    assert len(losses) == 1
    for way, twin in twins.items():
        assert same(twin, net), way
        assert bits(twin.predict(x)) == bits(net.predict(x)), way
        assert twin.get_layer("head").tied_to is twin.get_layer("tokens") or way == "file"
    assert twins["file"].get_layer("head").get_config()["tied_to"] == "tokens.embeddings"


def test_within_another_network(rng: np.random.Generator) -> None:
    inner = network(dtype="float32")
    tokens = layers.Input((T,), dtype="int32")
    outer = nf.Network(inputs=tokens, outputs=inner(tokens), seed=3)
    x = rng.integers(0, V, (5, T))
    assert bits(outer.predict(x)) == bits(inner.predict(x))
    assert len(outer.parameters) == len(inner.parameters)


def test_a_head_that_is_left_alone_keeps_its_values(rng: np.random.Generator) -> None:
    x, code = layers.Input((T,), dtype="int32"), layers.Input((D,), name="code")
    table = layers.Embedding(V, D, name="tokens")
    head = layers.Dense(V, tied_to=table, name="head")
    net = nf.Network(inputs=[x, code], outputs=[table(x), head(code)], seed=1, dtype="float64")
    part = net.extract("head")
    assert sorted(part.parameters) == ["head.bias", "head.kernel"]
    assert np.array_equal(part.parameters["head.kernel"], net.parameters["tokens.embeddings"].T)


def test_bad_ties() -> None:
    with pytest.raises(ValueError, match=r"head: expected a kernel of shape \(8, 3\) to share, got.*\(7, 3\)"):
        network(units=V + 1)
    with pytest.raises(ValueError, match=r"to share, got 'tokens\.table'"):
        network("tokens.table")
    with pytest.raises(TypeError, match=r"a layers\.Dense or the name of one, or a layers\.Embedding"):
        layers.Dense(3, tied_to=layers.ReLU())
