"""Matrix products, and the chain of fused multiply-adds that fixes their bits."""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def matmul(a: Array, b: Array, transpose_a: bool = False, transpose_b: bool = False) -> Array:
    """Return op(a) @ op(b) in float64: (M, K) times (K, N) is (M, N)."""
    a = np.asarray(a, np.float64)
    b = np.asarray(b, np.float64)
    return (a.T if transpose_a else a) @ (b.T if transpose_b else b)


def matmul_error_bound(a: Array, b: Array, start: Array | float, eps: float) -> Array:
    """Bound the rounding error of every element of start + a @ b.

    A sum of K products and a start, rounded once per term, errs by at most (K + 1) u / (1 - (K + 1) u) times the sum
    of the magnitudes, with u = eps / 2 (Higham, 2002, Accuracy and Stability of Numerical Algorithms, section 3.1).
    With separate multiplications and additions each term is rounded twice; (K + 2) eps covers both.
    """
    magnitude = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64) + np.abs(start)
    return (a.shape[1] + 2) * eps * magnitude


def _round_to(value: Fraction, dtype: np.dtype) -> np.floating:
    """Round an exact fraction to the nearest number of dtype, ties to even (normal range only)."""
    if dtype == np.float64:
        return np.float64(value.numerator / value.denominator)  # true division of integers rounds correctly
    near = np.float32(value.numerator / value.denominator)  # may be off by one unit through double rounding
    candidates = [np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf))]
    mantissa_is_odd = [int(candidate.view(np.uint32)) & 1 for candidate in candidates]
    distance = [abs(Fraction(float(candidate)) - value) for candidate in candidates]
    return candidates[min(range(3), key=lambda i: (distance[i], mantissa_is_odd[i]))]


def matmul_fma_chain(a: Array, b: Array, start: Array) -> Array:
    """Return, bit for bit, start + a @ b as one chain of fused multiply-adds over k, ascending.

    Every element is acc = round(acc + a[i, k] * b[k, j]), rounded once per k, in exact rational arithmetic.
    For small sizes only: every step is a Fraction.
    """
    out = start.copy()
    for i, j in np.ndindex(out.shape):
        acc = out[i, j]
        for k in range(a.shape[1]):
            acc = _round_to(Fraction(float(acc)) + Fraction(float(a[i, k])) * Fraction(float(b[k, j])), out.dtype)
        out[i, j] = acc
    return out
