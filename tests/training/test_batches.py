"""Iterables and generators of batches: the bits of arrays, errors that name the batch, and threads that end."""

import _thread
import inspect
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interruptions import interrupt_at
from small_networks import classifier, same

import nnfast as nf
from nnfast import callbacks
from nnfast.core.typing import Array
from nnfast.training import feeds, fit_loop, prefetch, sources
from nnfast.training.prefetch import Prefetch

OPTIONS: dict[str, Any] = {"shuffle": False}


class Loader:
    """Iterates anew each time, as data loaders do."""

    def __init__(self, *arrays: Array, size: int = 8) -> None:
        self.arrays = arrays
        self.size = size
        self.begun = 0

    def __iter__(self) -> Iterator[Any]:
        self.begun += 1
        for start in range(0, len(self.arrays[0]), self.size):
            yield tuple(array[start : start + self.size] for array in self.arrays)


class CountedLoader(Loader):
    def __len__(self) -> int:
        return -(-len(self.arrays[0]) // self.size)


def endless(*arrays: Array, size: int = 8) -> Iterator[Any]:
    while True:
        yield from Loader(*arrays, size=size)


def trained(data: Any, *more: Any, **options: Any) -> tuple[nf.Network, nf.History]:
    net = classifier()
    trainer = nf.Trainer(net, loss="cross_entropy", metrics=["accuracy"])
    return net, trainer.fit(data, *more, **{"epochs": 3, **options})


@pytest.fixture(autouse=True)
def no_thread_is_left(in_foreground: None) -> Iterator[None]:
    before = threading.active_count()
    yield
    for _ in range(100):  # a thread that makes an item ends after it
        if threading.active_count() <= before:
            break
        time.sleep(0.02)
    assert threading.active_count() <= before


# ---- the bits of arrays ----------------------------------------------------------------


@pytest.mark.parametrize("prefetch", [0, 1, 2, 50])
@pytest.mark.parametrize("loader", [Loader, CountedLoader])
def test_an_iterable_has_the_bits_of_arrays(loader: type[Loader], prefetch: int, blobs: tuple[Array, Array]) -> None:
    one, wanted = trained(*blobs, batch_size=8, **OPTIONS)
    data = loader(*blobs)
    two, history = trained(data, prefetch=prefetch)
    assert same(one, two)
    assert history.history == wanted.history
    assert data.begun == 3


def test_a_generator_goes_on_from_epoch_to_epoch(blobs: tuple[Array, Array]) -> None:
    one, wanted = trained(*blobs, batch_size=8, **OPTIONS)
    two, history = trained(endless(*blobs), steps_per_epoch=19)
    assert same(one, two)
    assert history.history == wanted.history
    three, _ = trained(iter(Loader(*blobs)), epochs=1)
    assert same(three, trained(*blobs, batch_size=8, epochs=1, **OPTIONS)[0])
    # Epochs that do not end where the data do: the steps are those of one long epoch.
    four, history = trained(endless(*blobs), epochs=19, steps_per_epoch=3)
    assert same(one, four)
    assert len(history["loss"]) == 19


def test_no_more_batches_are_taken_than_are_trained(blobs: tuple[Array, Array]) -> None:
    stream = endless(*blobs)
    slow = callbacks.Callback()
    slow.on_epoch_end = lambda epoch, logs: time.sleep(0.02)  # type: ignore[method-assign]
    trained(stream, epochs=2, steps_per_epoch=5, prefetch=50, callbacks=slow)
    assert np.array_equal(next(stream)[0], blobs[0][80:88])


def test_weights_of_rows_and_classes(blobs: tuple[Array, Array], rng: np.random.Generator) -> None:
    weights = rng.uniform(size=150)
    one, _ = trained(*blobs, batch_size=8, sample_weight=weights, class_weight={0: 3.0}, **OPTIONS)
    two, _ = trained(Loader(*blobs, weights), class_weight={0: 3.0})
    assert same(one, two)


def test_batches_of_different_sizes(blobs: tuple[Array, Array]) -> None:
    """The losses of an epoch are means over rows; the steps are those of train_on_batch."""
    x, y = blobs
    cuts = [0, 5, 6, 70, 71, 150]
    batches = [(x[a:b], y[a:b]) for a, b in pairwise(cuts)]

    class Batches:
        def __iter__(self) -> Iterator[Any]:
            return iter(batches)

    def network() -> nf.Network:
        return nf.Network([nf.layers.Input((4,)), nf.layers.Dense(3, "softmax")], seed=0)

    one, two = network(), network()
    trainer = nf.Trainer(one, loss="cross_entropy")
    losses = [trainer.train_on_batch(*batch) for batch in batches]
    history = nf.Trainer(two, loss="cross_entropy").fit(Batches(), epochs=1)
    assert same(one, two)
    assert history["loss"][0] == pytest.approx(np.average(losses, weights=np.diff(cuts)))


def test_evaluation_and_validation(blobs: tuple[Array, Array]) -> None:
    net, wanted = trained(*blobs, batch_size=8, validation_data=blobs, **OPTIONS)
    _, history = trained(Loader(*blobs), validation_data=Loader(*blobs, size=32))
    assert history["val_loss"] == pytest.approx(wanted["val_loss"], rel=1e-6)
    trainer = nf.Trainer(net, loss="cross_entropy", metrics=["accuracy", lambda y, p: float(p.max())])
    assert trainer.evaluate(endless_once(blobs))["loss"] == pytest.approx(trainer.evaluate(*blobs)["loss"])


def endless_once(blobs: tuple[Array, Array]) -> Iterator[Any]:
    yield from Loader(*blobs, size=40)


class Arrayed:
    """A tensor of another library, known to NumPy by ``__array__`` alone."""

    def __init__(self, array: Array) -> None:
        self._array = array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self._array, dtype)


