"""What all pictures share: where they are drawn, and their colors. Matplotlib is imported with the first of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nnfast.core.text import short_repr

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["BLUE", "GRAY", "INK", "ORANGE", "axes_for", "new_axes", "require_axes"]

BLUE, ORANGE, GRAY, INK = "#2a6f97", "#e07a1f", "#8a8f98", "#30343b"


@contextmanager
def _import_of_matplotlib(where: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"{where}: expected Matplotlib, which is not installed; run `pip install matplotlib`"
        ) from error


def new_axes(where: str, count: int, width: float = 5.5, height: float = 4.0) -> list[Axes]:
    """Axes side by side in a new figure; width and height of each in inches."""
    with _import_of_matplotlib(where):
        from matplotlib import pyplot
    _, axes = pyplot.subplots(1, count, figsize=(width * count, height), layout="constrained", squeeze=False)
    return list(axes[0])


def require_axes(where: str, axes: Any) -> Axes:
    """`axes`, if that is what they are."""
    with _import_of_matplotlib(where):
        from matplotlib.axes import Axes
    if not isinstance(axes, Axes):
        raise TypeError(
            f"{where}: expected Matplotlib's Axes as axes, such as matplotlib.pyplot.subplots()[1], got "
            f"{short_repr(axes)}"
        )
    return axes


def axes_for(where: str, axes: Any, width: float = 5.5, height: float = 4.0) -> Axes:
    """The given axes, or new ones; width and height in inches."""
    return new_axes(where, 1, width, height)[0] if axes is None else require_axes(where, axes)
