"""Progress display of `Trainer.fit`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["Progress"]

_BAR = "{desc} |{bar}| {n_fmt}/{total_fmt} {remaining}{postfix}"
"""With a loss and a metric, this leaves 20 of 80 columns for the bar."""


class Progress:
    """Shows progress on standard error: on a terminal a bar and then a line per epoch, elsewhere only the lines.

    In notebooks, bars stay visible and replace the lines. If the stream is missing or fails, nothing is shown and
    training continues.

    Parameters
    ----------
    show : bool or None
        True shows bars even without a terminal, False shows nothing.

    Examples
    --------
    >>> from nnfast.training.progress import Progress
    >>> with Progress(False).epoch("epoch 1/1", batches=10) as progress:
    ...     progress.update(10, {"loss": 0.5})
    """

    def __init__(self, show: bool | None) -> None:
        self._stream: Any = None if show is False or getattr(sys.stderr, "closed", False) else sys.stderr
        self._in_notebook = self._stream is not None and "ipykernel" in sys.modules
        self._draws = self._stream is not None and (show or self._in_notebook or _is_terminal(self._stream))
        self._bar: Any = None
        self._logs: Mapping[str, float] = {}

    @contextlib.contextmanager
    def epoch(self, title: str, batches: int | None) -> Iterator[Progress]:
        """Show an epoch with the given number of batches, if known, and its line if it finishes successfully."""
        if self._draws:
            from tqdm.auto import tqdm  # type: ignore[import-untyped]

            self._bar = tqdm(
                total=batches, desc=title, unit="batch", bar_format=_BAR, dynamic_ncols=True, leave=self._in_notebook
            )
        try:
            yield self
        finally:
            if self._bar is not None:
                self._bar.close()
                self._bar = None
        if self._stream is not None and not self._in_notebook:
            # A reader of the stream, such as `head`, may exit before training ends.
            with contextlib.suppress(OSError, ValueError, AttributeError):
                print(f"{title}: {_text(self._logs)}", file=self._stream, flush=True)

    def update(self, batches: int, logs: Mapping[str, float]) -> None:
        """Advance by `batches` and show `logs`."""
        self._logs = logs
        if self._bar is not None and (batches or self._in_notebook):
            self._bar.set_postfix_str(_text(logs), refresh=batches == 0)
            self._bar.update(batches)


def _text(logs: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in logs.items())


def _is_terminal(stream: Any) -> bool:
    """Whether `stream` is a terminal; False if it is closed or does not say."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False
