"""Arrays in files: read in windows, shuffled by blocks, with bounded memory and the same bits in every run."""

import math
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_networks import classifier, line, same

import nnfast as nf
from nnfast import callbacks
from nnfast.core import slices
from nnfast.core.typing import Array
from nnfast.training import ensemble, feeds, sources


class Slices:
    """An array of which only slices can be read; it knows how many bytes each has had."""

    def __init__(self, array: Array) -> None:
        self._array = array
        self.shape = array.shape
        self.dtype = array.dtype
        self.read: list[tuple[int, int]] = []

    def __getitem__(self, rows: slice) -> Array:
        assert isinstance(rows, slice)
        assert rows.step is None
        self.read.append((rows.start, rows.stop))
        return self._array[rows]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of 1 KiB and blocks of 100 bytes."""
    for module in (slices, sources):
        monkeypatch.setattr(module, "MEMORY", 1024)
    monkeypatch.setattr(feeds, "_BLOCK", 100)
    monkeypatch.setattr(slices, "_PIECE", 300)
    monkeypatch.setattr(slices, "_GAP", 0)


def trained(x: Any, y: Any = None, **options: Any) -> tuple[nf.Network, nf.History]:
    net = classifier()
    trainer = nf.Trainer(net, loss="cross_entropy", metrics=["accuracy"])
    return net, trainer.fit(x, y, **{"epochs": 3, "batch_size": 8, **options})


def opened(kind: str, folder: Path, name: str, array: Array) -> Any:
    """The array in a file of this kind."""
    if kind == "memmap":
        np.save(folder / f"{name}.npy", array)
        return np.load(folder / f"{name}.npy", mmap_mode="r")
    if kind == "h5py":
        file = pytest.importorskip("h5py").File(folder / f"{name}.h5", "w")
        return file.create_dataset("rows", data=array, chunks=True)
    if kind == "zarr":
        zarr = pytest.importorskip("zarr")
        made = zarr.create_array(
            store=str(folder / name), shape=array.shape, dtype=array.dtype, chunks=(10,) * array.ndim
        )
        made[:] = array
        return made
    return Slices(array)


KINDS = ["memmap", "h5py", "zarr", "slices"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("small")
def test_windows_in_the_order_of_the_file_have_the_bits_of_arrays(
    kind: str, tmp_path: Path, blobs: tuple[Array, Array]
) -> None:
    x, y = opened(kind, tmp_path, "x", blobs[0]), opened(kind, tmp_path, "y", blobs[1])
    for options in ({"shuffle": False}, {"shuffle": False, "drop_last": True}):
        one, wanted = trained(*blobs, **options)
        two, history = trained(x, y, **options)
        assert same(one, two)
        assert history.history == wanted.history
    trainer = nf.Trainer(two, loss="cross_entropy", metrics=["accuracy"])
    wanted_scores = trainer.evaluate(*blobs)
    assert trainer.evaluate(x, y) == pytest.approx(wanted_scores, rel=1e-6)
    assert np.array_equal(two.predict(x), two.predict(blobs[0]))
    assert np.array_equal(two.predict(x, batch_size=7), two.predict(blobs[0]))


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_fit_into_memory_have_the_bits_of_arrays(
    kind: str, tmp_path: Path, blobs: tuple[Array, Array]
) -> None:
    x, y = opened(kind, tmp_path, "x", blobs[0]), opened(kind, tmp_path, "y", blobs[1])
    options: dict[str, Any] = {"validation_split": 0.2, "class_weight": {1: 2.0}}
    one, wanted = trained(*blobs, **options)
    two, history = trained(x, y, **options)
    assert same(one, two)
    assert history.history == wanted.history


def test_one_window_is_shuffled_as_arrays_are(blobs: tuple[Array, Array], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a size at which it is not read as a whole, but in one window: the order does not jump with the size."""
    monkeypatch.setattr(feeds, "_BLOCK", 100)
    x, y = blobs
    data = nf.data.Dataset(Slices(x), Slices(y)).map(lambda x, y: (x, y))
    for options in ({}, {"drop_last": True}, {"batch_size": 1000}):
        assert same(trained(data, **options)[0], trained(x, y, **options)[0])


