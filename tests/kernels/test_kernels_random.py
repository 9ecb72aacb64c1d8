"""Random numbers and dropout: exact words, streams, seeds of 64 bits, permutations, errors."""

from collections.abc import Callable

import numpy as np
import pytest
from kernel_cases import DTYPES
from reference.dropout import dropout
from reference.philox import random_permutation, random_uniform, words

from nnfast import kernels

dtypes = pytest.mark.parametrize("dtype", DTYPES)
SEEDS = (0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1)


def test_published_words() -> None:
    # Random123's vector for counter 0 and key 0: the first four elements of seed 0, stream 0, shifted to 24 bits.
    published = np.array([0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8], np.uint64)
    expected = (published >> 8).astype(np.float64) * 2.0**-24
    np.testing.assert_array_equal(kernels.random_uniform(4, seed=0), expected)


@dtypes
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("stream", [0, 2**32 - 1])
def test_uniform_is_exact(seed: int, stream: int, dtype: str) -> None:
    got = kernels.random_uniform(70, seed, stream, dtype)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, random_uniform(70, seed, stream, dtype))


@dtypes
def test_a_prefix_is_the_same_sequence(dtype: str) -> None:
    for function in (kernels.random_uniform, kernels.random_normal):
        long = function(257, 3, 4, dtype)
        for n in (0, 1, 2, 3, 5, 64, 65, 256):
            np.testing.assert_array_equal(function(n, 3, 4, dtype), long[:n])


@dtypes
def test_normal_moments(dtype: str) -> None:
    n = 200_000
    z = kernels.random_normal(n, 11, 0, dtype).astype(np.float64)
    assert np.isfinite(z).all()
    # Standard errors of the mean, variance and fourth moment: 1, sqrt 2 and sqrt 96 over sqrt n; five allowed.
    for moment, expected, spread in ((z, 0, 1), (z**2, 1, 2**0.5), (z**4, 3, 96**0.5)):
        assert abs(moment.mean() - expected) < 5 * spread / n**0.5
    assert abs(np.corrcoef(z[0::2], z[1::2])[0, 1]) < 5 / (n / 2) ** 0.5


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n", [0, 1, 2, 3, 10, 257])
def test_permutation_is_exact(n: int, seed: int) -> None:
    got = kernels.random_permutation(n, seed, 5)
    assert got.dtype == np.int64
    np.testing.assert_array_equal(got, random_permutation(n, seed, 5))


@dtypes
@pytest.mark.parametrize("seed", SEEDS)
def test_dropout_is_exact(seed: int, dtype: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((7, 13)).astype(dtype)
    got = kernels.dropout_forward(x, 0.4, seed, 2**31 + 1, 9)
    np.testing.assert_array_equal(got, dropout(x, 0.4, seed, 2**31 + 1, 9))


def test_both_dtypes_drop_the_same_elements() -> None:
    single = kernels.dropout_forward(np.ones(1000, np.float32), 0.3, 4, 5, 6)
    double = kernels.dropout_forward(np.ones(1000), 0.3, 4, 5, 6)
    np.testing.assert_array_equal(single == 0, double == 0)


def test_dropped_is_zero_even_where_x_is_not_finite() -> None:
    x = np.full(1000, np.inf)
    got = kernels.dropout_forward(x, 0.5, 1)
    assert set(np.unique(got)) == {0.0, np.inf}


def test_threshold_is_compared_with_the_whole_word() -> None:
    word = int(words(1, 0, 0, 0)[0])
    x = np.ones(1)
    assert kernels.dropout_forward(x, word / 2**32)[0] > 0
    assert kernels.dropout_forward(x, (word + 1) / 2**32)[0] == 0


def test_streams_steps_and_seeds_differ() -> None:
    x = np.ones(4000)
    masks = [kernels.dropout_forward(x, 0.5, *where) > 0 for where in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))]
    for i, one in enumerate(masks):
        for other in masks[:i]:
            # Agreement of independent masks: half, with a standard error of 0.5 / sqrt(4000); five allowed.
            assert abs((one == other).mean() - 0.5) < 5 * 0.5 / 4000**0.5


X = np.ones(3, np.float32)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: kernels.dropout_forward(X, 1.0), ValueError, "0 <= rate < 1, got 1"),
        (lambda: kernels.dropout_forward(X, -0.1), ValueError, "0 <= rate < 1, got -0.1"),
        (lambda: kernels.dropout_forward(X, float("nan")), ValueError, "0 <= rate < 1, got nan"),
        (lambda: kernels.dropout_forward(X, 0.5, step=2**32), ValueError, r"step < 2\^32, got 4294967296"),
        (lambda: kernels.dropout_backward(X, 0.5, stream=-1), ValueError, "stream >= 0, got -1"),
        (lambda: kernels.random_uniform(-1), ValueError, "random_uniform: expected n >= 0, got -1"),
        (lambda: kernels.random_normal(-1), ValueError, "random_normal: expected n >= 0, got -1"),
        (lambda: kernels.random_permutation(-1), ValueError, "random_permutation: expected n >= 0, got -1"),
        (lambda: kernels.random_permutation(2**36), ValueError, r"below 2\^36, got 68719476736"),
        (lambda: kernels.random_uniform(2**58), ValueError, "of this machine.s memory"),
        (lambda: kernels.random_uniform(2**63), ValueError, r"n < 2\^63"),
        (lambda: kernels.random_uniform(3.0), TypeError, "an integer as n, got 3.0"),
        (lambda: kernels.random_uniform(3, seed=-1), ValueError, "seed >= 0, got -1"),
        (lambda: kernels.random_uniform(3, seed=2**64), ValueError, r"seed < 2\^64"),
        (lambda: kernels.random_uniform(3, seed="1"), TypeError, "an integer as seed, got '1'"),
        (lambda: kernels.random_uniform(3, stream=2**32), ValueError, r"stream < 2\^32"),
        (lambda: kernels.random_uniform(3, stream=-1), ValueError, "stream >= 0, got -1"),
        (lambda: kernels.random_uniform(3, dtype="float16"), ValueError, "float16"),
    ],
)
def test_numbers_out_of_range_are_refused(call: Callable[[], object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_the_largest_counters() -> None:
    u = kernels.random_uniform(3, seed=2**64 - 1, stream=2**32 - 1)
    assert ((u >= 0) & (u < 1)).all()
    assert kernels.dropout_forward(X, 0.5, 2**64 - 1, 2**32 - 1, 2**32 - 1).shape == X.shape
