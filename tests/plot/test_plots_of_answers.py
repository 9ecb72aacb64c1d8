"""Pictures of answers: the numbers in them against scikit-learn and against arithmetic done here."""

from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

figure = pytest.importorskip("matplotlib.figure")


@pytest.fixture
def axes() -> Any:
    return figure.Figure().subplots()


def texts(axes: Any, classes: int) -> list[list[str]]:
    written = [text.get_text() for text in axes.texts]
    return [written[i : i + classes] for i in range(0, len(written), classes)]


@pytest.fixture
def answers(rng: np.random.Generator) -> tuple[Array, Array]:
    """Classes of 60 rows, and scores with ties, better than random."""
    truth = rng.integers(0, 3, 60)
    truth[:3] = 0, 1, 2
    return truth, np.round(rng.normal(size=(60, 3)) + 1.5 * np.eye(3)[truth], 1)


# ---- confusion matrix --------------------------------------------------------


def test_counts_of_a_confusion_matrix(answers: tuple[Array, Array], axes: Any) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    truth, scores = answers
    wanted = metrics.confusion_matrix(truth, scores.argmax(axis=1))
    assert nf.plot.confusion_matrix(truth, scores, names=["a", "b", "cat"], axes=axes) is axes
    assert texts(axes, 3) == [[str(n) if n else "" for n in row] for row in wanted]
    right, wrong = (image.get_array() for image in axes.images)
    assert np.array_equal(right.mask, ~np.eye(3, dtype=bool))
    assert np.array_equal(wrong.mask, np.eye(3, dtype=bool))
    assert np.array_equal(np.where(right.mask, wrong.data, right.data), wanted)
    # Dark texts on at most half of the scale of colors.
    assert [image.get_clim() for image in axes.images] == [(0, 2 * right.max()), (0, 2 * wrong.max())]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "cat"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "cat"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("prediction", "truth")
    hits = wanted.trace()
    assert axes.get_title() == f"{hits} of 60 right ({hits / 60:.1%})"


@pytest.mark.parametrize("normalize", ["true", "pred", "all"])
def test_percentages(answers: tuple[Array, Array], axes: Any, normalize: Any) -> None:
    truth, scores = answers
    wanted = nf.metrics.ConfusionMatrix(normalize).evaluate(truth, scores)
    nf.plot.confusion_matrix(truth, scores, normalize=normalize, axes=axes)
    assert texts(axes, 3) == [[f"{value:.1%}" if value else "" for value in row] for row in wanted]


@pytest.mark.parametrize(
    ("truth", "prediction"),
    [
        ([0, 1, 1, 0], [0, 1, 0, 0]),
        ([0, 1, 1, 0], [0.1, 0.9, 0.5, 0.2]),  # not above 0.5
        ([[0.0], [1.0], [1.0], [0.0]], [[0.1], [0.9], [0.2], [0.2]]),
        ([[1, 0], [0, 1], [0, 1], [1, 0]], [[0.7, 0.3], [0.2, 0.8], [0.6, 0.4], [0.9, 0.1]]),
        ([False, True, True, False], [False, True, False, False]),
        ([[2, 0], [1, 1]], None),
    ],
)
def test_forms_of_truth_and_prediction(truth: Any, prediction: Any, axes: Any) -> None:
    nf.plot.confusion_matrix(truth, prediction, axes=axes)
    assert texts(axes, 2) == [["2", ""], ["1", "1"]]


def test_classes_that_do_not_occur_are_drawn(axes: Any) -> None:
    nf.plot.confusion_matrix([0, 0], [0, 1], names=["a", "b", "c"], axes=axes)
    assert texts(axes, 3) == [["1", "1", ""], ["", "", ""], ["", "", ""]]


def test_one_class_and_many(axes: Any) -> None:
    nf.plot.confusion_matrix([[5]], axes=axes)
    assert texts(axes, 1) == [["5"]]
    many = figure.Figure().subplots()
    nf.plot.confusion_matrix(np.arange(40), np.arange(40), axes=many)
    assert len(many.texts) == 0
    assert many.images[0].get_array().shape == (40, 40)


