"""Reductions, gathering and optimizers at their edges."""

from collections.abc import Callable

import numpy as np
import pytest
from kernel_cases import DTYPES, assert_close, eps, tiny

from nnfast import kernels

dtypes = pytest.mark.parametrize("dtype", DTYPES)


@dtypes
@pytest.mark.parametrize("shape", [(1000, 37), (3, 5000), (7, 11, 13), (20_001,)])
def test_sums_of_integers_are_exact(shape: tuple[int, ...], dtype: str, rng: np.random.Generator) -> None:
    x = rng.integers(-8, 9, shape).astype(dtype)  # every partial sum is below 2^24
    for axis in (None, 0, 1) if x.ndim == 2 else (None,):
        got = kernels.reduce_sum(x, axis)
        np.testing.assert_array_equal(got, x.astype(np.int64).sum(axis=axis))
        np.testing.assert_array_equal(kernels.reduce_max(x, axis), x.max(axis=axis))


@dtypes
def test_empty_sums_are_zero_and_empty_maxima_are_refused(dtype: str) -> None:
    np.testing.assert_array_equal(kernels.reduce_sum(np.ones((0, 3), dtype), 0), [0, 0, 0])
    np.testing.assert_array_equal(kernels.reduce_sum(np.ones((3, 0), dtype), 1), [0, 0, 0])
    assert kernels.reduce_sum(np.ones((0, 3), dtype)) == 0
    assert kernels.reduce_sum(np.ones((0, 3), dtype), 1).shape == (0,)
    for axis in (None, 0, 1):
        with pytest.raises(ValueError, match="one element or more"):
            kernels.reduce_max(np.ones((0, 3), dtype), axis)
    with pytest.raises(ValueError, match="a last axis of 1 to 2147483647 elements"):
        kernels.argmax(np.ones((3, 0), dtype))


@dtypes
def test_a_maximum_is_nan_where_an_element_is(dtype: str) -> None:
    for position in range(40):
        x = np.arange(80, dtype=dtype).reshape(2, 40)
        x[1, position] = np.nan
        np.testing.assert_array_equal(kernels.reduce_max(x, 1), x.max(axis=1))
        np.testing.assert_array_equal(kernels.reduce_max(x, 0), x.max(axis=0))


@dtypes
def test_argmax_takes_the_first_of_equals(dtype: str) -> None:
    for first in range(35):
        x = np.zeros((1, 35), dtype)
        x[0, first:] = 2
        got = kernels.argmax(x)
        assert got.dtype == np.int32
        assert got[0] == first
    assert kernels.argmax(np.full((1, 20), -np.inf, dtype))[0] == 0


@dtypes
def test_argmax_takes_the_first_nan(dtype: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((400, 13)).astype(dtype)
    x[rng.random(x.shape) < 0.15] = np.nan
    x[:3], x[3, 1:], x[4, -1] = np.nan, np.nan, np.inf
    assert np.isnan(x).any(axis=1).mean() > 0.7
    np.testing.assert_array_equal(kernels.argmax(x), x.argmax(axis=1))


@dtypes
def test_gathered_rows_keep_their_shape_and_bits(dtype: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((6, 3, 5)).astype(dtype)
    rows = np.array([5, 0, 0, 3])
    np.testing.assert_array_equal(kernels.gather_rows(x, rows, dtype=dtype), x[rows])
    got = kernels.gather_rows((255 * rng.random((6, 4, 4, 1))).astype(np.uint8), rows, 1 / 255, dtype=dtype)
    assert got.shape == (4, 4, 4, 1)
    assert got.dtype == dtype
    assert kernels.gather_rows(x, rows[:0], dtype=dtype).shape == (0, 3, 5)


@dtypes
def test_nothing_moves_where_the_gradient_is_zero(dtype: str, rng: np.random.Generator) -> None:
    start = rng.standard_normal(37).astype(dtype)
    p, zero = start.copy(), np.zeros(37, dtype)
    kernels.sgd_update(p, zero, None, 0.1)
    kernels.sgd_update(p, zero, zero.copy(), 0.1, 0.9, True)
    kernels.adam_update(p, zero, zero.copy(), zero.copy())
    np.testing.assert_array_equal(p, start)


X, ROWS, P = np.ones((6, 3), np.float32), np.array([0, 5]), np.ones(4, np.float32)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: kernels.gather_rows(X, np.array([0, 6])), ValueError, ("6",)),
        (lambda: kernels.gather_rows(X, np.array([-1])), ValueError, ("-1",)),
        (lambda: kernels.gather_rows(X, ROWS.astype(np.float64)), TypeError, ("float64",)),
        (lambda: kernels.gather_rows(X, ROWS, dtype="float64"), TypeError, ("float32",)),
        (lambda: kernels.gather_rows(X, ROWS[None]), ValueError, ("(1, 2)",)),
        (lambda: kernels.reduce_sum(X, 2), ValueError, ("2",)),
        (lambda: kernels.reduce_sum(X[None], 0), ValueError, ("(1, 6, 3)",)),
        (lambda: kernels.reduce_max(X, -3), ValueError, ("-3",)),
        (lambda: kernels.reduce_sum(X[:, ::2]), ValueError, ("contiguous",)),
        (lambda: kernels.reduce_sum(X.astype(np.int32)), TypeError, ("int32",)),
        (lambda: kernels.add(X, X[:3]), ValueError, ("(6, 3)", "(3, 3)")),
        (lambda: kernels.multiply(X, X.astype(np.float64)), TypeError, ("float64",)),
        (lambda: kernels.sgd_update(P, P[:3]), ValueError, ("(4,)", "(3,)")),
        (lambda: kernels.sgd_update(P, P.copy(), None, 0.1, 0.9), ValueError, ("velocity",)),
        (lambda: kernels.adam_update(P, P.copy(), P.copy(), P[:2].copy()), ValueError, ("(4,)", "(2,)")),
        (lambda: kernels.adam_update(P, P.copy(), P.copy(), P.copy(), step=0), ValueError, ("step",)),
        (lambda: kernels.adam_update(P, P.astype(np.float64), P.copy(), P.copy()), TypeError, ("float64",)),
    ],
)
def test_bad_calls_say_what_is_wrong(call: Callable[[], object], error: type, words: tuple[str, ...]) -> None:
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


