"""What `fit` calls between epochs and batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nnfast.training.callbacks as callbacks  # "from" would ask the package for the name, which looks for similar ones
from nnfast.training.callbacks import __all__

if TYPE_CHECKING:
    from nnfast.training.callbacks import *  # noqa: F403


def __getattr__(name: str) -> Any:
    return getattr(callbacks, name)


def __dir__() -> list[str]:
    return sorted(__all__)
