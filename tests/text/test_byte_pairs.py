"""Byte pairs: the algorithm of Sennrich et al. written naively, round trips of all texts and bytes, and errors."""

import random
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzing import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from nnfast import text

CORPUS = (
    "The law of the land, and the lords of the land: they that live by the law shall not fall by the law.\n"
    "Who would fardels bear, to grunt and sweat under a weary life, but that the dread of something after death,\n"
    "the undiscovered country from whose bourn no traveller returns, puzzles the will?\n\n"
)


def learned(texts: list[str], size: int) -> list[tuple[bytes, bytes]]:
    """Count all pairs anew for each merge, over every word of the texts, as in the paper's program."""
    words = [
        [bytes([byte]) for byte in piece.encode()]
        for each in texts
        for piece in re.findall(r" ?[a-zA-Z]+| ?[,:?.]+|\s+", each)
    ]
    number = {bytes([byte]): byte for byte in range(256)}
    merges = []
    while 256 + len(merges) < size:
        counts = Counter(pair for word in words for pair in pairwise(word))
        best = min(counts, key=lambda pair: (-counts[pair], number[pair[0]], number[pair[1]]), default=None)
        if best is None or counts[best] < 2:
            break
        merges.append(best)
        number[best[0] + best[1]] = 255 + len(merges)
        words = [merged(word, best) for word in words]
    return merges


def merged(word: list[bytes], pair: tuple[bytes, bytes]) -> list[bytes]:
    made: list[bytes] = []
    place = 0
    while place < len(word):
        if tuple(word[place : place + 2]) == pair:
            made.append(pair[0] + pair[1])
            place += 2
        else:
            made.append(word[place])
            place += 1
    return made


def spoken(rng: random.Random, words: int) -> str:
    """Random words of few letters, in which many pairs are equally frequent."""
    made = ("".join(rng.choices("aab\u00e9z", k=rng.randint(1, 6))) for _ in range(words))
    return " ".join(made).replace("\u00e9", "e")


@pytest.mark.parametrize("seed", range(4))
def test_merges_and_tokens_are_those_of_the_naive_algorithm(seed: int) -> None:
    texts = [CORPUS, CORPUS[:200]] if seed == 0 else [spoken(random.Random(seed), 60) for _ in range(3)]
    wanted = learned(texts, 340)
    pairs = text.BytePairVocabulary(max_size=340).fit(texts)
    pieces = [pairs.decode_bytes([i]) for i in range(len(pairs))]
    assert [(pieces[first], pieces[second]) for first, second in pairs.merges] == wanted
    assert pieces[256:] == [first + second for first, second in wanted]
    # Merging in the order of training gives the same tokens as merging the earliest pair again and again.
    for each in texts:
        tokens = []
        for piece in re.findall(r" ?[a-zA-Z]+| ?[,:?.]+|\s+", each):
            word = [bytes([byte]) for byte in piece.encode()]
            for pair in wanted:
                word = merged(word, pair)
            tokens += word
        assert [pieces[i] for i in pairs.encode(each)] == tokens


def test_runs_of_a_letter_are_merged_from_the_left() -> None:
    """The pair (a, a) is counted where it begins, and then merged without overlap."""
    pairs = text.BytePairVocabulary(max_size=257).fit(["aaaaa"])
    assert pairs.encode("aaaaa").tolist() == [256, 256, 97]
    assert pairs.encode("aaa").tolist() == [256, 97]


PAIRS = text.BytePairVocabulary(max_size=400).fit([CORPUS, "\u00e9t\u00e9 \u00e9t\u00e9", "\u6771\u4eac\u6771\u4eac"])


@settings(max_examples=examples(100))
@given(st.text(st.characters()) | st.text("th e\u00e9\u6771lawnd, \n"))
def test_texts_come_back(written: str) -> None:
    """Also with halves of surrogate pairs, which a str may contain."""
    numbers = PAIRS.encode(written)
    assert numbers.dtype == np.int32
    assert PAIRS.decode(numbers) == written


@settings(max_examples=examples(100))
@given(st.binary() | st.lists(st.sampled_from([b"the", b" law", b"\xc3", b"\xa9", b"  ", b"\x00"])).map(b"".join))
def test_bytes_come_back(data: bytes) -> None:
    assert PAIRS.decode_bytes(PAIRS.encode_bytes(data)) == data