@pytest.mark.parametrize(
    ("arguments", "options", "match"),
    [
        (([0, 1], [0, 1, 1]), {}, "expected as many rows of truth and prediction, got 2 and 3"),
        (([0, 1], [0.2, 1.5]), {}, r"expected prediction as class numbers, .* got 0.2"),
        (([0, -1], [0, 1]), {}, "expected truth as class numbers, .* got -1"),
        (([0, 1], [[0.1, np.nan], [1, 0]]), {}, "prediction: expected finite numbers"),
        (([0, 1], [0, 5000]), {}, "expected class numbers below 1000, got 5000"),
        (([0, 1],), {}, r"expected a matrix \(K, K\) without prediction, got \(2,\); pass truth and prediction"),
        (([[1, 2], [3, -4]],), {}, "expected counts, got -4"),
        (([], []), {}, "expected truth .* not empty"),
        (([0, 1], [0, 1]), {"names": ["a"]}, r"expected 2 names, one for each class, got \['a'\]"),
        (([0, 1], [0, 1]), {"names": "ab"}, "expected 2 names"),
        (([0, 1], [0, 1]), {"normalize": "row"}, "expected normalize as"),
    ],
)
def test_wrong_arguments_of_a_confusion_matrix(arguments: Any, options: Any, match: str, axes: Any) -> None:
    with pytest.raises(ValueError, match=match):
        nf.plot.confusion_matrix(*arguments, **options, axes=axes)


# ---- curves of scores --------------------------------------------------------


def area_under(line: Any) -> float:
    x, y = line.get_xydata().T
    return float(np.trapezoid(y, x))


def test_a_roc_curve_of_each_class(answers: tuple[Array, Array], axes: Any) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    truth, scores = answers
    nf.plot.roc(truth, scores, names=["a", "b", "c"], axes=axes)
    areas = nf.metrics.AUC(average=None).evaluate(truth, scores)
    *curves, chance = axes.lines
    for k, line in enumerate(curves):
        false_positive, true_positive, _ = metrics.roc_curve(truth == k, scores[:, k], drop_intermediate=False)
        np.testing.assert_allclose(line.get_xydata(), np.stack([false_positive, true_positive], axis=1), atol=1e-15)
        assert area_under(line) == pytest.approx(areas[k], abs=1e-14)
        assert line.get_label() == f"{'abc'[k]}: area {areas[k]:.4f}"
    assert chance.get_xydata().tolist() == [[0, 0], [1, 1]]
    assert len({line.get_color() for line in curves}) == 3
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == [line.get_label() for line in curves]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("false positive rate", "true positive rate")


def test_a_precision_recall_curve(answers: tuple[Array, Array], axes: Any) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    truth, scores = answers[0] == 1, answers[1][:, 1]
    nf.plot.precision_recall(truth, scores, axes=axes)
    curve, baseline = axes.lines
    area = nf.metrics.AUC("PR").evaluate(truth, scores)
    precision, recall, _ = metrics.precision_recall_curve(truth, scores)
    np.testing.assert_allclose(curve.get_xydata()[1:, 0], recall[-2::-1], atol=1e-15)
    np.testing.assert_allclose(curve.get_xydata()[1:, 1], precision[-2::-1], atol=1e-15)
    # Before each point, the line has its height.
    assert curve.get_drawstyle() == "steps-pre"
    x, y = curve.get_xydata().T
    assert (np.diff(x) @ y[1:]) == pytest.approx(area, abs=1e-14)
    assert curve.get_label() == f"area {area:.4f}"
    assert baseline.get_ydata()[0] == pytest.approx(truth.mean())


def test_one_hot_rows_and_labels_apart(answers: tuple[Array, Array], axes: Any) -> None:
    truth, scores = answers
    nf.plot.roc(np.eye(3)[truth], scores, axes=axes)
    by_number = figure.Figure().subplots()
    nf.plot.roc(truth, scores, axes=by_number)
    for one, other in zip(axes.lines, by_number.lines, strict=True):
        assert np.array_equal(one.get_xydata(), other.get_xydata())
    labels = np.array([[1, 1], [1, 0], [0, 1], [0, 0]])
    apart = figure.Figure().subplots()
    nf.plot.roc(labels, [[0.9, 0.8], [0.8, 0.1], [0.1, 0.7], [0.2, 0.75]], multi_label=True, axes=apart)
    assert [line.get_label() for line in apart.lines[:2]] == ["0: area 1.0000", "1: area 0.7500"]


