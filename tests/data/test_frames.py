"""pandas tables as data: columns of numbers of any dtype, and errors that name the column and the row."""

import re
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers

pd = pytest.importorskip("pandas")


def table() -> Any:
    return pd.DataFrame(
        {
            "age": [20, 30, 40, 50],
            "pay": [1.5, 2.5, 3.5, 4.5],
            "town": ["Rome", "Oslo", "Rome", "Bern"],
            "member": [True, False, True, True],
        }
    )


def network(features: int) -> nf.Network:
    return nf.Network([layers.Input((features,)), layers.Dense(2, "softmax")], seed=0)


def test_what_get_dummies_makes_is_data() -> None:
    """Columns of bools beside others; the network sees the numbers of each row."""
    x = pd.get_dummies(table(), columns=["town"])
    assert {str(dtype) for dtype in x.dtypes} == {"int64", "float64", "bool"}
    rows = [[20, 1.5, 1, 0, 0, 1], [30, 2.5, 0, 0, 1, 0], [40, 3.5, 1, 0, 0, 1], [50, 4.5, 1, 1, 0, 0]]
    net = network(6)
    assert (net.predict(x) == net.predict(rows)).all()
    trainer = nf.Trainer(net, loss="cross_entropy", metrics=["accuracy"])
    y = pd.get_dummies(pd.Series([0, 1, 1, 0]))
    assert trainer.evaluate(x, y) == trainer.evaluate(rows, [0, 1, 1, 0])
    assert len(trainer.fit(x, table()["member"], epochs=2, sample_weight=table()["pay"])["loss"]) == 2
    assert len(trainer.fit(x, table()[["member"]], epochs=1, validation_split=0.5)["val_loss"]) == 1


@pytest.mark.parametrize("dtype", ["Int64", "Int8", "UInt8", "Float32", "Float64", "boolean", "Sparse[int64]"])
def test_dtypes_of_pandas_itself(dtype: str) -> None:
    numbers = pd.DataFrame({"a": [0, 1, 1, 0], "b": [1, 1, 0, 0]})
    net = network(2)
    assert (net.predict(numbers.astype(dtype)) == net.predict(numbers.to_numpy())).all()
    assert (net.predict(numbers.astype({"a": dtype})) == net.predict(numbers.to_numpy())).all()
    if dtype[0] != "F":
        trainer = nf.Trainer(net, loss="cross_entropy")
        assert trainer.evaluate(numbers, numbers["b"].astype(dtype)) == trainer.evaluate(numbers, [1, 1, 0, 0])


def with_(column: str, values: Any) -> Any:
    return table().drop(columns="town").assign(**{column: values})


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "text": (
        table(),
        TypeError,
        r"columns of numbers in x, got column 'town' of dtype (object|str) with 'Rome' in row 0; "
        r"encode it, for example with pandas\.get_dummies\(x, columns=\['town'\]\), or leave it out",
    ),
    "categories": (with_("kind", pd.Categorical(list("abab"))), TypeError, "column 'kind' of dtype category with 'a'"),
    "one text among numbers": (with_("age", [20, 30, "old", 50]), TypeError, "column 'age' .* with 'old' in row 2;"),
    "numbers as objects": (
        with_("age", np.array([1, 2, 3, 4], dtype=object)),
        TypeError,
        r"column 'age' of dtype object; convert it with x\.astype\(\{'age': float\}\)",
    ),
    "dates": (with_("day", pd.to_datetime(["2020-01-01"] * 4)), TypeError, "column 'day' of dtype datetime64"),
    "NaN": (with_("pay", [1.0, 2.0, 3.0, np.nan]), ValueError, r"missing one in column 'pay', row 3; use x\.dropna"),
    "NA": (with_("age", pd.array([1, None, 3, 4], dtype="Int64")), ValueError, "missing one in column 'age', row 1;"),
    "own index": (
        with_("pay", [1.0, 2.0, 3.0, np.nan]).set_index(pd.Index(list("abcd"))),
        ValueError,
        r"column 'pay', row 3 \(index 'd'\);",
    ),
    "infinity": (with_("pay", [1.0, np.inf, 3.0, 4.0]), ValueError, "got infinity in column 'pay', row 1;"),
    "too few columns": (table()[["age", "pay"]], ValueError, r"expected input \(N, 3\), got \(4, 2\)"),
}


