"""What several kernels are told in the same way, checked: the core itself takes one type for each argument alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnfast import _core
from nnfast.core.options import choose, integer, real

_ACTIVATIONS = frozenset(_core.activation_names())
# Given in place of a threshold, slope or alpha: the core then takes the activation's default.
_DEFAULT = math.nan


def activation_of(name: Any, alpha: Any) -> tuple[str, float]:
    """Name and number of an activation, as the core takes them."""
    if not (isinstance(name, str) and name in _ACTIVATIONS):
        choose("activation", name, _ACTIVATIONS)
    return name, _DEFAULT if alpha is None else real(name, "alpha", alpha)


def dtype_of(where: str, value: Any) -> str:
    """The name of a floating-point dtype."""
    try:
        name = "none" if value is None else np.dtype(value).name
    except (TypeError, ValueError):
        name = "none"
    if name not in ("float32", "float64"):
        raise ValueError(f'{where}: expected dtype "float32" or "float64", got {value!r}')
    return name


def seed_of(where: str, seed: Any) -> int:
    """`seed` as an integer of 64 bits."""
    return integer(where, "seed", seed, minimum=0, upper_bound=2**64)


def counter_of(where: str, name: str, value: Any) -> int:
    """`value`, a training step or a stream, as an integer of 32 bits."""
    return integer(where, name, value, minimum=0, upper_bound=2**32)
