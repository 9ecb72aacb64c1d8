"""ModelCheckpoint: when it saves, which files it keeps, and what is left after an error."""

import errno
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_networks import line

import nnfast as nf
from nnfast import callbacks, layers
from nnfast.callbacks import ModelCheckpoint
from nnfast.core import files
from nnfast.training.callbacks import saving

X, Y = np.random.default_rng(0).normal(size=(20, 3)), np.random.default_rng(1).normal(size=(20, 2))


def make_trainer() -> nf.Trainer:
    return nf.Trainer(nf.Network([layers.Input((3,)), layers.Dense(2)], seed=0), loss="mse")


def fit(save: Any, epochs: int = 4, trainer: nf.Trainer | None = None, more: Any = (), **options: Any) -> nf.Trainer:
    """Five steps an epoch."""
    trainer = make_trainer() if trainer is None else trainer
    called = [save, *more]
    trainer.fit(X, Y, epochs=epochs, batch_size=4, callbacks=called, progress=False, **options)
    return trainer


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class Figures(callbacks.Callback):
    """Adds figures to the logs."""

    def __init__(self, *values: float) -> None:
        self.values = values

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        logs["own"] = self.values[epoch]


# ---- when ------------------------------------------------------------------------------


def test_after_every_epoch_from_which_training_goes_on(tmp_path: Path) -> None:
    whole = fit(ModelCheckpoint(tmp_path / "{epoch}"), validation_split=0.2)
    assert names(tmp_path) == ["1", "2", "3", "4"]
    for epoch in (1, 2, 3):
        resumed = nf.Trainer.resume(tmp_path / f"{epoch}")
        assert (resumed.epoch, resumed.history.epoch) == (epoch, list(range(epoch)))
        fit(callbacks.Callback(), trainer=resumed, initial_epoch=epoch, validation_split=0.2)
        assert resumed.network.fingerprint() == whole.network.fingerprint()


