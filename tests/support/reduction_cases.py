"""What the tests of reductions are made of: the truth in NumPy, numbers, derived tolerances, sets of axes."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from nnfast import ops
from nnfast.core.typing import Array


def _quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    """Infinities make NumPy warn."""

    def quiet(x: Array, axis: Any = None, keepdims: bool = False) -> Any:
        with np.errstate(all="ignore"):
            return function(x, axis=axis, keepdims=keepdims)

    return quiet


def _log_sum_exp(x: Array, axis: Any, keepdims: bool) -> Any:
    return np.log(np.exp(x).sum(axis=axis, keepdims=keepdims))


def _two_norm(x: Array, axis: Any, keepdims: bool) -> Any:
    return np.sqrt((x * x).sum(axis=axis, keepdims=keepdims))


TRUTH: dict[str, Callable[..., Any]] = {
    "sum": _quiet(np.sum),
    "mean": _quiet(np.mean),
    "max": _quiet(np.max),
    "min": _quiet(np.min),
    "prod": _quiet(np.prod),
    "var": _quiet(np.var),
    "std": _quiet(np.std),
    "logsumexp": _quiet(_log_sum_exp),
    "norm": _quiet(_two_norm),
    "any": _quiet(np.any),
    "all": _quiet(np.all),
    "count_nonzero": _quiet(np.count_nonzero),
}
SMOOTH = ("sum", "mean", "max", "min", "prod", "var", "std", "logsumexp", "norm")


def reduced(name: str, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The function of `nnfast.ops` of that name."""
    return getattr(ops, name)(x, axis=axis, keepdims=keepdims)


def tolerance(name: str, x: Array, axis: Any, keepdims: bool, unit: float) -> Any:
    """A chain of n terms is off by at most n eps times the sum of their magnitudes, whatever its order."""
    options = {"axis": axis, "keepdims": keepdims}
    n = x.size / np.sum(x, **options).size
    total, largest = np.abs(x).sum(**options), np.abs(x).max(**options)
    bounds: dict[str, Callable[[], Any]] = {
        "sum": lambda: n * unit * total,
        "mean": lambda: 2 * unit * total,
        "prod": lambda: n * unit * np.abs(np.prod(x, **options)),
        # Distances are off by some eps of the largest number, and so are their squares.
        "var": lambda: (n + 8) * unit * 4 * largest**2,
        "std": lambda: (n + 8) * unit * 4 * largest**2 / np.maximum(np.std(x, **options), 1e-3),
        # The relative error of the sum, and the errors of exp and log.
        "logsumexp": lambda: unit * (n + 8 + 4 * largest),
        "norm": lambda: (n + 4) * unit * _two_norm(x, **options),
    }
    return bounds[name]() if name in bounds else 0


def numbers(name: str, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    if name in ("max", "min", "any", "all", "count_nonzero"):
        return rng.integers(-1, 2, shape).astype(np.float64)  # equal ones, and zeros
    if name == "prod":
        return rng.uniform(0.7, 1.4, shape) * rng.choice([-1, 1], shape)
    return rng.standard_normal(shape)


def subsets(rank: int) -> list[tuple[int, ...]]:
    return [axes for count in range(rank + 1) for axes in itertools.combinations(range(rank), count)]
