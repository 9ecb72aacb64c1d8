"""Where a kernel may write: an input's own memory where the docstring allows it, and never a part of one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from kernel_cases import Array

from nnfast import kernels


@dataclass(frozen=True)
class Call:
    """A kernel: what it computes from `shapes`' arrays into `out`, and which of them `out` may be."""

    function: Callable[..., Any]
    shapes: dict[str, tuple[int, ...]]
    out: tuple[int, ...]
    may_be: tuple[str, ...] = ()


def _rows(function: Callable[..., Any], names: str, may_be: str = "", **more: tuple[int, ...]) -> Call:
    """Return a kernel whose arrays and result have one shape."""
    shape = (4, 6)
    return Call(function, {**dict.fromkeys(names.split(), shape), **more}, shape, tuple(may_be.split()))


IMAGE = (1, 4, 4, 3)
CHANNELS = {"gamma": (6,), "beta": (6,)}
CALLS = {
    "matmul": Call(
        lambda a, b, bias, out: kernels.matmul(a, b, out, bias=bias), {"a": (4, 4), "b": (4, 4), "bias": (4,)}, (4, 4)
    ),
    "activation_forward": _rows(lambda x, out: kernels.activation_forward("sigmoid", x, out=out), "x", "x"),
    "activation_backward": _rows(
        lambda dy, x, y, out: kernels.activation_backward("gelu", dy, x, y, out=out), "dy x y", "dy x y"
    ),
    "unary_forward": _rows(lambda x, out: kernels.unary_forward("sin", x, out), "x", "x"),
    "unary_backward": _rows(lambda dy, x, y, out: kernels.unary_backward("sin", dy, x, y, out), "dy x y", "dy"),
    "binary_forward": _rows(lambda a, b, out: kernels.binary_forward("power", a, b, out), "a b", "a b"),
    "where_forward": _rows(kernels.where_forward, "condition a b", "condition a b"),
    "softmax_forward": _rows(kernels.softmax_forward, "x", "x"),
    "softmax_backward": _rows(kernels.softmax_backward, "dy y", "dy y"),
    "log_softmax_forward": _rows(kernels.log_softmax_forward, "x", "x"),
    "log_softmax_backward": _rows(kernels.log_softmax_backward, "dy y", "dy y"),
    "conv2d_forward": Call(
        lambda x, kernel, bias, out: kernels.conv2d_forward(x, kernel, bias, out=out),
        {"x": IMAGE, "kernel": (2, 2, 3, 3), "bias": (3,)},
        (1, 3, 3, 3),
    ),
    "max_pool2d_forward": Call(lambda x, out: kernels.max_pool2d_forward(x, 2, 1, out=out), {"x": IMAGE}, (1, 3, 3, 3)),
    "max_pool2d_backward": Call(
        lambda dy, out: kernels.max_pool2d_backward(dy, np.zeros(dy.shape), (4, 4), 2, out=out),
        {"dy": (1, 2, 2, 3)},
        IMAGE,
    ),
    "upsample2d_backward": Call(
        lambda dy, out: kernels.upsample2d_backward(dy, 2, out=out), {"dy": IMAGE}, (1, 2, 2, 3)
    ),
    "cropping2d_forward": Call(lambda x, out: kernels.cropping2d_forward(x, 1, out=out), {"x": IMAGE}, (1, 2, 2, 3)),
    "batch_norm_forward": _rows(
        lambda x, gamma, beta, out: kernels.batch_norm_forward(x, gamma, beta, out=out)[0], "x", "x", **CHANNELS
    ),
    "batch_norm_backward": _rows(
        lambda dy, x, gamma, beta, out: kernels.batch_norm_backward(dy, x, gamma, beta, out=out)[0],
        "dy x",
        "dy",
        **CHANNELS,
    ),
    "layer_norm_forward": _rows(
        lambda x, gamma, beta, out: kernels.layer_norm_forward(x, gamma, beta, out=out), "x", "x", **CHANNELS
    ),
    "group_norm_forward": _rows(
        lambda x, gamma, beta, out: kernels.group_norm_forward(x, gamma, beta, groups=2, out=out),
        "x",
        "x",
        **CHANNELS,
    ),
}


def _arrays(call: Call) -> dict[str, Array]:
    rng = np.random.default_rng(5)
    return {name: rng.standard_normal(shape) for name, shape in call.shapes.items()}


def _placed(values: Array, shape: tuple[int, ...], shift: int) -> tuple[Array, Array]:
    """Return a copy of the values, and an array that begins `shift` elements after it in the same memory."""
    size, room = int(np.prod(shape)), int(np.prod(shape)) + values.size
    memory = np.zeros(2 * room + values.size)
    start = room
    inside = memory[start : start + values.size].reshape(values.shape)
    inside[...] = values
    return inside, memory[start + shift : start + shift + size].reshape(shape)


@pytest.mark.parametrize("name", CALLS)
def test_results_share_no_memory_in_part(name: str) -> None:
    call = CALLS[name]
    arrays = _arrays(call)
    size = int(np.prod(call.out))
    wanted = call.function(**arrays, out=np.empty(call.out))
    for shared, values in arrays.items():
        for shift in {1 - size, -1, 1, values.size - 1}:
            inside, out = _placed(values, call.out, shift)
            with pytest.raises(ValueError, match=rf"out: expected .* that does not overlap (it|{shared}) in memory"):
                call.function(**{**arrays, shared: inside}, out=out)
            np.testing.assert_array_equal(inside, values)
        for shift in (-size, values.size):
            inside, out = _placed(values, call.out, shift)
            np.testing.assert_array_equal(call.function(**{**arrays, shared: inside}, out=out), wanted)
            np.testing.assert_array_equal(inside, values)


@pytest.mark.parametrize("name", CALLS)
def test_results_in_an_inputs_own_memory(name: str) -> None:
    call = CALLS[name]
    arrays = _arrays(call)
    wanted = call.function(**arrays, out=np.empty(call.out))
    for shared, values in arrays.items():
        inside, out = _placed(values, call.out, 0)
        if shared in call.may_be:
            np.testing.assert_array_equal(call.function(**{**arrays, shared: inside}, out=out), wanted)
        else:
            with pytest.raises(ValueError, match=f"out: expected an array that does not overlap {shared} in memory"):
                call.function(**{**arrays, shared: inside}, out=out)


@pytest.mark.parametrize("first", range(4))
@pytest.mark.parametrize("second", range(4))
def test_vectors_of_an_optimizer_share_no_memory(first: int, second: int) -> None:
    if first == second:
        return
    for function, count in ((kernels.adam_update, 4), (kernels.sgd_update, 3)):
        if max(first, second) >= count:
            continue
        for shift in (0, 1):
            memory = np.ones((count, 8))
            vectors = [row[:5] for row in memory]
            vectors[second] = memory[first, shift : shift + 5]
            with pytest.raises(ValueError, match="does not overlap"):
                function(*vectors)
            assert (memory == 1).all()
