"""What sparse units look for (row S23): a penalty on activity makes hidden units find the strokes of digits.

Two autoencoders with 100 hidden sigmoid units reproduce handwritten digits, with tied weights: each unit adds the image
that it looks for. In the first, half of the units are active for each digit, and what they look for means nothing by
itself. In the second, each unit pays for being active in more than a twentieth of the digits (Ng 2011, Sparse
autoencoder, CS294A lecture notes): it specializes in a stroke or a shape, and a digit is written with a few of them.

Usage: python examples/sparse_autoencoder.py [FOLDER] [--limit N] [--epochs N] [--download]
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from drawing import BLUE, ORANGE, save
from matplotlib.figure import Figure
from numpy.typing import NDArray

import nnfast as nf
from nnfast import ops

UNITS = 100
ACTIVITY = 0.05
"""How active a sparse unit should be, on average."""
WEIGHT = 0.003
"""Of the penalty."""
Rows = NDArray[np.float32]


def sparsity(h: Any) -> Any:
    """The divergence of the mean activity of each unit (over the batch) from that which is wanted, summed."""
    mean = ops.mean(h, axis=0)
    active = ACTIVITY * ops.log(ACTIVITY / mean)
    inactive = (1 - ACTIVITY) * ops.log((1 - ACTIVITY) / (1 - mean))
    return WEIGHT * ops.sum(active + inactive)


def build(is_sparse: bool, seed: int = 0) -> nf.Network:
    """One hidden layer; with tied weights, each unit writes the image that it looks for."""
    penalty = sparsity if is_sparse else None
    return nf.models.autoencoder(
        784, UNITS, (), code_activation="sigmoid", tied=True, activity_regularizer=penalty, seed=seed
    )


def train(network: nf.Network, x: Rows, epochs: int) -> None:
    optimizer = nf.optimizers.Adam(5e-3)
    nf.Trainer(network, loss="mse", optimizer=optimizer).fit(x, x, epochs=epochs, batch_size=128, progress=False)


def activities(network: nf.Network, x: Rows) -> Rows:
    """(N, 100): of each unit for each digit, from 0 to 1."""
    return network.extract("code").predict(x)


def error(network: nf.Network, x: Rows) -> float:
    """Mean squared error of the reproduction."""
    return float(np.mean((network.predict(x) - x) ** 2))


def picture(folder: Path, networks: dict[str, nf.Network], x: Rows) -> Path:
    figure = Figure(figsize=(13, 9.4), layout="constrained")
    panels = figure.subplot_mosaic([[*networks], ["histogram", "histogram"]], height_ratios=[3, 1])
    for (name, network), color in zip(networks.items(), (ORANGE, BLUE), strict=True):
        # The image of length 1 that makes a unit most active is that of its weights.
        nf.plot.hidden_units(network, "code", (28, 28), x=x, axes=panels[name])
        panels[name].set_title(f"{name}: what its {UNITS} units look for")
        panels["histogram"].hist(
            activities(network, x).ravel(), bins=50, range=(0, 1), color=color, alpha=0.7, label=name, density=True
        )
    panels["histogram"].set(title="activity of units", xlabel="activity", ylabel="density", yscale="log")
    panels["histogram"].legend()
    figure.suptitle("Red: ink that makes a unit active, and that it adds. Blue: ink that it removes.")
    return save(figure, folder, "sparse_autoencoder.png")


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Sparse hidden units on MNIST.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="where the picture goes (default: here)")
    parser.add_argument("--limit", type=int, help="number of images to train on (default: all 60,000)")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="of the initial weights and the order of the images")
    parser.add_argument("--download", action="store_true", help="fetch MNIST if needed; needs pip install pooch")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> dict[str, tuple[float, float, float]]:
    """Train, print and draw; returns the error, the mean activity and the active units, by kind."""
    options = parse_arguments(arguments)
    try:
        (x_train, _), (x_test, _) = nf.data.load_mnist(download=options.download)
    except FileNotFoundError as failed:
        raise SystemExit(str(failed)) from failed
    x, unseen = (images.reshape(-1, 784).astype("float32") / 255 for images in (x_train[: options.limit], x_test))

    networks = {"without penalty": build(False, options.seed), "sparse": build(True, options.seed)}
    found = {}
    for name, network in networks.items():
        train(network, x, options.epochs)
        h = activities(network, unseen)
        active = float((h > 0.5).sum(axis=1).mean())
        found[name] = error(network, unseen), float(h.mean()), active
        print(
            f"{name:16} squared error {found[name][0]:.4f}, mean activity {found[name][1]:.3f}, "
            f"{active:4.1f} of {UNITS} units above 0.5 for a digit"
        )
    options.folder.mkdir(parents=True, exist_ok=True)
    picture(options.folder, networks, unseen)
    return found


if __name__ == "__main__":
    main()
