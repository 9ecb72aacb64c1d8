"""Rows of the kernel table: time steps of recurrent cells."""

from collections.abc import Iterator

import numpy as np
import reference.recurrent as ref
from kernel_cases import Array, Check, Workbench, tiny

from nnfast import kernels

# A value is a sum of two products of elementary functions, which err by at most 2 units in the last place; a gradient
# has three such factors more, whose slopes, y (1 - y) and 1 - y^2, err by a few eps of 1.
VALUE, GRADIENT = 16, 48


def _shapes(size: int) -> list[tuple[int, int]]:
    return [(size, 5), (3, size)]


def _close(bench: Workbench, label: str, got: Array, truth: Array, size: Array, factor: int) -> Check:
    return Check(label, got, truth, factor * bench.eps * size + tiny(bench.dtype))


def _gates(bench: Workbench, rows: int, n: int, count: int) -> tuple[Array, list[Array]]:
    """What the gates are functions of: for the kernel, and by gate in float64."""
    z = bench.normal(rows, count * n, scale=2.0)
    return z, ref.gates_of(z.astype(np.float64), count)


def lstm_step_forward(bench: Workbench) -> Iterator[Check]:
    for rows, n in _shapes(bench.size):
        z, (i, f, g, o) = _gates(bench, rows, n, 4)
        c_before = bench.normal(rows, n)
        h, c, gates = kernels.lstm_step_forward(z, c_before)
        truth = ref.lstm_step(i, f, g, o, c_before.astype(np.float64))
        size = 1 + np.abs(c_before)
        yield _close(bench, f"h ({rows}, {n})", h, truth[0], size, VALUE)
        yield _close(bench, f"c ({rows}, {n})", c, truth[1], size, VALUE)
        expected = np.concatenate([ref.sigmoid(i), ref.sigmoid(f), np.tanh(g), ref.sigmoid(o)], axis=1)
        yield _close(bench, f"gates ({rows}, {n})", gates, expected, np.abs(expected), 4)


def lstm_step_backward(bench: Workbench) -> Iterator[Check]:
    for rows, n in _shapes(bench.size):
        z, columns = _gates(bench, rows, n, 4)
        c_before, dh, dc = bench.normal(rows, n), bench.normal(rows, n), bench.normal(rows, n)
        _, c, gates = kernels.lstm_step_forward(z, c_before)
        dz, dc_before = kernels.lstm_step_backward(dh, dc, bench.array(gates), c_before, bench.array(c))
        inputs = [*columns, c_before.astype(np.float64)]
        *truth, d_state = ref.slopes(ref.lstm_step, inputs, [dh.astype(np.float64), dc.astype(np.float64)])
        size = (np.abs(dh) + np.abs(dc)) * (1 + np.abs(c_before))
        yield _close(bench, f"dz ({rows}, {n})", dz, np.concatenate(truth, axis=1), np.tile(size, 4), GRADIENT)
        yield _close(bench, f"dc ({rows}, {n})", dc_before, d_state, size, GRADIENT)


def gru_step_forward(bench: Workbench) -> Iterator[Check]:
    for rows, n in _shapes(bench.size):
        z, (update, r, g) = _gates(bench, rows, n, 3)
        h, recurrent = bench.normal(rows, n), bench.normal(rows, n)
        before, product = h.astype(np.float64), recurrent.astype(np.float64)
        size = 1 + np.abs(h) + np.abs(g) + np.abs(recurrent)
        got, gates = kernels.gru_step_forward(z, h, recurrent)
        truth = ref.gru_after_step(update, r, g, before, product)[0]
        yield _close(bench, f"after ({rows}, {n})", got, truth, size, VALUE)
        z_gate, r_gate = ref.sigmoid(update), ref.sigmoid(r)
        expected = np.concatenate([z_gate, r_gate, np.tanh(g + r_gate * product)], axis=1)
        yield _close(bench, f"gates ({rows}, {n})", gates, expected, np.tile(size, 3), VALUE)
        got, _ = kernels.gru_step_forward(kernels.gru_reset_forward(z, h)[1], h)
        truth = ref.gru_before_step(update, g, before)[0]
        yield _close(bench, f"before ({rows}, {n})", got, truth, size, VALUE)


