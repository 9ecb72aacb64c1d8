"""What several kernels are told in the same way: activations, and the counters of random numbers."""

from __future__ import annotations

import math
from typing import Any

from nnfast import _core
from nnfast.configured import choose, integer, real

_ACTIVATIONS = frozenset(_core.activation_names())
# Given in place of a threshold, slope or alpha: the core then takes the activation's default.
_DEFAULT = math.nan


def activation_of(name: Any, alpha: Any) -> tuple[str, float]:
    """Name and number of an activation, as the core takes them."""
    if not (isinstance(name, str) and name in _ACTIVATIONS):
        choose("activation", name, _ACTIVATIONS)
    return name, _DEFAULT if alpha is None else real(name, "alpha", alpha)


def seed_of(place: str, seed: Any) -> int:
    """`seed` as an integer of 64 bits."""
    return integer(place, "seed", seed, least=0, below=2**64)


def counter_of(place: str, name: str, value: Any) -> int:
    """`value`, a training step or a stream, as an integer of 32 bits."""
    return integer(place, name, value, least=0, below=2**32)
