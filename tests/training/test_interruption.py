"""Training that is interrupted, resumed and copied goes on with the same bits."""

import _thread
import copy
import inspect
import itertools
import os
import pickle
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interruptions import interrupt_at
from small_networks import classifier, line, same

import nnfast as nf
from nnfast import callbacks, layers, network
from nnfast.core.typing import Array
from nnfast.graph import parameters
from nnfast.training import fit_loop, trainer

TRAINING = {inspect.getsourcefile(module) for module in (trainer, fit_loop, network, parameters)}

# ---- interruption and resume -----------------------------------------------------------


class Interrupt(callbacks.Callback):
    """Ctrl-C after a number of batches."""

    def __init__(self, after: int) -> None:
        self.after = after

    def on_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.after -= 1
        if self.after == 0:
            raise KeyboardInterrupt


def test_an_interrupted_epoch_is_completed_with_the_same_bits(blobs: tuple[Array, Array]) -> None:
    one, two = classifier(), classifier()
    whole = nf.Trainer(one, loss="cross_entropy").fit(*blobs, epochs=3)
    trainer = nf.Trainer(two, loss="cross_entropy")
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(*blobs, epochs=3, callbacks=[Interrupt(7)])
    assert (trainer.iteration, trainer.epoch) == (7, 1)
    rest = trainer.fit(*blobs, epochs=3, initial_epoch=trainer.epoch)
    assert same(one, two)
    assert rest["loss"] == whole["loss"][1:]


class Breaking(nf.losses.CustomLoss):
    """Half the squared error; one call of it is interrupted."""

    def __init__(self) -> None:
        self.calls_left = -1

    def _count(self) -> None:
        self.calls_left -= 1
        if self.calls_left == 0:
            raise KeyboardInterrupt

    def value(self, target: Array, prediction: Array) -> Array:
        self._count()
        return np.asarray(((target - prediction) ** 2).sum(axis=1) / 2)

    def gradient(self, target: Array, prediction: Array) -> Array:
        self._count()
        return prediction - target


@pytest.mark.parametrize("call", range(1, 9))
def test_an_interrupted_step_counts_for_nothing_and_those_before_it_count(call: int, rng: np.random.Generator) -> None:
    """Within one stretch of steps in the core: the epoch's loss is that of a run without interruption, to the bit."""
    x, t = rng.normal(size=(14, 3)), rng.normal(size=(14, 2))
    one, two = line(), line()
    whole = nf.Trainer(one, loss=Breaking(), metrics=["mae"]).fit(x, t, epochs=1, batch_size=4)
    loss = Breaking()
    trainer = nf.Trainer(two, loss=loss, metrics=["mae"])
    loss.calls_left = call
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(x, t, epochs=1, batch_size=4)
    assert trainer.iteration == (call - 1) // 2
    assert trainer.fit(x, t, epochs=1, batch_size=4).history == whole.history
    assert same(one, two)


def test_all_weights_are_set_or_none() -> None:
    net = line()
    old = net.get_weights()
    new = [weights + 1 for weights in old]
    before = sys.gettrace()
    for lines in itertools.count(1):
        net.set_weights(old)
        try:
            interrupt_at(lines, TRAINING)
            net.set_weights(new)
        except KeyboardInterrupt:
            pass
        else:
            break
        finally:
            sys.settrace(before)
        changed = [not np.array_equal(a, b) for a, b in zip(net.get_weights(), old, strict=True)]
        assert changed in ([False, False], [True, True])
    assert lines > 5


@pytest.mark.parametrize("bad", range(4))
def test_a_step_that_fails_in_the_middle_of_a_stretch_counts_for_nothing(bad: int, rng: np.random.Generator) -> None:
    """Its loss overflows. What was trained before counts, and once the row is mended the epoch goes on from there."""
    x, t = rng.normal(size=(16, 3)).astype("float32"), rng.normal(size=(16, 2)).astype("float32")
    broken = x.copy()
    broken[4 * bad + 1] = 1e30
    one, two = line(dtype="float32"), line(dtype="float32")
    whole = nf.Trainer(one, loss="mse", metrics=["mae"]).fit(x, t, epochs=1, batch_size=4, shuffle=False)
    trainer = nf.Trainer(two, loss="mse", metrics=["mae"])
    with pytest.raises(RuntimeError, match=f"in batch {bad} "):
        trainer.fit(broken, t, epochs=1, batch_size=4, shuffle=False)
    assert (trainer.iteration, trainer.epoch) == (bad, 0)
    assert trainer.fit(x, t, epochs=1, batch_size=4, shuffle=False).history == whole.history
    assert same(one, two)


