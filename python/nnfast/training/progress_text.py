"""What a line of progress says, and what is left out where there is no room for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nnfast.training.callbacks.base import numbers

__all__ = ["bar_text", "line_text"]

_SHORTER = (
    ("sparse_categorical_", ""),
    ("categorical_", ""),
    ("mean_absolute_error", "mae"),
    ("mean_squared_error", "mse"),
    ("accuracy", "acc"),
    ("precision", "prec"),
)
_LONGEST_NAME = 16
_MORE = "..."
_SPEED = 5
"""Priority of the rows per second, which are the first to go."""
_SMALLEST_BAR = 6

Item = tuple[int, str]
"""Priority, of which small numbers come first, and text."""


def line_text(title: str, logs: Mapping[str, float], seconds: float, rate: float, columns: int | None) -> str:
    """The line of an epoch: figures, time and rows per second, as many of them as fit."""
    time, speed = (2, _duration(seconds)), (_SPEED, f"{_short_number(rate)} rows/s")
    start = f"{title}: " if title else ""
    for last in ([time, speed], [time]):
        line = start + ", ".join(text for _, text in [*_figures(logs), *last])
        if columns is None or len(line) <= columns:
            return line
    assert columns is not None
    kept = _fitting([*_figures(logs, short=True), time, speed], columns - len(start))
    return (start + kept if kept else title)[:columns]


def bar_text(title: str, batches: int | None, logs: Mapping[str, float], columns: int | None) -> str:
    """The figures beside a bar, which needs some room itself."""
    text = ", ".join(text for _, text in _figures(logs))
    if columns is None:
        return text
    around = len(f"{title} || {batches}/{batches} 00:00, ") + _SMALLEST_BAR
    return text if len(text) <= columns - around else _fitting(_figures(logs, short=True), columns - around)


def _figures(logs: Mapping[str, float], short: bool = False) -> list[Item]:
    digits = 3 if short else 4
    return [
        (_priority(name), f"{_short_name(name) if short else name} {value:.{digits}g}")
        for name, value in numbers(logs).items()
    ]


def _priority(name: str) -> int:
    if name in ("loss", "val_loss"):
        return int(name == "val_loss")
    return 3 if name.startswith("val_") else 4


def _fitting(items: Sequence[Item], room: int) -> str:
    """The items in their order, without those of the lowest priority for which there is no room."""
    if sum(len(text) + 2 for _, text in items) - 2 <= room:
        return ", ".join(text for _, text in items)
    kept: set[int] = set()
    left = room - len(_MORE)
    for i in sorted(range(len(items)), key=lambda i: items[i][0]):
        needed = len(items[i][1]) + 2
        if needed > left:
            break
        left -= needed
        kept.add(i)
    texts = [text for i, (_, text) in enumerate(items) if i in kept]
    lacks_figures = any(i not in kept and priority != _SPEED for i, (priority, _) in enumerate(items))
    return ", ".join([*texts, _MORE] if texts and lacks_figures else texts)


def _short_name(name: str) -> str:
    for part, shorter in _SHORTER:
        name = name.replace(part, shorter)
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 2] + ".."


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def _short_number(value: float) -> str:
    """Three digits, with k, M or G."""
    for unit in ("", "k", "M"):
        if value < 999.5:
            return f"{value:.3g}{unit}"
        value /= 1000
    return f"{value:.3g}G"
