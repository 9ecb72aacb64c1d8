"""Bytes, and frequent sequences of them, as tokens."""

from __future__ import annotations

import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from nnfast.core.options import integer
from nnfast.core.text import short_repr
from nnfast.core.typing import Array
from nnfast.text.encoder import ShortTuple, require_text, require_texts
from nnfast.text.vocabulary import Vocabulary, token_numbers

__all__ = ["BytePairVocabulary", "ByteVocabulary"]

_BYTES = 256
_LONGEST_PIECE = 65
"""Bytes: 64, and a space."""
_PIECE = re.compile(rb" ?[\w\x80-\xff]{1,64}| ?[^\w\s\x80-\xff]{1,64}|\s{1,64}")
"""What no token crosses: words and runs of marks, each with the space before it, and other white space.

The bytes of all characters but those of ASCII count as letters: that is defined for all bytes, and does not depend on
Python's edition of Unicode. The limit keeps the time of a text without spaces proportional to its length.
"""
_CACHED_PIECES = 1 << 16

Pair = tuple[int, int]


class _ByteLevel(Vocabulary):
    """Of tokens that are sequences of bytes, with every byte among them."""

    padding_id = 0
    _pieces: list[bytes]

    def encode_bytes(self, data: bytes) -> Array:
        """Token numbers of bytes.

        Parameters
        ----------
        data : bytes

        Returns
        -------
        ndarray (T,) of int32
        """
        raise NotImplementedError

    def encode(self, text: str) -> Array:
        where = f"{type(self).__name__}.encode"
        if isinstance(text, bytes | bytearray):
            raise TypeError(f"{where}: expected a str, got {type(text).__name__}; write encode_bytes(data)")
        # Half a surrogate pair is no character, but may be in a str.
        return self.encode_bytes(require_text(where, text).encode("utf-8", "surrogatepass"))

    def decode_bytes(self, numbers: Any) -> bytes:
        """The bytes of token numbers.

        Parameters
        ----------
        numbers : array_like (T,) of int

        Returns
        -------
        bytes
        """
        self._fitted("decode_bytes")
        found = token_numbers(f"{type(self).__name__}.decode", numbers, len(self))
        return b"".join([self._pieces[i] for i in found.tolist()])

    def decode(self, numbers: Any) -> str:
        """The text of token numbers.

        Parameters
        ----------
        numbers : array_like (T,) of int

        Returns
        -------
        str
            Bytes that are not UTF-8, for example where a text was cut within a character, become U+FFFD.
        """
        data = self.decode_bytes(numbers)
        try:
            return data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return data.decode("utf-8", "replace")


class ByteVocabulary(_ByteLevel):
    """The 256 bytes of UTF-8 as tokens, which make up every text; nothing has to be fitted.

    Notes
    -----
    `transform` fills rows with the byte 0, which does not occur in ordinary texts.

    References
    ----------
    Xue et al. (2022), ByT5: towards a token-free future with pre-trained byte-to-byte models, arXiv:2105.13626.

    Examples
    --------
    >>> from nnfast import text
    >>> text.ByteVocabulary().encode("n\u00e9")
    array([110, 195, 169], dtype=int32)
    >>> text.ByteVocabulary().decode([110, 111])
    'no'
    """

    def __init__(self) -> None:
        self._pieces = _single_bytes()
        self.tokens = _texts_of(self._pieces)

    def fit(self, texts: Iterable[str]) -> ByteVocabulary:
        """Nothing: the tokens are known.

        Parameters
        ----------
        texts : iterable of str

        Returns
        -------
        ByteVocabulary
            Itself.
        """
        return self

    def encode_bytes(self, data: bytes) -> Array:
        return np.frombuffer(_require_bytes("ByteVocabulary", data), np.uint8).astype(np.int32)