def image_trainer() -> nf.Trainer:
    chain = [layers.Input((4, 4, 1)), layers.Flatten(), layers.Dense(2, "softmax")]
    return nf.Trainer(nf.Network(chain, seed=0), loss="cross_entropy")


@pytest.mark.parametrize("by_batch", [False, True], ids=["by chunk", "by batch"])
def test_an_interruption_before_any_line_loses_nothing(by_batch: bool, rng: np.random.Generator) -> None:
    """Parameters, the epoch's loss and the augmentation are those of a run without interruption."""
    x, y = rng.integers(0, 256, size=(10, 4, 4, 1)).astype("uint8"), rng.integers(0, 2, size=10)
    options: dict[str, Any] = {
        "epochs": 2,
        "batch_size": 4,
        "augmentation": nf.data.Augmentation(horizontal_flip=True, shift=1),
        "callbacks": [Interrupt(10**6)] if by_batch else [],
        "progress": False,
    }
    right = image_trainer()
    whole = right.fit(x, y, **options)
    before = sys.gettrace()
    lines = 0
    while True:
        lines += 1
        trainer = image_trainer()
        try:
            interrupt_at(lines, TRAINING)
            trainer.fit(x, y, **options)
        except KeyboardInterrupt:
            pass
        else:
            break
        finally:
            sys.settrace(before)
        rest = trainer.fit(x, y, initial_epoch=trainer.epoch, **options)
        assert same(trainer.network, right.network), lines
        assert list(rest.get("loss", [])) == whole["loss"][len(whole["loss"]) - len(rest.epoch) :], lines
        assert trainer.epoch == 2
    assert lines > 100


