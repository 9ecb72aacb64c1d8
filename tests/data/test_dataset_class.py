"""nnfast.data.Dataset: rows combined, mapped, filtered, split and encoded, in memory and in files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_networks import classifier, same

import nnfast as nf
from nnfast.core import slices
from nnfast.core.typing import Array
from nnfast.data import Dataset
from nnfast.data.splits import stratified
from nnfast.training import sources


@pytest.fixture
def table(rng: np.random.Generator) -> tuple[Array, Array]:
    return rng.normal(size=(101, 3)), rng.integers(0, 4, 101)


def equal(data: Dataset, *columns: Any) -> bool:
    found = data.take(np.arange(len(data)))
    return len(found) == len(columns) and all(np.array_equal(a, b) for a, b in zip(found, columns, strict=True))


# ---- rows --------------------------------------------------------------------------------


def test_rows(table: tuple[Array, Array]) -> None:
    x, y = table
    data = Dataset(x, y)
    assert len(data) == 101
    assert equal(data, x, y)
    assert equal(Dataset.from_arrays(x, y, np.ones(101)), x, y, np.ones(101))
    assert equal(data.take(7), x[:7], y[:7])
    assert equal(data.take(1000), x, y)
    assert equal(data.skip(7), x[7:], y[7:])
    assert equal(data.skip(7).take(3), x[7:10], y[7:10])
    rows = [5, 3, 3, 100]
    assert np.array_equal(data.take(rows)[0], x[rows])
    assert data.arrays()[1] is not y
    assert np.array_equal(Dataset(x).arrays(), x)
    assert repr(data.take(2)) == f"<Dataset: 2 rows, x (3,) float64, y () {y.dtype}>"
    mixed = data.shuffle(3)
    assert not equal(mixed, x, y)
    assert equal(mixed, *data.shuffle(3).arrays())
    order = np.lexsort(mixed.arrays()[0].T)
    assert np.array_equal(mixed.arrays()[0][order], x[np.lexsort(x.T)])
    assert len(data.take([])[0]) == 0


def test_it_is_immutable(table: tuple[Array, Array]) -> None:
    data = Dataset(*table)
    with pytest.raises(AttributeError, match="classes is fixed"):
        data.classes = np.arange(3)
    data.encode_labels()
    assert data.classes is None


@pytest.mark.parametrize("rows", [[101], [-1], [[1, 2]]])
def test_rows_that_are_not_there(rows: Any, table: tuple[Array, Array]) -> None:
    with pytest.raises(ValueError, match=r"Dataset\.take: expected row numbers from 0 to 100, got"):
        Dataset(*table).take(rows)


def test_files_are_read_in_slices(tmp_path: Path, table: tuple[Array, Array], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "_PIECE", 100)
    for gap in (0, 30, 10_000):
        monkeypatch.setattr(slices, "_GAP", gap)
        np.save(tmp_path / "x.npy", table[0])
        data = Dataset(np.load(tmp_path / "x.npy", mmap_mode="r"), table[1])
        for rows in ([4, 5, 6, 50, 51, 100], [100, 3, 3, 50], range(101), [7]):
            assert np.array_equal(data.take(rows)[0], table[0][list(rows)])


# ---- functions -----------------------------------------------------------------------------


def test_map_and_filter(table: tuple[Array, Array]) -> None:
    x, y = table
    data = Dataset(x, y)
    assert equal(
        data.map(lambda x, y: (2 * x, y + 1)).map(lambda x, y: (x, y, abs(x[:, 0]))), 2 * x, y + 1, abs(2 * x[:, 0])
    )
    assert equal(data.filter(lambda x, y: y == 2), x[y == 2], y[y == 2])
    assert equal(
        data.filter(lambda x, y: y == 2).filter(lambda x, y: x[:, 0] > 0).skip(1),
        *(a[(y == 2) & (x[:, 0] > 0)][1:] for a in table),
    )
    assert equal(Dataset(x).map(lambda x: x[:, :1]), x[:, :1])


def test_functions_are_called_with_the_rows_that_are_read(table: tuple[Array, Array]) -> None:
    seen = []

    def function(x: Array, y: Array) -> Any:
        seen.append(len(x))
        return x, y

    data = Dataset(*table).map(function)
    assert seen == []
    data.take([3, 4])
    assert seen == [2]


WRONG_FUNCTIONS: dict[str, tuple[str, Any, str]] = {
    "one row": (
        "map",
        lambda x, y: (x[:1], y[:1]),
        r"map: expected the function to return one row for each of 101, got",
    ),
    "a number": ("map", lambda x, y: (1.0, y), "map: .*one row for each of 101"),
    "four": ("map", lambda x, y: (x, y, y, y), "map: .*got 4 items"),
    "numbers": ("filter", lambda x, y: y, r"filter: expected the function to return 101 bools, .* dtype int64"),
    "a bool": ("filter", lambda x, y: True, r"filter: .* got shape \(\)"),
}


@pytest.mark.parametrize("wrong", WRONG_FUNCTIONS)
def test_what_functions_may_not_return(wrong: str, table: tuple[Array, Array]) -> None:
    method, function, text = WRONG_FUNCTIONS[wrong]
    with pytest.raises(ValueError, match=text):
        getattr(Dataset(*table), method)(function).arrays()


def test_moments_and_standardize(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mean of a million deviations: the naive E x^2 - (E x)^2 would have no digit left in float32."""
    x = (rng.normal(size=(5000, 3)) + np.array([0, 1e4, 1e6])).astype("float32")
    data = Dataset(x)
    monkeypatch.setattr("nnfast.core.slices.MEMORY", 40_000)  # many parts
    mean, variance = data.moments()
    wide = x.astype(np.float64)
    assert mean == pytest.approx(wide.mean(axis=0), rel=1e-14)
    assert variance == pytest.approx(wide.var(axis=0), rel=1e-9)
    made = data.standardize().arrays()
    assert abs(made.mean(axis=0)).max() < 1e-8
    assert made.std(axis=0) == pytest.approx(np.ones(3), rel=1e-8)
    images = rng.normal(size=(50, 4, 4, 2)) * [1, 3]
    assert Dataset(images).moments()[1] == pytest.approx(images.var(axis=(0, 1, 2)))
    constant = Dataset(np.full((5, 1), 7.0)).standardize().arrays()
    assert (constant == 0).all()
    test = Dataset(x[:10]).standardize(data.moments()).arrays()
    assert np.array_equal(test, data.standardize().take(10).arrays())
    with pytest.raises(ValueError, match="expected finite numbers"):
        Dataset([[1.0], [np.nan]]).moments()