@pytest.mark.parametrize("by_batch", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 7, 19, 20, 21])
def test_after_every_number_of_steps(steps: int, by_batch: bool, tmp_path: Path) -> None:
    class ByBatch(callbacks.Callback):
        def on_batch_end(self, batch: int, logs: Any) -> None:
            pass

    path = tmp_path / "{step:02d}-{epoch}-{batch}"
    fit(ModelCheckpoint(path, save_freq=steps), more=[ByBatch()] if by_batch else [])
    expected = [(step, (step - 1) // 5 + 1, (step - 1) % 5 + 1) for step in range(steps, 21, steps)]
    assert names(tmp_path) == [f"{step:02d}-{epoch}-{batch}" for step, epoch, batch in expected]
    for name in names(tmp_path):
        assert nf.Trainer.resume(tmp_path / name).iteration == int(name[:2])


def test_after_every_nth_epoch(tmp_path: Path) -> None:
    fit(ModelCheckpoint(tmp_path / "{epoch}", every_n_epochs=3), epochs=7)
    assert names(tmp_path) == ["3", "6"]


def test_after_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that advances one second each time it is looked at, that is, after each batch and each save."""
    ticks = iter(range(1000))
    monkeypatch.setattr(saving.time, "monotonic", lambda: next(ticks))
    step = callbacks.LambdaCallback(on_batch_end=lambda batch, logs: None)
    fit(ModelCheckpoint(tmp_path / "{step}", every_n_epochs=100, every_seconds=3), epochs=2, more=[step])
    assert sorted(map(int, names(tmp_path))) == [3, 6, 9]


def test_the_core_returns_only_when_a_save_is_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stretches: list[int] = []
    original = saving.Saving.between_batches

    def counted(self: saving.Saving, done: int, *rest: Any) -> None:
        stretches.append(done)
        original(self, done, *rest)

    monkeypatch.setattr(saving.Saving, "between_batches", counted)
    fit(ModelCheckpoint(tmp_path / "x", save_freq=3), epochs=1)
    assert sum(stretches) == 5
    assert len(stretches) < 5 or max(stretches) > 1  # unless the machine is so slow that each step takes 0.1 s


# ---- which -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "threshold", "expected"),
    [
        ("min", None, ["1", "3", "6"]),
        ("max", None, ["1", "2", "5"]),
        ("min", 1.5, ["3", "6"]),
        ("max", 4.0, ["5"]),
    ],
)
def test_only_the_best(mode: Any, threshold: float | None, expected: list[str], tmp_path: Path) -> None:
    """An equal value is no better, and NaN never is."""
    values = (2.0, 3.0, 1.0, float("nan"), 5.0, 0.5, 0.5)
    save = ModelCheckpoint(tmp_path / "{epoch}", "own", True, mode, initial_value_threshold=threshold)
    fit(save, epochs=7, more=[Figures(*values)])
    assert names(tmp_path) == expected
    assert save.best == values[int(expected[-1]) - 1]


class Own(nf.metrics.Metric):
    """Says itself whether more is better; its name would say the contrary."""

    name = "own_loss"
    higher_is_better = True

    def evaluate(self, y_true: Any, y_pred: Any) -> float:
        return 0.0


class OwnLoss(callbacks.Callback):
    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        logs["val_own_loss"] = [0.5, 0.7, 0.6][epoch]


def test_a_metric_says_what_is_better(tmp_path: Path) -> None:
    trainer = nf.Trainer(make_trainer().network, loss="mse", metrics=[Own()])
    save = ModelCheckpoint(tmp_path / "{epoch}", "val_own_loss", save_best_only=True, save_weights_only=True)
    fit(save, 3, trainer, [OwnLoss()])
    assert (names(tmp_path), save.best) == (["1", "2"], 0.7)


def test_metrics_that_are_neither_losses_nor_accuracies(tmp_path: Path) -> None:
    net = nf.Network([layers.Input((3,)), layers.Dense(1, "sigmoid")], seed=0)
    trainer = nf.Trainer(net, loss="binary_cross_entropy", metrics=["auc"], optimizer=nf.optimizers.SGD(0.5))
    save = ModelCheckpoint(tmp_path / "run", "val_auc", save_best_only=True)
    data = X, (Y[:, :1] > 0).astype("float32")
    history = trainer.fit(*data, epochs=5, batch_size=4, validation_data=data, callbacks=[save], progress=False)
    assert save.best == max(history["val_auc"]) > min(history["val_auc"])


def test_the_best_of_a_run_that_kept_all_files_is_not_resumed_as_infinite(tmp_path: Path) -> None:
    """Its direction was not known."""
    fit(ModelCheckpoint(tmp_path / "run", "own"), epochs=1, more=[Figures(3.0)])
    resumed, save = nf.Trainer.resume(tmp_path / "run"), ModelCheckpoint(tmp_path / "run", "own", True, "max")
    fit(save, 2, resumed, [Figures(0, 2.0)], initial_epoch=1)
    assert save.best == 2.0


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_what_is_kept_of_weights_and_averages(swap_on_epoch: bool, before: bool, tmp_path: Path) -> None:
    """As the docstrings of ModelCheckpoint and EarlyStopping say."""
    trainer = nf.Trainer(make_trainer().network, loss="mse", optimizer=nf.optimizers.SGD(0.05, use_ema=True))
    swap = callbacks.SwapEMAWeights(swap_on_epoch)
    stop, save = callbacks.EarlyStopping(), ModelCheckpoint(tmp_path / "net", save_weights_only=True)
    called = [swap, stop, save] if before else [stop, save, swap]
    run = ModelCheckpoint(tmp_path / "run")
    history = trainer.fit(
        X, Y, epochs=2, batch_size=4, validation_data=(X, Y), callbacks=[*called, run], progress=False
    )
    assert history["val_loss"][1] < history["val_loss"][0]

    def is_average(net: nf.Network) -> bool:
        return nf.Trainer(net, loss="mse").evaluate(X, Y)["loss"] == history["val_loss"][-1]

    assert is_average(nf.Network.load(tmp_path / "net")) == swap_on_epoch
    assert is_average(trainer.network) == (swap_on_epoch and before)
    resumed = nf.Trainer.resume(tmp_path / "run")
    assert not is_average(resumed.network)
    with resumed.averaged_weights():
        assert resumed.evaluate(X, Y)["loss"] == history["val_loss"][-1]


def test_the_best_is_remembered_after_a_resume(tmp_path: Path) -> None:
    fit(ModelCheckpoint(tmp_path / "run", "own", True, "min"), epochs=2, more=[Figures(3.0, 1.0)])
    resumed, save = nf.Trainer.resume(tmp_path / "run"), ModelCheckpoint(tmp_path / "run", "own", True, "min")
    fit(save, 4, resumed, [Figures(0, 0, 2.0, 1.5)], initial_epoch=2)
    assert save.best == 1.0
    assert nf.Trainer.resume(tmp_path / "run").epoch == 2  # no later file


def test_formats_and_folders(tmp_path: Path) -> None:
    trainer = fit(
        ModelCheckpoint(tmp_path / "a" / "{epoch:03d}" / "{loss:.3f}-{val_loss:.2e}"), epochs=2, validation_split=0.2
    )
    history = trainer.history
    for epoch in (0, 1):
        name = f"{history['loss'][epoch]:.3f}-{history['val_loss'][epoch]:.2e}"
        assert (tmp_path / "a" / f"{epoch + 1:03d}" / name).is_file()


def test_the_network_alone(tmp_path: Path) -> None:
    trainer = fit(ModelCheckpoint(str(tmp_path / "net"), save_weights_only=True))
    assert nf.Network.load(tmp_path / "net").fingerprint() == trainer.network.fingerprint()
    with pytest.raises(ValueError, match="network alone"):
        nf.Trainer.resume(tmp_path / "net")


def test_the_last_files_are_kept(tmp_path: Path) -> None:
    (tmp_path / "0").write_bytes(b"someone else's")
    fit(ModelCheckpoint(tmp_path / "{epoch}", keep=2), epochs=5)
    assert names(tmp_path) == ["0", "4", "5"]
    fit(ModelCheckpoint(tmp_path / "one", keep=1), epochs=3)
    assert names(tmp_path) == ["0", "4", "5", "one"]


def test_the_last_files_are_kept_after_a_resume(tmp_path: Path) -> None:
    fit(ModelCheckpoint(tmp_path / "{epoch}", keep=2), epochs=3)
    resumed = nf.Trainer.resume(tmp_path / "3")
    fit(ModelCheckpoint(tmp_path / "{epoch}", keep=2), 4, resumed, initial_epoch=3)
    assert names(tmp_path) == ["3", "4"]


def test_a_checkpoint_cannot_name_other_files_to_remove(tmp_path: Path) -> None:
    """Whoever wrote it: only what the path of this callback can have become is removed."""
    precious = tmp_path / "precious"
    precious.write_bytes(b"1")
    save = ModelCheckpoint(tmp_path / "runs" / "{epoch}.run", keep=1)
    others = [precious, tmp_path / "runs" / ".." / "precious", tmp_path / "runs" / "a" / "1.run"]
    inside = [tmp_path / "runs" / "1.run", tmp_path / "runs" / "best.run"]
    save.set_state({"best": 1.0, "files": [str(path) for path in (*others, *inside)]})
    assert save.get_state()["files"] == [str(path) for path in inside]
    nested = ModelCheckpoint(tmp_path / "{epoch}" / "run", keep=1)
    nested.set_state({"best": 1.0, "files": [str(tmp_path / ".." / "run"), str(tmp_path / "2" / "run")]})
    assert nested.get_state()["files"] == [str(tmp_path / "2" / "run")]


def test_other_callbacks_are_called_before_it(tmp_path: Path) -> None:
    """Their states in the file are those after the epoch, wherever they stand in the list."""

    class Count(callbacks.Callback):
        def __init__(self) -> None:
            self.epochs = 0

        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            self.epochs += 1

        def get_state(self) -> dict[str, Any]:
            return {"epochs": self.epochs}

        def set_state(self, state: dict[str, Any]) -> None:
            self.epochs = state["epochs"]

    fit(ModelCheckpoint(tmp_path / "run"), epochs=3, more=[Count()])
    count = Count()
    nf.Trainer.resume(tmp_path / "run").fit(X, Y, epochs=4, initial_epoch=3, callbacks=[count], progress=False)
    assert count.epochs == 4


# ---- failures --------------------------------------------------------------------------


def full_disk(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """The n-th file cannot be written to the disk."""
    left, sync = iter(range(after)), os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


def test_a_full_disk_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file before is intact, and the trainer goes on from where it is."""
    save = ModelCheckpoint(tmp_path / "run", "own", True, "min", keep=1)
    trainer, figures = make_trainer(), Figures(4.0, 3.0, 2.0, 1.0)
    with monkeypatch.context() as patch:
        full_disk(patch, 2)
        with pytest.raises(OSError, match="No space left"):
            fit(save, 4, trainer, [figures])
    assert names(tmp_path) == ["run"]
    assert nf.Trainer.resume(tmp_path / "run").epoch == 2
    assert (trainer.epoch, save.best) == (3, 3.0)
    fit(save, 4, trainer, [figures], initial_epoch=3)
    assert nf.Trainer.resume(tmp_path / "run").network.fingerprint() == trainer.network.fingerprint()
    assert trainer.network.fingerprint() == fit(callbacks.Callback()).network.fingerprint()


def test_what_can_be_known_is_said_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path, tmp_path / "file" / "run", tmp_path / "file" / "{epoch}"):
        trainer = make_trainer()
        with pytest.raises((IsADirectoryError, FileExistsError, NotADirectoryError), match=r"file|folder"):
            fit(ModelCheckpoint(path), trainer=trainer)
        assert trainer.iteration == 0
    monkeypatch.setattr(files.os, "access", lambda path, mode: False)  # a superuser may write everywhere
    with pytest.raises(PermissionError, match="may be written to"):
        fit(ModelCheckpoint(tmp_path / "run"))


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: ModelCheckpoint(3), TypeError, "path of a file"),  # type: ignore[arg-type]
        (lambda: ModelCheckpoint(""), TypeError, "path of a file"),
        (lambda: ModelCheckpoint(filepath="x"), TypeError, "'filepath'; write path="),  # type: ignore[call-arg]
        (lambda: ModelCheckpoint("x", period=2), TypeError, "write every_n_epochs="),  # type: ignore[call-arg]
        (lambda: ModelCheckpoint("x", moniter="loss"), TypeError, "did you mean 'monitor'"),  # type: ignore[call-arg]
        (lambda: ModelCheckpoint("{epoch"), ValueError, "pairs of braces"),
        (lambda: ModelCheckpoint("x", save_freq="batch"), ValueError, "save_freq"),  # type: ignore[arg-type]
        (lambda: ModelCheckpoint("x", save_freq=0), ValueError, "save_freq"),
        (lambda: ModelCheckpoint("x", every_n_epochs=0), ValueError, "every_n_epochs"),
        (lambda: ModelCheckpoint("x", every_seconds=-1), ValueError, "every_seconds"),
        (lambda: ModelCheckpoint("x", keep=0), ValueError, "keep"),
        (lambda: ModelCheckpoint("x", mode="best"), ValueError, "mode"),  # type: ignore[arg-type]
        (lambda: fit(ModelCheckpoint("x", "own", True)), ValueError, "mode="),
        (lambda: ModelCheckpoint("x", save_best_only=True, save_freq=3), ValueError, "not known between"),
        (lambda: ModelCheckpoint("x", save_best_only=True, every_seconds=3), ValueError, "not known between"),
        (lambda: fit(ModelCheckpoint("x", save_best_only=True)), ValueError, "pass validation data"),
    ],
)
def test_mistakes_are_named(
    make: Any, error: type[Exception], match: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=match):
        make()
    assert names(tmp_path) == []


