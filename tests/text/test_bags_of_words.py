"""Bags of words and TF-IDF: equal to scikit-learn's, small ones worked out by hand, and errors."""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnfast import text

TEXTS = [
    "The quick brown fox jumps over the lazy dog; the dog sleeps.",
    "A dog, a fox & a cat: who's the quickest?",
    "",
    "\u00c9t\u00e9 2024: cats and dogs  sleep\n\nin the sun_shine, x y z.",
    "the the the cat",
    "fox",
]
NEW = ["the unknown fox sleeps in the sun_shine", "xyzzy", ""]
EPSILON = float(np.finfo(np.float32).eps)

ANALYSES: list[dict[str, Any]] = [
    {},
    {"ngram_range": (1, 2)},
    {"ngram_range": (2, 3)},
    {"analyzer": "char", "ngram_range": (1, 3)},
    {"analyzer": "char_wb", "ngram_range": (2, 5)},
    {"analyzer": "char_wb", "ngram_range": (4, 4)},
    {"lowercase": False},
    {"stop_words": ["the", "and"], "ngram_range": (1, 2)},
]
SELECTIONS: list[dict[str, Any]] = [
    {},
    {"binary": True},
    {"min_df": 2},
    {"min_df": 0.3, "max_df": 0.8},
    {"max_df": 2},
]
WEIGHTS: list[dict[str, Any]] = [
    {},
    {"norm": "l1"},
    {"norm": None, "smooth_idf": False},
    {"sublinear_tf": True},
    {"sublinear_tf": True, "smooth_idf": False, "binary": True, "norm": "l1"},
]


@pytest.mark.parametrize(("analysis", "selection"), list(product(ANALYSES, SELECTIONS)))
def test_counts_are_those_of_scikit_learn(analysis: dict[str, Any], selection: dict[str, Any]) -> None:
    sklearn = pytest.importorskip("sklearn.feature_extraction.text")
    theirs = sklearn.CountVectorizer(**analysis, **selection)
    ours = text.BagOfWords(**analysis, **selection)
    try:
        expected = theirs.fit_transform(TEXTS).toarray()
    except ValueError:  # none is frequent enough
        with pytest.raises(ValueError, match="expected tokens that occur in"):
            ours.fit(TEXTS)
        return
    counts = ours.fit_transform(iter(TEXTS))
    assert counts.dtype == np.float32
    assert list(ours.tokens or ()) == list(theirs.get_feature_names_out())
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_array_equal(ours.transform(NEW), theirs.transform(NEW).toarray())


@pytest.mark.parametrize(("analysis", "weights"), list(product(ANALYSES, WEIGHTS)))
def test_weights_are_those_of_scikit_learn(analysis: dict[str, Any], weights: dict[str, Any]) -> None:
    sklearn = pytest.importorskip("sklearn.feature_extraction.text")
    theirs = sklearn.TfidfVectorizer(**analysis, **weights)
    ours = text.TfIdf(**analysis, **weights)
    expected = theirs.fit_transform(TEXTS).toarray()
    # Both compute in float64; ours are rounded once.
    np.testing.assert_allclose(ours.fit_transform(TEXTS), expected, rtol=EPSILON)
    assert ours.idf is not None
    np.testing.assert_allclose(ours.idf, theirs.idf_, rtol=1e-14)
    np.testing.assert_allclose(ours.transform(NEW), theirs.transform(NEW).toarray(), rtol=EPSILON)


@given(
    st.lists(st.text("ab c.A\u00e9\n", max_size=12), min_size=1, max_size=6),
    st.sampled_from(["word", "char", "char_wb"]),
    st.integers(1, 3),
    st.integers(0, 2),
)
def test_any_texts_are_analyzed_as_by_scikit_learn(texts: list[str], analyzer: Any, first: int, more: int) -> None:
    sklearn = pytest.importorskip("sklearn.feature_extraction.text")
    sizes = (first, first + more)
    theirs = sklearn.CountVectorizer(analyzer=analyzer, ngram_range=sizes).build_analyzer()
    ours = text.BagOfWords(analyzer=analyzer, ngram_range=sizes)
    assert [ours.analyze(written) for written in texts] == [theirs(written) for written in texts]


