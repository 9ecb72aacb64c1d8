"""Rows of the table of kernel tests: updates of optimizers."""

from collections.abc import Callable, Iterator

import numpy as np
import reference.optimizers as ref_optimizers
from kernel_cases import Check, Workbench

from nnfast import kernels, optimizers


def _sgd(bench: Workbench) -> Iterator[Check]:
    n = bench.size
    for momentum, nesterov in ((0.0, False), (0.9, False), (0.9, True)):
        p, g, v, lr = bench.rng.standard_normal(n), bench.normal(n), bench.rng.standard_normal(n), 0.1
        parameters, velocity = bench.inout(p), bench.inout(v) if momentum else None
        start, before = parameters.copy(), np.zeros(n) if velocity is None else velocity.copy()
        kernels.sgd_update(parameters, g, velocity, lr, momentum, nesterov)
        expected, v_expected = ref_optimizers.sgd(start, g, before, lr, momentum, nesterov)
        moved = 4 * bench.eps * (np.abs(momentum * before) + np.abs(lr * g))
        label = f"momentum {momentum}, Nesterov {nesterov}"
        yield Check(label, parameters, expected, 2 * moved + bench.eps * np.abs(start))
        if velocity is not None:
            yield Check(label + ", velocity", velocity, v_expected, moved)


def _adam(bench: Workbench) -> Iterator[Check]:
    n, lr, beta_1, beta_2, epsilon = bench.size, 0.01, 0.9, 0.999, 1e-7
    for step, amsgrad in ((1, False), (2, False), (1000, False), (1, True), (1000, True)):
        g = bench.normal(n)
        start = [bench.rng.standard_normal(n), bench.rng.standard_normal(n), bench.rng.random(n)]
        p, m, v = (bench.inout(values) for values in start)
        largest = bench.inout(bench.rng.random(n) if amsgrad else np.zeros(n))
        before = [array.copy() for array in (p, m, v, largest)]
        if amsgrad:
            optimizer = optimizers.Adam(lr, beta_1, beta_2, epsilon, amsgrad=True)
            kernels.optimizer_update(optimizer, p, g, {"m": m, "v": v, "largest_v": largest}, step)
        else:
            kernels.adam_update(p, g, m, v, lr, beta_1, beta_2, epsilon, step)
        truth = ref_optimizers.amsgrad(before[0], g, *before[1:], lr, beta_1, beta_2, epsilon, step)
        label = f"step {step}, AMSGrad {amsgrad}"
        m_error = 4 * bench.eps * (np.abs(before[1]) + np.abs(g))
        yield Check(f"m, {label}", m, truth[1], m_error)
        yield Check(f"v, {label}", v, truth[2], 4 * bench.eps * truth[2])
        if amsgrad:
            yield Check(f"largest v, {label}", largest, truth[3], 4 * bench.eps * truth[3])
        else:
            truth = (*ref_optimizers.adam(before[0], g, *before[1:3], lr, beta_1, beta_2, epsilon, step), truth[2])
        root = np.sqrt(truth[3] / (1 - beta_2**step)) + epsilon
        move_error = lr / (1 - beta_1**step) * (m_error + 8 * bench.eps * np.abs(truth[1])) / root
        yield Check(f"p, {label}", p, truth[0], move_error + bench.eps * np.abs(before[0]))


