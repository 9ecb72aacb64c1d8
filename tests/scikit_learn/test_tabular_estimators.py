"""TabularClassifier and TabularRegressor: tables as numbers, the network, and scikit-learn's checks."""

import math
import pickle
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from estimator_checks import with_checks
from sklearn.preprocessing import RobustScaler

import nnfast as nf
from nnfast.sklearn.table_encoder import TableEncoder
from nnfast.sklearn.tabular import CosineOfLog, mish

sk = nf.sklearn
RNG = np.random.default_rng(0)
SMALL: dict[str, Any] = {"hidden_layer_sizes": (16,), "max_iter": 60, "random_state": 0, "batch_size": "full"}


def frame(library: str) -> tuple[Any, np.ndarray]:
    """Numbers with gaps and two columns of categories, which decide."""
    frames = pytest.importorskip(library)
    rows = 120
    colors = RNG.choice(["red", "green", "blue"], rows)
    size = RNG.normal(50, 20, rows)
    size[::7] = np.nan
    data = {"size": size, "color": colors, "count": RNG.integers(0, 9, rows), "flag": RNG.choice(["a", "b"], rows)}
    return frames.DataFrame(data), np.where((colors == "red") ^ (data["flag"] == "a"), "yes", "no")


def test_numbers_are_scaled_by_quartiles_and_clipped_smoothly() -> None:
    x = RNG.normal(3, 10, (101, 4)) ** 3
    z = RobustScaler().fit_transform(x)
    np.testing.assert_allclose(TableEncoder(None).fit(x).transform(x), z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-12)


def test_numbers_with_equal_quartiles_and_constants() -> None:
    x = np.zeros((20, 2))
    x[:2, 0] = [-1, 3]
    z = TableEncoder(None).fit(x).transform(x)
    assert (z[:, 1] == 0).all()
    np.testing.assert_allclose(z[:3, 0], [u / math.sqrt(1 + (u / 3) ** 2) for u in (-0.5, 1.5, 0)])


def test_gaps_and_unknown_categories() -> None:
    x = np.array([[1.0, 0], [2, 1], [np.nan, 2], [4, 0]])
    encoder = TableEncoder([1]).fit(x)
    made = encoder.transform(np.array([[np.nan, 7], [2, 1]]))
    assert encoder.n_numbers == 1
    np.testing.assert_array_equal(made[0], [0, 1, 0, 0, 0])  # the number, whether it is missing, three categories
    np.testing.assert_array_equal(made[1], [0, 0, 0, 1, 0])
    with pytest.raises(ValueError, match="names or numbers of columns"):
        TableEncoder(["weight"]).fit(x)


def test_dtypes_of_pandas_with_missing_values() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(
        {
            "whole": pandas.array([1, 2, None, 4] * 5, dtype="Int64"),
            "kind": pandas.Categorical(["x", "y", None, "x"] * 5),
            "text": pandas.array(["u", None, "v", "u"] * 5, dtype="string"),
            "flag": [True, False] * 10,
            "object": ["p", np.nan, "q", "p"] * 5,
        }
    )
    made = TableEncoder("from_dtype").fit(table).transform(table)
    # Two numbers, a gap in the first one, and three values of each of three categories, a missing one among them.
    assert made.shape == (20, 2 + 1 + 9)
    np.testing.assert_array_equal(made[:4, 2], [0, 0, 1, 0])
    np.testing.assert_array_equal(made[:, 3:].sum(axis=1), 3)


def test_mish_and_the_learning_rate() -> None:
    x = np.linspace(-3, 3, 7)
    np.testing.assert_allclose(mish(x), x * np.tanh(np.log1p(np.exp(x))), rtol=1e-6)
    rates = [CosineOfLog(2.0, 15)(step) for step in (0, 1, 3, 7, 15, 99)]
    np.testing.assert_allclose(rates, 0, atol=1e-12)  # log2(1 + t) is whole: the waves have 1, 2, 4 and 8 parts of 15
    assert CosineOfLog(2.0, 150)(int(10 * (2**1.5 - 1))) == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_tables_with_categories_and_gaps(library: str) -> None:
    x, y = frame(library)
    model = sk.TabularClassifier(**SMALL).fit(x, y)
    assert model.score(x, y) > 0.95
    again = pickle.loads(pickle.dumps(model))
    assert (again.predict_proba(x) == model.predict_proba(x)).all()
    assert model.network_.input_shape == (2 + 1 + 3 + 2,)
    if library == "pandas" or hasattr(model, "feature_names_in_"):  # polars 2 has none for scikit-learn 1.6
        assert list(model.feature_names_in_) == ["size", "color", "count", "flag"]
        with pytest.raises(ValueError, match="feature names"):
            model.predict(x[["color", "size", "count", "flag"]])


