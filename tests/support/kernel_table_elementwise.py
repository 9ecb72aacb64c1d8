"""The rows of the element-wise functions in the table of kernel tests."""

from collections.abc import Callable, Iterator

import numpy as np
from kernel_cases import Array, Check, Workbench, tiny
from reference.elementwise import BINARY, UNARY, binary, binary_backward, unary, unary_backward

from nnfast import kernels

POSITIVE = {"sqrt", "rsqrt", "log", "log1p"}
STEPS = {"floor", "ceil", "round"}


def _argument(bench: Workbench, name: str) -> Array:
    if name in POSITIVE:
        return bench.uniform(0.1, 9.0, bench.size)
    if name in STEPS | {"sign", "logical_not"}:
        return bench.array(bench.rng.integers(-9, 10, bench.size) / 2)  # ties of rounding, and zeros
    if name.startswith("is_"):
        return bench.array(bench.rng.choice([1.0, -2.0, np.inf, -np.inf, np.nan], bench.size))
    return bench.normal(bench.size, scale=3.0)


def _unary(bench: Workbench) -> Iterator[Check]:
    for name in UNARY:
        x = _argument(bench, name)
        truth = unary(name, x)
        yield Check(name, kernels.unary_forward(name, x, bench.out(bench.size)), truth, 3 * bench.eps * np.abs(truth))
        in_place = bench.inout(x)
        yield Check(
            f"{name}, in place", kernels.unary_forward(name, in_place, in_place), truth, 3 * bench.eps * np.abs(truth)
        )


def _unary_backward(bench: Workbench) -> Iterator[Check]:
    for name in UNARY:
        x, dy = _argument(bench, name), bench.normal(bench.size)
        with np.errstate(all="ignore"):
            y = bench.array(unary(name, x))
        truth = unary_backward(name, dy, x)
        # tanh: 1 - y^2 errs by the rounding of 1; erf: x^2 in an exponent errs by that much.
        size = np.abs(truth) * (x.astype(np.float64) ** 2 if name == "erf" else 1)
        slack = np.abs(truth) + size + (np.abs(dy) if name in ("tanh", "expm1") else 0)
        tolerance = 4 * bench.eps * slack + tiny(bench.dtype)
        got = kernels.unary_backward(name, dy, x, y, bench.out(bench.size))
        yield Check(name, got, truth, tolerance)
        in_place = bench.inout(dy)
        yield Check(f"{name}, over dy", kernels.unary_backward(name, in_place, x, y, in_place), truth, tolerance)


def _arguments(bench: Workbench, name: str) -> tuple[Array, Array]:
    if name in ("add", "subtract", "multiply"):
        return bench.normal(bench.size), bench.normal(bench.size)
    if name == "power":
        return bench.uniform(0.1, 9.0, bench.size), bench.normal(bench.size, scale=3.0)
    if name in ("divide", "floor_divide", "mod"):
        return bench.normal(bench.size, scale=20.0), bench.array(
            bench.rng.choice([-3.0, -0.75, 0.5, 1.0, 7.0], bench.size)
        )
    # Small integers: many are equal or 0.
    return bench.array(bench.rng.integers(-2, 3, bench.size)), bench.array(bench.rng.integers(-2, 3, bench.size))


def _binary(bench: Workbench) -> Iterator[Check]:
    for name in BINARY:
        a, b = _arguments(bench, name)
        truth = binary(name, a, b)
        tolerance = 3 * bench.eps * np.abs(truth)
        yield Check(name, kernels.binary_forward(name, a, b, bench.out(bench.size)), truth, tolerance)
        for i in range(2):
            arrays = [bench.inout(a), bench.inout(b)]
            yield Check(f"{name}, over input {i}", kernels.binary_forward(name, *arrays, arrays[i]), truth, tolerance)


def _binary_backward(bench: Workbench) -> Iterator[Check]:
    for name in BINARY:
        a, b = _arguments(bench, name)
        y, dy = bench.array(binary(name, a, b)), bench.normal(bench.size)
        truth = binary_backward(name, dy, a, b)
        for label, outputs in (
            ("", (bench.out(bench.size), bench.out(bench.size))),
            (", da over dy", (bench.inout(dy), bench.out(bench.size))),
            (", db over dy", (bench.out(bench.size), bench.inout(dy))),
        ):
            gradient = next((out for out in outputs if not np.isnan(out).any()), dy)
            found = kernels.binary_backward(name, gradient, a, b, y, outputs)
            for which, got, expected in zip(("da", "db"), found, truth, strict=True):
                tolerance = 8 * bench.eps * np.abs(expected)
                if (which, name) == ("da", "power"):  # of a^(b - 1), whose exponent is rounded
                    tolerance = tolerance * (1 + np.abs((np.abs(b) + 1) * np.log(a)))
                yield Check(f"{which} of {name}{label}", got, expected, tolerance)


def _where(bench: Workbench) -> Iterator[Check]:
    condition = bench.array(bench.rng.choice([0.0, -0.0, 1.0, -2.0, np.nan], bench.size))
    a, b = bench.normal(bench.size), bench.normal(bench.size)
    truth = np.where(condition != 0, a, b)
    yield Check("y", kernels.where_forward(condition, a, b, bench.out(bench.size)), truth)
    for i in range(3):
        arrays = [bench.inout(condition), bench.inout(a), bench.inout(b)]
        yield Check(f"over input {i}", kernels.where_forward(*arrays, arrays[i]), truth)


def _where_backward(bench: Workbench) -> Iterator[Check]:
    condition, dy = bench.array(bench.rng.integers(0, 2, bench.size)), bench.normal(bench.size)
    truth = np.where(condition != 0, dy, 0), np.where(condition != 0, 0, dy)
    for outputs in ((bench.out(bench.size), bench.out(bench.size)), (bench.inout(dy), bench.out(bench.size))):
        gradient = dy if bench.size == 0 or np.isnan(outputs[0]).any() else outputs[0]
        found = kernels.where_backward(gradient, condition, outputs)
        yield Check("da", found[0], truth[0])
        yield Check("db", found[1], truth[1])


ELEMENTWISE_ROWS: dict[str, Callable[[Workbench], Iterator[Check]]] = {
    "unary": _unary,
    "unary_backward": _unary_backward,
    "binary": _binary,
    "binary_backward": _binary_backward,
    "where": _where,
    "where_backward": _where_backward,
}
