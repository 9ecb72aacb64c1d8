"""Vocabularies of characters and words: the tokens of a text and their numbers."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Literal

import numpy as np

from nnfast.core.options import choose, integer
from nnfast.core.text import short_repr
from nnfast.core.typing import Array
from nnfast.text.encoder import TextEncoder, distinct_tokens, require_text, require_texts
from nnfast.text.sequences import pad_sequences
from nnfast.text.splitting import SPLITS, STANDARDS, Split, Standard, standardized, words_of

__all__ = ["CharacterVocabulary", "Vocabulary", "WordVocabulary", "token_numbers"]


class Vocabulary(TextEncoder):
    """Base class of all vocabularies, which number tokens from 0; your own ones derive from it.

    Attributes
    ----------
    tokens : tuple of str or None
        The token of each number; None before `fit`.
    padding_id : int or None
        The number with which `transform` fills rows.
    unknown_id : int or None
        The number of all tokens that the vocabulary does not contain.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import text
    >>> class Bases(text.Vocabulary):
    ...     tokens = tuple("ACGT")
    ...
    ...     def fit(self, texts):
    ...         return self
    ...
    ...     def encode(self, text):
    ...         return np.array([self.tokens.index(base) for base in text], np.int32)
    ...
    ...     def decode(self, numbers):
    ...         return "".join(self.tokens[i] for i in numbers)
    >>> Bases().transform(["GATT", "ACAT"])
    array([[2, 0, 3, 3],
           [0, 1, 0, 3]], dtype=int32)
    """

    padding_id: int | None = None
    unknown_id: int | None = None

    @abstractmethod
    def encode(self, text: str) -> Array:
        """Token numbers of a text.

        Parameters
        ----------
        text : str

        Returns
        -------
        ndarray (T,) of int32

        Raises
        ------
        ValueError
            For a token that is not in the vocabulary, unless it has an unknown token.
        """

    @abstractmethod
    def decode(self, numbers: Any) -> str:
        """The text of token numbers; padding is left out.

        Parameters
        ----------
        numbers : array_like (T,) of int

        Returns
        -------
        str
        """

    def transform(
        self,
        texts: Iterable[str],
        maxlen: int | None = None,
        *,
        padding: Literal["pre", "post"] = "post",
        truncating: Literal["pre", "post"] = "post",
    ) -> Array:
        """Token numbers of several texts as rows of one array, as `layers.Embedding` reads them.

        Parameters
        ----------
        texts : iterable of str
        maxlen : int, optional
            Length T of the rows; by default that of the longest text.
        padding, truncating : {"pre", "post"}, default "post"
            Whether shorter texts are filled, and longer ones cut, at their beginning or at their end.

        Returns
        -------
        ndarray (N, T) of int32

        Examples
        --------
        >>> from nnfast import text
        >>> words = text.WordVocabulary().fit(["the cat sat", "the dog"])
        >>> words.transform(["the dog", "the bird sat down"], maxlen=3)
        array([[2, 4, 0],
               [2, 1, 5]], dtype=int32)
        """
        where = f"{type(self).__name__}.transform"
        rows = [self.encode(text) for text in require_texts(where, texts)]
        lengths = {len(row) for row in rows}
        shortest = max(lengths, default=0) if maxlen is None else integer(where, "maxlen", maxlen)
        if self.padding_id is None and min(lengths, default=0) < shortest:
            raise ValueError(
                f"{where}: expected texts of {shortest} tokens, got one of {min(lengths)}; to fill rows give the "
                'vocabulary padding_token=""'
            )
        return pad_sequences(rows, maxlen, padding=padding, truncating=truncating, value=self.padding_id or 0)


class _TokenVocabulary(Vocabulary):
    """Of tokens that stand in the text, and special ones for padding and for those that are not in the vocabulary."""

    max_size: int | None
    min_count: int
    standardize: Standard | None
    padding_token: str | None
    unknown_token: str | None

    def _set(
        self,
        tokens: Any,
        max_size: int | None,
        min_count: int,
        standardize: Standard | None,
        padding_token: str | None,
        unknown_token: str | None,
    ) -> None:
        where = type(self).__name__
        self.padding_token, self.unknown_token = padding_token, unknown_token
        for token in self._special:
            if not isinstance(token, str):
                raise TypeError(f"{where}: expected a str or None as special token, got {short_repr(token)}")
        if padding_token is not None and padding_token == unknown_token:
            raise ValueError(f"{where}: expected different special tokens, got {padding_token!r} as both")
        least = 1 + len(self._special)
        self.max_size = None if max_size is None else integer(where, "max_size", max_size, minimum=least)
        self.min_count = integer(where, "min_count", min_count)
        if standardize is not None:
            choose("standardize", standardize, STANDARDS)
        self.standardize = standardize
        self.tokens = None
        if tokens is not None:
            self._number(tokens)

    @property
    def _special(self) -> list[str]:
        return [token for token in (self.padding_token, self.unknown_token) if token is not None]

    def _number(self, tokens: Iterable[str]) -> None:
        """Number these tokens; special ones that are not among them come first."""
        listed = distinct_tokens(type(self).__name__, tokens)
        known = set(listed)
        numbered = (*(token for token in self._special if token not in known), *listed)
        self.tokens = distinct_tokens(type(self).__name__, numbered)
        self._numbers = {token: i for i, token in enumerate(self.tokens)}
        self.padding_id = None if self.padding_token is None else self._numbers[self.padding_token]
        self.unknown_id = None if self.unknown_token is None else self._numbers[self.unknown_token]

    def _most_frequent(self, found: Iterable[str]) -> list[str]:
        """Without special tokens; of equally frequent ones, the first in alphabetical order."""
        counts = Counter(found)
        for token in self._special:
            counts.pop(token, None)
        kept = sorted((token for token, n in counts.items() if n >= self.min_count), key=lambda t: (-counts[t], t))
        if not kept:
            got = "got none" if not counts else f"got none of {len(counts)}; lower min_count"
            raise ValueError(
                f"{type(self).__name__}.fit: expected texts with a token that occurs min_count={self.min_count} times "
                f"or more, {got}"
            )
        return kept if self.max_size is None else kept[: self.max_size - len(self._special)]

    def _no_such_token(self, token: str, place: int) -> ValueError:
        return ValueError(
            f"{type(self).__name__}.encode: expected tokens of the vocabulary, got {short_repr(token)} as token "
            f"{place}; give the vocabulary unknown_token= for such tokens, or fit it to texts that contain them"
        )


class CharacterVocabulary(_TokenVocabulary):
    """Characters (Unicode code points) as tokens.

    Parameters
    ----------
    tokens : str or sequence of str, optional
        The characters in the order of their numbers. By default `fit` finds them, and numbers them in the order of
        their code points.
    max_size : int, optional
        Maximum number of tokens, including special ones: the most frequent characters are kept.
    min_count : int, default 1
        Characters that occur less often are left out.
    standardize : {"lower_and_strip_punctuation", "lower", "strip_punctuation"}, optional
        What is done to texts first, see `WordVocabulary`.
    padding_token, unknown_token : str, optional
        Special tokens, which have the first numbers: one that fills the rows of `transform`, usually "", and one that
        stands for all characters that are not in the vocabulary. Without it, such characters are an error.

    Examples
    --------
    >>> from nnfast import text
    >>> letters = text.CharacterVocabulary().fit(["to be or not to be"])
    >>> letters.tokens
    (' ', 'b', 'e', 'n', 'o', 'r', 't')
    >>> letters.encode("robot")
    array([5, 4, 1, 4, 6], dtype=int32)
    >>> letters.decode([6, 4])
    'to'
    """

    def __init__(
        self,
        tokens: str | Sequence[str] | None = None,
        *,
        max_size: int | None = None,
        min_count: int = 1,
        standardize: Standard | None = None,
        padding_token: str | None = None,
        unknown_token: str | None = None,
    ) -> None:
        self._set(tokens, max_size, min_count, standardize, padding_token, unknown_token)

    def _number(self, tokens: Iterable[str]) -> None:
        super()._number(tokens)
        codes, numbers = [], []
        for number, token in enumerate(self._fitted("fit")):
            if len(token) == 1:
                codes.append(ord(token))
                numbers.append(number)
            elif token not in self._special:
                raise ValueError(f"CharacterVocabulary: expected single characters as tokens, got {token!r}")
        self._number_of_code = np.full(max(codes, default=0) + 2, -1, np.int32)  # the last is that of larger codes
        self._number_of_code[codes] = numbers

    def fit(self, texts: Iterable[str]) -> CharacterVocabulary:
        standard = (standardized(text, self.standardize) for text in require_texts("CharacterVocabulary.fit", texts))
        self._number([*self._special, *sorted(self._most_frequent(chain.from_iterable(standard)))])
        return self

    def encode(self, text: str) -> Array:
        self._fitted("encode")
        standard = standardized(require_text("CharacterVocabulary.encode", text), self.standardize)
        codes = np.frombuffer(standard.encode("utf-32-le", "surrogatepass"), "<u4")
        numbers: Array = self._number_of_code[np.minimum(codes, len(self._number_of_code) - 1)]
        unknown = np.flatnonzero(numbers < 0)
        if len(unknown):
            if self.unknown_id is None:
                raise self._no_such_token(standard[unknown[0]], int(unknown[0]))
            numbers[unknown] = self.unknown_id
        return numbers

    def decode(self, numbers: Any) -> str:
        tokens = self._fitted("decode")
        found = token_numbers("CharacterVocabulary.decode", numbers, len(tokens))
        return "".join(tokens[i] for i in found.tolist() if i != self.padding_id)


class WordVocabulary(_TokenVocabulary):
    """Words as tokens, numbered from the most frequent to the rarest one.

    The defaults are those of Keras's `TextVectorization`.

    Parameters
    ----------
    tokens : sequence of str, optional
        The words in the order of their numbers. By default `fit` finds them; equally frequent ones are in alphabetical
        order.
    max_size : int, optional
        Maximum number of tokens, including special ones: the most frequent words are kept.
    min_count : int, default 1
        Words that occur less often are left out.
    standardize : {"lower_and_strip_punctuation", "lower", "strip_punctuation", None}, \
