"""S10, the first two rungs of the MNIST ladder: one layer, and one hidden layer of 625 units.

Each rung is trained with three seeds; its result is the mean of the test accuracies after the last epoch. The test set
is not used for any decision: no epoch, no seed and no recipe. Also draws the weights of 100 hidden units.

Usage: python examples/mnist_ladder.py [--download] [--output FOLDER]
"""

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from mnist import MNIST_RECIPES, Data, build, load, train
from numpy.typing import NDArray

import nnfast as nf

SEEDS = (0, 1, 2)


class Rung(NamedTuple):
    """A rung of the ladder: a network of `mnist.build` and the test accuracy to reach."""

    title: str
    kind: str
    target: float


RUNGS = (Rung("one layer", "one", 0.925), Rung("784-625-10", "hidden", 0.982))


def climb(rung: Rung, data: Data) -> tuple[list[float], nf.Network]:
    """The test accuracy of each seed, and the last network."""
    accuracies = []
    for seed in SEEDS:
        started = time.perf_counter()
        net = build(data, rung.kind, seed)
        accuracies.append(train(net, data, MNIST_RECIPES[rung.kind], report=False))
        print(f"{rung.title}  seed {seed}  {accuracies[-1]:.2%}  {time.perf_counter() - started:.1f} s", flush=True)
    return accuracies, net


def draw_hidden_units(path: Path, net: nf.Network, x_train: NDArray[np.uint8]) -> None:
    """The incoming weights of the first 100 units as 28 x 28 images: positive in red, negative in blue."""
    figure = Figure(figsize=(9, 9))
    nf.plot.hidden_units(net, "dense", (28, 28), x=x_train, axes=figure.add_axes((0, 0, 1, 1)))
    figure.savefig(path, dpi=100)


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Climb the ladder; returns the mean test accuracy of each rung."""
    parser = argparse.ArgumentParser(description="The first two rungs of the MNIST ladder.")
    parser.add_argument("--download", action="store_true", help="fetch MNIST if needed; needs pip install pooch")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parent / "output", help="folder for the picture of hidden units"
    )
    options = parser.parse_args(arguments)
    data = load(options.download)

    means = {}
    for rung in RUNGS:
        accuracies, net = climb(rung, data)
        means[rung.title] = float(np.mean(accuracies))
        verdict = "reached" if means[rung.title] >= rung.target else "MISSED"
        print(f"{rung.title}  mean {means[rung.title]:.2%}, {rung.target:.1%} {verdict}")
    options.output.mkdir(parents=True, exist_ok=True)
    picture = options.output / "hidden_units.png"
    draw_hidden_units(picture, net, data.x_train)
    print(f"drew {picture}")
    return means


if __name__ == "__main__":
    main()