@settings(max_examples=examples(20))
@given(st.lists(st.text(), min_size=1, max_size=5).filter(any), st.integers(256, 280))
def test_any_texts_can_be_fitted(texts: list[str], size: int) -> None:
    pairs = text.BytePairVocabulary(max_size=size).fit(texts)
    assert 256 <= len(pairs) <= size
    for written in texts:
        assert pairs.decode(pairs.encode(written)) == written
    again = text.BytePairVocabulary(max_size=size).fit(reversed(texts))
    assert again.merges == pairs.merges, "the order of the texts does not matter"


def test_no_token_crosses_a_word() -> None:
    for token in PAIRS.tokens[256:]:
        assert re.fullmatch(r" ?[^ ,:?.\\]+| ?[,:?.]+|(\\x0a| )+|(\\x..)+", token), token


def test_a_long_text_without_spaces_takes_time_in_proportion() -> None:
    """Without the limit of a piece, a million letters would take hours."""
    pairs = text.BytePairVocabulary(max_size=300).fit(["ab" * 500_000])
    numbers = pairs.encode("ab" * 500_000)
    assert pairs.decode(numbers) == "ab" * 500_000
    assert len(numbers) < 50_000


def test_a_text_that_is_cut_within_a_character() -> None:
    numbers = PAIRS.encode("\u00e9")
    assert PAIRS.decode(text.BytePairVocabulary([]).encode("a\u00e9")[:2]) == "a\ufffd"
    assert PAIRS.decode(numbers) == "\u00e9"


def test_sizes() -> None:
    assert len(text.BytePairVocabulary([])) == 256
    assert len(text.BytePairVocabulary(max_size=256).fit([CORPUS])) == 256
    few = text.BytePairVocabulary(max_size=5000).fit([CORPUS])
    assert 256 < len(few) < 400
    assert len(text.BytePairVocabulary(max_size=5000, min_count=5).fit([CORPUS])) < len(few)
    assert repr(text.BytePairVocabulary([(97, 98)])) == "BytePairVocabulary(merges=((97, 98),))"


def test_shakespeare(data_dir: Path) -> None:
    path = data_dir / "tinyshakespeare" / "input.txt"
    if not path.is_file():
        pytest.skip("no tinyshakespeare")
    written = path.read_text(encoding="utf-8")[:200_000]
    pairs = text.BytePairVocabulary(max_size=512).fit([written])
    assert len(pairs) == 512
    numbers = pairs.encode(written)
    assert pairs.decode(numbers) == written
    assert len(numbers) < 0.6 * len(written)
    assert {" the", " and", "ing", "\\x0a\\x0a"} <= set(pairs.tokens)


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "not fitted": (lambda: text.BytePairVocabulary().encode("a"), RuntimeError, r"encode: expected a fitted BytePair"),
    "not fitted, decoding": (lambda: text.BytePairVocabulary().decode([1]), RuntimeError, "expected a fitted BytePair"),
    "no texts": (lambda: text.BytePairVocabulary().fit([]), ValueError, "expected a text of one character or more"),
    "one text": (lambda: text.BytePairVocabulary().fit("a"), TypeError, r"got one str; write \[text\]"),
    "too small": (lambda: text.BytePairVocabulary(max_size=255), ValueError, "expected max_size >= 256, got 255"),
    "a later token": (lambda: text.BytePairVocabulary([(97, 256)]), ValueError, "expected merges < 2.8, got 256"),
    "no pair": (lambda: text.BytePairVocabulary([(1, 2, 3)]), ValueError, r"expected pairs .*, got \(1, 2, 3\)"),
    "a pair twice": (
        lambda: text.BytePairVocabulary([(1, 2), (1, 2)]),
        ValueError,
        r"different pairs .*\(1, 2\) twice",
    ),
    "a str": (lambda: text.BytePairVocabulary("ab"), TypeError, "expected pairs of token numbers as merges, got 'ab'"),
    "a number too large": (
        lambda: PAIRS.decode([10_000]),
        ValueError,
        r"expected numbers from 0 to \d+, got 10000 at 0",
    ),
    "merges that double": (
        lambda: text.BytePairVocabulary(merges=[(97, 97), *((256 + i, 256 + i) for i in range(40))]),
        ValueError,
        r"pieces of at most 65 bytes, got more from \(261, 261\)",
    ),
    "bytes": (lambda: PAIRS.encode(b"a"), TypeError, r"got bytes; write encode_bytes\(data\)"),
    "str as bytes": (lambda: PAIRS.encode_bytes("a"), TypeError, "expected bytes, got str; a str goes to encode"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use(case: str) -> None:
    call, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        call()
