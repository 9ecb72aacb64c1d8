"""Rows of the kernel table for normalization."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import reference.normalization as ref
from kernel_cases import Array, Check, Workbench

from nnfast import kernels

EPSILON = 1e-3
LONGEST_CHAIN = 80
"""Bounds the roundings of a sum down a column before it is taken over in float64: 65 terms at most, and a few more."""


@dataclass
class Case:
    """x, what is normalized together (an array of x's elements and its axes), and how long its sums are."""

    x: Array
    view: Callable[[Array], Array]
    axes: tuple[int, ...]
    chain: float = LONGEST_CHAIN

    def norms(self, eps: float) -> tuple[Array, Array, Array]:
        """u, the deviation, and a bound of u's error: x - mean is rounded, and mean and variance err by their sums."""
        u, mean, deviation = ref.unit(self.view(self.x), self.axes, EPSILON)
        size = (np.abs(self.view(self.x)) + np.abs(mean)) / deviation
        error = eps * (4 * size + self.chain * (1 + np.abs(u)))
        shape = self.x.shape
        return u.reshape(shape), np.broadcast_to(deviation, u.shape).reshape(shape), error.reshape(shape)

    def mean(self, values: Array) -> Array:
        """The mean over what is normalized together, in x's shape."""
        view = self.view(values)
        return np.broadcast_to(view.mean(axis=self.axes, keepdims=True), view.shape).reshape(values.shape)


def batch_case(x: Array) -> Case:
    return Case(x, lambda v: v, ref.batch_axes(x))


def layer_case(x: Array) -> Case:
    return Case(x, lambda v: v, (x.ndim - 1,), x.shape[-1] / 8 + 16)


def group_case(x: Array, groups: int) -> Case:
    return Case(x, lambda v: ref.grouped(v, groups), (1, 3))


def _shapes(size: int) -> list[tuple[int, ...]]:
    """Few rows and few channels; folded rows that leave a rest; more channels than a strip has."""
    size = max(size, 1)
    return [(size, 5), (3, size), (size, 2, 16), (3, 7, 6), (2, 5, 67)]


def _check_forward(label: str, got: Array, case: Case, gamma: Array, beta: Array, eps: float, relu: bool) -> Check:
    u, _, u_error = case.norms(eps)
    y = gamma * u + beta
    tolerance = np.abs(gamma) * u_error + 4 * eps * (np.abs(y) + np.abs(beta))
    return Check(label, got, np.maximum(y, 0) if relu else y, tolerance)


def _check_backward(
    label: str, got: tuple[Array, Array, Array], case: Case, g: Array, gamma: Array, eps: float
) -> Iterator[Check]:
    u, deviation, u_error = case.norms(eps)
    g = g.astype(np.float64)
    du, size, axes = g * gamma, np.abs(g * gamma), ref.batch_axes(g)
    truth = (du - case.mean(du) - u * case.mean(du * u)) / deviation
    rounding = (LONGEST_CHAIN + case.chain) * eps
    sums = size + case.mean(size) + np.abs(u) * case.mean(size * np.abs(u))
    through_u = u_error * case.mean(size * np.abs(u)) + np.abs(u) * case.mean(size * u_error)
    scale_error = u_error / (1 + np.abs(u)) * sums
    yield Check(f"{label}, dx", got[0], truth, (rounding * sums + through_u + scale_error) / deviation)
    tolerance = (np.abs(g) * u_error + rounding * np.abs(g * u)).sum(axis=axes)
    yield Check(f"{label}, d_gamma", got[1], (g * u).sum(axis=axes), tolerance)
    yield Check(f"{label}, d_beta", got[2], g.sum(axis=axes), rounding * np.abs(g).sum(axis=axes))


def _vectors(bench: Workbench, n: int) -> tuple[Array, Array]:
    return bench.normal(n), bench.normal(n)


def column_moments(bench: Workbench) -> Iterator[Check]:
    for shape in _shapes(bench.size):
        for offset in (0.0, 1000.0):  # a mean far above the deviation must not spoil the variance
            x = bench.array(offset + bench.rng.standard_normal(shape))
            _, mean, variance = kernels.batch_norm_forward(x)
            exact = x.astype(np.longdouble)
            axes = ref.batch_axes(x)
            truth, spread = (v.astype(np.float64) for v in (exact.mean(axis=axes), exact.var(axis=axes)))
            tolerance = bench.eps * (2 * np.abs(truth) + LONGEST_CHAIN * np.sqrt(spread))
            yield Check(f"mean {shape} + {offset}", mean, truth, tolerance)
            yield Check(f"variance {shape} + {offset}", variance, spread, LONGEST_CHAIN * bench.eps * spread)


def normalize_columns(bench: Workbench) -> Iterator[Check]:
    for shape in _shapes(bench.size):
        x = bench.normal(*shape)
        gamma, beta = _vectors(bench, shape[-1])
        for activation in ("identity", "relu"):
            y, mean, variance = kernels.batch_norm_forward(x, gamma, beta, activation=activation, out=bench.out(*shape))
            relu = activation == "relu"
            yield _check_forward(f"{activation} {shape}", y, batch_case(x), gamma, beta, bench.eps, relu)
            mean, variance = bench.normal(shape[-1]), bench.uniform(0.5, 2.0, shape[-1])
            got = kernels.batch_norm_forward(x, gamma, beta, mean, variance, activation=activation)[0]
            scale = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + EPSILON)
            truth = scale * (x.astype(np.float64) - mean) + beta
            tolerance = 4 * bench.eps * (np.abs(scale) * (np.abs(x) + np.abs(mean)) + np.abs(beta))
            yield Check(f"given {activation} {shape}", got, np.maximum(truth, 0) if relu else truth, tolerance)
    for shape in ((5, max(bench.size, 1), 6), (2, 3, 64)):
        x = bench.normal(*shape)
        gamma, beta = _vectors(bench, shape[-1])
        for groups in (1, 2, shape[-1]):
            got = kernels.group_norm_forward(x, gamma, beta, groups, out=bench.out(*shape))
            label = f"{groups} groups {shape}"
            yield _check_forward(label, got, group_case(x, groups), gamma, beta, bench.eps, False)