@pytest.mark.parametrize("path", ["{epochs}", "{}", "{loss:d}", "{loss.real.x}", "{val_loss}", "{member}"])
@pytest.mark.parametrize("by_steps", [False, True])
def test_names_that_are_not_known_are_refused_before_the_first_epoch(path: str, by_steps: bool, tmp_path: Path) -> None:
    trainer = make_trainer()
    remedy = {"{val_loss}": ".*; pass validation data to fit", "{member}": ".*; Ensemble.fit replaces it"}
    known = "expected a path with the names loss, epoch, batch, step and formats for numbers, got "
    # Validation does not help between batches, nor do the names of a callback.
    options: Any = {"validation_data": (X, Y), "more": [Figures(1.0)]} if by_steps else {}
    save = ModelCheckpoint(tmp_path / path, save_freq=2 if by_steps else "epoch")
    with pytest.raises(ValueError, match=known + remedy.get(path, "")):
        fit(save, trainer=trainer, **options)
    assert (trainer.epoch, trainer.iteration, names(tmp_path)) == (0, 0, [])


def test_names_that_are_known_before_the_first_epoch(tmp_path: Path) -> None:
    """Those of metrics, of validation, and of other callbacks."""
    trainer = nf.Trainer(line(), loss="mse", metrics=["mae"], optimizer="sgd")
    names_of_all = ["loss", "mae", "val_loss", "val_mae", "learning_rate", "seconds", "samples_per_second"]
    path = "-".join(f"{{{name}:.3f}}" for name in names_of_all)
    rate = callbacks.LearningRateScheduler(lambda epoch: 0.5)
    given: Any = {"validation_data": (X, Y), "epochs": 1, "trainer": trainer}
    fit(ModelCheckpoint(tmp_path / path), more=[rate, callbacks.Timing()], **given)
    (found,) = names(tmp_path)
    assert found.split("-")[4] == "0.500"
    assert len(found.split("-")) == len(names_of_all)
    with pytest.raises(ValueError, match=r"val_mae, learning_rate, epoch, batch, step .*'seconds'"):
        fit(ModelCheckpoint(tmp_path / path), more=[rate], **given)


