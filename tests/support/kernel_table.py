"""The table of kernel tests: one row per kernel of the list, beside the NumPy reference.

A row takes a workbench (a dtype, a size, where arrays lie in memory), calls the kernel through its public function,
and yields every result with the truth and a tolerance derived for it. The same rows serve the tests against the
reference, for every thread count and for every instruction set. A new kernel is a new row.
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import reference.activations as ref_activations
import reference.losses as ref_losses
import reference.philox as ref_philox
import reference.reductions as ref_reductions
import reference.softmax as ref_softmax
from kernel_cases import (
    Array,
    Check,
    Workbench,
    activation_gradient_tolerance,
    activation_tolerance,
    sum_tolerance,
    tiny,
)
from kernel_table_attention import ATTENTION_ROWS
from kernel_table_augment import augment_checks, image_shapes
from kernel_table_conv import (
    depthwise_convolutions,
    folded_convolutions,
    matrix_convolutions,
    paired_convolutions,
    winograd_convolutions,
)
from kernel_table_elementwise import ELEMENTWISE_ROWS
from kernel_table_norm import NORM_ROWS
from kernel_table_optimizer import OPTIMIZER_ROWS
from kernel_table_pool import POOL_ROWS
from kernel_table_recurrent import RECURRENT_ROWS
from kernel_table_reduce import REDUCE_ROWS
from kernel_table_tensor import TENSOR_ROWS
from reference.dropout import dropout
from reference.gather import gather_rows
from reference.math_functions import FUNCTIONS
from reference.matmul import matmul, matmul_error_bound

import nnfast as nf
from nnfast import _core, kernels, layers

Row = Callable[[Workbench], Iterator[Check]]

ROWS: dict[str, Row] = {
    **POOL_ROWS,
    **NORM_ROWS,
    **ATTENTION_ROWS,
    **TENSOR_ROWS,
    **REDUCE_ROWS,
    **ELEMENTWISE_ROWS,
    **OPTIMIZER_ROWS,
    **RECURRENT_ROWS,
}


ACTIVATIONS = tuple(ref_activations.FORWARD)
ALPHA = {"heaviside": 0.25, "leaky_relu": 0.125, "elu": 1.5}  # exact in float32, and not the defaults

LOSSES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("mse", {}),
    ("half_squared_error", {}),
    ("mae", {}),
    ("sum_absolute_error", {}),
    ("huber", {"delta": 0.75}),
    ("binary_cross_entropy", {}),
    ("binary_cross_entropy", {"from_logits": True}),
    ("cross_entropy", {}),
    ("cross_entropy", {"from_logits": True}),
    ("cross_entropy", {"from_logits": True, "label_smoothing": 0.125}),
)


def row(kernel: str) -> Callable[[Row], Row]:
    """Enter a function into the table as the row of a kernel."""

    def enter(function: Row) -> Row:
        ROWS[kernel] = function
        return function

    return enter


def _product(bench: Workbench, m: int, n: int, k: int, transpose_a: bool, transpose_b: bool) -> Check:
    a = bench.normal(*((k, m) if transpose_a else (m, k)))
    b = bench.normal(*((n, k) if transpose_b else (k, n)))
    got = kernels.matmul(a, b, bench.out(m, n), transpose_a=transpose_a, transpose_b=transpose_b)
    left, right = (a.T if transpose_a else a), (b.T if transpose_b else b)
    tolerance = matmul_error_bound(left, right, 0.0, bench.eps)
    label = f"({m}, {k}) @ ({k}, {n}), transposed {transpose_a}, {transpose_b}"
    return Check(label, got, matmul(a, b, transpose_a, transpose_b), tolerance)


def _epilogue(bench: Workbench, m: int, n: int, k: int, activation: str) -> Check:
    # Small integers: the sum is exact, so Heaviside's step and ReLU's kink are on the same side as in the truth.
    a, b = (bench.array(bench.rng.integers(-2, 3, shape)) for shape in ((m, k), (k, n)))
    bias = bench.array(bench.rng.integers(-2, 3, n))
    alpha = ALPHA.get(activation, 0.0)
    got = kernels.matmul(a, b, bench.out(m, n), bias=bias, activation=activation, alpha=alpha)
    x = matmul(a, b) + bias
    y = ref_activations.activation_forward(activation, x, alpha)
    return Check(f"bias and {activation}", got, y, activation_tolerance(activation, x, y, bench.dtype))


def _accumulated(bench: Workbench, m: int, n: int, k: int) -> Check:
    a, b, before = bench.normal(m, k), bench.normal(k, n), bench.rng.standard_normal((m, n))
    out = bench.inout(before)
    start = out.astype(np.float64)
    got = kernels.matmul(a, b, out, accumulate=True)
    return Check("accumulate", got, start + matmul(a, b), matmul_error_bound(a, b, start, bench.eps))


@row("gemm_panel")
def _gemm_panel(bench: Workbench) -> Iterator[Check]:
    size = bench.size
    for (m, n, k), ta, tb in product(((size, 7, 5), (7, size, 5), (7, 5, size)), (False, True), (False, True)):
        yield _product(bench, m, n, k, ta, tb)
    yield _accumulated(bench, 7, size, 5)
    yield _accumulated(bench, 7, 5, size)
    for activation in ACTIVATIONS:
        yield _epilogue(bench, 7, min(size, 70), 5, activation)
    yield from matrix_convolutions(bench)


@row("gemv")
def _gemv(bench: Workbench) -> Iterator[Check]:
    size = bench.size
    for n, k in ((size, 5), (5, size)):
        for ta in (False, True):
            for tb in (False, True):
                yield _product(bench, 1, n, k, ta, tb)
        yield _accumulated(bench, 1, n, k)
        yield _epilogue(bench, 1, n, min(k, 5), "relu")
        a, x = bench.normal(n, k), bench.normal(k)
        tolerance = matmul_error_bound(a, x[:, None], 0.0, bench.eps)[:, 0]
        yield Check("matvec", kernels.matvec(a, x), matmul(a, x), tolerance)
        at = bench.normal(k, n)
        tolerance = matmul_error_bound(at.T, x[:, None], 0.0, bench.eps)[:, 0]
        yield Check("matvec, transposed", kernels.matvec(at, x, transpose=True), matmul(at.T, x), tolerance)


@row("pack_panel")
def _pack_panel(bench: Workbench) -> Iterator[Check]:
    size = bench.size
    # Enough rows that a copy of B pays, and more steps of k than one block holds.
    for tb in (False, True):
        yield _product(bench, 61, min(size, 131), 37, False, tb)
        yield _product(bench, 53, 19, size, False, tb)


for _kernel in (
    "winograd_kernel",
    "winograd_input",
    "winograd_output",
    "winograd_gradient",
    "winograd_kernel_gradient",
):
    ROWS[_kernel] = winograd_convolutions
for _kernel in ("depthwise_row", "depthwise_gradient"):
    ROWS[_kernel] = depthwise_convolutions
ROWS["fold_row"] = folded_convolutions
for _kernel in ("gemm_spread", "spread_pairs", "join_pairs", "part_pairs"):
    ROWS[_kernel] = paired_convolutions


@row("activation_forward")
def _activation_forward(bench: Workbench) -> Iterator[Check]:
    for name in ACTIVATIONS:
        alpha = ALPHA.get(name, 0.0)
        x = bench.normal(bench.size, scale=4.0)
        y = ref_activations.activation_forward(name, x, alpha)
        got = kernels.activation_forward(name, x, alpha, bench.out(bench.size))
        yield Check(name, got, y, activation_tolerance(name, x, y, bench.dtype))


@row("activation_backward")
def _activation_backward(bench: Workbench) -> Iterator[Check]:
    for name in ACTIVATIONS:
        alpha = ALPHA.get(name, 0.0)
        x, dy = bench.normal(bench.size, scale=4.0), bench.normal(bench.size)
        y = bench.array(ref_activations.activation_forward(name, x, alpha))
        got = kernels.activation_backward(name, dy, x, y, alpha, bench.out(bench.size))
        truth = ref_activations.activation_backward(name, dy, x, alpha)
        yield Check(name, got, truth, activation_gradient_tolerance(name, dy, x, bench.dtype))


def _softmax_shapes(size: int) -> list[tuple[int, int]]:
    return [(size, 5)] if size == 0 else [(size, 5), (3, size)]


def _exponential_error(bench: Workbench, x: Array) -> Array:
    """Relative error of exp(x - max) / sum: rounding of the argument, the function, the sum and the quotient."""
    distance = x.max(axis=-1, keepdims=True).astype(np.float64) - x
    return bench.eps * (distance + x.shape[-1] / 8 + 12)


@row("softmax_forward")
def _softmax_forward(bench: Workbench) -> Iterator[Check]:
    for shape in _softmax_shapes(bench.size):
        x = bench.normal(*shape, scale=4.0)
        y, relative = ref_softmax.softmax_forward(x), _exponential_error(bench, x)
        got = kernels.softmax_forward(x, bench.out(*shape))
        yield Check(f"softmax {shape}", got, y, relative * y + tiny(bench.dtype))
        y = ref_softmax.log_softmax_forward(x)
        got = kernels.log_softmax_forward(x, bench.out(*shape))
        yield Check(f"log_softmax {shape}", got, y, relative + 2 * bench.eps * np.abs(y))


@row("softmax_backward")
def _softmax_backward(bench: Workbench) -> Iterator[Check]:
    for shape in _softmax_shapes(bench.size):
        dy, logits = bench.normal(*shape), bench.rng.standard_normal(shape)
        y = bench.array(ref_softmax.softmax_forward(logits))
        got = kernels.softmax_backward(dy, y, bench.out(*shape))
        weighted = np.abs(dy.astype(np.float64) * y).sum(axis=-1, keepdims=True)
        error = sum_tolerance(weighted, shape[-1], bench.dtype) + 4 * bench.eps * np.abs(dy)
        yield Check(f"softmax {shape}", got, ref_softmax.softmax_backward(dy, y), error * y)
        y = bench.array(ref_softmax.log_softmax_forward(logits))
        got = kernels.log_softmax_backward(dy, y, bench.out(*shape))
        total = np.abs(dy.astype(np.float64)).sum(axis=-1, keepdims=True)
        error = sum_tolerance(total, shape[-1], bench.dtype) * np.exp(y) + 2 * bench.eps * np.abs(dy)
        yield Check(f"log_softmax {shape}", got, ref_softmax.log_softmax_backward(dy, y), error)


def _loss_inputs(bench: Workbench, name: str, options: dict[str, Any], rows: int, n: int) -> tuple[Array, Array]:
    logits = options.get("from_logits", False)
    if name == "binary_cross_entropy":
        target = bench.uniform(0.0, 1.0, rows, n)
        return (bench.normal(rows, n, scale=3.0) if logits else bench.uniform(0.02, 0.98, rows, n)), target
    if name == "cross_entropy":
        target = bench.array(ref_softmax.softmax_forward(bench.rng.standard_normal((rows, n))))
        values = bench.rng.standard_normal((rows, n))
        return bench.array(3 * values if logits else ref_softmax.softmax_forward(values)), target
    return bench.normal(rows, n), bench.normal(rows, n)


def _loss_magnitude(name: str, prediction: Array, target: Array) -> Array:
    """Size of what is rounded for one output: its terms before they cancel."""
    p, t = np.abs(prediction.astype(np.float64)), np.abs(target.astype(np.float64))
    if name == "binary_cross_entropy":
        return 5 + p  # |log p| is below 4 here
    if name == "cross_entropy":
        spread = np.ptp(prediction, axis=-1, keepdims=True)
        return t * (20 + p + spread)
    return (p + t) ** 2 if name in ("mse", "half_squared_error", "huber") else p + t


def _loss_checks(bench: Workbench, names: str) -> Iterator[Check]:
    for rows, n in [(max(bench.size, 1), 5), (3, max(bench.size, 1))]:
        weight = bench.uniform(0.5, 2.0, rows)
        for name, options in LOSSES:
            if name != "cross_entropy" and names == "softmax_cross_entropy":
                continue
            p, t = _loss_inputs(bench, name, options, rows, n)
            label = f"{name} {options} ({rows}, {n})"
            value = ref_losses.loss_forward(name, p, t, options)
            magnitude = _loss_magnitude(name, p, t).sum(axis=1)
            mean = n if name in ("mse", "mae", "huber", "binary_cross_entropy") else 1
            tolerance = sum_tolerance(magnitude / mean, n, bench.dtype)
            if names != "loss_backward":
                got = kernels.loss_forward(name, p, t, **options)
                yield Check(label, got, value, tolerance)
                got = kernels.loss_forward(name, p, t, weight, **options)
                yield Check(label + " weighted", got, weight * value, 2 * weight * tolerance)
            if names != "loss_forward":
                truth = ref_losses.loss_backward(name, p, t, weight, options)
                share = weight[:, None] / rows / mean
                rounding = (n / 8 + 16 + 2 * np.abs(p)) if "cross_entropy" in name else np.abs(p) + np.abs(t)
                tolerance = bench.eps * (8 * np.abs(truth) + rounding * share)
                yield Check(label + " gradient", kernels.loss_backward(name, p, t, weight, **options), truth, tolerance)


@row("loss_forward")
def _loss_forward(bench: Workbench) -> Iterator[Check]:
    return _loss_checks(bench, "loss_forward")


@row("loss_backward")
def _loss_backward(bench: Workbench) -> Iterator[Check]:
    return _loss_checks(bench, "loss_backward")


@row("softmax_cross_entropy")
def _softmax_cross_entropy(bench: Workbench) -> Iterator[Check]:
    yield from _loss_checks(bench, "softmax_cross_entropy")
    rows, classes = 11, max(bench.size, 1)
    logits = bench.normal(rows, classes)
    labels = bench.array(bench.rng.integers(0, min(classes, 256), rows), np.uint8)
    options = {"from_logits": True}
    tolerance = bench.eps * (classes / 8 + 20 + 2 * np.ptp(logits, axis=1))
    value = ref_losses.loss_forward("cross_entropy", logits, labels, options)
    yield Check("labels", kernels.loss_forward("cross_entropy", logits, labels, **options), value, tolerance)
    slope = ref_losses.loss_backward("cross_entropy", logits, labels, None, options)
    got = kernels.loss_backward("cross_entropy", logits, labels, **options)
    yield Check("labels' gradient", got, slope, tolerance[:, None] / rows)


@row("sum_rows")
def _sum_rows(bench: Workbench) -> Iterator[Check]:
    for x, axis in (
        (bench.normal(3, bench.size), 1),
        (bench.normal(bench.size, 3), 1),
        (bench.normal(bench.size), None),
    ):
        total = np.abs(x.astype(np.float64)).sum(axis=axis)
        terms = x.size if axis is None else x.shape[1]
        tolerance = sum_tolerance(total, terms, bench.dtype)
        yield Check(f"{x.shape}", kernels.reduce_sum(x, axis), ref_reductions.reduce_sum(x, axis), tolerance)


@row("accumulate_columns")
def _accumulate_columns(bench: Workbench) -> Iterator[Check]:
    for shape in ((3, bench.size), (bench.size, 3)):
        x = bench.normal(*shape)
        tolerance = bench.eps * shape[0] * np.abs(x.astype(np.float64)).sum(axis=0)
        yield Check(f"{shape}", kernels.reduce_sum(x, 0), ref_reductions.reduce_sum(x, 0), tolerance)


def _processed(bench: Workbench, gradients: Array, values: Array, **options: Any) -> Array:
    """Gradients as an optimizer's options leave them: by one step of gradient descent at a rate of 1, from zeros."""
    units = gradients.shape[-1]
    net = nf.Network([layers.Input((len(gradients),)), layers.Dense(units, use_bias=False)], dtype=bench.dtype.name)
    net.parameters["dense.kernel"] = values
    trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(1.0, **options))
    trainer.apply_gradients({"dense.kernel": gradients})
    return values - net.parameters["dense.kernel"]