default "lower_and_strip_punctuation"
        What is done to texts first: conversion to lower case, removal of the 32 punctuation marks of ASCII, both, or
        nothing. "It's" becomes "its".
    split : {"whitespace", "punctuation"}, default "whitespace"
        Words are separated by white space; or they are runs of letters, digits and underscores, and each other
        character is a separate word, unless `standardize` removes it.
    padding_token : str or None, default ""
        Has the number 0, and fills the rows of `transform`.
    unknown_token : str or None, default "[UNK]"
        Has the number 1, and stands for all words that are not in the vocabulary. With None, such words are an error.

    Examples
    --------
    >>> from nnfast import text
    >>> words = text.WordVocabulary().fit(["The cat sat.", "The dog sat."])
    >>> words.tokens
    ('', '[UNK]', 'sat', 'the', 'cat', 'dog')
    >>> words.encode("The cow sat!")
    array([3, 1, 2], dtype=int32)
    >>> words.decode([3, 5, 2, 0])
    'the dog sat'
    """

    def __init__(
        self,
        tokens: Sequence[str] | None = None,
        *,
        max_size: int | None = None,
        min_count: int = 1,
        standardize: Standard | None = "lower_and_strip_punctuation",
        split: Split = "whitespace",
        padding_token: str | None = "",
        unknown_token: str | None = "[UNK]",
    ) -> None:
        if isinstance(tokens, str):
            raise TypeError("WordVocabulary: expected a list of words, got one str; write WordVocabulary().fit([text])")
        choose("split", split, SPLITS)
        self.split = split
        self._set(tokens, max_size, min_count, standardize, padding_token, unknown_token)

    def words(self, text: str) -> list[str]:
        """The words of a text, whether or not they are in the vocabulary.

        Parameters
        ----------
        text : str

        Returns
        -------
        list of str

        Examples
        --------
        >>> from nnfast import text
        >>> text.WordVocabulary(standardize="lower", split="punctuation").words("It's me!")
        ['it', "'", 's', 'me', '!']
        """
        return words_of(standardized(require_text("WordVocabulary.words", text), self.standardize), self.split)

    def fit(self, texts: Iterable[str]) -> WordVocabulary:
        each = (self.words(text) for text in require_texts("WordVocabulary.fit", texts))
        self._number([*self._special, *self._most_frequent(chain.from_iterable(each))])
        return self

    def encode(self, text: str) -> Array:
        self._fitted("encode")
        words = self.words(require_text("WordVocabulary.encode", text))
        if self.unknown_id is not None:
            return np.array([self._numbers.get(word, self.unknown_id) for word in words], np.int32)
        for place, word in enumerate(words):
            if word not in self._numbers:
                raise self._no_such_token(word, place)
        return np.array([self._numbers[word] for word in words], np.int32)

    def decode(self, numbers: Any) -> str:
        """The text of token numbers, with a space between any two; padding is left out.

        Parameters
        ----------
        numbers : array_like (T,) of int

        Returns
        -------
        str
        """
        tokens = self._fitted("decode")
        found = token_numbers("WordVocabulary.decode", numbers, len(tokens))
        return " ".join(tokens[i] for i in found.tolist() if i != self.padding_id)


def token_numbers(where: str, numbers: Any, count: int) -> Array:
    """Token numbers (T,), all of them less than `count`."""
    array = np.asarray(numbers)
    if array.ndim != 1:
        remedy = "; decode its rows one by one" if array.ndim == 2 else "; write [number]" if array.ndim == 0 else ""
        raise ValueError(f"{where}: expected token numbers (T,), got shape {array.shape}{remedy}")
    if array.size and array.dtype.kind not in "ui":
        remedy = "; of probabilities take .argmax(axis=-1)" if array.dtype.kind == "f" else ""
        raise TypeError(f"{where}: expected integers, got {array.dtype}{remedy}")
    wrong = np.flatnonzero((array < 0) | (array >= count))
    if len(wrong):
        raise ValueError(f"{where}: expected numbers from 0 to {count - 1}, got {array[wrong[0]]} at {wrong[0]}")
    return array.astype(np.int64)
