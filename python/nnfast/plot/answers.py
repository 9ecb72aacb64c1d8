"""Pictures of what a classifier answers: confusion matrices, curves of scores, regions of two inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nnfast.core.arrays import as_numbers, require_finite
from nnfast.core.options import integer, named_arguments, real
from nnfast.core.text import short_repr
from nnfast.core.typing import Array
from nnfast.metrics import AUC, ConfusionMatrix
from nnfast.plot.figures import GRAY, INK, axes_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nnfast.network import Network

__all__ = ["confusion_matrix", "decision_regions", "precision_recall", "roc"]

_MOST_CLASSES = 1000
_MOST_WRITTEN = 30
"""Classes of a confusion matrix whose counts can be read."""


# ---- confusion matrix --------------------------------------------------------


@named_arguments
def confusion_matrix(
    truth: Any,
    prediction: Any = None,
    *,
    names: Sequence[str] | None = None,
    normalize: Literal["true", "pred", "all"] | None = None,
    axes: Any = None,
) -> Axes:
    """How often each class (row) gets each answer (column): right answers in blue, mistakes in orange.

    Right answers and mistakes have separate color scales, because otherwise a good classifier's mistakes would all look
    alike. The title is the fraction of right answers. Zeros are left blank.

    Parameters
    ----------
    truth : array_like (N,) or (N, K), or (K, K)
        Class numbers, or one-hot rows. Without `prediction`, a matrix of counts or of weights, as
        `metrics.ConfusionMatrix` returns it.
    prediction : array_like (N,) or (N, K), optional
        Class numbers, or what `Network.predict` returns: scores of which the largest counts, or of a single output, of
        which those above 0.5 mean class 1.
    names : sequence of str, optional
        Names of the K classes; by default their numbers.
    normalize : {"true", "pred", "all"}, optional
        Write percentages of rows, of columns, or of all.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import nnfast as nf
    >>> truth, scores = [0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]
    >>> axes = nf.plot.confusion_matrix(truth, scores, names=["cat", "dog"], axes=Figure().subplots())
    >>> axes.get_title(), [text.get_text() for text in axes.texts]
    ('2 of 3 right (66.7%)', ['1', '', '1', '1'])
    """
    where = "plot.confusion_matrix"
    counts = _counts(where, truth, prediction, names)
    classes = len(counts)
    labels = _names(where, names, classes)
    size = min(max(4.0, 0.42 * classes + 1.5), 16.0)
    place = axes_for(where, axes, size, size)
    shown = counts if normalize is None else _shares(counts, normalize)
    right = np.eye(classes, dtype=bool)
    # Twice the largest value, so that the texts remain readable.
    for hidden, cmap in ((~right, "Blues"), (right, "Oranges")):
        values = np.ma.masked_array(shown, hidden)
        largest = float(values.max()) if not hidden.all() else 0.0
        place.imshow(values, cmap=cmap, vmin=0, vmax=2 * largest or 1)
    if classes <= _MOST_WRITTEN:
        for (row, column), value in np.ndenumerate(shown):
            text = (f"{value:,.6g}" if normalize is None else f"{value:.1%}") if value else ""
            place.text(column, row, text, ha="center", va="center", fontsize=8, color="black")
        place.set(xticks=range(classes), yticks=range(classes))
        if max(map(len, labels)) < 3:
            place.set_xticklabels(labels)
        else:
            place.set_xticklabels(labels, rotation=60, ha="right", rotation_mode="anchor")
        place.set_yticklabels(labels)
    place.set(xlabel="prediction", ylabel="truth", title=_score(counts))
    place.grid(False)
    return place


def _counts(where: str, truth: Any, prediction: Any, names: Sequence[str] | None) -> Array:
    if prediction is None:
        matrix: Array = as_numbers(truth, where, "the matrix").astype("float64")
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
            raise ValueError(
                f"{where}: expected a matrix (K, K) without prediction, got {matrix.shape}; pass truth and prediction"
            )
        require_finite(matrix, f"{where}, the matrix")
        if (matrix < 0).any():
            raise ValueError(f"{where}: expected counts, got {matrix.min():g}")
        return matrix
    true, answers = _classes(where, "truth", truth), _classes(where, "prediction", prediction)
    if len(true) != len(answers):
        raise ValueError(f"{where}: expected as many rows of truth and prediction, got {len(true)} and {len(answers)}")
    columns = [np.shape(value)[1] for value in (truth, prediction) if np.ndim(value) == 2 and np.shape(value)[1] > 1]
    classes = max([int(true.max()) + 1, int(answers.max()) + 1, *columns, 0 if names is None else len(names)])
    if classes > _MOST_CLASSES:
        raise ValueError(f"{where}: expected class numbers below {_MOST_CLASSES}, got {classes - 1}")
    counts = np.zeros((classes, classes))
    np.add.at(counts, (true, answers), 1)
    return counts


def _classes(where: str, name: str, value: Any) -> Array:
    """Class numbers (N,), of class numbers or scores."""
    array = as_numbers(value, where, name)
    if array.ndim not in (1, 2) or not array.size:
        raise ValueError(f"{where}: expected {name} (N,) or (N, K), not empty, got shape {array.shape}")
    require_finite(array, f"{where}, {name}")
    if array.ndim == 2 and array.shape[1] > 1:
        answers: Array = array.argmax(axis=1)
        return answers
    array = array.reshape(-1)
    if array.dtype.kind == "f" and ((array >= 0) & (array <= 1)).all():
        return (array > 0.5).astype("int64")
    if (array != np.floor(array)).any() or (array < 0).any():
        wrong = array[(array != np.floor(array)) | (array < 0)][0]
        raise ValueError(
            f"{where}: expected {name} as class numbers, probabilities (N,) of class 1 or scores (N, K), got {wrong:g}"
        )
    return array.astype("int64")


def _names(where: str, names: Sequence[str] | None, classes: int) -> list[str]:
    if names is None:
        return [str(number) for number in range(classes)]
    if isinstance(names, str) or len(names) != classes:
        raise ValueError(f"{where}: expected {classes} names, one for each class, got {short_repr(names)}")
    return [str(name) for name in names]


def _shares(counts: Array, normalize: Any) -> Array:
    """Divided by the sums that `ConfusionMatrix` takes."""
    ConfusionMatrix(normalize)  # refuses what is no such name
    axis: Any = {"true": 1, "pred": 0, "all": (0, 1)}[normalize]
    sums = counts.sum(axis=axis, keepdims=True)
    shares: Array = np.divide(counts, sums, out=np.zeros_like(counts), where=sums > 0)
    return shares


def _score(counts: Array) -> str:
    right, total = counts.trace(), counts.sum()
    return f"{right:,.10g} of {total:,.10g} right ({right / total:.1%})" if total else "no rows"


# ---- curves of scores --------------------------------------------------------


@named_arguments
def roc(
    truth: Any,
    scores: Any,
    *,
    names: Sequence[str] | None = None,
    multi_label: bool = False,
    axes: Any = None,
) -> Axes:
    """ROC curves: true positive rate over false positive rate, one point for each score as threshold.

    The legend has the area under each curve, as `metrics.AUC` computes it on arrays: the probability that a row of the
    class has a higher score than another row. The dashed line is that of random scores.

    Parameters
    ----------
    truth : array_like (N,) or (N, K)
        0 and 1 for a single column of scores; otherwise class numbers or one-hot rows.
    scores : array_like (N,), (N, 1) or (N, K)
        The higher, the more likely is the class: probabilities or logits. Each of several classes is taken against the
        others.
    names : sequence of str, optional
        Names of the columns, by default their numbers.
    multi_label : bool, default False
        Several columns are as many yes-or-no answers, and rows of `truth` have any number of ones.

    Returns
    -------
    matplotlib.axes.Axes

    References
    ----------
    Fawcett (2006), An introduction to ROC analysis, DOI 10.1016/j.patrec.2005.10.010.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import nnfast as nf
    >>> axes = nf.plot.roc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], axes=Figure().subplots())
    >>> axes.lines[0].get_xydata().tolist()
    [[0.0, 0.0], [0.0, 0.5], [0.5, 0.5], [0.5, 1.0], [1.0, 1.0]]
    >>> axes.lines[0].get_label()
    'area 0.7500'
    """
    where = "plot.roc"
    columns = _columns(where, truth, scores, names, multi_label, "ROC")
    place = axes_for(where, axes, 5.0, 5.0)
    for label, yes, no in columns:
        x, y = (np.concatenate([[0.0], np.cumsum(part) / part.sum()]) for part in (no, yes))
        place.plot(x, y, label=label)
    place.plot([0, 1], [0, 1], color=GRAY, linestyle="--", linewidth=1)
    place.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC curve")
    return _unit_square(place, "lower right")


@named_arguments
def precision_recall(
    truth: Any,
    scores: Any,
    *,
    names: Sequence[str] | None = None,
    multi_label: bool = False,
    axes: Any = None,
) -> Axes:
    """Precision-recall curves: of the rows above a threshold, how many are of the class, and how many of it they are.

    The legend has the area under each curve, which is the average precision, as ``metrics.AUC("PR")`` computes it on
    arrays. Random scores have the precision of the dashed line, the fraction of rows of the class.

    Parameters
    ----------
    truth, scores, names, multi_label
        As in `roc`.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import nnfast as nf
    >>> axes = nf.plot.precision_recall([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], axes=Figure().subplots())
    >>> axes.lines[0].get_label()
    'area 0.8333'
    """
    where = "plot.precision_recall"
    columns = _columns(where, truth, scores, names, multi_label, "PR")
    place = axes_for(where, axes, 5.0, 5.0)
    for label, yes, no in columns:
        hits, others = np.cumsum(yes), np.cumsum(no)
        precision = hits / (hits + others)
        # Each step has the precision at its end, so that the area is the average precision.
        x, y = np.concatenate([[0.0], hits / hits[-1]]), np.concatenate([precision[:1], precision])
        (line,) = place.plot(x, y, drawstyle="steps-pre", label=label)
        share = hits[-1] / (hits[-1] + others[-1])
        place.axhline(share, color=line.get_color(), linestyle="--", linewidth=1)
    place.set(xlabel="recall", ylabel="precision", title="Precision-recall curve")
    return _unit_square(place, "lower left")


def _unit_square(place: Axes, legend: Literal["lower left", "lower right"]) -> Axes:
    place.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    place.legend(loc=legend)
    return place


def _columns(
    where: str, truth: Any, scores: Any, names: Sequence[str] | None, multi_label: bool, curve: Literal["ROC", "PR"]
) -> list[tuple[str, Array, Array]]:
    """For each class its label, and how many rows of it and of others have each score, the highest first."""
    metric = AUC(curve, average=None, multi_label=multi_label or None)
    values = as_numbers(scores, where, "scores").astype("float64")
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or not values.size:
        raise ValueError(f"{where}: expected scores (N,) or (N, K), not empty, got shape {values.shape}")
    require_finite(values, f"{where}, scores")
    areas = np.atleast_1d(metric.evaluate(truth, values))  # checks truth
    classes = values.shape[1]
    given = np.asarray(truth)
    if given.ndim == 2 and (classes == 1 or multi_label):
        answers = given > 0.5
    elif given.ndim == 2:
        answers = given.argmax(axis=1)[:, None] == np.arange(classes)
    else:
        answers = given[:, None] > 0.5 if classes == 1 else given[:, None] == np.arange(classes)
    own = _names(where, names, classes)
    found = []
    for column, (name, area) in enumerate(zip(own, areas, strict=True)):
        yes = answers[:, column]
        if yes.all() or not yes.any():
            raise ValueError(
                f"{where}: expected rows of class {name} and others, got {'none' if not yes.any() else 'no others'}; "
                "leave the class out"
            )
        _, order = np.unique(-values[:, column], return_inverse=True)
        title = "" if classes == 1 and names is None else f"{name}: "
        found.append((f"{title}area {area:.4f}", np.bincount(order, yes), np.bincount(order, ~yes)))
    return found


# ---- regions -----------------------------------------------------------------


@named_arguments
def decision_regions(
    net: Network,
    x: Any,
    y: Any = None,
    *,
    names: Sequence[str] | None = None,
    threshold: float = 0.5,
    steps: int = 200,
    axes: Any = None,
) -> Axes:
    """What a network with two inputs answers at each point of the plane, and the data.

    Parameters
    ----------
    net : Network
        With inputs (2,), and one output or one for each class.
    x : array_like (N, 2)
        Data: the picture shows the region around them.
    y : array_like (N,) or (N, K), optional
        Class numbers or one-hot rows; the data are drawn in the colors of their classes. By default they are not drawn.
    names : sequence of str, optional
        Names of the classes, by default their numbers.
    threshold : float, default 0.5
        A single output above it means class 1; 0 for a network that returns logits.
    steps : int, default 200
        Points at which the network is computed, in each direction.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import nnfast as nf
    >>> net = nf.Network([nf.layers.Input((2,)), nf.layers.Dense(1, kernel_initializer=[[1.0], [0.0]])])
    >>> x, y = [[-1, 0], [1, 0], [1, 1]], [0, 1, 1]
    >>> axes = nf.plot.decision_regions(net, x, y, threshold=0, steps=4, axes=Figure().subplots())
    >>> axes.images[0].get_array()[0].tolist()
    [0, 0, 1, 1]
    """
    where = "plot.decision_regions"
    steps, threshold = integer(where, "steps", steps, minimum=2), real(where, "threshold", threshold)
    points = as_numbers(x, where, "x").astype("float64")
    if points.ndim != 2 or points.shape[1] != 2 or not points.size:
        raise ValueError(f"{where}: expected x (N, 2), not empty, got {points.shape}")
    require_finite(points, f"{where}, x")
    if net.input_shape != (2,) or not isinstance(net.output_shape, tuple) or len(net.output_shape) != 1:
        raise ValueError(
            f"{where}: expected a network from (2,) to one output or one for each class, got {net.input_shape} to "
            f"{net.output_shape}"
        )
    labels = None if y is None else _classes(where, "y", y)
    if labels is not None and len(labels) != len(points):
        raise ValueError(f"{where}: expected as many rows of x and y, got {len(points)} and {len(labels)}")
    classes = max(2, net.output_shape[0], 0 if labels is None else int(labels.max()) + 1)
    own = _names(where, names, classes)
    low, high = points.min(axis=0), points.max(axis=0)
    margin = np.where(high > low, 0.1 * (high - low), 1.0)
    low, high = low - margin, high + margin
    centers = low + (np.arange(steps)[:, None] + 0.5) / steps * (high - low)
    grid = np.stack(np.meshgrid(centers[:, 0], centers[:, 1]), axis=-1).reshape(-1, 2)
    outputs = net.predict(grid)
    answers = (outputs[:, 0] > threshold).astype(int) if outputs.shape[1] == 1 else outputs.argmax(axis=1)

    place = axes_for(where, axes)
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    colors = _colors(classes)
    options: dict[str, Any] = {"cmap": ListedColormap(colors), "vmin": -0.5, "vmax": classes - 0.5}
    extent = (low[0], high[0], low[1], high[1])
    place.imshow(answers.reshape(steps, steps), origin="lower", extent=extent, aspect="auto", alpha=0.35, **options)
    if labels is not None:
        place.scatter(points[:, 0], points[:, 1], c=labels, s=22, edgecolors=INK, linewidths=0.5, **options)
    place.legend(handles=[Patch(facecolor=color, label=name) for color, name in zip(colors, own, strict=True)])
    place.set(xlabel="first input", ylabel="second input", title="Decision regions")
    place.grid(False)
    return place


def _colors(count: int) -> list[Any]:
    """Colors that differ, of Matplotlib's tables."""
    from matplotlib import colormaps

    if count <= 20:
        table = colormaps["tab10" if count <= 10 else "tab20"]
        return [table(i) for i in range(count)]
    return [colormaps["hsv"](i / count) for i in range(count)]