@row("sum_of_squares")
def _sum_of_squares(bench: Workbench) -> Iterator[Check]:
    """Through the norm, by which clipnorm divides; beside it rounding of the quotient, the product and the step."""
    for shape in ((1, max(bench.size, 1)), (max(bench.size, 1), 3)):
        g = bench.normal(*shape)
        norm = np.sqrt((g.astype(np.float64) ** 2).sum())
        tolerance = (sum_tolerance(1.0, g.size, bench.dtype) + 3 * bench.eps) * np.abs(g) / norm
        clipped = _processed(bench, g, np.zeros_like(g), clipnorm=norm / 2)
        yield Check(f"{shape}", clipped, g / 2, norm * tolerance)


@row("clip")
def _clip(bench: Workbench) -> Iterator[Check]:
    g = bench.normal(2, max(bench.size, 1))
    yield Check("elements", _processed(bench, g, np.zeros_like(g), clipvalue=0.5), np.clip(g, -0.5, 0.5))


@row("add_scaled")
def _add_scaled(bench: Workbench) -> Iterator[Check]:
    g, p = bench.normal(2, max(bench.size, 1)), bench.normal(2, max(bench.size, 1))
    tolerance = 2 * bench.eps * (np.abs(g) + 2 * np.abs(p))
    yield Check("g + l2 p", _processed(bench, g, p, l2=0.25), g + 0.25 * p.astype(np.float64), tolerance)


