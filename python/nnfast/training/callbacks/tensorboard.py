"""TensorBoard: curves of a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from nnfast.core.options import integer, named_arguments
from nnfast.training.callbacks.base import Callback, Logs, numbers
from nnfast.training.callbacks.event_file import EventFile
from nnfast.training.callbacks.loggers import figures_of
from nnfast.training.callbacks.paths import require_literal

__all__ = ["TensorBoard"]


class TensorBoard(Callback):
    """Write the figures of each epoch for TensorBoard.

    Parameters
    ----------
    log_dir : str or path-like or object, default "logs"
        Folder for event files, which nnfast writes itself; or an object with a method ``add_scalar(tag, value, step)``,
        such as the `SummaryWriter` of PyTorch or tensorboardX.
    update_freq : "epoch", "batch" or int, default "epoch"
        "batch" writes the figures of every batch too, an integer those of every n-th.

    Notes
    -----
    As with Keras, a folder gets subfolders "train" and "validation", and the tags are "epoch_loss",
    "epoch_learning_rate" and so on, with the index of the epoch as the step, so TensorBoard shows training and
    validation in one diagram. Figures of batches are "batch_loss" and so on, with `Trainer.iteration` as the step.
    Objects get the tags of training without a prefix, and those of validation with "val_".

    Examples
    --------
    >>> import os, tempfile
    >>> import nnfast as nf
    >>> from nnfast import callbacks, layers
    >>> trainer = nf.Trainer(nf.Network([layers.Input((1,)), layers.Dense(1)], seed=0), loss="mse")
    >>> data = [[1.0]], [[2.0]]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     board = callbacks.TensorBoard(folder)
    ...     history = trainer.fit(*data, epochs=2, batch_size=1, validation_data=data, callbacks=[board])
    ...     sorted(os.listdir(folder))
    ['train', 'validation']
    """

    @named_arguments
    def __init__(
        self,
        log_dir: str | os.PathLike[str] | Any = "logs",
        update_freq: Literal["epoch", "batch"] | int = "epoch",
    ) -> None:
        if not isinstance(log_dir, str | os.PathLike) and not callable(getattr(log_dir, "add_scalar", None)):
            raise TypeError(
                "TensorBoard: expected a folder or an object with a method add_scalar(tag, value, step), got "
                f"{log_dir!r}"
            )
        if isinstance(update_freq, str) and update_freq not in ("epoch", "batch"):
            raise ValueError(f'TensorBoard: expected update_freq "epoch", "batch" or an integer, got {update_freq!r}')
        self.log_dir = log_dir
        self.update_freq = update_freq
        if update_freq != "epoch":  # an attribute, so that other runs do not return to Python after every batch
            self._every = 1 if update_freq == "batch" else integer("TensorBoard", "update_freq", update_freq)
            self.on_train_batch_end = self._batch_end  # type: ignore[method-assign]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if isinstance(self.log_dir, str | os.PathLike):
            require_literal("TensorBoard", os.fspath(self.log_dir))
            self._writer: _Folder | _Writer = _Folder(self.log_dir)
        else:
            self._writer = _Writer(self.log_dir)

    def _batch_end(self, batch: int, logs: Logs) -> None:
        step = self.trainer.iteration
        if step % self._every == 0:
            self._writer.write("batch_", numbers(logs), step)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        self._writer.write("epoch_", figures_of(self, logs), epoch)


class _Folder:
    """Event files in subfolders for training and validation."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._train, self._validation = EventFile(Path(folder) / "train"), EventFile(Path(folder) / "validation")

    def write(self, prefix: str, figures: dict[str, float], step: int) -> None:
        validation = {name[4:]: value for name, value in figures.items() if name.startswith("val_")}
        train = {name: value for name, value in figures.items() if not name.startswith("val_")}
        for file, part in ((self._train, train), (self._validation, validation)):
            if part:
                file.write({prefix + name: float(value) for name, value in part.items()}, step)


class _Writer:
    """An object with a method `add_scalar`."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def write(self, prefix: str, figures: dict[str, float], step: int) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name if prefix == "epoch_" else prefix + name, float(value), step)
        flush = getattr(self._writer, "flush", None)
        if callable(flush):
            flush()
