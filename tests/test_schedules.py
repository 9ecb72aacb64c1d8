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
    schedules.Polynomial(0.1, STEPS, final=0.01, power=1.5),
    schedules.Polynomial(0.1, 15, cycle=True),
    schedules.InverseTime(0.1, 10, 0.5, staircase=True),
    schedules.CosineRestarts(0.1, 10, period_factor=1.5, peak_factor=0.5, final=0.01),
    schedules.Warmup(schedules.Warmup(schedules.Cosine(0.1, STEPS), 5, initial=0.2), 4),
    schedules.Warmup(0.1, 10),
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


@pytest.mark.parametrize(
    "schedule",
    [s for s in ALL if hasattr(s, "final") and not hasattr(s, "peak_factor") and not getattr(s, "cycle", False)],
    ids=repr,
)
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


# ---- Keras's schedules ------------------------------------------------------------------


def keras_cosine_restarts(
    step: float, initial: float, first: int, t_mul: float = 2.0, m_mul: float = 1.0, alpha: float = 0.0
) -> float:
    """Keras's documented formula."""
    done = step / first
    if t_mul == 1.0:
        restarts, part = np.floor(done), done - np.floor(done)
    else:
        restarts = np.floor(np.log(1 - done * (1 - t_mul)) / np.log(t_mul))
        part = (done - (1 - t_mul**restarts) / (1 - t_mul)) / t_mul**restarts
    return float(initial * ((1 - alpha) * 0.5 * m_mul**restarts * (1 + np.cos(np.pi * part)) + alpha))


