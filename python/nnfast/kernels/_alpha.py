"""The one number that some activations have."""

from functools import cache

from nnfast import activations


@cache
def default_alpha(activation: str) -> float:
    """Return the threshold, slope or alpha that an activation has unless told."""
    return activations.get(activation).alpha