def test_the_most_frequent_tokens_are_kept() -> None:
    """By the number of times they occur, not of texts; of equally frequent ones, the first in the alphabet."""
    texts = ["bb bb bb cc dd", "aa cc cc", "aa zz zz zz zz"]
    assert text.BagOfWords(max_features=2).fit(texts).tokens == ("bb", "zz")
    assert text.BagOfWords(max_features=3).fit(texts).tokens == ("bb", "cc", "zz")
    assert text.BagOfWords(max_features=2, binary=True).fit(texts).tokens == ("aa", "cc")
    assert text.TfIdf(max_features=2).fit(texts).tokens == ("bb", "zz")


def test_weights_by_hand() -> None:
    """ "red" is in both texts; "bus" in one."""
    weighted = text.TfIdf().fit(["red red bus", "red car"])
    red, bus = 2 * (math.log(3 / 3) + 1), 1 * (math.log(3 / 2) + 1)
    norm = math.hypot(red, bus)
    np.testing.assert_allclose(weighted.transform(["Red, red bus!"]), [[bus / norm, 0, red / norm]], rtol=2 * EPSILON)
    np.testing.assert_array_equal(weighted.transform(["none of them"]), np.zeros((1, 3)))


def test_runs_of_tokens() -> None:
    assert text.ngrams(["a", "b", "c"], [2, 1, 3, 4]) == ["a b", "b c", "a", "b", "c", "a b c"]
    assert text.ngrams("", [1]) == []


def test_no_texts_make_no_rows() -> None:
    assert text.BagOfWords(["aa", "bb"]).transform([]).shape == (0, 2)


def test_what_is_printed() -> None:
    assert repr(text.BagOfWords(["aa"], binary=True)) == "BagOfWords(tokens=('aa',), binary=True)"
    assert repr(text.TfIdf(norm=None)) == "TfIdf(norm=None)"


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "not fitted": (
        lambda: text.BagOfWords().transform(["a"]),
        RuntimeError,
        r"BagOfWords\.transform: expected a fitted",
    ),
    "weights not fitted": (
        lambda: text.TfIdf().transform(["a"]),
        RuntimeError,
        r"TfIdf\.transform: .*call fit\(texts\)",
    ),
    "one text": (lambda: text.TfIdf().fit("one text"), TypeError, r"TfIdf\.fit: .*got one str; write \[text\]"),
    "no texts": (
        lambda: text.BagOfWords().fit([]),
        ValueError,
        r"BagOfWords\.fit: expected tokens .*got none in 0 texts",
    ),
    "only short words": (lambda: text.BagOfWords().fit(["a b", "c"]), ValueError, "got none in 2 texts"),
    "too rare": (
        lambda: text.BagOfWords(min_df=2).fit(["aa", "bb"]),
        ValueError,
        "in 2 to 2 texts, got none of 2; change",
    ),
    "bytes": (lambda: text.BagOfWords().fit([b"aa"]), TypeError, r"got bytes b'aa' as text 0; write text\.decode"),
    "a number": (lambda: text.TfIdf().fit(["aa", 3]), TypeError, "got int 3 as text 1"),
    "a list of stop words by name": (
        lambda: text.BagOfWords(stop_words="english"),
        TypeError,
        "expected a list of str",
    ),
    "stop words of characters": (
        lambda: text.BagOfWords(stop_words=["aa"], analyzer="char"),
        ValueError,
        'expected analyzer="word" with stop_words',
    ),
    "a range backwards": (
        lambda: text.BagOfWords(ngram_range=(2, 1)),
        ValueError,
        r"\(shortest, longest\) .*got \(2, 1\)",
    ),
    "no range": (lambda: text.BagOfWords(ngram_range=2), TypeError, r"\(shortest, longest\) as ngram_range, got 2"),
    "a share above 1": (lambda: text.BagOfWords(max_df=1.5), ValueError, r"max_df from 0.0 to 1.0, or an int.*got 1.5"),
    "misspelt": (
        lambda: text.BagOfWords(analyzer="words"),
        ValueError,
        "unknown analyzer 'words'; did you mean 'word'",
    ),
    "a token twice": (lambda: text.BagOfWords(["aa", "aa"]), ValueError, "expected different tokens"),
    "one token": (lambda: text.BagOfWords("aa"), TypeError, "got one str; write BagOfWords"),
    "weights alone": (lambda: text.TfIdf(idf=[1.0]), ValueError, r"expected tokens and idf, or neither"),
    "too many weights": (lambda: text.TfIdf(["aa"], idf=[1.0, 2.0]), ValueError, "expected 1 finite numbers as idf"),
    "their name": (lambda: text.TfIdf().fit(["aa"]).get_feature_names_out(), AttributeError, "use tokens"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use(case: str) -> None:
    call, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        call()
