"""Texts as rows of numbers, one for each word that occurs, whatever the order of the words."""

from __future__ import annotations

import numbers
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np

from nnfast.core.options import choose, flag, integer, real
from nnfast.core.text import short_repr
from nnfast.core.typing import Array
from nnfast.text.encoder import ShortTuple, TextEncoder, distinct_tokens, require_texts
from nnfast.text.splitting import ngrams

__all__ = ["BagOfWords", "TfIdf"]

Analyzer = Literal["word", "char", "char_wb"]
_ANALYZERS = ("word", "char", "char_wb")
_NORMS = ("l1", "l2")
_WORD = re.compile(r"\b\w\w+\b")
_SPACE = re.compile(r"\s\s+")


class BagOfWords(TextEncoder):
    """How often each word, or run of words or of characters, occurs in a text.

    Options, defaults and numbers are those of scikit-learn's `CountVectorizer`; the rows are dense.

    Parameters
    ----------
    tokens : sequence of str, optional
        What is counted, column by column. By default `fit` finds it, in alphabetical order.
    analyzer : {"word", "char", "char_wb"}, default "word"
        Words of two or more letters, digits and underscores; or characters; or characters within words, which begin and
        end with a space.
    ngram_range : (int, int), default (1, 1)
        Shortest and longest run of words or characters. (1, 2) also counts pairs of neighbors.
    lowercase : bool, default True
        Convert texts to lower case first.
    stop_words : sequence of str, optional
        Words that are left out.
    min_df, max_df : int or float, default 1 and 1.0
        In how many texts a token must and may occur; floats are fractions of all texts.
    max_features : int, optional
        Maximum number of tokens: those that occur most often are kept.
    binary : bool, default False
        Only whether a token occurs: 0 or 1.

    Notes
    -----
    `transform` ignores tokens that it does not know. For more tokens than fit into dense rows, use the sparse matrices
    of scikit-learn, which `Trainer.fit` and `Network.predict` take in the place of arrays.

    Examples
    --------
    >>> from nnfast import text
    >>> bag = text.BagOfWords().fit(["the cat and the dog"])
    >>> bag.tokens
    ('and', 'cat', 'dog', 'the')
    >>> bag.transform(["The dog and the cat", "a cat"])
    array([[1., 1., 1., 2.],
           [0., 1., 0., 0.]], dtype=float32)
    """

    def __init__(
        self,
        tokens: Sequence[str] | None = None,
        *,
        analyzer: Analyzer = "word",
        ngram_range: tuple[int, int] = (1, 1),
        lowercase: bool = True,
        stop_words: Sequence[str] | None = None,
        min_df: float = 1,
        max_df: float = 1.0,
        max_features: int | None = None,
        binary: bool = False,
    ) -> None:
        where = type(self).__name__
        choose("analyzer", analyzer, _ANALYZERS)
        self.analyzer = analyzer
        self.ngram_range = _as_range(where, ngram_range)
        self.lowercase = flag(where, "lowercase", lowercase)
        self.stop_words = None if stop_words is None else _as_stop_words(where, stop_words, analyzer)
        self._left_out = frozenset(self.stop_words or ())
        self.min_df = _as_document_frequency(where, "min_df", min_df)
        self.max_df = _as_document_frequency(where, "max_df", max_df)
        self.max_features = None if max_features is None else integer(where, "max_features", max_features)
        self.binary = flag(where, "binary", binary)
        self.tokens = None
        if tokens is not None:
            if isinstance(tokens, str):
                raise TypeError(f"{where}: expected a list of str as tokens, got one str; write {where}().fit([text])")
            self._number(tokens)

    def _number(self, tokens: Sequence[str]) -> None:
        self.tokens = distinct_tokens(type(self).__name__, tokens)
        self._column = {token: i for i, token in enumerate(self.tokens)}

    def analyze(self, text: str) -> list[str]:
        """The tokens of a text, whether or not they are among `tokens`.

        Parameters
        ----------
        text : str

        Returns
        -------
        list of str

        Examples
        --------
        >>> from nnfast import text
        >>> text.BagOfWords(ngram_range=(1, 2)).analyze("Not so bad!")
        ['not', 'so', 'bad', 'not so', 'so bad']
        >>> text.BagOfWords(analyzer="char_wb", ngram_range=(3, 3)).analyze("so bad")
        [' so', 'so ', ' ba', 'bad', 'ad ']
        """
        text = text.lower() if self.lowercase else text
        first, last = self.ngram_range
        sizes = range(first, last + 1)
        if self.analyzer == "word":
            words = [word for word in _WORD.findall(text) if word not in self._left_out]
            return words if last == 1 else ngrams(words, sizes)
        text = _SPACE.sub(" ", text)
        if self.analyzer == "char":
            return ngrams(text, sizes, "")
        found: list[str] = []
        for word in text.split():
            padded = f" {word} "
            found += ngrams(padded, (n for n in sizes if n <= len(padded)), "")
            if first > len(padded):
                found.append(padded)
        return found

    def fit(self, texts: Iterable[str]) -> BagOfWords:
        self._fit(texts)
        return self

    def _fit(self, texts: Iterable[str]) -> tuple[Counter[str], int]:
        """Choose the tokens; in how many texts each occurs, and how many texts there are."""
        total: Counter[str] = Counter()  # of occurrences
        present: Counter[str] = Counter()  # of texts with the token
        count = 0
        for text in require_texts(f"{type(self).__name__}.fit", texts):
            counts = Counter(self.analyze(text))
            total.update(counts.keys() if self.binary else counts)
            present.update(counts.keys())
            count += 1
        least, most = (df if isinstance(df, int) else df * count for df in (self.min_df, self.max_df))
        kept = sorted(token for token, n in present.items() if least <= n <= most)
        if not kept:
            got = f"none of {len(present)}; change min_df or max_df" if present else f"none in {count} texts"
            raise ValueError(
                f"{type(self).__name__}.fit: expected tokens that occur in {least:g} to {most:g} texts, got {got}"
            )
        if self.max_features is not None:
            kept = sorted(sorted(kept, key=lambda token: -total[token])[: self.max_features])
        self._number(kept)
        return present, count

    def transform(self, texts: Iterable[str]) -> Array:
        """One row for each text.

        Parameters
        ----------
        texts : iterable of str

        Returns
        -------
        ndarray (N, V) of float32
            V is the number of tokens.
        """
        width = len(self._fitted("transform"))
        listed = list(require_texts(f"{type(self).__name__}.transform", texts))
        made = np.zeros((len(listed), width), np.float32)
        for text, row in zip(listed, made, strict=True):
            counts = {
                self._column[token]: n for token, n in Counter(self.analyze(text)).items() if token in self._column
            }
            columns = np.fromiter(counts.keys(), np.int64, len(counts))
            row[columns] = self._values(columns, np.fromiter(counts.values(), np.float64, len(counts)))
        return made

    def fit_transform(self, texts: Iterable[str]) -> Array:
        """`fit`, then `transform` of the same texts.

        Parameters
        ----------
        texts : iterable of str

        Returns
        -------
        ndarray (N, V) of float32
        """
        listed = list(require_texts(f"{type(self).__name__}.fit_transform", texts))
        return self.fit(listed).transform(listed)

    def _values(self, columns: Array, counts: Array) -> Array:
        """What stands in a row for tokens that occur."""
        return np.ones_like(counts) if self.binary else counts


