"""Transfer learning: what a network has learned from many images helps where there are few.

A convolutional network learns the digits 0 to 4 from thousands of images. Without its last layer, and frozen, it
becomes the first part of a network for the digits 5 to 9, of which only 20 images each are given: at first only the new
last layer is trained, then all layers at a low learning rate. The same network trained from scratch on the same few
images is the comparison.

Usage: python examples/transfer_learning.py [--per-class N] [--limit N] [--seed N]
"""

import argparse
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import nnfast as nf
from nnfast import layers

EPOCHS, RATE = 20, 1e-3
"""For the new head."""
FINE_EPOCHS, FINE_RATE = 20, 1e-4
"""For all layers afterwards. A large rate would destroy what they have learned."""


class Images(NamedTuple):
    """Images (N, 28, 28, 1) uint8 and labels (N,) from 0 to 4."""

    x: NDArray[np.uint8]
    y: NDArray[np.int64]


def split(x: NDArray[np.uint8], y: NDArray[np.uint8]) -> tuple[Images, Images]:
    """The digits 0 to 4, and 5 to 9 with labels from 0 to 4."""
    low = y < 5
    return Images(x[low], y[low].astype("int64")), Images(x[~low], y[~low].astype("int64") - 5)


def few(images: Images, per_class: int) -> Images:
    """The first images of each class."""
    rows = np.concatenate([np.flatnonzero(images.y == label)[:per_class] for label in range(5)])
    return Images(images.x[rows], images.y[rows])


def build(seed: int) -> nf.Network:
    """A small convolutional network for five classes."""
    chain = [
        layers.Input((28, 28, 1)),
        layers.Rescaling(1 / 255),
        layers.Conv2D(16, 5, activation="relu"),
        layers.MaxPool2D(2),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPool2D(2),
        layers.Flatten(name="features"),
        layers.Dense(5, activation="softmax", name="head"),
    ]
    return nf.Network(chain, seed=seed, name="digits")


def with_new_head(network: nf.Network, seed: int) -> nf.Network:
    """The network up to its features, frozen, and an untrained head."""
    base = network.extract("features")
    base.freeze()
    x = layers.Input(base.input_shape)
    return nf.Network(inputs=x, outputs=layers.Dense(5, activation="softmax", name="head")(base(x)), seed=seed)


def train(network: nf.Network, images: Images, epochs: int, rate: float, batch_size: int = 20) -> None:
    """Train what is not frozen."""
    trainer = nf.Trainer(network, loss="cross_entropy", optimizer=nf.optimizers.Adam(rate))
    trainer.fit(images.x, images.y, epochs=epochs, batch_size=batch_size, progress=False)


def accuracy(network: nf.Network, images: Images) -> float:
    """Fraction of images classified correctly."""
    return float(np.mean(network.predict(images.x).argmax(axis=1) == images.y))


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Transfer learning on MNIST.")
    parser.add_argument("--per-class", type=int, default=20, help="images of each digit from 5 to 9 (default: 20)")
    parser.add_argument("--limit", type=int, help="images of the digits 0 to 4 (default: all 30,596)")
    parser.add_argument("--seed", type=int, default=0, help="of the initial weights and the order of the images")
    parser.add_argument("--download", action="store_true", help="fetch MNIST if needed; needs pip install pooch")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Train and print the table; returns its test accuracies."""
    options = parse_arguments(arguments)
    try:
        train_data, test_data = nf.data.load_mnist(download=options.download)
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from error
    many, rest = split(*train_data)
    test_low, test_high = split(*test_data)
    many = Images(many.x[: options.limit], many.y[: options.limit])
    given = few(rest, options.per_class)

    source = build(options.seed)
    train(source, many, epochs=1, rate=2e-3, batch_size=64)
    print(f"Digits 0 to 4, {len(many.y):,} images: test accuracy {accuracy(source, test_low):.1%}")

    found = {}
    scratch = build(options.seed + 1)
    train(scratch, given, EPOCHS + FINE_EPOCHS, RATE)
    found["from scratch"] = accuracy(scratch, test_high), len(scratch.trainable)
    network = with_new_head(source, options.seed + 1)
    train(network, given, EPOCHS, RATE)
    found["new head, the rest frozen"] = accuracy(network, test_high), len(network.trainable)
    network.unfreeze()
    train(network, given, FINE_EPOCHS, FINE_RATE)
    found["then all layers, fine-tuned"] = accuracy(network, test_high), len(network.trainable)

    print(f"\nDigits 5 to 9, {len(given.y)} images:\n{'':30}test accuracy  trained arrays")
    for name, (value, trained) in found.items():
        print(f"{name:30}{value:13.1%}  {trained:14}")
    return {name: value for name, (value, _) in found.items()}


if __name__ == "__main__":
    main()
