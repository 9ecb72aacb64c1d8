"""Texts in a standard form, and cut into tokens."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Sequence
from typing import Literal

__all__ = ["SPLITS", "STANDARDS", "Split", "Standard", "ngrams", "standardized", "words_of"]

Standard = Literal["lower_and_strip_punctuation", "lower", "strip_punctuation"]
Split = Literal["whitespace", "punctuation"]
STANDARDS = ("lower_and_strip_punctuation", "lower", "strip_punctuation")
SPLITS = ("whitespace", "punctuation")

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_WORD_OR_MARK = re.compile(r"\w+|[^\w\s]")


def standardized(text: str, standard: Standard | None) -> str:
    """A text in lower case, without ASCII punctuation marks, or both."""
    if standard in ("lower", "lower_and_strip_punctuation"):
        text = text.lower()
    if standard in ("strip_punctuation", "lower_and_strip_punctuation"):
        text = text.translate(_NO_PUNCTUATION)
    return text


def words_of(text: str, split: Split) -> list[str]:
    """What is between white space; or words and, as tokens of their own, other characters."""
    return text.split() if split == "whitespace" else _WORD_OR_MARK.findall(text)


def ngrams(tokens: Sequence[str], sizes: Iterable[int], separator: str = " ") -> list[str]:
    """Runs of neighboring tokens, each joined to a text.

    Parameters
    ----------
    tokens : sequence of str
        Words; or a str, for runs of characters.
    sizes : iterable of int
        Lengths of the runs, such as (1, 2).
    separator : str, default " "
        Between the tokens of a run.

    Returns
    -------
    list of str
        All runs of the first length in their order, then those of the second, and so on.

    Examples
    --------
    >>> from nnfast import text
    >>> text.ngrams(["not", "so", "bad"], [1, 2])
    ['not', 'so', 'bad', 'not so', 'so bad']
    >>> text.ngrams("able", [3], separator="")
    ['abl', 'ble']
    """
    return [separator.join(tokens[i : i + n]) for n in sizes for i in range(len(tokens) - n + 1)]
