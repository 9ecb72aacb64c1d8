"""Boolean operators as neurons (row S16).

A neuron with the Heaviside function gives 1 if its weighted sum reaches its threshold, else 0. AND is one such neuron:
weights 1 1, threshold 1.2. XOR cannot be a single neuron, because no straight line separates its ones from its zeros;
it needs a second one: weights 1 1 -2 for the inputs and AND, threshold .6.

The gradient of the Heaviside function is 0 everywhere, so such networks are set by hand, not trained; with squashing
functions instead, a network learns XOR.
"""

from itertools import product
from pathlib import Path

import numpy as np
from drawing import new_figure, output_folder, save
from matplotlib.colors import ListedColormap

import nnfast as nf
from nnfast import layers

INPUTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype="float32")
AND, XOR = np.array([0, 0, 0, 1]), np.array([0, 1, 1, 0])


def and_network() -> nf.Network:
    """One neuron: 1 x0 + 1 x1 >= 1.2."""
    neuron = layers.Dense(1, layers.Heaviside(1.2), use_bias=False, kernel_initializer=[[1], [1]])
    return nf.Network([layers.Input((2,)), neuron])


def xor_network() -> nf.Network:
    """Two neurons: the second sees the inputs and the first, 1 x0 + 1 x1 - 2 AND >= .6."""
    x = layers.Input((2,))
    both = layers.Dense(1, layers.Heaviside(1.2), use_bias=False, kernel_initializer=[[1], [1]])(x)
    neuron = layers.Dense(1, layers.Heaviside(0.6), use_bias=False, kernel_initializer=[[1], [1], [-2]])
    return nf.Network(inputs=x, outputs=neuron(layers.Concatenate()([x, both])))


def answers(net: nf.Network) -> np.ndarray:
    """The network's answers to the four inputs, as 0 and 1."""
    return (net.predict(INPUTS)[:, 0] >= 0.5).astype(int)


def best_single_neuron(target: np.ndarray) -> int:
    """Largest number of correct rows (of four) of any single neuron with weights and threshold on a grid."""
    grid = np.linspace(-2, 2, 17)
    weights = np.array(list(product(grid, grid))).T
    neurons = layers.Dense(weights.shape[1], use_bias=False, kernel_initializer=weights)
    sums = nf.Network([layers.Input((2,)), neurons]).predict(INPUTS)
    fires = sums[:, :, None] >= grid + 1e-3
    return int((fires == target[:, None, None]).sum(axis=0).max())


def learn_xor(seed: int = 0) -> nf.Network:
    """A network that learns XOR: four hidden neurons and one output, with squashing functions instead of thresholds."""
    net = nf.Network([layers.Input((2,)), layers.Dense(4, "tanh"), layers.Dense(1, "sigmoid")], seed=seed)
    trainer = nf.Trainer(net, loss="binary_cross_entropy", optimizer=nf.optimizers.Adam(0.1))
    trainer.fit(INPUTS, XOR, epochs=200, batch_size=4, progress=False)
    return net


def picture(folder: Path) -> Path:
    """The answer of each network over the plane."""
    figure, panels = new_figure(12, 4.2, 1, 3)
    colors = ListedColormap(["#f7d9bd", "#bfdbeb"])
    side = np.linspace(-0.5, 1.5, 301, dtype="float32")
    plane = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    shown = (("AND: one neuron", and_network(), AND), ("XOR: two neurons", xor_network(), XOR))
    for axes, (title, net, target) in zip(panels, (*shown, ("XOR, learned", learn_xor(), XOR)), strict=True):
        image = net.predict(plane).reshape(301, 301) >= 0.5
        axes.imshow(image, origin="lower", extent=(-0.5, 1.5, -0.5, 1.5), cmap=colors, vmin=0, vmax=1)
        for (x, y), value in zip(INPUTS, target, strict=True):
            axes.text(x, y, value, ha="center", va="center", weight="bold", bbox={"boxstyle": "circle", "fc": "white"})
        axes.set(title=title, xlabel="x0", ylabel="x1", xticks=[0, 1], yticks=[0, 1])
        axes.grid(False)
    figure.suptitle("Blue where the network answers 1")
    return save(figure, folder, "boolean_operators.png")


def main(folder: Path) -> None:
    print("x0 x1  AND  XOR  XOR learned")
    for (x0, x1), *row in zip(
        INPUTS, answers(and_network()), answers(xor_network()), answers(learn_xor()), strict=True
    ):
        print(f"{x0:2.0f} {x1:2.0f} {row[0]:4} {row[1]:4} {row[2]:6}")
    for name, target in (("AND", AND), ("XOR", XOR)):
        print(f"Best single neuron for {name}: {best_single_neuron(target)} of 4 right")
    picture(folder)


if __name__ == "__main__":
    main(output_folder())
