"""Diagrams of networks: units as circles, their weights as lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nnfast.core.options import flag, integer, named_arguments
from nnfast.core.tensor import node_of
from nnfast.core.text import short_repr
from nnfast.core.typing import Array, Shape
from nnfast.graph.architecture import Architecture, Node
from nnfast.layers import Dense, Input
from nnfast.plot.figures import BLUE, GRAY, INK, ORANGE, axes_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nnfast.network import Network

__all__ = ["network", "unit_positions"]

_BOX, _BOX_HEIGHT = 0.3, 2.0
"""Half the width, and the height, of the box of an image."""


class _Group(NamedTuple):
    """What is drawn of a layer's output."""

    node: Node
    shape: Shape
    units: Array
    """Indices of the units that are drawn; none of an image or a sequence, which is a box."""
    places: Array
    """Of units or of the box, (n, 2)."""
    dots: Array | None
    """Where dots stand for the units that are left out."""

    @property
    def middle(self) -> Array:
        middle: Array = self.places.mean(axis=0)
        return middle


@named_arguments
def network(
    net: Network,
    x: Any = None,
    *,
    names: Sequence[str] | None = None,
    max_units: int = 16,
    labels: bool = True,
    axes: Any = None,
) -> Axes:
    """The network as a diagram: inputs on the left, weights as lines, blue if positive and orange if negative.

    The wider and darker a line, the larger the weight, compared with the largest of its layer. Outputs that are vectors
    are columns of units; images and sequences are boxes. Lines of a dense layer are its weights, those of other layers
    are gray. Biases are not drawn.

    Parameters
    ----------
    net : Network
    x : array_like, input_shape or (1, *input_shape), optional
        Data for the inputs: the units are filled with the colors of their outputs, and show them as numbers; see
        `Network.trace`.
    names : sequence of str, optional
        Names of the outputs, to be written beside them.
    max_units : int, default 16
        Of more units in a layer, the first and the last are drawn.
    labels : bool, default True
        Write the name and the kind of each layer, and what the colors mean.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import nnfast as nf
    >>> from nnfast import layers
    >>> net = nf.Network([layers.Input((2,)), layers.Dense(3, "tanh"), layers.Dense(1)], seed=0)
    >>> axes = nf.plot.network(net, axes=Figure().subplots())
    >>> axes.get_title()
    'network: 13 parameters'
    """
    where = "plot.network"
    groups = _layout(net.architecture, integer(where, "max_units", max_units, minimum=2))
    has_labels = flag(where, "labels", labels)
    values = {} if x is None else _values(where, net, x)
    place = axes_for(where, axes, *_size(groups))
    has_weights = [_draw_edges(place, net, groups, group) for group in groups.values()]
    for group in groups.values():
        _draw_group(place, group, values.get(group.node.name))
        if has_labels:
            _write_labels(place, group)
    if names is not None:
        _write_names(where, place, groups[node_of(net.architecture.outputs.names[0])], names)
    if any(has_weights) and has_labels:
        from matplotlib.lines import Line2D

        signs = (("positive weight", BLUE), ("negative weight", ORANGE))
        handles = [Line2D([], [], color=color, linewidth=2.5, label=label) for label, color in signs]
        place.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2, frameon=False)
    places = np.concatenate([group.places for group in groups.values()])
    (left, bottom), (right, top) = places.min(axis=0), places.max(axis=0)
    below, above = (2.4, 1.7) if has_labels else (0.6, 0.6)
    place.set(xlim=(left - 0.5, right + (0.5 if names is None else 1.2)), ylim=(bottom - below, top + above))
    place.set_title(f"{net.name}: {net.num_parameters:,} parameters")
    place.axis("off")
    return place


@named_arguments
def unit_positions(net: Network, *, max_units: int = 16) -> dict[str, Array]:
    """Where `network` draws the units of each layer, for texts and pictures beside them.

    Parameters
    ----------
    net : Network
    max_units : int, default 16
        As in `network`.

    Returns
    -------
    dict of str to ndarray (units, 2)
        By name of the layer: x is 0 for inputs, 1 for the next layer and so on; y falls from the first unit to the
        last, around 0. The output of a layer that is not a vector has the position of its box.

    Examples
    --------
    >>> import nnfast as nf
    >>> net = nf.Network([nf.layers.Input((2,)), nf.layers.Dense(1)], seed=0)
    >>> {name: places.tolist() for name, places in nf.plot.unit_positions(net).items()}
    {'input': [[0.0, 0.5], [0.0, -0.5]], 'dense': [[1.0, 0.0]]}
    """
    count = integer("plot.unit_positions", "max_units", max_units, minimum=2)
    return {name: group.places for name, group in _layout(net.architecture, count).items()}


