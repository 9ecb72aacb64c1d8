"""S10, the fifth rung of the MNIST ladder: a committee of convolutional networks.

Networks that differ in their seed only, each trained with a recipe of `mnist_convnet.py`, make different mistakes: the
mean of their probabilities is right more often than any of them alone, and so is their vote. Augmentation is as in
Ciresan, Meier & Schmidhuber (2012), Multi-column deep neural networks for image classification, arXiv:1202.2745, whose
35 networks reached 99.77 %, but without elastic distortions: shifts, rotations and zooms. The number of networks was
fixed beforehand; the test set is not used for any decision. Networks that see digits stretched to one width, as there,
were tried: three for a width of 14 pixels have 99.51 % alone, and as further members add nothing (99.67 %).
Draws the accuracy of smaller committees, and the digits that the committee gets wrong.

Usage: python examples/mnist_committee.py [--members N] [--jobs N] [--recipe best|one-epoch] [--epochs N] [--limit N]
       [--validation]
"""

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from drawing import BLUE, GREY, ORANGE, save
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from mnist import Data
from mnist_convnet import RECIPES, Recipe, build, fit_options, optimizer
from mnist_rungs import data_and_recipe, parser_for, verdict
from numpy.typing import NDArray

import nnfast as nf

MEMBERS = 10
TARGET = 0.997
"""Test accuracy to reach."""


class Result(NamedTuple):
    """Test accuracies of the members and of the committee."""

    alone: list[float]
    mean: float
    """Of the mean of the probabilities."""
    vote: float
    """Of the class with most votes."""


class Finished(nf.callbacks.Callback):
    """Prints a line after the training of each member."""

    def on_train_begin(self) -> None:
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.loss = logs["loss"]

    def on_train_end(self) -> None:
        seconds = time.perf_counter() - self.started
        print(f"trained seed {self.trainer.network.seed}  loss {self.loss:.4f}  {seconds:.1f} s", flush=True)


def train(data: Data, recipe: Recipe, members: int, jobs: int | None = None) -> nf.Ensemble:
    """A trained committee of networks with the seeds 0, 1, ..., one after the other or in several processes."""
    committee = nf.Ensemble.build(
        lambda seed: build(recipe, seed),
        members,
        loss="cross_entropy",
        optimizer=optimizer(recipe, len(data.x_train)),
        metrics=["accuracy"],
    )
    committee.fit(data.x_train, data.y_train, n_jobs=jobs, callbacks=[Finished()], **fit_options(recipe))
    return committee


def evaluate(committee: nf.Ensemble, data: Data) -> Result:
    """Test accuracies of each network alone, of the mean of their probabilities, and of their vote."""
    alone = [trainer.evaluate(data.x_test, data.y_test)["accuracy"] for trainer in committee.trainers]
    voters = nf.Ensemble(committee.networks, combine="vote", loss="cross_entropy", metrics=["accuracy"])
    mean, vote = (each.evaluate(data.x_test, data.y_test)["accuracy"] for each in (committee, voters))
    return Result(alone, mean, vote)


def by_size(
    probabilities: NDArray[np.float32], truth: NDArray[np.uint8], tries: int = 50
) -> tuple[list[float], list[float]]:
    """Accuracies of committees of 1, 2, ... of the members (M, N, K), by mean and by vote: means of random choices."""
    rng = np.random.default_rng(0)
    votes = np.eye(probabilities.shape[-1], dtype=np.float32)[probabilities.argmax(axis=2)]
    means: list[list[float]] = [[], []]
    for size in range(1, len(probabilities) + 1):
        chosen = [rng.choice(len(probabilities), size, replace=False) for _ in range(tries)]
        for row, ballots in zip(means, (probabilities, votes), strict=True):
            answers = [ballots[members].sum(axis=0).argmax(axis=1) for members in chosen]
            row.append(float(np.mean(np.array(answers) == truth)))
    return means[0], means[1]


def draw_sizes(axes: Axes, means: tuple[list[float], list[float]], alone: list[float]) -> None:
    sizes = np.arange(1, len(alone) + 1)
    for accuracies, title, color in zip(means, ("mean of probabilities", "vote"), (BLUE, ORANGE), strict=True):
        axes.plot(sizes, 100 * np.array(accuracies), "o-", color=color, label=title)
    axes.plot(np.ones(len(alone)), 100 * np.array(alone), "_", color=GREY, markersize=12, label="each network alone")
    axes.set(xlabel="networks", ylabel="test accuracy (%)", title="Committees of randomly chosen members")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()


def draw_mistakes(part: SubFigure, data: Data, probabilities: NDArray[np.float32], columns: int = 8) -> None:
    """The first 40 misclassified digits: answer and its probability, truth below."""
    answers = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(answers != data.y_test)
    shown = wrong[: 5 * columns]
    part.suptitle(f"{len(wrong)} mistakes of {len(answers):,}", fontweight="bold")
    axes = part.subplots(max(1, -(-len(shown) // columns)), columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, number in zip(axes.flat, shown, strict=False):
        answer = answers[number]
        axis.imshow(data.x_test[number, ..., 0], cmap="gray_r")
        axis.set_title(
            f"{answer}  {probabilities[number, answer]:.0%}\nis a {data.y_test[number]}",
            fontsize=9,
            fontweight="normal",
        )


def picture(folder: Path, committee: nf.Ensemble, data: Data) -> Path:
    """Accuracy over the number of networks, and the committee's mistakes."""
    probabilities = np.stack([net.predict(data.x_test) for net in committee.networks])
    alone = [float(np.mean(each.argmax(axis=1) == data.y_test)) for each in probabilities]
    figure = Figure(figsize=(15, 6), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.4])
    draw_sizes(left.subplots(), by_size(probabilities, data.y_test), alone)
    draw_mistakes(right, data, committee.predict(data.x_test))
    return save(figure, folder, "mnist_committee.png")


def main(arguments: list[str] | None = None) -> Result:
    """Train a committee; returns the test accuracies."""
    parser = parser_for("The fifth rung of the MNIST ladder: a committee.", RECIPES, "best")
    parser.add_argument("--members", type=int, default=MEMBERS, help=f"networks to train (default: {MEMBERS})")
    parser.add_argument("--jobs", type=int, help="processes that train, -1 for one per processor; needs joblib")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parent / "output", help="folder for the committee and the picture"
    )
    options = parser.parse_args(arguments)
    data, recipe = data_and_recipe(options, RECIPES)

    committee = train(data, recipe, options.members, options.jobs)
    options.output.mkdir(parents=True, exist_ok=True)
    model = options.output / "mnist_committee.safetensors"
    committee.save(model)
    print(f"saved {model}")

    result = evaluate(committee, data)
    rows = {f"seed {seed}": value for seed, value in enumerate(result.alone)}
    rows["mean of the networks alone"] = float(np.mean(result.alone))
    rows["committee, mean of probabilities"] = result.mean
    rows["committee, vote"] = result.vote
    print(f"{data.title}, {options.recipe}, {len(committee)} networks")
    for name, value in rows.items():
        print(f"{name:34}{value:.2%}")
    print(f"committee {result.mean:.2%}, {verdict(result.mean, TARGET)}")
    picture(options.output, committee, data)
    return result


if __name__ == "__main__":
    main()
