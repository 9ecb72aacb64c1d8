"""The rows of merging, PReLU and transposition in the table of kernel tests, through the layers that run them."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from kernel_cases import Check, Workbench
from layer_passes import passes
from reference.merge import extreme, extreme_backward
from reference.prelu import prelu, prelu_backward

from nnfast import layers


def _subtract(bench: Workbench) -> Iterator[Check]:
    a, b, dy = (bench.normal(3, max(bench.size, 1)) for _ in range(3))
    found = passes(layers.Subtract(), [a, b], [dy])
    yield Check("a - b", found.outputs[0], a - b)
    yield Check("da", found.d_inputs[0], dy)
    yield Check("db", found.d_inputs[1], -dy)


def _extreme(largest: bool) -> Callable[[Workbench], Iterator[Check]]:
    kind: Any = layers.Maximum if largest else layers.Minimum

    def checks(bench: Workbench) -> Iterator[Check]:
        shape = (2, max(bench.size, 1))
        # Small integers: in many places two inputs or all three are equal.
        inputs, dy = [bench.array(bench.rng.integers(-2, 3, shape)) for _ in range(3)], bench.normal(*shape)
        found = passes(kind(), inputs, [dy])
        yield Check("y", found.outputs[0], extreme(inputs, largest))
        for i, truth in enumerate(extreme_backward(dy, inputs, largest)):
            yield Check(f"dx{i}", found.d_inputs[i], truth)

    return checks


def _prelu(bench: Workbench) -> Iterator[Check]:
    """A line of the kernel for each row, for each pixel, and for each image; enough lines for two tiles and a half."""
    size = max(bench.size, 1)
    few = min(size, 131)
    cases: list[tuple[tuple[int, ...], tuple[int, ...] | None]] = [((5, size), None), ((2, 3, few, 3), (1, 2))]
    if size < 2000:
        cases += [((700, few), None), ((3, 2, few, 2), (2,)), ((130, 5, few), (1, 2)), ((7, few, 3), (2,))]
    for shape, axes in cases:
        x, dy = bench.normal(*shape), bench.normal(*shape)
        layer = layers.PReLU(shared_axes=axes)
        alpha = bench.normal(*(1 if i in (axes or ()) else n for i, n in enumerate(shape) if i > 0))
        found = passes(layer, [x], [dy], {"alpha": alpha})
        dx, d_alpha = prelu_backward(dy, x, alpha)
        label = f"{shape}, shared {axes}"
        yield Check(f"y, {label}", found.outputs[0], prelu(x, alpha), bench.eps * np.abs(alpha * x))
        yield Check(f"dx, {label}", found.d_inputs[0], dx, bench.eps * np.abs(alpha * dy))
        # A chain of at most 256 terms, and then one over tiles; each term and each sum is rounded once.
        terms = int(np.prod(shape)) // alpha.size
        total = np.abs(prelu_backward(np.abs(dy), -np.abs(np.minimum(x, 0)), alpha)[1])
        yield Check(f"d_alpha, {label}", found.d_parameters["alpha"], d_alpha, bench.eps * (terms + 4) * total)


def _transpose(bench: Workbench) -> Iterator[Check]:
    size = max(bench.size, 1)
    few = min(size, 67)
    cases: list[tuple[tuple[int, ...], tuple[int, ...]]] = [((size, 5), (2, 1)), ((5, size), (2, 1))]
    cases += [((few, 4, 3), order) for order in ((3, 1, 2), (2, 3, 1), (3, 2, 1), (2, 1, 3))]
    cases += [((2, few, 3, few), (1, 4, 3, 2)), ((2, 3, 5, 2), (4, 2, 1, 3)), ((1, few, 1), (3, 2, 1))]
    for shape, order in cases:
        x = bench.normal(2, *shape)
        y = x.transpose(0, *order)
        dy = bench.array(bench.rng.standard_normal(y.shape))
        found = passes(layers.Permute(order), [x], [dy])
        yield Check(f"{shape} {order}", found.outputs[0], y)
        yield Check(f"{shape} {order}, gradient", found.d_inputs[0], dy.transpose(0, *(np.argsort(order) + 1)))


TENSOR_ROWS: dict[str, Callable[[Workbench], Iterator[Check]]] = {
    "subtract": _subtract,
    "maximum": _extreme(True),
    "minimum": _extreme(False),
    "take_where_equal": _extreme(True),
    "prelu_forward": _prelu,
    "prelu_backward": _prelu,
    "transpose": _transpose,
}
