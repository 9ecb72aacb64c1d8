"""Reductions against NumPy in float64: any axes, awkward sizes, what is not finite, calls that cannot work."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from kernel_cases import DTYPES, assert_close, eps
from reduction_cases import SMOOTH, TRUTH, numbers, reduced, subsets, tolerance

from nnfast import layers, ops

dtypes = pytest.mark.parametrize("dtype", DTYPES)


@dtypes
@pytest.mark.parametrize("name", TRUTH)
def test_every_set_of_axes(name: str, dtype: str, rng: np.random.Generator) -> None:
    for shape in ((2, 3, 5, 4), (3, 1, 2, 7), (4, 3, 2)):
        x = numbers(name, rng, shape).astype(dtype)
        wide = x.astype(np.float64)
        for axes, keepdims in itertools.product(subsets(len(shape)), (False, True)):
            got = reduced(name, x, axes, keepdims)
            exact = TRUTH[name](wide, axis=axes, keepdims=keepdims)
            assert_close(got, exact, tolerance(name, wide, axes, keepdims, eps(dtype)), f"{name}, axes {axes}")
            if name in SMOOTH:
                assert got.dtype == dtype


LONG: list[tuple[tuple[int, ...], Any]] = [
    ((4097,), None),
    ((3, 17), 1),
    ((4097, 3), 0),
    ((3, 4097), -1),
    ((2, 4097, 5), 1),
    ((2, 17, 3, 4097), (1, 3)),
    ((17, 3, 1, 17, 2), (0, -2)),
    ((1, 3, 17, 1, 3), (1, 4)),
    ((10_000, 3), 0),
    ((700, 300), (0,)),
    ((70_001,), 0),
]


@dtypes
@pytest.mark.parametrize("name", SMOOTH)
def test_awkward_and_long_axes(name: str, dtype: str, rng: np.random.Generator) -> None:
    for shape, axis in LONG:
        # The product of a long axis would leave float32's range: most factors are 1.
        x = numbers(name, rng, shape) if name != "prod" else np.where(rng.random(shape) < 1e-4, -1.25, 1.0)
        x = x.astype(dtype)
        wide = x.astype(np.float64)
        got, exact = reduced(name, x, axis), TRUTH[name](wide, axis=axis)
        assert_close(got, exact, tolerance(name, wide, axis, False, eps(dtype)), f"{name}, {shape}, axis {axis}")


@pytest.mark.parametrize("shape", [(2**21,), (2**19, 4), (4, 2**19), (2**10, 3, 2**9)])
def test_long_sums_of_equal_numbers(shape: tuple[int, ...]) -> None:
    """A chain of 2^21 terms of .1 would be off by percents."""
    x = np.full(shape, 0.1, np.float32)
    for axis in (0, -1, None):
        np.testing.assert_allclose(ops.mean(x, axis), np.float64(np.float32(0.1)), rtol=2e-6)


def test_a_cumulative_sum_counts_beyond_what_a_chain_of_float32_does() -> None:
    counts = ops.cumsum(np.ones(2**24 + 8, np.float32))[-10:]
    np.testing.assert_array_equal(counts, np.arange(2**24 - 1, 2**24 + 9).astype(np.float32))


def test_integers_and_booleans() -> None:
    x = np.array([[3, 0, 200], [100, 2, 7]], np.uint8)
    assert ops.sum(x, 0).tolist() == [103, 2, 207]
    assert ops.sum(x).dtype == np.int64
    assert ops.prod(x, 1).tolist() == [0, 1400]
    assert ops.max(x, 1).tolist() == [200, 100]
    assert ops.max(x, 1).dtype == np.uint8
    assert ops.cumsum(x, 1).tolist() == [[3, 3, 203], [100, 102, 109]]
    assert ops.mean(x, 1).tolist() == [203 / 3, 109 / 3]
    mask = x > 5
    assert ops.sum(mask, 0).tolist() == [1, 0, 2]
    assert ops.max(mask, 0).tolist() == [True, False, True]
    assert ops.max(mask, 0).dtype == bool
    assert ops.any(mask, 0).tolist() == [True, False, True]
    assert ops.argmax(np.arange(256).astype(np.uint8)) == 255
    assert ops.argmax([1.0, 5.0, 2.0]).dtype == np.int64


@dtypes
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite(value: float, dtype: str, rng: np.random.Generator) -> None:
    for shape, axis in (((3, 40), 1), ((40, 3), 0), ((5, 7, 3), (0, 2))):
        x = rng.standard_normal(shape).astype(dtype)
        x[1, 2] = value
        for name in ("sum", "mean", "max", "min", "logsumexp", "any", "norm"):
            exact = TRUTH[name](x.astype(np.float64), axis=axis)
            np.testing.assert_allclose(reduced(name, x, axis), exact, rtol=1e-5, atol=1e-5, err_msg=name)
    nothing = np.full((2, 3), -np.inf, dtype)
    np.testing.assert_array_equal(ops.logsumexp(nothing, 1), [-np.inf, -np.inf])
    np.testing.assert_allclose(ops.logsumexp(np.full((2, 3), 500, dtype), 1), 500 + math.log(3))


def test_the_variance_of_large_numbers() -> None:
    """The mean of squares minus the square of the mean would be 0 or worse."""
    x = np.float32(1e6) + np.array([0, 1, 2, 3], np.float32)
    assert ops.var(x) == 1.25
    assert ops.var(x.reshape(2, 2), 0, ddof=1).tolist() == [2, 2]
    np.testing.assert_allclose(ops.std(x, ddof=1), math.sqrt(5 / 3), rtol=1e-6)


@dtypes
def test_places_of_extremes(dtype: str, rng: np.random.Generator) -> None:
    for shape in ((1,), (17,), (3, 17), (4097, 2), (2, 5, 3, 4), (5, 1000)):
        x = rng.integers(-2, 3, shape).astype(dtype)
        for with_nan in (False, True):
            if with_nan:
                x[rng.random(shape) < 0.05] = np.nan
            for axis, keepdims in itertools.product((None, *range(-len(shape), len(shape))), (False, True)):
                for name in ("argmax", "argmin"):
                    truth = getattr(np, name)(x, axis=axis, keepdims=keepdims)
                    np.testing.assert_array_equal(reduced(name, x, axis, keepdims), truth)


@dtypes
def test_cumulative_sums(dtype: str, rng: np.random.Generator) -> None:
    for shape in ((1,), (17,), (4097,), (3, 17), (17, 300), (2, 5, 3, 4)):
        x = rng.standard_normal(shape).astype(dtype)
        wide = x.astype(np.float64)
        for axis in range(-len(shape), len(shape)):
            # float32 is added up in float64, and rounded once.
            error = np.abs(wide).sum(axis=axis, keepdims=True) * eps(dtype) * (1 if dtype == "float32" else shape[axis])
            exact = np.cumsum(wide, axis=axis)
            assert_close(ops.cumsum(x, axis), exact, error)
            assert_close(ops.cumsum(x, axis, exclusive=True), exact - wide, error)
            backward = np.flip(np.cumsum(np.flip(wide, axis), axis=axis), axis)
            assert_close(ops.cumsum(x, axis, reverse=True), backward, error)
            assert_close(ops.cumsum(x, axis, reverse=True, exclusive=True), backward - wide, error)
    assert ops.cumsum([[1.0, 2.0], [3.0, 4.0]]).tolist() == [1, 3, 6, 10]


@dtypes
def test_softmax_along_any_axis(dtype: str, rng: np.random.Generator) -> None:
    for shape in ((1,), (17,), (3, 5), (2, 17, 3), (3, 2, 4, 5)):
        x = (3 * rng.standard_normal(shape) + 100).astype(dtype)
        wide = x.astype(np.float64) - 100
        axes: tuple[Any, ...] = (*range(-len(shape), len(shape)), tuple(range(len(shape))), None)
        for axis in axes:
            weights = np.exp(wide)
            exact = weights / weights.sum(axis=axis, keepdims=True)
            error = (16 + x.size + np.ptp(wide)) * eps(dtype)
            assert_close(ops.softmax(x, axis), exact, error * exact)
            assert_close(ops.log_softmax(x, axis), np.log(exact), error + 4 * eps(dtype) * np.abs(np.log(exact)))


@dtypes
def test_norms(dtype: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 5, 4)).astype(dtype)
    for axis in range(-3, 3):
        for order in (None, 1, 2, math.inf):
            exact = np.linalg.norm(x.astype(np.float64), order, axis)
            np.testing.assert_allclose(ops.norm(x, order, axis), exact, rtol=8 * eps(dtype))
        np.testing.assert_allclose(ops.norm(ops.normalize(x, axis), axis=axis), 1, rtol=16 * eps(dtype))
    np.testing.assert_array_equal(ops.normalize(np.zeros((2, 3), dtype)), np.zeros((2, 3)))


@dtypes
def test_broadcasting(dtype: str, rng: np.random.Generator) -> None:
    cases: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
        ((), (2, 3)),
        ((3,), (2, 3)),
        ((2, 1), (2, 3)),
        ((1, 3, 1), (4, 2, 3, 5)),
    ]
    for shape, to in cases:
        x = rng.standard_normal(shape).astype(dtype)
        got = ops.broadcast_to(np.asarray(x), to)
        np.testing.assert_array_equal(got, np.broadcast_to(x, to))
        assert got.dtype == dtype


X = np.ones((2, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ops.sum(X, 2), ValueError, "from -2 to 1, got 2"),
        (lambda: ops.sum(X, -3), ValueError, "from -2 to 1, got -3"),
        (lambda: ops.sum(X, (0, 0)), ValueError, r"different axes of \(2, 3\), got \(0, 0\)"),
        (lambda: ops.sum(X, (1, -1)), ValueError, r"different axes of \(2, 3\), got \(1, -1\)"),
        (lambda: ops.sum(X, 0.5), TypeError, "expected an int as axis, got 0.5"),
        (lambda: ops.sum(X, "0"), TypeError, "expected an int as axis, got '0'"),
        (lambda: ops.sum(layers.Input((3,)), 2), ValueError, r"an axis of \(N, 3\), from -2 to 1, got 2"),
        (lambda: ops.argmax(X, (0, 1)), TypeError, "expected an int as axis"),
        (lambda: ops.cumsum(X, 2), ValueError, "from -2 to 1, got 2"),
        (lambda: ops.cumsum(layers.Input((3,))), ValueError, "expected an axis"),
        (lambda: ops.sum(X, True), TypeError, "expected an int as axis, got True"),
        (lambda: ops.sum(3.0, 0), ValueError, "but there is none"),
        (lambda: ops.softmax(X, 2), ValueError, "from -2 to 1, got 2"),
        (lambda: ops.softmax(3.0), ValueError, "expected an axis"),
        (lambda: ops.norm(X, 3), ValueError, "an ord of None, 1, 2 or inf, got 3"),
        (lambda: ops.var(X, ddof=-1), ValueError, "ddof >= 0, got -1"),
        (lambda: ops.broadcast_to(X, (2, 2, 4)), ValueError, r"to which \(2, 3\) can be broadcast.*\(2, 2, 4\)"),
        (lambda: ops.broadcast_to(X, (3,)), ValueError, r"to which \(2, 3\) can be broadcast"),
        (lambda: ops.broadcast_to(X, (2, None)), ValueError, "None only as the first size"),
        (lambda: ops.broadcast_to(X, 3), TypeError, "a tuple of sizes"),
        (lambda: ops.broadcast_to(layers.Input((3,)), (2, 3)), ValueError, "can be broadcast"),
    ],
)
def test_bad_calls_say_what_is_wrong(call: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
