"""SHA-256 of arrays with their names, shapes and dtypes: the same on every machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nnfast.core.typing import Array, Shape

__all__ = ["array_bytes", "fingerprint", "sha256"]

_DIGITS = 16
"""Of a fingerprint: 64 bits, so that any two of a million networks differ with a probability of 1 - 3e-8."""


def sha256(text: str, tensors: Iterable[tuple[str, Any, Shape, Iterable[Any]]]) -> str:
    """Digest, in 64 hexadecimal digits, of a text and of tensors.

    Parameters
    ----------
    text : str
    tensors : iterable of (name, dtype, shape, pieces)
        `pieces` are the tensor's bytes, in the order of C and little-endian, in buffers of any length.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast.core.digest import array_bytes, sha256
    >>> zeros = np.zeros(2, "float32")
    >>> sha256("", [("a", "F32", (2,), [array_bytes(zeros)])])[:16]
    '42b87749364b8542'
    """
    import hashlib

    total = hashlib.sha256(text.encode(), usedforsecurity=False)
    for name, dtype, shape, pieces in tensors:
        total.update(f"{name!r} {dtype} {tuple(shape)}\n".encode())
        for piece in pieces:
            total.update(piece)
    return total.hexdigest()


def fingerprint(text: str, tensors: Iterable[tuple[str, Any, Shape, Iterable[Any]]]) -> str:
    """The first 16 digits of `sha256`.

    Parameters
    ----------
    text, tensors
        As in `sha256`.
    """
    return sha256(text, tensors)[:_DIGITS]


def array_bytes(array: Array) -> Any:
    """The bytes of an array, little-endian, without a copy where it already has this form."""
    return array.astype(array.dtype.newbyteorder("<"), order="C", copy=False).reshape(-1).view("u1")
