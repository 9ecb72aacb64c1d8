"""Optimization methods compared: their paths on two test surfaces (row S9).

A surface is a loss of two weights. The network is one dense layer without bias, of two weights and an input of 1.
Its output is the weights, so a loss of the output is a surface over them:

- Rosenbrock's valley, (1 - a)^2 + 10 (b - a^2)^2: curved, long, and flat along its floor; the minimum 0 is at (1, 1).
  Gradients point across the valley. Plain gradient descent needs a small rate, to stay inside, and then crawls.
  Momentum adds up the small slopes along the floor, and cancels those across it.
- A saddle, a^2 - b^2 / 20 + b^4 / 40: at (0, 0) the slope is 0, but it is no minimum; those are at b = -1 and 1, where
  the loss is -1/40. The start is almost on the ridge. Gradient descent follows the steep side into the saddle and
  leaves it slowly. Methods that divide each gradient by its usual size see both directions alike.

The learning rate decides as much as the method, so each method gets the best of the same list of rates: of those with
which the loss never exceeds that of the start, the one that needs the fewest steps to come close to the minimum and
stay there. Surfaces of two weights show how methods move; which of them trains a network best is another question, as
gradients are noisy there.

The methods are all those in `nnfast.optimizers`, except those that are the same as another for two weights: AdamW is
Adam with a weight decay, and Muon is Adam for weights that are not a matrix. With --animate, an animated GIF is made.

References: Rosenbrock (1960), DOI 10.1093/comjnl/3.3.175; Dauphin et al. (2014), Identifying and attacking the saddle
point problem in high-dimensional non-convex optimization, arXiv:1406.2572; Ruder (2016), arXiv:1609.04747.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from drawing import new_figure, save
from matplotlib import colormaps
from matplotlib.axes import Axes

import nnfast as nf
from nnfast import layers, ops, optimizers

ONE = np.ones((1, 1))
NO_TARGET = np.zeros((1, 2))
RATES = np.geomspace(1e-4, 10, 16)
Method = Callable[[float], nf.optimizers.Optimizer]
Paths = dict[str, tuple[float, np.ndarray]]
SAME_AS_ADAM = ("Muon", "AdamW")


class Surface(NamedTuple):
    """A loss of two weights, and where to start."""

    title: str
    loss: Callable[[Any, Any], Any]
    start: tuple[float, float]
    minimum: float
    close: float
    """A path has arrived when its loss is at most the minimum plus this, and stays so."""
    steps: int
    window: tuple[tuple[float, float], tuple[float, float]]


def valley(y_true: Any, weights: Any) -> Any:
    """Rosenbrock's function."""
    a, b = weights[:, 0], weights[:, 1]
    return ops.square(1 - a) + 10 * ops.square(b - ops.square(a))


def saddle(y_true: Any, weights: Any) -> Any:
    """A saddle between two minima."""
    a, b = weights[:, 0], weights[:, 1]
    return ops.square(a) - ops.square(b) / 20 + ops.square(ops.square(b)) / 40


SURFACES = (
    Surface("Rosenbrock's valley", valley, (-1.2, 1.0), 0.0, 0.001, 300, ((-1.7, 1.7), (-0.6, 2.2))),
    Surface("Saddle", saddle, (-1.0, 0.001), -0.025, 0.001, 200, ((-1.3, 1.3), (-0.6, 1.4))),
)


def methods() -> dict[str, Method]:
    """For each method, a function that makes the optimizer for a learning rate."""
    found: dict[str, Method] = {
        "SGD": optimizers.SGD,
        "momentum": lambda rate: optimizers.SGD(rate, momentum=0.9),
        "Nesterov": lambda rate: optimizers.SGD(rate, momentum=0.9, nesterov=True),
    }
    for name in optimizers.__all__:
        made = getattr(optimizers, name)
        if isinstance(made, type) and made is not optimizers.Optimizer and name not in SAME_AS_ADAM:
            found.setdefault(name, made)
    return found


def network(start: tuple[float, float]) -> nf.Network:
    """Two weights, which are its output."""
    weights = layers.Dense(2, use_bias=False, kernel_initializer=[start])
    return nf.Network([layers.Input((1,)), weights], dtype="float64")


def height(surface: Surface, weights: np.ndarray) -> np.ndarray:
    """The loss at each of the weights (n, 2)."""
    return np.asarray(surface.loss(None, weights))


def path(surface: Surface, optimizer: nf.optimizers.Optimizer) -> np.ndarray:
    """The weights (n, 2) from the start on; n is smaller than the number of steps if the loss exceeds its start."""
    net = network(surface.start)
    trainer = nf.Trainer(net, loss=surface.loss, optimizer=optimizer)
    weights = net.parameters["dense.kernel"]
    visited = [weights[0].copy()]
    highest = height(surface, weights)[0]
    for _ in range(surface.steps):
        if trainer.train_on_batch(ONE, NO_TARGET) > highest:  # the loss before the step
            break
        visited.append(weights[0].copy())
    return np.array(visited)