def _backward_of_batch(bench: Workbench) -> Iterator[tuple[str, Check]]:
    for shape in _shapes(bench.size):
        x, dy = bench.normal(*shape), bench.normal(*shape)
        gamma, beta = _vectors(bench, shape[-1])
        for activation in ("identity", "relu"):
            # Which side of the kink an element is on is the forward kernel's to say.
            y, *given = kernels.batch_norm_forward(x, gamma, beta, activation=activation)
            g = np.where(y > 0, dy, 0) if activation == "relu" else dy
            options = {"activation": activation, "constant": False, "out": bench.out(*shape)}
            for label, got in (
                ("found", kernels.batch_norm_backward(dy, x, gamma, beta, activation=activation)),
                ("given", kernels.batch_norm_backward(dy, x, gamma, beta, *given, **options)),
            ):
                label = f"{label} {activation} {shape}"
                for check in _check_backward(label, got, batch_case(x), g, gamma, bench.eps):
                    yield check.label.rpartition(" ")[2], check
        mean, variance = bench.normal(shape[-1]), bench.uniform(0.5, 2.0, shape[-1])
        got = kernels.batch_norm_backward(dy, x, gamma, beta, mean, variance)
        scale = gamma / np.sqrt(variance.astype(np.float64) + EPSILON)
        yield "dx", Check(f"given {shape}", got[0], scale * dy, 4 * bench.eps * np.abs(scale * dy))


def _backward_of_groups(bench: Workbench) -> Iterator[tuple[str, Check]]:
    for shape in ((5, max(bench.size, 1), 6), (2, 3, 64)):
        x, dy = bench.normal(*shape), bench.normal(*shape)
        gamma = bench.normal(shape[-1])
        for groups in (1, 2, shape[-1]):
            got = kernels.group_norm_backward(dy, x, gamma, groups)
            label = f"{groups} groups {shape}"
            for check in _check_backward(label, got, group_case(x, groups), dy, gamma, bench.eps):
                yield check.label.rpartition(" ")[2], check


