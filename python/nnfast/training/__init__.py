"""Trainers, callbacks, checkpoints, and the history of training.

`Trainer` and `History` are in nnfast itself, callbacks in `nnfast.callbacks`. Here is the protocol of data that are
produced on demand.
"""

from nnfast.core.options import module_names
from nnfast.training.dataset import Dataset

__all__ = ["Dataset"]

__getattr__, __dir__ = module_names(__name__, __all__)
