"""The rows of pooling and resampling in the table of kernel tests."""

from collections.abc import Callable, Iterator

import numpy as np
from kernel_cases import Array, Check, Workbench
from reference.pooling import Padding, Pair, avg_pool, avg_pool_backward, max_pool, max_pool_backward
from reference.resize import upsample, upsample_backward

from nnfast import kernels

# pool size, strides, padding: side by side, with gaps, overlapping along one axis and both, padded
WINDOWS: tuple[tuple[Pair, Pair, str | Padding], ...] = (
    ((2, 2), (2, 2), "valid"),
    ((2, 2), (2, 2), "same"),
    ((2, 2), (2, 2), ((1, 0), (1, 1))),
    ((1, 2), (3, 3), "valid"),
    ((3, 3), (3, 3), "same"),
    ((3, 3), (2, 2), "same"),
    ((3, 3), (1, 1), ((1, 1), (1, 1))),
    ((2, 3), (2, 1), "valid"),
    ((4, 2), (3, 1), ((3, 2), (1, 0))),
)
FEW = WINDOWS[:2] + WINDOWS[5:6]


def _cases(bench: Workbench) -> Iterator[tuple[tuple[int, ...], Pair, Pair, str | Padding]]:
    """Yield shapes whose channels, width or number of images is the bench's size."""
    large = bench.size > 2000
    for pool, strides, padding in FEW if large else WINDOWS:
        shapes = [(2, 5, 7, bench.size)] if large else [(2, 5, 7, bench.size), (1, 4, max(bench.size, 4), 3)]
        if bench.size == 0:
            shapes.append((0, 5, 7, 3))
        for shape in shapes:
            yield shape, pool, strides, padding


def _ties(bench: Workbench, shape: tuple[int, ...]) -> Array:
    """Return small integers: many windows have several largest elements, and the first one counts."""
    return bench.array(bench.rng.integers(-2, 3, shape))


def _max_pool_forward(bench: Workbench) -> Iterator[Check]:
    for shape, pool, strides, padding in _cases(bench):
        x = bench.normal(*shape)
        truth = max_pool(x, pool, strides, padding)
        got = kernels.max_pool2d_forward(x, pool, strides, padding, bench.out(*truth.shape))
        yield Check(f"{shape} {pool} {strides} {padding}", got, truth)
    shape = (3, 2, 9, bench.size)
    x = bench.normal(*shape)
    got = kernels.global_max_pool2d_forward(x, bench.out(3, bench.size))
    yield Check("global", got, x.max(axis=(1, 2)).astype(np.float64))


def _max_pool_backward(bench: Workbench) -> Iterator[Check]:
    for shape, pool, strides, padding in _cases(bench):
        x = _ties(bench, shape)
        y = max_pool(x, pool, strides, padding)
        winners, out = bench.out(*y.shape), bench.out(*shape)
        yield Check("with winners", kernels.max_pool2d_forward(x, pool, strides, padding, None, winners), y)
        dy = bench.array(bench.rng.integers(-9, 10, y.shape))  # sums of shares are exact
        got = kernels.max_pool2d_backward(dy, winners, shape[1:3], pool, strides, padding, out)
        yield Check(f"{shape} {pool} {strides} {padding}", got, max_pool_backward(dy, x, pool, strides, padding))
    shape = (3, 2, 9, bench.size)
    x = _ties(bench, shape)
    winners, dy = bench.out(3, bench.size), bench.normal(3, bench.size)
    kernels.global_max_pool2d_forward(x, winners=winners)
    truth = max_pool_backward(dy[:, None, None], x, (2, 9), (2, 9))
    yield Check("global", kernels.global_max_pool2d_backward(dy, winners, (2, 9), bench.out(*shape)), truth)


def _avg_pool_forward(bench: Workbench) -> Iterator[Check]:
    for shape, pool, strides, padding in _cases(bench):
        x = bench.normal(*shape)
        truth = avg_pool(x, pool, strides, padding)
        got = kernels.avg_pool2d_forward(x, pool, strides, padding, bench.out(*truth.shape))
        # A chain of at most pool additions, then a product with a rounded reciprocal.
        tolerance = bench.eps * (pool[0] * pool[1] + 2) * avg_pool(np.abs(x), pool, strides, padding)
        yield Check(f"{shape} {pool} {strides} {padding}", got, truth, tolerance)
    x = bench.normal(3, 2, 9, bench.size)
    truth, tolerance = x.astype(np.float64).mean(axis=(1, 2)), bench.eps * 20 * np.abs(x).mean(axis=(1, 2))
    yield Check("global", kernels.global_avg_pool2d_forward(x, bench.out(3, bench.size)), truth, tolerance)


def _avg_pool_backward(bench: Workbench) -> Iterator[Check]:
    for shape, pool, strides, padding in _cases(bench):
        dy = bench.normal(*max_pool(np.zeros(shape), pool, strides, padding).shape)
        truth = avg_pool_backward(dy, shape[1:3], pool, strides, padding)
        got = kernels.avg_pool2d_backward(dy, shape[1:3], pool, strides, padding, bench.out(*shape))
        # At most pool shares, each of two roundings, in one chain.
        size = avg_pool_backward(np.abs(dy), shape[1:3], pool, strides, padding)
        tolerance = bench.eps * (pool[0] * pool[1] + 2) * size
        yield Check(f"{shape} {pool} {strides} {padding}", got, truth, tolerance)
    dy = bench.normal(3, bench.size)
    truth = np.broadcast_to(dy[:, None, None].astype(np.float64) / 18, (3, 2, 9, bench.size))
    got = kernels.global_avg_pool2d_backward(dy, (2, 9), bench.out(*truth.shape))
    yield Check("global", got, truth, 2 * bench.eps * np.abs(truth))


def _resample(bench: Workbench) -> Iterator[Check]:
    large = bench.size > 2000
    shapes = [(1, 2, 3, bench.size)] if large else [(2, 3, 4, bench.size), (2, 2, max(bench.size, 1), 3)]
    for shape in shapes:
        for factors in ((2, 2),) if large else ((2, 2), (3, 1), (1, 4)):
            for interpolation in ("nearest", "bilinear"):
                x = bench.normal(*shape)
                label = f"{shape} {factors} {interpolation}"
                truth = upsample(x, factors, interpolation)
                got = kernels.upsample2d_forward(x, factors, interpolation, bench.out(*truth.shape))
                # Two passes of two rounded weights each.
                yield Check(label, got, truth, 8 * bench.eps * upsample(np.abs(x), factors, interpolation))
                dy = bench.normal(*truth.shape)
                size = upsample_backward(np.abs(dy), factors, interpolation)
                got = kernels.upsample2d_backward(dy, factors, interpolation, bench.out(*shape))
                # Two chains of at most twice the factor each.
                tolerance = bench.eps * (2 * sum(factors) + 4) * size
                yield Check(label + ", gradient", got, upsample_backward(dy, factors, interpolation), tolerance)


POOL_ROWS: dict[str, Callable[[Workbench], Iterator[Check]]] = {
    "max_pool_forward": _max_pool_forward,
    "max_pool_backward": _max_pool_backward,
    "avg_pool_forward": _avg_pool_forward,
    "avg_pool_backward": _avg_pool_backward,
    "resample": _resample,
}
