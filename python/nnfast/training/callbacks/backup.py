"""BackupAndRestore: a script that was interrupted goes on when it is started again."""

from __future__ import annotations

import contextlib
import os
from typing import Literal

from nnfast.core.files import require_writable
from nnfast.core.options import flag, named_arguments
from nnfast.core.text import short_repr
from nnfast.training.callbacks.base import Logs
from nnfast.training.callbacks.paths import require_literal
from nnfast.training.callbacks.saving import Saving

__all__ = ["BackupAndRestore"]


class BackupAndRestore(Saving):
    """Let the same script, started again after an interruption, continue the run and end with the same bits.

    Parameters
    ----------
    path : str or path-like
        File for the checkpoint. If it exists when `Trainer.fit` begins, the run continues from it; otherwise, the run
        begins. Its folder is created.
    save_freq : "epoch" or int, default "epoch"
        Save after each epoch, or whenever the number of the trainer's steps becomes a multiple of this.
    delete_checkpoint : bool, default True
        Remove the file when the run has ended normally. Otherwise, starting the script again trains nothing and returns
        the same history.
    every_seconds : float, optional
        Save also between batches and after epochs once this much time has passed since the last save.

    Raises
    ------
    ValueError
        From `Trainer.fit`, if the file is of another network or trainer, or of another seed than that with which the
        network was made, naming the first difference, or damaged.

    Notes
    -----
    Parameters, the optimizer's state, the position in the epoch, the history, the learning rate, and the states of the
    callbacks are restored. The returned history is that of the whole run, except for `History.seconds` the same as
    without interruption. The script must pass the same data and arguments; `epochs` may be larger. Networks without a
    seed get that of the file.

    Examples
    --------
    >>> import os, tempfile
    >>> import nnfast as nf
    >>> from nnfast import callbacks, layers
    >>> def script(path, *more):
    ...     trainer = nf.Trainer(nf.Network([layers.Input((1,)), layers.Dense(1)], seed=0), loss="mse")
    ...     backup = callbacks.BackupAndRestore(path)
    ...     return trainer.fit([[1.0], [3.0]], [[2.0], [1.0]], epochs=6, callbacks=[backup, *more])
    >>> class Fail(callbacks.Callback):
    ...     def on_epoch_begin(self, epoch):
    ...         if epoch == 4:
    ...             raise KeyboardInterrupt
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "backup.safetensors")
    ...     whole = script(path)
    ...     try:
    ...         script(path, Fail())
    ...     except KeyboardInterrupt:
    ...         continued = script(path)
    >>> continued["loss"] == whole["loss"], continued.fingerprint == whole.fingerprint
    (True, True)
    """

    @named_arguments
    def __init__(
        self,
        path: str | os.PathLike[str],
        save_freq: Literal["epoch"] | int = "epoch",
        delete_checkpoint: bool = True,
        *,
        every_seconds: float | None = None,
    ) -> None:
        if not isinstance(path, str | os.PathLike) or not os.fspath(path):
            raise TypeError(f"BackupAndRestore: expected the path of a file, got {short_repr(path)}")
        self.path = os.fspath(path)
        self.delete_checkpoint = flag("BackupAndRestore", "delete_checkpoint", delete_checkpoint)
        self.schedule(save_freq, 1, every_seconds)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        super().on_train_begin(logs)
        require_literal("BackupAndRestore", self.path)
        os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
        require_writable(self.path)
        if os.path.exists(self.path):
            from nnfast.training.checkpoints import restore_trainer

            restore_trainer(self.trainer, self.path, of_same_seed=True)

    def save(self, epoch: int, batch: int, logs: Logs) -> None:
        self.trainer.save_checkpoint(self.path)

    def on_train_end(self, logs: Logs | None = None) -> None:
        if not self.delete_checkpoint:
            self.trainer.save_checkpoint(self.path)
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
