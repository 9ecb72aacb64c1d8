"""Universal approximation (row S17).

A network with one hidden layer of squashing neurons and a linear output approximates any continuous function
arbitrarily well, given enough hidden neurons (Cybenko 1989, doi:10.1007/BF02551274; Hornik, Stinchcombe and White 1989,
doi:10.1016/0893-6080(89)90020-8). Here one function, and networks of 1 to 32 neurons.
"""

from pathlib import Path

import numpy as np
from drawing import BLUE, GREY, ORANGE, new_figure, output_folder, save

import nnfast as nf
from nnfast import initializers, layers

UNITS = (1, 2, 4, 8, 16, 32)


def function(x: np.ndarray) -> np.ndarray:
    """The function to learn, on -1 ... 1."""
    return np.asarray(np.sin(6 * x) + 0.5 * np.cos(13 * x) * x)


def points(count: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Points (count, 1), and the function values there."""
    x = np.linspace(-1, 1, count)[:, None]
    return x, function(x)


def fit(units: int, seed: int, epochs: int = 4000) -> nf.Network:
    """A network with the given number of hidden neurons, trained on the function."""
    net = nf.Network(
        [
            layers.Input((1,)),
            layers.Dense(
                units,
                "tanh",
                kernel_initializer=initializers.RandomUniform(-6, 6),
                bias_initializer=initializers.RandomUniform(-3, 3),
            ),
            layers.Dense(1),
        ],
        seed=seed,
        dtype="float64",
    )
    x, y = points()
    optimizer = nf.optimizers.Adam(lambda step: 0.05 * 0.01 ** (step / epochs))
    nf.Trainer(net, loss="mse", optimizer=optimizer).fit(x, y, epochs=epochs, batch_size=len(x), progress=False)
    return net


def error(net: nf.Network) -> float:
    """Root mean squared error between the training points."""
    x = np.linspace(-1, 1, 1001)[:, None]
    return float(np.sqrt(np.mean((net.predict(x) - function(x)) ** 2)))


def best_fit(units: int, tries: int = 3) -> nf.Network:
    """The best of several networks: training depends on the initial weights."""
    return min((fit(units, seed) for seed in range(tries)), key=error)


def picture(folder: Path, networks: dict[int, nf.Network]) -> Path:
    """The function with the answers of some networks, and the error by number of neurons."""
    figure, panels = new_figure(14, 4, 1, 4, width_ratios=[1, 1, 1, 1.15])
    x = np.linspace(-1, 1, 401)[:, None]
    for axes, units in zip(panels, (2, 4, 16), strict=False):
        axes.plot(x, function(x), color=GREY, linewidth=4, alpha=0.6, label="function")
        axes.plot(x, networks[units].predict(x), color=ORANGE, label="network")
        axes.set(title=f"{units} hidden neurons", xlabel="x", ylim=(-1.8, 1.8))
    panels[0].legend(loc="upper left", ncols=2, fontsize=10)
    panels[3].loglog(UNITS, [error(networks[units]) for units in UNITS], "o-", color=BLUE)
    panels[3].set(title="Error", xlabel="hidden neurons", ylabel="root mean squared error", xticks=UNITS)
    panels[3].set_xticks(UNITS, [str(units) for units in UNITS])
    panels[3].minorticks_off()
    return save(figure, folder, "universal_approximation.png")


def main(folder: Path, tries: int = 3) -> None:
    networks = {units: best_fit(units, tries) for units in UNITS}
    for units, net in networks.items():
        print(f"{units:3} hidden neurons: root mean squared error {error(net):.5f}")
    picture(folder, networks)


if __name__ == "__main__":
    main(output_folder())
