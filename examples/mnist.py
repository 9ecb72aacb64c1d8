"""Train a classifier of handwritten digits, save it, load it again, and draw its predictions for some test digits.

Trains on MNIST (60,000 images of 28 x 28 pixels) if `nnfast.data.load_mnist` finds it, and otherwise on the 1,797
smaller digits (8 x 8) that come with scikit-learn. Options: python examples/mnist.py --help
"""

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import nnfast as nf
from nnfast import callbacks, layers

DIGITS_TEST_SIZE = 360
"""The last fifth of scikit-learn's digits."""


class Data(NamedTuple):
    """A data set: images (N, H, W, 1) uint8 with values from 0 to `most_ink`, labels (N,) from 0 to 9."""

    title: str
    most_ink: int
    x_train: NDArray[np.uint8]
    y_train: NDArray[np.uint8]
    x_test: NDArray[np.uint8]
    y_test: NDArray[np.uint8]


class Recipe(NamedTuple):
    """Training options. The learning rate decreases linearly from its initial value to 0."""

    epochs: int
    batch_size: int
    learning_rate: float


HIDDEN_UNITS = {"one": (), "hidden": (625,)}
# Selected on the last 10,000 training images of MNIST, with networks that were not trained on them.
MNIST_RECIPES = {"one": Recipe(20, 128, 2e-3), "hidden": Recipe(10, 128, 2e-3)}
DIGITS_RECIPES = {"one": Recipe(60, 32, 1e-2), "hidden": Recipe(20, 32, 2e-3)}


def mnist_data(download: bool = False) -> Data:
    """MNIST from this machine, or from its mirror if `download`; FileNotFoundError if it is missing."""
    (x_train, y_train), (x_test, y_test) = nf.data.load_mnist(download=download)
    return Data("MNIST", 255, x_train, y_train, x_test, y_test)


def validation_split(data: Data, rows: int = 10_000) -> Data:
    """Another split, to select recipes with: the last training images are the test images, and not trained on."""
    train, test = slice(None, -rows), slice(-rows, None)
    x, y = data.x_train, data.y_train
    return data._replace(
        title=f"{data.title}, validation", x_train=x[train], y_train=y[train], x_test=x[test], y_test=y[test]
    )


def load(download: bool = False, validation: bool = False, limit: int | None = None) -> Data:
    """MNIST for the ladder, or the end of the program; split for validation, and with `limit` training images."""
    try:
        data = mnist_data(download)
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from error
    data = validation_split(data) if validation else data
    return data._replace(x_train=data.x_train[:limit], y_train=data.y_train[:limit])


def digits_data() -> Data:
    """The digits that come with scikit-learn."""
    digits = load_digits()
    x, y = digits.images.astype(np.uint8)[..., np.newaxis], digits.target.astype(np.uint8)
    train, test = slice(None, -DIGITS_TEST_SIZE), slice(-DIGITS_TEST_SIZE, None)
    return Data("scikit-learn's digits", 16, x[train], y[train], x[test], y[test])


def find_data(download: bool) -> Data:
    """MNIST if available, else scikit-learn's digits."""
    try:
        return mnist_data(download)
    except FileNotFoundError as error:
        if download:
            raise SystemExit(str(error)) from error
        print("MNIST is not on this machine (--download fetches it, 11.6 MB): taking scikit-learn's digits")
        return digits_data()


def build(data: Data, kind: str, seed: int) -> nf.Network:
    """A network from pixels to probabilities: one layer, optionally after a hidden layer of 625 units."""
    hidden = [layers.Dense(units, activation="relu") for units in HIDDEN_UNITS[kind]]
    return nf.Network(
        [
            layers.Input(data.x_train.shape[1:]),
            layers.Rescaling(1 / data.most_ink),
            layers.Flatten(),
            *hidden,
            layers.Dense(10, activation="softmax"),
        ],
        seed=seed,
        name="digits",
    )


