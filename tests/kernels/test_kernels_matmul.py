"""The matrix product's contract: exact chains of fma, memory layouts, epilogues, errors."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import DTYPES, FMA_ISAS, Array, aligned, assert_close, eps
from reference.matmul import matmul_error_bound, matmul_fma_chain

from nnfast import kernels

dtypes = pytest.mark.parametrize("dtype", DTYPES)


@pytest.fixture
def needs_fma(isa: str) -> None:
    if isa not in FMA_ISAS:
        pytest.skip(f"{isa} has no fused multiply-add: its products are rounded twice")


@dtypes
@pytest.mark.usefixtures("needs_fma")
@pytest.mark.parametrize(
    ("m", "n", "k"),
    # The tall and narrow ones are made transposed: C^T = B^T A^T.
    [(1, 3, 40), (3, 1, 40), (7, 5, 12), (2, 40, 9), (50, 3, 5), (3, 2, 390), (67, 1, 33), (67, 3, 33), (130, 10, 19)],
)
def test_every_element_is_one_chain_of_fma(dtype: str, m: int, n: int, k: int, rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    bias, out = rng.standard_normal(n).astype(dtype), rng.standard_normal((m, n)).astype(dtype)
    from_bias = matmul_fma_chain(a, b, np.tile(bias, (m, 1)))
    np.testing.assert_array_equal(kernels.matmul(a, b, bias=bias), from_bias)
    from_zero = matmul_fma_chain(a, b, np.zeros((m, n), dtype))
    np.testing.assert_array_equal(kernels.matmul(a, b), from_zero)
    np.testing.assert_array_equal(kernels.matmul(a.T.copy(), b, transpose_a=True), from_zero)
    np.testing.assert_array_equal(kernels.matmul(a, b.T.copy(), transpose_b=True), from_zero)
    from_out = matmul_fma_chain(a, b, out)
    np.testing.assert_array_equal(kernels.matmul(a, b, out, accumulate=True), from_out)


@dtypes
def test_a_row_alone_has_the_bits_of_a_row_in_a_batch(dtype: str, rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((100, 401)).astype(dtype), rng.standard_normal((401, 67)).astype(dtype)
    bias = rng.standard_normal(67).astype(dtype)
    whole = kernels.matmul(a, b, bias=bias, activation="gelu")
    for rows in (slice(0, 1), slice(99, 100), slice(3, 10), slice(40, 95)):
        part = kernels.matmul(a[rows], b, bias=bias, activation="gelu")
        np.testing.assert_array_equal(part, whole[rows])
    np.testing.assert_array_equal(kernels.matvec(b, a[5], transpose=True), kernels.matmul(a, b)[5])


@dtypes
def test_a_result_larger_than_the_caches(dtype: str, rng: np.random.Generator) -> None:
    """From 16 MB on it is written past them, where its rows begin at multiples of 64 bytes."""
    itemsize, columns = np.dtype(dtype).itemsize, 144
    rows = 17 * 2**20 // (columns * itemsize)
    a, b = rng.standard_normal((rows, 5)).astype(dtype), rng.standard_normal((5, columns)).astype(dtype)
    bias = rng.standard_normal(columns).astype(dtype)
    out = aligned((rows, columns), dtype)
    kernels.matmul(a, b, out, bias=bias, activation="relu")
    some = slice(rows // 2 - 500, rows // 2 + 500)
    np.testing.assert_array_equal(out[some], kernels.matmul(a[some], b, bias=bias, activation="relu"))
    exact = a.astype(np.float64) @ b.astype(np.float64) + bias
    size = np.abs(a.astype(np.float64)) @ np.abs(b.astype(np.float64)) + np.abs(bias)
    assert_close(out, np.maximum(exact, 0), 7 * eps(dtype) * size)


@dtypes
@pytest.mark.parametrize("m", [512, 530])
def test_columns_of_a_in_several_blocks(dtype: str, m: int, rng: np.random.Generator) -> None:
    """Rows 2048 bytes apart, or a multiple of it, compete for the caches' sets: they are copied, block by block."""
    a, b = rng.standard_normal((m, 1043)).astype(dtype), rng.standard_normal((1043, 801)).astype(dtype)
    got = kernels.matmul(a.T.copy(), b, transpose_a=True)
    assert_close(got, a.astype(float) @ b.astype(float), matmul_error_bound(a, b, 0.0, eps(dtype)))
    np.testing.assert_array_equal(got, kernels.matmul(a, b))