def test_validation_data_and_categories_by_number() -> None:
    x = np.column_stack([RNG.integers(0, 3, 90), RNG.normal(size=90)])
    y = (x[:, 0] == 1).astype(int)
    options = SMALL | {"early_stopping": True, "categorical_features": [0]}
    model = sk.TabularClassifier(**options).fit(x[:60], y[:60], validation_data=(x[60:], y[60:]))
    assert model.score(x[60:], y[60:]) == model.best_validation_score_ == max(model.validation_scores_)
    assert "val_loss" in model.history_.history


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_categories_by_name_among_numbers(library: str) -> None:
    frames = pytest.importorskip(library)
    x = {"place": RNG.integers(0, 3, 40), "size": RNG.normal(size=40)}
    table, y = frames.DataFrame(x), x["place"] == 1
    array = np.column_stack([x["place"], x["size"]])
    wanted = sk.TabularClassifier(categorical_features=[0], **SMALL).fit(array, y).predict_proba(array)
    for given in (["place"], ["place", "place"], [True, False], np.array([0])):
        model = sk.TabularClassifier(categorical_features=given, **SMALL).fit(table, y)
        np.testing.assert_array_equal(model.predict_proba(table), wanted)


def test_categories_in_arrays_may_be_texts() -> None:
    numbers = RNG.integers(0, 3, 40)
    texts = np.array([["north", "south", "west"][i] for i in numbers], object)
    size = RNG.normal(size=40)
    model = sk.TabularClassifier(categorical_features=[0], **SMALL)
    made = [
        model.fit(x, numbers == 1).predict_proba(x)
        for x in (np.column_stack([texts, size]), np.column_stack([numbers, size]))
    ]
    np.testing.assert_array_equal(made[0], made[1])


@pytest.mark.parametrize("given", [[True, False], "a", 0, [-1], [3], ["d"], [0, True]])
def test_bad_categorical_features(given: Any) -> None:
    frames = pytest.importorskip("pandas")
    table = frames.DataFrame(RNG.normal(size=(20, 3)), columns=list("abc"))
    with pytest.raises(ValueError, match="names or numbers of columns, a mask of 3 bools"):
        sk.TabularClassifier(categorical_features=given, **SMALL).fit(table, np.arange(20) % 2)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_that_cannot_be_read_are_named(library: str) -> None:
    frames = pytest.importorskip(library)
    days = np.datetime64("2020-01-01", "us") + np.arange(20)
    data = {"size": RNG.normal(size=20), "color": ["red", "blue"] * 10}
    table, y = frames.DataFrame(data), np.arange(20) % 2
    with pytest.raises(ValueError, match=r"numbers or categories in column 'day', got [dD]atetime"):
        sk.TabularClassifier(**SMALL).fit(frames.DataFrame(data | {"day": days}), y)
    with pytest.raises(ValueError, match=r"numbers in column 'color' .*categorical_features"):
        sk.TabularClassifier(categorical_features=None, **SMALL).fit(table, y)
    model = sk.TabularClassifier(**SMALL).fit(table, y)
    with pytest.raises(ValueError, match="numbers in column 'size'"):
        model.predict(frames.DataFrame(data | {"size": ["large"] * 20}))


def test_targets_of_tables_are_checked_as_others_are() -> None:
    x, _ = frame("pandas")
    with pytest.raises(TypeError, match="y of real numbers, got dtype <U1 with 'a' in row 0"):
        sk.TabularRegressor(**SMALL).fit(x, np.array(["a", "b"] * 60))
    texts = np.array(["1", "2"] * 60, object)  # which scikit-learn converts
    wanted = sk.TabularRegressor(**SMALL).fit(x, texts.astype(float)).predict(x)
    np.testing.assert_array_equal(sk.TabularRegressor(**SMALL).fit(x, texts).predict(x), wanted)
    with pytest.raises(ValueError, match="requires y"):
        sk.TabularClassifier(**SMALL).fit(x, None)
    with pytest.raises(ValueError, match=r"use MLPRegressor\(loss='poisson'\)"):
        sk.TabularRegressor(loss="poisson", **SMALL).fit(x, np.ones(120))


def test_the_network_is_saved_with_its_layers(tmp_path: Any) -> None:
    x = RNG.normal(size=(50, 3))
    model = sk.TabularRegressor(**SMALL).fit(x, x[:, 0])
    model.network_.save(tmp_path / "table.safetensors")
    same = nf.Network.load(tmp_path / "table.safetensors")
    encoded = model._encoder.transform(x)
    assert (same.predict(encoded) == model.network_.predict(encoded)).all()
    kinds = [type(layer).__name__ for layer in model.network_.layers]
    assert {"PeriodicEmbedding", "LayerScale", "Dropout"} <= set(kinds)


def test_predicted_numbers_stay_in_the_range_of_those_learned() -> None:
    x = RNG.normal(size=(80, 2))
    y = 1000 + 5 * np.column_stack([x[:, 0], -x[:, 1]])
    model = sk.TabularRegressor(**SMALL).fit(x, y)
    assert model.score(x, y) > 0.9
    far = model.predict(100 * x)
    assert (far >= y.min(axis=0)).all()
    assert (far <= y.max(axis=0)).all()


def test_there_is_no_partial_fit() -> None:
    with pytest.raises(AttributeError, match="partial_fit"):
        _ = sk.TabularClassifier().partial_fit
    with pytest.raises(ValueError, match="infinity"):
        sk.TabularClassifier().fit([[np.inf], [1.0]], [0, 1])


CHECKED = [sk.TabularClassifier(**SMALL), sk.TabularRegressor(**SMALL)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning", "ignore:.*estimator.*:FutureWarning")
@with_checks(CHECKED)
def test_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    if check.func.__name__.startswith("check_sample_weight_equivalence"):
        pytest.skip("scales are those of the rows, whatever their weights")
    check(estimator)
