"""Rows of the kernel table for attention and rotary positions."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import reference.attention as ref
from kernel_cases import Array, Check, Workbench, tiny
from reference.dropout import dropout

from nnfast import kernels

RATE, SEED, STEP, STREAM = 0.25, 2**40 + 5, 7, 3


@dataclass
class Case:
    """The arguments of a call, and bounds of the errors of what it computes on the way."""

    label: str
    q: Array
    k: Array
    v: Array
    eps: float
    options: dict[str, Any]
    mask: Array | None = None
    causal: bool = False
    scale: float = 1.0
    kept: Array | None = None
    seen: Array = field(init=False)
    weights: Array = field(init=False)
    scores: Array = field(init=False)
    score_error: Array = field(init=False)

    def __post_init__(self) -> None:
        self.seen = ref.seen_keys(self.q.shape[1], self.k.shape[1], self.mask, self.causal)
        self.weights, self.scores = ref.attention_weights(self.q, self.k, self.seen, self.scale)
        size = self.scale * np.abs(self.q).transpose(0, 2, 1, 3) @ self.of_heads(self.k).transpose(0, 1, 3, 2)
        # Of the exponent: a chain over d, its scaling, and the difference to a largest score or logarithm of a sum.
        self.score_error = self.eps * ((self.q.shape[3] + 4) * size + 2 * self.log_size)

    def of_heads(self, x: Array) -> Array:
        return np.abs(ref.repeated(x, self.q.shape[2]))

    @property
    def log_sums(self) -> Array:
        hidden = np.where(self.seen, self.scores, -np.inf)
        largest = hidden.max(axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            sums = largest + np.log(np.exp(hidden - largest[..., None]).sum(axis=-1))
        return np.where(np.isfinite(largest), sums, np.inf)

    @property
    def log_size(self) -> Array:
        """The sizes of logarithms of sums, and of largest scores."""
        sums = self.log_sums
        return 2 + np.where(np.isfinite(sums), np.abs(sums), 0)[..., None] + np.log(self.k.shape[1])

    @property
    def sum_error(self) -> Array:
        """Relative, of the sum of a query's weights: (N, H, T, 1)."""
        worst = np.where(self.seen, self.score_error, 0).max(axis=-1, keepdims=True)
        return worst + self.eps * (self.k.shape[1] / 8 + 24)

    def forward(self) -> Array:
        relative = self.score_error + self.sum_error + self.eps * (self.k.shape[1] + 8)
        factor = 1.0 if self.kept is None else self.kept
        error: Array = (self.weights * factor * relative) @ self.of_heads(self.v)
        return error.transpose(0, 2, 1, 3)

    def backward(self, dy: Array) -> tuple[Array, Array, Array]:
        eps, n, t, s = self.eps, self.q.shape[0], self.q.shape[1], self.k.shape[1]
        heads, groups = self.q.shape[2], self.k.shape[2]
        factor = 1.0 if self.kept is None else self.kept
        y_error = self.forward().transpose(0, 2, 1, 3)
        y = ref.attention(self.q, self.k, self.v, self.mask, self.causal, self.scale, self.kept).transpose(0, 2, 1, 3)
        g = dy.astype(np.float64).transpose(0, 2, 1, 3)
        values, d_value = self.of_heads(self.v).transpose(0, 1, 3, 2), self.v.shape[3]
        relative = self.score_error + self.sum_error + 8 * eps
        dw_size = np.abs(g) @ values * factor
        mean_size = (np.abs(g) * np.abs(y)).sum(axis=-1, keepdims=True)
        mean_error = (np.abs(g) * y_error).sum(axis=-1, keepdims=True) + (d_value + 8) * eps * mean_size
        size = self.scale * self.weights * (dw_size + mean_size)
        error = size * relative + self.scale * self.weights * ((d_value + 8) * eps * dw_size + mean_error)
        chain = (max(s, t * heads // groups) + 8) * eps
        error = error + chain * size
        dq = error @ self.of_heads(self.k)
        dk = error.transpose(0, 1, 3, 2) @ np.abs(self.q).astype(np.float64).transpose(0, 2, 1, 3)
        dv = (self.weights * factor * (relative + chain)).transpose(0, 1, 3, 2) @ np.abs(g)

        def summed(x: Array) -> Array:
            return x.reshape(n, groups, heads // groups, s, -1).sum(axis=2).transpose(0, 2, 1, 3)

        return dq.transpose(0, 2, 1, 3), summed(dk), summed(dv)

    def gradients(self, dy: Array) -> tuple[Array, Array, Array]:
        return ref.attention_gradients(dy, self.q, self.k, self.v, self.mask, self.causal, self.scale, self.kept)


def _cases(bench: Workbench) -> Iterator[Case]:
    size = max(bench.size, 1)
    large = size > 2000
    shapes = [  # N, T, S, H, G, d, d_value
        (2, min(size, 90), min(size, 90), 2, 1, 3, 5),
        (1, 3, min(size, 600), 2, 2, 5, 4),
        (1, min(size, 600), 2, 3, 3, 4, 3),
        (1, 4, 6, 1, 1, min(size, 70), min(size, 37)),
        (2, 1, min(size, 300), 4, 2, 8, 8),
    ]
    if large:
        shapes = [(3, 130, 600, 4, 2, 16, 16)]
    for shape in shapes:
        n, t, s, heads, groups, d, d_value = shape
        q, k = bench.normal(n, t, heads, d), bench.normal(n, s, groups, d)
        v, scale = bench.normal(n, s, groups, d_value), float(np.float32(1 / np.sqrt(d)))
        by_key = bench.array(bench.rng.integers(0, 2, (n, s)))
        by_query = bench.array(bench.rng.integers(0, 3, (n, t, s)) > 0)
        kept = dropout(np.ones((n, heads, t, s), bench.dtype), RATE, SEED, STEP, STREAM)
        drop = {"rate": RATE, "seed": SEED, "step": STEP, "stream": STREAM}
        for name, options, factors in (
            ("plain", {}, None),
            ("causal", {"causal": True}, None),
            ("masked keys", {"mask": by_key}, None),
            ("masked queries and keys", {"mask": by_query, "causal": True}, None),
            ("dropout", {"causal": True, **drop}, kept),
        ):
            given = {name: value for name, value in options.items() if name in ("mask", "causal")}
            all_options = {"scale": scale, **options}
            yield Case(f"{name} {shape}", q, k, v, bench.eps, all_options, scale=scale, kept=factors, **given)


def attention_weights(bench: Workbench) -> Iterator[Check]:
    for case in _cases(bench):
        truth = ref.attention(case.q, case.k, case.v, case.mask, case.causal, case.scale, case.kept)
        y, _ = kernels.attention_forward(case.q, case.k, case.v, **case.options, out=bench.out(*truth.shape))
        yield Check(case.label, y, truth, case.forward() + tiny(bench.dtype))


def attention_sums(bench: Workbench) -> Iterator[Check]:
    for case in _cases(bench):
        _, sums = kernels.attention_forward(case.q, case.k, case.v, **case.options)
        truth = case.log_sums
        size = np.where(np.isfinite(truth), np.abs(truth), 0)
        yield Check(case.label, sums, truth, case.sum_error[..., 0] + 4 * bench.eps * (1 + size))


def attention_gradients(bench: Workbench) -> Iterator[Check]:
    for case in _cases(bench):
        y, sums = kernels.attention_forward(case.q, case.k, case.v, **case.options)
        dy = bench.normal(*y.shape)
        got = kernels.attention_backward(dy, y, sums, case.q, case.k, case.v, **case.options)
        for name, gradient, truth, error in zip(
            ("dq", "dk", "dv"), got, case.gradients(dy), case.backward(dy), strict=True
        ):
            yield Check(f"{case.label} {name}", gradient, truth, error + tiny(bench.dtype))


def rotate(bench: Workbench) -> Iterator[Check]:
    size = min(max(bench.size, 1), 2000)
    for shape in ((2, size, 1, 6), (3, 2, min(size, 20), 2), (1, 3, 2, 2 * size)):
        x, offsets = bench.normal(*shape), bench.array(bench.rng.integers(0, 9000, shape[0]))
        for interleaved in (False, True):
            for start in (None, offsets):
                label = f"{shape} {'interleaved' if interleaved else 'halves'}, offsets {start}"
                truth = ref.rotary(x, start, 500.0, interleaved)
                # Rounded sines and cosines, two products and a sum; the angle's own error in float64.
                half = np.hypot(x, ref.rotary(x, start, 500.0, interleaved, inverse=True)) + np.abs(truth)
                pair = np.abs(x).max(axis=-1, keepdims=True) + half
                angle = 4 * np.finfo(np.float64).eps * (9000 + shape[1])
                tolerance = (4 * bench.eps + angle) * pair
                got = kernels.rotary_forward(x, start, 500.0, interleaved, out=bench.out(*shape))
                yield Check(label, got, truth, tolerance)
                back = kernels.rotary_backward(x, start, 500.0, interleaved)
                yield Check(f"{label}, back", back, ref.rotary(x, start, 500.0, interleaved, True), tolerance)


ATTENTION_ROWS = {row.__name__: row for row in (attention_weights, attention_sums, attention_gradients, rotate)}
