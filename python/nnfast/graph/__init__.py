"""What a network computes: its layers and how they are joined, its parameters by name, and both as text."""

from nnfast.core.tensor import Tensor

__all__ = ["Tensor"]
