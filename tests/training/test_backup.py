"""BackupAndRestore: a script that is interrupted and started again ends with the bits of one that ran through."""

import copy
import functools
import itertools
import json
import os
import pickle
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load

import nnfast as nf
from nnfast import callbacks, layers
from nnfast.core import hints
from nnfast.core.typing import Array

EPOCHS = 4
ROWS = 22
IMAGES = np.random.default_rng(1).integers(0, 256, size=(ROWS, 4, 4, 1)).astype("uint8")
LABELS = np.random.default_rng(2).integers(0, 3, size=ROWS)


@pytest.fixture(autouse=True)
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested is the death of a process, not of the machine."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def make_trainer(kind: str = "schedule", seed: int | None = 0) -> nf.Trainer:
    chain = [layers.Conv2D(3, 2), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.3), layers.Flatten()]
    net = nf.Network(
        [layers.Input((4, 4, 1)), layers.Rescaling(1 / 255), *chain, layers.Dense(3, "softmax")], seed=seed
    )
    rate: Any = nf.schedules.Cosine(0.1, 40) if kind == "schedule" else 0.05
    optimizer = nf.optimizers.SGD(rate, momentum=0.9) if kind == "schedule" else nf.optimizers.Adam(rate)
    parts: Any = {"shards": 2, "micro_batch_size": 2} if kind == "schedule" else {}
    return nf.Trainer(net, loss="cross_entropy", optimizer=optimizer, metrics=["accuracy"], **parts)


def script(
    path: Path,
    kind: str = "schedule",
    *,
    save_freq: Any = 2,
    more: Any = (),
    epochs: int = EPOCHS,
    seed: int | None = 0,
    **options: Any,
) -> tuple[Any, ...]:
    """Everything at once; the result is all that must be the same."""
    trainer = make_trainer(kind, seed)
    called = [callbacks.BackupAndRestore(path, save_freq, **options), callbacks.EarlyStopping("val_loss", patience=3)]
    if kind == "plateau":
        called.append(callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=0))
    history = trainer.fit(
        IMAGES[:16],
        LABELS[:16],
        batch_size=5,
        epochs=epochs,
        validation_data=(IMAGES[16:], LABELS[16:]),
        augmentation=nf.data.Augmentation(horizontal_flip=True, shift=1),
        callbacks=[*called, *more],
        progress=False,
    )
    return (
        list(history.history.items()),
        history.epoch,
        history.learning_rate,
        history.fingerprint,
        trainer.network.flat().tobytes(),
        {name: vector.tobytes() for name, vector in trainer.plan.state().items()},
        (trainer.epoch, trainer.iteration, repr(trainer.optimizer)),
    )


class Interrupt(callbacks.Callback):
    """Ctrl-C after a batch, an epoch, or before the end: after the n-th of these."""

    def __init__(self, place: int) -> None:
        self.left = place

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

    def on_batch_end(self, batch: int, logs: Any) -> None:
        self._count()

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self._count()

    def on_train_end(self, logs: Any = None) -> None:
        self._count()


@pytest.mark.parametrize(
    ("kind", "save_freq"), [("schedule", 3), ("plateau", 1), ("schedule", "epoch"), ("plateau", "epoch")]
)
def test_an_interruption_anywhere_changes_no_bit(kind: str, save_freq: Any, tmp_path: Path) -> None:
    whole = script(tmp_path / "whole", kind)
    assert not (tmp_path / "whole").exists()
    for place in itertools.count(1, 2):
        path = tmp_path / f"{place}"
        try:
            script(path, kind, save_freq=save_freq, more=[Interrupt(place)])
        except KeyboardInterrupt:
            assert script(path, kind, save_freq=save_freq) == whole
            assert not path.exists()
        else:
            break
    assert place > 4 * 4


