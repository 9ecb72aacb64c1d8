"""What an ONNX graph asks for and a network does not have."""

from __future__ import annotations

__all__ = ["NeedsConstant", "Unsupported"]


class Unsupported(Exception):
    """Why a node cannot be part of a network; the importer adds the node's name and operation."""


class NeedsConstant(Unsupported):
    """An input of a node is computed from the network's inputs, and has to be known at import."""

    def __init__(self, value: str, what: str) -> None:
        super().__init__(f"expected {what}, {value!r}, as a constant, got one that is computed from the inputs")
        self.value = value
