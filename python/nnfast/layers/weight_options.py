"""Arguments of layers: regularizers and constraints of single weights, and a regularizer of the output."""

from __future__ import annotations

from typing import Any, TypedDict

__all__ = [
    "AlphaOptions",
    "EmbeddingOptions",
    "GammaOptions",
    "KernelOptions",
    "NormOptions",
    "RecurrentOptions",
    "option_of",
]


class KernelOptions(TypedDict, total=False):
    """Of layers with a kernel and a bias."""

    kernel_regularizer: Any
    bias_regularizer: Any
    activity_regularizer: Any
    kernel_constraint: Any
    bias_constraint: Any


class RecurrentOptions(TypedDict, total=False):
    """Of layers with a kernel for the inputs, one for the state, and a bias."""

    kernel_regularizer: Any
    recurrent_regularizer: Any
    bias_regularizer: Any
    activity_regularizer: Any
    kernel_constraint: Any
    recurrent_constraint: Any
    bias_constraint: Any


class NormOptions(TypedDict, total=False):
    """Of layers with gamma and beta."""

    beta_regularizer: Any
    gamma_regularizer: Any
    beta_constraint: Any
    gamma_constraint: Any


class GammaOptions(TypedDict, total=False):
    """Of layers with gamma alone."""

    gamma_regularizer: Any
    gamma_constraint: Any


class EmbeddingOptions(TypedDict, total=False):
    """Of layers with a table of vectors."""

    embeddings_regularizer: Any
    embeddings_constraint: Any


class AlphaOptions(TypedDict, total=False):
    """Of layers with slopes."""

    alpha_regularizer: Any
    alpha_constraint: Any


def option_of(name: str, value: Any) -> Any:
    """The object that the argument `name`, such as ``kernel_regularizer`` or ``bias_constraint``, stands for."""
    if value is None:
        return None
    # Imported here, because most networks have none.
    from nnfast import constraints, regularizers

    return regularizers.get(value) if name.endswith("regularizer") else constraints.get(value)