def test_many_interruptions_change_no_bit(tmp_path: Path) -> None:
    whole, path, interruptions = script(tmp_path / "whole"), tmp_path / "path", 0
    while True:
        try:
            result = script(path, save_freq=1, more=[Interrupt(3)])
            break
        except KeyboardInterrupt:
            interruptions += 1
            if interruptions > 30:  # the last of them are in on_train_end
                result = script(path)
                break
    assert interruptions > 5
    assert result == whole


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_that_is_killed_at_random_times_ends_with_the_same_bits(tmp_path: Path) -> None:
    """SIGKILL at any moment, also during saves; the long form of this test is in test_kills."""
    whole, path, kills, random_times = script(tmp_path / "whole"), tmp_path / "path", 0, random.Random(0)
    for attempt in itertools.count(1):
        seconds = random_times.uniform(0, 0.01) * attempt
        child = os.fork()
        if child == 0:
            try:
                if attempt <= 10:  # and then to the end
                    threading.Timer(seconds, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
                os._exit(0 if script(path, save_freq=1) == whole else 1)
            finally:
                os._exit(2)
        status = os.waitpid(child, 0)[1]
        if not os.WIFSIGNALED(status):
            assert os.waitstatus_to_exitcode(status) == 0
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        kills += 1
    assert kills > 0


def test_a_run_that_has_ended_is_not_repeated(tmp_path: Path) -> None:
    whole = script(tmp_path / "run", delete_checkpoint=False)
    modified = (tmp_path / "run").stat().st_mtime_ns
    assert script(tmp_path / "run", more=[Interrupt(2)], delete_checkpoint=False) == whole  # 1 is on_train_end
    assert (tmp_path / "run").stat().st_mtime_ns > modified
    longer = script(tmp_path / "longer", epochs=EPOCHS + 2)
    assert len(longer[1]) > len(whole[1])  # it was not stopped early
    # Its parameters are those of the best epoch, as they are where training goes on in the same process.
    assert script(tmp_path / "run", epochs=EPOCHS + 2)[1] == longer[1]


def test_a_run_that_was_stopped_early_stays_so(tmp_path: Path) -> None:
    """Killed between the last epoch and the end of the run."""

    class Stop(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            self.trainer.stop_training = epoch == 2

    class Kill(callbacks.Callback):
        def on_train_end(self, logs: Any = None) -> None:
            raise KeyboardInterrupt

    whole = script(tmp_path / "whole", more=[Stop()])
    assert whole[1] == [0, 1, 2]
    with pytest.raises(KeyboardInterrupt):
        script(tmp_path / "run", more=[Stop(), Kill()], save_freq="epoch")
    assert script(tmp_path / "run", more=[Stop()]) == whole


def test_networks_without_a_seed_go_on_with_that_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        script(tmp_path / "run", seed=None, save_freq=1, more=[Interrupt(7)])
    content = (tmp_path / "run").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    seed = json.loads(header["__metadata__"]["nnfast"])["network"]["seed"]
    assert script(tmp_path / "run", seed=None) == script(tmp_path / "whole", seed=seed)


def test_an_iterator_that_begins_anew_is_skipped_to_where_it_was(tmp_path: Path, rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(40, 4, 3)).astype("float32"), rng.normal(size=(40, 4, 2)).astype("float32")

    def trained(path: Path, more: Any = ()) -> Any:
        net = nf.Network([layers.Input((3,)), layers.Dense(2)], seed=0)
        trainer = nf.Trainer(net, loss="mse")
        backup = callbacks.BackupAndRestore(path, 1)
        options: Any = {"callbacks": [backup, *more], "progress": False}
        history = trainer.fit(zip(x, y, strict=True), epochs=5, steps_per_epoch=6, **options)
        return history.history, net.flat().tobytes()

    whole = trained(tmp_path / "whole")
    for place in (3, 10, 18):
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "run", [Interrupt(place)])
        assert trained(tmp_path / "run") == whole


def test_the_second_run_of_a_script_has_a_file_of_its_own(tmp_path: Path) -> None:
    """Epochs are counted anew in each fit, but the trainer counts on."""

    def two_runs(name: str, more: Any = ()) -> Any:
        trainer = make_trainer()
        data: Any = {"x": IMAGES, "y": LABELS, "batch_size": 5, "progress": False}
        first = callbacks.BackupAndRestore(tmp_path / f"{name} 1", delete_checkpoint=False)
        trainer.fit(epochs=2, callbacks=first, **data)
        second = callbacks.BackupAndRestore(tmp_path / f"{name} 2")
        history = trainer.fit(epochs=3, callbacks=[second, *more], **data)
        return history.history, history.epoch, trainer.epoch, trainer.network.flat().tobytes()

    whole = two_runs("whole")
    assert whole[1:3] == ([0, 1, 2], 5)
    with pytest.raises(KeyboardInterrupt):
        two_runs("run", [Interrupt(9)])
    assert two_runs("run") == whole


# ---- files that do not fit ---------------------------------------------------------------


def trainer_of(units: int = 4, dtype: str = "float32", **options: Any) -> nf.Trainer:
    chain = [layers.Dense(units, "relu"), layers.Dense(2)]
    options = {"loss": "mse", "optimizer": nf.optimizers.SGD(0.1), **options}
    return nf.Trainer(nf.Network([layers.Input((3,)), *chain], seed=0, dtype=dtype), **options)


OTHERS = {
    "layers": (lambda: trainer_of(5), r"network\.layers\[1\].*units: 5 instead of 4"),
    "dtype": (lambda: trainer_of(dtype="float64"), "dtype: 'float64' instead of 'float32'"),
    "loss": (lambda: trainer_of(loss="mae"), r"heads\[0\]\.loss"),
    "metrics": (lambda: trainer_of(metrics=["mae"]), r"number of heads\[0\]\.metrics: 1 instead of 0"),
    "optimizer": (lambda: trainer_of(optimizer="adam"), "optimizer.class: 'Adam' instead of 'SGD'"),
    "option": (lambda: trainer_of(optimizer=nf.optimizers.SGD(0.1, momentum=0.5)), "optimizer.config.momentum: 0.5"),
    "shards": (lambda: trainer_of(shards=3), "shards: 3 instead of 1"),
}


@pytest.mark.parametrize(("make", "match"), OTHERS.values(), ids=OTHERS)
def test_a_checkpoint_of_another_trainer_is_refused_by_its_first_difference(
    make: Any, match: str, tmp_path: Path
) -> None:
    make().save_checkpoint(tmp_path / "run")
    trainer = trainer_of()
    before = trainer.network.fingerprint()
    for read in (
        lambda: trainer.load_checkpoint(tmp_path / "run"),
        lambda: trainer.fit(
            np.ones((4, 3)), np.ones((4, 2)), epochs=1, callbacks=callbacks.BackupAndRestore(tmp_path / "run")
        ),
    ):
        with pytest.raises(ValueError, match=rf"run: cannot be restored: .* got another .*{match}.*Trainer\.resume"):
            read()
    assert (trainer.iteration, trainer.network.fingerprint()) == (0, before)


def test_a_run_of_another_seed_is_refused_unless_the_network_has_none(tmp_path: Path) -> None:
    whole, path = script(tmp_path / "whole"), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        script(path, more=[Interrupt(9)])
    with pytest.raises(ValueError, match=r"run: cannot be restored: .* got another network\.seed: 0 instead of 1;"):
        script(path, seed=1)
    assert script(path, seed=None) == whole


@pytest.mark.parametrize(
    "again",
    [nf.Network.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net)), lambda net: net.extract("dense")],
)
def test_copies_have_the_seed_that_was_given(again: Any) -> None:
    for seed in (3, None):
        net = nf.Network([layers.Input((3,)), layers.Dense(2)], seed=seed)
        assert again(net).seed == net.seed
        assert again(net).seed_given == net.seed_given == (seed is not None)


