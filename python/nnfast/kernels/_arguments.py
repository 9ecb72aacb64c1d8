"""Checks of arguments that several kernels share; the core itself accepts a single type for each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnfast import _core
from nnfast.core.options import choose, integer, real

_ACTIVATIONS = frozenset(_core.activation_names())
# Selects the default parameter of an activation function in the core.
_DEFAULT = math.nan


def activation_of(name: Any, alpha: Any) -> tuple[str, float]:
    """Name and parameter of an activation function, as the core expects them."""
    if not (isinstance(name, str) and name in _ACTIVATIONS):
        choose("activation", name, _ACTIVATIONS)
    return name, _DEFAULT if alpha is None else real(name, "alpha", alpha)


def dtype_of(where: str, value: Any) -> str:
    """Name of a floating-point dtype."""
    try:
        name = "none" if value is None else np.dtype(value).name
    except (TypeError, ValueError):
        name = "none"
    if name not in ("float32", "float64"):
        raise ValueError(f'{where}: expected dtype "float32" or "float64", got {value!r}')
    return name


def seed_of(where: str, seed: Any) -> int:
    """`seed` as a 64-bit integer."""
    return integer(where, "seed", seed, minimum=0, upper_bound=2**64)


def counter_of(where: str, name: str, value: Any) -> int:
    """`value`, a training step or a stream, as a 32-bit integer."""
    return integer(where, name, value, minimum=0, upper_bound=2**32)
