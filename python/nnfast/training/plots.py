"""Plots of what training leaves behind. They need Matplotlib, which is imported with the first of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nnfast.training.callbacks.base import numbers

if TYPE_CHECKING:
    from nnfast.training.history import History
    from nnfast.training.learning_rate_finder import LearningRateCurve

__all__ = ["new_axes", "plot_history", "plot_learning_rates"]

_NO_METRICS = ("learning_rate", "seconds", "samples_per_second")
"""Figures that callbacks add, whose scales are not those of losses and metrics."""


def new_axes(where: str, count: int) -> list[Any]:
    """Axes side by side in a new figure."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            f"{where}: expected Matplotlib, which is not installed; run `pip install matplotlib`"
        ) from error
    _, axes = pyplot.subplots(1, count, figsize=(5.5 * count, 4), layout="constrained", squeeze=False)
    return list(axes[0])


def plot_history(history: History, axes: Any) -> list[Any]:
    """See `History.plot`."""
    shown = numbers({name: values[-1] for name, values in history.items()})
    names = [name for name in dict.fromkeys(name.removeprefix("val_") for name in shown) if name not in _NO_METRICS]
    losses = [name for name in names if name.endswith("loss")]
    parts = [part for part in (losses, [name for name in names if name not in losses]) if part]
    if not parts:
        raise ValueError("History.plot: expected at least one epoch, got an empty history")
    if axes is None:
        chosen = new_axes("History.plot", len(parts))
    else:
        chosen = list(axes) if isinstance(axes, Iterable) else [axes]
        if len(chosen) != len(parts):
            raise ValueError(f"History.plot: expected {len(parts)} axes, got {len(chosen)}")
    for place, part, label in zip(chosen, parts, ("loss", "metrics"), strict=False):
        for i, name in enumerate(part):
            for key, style in ((name, "-"), (f"val_{name}", "--")):
                if key in history.history:
                    # A single epoch has no line.
                    marker = "o" if len(history.epoch) == 1 else None
                    place.plot(history.epoch, history[key], style, color=f"C{i}", label=key, marker=marker)
        place.set_xlabel("epoch")
        place.set_ylabel(part[0] if len(part) == 1 else label)
        place.xaxis.get_major_locator().set_params(integer=True)
        place.legend()
    return chosen


def plot_learning_rates(curve: LearningRateCurve, axes: Any) -> Any:
    """See `LearningRateCurve.plot`."""
    place = new_axes("LearningRateCurve.plot", 1)[0] if axes is None else axes
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
