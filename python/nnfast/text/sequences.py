"""Sequences as rows of arrays, and long texts in parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeVar

import numpy as np

from nnfast.core.options import choose, integer, real
from nnfast.core.text import short_repr
from nnfast.core.typing import Array

__all__ = ["pad_sequences", "split_text", "windows"]

Text = TypeVar("Text", str, bytes)
_ENDS = ("pre", "post")


def pad_sequences(
    sequences: Iterable[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: Literal["pre", "post"] = "pre",
    truncating: Literal["pre", "post"] = "pre",
    value: float = 0,
) -> Array:
    """Sequences of different lengths as rows of one array, as Keras's function of this name.

    Parameters
    ----------
    sequences : iterable of array_like (T,) or (T, ...)
        All with the same axes after the first. Those without any step become rows of padding.
    maxlen : int, optional
        Length of the rows; by default that of the longest sequence.
    dtype : dtype, default "int32"
        One that holds all numbers: others are an error.
    padding, truncating : {"pre", "post"}, default "pre"
        Whether shorter sequences are filled, and longer ones cut, at their beginning or at their end.
    value : float, default 0
        What shorter sequences are filled with.

    Returns
    -------
    ndarray (N, maxlen, ...)

    Examples
    --------
    >>> from nnfast import text
    >>> text.pad_sequences([[1, 2, 3], [4]])
    array([[1, 2, 3],
           [0, 0, 4]], dtype=int32)
    >>> text.pad_sequences([[1, 2, 3], [4]], maxlen=2, padding="post", truncating="post")
    array([[1, 2],
           [4, 0]], dtype=int32)
    """
    choose("padding", padding, _ENDS)
    choose("truncating", truncating, _ENDS)
    wanted = np.dtype(dtype)
    rows = [_as_sequence(sequence, i, wanted) for i, sequence in enumerate(sequences)]
    longest = max(map(len, rows), default=0)
    if longest == 0:
        got = "none" if not rows else f"{len(rows)} without any"
        raise ValueError(f"pad_sequences: expected a sequence of one step or more, got {got}")
    step = next(row.shape[1:] for row in rows if len(row))
    length = longest if maxlen is None else integer("pad_sequences", "maxlen", maxlen)
    padded = np.full((len(rows), length, *step), _as_sequence([value], -1, wanted)[0], wanted)
    for i, (row, into) in enumerate(zip(rows, padded, strict=True)):
        if len(row) == 0:
            continue
        if row.shape[1:] != step:
            raise ValueError(
                f"pad_sequences: expected steps of shape {step}, as in the first sequence, got {row.shape[1:]} in "
                f"sequence {i}"
            )
        kept = row[-length:] if truncating == "pre" else row[:length]
        place = slice(length - len(kept), None) if padding == "pre" else slice(len(kept))
        into[place] = kept
    return padded


def _as_sequence(sequence: Any, place: int, dtype: np.dtype[Any]) -> Array:
    """A sequence as an array of a dtype, which holds its numbers."""
    name = "the value" if place < 0 else f"sequence {place}"
    try:
        array = np.asarray(sequence)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"pad_sequences: expected steps of one shape in {name}, got different ones") from error
    if array.ndim == 0:
        raise ValueError(f"pad_sequences: expected sequences, got {short_repr(sequence)} as {name}; write [[...], ...]")
    if array.size == 0:
        return np.zeros((len(array), *array.shape[1:]), dtype)
    if array.dtype.kind not in "buif":
        remedy = "; encode texts first, with a vocabulary" if array.dtype.kind in "US" else ""
        raise TypeError(f"pad_sequences: expected numbers, got {array.dtype} in {name}{remedy}")
    if array.dtype.kind == "f" and dtype.kind in "ui":
        raise TypeError(
            f'pad_sequences: expected integers for dtype {dtype}, got {array.dtype} in {name}; pass dtype="float32"'
        )
    if array.dtype.kind in "ui" and dtype.kind == "f":
        exact = 2 ** (np.finfo(dtype).nmant + 1)
        most = max(abs(int(array.min())), abs(int(array.max())))
        if most > exact:
            raise ValueError(
                f"pad_sequences: expected numbers up to {exact} for dtype {dtype}, which rounds larger ones, got "
                f'{most} in {name}; pass dtype="int64" or "float64"'
            )
    if array.dtype.kind in "ui" and dtype.kind in "ui":
        limits = np.iinfo(dtype)
        least, most = int(array.min()), int(array.max())
        if least < limits.min or most > limits.max:
            raise ValueError(
                f"pad_sequences: expected numbers from {limits.min} to {limits.max} for dtype {dtype}, got "
                f'{least if least < limits.min else most} in {name}; pass dtype="int64"'
            )
    return array.astype(dtype, copy=False)


def windows(numbers: Any, length: int, stride: int | None = None) -> tuple[Array, Array]:
    """Windows of a long sequence, each with the same window one step later, which a language model predicts.

    Parameters
    ----------
    numbers : array_like (T,)
        Token numbers.
    length : int
        Steps of a window, less than T.
    stride : int, optional
        Steps from the beginning of a window to that of the next; by default `length`, so that windows do not overlap.

    Returns
    -------
    x, y : ndarray (N, length)
        With y[:, t] = x[:, t + 1], and N = (T - 1 - length) // stride + 1: steps at the end that do not fill a window
        are left out. Both are read-only views of `numbers`. If windows overlap, `fit` makes a copy of each, which is
        length / stride times as large as `numbers`.

    See Also
    --------
    split_text : cuts a text before, so that no window is in two parts.

    Examples
    --------
    >>> from nnfast import text
    >>> x, y = text.windows([1, 2, 3, 4, 5, 6, 7], length=3)
    >>> x
    array([[1, 2, 3],
           [4, 5, 6]])
    >>> y
    array([[2, 3, 4],
           [5, 6, 7]])
    """
    array = np.asarray(numbers)
    size = integer("windows", "length", length)
    step = size if stride is None else integer("windows", "stride", stride)
    if array.dtype.kind in "USO":
        raise TypeError(
            f"windows: expected numbers (T,), got dtype {array.dtype}; encode a text with a vocabulary first"
        )
    if array.ndim != 1:
        raise ValueError(f"windows: expected numbers (T,), got shape {array.shape}")
    if len(array) <= size:
        raise ValueError(
            f"windows: expected more than length={size} numbers, got {len(array)}; pass a longer text or a smaller "
            "length"
        )
    every = np.lib.stride_tricks.sliding_window_view(array, size)
    return every[:-1:step], every[1::step]


def split_text(text: Text, fraction: float = 0.9, separator: Text | None = None) -> tuple[Text, Text]:
    r"""A long text in two parts, the first for training, the second for validation.

    Parameters
    ----------
    text : str or bytes
    fraction : float, default 0.9
        Of the text in the first part.
    separator : str or bytes, optional
        What the first part ends with, such as ``"\n\n"``, so that no paragraph is cut: the text is divided where it
        stands nearest to the fraction.

    Returns
    -------
    train, validation : str or bytes
        Together they are the text; neither is empty.

    Examples
    --------
    >>> from nnfast import text
    >>> text.split_text("One line.\nTwo lines.\nThree.\n", 0.7, separator="\n")
    ('One line.\nTwo lines.\n', 'Three.\n')
    """
    where = "split_text"
    if not isinstance(text, str | bytes):
        remedy = "" if not isinstance(text, Sequence) else "; for several texts use nnfast.data.Dataset.split"
        raise TypeError(f"{where}: expected a str or bytes, got {type(text).__name__}{remedy}")
    share = real(where, "fraction", fraction, minimum=0.0, upper_bound=1.0)
    cut = round(len(text) * share)
    if separator is not None:
        if type(separator) is not type(text) or not separator:
            raise TypeError(
                f"{where}: expected a {type(text).__name__} of one character or more as separator, got "
                f"{short_repr(separator)}"
            )
        width = len(separator)
        before = text.rfind(separator, 0, cut) + width
        found = text.find(separator, max(cut - width, 0))
        after = len(text) if found < 0 else found + width
        ends = [end for end in (before, after) if width <= end < len(text)]
        if not ends:
            raise ValueError(
                f"{where}: expected separator {short_repr(separator)} in the text, got none but at its end"
            )
        cut = min(ends, key=lambda end: abs(end - cut))
    if not 0 < cut < len(text):
        raise ValueError(
            f"{where}: expected two parts, got {len(text)} characters and the fraction {share:g}, which leave one empty"
        )
    return text[:cut], text[cut:]
