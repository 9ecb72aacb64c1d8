"""The examples about training (S9, S11, S14, S25): their figures against formulas and against loops in NumPy."""

import importlib
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import nnfast as nf

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="needs the source tree; only the tests are here")


def example(name: str) -> ModuleType:
    return importlib.import_module(name)


# ---- S9 ------------------------------------------------------------------------


def valley(a: float, b: float) -> tuple[float, np.ndarray]:
    return (1 - a) ** 2 + 10 * (b - a**2) ** 2, np.array([-2 * (1 - a) - 40 * a * (b - a**2), 20 * (b - a**2)])


def saddle(a: float, b: float) -> tuple[float, np.ndarray]:
    return a**2 - b**2 / 20 + b**4 / 40, np.array([2 * a, -b / 10 + b**3 / 10])


@pytest.mark.parametrize(("index", "formula"), [(0, valley), (1, saddle)])
def test_surfaces_and_the_paths_on_them(index: int, formula: Any) -> None:
    """Gradient descent and momentum, by NumPy with the derivatives written out."""
    compared = example("optimizers_compared")
    surface = compared.SURFACES[index]._replace(steps=30)
    for momentum in (0.0, 0.9):
        weights, velocity = np.array(surface.start), np.zeros(2)
        wanted = [weights]
        for _ in range(30):
            velocity = momentum * velocity - 0.002 * formula(*weights)[1]
            weights = weights + velocity
            wanted.append(weights)
        found = compared.path(surface, nf.optimizers.SGD(0.002, momentum=momentum))
        np.testing.assert_allclose(found, wanted, rtol=1e-10)
        heights = [formula(*each)[0] for each in wanted]
        np.testing.assert_allclose(compared.height(surface, found), heights, rtol=1e-10)
    lowest = {0: (1.0, 1.0), 1: (0.0, -1.0)}[index]
    assert compared.height(surface, np.array([lowest]))[0] == pytest.approx(surface.minimum, abs=1e-15)
    assert formula(*lowest)[1] == pytest.approx([0, 0], abs=1e-15)


def test_arrival_is_where_a_path_stays() -> None:
    compared = example("optimizers_compared")
    surface = compared.SURFACES[1]
    far, near = (0.0, 0.0), (0.0, 1.0)
    assert compared.arrival(surface, np.array([far, near, far, near, near])) == 3
    assert compared.arrival(surface, np.array([far, near, far])) is None


def test_a_path_ends_where_the_rate_is_too_large() -> None:
    compared = example("optimizers_compared")
    surface = compared.SURFACES[0]
    assert len(compared.path(surface, nf.optimizers.SGD(10.0))) < 4
    rate, visited = compared.best_path(surface, nf.optimizers.SGD, np.array([10.0, 0.01]))
    assert rate == 0.01
    assert len(visited) == surface.steps + 1


def test_every_optimizer_takes_part() -> None:
    methods = example("optimizers_compared").methods()
    classes = {type(make(0.1)) for make in methods.values()}
    missing = {name for name, made in nf.optimizers.CLASSES.items() if made not in classes}
    assert missing <= {"Muon", "AdamW"}
    assert {"SGD", "momentum", "Nesterov", "Adam", "RMSprop"} <= set(methods)


def test_momentum_follows_the_valley_and_leaves_the_saddle() -> None:
    compared = example("optimizers_compared")
    valley, saddle = compared.SURFACES
    methods = compared.methods()

    def steps(surface: Any, name: str, rate: float) -> float:
        return compared.arrival(surface, compared.path(surface, methods[name](rate))) or math.inf

    assert steps(valley, "SGD", 0.01) == math.inf
    assert steps(valley, "momentum", 0.0046) < 100
    assert steps(valley, "Adam", 0.2) < 100
    assert steps(saddle, "SGD", 0.46) > 2 * steps(saddle, "momentum", 0.46)
    # Gradient descent leaves the saddle as b grows by 1 + rate / 10 in a step: from .001 to .1.
    b = compared.path(saddle, methods["SGD"](0.46))[:, 1]
    assert np.argmax(b > 0.1) == pytest.approx(math.log(100) / math.log(1.046), abs=2)


