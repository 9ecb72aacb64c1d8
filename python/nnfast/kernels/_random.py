"""Counter-based random numbers: each is a function of (seed, stream, index).

They come from Philox4x32-10 with key (seed low, seed high) and counter (block low, block high, step, stream), 32 bits
each. The step is 0 here, and the training step in dropout.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnfast import _core
from nnfast.core.options import integer
from nnfast.core.typing import Array
from nnfast.kernels._arguments import counter_of, dtype_of, seed_of


def _counters(where: str, n: int, seed: int, stream: int) -> tuple[int, int, int]:
    return integer(where, "n", n, minimum=0), seed_of(where, seed), counter_of(where, "stream", stream)


def random_uniform(n: int, seed: int = 0, stream: int = 0, dtype: str = "float32") -> Array:
    """Uniform random numbers in [0, 1).

    Parameters
    ----------
    n : int
        Number of elements.

    Returns
    -------
    ndarray of shape (n,)
        Multiples of 2^-24 (float32) or 2^-53 (float64).

    References
    ----------
    Salmon, Moraes, Dror & Shaw (2011), Parallel random numbers: as easy as 1, 2, 3, DOI 10.1145/2063384.2063405.

    Examples
    --------
    >>> from nnfast import kernels
    >>> u = kernels.random_uniform(1000, seed=7)
    >>> bool((0 <= u).all() and (u < 1).all())
    True
    """
    return _core.random_uniform(*_counters("random_uniform", n, seed, stream), dtype_of("random_uniform", dtype))


def random_normal(n: int, seed: int = 0, stream: int = 0, dtype: str = "float32") -> Array:
    """Normal random numbers with mean 0 and variance 1.

    Elements 2j and 2j + 1 are r cos(2 pi u2) and r sin(2 pi u2), with r = sqrt(-2 log(1 - u1)) and (u1, u2) the
    elements 2j and 2j + 1 of `random_uniform`. The largest magnitude is 5.8 in float32 and 8.6 in float64.

    Parameters
    ----------
    n : int
        Number of elements.

    Returns
    -------
    ndarray of shape (n,)

    References
    ----------
    Box & Muller (1958), A note on the generation of random normal deviates, DOI 10.1214/aoms/1177706645.

    Examples
    --------
    >>> from nnfast import kernels
    >>> z = kernels.random_normal(10_000, seed=7)
    >>> abs(float(z.mean())) < 0.05
    True
    """
    return _core.random_normal(*_counters("random_normal", n, seed, stream), dtype_of("random_normal", dtype))


def random_permutation(n: int, seed: int = 0, stream: int = 0) -> NDArray[np.int64]:
    """Random permutation of 0 to n - 1.

    Fisher-Yates from the end: for i = n - 1 to 1, elements i and floor(u_i (i + 1)) are swapped, where u is
    ``random_uniform(n, seed, stream, "float64")``.

    Parameters
    ----------
    n : int
        Number of elements, less than 2^36.

    Returns
    -------
    ndarray of int64, of shape (n,)

    References
    ----------
    Knuth (1997), The art of computer programming, volume 2, algorithm 3.4.2P.

    Examples
    --------
    >>> from nnfast import kernels
    >>> sorted(kernels.random_permutation(5, seed=3).tolist())
    [0, 1, 2, 3, 4]
    """
    return _core.random_permutation(*_counters("random_permutation", n, seed, stream))
