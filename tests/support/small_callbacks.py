"""Callbacks that several tests use."""

from collections.abc import Callable
from typing import Any

import nnfast as nf
from nnfast import callbacks


class After(callbacks.Callback):
    """Does something once, after so many batches."""

    def __init__(self, batches: int, work: Callable[[nf.Trainer], Any]) -> None:
        self.left = batches
        self.work = work

    def on_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.left -= 1
        if self.left == 0:
            self.work(self.trainer)