def test_the_names_of_keras_are_explained() -> None:
    assert not set(hints.CALLBACKS) & set(callbacks.__all__)  # a hint is for what does not exist
    for option, match in (
        ("backup_dir", "write path="),
        ("double_checkpoint", "leave it out"),
        ("save_frequency", "did you mean 'save_freq'"),
    ):
        with pytest.raises(TypeError, match=f"BackupAndRestore: unknown argument '{option}'; {match}"):
            callbacks.BackupAndRestore(**{option: "x"})  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:A file keeps functools.partial")
def test_a_run_with_a_partial_as_a_metric(tmp_path: Path) -> None:
    """It is known by the name of the function within."""
    sk = pytest.importorskip("sklearn.metrics")
    favour_recall = functools.partial(sk.fbeta_score, beta=2.0, average="macro")
    x, y, path = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) % 2, tmp_path / "run"

    def run(*more: Any) -> Any:
        net = nf.Network([layers.Input((3,)), layers.Dense(2, "softmax")], seed=0)
        trainer = nf.Trainer(net, loss="cross_entropy", metrics=[favour_recall])
        called = [callbacks.BackupAndRestore(path), *more]
        history = trainer.fit(x, y, epochs=4, batch_size=4, validation_data=(x, y), callbacks=called, progress=False)
        return history.history

    whole = run()
    with pytest.raises(KeyboardInterrupt):
        run(Interrupt(9))
    resumed = nf.Trainer.resume(path, custom_objects={"fbeta_score": favour_recall})
    assert list(resumed.evaluate(x, y)) == ["loss", "fbeta_score"]
    assert run() == whole


