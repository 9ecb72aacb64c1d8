"""Callbacks that change the learning rate."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_networks import line

import nnfast as nf
from nnfast import callbacks, schedules


def trainer(rate: Any = 0.5) -> nf.Trainer:
    return nf.Trainer(line(), loss="mse", optimizer=nf.optimizers.SGD(rate))


def rates_of(callback: callbacks.ReduceLROnPlateau, figures: list[float], rate: float = 1.0) -> list[float]:
    """The rate of each epoch when the loss is as given."""
    callback.trainer = trainer(rate)
    callback.on_train_begin()
    used = []
    for epoch, figure in enumerate(figures):
        logs = {"loss": figure}
        callback.on_epoch_end(epoch, logs)
        used.append(logs["learning_rate"])
    return used


def keras_rates(
    figures: list[float], rate: float, factor: float, patience: int, min_delta: float, cooldown: int, min_lr: float
) -> list[float]:
    """Keras's documented rule, for mode "min"."""
    best, wait, cooling, used = math.inf, 0, 0, []
    for figure in figures:
        used.append(rate)
        if cooling > 0:
            cooling -= 1
            wait = 0
        if figure < best - min_delta:
            best, wait = figure, 0
        elif cooling == 0:
            wait += 1
            if wait >= patience and rate > min_lr:
                rate = max(rate * factor, min_lr)
                cooling, wait = cooldown, 0
    return used


@given(
    st.lists(st.integers(0, 8), min_size=1, max_size=40),
    st.integers(0, 4),
    st.sampled_from([0.0, 1.0, 2.5]),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.03, 0.5]),
)
def test_plateaus_as_in_keras(
    figures: list[int], patience: int, min_delta: float, cooldown: int, min_lr: float
) -> None:
    options = {"factor": 0.25, "patience": patience, "min_delta": min_delta, "cooldown": cooldown, "min_lr": min_lr}
    losses = [float(figure) for figure in figures]
    reduce = callbacks.ReduceLROnPlateau("loss", **options)
    assert rates_of(reduce, losses) == keras_rates(losses, 1.0, **options)
    assert reduce.best == min(losses) or min_delta > 0


def test_plateaus_where_more_is_better() -> None:
    reduce = callbacks.ReduceLROnPlateau("accuracy", factor=0.5, patience=1)
    reduce.trainer = trainer(1.0)
    reduce.on_train_begin()
    for epoch, figure in enumerate([0.5, 0.6, 0.6, 0.7]):
        reduce.on_epoch_end(epoch, {"accuracy": figure})
    assert reduce.trainer.optimizer.learning_rate == 0.5


def test_a_plateau_in_a_run(rng: np.random.Generator, capsys: pytest.CaptureFixture[str]) -> None:
    """With a rate of 0 the loss stays. The rate is that of the steps: the history of the trainer has the same."""
    reduce = callbacks.ReduceLROnPlateau("val_loss", patience=1, factor=0.5, verbose=True)
    one = trainer(1e-30)
    data = rng.normal(size=(4, 3)), np.ones((4, 2))
    history = one.fit(*data, epochs=3, validation_data=data, callbacks=reduce, progress=False)
    assert list(history) == ["loss", "val_loss", "learning_rate"]
    assert history["learning_rate"] == history.learning_rate == [1e-30, 1e-30, 5e-31]
    assert one.optimizer.learning_rate == 2.5e-31
    assert capsys.readouterr().err == (
        "epoch 2: ReduceLROnPlateau: learning rate 1e-30 -> 5e-31\n"
        "epoch 3: ReduceLROnPlateau: learning rate 5e-31 -> 2.5e-31\n"
    )
    assert repr(reduce) == "ReduceLROnPlateau(factor=0.5, patience=1, verbose=True)"


def test_a_resumed_plateau(tmp_path: Path) -> None:
    """Two halves are the whole, also within a cooldown."""
    figures = [5.0, 4, 4, 4, 4, 4, 4, 4, 3, 3, 3, 3]
    options: dict[str, Any] = {"factor": 0.5, "patience": 2, "cooldown": 2, "min_delta": 0}
    whole = rates_of(callbacks.ReduceLROnPlateau("loss", **options), figures)
    for cut in range(1, len(figures)):
        first, rest = (callbacks.ReduceLROnPlateau("loss", **options) for _ in range(2))
        used = rates_of(first, figures[:cut])
        rest.trainer = first.trainer
        rest.on_train_begin()
        rest.set_state(first.get_state())
        for epoch, figure in enumerate(figures[cut:]):
            logs = {"loss": figure}
            rest.on_epoch_end(epoch, logs)
            used.append(logs["learning_rate"])
        assert used == whole


@pytest.mark.parametrize("make", [callbacks.ReduceLROnPlateau, lambda: callbacks.LearningRateScheduler(float)])
@pytest.mark.parametrize("rate", [schedules.Cosine(0.1, 100), lambda step: 0.1], ids=["schedule", "function"])
def test_a_rate_that_changes_by_itself_is_refused(make: Any, rate: Any) -> None:
    callback = make()
    match = f"{type(callback).__name__}: expected a number as the optimizer's learning rate.*SGD\\(learning_rate="
    with pytest.raises(TypeError, match=match):
        trainer(rate).fit(np.ones((2, 3)), np.ones((2, 2)), epochs=1, callbacks=callback)


@pytest.mark.parametrize("factor", [1.0, -0.1, 2.0])
def test_factors_that_do_not_reduce_are_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="ReduceLROnPlateau: expected 0 <= factor < 1"):
        callbacks.ReduceLROnPlateau(factor=factor)


@pytest.mark.parametrize(
    "schedule",
    [lambda epoch, rate: rate * 0.5, lambda epoch: 0.25 * 0.5**epoch],
    ids=["epoch and rate", "epoch"],
)
def test_a_rate_for_each_epoch(schedule: Any, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]) -> None:
    """The steps are those of a run whose rate is set by hand."""
    x, t = rng.normal(size=(8, 3)), rng.normal(size=(8, 2))
    one, by_hand = trainer(), trainer()
    scheduler = callbacks.LearningRateScheduler(schedule, verbose=True)
    history = one.fit(x, t, epochs=3, batch_size=4, callbacks=scheduler, progress=False)
    for rate in (0.25, 0.125, 0.0625):
        by_hand.optimizer.learning_rate = rate
        by_hand.fit(x, t, epochs=1, batch_size=4, progress=False)
    assert history["learning_rate"] == history.learning_rate == [0.25, 0.125, 0.0625]
    assert np.array_equal(one.network.flat(), by_hand.network.flat())
    assert capsys.readouterr().err.startswith("epoch 1: LearningRateScheduler: learning rate 0.25\nepoch 2: ")


@pytest.mark.parametrize("wrong", [-1.0, math.nan, math.inf])
def test_wrong_rates_are_refused(wrong: float) -> None:
    scheduler = callbacks.LearningRateScheduler(lambda epoch: wrong)
    with pytest.raises(ValueError, match="LearningRateScheduler: expected a finite rate in epoch 0 >= 0, got"):
        trainer().fit(np.ones((2, 3)), np.ones((2, 2)), epochs=1, callbacks=scheduler)
    with pytest.raises(TypeError, match=r"LearningRateScheduler: expected a function \(epoch, rate\)"):
        callbacks.LearningRateScheduler(0.1)  # type: ignore[arg-type]