# ---- labels --------------------------------------------------------------------------------


def test_labels(table: tuple[Array, Array]) -> None:
    names = np.array(["d", "b", "a", "c"])
    data = Dataset(table[0], names[table[1]]).encode_labels()
    assert data.classes is not None
    assert list(data.classes) == list("abcd")
    assert np.array_equal(data.classes[data.arrays()[1]], names[table[1]])
    other = Dataset(table[0][:2], ["c", "a"]).encode_labels(data.classes)
    assert list(other.arrays()[1]) == [2, 0]
    assert list(Dataset(table[0][:2], ["c", "a"]).encode_labels(["c", "a", "b"]).arrays()[1]) == [0, 1]
    assert list(data.take(3).classes) == list(data.skip(3).split(0.5)[0].classes) == list("abcd")
    with pytest.raises(ValueError, match=r"expected y among the 4 classes 'a', 'b', 'c', 'd', got 'e' in row 1; "):
        Dataset(table[0][:2], ["c", "e"]).encode_labels(data.classes).arrays()
    with pytest.raises(ValueError, match="expected one class for each row as y, got none"):
        Dataset(table[0]).encode_labels()
    with pytest.raises(ValueError, match=r"expected one class for each row as y, got shape \(101, 3\)"):
        Dataset(*table[:1], table[0]).encode_labels()
    rows = Dataset(table[0], names[table[1]]).one_hot()
    assert np.array_equal(rows.arrays()[1], np.eye(4)[data.arrays()[1]])
    assert rows.classes is not None
    assert list(rows.classes) == list("abcd")


