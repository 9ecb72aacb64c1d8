"""`Network.show`: the graph of a network as SVG, and what notebooks show of a network."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from nnfast.core.files import atomic_writer
from nnfast.core.options import flag
from nnfast.core.table import html_table
from nnfast.core.tensor import batch_shape, node_of
from nnfast.graph.architecture import Node
from nnfast.graph.summary import kind_of, sizes_of_layers
from nnfast.inspect.layout import Edge, Layout, layered
from nnfast.layers import Input, Layer

if TYPE_CHECKING:
    from nnfast.network import Network

__all__ = ["Drawing", "html_of"]

_MOST_NODES = 2000
_MOST_IN_A_NOTEBOOK = 100
_LONGEST = 26
"""Characters of a name."""
_SIZE = 12
"""Of letters, in pixels."""
_BOX_HEIGHT, _STEP, _STRAIGHT, _GAP, _MARGIN, _PADDING = 40, 84, 18, 24, 14, 10
"""Of boxes, from row to row, of the upright start of edges, between boxes, around all, and within boxes."""
_LEAST_WIDTH = 172
_LINE = "#7a7a7a"
"""Readable on white and on black."""
_INK = "#1f2328"
_FILLS = {
    "ends": "#d8dee4",
    "weights": "#cfe3ff",
    "shared": "#ffe3b8",
    "other": "#e6f4df",
}


class _Box(NamedTuple):
    """A box with its texts."""

    title: str
    note: str
    fill: str
    width: float
    hint: str
    """In full, shown by browsers."""


class Drawing:
    """A drawing, as returned by `Network.show`.

    Parameters
    ----------
    svg : str
        The text of an SVG file.
    text : str
        What `repr` says.

    Examples
    --------
    >>> import nnfast as nf
    >>> net = nf.Network([nf.layers.Input((4,)), nf.layers.Dense(3)], name="small")
    >>> str(net.show())[:4]
    '<svg'
    """

    def __init__(self, svg: str, text: str) -> None:
        self._svg = svg
        self._text = text

    @classmethod
    def of(cls, network: Network, *, show_shapes: bool = True) -> Drawing:
        """The drawing of a network.

        Parameters
        ----------
        network : Network
        show_shapes : bool, default True
            Whether to write the shapes of the tensors.
        """
        shows = flag("show", "show_shapes", show_shapes)
        if len(network.architecture.nodes) > _MOST_NODES:
            raise ValueError(
                f"show: expected at most {_MOST_NODES} calls of layers, got {len(network.architecture.nodes)}; draw a "
                "part, net.extract(outputs, inputs).show()"
            )
        boxes, edges, shapes = _graph(network)
        layout = layered({name: box.width for name, box in boxes.items()}, edges, _GAP)
        svg, width, height = _svg(boxes, edges, layout, shapes if shows else {}, network.name)
        count = len(network.layers)
        return cls(svg, f"<Drawing of {network.name!r}: {count} layers, {width} x {height}>")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an SVG file, atomically.

        Parameters
        ----------
        path : str or path-like
            Ends in ".svg".
        """
        if not os.fspath(path).lower().endswith(".svg"):
            raise ValueError(
                f"save: expected a name that ends in .svg, got {os.fspath(path)!r}; other programs convert it"
            )
        with atomic_writer(path) as file:
            file.write(self._svg.encode())

    def _repr_svg_(self) -> str:
        return self._svg

    def __str__(self) -> str:
        return self._svg

    def __repr__(self) -> str:
        return self._text


def html_of(network: Network) -> str:
    """What notebooks show of a network: its layers as a table, and its graph."""
    from html import escape

    found = network.summary_rows()
    table = html_table(found.columns, found.rows, right=[2])
    text = f"<p><b>{escape(network.name)}</b> ({network.dtype})</p>{table}<p>{escape(found.total)}</p>"
    if len(network.architecture.nodes) > _MOST_IN_A_NOTEBOOK:
        return f"<div>{text}</div>"
    return f"<div>{text}<details><summary>Graph</summary>{Drawing.of(network)}</details></div>"


# ---- what is drawn ---------------------------------------------------------------


def _graph(network: Network) -> tuple[dict[str, _Box], list[Edge], dict[tuple[str, int], str]]:
    """Boxes by name, edges, and the shapes of outputs."""
    architecture = network.architecture
    _, rows, _ = architecture.infer()
    sizes = sizes_of_layers(network.parameters)
    calls: dict[str, int] = {}
    for node in architecture.nodes:
        calls[node.layer.place] = calls.get(node.layer.place, 0) + 1
    shapes: dict[tuple[str, int], str] = {}
    for name, row in rows.items():
        first, _, index = name.partition("#")
        shapes[first, int(index or 0)] = batch_shape(row)
    labels: dict[str, list[str]] = {}
    for (name, _), shape in shapes.items():
        labels.setdefault(name, []).append(shape)
    boxes = {}
    for node in architecture.nodes:
        size = sizes[node.layer.place] if node.is_first else 0
        boxes[node.name] = _box(node, size, calls[node.layer.place] > 1, labels[node.name])
    edges = [_edge(source, node.name) for node in architecture.nodes for source in node.inputs]
    keys = architecture.outputs.keys
    for i, name in enumerate(architecture.outputs.names):
        title = "output" if architecture.outputs.single else f"output {keys[i] if keys else i}"
        end = f"{title}#"  # no layer has such a name
        width = max(_width(_clipped(title), bold=True) + 2 * _PADDING, _LEAST_WIDTH / 2)
        boxes[end] = _Box(_clipped(title), "", _FILLS["ends"], width, title)
        edges.append(_edge(name, end))
    return boxes, edges, shapes


