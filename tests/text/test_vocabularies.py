"""Vocabularies of characters, words and bytes: numbers worked out by hand, round trips, files, and errors."""

import copy
import json
import pickle
import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzing import REUSED_FOLDER
from hypothesis import given
from hypothesis import strategies as st

from nnfast import text

LINES = ["To be, or not to be:", "that is the question"]


# ---- characters ----------------------------------------------------------------


def test_characters_are_numbered_by_code_point() -> None:
    letters = text.CharacterVocabulary().fit(["cab", "da\u00e9"])
    assert letters.tokens == ("a", "b", "c", "d", "\u00e9")
    assert len(letters) == 5
    numbers = letters.encode("d\u00e9ad")
    assert numbers.dtype == np.int32
    assert numbers.tolist() == [3, 4, 0, 3]
    assert letters.decode(numbers) == "d\u00e9ad"
    assert letters.encode("").tolist() == []
    assert letters.decode([]) == ""
    assert letters.padding_id is None
    assert letters.unknown_id is None


def test_special_characters_come_first() -> None:
    letters = text.CharacterVocabulary(padding_token="", unknown_token="?").fit(["ba?"])
    assert letters.tokens == ("", "?", "a", "b")
    assert (letters.padding_id, letters.unknown_id) == (0, 1)
    assert letters.encode("ab?\U0001f600z").tolist() == [2, 3, 1, 1, 1]
    assert letters.decode([0, 2, 0, 1, 0]) == "a?"


def test_special_tokens_may_stand_anywhere_in_given_ones() -> None:
    letters = text.CharacterVocabulary("abc?", unknown_token="?", padding_token="")
    assert letters.tokens == ("", "a", "b", "c", "?")
    assert (letters.padding_id, letters.unknown_id) == (0, 4)
    assert letters.encode("xc").tolist() == [4, 3]


def test_the_most_frequent_characters_are_kept() -> None:
    """With b and c equally frequent, the first in the alphabet."""
    texts = ["aaaa", "cc", "bb", "d"]
    assert text.CharacterVocabulary(max_size=2).fit(texts).tokens == ("a", "b")
    assert text.CharacterVocabulary(min_count=2).fit(texts).tokens == ("a", "b", "c")
    assert text.CharacterVocabulary(max_size=3, unknown_token="?").fit(texts).tokens == ("?", "a", "b")


@given(st.text(st.characters(), min_size=1), st.text(st.characters()))
def test_texts_of_known_characters_come_back(fitted: str, other: str) -> None:
    """Also with halves of surrogate pairs, which a str may contain."""
    letters = text.CharacterVocabulary().fit([fitted])
    assert letters.decode(letters.encode(fitted)) == fitted
    known = text.CharacterVocabulary(unknown_token="\ufffd").fit([fitted])
    assert known.decode(known.encode(other)) == "".join(c if c in fitted else "\ufffd" for c in other)


# ---- words ---------------------------------------------------------------------


def test_words_as_keras_numbers_them() -> None:
    """Keras's guide of TextVectorization: "" and "[UNK]" first, then words by frequency."""
    words = text.WordVocabulary().fit(LINES)
    assert words.tokens == ("", "[UNK]", "be", "to", "is", "not", "or", "question", "that", "the")
    assert words.encode("To sleep -- to be!").tolist() == [3, 1, 3, 2]
    assert words.decode([3, 1, 0, 2]) == "to [UNK] be"


@pytest.mark.parametrize(
    ("standardize", "expected"),
    [
        ("lower_and_strip_punctuation", ["its", "a", "test", "\u00e9t\u00e9"]),
        ("lower", ["it's", "a-test,", "\u00e9t\u00e9."]),
        ("strip_punctuation", ["Its", "ATest", "\u00c9t\u00e9"]),
        (None, ["It's", "A-Test,", "\u00c9t\u00e9."]),
    ],
)
def test_standard_forms(standardize: Any, expected: list[str]) -> None:
    given_text = (
        "It's A-Test,\t\u00c9t\u00e9."
        if standardize != "lower_and_strip_punctuation"
        else "It's a  test \u00c9t\u00e9!"
    )
    assert text.WordVocabulary(standardize=standardize).words(given_text) == expected


def test_every_mark_of_ascii_is_stripped_and_no_other() -> None:
    words = text.WordVocabulary()
    assert words.words(f"a{string.punctuation}b") == ["ab"]
    assert words.words("caf\u00e9\u2014bar \u00bfno?") == ["caf\u00e9\u2014bar", "\u00bfno"]


