"""The loss over one weight and over two, against formulas, and the network that stays as it is."""

from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers

figure = pytest.importorskip("matplotlib.figure")

X, Y = np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [3.0], [6.0]])


@pytest.fixture
def axes() -> Any:
    return figure.Figure().subplots()


def line(w: float = -1.0, b: float = 0.5) -> nf.Network:
    """y = w x + b."""
    dense = layers.Dense(1, kernel_initializer=[[w]], bias_initializer=b)
    return nf.Network([layers.Input((1,)), dense], dtype="float64")


def error(w: float, b: float) -> float:
    return float(np.mean((w * X + b - Y) ** 2))


def test_the_loss_over_one_weight(axes: Any) -> None:
    net = line()
    before = net.fingerprint()
    found = nf.plot.error_over_weight(net, X, Y, "mse", "dense.kernel", (0, 0), (-3, 5), steps=17, axes=axes)
    assert found is axes
    curve, tangent, point = axes.lines
    w = np.linspace(-3, 5, 17)
    np.testing.assert_allclose(curve.get_xydata(), [(v, error(v, 0.5)) for v in w], rtol=1e-12)
    assert point.get_xydata()[0] == pytest.approx([-1, error(-1, 0.5)])
    slope = float(np.mean(2 * X * (-X + 0.5 - Y)))
    (x0, y0), (x1, y1) = tangent.get_xydata()
    assert (x0, x1) == (-2, 0)  # an eighth of the range to each side
    assert (y1 - y0) / (x1 - x0) == pytest.approx(slope)
    assert (y0 + y1) / 2 == pytest.approx(error(-1, 0.5))
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == [f"slope {slope:.4g}", "weight -1"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("dense.kernel[0, 0]", "loss")
    assert net.fingerprint() == before


@pytest.mark.parametrize(("bias", "ends"), [(0.5, (-1.5, 2.5)), (3.0, (-3.0, 9.0))])
def test_the_range_of_a_bias_by_default(axes: Any, bias: float, ends: tuple[float, float]) -> None:
    nf.plot.error_over_weight(line(b=bias), X, Y, "mse", "dense.bias", 0, steps=3, axes=axes)
    curve = axes.lines[0].get_xydata()
    np.testing.assert_allclose(curve, [(b, error(-1, b)) for b in (ends[0], bias, ends[1])], rtol=1e-12)


def test_a_frozen_weight_has_no_slope(axes: Any) -> None:
    net = line()
    net.freeze("dense.kernel")
    nf.plot.error_over_weight(net, X, Y, "mse", "dense.kernel", (0, 0), axes=axes)
    assert [each.get_label() for each in axes.lines[1:]] == ["weight -1"]


def test_the_loss_over_two_weights(axes: Any) -> None:
    net = line()
    before = net.fingerprint()
    weights = ("dense.kernel", (0, 0)), ("dense.bias", 0)
    nf.plot.error_surface(net, X, Y, "mse", *weights, (-2, 6), (-4, 4), steps=9, axes=axes)
    filled, contours = axes.collections[:2]
    errors = np.array([[error(w, b) for w in np.linspace(-2, 6, 9)] for b in np.linspace(-4, 4, 9)])
    low, high = errors.min(), errors.max()
    levels = low + (high - low) * np.linspace(0, 1, 16) ** 2
    np.testing.assert_allclose(filled.levels, levels, rtol=1e-12)
    np.testing.assert_allclose(contours.levels, levels, rtol=1e-12)
    assert (filled.zmin, filled.zmax) == pytest.approx((low, high))
    (point,) = axes.lines
    assert point.get_xydata().tolist() == [[-1, 0.5]]
    assert point.get_label() == "weights -1, 0.5"
    # The arrow goes against the gradient.
    (arrow,) = axes.texts
    step = np.array(arrow.xy) - [-1, 0.5]
    slopes = np.array([np.mean(2 * X * (-X + 0.5 - Y)), np.mean(2 * (-X + 0.5 - Y))])
    assert step @ slopes == pytest.approx(-np.linalg.norm(step) * np.linalg.norm(slopes))
    assert np.hypot(*(step / 8)) == pytest.approx(1 / 8)
    assert (axes.get_xlim(), axes.get_ylim()) == ((-2, 6), (-4, 4))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("dense.kernel[0, 0]", "dense.bias[0]")
    (bar,) = [other for other in axes.figure.axes if other is not axes]
    assert bar.get_ylabel() == "loss"
    assert net.fingerprint() == before


def test_contours_lie_where_the_loss_has_their_level(axes: Any) -> None:
    """The error of y = w x + b at x = 2 and -2 is 4 w^2 + b^2: the contours are ellipses."""
    x, y = np.array([[2.0], [-2.0]]), np.zeros((2, 1))
    nf.plot.error_surface(
        line(1, 1), x, y, "mse", ("dense.kernel", [0, 0]), ("dense.bias", 0), (-2, 2), (-2, 2), steps=41, axes=axes
    )
    _, contours = axes.collections[:2]
    for level, path in list(zip(contours.levels, contours.get_paths(), strict=True))[2:10]:
        # Linear interpolation between points 0.1 apart is wrong by an eighth of 0.1^2 f'' at most.
        np.testing.assert_allclose(np.square(path.vertices) @ [4, 1], level, atol=1.01e-2)


@pytest.mark.parametrize(
    ("arguments", "options", "raised", "match"),
    [
        (("dense.kernal", (0, 0)), {}, ValueError, "did you mean 'dense.kernel'"),
        (("dense.kernel", 0), {}, ValueError, r"expected the index of a weight of 'dense.kernel' \(1, 1\), got 0"),
        (("dense.kernel", (0, 1)), {}, ValueError, r"got \(0, 1\)"),
        (("dense.bias", -1), {}, ValueError, "expected index >= 0, got -1"),
        (("dense.bias", 0.5), {}, TypeError, "expected an integer as index, got 0.5"),
        (("dense.bias", 0, (2, 1)), {}, ValueError, r"expected range from a smaller number to a larger one, got \(2"),
        (("dense.bias", 0, 3), {}, TypeError, "expected two numbers as range, got 3"),
        (("dense.bias", 0), {"steps": 1}, ValueError, "expected steps >= 2, got 1"),
    ],
)
def test_wrong_arguments(arguments: Any, options: Any, raised: Any, match: str, axes: Any) -> None:
    with pytest.raises(raised, match=match):
        nf.plot.error_over_weight(line(), X, Y, "mse", *arguments, **options, axes=axes)


def test_wrong_arguments_of_a_surface(axes: Any) -> None:
    with pytest.raises(ValueError, match=r"expected two different weights, got dense.bias\[0\] twice"):
        nf.plot.error_surface(line(), X, Y, "mse", ("dense.bias", 0), ("dense.bias", [0]), axes=axes)
    with pytest.raises(TypeError, match=r"expected parameter and index of a weight, such as .* got 'dense.bias'"):
        nf.plot.error_surface(line(), X, Y, "mse", "dense.bias", ("dense.kernel", (0, 0)), axes=axes)
