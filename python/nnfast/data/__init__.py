"""Readers of data sets and of the IDX file format. NumPy only: nothing here needs the compiled core."""

from nnfast.data.idx import read_idx, write_idx
from nnfast.data.mnist import load_mnist

__all__ = ["load_mnist", "read_idx", "write_idx"]