def test_damage_is_found_and_changes_nothing(tmp_path: Path) -> None:
    trainer = trainer_of()
    trainer.save_checkpoint(tmp_path / "run")
    trainer.train_on_batch(np.ones((4, 3)), np.ones((4, 2)))
    before = trainer.network.fingerprint()
    content = (tmp_path / "run").read_bytes()
    for damaged in (content[:-1], content[:-5] + b"x" + content[-4:], b""):
        (tmp_path / "run").write_bytes(damaged)
        with pytest.raises(ValueError, match="run: cannot be read"):
            trainer.load_checkpoint(tmp_path / "run")
    assert (trainer.iteration, trainer.network.fingerprint()) == (1, before)
    with pytest.raises(FileNotFoundError):
        trainer.load_checkpoint(tmp_path / "none")


def test_a_path_that_cannot_be_written_is_refused_before_training(tmp_path: Path) -> None:
    trainer = trainer_of()
    (tmp_path / "file").write_bytes(b"")
    for path, error in (
        (tmp_path, IsADirectoryError),
        (tmp_path / "file" / "run", (FileExistsError, NotADirectoryError)),
    ):
        with pytest.raises(error):
            trainer.fit(np.ones((4, 3)), np.ones((4, 2)), epochs=1, callbacks=[callbacks.BackupAndRestore(path)])
    assert trainer.iteration == 0


# ---- load_checkpoint ---------------------------------------------------------------------


class Cubic(nf.losses.CustomLoss):
    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def value(self, target: Array, prediction: Array) -> Array:
        return np.asarray(self.scale * (np.abs(prediction - target) ** 3).sum(axis=1))

    def gradient(self, target: Array, prediction: Array) -> Array:
        difference = prediction - target
        return np.asarray(3 * self.scale * difference * np.abs(difference))


def falling(step: int) -> float:
    return 0.1 / (step + 1)


def test_a_trainer_goes_back_to_its_checkpoint(tmp_path: Path, rng: np.random.Generator) -> None:
    """With user-defined classes and functions, which it has; views of its parameters stay valid."""
    x, y = rng.normal(size=(8, 3)), rng.normal(size=(8, 2))
    trainer = trainer_of(loss=Cubic(0.5), optimizer=nf.optimizers.Adam(falling))
    view = trainer.network.parameters["dense.kernel"]
    trainer.fit(x, y, epochs=2, batch_size=4, progress=False)
    trainer.network.freeze("dense.bias")
    trainer.network.vjp(x, training=True)
    trainer.save_checkpoint(tmp_path / "run")
    twin = copy.deepcopy(trainer)
    trainer.network.unfreeze()
    trainer.fit(x, y, epochs=3, batch_size=4, progress=False)
    trainer.load_checkpoint(tmp_path / "run")
    assert view is trainer.network.parameters["dense.kernel"]
    assert view.tobytes() == twin.network.parameters["dense.kernel"].tobytes()
    assert trainer.network.frozen == ["dense.bias"]
    assert trainer.network.training_calls == twin.network.training_calls == 1
    assert trainer.history.history == twin.history.history
    assert trainer.history.fingerprint == twin.history.fingerprint
    options: Any = {"epochs": 3, "batch_size": 4, "progress": False}
    assert trainer.fit(x, y, **options).history == twin.fit(x, y, **options).history
    assert trainer.network.fingerprint() == twin.network.fingerprint()


def test_the_learning_rate_is_that_of_the_file(tmp_path: Path) -> None:
    one, two = trainer_of(), trainer_of()
    one.optimizer.learning_rate = 0.25
    one.save_checkpoint(tmp_path / "run")
    two.load_checkpoint(tmp_path / "run")
    assert two.optimizer.learning_rate == 0.25
    assert two.train_on_batch(np.ones((1, 3)), np.ones((1, 2))) == one.train_on_batch(np.ones((1, 3)), np.ones((1, 2)))
    assert two.network.fingerprint() == one.network.fingerprint()


# ---- what a checkpoint holds -------------------------------------------------------------


