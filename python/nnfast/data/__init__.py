"""Datasets, readers of data sets, images and IDX files, and data augmentation.

Only NumPy is required, Pillow for images, and pandas or polars for tables.
"""

from nnfast.core.options import module_names
from nnfast.data.augmentation import Augmentation
from nnfast.data.cifar10 import load_cifar10
from nnfast.data.dataset import Dataset
from nnfast.data.frames import from_dataframe, read_csv, read_parquet
from nnfast.data.idx import read_idx, write_idx
from nnfast.data.images import load_images
from nnfast.data.labels import one_hot
from nnfast.data.mnist import load_mnist

__all__ = [
    "Augmentation",
    "Dataset",
    "from_dataframe",
    "load_cifar10",
    "load_images",
    "load_mnist",
    "one_hot",
    "read_csv",
    "read_idx",
    "read_parquet",
    "write_idx",
]

__getattr__, __dir__ = module_names(__name__, __all__)