def test_animation(tmp_path: Path) -> None:
    from PIL import Image

    compared = example("optimizers_compared")
    paths = {"SGD": (0.01, np.zeros((30, 2)))}
    with Image.open(compared.animate(tmp_path, [paths, paths], frames=3)) as film:
        assert film.format == "GIF"
        assert film.size == (770, 364)


# ---- S25 -----------------------------------------------------------------------


@pytest.mark.parametrize(("size", "updates"), [(1, 7), (3, 3), (7, 1), (None, 1)])
def test_every_epoch_sees_every_example_once(size: int | None, updates: int) -> None:
    found = example("batch_sizes").batches(7, size, epochs=2)
    assert len(found) == 2 * updates
    first, second = np.concatenate(found[:updates]), np.concatenate(found[updates:])
    assert sorted(first) == sorted(second) == list(range(7))
    assert first.tolist() != second.tolist()


def test_batch_gradient_descent_is_the_power_of_a_matrix() -> None:
    """The distance to the minimum is multiplied by 1 - rate H in each step, for the loss's Hessian H = 2 E x x^T."""
    topic = example("batch_sizes")
    x, y = topic.line_data()
    assert x.T @ (x @ topic.minimum()[:, None] - y) == pytest.approx(np.zeros((2, 1)), abs=1e-9)
    shrink = np.eye(2) - 0.05 * 2 * x.T @ x / len(x)
    away = topic.descend(None, epochs=8, rate=0.05) - topic.minimum()
    for n in range(9):
        assert away[n] == pytest.approx(np.linalg.matrix_power(shrink, n) @ away[0], rel=1e-9)
    for weights in topic.descend(None, epochs=2):
        found = np.mean((x @ weights - y[:, 0]) ** 2) - np.mean((x @ topic.minimum() - y[:, 0]) ** 2)
        assert topic.loss_above_minimum(weights) == pytest.approx(found, rel=1e-9)


def test_noise_of_single_examples_and_mini_batches() -> None:
    """Below, but near, the formula for random draws; and the smaller, the larger the batch."""
    topic = example("batch_sizes")
    x, _ = topic.line_data()
    random_draws = 0.05 * topic.NOISE**2 * np.mean(np.sum(x**2, axis=1))
    single, mini = topic.noise(1, epochs=8), topic.noise(32, epochs=40)
    assert 0.5 * random_draws < single < 1.5 * random_draws
    assert 0.1 * random_draws / 32 < mini < 1.5 * random_draws / 32


def test_digits_by_batch_size() -> None:
    topic = example("batch_sizes")
    stochastic, mini, batch = (topic.learn_digits(size, epochs=3) for size in topic.KINDS.values())
    for curve in (stochastic, mini, batch):
        assert curve.examples[-1] == 3 * 1792
        assert all(np.diff(curve.seconds) > 0)
    assert (stochastic.updates[-1], mini.updates[-1], batch.updates[-1]) == (3 * 1792, 3 * 56, 3)
    assert stochastic.losses[-1] < mini.losses[-1] < batch.losses[-1]
    assert batch.losses[-1] > 0.9 * math.log(10)


# ---- S11 -----------------------------------------------------------------------