@row("argmax_rows")
def _argmax_rows(bench: Workbench) -> Iterator[Check]:
    for shape in ((5, max(bench.size, 1)), (bench.size, 3)):
        x = bench.array(bench.rng.integers(0, 9, shape))  # many ties: the first one counts
        yield Check(f"{shape}", kernels.argmax(x), ref_reductions.argmax(x))


@row("add")
def _add(bench: Workbench) -> Iterator[Check]:
    a, b = bench.normal(bench.size), bench.normal(bench.size)
    yield Check("a + b", kernels.add(a, b), a + b)


@row("multiply")
def _multiply(bench: Workbench) -> Iterator[Check]:
    a, b = bench.normal(bench.size), bench.normal(bench.size)
    yield Check("a * b", kernels.multiply(a, b), a * b)


def _gather(bench: Workbench, x: Array, scale: float, offset: float) -> Check:
    rows = bench.array(bench.rng.integers(0, len(x), 9), np.int64)
    truth = gather_rows(x, rows, scale, offset)
    tolerance = 2 * bench.eps * (np.abs(truth) + abs(offset))
    return Check(
        f"{x.dtype} {x.shape}", kernels.gather_rows(x, rows, scale, offset, bench.dtype.name), truth, tolerance
    )


@row("gather_byte_rows")
def _gather_byte_rows(bench: Workbench) -> Iterator[Check]:
    x = bench.array(bench.rng.integers(0, 256, (6, bench.size)), np.uint8)
    yield _gather(bench, x, 1 / 255, 0.0)
    yield _gather(bench, x, 1 / 127.5, -1.0)