def test_marks_as_words() -> None:
    words = text.WordVocabulary(standardize=None, split="punctuation")
    assert words.words("Don't (really)...") == ["Don", "'", "t", "(", "really", ")", ".", ".", "."]


def test_rare_words_are_left_out() -> None:
    texts = ["a b c d", "a b c", "a b", "a"]
    assert text.WordVocabulary(max_size=4).fit(texts).tokens == ("", "[UNK]", "a", "b")
    assert text.WordVocabulary(min_count=3).fit(texts).tokens == ("", "[UNK]", "a", "b")
    plain = text.WordVocabulary(padding_token=None, unknown_token=None).fit(texts)
    assert plain.tokens == ("a", "b", "c", "d")


def test_special_tokens_in_texts_are_not_counted() -> None:
    words = text.WordVocabulary(standardize=None).fit(["[UNK] [UNK] a"])
    assert words.tokens == ("", "[UNK]", "a")


def test_fitting_again_forgets() -> None:
    words = text.WordVocabulary().fit(["one"])
    assert words.fit(iter(["two"])) is words
    assert words.tokens == ("", "[UNK]", "two")
    assert words.encode("one two").tolist() == [1, 2]


# ---- rows ----------------------------------------------------------------------


def test_rows_of_several_texts() -> None:
    words = text.WordVocabulary().fit(["a a a b b c"])
    rows = words.transform(["a b c", "", "c"])
    assert rows.dtype == np.int32
    assert rows.tolist() == [[2, 3, 4], [0, 0, 0], [4, 0, 0]]
    assert words.transform(["a b c"], 2, truncating="pre").tolist() == [[3, 4]]
    assert words.transform(["a"], 3, padding="pre").tolist() == [[0, 0, 2]]
    assert text.CharacterVocabulary("ab").transform(["ab", "ba"]).tolist() == [[0, 1], [1, 0]]
    assert text.ByteVocabulary().transform(["a", "bc"]).tolist() == [[97, 0], [98, 99]]


def test_rows_that_cannot_be_filled() -> None:
    letters = text.CharacterVocabulary("ab")
    with pytest.raises(ValueError, match=r"transform: expected texts of 2 tokens, got one of 1; .* padding_token=\"\""):
        letters.transform(["ab", "a"])
    with pytest.raises(ValueError, match="expected texts of 3 tokens, got one of 2"):
        letters.transform(["ab"], maxlen=3)
    mended = text.CharacterVocabulary("ab", padding_token="")
    assert mended.transform(["ab", "a"]).tolist() == [[1, 2], [1, 0]]


# ---- bytes ---------------------------------------------------------------------


@given(st.text(st.characters()))
def test_bytes_of_any_text_come_back(written: str) -> None:
    numbers = text.ByteVocabulary().encode(written)
    assert text.ByteVocabulary().decode(numbers) == written


def test_bytes_are_those_of_utf8() -> None:
    vocabulary = text.ByteVocabulary()
    assert len(vocabulary) == 256
    assert vocabulary.encode("\u20ac").tolist() == [0xE2, 0x82, 0xAC]
    assert vocabulary.decode([0x61, 0xE2, 0x82]) == "a\ufffd"
    assert vocabulary.decode_bytes(vocabulary.encode_bytes(bytes(range(256)))) == bytes(range(256))
    assert (vocabulary.tokens[65], vocabulary.tokens[10], vocabulary.tokens[200]) == ("A", "\\x0a", "\\xc8")
    assert vocabulary.fit(["ignored"]) is vocabulary


# ---- printing, files, copies ---------------------------------------------------

FITTED: dict[str, Any] = {
    "characters": text.CharacterVocabulary(unknown_token="?").fit(['a"\\\ud800\u20ac\n']),
    "words": text.WordVocabulary(max_size=50, standardize="lower", split="punctuation").fit(LINES),
    "bytes": text.ByteVocabulary(),
    "byte pairs": text.BytePairVocabulary(max_size=260).fit(["low lower lowest low"]),
    "bag of words": text.BagOfWords(ngram_range=(1, 2), stop_words=["the"], binary=True).fit(LINES),
    "tf-idf": text.TfIdf(norm="l1", analyzer="char", max_df=0.9).fit(LINES),
}


