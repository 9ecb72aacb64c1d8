"""Damaged files."""

import numpy as np

__all__ = ["mutant"]


def mutant(content: bytes, rng: np.random.Generator) -> bytes:
    """A file with a few bytes changed, or cut short."""
    kind, data = rng.integers(5), bytearray(content)
    if kind == 0:
        return content[: rng.integers(len(content))]
    for _ in range(rng.integers(1, 8)):
        place = int(rng.integers(len(data)))
        if kind == 1:
            data[place] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            data[place] = int(rng.integers(256))
        elif kind == 3:  # a number of eight bytes
            place -= place % 8
            extremes = [0, 1, len(data), len(data) - 8, 1 << 31, 1 << 62, (1 << 64) - 1, int(rng.integers(len(data)))]
            data[place : place + 8] = int(rng.choice(np.array(extremes, np.uint64))).to_bytes(8, "little")
        else:  # bytes of elsewhere
            source = int(rng.integers(len(data)))
            length = int(rng.integers(1, 64))
            data[place : place + length] = data[source : source + length]
    return bytes(data)
