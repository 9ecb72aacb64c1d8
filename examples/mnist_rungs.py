"""Code shared by the rungs of the MNIST ladder that have recipes: options, data, and a network for each seed."""

import argparse
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from mnist import Data, load

import nnfast as nf


def parser_for(description: str, recipes: Mapping[str, Any], default: str) -> argparse.ArgumentParser:
    """A parser with the options that all rungs have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--recipe", choices=recipes, default=default)
    parser.add_argument("--epochs", type=int, help="times through the training data (default: as the recipe says)")
    parser.add_argument("--limit", type=int, help="train on the first so many digits only")
    parser.add_argument(
        "--validation", action="store_true", help="test on the last 10,000 training digits, and train on the others"
    )
    parser.add_argument("--download", action="store_true", help="fetch MNIST if needed; needs pip install pooch")
    return parser


def data_and_recipe(options: argparse.Namespace, recipes: Mapping[str, Any]) -> tuple[Data, Any]:
    """What the options ask for."""
    data = load(options.download, options.validation, options.limit)
    recipe = recipes[options.recipe]
    return data, recipe if options.epochs is None else recipe._replace(epochs=options.epochs)


def accuracy(net: nf.Network, data: Data) -> float:
    """Fraction of test digits classified correctly."""
    return float(np.mean(net.predict(data.x_test).argmax(axis=1) == data.y_test))


def train_each_seed(
    options: argparse.Namespace,
    data: Data,
    recipe: Any,
    build: Callable[[Any, int], nf.Network],
    train: Callable[[nf.Network, Data, Any, bool], float],
) -> tuple[float, nf.Network]:
    """Build and train a network for each of the seeds 0, 1, ...; returns their mean test accuracy and the last one.

    `options` has `recipe`, its name, and `seeds`, their number.
    """
    accuracies = []
    for seed in range(options.seeds):
        net = build(recipe, seed)
        if seed == 0:
            print(net.summary())
        seconds = train(net, data, recipe, True)
        accuracies.append(accuracy(net, data))
        print(f"{options.recipe}  seed {seed}  {accuracies[-1]:.2%}  {seconds:.1f} s", flush=True)
    return float(np.mean(accuracies)), net


def verdict(found: float, target: float) -> str:
    """Whether an accuracy reaches the target."""
    return f"{target:.1%} {'reached' if found >= target else 'MISSED'}"
