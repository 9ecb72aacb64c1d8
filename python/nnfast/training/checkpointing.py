"""The methods of a trainer that write and read checkpoints."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from nnfast.training.trainer import Trainer

__all__ = ["Checkpoints"]


class Checkpoints:
    """Base class of `Trainer`. The implementation is imported with its first use, see `checkpoints.py`."""

    def save_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Write network, loss, optimizer with its state, and progress to a safetensors file, atomically.

        Resumed training gives the bits of an uninterrupted run, even from the middle of an epoch. The history, and
        during `fit` the states of the callbacks, are part of the file.

        Parameters
        ----------
        path : str or path-like

        Raises
        ------
        TypeError, ValueError
            If an option of a custom layer, loss or schedule cannot be stored as JSON, two user-defined classes or
            functions have the same name, or a number is not finite.
        AttributeError
            If a user-defined class does not store a constructor argument as an attribute.

        Notes
        -----
        Functions (learning rates, metrics) and user-defined classes are stored by name only, and `resume` needs them.
        Functions without a usable name, such as lambdas, cause a warning. The file contains a SHA-256 of its content,
        so that files that were damaged or changed are refused.

        `callbacks.ModelCheckpoint` saves during training.

        Examples
        --------
        >>> import os, tempfile
        >>> import nnfast as nf
        >>> from nnfast import layers
        >>> net = nf.Network([layers.Input((1,)), layers.Dense(1)])
        >>> trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.1, momentum=0.9))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     trainer.save_checkpoint(os.path.join(folder, "run.safetensors"))
        ...     nf.Trainer.resume(os.path.join(folder, "run.safetensors")).optimizer
        SGD(learning_rate=0.1, momentum=0.9)
        """
        from nnfast.training.checkpoints import save_trainer

        save_trainer(cast("Trainer", self), path)

    def load_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Read a checkpoint into this trainer and its network, which continue from there; see also `resume`.

        Parameters
        ----------
        path : str or path-like

        Raises
        ------
        ValueError
            If the file is damaged, or of a network with other layers or a trainer with other settings, with the first
            difference; nothing is then changed.

        Notes
        -----
        Parameters, seed and frozen parameters of the network, the optimizer's state and its learning rate, the progress
        of training and the history are those of the file afterwards.

        Examples
        --------
        >>> import os, tempfile
        >>> import nnfast as nf
        >>> from nnfast import layers
        >>> trainer = nf.Trainer(nf.Network([layers.Input((1,)), layers.Dense(1)], seed=0), loss="mse")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     trainer.save_checkpoint(os.path.join(folder, "run.safetensors"))
        ...     loss = trainer.train_on_batch([[1.0]], [[2.0]])
        ...     trainer.load_checkpoint(os.path.join(folder, "run.safetensors"))
        >>> trainer.iteration, trainer.train_on_batch([[1.0]], [[2.0]]) == loss
        (0, True)
        """
        from nnfast.training.checkpoints import restore_trainer

        restore_trainer(cast("Trainer", self), path)

    @classmethod
    def resume(
        cls,
        path: str | os.PathLike[str],
        *,
        custom_objects: Mapping[str, Any] | None = None,
        max_bytes: int | None = None,
    ) -> Trainer:
        """Read a trainer and its network from a checkpoint written by `save_checkpoint`.

        If `fit` was running when it was written, the next `fit` gives their states back to callbacks of the same
        classes at the same positions, and ``initial_epoch=trainer.epoch`` continues its epochs. A script that calls
        `fit` with a `callbacks.BackupAndRestore` does both by itself.

        Parameters
        ----------
        path : str or path-like
        custom_objects : dict, optional
            By name: user-defined layers, initializers, losses, metrics, optimizers and schedules, and functions used as
            metrics or learning rates.
        max_bytes : int, optional
            Maximum memory for the tensors of one row and their gradients; by default 256 MiB, or 64 times the size of
            the file if that is more. It is limited because a small file may describe a network that needs any amount of
            memory.

        Raises
        ------
        ValueError
            If the file is damaged or not a checkpoint, `custom_objects` is incomplete, or `max_bytes` is exceeded.

        Examples
        --------
        >>> import os, tempfile
        >>> import nnfast as nf
        >>> from nnfast import layers
        >>> trainer = nf.Trainer(nf.Network([layers.Input((1,)), layers.Dense(1)], seed=0), loss="mse")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     trainer.save_checkpoint(os.path.join(folder, "run.safetensors"))
        ...     resumed = nf.Trainer.resume(os.path.join(folder, "run.safetensors"))
        >>> resumed.train_on_batch([[1.0]], [[2.0]]) == trainer.train_on_batch([[1.0]], [[2.0]])
        True
        """
        from nnfast.training.checkpoints import load_trainer

        return load_trainer(path, custom_objects, max_bytes)
