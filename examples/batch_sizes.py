"""Stochastic, batch and mini-batch gradient descent compared (row S25).

All three make the same kind of update, weights := weights - rate * gradient. They differ in the number of examples over
which the gradient is averaged:

- stochastic gradient descent: one example. Updates are cheap and many, but each follows the opinion of one example, so
  the path is noisy, and with a constant rate it does not come to rest at the minimum.
- batch gradient descent: all examples. The path is smooth and each update is the best one for its rate, but there is
  only one for each pass through the data.
- mini-batch gradient descent: some of them, here 32. Its noise is much smaller, and a processor computes 32 examples in
  little more time than one, because they are columns of one matrix product.

`descend` fits a plane, y = w1 x1 + w2 x2, so that the path of its two weights can be drawn. Its loss is a bowl whose
minimum least squares gives exactly. What remains of the loss above it, after long training, is the noise. In theory its
mean is rate * variance of y * (mean x1^2 + mean x2^2) / batch size, for examples drawn at random; shuffled passes
through the data, as here, have somewhat less.

`learn_digits` trains a network on handwritten digits. Each batch size sees the same number of examples; by then, one
example at a time has made the most updates and taken the most time, and all at once have hardly begun to learn.
All have the same rate here; larger batches, whose gradients are less noisy, bear larger ones.
"""

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from drawing import BLUE, GREEN, ORANGE, new_figure, output_folder, save
from matplotlib.axes import Axes
from sklearn.datasets import load_digits

import nnfast as nf
from nnfast import layers

KINDS = {"stochastic": 1, "mini-batch": 32, "batch": None}
"""Batch sizes; None for all examples."""
COLORS = dict(zip(KINDS, (ORANGE, GREEN, BLUE), strict=True))
NOISE = 0.5
"""Standard deviation of the targets around the plane."""
RATE, START = 0.05, (-2.0, 2.0)


class Curve(NamedTuple):
    """Loss on all examples after a number of updates, of examples seen, and of seconds."""

    updates: list[int]
    examples: list[int]
    seconds: list[float]
    losses: list[float]


def batches(count: int, size: int | None, epochs: int, seed: int = 0) -> list[np.ndarray]:
    """Indices of the examples of each update: in every epoch all of them, in a new order."""
    rng = np.random.default_rng(seed)
    size = size or count
    orders = (rng.permutation(count) for _ in range(epochs))
    return [order[start : start + size] for order in orders for start in range(0, count, size)]


# ---- two weights -----------------------------------------------------------------


