"""What a network looks at, and how to deceive it: gradients by the input.

The gradient of a network's output by its input says which pixels the answer depends on (a saliency map; Simonyan et al.
2014, arXiv:1312.6034). The gradient of the loss says how to change each pixel a little so that the answer becomes
wrong: the fast gradient sign method (Goodfellow et al. 2015, arXiv:1412.6572) moves each pixel by the same small amount
in the direction in which the loss grows. To a human the digits remain what they are; random changes of the same size
hardly disturb the network.

Trains on MNIST if it is found, and otherwise on the digits that come with scikit-learn, as mnist.py does.

Usage: python examples/adversarial.py [--epochs N] [--limit N] [--seed N] [--output FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np
from drawing import BLUE, GREY, ORANGE, save
from matplotlib.figure import Figure
from mnist import Data, find_data

import nnfast as nf
from nnfast import layers

SIZES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25)
"""How far each pixel is moved; from white to black it is 1."""
SHOWN_SIZE = 0.2


def pixels(images: np.ndarray, data: Data) -> np.ndarray:
    """Images with values from 0 to 1."""
    return (images / data.most_ink).astype("float32")


def build(image_shape: tuple[int, ...], seed: int) -> nf.Network:
    """A small convolutional network from pixels to logits."""
    chain = [
        layers.Input(image_shape),
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.MaxPool2D(2),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPool2D(2),
        layers.Flatten(),
        layers.Dense(10),
    ]
    return nf.Network(chain, seed=seed, name="digits")


def train(net: nf.Network, x: np.ndarray, y: np.ndarray, epochs: int) -> None:
    """Cross entropy, by Adam."""
    trainer = nf.Trainer(net, loss=nf.losses.CrossEntropy(from_logits=True), optimizer=nf.optimizers.Adam(2e-3))
    trainer.fit(x, y, epochs=epochs, batch_size=64, progress=False)


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def saliency(net: nf.Network, x: np.ndarray) -> np.ndarray:
    """How much the answer's logit depends on each pixel: the size of its gradient by the input."""
    logits, pullback = net.vjp(x)
    _, dx = pullback(np.eye(10, dtype="float32")[logits.argmax(axis=1)])
    return np.abs(dx)


