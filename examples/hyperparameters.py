"""Hyper-parameters and their search: by hand, by grid, at random, and Bayesian (row S14).

Weights are learned; what must be set before is a hyper-parameter: layers, units, activations, initialization, size and
number of filters, strides, optimizer, learning rate, and other constants. Here three of them are searched for, for
a network that learns scikit-learn's digits in ten epochs: learning rate, units of a hidden layer, and number of layers.

0. The learning-rate finder, `nnfast.training.find_learning_rate`, trains for one hundred steps with a growing rate. Its
   suggestion costs less than one trial, and is the middle of the range of rates in which the others search.
1. By hand: one change at a time, which stays if it helps.
2. Grid: all combinations of a few values. 27 trials try only three different learning rates.
3. At random: 27 trials try 27 different learning rates, so it wins where one hyper-parameter matters most.
4. Bayesian: a model of the validation loss, fitted to the trials so far, says which settings promise most. With Optuna,
   if it is installed (its tree-structured Parzen estimator); otherwise with a Gaussian process from scikit-learn, which
   suggests the point of the largest expected improvement.

Every trial trains on the same 500 images and is judged by the loss on 500 others. As the best of many trials owes
something to luck, its accuracy is reported on a third set, which no trial has seen.

References: Snoek, Larochelle & Adams (2012), Practical Bayesian optimization of machine learning algorithms,
arXiv:1206.2944; Bergstra & Bengio (2012), Random search for hyper-parameter optimization, JMLR 13; Bergstra et al.
(2011), Algorithms for hyper-parameter optimization, NeurIPS 24; Smith (2015), arXiv:1506.01186.
"""

import math
import warnings
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from drawing import BLUE, GREEN, GREY, ORANGE, PURPLE, new_figure, output_folder, save
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern, WhiteKernel

import nnfast as nf
from nnfast import layers
from nnfast.training.learning_rate_finder import LearningRateCurve

Data = tuple[np.ndarray, np.ndarray]
Point = tuple[float, float, float]
"""A place in the unit cube: learning rate, units and layers, each from 0, its least value, to 1, its largest."""

FACTOR = 30.0
"""Rates are searched from the suggestion / FACTOR to the suggestion * FACTOR."""
UNITS, DEPTHS, BATCH_SIZE = (4, 64), (1, 3), 32


class Trial(NamedTuple):
    """Settings, and the validation loss that they lead to."""

    rate: float
    units: int
    depth: int
    loss: float
    network: nf.Network


