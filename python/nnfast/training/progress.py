"""Progress display of `Trainer.fit`."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nnfast.training.progress_text import bar_text, line_text

__all__ = ["Progress"]

_BAR = "{desc} |{bar}| {n_fmt}/{total_fmt} {remaining}{postfix}"
_USUAL_COLUMNS = 80


class Progress:
    """Shows progress on standard error: on a terminal a bar and then a line per epoch, elsewhere only the lines.

    Lines have the loss and metrics, the time of the epoch, and the rows trained per second. On a terminal they fit its
    width: names and numbers are shortened, and what does not fit is left out. Elsewhere they are complete.

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
    ...     progress.update(10, lambda: {"loss": 0.5})
    ...     progress.finish({"loss": 0.5}, rows=320, seconds=0.1)
    """

    def __init__(self, show: bool | None) -> None:
        self._stream: Any = None if show is False or getattr(sys.stderr, "closed", False) else sys.stderr
        self._in_notebook = self._stream is not None and "ipykernel" in sys.modules
        self._on_terminal = self._stream is not None and _is_terminal(self._stream)
        self._draws = self._stream is not None and (show or self._in_notebook or self._on_terminal)
        self._bar: Any = None
        self._title = self._line = ""
        self._batches: int | None = None
        self._started = 0.0

    @contextlib.contextmanager
    def epoch(self, title: str, batches: int | None) -> Iterator[Progress]:
        """Show an epoch with the given number of batches, if known, and its line if it finishes successfully."""
        self._started = time.perf_counter()
        self._title, self._batches, self._line = title, batches, ""
        if self._draws:
            self._bar = self._new_bar()
        try:
            yield self
        finally:
            if self._bar is not None:
                self._bar.close()
                self._bar = None
        if self._stream is not None and self._line and not self._in_notebook:
            # A reader of the stream, such as `head`, may exit before training ends.
            with contextlib.suppress(OSError, ValueError, AttributeError):
                print(self._line, file=self._stream, flush=True)

    def update(self, batches: int, logs: Callable[[], Mapping[str, float]]) -> None:
        """Advance the bar by `batches` and show `logs`, which are computed only if there is a bar."""
        if self._bar is not None and batches:
            self._bar.set_postfix_str(bar_text(self._title, self._batches, logs(), self._columns()), refresh=False)
            self._bar.update(batches)

    def finish(self, logs: Mapping[str, float], rows: int, seconds: float) -> None:
        """The figures of the whole epoch, and how many rows were trained in how many seconds."""
        passed = time.perf_counter() - self._started
        rate = rows / max(seconds, 1e-9)
        self._line = line_text(self._title, logs, passed, rate, self._columns())
        if self._bar is not None and self._in_notebook:
            self._bar.set_postfix_str(line_text("", logs, passed, rate, None))

    def _new_bar(self) -> Any:
        if self._in_notebook:
            with warnings.catch_warnings():
                # Without ipywidgets, it asks for them, and draws bars of text.
                warnings.filterwarnings("ignore", "IProgress not found")
                from tqdm.auto import tqdm  # type: ignore[import-untyped]
        else:
            from tqdm import tqdm  # type: ignore[import-untyped]
        return tqdm(
            total=self._batches,
            desc=self._title,
            unit="batch",
            bar_format=_BAR,
            dynamic_ncols=True,
            leave=self._in_notebook,
        )

    def _columns(self) -> int | None:
        """Columns that a line may take, one less than there are, because some terminals wrap full lines."""
        if self._in_notebook or not self._on_terminal:
            return None
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError, AttributeError):
            columns = 0
        if not columns:
            stated = os.environ.get("COLUMNS", "")
            columns = int(stated) if stated.isdecimal() else 0
        return (columns or _USUAL_COLUMNS) - 1


def _is_terminal(stream: Any) -> bool:
    """Whether `stream` is a terminal; False if it is closed or does not say."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False
