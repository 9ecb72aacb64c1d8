"""The loss as a function of one weight, or of two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nnfast.core.options import choose, integer, named_arguments, real
from nnfast.core.text import short_repr
from nnfast.core.typing import Array, Shape
from nnfast.graph.ends import number_of_rows
from nnfast.plot.figures import BLUE, ORANGE, axes_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nnfast.network import Network

__all__ = ["error_over_weight", "error_surface"]


@named_arguments
def error_over_weight(
    net: Network,
    x: Any,
    y: Any,
    loss: Any,
    parameter: str,
    index: int | Sequence[int] = (),
    range: tuple[float, float] | None = None,
    *,
    steps: int = 101,
    axes: Any = None,
) -> Axes:
    """The loss as a function of one weight, all others being as they are, and its slope at the present weight.

    The slope is the gradient that backpropagation computes; a step of gradient descent goes against it. The network
    itself is not changed.

    Parameters
    ----------
    net : Network
    x, y, loss
        As in `Network.loss_and_gradients`.
    parameter : str
        Full name, such as "dense.kernel".
    index : int or sequence of int
        Which weight of the parameter: (input, unit) for the kernel of a dense layer, a number for a bias.
    range : (float, float), optional
        The smallest and the largest weight; by default, 2 or twice the weight to each side, whichever is more.
    steps : int, default 101
        Number of weights for which the loss is computed.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    The error w^2 has the slope -2 at w = -1:

    >>> from matplotlib.figure import Figure
    >>> import nnfast as nf
    >>> net = nf.Network([nf.layers.Input((1,)), nf.layers.Dense(1, use_bias=False, kernel_initializer=[[-1.0]])])
    >>> one, zero = [[1.0]], [[0.0]]
    >>> axes = nf.plot.error_over_weight(net, one, zero, "mse", "dense.kernel", (0, 0), (-2, 2), steps=5,
    ...                                  axes=Figure().subplots())
    >>> axes.lines[0].get_xydata().tolist()
    [[-2.0, 4.0], [-1.0, 1.0], [0.0, 0.0], [1.0, 1.0], [2.0, 4.0]]
    >>> [line.get_label() for line in axes.lines[1:]]
    ['slope -2', 'weight -1']
    """
    where = "plot.error_over_weight"
    name, spot = _weight(where, net, parameter, index)
    steps = integer(where, "steps", steps, minimum=2)
    error = _Error(net, x, y, loss, [(name, spot)])
    (weight,) = error.weights
    values = _range(where, "range", range, weight, steps)
    errors = np.array([error(value) for value in values])
    place = axes_for(where, axes)
    place.plot(values, errors, color=BLUE)
    reach = (values[-1] - values[0]) / 8
    if name in error.gradients:
        slope = float(error.gradients[name][spot])
        ends = np.array([weight - reach, weight + reach])
        tangent = error.present + slope * (ends - weight)
        place.plot(ends, tangent, "--", color=ORANGE, label=f"slope {slope:.4g}", zorder=3)
    place.plot(weight, error.present, "o", color=ORANGE, label=f"weight {weight:.4g}", zorder=4)
    place.set(xlabel=_label(name, spot), ylabel="loss", title="Loss over one weight")
    place.legend()
    return place


@named_arguments
def error_surface(
    net: Network,
    x: Any,
    y: Any,
    loss: Any,
    first: tuple[str, Any],
    second: tuple[str, Any],
    first_range: tuple[float, float] | None = None,
    second_range: tuple[float, float] | None = None,
    *,
    steps: int = 41,
    axes: Any = None,
) -> Axes:
    """The loss as a function of two weights, all others being as they are, as a map with contour lines.

    The lines are closer to each other near the minimum, so that it can be seen. A dot marks the present weights, and an
    arrow points where gradient descent goes from there. The network itself is not changed.

    Parameters
    ----------
    net : Network
    x, y, loss
        As in `Network.loss_and_gradients`.
    first, second : (str, int or sequence of int)
        Parameter and index of the weights on the horizontal and on the vertical axis, such as
        ``("dense.kernel", (0, 0))``; see `error_over_weight`.
    first_range, second_range : (float, float), optional
        Their smallest and largest values; by default, 2 or twice the weight to each side, whichever is more.
    steps : int, default 41
        Values of each weight: the loss is computed ``steps ** 2`` times.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import nnfast as nf
    >>> net = nf.Network([nf.layers.Input((1,)), nf.layers.Dense(1)], seed=0)
    >>> x, y = [[0.0], [1.0]], [[1.0], [3.0]]
    >>> weights = ("dense.kernel", (0, 0)), ("dense.bias", 0)
    >>> axes = nf.plot.error_surface(net, x, y, "mse", *weights, (0, 4), (-1, 3), steps=9, axes=Figure().subplots())
    >>> axes.get_xlabel(), axes.get_ylabel()
    ('dense.kernel[0, 0]', 'dense.bias[0]')
    """
    where = "plot.error_surface"
    steps = integer(where, "steps", steps, minimum=2)
    spots = [_weight(where, net, *_pair(where, pair)) for pair in (first, second)]
    if spots[0] == spots[1]:
        raise ValueError(f"{where}: expected two different weights, got {_label(*spots[0])} twice")
    error = _Error(net, x, y, loss, spots)
    horizontal = _range(where, "first_range", first_range, error.weights[0], steps)
    vertical = _range(where, "second_range", second_range, error.weights[1], steps)
    errors = np.array([[error(a, b) for a in horizontal] for b in vertical])
    place = axes_for(where, axes, 6.0, 4.8)
    _draw_surface(where, place, horizontal, vertical, errors)
    slopes = [float(error.gradients[name][spot]) if name in error.gradients else 0.0 for name, spot in spots]
    _draw_descent(place, error.weights, slopes, horizontal[-1] - horizontal[0], vertical[-1] - vertical[0])
    place.set(xlabel=_label(*spots[0]), ylabel=_label(*spots[1]), title="Loss over two weights")
    place.set(xlim=(horizontal[0], horizontal[-1]), ylim=(vertical[0], vertical[-1]))
    place.legend()
    return place


def _draw_surface(where: str, place: Axes, horizontal: Array, vertical: Array, errors: Array) -> None:
    shown = np.ma.masked_invalid(errors)
    if shown.mask.all():
        raise ValueError(f"{where}: expected losses that are finite, got none; pass smaller ranges")
    low, high = float(shown.min()), float(shown.max())
    # Equal distances of the square root: contours of a parabola are evenly spaced.
    levels = low + (high - low or 1.0) * np.linspace(0, 1, 16) ** 2
    filled = place.contourf(horizontal, vertical, shown, levels=levels, cmap="viridis")
    place.contour(horizontal, vertical, shown, levels=levels, colors="white", linewidths=0.5)
    figure: Any = place.figure
    figure.colorbar(filled, ax=place, label="loss", format="%.3g")
    place.grid(False)


def _draw_descent(place: Axes, weights: Sequence[float], slopes: Sequence[float], width: float, height: float) -> None:
    """The present weights, and an arrow against the gradient, an eighth of the picture long."""
    label = "weights " + ", ".join(f"{weight:.4g}" for weight in weights)
    place.plot(weights[0], weights[1], "o", color=ORANGE, markeredgecolor="white", label=label, zorder=4)
    length = np.hypot(slopes[0] / width, slopes[1] / height)
    if 0 < length < np.inf:
        end = [weight - slope / length / 8 for weight, slope in zip(weights, slopes, strict=True)]
        arrow: Any = {"arrowstyle": "-|>", "color": ORANGE, "lw": 2, "shrinkA": 0, "shrinkB": 0}
        place.annotate("", (end[0], end[1]), (weights[0], weights[1]), arrowprops=arrow)


# ---- weights -----------------------------------------------------------------


def _pair(where: str, value: Any) -> tuple[Any, Any]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise TypeError(
            f'{where}: expected parameter and index of a weight, such as ("dense.kernel", (0, 0)), got '
            f"{short_repr(value)}"
        )
    return value[0], value[1]


def _weight(where: str, net: Network, parameter: Any, index: Any) -> tuple[str, Shape]:
    name = choose(f"parameter in {where}", parameter, net.parameters)
    shape = net.parameters[name].shape
    places = tuple(index) if isinstance(index, tuple | list) else (index,)
    spot = tuple(integer(where, "index", place, minimum=0) for place in places)
    if len(spot) != len(shape) or any(place >= size for place, size in zip(spot, shape, strict=True)):
        raise ValueError(f"{where}: expected the index of a weight of {name!r} {shape}, got {short_repr(index)}")
    return name, spot


def _label(name: str, spot: Shape) -> str:
    return f"{name}[{', '.join(map(str, spot))}]" if spot else name


def _range(where: str, name: str, given: Any, weight: float, steps: int) -> Array:
    reach = max(2.0, 2 * abs(weight))
    ends = (weight - reach, weight + reach) if given is None else given
    if not isinstance(ends, tuple | list) or len(ends) != 2:
        raise TypeError(f"{where}: expected two numbers as {name}, got {short_repr(given)}")
    low, high = (real(where, f"a number of {name}", end) for end in ends)
    if not low < high:
        raise ValueError(f"{where}: expected {name} from a smaller number to a larger one, got {short_repr(given)}")
    return np.linspace(low, high, steps)


class _Error:
    """The loss of a copy of a network, as a function of a few of its weights."""

    def __init__(self, net: Network, x: Any, y: Any, loss: Any, weights: Sequence[tuple[str, Shape]]) -> None:
        other = net.copy()
        self.present, self.gradients = other.loss_and_gradients(x, y, loss)
        self._weights = [(other.parameters[name], spot) for name, spot in weights]
        self.weights = [float(view[spot]) for view, spot in self._weights]
        # As in `Network.loss_and_gradients`, but the plan is made once, which takes longer than a small network's loss.
        heads, self._rows = other.heads("loss", loss), other.as_rows(x)
        count = number_of_rows(self._rows)
        self._targets = heads.for_rows(count, y, None, other.dtype)
        self._plan = other.plan(count, heads=heads)

    def __call__(self, *values: float) -> float:
        for (view, spot), value in zip(self._weights, values, strict=True):
            view[spot] = value
        return float(self._plan.loss_and_gradients(self._rows, *self._targets, False))
