"""Accuracy, and losses as its proxy (row S27).

Accuracy, the fraction of correct answers, is what should be high. But it is a step function: a small change of a weight
changes no answer, so its gradient is 0 or undefined, and training has nothing to follow. A loss measures how far an
answer is from the ideal one; it is smooth, and small losses go with high accuracy.

The answer (.48, .01, .51) for (human, cat, dog) is correct for a dog, (0, 0, 1), but uncertain: its distance from the
target is sqrt(.48^2 + .01^2 + .49^2) = .686, printed as .68.
"""

from pathlib import Path

import numpy as np
from drawing import BLUE, ORANGE, new_figure, output_folder, save

import nnfast as nf
from nnfast import layers, losses

TRUTH, ANSWER = np.array([[0.0, 0.0, 1.0]]), np.array([[0.48, 0.01, 0.51]])


def distance() -> float:
    """Norm of target - answer."""
    return float(np.sqrt(2 * losses.HalfSquaredError()(TRUTH, ANSWER)))


def other_losses() -> dict[str, float]:
    """Values of other losses for the same answer."""
    return {name: losses.get(name)(TRUTH, ANSWER) for name in ("mse", "mae", "sum_absolute_error", "cross_entropy")}


def classifier() -> tuple[nf.Trainer, np.ndarray, np.ndarray]:
    """One neuron with one weight, and 40 points of two classes that overlap a little."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 20)
    x = (rng.normal(size=40) + 2.5 * y - 0.5)[:, None]
    neuron = layers.Dense(1, "sigmoid", kernel_initializer=[[1.0]], bias_initializer=-1.0, trainable=("kernel",))
    net = nf.Network([layers.Input((1,)), neuron], dtype="float64")
    return nf.Trainer(net, loss="binary_cross_entropy", metrics=["accuracy"]), x, y


def scan(weights: np.ndarray) -> dict[str, np.ndarray]:
    """Loss and accuracy over a range of values of the weight."""
    trainer, x, y = classifier()
    found: dict[str, list[float]] = {"loss": [], "accuracy": []}
    for weight in weights:
        trainer.network.parameters["dense.kernel"][...] = weight
        for name, value in trainer.evaluate(x, y).items():
            found[name].append(value)
    return {name: np.array(values) for name, values in found.items()}


def share_without_slope(name: str, weights: np.ndarray, change: float = 1e-6) -> float:
    """Fraction of these weights at which a small change of the weight does not change the loss, or the accuracy."""
    return float((scan(weights + change)[name] == scan(weights - change)[name]).mean())


def picture(folder: Path) -> Path:
    """Loss and accuracy as functions of the weight."""
    weights = np.linspace(-1, 4, 1001)
    found = scan(weights)
    figure, axes = new_figure(8, 5.4, 2, 1, sharex=True)
    for panel, name, color in zip(axes, ("accuracy", "loss"), (ORANGE, BLUE), strict=True):
        panel.plot(weights, found[name], color=color)
        panel.set_ylabel(name)
    axes[0].set_title("Accuracy is a staircase, the loss is smooth")
    axes[1].set_xlabel("weight")
    return save(figure, folder, "accuracy_and_loss.png")


def main(folder: Path) -> None:
    print(f"Distance of {ANSWER[0]} from {TRUTH[0]}: {distance():.4f}")
    for name, value in other_losses().items():
        print(f"  {name:20} {value:.4f}")
    weights = np.linspace(-1, 4, 101)
    for name in ("accuracy", "loss"):
        print(f"{name} has slope 0 at {share_without_slope(name, weights):.0%} of the weights")
    picture(folder)


if __name__ == "__main__":
    main(output_folder())
