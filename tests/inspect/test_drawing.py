"""Drawings of networks: valid SVG, in which nothing overlaps, and what notebooks show."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nnfast as nf
import nnfast.inspect.drawing
from nnfast import layers
from nnfast.inspect.layout import Edge, layered

SVG = "{http://www.w3.org/2000/svg}"


def graph() -> nf.Network:
    """Two inputs, shared and nested layers, an op of several outputs, named outputs."""
    a, b = (
        layers.Input((4,), name="a-very-long-name-of-an-input-of-the-network"),
        layers.Input((4,), dtype="int32", name="b"),
    )
    base = nf.Network([layers.Input((4,)), layers.Dense(4, name="inner")], name="base")
    shared = layers.Dense(4, name="shared")
    one, other = layers.Split(2)(base(shared(a)))
    first = layers.Dense(2, name="last")(layers.Concatenate()([one, other, shared(base(b))]))
    return nf.Network(inputs=[a, b], outputs={"x<y": first, "sum": 2.0 * one + other}, seed=0)


NETWORKS = {
    "chain": lambda: nf.Network([layers.Input((4,)), layers.Dense(3), layers.ReLU()], name="<chain> & more"),
    "graph": graph,
    "lenet5": nf.models.lenet5,
    "resnet": lambda: nf.models.resnet_cifar(8),
    "googlenet": nf.models.googlenet,
    "transformer": lambda: nf.models.transformer(50, 12, 8, 2, 2),
}


def boxes_of(root: Any) -> list[tuple[float, float, float, float]]:
    numbers = [[float(rect.get(key)) for key in ("x", "y", "width", "height")] for rect in root.iter(f"{SVG}rect")]
    return [(x, y, x + width, y + height) for x, y, width, height in numbers]


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_overlaps(name: str) -> None:
    net = NETWORKS[name]()
    root = ET.fromstring(str(net.show()))
    width, height = float(root.get("width") or 0), float(root.get("height") or 0)
    boxes = sorted(boxes_of(root), key=lambda box: (box[1], box[0]))
    assert len(boxes) == len(net.architecture.nodes) + len(net.architecture.outputs.names)
    for x, y, right, bottom in boxes:
        assert 0 <= x < right <= width
        assert 0 <= y < bottom <= height
    for one, other in pairwise(boxes):
        assert one[1] != other[1] or one[2] < other[0]
    # Texts are within their boxes, and labels beside edges within the width of the box above.
    for text in root.iter(f"{SVG}text"):
        x, y = float(text.get("x") or 0), float(text.get("y") or 0)
        half = 3.2 * len(text.text or "")
        if text.text and text.text.startswith("("):
            above = [box for box in boxes if box[0] <= x and x + 2 * half <= box[2] and 0 < y - box[3] < 20]
            assert len(above) == 1, text.text
        else:
            assert any(box[0] < x - half and x + half < box[2] and box[1] < y < box[3] for box in boxes), text.text
    # Edges go through no box: where they pass a row, and at their ends.
    for path in root.iter(f"{SVG}path"):
        d = path.get("d") or ""
        ends = [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)(?=V|$)", d)] if "C" in d else []
        for x, y in ends:
            assert not any(box[0] < x < box[2] and box[1] < y < box[3] for box in boxes)


def test_what_is_written(tmp_path: Path) -> None:
    net = graph()
    drawing = net.show()
    assert re.fullmatch(r"<Drawing of 'network': 9 layers, \d+ x \d+>", repr(drawing))
    assert drawing._repr_svg_() == str(drawing)
    root = ET.fromstring(str(drawing))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"shared", "shared:2", "base/inner", "base/inner:2", "output x<y", "output sum", "b"} <= set(texts)
    assert "a-very-long...the-network" in texts
    assert {"Dense, 20 parameters", "Dense, shared", "Input, int32", "(N, 4)", "(N, 2)"} <= set(texts)
    assert texts.count("(N, 2)") == 5
    assert not any(
        (text or "").startswith("(")
        for text in [t.text for t in ET.fromstring(str(net.show(show_shapes=False))).iter(f"{SVG}text")]
    )
    drawing.save(tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text(encoding="utf-8") == str(drawing)
    with pytest.raises(ValueError, match=r"expected a name that ends in \.svg, got .*a\.png"):
        drawing.save(tmp_path / "a.png")


def test_large_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nnfast.inspect.drawing, "_MOST_NODES", 20)
    monkeypatch.setattr(nnfast.inspect.drawing, "_MOST_IN_A_NOTEBOOK", 10)
    net = nf.Network([layers.Input((2,)), *(layers.ReLU() for _ in range(20))])
    with pytest.raises(ValueError, match=r"expected at most 20 calls of layers, got 21; draw a part, net.extract"):
        net.show()
    assert "<svg" not in net._repr_html_()
    assert "<svg" in nf.Network([layers.Input((2,)), layers.ReLU()])._repr_html_()
    assert len(boxes_of(ET.fromstring(str(net.extract("relu_5", "relu_2").show())))) == 5


def test_what_notebooks_show() -> None:
    net = nf.Network([layers.Input((4,)), layers.Dense(3, name="hidden")], name="<b>&", seed=0)
    html = net._repr_html_()
    assert "&lt;b&gt;&amp;</b> (float32)" in html
    assert '<td style="text-align: left">hidden (Dense)</td>' in html
    assert '<td style="text-align: right">15</td>' in html
    assert "Parameters: 15 (60 bytes), trainable 15, frozen 0" in html
    assert ET.fromstring(html[html.index("<svg") : html.index("</svg>") + 6]) is not None
    table = net.describe()._repr_html_()
    assert table.count("<tr>") == 1 + len(net.describe())
    explained = net.explain(np.ones(4), np.ones(3), "mse")._repr_html_()
    assert explained.count("<table>") == 2
    history = nf.Trainer(net, loss="mse").fit(np.ones((8, 4)), np.ones((8, 3)), epochs=2, progress=False)
    assert history._repr_html_().count("<tr>") == 3


@given(st.integers(1, 25), st.randoms(use_true_random=False))
def test_layouts_of_any_graph(count: int, random: Any) -> None:
    names = [f"n{i}" for i in range(count)]
    widths = {name: random.uniform(20, 200) for name in names}
    edges = [
        Edge(names[start], names[end], random.randrange(2))
        for end in range(1, count)
        for start in random.sample(range(end), min(end, random.randrange(4)))
    ]
    layout = layered(widths, edges, 24.0)
    row_of = {name: i for i, row in enumerate(layout.rows) for name in row}
    assert sorted(row_of) == sorted(names)
    for edge in edges:
        assert row_of[edge.start] < row_of[edge.end]
        assert len(layout.passed[edge]) == row_of[edge.end] - row_of[edge.start] - 1
    for i, row in enumerate(layout.rows):
        items = [(layout.middle[name], widths[name]) for name in row]
        items += [
            (xs[i - row_of[edge.start] - 1], 0.0)
            for edge, xs in layout.passed.items()
            if row_of[edge.start] < i < row_of[edge.end]
        ]
        for (x, width), (y, other) in pairwise(sorted(items)):
            assert y - x >= (width + other) / 2 + 23.9
