"""Items of an iterator, made ahead of their use by a thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

__all__ = ["Prefetch"]

T = TypeVar("T")

_POLL = 0.1
"""Seconds after which a waiting thread looks for Ctrl-C, which does not end the wait on every system."""


class Prefetch(Generic[T]):
    """Iterates over items that one background thread makes, at most `ahead` of them in advance.

    An exception of the iterator is raised where its item would come. The thread ends with the items, with `close`, and
    when this object is deleted, after the item that it makes then.

    Parameters
    ----------
    items : iterator
    ahead : int
        0 makes each item when it is needed, in the calling thread.

    Examples
    --------
    >>> from nnfast.training.prefetch import Prefetch
    >>> list(Prefetch(iter("abc"), 2))
    ['a', 'b', 'c']
    """

    _made: _Made[T] | None = None

    def __init__(self, items: Iterator[T], ahead: int) -> None:
        self._items = items
        if ahead:
            self._made = _Made(items, ahead)
            self._thread = threading.Thread(target=self._made.run, name="nnfast-prefetch", daemon=True)
            self._thread.start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        return next(self._items) if self._made is None else self._made.take()

    def close(self, timeout: float | None = None) -> None:
        """End the thread, and wait for it for up to so many seconds."""
        if self._made is not None:
            self._made.close()
            self._thread.join(timeout)

    def __del__(self) -> None:
        if self._made is not None:
            self._made.close()


class _Made(Generic[T]):
    """What the thread shares with the iterator. The thread does not hold the iterator, so that this can be deleted."""

    def __init__(self, items: Iterator[T], ahead: int) -> None:
        self._items = items
        self._ahead = ahead
        self._ready: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._ended = False
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            while self._has_room():
                try:
                    item = next(self._items)
                except StopIteration:
                    break
                with self._changed:
                    self._ready.append(item)
                    self._changed.notify_all()
                del item  # it may be large, and the next one is not made before there is room
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _has_room(self) -> bool:
        """Wait until an item may be made; False if no more is wanted."""
        with self._changed:
            while len(self._ready) >= self._ahead and not self._closed:
                self._changed.wait()
            return not self._closed

    def take(self) -> T:
        with self._changed:
            while not self._ready and not self._ended:
                self._changed.wait(_POLL)
            if self._ready:
                self._changed.notify_all()
                return self._ready.popleft()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        raise StopIteration

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._ready.clear()
            self._changed.notify_all()