class BytePairVocabulary(_ByteLevel):
    r"""Frequent sequences of bytes as tokens: the 256 bytes, and pairs of earlier tokens that were merged.

    Parameters
    ----------
    merges : sequence of (int, int), optional
        The two tokens that each token from number 256 on consists of. By default `fit` finds them.
    max_size : int, default 1000
        Maximum number of tokens, 256 or more.
    min_count : int, default 2
        Pairs that occur less often are not merged.

    Notes
    -----
    `fit` cuts texts into words, with the space before them, runs of punctuation marks, and other white space, at most
    64 bytes and a space each, and counts the pairs of neighboring tokens in them, at first bytes. The most frequent
    pair, of equally frequent ones that with the smallest numbers, becomes a new token wherever it occurs, from left to
    right; and so on. `encode` cuts a text in the same way, and merges in each piece the pair that was merged first in
    `fit`, as long as there is one. Decoding gives back every text. `transform` fills rows with the byte 0, which does
    not occur in ordinary texts.

    References
    ----------
    Sennrich, Haddow & Birch (2016), Neural machine translation of rare words with subword units, arXiv:1508.07909. On
    bytes: Radford et al. (2019), Language models are unsupervised multitask learners.

    Examples
    --------
    >>> from nnfast import text
    >>> pairs = text.BytePairVocabulary(max_size=259).fit(["low lower lowest"])
    >>> pairs.tokens[256:]
    ('lo', 'low', ' low')
    >>> pairs.encode("lower low")
    array([257, 101, 114, 258], dtype=int32)
    >>> pairs.decode([257, 101, 114, 258])
    'lower low'
    """

    def __init__(
        self, merges: Sequence[Sequence[int]] | None = None, *, max_size: int = 1000, min_count: int = 2
    ) -> None:
        where = "BytePairVocabulary"
        self.max_size = integer(where, "max_size", max_size, minimum=_BYTES)
        self.min_count = integer(where, "min_count", min_count)
        self.merges: tuple[Pair, ...] | None = None
        self.tokens = None
        if merges is not None:
            self._set_merges(merges)

    def _set_merges(self, merges: Sequence[Sequence[int]]) -> None:
        where = "BytePairVocabulary"
        if isinstance(merges, str) or not isinstance(merges, Iterable):
            raise TypeError(f"{where}: expected pairs of token numbers as merges, got {short_repr(merges)}")
        pieces = _single_bytes()
        number_of: dict[Pair, int] = {}
        for pair in merges:
            if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
                raise ValueError(f"{where}: expected pairs of token numbers as merges, got {short_repr(pair)} in it")
            first, second = (integer(where, "merges", token, minimum=0, upper_bound=len(pieces)) for token in pair)
            if (first, second) in number_of:
                raise ValueError(f"{where}: expected different pairs as merges, got {(first, second)} twice")
            if len(pieces[first]) + len(pieces[second]) > _LONGEST_PIECE:
                raise ValueError(
                    f"{where}: expected merges that give pieces of at most {_LONGEST_PIECE} bytes, got more from "
                    f"{(first, second)}; a text is cut into such pieces first"
                )
            number_of[first, second] = len(pieces)
            pieces.append(pieces[first] + pieces[second])
        self.merges = ShortTuple(number_of)
        self.tokens = _texts_of(pieces)
        self._pieces = pieces
        self._number_of = number_of
        self._numbers_of_piece = lru_cache(_CACHED_PIECES)(self._encode_piece)

    def fit(self, texts: Iterable[str]) -> BytePairVocabulary:
        pieces: Counter[bytes] = Counter()
        for text in require_texts("BytePairVocabulary.fit", texts):
            pieces.update(_PIECE.findall(text.encode("utf-8", "surrogatepass")))
        if not pieces:
            raise ValueError("BytePairVocabulary.fit: expected a text of one character or more, got none")
        words = [_Word(list(piece), count) for piece, count in pieces.items()]
        self._set_merges(_most_frequent_pairs(words, self.max_size - _BYTES, self.min_count))
        return self

    def encode_bytes(self, data: bytes) -> Array:
        self._fitted("encode")
        pieces = _PIECE.findall(_require_bytes("BytePairVocabulary", data))
        return np.array([number for piece in pieces for number in self._numbers_of_piece(piece)], np.int32)

    def _encode_piece(self, piece: bytes) -> tuple[int, ...]:
        tokens = list(piece)
        none = len(self._pieces)
        while len(tokens) > 1:
            pair = min(_neighbors(tokens), key=lambda pair: self._number_of.get(pair, none))
            number = self._number_of.get(pair, none)
            if number == none:
                break
            tokens = _merged(tokens, pair, number)
        return tuple(tokens)


class _Word:
    """A piece of the texts as tokens, and how often it occurs."""

    __slots__ = ("count", "tokens")

    def __init__(self, tokens: list[int], count: int) -> None:
        self.tokens = tokens
        self.count = count


def _most_frequent_pairs(words: Sequence[_Word], most: int, min_count: int) -> list[Pair]:
    """The pairs to merge, in order."""
    counts: Counter[Pair] = Counter()
    users: defaultdict[Pair, set[_Word]] = defaultdict(set)
    for word in words:
        for pair in _neighbors(word.tokens):
            counts[pair] += word.count
            users[pair].add(word)
    # The most frequent pair first. Counts of pairs in the queue may have fallen since they were put there, never risen:
    # a merge adds only pairs with the new token.
    queue = [(-count, pair) for pair, count in counts.items()]
    heapq.heapify(queue)
    merges: list[Pair] = []
    while queue and len(merges) < most:
        count, pair = heapq.heappop(queue)
        if -count != counts[pair]:
            heapq.heappush(queue, (-counts[pair], pair))
            continue
        if -count < min_count:
            break
        added: set[Pair] = set()
        for word in users.pop(pair):
            for old in _neighbors(word.tokens):
                counts[old] -= word.count
            word.tokens = _merged(word.tokens, pair, _BYTES + len(merges))
            for new in _neighbors(word.tokens):
                counts[new] += word.count
                users[new].add(word)
            added.update(new for new in _neighbors(word.tokens) if _BYTES + len(merges) in new)
        for new in added:
            heapq.heappush(queue, (-counts[new], new))
        merges.append(pair)
    return merges


def _neighbors(tokens: Sequence[int]) -> Iterable[Pair]:
    return pairwise(tokens)


def _merged(tokens: Sequence[int], pair: Pair, number: int) -> list[int]:
    """The tokens with a new one for each occurrence of a pair, from the left."""
    made: list[int] = []
    first, second = pair
    i, last = 0, len(tokens) - 1
    while i <= last:
        if i < last and tokens[i] == first and tokens[i + 1] == second:
            made.append(number)
            i += 2
        else:
            made.append(tokens[i])
            i += 1
    return made


def _single_bytes() -> list[bytes]:
    return [bytes([byte]) for byte in range(_BYTES)]


def _texts_of(pieces: Sequence[bytes]) -> ShortTuple:
    """Tokens as they are shown: bytes that are no UTF-8, and control characters, as numbers."""
    return ShortTuple(map(_shown, pieces))


def _shown(piece: bytes) -> str:
    text = piece.decode("utf-8", "backslashreplace")
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def _require_bytes(where: str, data: object) -> bytes:
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"{where}.encode_bytes: expected bytes, got {type(data).__name__}; a str goes to encode")
    return bytes(data)