@pytest.mark.parametrize("draw", [nf.plot.roc, nf.plot.precision_recall])
def test_wrong_arguments_of_curves(draw: Any, axes: Any) -> None:
    with pytest.raises(ValueError, match="expected rows of class 0 and others, got no others; leave the class out"):
        draw([1, 1], [0.2, 0.3], axes=axes)
    with pytest.raises(ValueError, match="expected rows of class 2 and others, got none"):
        draw([0, 1, 1], np.eye(3), axes=axes)
    with pytest.raises(ValueError, match="scores: expected finite numbers"):
        draw([0, 1], [0.1, np.nan], axes=axes)
    with pytest.raises(ValueError, match=r"expected scores .* not empty"):
        draw([], [], axes=axes)
    with pytest.raises(ValueError, match="expected 3 names"):
        draw([0, 1, 2], np.eye(3), names=["a"], axes=axes)
    with pytest.raises(TypeError, match="unknown argument 'title'"):
        draw([0, 1], [0, 1], title="x", axes=axes)


# ---- regions -----------------------------------------------------------------


def plane(units: int, kernel: Any, bias: Any = "zeros") -> nf.Network:
    dense = layers.Dense(units, kernel_initializer=kernel, bias_initializer=bias)
    return nf.Network([layers.Input((2,)), dense], dtype="float64")


def test_regions_are_the_answers_at_the_centers_of_pixels(axes: Any, rng: np.random.Generator) -> None:
    kernel = rng.normal(size=(2, 3))
    x, y = rng.normal(size=(20, 2)), rng.integers(0, 3, 20)
    nf.plot.decision_regions(plane(3, kernel), x, y, names=["a", "b", "c"], steps=30, axes=axes)
    (image,) = axes.images
    left, right, bottom, top = image.get_extent()
    width, height = np.ptp(x, axis=0)
    assert (left, right) == pytest.approx((x[:, 0].min() - 0.1 * width, x[:, 0].max() + 0.1 * width))
    assert (bottom, top) == pytest.approx((x[:, 1].min() - 0.1 * height, x[:, 1].max() + 0.1 * height))
    assert image.origin == "lower"
    for row, column in ((0, 0), (29, 0), (3, 17), (29, 29)):
        point = left + (column + 0.5) * (right - left) / 30, bottom + (row + 0.5) * (top - bottom) / 30
        assert image.get_array()[row, column] == (np.array(point) @ kernel).argmax()
    (points,) = axes.collections
    assert np.array_equal(points.get_offsets(), x)
    assert np.array_equal(points.get_array(), y)
    # Points have the colors of the regions of their classes, and so has the legend.
    assert (image.get_clim(), image.cmap) == (points.get_clim(), points.cmap)
    legend = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b", "c"]
    assert [patch.get_facecolor() for patch in legend.get_patches()] == [image.cmap(k) for k in range(3)]


@pytest.mark.parametrize("threshold", [0.0, 0.5])
def test_a_single_output_and_its_threshold(axes: Any, threshold: float) -> None:
    net = plane(1, [[1.0], [0.0]])
    nf.plot.decision_regions(net, [[-1, 0], [1, 2]], threshold=threshold, steps=24, axes=axes)
    (image,) = axes.images
    centers = -1.2 + (np.arange(24) + 0.5) * 0.1
    assert np.array_equal(image.get_array(), np.tile(centers > threshold, (24, 1)))
    assert not axes.collections


def test_wrong_arguments_of_regions(axes: Any) -> None:
    net = plane(1, "ones")
    with pytest.raises(ValueError, match=r"plot.decision_regions: expected x \(N, 2\), not empty, got \(2, 3\)"):
        nf.plot.decision_regions(net, np.ones((2, 3)), axes=axes)
    with pytest.raises(ValueError, match="expected as many rows of x and y, got 2 and 3"):
        nf.plot.decision_regions(net, np.ones((2, 2)), [0, 1, 1], axes=axes)
    with pytest.raises(ValueError, match="expected steps >= 2, got 1"):
        nf.plot.decision_regions(net, np.ones((2, 2)), steps=1, axes=axes)
    three = nf.Network([layers.Input((3,)), layers.Dense(1)], seed=0)
    with pytest.raises(ValueError, match=r"expected a network from \(2,\) .* got \(3,\) to \(1,\)"):
        nf.plot.decision_regions(three, np.ones((2, 2)), axes=axes)