def _edge(source: str, end: str) -> Edge:
    _, _, index = source.partition("#")
    return Edge(node_of(source), end, int(index or 0))


def _box(node: Node, size: int, is_shared: bool, shapes: list[str]) -> _Box:
    kind, title = kind_of(node.layer), _clipped(node.name)
    note = _clipped(kind) + (f", {size:,} parameters" if size else "")
    if is_shared and not node.is_first:
        note = f"{_clipped(kind)}, shared"
    labels = sum(_width(shape) + 12 for shape in shapes)
    # A label stands beside the edge from the middle.
    needed = max(_width(title, bold=True), _width(note), 2 * labels if len(shapes) == 1 else labels)
    return _Box(
        title, note, _fill(node.layer, size, is_shared), max(needed + 2 * _PADDING, _LEAST_WIDTH), repr(node.layer)
    )


def _fill(layer: Layer, size: int, is_shared: bool) -> str:
    if isinstance(layer, Input):
        return _FILLS["ends"]
    return _FILLS["shared" if is_shared else "weights" if size else "other"]


def _clipped(text: str) -> str:
    """The text, or its beginning and end."""
    half = (_LONGEST - 3) // 2
    return text if len(text) <= _LONGEST else f"{text[:half]}...{text[-half:]}"


def _width(text: str, bold: bool = False) -> float:
    """About the width of a text in pixels, rather more."""
    narrow, wide = "ijlIft.,:;'()[]|! ", "mwMW@%"
    units = sum(0.42 if c in narrow else 0.98 if c in wide else 0.74 if c.isupper() else 0.64 for c in text)
    return _SIZE * units * (1.1 if bold else 1.0)


# ---- SVG -------------------------------------------------------------------------


def _svg(
    boxes: Mapping[str, _Box], edges: list[Edge], layout: Layout, shapes: Mapping[tuple[str, int], str], title: str
) -> tuple[str, int, int]:
    """The text of a file, its width and its height."""
    from html import escape

    lefts = [layout.middle[name] - box.width / 2 for name, box in boxes.items()]
    rights = [layout.middle[name] + box.width / 2 for name, box in boxes.items()]
    passing = [x for found in layout.passed.values() for x in found]
    start = min(lefts + passing) - _MARGIN
    width = round(max(rights + passing) - start + _MARGIN)
    height = (len(layout.rows) - 1) * _STEP + _BOX_HEIGHT + 2 * _MARGIN
    top = {name: _MARGIN + i * _STEP for i, row in enumerate(layout.rows) for name in row}
    middle = {name: x - start for name, x in layout.middle.items()}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="DejaVu Sans, Verdana, sans-serif" font-size="{_SIZE}">',
        f"<title>{escape(title)}</title>",
        f'<g fill="none" stroke="{_LINE}" stroke-width="1.3">',
    ]
    outputs: dict[str, set[int]] = {}
    for edge in edges:
        outputs.setdefault(edge.start, set()).add(edge.output)
    ports = {
        (name, index): middle[name] + (place + 0.5 - len(found) / 2) * (boxes[name].width - 2 * _PADDING) / len(found)
        for name, found in outputs.items()
        for place, index in enumerate(sorted(found))
    }
    for edge in dict.fromkeys(edges):
        xs = [ports[edge.start, edge.output], *(x - start for x in layout.passed[edge]), middle[edge.end]]
        parts.append(_path(xs, top[edge.start] + _BOX_HEIGHT, top[edge.end]))
    parts.append("</g>")
    for name, box in boxes.items():
        parts.append(_drawn(box, middle[name], top[name]))
    parts.append(f'<g fill="{_LINE}">')
    for (name, index), x in ports.items():
        if (name, index) in shapes:
            y = top[name] + _BOX_HEIGHT + _STRAIGHT - 4
            parts.append(f'<text x="{x + 6:.1f}" y="{y}">{escape(shapes[name, index])}</text>')
    parts.append("</g></svg>")
    return "".join(parts), width, height


def _path(xs: list[float], y: float, end: float) -> str:
    """An edge: upright beside labels and boxes, curved between, with an arrow."""
    text = f"M{xs[0]:.1f} {y}"
    rows = len(xs) - 1
    for i in range(rows):
        # The last part of an edge that passes rows in a straight line ends at its box.
        below = y + _STEP - _BOX_HEIGHT if i < rows - 1 else end
        straight, x, other = y + _STRAIGHT, xs[i], xs[i + 1]
        half = (straight + below) / 2
        text += f"V{straight}C{x:.1f} {half:.1f} {other:.1f} {half:.1f} {other:.1f} {below}"
        if i < rows - 1:
            y = below + _BOX_HEIGHT
            text += f"V{y}"
    return f'<path d="{text}"/><path d="M{xs[-1] - 4:.1f} {end - 7}L{xs[-1]:.1f} {end}l4 -7"/>'


def _drawn(box: _Box, x: float, y: float) -> str:
    from html import escape

    place = f'x="{x - box.width / 2:.1f}" y="{y}" width="{box.width:.1f}" height="{_BOX_HEIGHT}"'
    lines = f'<text x="{x:.1f}" y="{y + (17 if box.note else 25)}" font-weight="bold">{escape(box.title)}</text>'
    if box.note:
        lines += f'<text x="{x:.1f}" y="{y + 33}">{escape(box.note)}</text>'
    return (
        f'<g text-anchor="middle" fill="{_INK}"><title>{escape(box.hint)}</title>'
        f'<rect {place} rx="6" fill="{box.fill}" stroke="{_LINE}"/>{lines}</g>'
    )
