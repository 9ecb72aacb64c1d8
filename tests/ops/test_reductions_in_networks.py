"""Reductions as parts of networks: gradients, batches of any size, threads, saving."""

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernel_cases import DTYPES
from reduction_cases import SMOOTH, TRUTH, numbers, reduced, subsets

import nnfast as nf
from nnfast import _core, layers, ops
from nnfast.core.typing import Array

dtypes = pytest.mark.parametrize("dtype", DTYPES)


def network(function: Callable[[Any], Any], shape: tuple[int, ...], dtype: str = "float64") -> nf.Network:
    """Of one input; a result without the batch becomes one value for each row."""
    x = layers.Input(shape)
    y = function(x)
    if not y.batched:
        y = ops.broadcast_to(y, (None, *y.shape))
    return nf.Network(inputs=x, outputs=y, dtype=dtype)


def gradient_error(net: nf.Network, x: Array, rng: np.random.Generator) -> float:
    """The largest difference between dL/dx and central differences of L = sum(dy y), relative to the largest dL/dx."""
    y, pullback = net.vjp(x)
    dy = rng.standard_normal(y.shape)
    _, dx = pullback(dy)
    found = np.empty_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = 1e-6
        found[i] = ((net.predict(x + step) - net.predict(x - step)) * dy).sum() / 2e-6
    return float(np.abs(dx - found).max() / max(np.abs(found).max(), 1.0))


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_over_every_set_of_axes(name: str, rng: np.random.Generator) -> None:
    shape = (3, 2, 4)
    for axes, keepdims in itertools.product(subsets(3), (False, True)):
        if name in ("var", "std") and math.prod(shape[i] for i in axes) == 1:
            continue  # 0, where the root has no gradient
        x = rng.permutation(24).reshape(shape) / 16.0 + 0.5  # no two maxima
        net = network(lambda x, a=axes, k=keepdims: reduced(name, x, a, k), shape[1:])
        # An output of size 1 is known to 1e-16, and the difference of two to 1e-10 when divided by 2e-6.
        assert gradient_error(net, x, rng) < 1e-8, f"{name}, axes {axes}"


COMPOSED: dict[str, Callable[[Any], Any]] = {
    "cumsum": lambda x: ops.cumsum(x, 1),
    "cumsum of the batch": lambda x: ops.cumsum(x, 0, reverse=True),
    "exclusive cumsum": lambda x: ops.cumsum(x, -1, exclusive=True),
    "reverse exclusive cumsum": lambda x: ops.cumsum(x, -2, reverse=True, exclusive=True),
    "softmax": lambda x: ops.softmax(x),
    "softmax of the batch": lambda x: ops.softmax(x, 0),
    "softmax of one number a row": lambda x: ops.softmax(ops.sum(x, (1, 2))),
    "log_softmax of one number a row": lambda x: ops.log_softmax(ops.sum(x, (1, 2))),
    "softmax of a middle axis": lambda x: ops.softmax(x, 1),
    "log_softmax": lambda x: ops.log_softmax(x, -1),
    "log_softmax of two axes": lambda x: ops.log_softmax(x, (1, 2)),
    "normalize": lambda x: ops.normalize(x, 1),
    "batch normalization": lambda x: (x - ops.mean(x, 0)) / ops.sqrt(ops.var(x, 0) + 1e-3),
    "var": lambda x: ops.var(x, (0, 2), ddof=1),
    "norm 1": lambda x: ops.norm(x, 1, 1),
    "norm inf": lambda x: ops.norm(x, math.inf, 2),
    "broadcast_to": lambda x: ops.broadcast_to(ops.sum(x, 1, keepdims=True), (None, 2, 4)) * x,
    "broadcast to the batch": lambda x: ops.broadcast_to(ops.mean(x, 0), (None, 2, 4)) * x,
}


@pytest.mark.parametrize("name", COMPOSED)
def test_other_gradients(name: str, rng: np.random.Generator) -> None:
    x = rng.permutation(40).reshape(5, 2, 4) / 16.0 - 1.01
    assert gradient_error(network(COMPOSED[name], (2, 4)), x, rng) < 1e-8


def test_gradients_of_products_with_zeros() -> None:
    x = np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 5.0], [7.0, 1.0, 2.0]])
    wanted = [[0, 6, 0], [0, 0, 0], [2, 14, 7]]
    _, pullback = network(lambda x: ops.prod(x, 1), (3,)).vjp(x)
    np.testing.assert_array_equal(pullback(np.ones(3))[1], wanted)
    _, pullback = network(lambda x: ops.prod(x, 0), (3,)).vjp(x.T)
    dy = np.zeros((3, 3))
    dy[0] = 1  # each row has the same result
    np.testing.assert_array_equal(pullback(dy)[1].T, wanted)