def test_objects_as_labels() -> None:
    """As pandas makes of texts."""
    data = Dataset([[1], [2], [3]], np.array(["x", "y", "x"], dtype=object)).encode_labels()
    assert list(data.arrays()[1]) == [0, 1, 0]


def test_one_hot() -> None:
    assert np.array_equal(nf.data.one_hot([2, 0], 4), np.eye(4)[[2, 0]])
    assert np.array_equal(nf.data.one_hot([[2, 0], [1, 1]]), np.eye(3)[[[2, 0], [1, 1]]])
    assert np.array_equal(nf.data.one_hot([2.0, 0.0]), np.eye(3)[[2, 0]])
    assert np.array_equal(nf.data.one_hot([True, False]), np.eye(2)[[1, 0]])
    assert np.array_equal(nf.data.one_hot([5, 7], [7, 5]), np.eye(2)[[1, 0]])
    assert nf.data.one_hot([0], dtype="uint8").dtype == np.uint8
    for bad, text in (([3], "from 0 to 2, got 3"), ([-1], "from 0 to 2, got -1")):
        with pytest.raises(ValueError, match=text):
            nf.data.one_hot(bad, 3)
    with pytest.raises(TypeError, match="integer dtype, got float64"):
        nf.data.one_hot([0.5], 3)
    with pytest.raises(ValueError, match="got 'c' in row 1"):
        nf.data.one_hot(["a", "c"], ["a", "b"])


# ---- combinations --------------------------------------------------------------------------


def test_concatenate_and_zip(table: tuple[Array, Array]) -> None:
    x, y = table
    first, second = Dataset(x[:60], y[:60]), Dataset(x[60:], y[60:])
    both = first.concatenate(second)
    assert equal(both, x, y)
    rows = [100, 0, 59, 60, 3, 60]
    assert np.array_equal(both.take(rows)[0], x[rows])
    assert equal(first.concatenate(second.map(lambda x, y: (-x, y))), np.concatenate([x[:60], -x[60:]]), y)
    wide = Dataset(x, y).zip(Dataset(x[:, :1]))
    inputs, labels = wide.take([4, 2])
    assert np.array_equal(inputs[1], x[[4, 2], :1])
    assert np.array_equal(labels, y[[4, 2]])
    assert len(Dataset(x, y).zip(Dataset(x, y)).take([0])[1]) == 2
    with pytest.raises(ValueError, match=r"same length, got \[60, 101\] rows"):
        Dataset(x).zip(first)
    with pytest.raises(TypeError, match="expected a Dataset, got ndarray"):
        first.concatenate(x)
    with pytest.raises(ValueError, match=r"expected rows of shape \(3,\), as in the first dataset, got \(2,\)"):
        Dataset(x).concatenate(Dataset(x[:, :2])).arrays()
    with pytest.raises(ValueError, match="expected y and sample_weight in all datasets or in none"):
        first.concatenate(Dataset(x)).arrays()


def test_datasets_of_users(table: tuple[Array, Array]) -> None:
    x, y = table

    class Few:
        def __len__(self) -> int:
            return 101

        def take(self, rows: Array) -> Any:
            return x[rows[:10]], y[rows[:10]]

    assert equal(Dataset(Few()), x, y)
    assert equal(Dataset(Few()).filter(lambda x, y: y == 1), x[y == 1], y[y == 1])


