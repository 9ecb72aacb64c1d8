"""TerminateOnNaN, LambdaCallback, Timing and OptunaPruning."""

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from small_networks import line, same

import nnfast as nf
from nnfast import callbacks, layers, schedules


@pytest.mark.parametrize("batch", [0, 2])
@pytest.mark.parametrize("by_batch", [False, True])
def test_a_diverging_run_ends_with_the_last_good_weights(
    batch: int, by_batch: bool, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    """One row overflows. The steps before it count as the epoch, if there are any."""
    x, t = rng.normal(size=(16, 3)).astype("float32"), rng.normal(size=(16, 2)).astype("float32")
    broken = x.copy()
    broken[4 * batch + 1] = 1e30
    trainer = nf.Trainer(line(dtype="float32"), loss="mse")
    terminate = callbacks.TerminateOnNaN()
    ended = []
    own = [callbacks.LambdaCallback(on_train_end=lambda logs: ended.append(list(logs)))]
    if by_batch:
        own.append(callbacks.LambdaCallback(on_batch_end=lambda batch, logs: None))
    history = trainer.fit(
        broken, t, epochs=3, batch_size=4, shuffle=False, validation_data=(x, t), callbacks=[terminate, *own]
    )
    assert trainer.iteration == batch
    assert history.epoch == [0] * (batch > 0)
    assert ended == [["loss", "val_loss"] if batch else []]
    assert f"in batch {batch} " in str(terminate.error)
    assert f"TerminateOnNaN: {terminate.error}\n" in capsys.readouterr().err
    by_hand = nf.Trainer(line(dtype="float32"), loss="mse")
    for i in range(batch):
        by_hand.train_on_batch(x[4 * i : 4 * i + 4], t[4 * i : 4 * i + 4])
    assert same(trainer.network, by_hand.network)
    trainer.fit(x, t, epochs=1, batch_size=4, callbacks=terminate)
    assert terminate.error is None


@pytest.mark.parametrize("schedule", [False, True])
def test_a_diverging_run_says_where_and_what_to_try(schedule: bool, rng: np.random.Generator) -> None:
    """Layer and batch in the message; step, rate and remedies in a note below it."""
    x, t = rng.normal(size=(200, 3)).astype("float32"), rng.normal(size=(200, 1)).astype("float32")
    chain = [layers.Input((3,)), layers.Dense(8, "relu"), layers.Dense(1)]
    rate = schedules.Exponential(1e5, 1, 10.0) if schedule else 1e6
    trainer = nf.Trainer(nf.Network(chain, seed=0), loss="mse", optimizer=nf.optimizers.SGD(rate))
    with pytest.raises(RuntimeError, match=r"^dense(_1)?: expected .*, got NaN or infinity, in batch \d+ ") as caught:
        trainer.fit(x, t, epochs=100, batch_size=80, progress=False)
    step = trainer.iteration
    note = "\n".join(caught.value.__notes__)
    assert note.startswith(f"In step {step} of the trainer, with a learning rate of ")
    used = float(note.removeprefix(f"In step {step} of the trainer, with a learning rate of ").split(". ")[0])
    assert used == pytest.approx(1e5 * 10.0**step if schedule else 1e6)
    for remedy in ("smaller learning rate", "global_clipnorm=1.0", "from_logits=True", "find_learning_rate"):
        assert remedy in note


def test_other_errors_are_no_end(rng: np.random.Generator) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("mine")

    trainer = nf.Trainer(line(), loss="mse", gradient_callback=fail)
    with pytest.raises(RuntimeError, match="mine") as caught:
        trainer.fit(np.ones((4, 3)), np.ones((4, 2)), epochs=1, callbacks=callbacks.TerminateOnNaN())
    assert not hasattr(caught.value, "__notes__")


def test_functions_as_a_callback(rng: np.random.Generator) -> None:
    calls: list[Any] = []
    names = [name for name in dir(callbacks.Callback) if name.startswith("on_")]
    data = rng.normal(size=(4, 3)), np.ones((4, 2))

    def record(name: str) -> Any:
        return lambda *given: calls.append((name, *given[:-1]))

    own = callbacks.LambdaCallback(**{name: record(name) for name in names})
    nf.Trainer(line(), loss="mse").fit(*data, epochs=1, validation_data=data, callbacks=own)
    assert calls == [
        ("on_train_begin",),
        ("on_epoch_begin", 0),
        ("on_train_batch_begin", 0),
        ("on_train_batch_end", 0),
        ("on_test_begin",),
        ("on_test_end",),
        ("on_epoch_end", 0),
        ("on_train_end",),
    ]
    with pytest.raises(TypeError, match=r"unknown argument 'on_epoch_ends'; did you mean 'on_epoch_end'\?"):
        callbacks.LambdaCallback(on_epoch_ends=print)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="expected a function as on_epoch_end, got 3"):
        callbacks.LambdaCallback(on_epoch_end=3)  # type: ignore[arg-type]


def test_times_are_part_of_the_history(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on by a second with each look at it."""
    from nnfast.training.callbacks import timing

    now = iter(range(100))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: float(next(now)))
    data = rng.normal(size=(10, 3)), np.ones((10, 2))
    own = callbacks.Timing()
    calls = own.on_train_begin, own.on_epoch_begin, own.on_test_begin, own.on_epoch_end
    own.trainer = nf.Trainer(line(), loss="mse")
    own.params = {"batch_size": 4, "samples": 10}
    begin, epoch_begin, test_begin, epoch_end = calls
    begin()  # 0
    logs: dict[str, float] = {}
    epoch_begin(0)  # 1
    own.trainer.fit(*data, epochs=1, batch_size=4, progress=False)
    while next(now) < 10:
        pass
    test_begin()  # 11
    epoch_end(0, logs)  # 12
    assert (logs["seconds"], own.total) == (11.0, 12.0)
    assert logs["samples_per_second"] == 1.0


class Trial:
    """Says what it was told, and prunes in one epoch."""

    def __init__(self, prune: int) -> None:
        self.prune = prune
        self.reports: list[Any] = []

    def report(self, value: float, step: int) -> None:
        self.reports.append((step, value))

    def should_prune(self) -> bool:
        return len(self.reports) > self.prune


class Pruned(Exception):
    pass


@pytest.mark.parametrize("expected", ["given", "optuna", "own"])
def test_pruning(expected: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    optuna = ModuleType("optuna")
    optuna.TrialPruned = Pruned  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "optuna", None if expected == "own" else optuna)

    class Mine(Exception):
        pass

    wanted = {"given": Mine, "optuna": Pruned, "own": callbacks.TrialPruned}[expected]
    trial, trainer = Trial(prune=2), nf.Trainer(line(), loss="mse")
    own = callbacks.OptunaPruning(trial, "loss", exception=Mine if expected == "given" else None)
    with pytest.raises(wanted, match="pruned after epoch 2: loss = "):
        trainer.fit(rng.normal(size=(4, 3)), np.ones((4, 2)), epochs=9, callbacks=own)
    assert trial.reports == list(enumerate(trainer.history["loss"]))
    with pytest.raises(TypeError, match="OptunaPruning: expected a trial with a method report, got 3"):
        callbacks.OptunaPruning(3)
