"""What `fit` calls between epochs and batches."""

from nnfast.core.options import module_names
from nnfast.training.callbacks import *  # noqa: F403
from nnfast.training.callbacks import __all__

__getattr__, __dir__ = module_names(__name__, __all__)