def _nadam(bench: Workbench) -> Iterator[Check]:
    n, lr, beta_1, beta_2, epsilon = bench.size, 0.01, 0.9, 0.999, 1e-7
    for step, decay in ((1, 1.0), (2, 0.004), (1000, 1.0)):
        g, p = bench.normal(n), bench.inout(bench.rng.standard_normal(n))
        m, v = bench.inout(bench.rng.standard_normal(n)), bench.inout(bench.rng.random(n))
        before = [array.copy() for array in (p, m, v)]
        optimizer = optimizers.Nadam(lr, beta_1, beta_2, epsilon, decay)
        kernels.optimizer_update(optimizer, p, g, {"m": m, "v": v}, step)
        truth = ref_optimizers.nadam(before[0], g, *before[1:], lr, beta_1, beta_2, epsilon, decay, step)
        m_error = 4 * bench.eps * (np.abs(before[1]) + np.abs(g))
        yield Check(f"m, step {step}", m, truth[1], m_error)
        yield Check(f"v, step {step}", v, truth[2], 4 * bench.eps * truth[2])
        # Factors of m and of g in the step: at most 1 / (1 - P mu') and 1 / (1 - P), in the first step 2 and 1 / .5.
        root = np.sqrt(truth[2] / (1 - beta_2**step)) + epsilon
        size = 2 * (np.abs(truth[1]) + np.abs(g))
        move_error = lr * (2 * m_error + 8 * bench.eps * size) / root
        yield Check(f"p, step {step}", p, truth[0], move_error + bench.eps * np.abs(before[0]))


def _adamax(bench: Workbench) -> Iterator[Check]:
    n, lr, beta_1, beta_2, epsilon = bench.size, 0.01, 0.9, 0.999, 1e-7
    for step in (1, 1000):
        g, p = bench.normal(n), bench.inout(bench.rng.standard_normal(n))
        m, u = bench.inout(bench.rng.standard_normal(n)), bench.inout(bench.rng.random(n))
        before = [array.copy() for array in (p, m, u)]
        kernels.optimizer_update(optimizers.Adamax(lr, beta_1, beta_2, epsilon), p, g, {"m": m, "u": u}, step)
        truth = ref_optimizers.adamax(before[0], g, *before[1:], lr, beta_1, beta_2, epsilon, step)
        m_error = 4 * bench.eps * (np.abs(before[1]) + np.abs(g))
        yield Check(f"m, step {step}", m, truth[1], m_error)
        yield Check(f"u, step {step}", u, truth[2], 2 * bench.eps * truth[2])
        move_error = lr / (1 - beta_1**step) * (m_error + 8 * bench.eps * np.abs(truth[1])) / (truth[2] + epsilon)
        yield Check(f"p, step {step}", p, truth[0], move_error + bench.eps * np.abs(before[0]))


def _lion(bench: Workbench) -> Iterator[Check]:
    """m has the sign of g, or is 0, so that a direction is 0 only where both are."""
    n, lr, beta_1, beta_2 = bench.size, 0.01, 0.9, 0.99
    g = bench.array(np.where(np.arange(n) % 5 == 0, 0, bench.rng.standard_normal(n)))
    p = bench.inout(bench.rng.standard_normal(n))
    m = bench.inout(np.where(np.arange(n) % 3 == 0, 0, np.sign(g) * bench.rng.random(n)))
    start, before = p.copy(), m.copy()
    kernels.optimizer_update(optimizers.Lion(lr, beta_1, beta_2), p, g, {"m": m})
    truth = ref_optimizers.lion(start, g, before, lr, beta_1, beta_2)
    yield Check("m", m, truth[1], 4 * bench.eps * (np.abs(before) + np.abs(g)))
    yield Check("p", p, truth[0], bench.eps * (np.abs(start) + 2 * lr))


def _adagrad(bench: Workbench) -> Iterator[Check]:
    n, lr, epsilon = bench.size, 0.01, 1e-7
    g, p, v = bench.normal(n), bench.inout(bench.rng.standard_normal(n)), bench.inout(bench.rng.random(n))
    start, before = p.copy(), v.copy()
    kernels.optimizer_update(optimizers.Adagrad(lr, epsilon=epsilon), p, g, {"v": v})
    truth = ref_optimizers.adagrad(start, g, before, lr, epsilon)
    yield Check("v", v, truth[1], 2 * bench.eps * truth[1])
    move = lr * np.abs(g) / np.sqrt(truth[1] + epsilon)
    yield Check("p", p, truth[0], 8 * bench.eps * move + bench.eps * (np.abs(start) + move))


