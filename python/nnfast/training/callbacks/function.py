"""LambdaCallback: a callback made of functions."""

from __future__ import annotations

from collections.abc import Callable

from nnfast.core.options import named_arguments
from nnfast.training.callbacks.base import Callback

__all__ = ["LambdaCallback"]

Function = Callable[..., object]


class LambdaCallback(Callback):
    """A callback made of functions, which get the arguments of the methods of the same names; see `Callback`.

    Parameters
    ----------
    on_epoch_begin, on_epoch_end : callable, optional
        Function (epoch, logs); `logs` may be left out here and below.
    on_train_begin, on_train_end : callable, optional
        Function (logs).
    on_train_batch_begin, on_train_batch_end : callable, optional
        Function (batch, logs).
    on_batch_begin, on_batch_end : callable, optional
        Other names of these.
    on_test_begin, on_test_end : callable, optional
        Function (logs).

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import callbacks, layers
    >>> trainer = nf.Trainer(nf.Network([layers.Input((1,)), layers.Dense(1)], seed=0), loss="mse")
    >>> report = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, list(logs)))
    >>> history = trainer.fit([[1.0]], [[2.0]], epochs=2, batch_size=1, callbacks=[report])
    0 ['loss']
    1 ['loss']
    """

    @named_arguments
    def __init__(
        self,
        on_epoch_begin: Function | None = None,
        on_epoch_end: Function | None = None,
        on_train_begin: Function | None = None,
        on_train_end: Function | None = None,
        on_train_batch_begin: Function | None = None,
        on_train_batch_end: Function | None = None,
        on_batch_begin: Function | None = None,
        on_batch_end: Function | None = None,
        on_test_begin: Function | None = None,
        on_test_end: Function | None = None,
    ) -> None:
        for name, function in list(locals().items()):
            if not name.startswith("on_") or function is None:
                continue
            if not callable(function):
                raise TypeError(f"LambdaCallback: expected a function as {name}, got {function!r}")
            setattr(self, name, function)