def test_the_first_of_equal_numbers_gets_the_gradient() -> None:
    x = np.array([[[1.0, 3.0], [3.0, 3.0]], [[2.0, 2.0], [0.0, 2.0]]])
    for axes, first in {
        (1,): [[[0, 1], [1, 0]], [[1, 1], [0, 0]]],
        (2,): [[[0, 1], [1, 0]], [[1, 0], [0, 1]]],
        (0,): [[[0, 1], [1, 1]], [[1, 0], [0, 0]]],
        (0, 2): [[[0, 1], [1, 0]], [[0, 0], [0, 0]]],
        (1, 2): [[[0, 1], [0, 0]], [[1, 0], [0, 0]]],
    }.items():
        net = network(lambda x, a=axes: ops.max(x, a), (2, 2))
        y, pullback = net.vjp(x)
        dy = np.ones_like(y)
        if 0 in axes:
            dy[1:] = 0  # each row has the same result
        np.testing.assert_array_equal(pullback(dy)[1], first, err_msg=f"{axes}")
        opposite = network(lambda x, a=axes: ops.min(-x, a), (2, 2))
        np.testing.assert_array_equal(opposite.vjp(x)[1](dy)[1], -np.array(first), err_msg=f"{axes}")


def test_the_norm_of_zeros_has_the_gradient_zero() -> None:
    _, pullback = network(lambda x: ops.norm(x, axis=1), (3,)).vjp(np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 4.0]]))
    np.testing.assert_allclose(pullback(np.ones(2))[1], [[0, 0, 0], [0.6, 0, 0.8]], rtol=1e-15)


@dtypes
@pytest.mark.parametrize("name", TRUTH)
def test_networks_compute_what_arrays_give(name: str, dtype: str, rng: np.random.Generator) -> None:
    """For batches of several sizes, with memory for the largest."""
    x = numbers(name, rng, (9, 3, 4)).astype(dtype)
    cases: tuple[Any, ...] = (1, (1, 2), 0, (0, 2), None)
    for axis in cases:
        net = network(lambda x, a=axis: reduced(name, x, a) * 1.0, (3, 4), dtype)
        for rows in (9, 1, 4):
            alone = reduced(name, x[:rows], axis)
            wanted = alone if axis in (1, (1, 2)) else np.broadcast_to(alone, (rows, *np.shape(alone)))
            np.testing.assert_allclose(net.predict(x[:rows]), wanted.astype(dtype), rtol=4e-7, atol=1e-6)


def test_memory_for_the_largest_batch_is_enough_for_all(rng: np.random.Generator) -> None:
    """Batches that take other numbers of passes than the largest."""
    x = rng.standard_normal((9000, 3, 2))
    for axes in ((0,), (0, 2), (0, 1, 2)):
        net = network(lambda x, a=axes: ops.sum(x, a), (3, 2))
        plan = net.plan(len(x))
        for rows in (9000, 8192, 4097, 1025, 129, 128, 2):
            plan.run(net.as_rows(x[:rows]), False)
            exact = x[:rows].sum(axis=axes)
            np.testing.assert_allclose(plan.outputs()[0][-1], exact, rtol=0, atol=1e-12 * rows)


def test_shapes_and_domains() -> None:
    x = layers.Input((3, 4))
    assert ops.argmax(x, -1).shape == (3,)
    assert ops.argmax(x, -1).domain == "integer"
    assert ops.max(x > 0, 1).domain == "boolean"
    assert ops.sum(x > 0, 1).domain == "integer"
    assert ops.sum(x, (1, 2)).shape == ()
    for keepdims, shape in ((False, (3, 4)), (True, (1, 3, 4))):
        total = ops.sum(x, 0, keepdims=keepdims)
        assert total.shape == shape
        assert not total.batched
    net = nf.Network(inputs=x, outputs=ops.argmax(x, 2) + 0.0)
    assert net.predict([[[1, 3, 2, 0], [5, 5, 4, 5], [0, -1, 0, 0]]]).tolist() == [[1, 0, 0]]


def test_a_network_with_reductions_is_saved_and_loaded(tmp_path: Path, rng: np.random.Generator) -> None:
    x = layers.Input((3, 4))
    net = nf.Network(inputs=x, outputs=layers.Dense(2)(ops.mean(x, 1) - ops.max(x, (0, 1))))
    net.save(tmp_path / "network")
    values = rng.standard_normal((5, 3, 4))
    np.testing.assert_array_equal(nf.Network.load(tmp_path / "network").predict(values), net.predict(values))


@dtypes
def test_the_number_of_threads_changes_no_bit(dtype: str, threads: None, rng: np.random.Generator) -> None:
    shape = (60, 37, 97)
    x = rng.standard_normal(shape).astype(dtype)
    functions: list[Callable[[Any], Any]] = [
        lambda x, n=name, a=axis: reduced(n, x, a)
        for name in ("sum", "mean", "max", "prod", "logsumexp", "argmax")
        for axis in (0, 1, 2, None)
    ]
    functions += [lambda x, a=axis: ops.cumsum(x, a) for axis in range(3)]
    functions += [lambda x, a=axis: ops.softmax(x, a) for axis in range(3)]
    nets = [
        network(lambda x, n=name, a=axes: reduced(n, x, a), shape[1:], dtype)
        for name in ("sum", "max", "prod", "var")
        for axes in ((0, 1), (1,), (2,), (0, 2))
    ]
    found = []
    for count in (1, 2, 3, 8):
        _core.set_num_threads(count)
        results = [np.asarray(function(x)).tobytes() for function in functions]
        for net in nets:
            y, pullback = net.vjp(x)
            results += [y.tobytes(), pullback(np.ones_like(y))[1].tobytes()]
        found.append(results)
    assert all(results == found[0] for results in found[1:])