# ---- where things are --------------------------------------------------------


def _layout(architecture: Architecture, max_units: int) -> dict[str, _Group]:
    """By name of the node: one column for each length of the way from the inputs."""
    _, shapes, _ = architecture.infer()
    depths: dict[str, int] = {}
    columns: dict[int, list[Node]] = {}
    for node in architecture.nodes:
        depths[node.name] = max((depths[node_of(source)] + 1 for source in node.inputs), default=0)
        columns.setdefault(depths[node.name], []).append(node)
    slots = {node.name: _slots(shapes[node.name], max_units) for node in architecture.nodes}
    # Groups above each other have two slots between them, for their names.
    heights = {
        depth: sum(slots[node.name] for node in nodes) + 3 * (len(nodes) - 1) for depth, nodes in columns.items()
    }
    tallest = max(heights.values())
    groups = {}
    for depth, nodes in columns.items():
        gap = min(1.6, tallest / heights[depth])
        slot = 0
        for node in nodes:
            rows = np.arange(slot, slot + slots[node.name])
            spots = np.stack([np.full(len(rows), float(depth)), gap * ((heights[depth] - 1) / 2 - rows)], axis=1)
            groups[node.name] = _group(node, shapes[node.name], spots, max_units)
            slot += len(rows) + 3
    return {node.name: groups[node.name] for node in architecture.nodes}


def _slots(shape: Shape, max_units: int) -> int:
    if len(shape) != 1:
        return 2
    return shape[0] if shape[0] <= max_units else max_units + 1