def test_tensors_of_other_libraries(blobs: tuple[Array, Array]) -> None:
    one, _ = trained(*blobs, batch_size=8, **OPTIONS)

    class Tensors(Loader):
        element_spec = "of tf.data, whose datasets have a length and take(n) too"

        def __len__(self) -> int:
            return 19

        def take(self, count: int) -> Any:
            raise AssertionError

        def __iter__(self) -> Iterator[Any]:
            return ([Arrayed(part) for part in batch] for batch in super().__iter__())

    assert same(one, trained(Tensors(*blobs))[0])


def test_data_loaders_of_pytorch(blobs: tuple[Array, Array]) -> None:
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(*map(torch.from_numpy, blobs))
    one, _ = trained(*blobs, batch_size=8, **OPTIONS)
    assert same(one, trained(torch.utils.data.DataLoader(data, batch_size=8))[0])


# ---- interruption ----------------------------------------------------------------------


class Stop(callbacks.Callback):
    def __init__(self, after: int, what: Any) -> None:
        self.after = after
        self.what = what

    def on_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.after -= 1
        if self.after == 0:
            self.what(self.trainer)


def interrupt(trainer: nf.Trainer) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("after", [1, 18, 19, 20, 45])
def test_an_interrupted_epoch_is_completed_with_the_same_bits(
    after: int, tmp_path: Path, blobs: tuple[Array, Array]
) -> None:
    """The batches that have been trained are taken once more and left out."""
    one, wanted = trained(*blobs, batch_size=8, **OPTIONS)

    def save(trainer: nf.Trainer) -> None:
        trainer.save_checkpoint(tmp_path / "run")
        raise KeyboardInterrupt

    trainer = nf.Trainer(classifier(), loss="cross_entropy", metrics=["accuracy"])
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(Loader(*blobs), epochs=3, callbacks=Stop(after, save))
    for again in (trainer, nf.Trainer.resume(tmp_path / "run")):
        history = again.fit(Loader(*blobs), epochs=3, initial_epoch=again.epoch)
        assert same(one, again.network)
        assert history["loss"] == wanted["loss"][-len(history["loss"]) :]


def test_stop_training_ends_the_thread_of_an_endless_generator(blobs: tuple[Array, Array]) -> None:
    def stop(trainer: nf.Trainer) -> None:
        trainer.stop_training = True

    net, history = trained(endless(*blobs), epochs=1, callbacks=Stop(4, stop))
    assert len(history["loss"]) == 1
    wanted = trained(endless(*blobs), epochs=1, steps_per_epoch=4)
    assert same(net, wanted[0])
    assert history.history == wanted[1].history


FILES = {inspect.getsourcefile(module) for module in (fit_loop, feeds, sources, prefetch)}