def gru_step_backward(bench: Workbench) -> Iterator[Check]:
    for rows, n in _shapes(bench.size):
        z, (update, r, g) = _gates(bench, rows, n, 3)
        h, recurrent, dh = bench.normal(rows, n), bench.normal(rows, n), bench.normal(rows, n)
        before, d = h.astype(np.float64), dh.astype(np.float64)
        size = np.abs(dh) * (1 + np.abs(h)) * (1 + np.abs(recurrent))
        gates = bench.array(kernels.gru_step_forward(z, h, recurrent)[1])
        dz, passed, d_recurrent = kernels.gru_step_backward(dh, gates, h, recurrent)
        inputs = [update, r, g, before, recurrent.astype(np.float64)]
        *truth, d_before, d_product = ref.slopes(ref.gru_after_step, inputs, [d])
        yield _close(bench, f"dz ({rows}, {n})", dz, np.concatenate(truth, axis=1), np.tile(size, 3), GRADIENT)
        yield _close(bench, f"dh ({rows}, {n})", passed, d_before, size, GRADIENT)
        assert d_recurrent is not None
        yield _close(bench, f"d_recurrent ({rows}, {n})", d_recurrent, d_product, size, GRADIENT)
        gates = bench.array(kernels.gru_step_forward(kernels.gru_reset_forward(z, h)[1], h)[1])
        dz, passed, _ = kernels.gru_step_backward(dh, gates, h)
        d_update, d_candidate, d_before = ref.slopes(ref.gru_before_step, [update, g, before], [d])
        expected = np.concatenate([d_update, gates[:, n : 2 * n], d_candidate], axis=1)
        yield _close(bench, f"dz before ({rows}, {n})", dz, expected, np.tile(size, 3), GRADIENT)
        yield _close(bench, f"dh before ({rows}, {n})", passed, d_before, size, GRADIENT)


def gru_reset_forward(bench: Workbench) -> Iterator[Check]:
    for rows, n in _shapes(bench.size):
        z, (update, r, g) = _gates(bench, rows, n, 3)
        h = bench.normal(rows, n)
        reset, gates = kernels.gru_reset_forward(z, h)
        (truth,) = ref.gru_reset(r, h.astype(np.float64))
        yield _close(bench, f"reset ({rows}, {n})", reset, truth, np.abs(truth), 4)
        expected = np.concatenate([ref.sigmoid(update), ref.sigmoid(r), g], axis=1)
        yield _close(bench, f"gates ({rows}, {n})", gates, expected, np.abs(expected), 4)


def gru_reset_backward(bench: Workbench) -> Iterator[Check]:
    for rows, n in _shapes(bench.size):
        z, (_, r, _) = _gates(bench, rows, n, 3)
        h, d_reset = bench.normal(rows, n), bench.normal(rows, n)
        gates = bench.array(kernels.gru_reset_forward(z, h)[1])
        dh, dz = kernels.gru_reset_backward(d_reset, gates, h)
        d_gate, truth = ref.slopes(ref.gru_reset, [r, h.astype(np.float64)], [d_reset.astype(np.float64)])
        size = np.abs(d_reset) * (1 + np.abs(h))
        yield _close(bench, f"dh ({rows}, {n})", dh, truth, size, GRADIENT)
        expected = np.concatenate([gates[:, :n], d_gate, gates[:, 2 * n :]], axis=1)
        yield _close(bench, f"dz ({rows}, {n})", dz, expected, np.tile(size, 3), GRADIENT)


RECURRENT_ROWS = {
    row.__name__: row
    for row in (
        *(lstm_step_forward, lstm_step_backward, gru_step_forward, gru_step_backward),
        *(gru_reset_forward, gru_reset_backward),
    )
}
