"""The whole picture: data, input, layers, output, metric and loss, performance on unseen data (row S26).

Layers are building blocks. They have parameters, which training updates, and are stacked to an architecture; activation
functions make the stack more than one large weighted sum. The last one is softmax: its outputs are positive and sum to
1, so they can be read as probabilities. Training minimizes the loss; what counts is the metric on images that the
network has never seen. The data are the 1,797 handwritten digits of 8 x 8 pixels that come with scikit-learn.

Two more building blocks: every neuron has a bias, and Dropout switches off half of the neurons at random during
training, so that none relies on another.
"""

from pathlib import Path

import numpy as np
from drawing import BLUE, GREEN, ORANGE, RED, output_folder, save
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

import nnfast as nf
from nnfast import layers

Data = tuple[np.ndarray, np.ndarray]


def data() -> tuple[Data, Data]:
    """Training and test set: images (N, 8, 8) with brightness 0 to 16, and class indices (N,)."""
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.images))
    images, labels = digits.images[order].astype("uint8"), digits.target[order]
    return (images[:1400], labels[:1400]), (images[1400:], labels[1400:])


def network(seed: int = 0) -> nf.Network:
    """Input, layers, activation, output."""
    return nf.Network(
        [
            layers.Input((8, 8)),
            layers.Rescaling(1 / 16),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ],
        seed=seed,
        name="digits",
    )


def train(net: nf.Network, epochs: int = 40) -> tuple[nf.History, dict[str, float]]:
    """The history of training, and the final loss and accuracy on unseen data."""
    (x_train, y_train), (x_test, y_test) = data()
    trainer = nf.Trainer(net, loss="cross_entropy", optimizer=nf.optimizers.Adam(1e-3), metrics=["accuracy"])
    history = trainer.fit(
        x_train, y_train, epochs=epochs, batch_size=32, validation_data=(x_test, y_test), progress=False
    )
    return history, trainer.evaluate(x_test, y_test)


def picture(folder: Path, net: nf.Network, history: nf.History) -> Path:
    """Loss and accuracy by epoch, and the probabilities of some unseen digits."""
    figure = Figure(figsize=(12, 6.6), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.2, 1])
    for axes, name in zip(upper.subplots(1, 2), ("loss", "accuracy"), strict=True):
        axes.plot(history.history[name], color=BLUE, label="training, with dropout")
        axes.plot(history.history[f"val_{name}"], color=ORANGE, label="unseen data")
        axes.set(title=name.capitalize(), xlabel="epoch")
        axes.legend()
    _, (x_test, y_test) = data()
    probabilities = net.predict(x_test)
    unsure = np.argsort(probabilities.max(axis=1))
    shown = [*unsure[:3], *unsure[-3:]]
    panels = lower.subplots(2, 6, height_ratios=[1.3, 1])
    for (image, bars), i in zip(panels.T, shown, strict=True):
        image.imshow(x_test[i], cmap="gray_r")
        image.axis("off")
        colors = [GREEN if digit == y_test[i] else RED for digit in range(10)]
        bars.bar(range(10), probabilities[i], color=colors)
        bars.set(ylim=(0, 1), xticks=range(10), yticks=[])
        bars.tick_params(labelsize=8)
    lower.suptitle("Unseen digits: the three least and the three most certain answers (green: the truth)")
    return save(figure, folder, "keras_way.png")


def main(folder: Path) -> None:
    net = network()
    print(net.summary())
    history, unseen = train(net)
    print(
        f"Training, last epoch: loss {history.history['loss'][-1]:.4f}, accuracy {history.history['accuracy'][-1]:.4f}"
    )
    print(f"Unseen data:          loss {unseen['loss']:.4f}, accuracy {unseen['accuracy']:.4f}")
    _, (x_test, y_test) = data()
    print(f"Probabilities of a {y_test[0]}: {net.predict(x_test[:1])[0].round(3)}")
    picture(folder, net, history)


if __name__ == "__main__":
    main(output_folder())