def test_read_only_parameters_are_refused() -> None:
    fixed = np.ones(4)
    fixed.flags.writeable = False
    with pytest.raises(ValueError, match=r"read-only|writable|writeable"):
        kernels.sgd_update(fixed, np.ones(4))
    with pytest.raises(ValueError, match=r"read-only|writable|writeable"):
        kernels.adam_update(np.ones(4), np.ones(4), fixed, np.ones(4))


OUTSIDE = {
    "learning_rate": (-0.1, np.nan, np.inf),
    "momentum": (-0.1, 1.0, np.nan),
    "beta_1": (-0.1, 1.0, np.nan),
    "beta_2": (-0.1, 1.0, np.nan),
    "epsilon": (0.0, 1e-40, -1e-7, np.nan, np.inf),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_an_update_refuses_numbers_out_of_range(name: str) -> None:
    """Before it writes: 1 - beta and sqrt(v) + epsilon are divisors."""
    update, count = (kernels.sgd_update, 3) if name == "momentum" else (kernels.adam_update, 4)
    for value in OUTSIDE[name]:
        vectors = [np.ones(3) for _ in range(count)]
        with pytest.raises(ValueError, match=f"{name}.*, got {value:g}".replace("+", r"\+")):
            update(*vectors, **{name: value})
        assert all((vector == 1).all() for vector in vectors)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("epsilon", [1e-7, 1.2e-38])
def test_the_first_step_of_adam_is_no_larger_than_the_rate(epsilon: float, dtype: str) -> None:
    """rate g / (|g| + epsilon), whatever g is; 0 where its square overflows."""
    sizes = [
        0.0,
        1e-35,
        1e-10,
        1.0,
        1e10,
        1e18,
        1e19,
        1e25,
        1e35,
        1e38,
        *([1e40, 1e100, 1e200] if dtype == "float64" else []),
    ]
    for g in (np.array(sizes, dtype), -np.array(sizes, dtype)):
        p, m, v = (np.zeros(len(g), dtype) for _ in range(3))
        kernels.adam_update(p, g, m, v, learning_rate=1e-3, epsilon=epsilon)
        wide = g.astype(np.float64)
        with np.errstate(over="ignore"):
            square = (g * g).astype(np.float64)
        exact = np.where(np.isinf(square), 0, 1e-3 * wide / (np.abs(wide) + epsilon))
        # Where the square is subnormal or 0, the root is too small: v takes a thousandth of it.
        known = (square > 1e4 * tiny(dtype)) | np.isinf(square) | (g == 0)
        assert_close(p[known], -exact[known], 1e-3 * 16 * eps(dtype))
        assert np.isfinite(p).all()
