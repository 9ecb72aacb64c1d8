"""Tables of pandas and polars as datasets, and as data of networks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers

ROWS: dict[str, list[Any]] = {
    "age": [20, 30, 40, 50],
    "pay": [1.5, 2.5, 3.5, 4.5],
    "town": ["Rome", "Oslo", "Rome", "Bern"],
    "member": [True, False, True, True],
    "buys": ["yes", "no", "no", "yes"],
}
ONE_HOT = [[20, 1.5, 0, 0, 1, 1], [30, 2.5, 0, 1, 0, 0], [40, 3.5, 0, 0, 1, 1], [50, 4.5, 1, 0, 0, 1]]


@pytest.fixture(params=["pandas", "polars"])
def library(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


def table(library: Any, **changed: Any) -> Any:
    return library.DataFrame({**ROWS, **changed}, **({"strict": False} if library.__name__ == "polars" else {}))


def test_numbers_and_categories(library: Any) -> None:
    data = nf.data.from_dataframe(table(library), target="buys")
    x, y = data.arrays()
    assert np.array_equal(x, ONE_HOT)
    assert np.array_equal(y, [1, 0, 0, 1])
    assert data.feature_names == ("age", "pay", "town_Bern", "town_Oslo", "town_Rome", "member")
    assert data.classes is not None
    assert data.classes.tolist() == ["no", "yes"]
    assert data.take(2).feature_names == data.feature_names
    numbers = nf.data.from_dataframe(table(library), target="pay", sample_weight="age")
    assert [column.tolist() for column in numbers.arrays()[1:]] == [ROWS["pay"], ROWS["age"]]
    assert numbers.classes is None
    several = nf.data.from_dataframe(table(library), target=["pay", "age"])
    assert several.arrays()[1].tolist() == [list(row) for row in zip(ROWS["pay"], ROWS["age"], strict=True)]
    assert len(nf.data.from_dataframe(table(library)).take([0])) == 1


def test_ids_for_embeddings(library: Any) -> None:
    data = nf.data.from_dataframe(table(library), target="buys", categories="ids")
    x, _ = data.arrays()
    assert list(x) == ["numbers", "town"]
    assert x["town"].dtype == np.int32
    assert x["town"].tolist() == [[2], [1], [2], [0]]
    assert x["numbers"].tolist() == [row[:2] + row[-1:] for row in ONE_HOT]
    numbers, town = layers.Input((3,)), layers.Input((1,), dtype="int32")
    vector = layers.Flatten()(layers.Embedding(3, 2)(town))
    outputs = layers.Dense(2, "softmax")(layers.Concatenate()([numbers, vector]))
    net = nf.Network(inputs={"numbers": numbers, "town": town}, outputs=outputs, seed=0)
    assert len(nf.Trainer(net, loss="cross_entropy").fit(data, epochs=2)["loss"]) == 2
    assert np.array_equal(net.predict(data), net.predict(x))


def test_test_data_are_encoded_as_training_data(library: Any) -> None:
    train = nf.data.from_dataframe(table(library), target="buys", missing="mean")
    rows = {"town": ["Oslo"], "buys": ["yes"], "pay": [None], "age": [1], "member": [False], "other": ["x"]}
    test = nf.data.from_dataframe(library.DataFrame(rows), target="buys", like=train)
    x, y = test.arrays()
    assert x.tolist() == [[1, 3.0, 0, 1, 0, 0]]
    assert y.tolist() == [1]
    assert test.feature_names == train.feature_names
    assert nf.data.from_dataframe(library.DataFrame({**rows, "pay": [2.0]}), like=train).arrays().shape == (1, 6)
    with pytest.raises(ValueError, match=r"known category in column 'town', got 'Paris' in row 0; "):
        nf.data.from_dataframe(library.DataFrame({**rows, "town": ["Paris"]}), like=train)
    with pytest.raises(ValueError, match="known category in column 'buys', got 'perhaps' in row 0; "):
        nf.data.from_dataframe(library.DataFrame({**rows, "buys": ["perhaps"]}), target="buys", like=train)
    with pytest.raises(ValueError, match="unknown column 'pay'"):
        nf.data.from_dataframe(
            table(library).drop(columns="pay") if library.__name__ == "pandas" else table(library).drop("pay"),
            like=train,
        )
    with pytest.raises(ValueError, match="expected like= made by from_dataframe"):
        nf.data.from_dataframe(table(library), like=nf.data.Dataset([[1.0]]))


def test_missing_values(library: Any) -> None:
    for column in ("pay", "age", "member", "town", "buys"):
        values = [*ROWS[column]]
        values[2] = None
        holes = table(library, **{column: values})
        with pytest.raises(
            ValueError, match=f"no missing values, got 1 in column '{column}', the first in row 2; pass"
        ):
            nf.data.from_dataframe(holes, target="buys")
        dropped = nf.data.from_dataframe(holes, target="buys", missing="drop")
        # The category of the row stays where another row has it.
        assert np.array_equal(dropped.arrays()[0], np.array(ONE_HOT)[[0, 1, 3]])
        if column == "buys":
            continue
        filled = nf.data.from_dataframe(holes, target="buys", missing="mean")
        wanted = np.array(ONE_HOT)
        if column == "town":
            assert filled.feature_names is not None
            assert filled.feature_names[-2] == "town_(missing)"
            assert filled.arrays()[0][2].tolist() == [40, 3.5, 0, 0, 0, 1, 1]
            continue
        place = {"age": 0, "pay": 1, "member": 5}[column]
        wanted[2, place] = np.delete(wanted[:, place], 2).mean()
        assert filled.arrays()[0] == pytest.approx(wanted)
        wanted[2, place] = -1
        assert nf.data.from_dataframe(holes, target="buys", missing=-1).arrays()[0] == pytest.approx(wanted)
    with pytest.raises(ValueError, match="a row without missing values, got none"):
        nf.data.from_dataframe(library.DataFrame({"a": [None, 1.0], "b": [1.0, None]}), missing="drop")


def test_what_does_not_fit(library: Any) -> None:
    import datetime

    cases: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
        (table(library), {"target": "buy"}, ValueError, "unknown column 'buy'.*buys"),
        (table(library), {"missing": "zero"}, ValueError, "unknown missing of from_dataframe 'zero'"),
        (table(library), {"categories": "hot"}, ValueError, "unknown categories of from_dataframe 'hot'"),
        (table(library), {"sample_weight": "town"}, TypeError, "numbers in column 'town' of sample_weight, got 'Rome'"),
        (
            table(library),
            {"target": ["pay", "town"]},
            TypeError,
            "numbers in column 'town' of target, got 'Rome' in row 0",
        ),
        (
            table(library, pay=[1.0, np.inf, 2.0, 3.0]),
            {},
            ValueError,
            "finite numbers in column 'pay', got inf in row 1",
        ),
        (table(library, day=[datetime.date(2020, 1, 1)] * 4), {}, TypeError, "numbers or texts in column 'day', got "),
        (library.DataFrame({"a": [1.0]}), {"target": "a"}, ValueError, "expected columns besides target"),
        (library.DataFrame({"a": []}), {}, ValueError, "expected one row or more, got none"),
        (ROWS, {}, TypeError, "expected a DataFrame of pandas or polars, got dict"),
    ]
    for given, options, error, text in cases:
        with pytest.raises(error, match=text):
            nf.data.from_dataframe(given, **options)


def test_files(library: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = table(library, pay=[0.1, 1 / 3, 1e-300, 2.5])
    if library.__name__ == "pandas":
        values.to_csv(tmp_path / "t.csv", index=False)
        values.to_csv(tmp_path / "semi.csv", index=False, sep=";")
    else:
        values.write_csv(tmp_path / "t.csv")
        values.write_csv(tmp_path / "semi.csv", separator=";")
        monkeypatch.setattr("nnfast.data.frames._library", lambda: ("polars", library))
    wanted = nf.data.from_dataframe(values, target="buys")
    for data in (
        nf.data.read_csv(tmp_path / "t.csv", target="buys"),
        nf.data.read_csv(str(tmp_path / "semi.csv"), target="buys", separator=";"),
    ):
        assert all(np.array_equal(a, b) for a, b in zip(data.arrays(), wanted.arrays(), strict=True))
        assert data.feature_names == wanted.feature_names
    if library.__name__ == "pandas":
        pytest.importorskip("pyarrow")
        values.to_parquet(tmp_path / "t.parquet")
    else:
        values.write_parquet(tmp_path / "t.parquet")
    data = nf.data.read_parquet(tmp_path / "t.parquet", target="buys")
    assert np.array_equal(data.arrays()[0], wanted.arrays()[0])


def test_neither_library(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in ("pandas", "polars"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        ImportError, match="expected pandas or polars to read tables, found neither; pip install pandas"
    ):
        nf.data.read_csv("t.csv")


# ---- tables of polars passed to networks ---------------------------------------------------


def network(features: int) -> nf.Network:
    return nf.Network([layers.Input((features,)), layers.Dense(2, "softmax")], seed=0)


def test_tables_of_polars_are_data() -> None:
    pl = pytest.importorskip("polars")
    x = pl.DataFrame(ROWS).select("age", "pay", "member")
    rows = [row[:2] + row[-1:] for row in ONE_HOT]
    net = network(3)
    assert (net.predict(x) == net.predict(rows)).all()
    assert (net.predict(x.cast(pl.Float32)) == net.predict(rows)).all()
    trainer = nf.Trainer(net, loss="cross_entropy")
    y = pl.Series("y", [0, 1, 1, 0])
    assert trainer.evaluate(x, y) == trainer.evaluate(rows, [0, 1, 1, 0])
    assert len(trainer.fit(x, pl.DataFrame(ROWS)["member"], epochs=2, sample_weight=x["pay"])["loss"]) == 2
    assert len(trainer.fit(x, pl.DataFrame(ROWS).select("member"), epochs=1, validation_split=0.5)["val_loss"]) == 1
    assert nf.data.Dataset(x, y).feature_names == ("age", "pay", "member")


def test_columns_of_polars_are_named() -> None:
    pl = pytest.importorskip("polars")
    x = pl.DataFrame(ROWS)
    cases = [
        (
            x.select("age", "pay", "town"),
            TypeError,
            r"column 'town' of dtype String with 'Rome' in row 0; encode it, for example with x\.to_dummies\('town'\)",
        ),
        (
            x.select("age", "member", pl.Series("pay", [1.0, None, 2.0, 3.0])),
            ValueError,
            r"missing one in column 'pay', row 1; use x\.drop_nulls",
        ),
        (
            x.select("age", "member", pl.Series("pay", [1.0, 2.0, np.nan, 3.0])),
            ValueError,
            "got nan in column 'pay', row 2",
        ),
    ]
    for given, error, text in cases:
        with pytest.raises(error, match=text):
            network(3).predict(given)
    trainer = nf.Trainer(network(2), loss="cross_entropy")
    with pytest.raises(TypeError, match=r"'yes' in row 0; number the classes with `classes, y = np\.unique\(y, "):
        trainer.evaluate(x.select("age", "pay"), x["buys"])