@pytest.mark.parametrize("kind", ["loader", "dataset"])
def test_an_interruption_before_any_line_loses_nothing_and_ends_the_thread(
    kind: str, blobs: tuple[Array, Array]
) -> None:
    x, y = blobs[0][:12], blobs[1][:12]

    def fit(trainer: nf.Trainer, **options: Any) -> nf.History:
        data = Loader(x, y) if kind == "loader" else nf.data.Dataset(x, y).map(lambda x, y: (x, y))
        return trainer.fit(data, epochs=2, batch_size=8, progress=False, **options)

    def made() -> nf.Trainer:
        net = nf.Network([nf.layers.Input((4,)), nf.layers.Dense(3, "softmax")], seed=0)
        return nf.Trainer(net, loss="cross_entropy")

    right = made()
    whole = fit(right)
    before, threads = sys.gettrace(), threading.active_count()
    lines = 0 if kind == "loader" else 1
    while True:
        lines += 4
        trainer = made()
        try:
            interrupt_at(lines, FILES)
            fit(trainer)
        except KeyboardInterrupt:
            pass
        else:
            break
        finally:
            sys.settrace(before)
        rest = fit(trainer, initial_epoch=trainer.epoch)
        assert same(trainer.network, right.network), lines
        assert list(rest.history.get("loss", [])) == whole["loss"][len(whole["loss"]) - len(rest.epoch) :], lines
    assert lines > 100
    assert threading.active_count() <= threads + 3  # the fixture sees that these end


def test_ctrl_c_while_a_generator_waits(blobs: tuple[Array, Array]) -> None:
    """The call ends, although the thread cannot; this ends with the item that it makes."""
    wake = threading.Event()

    def waiting() -> Iterator[Any]:
        yield blobs
        _thread.interrupt_main()
        wake.wait(60)
        yield blobs

    trainer = nf.Trainer(classifier(), loss="cross_entropy")
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(waiting(), epochs=1)
    assert not wake.is_set()
    assert trainer.iteration <= 1
    trainer.fit(*blobs, epochs=1)
    wake.set()


def test_generators_may_predict_in_the_calling_thread(blobs: tuple[Array, Array]) -> None:
    """As in reinforcement learning, where the network chooses what it is trained on."""
    net = classifier()
    trainer = nf.Trainer(net, loss="cross_entropy")

    def hardest() -> Iterator[Any]:
        for _ in range(3):
            sure = net.predict(blobs[0]).max(axis=1)
            rows = np.argsort(sure)[:16]
            yield blobs[0][rows], blobs[1][rows]

    trainer.fit(hardest(), epochs=1, prefetch=0)
    assert trainer.iteration == 3


# ---- errors ----------------------------------------------------------------------------


def failing(at: int, blobs: tuple[Array, Array], item: Callable[[Any, Any], Any]) -> Iterator[Any]:
    """Yield batches, that number of which is another one."""
    for number, (x, y) in enumerate(endless(*blobs)):
        yield item(x, y) if number == at else (x, y)


def broken(x: Array, y: Array) -> Any:
    raise OSError("the disk is gone")


WRONG: dict[str, tuple[Callable[[Any, Any], Any], type[Exception], str]] = {
    "its own error": (broken, OSError, "^the disk is gone$"),
    "another shape": (
        lambda x, y: (x[:, :3], y),
        ValueError,
        r"^fit: batch 2 of epoch 1 \(from 0\): input: expected input \(N, 4\), got \(8, 3\)",
    ),
    "fewer targets": (lambda x, y: (x, y[1:]), ValueError, r"batch 2 of epoch 1 \(from 0\): y: expected one row for"),
    "x alone": (lambda x, y: x, TypeError, r"batch 2 of epoch 1 .*expected \(x, y\) or .*, got ndarray"),
    "x alone in a tuple": (lambda x, y: (x,), TypeError, "batch 2 of epoch 1 .*, got 1 items"),
    "a dict": (lambda x, y: {"x": x}, TypeError, "batch 2 of epoch 1 .*, got dict"),
    "text": (lambda x, y: (x.astype(str), y), TypeError, "batch 2 of epoch 1 .*real numbers"),
    "NaN": (lambda x, y: (x * np.nan, y), ValueError, "batch 2 of epoch 1 .*finite numbers"),
    "no rows": (lambda x, y: (x[:0], y[:0]), ValueError, "batch 2 of epoch 1 .*at least one row"),
}


