"""Which methods of callbacks a run calls, and with which arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from nnfast.training.callbacks.base import Callback
from nnfast.training.callbacks.saving import Saving

if TYPE_CHECKING:
    from nnfast.training.trainer import Trainer

__all__ = ["Calls"]

_ARGUMENTS = {
    "on_train_begin": ("logs",),
    "on_train_end": ("logs",),
    "on_epoch_begin": ("epoch", "logs"),
    "on_epoch_end": ("epoch", "logs"),
    "on_train_batch_begin": ("batch", "logs"),
    "on_train_batch_end": ("batch", "logs"),
    "on_test_begin": ("logs",),
    "on_test_end": ("logs",),
}
_OTHER_NAMES = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}


class Calls:
    """The overridden methods of the callbacks of a run, by name.

    They are looked up once: a method that is not overridden costs nothing, and neither does one that takes no `logs`.
    """

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self.savers = [callback for callback in callbacks if isinstance(callback, Saving)]
        # What they save includes the states of the others, which must know of the epoch.
        self.callbacks = [*(callback for callback in callbacks if not isinstance(callback, Saving)), *self.savers]
        self._methods = {name: list(self._overridden(name)) for name in _ARGUMENTS}
        self.by_batch = bool(self._methods["on_train_batch_begin"] or self._methods["on_train_batch_end"])

    def __call__(self, name: str, *arguments: Any) -> None:
        """Call a method of all callbacks."""
        for method in self._methods[name]:
            method(*arguments)

    def methods(self, name: str) -> list[Callable[..., object]]:
        """The methods of this name that `__call__` calls."""
        return self._methods[name]

    def begin(self, trainer: Trainer, params: dict[str, Any]) -> None:
        """Call what comes before the first epoch."""
        for callback in self.callbacks:
            callback.trainer = trainer
            callback.set_params(params)
            callback.set_model(callback.model)
        self("on_train_begin", {})

    def require_names(self, trained: Sequence[str], validated: Sequence[str]) -> None:
        """Let the callbacks that save check names, given those of the figures of training and of validation."""
        added: list[str] = []
        complete = True
        for callback in self.callbacks:
            if (getattr(callback.on_epoch_end, "__module__", None) or "").startswith("nnfast."):
                added += callback.added_figures
            else:
                complete = False
        for saver in self.savers:
            between = saver.steps is not None or saver.seconds is not None
            saver.require_names(trained if between else [*trained, *validated, *added], complete or between)

    def steps_to_save(self, iteration: int) -> int | None:
        """Number of steps after which a callback is to save, at the latest; None if none counts steps."""
        return min((saver.steps_left(iteration) for saver in self.savers if saver.steps), default=None)

    def absorb(self, error: RuntimeError) -> bool:
        """Whether a callback makes a normal end of this error."""
        return any(callback.absorbs(error) for callback in self.callbacks)

    def _overridden(self, name: str) -> Iterator[Callable[..., object]]:
        for callback in self.callbacks:
            for known in (name, _OTHER_NAMES.get(name, name)):
                method = getattr(callback, known)
                if getattr(method, "__func__", None) is not getattr(Callback, known):
                    yield _taking(callback, known, method, _ARGUMENTS[name])
                    break


def _taking(
    callback: Callback, name: str, method: Callable[..., object], arguments: tuple[str, ...]
) -> Callable[..., object]:
    """The method as a function of all arguments, of which it may leave out the last, `logs`."""
    try:
        signature = inspect.signature(method)
    except ValueError:  # some built-in functions have none
        return method
    if _fits(signature, arguments):
        return method
    if _fits(signature, arguments[:-1]):
        return lambda *given: method(*given[:-1])
    wanted = ", ".join(arguments)
    raise TypeError(f"{type(callback).__name__}.{name}: expected the arguments ({wanted}), got {signature}")


def _fits(signature: inspect.Signature, arguments: tuple[str, ...]) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True