def _adadelta(bench: Workbench) -> Iterator[Check]:
    n, lr, rho, epsilon = bench.size, 0.5, 0.95, 1e-6
    g, p = bench.normal(n), bench.inout(bench.rng.standard_normal(n))
    v, u = bench.inout(bench.rng.random(n)), bench.inout(bench.rng.random(n))
    before = [array.copy() for array in (p, v, u)]
    kernels.optimizer_update(optimizers.Adadelta(lr, rho, epsilon), p, g, {"v": v, "u": u})
    truth = ref_optimizers.adadelta(before[0], g, *before[1:], lr, rho, epsilon)
    yield Check("v", v, truth[1], 4 * bench.eps * truth[1])
    # Two roots, two sums, v's error halved, a product and a quotient: 10 units in the last place; twice that squared.
    yield Check("u", u, truth[2], 24 * bench.eps * truth[2])
    move = np.abs(truth[0] - before[0])
    yield Check("p", p, truth[0], 12 * bench.eps * move + bench.eps * (np.abs(before[0]) + move))


def _rmsprop(bench: Workbench) -> Iterator[Check]:
    """The variance, rho (v - m^2) + rho (1 - rho) (m - g)^2, is at least .9 (.5 - .4^2)."""
    n, lr, rho, epsilon = bench.size, 0.01, 0.9, 1e-7
    for momentum, centered in ((0.0, False), (0.9, False), (0.0, True), (0.9, True)):
        g, p = bench.normal(n), bench.inout(bench.rng.standard_normal(n))
        state = {"v": bench.inout(bench.rng.uniform(0.5, 2.0, n))}
        if centered:
            state["m"] = bench.inout(bench.rng.uniform(-0.4, 0.4, n))
        if momentum:
            state["velocity"] = bench.inout(bench.rng.standard_normal(n))
        start, before = p.copy(), {name: vector.copy() for name, vector in state.items()}
        optimizer = optimizers.RMSprop(lr, rho, momentum, epsilon, centered)
        kernels.optimizer_update(optimizer, p, g, state)
        m, velocity = before.get("m"), before.get("velocity")
        truth = ref_optimizers.rmsprop(start, g, before["v"], m, velocity, lr, rho, momentum, epsilon)
        label = f"momentum {momentum}, centered {centered}"
        yield Check(f"v, {label}", state["v"], truth[1], 4 * bench.eps * truth[1])
        variance, error = truth[1] + epsilon, 5 * bench.eps * truth[1]
        if m is not None:
            assert truth[2] is not None
            m_error = 4 * bench.eps * (np.abs(m) + np.abs(0.1 * g))
            yield Check(f"m, {label}", state["m"], truth[2], m_error)
            variance = variance - truth[2] ** 2
            error = error + 2 * np.abs(truth[2]) * m_error + 2 * bench.eps * truth[1]
        # The root halves the variance's relative error; the quotient, its operands and the sum after it add theirs.
        move = lr * np.abs(g) / np.sqrt(variance)
        move_error = move * (error / variance + 8 * bench.eps)
        if velocity is not None:
            assert truth[3] is not None
            move_error = move_error + 2 * bench.eps * (np.abs(momentum * velocity) + move)
            yield Check(f"velocity, {label}", state["velocity"], truth[3], move_error)
            move = np.abs(truth[3])
        yield Check(f"p, {label}", p, truth[0], move_error + bench.eps * (np.abs(start) + move))


OPTIMIZER_ROWS: dict[str, Callable[[Workbench], Iterator[Check]]] = {
    "sgd": _sgd,
    "adam": _adam,
    "nadam": _nadam,
    "adamax": _adamax,
    "lion": _lion,
    "adagrad": _adagrad,
    "adadelta": _adadelta,
    "rmsprop": _rmsprop,
}