def test_wrong_arguments(table: tuple[Array, Array]) -> None:
    x, y = table
    for call, text in (
        (lambda: Dataset(x, y[:9]), "expected 101 rows in every array, as x has, got 9 rows"),
        (lambda: Dataset(x, 3), "got a single number"),
        (lambda: Dataset(x[:0], y[:0]), "expected one row or more, got none"),
        (lambda: Dataset(x, sample_weight=y), "expected y with sample_weight"),
        (lambda: Dataset(Dataset(x), y), "expected a dataset alone, got y beside it"),
        (lambda: Dataset([]), "expected one row or more"),
    ):
        with pytest.raises(ValueError, match=text):
            call()


# ---- splits --------------------------------------------------------------------------------


def test_split(table: tuple[Array, Array]) -> None:
    x, y = table
    data = Dataset(x, y)
    first, second = data.split(0.8)
    assert equal(first, x[:81], y[:81])
    assert equal(second, x[81:], y[81:])
    parts = data.split([0.5, 0.3, 0.2], seed=4)
    assert [len(part) for part in parts] == [50, 31, 20]
    together = np.concatenate([part.arrays()[0] for part in parts])
    assert np.array_equal(together[np.lexsort(together.T)], x[np.lexsort(x.T)])
    assert not equal(parts[0], x[:50], y[:50])
    assert equal(data.split([0.5, 0.3, 0.2], seed=4)[1], *parts[1].arrays())
    assert not equal(data.split([0.5, 0.3, 0.2], seed=5)[1], *parts[1].arrays())


@pytest.mark.parametrize("shares", [(0.8, 0.2), (0.5, 0.3, 0.2), (0.7, 0.15, 0.1, 0.05), (1 / 3, 1 / 3, 1 / 3)])
@pytest.mark.parametrize("seed", [None, 0, 1])
def test_stratified_splits_keep_shares_within_one_row(
    shares: tuple[float, ...], seed: int | None, rng: np.random.Generator
) -> None:
    labels = rng.choice(7, size=997, p=np.array([30, 20, 20, 10, 10, 9, 1]) / 100)
    data = Dataset(np.arange(997.0)[:, None], np.array(list("abcdefg"))[labels])
    parts = data.split(shares, stratify=True, seed=seed)
    counts = np.array([[np.sum(part.arrays()[1] == name) for name in "abcdefg"] for part in parts])
    wanted = np.outer(shares, np.bincount(labels))
    assert abs(counts - wanted).max() < 1
    assert abs(counts.sum(axis=1) - 997 * np.asarray(shares)).max() < 2
    assert sorted(np.concatenate([part.arrays()[0][:, 0] for part in parts])) == list(range(997))
    other = data.split(shares, stratify=labels, seed=seed)
    assert all(equal(one, *two.arrays()) for one, two in zip(parts, other, strict=True))


def test_small_classes_are_spread_over_the_parts() -> None:
    """With ten classes of 5 rows, half and half: not every class gives its odd row to the same part."""
    parts = stratified(np.arange(50), np.repeat(np.arange(10), 5), [0.5, 0.5])
    assert [len(part) for part in parts] == [25, 25]


def test_grouped_splits_keep_groups_whole(rng: np.random.Generator) -> None:
    groups = rng.integers(0, 40, 500)
    data = Dataset(np.arange(500.0)[:, None], groups)
    for seed in (None, 3):
        parts = data.split([0.6, 0.2, 0.2], groups=groups, seed=seed)
        own = [set(part.arrays()[1]) for part in parts]
        assert sum(map(len, own)) == len(set(groups)) == len(set.union(*own))
        largest = np.bincount(groups).max()
        assert np.abs([len(part) - 500 * f for part, f in zip(parts, (0.6, 0.2, 0.2), strict=True)]).max() <= largest
    assert not equal(data.split(0.5, groups=groups, seed=1)[0], *data.split(0.5, groups=groups, seed=2)[0].arrays())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"fractions": 1.5}, "fractions"),
        ({"fractions": [0.5, 0.4]}, "fractions above 0 with the sum 1, got 0.5, 0.4; use take"),
        ({"fractions": 0.001}, "expected rows for each part, got none for the fraction 0.001 of 101 rows"),
        (
            {"fractions": 0.5, "stratify": [1, 2]},
            r"expected stratify \(N,\) with one for each of the 101 rows, got \(2,\)",
        ),
        ({"fractions": 0.5, "stratify": True, "groups": [1] * 101}, "expected stratify or groups, got both"),
    ],
)
def test_wrong_splits(arguments: dict[str, Any], text: str, table: tuple[Array, Array]) -> None:
    with pytest.raises(ValueError, match=text):
        Dataset(*table).split(**arguments)


