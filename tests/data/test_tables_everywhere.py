"""Tables of pandas and polars go wherever arrays go, with the same results."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers, metrics
from nnfast.core.typing import Array
from nnfast.training.ensemble import Ensemble

rows = np.random.default_rng(3)
X = rows.normal(size=(24, 4)).astype("float32")
Y = rows.normal(size=(24, 3)).astype("float32")
LABELS = rows.integers(0, 3, 24)
WEIGHTS = rows.uniform(0.5, 1, 24)


def network() -> nf.Network:
    return nf.Network([layers.Input((4,)), layers.Dense(5, "tanh"), layers.Dense(3, "softmax")], seed=0)


def two_inputs() -> nf.Network:
    a, b = layers.Input((4,), name="a"), layers.Input((3,), name="b")
    return nf.Network(inputs={"a": a, "b": b}, outputs=layers.Dense(3)(layers.Concatenate()([a, b])), seed=0)


def trained(fit: Callable[[nf.Trainer], Any]) -> Any:
    trainer = nf.Trainer(network(), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    fit(trainer)
    return trainer.network.get_weights()


def adapted(x: Any) -> Any:
    layer = layers.Normalization()
    layer.adapt(x)
    return nf.Network([layers.Input((4,)), layer]).predict(X)


def updated(trainer: nf.Trainer, x: Any, y: Any) -> Any:
    trainer.train_on_batch(x, y)
    return trainer.network.get_weights()


CALLS: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "predict": lambda x, y, labels, weights: network().predict(x),
    "predict in batches": lambda x, y, labels, weights: network().predict(x, batch_size=7),
    "call": lambda x, y, labels, weights: network()(x),
    "predict by name": lambda x, y, labels, weights: two_inputs().predict({"a": x, "b": y}),
    "trace": lambda x, y, labels, weights: list(network().trace(x).values()),
    "vjp": lambda x, y, labels, weights: network().vjp(x)[1](y)[1],
    "loss_and_gradients": lambda x, y, labels, weights: network().loss_and_gradients(x, y, "mse", weights),
    "explain": lambda x, y, labels, weights: str(network().explain(x[:1], y[:1], "mse")),
    "fit": lambda x, y, labels, weights: trained(
        lambda t: t.fit(x, labels, epochs=2, sample_weight=weights, validation_data=(x, labels), progress=False)
    ),
    "evaluate": lambda x, y, labels, weights: nf.Trainer(network(), loss="mse").evaluate(x, y, sample_weight=weights),
    "train_on_batch": lambda x, y, labels, weights: updated(nf.Trainer(network(), loss="mse"), x, y),
    "ensemble": lambda x, y, labels, weights: Ensemble([network(), network()]).predict(x),
    "adapt": lambda x, y, labels, weights: adapted(x),
    "metric": lambda x, y, labels, weights: metrics.RootMeanSquaredError().evaluate(y, 2 * Y),
    "confusion": lambda x, y, labels, weights: metrics.ConfusionMatrix().evaluate(labels, np.eye(3)[LABELS[::-1]]),
    "dataset": lambda x, y, labels, weights: nf.Trainer(network(), loss="mse").evaluate(nf.data.Dataset(x, y)),
    "stepper": lambda x, y, labels, weights: nf.Network(
        [layers.Input((3, 4)), layers.LSTM(2, return_sequences=True)], seed=0
    ).stepper()(x),
    "check_gradients": lambda x, y, labels, weights: nf.check_gradients(network(), x[:3], y[:3], "mse").max_error,
}


def pandas_tables(*arrays: Array) -> list[Any]:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    return [
        pandas.DataFrame(a, columns=list("abcd")[: a.shape[1]], index=range(100, 100 + len(a)))
        if a.ndim == 2
        else pandas.Series(a, index=range(100, 100 + len(a)))
        for a in arrays
    ]


def polars_tables(*arrays: Array) -> list[Any]:
    polars = pytest.importorskip("polars", reason="polars is not installed")
    return [
        polars.DataFrame({c: a[:, i] for i, c in enumerate("abcd"[: a.shape[1]])}) if a.ndim == 2 else polars.Series(a)
        for a in arrays
    ]


@pytest.mark.parametrize("tables", [pandas_tables, polars_tables])
@pytest.mark.parametrize("name", CALLS)
def test_tables_are_as_arrays(name: str, tables: Callable[..., list[Any]]) -> None:
    expected = CALLS[name](X, Y, LABELS, WEIGHTS)
    got = CALLS[name](*tables(X, Y, LABELS, WEIGHTS))
    assert_equal(got, expected)


def assert_equal(got: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert list(got) == list(expected)
        got, expected = list(got.values()), list(expected.values())
    if isinstance(expected, list | tuple):
        assert len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            assert_equal(one, other)
    else:
        np.testing.assert_array_equal(got, expected)
