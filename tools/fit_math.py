"""Print the constants and tables of math.h, trigonometry.h and power.h in csrc/simd: python tools/fit_math.py.

Each table is the minimax polynomial of a smooth function on an interval, under a weight that turns its error into the
relative error of the final result. It comes from Remez's exchange algorithm on a fine Chebyshev grid in 60-digit
arithmetic (Muller, Elementary Functions, 3rd ed. 2016, doi 10.1007/978-1-4899-7983-4, chapter 3), and its coefficients
are rounded to the type at the end. The error printed with a table is the largest weighted error after that rounding,
in units of 2^-24 (float) or 2^-53 (double): half an ULP of 1.

Needs mpmath and numpy, which are in the extra "dev" of the package or come with it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from mpmath import matrix, mp, mpf  # type: ignore[import-untyped]

mp.dps = 60
Function = Callable[[mpf], mpf]
TYPES = {"float": np.float32, "double": np.float64}
BITS = {"float": 24, "double": 53}


@dataclass(frozen=True)
class Fit:
    """Minimize the largest |weight (function - polynomial)| on [low, high]."""

    table: str
    degree: int
    function: Function
    weight: Function
    low: mpf
    high: mpf
    leading: mpf | None = None
    """A constant that the function leaves out: it is added last, for one rounding in effect."""


def rounded(value: mpf, type_name: str) -> mpf:
    """The number of the type nearest to value, in its normal range."""
    _, exponent = mp.frexp(value)
    unit = mpf(2) ** (exponent - BITS[type_name])
    return mp.nint(value / unit) * unit


def literal(value: mpf, type_name: str) -> str:
    """The shortest C++ literal that reads back as value, a number of the type."""
    return str(TYPES[type_name](float(value))) + ("f" if type_name == "float" else "")


def alternation(errors: list[mpf], count: int) -> list[int]:
    """Indices of count extrema with alternating signs: one to each run of a sign, the smaller end runs dropped."""
    peaks: list[int] = []
    for i, error in enumerate(errors):
        if not peaks or (errors[peaks[-1]] > 0) != (error > 0):
            peaks.append(i)
        elif abs(error) > abs(errors[peaks[-1]]):
            peaks[-1] = i
    while len(peaks) > count:
        peaks.pop(0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1)
    return peaks


def remez(fit: Fit, type_name: str) -> tuple[list[mpf], mpf]:
    """Coefficients, lowest power first, rounded to the type; the largest weighted error they leave."""
    count = fit.degree + 2
    points = 40 * count
    middle, radius = (fit.low + fit.high) / 2, (fit.high - fit.low) / 2
    grid = [middle - radius * mp.cos(mp.pi * (2 * i + 1) / (2 * points)) for i in range(points)]
    values = [fit.function(x) for x in grid]
    weights = [abs(fit.weight(x)) for x in grid]

    def weighted_errors(coefficients: list[mpf]) -> list[mpf]:
        fitted = [mp.polyval(coefficients[::-1], x) for x in grid]
        return [w * (y - p) for w, y, p in zip(weights, values, fitted, strict=True)]

    reference = [(2 * i + 1) * points // (2 * count) for i in range(count)]
    for _ in range(30):
        system = matrix(count, count)
        for row, i in enumerate(reference):
            for power in range(count - 1):
                system[row, power] = grid[i] ** power
            system[row, count - 1] = (-1) ** row / weights[i]
        coefficients = list(mp.lu_solve(system, matrix([values[i] for i in reference])))[:-1]
        peaks = alternation(weighted_errors(coefficients), count)
        if peaks == reference:
            break
        reference = peaks
    coefficients = [rounded(c, type_name) for c in coefficients]
    return coefficients, max(abs(error) for error in weighted_errors(coefficients))


def exponential_fits(exp_degree: int, log_degree: int, tanh_degree: int) -> list[Fit]:
    """The tables Exp, Log and Tanh."""
    # A little wider than ln(2)/2, for the rounding of x / ln(2) before it is rounded to an integer.
    half = mp.log(2) / 2 * mpf("1.0001")
    return [
        # exp(r) = 1 + r + r^2 Exp(r)
        Fit("Exp", exp_degree, lambda r: (mp.expm1(r) - r) / r**2, lambda r: r**2 / mp.exp(r), -half, half),
        # log(1 + f) = f + f^2 Log(f)
        Fit(
            "Log",
            log_degree,
            lambda f: (mp.log1p(f) - f) / f**2,
            lambda f: f**2 / mp.log1p(f),
            mp.sqrt(mpf(1) / 2) - 1,
            mp.sqrt(2) - 1,
        ),
        # tanh(x) = x + x^3 Tanh(x^2), z = x^2
        Fit(
            "Tanh",
            tanh_degree,
            lambda z: (mp.tanh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z,
            lambda z: z * mp.sqrt(z) / mp.tanh(mp.sqrt(z)),
            mpf(0),
            mpf(25) / 64,
        ),
    ]


def erf_fit(degree: int, limit: int, slope: mpf) -> Fit:
    """The table Erf: log(1 - erf(a)) = a (slope + Erf(a)), slope the derivative at 0."""
    return Fit(
        "Erf",
        degree,
        lambda a: mp.log(mp.erfc(a)) / a - slope,
        lambda a: a * mp.erfc(a) / mp.erf(a),
        mpf(0),
        mpf(limit),
        slope,
    )


def normal_fit(degree: int, limit: mpf, slope: mpf) -> Fit:
    """The table Normal: Phi(-a) = exp(-a^2 / 2) (1/2 + u Normal(u)), u = a slope / (1 + a slope), a <= limit."""

    def share(u: mpf) -> mpf:  # Phi(-a) / exp(-a^2 / 2)
        a = u / (1 - u) / slope
        return mp.erfc(a / mp.sqrt(2)) / 2 * mp.exp(a**2 / 2)

    return Fit(
        "Normal",
        degree,
        lambda u: (share(u) - mpf(1) / 2) / u,
        lambda u: u,
        mpf(0),
        limit * slope / (1 + limit * slope),
    )


def turn_fits(sine_degree: int, cosine_degree: int, turn: mpf) -> list[Fit]:
    """The tables Sine and Cosine: sin(2 pi x) = x (turn + Sine(z)), cos(2 pi x) = 1 + z Cosine(z), z = x^2."""

    def angle(z: mpf) -> mpf:
        return 2 * mp.pi * mp.sqrt(z)

    return [
        Fit(
            "Sine",
            sine_degree,
            lambda z: mp.sin(angle(z)) / mp.sqrt(z) - turn,
            lambda z: mp.sqrt(z) / mp.sin(angle(z)),
            mpf(0),
            mpf(1) / 64,
            turn,
        ),
        Fit(
            "Cosine",
            cosine_degree,
            lambda z: (mp.cos(angle(z)) - 1) / z,
            lambda z: z / mp.cos(angle(z)),
            mpf(0),
            mpf(1) / 64,
        ),
    ]


def radian_fits(sine_degree: int, cosine_degree: int) -> list[Fit]:
    """The tables Sin and Cos: sin(r) = r + r^3 Sin(z), cos(r) = 1 - z/2 + z^2 Cos(z), z = r^2, |r| <= pi/4."""
    limit = (mp.pi / 4 * mpf("1.0001")) ** 2
    return [
        Fit(
            "Sin",
            sine_degree,
            lambda z: (mp.sin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z,
            lambda z: z * mp.sqrt(z) / mp.sin(mp.sqrt(z)),
            mpf(0),
            limit,
        ),
        Fit(
            "Cos",
            cosine_degree,
            lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2,
            lambda z: z**2 / mp.cos(mp.sqrt(z)),
            mpf(0),
            limit,
        ),
    ]


def ratio_fit(degree: int) -> Fit:
    """The table Ratio: log((1 + s) / (1 - s)) = 2 s + s^3 (2/3 + z Ratio(z)), z = s^2, up to a quotient of sqrt(2)."""
    return Fit(
        "Ratio",
        degree,
        lambda z: (2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 2 - 2 * z / 3) / z**2,
        lambda z: z**2 * mp.sqrt(z) / (2 * mp.atanh(mp.sqrt(z))),
        mpf(0),
        ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1) * mpf("1.0001")) ** 2,
    )


def print_words(words: int) -> None:
    """Print 2 / pi as words of 32 bits after the point, and pi / 2 in three parts, the first two of 33 bits."""
    bits = int(mp.floor(2 / mp.pi * mpf(2) ** (32 * words)))
    digits = ", ".join(f"0x{bits >> 32 * i & 0xFFFFFFFF:08x}" for i in reversed(range(words)))
    print(textwrap.fill(digits, 100))
    rest = mp.pi / 2
    for name, place in (("high", 32), ("middle", 65)):
        part = mp.floor(rest * mpf(2) ** place) / mpf(2) ** place
        rest -= part
        print(f"  static constexpr double {name} = {float(part).hex()};")
    print(f"  static constexpr double low = {float(rest).hex()};")


def print_constants(type_name: str, ln2_bits: int) -> None:
    """Print the constants of the reductions; ln2_high has ln2_bits bits, so that exponent * ln2_high is exact."""
    ln2_high = mp.floor(mp.log(2) * 2**ln2_bits) / 2**ln2_bits
    constants = {"log2_e": 1 / mp.log(2), "ln2_high": ln2_high, "ln2_low": mp.log(2) - ln2_high, "sqrt2": mp.sqrt(2)}
    for name, value in constants.items():
        print(f"  static constexpr {type_name} {name} = {literal(rounded(value, type_name), type_name)};")


def print_table(fit: Fit, type_name: str) -> None:
    """Print one table, which clang-format lays out in math.h."""
    coefficients, error = remez(fit, type_name)
    print(f"\n{fit.table}Table<{type_name}>, error {mp.nstr(error * mpf(2) ** BITS[type_name], 2)}")
    if fit.leading is not None:
        print(f"  static constexpr {type_name} leading = {literal(fit.leading, type_name)};")
    numbers = ", ".join(literal(c, type_name) for c in coefficients)
    indent = " " * 6
    print(f"  static constexpr {type_name} c[] = {{")
    print(textwrap.fill(numbers + "};", 100, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False))


def main() -> None:
    """Print everything, float first."""
    for type_name, ln2_bits, exponential, erf, normal, turn in (
        ("float", 16, (4, 8, 5), (8, 4), (7, mpf("13.3")), (3, 3)),
        ("double", 42, (9, 20, 12), (23, 6), (21, mpf(38)), (7, 7)),
    ):
        print_constants(type_name, ln2_bits)
        fits = exponential_fits(*exponential)
        fits.append(erf_fit(*erf, rounded(-2 / mp.sqrt(mp.pi), type_name)))
        fits.append(normal_fit(*normal, mpf("0.3")))
        fits.extend(turn_fits(*turn, rounded(2 * mp.pi, type_name)))
        for fit in fits:
            print_table(fit, type_name)
        print()
    mp.dps = 400
    print_words(37)
    mp.dps = 60
    # Computed in double, for results of float and of double.
    exp, log, _ = exponential_fits(5, 12, 0)
    for fit in (*radian_fits(3, 3), log, exp, *radian_fits(5, 5), ratio_fit(7)):
        print_table(fit, "double")


if __name__ == "__main__":
    main()