def arrival(surface: Surface, visited: np.ndarray) -> int | None:
    """The step after which the loss stays close to the minimum, if there is one."""
    far = np.flatnonzero(height(surface, visited) > surface.minimum + surface.close)
    return None if far[-1] == len(visited) - 1 else int(far[-1]) + 1


def best_path(surface: Surface, method: Method, rates: np.ndarray) -> tuple[float, np.ndarray]:
    """The rate that arrives in the fewest steps, or else comes lowest, and its path."""

    def cost(found: tuple[float, np.ndarray]) -> tuple[bool, float, float]:
        visited = found[1]
        too_large = len(visited) <= surface.steps
        return too_large, arrival(surface, visited) or np.inf, float(height(surface, visited)[-1])

    return min(((rate, path(surface, method(rate))) for rate in rates), key=cost)


def compare(surface: Surface, rates: np.ndarray = RATES) -> Paths:
    """The best rate and path of each method."""
    return {name: best_path(surface, method, rates) for name, method in methods().items()}


# ---- pictures --------------------------------------------------------------------


def draw_surface(axes: Axes, surface: Surface) -> None:
    """Lines of equal loss, denser towards the minimum."""
    sides = [np.linspace(*limits, 241) for limits in surface.window]
    plane = np.stack(np.meshgrid(*sides), axis=-1)
    above = height(surface, plane.reshape(-1, 2)).reshape(241, 241) - surface.minimum
    levels = surface.close * 2.0 ** np.arange(0, 18)
    axes.contour(*sides, above, levels=levels, colors="#c9cdd3", linewidths=0.7)
    axes.plot(*surface.start, "o", color="black", markersize=6)
    axes.set(title=surface.title, xlabel="a", ylabel="b", xlim=surface.window[0], ylim=surface.window[1])
    axes.grid(False)


def colors(names: list[str]) -> dict[str, Any]:
    """A color for each method."""
    return dict(zip(names, colormaps["turbo"](np.linspace(0.03, 0.97, len(names))), strict=True))


def picture(folder: Path, found: list[Paths]) -> Path:
    """Above, the paths on each surface; below, the loss over the steps."""
    figure, panels = new_figure(13, 10.5, 2, 2, height_ratios=[1.5, 1])
    for surface, results, top, bottom in zip(SURFACES, found, *panels, strict=True):
        draw_surface(top, surface)
        for (name, (_, visited)), color in zip(results.items(), colors(list(results)).values(), strict=True):
            top.plot(*visited.T, ".-", color=color, linewidth=1.3, markersize=3, label=name)
            bottom.semilogy(height(surface, visited) - surface.minimum, color=color, linewidth=1.5)
        bottom.set(title="Loss above the minimum", xlabel="step", ylabel="loss - minimum")
        bottom.set(xlim=(0, surface.steps), ylim=(surface.close * 1e-6, None))
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=7, markerscale=3)
    return save(figure, folder, "optimizers_compared.png")


def animate(folder: Path, found: list[Paths], frames: int = 100) -> Path:
    """All methods on their way at once; a method that has arrived waits at the end of its path."""
    from matplotlib.animation import FuncAnimation, PillowWriter

    figure, panels = new_figure(11, 5.2, 1, 2)
    tails = []
    for surface, results, axes in zip(SURFACES, found, panels, strict=True):
        draw_surface(axes, surface)
        for (name, (_, visited)), color in zip(results.items(), colors(list(results)).values(), strict=True):
            (line,) = axes.plot([], [], "-o", color=color, linewidth=1.5, markersize=7, markevery=[-1], label=name)
            tails.append((line, visited))
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=7)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the layout is made once, and not for every frame

    def show(frame: int) -> list[Any]:
        for line, visited in tails:
            line.set_data(*visited[: 3 * frame + 1].T)
        return [line for line, _ in tails]

    film = FuncAnimation(figure, show, frames=frames, blit=False)
    target = folder / "optimizers_compared.gif"
    film.save(target, writer=PillowWriter(fps=20), dpi=70)
    print(f"picture: {target}")
    return target


def main(folder: Path, animated: bool = False, rates: np.ndarray = RATES) -> None:
    found = [compare(surface, rates) for surface in SURFACES]
    for surface, results in zip(SURFACES, found, strict=True):
        print(f"{surface.title}, {surface.steps} steps:")
        for name, (rate, visited) in results.items():
            step = arrival(surface, visited)
            took = f"at the minimum after {step:3} steps" if step else "does not reach the minimum"
            print(f"  {name:9} rate {rate:8.2g}  {took:27}  loss {height(surface, visited)[-1]:8.4f}")
    picture(folder, found)
    if animated:
        animate(folder, found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Paths of the optimization methods on two test surfaces.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="where pictures go (default: here)")
    parser.add_argument("--animate", action="store_true", help="make an animated GIF as well")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    main(options.folder, options.animate)