def _group(node: Node, shape: Shape, spots: Array, max_units: int) -> _Group:
    if len(shape) != 1:
        return _Group(node, shape, np.arange(0), spots.mean(axis=0, keepdims=True), None)
    if shape[0] <= max_units:
        return _Group(node, shape, np.arange(shape[0]), spots, None)
    first = max_units - max_units // 2
    units = np.r_[:first, shape[0] - max_units // 2 : shape[0]]
    return _Group(node, shape, units, np.delete(spots, first, axis=0), spots[first])


def _size(groups: Mapping[str, _Group]) -> tuple[float, float]:
    """Of a figure, in inches."""
    places = np.concatenate([group.places for group in groups.values()])
    width, height = places.max(axis=0) - places.min(axis=0)
    return min(1.5 * float(width) + 1.8, 60.0), min(0.36 * float(height) + 2.2, 40.0)


# ---- drawing -----------------------------------------------------------------


def _draw_edges(place: Axes, net: Network, groups: Mapping[str, _Group], group: _Group) -> bool:
    """The lines into a group; whether they are weights."""
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_rgb

    kernel = _kernel(net, group.node.layer)
    for name in group.node.inputs:
        source = groups[node_of(name)]
        if kernel is not None and len(source.units) and len(group.units):
            weights = kernel[np.ix_(source.units, group.units)].ravel()
            sizes = np.abs(weights) / (np.abs(kernel).max() or 1.0)
            ends = np.stack(np.broadcast_arrays(source.places[:, None], group.places[None]), axis=2).reshape(-1, 2, 2)
            drawn = sizes > 0
            sizes, weights, ends = sizes[drawn], weights[drawn], ends[drawn]
            rgb = np.where(weights[:, None] > 0, to_rgb(BLUE), to_rgb(ORANGE))
            colors = np.concatenate([rgb, 0.15 + 0.75 * sizes[:, None]], axis=1)
            widths = 0.4 + 2.6 * sizes
            place.add_collection(
                LineCollection(list(ends), colors=colors, linewidths=widths, capstyle="round", zorder=1)
            )
        elif len(group.units) and group.shape == source.shape:
            ends = np.stack([source.places, group.places], axis=1)
            place.add_collection(LineCollection(list(ends), colors=GRAY, linewidths=1, zorder=1))
        else:
            _draw_arrow(place, source, group)
    return kernel is not None and bool(len(group.units))


def _kernel(net: Network, layer: Any) -> Array | None:
    """The weights of a dense layer, (inputs, units)."""
    if not isinstance(layer, Dense):
        return None
    tie = layer.tied_parameter
    name = tie or f"{layer.place}.kernel"
    kernel: Array = net.parameters[name]
    if not np.isfinite(kernel).all():
        raise ValueError(f"plot.network: expected finite weights, got NaN or infinity in {name!r}")
    return kernel.T if tie else kernel


def _draw_arrow(place: Axes, source: _Group, target: _Group) -> None:
    """Between groups as wholes; past those in between in an arc."""
    from matplotlib.patches import FancyArrowPatch

    start, end = source.middle.copy(), target.middle.copy()
    start[0] += _edge(source)
    end[0] -= _edge(target)
    outward = 0.35 if source.middle[1] < 0 else -0.35
    bend = "arc3" if target.middle[0] - source.middle[0] < 1.5 else f"arc3,rad={outward}"
    style: Any = {"arrowstyle": "-|>", "mutation_scale": 10, "color": GRAY, "shrinkA": 0, "shrinkB": 0, "zorder": 1}
    place.add_patch(FancyArrowPatch(tuple(start), tuple(end), connectionstyle=bend, **style))


def _edge(group: _Group) -> float:
    return 0.15 if len(group.units) else _BOX


def _draw_group(place: Axes, group: _Group, values: Array | None) -> None:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    x, y = group.places[0]
    edges: Any = {"edgecolors": INK, "linewidths": 1.4, "zorder": 2}
    if not len(group.units):
        corner = (x - _BOX, y - _BOX_HEIGHT / 2)
        box = Rectangle(corner, 2 * _BOX, _BOX_HEIGHT, facecolor="white", edgecolor=INK, linewidth=1.4, zorder=2)
        place.add_patch(box)
        place.text(x, y, " x ".join(map(str, group.shape)) or "1", ha="center", va="center", fontsize=8, zorder=3)
    elif values is None:
        place.scatter(group.places[:, 0], group.places[:, 1], s=260, color="white", **edges)
    else:
        shown = values[group.units].astype("float64")
        largest = float(np.abs(values).max()) or 1.0
        # Lighter than the lines, so that the numbers remain readable.
        cmap = LinearSegmentedColormap.from_list("signs", ["#f2b78c", "white", "#8fbdd8"])
        fill: Any = {"c": shown, "cmap": cmap, "vmin": -largest, "vmax": largest}
        place.scatter(group.places[:, 0], group.places[:, 1], s=520, **fill, **edges)
        for spot, value in zip(group.places, shown, strict=True):
            text = f"{value:.2f}" if abs(value) < 10 else f"{value:.2g}"
            place.text(spot[0], spot[1], text, ha="center", va="center", fontsize=7, zorder=3)
    if group.dots is not None:
        place.text(group.dots[0], group.dots[1], ". . .", ha="center", va="center", rotation=90, zorder=3)


def _write_labels(place: Axes, group: _Group) -> None:
    """The name above, and class, activation and size below."""
    half = 0 if len(group.units) else _BOX_HEIGHT / 2
    x, top, bottom = group.middle[0], group.places[0, 1] + half, group.places[-1, 1] - half
    above: Any = {"textcoords": "offset points", "ha": "center", "zorder": 3}
    place.annotate(group.node.name, (x, top), (0, 15), va="bottom", fontsize=9, weight="bold", **above)
    place.annotate(_kind(group), (x, bottom), (0, -15), va="top", fontsize=8, color="#555555", **above)


def _kind(group: _Group) -> str:
    layer = group.node.layer
    name = "" if isinstance(layer, Input) else type(layer).__name__
    activation = getattr(layer, "activation", None)
    kind = activation["name"] if isinstance(activation, Mapping) else activation or ""
    size = f"{group.shape[0]} units" if len(group.shape) == 1 else ""
    return "\n".join(text for text in (name, kind, size) if text)


def _write_names(where: str, place: Axes, group: _Group, names: Sequence[str]) -> None:
    if isinstance(names, str) or len(group.shape) != 1 or len(names) != group.shape[0]:
        raise ValueError(f"{where}: expected one name for each output {group.shape}, got {short_repr(names)}")
    for unit, spot in zip(group.units, group.places, strict=True):
        place.text(spot[0] + 0.17, spot[1], str(names[unit]), va="center", fontsize=9)


def _values(where: str, net: Network, x: Any) -> dict[str, Array]:
    """The outputs for one row, by node."""
    single = isinstance(net.input_shape, tuple)
    row = np.asarray(x)[None] if single and np.shape(x) == net.input_shape else x
    found = net.trace(row)
    rows = len(next(iter(found.values())))
    if rows != 1:
        raise ValueError(f"{where}: expected one row as x, got {rows}; pass x[:1]")
    return {name: value[0] for name, value in found.items() if value.ndim == 2}
