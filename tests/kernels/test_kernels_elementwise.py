"""Element-wise functions beyond the kernel table: errors in units in the last place, limits, exactness, conventions."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from kernel_cases import DTYPES, Array

from nnfast import _core, kernels

dtypes = pytest.mark.parametrize("dtype", DTYPES)

# Units in the last place, a little above what was measured (simd/trigonometry.h, simd/power.h).
LARGEST_ERROR = {
    "float32": {"sin": 0.501, "cos": 0.501, "power": 0.51},
    "float64": {"sin": 0.8, "cos": 0.8, "power": 1.3},
}


def _largest_error(got: Array, exact: list[Any]) -> float:
    """In units in the last place, against numbers of mpmath, all in the normal range of got's dtype."""
    mpmath = pytest.importorskip("mpmath")
    units = np.spacing(np.abs(np.array([float(value) for value in exact])).astype(got.dtype)).astype(np.float64)
    distances = [float(abs(mpmath.mpf(float(g)) - e)) for g, e in zip(got, exact, strict=True)]
    return float((np.array(distances) / units).max())


@dtypes
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_errors_of_sine_and_cosine(name: str, dtype: str, rng: np.random.Generator) -> None:
    """Of all magnitudes, near multiples of pi / 2, and of the double that is closest to one."""
    mpmath = pytest.importorskip("mpmath")
    highest = float(np.log(np.finfo(dtype).max))
    x = np.concatenate(
        [rng.uniform(-8, 8, 500), np.exp(rng.uniform(-20, highest, 1000)), np.exp(rng.uniform(0, 15, 500))]
    )
    near = np.arange(1, 100) * np.pi / 2
    hard = [6381956970095103.0 * 2.0**797, 1e22] if dtype == "float64" else [1e22]
    x = np.concatenate([x, -x[::7], near, near * 2.0**20, hard]).astype(dtype)
    with mpmath.workprec(1300):
        exact = [getattr(mpmath, name)(mpmath.mpf(float(value))) for value in x]
        assert _largest_error(kernels.unary_forward(name, x), exact) <= LARGEST_ERROR[dtype][name]


@dtypes
def test_errors_of_power(dtype: str, rng: np.random.Generator) -> None:
    """Results of all magnitudes; bases of all magnitudes and close to 1."""
    mpmath = pytest.importorskip("mpmath")
    highest = float(np.log(np.finfo(dtype).max))
    size = 800
    a = np.concatenate(
        [np.exp(rng.uniform(-highest, highest, size)), rng.uniform(0.5, 2, size), 1 + rng.uniform(-1e-3, 1e-3, size)]
    ).astype(dtype)
    logs = np.abs(np.log(a.astype(np.float64))) + 1e-30
    b = (rng.uniform(-0.98, 0.98, a.size) * np.minimum(highest / logs, 1e15)).astype(dtype)
    with mpmath.workprec(200):
        exact = [mpmath.power(mpmath.mpf(float(u)), mpmath.mpf(float(v))) for u, v in zip(a, b, strict=True)]
        assert _largest_error(kernels.binary_forward("power", a, b), exact) <= LARGEST_ERROR[dtype]["power"]