@pytest.mark.usefixtures("small")
def test_every_row_is_used_once_and_blocks_are_mixed(rng: np.random.Generator) -> None:
    rows = 1003
    source = nf.data.Dataset(Slices(np.arange(rows, dtype=np.float32)[:, None]), np.arange(rows)).source
    for size, drop in ((8, False), (8, True), (7, False), (64, False)):
        options = feeds.FeedOptions(size, 5, 2, drop_last=drop)
        windows = feeds._Windows(source, options, 1024)
        assert windows.rows % size == 0
        assert len(windows) > 3
        orders = []
        for epoch in (0, 1):
            taken = []
            for number in range(len(windows)):
                wanted, order = windows.window(epoch, number)
                assert (np.diff(wanted) > 0).all()  # read in the order of the file
                assert sorted(order) == list(range(len(wanted)))
                taken.append(wanted[order])
            assert sorted(np.concatenate(taken)) == list(range(rows))
            assert max(part.max() - part.min() for part in taken) > rows / 2
            orders.append(np.concatenate(taken))
        assert set(orders[0][: windows.rows]) != set(orders[1][: windows.rows])  # other blocks, in another order
        again = feeds._Windows(source, options, 1024).window(1, 2)
        assert np.array_equal(again[0][again[1]], orders[1][2 * windows.rows : 3 * windows.rows])
        # The mean place of a row over the windows is that of a random order, within 5 standard deviations.
        places = np.empty(rows)
        places[orders[0]] = np.arange(rows)
        assert abs(np.corrcoef(places, np.arange(rows))[0, 1]) < 0.35


@pytest.mark.usefixtures("small")
def test_runs_are_the_same_with_and_without_the_thread(blobs: tuple[Array, Array]) -> None:
    x, y = blobs
    one, wanted = trained(Slices(x), Slices(y))
    for prefetch in (0, 1, 5):
        two, history = trained(Slices(x), Slices(y), prefetch=prefetch)
        assert same(one, two)
        assert history.history == wanted.history
    assert not same(one, trained(x, y)[0])  # another order


class Stop(callbacks.Callback):
    def __init__(self, after: int, path: Path) -> None:
        self.after = after
        self.path = path

    def on_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.after -= 1
        if self.after == 0:
            self.trainer.save_checkpoint(self.path)
            raise KeyboardInterrupt


