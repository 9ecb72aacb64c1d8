"""The Prewitt edge detector as a convolution, and learned detectors (row S12).

The nine numbers +1 +1 +1 / 0 0 0 / -1 -1 -1 were designed by hand: the sum is 0 where the image is flat and large where
it is brighter above than below. A convolutional layer has such numbers as weights and learns them: from images and the
responses of the hand-made detector, it recovers the same nine numbers; trained to classify handwritten digits, it finds
its own detectors, edges among them.
"""

from pathlib import Path

import numpy as np
from drawing import new_figure, output_folder, save
from sklearn.datasets import load_digits

import nnfast as nf
from nnfast import layers

PREWITT = np.array([[1, 1, 1], [0, 0, 0], [-1, -1, -1]])
IMAGE = np.repeat([40, 10], 3)[:, None] * np.ones((1, 3))
"""Three rows of 40 above three rows of 10."""


def detector(shape: tuple[int, int], kernel: np.ndarray | None = None) -> nf.Network:
    """A 3 x 3 convolution of gray images; with random weights if no kernel is given."""
    first = "glorot_uniform" if kernel is None else kernel[:, :, None, None]
    convolution = layers.Conv2D(1, 3, use_bias=False, kernel_initializer=first, name="detector")
    return nf.Network([layers.Input((*shape, 1)), convolution], seed=0)


def response(image: np.ndarray, kernel: np.ndarray = PREWITT) -> np.ndarray:
    """Response of a detector at each position of an image (H, W): (H - 2, W - 2)."""
    return detector(image.shape, kernel).predict(image[None, :, :, None].astype("float32"))[0, :, :, 0]


def edges(image: np.ndarray) -> np.ndarray:
    """Gradient magnitude of the image, from the responses to horizontal and vertical edges."""
    return np.hypot(response(image), response(image, PREWITT.T))


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 8, 8, 1) with values from 0 to 1, and class indices (N,)."""
    found = load_digits()
    return (found.images[..., None] / 16).astype("float32"), found.target


def learned_from_answers(epochs: int = 30) -> np.ndarray:
    """The kernel (3, 3) learned from images and the responses of the hand-made detector."""
    x, _ = digits()
    answers = detector((8, 8), PREWITT).predict(x)
    net = detector((8, 8))
    trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.Adam(0.01))
    trainer.fit(x, answers, epochs=epochs, batch_size=32, progress=False)
    return net.parameters["detector.kernel"][:, :, 0, 0].copy()


def learned_from_classes(epochs: int = 20) -> tuple[np.ndarray, float]:
    """16 kernels (3, 3, 1, 16) learned by classifying digits, and the accuracy."""
    x, y = digits()
    net = nf.Network(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(16, 3, activation="relu", name="detectors"),
            layers.MaxPool2D(2),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ],
        seed=0,
    )
    trainer = nf.Trainer(net, loss="cross_entropy", optimizer=nf.optimizers.Adam(0.01), metrics=["accuracy"])
    trainer.fit(x[:1400], y[:1400], epochs=epochs, batch_size=32, progress=False)
    return net.parameters["detectors.kernel"].copy(), trainer.evaluate(x[1400:], y[1400:])["accuracy"]


def likeness(kernels: np.ndarray) -> np.ndarray:
    """Largest cosine between each kernel (3, 3, 1, n) and Prewitt's kernel in four directions."""
    columns = kernels.reshape(9, -1)
    directions = np.stack([np.rot90(PREWITT, turns).ravel() for turns in range(4)])
    return (directions @ columns / np.linalg.norm(columns, axis=0) / np.linalg.norm(PREWITT)).max(axis=0)


def picture(folder: Path, by_answers: np.ndarray, by_classes: np.ndarray) -> Path:
    """A digit and its edges; Prewitt's kernel, the one learned from its responses, those learned by classification."""
    figure, panels = new_figure(14, 3.4, 1, 5)
    image = digits()[0][0, :, :, 0]
    for axes, shown, title in zip(panels[:2], (image, edges(image)), ("a digit", "its edges"), strict=True):
        axes.imshow(shown, cmap="gray_r")
        axes.set_title(title)
        axes.axis("off")
    order = np.argsort(-likeness(by_classes))
    kernels = (PREWITT[:, :, None, None], by_answers[:, :, None, None], by_classes[..., order])
    titles = ("Prewitt, by hand", "learned from it", "learned from classes")
    for axes, kernel, title in zip(panels[2:], kernels, titles, strict=True):
        nf.plot.filters(kernel, axes=axes)
        axes.set_title(title)
    return save(figure, folder, "prewitt.png")


def main(folder: Path) -> None:
    print(f"Three rows of 40 above three rows of 10, seen by the detector: {response(IMAGE).ravel().astype(int)}")
    by_answers = learned_from_answers()
    print(f"Learned from the detector's answers:\n{by_answers.round(3)}")
    by_classes, accuracy = learned_from_classes()
    print(f"Learned from classes: {accuracy:.1%} of unseen digits right with 16 detectors of its own;")
    print(f"likeness of each to an edge detector: {np.sort(likeness(by_classes))[::-1].round(2)}")
    picture(folder, by_answers, by_classes)


if __name__ == "__main__":
    main(output_folder())
