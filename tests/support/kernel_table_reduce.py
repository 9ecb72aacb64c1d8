"""The rows of reductions in the table of kernel tests, through the functions of `nnfast.ops`."""

from collections.abc import Callable, Iterator

import numpy as np
import reference.reductions as ref
from kernel_cases import Array, Check, Workbench, sum_tolerance

from nnfast import kernels, ops


def _folds(bench: Workbench, x: Array, axis: int) -> Iterator[Check]:
    label = f"{x.shape}, axis {axis}"
    n, total = x.shape[axis], np.abs(x.astype(np.float64)).sum(axis=axis)
    yield Check(f"sum, {label}", ops.sum(x, axis), ref.reduce_sum(x, axis), bench.eps * n * total)
    yield Check(f"max, {label}", ops.max(x, axis), ref.reduce_max(x, axis))
    yield Check(f"min, {label}", ops.min(x, axis), ref.reduce_min(x, axis))
    factors = bench.uniform(0.95, 1.05, *x.shape)
    product = ref.reduce_prod(factors, axis)
    yield Check(f"prod, {label}", ops.prod(factors, axis), product, bench.eps * n * product)


def _fold_rows(bench: Workbench) -> Iterator[Check]:
    x = bench.normal(3, max(bench.size, 1))
    yield from _folds(bench, x, 1)
    yield from _folds(bench, bench.normal(max(bench.size, 1), 3), 1)
    yield Check("all", kernels.reduce_max(x), ref.reduce_max(x))
    total = np.abs(x.astype(np.float64)).sum()
    yield Check("sum of all", ops.sum(x), ref.reduce_sum(x), sum_tolerance(total, x.size, bench.dtype))


def _fold_columns(bench: Workbench) -> Iterator[Check]:
    size = max(bench.size, 1)
    for shape in ((3, size), (size, 3), (11, size)):
        yield from _folds(bench, bench.normal(*shape), 0)
    yield from _folds(bench, bench.normal(2, 7, size), 1)


REDUCE_ROWS: dict[str, Callable[[Workbench], Iterator[Check]]] = {
    "fold_rows": _fold_rows,
    "fold_columns": _fold_columns,
}