@pytest.mark.parametrize(("x", "error", "match"), WRONG.values(), ids=WRONG)
def test_the_column_and_the_row_are_named(x: Any, error: type[Exception], match: str) -> None:
    net = network(3)
    trainer = nf.Trainer(net, loss="cross_entropy")
    for call in (
        lambda: net.predict(x),
        lambda: trainer.evaluate(x, [0, 1, 0, 1]),
        lambda: trainer.train_on_batch(x, [0, 1, 0, 1]),
        lambda: trainer.fit(x, [0, 1, 0, 1], epochs=1),
    ):
        with pytest.raises(error, match=match):
            call()


def test_lazy_tables_are_to_be_collected() -> None:
    polars = pytest.importorskip("polars")
    lazy = polars.LazyFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    net = network(2)
    with pytest.raises(TypeError, match=r"got a LazyFrame; pass x\.collect\(\)"):
        net.predict(lazy)
    assert net.predict(lazy.collect()).shape[0] == 2


def test_two_columns_of_one_name() -> None:
    x = pd.DataFrame([[1.0, "b"], [2.0, "c"]], columns=["a", "a"])
    with pytest.raises(TypeError, match=r"column 'a' of dtype (object|str) with 'b' in row 0"):
        network(2).predict(x)


def test_classes_as_text() -> None:
    """What the error tells to do works, for a column and for a table of one."""
    net = network(2)
    x = table()[["age", "pay"]] / 100
    names = pd.DataFrame({"label": ["cat", "dog", "cat", "dog"]})
    trainer = nf.Trainer(net, loss="cross_entropy")
    with pytest.raises(TypeError, match=r"y: .*'cat' in row 0; number the classes with `classes, y = np\.unique\(y, "):
        trainer.fit(x, names["label"], epochs=1)
    with pytest.raises(TypeError, match=r"column 'label' .*'cat' in row 0; .*np\.unique\(y\['label'\], return_inv"):
        trainer.fit(x, names, epochs=1)
    classes, y = np.unique(names["label"], return_inverse=True)
    trainer.fit(x, y, epochs=1)
    assert list(classes[y]) == list(names["label"])


@pytest.mark.parametrize(
    ("x", "shape"),
    [
        ([1.0, 2.0], (2,)),
        ([[[1.0], [2.0]]], (2,)),
        (pd.Series([1.0, 2.0, 3.0]), (1,)),
        (pd.DataFrame([[1.0, 2.0]]), (2, 1)),
        (np.ones(2), (2,)),
        (np.ones((4, 2)), (2, 1)),
    ],
    ids=["a row", "rows with an axis too much", "a column", "a table", "a row as array", "rows as array"],
)
def test_remedy_for_rows_works(x: Any, shape: tuple[int, ...]) -> None:
    """The expression that the error gives, with x as it was."""
    net = nf.Network([layers.Input(shape), layers.Flatten()])
    with pytest.raises(ValueError, match=r"for one row pass|reshape it with") as caught:
        net.predict(x)
    remedy = re.search(r"(?:pass|with) (.*)$", str(caught.value))
    assert remedy
    assert net.predict(eval(remedy.group(1), {"x": x, "np": np})).size == np.size(x)


def test_remedy_for_class_numbers_works() -> None:
    net = network(2)
    trainer = nf.Trainer(net, loss="cross_entropy")
    for y in ([0.0, 1.0], pd.Series([0.0, 1.0]), np.array([0.0, 1.0])):
        with pytest.raises(ValueError, match="convert them with") as caught:
            trainer.evaluate(np.ones((2, 2)), y)
        remedy = str(caught.value).partition("convert them with ")[2]
        assert "loss" in trainer.evaluate(np.ones((2, 2)), eval(remedy, {"y": y, "np": np}))
