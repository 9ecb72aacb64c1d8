"""Learning rates that change: their curves, what a checkpoint keeps of them, and bad options."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers, optimizers, schedules

STEPS = 40
ALL = [
    schedules.Constant(0.1),
    schedules.Cosine(0.1, STEPS, final=0.01, warmup=5),
    schedules.OneCycle(0.1, STEPS),
    schedules.OneCycle(0.1, STEPS, rise=0.5, initial=0.0, final=0.001, shape="linear"),
    schedules.Piecewise([10, 20], [0.1, 0.01, 0.001]),
    schedules.Exponential(0.1, 10, 0.5),
    schedules.Exponential(0.1, 10, 0.5, staircase=True),
]


def curve(schedule: schedules.Schedule, steps: int = STEPS) -> np.ndarray:
    return np.array([schedule(step) for step in range(steps)])


def test_constant() -> None:
    assert (curve(schedules.Constant(0.3)) == 0.3).all()


def test_cosine() -> None:
    t = np.arange(STEPS) / STEPS
    expected = 0.01 + 0.09 * np.cos(np.pi * t / 2) ** 2  # (1 + cos 2a) / 2 = cos^2 a
    np.testing.assert_allclose(curve(schedules.Cosine(0.1, STEPS, final=0.01)), expected, rtol=1e-13)


def test_cosine_with_a_rise() -> None:
    rates = curve(schedules.Cosine(0.6, STEPS, warmup=5))
    np.testing.assert_allclose(rates[:6], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], rtol=1e-13)
    expected = 0.6 * np.cos(np.pi * np.arange(STEPS - 5) / (STEPS - 5) / 2) ** 2
    np.testing.assert_allclose(rates[5:], expected, rtol=1e-12)


def test_one_cycle_in_straight_lines() -> None:
    rates = curve(schedules.OneCycle(1.0, 100, rise=0.25, initial=0.1, final=0.05, shape="linear"), 101)
    expected = np.interp(np.arange(101), [0, 25, 100], [0.1, 1.0, 0.05])
    np.testing.assert_allclose(rates, expected, rtol=1e-13)


def test_one_cycle_in_half_waves() -> None:
    rates = curve(schedules.OneCycle(1.0, 100, rise=0.2), 101)
    t = np.interp(np.arange(101), [0, 20, 100], [0, 1, 2])
    ends = np.where(t < 1, 1 / 25, 0.0)
    np.testing.assert_allclose(rates, ends + (1 - ends) * np.sin(np.pi * t / 2) ** 2, rtol=1e-12, atol=1e-16)
    assert rates.argmax() == 20


@pytest.mark.parametrize("shape", ["cosine", "linear"])
def test_one_cycle_may_begin_at_zero(shape: Any) -> None:
    """0 is a rate that was given, and not the default of peak / 25."""
    schedule = schedules.OneCycle(0.5, 100, rise=0.5, initial=0.0, shape=shape)
    assert (schedule.initial, schedule(0), schedule(50), schedule(100)) == (0.0, 0.0, 0.5, 0.0)
    assert schedule(25) == pytest.approx(0.25, rel=1e-14)
    assert schedules.OneCycle(0.5, 100, shape=shape)(0) == pytest.approx(0.02, rel=1e-14)


def test_piecewise_begins_a_value_at_its_boundary() -> None:
    rates = curve(schedules.Piecewise([10, 20], [3.0, 2.0, 1.0]))
    assert rates.tolist() == [3.0] * 10 + [2.0] * 10 + [1.0] * 20


def test_exponential() -> None:
    steps = np.arange(STEPS)
    np.testing.assert_allclose(curve(schedules.Exponential(0.8, 4, 0.5)), 0.8 / np.exp2(steps / 4), rtol=1e-13)
    stairs = curve(schedules.Exponential(0.8, 4, 0.5, staircase=True))
    np.testing.assert_allclose(stairs, 0.8 / np.exp2(steps // 4), rtol=1e-13)


@pytest.mark.parametrize("schedule", [s for s in ALL if hasattr(s, "final")], ids=repr)
def test_it_stays_at_the_end(schedule: Any) -> None:
    assert schedule(STEPS) == schedule(10 * STEPS) == pytest.approx(schedule.final, abs=1e-18)


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_repr_makes_the_schedule_again(schedule: schedules.Schedule) -> None:
    again = eval(repr(schedule), vars(schedules))
    assert np.array_equal(curve(again), curve(schedule))


def trainer(rate: Any) -> nf.Trainer:
    net = nf.Network([layers.Input((3,)), layers.Dense(2)], seed=0)
    return nf.Trainer(net, loss="mse", optimizer=optimizers.SGD(rate, momentum=0.9))


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_training_goes_on_from_a_checkpoint(
    schedule: schedules.Schedule, tmp_path: Path, rng: np.random.Generator
) -> None:
    """With the bits of a run whose rates are given as a table, so the curve begins where the checkpoint stood."""
    x, y = rng.normal(size=(20, 3)).astype(np.float32), rng.normal(size=(20, 2)).astype(np.float32)
    table = curve(schedule).tolist()
    first, by_table = trainer(schedule), trainer(lambda step: table[step])
    first.fit(x, y, epochs=3, batch_size=4, progress=False)
    first.save_checkpoint(tmp_path / "run.safetensors")
    resumed = nf.Trainer.resume(tmp_path / "run.safetensors")
    assert repr(resumed.optimizer) == repr(first.optimizer)
    resumed.fit(x, y, epochs=3, batch_size=4, progress=False)
    by_table.fit(x, y, epochs=6, batch_size=4, progress=False)
    for got, expected in zip(resumed.network.get_weights(), by_table.network.get_weights(), strict=True):
        assert np.array_equal(got, expected)


class Halving(schedules.Schedule):
    """Half of the rate at each step."""

    def __init__(self, initial: float) -> None:
        self.initial = initial

    def __call__(self, step: int) -> float:
        return self.initial * 0.5**step


def test_a_schedule_of_ones_own_in_a_checkpoint(tmp_path: Path) -> None:
    trainer(Halving(0.5)).save_checkpoint(tmp_path / "run.safetensors")
    with pytest.raises(ValueError, match=r"pass custom_objects=\{'Halving': Halving\}"):
        nf.Trainer.resume(tmp_path / "run.safetensors")
    resumed = nf.Trainer.resume(tmp_path / "run.safetensors", custom_objects={"Halving": Halving})
    assert resumed.optimizer.rate(3) == 0.0625


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "negative": (lambda: schedules.Constant(-1.0), ValueError, "expected a finite value >= 0"),
    "text": (lambda: schedules.Cosine("fast", 10), TypeError, "expected a real number as initial"),
    "no steps": (lambda: schedules.Cosine(0.1, 0), ValueError, "expected steps >= 1"),
    "long rise": (lambda: schedules.Cosine(0.1, 10, warmup=10), ValueError, "expected warmup < steps, got 10 and 10"),
    "no rise": (lambda: schedules.OneCycle(0.1, 10, rise=0.0), ValueError, "expected 0 < rise < 1"),
    "all rise": (lambda: schedules.OneCycle(0.1, 10, rise=1.0), ValueError, "0 <= rise < 1, got 1.0"),
    "shape": (lambda: schedules.OneCycle(0.1, 10, shape="round"), ValueError, 'expected shape "cosine" or "linear"'),
    "order": (lambda: schedules.Piecewise([2, 1], [1, 1, 1]), ValueError, "expected ascending boundaries"),
    "boundaries as text": (lambda: schedules.Piecewise("2", [1, 1]), TypeError, "a sequence of boundaries"),
    "a boundary alone": (lambda: schedules.Piecewise(2, [1, 1]), TypeError, "a sequence of boundaries"),
    "an array of no axis": (
        lambda: schedules.Piecewise([2], np.array(1.0)),
        TypeError,
        "expected a sequence of values",
    ),
    "equal": (lambda: schedules.Piecewise([2, 2], [1, 1, 1]), ValueError, "expected ascending boundaries"),
    "values": (lambda: schedules.Piecewise([2], [1]), ValueError, "got 1 values and 1 boundaries"),
    "factor": (lambda: schedules.Exponential(0.1, 10, 0.0), ValueError, "expected factor > 0"),
    "a class": (lambda: optimizers.SGD(schedules.Cosine), TypeError, r"got a class; write Cosine\(\.\.\.\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_options(name: str) -> None:
    make, error, message = BAD[name]
    with pytest.raises(error, match=message):
        make()


def test_a_bad_rate_names_its_step() -> None:
    with pytest.raises(ValueError, match="rate at step 7"):
        optimizers.SGD(lambda step: -1.0 if step == 7 else 1.0).rates(0, 10)


def test_a_rate_near_the_largest_number_does_not_overflow() -> None:
    for schedule in (schedules.Cosine(1.5e308, 10), schedules.OneCycle(1.5e308, 10, rise=0.1, initial=0.0)):
        assert max(schedule(step) for step in range(12)) == 1.5e308