def test_without_memory_for_a_plan_the_next_fit_is_what_was_asked_for(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = rng.integers(0, 256, size=(8, 4, 4, 1)).astype("uint8"), rng.integers(0, 2, size=8)
    right, trainer = image_trainer(), image_trainer()
    augmentation = nf.data.Augmentation(shift=1)
    right.fit(x, y, epochs=1, augmentation=augmentation)

    def no_memory(*_: Any, **__: Any) -> Any:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(trainer.network, "plan", no_memory)
        with pytest.raises(MemoryError):
            trainer.fit(x, y, epochs=1, augmentation=augmentation)
    trainer.fit(x, y, epochs=1, augmentation=augmentation)
    assert same(right.network, trainer.network)


def test_a_refused_augmentation_changes_nothing(rng: np.random.Generator) -> None:
    """Rows of numbers have no pixels; the next fit trains as if nothing had been asked."""
    x, t = rng.normal(size=(8, 3)), rng.normal(size=(8, 2))
    one, two = line(), line()
    trainer = nf.Trainer(two, loss="mse")
    with pytest.raises(ValueError, match=r"images of shape \(N, H, W, C\)"):
        trainer.fit(x, t, epochs=1, augmentation=nf.data.Augmentation(shift=1))
    with pytest.raises(TypeError, match=r"nnfast\.data\.Augmentation, got str"):
        trainer.fit(x, t, epochs=1, augmentation="shift")  # type: ignore[arg-type]
    assert trainer.fit(x, t, epochs=1).history == nf.Trainer(one, loss="mse").fit(x, t, epochs=1).history
    assert same(one, two)


@contextmanager
def ended(timer: threading.Timer) -> Iterator[None]:
    """Start a timer, which may go off before `start` returns, and wait for its end."""
    try:
        timer.start()
        yield
    finally:
        timer.join()


@pytest.mark.usefixtures("in_foreground")
def test_ctrl_c_at_any_moment_loses_no_bit(blobs: tuple[Array, Array]) -> None:
    one, two = classifier(), classifier()
    trainer = nf.Trainer(two, loss="cross_entropy")
    for seconds in (0.01, 0.03, 0.05):
        timer = threading.Timer(seconds, _thread.interrupt_main)
        with pytest.raises(KeyboardInterrupt), ended(timer):
            trainer.fit(*blobs, epochs=10**6, progress=False)
    trainer.fit(*blobs, epochs=trainer.epoch + 1, initial_epoch=trainer.epoch)
    nf.Trainer(one, loss="cross_entropy").fit(*blobs, epochs=trainer.epoch)
    assert trainer.iteration == 5 * trainer.epoch
    assert same(one, two)


@pytest.mark.parametrize("batches", [5, 7], ids=["between epochs", "inside an epoch"])
@pytest.mark.parametrize("optimizer", ["adam", nf.optimizers.SGD(0.1, momentum=0.9)], ids=["adam", "momentum"])
def test_a_checkpoint_goes_on_with_the_same_bits(
    batches: int, optimizer: Any, blobs: tuple[Array, Array], tmp_path: Path
) -> None:
    path = tmp_path / "run.safetensors"

    class Checkpoint(callbacks.Callback):
        done = 0

        def on_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            self.done += 1
            if self.done == batches:
                self.trainer.save_checkpoint(path)

    one = classifier()
    trainer = nf.Trainer(
        one, loss=nf.losses.CrossEntropy(label_smoothing=0.1), optimizer=optimizer, metrics=["accuracy"]
    )
    whole = trainer.fit(*blobs, epochs=3, callbacks=[Checkpoint()])
    resumed = nf.Trainer.resume(path)
    assert resumed.iteration == batches
    assert repr(resumed.loss) == repr(trainer.loss)
    assert repr(resumed.optimizer) == repr(trainer.optimizer)
    # After the last batch of an epoch the epoch itself is not yet over: its validation is still to come.
    epoch = resumed.epoch
    rest = resumed.fit(*blobs, epochs=3, initial_epoch=epoch)
    assert same(one, resumed.network)
    for name in ("loss", "accuracy"):
        assert rest[name] == whole[name][epoch:]


def test_an_epoch_with_another_batch_size_begins_anew(blobs: tuple[Array, Array], tmp_path: Path) -> None:
    """Its steps are those of a whole epoch; what the interrupted one did stays done."""
    x, y = blobs
    trainer = nf.Trainer(classifier(), loss="cross_entropy", metrics=["accuracy"])
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(x, y, epochs=1, batch_size=50, callbacks=[Interrupt(2)])
    trainer.save_checkpoint(tmp_path / "run.safetensors")
    for other in (trainer, nf.Trainer.resume(tmp_path / "run.safetensors")):
        before = copy.deepcopy(other)
        history = other.fit(x, y, epochs=1, batch_size=30)
        assert (other.iteration, other.epoch) == (2 + 5, 1)
        order = nf._core.random_permutation(150, other.network.seed, (1 << 31) + 0)
        losses = [before.train_on_batch(x[rows], y[rows]) for rows in np.split(order, 5)]
        assert same(before.network, other.network)
        assert history["loss"] == pytest.approx([np.mean(losses)], rel=1e-12)


def test_steps_by_hand_between_two_fits_do_not_count_for_the_epoch(blobs: tuple[Array, Array]) -> None:
    x, y = blobs
    trainer = nf.Trainer(classifier(), loss="cross_entropy")
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(x, y, epochs=1, batch_size=30, callbacks=[Interrupt(2)])
    trainer.train_on_batch(x[:7], y[:7])
    trainer.fit(x, y, epochs=1, batch_size=30)
    assert trainer.iteration == 5 + 1


@pytest.mark.parametrize("optimizer", ["adam", nf.optimizers.SGD(0.1, momentum=0.9)], ids=["adam", "momentum"])
@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))], ids=["copy", "deepcopy", "pickle"]
)
def test_a_copy_of_a_trainer_goes_on_with_the_same_bits(
    duplicate: Any, optimizer: Any, blobs: tuple[Array, Array]
) -> None:
    """In the middle of an epoch, with a frozen parameter; the two do not touch each other."""
    x, y = blobs
    trainer = nf.Trainer(classifier(), loss="cross_entropy", optimizer=optimizer, metrics=["accuracy"])
    trainer.fit(x, y, epochs=1)
    trainer.network.freeze("dense.bias")
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(x, y, epochs=2, initial_epoch=1, callbacks=[Interrupt(2)])
    made = duplicate(trainer)
    if duplicate is copy.copy:  # shares the network, as a shallow copy does
        assert made.network is trainer.network
        made = copy.deepcopy(made)
        shallow = copy.copy(trainer)
    assert repr(made.optimizer) == repr(trainer.optimizer)
    assert (made.iteration, made.epoch) == (trainer.iteration, trainer.epoch) == (7, 1)
    history = trainer.fit(x, y, epochs=3, initial_epoch=1)
    if duplicate is copy.copy:
        assert (shallow.position.batches, trainer.position.batches) == (2, 5)
    assert not same(made.network, trainer.network)
    assert made.fit(x, y, epochs=3, initial_epoch=1).history == history.history
    assert same(made.network, trainer.network)
    assert made.train_on_batch(x, y) == trainer.train_on_batch(x, y)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_that_is_forked_during_a_fit_may_fit(blobs: tuple[Array, Array]) -> None:
    """The thread that trains is not part of it."""
    trainer = nf.Trainer(classifier(), loss="cross_entropy")
    inside, over = threading.Event(), threading.Event()

    class Wait(callbacks.Callback):
        def on_epoch_begin(self, epoch: int) -> None:
            inside.set()
            over.wait(60)

    thread = threading.Thread(target=lambda: trainer.fit(*blobs, epochs=1, callbacks=Wait()))
    thread.start()
    assert inside.wait(60)
    with pytest.raises(RuntimeError, match="no other fit of this trainer"):
        trainer.fit(*blobs, epochs=1)
    child = os.fork()
    if child == 0:
        try:
            trainer.fit(*blobs, epochs=1)
            os._exit(0)
        finally:
            os._exit(1)
    over.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert trainer.epoch == 1


