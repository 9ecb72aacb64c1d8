"""The two-two-two network, computed exactly (rows S8, S18).

Two inputs, two hidden neurons, two outputs, all logistic; w1 and w2 feed h1, w3 and w4 h2, w5 and w6 o1, w7 and w8 o2.
The loss is the sum of 1/2 (target - output)^2, the learning rate .5, and the biases are fixed:
``trainable=("kernel",)``. From Matt Mazur, "A step by step backpropagation example" (2015).

Where published numbers differ from these: .291027924 after one step is .291027774 in exact arithmetic, and an input of
h1 written with the weight .25 means w2 = .20, which gives the published .3775.
"""

from pathlib import Path

import numpy as np
from drawing import BLUE, ORANGE, new_figure, output_folder, save

import nnfast as nf
from nnfast import layers
from nnfast.inspect.explain import Explanation

X, TARGET = np.array([[0.05, 0.10]]), np.array([[0.01, 0.99]])
LOSS, LEARNING_RATE = "half_squared_error", 0.5


def network() -> nf.Network:
    """The network with the given weights; rows of a kernel are inputs, columns neurons."""
    w = dict(zip(range(1, 9), (0.15, 0.20, 0.25, 0.30, 0.40, 0.45, 0.50, 0.55), strict=True))
    hidden, output = [[w[1], w[3]], [w[2], w[4]]], [[w[5], w[7]], [w[6], w[8]]]
    return nf.Network(
        [
            layers.Input((2,)),
            layers.Dense(2, "sigmoid", True, hidden, 0.35, trainable=("kernel",), name="hidden"),
            layers.Dense(2, "sigmoid", True, output, 0.60, trainable=("kernel",), name="output"),
        ],
        dtype="float64",
    )


def errors(steps: int, net: nf.Network | None = None) -> list[float]:
    """The total error at each evaluation: the first before any step, number n + 1 after n steps."""
    trainer = nf.Trainer(net or network(), loss=LOSS, optimizer=nf.optimizers.SGD(LEARNING_RATE))
    return [trainer.train_on_batch(X, TARGET) for _ in range(steps)]


def first_step() -> Explanation:
    """Every number of the first forward and backward pass."""
    return network().explain(X, TARGET, LOSS, learning_rate=LEARNING_RATE)


def picture(folder: Path, evaluations: list[float]) -> Path:
    """The network with its initial weights, and how its error decreases."""
    figure, (left, right) = new_figure(12.5, 4.6, 1, 2, width_ratios=[1.2, 1])
    net = network()
    places = [*nf.plot.unit_positions(net).values()]
    kernels = [net.parameters["hidden.kernel"], net.parameters["output.kernel"]]
    nf.plot.network(net, labels=False, axes=left)
    left.scatter(*np.concatenate(places).T, s=1500, color="white", edgecolor="#30343b", linewidth=1.4, zorder=2)
    outputs = net.trace(X)
    for layer, name, values in zip(places, "iho", (X, outputs["hidden"], outputs["output"]), strict=True):
        for number, ((x, y), value) in enumerate(zip(layer, values[0], strict=True), start=1):
            left.text(x, y, f"{name}{number}", ha="center", va="center", weight="bold")
            above = y + (0.24 if y > 0 else -0.24)
            left.text(x, above, f"{value:.5g}", ha="center", va="center", color=ORANGE, fontsize=10)
    for number, kernel in enumerate(kernels):
        for (i, j), weight in np.ndenumerate(kernel):
            start, end = places[number][i], places[number + 1][j]
            x, y = start + (0.5 if i == j else 0.31) * (end - start)
            label = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            text = f"w{1 + i + 2 * j + 4 * number} = {weight:.2f}"
            left.text(x, y, text, ha="center", va="center", fontsize=9, color=BLUE, bbox=label)
    left.set(xlim=(-0.25, 2.25), ylim=(-0.9, 0.9), title="Weights (blue) and outputs (orange)")
    right.loglog(range(1, len(evaluations) + 1), evaluations, color=BLUE)
    right.set(
        xlabel="evaluation", ylim=(1e-5, 0.9), ylabel="total error", title="Gradient descent with learning rate .5"
    )
    for number, offset, align in ((1, (6, 8), "left"), (2, (-8, -22), "left"), (len(evaluations), (-8, -2), "right")):
        value = evaluations[number - 1]
        right.plot(number, value, "o", color=ORANGE)
        right.annotate(f"{value:.9g}", (number, value), offset, textcoords="offset points", ha=align)
    return save(figure, folder, "mazur.png")


def main(folder: Path) -> None:
    print(first_step())
    evaluations = errors(10_000)
    for number in (1, 2, 10_000):
        print(f"total error at evaluation {number:6,}: {evaluations[number - 1]:.9g}")
    picture(folder, evaluations)


if __name__ == "__main__":
    main(output_folder())