class TfIdf(BagOfWords):
    """Counts of words times the rarity of each word, scaled to rows of norm 1.

    tf * idf with idf = log((1 + n) / (1 + df)) + 1, for a token that occurs tf times in the text and in df of n texts
    that were fitted. Options, defaults and numbers are those of scikit-learn's `TfidfVectorizer`; the rows are dense.

    Parameters
    ----------
    tokens, analyzer, ngram_range, lowercase, stop_words, min_df, max_df, max_features, binary
        See `BagOfWords`.
    norm : {"l1", "l2", None}, default "l2"
        The sum of a row, or the root of its sum of squares, is 1. Rows of zeros stay as they are.
    smooth_idf : bool, default True
        With False, idf = log(n / df) + 1.
    sublinear_tf : bool, default False
        1 + log(tf) in the place of tf.
    idf : array_like (V,), optional
        Weights of the tokens, with `tokens`; by default `fit` computes them.

    References
    ----------
    Sparck Jones (1972), A statistical interpretation of term specificity and its application in retrieval,
    DOI 10.1108/eb026526.

    Examples
    --------
    >>> from nnfast import text
    >>> weighted = text.TfIdf().fit(["the cat", "the dog"])
    >>> weighted.tokens
    ('cat', 'dog', 'the')
    >>> weighted.idf.round(3)
    array([1.405, 1.405, 1.   ])
    >>> weighted.transform(["the cat"]).round(3)
    array([[0.815, 0.   , 0.58 ]], dtype=float32)
    """

    def __init__(
        self,
        tokens: Sequence[str] | None = None,
        *,
        analyzer: Analyzer = "word",
        ngram_range: tuple[int, int] = (1, 1),
        lowercase: bool = True,
        stop_words: Sequence[str] | None = None,
        min_df: float = 1,
        max_df: float = 1.0,
        max_features: int | None = None,
        binary: bool = False,
        norm: Literal["l1", "l2"] | None = "l2",
        smooth_idf: bool = True,
        sublinear_tf: bool = False,
        idf: Any = None,
    ) -> None:
        super().__init__(
            tokens,
            analyzer=analyzer,
            ngram_range=ngram_range,
            lowercase=lowercase,
            stop_words=stop_words,
            min_df=min_df,
            max_df=max_df,
            max_features=max_features,
            binary=binary,
        )
        if norm is not None:
            choose("norm", norm, _NORMS)
        self.norm = norm
        self.smooth_idf = flag("TfIdf", "smooth_idf", smooth_idf)
        self.sublinear_tf = flag("TfIdf", "sublinear_tf", sublinear_tf)
        if (tokens is None) != (idf is None):
            raise ValueError("TfIdf: expected tokens and idf, or neither, got one of them; call fit(texts) instead")
        self.idf: Array | None = None if idf is None else np.array(idf, np.float64)
        if self.idf is not None and (self.idf.shape != (len(self),) or not np.isfinite(self.idf).all()):
            raise ValueError(f"TfIdf: expected {len(self)} finite numbers as idf, got {short_repr(idf)}")

    def fit(self, texts: Iterable[str]) -> TfIdf:
        present, count = self._fit(texts)
        smooth = int(self.smooth_idf)
        frequencies = np.array([present[token] for token in self._fitted("fit")])
        self.idf = np.log((count + smooth) / (frequencies + smooth)) + 1
        return self

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "idf": None if self.idf is None else self.idf.tolist()}

    def _values(self, columns: Array, counts: Array) -> Array:
        assert self.idf is not None
        values = super()._values(columns, counts)
        if self.sublinear_tf:
            values = np.log(values) + 1
        values = values * self.idf[columns]
        if self.norm is not None and len(values):
            values /= values.sum() if self.norm == "l1" else np.sqrt((values**2).sum())
        return values


def _as_range(where: str, value: Any) -> tuple[int, int]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise TypeError(f"{where}: expected (shortest, longest) as ngram_range, got {short_repr(value)}")
    first, last = (integer(where, "ngram_range", size) for size in value)
    if first > last:
        raise ValueError(f"{where}: expected (shortest, longest) as ngram_range, got {(first, last)}")
    return first, last


def _as_stop_words(where: str, words: Any, analyzer: str) -> ShortTuple:
    if isinstance(words, str):
        raise TypeError(f"{where}: expected a list of str as stop_words, got {words!r}; nnfast has no lists of them")
    if analyzer != "word":
        raise ValueError(f'{where}: expected analyzer="word" with stop_words, got {analyzer!r}')
    return ShortTuple(distinct_tokens(f"{where}: stop_words", words))


def _as_document_frequency(where: str, name: str, value: Any) -> float:
    if isinstance(value, numbers.Integral):
        return integer(where, name, value)
    share = real(where, name, value, minimum=0.0)
    if share > 1:
        raise ValueError(f"{where}: expected {name} from 0.0 to 1.0, or an int, a number of texts, got {share!r}")
    return share