class Remember(callbacks.Callback):
    """A state of everything that a state may be."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def get_state(self) -> dict[str, Any]:
        return self.state

    def set_state(self, state: dict[str, Any]) -> None:
        self.state = state


class Save(callbacks.Callback):
    def __init__(self, path: Path) -> None:
        self.path = path

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self.trainer.save_checkpoint(self.path)


def saved_with(state: dict[str, Any], path: Path) -> None:
    remember = Remember()
    remember.state = state
    trainer_of().fit(np.ones((4, 3)), np.ones((4, 2)), epochs=2, callbacks=[remember, Save(path)], progress=False)


def test_states_of_callbacks_come_back(tmp_path: Path) -> None:
    arrays = [np.arange(6.0).reshape(2, 3), np.zeros((0, 2), "float32"), np.float32([1.5]), np.array(2.0)]
    state = {
        "numbers": [1, -2.5, np.float32(0.5), np.int64(3), float("inf"), -float("inf")],
        "nan": float("nan"),
        "rest": {"text": "a", "none": None, "yes": True, "nested": [{"arrays": arrays}], "pair": (1, 2), "": {}},
    }
    saved_with(state, tmp_path / "run")
    trainer, remember = nf.Trainer.resume(tmp_path / "run"), Remember()
    assert trainer.history.epoch == [0, 1]
    for _ in range(2):  # what has been resumed can be saved again
        trainer.save_checkpoint(tmp_path / "run")
        trainer = nf.Trainer.resume(tmp_path / "run")
    trainer.fit(np.ones((4, 3)), np.ones((4, 2)), epochs=1, callbacks=[remember], progress=False)
    assert remember.state["numbers"] == [1, -2.5, 0.5, 3, float("inf"), -float("inf")]
    assert np.isnan(remember.state["nan"])
    found = remember.state["rest"]["nested"][0].pop("arrays")
    assert remember.state["rest"] == {"text": "a", "none": None, "yes": True, "nested": [{}], "pair": [1, 2], "": {}}
    for one, other in zip(found, arrays, strict=True):
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    remember.state = {}
    trainer.fit(np.ones((4, 3)), np.ones((4, 2)), epochs=1, callbacks=[remember], progress=False)
    assert remember.state == {}  # only once


@pytest.mark.parametrize(
    ("state", "error", "match"),
    [
        ({"a": [object()]}, TypeError, r"Remember\.get_state\(\)\['a'\]\[0\]: expected numbers"),
        ({"a": np.arange(3)}, TypeError, r"\['a'\]: expected an array of float32 or float64, got int64; use tolist"),
        ({"a": {1: 2}}, ValueError, r"\['a'\]: expected strings"),
        ({"$array": "x"}, ValueError, r"do not begin with \$"),
        ({"a": np.array([np.nan])}, ValueError, "expected finite numbers"),
    ],
)
def test_states_that_cannot_be_stored_are_named(state: Any, error: type[Exception], match: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=match):
        saved_with(state, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_network_is_read_from_a_checkpoint_with_states(tmp_path: Path) -> None:
    saved_with({"a": np.ones(3)}, tmp_path / "run")
    assert [name for name in load((tmp_path / "run").read_bytes()) if name.startswith(".callbacks/")]
    assert nf.Network.load(tmp_path / "run").num_parameters == trainer_of().network.num_parameters


def test_after_a_run_there_is_nothing_to_hand_over(tmp_path: Path) -> None:
    """The second fit of a program begins anew, so it must after a resume too."""
    trainer, remember = trainer_of(), Remember()
    remember.state = {"a": 1}
    trainer.fit(np.ones((4, 3)), np.ones((4, 2)), epochs=1, callbacks=[remember], progress=False)
    trainer.save_checkpoint(tmp_path / "run")
    resumed, other = nf.Trainer.resume(tmp_path / "run"), Remember()
    resumed.fit(np.ones((4, 3)), np.ones((4, 2)), epochs=1, callbacks=[other], progress=False)
    assert other.state == {}


def figures() -> Iterator[float]:
    yield from (0.5, float("nan"), float("inf"))


def test_a_history_comes_back_with_all_its_figures(tmp_path: Path) -> None:
    values = figures()

    class Add(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            logs["own"] = next(values)

    trainer = trainer_of()
    history = trainer.fit(np.ones((4, 3)), np.ones((4, 2)), epochs=3, callbacks=[Add()], progress=False)
    assert history.fingerprint == trainer.network.fingerprint()
    trainer.save_checkpoint(tmp_path / "run")
    found = nf.Trainer.resume(tmp_path / "run").history
    for name in history:
        np.testing.assert_array_equal(found[name], history[name])
    assert (found.epoch, found.seconds, found.fingerprint) == (history.epoch, history.seconds, history.fingerprint)
