"""Datasets that produce rows on demand, in training and evaluation."""

import importlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_networks import classifier, fork, line, same

import nnfast as nf
from nnfast import callbacks, layers
from nnfast.core.typing import Array
from nnfast.training import Dataset


class Rows(Dataset):
    """Rows of arrays in parts of up to so many rows, which `sizes` gives in turn."""

    def __init__(self, *arrays: Array, sizes: tuple[int, ...] = (40,), batch_size: int = 1) -> None:
        self.arrays = arrays
        self.sizes = sizes
        self.batch_size = batch_size
        self.asked: list[Array] = []

    def __len__(self) -> int:
        return len(self.arrays[0])

    def take(self, rows: Array) -> Any:
        size = self.sizes[len(self.asked) % len(self.sizes)]
        self.asked.append(rows)
        return tuple(array[rows[:size]] for array in self.arrays)


def trained(data: Any, *more: Any, **options: Any) -> tuple[nf.Network, nf.History, nf.Trainer]:
    net = classifier()
    trainer = nf.Trainer(net, loss="cross_entropy", metrics=["accuracy"])
    history = trainer.fit(data, *more, **{"epochs": 3, "batch_size": 8, **options})
    return net, history, trainer


# ---- the bits of arrays ----------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"shuffle": False}, {"drop_last": True}, {"batch_size": 1000}])
@pytest.mark.parametrize("sizes", [(1000,), (8,), (40,), (16, 8, 64)])
def test_training_has_the_bits_of_arrays(
    sizes: tuple[int, ...], options: dict[str, Any], blobs: tuple[Array, Array]
) -> None:
    if options.get("batch_size") == 1000:
        sizes = (1000,)
    one, wanted, _ = trained(*blobs, **options)
    data = Rows(*blobs, sizes=sizes)
    two, history, _ = trained(data, **options)
    assert same(one, two)
    assert history.history == wanted.history
    rows = 144 if options.get("drop_last") else 150
    # Each call is asked for all rows that the epoch has left.
    epoch = [len(asked) for asked in data.asked[: len(data.asked) // 3]]
    assert epoch[0] == rows
    for i, (before, after) in enumerate(pairwise(epoch)):
        assert before - after == sizes[i % len(sizes)]


def test_rows_are_asked_for_in_the_order_of_the_epoch(blobs: tuple[Array, Array]) -> None:
    data = Rows(*blobs, sizes=(1000,))
    trained(data, epochs=2)
    assert all(asked.dtype == np.int64 for asked in data.asked)
    assert all(np.array_equal(np.sort(asked), np.arange(150)) for asked in data.asked)
    assert not np.array_equal(data.asked[0], data.asked[1])
    straight = Rows(*blobs, sizes=(1000,))
    trained(straight, epochs=1, shuffle=False)
    assert np.array_equal(straight.asked[0], np.arange(150))


def test_weights_of_rows(blobs: tuple[Array, Array], rng: np.random.Generator) -> None:
    weights = rng.uniform(size=150).astype("float32")
    one, _, trainer = trained(*blobs, sample_weight=weights)
    two, _, other = trained(Rows(*blobs, weights))
    assert same(one, two)
    assert not same(one, trained(*blobs)[0])
    wanted = trainer.evaluate(*blobs, weights)
    assert other.evaluate(Rows(*blobs, weights)) == pytest.approx(wanted, rel=1e-6)


def test_several_outputs(rng: np.random.Generator) -> None:
    x, z, y = rng.normal(size=(30, 3)), rng.normal(size=(30, 2)), rng.normal(size=(30, 4))

    class Pairs(Dataset):
        def __len__(self) -> int:
            return 30

        def take(self, rows: Array) -> Any:
            rows = rows[:12]
            return [x[rows]], {"y": y[rows], "z": z[rows]}, {"z": np.ones(len(rows))}

    one, two = fork(), fork()
    wanted = nf.Trainer(one, loss="mse").fit([x], {"z": z, "y": y}, epochs=2, batch_size=6)
    history = nf.Trainer(two, loss="mse").fit(Pairs(), epochs=2, batch_size=6)
    assert same(one, two)
    assert history.history == wanted.history


def test_augmentation(rng: np.random.Generator) -> None:
    images, labels = rng.integers(0, 255, (30, 6, 6, 1)).astype(np.uint8), rng.integers(0, 2, 30)
    options: dict[str, Any] = {
        "epochs": 2,
        "batch_size": 5,
        "augmentation": nf.data.Augmentation(shift=1, horizontal_flip=True),
    }

    def network() -> nf.Network:
        chain = [nf.layers.Input((6, 6, 1)), nf.layers.Flatten(), nf.layers.Dense(2, "softmax")]
        return nf.Network(chain, seed=0)

    one, two = network(), network()
    nf.Trainer(one, loss="cross_entropy").fit(images, labels, **options)
    nf.Trainer(two, loss="cross_entropy").fit(Rows(images, labels, sizes=(10,)), **options)
    assert same(one, two)


def test_files_in_memory_maps(tmp_path: Path, rng: np.random.Generator) -> None:
    """As arrays they are used in place; a Dataset reads a part at a time."""
    x, y = rng.normal(size=(500, 3)), rng.normal(size=(500, 2))
    maps = []
    for name, array in (("x", x), ("y", y)):
        np.save(tmp_path / f"{name}.npy", array)
        maps.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    nets = [line(), line(), line()]
    for net, data in zip(nets, ((x, y), maps, (Rows(*maps, sizes=(64,)),)), strict=True):
        nf.Trainer(net, loss="mse").fit(*data, epochs=2, batch_size=16)
    assert same(nets[0], nets[1])
    assert same(nets[0], nets[2])


# ---- evaluation ------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(1000,), (1,), (7, 1, 64), (149,)])
def test_evaluation_in_parts_of_any_size(sizes: tuple[int, ...], blobs: tuple[Array, Array]) -> None:
    net, _, trainer = trained(*blobs)
    data = Rows(*blobs, sizes=sizes)
    scores = trainer.evaluate(data)
    x, y = blobs
    p = net.predict(x).astype("float64")[np.arange(150), y]
    assert scores == pytest.approx({"loss": -np.log(p).mean(), "accuracy": (net.predict(x).argmax(1) == y).mean()})
    assert np.array_equal(
        np.concatenate([asked[:1] for asked in data.asked]), np.cumsum([0, *sizes * 200])[: len(data.asked)]
    )


def test_validation_after_each_epoch(blobs: tuple[Array, Array]) -> None:
    x, y = blobs
    _, wanted, _ = trained(x[:100], y[:100], validation_data=(x[100:], y[100:]))
    parts = Rows(x[100:], y[100:], sizes=(13,))
    _, history, _ = trained(Rows(x[:100], y[:100]), validation_data=parts)
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    for name, values in wanted.history.items():
        assert history[name] == pytest.approx(values, rel=1e-6), name
    assert len(parts.asked) == 3 * 4
    _, history, _ = trained(x[:100], y[:100], validation_data=parts)
    assert history["val_loss"] == pytest.approx(wanted["val_loss"], rel=1e-6)


def test_functions_among_the_metrics_are_averaged_over_the_rows(blobs: tuple[Array, Array]) -> None:
    seen = []

    def largest(y_true: Array, y_pred: Array) -> float:
        seen.append(len(y_true))
        return float(np.max(y_pred))

    x, y = blobs
    net = classifier()
    trainer = nf.Trainer(net, loss="cross_entropy", metrics=["accuracy", largest, "mse"])
    scores = trainer.evaluate(Rows(x, np.eye(3)[y], sizes=(100,)))
    assert seen == [100, 50]
    p = net.predict(x)
    assert scores["largest"] == pytest.approx((100 * p[:100].max() + 50 * p[100:].max()) / 150)
    assert scores["mse"] == pytest.approx(((p - np.eye(3)[y]) ** 2).mean())
    assert list(scores) == list(trainer.evaluate(x, np.eye(3)[y]))
    history = trainer.fit(x, np.eye(3)[y], epochs=1, validation_data=Rows(x, np.eye(3)[y], sizes=(100,)))
    assert list(history.history)[-1] == "val_largest"


# ---- interruption ----------------------------------------------------------------------


class Stop(callbacks.Callback):
    """Ctrl-C after a number of batches, or a checkpoint then."""

    def __init__(self, after: int, path: Path | None = None) -> None:
        self.after = after
        self.path = path

    def on_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.after -= 1
        if self.after == 0:
            if self.path is None:
                raise KeyboardInterrupt
            self.trainer.save_checkpoint(self.path)


@pytest.mark.parametrize("after", [1, 5, 6, 19, 22, 30])
def test_an_interrupted_epoch_is_completed_with_the_same_bits(after: int, blobs: tuple[Array, Array]) -> None:
    """Within a part, and where one ends: the rest of the epoch comes in other parts."""
    one, wanted, _ = trained(*blobs)
    two = classifier()
    trainer = nf.Trainer(two, loss="cross_entropy", metrics=["accuracy"])
    data = Rows(*blobs, sizes=(40,))
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(data, epochs=3, batch_size=8, callbacks=Stop(after))
    left = 150 - 8 * (after % 19)
    data.asked.clear()
    rest = trainer.fit(data, epochs=3, batch_size=8, initial_epoch=trainer.epoch)
    assert same(one, two)
    if after % 19:
        assert len(data.asked[0]) == left
    assert rest["loss"] == wanted["loss"][-len(rest["loss"]) :]


def test_a_checkpoint_within_an_epoch(tmp_path: Path, blobs: tuple[Array, Array]) -> None:
    one, wanted, _ = trained(*blobs, callbacks=Stop(23, tmp_path / "run"))
    trainer = nf.Trainer.resume(tmp_path / "run")
    history = trainer.fit(Rows(*blobs, sizes=(24,)), epochs=3, batch_size=8, initial_epoch=trainer.epoch)
    assert same(one, trainer.network)
    assert history["loss"] == wanted["loss"][1:]


def test_an_error_of_take_is_passed_on_and_training_goes_on_from_there(blobs: tuple[Array, Array]) -> None:
    class Broken(Rows):
        def take(self, rows: Array) -> Any:
            if len(self.asked) == 5:
                self.asked.clear()
                raise OSError("the disk is gone")
            return super().take(rows)

    one, _, _ = trained(*blobs)
    two = classifier()
    trainer = nf.Trainer(two, loss="cross_entropy", metrics=["accuracy"])
    data = Broken(*blobs, sizes=(40,))
    with pytest.raises(OSError, match="the disk is gone"):
        trainer.fit(data, epochs=3, batch_size=8)
    assert (trainer.epoch, trainer.iteration) == (1, 19 + 5)
    data = Rows(*blobs, sizes=(80,))
    trainer.fit(data, epochs=3, batch_size=8, initial_epoch=1)
    assert same(one, two)


# ---- what does not fit -----------------------------------------------------------------


def taking(take: Callable[[Array, Array, Array], Any]) -> Callable[[Array, Array], Any]:
    """A dataset that returns take(rows, x, y)."""

    class Taking(Dataset):
        def __init__(self, x: Array, y: Array) -> None:
            self.x = x
            self.y = y

        def __len__(self) -> int:
            return len(self.x)

        def take(self, rows: Array) -> Any:
            return take(rows, self.x, self.y)

    return Taking


def in_place(rows: Array, x: Array, y: Array) -> Any:
    rows.sort()
    return x[rows], y[rows]


BAD = {
    "more rows than asked for": (
        lambda rows, x, y: (np.tile(x, (2, 1)), np.tile(y, 2)),
        ValueError,
        "Dataset.take: expected at most the 150 rows asked for, got 300",
    ),
    "part of a batch": (
        lambda rows, x, y: (x[rows[:20]], y[rows[:20]]),
        ValueError,
        "expected all 150 rows, or a multiple of the batch size of 8, got 20; return the first 16$",
    ),
    "less than a batch": (
        lambda rows, x, y: (x[rows[:3]], y[rows[:3]]),
        ValueError,
        "got 3; return the first 8$",
    ),
    "no rows": (lambda rows, x, y: (x[:0], y[:0]), ValueError, "Dataset.take: .*at least one row, got an empty array"),
    "x alone": (lambda rows, x, y: x[rows], ValueError, r"expected \(x, y\) or \(x, y, sample_weight\), got ndarray"),
    "nothing": (lambda rows, x, y: None, ValueError, "sample_weight.*got NoneType"),
    "four": (lambda rows, x, y: (x, y, y, y), ValueError, "sample_weight.*got 4 items"),
    "rows of another shape": (
        lambda rows, x, y: (x[rows, :3], y[rows]),
        ValueError,
        r"Dataset.take: input: expected input \(N, 4\), got \(150, 3\)",
    ),
    "fewer targets": (lambda rows, x, y: (x[rows], y[rows[1:]]), ValueError, "Dataset.take: y: expected one row for"),
    "a class too many": (lambda rows, x, y: (x[rows], y[rows] + 1), ValueError, "class numbers from 0 to 2, got 3"),
    "texts": (lambda rows, x, y: (x[rows].astype(str), y[rows]), TypeError, "Dataset.take: .*real numbers"),
    "NaN": (lambda rows, x, y: (np.nan * x[rows], y[rows]), ValueError, "Dataset.take: .*finite numbers"),
    "a negative weight": (
        lambda rows, x, y: (x[rows], y[rows], -(x[rows, 0] ** 2)),
        ValueError,
        "non-negative weights",
    ),
    "rows sorted in place": (in_place, ValueError, "read-only"),
}


@pytest.mark.parametrize("bad", BAD)
def test_what_take_may_not_return(bad: str, blobs: tuple[Array, Array]) -> None:
    take, error, text = BAD[bad]
    net, before = classifier(), classifier()
    trainer = nf.Trainer(net, loss="cross_entropy")
    with pytest.raises(error, match=text):
        trainer.fit(taking(take)(*blobs), epochs=1, batch_size=8)
    assert same(net, before)
    if bad not in ("part of a batch", "less than a batch"):
        with pytest.raises(error, match=text):
            trainer.evaluate(taking(take)(*blobs))
    trainer.fit(Rows(*blobs), epochs=1, batch_size=8)


def test_what_is_given_beside_a_dataset(blobs: tuple[Array, Array]) -> None:
    trainer = nf.Trainer(classifier(), loss="cross_entropy")
    data, y = Rows(*blobs), blobs[1]
    alone = "expected a Dataset alone, got y or weights beside it"
    for more in ({"y": y}, {"sample_weight": np.ones(150)}, {"class_weight": {0: 2.0}}):
        with pytest.raises(ValueError, match=f"fit: {alone}"):
            trainer.fit(data, epochs=1, **more)
    with pytest.raises(ValueError, match=f"evaluate: {alone}"):
        trainer.evaluate(data, y)
    with pytest.raises(ValueError, match=f"fit: {alone}"):
        trainer.fit(*blobs, epochs=1, validation_data=(data, y))
    with pytest.raises(ValueError, match="expected validation_data with a Dataset, got validation_split"):
        trainer.fit(data, epochs=1, validation_split=0.1)
    with pytest.raises(TypeError, match="got a Dataset; pass it to fit, or here what its take"):
        trainer.train_on_batch(data, y)
    assert trainer.train_on_batch(*data.take(np.arange(4))) > 0


def test_what_is_no_dataset(blobs: tuple[Array, Array]) -> None:
    trainer = nf.Trainer(classifier(), loss="cross_entropy")
    for where, call in (
        ("evaluate", trainer.evaluate),
        ("fit", lambda data: trainer.fit(data, epochs=1)),
        ("fit: validation_data", lambda data: trainer.fit(*blobs, epochs=1, validation_data=data)),
    ):
        with pytest.raises(ValueError, match=f"^{where}: expected a Dataset of one row or more, got an empty one"):
            call(Rows(blobs[0][:0], blobs[1][:0]))
        with pytest.raises(TypeError, match=rf"^{where}: expected a Dataset, got the class Rows; write Rows\(\.\.\.\)"):
            call(Rows)
    # Arrays have `take` and a length too.
    with pytest.raises(ValueError, match=r"expected validation_data as \(x, y\).*got ndarray"):
        trainer.fit(*blobs, epochs=1, validation_data=blobs[0])
    with pytest.raises(TypeError, match="expected an array as y, got None"):
        trainer.fit(blobs[0], epochs=1)


def test_a_class_needs_no_base_class() -> None:
    class Line:
        def __len__(self) -> int:
            return 8

        def take(self, rows: Array) -> Any:
            return np.ones((len(rows), 3)), np.ones((len(rows), 2))

    assert isinstance(Line(), nf.training.Dataset)
    assert nf.Trainer(line(), loss="mse").fit(Line(), epochs=2, batch_size=4).history["loss"]


def test_the_module_imports_by_itself() -> None:
    assert importlib.import_module("nnfast.training").Dataset is Dataset


def test_an_error_names_the_batch_and_rows_of_the_epoch() -> None:
    """Also where the data come in chunks, or an epoch is continued."""

    class Chunks:
        def __len__(self) -> int:
            return 12

        def take(self, rows: Array) -> tuple[Array, Array]:
            y = np.zeros((4, 1), "float32")
            y[rows[:4] == 9] = 3e38
            return np.ones((4, 1), "float32"), y

    net = nf.Network([layers.Input((1,)), layers.Dense(1)], seed=0)
    trainer = nf.Trainer(net, loss="mse", optimizer="sgd")
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"batch 4 \(rows 8 to 9 of the epoch's order\)"):
            trainer.fit(Chunks(), epochs=1, batch_size=2, shuffle=False)
    assert trainer.iteration == 4