def _special_numbers(dtype: str) -> list[float]:
    info = np.finfo(dtype)
    whole = 2.0 ** (info.nmant + 1)
    positive = [0.0, float(info.smallest_subnormal), float(info.tiny), 0.3, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    positive += [whole / 2 - 0.5, whole - 1, whole, whole + 2, float(info.max), np.inf]
    return [*positive, *(-value for value in positive), np.nan]


def _special_pairs(dtype: str) -> tuple[Array, Array]:
    pairs = np.array(list(product(_special_numbers(dtype), repeat=2)), dtype)
    return pairs[:, 0].copy(), pairs[:, 1].copy()


@dtypes
def test_power_has_the_limits_of_c99(dtype: str) -> None:
    a, b = _special_pairs(dtype)
    got = kernels.binary_forward("power", a, b)
    with np.errstate(all="ignore"):
        exact = np.power(a.astype(np.float64), b.astype(np.float64)).astype(dtype)
    special = ~np.isfinite(exact) | (exact == 0) | (np.abs(exact) == 1)
    np.testing.assert_array_equal(got[special], exact[special])
    np.testing.assert_array_equal(
        np.signbit(got[special & ~np.isnan(exact)]), np.signbit(exact[special & ~np.isnan(exact)])
    )
    np.testing.assert_allclose(got[~special], exact[~special], rtol=2 * np.finfo(dtype).eps, atol=0)


@dtypes
@pytest.mark.parametrize("name", ["floor_divide", "mod"])
def test_division_with_remainder_of_special_numbers(name: str, dtype: str) -> None:
    a, b = _special_pairs(dtype)
    got = kernels.binary_forward(name, a, b)
    with np.errstate(all="ignore"):
        exact = getattr(np, name)(a, b)
    # NumPy rounds quotients that have no fractional digits more than once.
    large = np.isfinite(exact) & (np.abs(exact) >= 2.0 ** np.finfo(dtype).nmant)
    np.testing.assert_array_equal(got[~large], exact[~large])
    np.testing.assert_allclose(got[large], exact[large], rtol=np.finfo(dtype).eps, atol=0)
    signed = ~np.isnan(exact)
    np.testing.assert_array_equal(np.signbit(got[signed]), np.signbit(exact[signed]))


@dtypes
def test_remainders_are_exact(dtype: str, rng: np.random.Generator) -> None:
    """The sign of a and b makes no difference to how; quotients up to 2^200 (2^1900)."""
    highest = 0.49 * float(np.log(np.finfo(dtype).max))
    a, b = np.exp(rng.uniform(-highest, highest, (2, 4000))).astype(dtype)
    b[::2] = (a[::2] * rng.uniform(1e-4, 2, b[::2].size)).astype(dtype)
    b[::5] = (a[::5] / rng.integers(1, 9, b[::5].size)).astype(dtype)  # quotients that are nearly whole
    np.testing.assert_array_equal(kernels.binary_forward("mod", a, b), np.fmod(a, b))
    np.testing.assert_array_equal(kernels.binary_forward("mod", -a, -b), -np.fmod(a, b))


@dtypes
@pytest.mark.parametrize("name", ["floor", "ceil", "round"])
def test_rounding(name: str, dtype: str, rng: np.random.Generator) -> None:
    numbers = np.array(_special_numbers(dtype) + [i / 2 for i in range(-9, 10)])
    x = np.concatenate([numbers, rng.uniform(-9, 9, 1000), np.nextafter(numbers.astype(dtype), 0)]).astype(dtype)
    got, exact = kernels.unary_forward(name, x), getattr(np, name)(x)
    np.testing.assert_array_equal(got, exact)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(exact))


@dtypes
@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("sin", [np.inf, -np.inf, np.nan], [np.nan, np.nan, np.nan]),
        ("cos", [np.inf, -np.inf, np.nan, 0.0, -0.0], [np.nan, np.nan, np.nan, 1, 1]),
        ("abs", [-np.inf, -0.0, np.nan], [np.inf, 0, np.nan]),
        ("sign", [-np.inf, -0.0, 0.0, 3.0, np.nan], [-1, 0, 0, 1, np.nan]),
        ("sqrt", [-1.0, 0.0, np.inf, np.nan], [np.nan, 0, np.inf, np.nan]),
        ("rsqrt", [-1.0, 0.0, np.inf, np.nan], [np.nan, np.inf, 0, np.nan]),
        ("reciprocal", [0.0, -0.0, np.inf], [np.inf, -np.inf, 0]),
        ("logical_not", [0.0, -0.0, 0.5, np.nan], [1, 1, 0, 0]),
        ("is_finite", [1.0, np.inf, -np.inf, np.nan], [1, 0, 0, 0]),
        ("is_nan", [1.0, np.inf, -np.inf, np.nan], [0, 0, 0, 1]),
    ],
)
def test_limits(name: str, x: list[float], expected: list[float], dtype: str) -> None:
    np.testing.assert_array_equal(kernels.unary_forward(name, np.array(x, dtype)), np.array(expected, dtype))


