"""What `fit` calls between epochs and batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnfast.training import callbacks
from nnfast.training.callbacks import __all__

if TYPE_CHECKING:
    from nnfast.training.callbacks import *  # noqa: F403


def __getattr__(name: str) -> Any:
    return getattr(callbacks, name)


def __dir__() -> list[str]:
    return sorted(__all__)
