"""Sparse matrices of SciPy in the place of arrays: the same bits as the dense arrays, at any size."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers
from nnfast.core import slices
from nnfast.core.typing import Array
from nnfast.training import sources

sparse = pytest.importorskip("scipy.sparse")

FORMATS = ("csr_array", "csr_matrix", "csc_array", "csc_matrix", "coo_array", "coo_matrix", "lil_array")


def rows(rng: np.random.Generator, dtype: str = "float64") -> tuple[Array, Array]:
    x = np.where(rng.random((60, 7)) < 0.3, rng.normal(size=(60, 7)), 0).astype(dtype)
    return x, (x.sum(axis=1) > 0).astype(int)


def trainer(**options: Any) -> nf.Trainer:
    net = nf.Network([layers.Input((7,)), layers.Dense(5, "relu"), layers.Dense(2, "softmax")], seed=0)
    return nf.Trainer(net, loss="cross_entropy", metrics=["accuracy"], **options)


def trained(*data: Any, **options: Any) -> Array:
    made = trainer()
    made.fit(*data, epochs=3, **{"batch_size": 8, "progress": False, **options})
    return np.concatenate([value.ravel() for value in made.network.get_weights()])


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("kind", FORMATS)
def test_training_and_predictions_have_the_bits_of_arrays(
    kind: str, small: bool, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = rows(rng)
    given = getattr(sparse, kind)(x)
    if small:  # memory, so that a few rows at a time become dense
        monkeypatch.setattr(slices, "MEMORY", 2000)
        monkeypatch.setattr(sources, "MEMORY", 2000)
        expected = trained(x, y, shuffle=False)
        np.testing.assert_array_equal(trained(given, y, shuffle=False), expected)
    else:
        expected = trained(x, y)
        np.testing.assert_array_equal(trained(given, y), expected)
    one = trainer()
    np.testing.assert_array_equal(one.network.predict(given), one.network.predict(x))
    # The mean of the loss is rounded in each part.
    assert one.evaluate(given, y) == pytest.approx(one.evaluate(x, y), rel=1e-6 if small else 0)


class Batches:
    """Anew in each epoch."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches)


def test_all_that_takes_arrays(rng: np.random.Generator) -> None:
    x, y = rows(rng, "float32")
    given = sparse.csr_array(x)
    net = trainer().network
    np.testing.assert_array_equal(net.predict(given, batch_size=7), net.predict(x))
    np.testing.assert_array_equal(net.trace(given)["dense"], net.trace(x)["dense"])
    assert trainer().train_on_batch(given, y) == trainer().train_on_batch(x, y)
    batches = [(given[:30], y[:30]), (given[30:], y[30:])]
    dense = [(x[:30], y[:30]), (x[30:], y[30:])]
    np.testing.assert_array_equal(trained(Batches(batches)), trained(Batches(dense)))
    np.testing.assert_array_equal(trained(given, y, validation_split=0.25), trained(x, y, validation_split=0.25))
    assert trained(given, y, validation_data=(given, y)).tolist() == trained(x, y).tolist()
    targets = np.eye(2)[y]
    np.testing.assert_array_equal(trained(x, sparse.csr_array(targets)), trained(x, targets))


def test_datasets(rng: np.random.Generator) -> None:
    x, y = rows(rng)
    data = nf.data.Dataset(sparse.csr_matrix(x), y)
    np.testing.assert_array_equal(data.take([5, 3, 3])[0], x[[5, 3, 3]])
    first, second = data.split(0.5, seed=1)
    found = np.concatenate([first.arrays()[0], second.arrays()[0]])
    np.testing.assert_array_equal(np.sort(found.ravel()), np.sort(x.ravel()))
    np.testing.assert_array_equal(trained(data), trained(x, y))
    made = nf.data.Dataset(np.arange(60), y).map(lambda rows, y: (sparse.csr_array(x[rows]), y))
    np.testing.assert_array_equal(made.arrays()[0], x)
    np.testing.assert_array_equal(trained(made), trained(x, y))
    both = data.take(10).concatenate(made.skip(10))
    np.testing.assert_array_equal(both.arrays()[0], x)


def test_what_a_vectorizer_makes() -> None:
    """Its matrix goes into fit and predict as it is."""
    vectorizers = pytest.importorskip("sklearn.feature_extraction.text")
    texts = ["good film", "fine good film", "bad film", "awful bad film"] * 5
    x = vectorizers.TfidfVectorizer().fit_transform(texts)
    net = nf.Network([layers.Input((x.shape[1],)), layers.Dense(1, "sigmoid")], seed=0)
    made = nf.Trainer(net, loss="binary_cross_entropy", optimizer=nf.optimizers.Adam(0.1))
    y = np.array([1, 1, 0, 0] * 5)
    made.fit(x, y, epochs=20, progress=False)
    np.testing.assert_array_equal(net.predict(x)[:, 0] > 0.5, y)


def test_wrong_matrices(rng: np.random.Generator) -> None:
    x, y = rows(rng)
    with pytest.raises(ValueError, match=r"expected input \(N, 7\), got \(60, 6\)"):
        trainer().fit(sparse.csr_array(x[:, :6]), y, epochs=1, progress=False)
    x[5, 2] = np.nan
    with pytest.raises(ValueError, match="row 5"):
        trainer().fit(sparse.csr_array(x), y, epochs=1, progress=False)
    with pytest.raises(ValueError, match="60 rows"):
        trainer().fit(sparse.csr_array(x[:59]), y, epochs=1, progress=False)
    with pytest.raises(TypeError, match="complex"):
        trainer().network.predict(sparse.csr_array(np.ones((2, 7), complex)))