def keras_polynomial(step: int, initial: float, steps: int, end: float, power: float, cycle: bool) -> float:
    """Keras's documented formula."""
    if cycle:
        steps = steps * max(1, -(-step // steps))
    else:
        step = min(step, steps)
    return (initial - end) * (1 - step / steps) ** power + end


@pytest.mark.parametrize("options", [{}, {"t_mul": 1.0, "m_mul": 0.8}, {"t_mul": 1.3, "m_mul": 0.5, "alpha": 0.1}])
def test_restarts_as_in_keras(options: dict[str, float]) -> None:
    """Between the steps, because at the restarts rounding decides in the formula."""
    got = schedules.CosineDecayRestarts(0.3, 7, **options)
    for step in range(400):
        expected = keras_cosine_restarts(step + 0.25, 0.3, 7, **options)
        assert got(step + 0.25) == pytest.approx(expected, rel=1e-10)  # type: ignore[arg-type]


@pytest.mark.parametrize("factor", [1.0, 1.0001, 1.5, 2.0, 3.0])
def test_restarts_begin_where_they_should(factor: float) -> None:
    """Periods of whole steps, or as near as their sums are; the wave falls in between."""
    schedule = schedules.CosineRestarts(1.0, 8, period_factor=factor)
    starts = [0.0]
    while starts[-1] < 2000:
        starts.append(starts[-1] + 8 * factor ** (len(starts) - 1))
    for step in range(2000):
        period = int(np.searchsorted(starts, step + 1e-9, side="right")) - 1
        t = (step - starts[period]) / (8 * factor**period)
        assert schedule(step) == pytest.approx((1 + np.cos(np.pi * t)) / 2, abs=1e-9)


@pytest.mark.parametrize("cycle", [False, True])
@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_polynomials_as_in_keras(power: float, cycle: bool) -> None:
    schedule = schedules.PolynomialDecay(0.3, 7, 0.01, power, cycle)
    for step in range(40):
        expected = keras_polynomial(step, 0.3, 7, 0.01, power, cycle)
        assert schedule(step) == pytest.approx(expected, rel=1e-13)


def test_other_schedules_of_keras() -> None:
    steps = np.arange(60)
    exponential = schedules.ExponentialDecay(0.3, decay_steps=7, decay_rate=0.9, staircase=True)
    np.testing.assert_allclose(curve(exponential, 60), 0.3 * 0.9 ** (steps // 7), rtol=1e-13)
    for staircase, time in ((False, steps / 7), (True, steps // 7)):
        inverse = schedules.InverseTimeDecay(0.3, decay_steps=7, decay_rate=0.9, staircase=staircase)
        np.testing.assert_allclose(curve(inverse, 60), 0.3 / (1 + 0.9 * time), rtol=1e-13)
    cosine = schedules.CosineDecay(0.3, decay_steps=50, alpha=0.1)
    wave = 0.5 * (1 + np.cos(np.pi * np.minimum(steps, 50) / 50))
    np.testing.assert_allclose(curve(cosine, 60), 0.3 * (0.9 * wave + 0.1), rtol=1e-13)
    warm = schedules.CosineDecay(0.1, decay_steps=50, alpha=0.1, warmup_target=0.3, warmup_steps=10)
    np.testing.assert_allclose(curve(warm, 10), 0.1 + 0.2 * steps[:10] / 10, rtol=1e-13)
    np.testing.assert_allclose(curve(warm, 70)[10:], curve(cosine, 60), rtol=1e-13)
    # "Use a rate of 1.0 for the first 100001 steps, 0.5 for the next 10000 steps, and 0.1 for any additional steps."
    pieces = schedules.PiecewiseConstantDecay([100000, 110000], [1.0, 0.5, 0.1])
    assert [pieces(step) for step in (100000, 100001, 110000, 110001)] == [1.0, 0.5, 0.5, 0.1]


def test_names_of_keras_that_are_misspelled() -> None:
    with pytest.raises(TypeError, match="CosineDecay: unknown argument 'initial_lr'; did you mean"):
        schedules.CosineDecay(initial_lr=0.1, decay_steps=10)  # type: ignore[call-arg]
    with pytest.raises(AttributeError, match="no attribute 'CosineDecy'; did you mean 'CosineDecay'"):
        schedules.CosineDecy  # type: ignore[attr-defined]  # noqa: B018


# ---- PyTorch's schedulers ---------------------------------------------------------------


def torch_rates(make: Any, rate: float, steps: int) -> list[float]:
    torch = pytest.importorskip("torch")
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=rate)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("make", "schedule"),
    [
        (lambda s, o: s.PolynomialLR(o, total_iters=30, power=2.0), schedules.Polynomial(0.5, 30, power=2.0)),
        (lambda s, o: s.ExponentialLR(o, gamma=0.9), schedules.Exponential(0.5, 1, 0.9)),
        (lambda s, o: s.StepLR(o, 7, gamma=0.5), schedules.Exponential(0.5, 7, 0.5, staircase=True)),
        (lambda s, o: s.MultiStepLR(o, [7, 20]), schedules.Piecewise([7, 20], [0.5, 0.05, 0.005])),
        (lambda s, o: s.CosineAnnealingLR(o, 50, eta_min=0.1), schedules.Cosine(0.5, 50, final=0.1)),
        (
            lambda s, o: s.CosineAnnealingWarmRestarts(o, 6, T_mult=2, eta_min=0.1),
            schedules.CosineRestarts(0.5, 6, final=0.1),
        ),
        (lambda s, o: s.LinearLR(o, 0.2, total_iters=9), schedules.Warmup(0.5, 9, initial=0.1)),
        (
            lambda s, o: s.OneCycleLR(o, 0.5, total_steps=51, pct_start=0.4, final_div_factor=10),
            schedules.OneCycle(0.5, 50, rise=(0.4 * 51 - 1) / 50, final=0.002),
        ),
    ],
    ids=lambda value: "" if callable(value) and not isinstance(value, schedules.Schedule) else type(value).__name__,
)
def test_schedules_of_pytorch(make: Any, schedule: schedules.Schedule) -> None:
    expected = torch_rates(make, 0.5, 50)
    np.testing.assert_allclose(curve(schedule, 50), expected, rtol=1e-9, atol=1e-12)


# ---- schedules within schedules ---------------------------------------------------------


def test_a_warm_up_goes_before_any_schedule() -> None:
    inner = schedules.Exponential(0.8, 4, 0.5)
    schedule = schedules.Warmup(inner, 3)
    np.testing.assert_allclose(curve(schedule, 4), [0.2, 0.4, 0.6, 0.8], rtol=1e-14)
    assert [schedule(step + 3) for step in range(20)] == [inner(step) for step in range(20)]
    assert repr(schedules.Warmup(0.1, 3)) == "Warmup(Constant(0.1), 3)"
    with pytest.raises(TypeError, match="Warmup: expected a Schedule or a number as schedule, got <class"):
        schedules.Warmup(schedules.Cosine, 3)
    with pytest.raises(TypeError, match="Warmup: expected a Schedule or a number as schedule"):
        schedules.Warmup(lambda step: 0.1, 3)


def test_a_schedule_of_the_user_within_another_is_saved(tmp_path: Path) -> None:
    first = trainer(schedules.Warmup(Halving(0.5), 2))
    first.save_checkpoint(tmp_path / "run.safetensors")
    resumed = nf.Trainer.resume(tmp_path / "run.safetensors", custom_objects={"Halving": Halving})
    assert repr(resumed.optimizer) == repr(first.optimizer)
    with pytest.raises(ValueError, match="Halving"):
        nf.Trainer.resume(tmp_path / "run.safetensors")


def test_a_file_cannot_ask_for_any_depth() -> None:
    description: Any = {"class": "Constant", "config": {"value": 0.1}}
    for _ in range(500):
        description = {"class": "Warmup", "config": {"schedule": description, "steps": 1, "initial": None}}
    with pytest.raises(ValueError, match="at most 16 schedules within each other"):
        schedules.from_description(description, {})


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("StepLR", "Exponential"),
        ("MultiStepLR", "Piecewise"),
        ("OneCycleLR", "OneCycle"),
        ("CosineAnnealingWarmRestarts", "CosineRestarts"),
    ],
)
def test_names_of_pytorch_are_answered(name: str, hint: str) -> None:
    with pytest.raises(AttributeError, match=rf"no attribute '{name}'; write schedules\.{hint}\("):
        getattr(schedules, name)
