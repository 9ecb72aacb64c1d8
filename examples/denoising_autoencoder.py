"""Noise removal by an autoencoder (row S23): handwritten digits come out of noise that hides them.

An autoencoder squeezes its input through a code that is much smaller, and rebuilds it. Noise is as large in every
direction and does not fit through; digits do. In training, noise is added to each image, always another one, and the
error is that against the image without it (Vincent et al. 2008). The gain is measured in decibels, as the peak
signal-to-noise ratio, 10 log10(1 / mean squared error) for pixels from 0 to 1, of 10,000 digits that were not trained
on. For comparison, the best linear autoencoder with a code of the same size: principal components.

Usage: python examples/denoising_autoencoder.py [FOLDER] [--limit N] [--epochs N] [--download]
"""

import argparse
from pathlib import Path

import numpy as np
from drawing import new_figure, save
from numpy.typing import NDArray

import nnfast as nf

NOISE = 0.5
"""Standard deviation; pixels are from 0 to 1."""
CODE = 64
Images = NDArray[np.float32]


def noisy(images: Images, seed: int = 0) -> Images:
    """Images with normal noise, which leaves the range from 0 to 1."""
    noise: Images = NOISE * np.random.default_rng(seed).standard_normal(images.shape, dtype=np.float32)
    return images + noise


def decibels(images: Images, truth: Images) -> float:
    """Peak signal-to-noise ratio."""
    return float(-10 * np.log10(np.mean((images - truth) ** 2)))


def build(seed: int = 0) -> nf.Network:
    """Two convolutions to 64 numbers, and back."""
    return nf.models.autoencoder((28, 28, 1), CODE, (), (16, 32), noise=NOISE, seed=seed)


def train(network: nf.Network, images: Images, epochs: int) -> None:
    """The input is the target: the network adds the noise by itself, in training alone."""
    steps = epochs * -(-len(images) // 64)
    optimizer = nf.optimizers.Adam(nf.schedules.Cosine(2e-3, steps))
    nf.Trainer(network, loss="mse", optimizer=optimizer).fit(
        images, images, epochs=epochs, batch_size=64, progress=False
    )


def principal_components(images: Images, given: Images) -> Images:
    """What remains of `given` in the space of the first principal components of `images`."""
    flat = images.reshape(len(images), -1)
    mean = flat.mean(axis=0)
    directions = np.linalg.eigh(np.cov(flat, rowvar=False))[1][:, -CODE:].astype("float32")
    return ((given.reshape(len(given), -1) - mean) @ directions @ directions.T + mean).reshape(given.shape)


def picture(folder: Path, rows: dict[str, Images]) -> Path:
    """Each row shows the same digits."""
    figure, panels = new_figure(10, 1.12 * len(rows) + 0.3, len(rows), 1, squeeze=False)
    for axes, (title, images) in zip(panels[:, 0], rows.items(), strict=True):
        axes.imshow(np.hstack(list(images[..., 0])), cmap="gray_r", vmin=0, vmax=1)
        axes.set_title(title, loc="left", fontsize=11)
        axes.axis("off")
    return save(figure, folder, "denoising_autoencoder.png")


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Noise removal by an autoencoder, on MNIST.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="where the picture goes (default: here)")
    parser.add_argument("--limit", type=int, help="number of images to train on (default: all 60,000)")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="of the initial weights and the noise in training")
    parser.add_argument("--download", action="store_true", help="fetch MNIST if needed; needs pip install pooch")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Train, print the ratios and draw; returns the ratios by method."""
    options = parse_arguments(arguments)
    try:
        (x_train, _), (x_test, y_test) = nf.data.load_mnist(download=options.download)
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from error
    clean, truth = (x.astype("float32") / 255 for x in (x_train[: options.limit], x_test))
    given = noisy(truth)
    network = build(options.seed)
    train(network, clean, options.epochs)

    results = {
        "with noise": given,
        f"{CODE} principal components": principal_components(clean, given),
        "autoencoder": network.predict(given),
    }
    found = {
        name: decibels(np.clip(images, 0, 1) if name != "with noise" else images, truth)
        for name, images in results.items()
    }
    for name, value in found.items():
        print(f"{name:25}{value:6.2f} dB, gain {value - found['with noise']:6.2f} dB")
    shown = [int(np.flatnonzero(y_test == digit)[0]) for digit in range(10)]
    rows = {f"{name}: {found[name]:.1f} dB": images[shown] for name, images in results.items()}
    options.folder.mkdir(parents=True, exist_ok=True)
    picture(options.folder, {**rows, "original": truth[shown]})
    return found


if __name__ == "__main__":
    main()