def digits() -> tuple[Data, Data, Data]:
    """Images as 64 pixels from 0 to 1, and labels: 500 to train on, 500 to choose with, 797 to test with."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = (x[order] / 16).astype("float32"), y[order]
    return (x[:500], y[:500]), (x[500:1000], y[500:1000]), (x[1000:], y[1000:])


class Problem:
    """Tries settings. Epochs and batches are the same in all trials."""

    def __init__(self, epochs: int = 10) -> None:
        self.epochs = epochs
        self.training, self.validation, self.test = digits()
        self.finder = self.find_rate()
        self.suggestion = self.finder.suggestion or 0.01

    def trainer(self, rate: float, units: int, depth: int) -> nf.Trainer:
        hidden = [layers.Dense(units, "relu") for _ in range(depth)]
        net = nf.Network([layers.Input((64,)), *hidden, layers.Dense(10, "softmax")], seed=0)
        return nf.Trainer(net, loss="cross_entropy", optimizer=nf.optimizers.Adam(rate))

    def find_rate(self) -> LearningRateCurve:
        """The range test, with a network of middle size."""
        trainer = self.trainer(1e-3, units=16, depth=2)
        return nf.training.find_learning_rate(trainer, *self.training, start=1e-5, end=3.0, batch_size=BATCH_SIZE)

    def try_settings(self, rate: float, units: int, depth: int) -> Trial:
        """Train a new network, and evaluate it on the validation points."""
        trainer = self.trainer(rate, units, depth)
        trainer.fit(*self.training, epochs=self.epochs, batch_size=BATCH_SIZE, progress=False)
        loss = trainer.evaluate(*self.validation)["loss"]
        return Trial(rate, units, depth, loss, trainer.network)

    def try_point(self, point: Point) -> Trial:
        """Try the settings of a point: rate and units on a logarithmic scale."""
        rate = self.suggestion * FACTOR ** (2 * point[0] - 1)
        units = round(UNITS[0] * (UNITS[1] / UNITS[0]) ** point[1])
        return self.try_settings(rate, units, min(DEPTHS[0] + int(point[2] * 3), DEPTHS[1]))

    def test_accuracy(self, trial: Trial) -> float:
        x, y = self.test
        return float(np.mean(trial.network.predict(x).argmax(axis=1) == y))


# ---- four ways to search ---------------------------------------------------------


def by_hand(problem: Problem, trials: int) -> list[Trial]:
    """What one might do: start small, enlarge what is too small, and then refine the rate."""
    best = problem.try_settings(problem.suggestion, 8, 1)
    tried = [best]
    changes: list[Callable[[Trial], tuple[float, int, int]]] = [
        lambda now: (now.rate, now.units, now.depth + 1),
        lambda now: (now.rate, 2 * now.units, now.depth),
        lambda now: (now.rate, 2 * now.units, now.depth),
        lambda now: (now.rate * 3, now.units, now.depth),
        lambda now: (now.rate / 3, now.units, now.depth),
        lambda now: (now.rate, now.units, min(now.depth + 1, DEPTHS[1])),
    ]
    for change in changes[: trials - 1]:
        tried.append(problem.try_settings(*change(best)))
        best = min(best, tried[-1], key=lambda trial: trial.loss)
    return tried


def by_grid(problem: Problem, trials: int) -> list[Trial]:
    """As many values of each as `trials` allows, evenly spaced."""
    values = round(trials ** (1 / 3))
    side = np.linspace(0, 1, values + 2)[1:-1] if values > 1 else np.array([0.5])
    return [problem.try_point((a, b, c)) for a, b, c in product(side, repeat=3)]


def at_random(problem: Problem, trials: int, seed: int = 0) -> list[Trial]:
    """Points of the cube, drawn independently."""
    points = np.random.default_rng(seed).random((trials, 3))
    return [problem.try_point((a, b, c)) for a, b, c in points]


def by_gaussian_process(problem: Problem, trials: int, seed: int = 0) -> list[Trial]:
    """A third of the trials at random; then each at the point, of 1,000, of the largest expected improvement."""
    rng = np.random.default_rng(seed)
    points = list(rng.random((max(trials // 3, 2), 3)))
    tried = [problem.try_point((a, b, c)) for a, b, c in points]
    kernel = Matern(length_scale=[0.3] * 3, length_scale_bounds=(0.05, 5), nu=2.5) + WhiteKernel(0.05)
    while len(tried) < trials:
        losses = np.log([trial.loss for trial in tried])  # of a logarithm the scale is about the same everywhere
        model = GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # of length scales at their bounds
            model.fit(points, losses)
        candidates = rng.random((1000, 3))
        gain = expected_improvement(*model.predict(candidates, return_std=True), losses.min())
        points.append(candidates[gain.argmax()])
        tried.append(problem.try_point(tuple(points[-1])))
    return tried


def expected_improvement(mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
    """The mean of max(best - loss, 0), for a normally distributed loss."""
    z = (best - mean) / deviation
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    below = (1 + np.vectorize(math.erf)(z / math.sqrt(2))) / 2
    return np.asarray(deviation * (z * below + density))


def by_optuna(problem: Problem, trials: int, seed: int = 0) -> list[Trial]:
    """The same by Optuna."""
    import optuna

    tried: list[Trial] = []

    def objective(trial: "optuna.Trial") -> float:
        a, b, c = (trial.suggest_float(name, 0, 1) for name in ("rate", "units", "depth"))
        tried.append(problem.try_point((a, b, c)))
        return tried[-1].loss

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed)).optimize(objective, n_trials=trials)
    return tried


def bayesian(problem: Problem, trials: int) -> tuple[str, list[Trial]]:
    """By Optuna if it is installed, else by the Gaussian process; and which of them."""
    try:
        return "Bayesian, Optuna", by_optuna(problem, trials)
    except ModuleNotFoundError:
        return "Bayesian, Gaussian process", by_gaussian_process(problem, trials)


# ---- output ----------------------------------------------------------------------


def search(problem: Problem, trials: int) -> dict[str, list[Trial]]:
    """The trials of each way."""
    found = {
        "by hand": by_hand(problem, trials),
        "grid": by_grid(problem, trials),
        "at random": at_random(problem, trials),
    }
    name, tried = bayesian(problem, trials)
    return {**found, name: tried}


def best_so_far(tried: list[Trial]) -> np.ndarray:
    """The lowest loss after each trial."""
    return np.minimum.accumulate([trial.loss for trial in tried])


def row(trial: Trial, note: str = "") -> str:
    return f"  {trial.rate:10.4f} {trial.units:6} {trial.depth:7} {trial.loss:16.4f}  {note}".rstrip()


def picture(folder: Path, problem: Problem, found: dict[str, list[Trial]]) -> Path:
    """The finder's curve, the rates tried, and the best loss so far."""
    figure, (left, middle, right) = new_figure(15, 4.8, 1, 3)
    problem.finder.plot(left)
    left.set(title="First, the learning-rate finder")
    for (name, tried), color in zip(found.items(), (GREY, ORANGE, GREEN, PURPLE), strict=True):
        middle.plot([trial.rate for trial in tried], [trial.loss for trial in tried], "o", color=color, alpha=0.75)
        right.step(range(1, len(tried) + 1), best_so_far(tried), where="post", color=color, label=name)
        right.plot(len(tried), best_so_far(tried)[-1], "o", color=color)
    middle.axvline(problem.suggestion, color=BLUE, linestyle="--", linewidth=1)
    middle.set(title="All trials", xlabel="learning rate", ylabel="validation loss", xscale="log", yscale="log")
    right.set(title="Best so far", xlabel="trials", ylabel="validation loss", yscale="log")
    right.legend()
    return save(figure, folder, "hyperparameters.png")


def main(folder: Path, trials: int = 27, epochs: int = 10) -> None:
    problem = Problem(epochs)
    low, high = problem.suggestion / FACTOR, problem.suggestion * FACTOR
    print(f"The finder suggests a learning rate of {problem.suggestion:.2g}; searched: {low:.2g} to {high:.2g}.")
    found = search(problem, trials)
    print("        rate  units  layers  validation loss")
    for name, tried in found.items():
        ranked = tried if name == "by hand" else sorted(tried, key=lambda trial: trial.loss)[:3]
        best = min(tried, key=lambda trial: trial.loss)
        print(f"{name}, {len(tried)} trials" + ("" if ranked is tried else ", the best three"))
        for trial in ranked:
            note = f"test accuracy {problem.test_accuracy(trial):.1%}" if trial is best else ""
            print(row(trial, note))
    picture(folder, problem, found)


if __name__ == "__main__":
    main(output_folder())
