"""Major types of networks: feedforward, convolutional and recurrent (row S15).

In a feedforward network of dense layers, every unit has its own weight for every pixel: what it learns about a stroke
in one position says nothing about the same stroke elsewhere. A convolutional network uses the same weights everywhere.
A recurrent network reads the image row by row, with the same weights for each row, and keeps what it has read. All are
trained on digits in the middle of the image; then the digits are shifted, down, up, right or left. Images are the field
of the second type; that of the third, sequences, is in tone_sequences.py and recurrent_text.py.
"""

from pathlib import Path

import numpy as np
from drawing import BLUE, GREEN, ORANGE, new_figure, output_folder, save
from sklearn.datasets import load_digits

import nnfast as nf
from nnfast import layers

SIZE = 14
"""Size of the images: 8 x 8 digits with a margin of three pixels."""
SHIFTS = range(4)
Data = tuple[np.ndarray, np.ndarray]


def data(shift: int = 0) -> tuple[Data, Data]:
    """Training and test set (N, 14, 14, 1), centered or shifted by `shift` pixels in one of four directions."""
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.images))
    images = np.pad(digits.images[order] / 16, ((0, 0), (3, 3), (3, 3))).astype("float32")[..., None]
    directions = np.array([(0, 1), (0, -1), (1, 0), (-1, 0)])[np.arange(len(images)) % 4] * shift
    moved = np.stack([np.roll(image, tuple(by), (0, 1)) for image, by in zip(images, directions, strict=True)])
    labels = digits.target[order]
    return (moved[:1400], labels[:1400]), (moved[1400:], labels[1400:])


def feedforward(seed: int = 0) -> nf.Network:
    """Every unit is connected to every pixel."""
    return nf.Network(
        [
            layers.Input((SIZE, SIZE, 1)),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ],
        seed=seed,
        name="feedforward",
    )


def convolutional(seed: int = 0) -> nf.Network:
    """The same weights everywhere; the maximum of the scores counts, wherever it is."""
    return nf.Network(
        [
            layers.Input((SIZE, SIZE, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPool2D(2),
            layers.Conv2D(48, 3, activation="relu"),
            layers.GlobalMaxPool2D(),
            layers.Dense(10, activation="softmax"),
        ],
        seed=seed,
        name="convolutional",
    )


def recurrent(seed: int = 0) -> nf.Network:
    """A row at each step; the last state has read the whole image."""
    return nf.Network(
        [
            layers.Input((SIZE, SIZE, 1)),
            layers.Reshape((SIZE, SIZE)),
            layers.LSTM(48),
            layers.Dense(10, activation="softmax"),
        ],
        seed=seed,
        name="recurrent",
    )


def accuracies(net: nf.Network, epochs: int = 30) -> list[float]:
    """Train on centered digits; accuracy on unseen ones, centered and shifted by 1, 2 and 3 pixels."""
    trainer = nf.Trainer(net, loss="cross_entropy", optimizer=nf.optimizers.Adam(2e-3), metrics=["accuracy"])
    trainer.fit(*data()[0], epochs=epochs, batch_size=32, progress=False)
    return [trainer.evaluate(*data(shift)[1])["accuracy"] for shift in SHIFTS]


def main(folder: Path) -> None:
    figure, axes = new_figure(8, 4.6)
    for make, color in ((feedforward, BLUE), (convolutional, ORANGE), (recurrent, GREEN)):
        net = make()
        found = accuracies(net)
        shown = ", ".join(f"{accuracy:.1%}" for accuracy in found)
        print(f"{net.name:13}  {net.num_parameters:6,} parameters  moved by 0, 1, 2, 3 pixels: {shown}")
        axes.plot(SHIFTS, found, "o-", color=color, label=f"{net.name}, {net.num_parameters:,} parameters")
    axes.set(title="Digits that have moved", xlabel="pixels", ylabel="accuracy on unseen digits", ylim=(0, 1.02))
    axes.set_xticks(SHIFTS)
    axes.legend()
    save(figure, folder, "network_types.png")


if __name__ == "__main__":
    main(output_folder())
