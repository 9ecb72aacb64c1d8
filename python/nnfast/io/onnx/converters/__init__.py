"""Converters of nodes to ONNX, by family; importing this module registers all of them."""

from nnfast.io.onnx.converters import (
    activation,
    arithmetic,
    attention,
    convolution,
    dense,
    indexing,
    normalization,
    recurrent,
    reduction,
    resize,
    shapes,
)
from nnfast.io.onnx.converters.registry import CONVERTERS, REFUSED, Call

__all__ = [
    "CONVERTERS",
    "REFUSED",
    "Call",
    "activation",
    "arithmetic",
    "attention",
    "convolution",
    "dense",
    "indexing",
    "normalization",
    "recurrent",
    "reduction",
    "resize",
    "shapes",
]