@dtypes
def test_sine_of_small_numbers_is_the_number(dtype: str) -> None:
    x = np.array([-0.0, 0.0, np.finfo(dtype).smallest_subnormal, np.finfo(dtype).tiny, -1e-12], dtype)
    y = kernels.unary_forward("sin", x)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(np.signbit(y), np.signbit(x))


@dtypes
def test_comparisons_and_logic_of_nan(dtype: str) -> None:
    a, b = np.array([np.nan, 1.0, np.nan], dtype), np.array([1.0, np.nan, np.nan], dtype)
    for name in _core.binary_names():
        got = kernels.binary_forward(name, a, b)
        if name.startswith("logical"):
            expected = np.zeros(3) if name == "logical_xor" else np.ones(3)  # NaN is true
        elif name in ("equal", "less", "less_equal", "greater", "greater_equal"):
            expected = np.zeros(3)
        elif name == "not_equal":
            expected = np.ones(3)
        elif name == "power":
            expected = np.array([np.nan, 1.0, np.nan])  # 1 to whatever power
        else:
            expected = np.full(3, np.nan)
        np.testing.assert_array_equal(got, expected.astype(dtype), err_msg=name)


@dtypes
def test_gradients_at_kinks_and_limits(dtype: str) -> None:
    one = np.ones(1, dtype)

    def slope(name: str, x: float) -> float:
        x_array = np.array([x], dtype)
        return float(kernels.unary_backward(name, one, x_array, kernels.unary_forward(name, x_array))[0])

    def slopes(name: str, a: float, b: float) -> tuple[float, ...]:
        arrays = np.array([a], dtype), np.array([b], dtype)
        found = kernels.binary_backward(name, one, *arrays, kernels.binary_forward(name, *arrays))
        return tuple(float(gradient[0]) for gradient in found)

    assert slope("abs", 0.0) == 0
    assert slope("sqrt", 0.0) == np.inf
    assert slopes("maximum", 2.0, 2.0) == slopes("minimum", 2.0, 2.0) == (1, 0)
    assert slopes("power", 0.0, 0.0) == slopes("power", 0.0, 2.0) == (0, 0)
    assert slopes("power", 0.0, 1.0) == (1, 0)
    assert slopes("power", 3.0, 0.0)[0] == 0
    np.testing.assert_array_equal(slopes("power", -2.0, 3.0), (12, np.nan))
    assert slopes("mod", -7.0, 3.0) == (1, 3)
    assert np.isnan(slope("abs", np.nan))


@dtypes
def test_an_element_does_not_depend_on_its_place(dtype: str, rng: np.random.Generator) -> None:
    """Even where single elements take another way: large angles, multiples of pi / 2, large quotients."""
    a = rng.uniform(0.1, 5, 103).astype(dtype)
    a[5::7], a[3::11] = 1e30, np.pi
    b = rng.uniform(0.1, 5, 103).astype(dtype)
    functions = [lambda i, name=name: kernels.unary_forward(name, a[i]) for name in _core.unary_names()]
    functions += [lambda i, name=name: kernels.binary_forward(name, a[i], b[i]) for name in _core.binary_names()]
    for function in functions:
        whole = function(slice(None))
        for i in (1, 5, 50, 102):
            np.testing.assert_array_equal(function(slice(i, None)), whole[i:])
            np.testing.assert_array_equal(function(slice(i, i + 1)), whole[i : i + 1])


def test_unknown_functions() -> None:
    x, out = np.ones(2), np.empty(2)
    with pytest.raises(ValueError, match="unknown function 'sine'; did you mean 'sin'"):
        kernels.unary_forward("sine", x)
    with pytest.raises(ValueError, match=r"unknown function 'plus'.* valid names: add, "):
        kernels.binary_backward("plus", x, x, x, x)
    with pytest.raises(TypeError, match=r"expected a pair of arrays \(da, db\)"):
        kernels.binary_backward("add", x, x, x, x, x)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="db: expected an array that does not overlap da"):
        kernels.binary_backward("add", x, x, x, x, (out, out))