def test_names_that_a_callback_may_add_are_known_after_the_epoch(tmp_path: Path) -> None:
    fit(ModelCheckpoint(tmp_path / "{own}"), epochs=1, more=[Figures(2.5)])
    assert names(tmp_path) == ["2.5"]
    added = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(other=3.0))
    fit(ModelCheckpoint(tmp_path / "{other}"), epochs=1, more=[added])
    assert names(tmp_path) == ["2.5", "3.0"]
    trainer = make_trainer()
    with pytest.raises(ValueError, match=r"expected a path with the names loss, own, epoch, batch, step.*'nope'"):
        fit(ModelCheckpoint(tmp_path / "{nope}"), epochs=1, more=[Figures(2.5)], trainer=trainer)
    assert trainer.epoch == 1
    # The formats of names that are known are checked at once.
    with pytest.raises(ValueError, match="Unknown format code 'd'"):
        fit(ModelCheckpoint(tmp_path / "{loss:d}"), more=[Figures(2.5)], trainer=trainer)
    assert trainer.epoch == 1


@pytest.mark.parametrize("path", ["{epoch}", "a/{val_loss:.3f}-{epoch}", "{member}", "{member}-{nope}"])
@pytest.mark.parametrize("kind", ["CSVLogger", "JSONLogger", "BackupAndRestore", "TensorBoard"])
def test_other_callbacks_refuse_names_in_braces(kind: str, path: str, tmp_path: Path) -> None:
    trainer = make_trainer()
    who = "Ensemble.fit" if path.startswith("{member") else "ModelCheckpoint"
    with pytest.raises(ValueError, match=rf"^{kind}: expected a path, got .* stands for what only {who} knows"):
        fit(getattr(callbacks, kind)(tmp_path / path), trainer=trainer)
    assert (trainer.iteration, names(tmp_path)) == (0, [])
    literal = getattr(callbacks, kind)(tmp_path / "{4a-b}")  # no name, so a file may be called this
    fit(literal, trainer=trainer, epochs=1)
