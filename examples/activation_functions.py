"""Activation functions (rows S17, S22).

The output of a neuron is the activation function of its weighted sum. The threshold (Heaviside function) answers yes or
no; squashing functions (logistic sigmoid, tanh, softsign) map all numbers to a bounded interval; ReLU keeps positive
values. Training needs their derivatives: that of the threshold is 0, so nothing can be learned through it.

Every layer may have its own activation function.
"""

from pathlib import Path

import numpy as np
from drawing import BLUE, ORANGE, new_figure, output_folder, save

import nnfast as nf
from nnfast import kernels, layers

SHOWN = (
    *("heaviside", "sigmoid", "tanh", "softsign"),
    *("hard_sigmoid", "relu", "leaky_relu", "elu"),
    *("selu", "gelu", "silu", "softplus"),
)


def values(name: str, x: np.ndarray) -> np.ndarray:
    """g(x)."""
    return kernels.activation_forward(name, x)


def slopes(name: str, x: np.ndarray) -> np.ndarray:
    """g'(x), as backpropagation computes it."""
    return kernels.activation_backward(name, np.ones_like(x), x, values(name, x))


def squashed_range(name: str) -> tuple[float, float]:
    """Limits of a squashing function for large negative and positive sums."""
    low, high = values(name, np.array([-1e6, 1e6]))
    return float(low), float(high)


def one_per_layer() -> nf.Network:
    """A network with a different activation function in every layer."""
    return nf.Network(
        [
            layers.Input((3,)),
            layers.Dense(8, activation="relu"),
            layers.Dense(4, activation="tanh"),
            layers.Dense(2, activation="sigmoid"),
        ],
        seed=0,
    )


def output_ranges(rows: int = 1000) -> dict[str, tuple[float, float]]:
    """Smallest and largest output of each layer of `one_per_layer` on random data."""
    x = np.random.default_rng(0).normal(0, 3, (rows, 3))
    trace = one_per_layer().trace(x)
    return {name: (float(trace[name].min()), float(trace[name].max())) for name in ("dense", "dense_1", "dense_2")}


def picture(folder: Path) -> Path:
    """Each function with its derivative."""
    figure, grid = new_figure(12, 8, 3, 4, sharex=True)
    x = np.linspace(-4, 4, 401)
    for axes, name in zip(grid.flat, SHOWN, strict=True):
        axes.axhline(0, color="#b9bdc4", linewidth=0.8)
        axes.axvline(0, color="#b9bdc4", linewidth=0.8)
        (line,) = axes.plot(x, values(name, x), color=BLUE, label="function")
        (dashed,) = axes.plot(x, slopes(name, x), "--", color=ORANGE, linewidth=1.6, label="derivative")
        axes.set(title=name, ylim=(-2, 4) if name in SHOWN[5:] else (-1.3, 1.3))
    figure.legend(handles=[line, dashed], loc="outside upper center", ncols=2)
    return save(figure, folder, "activation_functions.png")


def main(folder: Path) -> None:
    x = np.array([-2.0, -0.5, 0.0, 0.5, 2.0])
    print(f"{'x':14}" + "".join(f"{v:9.2f}" for v in x))
    for name in SHOWN:
        print(f"{name:14}" + "".join(f"{v:9.4f}" for v in values(name, x)))
    for name in ("sigmoid", "tanh", "softsign"):
        print(f"{name} squashes to {squashed_range(name)[0]:.3f} ... {squashed_range(name)[1]:.3f}")
    print("Outputs of the layers of a network with ReLU, tanh and sigmoid:")
    for name, (low, high) in output_ranges().items():
        print(f"  {name}: {low:.3f} ... {high:.3f}")
    picture(folder)


if __name__ == "__main__":
    main(output_folder())