@row("gather_rows")
def _gather_rows(bench: Workbench) -> Iterator[Check]:
    yield _gather(bench, bench.normal(6, bench.size), 1.0, 0.0)
    yield _gather(bench, bench.normal(6, bench.size), 1.5, 0.25)


@row("augment_bytes")
def _augment_bytes(bench: Workbench) -> Iterator[Check]:
    for shape in image_shapes(min(bench.size, 1037)):
        yield from augment_checks(bench, bench.array(bench.rng.integers(0, 256, shape), np.uint8))


@row("augment")
def _augment(bench: Workbench) -> Iterator[Check]:
    for shape in image_shapes(min(bench.size, 1037)):
        yield from augment_checks(bench, bench.normal(*shape, scale=50.0))


def _rescaling_plan(bench: Workbench) -> Any:
    nodes = [
        {"op": "input", "name": "x", "inputs": [], "shape": [max(bench.size, 1)]},
        {"op": "rescaling", "name": "y", "inputs": ["x"], "scale": 1.5, "offset": 0.25},
    ]
    return _core.Plan(_core.Graph(nodes, ["y"], bench.dtype.name), 4)


@row("scale_shift")
def _scale_shift(bench: Workbench) -> Iterator[Check]:
    x = bench.normal(3, max(bench.size, 1))
    truth = gather_rows(x, np.arange(3), 1.5, 0.25)
    yield Check("rescaling", _rescaling_plan(bench).predict(x), truth, 2 * bench.eps * (np.abs(truth) + 0.25))


