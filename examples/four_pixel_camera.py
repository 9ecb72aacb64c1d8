"""A camera with four pixels (rows S1, S2, S3).

An image has 2 x 2 pixels with brightness from -1 (black) to 1 (white), written as the vector (top left, top right,
bottom left, bottom right). It is solid, or has a vertical, a diagonal or a horizontal line. Simple rules are not
enough: an image and its negative belong to the same class although no pixel agrees, and one layer of weighted sums can
classify at most 5 of the 8 noise-free images. Several layers can do it: here with weights 1, -1 and 0 set by hand, and
trained from scratch.

Neurons squash their weighted sums. Two squashing functions occur:
- the logistic sigmoid 1 / (1 + exp(-x)), between 0 and 1, gives the printed .746 for a sum of 1.075;
- tanh, between -1 and 1, is the curve that is drawn, and the function used by the networks here.
"""

from pathlib import Path

import numpy as np
from drawing import new_figure, output_folder, save

import nnfast as nf
from nnfast import layers

CLASSES = ("solid", "vertical", "diagonal", "horizontal")
PATTERNS = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, -1, -1, 1], [1, 1, -1, -1]], dtype="float32")


def clean_images() -> tuple[np.ndarray, np.ndarray]:
    """Each pattern and its negative: images (8, 4) and class indices (8,)."""
    return np.concatenate([PATTERNS, -PATTERNS]), np.tile(np.arange(4), 2)


