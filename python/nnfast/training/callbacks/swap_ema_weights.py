"""Evaluation and saving with moving averages of the weights during `Trainer.fit`."""

from __future__ import annotations

from nnfast.core.options import flag
from nnfast.training.callbacks.base import Callback, Logs

__all__ = ["SwapEMAWeights"]


class SwapEMAWeights(Callback):
    """Put the moving averages of an optimizer's `use_ema` in the place of the weights during validation.

    Parameters
    ----------
    swap_on_epoch : bool, default False
        Leave them there until the next epoch begins, or training ends, so that callbacks behind this one in the list
        save the averages and evaluate with them. Put it before them.

    Raises
    ------
    RuntimeError
        In `Trainer.fit`, if the optimizer has no `use_ema`.

    Notes
    -----
    After `Trainer.fit` the network has its own weights again: use `Trainer.averaged_weights`, or make the averages
    permanent with `Trainer.finalize_variable_values`. Keras does that at the end of each fit.

    Examples
    --------
    >>> import numpy as np
    >>> import nnfast as nf
    >>> from nnfast import callbacks, layers
    >>> x = np.linspace(-1, 1, 32, dtype="float32")[:, None]
    >>> net = nf.Network([layers.Input((1,)), layers.Dense(1)], seed=0)
    >>> trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))
    >>> swap = callbacks.SwapEMAWeights()
    >>> history = trainer.fit(x, 2 * x, epochs=2, validation_data=(x, 2 * x), callbacks=[swap])
    >>> with trainer.averaged_weights():
    ...     print(trainer.evaluate(x, 2 * x)["loss"] == history["val_loss"][-1])
    True
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        self.swap_on_epoch = flag("SwapEMAWeights", "swap_on_epoch", swap_on_epoch)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.trainer.require_averages("SwapEMAWeights")

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.trainer.restore_weights()

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self.trainer.exchange_weights("SwapEMAWeights")

    def on_test_end(self, logs: Logs) -> None:
        if not self.swap_on_epoch:
            self.trainer.restore_weights()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        if self.swap_on_epoch and not self.trainer.exchanged:
            self.trainer.exchange_weights("SwapEMAWeights")

    def on_train_end(self, logs: Logs | None = None) -> None:
        self.trainer.restore_weights()
