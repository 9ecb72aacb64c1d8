"""Counter-based random numbers: Philox4x32-10, and what nnfast makes of its words.

Salmon, Moraes, Dror & Shaw (2011), Parallel random numbers: as easy as 1, 2, 3, DOI 10.1145/2063384.2063405.
A number depends on (seed, step, stream, element) alone, so any thread can make any element.
"""

import numpy as np
from numpy.typing import NDArray

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)  # golden ratio, sqrt(3) - 1
MASK = 0xFFFFFFFF

Words = NDArray[np.uint64]


def philox4x32(counter: tuple[Words, Words, Words, Words], key: tuple[int, int]) -> tuple[Words, Words, Words, Words]:
    """Return the four 32-bit words of every block; words are kept in uint64, where a product of two fits."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        product0 = MULTIPLIERS[0] * c0
        product1 = MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (product1 >> 32) ^ c1 ^ k0, product1 & MASK, (product0 >> 32) ^ c3 ^ k1, product0 & MASK
        k0, k1 = (k0 + KEY_STEPS[0]) & MASK, (k1 + KEY_STEPS[1]) & MASK
    return c0, c1, c2, c3


def words(n: int, seed: int, step: int, stream: int) -> NDArray[np.uint32]:
    """Return the first n 32-bit words: block i gives words 4 i to 4 i + 3."""
    block = np.arange((n + 3) // 4, dtype=np.uint64)
    same = np.ones_like(block)
    blocks = philox4x32((block & MASK, block >> 32, step * same, stream * same), (seed & MASK, seed >> 32))
    return np.stack(blocks, axis=1).astype(np.uint32).reshape(-1)[:n]


def random_uniform(n: int, seed: int, stream: int, dtype: str) -> NDArray[np.floating]:
    """Return n numbers in [0, 1), exactly: 24 bits of a word for float32, 53 of two words (low, high) for float64."""
    if dtype == "float32":
        return (words(n, seed, 0, stream) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)
    low, high = words(2 * n, seed, 0, stream).astype(np.uint64).reshape(n, 2).T
    return ((high << np.uint64(32) | low) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def random_normal(n: int, seed: int, stream: int, dtype: str) -> NDArray[np.float64]:
    """Return n numbers of mean 0 and variance 1 in float64, from uniforms of dtype.

    Box & Muller (1958), DOI 10.1214/aoms/1177706645, on the pairs (u[2j], u[2j+1]).
    """
    u = random_uniform(n + n % 2, seed, stream, dtype).astype(np.float64).reshape(-1, 2)
    radius = np.sqrt(-2 * np.log1p(-u[:, 0]))
    angle = 2 * np.pi * u[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)[:n]


def random_permutation(n: int, seed: int, stream: int) -> NDArray[np.int64]:
    """Return 0 .. n-1 in random order: Fisher-Yates from the end (Knuth, 1997, volume 2, algorithm 3.4.2P)."""
    order = list(range(n))
    u = random_uniform(n, seed, stream, "float64")
    for i in range(n - 1, 0, -1):
        j = int(u[i] * (i + 1))
        order[i], order[j] = order[j], order[i]
    return np.array(order, np.int64)