def test_a_copy_is_augmented_as_its_own_fit_says(rng: np.random.Generator) -> None:
    x, y = rng.integers(0, 256, size=(8, 4, 4, 1)).astype("uint8"), rng.integers(0, 2, size=8)
    trainer = image_trainer()
    augmentation = nf.data.Augmentation(shift=1)
    trainer.fit(x, y, epochs=1, batch_size=8, augmentation=augmentation)
    made = pickle.loads(pickle.dumps(trainer))
    for other in (trainer, made):
        other.fit(x, y, epochs=1, batch_size=4, augmentation=augmentation)
    assert same(made.network, trainer.network)


def halving(step: int) -> float:
    return 0.01 / (1 + step)


def test_functions_and_classes_of_a_checkpoint_are_handed_over(rng: np.random.Generator, tmp_path: Path) -> None:
    class Quartic(nf.losses.CustomLoss):
        def __init__(self, scale: float = 1.0) -> None:
            self.scale = scale

        def value(self, target: Array, prediction: Array) -> Array:
            return np.asarray(self.scale * ((prediction - target) ** 4).sum(axis=1))

        def gradient(self, target: Array, prediction: Array) -> Array:
            return np.asarray(4 * self.scale * (prediction - target) ** 3)

    def largest(y_true: Array, y_pred: Array) -> float:
        return float(np.abs(y_true - y_pred).max())

    x, t = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
    optimizer = nf.optimizers.Adam(halving)
    trainer = nf.Trainer(line(), loss=Quartic(0.5), optimizer=optimizer, metrics=[largest, "mae"])
    trainer.train_on_batch(x, t)
    trainer.save_checkpoint(tmp_path / "run.safetensors")
    objects = {"Quartic": Quartic, "largest": largest, "halving": halving}
    resumed = nf.Trainer.resume(tmp_path / "run.safetensors", custom_objects=objects)
    assert resumed.evaluate(x, t) == trainer.evaluate(x, t)
    assert resumed.train_on_batch(x, t) == trainer.train_on_batch(x, t)
    assert same(resumed.network, trainer.network)
    for missing in objects:
        rest = {name: value for name, value in objects.items() if name != missing}
        with pytest.raises(ValueError, match=missing):
            nf.Trainer.resume(tmp_path / "run.safetensors", custom_objects=rest)