def loss_gradient(net: nf.Network, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The gradient of each image's cross entropy by its pixels."""
    logits, pullback = net.vjp(x)
    _, dx = pullback(probabilities(logits) - np.eye(10, dtype="float32")[y])
    return dx


def fast_gradient_sign(net: nf.Network, x: np.ndarray, y: np.ndarray, size: float) -> np.ndarray:
    """Images of which each pixel is moved by `size`, within 0 to 1, so that the loss grows."""
    return np.clip(x + np.float32(size) * np.sign(loss_gradient(net, x, y)), 0, 1)


def random_signs(x: np.ndarray, size: float, seed: int = 0) -> np.ndarray:
    """Images of which each pixel is moved by `size`, within 0 to 1, at random."""
    signs = np.random.default_rng(seed).choice(np.float32([-1, 1]), x.shape)
    return np.clip(x + np.float32(size) * signs, 0, 1)


def accuracy(net: nf.Network, x: np.ndarray, y: np.ndarray) -> float:
    """Fraction of images classified correctly."""
    return float(np.mean(net.predict(x).argmax(axis=1) == y))


def compare(net: nf.Network, x: np.ndarray, y: np.ndarray) -> dict[float, tuple[float, float]]:
    """Accuracies by the size of the change: along the gradient's sign, and at random."""
    return {
        size: (accuracy(net, fast_gradient_sign(net, x, y, size), y), accuracy(net, random_signs(x, size), y))
        for size in SIZES
    }


def draw_images(figure: Figure, net: nf.Network, x: np.ndarray, y: np.ndarray) -> None:
    """One column for each image: the image, its saliency, the change, and the image after it, with the answers."""
    changed = fast_gradient_sign(net, x, y, SHOWN_SIZE)
    maps = saliency(net, x)
    maps = maps / maps.max(axis=(1, 2, 3), keepdims=True)
    rows = (
        ("image", x, {"cmap": "gray_r", "vmin": 0, "vmax": 1}),
        ("what the\nanswer\ndepends on", maps, {"cmap": "inferno", "vmin": 0, "vmax": 1}),
        ("change:\nred darker,\nblue lighter", changed - x, {"cmap": "RdBu_r", "vmin": -0.33, "vmax": 0.33}),
        ("adversarial\nexample", changed, {"cmap": "gray_r", "vmin": 0, "vmax": 1}),
    )
    grid = figure.subplots(len(rows), len(x))
    for axes, (label, images, options) in zip(grid, rows, strict=True):
        answers = probabilities(net.predict(images)) if images is x or images is changed else None
        for column, (axis, image) in enumerate(zip(axes, images, strict=True)):
            axis.imshow(image[..., 0], **options)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            if answers is not None:
                answer = answers[column].argmax()
                color = "black" if answer == y[column] else "firebrick"
                axis.set_title(
                    f"{answer}  {answers[column, answer]:.0%}", fontsize=10, fontweight="normal", color=color
                )
        axes[0].set_ylabel(label, rotation=0, ha="right", va="center", labelpad=8)


def picture(folder: Path, title: str, net: nf.Network, x: np.ndarray, y: np.ndarray, found: dict) -> Path:
    """The first image of each digit that the network classifies correctly, and the accuracies."""
    right = net.predict(x).argmax(axis=1) == y
    first = [np.flatnonzero(right & (y == digit))[:1] for digit in range(10)]
    rows = np.concatenate(first)
    figure = Figure(figsize=(11, 8.2), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.9, 1])
    top.suptitle(f"{title}: the answers before and after each pixel has moved by {SHOWN_SIZE:g}", fontweight="bold")
    draw_images(top, net, x[rows], y[rows])
    axes = bottom.subplots()
    for column, (name, color) in enumerate((("sign of the gradient", ORANGE), ("random sign", BLUE))):
        axes.plot(SIZES, [100 * values[column] for values in found.values()], "o-", color=color, label=name)
    axes.axvline(SHOWN_SIZE, color=GREY, linewidth=1, linestyle="--")
    axes.set(ylim=(0, 102), xlabel="how far each pixel is moved (white to black is 1)", ylabel="accuracy, %")
    axes.set_title("Accuracy on test images")
    axes.legend()
    return save(figure, folder, "adversarial.png")


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Saliency maps and adversarial examples.")
    parser.add_argument("--epochs", type=int, help="(default: 2 for MNIST, 20 for scikit-learn's digits)")
    parser.add_argument("--limit", type=int, help="number of images to train on (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the initial weights and the order of the images")
    parser.add_argument("--download", action="store_true", help="fetch MNIST if needed; needs pip install pooch")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "output", help="folder of the picture")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> dict[float, tuple[float, float]]:
    """Train, print the table and save the picture; returns the accuracies of `compare`."""
    options = parse_arguments(arguments)
    data = find_data(options.download)
    x, x_test = pixels(data.x_train[: options.limit], data), pixels(data.x_test, data)
    net = build(x.shape[1:], options.seed)
    epochs = options.epochs or (2 if data.title == "MNIST" else 20)
    train(net, x, data.y_train[: options.limit], epochs)

    found = compare(net, x_test, data.y_test)
    print(f"{data.title}: test accuracy {accuracy(net, x_test, data.y_test):.2%}")
    print("pixels moved by  gradient's sign  random sign")
    for size, (adversarial, random) in found.items():
        print(f"{size:15g}  {adversarial:15.2%}  {random:11.2%}")
    options.output.mkdir(parents=True, exist_ok=True)
    picture(options.output, data.title, net, x_test, data.y_test, found)
    return found


if __name__ == "__main__":
    main()