def numbers_of(encoder: Any) -> list[Any]:
    if isinstance(encoder, text.Vocabulary):
        return [encoder.encode('a"') if encoder.unknown_id is not None else encoder.encode("a").tolist()]
    found: list[Any] = encoder.transform(LINES).tolist()
    return found


@pytest.mark.parametrize("name", FITTED)
def test_files_and_copies_are_the_same(name: str, tmp_path: Path) -> None:
    fitted = FITTED[name]
    fitted.save(tmp_path / "encoder.json")
    for made in (
        type(fitted).load(tmp_path / "encoder.json"),
        pickle.loads(pickle.dumps(fitted)),
        copy.deepcopy(fitted),
    ):
        assert type(made) is type(fitted)
        assert made.tokens == fitted.tokens
        assert made.get_config() == fitted.get_config()
        assert repr(made) == repr(fitted)
        np.testing.assert_array_equal(numbers_of(made), numbers_of(fitted))
    assert (tmp_path / "encoder.json").read_bytes().isascii()


@REUSED_FOLDER
@given(st.text(st.characters(), min_size=1))
def test_any_characters_survive_a_file(tmp_path: Path, written: str) -> None:
    letters = text.CharacterVocabulary().fit([written])
    letters.save(tmp_path / "letters.json")
    assert text.CharacterVocabulary.load(tmp_path / "letters.json").tokens == letters.tokens


