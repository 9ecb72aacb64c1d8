"""Pictures of training: losses and metrics by epoch, losses by learning rate."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from nnfast.core.options import named_arguments
from nnfast.plot.figures import axes_for, new_axes, require_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nnfast.training.history import History
    from nnfast.training.learning_rate_finder import LearningRateCurve

__all__ = ["history", "learning_rates"]

_NO_METRICS = ("learning_rate", "seconds", "samples_per_second")
"""Figures that callbacks add, whose scales are not those of losses and metrics."""


@named_arguments
def history(history: History, axes: Any = None) -> list[Axes]:
    """Losses and, beside them, the other metrics by epoch.

    Training and validation have the same color; dashed lines are validation. Metrics that are arrays are left out.

    Parameters
    ----------
    history : History
        What `Trainer.fit` returns.
    axes : sequence of matplotlib.axes.Axes, optional
        Where to draw losses and metrics; a new figure by default.

    Returns
    -------
    list of matplotlib.axes.Axes
        One, or two if there are metrics; ``axes[0].figure.savefig(path)`` saves the picture.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import nnfast as nf
    >>> record = nf.History()
    >>> for epoch, loss in enumerate([0.5, 0.25]):
    ...     record.add(epoch, {"loss": loss, "val_loss": 2 * loss}, seconds=0.1)
    >>> (axes,) = nf.plot.history(record, axes=Figure().subplots())
    >>> [line.get_label() for line in axes.lines]
    ['loss', 'val_loss']
    """
    where = "plot.history"
    shown = [name for name, values in history.items() if np.ndim(values[-1]) == 0]
    names = [name for name in dict.fromkeys(name.removeprefix("val_") for name in shown) if name not in _NO_METRICS]
    losses = [name for name in names if name.endswith("loss")]
    parts = [part for part in (losses, [name for name in names if name not in losses]) if part]
    if not parts:
        raise ValueError(f"{where}: expected at least one epoch, got an empty history")
    if axes is None:
        chosen = new_axes(where, len(parts))
    else:
        chosen = [require_axes(where, place) for place in (axes if isinstance(axes, Iterable) else [axes])]
        if len(chosen) != len(parts):
            raise ValueError(f"{where}: expected {len(parts)} axes, got {len(chosen)}")
    for place, part, label in zip(chosen, parts, ("loss", "metrics"), strict=False):
        for i, name in enumerate(part):
            for key, style in ((name, "-"), (f"val_{name}", "--")):
                if key in history.history:
                    # A single epoch has no line.
                    marker = "o" if len(history.epoch) == 1 else None
                    place.plot(history.epoch, history[key], style, color=f"C{i}", label=key, marker=marker)
        place.set_xlabel("epoch")
        place.set_ylabel(part[0] if len(part) == 1 else label)
        locator: Any = place.xaxis.get_major_locator()
        locator.set_params(integer=True)
        place.legend()
    return chosen


@named_arguments
def learning_rates(curve: LearningRateCurve, axes: Any = None) -> Axes:
    """The loss over the learning rate, and the suggested rate.

    Parameters
    ----------
    curve : LearningRateCurve
        What `nnfast.training.find_learning_rate` returns.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import nnfast as nf
    >>> curve = nf.training.LearningRateCurve([0.1, 0.2, 0.4, 0.8], [5.0, 4.0, 2.0, 3.0], smoothing=0)
    >>> axes = nf.plot.learning_rates(curve, axes=Figure().subplots())
    >>> [line.get_label() for line in axes.lines]
    ['loss of the batch', 'smoothed', 'suggestion 0.28']
    """
    place = axes_for("plot.learning_rates", axes)
    place.plot(curve.rates, curve.losses, color="C0", alpha=0.3, label="loss of the batch")
    place.plot(curve.rates, curve.smoothed, color="C0", label="smoothed")
    if curve.suggestion is not None:
        place.axvline(curve.suggestion, color="C1", linestyle="--", label=f"suggestion {curve.suggestion:.2g}")
    # The last batches of a diverging run would press the rest flat.
    span = curve.smoothed.max() - curve.smoothed.min()
    place.set_ylim(min(curve.losses.min(), curve.smoothed.min()) - 0.05 * span, curve.smoothed.max() + 0.05 * span)
    place.set_xscale("log")
    place.set_xlabel("learning rate")
    place.set_ylabel("loss")
    place.legend()
    return place