# ---- training ------------------------------------------------------------------------------


def trained(data: Any, *more: Any, **options: Any) -> tuple[nf.Network, nf.History]:
    net = classifier()
    trainer = nf.Trainer(net, loss="cross_entropy", metrics=["accuracy"])
    return net, trainer.fit(data, *more, **{"epochs": 3, "batch_size": 8, **options})


@pytest.mark.parametrize("memory", [1 << 26, 500])
def test_training_has_the_bits_of_arrays(
    memory: int, blobs: tuple[Array, Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (slices, sources):
        monkeypatch.setattr(module, "MEMORY", memory)
    x, y = blobs
    plain = Dataset(x, y)
    texts = Dataset(x, np.array(list("abc"))[y]).encode_labels()
    for options in ({}, {"shuffle": False}, {"drop_last": True}, {"class_weight": {0: 2.0}}, {"validation_split": 0.2}):
        one, wanted = trained(x, y, **options)
        for data in (plain, plain.map(lambda x, y: (x, y)), plain.take(70).concatenate(plain.skip(70)), texts):
            two, history = trained(data, **options)
            assert same(one, two)
            assert {name: values for name, values in history.history.items() if name[:4] != "val_"} == {
                name: values for name, values in wanted.history.items() if name[:4] != "val_"
            }
            assert history["loss"] == wanted["loss"]
    trainer = nf.Trainer(one, loss="cross_entropy")
    assert trainer.evaluate(texts) == pytest.approx(trainer.evaluate(x, y), rel=1e-6)
    assert same(trained(plain.split(0.8)[0])[0], trained(x[:120], y[:120])[0])


def test_functions_see_each_row_once_an_epoch(blobs: tuple[Array, Array]) -> None:
    seen: list[int] = []

    def count(x: Array, y: Array) -> Any:
        seen.append(len(x))
        return x, y

    trained(Dataset(*blobs).map(count), epochs=4)
    assert seen[0] == 1  # measures the size of a row
    assert sum(seen[1:]) == 4 * 150


def test_an_error_in_a_function_is_passed_on(blobs: tuple[Array, Array]) -> None:
    def broken(x: Array, y: Array) -> Any:
        if len(x) > 1:
            raise OSError("the disk is gone")
        return x, y

    trainer = nf.Trainer(classifier(), loss="cross_entropy")
    with pytest.raises(OSError, match="the disk is gone"):
        trainer.fit(Dataset(*blobs).map(broken), epochs=1)
    trainer.fit(Dataset(*blobs), epochs=1)


def test_windows_are_as_large_as_what_functions_make(monkeypatch: pytest.MonkeyPatch) -> None:
    """File names become images: the memory of the images counts."""
    monkeypatch.setattr(sources, "MEMORY", 1 << 16)
    seen = []

    def load(x: Array, y: Array) -> Any:
        seen.append(len(x))
        return np.zeros((len(x), 32, 32)), y

    data = Dataset(np.arange(100), np.zeros(100)).map(load)
    net = nf.Network([nf.layers.Input((32, 32)), nf.layers.Flatten(), nf.layers.Dense(1)])
    nf.Trainer(net, loss="mse").fit(data, epochs=1, batch_size=2)
    assert max(seen) == 6  # 8 KiB each with a target of 8 bytes, in batches of 2