@pytest.fixture
def few_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """scikit-learn's digits, on every machine."""
    monkeypatch.delenv("NNFAST_DATA", raising=False)
    for name in ("XDG_CACHE_HOME", "HOME", "LOCALAPPDATA", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    return example("overfitting").few_digits()


def test_overfitting_and_remedies(few_digits: Any) -> None:
    topic = example("overfitting")
    found = {name: topic.remedy(name, few_digits, epochs=40) for name in topic.REMEDIES}
    figures = {name: topic.figures(net, few_digits) for name, (net, _) in found.items()}
    plain, history = figures["none"], found["none"][1]
    assert plain["accuracy"] == 1.0
    assert plain["loss"] < 0.01 < 0.1 < plain["val_loss"]
    assert plain["val_loss"] == pytest.approx(history["val_loss"][-1], rel=1e-6)
    stopped, stopped_history = figures["early stopping"], found["early stopping"][1]
    assert len(stopped_history.epoch) < 40
    assert stopped["val_loss"] == pytest.approx(min(history["val_loss"][: len(stopped_history.epoch)]), rel=1e-6)
    norms = {name: np.linalg.norm(net.parameters["dense.kernel"]) for name, (net, _) in found.items()}
    assert norms["weight decay"] < 0.8 * norms["none"]
    for name in ("weight decay", "dropout"):
        assert figures[name]["loss"] > 2 * plain["loss"], name
        assert figures[name]["val_loss"] - figures[name]["loss"] < plain["val_loss"] - plain["loss"], name


def test_relu_learns_where_sigmoids_do_not(few_digits: Any) -> None:
    topic = example("overfitting")
    found = topic.activations(few_digits, epochs=15)
    accuracy = {case: history["val_accuracy"][-1] for case, (_, history) in found.items()}
    assert min(accuracy["relu", 1], accuracy["relu", 6], accuracy["sigmoid", 1]) > 0.6
    assert accuracy["sigmoid", 6] < 0.2
    # The gradient passes six sigmoids more than the last layer's, of slopes of at most 1/4.
    assert found["sigmoid", 6][0] < 0.25**6 * 10 < 0.1 < found["relu", 6][0]


# ---- S14 -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def problem() -> Any:
    return example("hyperparameters").Problem(epochs=3)


def test_the_finder_finds_a_rate_that_learns(problem: Any) -> None:
    assert 1e-3 < problem.suggestion < 0.3
    low, middle, high = (problem.try_point((rate, 0.5, 0.0)) for rate in (0.0, 0.5, 1.0))
    assert (low.rate, middle.rate, high.rate) == pytest.approx(
        [problem.suggestion / 30, problem.suggestion, problem.suggestion * 30]
    )
    assert middle.loss < min(low.loss, high.loss)
    assert (middle.units, middle.depth) == (16, 1)
    assert problem.try_point((0.5, 1.0, 1.0))[1:3] == (64, 3)
    assert problem.try_point((0.5, 0.0, 0.5))[1:3] == (4, 2)


def test_four_ways_to_search(problem: Any) -> None:
    topic = example("hyperparameters")
    grid, random = topic.by_grid(problem, 8), topic.at_random(problem, 8)
    assert [len({trial[i] for trial in grid}) for i in range(3)] == [2, 2, 2]
    assert len({trial.rate for trial in random}) == 8
    by_hand = topic.by_hand(problem, 7)
    assert (by_hand[0].units, by_hand[0].depth) == (8, 1)
    assert len(by_hand) == 7
    found = topic.by_gaussian_process(problem, 12)
    assert [trial[:4] for trial in topic.at_random(problem, 4)] == [trial[:4] for trial in found[:4]]
    assert np.mean([trial.loss for trial in found[4:]]) < np.mean([trial.loss for trial in found[:4]])
    best = min(found, key=lambda trial: trial.loss)
    assert problem.test_accuracy(best) > 0.6
    assert topic.best_so_far(found)[-1] == best.loss


def test_expected_improvement() -> None:
    """Against the mean over random draws, whose error is about 1 / sqrt(10^6) of the deviation."""
    topic = example("hyperparameters")
    mean, deviation = np.array([0.0, 1.0, -1.0]), np.array([1.0, 2.0, 0.5])
    draws = mean + deviation * np.random.default_rng(0).normal(size=(1_000_000, 3))
    wanted = np.maximum(0.3 - draws, 0).mean(axis=0)
    assert topic.expected_improvement(mean, deviation, 0.3) == pytest.approx(wanted, abs=0.006)