class Report(callbacks.Callback):
    """Prints a line after each epoch."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_epoch_begin(self, epoch: int) -> None:
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        seconds = time.perf_counter() - self.started
        test = f"test accuracy {logs['val_accuracy']:.2%}  " if "val_accuracy" in logs else ""
        print(f"epoch {epoch + 1:2}/{self.epochs}  loss {logs['loss']:.4f}  {test}{seconds:.2f} s", flush=True)


def train(net: nf.Network, data: Data, recipe: Recipe, report: bool = True) -> float:
    """Train with the recipe; returns the test accuracy after the last epoch, which is not used for any decision."""
    steps = recipe.epochs * -(-len(data.x_train) // recipe.batch_size)
    optimizer = nf.optimizers.Adam(lambda step: recipe.learning_rate * (1 - step / steps))
    trainer = nf.Trainer(net, loss="cross_entropy", optimizer=optimizer, metrics=["accuracy"])
    trainer.fit(
        data.x_train,
        data.y_train,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        validation_data=(data.x_test, data.y_test) if report else None,
        callbacks=[Report(recipe.epochs)] if report else [],
        progress=False,
    )
    return trainer.evaluate(data.x_test, data.y_test)["accuracy"]


def draw_digits(path: Path, data: Data, probabilities: NDArray[np.float32]) -> None:
    """The first 30 test digits with the network's predictions and, below them, the first 10 misclassified ones."""
    answers = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(answers != data.y_test)
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    parts = figure.subfigures(2, 1, height_ratios=[3, 1.1], squeeze=False)[:, 0]
    titles = (
        f"{data.title}: the first 30 test digits and the network's answers",
        f"The first of its {len(wrong)} mistakes on {len(answers):,} test digits",
    )
    for part, title, shown, rows in zip(parts, titles, (np.arange(30), wrong[:10]), (3, 1), strict=True):
        part.suptitle(title, fontsize=12)
        axes = part.subplots(rows, 10, squeeze=False)
        for axis in axes.flat:
            axis.set_axis_off()
        for axis, number in zip(axes.flat, shown, strict=False):
            answer, truth = answers[number], data.y_test[number]
            axis.imshow(data.x_test[number, ..., 0], cmap="gray_r", vmin=0, vmax=data.most_ink)
            axis.set_title(
                f"{answer}  {probabilities[number, answer]:.0%}" + (f"\nis a {truth}" if answer != truth else ""),
                color="black" if answer == truth else "firebrick",
                fontsize=10,
            )
    figure.savefig(path, dpi=100)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a classifier of handwritten digits.")
    parser.add_argument(
        "--layers", choices=HIDDEN_UNITS, default="hidden", help="one layer, or one hidden layer of 625 units before it"
    )
    parser.add_argument("--epochs", type=int, help="times through the training data (default: as the recipe says)")
    parser.add_argument("--seed", type=int, default=0, help="of the first weights and the order of the pictures")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parent / "output", help="folder for the model and the picture"
    )
    parser.add_argument("--download", action="store_true", help="fetch MNIST if needed; needs pip install pooch")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> float:
    """Run everything; returns the test accuracy."""
    options = parse_arguments(arguments)
    data = find_data(options.download)
    print(f"{data.title}: {len(data.x_train):,} digits to train on, {len(data.x_test):,} to test with")
    recipe = (MNIST_RECIPES if data.title == "MNIST" else DIGITS_RECIPES)[options.layers]
    if options.epochs is not None:
        recipe = recipe._replace(epochs=options.epochs)

    net = build(data, options.layers, options.seed)
    print(net.summary())
    accuracy = train(net, data, recipe)
    print(f"test accuracy {accuracy:.2%}")

    options.output.mkdir(parents=True, exist_ok=True)
    model, picture = options.output / "digits.safetensors", options.output / "digits.png"
    net.save(model)
    probabilities = net.predict(data.x_test)
    if not np.array_equal(nf.Network.load(model).predict(data.x_test), probabilities):
        raise SystemExit(f"{model}: the loaded network predicts otherwise than the saved one")
    print(f"saved {model}; loaded again, it predicts the same, bit for bit")
    draw_digits(picture, data, probabilities)
    print(f"drew {picture}")
    return accuracy


if __name__ == "__main__":
    main()
