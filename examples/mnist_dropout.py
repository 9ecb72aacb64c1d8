"""S10, the third rung of the MNIST ladder: several hidden layers, ReLU, dropout.

Two recipes. "plain" trains on the 60,000 digits as they are; nothing tells the network which pixels are neighbors.
"shifted" also moves each digit by up to a pixel at random, each time it is seen. Recipes are selected with
--validation, on the last 10,000 training digits; no epoch and no seed is selected. The result is the mean test accuracy
of three seeds after the last epoch.

Noise is what makes a large network learn more than its training digits: dropout after the input and after each hidden
layer (Srivastava et al. 2014, JMLR 15), and normally distributed noise on the input and before each ReLU, as in the
baseline of Rasmus et al. (2015), arXiv:1507.02672.

Usage: python examples/mnist_dropout.py [--recipe plain|shifted] [--epochs N] [--seeds N] [--limit N] [--validation]
"""

import time
from typing import Any, NamedTuple

from mnist import Data, Report
from mnist_rungs import data_and_recipe, parser_for, train_each_seed, verdict

import nnfast as nf
from nnfast import layers


class Recipe(NamedTuple):
    """A network of dense layers, and its training with Adam and a one-cycle learning rate."""

    hidden: tuple[int, ...]
    """Units of the hidden layers, each with batch normalization."""
    input_dropout: float
    dropout: float
    """Of the hidden layers."""
    noise: float
    """Standard deviation of the noise on the input, whose pixels are 0 to 1, and before each ReLU."""
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


PLAIN = Recipe(
    hidden=(1000, 500, 250, 250, 250),
    input_dropout=0.1,
    dropout=0.1,
    noise=0.3,
    epochs=80,
    batch_size=100,
    peak=2e-3,
    rise=0.1,
    augmentation={},
    target=0.990,
)
RECIPES = {"plain": PLAIN, "shifted": PLAIN._replace(augmentation={"shift": 1})}


def build(recipe: Recipe, seed: int) -> nf.Network:
    """The recipe's network, from 28 x 28 pixels to probabilities."""
    chain = [
        layers.Input((28, 28, 1)),
        layers.Rescaling(1 / 255),
        layers.Flatten(),
        layers.Dropout(recipe.input_dropout),
        layers.GaussianNoise(recipe.noise),
    ]
    for units in recipe.hidden:
        chain += [
            layers.Dense(units, use_bias=False, kernel_initializer="he_normal"),
            layers.BatchNormalization(),
            layers.GaussianNoise(recipe.noise),
            layers.ReLU(),
            layers.Dropout(recipe.dropout),
        ]
    return nf.Network([*chain, layers.Dense(10, activation="softmax")], seed=seed, name="mnist")


def train(net: nf.Network, data: Data, recipe: Recipe, report: bool = False) -> float:
    """Train with the recipe; returns the time in seconds."""
    steps = recipe.epochs * -(-len(data.x_train) // recipe.batch_size)
    schedule = nf.schedules.OneCycle(recipe.peak, steps, rise=recipe.rise)
    trainer = nf.Trainer(net, loss="cross_entropy", optimizer=nf.optimizers.Adam(schedule))
    started = time.perf_counter()
    trainer.fit(
        data.x_train,
        data.y_train,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        augmentation=nf.data.Augmentation(**recipe.augmentation) if recipe.augmentation else None,
        callbacks=[Report(recipe.epochs)] if report else [],
        progress=False,
    )
    return time.perf_counter() - started


def main(arguments: list[str] | None = None) -> float:
    """Train with each seed; returns the mean test accuracy."""
    parser = parser_for("The third rung of the MNIST ladder: dropout.", RECIPES, "plain")
    parser.add_argument("--seeds", type=int, default=3, help="networks to train (default: 3)")
    options = parser.parse_args(arguments)
    data, recipe = data_and_recipe(options, RECIPES)
    mean, _ = train_each_seed(options, data, recipe, build, train)
    print(f"{data.title}: mean {mean:.3%}, {verdict(mean, recipe.target)}")
    return mean


if __name__ == "__main__":
    main()
