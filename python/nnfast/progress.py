"""The progress bar of `Trainer.fit`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

__all__ = ["ProgressBar"]


class ProgressBar:
    """One tqdm bar per epoch, on a terminal or in a notebook, or none at all.

    Parameters
    ----------
    show : bool or None
        None shows it only where somebody looks: on a terminal and in notebooks.
    title : str
    batches : int
    """

    def __init__(self, show: bool | None, title: str, batches: int) -> None:
        self._bar: Any = None
        if show or (show is None and (sys.stderr.isatty() or "ipykernel" in sys.modules)):
            from tqdm.auto import tqdm  # type: ignore[import-untyped]

            self._bar = tqdm(total=batches, desc=title, unit="batch")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, batches: int, logs: Mapping[str, float]) -> None:
        """Move on by `batches` and show `logs`."""
        if self._bar is not None:
            self._bar.set_postfix_str(", ".join(f"{name} {value:.4g}" for name, value in logs.items()), refresh=False)
            self._bar.update(batches)
            if batches == 0:
                self._bar.refresh()