def noisy_images(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Patterns of random contrast with noise on every pixel: images (count, 4) and class indices (count,)."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, count)
    contrast = rng.choice([-1, 1], (count, 1)) * rng.uniform(0.5, 1.0, (count, 1))
    x = PATTERNS[y] * contrast + rng.uniform(-0.4, 0.4, (count, 4))
    return np.clip(x, -1, 1).astype("float32"), y


# Rows are inputs, columns are neurons.
LOOK_AT_COLUMNS = [[1, 1, 0, 0], [0, 0, 1, 1], [1, -1, 0, 0], [0, 0, 1, -1]]  # left sum, left difference, right ...
COMBINE = [[1, 1, 0, 0], [0, 0, 1, 1], [1, -1, 0, 0], [0, 0, -1, 1]]  # solid, vertical, diagonal, horizontal
BOTH_SIGNS = np.kron(np.eye(4), [[1, -1]])  # a pattern and its negative
EITHER = np.kron(np.eye(4), [[1], [1]])  # one output per class


def hand_set_network() -> nf.Network:
    """Four layers with weights 1, -1 or 0."""
    return nf.Network(
        [
            layers.Input((4,)),
            layers.Dense(4, "tanh", use_bias=False, kernel_initializer=LOOK_AT_COLUMNS),
            layers.Dense(4, "tanh", use_bias=False, kernel_initializer=COMBINE),
            layers.Dense(8, "relu", use_bias=False, kernel_initializer=BOTH_SIGNS),
            layers.Dense(4, use_bias=False, kernel_initializer=EITHER),
        ]
    )


def untrained_network(seed: int = 0) -> nf.Network:
    """The same layers with random weights."""
    return nf.Network(
        [
            layers.Input((4,)),
            layers.Dense(4, "tanh"),
            layers.Dense(4, "tanh"),
            layers.Dense(8, "relu", kernel_initializer="he_uniform"),
            layers.Dense(4, "softmax"),
        ],
        seed=seed,
    )


def train(net: nf.Network, epochs: int = 40, images: int = 2000) -> nf.Network:
    """Fit the network to noisy images."""
    x, y = noisy_images(images, seed=1)
    nf.Trainer(net, loss="cross_entropy", optimizer=nf.optimizers.Adam(0.01)).fit(x, y, epochs=epochs, progress=False)
    return net


def accuracy(net: nf.Network, x: np.ndarray, y: np.ndarray) -> float:
    """Fraction of images whose largest output is that of their class."""
    return float((net.predict(x).argmax(axis=1) == y).mean())


def one_layer() -> nf.Network:
    """Weighted sums alone, trained: simple rules, which are not enough."""
    net = nf.Network([layers.Input((4,)), layers.Dense(4, "softmax")], seed=0)
    return train(net)


def receptive_fields(net: nf.Network) -> list[np.ndarray]:
    """The pattern that each neuron responds to: weights (4, neurons) for the pixels, ignoring the squashing."""
    fields = [np.eye(4)]
    for kernel in net.get_weights():
        fields.append(fields[-1] @ kernel)
    return fields


def neuron() -> dict[str, float]:
    """One neuron, number by number: weighted sums, and both squashing functions."""
    inputs = np.array([[0.50, 0.0, -0.75, 0.75]])

    def weighted_sum(weights: list[float]) -> float:
        unit = layers.Dense(1, use_bias=False, kernel_initializer=np.array(weights)[:, None])
        return float(nf.Network([layers.Input((4,)), unit], dtype="float64").predict(inputs)[0, 0])

    def squash(name: str, value: float) -> float:
        return float(nf.kernels.activation_forward(name, np.array([value]))[0])

    return {
        "sum, all weights 1": weighted_sum([1.0, 1.0, 1.0, 1.0]),
        "sum, weights -.2 0 .8 -.5": weighted_sum([-0.2, 0.0, 0.8, -0.5]),
        "logistic of 1.075": squash("sigmoid", 1.075),
        "tanh of 1.075": squash("tanh", 1.075),
        "tanh of -1.075": squash("tanh", -1.075),
    }


def errors() -> tuple[np.ndarray, float]:
    """Absolute error of each output, and their total, computed by the loss "sum_absolute_error"."""
    truth, answer = np.array([[1.0, 0.0, 0.0, 0.0]]), np.array([[-0.75, -0.25, 0.75, 0.5]])
    return np.abs(truth - answer)[0], nf.losses.SumAbsoluteError()(truth, answer)


def picture(folder: Path) -> Path:
    """The hand-set network, with each neuron drawn as the pattern it responds to."""
    net = hand_set_network()
    fields = receptive_fields(net)
    figure, axes = new_figure(10, 7)
    places = [*nf.plot.unit_positions(net).values()]
    nf.plot.network(net, labels=False, axes=axes)
    for field, layer in zip(fields[:4], places[:4], strict=True):
        for pixels, (x, y) in zip(field.T, layer, strict=True):
            extent = (x - 0.11, x + 0.11, y - 0.38, y + 0.38)
            axes.imshow(pixels.reshape(2, 2), cmap="gray", vmin=-1, vmax=1, extent=extent, aspect="auto", zorder=3)
            axes.plot(*box(extent), color="#30343b", linewidth=1.2, zorder=4)
    for name, (x, y) in zip(CLASSES, places[4], strict=True):
        axes.text(x - 0.06, y, name, ha="left", va="center", bbox={"facecolor": "white", "edgecolor": "#30343b"})
    for x, title in enumerate(("pixels", "tanh", "tanh", "ReLU", "output")):
        axes.text(x, 4.25, title, ha="center", weight="bold")
    axes.set(xlim=(-0.3, 4.5), ylim=(-4.3, 4.8))
    axes.set_title("")
    figure.suptitle("Receptive fields grow more complex from layer to layer\nblue lines weigh 1, orange ones -1")
    return save(figure, folder, "four_pixel_camera.png")


def box(extent: tuple[float, float, float, float]) -> tuple[list[float], list[float]]:
    """The outline of a rectangle, as x and y of its corners."""
    left, right, bottom, top = extent
    return [left, right, right, left, left], [bottom, bottom, top, top, bottom]


def main(folder: Path) -> None:
    print("A neuron:")
    for name, value in neuron().items():
        print(f"  {name:28} {value:8.4f}")
    by_output, total = errors()
    print(f"Errors {by_output}, total {total}")

    unseen = noisy_images(2000, seed=2)
    print("\nAccuracy            clean images  noisy images not seen in training")
    for name, net in (
        ("one layer", one_layer()),
        ("set by hand", hand_set_network()),
        ("learned from scratch", train(untrained_network())),
    ):
        print(f"{name:19} {accuracy(net, *clean_images()):12.3f}  {accuracy(net, *unseen):12.3f}")
    print("\nThe image (.75, -.75, 0, .50) through the network set by hand:")
    for name, values in hand_set_network().trace(np.array([[0.75, -0.75, 0.0, 0.50]])).items():
        print(f"  {name:22} {values[0].round(2)}")
    picture(folder)


if __name__ == "__main__":
    main(output_folder())