def column_gradient_sums(bench: Workbench) -> Iterator[Check]:
    for source in (_backward_of_batch(bench), _backward_of_groups(bench)):
        yield from (check for kind, check in source if kind != "dx")


def normalize_columns_backward(bench: Workbench) -> Iterator[Check]:
    for source in (_backward_of_batch(bench), _backward_of_groups(bench)):
        yield from (check for kind, check in source if kind == "dx")


def layer_norm_forward(bench: Workbench) -> Iterator[Check]:
    for shape in _shapes(bench.size):
        x = bench.normal(*shape)
        gamma, beta = _vectors(bench, shape[-1])
        y = kernels.layer_norm_forward(x, gamma, beta, out=bench.out(*shape))
        yield _check_forward(f"{shape}", y, layer_case(x), gamma, beta, bench.eps, False)
        one, zero = np.ones(shape[-1]), np.zeros(shape[-1])
        yield _check_forward(
            f"plain {shape}", kernels.layer_norm_forward(x), layer_case(x), one, zero, bench.eps, False
        )


def layer_norm_backward(bench: Workbench) -> Iterator[Check]:
    for shape in _shapes(bench.size):
        x, dy, gamma = bench.normal(*shape), bench.normal(*shape), bench.normal(shape[-1])
        got = kernels.layer_norm_backward(dy, x, gamma)
        yield from _check_backward(f"{shape}", got, layer_case(x), dy, gamma, bench.eps)


def _rms(x: Array) -> tuple[Array, Array]:
    """Return u and the root mean square."""
    x = x.astype(np.float64)
    size = np.sqrt((x**2).mean(axis=-1, keepdims=True) + EPSILON)
    return x / size, size


def rms_norm_forward(bench: Workbench) -> Iterator[Check]:
    for shape in _shapes(bench.size):
        x, gamma = bench.normal(*shape), bench.normal(shape[-1])
        rounding = bench.eps * (shape[-1] / 8 + 16)
        y = kernels.rms_norm_forward(x, gamma, EPSILON, out=bench.out(*shape))
        truth = ref.rms_norm(x, gamma, EPSILON)
        yield Check(f"{shape}", y, truth, rounding * np.abs(truth))
        plain = kernels.rms_norm_forward(x, epsilon=EPSILON)
        yield Check(f"plain {shape}", plain, _rms(x)[0], rounding * np.abs(_rms(x)[0]))


def rms_norm_backward(bench: Workbench) -> Iterator[Check]:
    for shape in _shapes(bench.size):
        x, dy, gamma = bench.normal(*shape), bench.normal(*shape), bench.normal(shape[-1])
        dx, d_gamma = kernels.rms_norm_backward(dy, x, gamma, EPSILON)
        u, size = _rms(x)
        g, rounding = dy.astype(np.float64) * gamma, bench.eps * (shape[-1] / 8 + 24)
        mean, most = (g * u).mean(axis=-1, keepdims=True), np.abs(g * u).mean(axis=-1, keepdims=True)
        tolerance = rounding * (np.abs(g) + 3 * np.abs(u) * most) / size
        yield Check(f"{shape}, dx", dx, (g - u * mean) / size, tolerance)
        axes, terms = ref.batch_axes(x), dy.astype(np.float64) * u
        tolerance = (LONGEST_CHAIN * bench.eps + rounding) * np.abs(terms).sum(axis=axes)
        yield Check(f"{shape}, d_gamma", d_gamma, terms.sum(axis=axes), tolerance)


NORM_ROWS = {
    row.__name__: row
    for row in (
        *(column_moments, normalize_columns, column_gradient_sums, normalize_columns_backward),
        *(layer_norm_forward, layer_norm_backward, rms_norm_forward, rms_norm_backward),
    )
}
