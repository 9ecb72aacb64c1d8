"""The graph of a network: its layers and their connections, its parameters by name, and both as text."""

from nnfast.core.tensor import Tensor

__all__ = ["Tensor"]