def line_data(count: int = 1024) -> tuple[np.ndarray, np.ndarray]:
    """Inputs of different sizes, and targets around x1 - x2."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 2)) * [1.0, 0.4]
    return x, x @ [[1.0], [-1.0]] + rng.normal(scale=NOISE, size=(count, 1))


def descend(size: int | None, epochs: int = 10, rate: float = RATE) -> np.ndarray:
    """The weights (n, 2) before the first and after each update."""
    x, y = line_data()
    weights = layers.Dense(1, use_bias=False, kernel_initializer=np.reshape(START, (2, 1)))
    net = nf.Network([layers.Input((2,)), weights], dtype="float64")
    trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(rate))
    visited = [net.parameters["dense.kernel"][:, 0].copy()]
    for rows in batches(len(x), size, epochs):
        trainer.train_on_batch(x[rows], y[rows])
        visited.append(net.parameters["dense.kernel"][:, 0].copy())
    return np.array(visited)


def minimum() -> np.ndarray:
    """The weights of least squares."""
    return np.asarray(np.linalg.lstsq(*line_data(), rcond=None)[0][:, 0])


def loss_above_minimum(weights: np.ndarray) -> np.ndarray:
    """For each of the weights (..., 2): the mean squared error of all examples minus the smallest possible one."""
    x, _ = line_data()
    away = weights - minimum()
    return np.asarray(np.einsum("...i,ij,...j", away, x.T @ x / len(x), away))


def noise(size: int | None, epochs: int = 40) -> float:
    """The mean loss above the minimum in the second half of a path."""
    above = loss_above_minimum(descend(size, epochs))
    return float(above[len(above) // 2 :].mean())


# ---- a network -------------------------------------------------------------------


def digits() -> tuple[np.ndarray, np.ndarray]:
    """1,792 images of 64 pixels from 0 to 1, and their labels."""
    x, y = load_digits(return_X_y=True)
    return (x[:1792] / 16).astype("float32"), y[:1792]


def learn_digits(size: int | None, epochs: int = 10, rate: float = 0.05) -> Curve:
    """Train a network; the loss on all examples is measured some times on the way, with the clock stopped."""
    x, y = digits()
    net = nf.Network([layers.Input((64,)), layers.Dense(64, "relu"), layers.Dense(10, "softmax")], seed=0)
    trainer = nf.Trainer(net, loss="cross_entropy", optimizer=nf.optimizers.SGD(rate))
    steps = batches(len(x), size, epochs)
    measured = set(np.unique(np.geomspace(1, len(steps), 30).astype(int)))
    curve = Curve([0], [0], [0.0], [trainer.evaluate(x, y)["loss"]])
    seconds, seen = 0.0, 0
    for step, rows in enumerate(steps, start=1):
        inputs, labels = x[rows], y[rows]
        started = time.perf_counter()
        trainer.train_on_batch(inputs, labels)
        seconds += time.perf_counter() - started
        seen += len(rows)
        if step in measured:
            for values, value in zip(curve, (step, seen, seconds, trainer.evaluate(x, y)["loss"]), strict=True):
                values.append(value)
    return curve


# ---- pictures --------------------------------------------------------------------


def draw_paths(axes: Axes, paths: dict[str, np.ndarray]) -> None:
    """The three paths on lines of equal loss."""
    side = np.linspace(-2.4, 2.6, 161)
    plane = np.stack(np.meshgrid(side, side), axis=-1)
    axes.contour(
        side, side, loss_above_minimum(plane), levels=np.geomspace(0.01, 16, 10), colors="#c9cdd3", linewidths=0.8
    )
    for name, visited in paths.items():
        axes.plot(*visited.T, "-" if name == "stochastic" else ".-", color=COLORS[name], linewidth=1.1, markersize=4)
    axes.plot(*minimum(), "*", color="black", markersize=12, zorder=3)
    axes.set(title="Paths of two weights", xlabel="w1", ylabel="w2", xlim=(-2.4, 1.8), ylim=(-1.8, 2.4))
    axes.grid(False)


def picture(folder: Path, paths: dict[str, np.ndarray], curves: dict[str, Curve]) -> Path:
    """The paths, and the loss of the networks over updates, examples and seconds."""
    figure, panels = new_figure(13, 10, 2, 2)
    (first, second), (third, fourth) = panels
    draw_paths(first, paths)
    for axes, values, title in (
        (second, "updates", "Digits: loss over updates"),
        (third, "examples", "Digits: loss over examples seen"),
        (fourth, "seconds", "Digits: loss over time"),
    ):
        for name, curve in curves.items():
            axes.plot(getattr(curve, values), curve.losses, ".-", color=COLORS[name], label=name)
        axes.set(title=title, xlabel=values, ylabel="cross-entropy", yscale="log")
    second.set_xscale("symlog")
    second.set_xlim(left=0)
    second.legend()
    return save(figure, folder, "batch_sizes.png")


def main(folder: Path, epochs: int = 10) -> None:
    paths = {name: descend(size, epochs) for name, size in KINDS.items()}
    print(f"A plane fitted with a rate of {RATE}, {epochs} passes through the data:")
    for name, size in KINDS.items():
        above = loss_above_minimum(paths[name])
        print(
            f"  {name:10}  {len(above) - 1:6,} updates, loss above the minimum from {above[0]:.2f} to {above[-1]:8.1e},"
            f" later on average {noise(size, 4 * epochs):.1e}"
        )
    curves = {name: learn_digits(size, epochs) for name, size in KINDS.items()}
    print(f"Digits, {epochs} passes through the data:")
    for name, curve in curves.items():
        print(f"  {name:10}  {curve.updates[-1]:6,} updates in {curve.seconds[-1]:.3f} s, loss {curve.losses[-1]:.4f}")
    picture(folder, paths, curves)


if __name__ == "__main__":
    main(output_folder())