@pytest.mark.parametrize("prefetch", [0, 3])
@pytest.mark.parametrize("wrong", WRONG)
def test_errors_end_the_epoch_and_the_trainer_is_usable(wrong: str, prefetch: int, blobs: tuple[Array, Array]) -> None:
    item, error, text = WRONG[wrong]
    net = classifier()
    trainer = nf.Trainer(net, loss="cross_entropy", metrics=["accuracy"])
    with pytest.raises(error, match=text):
        trainer.fit(failing(21, blobs, item), epochs=3, steps_per_epoch=19, prefetch=prefetch)
    assert (trainer.epoch, trainer.iteration) == (1, 21)
    # The rest of the epoch, from a new generator of it.
    trainer.fit(endless(*blobs), epochs=3, steps_per_epoch=19, initial_epoch=1)
    assert same(net, trained(*blobs, batch_size=8, **OPTIONS)[0])


def test_a_generator_that_ends_early(blobs: tuple[Array, Array]) -> None:
    trainer = nf.Trainer(classifier(), loss="cross_entropy")
    text = r"^fit: expected steps_per_epoch=20 batches in an epoch, got the end before batch 19 of epoch 0 \(from 0\); "
    for data in (iter(Loader(*blobs)), Loader(*blobs)):
        with pytest.raises(ValueError, match=text):
            trainer.fit(data, epochs=1, steps_per_epoch=20)
        assert trainer.iteration == 19
    with pytest.raises(
        ValueError, match="fit: expected one batch or more, got an empty iterable, or one that was used"
    ):
        trainer.fit(iter([]), epochs=1)
    with pytest.raises(ValueError, match=r"evaluate: expected one batch or more, got an empty iterable$"):
        trainer.evaluate(Loader(blobs[0][:0], blobs[1][:0]))


def test_arguments_that_do_not_fit_an_iterable(blobs: tuple[Array, Array]) -> None:
    trainer = nf.Trainer(classifier(), loss="cross_entropy")
    with pytest.raises(ValueError, match="expected steps_per_epoch with an iterator and 2 epochs, got none"):
        trainer.fit(endless(*blobs), epochs=2)
    with pytest.raises(ValueError, match="expected steps_per_epoch with an iterable of batches only"):
        trainer.fit(*blobs, epochs=1, steps_per_epoch=3)
    with pytest.raises(ValueError, match="drop_last=False with batches of an iterable"):
        trainer.fit(Loader(*blobs), epochs=1, drop_last=True)
    with pytest.raises(TypeError, match=r"expected an array as x, got a Loader; .* pass batches \(x, y\) .* alone"):
        trainer.fit(Loader(*blobs), blobs[1], epochs=1)
    with pytest.raises(ValueError, match="expected validation_data with an iterable, got validation_split"):
        trainer.fit(Loader(*blobs), epochs=1, validation_split=0.2)
    with pytest.raises(TypeError, match=r"expected an array as x, got a generator; .* or pass batches"):
        trainer.network.predict(endless(*blobs))


# ---- the thread ------------------------------------------------------------------------


def test_at_most_so_many_items_are_made_ahead() -> None:
    made = []

    def items() -> Iterator[int]:
        for i in range(10):
            made.append(i)
            yield i

    ahead = Prefetch(items(), 2)
    for i in ahead:
        time.sleep(0.005)
        assert len(made) <= i + 1 + 2
    assert made == list(range(10))
    ahead.close()


def test_an_error_comes_after_the_items_before_it_and_once() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    ahead = Prefetch(items(), 5)
    assert next(ahead) == 1
    with pytest.raises(OSError, match="gone"):
        next(ahead)
    assert list(ahead) == []


def test_a_deleted_iterator_ends_its_thread() -> None:
    before = threading.active_count()
    ahead = Prefetch(iter(range(1000)), 1)
    assert next(ahead) == 0
    assert threading.active_count() == before + 1
    del ahead  # the fixture sees that the thread ends


def test_an_item_that_takes_long_delays_the_end_by_the_timeout_only() -> None:
    wake = threading.Event()

    def items() -> Iterator[int]:
        wake.wait(30)
        yield 1

    ahead = Prefetch(items(), 1)
    ahead.close(0.01)
    assert not wake.is_set()
    wake.set()
