"""Representation learning (row S23): autoencoders describe a digit by two numbers, without having seen a label.

Three ways to two numbers, each a map on which every test digit has a place: the first two principal components, which
are the best linear autoencoder; the code of a deep autoencoder (Hinton & Salakhutdinov 2006); and the code of a
variational autoencoder (Kingma & Welling 2014), whose codes together fill a standard normal distribution without holes.
Its decoder can therefore make digits from any point of the map. How much of a digit is left is measured afterwards,
with the labels: which of them the nearest neighbors on the map have.

Usage: python examples/representation_learning.py [FOLDER] [--limit N] [--epochs N] [--download]
"""

import argparse
from pathlib import Path
from statistics import NormalDist

import numpy as np
from drawing import save
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

import nnfast as nf

UNITS = (256, 64)
"""Of the hidden layers before the code; the decoder mirrors them."""
Rows = NDArray[np.float32]


def autoencoder(seed: int = 0) -> nf.Network:
    return nf.models.autoencoder(784, 2, UNITS, seed=seed)


def variational(seed: int = 0) -> nf.Network:
    return nf.models.variational_autoencoder(784, 2, UNITS, seed=seed)


def train(network: nf.Network, x: Rows, epochs: int) -> None:
    """Pixels from 0 to 1 are probabilities of ink."""
    steps = epochs * -(-len(x) // 128)
    optimizer = nf.optimizers.Adam(nf.schedules.Cosine(2e-3, steps))
    trainer = nf.Trainer(network, loss="binary_cross_entropy", optimizer=optimizer)
    trainer.fit(x, x, epochs=epochs, batch_size=128, progress=False)


def bound(network: nf.Network, x: Rows) -> float:
    """The evidence lower bound of a variational autoencoder, in nats per image, with one draw of codes."""
    return -784 * network.copy().loss_and_gradients(x, x, "binary_cross_entropy", training=True)[0]


def generated(network: nf.Network, size: int = 20) -> Rows:
    """Digits of a grid of codes whose lines are equally probable, the largest second number first."""
    quantiles = [NormalDist().inv_cdf((i + 0.5) / size) for i in range(size)]
    codes = np.array([(a, b) for b in quantiles[::-1] for a in quantiles], dtype="float32")
    return network.extract("decoded", inputs="code").predict(codes).reshape(-1, 28, 28)


def neighbors_agree(codes: Rows, labels: NDArray[np.uint8]) -> float:
    """How many digits have the label of most of their ten neighbors; half of the digits are looked up in the others."""
    half = len(codes) // 2
    model = KNeighborsClassifier(10).fit(codes[:half], labels[:half])
    return float(model.score(codes[half:], labels[half:]))


def draw_map(axes: Axes, codes: Rows, labels: NDArray[np.uint8], title: str) -> None:
    """A point for each digit, in the color of its label."""
    order = np.random.default_rng(0).permutation(len(codes))
    colors = colormaps["tab10"]
    axes.scatter(*codes[order].T, c=colors(labels[order]), s=5, linewidths=0, alpha=0.6)
    for digit in range(10):
        middle = np.median(codes[labels == digit], axis=0)
        style = {"facecolor": "white", "edgecolor": colors(digit), "boxstyle": "circle,pad=0.25"}
        axes.text(*middle, str(digit), ha="center", va="center", weight="bold", bbox=style)
    low, high = np.quantile(codes, [0.002, 0.998], axis=0)
    axes.set(title=title, xlim=(low[0], high[0]), ylim=(low[1], high[1]))


def picture(folder: Path, maps: dict[str, Rows], labels: NDArray[np.uint8], digits: Rows) -> Path:
    figure = Figure(figsize=(13, 13), layout="constrained")
    panels = figure.subplots(2, 2)
    for axes, (title, codes) in zip(panels.flat, maps.items(), strict=False):
        draw_map(axes, codes, labels, title)
    size = round(len(digits) ** 0.5)
    nf.plot.images(digits, columns=size, cmap="gray_r", vmin=0, vmax=1, axes=panels[1, 1])
    panels[1, 1].set_title("digits that its decoder makes from this map")
    return save(figure, folder, "representation_learning.png")


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Two numbers for each digit of MNIST.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="where the picture goes (default: here)")
    parser.add_argument("--limit", type=int, help="number of images to train on (default: all 60,000)")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the initial weights and the order of the images")
    parser.add_argument("--download", action="store_true", help="fetch MNIST if needed; needs pip install pooch")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Train, print and draw; returns how often neighbors agree, by method."""
    options = parse_arguments(arguments)
    try:
        (x_train, _), (x_test, labels) = nf.data.load_mnist(download=options.download)
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from error
    x, unseen = (images.reshape(-1, 784).astype("float32") / 255 for images in (x_train[: options.limit], x_test))

    deep, vae = autoencoder(options.seed), variational(options.seed)
    train(deep, x, options.epochs)
    before = bound(vae, unseen)
    train(vae, x, options.epochs)
    print(f"evidence lower bound of unseen digits: {before:.1f} before training, {bound(vae, unseen):.1f} nats after")
    codes = {
        "principal components": PCA(2, random_state=0).fit(x).transform(unseen),
        "autoencoder": deep.extract("code").predict(unseen),
        "variational autoencoder": vae.extract("mean").predict(unseen),
    }
    found = {name: neighbors_agree(each, labels) for name, each in codes.items()}
    for name, value in found.items():
        print(f"{name:25}{value:6.1%} of unseen digits have the label of their neighbors")
    maps = {f"{name}: {found[name]:.0%}": each for name, each in codes.items()}
    options.folder.mkdir(parents=True, exist_ok=True)
    picture(options.folder, maps, labels, generated(vae))
    return found


if __name__ == "__main__":
    main()
