"""Where pictures are drawn: into given axes, or a new figure; and what happens without Matplotlib."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers

CURVE = ([0, 1], [0.2, 0.8])


def network() -> nf.Network:
    return nf.Network([layers.Input((4, 4, 1)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2)], seed=0)


def record() -> nf.History:
    history = nf.History()
    history.add(0, {"loss": 1.0}, seconds=0.1)
    return history


def plane() -> nf.Network:
    return nf.Network([layers.Input((2,)), layers.Dense(2)], seed=0)


WEIGHTS = ("dense.bias", 0), ("dense.bias", 1)
DRAWN: dict[str, Any] = {
    "confusion_matrix": lambda axes: nf.plot.confusion_matrix([0, 1], [0, 1], axes=axes),
    "decision_regions": lambda axes: nf.plot.decision_regions(plane(), [[0, 0], [1, 1]], steps=3, axes=axes),
    "error_over_weight": lambda axes: nf.plot.error_over_weight(
        plane(), [[1, 1]], [[1, 0]], "mse", *WEIGHTS[0], steps=3, axes=axes
    ),
    "error_surface": lambda axes: nf.plot.error_surface(
        plane(), [[1, 1]], [[1, 0]], "mse", *WEIGHTS, steps=3, axes=axes
    ),
    "feature_maps": lambda axes: nf.plot.feature_maps(network(), np.ones((4, 4, 1)), "conv2d", axes=axes),
    "filters": lambda axes: nf.plot.filters(network(), "conv2d", axes=axes),
    "hidden_units": lambda axes: nf.plot.hidden_units(network(), "dense", (2, 4), axes=axes),
    "history": lambda axes: nf.plot.history(record(), axes=axes),
    "images": lambda axes: nf.plot.images(np.ones((1, 2, 2)), axes=axes),
    "learning_rates": lambda axes: nf.plot.learning_rates(
        nf.training.LearningRateCurve([0.1, 0.2], [2.0, 1.0], smoothing=0.0), axes=axes
    ),
    "network": lambda axes: nf.plot.network(plane(), axes=axes),
    "precision_recall": lambda axes: nf.plot.precision_recall(*CURVE, axes=axes),
    "roc": lambda axes: nf.plot.roc(*CURVE, axes=axes),
    "saliency": lambda axes: nf.plot.saliency(network(), np.ones((4, 4, 1)), axes=axes),
}


def test_the_table_lists_all_pictures() -> None:
    assert set(DRAWN) == set(nf.plot.__all__) - {"unit_positions"}


@pytest.mark.parametrize("name", DRAWN)
def test_a_new_figure_or_given_axes(name: str, pyplot: Any) -> None:
    made = DRAWN[name](None)
    made = made[0] if name == "history" else made
    assert pyplot.get_fignums() == [1]
    assert made.figure.number == 1
    made.figure.draw_without_rendering()
    own = pyplot.figure().subplots()
    found = DRAWN[name](own)
    assert found == [own] if name == "history" else found is own
    assert pyplot.get_fignums() == [1, 2]


@pytest.mark.parametrize("name", DRAWN)
def test_what_is_no_axes(name: str) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(TypeError, match=f"plot.{name}: expected Matplotlib's Axes as axes, such as .*, got 3"):
        DRAWN[name]([3] if name == "history" else 3)


@pytest.mark.parametrize("axes", [None, 3])
@pytest.mark.parametrize("name", DRAWN)
def test_without_matplotlib(name: str, axes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    with pytest.raises(
        ImportError, match=f"plot.{name}: expected Matplotlib, which is not .* `pip install matplotlib`"
    ):
        DRAWN[name](axes)


def test_matplotlib_is_imported_with_the_first_picture() -> None:
    program = "import sys, nnfast; nnfast.plot.roc; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