@row("all_below")
def _all_below(bench: Workbench) -> Iterator[Check]:
    plan = _rescaling_plan(bench)
    size = max(bench.size, 1)
    for position in {0, size // 2, size - 1}:
        for bad in (np.nan, np.inf, -np.inf):
            x = np.zeros((2, size), bench.dtype)
            x[1, position] = bad
            try:
                plan.predict(x)
                refused = False
            except ValueError:
                refused = True
            yield Check(f"{bad} at {position} of {size} is refused", np.array(refused), np.array(True))


@row("math")
def _math(bench: Workbench) -> Iterator[Check]:
    for name, function in FUNCTIONS.items():
        positive = name in ("log", "log1p")
        x = bench.uniform(0.1, 9.0, bench.size) if positive else bench.normal(bench.size, scale=3.0)
        truth = function(x.astype(np.longdouble)).astype(np.float64)
        yield Check(name, getattr(kernels, name)(x), truth, 3 * bench.eps * np.abs(truth))


@row("dropout")
def _dropout(bench: Workbench) -> Iterator[Check]:
    x, seed, step, stream = bench.normal(bench.size), 2**63 + 12345, 2**32 - 1, 7
    for rate in (0.0, 0.3, 0.5, 0.999):
        truth = dropout(x, rate, seed, step, stream)
        yield Check(f"rate {rate}", kernels.dropout_forward(x, rate, seed, step, stream), truth)
        yield Check(f"rate {rate}, gradient", kernels.dropout_backward(x, rate, seed, step, stream), truth)


@row("random_uniform")
def _random_uniform(bench: Workbench) -> Iterator[Check]:
    n, seed, stream, dtype = bench.size, 2**64 - 3, 2**32 - 2, bench.dtype.name
    yield Check("", kernels.random_uniform(n, seed, stream, dtype), ref_philox.random_uniform(n, seed, stream, dtype))


@row("random_normal")
def _random_normal(bench: Workbench) -> Iterator[Check]:
    n, seed, stream, dtype = bench.size, 987654321, 3, bench.dtype.name
    # The cosine's angle is rounded to a unit of 2 pi and r is at most 9, which bounds the absolute error.
    tolerance = 9 * 4 * bench.eps
    got = kernels.random_normal(n, seed, stream, dtype)
    yield Check("", got, ref_philox.random_normal(n, seed, stream, dtype), tolerance)


@row("fma_peak")
def _fma_peak(bench: Workbench) -> Iterator[Check]:
    rate = _core.peak_gflops(bench.dtype.name, 1e-4)
    yield Check("a finite, positive rate", np.array(0 < rate < np.inf), np.array(True))