def test_what_is_printed() -> None:
    assert repr(text.WordVocabulary(max_size=9)) == "WordVocabulary(max_size=9)"
    assert repr(text.CharacterVocabulary("ab")) == "CharacterVocabulary(tokens=('a', 'b'))"
    many = repr(text.CharacterVocabulary(string.ascii_letters))
    assert many == "CharacterVocabulary(tokens=('a', 'b', 'c', 'd', ..., 'W', 'X', 'Y', 'Z'))"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"expected a JSON file written by WordVocabulary\.save"),
        (b"\xff", r"expected a JSON file"),
        (b"[" * 100_000, r"expected a JSON file"),
        (b"[1, 2]", r"expected a WordVocabulary, got \[1, 2\]"),
        (
            b'{"class": "CharacterVocabulary", "config": {}}',
            r"got 'CharacterVocabulary'; write CharacterVocabulary\.load",
        ),
        (b'{"class": "WordVocabulary", "config": 3}', "expected a WordVocabulary"),
        (
            b'{"class": "WordVocabulary", "config": {"tokens": ["a", "a"]}}',
            "expected different tokens, got 'a' 2 times",
        ),
        (
            b'{"class": "WordVocabulary", "config": {"tokens": [1]}}',
            "expected a list of str as tokens, got one with int",
        ),
        (b'{"class": "WordVocabulary", "config": {"system": "x"}}', "unknown argument 'system'"),
    ],
)
def test_files_that_are_none(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "words.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"words\.json: .*{message}"):
        text.WordVocabulary.load(path)


def test_an_earlier_file_stays_when_saving_fails(tmp_path: Path) -> None:
    path = tmp_path / "words.json"
    text.WordVocabulary(["kept"]).save(path)
    with pytest.raises(RuntimeError, match=r"WordVocabulary\.save: expected a fitted WordVocabulary"):
        text.WordVocabulary().save(path)
    assert json.loads(path.read_text())["config"]["tokens"] == ["", "[UNK]", "kept"]


# ---- errors --------------------------------------------------------------------

LETTERS, WORDS = text.CharacterVocabulary("ab"), text.WordVocabulary(["cat"])
WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "not fitted": (
        lambda: text.WordVocabulary().encode("a"),
        RuntimeError,
        r"encode: expected a fitted .*call fit\(texts\)",
    ),
    "not fitted, decoding": (
        lambda: text.CharacterVocabulary().decode([0]),
        RuntimeError,
        r"decode: expected a fitted",
    ),
    "not fitted, length": (lambda: len(text.WordVocabulary()), RuntimeError, r"len: expected a fitted"),
    "not fitted, rows": (lambda: text.WordVocabulary().transform(["a"]), RuntimeError, "expected a fitted"),
    "unknown character": (lambda: LETTERS.encode("abc"), ValueError, r"got 'c' as token 2; .*unknown_token="),
    "unknown word": (
        lambda: text.WordVocabulary(["cat"], unknown_token=None).encode("cat dog"),
        ValueError,
        r"got 'dog' as token 1; .*unknown_token=",
    ),
    "number too large": (
        lambda: LETTERS.decode([0, 2]),
        ValueError,
        r"decode: expected numbers from 0 to 1, got 2 at 1",
    ),
    "negative number": (lambda: WORDS.decode([-1]), ValueError, r"expected numbers from 0 to 2, got -1 at 0"),
    "probabilities": (lambda: LETTERS.decode([0.5]), TypeError, r"expected integers, got float64; .*argmax\(axis=-1\)"),
    "rows": (
        lambda: LETTERS.decode([[0, 1]]),
        ValueError,
        r"expected token numbers \(T,\), got shape \(1, 2\); .*rows",
    ),
    "a number": (lambda: LETTERS.decode(0), ValueError, r"got shape \(\); write \[number\]"),
    "bytes": (lambda: LETTERS.encode(b"a"), TypeError, r'expected a str, got bytes .*; write text\.decode\("utf-8"\)'),
    "bytes for bytes": (
        lambda: text.ByteVocabulary().encode(b"a"),
        TypeError,
        r"got bytes; write encode_bytes\(data\)",
    ),
    "str as bytes": (lambda: text.ByteVocabulary().encode_bytes("a"), TypeError, r"expected bytes, got str; .*encode"),
    "a list": (lambda: WORDS.encode(["cat"]), TypeError, r"expected a str, got list .*transform\(texts\)"),
    "no text": (lambda: WORDS.encode(None), TypeError, "expected a str, got None"),
    "one text": (
        lambda: text.WordVocabulary().fit("a b"),
        TypeError,
        r"fit: expected a list of texts, got one str; write \[text\]",
    ),
    "one bytes": (lambda: WORDS.transform(b"a"), TypeError, r"got one bytes; write \[text\.decode"),
    "a number as texts": (lambda: text.WordVocabulary().fit(3), TypeError, "expected a list of texts, got int 3"),
    "a missing text": (
        lambda: text.WordVocabulary().fit(["a", np.nan]),
        TypeError,
        r"got float nan as text 1; leave it out",
    ),
    "no texts": (lambda: text.WordVocabulary().fit([]), ValueError, r"fit: expected texts with a token .*, got none"),
    "empty texts": (lambda: text.CharacterVocabulary().fit(["", ""]), ValueError, "expected texts with a token"),
    "only rare words": (
        lambda: text.WordVocabulary(min_count=2).fit(["a b"]),
        ValueError,
        "got none of 2; lower min_count",
    ),
    "a word as characters": (
        lambda: text.CharacterVocabulary(["ab"]),
        ValueError,
        "expected single characters as tokens, got 'ab'",
    ),
    "words as one": (lambda: text.WordVocabulary("a b"), TypeError, r"expected a list of words, got one str"),
    "no tokens": (lambda: text.CharacterVocabulary(""), ValueError, "expected one token or more, got none"),
    "bytes as tokens": (
        lambda: text.CharacterVocabulary(b"ab"),
        TypeError,
        "expected a list of str as tokens, got bytes",
    ),
    "a token twice": (
        lambda: text.CharacterVocabulary("aba"),
        ValueError,
        "expected different tokens, got 'a' 2 times",
    ),
    "too small": (lambda: text.WordVocabulary(max_size=2), ValueError, "expected max_size >= 3, got 2"),
    "one special token": (
        lambda: text.WordVocabulary(padding_token="x", unknown_token="x"),
        ValueError,
        "expected different special tokens, got 'x' as both",
    ),
    "special number": (
        lambda: text.WordVocabulary(unknown_token=1),
        TypeError,
        "expected a str or None as special token, got 1",
    ),
    "misspelt": (
        lambda: text.WordVocabulary(standardize="lowercase"),
        ValueError,
        "unknown standardize 'lowercase'; did you mean 'lower'",
    ),
    "misspelt split": (lambda: text.WordVocabulary(split="spaces"), ValueError, "unknown split 'spaces'"),
    "Keras's name": (
        lambda: text.WordVocabulary(max_tokens=9),
        TypeError,
        r"unknown argument 'max_tokens'; write max_size=",
    ),
    "Keras's method": (lambda: text.WordVocabulary().adapt(["a"]), AttributeError, r"write fit\(texts\)"),
    "scikit-learn's name": (lambda: text.CountVectorizer, AttributeError, r"write text\.BagOfWords\(\)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use(case: str) -> None:
    call, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        call()
