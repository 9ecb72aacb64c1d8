"""ModelCheckpoint: save checkpoints, or the network alone, during training."""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Sequence
from string import Formatter
from typing import Any, Literal

from nnfast.core.files import require_writable
from nnfast.core.options import flag, integer, named_arguments, real
from nnfast.core.text import short_repr
from nnfast.training.callbacks.base import (
    Logs,
    checked_mode,
    direction,
    directions_of,
    find_direction,
    monitor_name,
    monitored,
)
from nnfast.training.callbacks.paths import fields_of, filled_in
from nnfast.training.callbacks.saving import Saving

__all__ = ["ModelCheckpoint"]

_ANY_NAME = r"(?!\.\.?[/\\])[^/\\]*"
"""What a field of a path may have become: no separator, and no "..", as part of a name."""


class ModelCheckpoint(Saving):
    """Save a checkpoint, or the network alone, after epochs, steps or seconds.

    Parameters
    ----------
    path : str or path-like
        May contain "{epoch}", counted from 1, "{batch}" (batches of the epoch), "{step}" (steps of the trainer) and
        names of the logs with a format, as in "run/{epoch:02d}-{val_loss:.3f}.safetensors". Without any of these, each
        save replaces the file. Its folder is created. `Trainer.fit` refuses other names before the first epoch, unless
        a user-defined callback may add them to the logs.
    monitor : str, default "val_loss"
        With `save_best_only`: name in the history.
    save_best_only : bool, default False
        Save only if the monitored quantity is better than at all saves before.
    mode : {"auto", "min", "max"}, default "auto"
        Whether lower or higher is better, see `EarlyStopping`.
    save_freq : "epoch" or int, default "epoch"
        After an epoch, or whenever the number of the trainer's steps becomes a multiple of this.
    save_weights_only : bool, default False
        Save the network alone, for `Network.load`, and not a checkpoint, for `Trainer.resume`.
    initial_value_threshold : float, optional
        With `save_best_only`: the first save, too, requires a value better than this.
    every_n_epochs : int, default 1
        With ``save_freq="epoch"``: save after every n-th epoch.
    every_seconds : float, optional
        Save also between batches and after epochs once this much time has passed since the last save.
    keep : int, optional
        Number of files to keep; older files of this callback are removed after each save.

    Attributes
    ----------
    best : float
        Best value so far; infinite before the first.

    Raises
    ------
    OSError, ValueError
        From `Trainer.fit`, if a file cannot be written; an existing file is then as before.

    Notes
    -----
    Files are written atomically and hold the states of all callbacks, which are called before this one. Saving between
    batches uses the losses and metrics of the epoch so far. Unlike other callbacks, `best` is kept from one `fit` to
    the next, as in Keras.

    With a `SwapEMAWeights`, "val_loss" is that of the averages. A checkpoint holds both them and the weights, but
    `save_weights_only` saves the weights alone, and the averages alone with ``SwapEMAWeights(True)``.

    Examples
    --------
    >>> import os, tempfile
    >>> import nnfast as nf
    >>> from nnfast import callbacks, layers
    >>> trainer = nf.Trainer(nf.Network([layers.Input((1,)), layers.Dense(1)], seed=0), loss="mse")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save = callbacks.ModelCheckpoint(os.path.join(folder, "{epoch:02d}.safetensors"), keep=2)
    ...     history = trainer.fit([[1.0]], [[2.0]], epochs=5, callbacks=[save])
    ...     print(sorted(os.listdir(folder)))
    ...     trainer = nf.Trainer.resume(os.path.join(folder, "05.safetensors"))
    ['04.safetensors', '05.safetensors']
    >>> trainer.epoch
    5
    """

    @named_arguments
    def __init__(
        self,
        path: str | os.PathLike[str],
        monitor: str = "val_loss",
        save_best_only: bool = False,
        mode: Literal["auto", "min", "max"] = "auto",
        save_freq: Literal["epoch"] | int = "epoch",
        save_weights_only: bool = False,
        initial_value_threshold: float | None = None,
        *,
        every_n_epochs: int = 1,
        every_seconds: float | None = None,
        keep: int | None = None,
    ) -> None:
        where = "ModelCheckpoint"
        self.path = _checked_path(path)
        self.monitor = monitor_name(where, monitor)
        self.save_best_only = flag(where, "save_best_only", save_best_only)
        self.save_weights_only = flag(where, "save_weights_only", save_weights_only)
        self.schedule(save_freq, every_n_epochs, every_seconds)
        self.mode = checked_mode(where, mode)
        between = self.steps is not None or self.seconds is not None
        if self.save_best_only and between and self.monitor.startswith("val_"):
            raise ValueError(
                f'{where}: expected save_freq="epoch" alone with monitor={self.monitor!r}, which is not known between '
                "batches"
            )
        self.best = math.inf
        self._look_for(find_direction(self.monitor, {}) if mode == "auto" else mode)
        if initial_value_threshold is not None:
            self.best = real(where, "initial_value_threshold", initial_value_threshold)
        self.keep = None if keep is None else integer(where, "keep", keep)
        self._files: list[str] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        super().on_train_begin(logs)
        if self.save_best_only and self.mode == "auto":  # what the metrics say decides before their names do
            self._look_for(direction("ModelCheckpoint", self.monitor, directions_of(self.trainer)))
        folder, name = os.path.split(self.path)
        if not fields_of(folder):  # so that it is known before the first epoch
            os.makedirs(folder or ".", exist_ok=True)
            require_writable(self.path if not fields_of(name) else os.path.join(folder, "x"))

    def require_names(self, figures: Sequence[str], complete: bool) -> None:
        if complete or set(fields_of(self.path)) <= {*figures, "epoch", "batch", "step"}:
            self._path_for(1, 1, 1, dict.fromkeys(figures, 0.5))

    def _look_for(self, found: str | None) -> None:
        self._sign = -1.0 if found == "max" else 1.0
        if math.isinf(self.best):
            self.best = self._sign * math.inf

    def save(self, epoch: int, batch: int, logs: Logs) -> None:
        before = self.best
        if self.save_best_only:
            value = monitored(self, self.monitor, logs)
            if not self._sign * (before - value) > 0:  # nor if it is NaN
                return
            self.best = value
        files = self._files
        try:
            path = self._path_for(epoch + 1, batch, self.trainer.iteration, logs)
            # What the file says of this callback: as after a successful save.
            written = [*(file for file in files if file != path), path] if self.keep else []
            self._files = written[-self.keep :] if self.keep else []
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            if self.save_weights_only:
                self.trainer.network.save(path)
            else:
                self.trainer.save_checkpoint(path)
        except BaseException:
            self.best, self._files = before, files
            raise
        for file in written[: -len(self._files)] if written else ():
            with contextlib.suppress(OSError):
                os.unlink(file)

    def _path_for(self, epoch: int, batch: int, step: int, logs: Logs) -> str:
        return filled_in("ModelCheckpoint", self.path, {**logs, "epoch": epoch, "batch": batch, "step": step})

    def get_state(self) -> dict[str, Any]:
        return {"best": self.best, "files": self._files if self.keep else []}

    def set_state(self, state: dict[str, Any]) -> None:
        if math.isfinite(state["best"]):
            self.best = float(state["best"])
        # A checkpoint is not trusted: it must not name other files to remove than those that this callback writes.
        parts = Formatter().parse(self.path)
        pattern = "".join(re.escape(text) + ("" if field is None else _ANY_NAME) for text, field, _, _ in parts)
        self._files = [str(file) for file in state["files"] if re.fullmatch(pattern, str(file))]


def _checked_path(path: Any) -> str:
    name = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(name, str) or not name:
        raise TypeError(f"ModelCheckpoint: expected the path of a file, got {short_repr(path)}")
    try:
        fields_of(name)
    except ValueError as error:
        raise ValueError(
            f"ModelCheckpoint: expected a path with names in pairs of braces, got {name!r}: {error}; write {{{{ and "
            "}} for single braces"
        ) from error
    return name
