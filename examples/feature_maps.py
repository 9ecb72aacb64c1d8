"""Hidden layers of a convolutional network extract more and more abstract features (row S21).

One image passes through a network trained to classify digits: the first maps show strokes and edges, still
recognizable; later ones are coarse and respond to parts of digits; the last ones are little more than a list of what
was found. Two quantities measure this: each layer sees more of the image (its receptive field), and images of the same
class become more similar, compared with those of different classes. (The other well-known type, the LSTM, is shown by
tone_sequences.py.)
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from drawing import output_folder, save
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

import nnfast as nf
from nnfast import layers

Data = tuple[np.ndarray, np.ndarray]
# Name, receptive field in pixels: each convolution of 3x3 adds two pixels at its own scale, pooling doubles the scale.
LAYERS = {"image": 1, "edges": 3, "strokes": 5, "parts": 10, "digits": 16}


class Layer(NamedTuple):
    """Measurements of a layer's output."""

    name: str
    field: int
    size: int
    separation: float


def data() -> tuple[Data, Data]:
    """Training and test set: images (N, 16, 16, 1) with values from 0 to 16, and class indices (N,)."""
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.images))
    images = digits.images[order].astype("uint8").repeat(2, axis=1).repeat(2, axis=2)[..., None]
    labels = digits.target[order]
    return (images[:1400], labels[:1400]), (images[1400:], labels[1400:])


def network(seed: int = 0) -> nf.Network:
    """Convolutions with pooling between them, and global max pooling at the end."""
    return nf.Network(
        [
            layers.Input((16, 16, 1)),
            layers.Rescaling(1 / 16, name="image"),
            layers.Conv2D(8, 3, padding="same", activation="relu", name="edges"),
            layers.Conv2D(8, 3, padding="same", activation="relu", name="strokes"),
            layers.MaxPool2D(2),
            layers.Conv2D(16, 3, padding="same", activation="relu", name="parts"),
            layers.MaxPool2D(2),
            layers.Conv2D(32, 3, activation="relu", name="digits"),
            layers.GlobalMaxPool2D(),
            layers.Dense(10, activation="softmax"),
        ],
        seed=seed,
        name="digits",
    )


def train(net: nf.Network, epochs: int = 15) -> float:
    """Accuracy on unseen digits."""
    (x_train, y_train), (x_test, y_test) = data()
    trainer = nf.Trainer(net, loss="cross_entropy", optimizer=nf.optimizers.Adam(3e-3), metrics=["accuracy"])
    trainer.fit(x_train, y_train, epochs=epochs, batch_size=32, progress=False)
    return trainer.evaluate(x_test, y_test)["accuracy"]


def separation(features: np.ndarray, labels: np.ndarray) -> float:
    """Variance between the class means divided by the variance within the classes."""
    features = features.reshape(len(features), -1).astype(float)
    means = np.stack([features[labels == digit].mean(axis=0) for digit in range(10)])
    between = np.square(means - means.mean(axis=0)).sum(axis=1).mean()
    return float(between / np.square(features - means[labels]).sum(axis=1).mean())


def abstraction(net: nf.Network) -> list[Layer]:
    """Receptive field, numbers per image and separation of the classes, layer by layer, on unseen digits."""
    x, y = data()[1]
    found = net.trace(x)
    rows = [Layer(name, LAYERS[name], found[name][0].size, separation(found[name], y)) for name in LAYERS]
    return [*rows, Layer("answer", 16, 10, separation(found["dense"], y))]


def picture(folder: Path, net: nf.Network) -> Path:
    """Filters, feature maps of one image, confusion matrix."""
    x, y = data()[1]
    figure = Figure(figsize=(13, 7.4), layout="constrained")
    panels = figure.subplots(2, 3)
    nf.plot.filters(net, "edges", columns=4, axes=panels[0, 0])
    for axes, name in zip(panels.flat[1:5], list(LAYERS)[1:], strict=True):
        nf.plot.feature_maps(net, x[0], name, columns=8 if name == "digits" else 4, axes=axes)
    nf.plot.confusion_matrix(y, net.predict(x), axes=panels[1, 2])
    figure.suptitle(f"What the layers make of a {y[0]}")
    return save(figure, folder, "feature_maps.png")


def main(folder: Path) -> None:
    net = network()
    print(f"{train(net):.1%} of unseen digits right")
    print("layer    sees pixels  numbers  variance between / within classes")
    for layer in abstraction(net):
        print(f"{layer.name:8} {layer.field:2} x {layer.field:<2}      {layer.size:7}  {layer.separation:.2f}")
    picture(folder, net)


if __name__ == "__main__":
    main(output_folder())
