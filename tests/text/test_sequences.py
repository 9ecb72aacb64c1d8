"""Padded sequences, windows of long ones, and parts of texts."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nnfast as nf
from nnfast import layers, text

# ---- pad_sequences -------------------------------------------------------------

SEQUENCE = [[1], [2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # The examples of Keras's documentation.
        ({}, [[0, 0, 1], [0, 2, 3], [4, 5, 6]]),
        ({"value": -1}, [[-1, -1, 1], [-1, 2, 3], [4, 5, 6]]),
        ({"padding": "post"}, [[1, 0, 0], [2, 3, 0], [4, 5, 6]]),
        ({"maxlen": 2}, [[0, 1], [2, 3], [5, 6]]),
        # And of its tests.
        ({"maxlen": 2, "truncating": "pre"}, [[0, 1], [2, 3], [5, 6]]),
        ({"maxlen": 2, "truncating": "post"}, [[0, 1], [2, 3], [4, 5]]),
        ({"maxlen": 3, "padding": "pre", "value": 1}, [[1, 1, 1], [1, 2, 3], [4, 5, 6]]),
        ({"maxlen": 4, "padding": "post", "truncating": "post"}, [[1, 0, 0, 0], [2, 3, 0, 0], [4, 5, 6, 0]]),
        ({"maxlen": 1, "padding": "post", "truncating": "post"}, [[1], [2], [4]]),
    ],
)
def test_rows_are_those_of_keras(options: dict[str, Any], expected: list[list[int]]) -> None:
    padded = text.pad_sequences(SEQUENCE, **options)
    assert padded.dtype == np.int32
    np.testing.assert_array_equal(padded, expected)
    np.testing.assert_array_equal(text.pad_sequences(map(np.array, SEQUENCE), **options), expected)


def test_steps_may_be_arrays(rng: np.random.Generator) -> None:
    rows = [rng.normal(size=(length, 2, 3)) for length in (2, 4, 1)]
    padded = text.pad_sequences(rows, 3, "float64", padding="post", truncating="pre", value=9)
    assert padded.shape == (3, 3, 2, 3)
    np.testing.assert_array_equal(padded[0], np.concatenate([rows[0], np.full((1, 2, 3), 9)]))
    np.testing.assert_array_equal(padded[1], rows[1][1:])
    np.testing.assert_array_equal(padded[2, 1:], np.full((2, 2, 3), 9))


def test_a_sequence_without_steps_becomes_padding() -> None:
    assert text.pad_sequences([[], [3]]).tolist() == [[0], [3]]
    assert text.pad_sequences([np.zeros((0, 2)), [[1.0, 2.0]]], dtype="float32").tolist() == [[[0, 0]], [[1, 2]]]


@given(
    st.lists(st.lists(st.integers(-9, 9), max_size=6), min_size=1).filter(any),
    st.none() | st.integers(1, 8),
    st.sampled_from(["pre", "post"]),
    st.sampled_from(["pre", "post"]),
)
def test_rows_against_lists(rows: list[list[int]], maxlen: int | None, padding: Any, truncating: Any) -> None:
    length = maxlen or max(map(len, rows))
    expected = []
    for row in rows:
        kept = row if len(row) <= length else row[len(row) - length :] if truncating == "pre" else row[:length]
        fill = [7] * (length - len(kept))
        expected.append(fill + kept if padding == "pre" else kept + fill)
    padded = text.pad_sequences(rows, maxlen, padding=padding, truncating=truncating, value=7)
    assert padded.tolist() == expected


# ---- windows -------------------------------------------------------------------


@pytest.mark.parametrize("stride", [None, 1, 2, 3, 5, 100])
@pytest.mark.parametrize(("count", "length"), [(2, 1), (10, 3), (11, 3), (12, 3), (13, 3), (7, 6)])
def test_windows_one_by_one(count: int, length: int, stride: int | None) -> None:
    numbers = np.arange(100, 100 + count)
    step = stride or length
    expected = []
    start = 0
    while start + length + 1 <= count:
        expected.append(numbers[start : start + length + 1])
        start += step
    x, y = text.windows(numbers, length, stride)
    np.testing.assert_array_equal(x, [window[:-1] for window in expected])
    np.testing.assert_array_equal(y, [window[1:] for window in expected])
    assert len(x) == (count - 1 - length) // step + 1


def test_windows_are_views() -> None:
    numbers = np.arange(20, dtype=np.int32)
    for stride in (None, 1, 3):
        for part in text.windows(numbers, 4, stride):
            assert np.shares_memory(part, numbers)
            assert not part.flags.writeable
    x, y = text.windows(numbers, 4)
    assert x.flags.c_contiguous, "fit takes it as it is"
    assert y.flags.c_contiguous


def test_a_network_learns_from_windows() -> None:
    """The next of the numbers 0 1 2 0 1 2 ... follows from the last one."""
    x, y = text.windows(np.arange(200, dtype=np.int32) % 3, 5, stride=2)
    net = nf.Network([layers.Input((5,), dtype="int32"), layers.Embedding(3, 4), layers.Dense(3, "softmax")], seed=0)
    trainer = nf.Trainer(net, loss="cross_entropy", optimizer=nf.optimizers.Adam(0.05), metrics=["accuracy"])
    trainer.fit(x, y, epochs=10, batch_size=16, progress=False)
    assert trainer.evaluate(x, y)["accuracy"] == 1.0


# ---- split_text ----------------------------------------------------------------


@given(st.text(min_size=2), st.floats(0, 1, exclude_max=True))
def test_parts_are_the_text(written: str, fraction: float) -> None:
    cut = round(len(written) * fraction)
    if 0 < cut < len(written):
        first, second = text.split_text(written, fraction)
        assert first + second == written
        assert len(first) == cut
    else:
        with pytest.raises(ValueError, match="split_text: expected two parts"):
            text.split_text(written, fraction)


@given(st.text("ab\n", min_size=1), st.floats(0, 1, exclude_max=True), st.sampled_from(["\n", "\n\n", "ab"]))
def test_the_nearest_separator_ends_the_first_part(written: str, fraction: float, separator: str) -> None:
    width = len(separator)
    ends = [i + width for i in range(len(written) - width) if written.startswith(separator, i)]
    if not ends:
        with pytest.raises(ValueError, match="split_text: expected separator"):
            text.split_text(written, fraction, separator)
        return
    first, second = text.split_text(written, fraction, separator)
    assert first + second == written
    assert first.endswith(separator)
    cut = round(len(written) * fraction)
    assert abs(len(first) - cut) == min(abs(end - cut) for end in ends)


def test_bytes_are_split_too() -> None:
    assert text.split_text(b"one\ntwo\n", 0.5, b"\n") == (b"one\n", b"two\n")


# ---- errors --------------------------------------------------------------------

WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "no sequences": (lambda: text.pad_sequences([]), ValueError, "expected a sequence of one step or more, got none"),
    "only empty ones": (lambda: text.pad_sequences([[], []]), ValueError, "one step or more, got 2 without any"),
    "numbers": (lambda: text.pad_sequences([1, 2]), ValueError, r"expected sequences, got 1 as sequence 0; write \[\["),
    "words": (lambda: text.pad_sequences([["a", "b"]]), TypeError, "expected numbers, got <U1 in sequence 0; encode"),
    "floats as integers": (
        lambda: text.pad_sequences([[1], [0.5]]),
        TypeError,
        r'expected integers for dtype int32, got float64 in sequence 1; pass dtype="float32"',
    ),
    "a value that is not an integer": (lambda: text.pad_sequences([[1]], value=0.5), TypeError, "float64 in the value"),
    "too large": (
        lambda: text.pad_sequences([[1, 2**40]]),
        ValueError,
        rf'expected numbers from -2147483648 to 2147483647 .*, got {2**40} in sequence 0; pass dtype="int64"',
    ),
    "negative bytes": (lambda: text.pad_sequences([[-1]], dtype="uint8"), ValueError, "from 0 to 255 .*, got -1"),
    "other steps": (
        lambda: text.pad_sequences([[[1, 2]], [[1, 2, 3]]]),
        ValueError,
        r"steps of shape \(2,\), as in the first sequence, got \(3,\) in sequence 1",
    ),
    "ragged steps": (
        lambda: text.pad_sequences([[[1, 2], [3]]]),
        ValueError,
        "expected steps of one shape in sequence 0",
    ),
    "misspelt": (lambda: text.pad_sequences([[1]], padding="left"), ValueError, "unknown padding 'left'"),
    "no length": (lambda: text.pad_sequences([[1]], maxlen=0), ValueError, "expected maxlen >= 1, got 0"),
    "a text": (lambda: text.windows("to be", 2), TypeError, r"windows: expected numbers \(T,\), got dtype <U5; encode"),
    "a short text": (
        lambda: text.windows([1, 2, 3], 3),
        ValueError,
        "more than length=3 numbers, got 3; pass a longer",
    ),
    "rows": (lambda: text.windows([[1, 2], [3, 4]], 1), ValueError, r"expected numbers \(T,\), got shape \(2, 2\)"),
    "no step": (lambda: text.windows([1, 2, 3], 1, 0), ValueError, "expected stride >= 1, got 0"),
    "texts": (lambda: text.split_text(["a", "b"]), TypeError, r"expected a str or bytes, got list; .*Dataset\.split"),
    "all of it": (lambda: text.split_text("ab", 1.0), ValueError, "expected 0 <= fraction < 1, got 1.0"),
    "one character": (lambda: text.split_text("a", 0.5), ValueError, "expected two parts, got 1 characters"),
    "an empty separator": (
        lambda: text.split_text("ab", 0.5, ""),
        TypeError,
        "one character or more as separator, got ''",
    ),
    "bytes in a text": (lambda: text.split_text("ab", 0.5, b"a"), TypeError, "expected a str of one character"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use(case: str) -> None:
    call, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        call()


def test_padding_refuses_integers_that_a_float_would_round() -> None:
    assert text.pad_sequences([[2048]], dtype="float16")[0, 0] == 2048
    with pytest.raises(
        ValueError, match="up to 2048 for dtype float16, which rounds larger ones, got 2049 in sequence 1"
    ):
        text.pad_sequences([[1], [-2049]], dtype="float16")
    with pytest.raises(ValueError, match="got 16777217 in sequence 0"):
        text.pad_sequences([[2**24 + 1]], dtype="float32")