@pytest.mark.parametrize("after", [1, 5, 6, 12, 19, 22, 30])
@pytest.mark.usefixtures("small")
def test_an_interrupted_epoch_is_completed_with_the_same_bits(
    after: int, tmp_path: Path, blobs: tuple[Array, Array]
) -> None:
    x, y = blobs
    one, wanted = trained(Slices(x), y)
    two = classifier()
    trainer = nf.Trainer(two, loss="cross_entropy", metrics=["accuracy"])
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(Slices(x), y, epochs=3, batch_size=8, callbacks=Stop(after, tmp_path / "run"))
    resumed = nf.Trainer.resume(tmp_path / "run")
    for again in (trainer, resumed):
        left = Slices(x)
        history = again.fit(left, y, epochs=3, batch_size=8, initial_epoch=again.epoch)
        assert same(one, again.network)
        assert history["loss"] == wanted["loss"][-len(history["loss"]) :]
        rows = sum(stop - start for start, stop in left.read)
        assert rows <= 150 * (3 - after // 19)  # the windows before are not read


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_memory_is_bounded(dtype: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """24 MB with windows of 1 MiB: training, evaluation and prediction never hold more than a few windows."""
    for module in (slices, sources):
        monkeypatch.setattr(module, "MEMORY", 1 << 20)
    rows = 24_000_000 // (100 * np.dtype(dtype).itemsize)
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", dtype, (rows, 100))
    y = np.lib.format.open_memmap(tmp_path / "y.npy", "w+", "float32", (rows, 1))
    x[::7] = 1
    net = nf.Network([nf.layers.Input((100,)), nf.layers.Dense(1)], seed=0)
    trainer = nf.Trainer(net, loss="mse")
    trainer.fit(np.ones((256, 100)), np.ones((256, 1)), epochs=1, batch_size=256)
    tracemalloc.start()
    try:
        trainer.fit(x, y, epochs=1, batch_size=256)
        trainer.evaluate(x, y)
        if dtype != "float32":  # those are predicted in place
            net.predict(x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    factor = 4 if dtype == "uint8" else 1  # targets take more than the bytes that they belong to
    assert peak < (6 + factor) << 20


def test_reads_are_contiguous_and_within_windows(small: None, blobs: tuple[Array, Array]) -> None:
    x, y = Slices(blobs[0]), Slices(blobs[1])
    trained(x, y, epochs=2)
    size = blobs[0][0].nbytes
    assert max(stop - start for start, stop in x.read) * size <= 300
    assert sum(stop - start for start, stop in x.read) == 2 * 150  # each row once an epoch
    in_order = Slices(blobs[0])
    trained(in_order, y, epochs=1, shuffle=False)
    assert max(stop - start for start, stop in in_order.read) == 300 // size
    blocks = 2 * math.ceil(150 / (100 // (size + 8)))
    assert len(x.read) <= 2 * blocks  # those on the border of windows come in two slices


@pytest.mark.usefixtures("small")
def test_several_inputs_and_weights(rng: np.random.Generator) -> None:
    a, b = nf.layers.Input((3,), name="a"), nf.layers.Input((2,), name="b")
    x = {"a": rng.normal(size=(90, 3)), "b": rng.normal(size=(90, 2))}
    y, weight = rng.normal(size=(90, 1)), rng.uniform(size=90)

    def network() -> nf.Network:
        joined = nf.layers.Concatenate()([a, b])
        return nf.Network(inputs={"a": a, "b": b}, outputs=nf.layers.Dense(1)(joined), seed=0, dtype="float64")

    one, two = network(), network()
    options: dict[str, Any] = {"epochs": 2, "batch_size": 4, "shuffle": False}
    files = {key: Slices(part) for key, part in x.items()}
    wanted = nf.Trainer(one, loss="mse").fit(x, y, sample_weight=weight, **options)
    history = nf.Trainer(two, loss="mse").fit(files, Slices(y), sample_weight=Slices(weight), **options)
    assert same(one, two)
    assert history.history == wanted.history
    assert np.array_equal(one.predict(x), two.predict(files))
    assert np.array_equal(one.predict(x), two.predict({"a": files["a"], "b": x["b"]}))


@pytest.mark.usefixtures("small")
def test_validation(blobs: tuple[Array, Array]) -> None:
    x, y = blobs
    _, wanted = trained(x, y, validation_split=0.2, shuffle=False)
    _, history = trained(Slices(x), y, validation_split=0.2, shuffle=False)
    for name, values in wanted.history.items():
        assert history[name] == pytest.approx(values, rel=1e-6)
    _, history = trained(x[:120], y[:120], validation_data=(Slices(x[120:]), y[120:]), shuffle=False)
    assert history["val_loss"] == pytest.approx(wanted["val_loss"], rel=1e-6)


@pytest.mark.usefixtures("small")
def test_errors_name_the_row_of_the_file(blobs: tuple[Array, Array]) -> None:
    x, y = blobs[0].copy(), blobs[1]
    x[77, 2] = np.nan
    before = classifier()
    for shuffle in (True, False):
        net = classifier()
        trainer = nf.Trainer(net, loss="cross_entropy")
        with pytest.raises(ValueError, match=r"x: expected finite numbers, .* in row 77, column 2"):
            trainer.fit(Slices(x), y, epochs=1, shuffle=shuffle, batch_size=150)
        assert same(net, before)
        trainer.fit(*blobs, epochs=1)
    with pytest.raises(ValueError, match="in row 77, column 2"):
        trainer.evaluate(Slices(x), y)
    with pytest.raises(ValueError, match=r"expected 150 rows in every array, as x has, got 100 rows"):
        trainer.fit(Slices(x), y[:100], epochs=1)
    with pytest.raises(ValueError, match=r"expected input \(N, 4\), got \("):
        trainer.fit(Slices(x[:, :3]), y, epochs=1)


@pytest.mark.usefixtures("small")
def test_an_array_that_changes_its_size_is_an_error(blobs: tuple[Array, Array]) -> None:
    class Truncated(Slices):
        def __getitem__(self, rows: slice) -> Array:
            return super().__getitem__(slice(rows.start, min(rows.stop, 90)))

    with pytest.raises(ValueError, match=r"expected the slice \[\d+:\d+\] to have \d+ rows, got shape"):
        trained(Truncated(blobs[0]), blobs[1])


def test_results_of_computations_with_memory_maps_are_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((5, 3)))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert slices.is_sliced(x)
    assert slices.is_sliced(x[1:])
    assert not slices.is_sliced(x + 1)
    assert not slices.is_sliced(x.copy())
    assert not slices.is_sliced(np.asarray(x))
    assert line().predict(x).shape == (5, 2)


@pytest.mark.usefixtures("small")
def test_arrays_that_joblib_makes_to_memory_maps_stay_arrays(tmp_path: Path, blobs: tuple[Array, Array]) -> None:
    """Otherwise the order of their rows, and so the bits, would depend on the number of processes."""
    x, y = (opened("memmap", tmp_path, name, array) for name, array in zip("xy", blobs, strict=True))
    options = {"epochs": 2, "batch_size": 8, "validation_data": (x, y), "callbacks": []}
    trainer = nf.Trainer(classifier(), loss="cross_entropy", metrics=["accuracy"])
    trained_here, history = ensemble._fit_in_worker(1, trainer, x, y, options, True)
    one, wanted = trained(*blobs, epochs=2, validation_data=blobs)
    assert same(one, trained_here.network)
    assert history.history == wanted.history
    assert slices.without_maps([[1.0], [2.0]]) == [[1.0], [2.0]]
    assert type(slices.without_maps({"a": [x]})["a"][0]) is np.ndarray
