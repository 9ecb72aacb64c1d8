"""Gradient descent on one weight (rows S4, S22).

The error is a function of the weight. Its slope shows which way is down: gradient = change in error / change in weight,
and in the limit dC/dw. For error = w^2 at w = -1, the slope is -2: along the tangent, a step of +1 in the weight
changes the error by -2. An update is w := w - learning rate * gradient, with the sign of the gradient (its absolute
value, which is sometimes seen in this formula, would walk uphill on the left side of the valley).

The network is one weight with an input of 1 and a target of 0, so that the loss "mse" is w^2.
"""

from pathlib import Path

import numpy as np
from drawing import BLUE, GREEN, GREY, ORANGE, RED, new_figure, output_folder, save

import nnfast as nf
from nnfast import layers

RATES = {"too small": 0.01, "good": 0.3, "too big": 1.03}
X, TARGET = np.ones((1, 1)), np.zeros((1, 1))


def one_weight(value: float) -> nf.Network:
    """The network y = w x."""
    weight = layers.Dense(1, use_bias=False, kernel_initializer=[[value]])
    return nf.Network([layers.Input((1,)), weight], dtype="float64")


def error_and_slope(value: float) -> tuple[float, float]:
    """The error at a weight, and its derivative."""
    error, gradients = one_weight(value).loss_and_gradients(X, TARGET, "mse")
    return error, float(gradients["dense.kernel"][0, 0])


def change_ratio(value: float, change: float) -> float:
    """Change in error / change in weight, between the weights value - change and value + change."""
    lower, higher = error_and_slope(value - change)[0], error_and_slope(value + change)[0]
    return (higher - lower) / (2 * change)


def descend(learning_rate: float, steps: int = 20, start: float = -1.0) -> list[float]:
    """The weights visited by gradient descent."""
    net = one_weight(start)
    trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(learning_rate))
    weight = net.parameters["dense.kernel"]
    path = [float(weight[0, 0])]
    for _ in range(steps):
        trainer.train_on_batch(X, TARGET)
        path.append(float(weight[0, 0]))
    return path


def picture(folder: Path) -> Path:
    """The error curve with its slope, and three descents."""
    figure, (left, *others) = new_figure(13, 4, 1, 4, sharey=True, width_ratios=[1.35, 1, 1, 1])
    w = np.linspace(-2.1, 2.1, 201)
    for axes in (left, *others):
        axes.plot(w, w**2, color=GREY)
        axes.set(xlabel="weight", xlim=(-2.1, 2.1), ylim=(-1.35, 4.4))
    left.set(ylabel="error", title="Slope at w = -1")
    left.plot([-1.9, 0.15], [2.8, -1.3], "--", color=BLUE, linewidth=1.4)
    left.annotate("", (0, 1), (-1, 1), arrowprops={"arrowstyle": "->", "color": GREEN, "lw": 2})
    left.annotate("", (0, -1), (0, 1), arrowprops={"arrowstyle": "->", "color": RED, "lw": 2})
    left.text(-0.5, 1.1, "+1", color=GREEN, ha="center", weight="bold")
    left.text(0.1, 0.2, "-2", color=RED, weight="bold")
    for value, name, align in ((-1, "original", "right"), (-1.5, "lower", "right"), (-0.5, "higher", "right")):
        left.plot(value, value**2, "o", color=BLUE if value == -1 else ORANGE, markersize=8)
        left.text(value - 0.12, value**2 - 0.22, name, ha=align, fontsize=10)
    for axes, (name, rate) in zip(others, RATES.items(), strict=True):
        path = np.array(descend(rate))
        axes.plot(path, path**2, "o-", color=ORANGE, markersize=4.5, linewidth=1.1, clip_on=True)
        axes.set_title(f"learning rate {rate:g}: {name}")
    return save(figure, folder, "gradient_descent.png")


def main(folder: Path) -> None:
    error, slope = error_and_slope(-1.0)
    print(f"At w = -1 the error w^2 is {error:g} and its slope {slope:g}.")
    for change in (1.0, 0.1):
        print(f"From lower to higher weight, {change:g} to each side: slope {change_ratio(-1.0, change):.6g}")
    for name, rate in RATES.items():
        path = descend(rate)
        print(
            f"Learning rate {rate:4g}, {name:9}: w = {path[1]:.4g} after 1 step, {path[-1]:.4g} after {len(path) - 1}"
        )
    picture(folder)


if __name__ == "__main__":
    main(output_folder())