@dtypes
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("m", "k", "n"), [(96, 5, 64), (97, 63, 72), (101, 64, 128), (50, 530, 512), (520, 1100, 80)])
def test_panels_of_b_that_the_first_tile_copies(
    dtype: str, transposed: bool, m: int, k: int, n: int, rng: np.random.Generator
) -> None:
    """B in whole panels and a narrower last one, in one block of k and several: bits and truth, row by row."""
    b = aligned((k, n), dtype)
    b[...] = rng.standard_normal((k, n))
    a = rng.standard_normal((m, k)).astype(dtype)
    got = kernels.matmul(a.T.copy(), b, transpose_a=True) if transposed else kernels.matmul(a, b)
    assert_close(got, a.astype(float) @ b.astype(float), matmul_error_bound(a, b, 0.0, eps(dtype)))
    for row in {0, 1, 5, 6, 7, m // 2, m - 1}:
        np.testing.assert_array_equal(got[row], kernels.matvec(b, a[row], transpose=True))


@dtypes
def test_fused_epilogue_has_the_bits_of_separate_calls(dtype: str, rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((61, 33)).astype(dtype), rng.standard_normal((33, 45)).astype(dtype)
    bias = rng.standard_normal(45).astype(dtype)
    for columns in (45, 3):
        narrow = np.ascontiguousarray(b[:, :columns])
        plain = kernels.matmul(a, narrow, bias=bias[:columns])
        for activation in ("relu", "tanh", "leaky_relu", "silu"):
            fused = kernels.matmul(a, narrow, bias=bias[:columns], activation=activation)
            np.testing.assert_array_equal(fused, kernels.activation_forward(activation, plain))


def _matrix(rng: np.random.Generator, rows: int, columns: int, layout: str, dtype: str) -> Array:
    """Return a (rows, columns) matrix in one of the layouts that are used without a copy."""
    if layout == "contiguous":
        return rng.standard_normal((rows, columns)).astype(dtype)
    if layout == "columns of a wider one":
        return rng.standard_normal((rows, columns + 3)).astype(dtype)[:, 1 : columns + 1]
    if layout == "every other row":
        return rng.standard_normal((2 * rows, columns)).astype(dtype)[::2]
    if layout == "transposed":
        return rng.standard_normal((columns, rows)).astype(dtype).T
    return rng.standard_normal((columns, rows + 2)).astype(dtype)[:, 1 : rows + 1].T


LAYOUTS = ("contiguous", "columns of a wider one", "every other row", "transposed", "transposed part")
SIZES = st.integers(0, 40)


@given(
    m=SIZES,
    n=SIZES,
    k=SIZES,
    layout_a=st.sampled_from(LAYOUTS),
    layout_b=st.sampled_from(LAYOUTS),
    transposed=st.tuples(st.booleans(), st.booleans()),
    dtype=st.sampled_from(DTYPES),
)
def test_any_shape_and_layout(
    m: int, n: int, k: int, layout_a: str, layout_b: str, transposed: tuple[bool, bool], dtype: str
) -> None:
    rng = np.random.default_rng([m, n, k])
    a = _matrix(rng, *((k, m) if transposed[0] else (m, k)), layout_a, dtype)
    b = _matrix(rng, *((n, k) if transposed[1] else (k, n)), layout_b, dtype)
    left, right = (a.T if transposed[0] else a), (b.T if transposed[1] else b)
    got = kernels.matmul(a, b, transpose_a=transposed[0], transpose_b=transposed[1])
    assert got.dtype == a.dtype
    assert_close(got, left.astype(float) @ right, matmul_error_bound(left, right, 0.0, eps(dtype)))
    # The layout does not change the bits.
    np.testing.assert_array_equal(got, kernels.matmul(np.ascontiguousarray(left), np.ascontiguousarray(right)))


@dtypes
@pytest.mark.parametrize(("m", "n", "k"), [(0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0)])
def test_empty_dimensions(dtype: str, m: int, n: int, k: int) -> None:
    a, b = np.ones((m, k), dtype), np.ones((k, n), dtype)
    np.testing.assert_array_equal(kernels.matmul(a, b), np.zeros((m, n)))
    bias = np.arange(n, dtype=dtype) - 1
    got = kernels.matmul(a, b, np.full((m, n), np.nan, dtype), bias=bias, activation="relu")
    np.testing.assert_array_equal(got, np.tile(np.maximum(bias, 0), (m, 1)))
    out = np.full((m, n), 7, dtype)
    np.testing.assert_array_equal(kernels.matmul(a, b, out, accumulate=True), np.full((m, n), 7))


@dtypes
def test_out_is_returned(dtype: str, rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((5, 4)).astype(dtype), rng.standard_normal((4, 6)).astype(dtype)
    out = np.empty((5, 6), dtype)
    assert kernels.matmul(a, b, out) is out
    np.testing.assert_array_equal(out, kernels.matmul(a, b))
    with pytest.raises(ValueError, match="contiguous"):
        kernels.matmul(a, b, np.empty((5, 9), dtype)[:, 2:8])


@dtypes
def test_nan_and_infinity_reach_what_they_touch(dtype: str) -> None:
    a, b = np.ones((3, 4), dtype), np.ones((4, 5), dtype)
    a[1, 2] = np.nan
    b[0, 3] = np.inf
    for activation in ("identity", "relu", "tanh"):
        got = kernels.matmul(a, b, activation=activation)
        assert np.isnan(got[1]).all()
        limit = 1 if activation == "tanh" else np.inf
        assert (got[[0, 2], 3] == limit).all()
        assert np.isfinite(got[[0, 2]][:, [0, 1, 2, 4]]).all()


A, B = np.ones((3, 4), np.float32), np.ones((4, 5), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: kernels.matmul(A, A), ValueError, ("(3, 4)",)),
        (lambda: kernels.matmul(A, B, np.ones((3, 4), np.float32)), ValueError, ("(3, 5)", "(3, 4)")),
        (lambda: kernels.matmul(A, B.astype(np.float64)), TypeError, ("float32", "float64")),
        (lambda: kernels.matmul(A.astype(np.int64), B.astype(np.int64)), TypeError, ("int64",)),
        (lambda: kernels.matmul(A, B, np.ones((3, 5))), TypeError, ("float64",)),
        (lambda: kernels.matmul(A[0], B), ValueError, ("(4,)",)),
        (lambda: kernels.matmul(A[None], B), ValueError, ("(1, 3, 4)",)),
        (lambda: kernels.matmul(np.ones((6, 8), np.float32)[::2, ::2], B), ValueError, ("contiguous",)),
        (lambda: kernels.matmul(A[::-1], B), ValueError, ()),
        (lambda: kernels.matmul(A, B, bias=np.ones(4, np.float32)), ValueError, ("(5,)", "(4,)")),
        (lambda: kernels.matmul(A, B, activation="rleu"), ValueError, ("rleu", "relu")),
        (lambda: kernels.matmul(A, B, activation="softmax"), ValueError, ("softmax",)),
        (lambda: kernels.matmul(A, B, accumulate=True), ValueError, ("out",)),
        (
            lambda: kernels.matmul(A, B, np.ones((3, 5), "f"), accumulate=True, activation="relu"),
            ValueError,
            ("accumulate", "'relu'"),
        ),
        (lambda: kernels.matvec(A, B), ValueError, ("(K,)",)),
        (lambda: kernels.matvec(A, B[0]), ValueError, ("5",)),
    ],
)
def test_bad_calls_say_what_is_wrong(call: Callable[[], object], error: type, words: tuple[str, ...]) -> None:
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


def test_read_only_and_overlapping_outputs_are_refused() -> None:
    square = np.ones((4, 4), np.float32)
    fixed = np.zeros((4, 4), np.float32)
    fixed.flags.writeable = False
    with pytest.raises(ValueError, match=r"read-only|writable|writeable"):
        kernels.matmul(square, square, fixed)
    with pytest.raises(ValueError, match="overlap"):
        kernels.matmul(square, square.copy(), square)
    rows = np.ones((6, 4), np.float32)
    with pytest.raises(ValueError, match="overlap"):
        kernels.matmul(square, rows[:4], rows[2:])
    assert (fixed == 0).all()
    assert (square == 1).all()
    assert (rows == 1).all()
