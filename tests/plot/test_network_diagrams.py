"""Diagrams of networks: which lines and units are drawn, where, and in which colors."""

from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers

figure = pytest.importorskip("matplotlib.figure")
colors = pytest.importorskip("matplotlib.colors")

BLUE, ORANGE, GRAY = "#2a6f97", "#e07a1f", "#8a8f98"


@pytest.fixture
def axes() -> Any:
    return figure.Figure().subplots()


def lines(axes: Any) -> Any:
    """The collections of lines, one for each pair of groups with units."""
    return [found for found in axes.collections if hasattr(found, "get_segments")]


def units(axes: Any) -> Any:
    return [found for found in axes.collections if not hasattr(found, "get_segments")]


def words(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_line_for_each_weight(axes: Any) -> None:
    kernel = np.array([[2.0, -1.0, 0.0], [0.5, 4.0, -4.0]])
    net = nf.Network([layers.Input((2,)), layers.Dense(3, "relu", kernel_initializer=kernel)], name="small")
    assert nf.plot.network(net, axes=axes) is axes
    (drawn,) = lines(axes)
    places = nf.plot.unit_positions(net)
    assert places["input"].tolist() == [[0, 0.75], [0, -0.75]]
    assert places["dense"].tolist() == [[1, 1], [1, 0], [1, -1]]
    weights = [(i, j, w) for (i, j), w in np.ndenumerate(kernel) if w]
    for (i, j, w), segment, color, width in zip(
        weights, drawn.get_segments(), drawn.get_colors(), drawn.get_linewidths(), strict=True
    ):
        assert segment.tolist() == [places["input"][i].tolist(), places["dense"][j].tolist()]
        assert color[:3] == pytest.approx(colors.to_rgb(BLUE if w > 0 else ORANGE))
        assert color[3] == pytest.approx(0.15 + 0.75 * abs(w) / 4)
        assert width == pytest.approx(0.4 + 2.6 * abs(w) / 4)
    for group, name in zip(units(axes), ("input", "dense"), strict=True):
        assert group.get_offsets().tolist() == places[name].tolist()
    assert words(axes) == ["input", "2 units", "dense", "Dense\nrelu\n3 units"]
    assert axes.get_title() == "small: 9 parameters"
    legend = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["positive weight", "negative weight"]
    assert [line.get_color() for line in legend.get_lines()] == [BLUE, ORANGE]


def test_the_first_and_the_last_of_many_units(axes: Any, rng: np.random.Generator) -> None:
    kernel = rng.normal(size=(40, 2))
    net = nf.Network([layers.Input((40,)), layers.Dense(2, kernel_initializer=kernel)], dtype="float64")
    nf.plot.network(net, max_units=5, axes=axes)
    places = nf.plot.unit_positions(net, max_units=5)["input"]
    gaps = -np.diff(places[:, 1])
    assert gaps == pytest.approx([1, 1, 2, 1])  # dots between the third and the last two
    assert ". . ." in words(axes)
    widths = 0.4 + 2.6 * np.abs(kernel[[0, 1, 2, 38, 39]]).ravel() / np.abs(kernel).max()
    (drawn,) = lines(axes)
    assert drawn.get_linewidths() == pytest.approx(widths)
    assert "40 units" in words(axes)


def test_outputs_for_a_row(axes: Any) -> None:
    dense = layers.Dense(3, kernel_initializer=[[1.0, -2.0, 0.5], [0.0, 0.0, 12.0]])
    net = nf.Network([layers.Input((2,)), dense])
    nf.plot.network(net, [1.0, 1.0], names=["a", "b", "c"], axes=axes)
    first, second = units(axes)
    assert first.get_array().tolist() == [1, 1]
    assert second.get_array().tolist() == [1, -2, 12.5]
    assert second.get_clim() == (-12.5, 12.5)
    assert {"1.00", "-2.00", "12", "a", "b", "c"} <= set(words(axes))
    with pytest.raises(ValueError, match="expected one row as x, got 2; pass x"):
        nf.plot.network(net, [[1.0, 1.0], [1.0, 1.0]], axes=axes)
    with pytest.raises(ValueError, match=r"expected one name for each output \(3,\), got \['a'\]"):
        nf.plot.network(net, names=["a"], axes=axes)


def test_without_labels(axes: Any) -> None:
    net = nf.Network([layers.Input((2,)), layers.Dense(3)], seed=0)
    nf.plot.network(net, labels=False, axes=axes)
    assert not axes.texts
    assert axes.get_legend() is None


def test_images_are_boxes_and_branches_are_above_each_other(axes: Any) -> None:
    image, extra = layers.Input((8, 8, 3), name="image"), layers.Input((4,), name="extra")
    a = layers.Conv2D(3, 3, padding="same", name="a")(image)
    flat = layers.Flatten(name="flat")(a + image)
    relu = layers.ReLU(name="relu")(extra)
    joined = layers.Concatenate(name="joined")([flat, relu])
    net = nf.Network(inputs=[image, extra], outputs=layers.Dense(2, name="out")(joined), seed=0)
    nf.plot.network(net, max_units=6, axes=axes)
    places = nf.plot.unit_positions(net, max_units=6)
    depths = {name: set(spots[:, 0]) for name, spots in places.items()}
    assert depths == {
        "image": {0}, "extra": {0}, "a": {1}, "relu": {1}, "add": {2}, "flat": {3}, "joined": {4}, "out": {5}
    }  # fmt: skip
    assert len(places["image"]) == 1
    assert places["image"][0, 1] > places["extra"][0, 1] + 2
    boxes = [patch for patch in axes.patches if hasattr(patch, "get_xy") and hasattr(patch, "get_width")]
    arrows = [patch for patch in axes.patches if hasattr(patch, "get_connectionstyle")]
    assert len(boxes) == 3
    assert words(axes).count("8 x 8 x 3") == 3
    # image-a, a-add, image-add, add-flat, flat-joined, relu-joined
    assert len(arrows) == 6
    gray, weights = lines(axes)
    assert len(gray.get_segments()) == 4  # extra-relu, unit by unit
    assert colors.to_hex(gray.get_colors()[0]) == GRAY
    assert len(weights.get_segments()) == 6 * 2


def test_tied_weights_are_those_of_the_other_layer(axes: Any) -> None:
    encoder = layers.Dense(2, name="code", kernel_initializer=[[1.0, 0.0], [-2.0, 0.0], [0.0, 3.0]])
    net = nf.Network([layers.Input((3,)), encoder, layers.Dense(3, tied_to=encoder, name="decoder")], seed=0)
    nf.plot.network(net, axes=axes)
    places = nf.plot.unit_positions(net)
    _, decoder = lines(axes)
    ends = {(0, 0), (0, 1), (1, 2)}
    wanted = [[places["code"][i].tolist(), places["decoder"][j].tolist()] for i, j in sorted(ends)]
    assert [segment.tolist() for segment in decoder.get_segments()] == wanted


def test_weights_of_zero_and_of_nan(axes: Any) -> None:
    net = nf.Network([layers.Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
    nf.plot.network(net, axes=axes)
    assert [drawn.get_segments() for drawn in lines(axes)] == [[]]
    net.parameters["dense.kernel"][0] = np.nan
    with pytest.raises(ValueError, match=r"expected finite weights, got NaN or infinity in 'dense.kernel'"):
        nf.plot.network(net, axes=axes)
    with pytest.raises(ValueError, match="expected max_units >= 2, got 1"):
        nf.plot.network(net, max_units=1, axes=axes)


@pytest.mark.parametrize("model", ["lenet5", "char_lstm"])
def test_models_of_other_layers(model: str, axes: Any) -> None:
    net = nf.models.lenet5(seed=0) if model == "lenet5" else nf.models.char_lstm(10, 6, units=4, seed=0)
    nf.plot.network(net, axes=axes)
    assert {layer.place for layer in net.layers} <= set(words(axes))
    axes.figure.draw_without_rendering()
