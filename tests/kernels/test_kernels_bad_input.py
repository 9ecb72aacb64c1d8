"""Every array that NumPy can make gives an error or a right result, and never a crash."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from kernel_cases import Array, misaligned

from nnfast import kernels

REFUSALS = (ValueError, TypeError)


def _odd_arrays() -> dict[str, Any]:
    square = np.arange(1, 10, dtype=np.float32).reshape(3, 3) / 16
    read_only = square.copy()
    read_only.flags.writeable = False
    record = np.zeros((3, 3), [("a", np.float32), ("b", np.int32)])
    return {
        "plain": square,
        "float64": square.astype(np.float64),
        "0-d": np.array(1.0, np.float32),
        "empty": np.empty(0, np.float32),
        "no rows": np.empty((0, 3), np.float32),
        "no columns": np.empty((3, 0), np.float32),
        "one axis": square[0].copy(),
        "three axes": square[None].copy(),
        "many axes": square.reshape([3] + [1] * 60 + [3]),
        "read-only": read_only,
        "Fortran order": np.asfortranarray(square),
        "transposed": square.T,
        "reversed rows": square[::-1],
        "reversed columns": square[:, ::-1],
        "every other column": np.ones((3, 6), np.float32)[:, ::2],
        "part of a wider one": np.ones((3, 6), np.float32)[:, :3],
        "one row broadcast": np.broadcast_to(square[0], (3, 3)),
        "one number broadcast": np.broadcast_to(np.float32(1), (3, 3)),
        "a window": np.lib.stride_tricks.sliding_window_view(np.ones(5, np.float32), 3),
        "misaligned": misaligned(square),
        "misaligned float64": misaligned(square.astype(np.float64)),
        "field of a record": record["a"],
        "record": record,
        "big-endian": square.astype(">f4"),
        "float16": square.astype(np.float16),
        "longdouble": square.astype(np.longdouble),
        "complex": square.astype(np.complex64),
        "bool": square > 0,
        "int8": np.ones((3, 3), np.int8),
        "uint8": np.ones((3, 3), np.uint8),
        "int64": np.ones((3, 3), np.int64),
        "uint64": np.full((3, 3), 2**64 - 1, np.uint64),
        "object": square.astype(object),
        "object of None": np.full((3, 3), None),
        "text": square.astype(str),
        "bytes": np.full((3, 3), b"1"),
        "dates": np.zeros((3, 3), "datetime64[s]"),
        "masked": np.ma.masked_array(square, mask=square > 0.2),
        "nan": np.full((3, 3), np.nan, np.float32),
        "integers": np.array([2, 0, 1]),
        "integers, big-endian": np.array([2, 0, 1], ">i8"),
        "integers, misaligned": misaligned(np.array([2, 0, 1])),
        "integers, reversed": np.array([2, 0, 1])[::-1],
        "integers of 16 bits": np.array([2, 0, 1], np.int16),
        "integers, huge": np.array([2, 0, 2**64 - 1], np.uint64),
        "integers, beyond 32 bits": np.array([2, 0, 2**32 + 1]),
        "integers, negative": np.array([2, 0, -(2**63)]),
        "list": square.tolist(),
        "number": 1.0,
        "None": None,
    }


ODD = _odd_arrays()
X = np.arange(1, 10, dtype=np.float32).reshape(3, 3) / 16

IMAGE = X.reshape(1, 3, 3, 1)

# function of arrays, and good arguments for it
CALLS: dict[str, tuple[Callable[..., Any], tuple[Array, ...]]] = {
    "matmul": (kernels.matmul, (X, X)),
    "matmul transposed": (lambda a, b: kernels.matmul(a, b, transpose_a=True, transpose_b=True), (X, X)),
    "matmul bias": (lambda bias: kernels.matmul(X, X, bias=bias), (X[0],)),
    "matvec": (kernels.matvec, (X, X[0])),
    "activation_forward": (lambda x: kernels.activation_forward("tanh", x), (X,)),
    "activation_backward": (lambda dy, x, y: kernels.activation_backward("gelu", dy, x, y), (X, X, X)),
    "softmax_forward": (kernels.softmax_forward, (X,)),
    "softmax_backward": (kernels.softmax_backward, (X, X)),
    "log_softmax_forward": (kernels.log_softmax_forward, (X,)),
    "log_softmax_backward": (kernels.log_softmax_backward, (X, X)),
    "mse": (lambda p, t, w: kernels.loss_forward("mse", p, t, w), (X, X, X[0])),
    "mse gradient": (lambda p, t, w: kernels.loss_backward("mse", p, t, w), (X, X, X[0])),
    "cross_entropy": (lambda p, t: kernels.loss_forward("cross_entropy", p, t, from_logits=True), (X, X)),
    "cross_entropy gradient": (lambda p, t: kernels.loss_backward("cross_entropy", p, t), (X, X)),
    "labels": (lambda p, t: kernels.loss_forward("cross_entropy", p, t, from_logits=True), (X, np.array([0, 2, 1]))),
    "labels of probabilities": (lambda p, t: kernels.loss_backward("cross_entropy", p, t), (X, np.array([0, 2, 1]))),
    "reduce_sum": (kernels.reduce_sum, (X,)),
    "reduce_sum of columns": (lambda x: kernels.reduce_sum(x, 0), (X,)),
    "reduce_max": (lambda x: kernels.reduce_max(x, -1), (X,)),
    "argmax": (kernels.argmax, (X,)),
    "gather_rows": (kernels.gather_rows, (X, np.array([0, 2]))),
    "dropout_forward": (lambda x: kernels.dropout_forward(x, 0.5), (X,)),
    "add": (kernels.add, (X, X)),
    "multiply": (kernels.multiply, (X, X)),
    "exp": (kernels.exp, (X,)),
    "unary_forward": (lambda x: kernels.unary_forward("cos", x), (X,)),
    "unary_backward": (lambda *a: kernels.unary_backward("sin", *a), (X, X, X)),
    "binary_forward": (lambda *a: kernels.binary_forward("power", *a), (X, X)),
    "binary_backward": (lambda *a: np.vstack(kernels.binary_backward("divide", *a)), (X, X, X, X)),
    "where_forward": (kernels.where_forward, (X, X, X)),
    "where_backward": (lambda *a: np.vstack(kernels.where_backward(*a)), (X, X)),
    "max_pool2d_forward": (lambda x: kernels.max_pool2d_forward(x, 2), (IMAGE,)),
    "max_pool2d_backward": (
        lambda dy, winners: kernels.max_pool2d_backward(dy, winners, IMAGE[1:3], 3, 1, 1),
        (IMAGE, IMAGE),
    ),
    "avg_pool2d_forward": (lambda x: kernels.avg_pool2d_forward(x, 2), (IMAGE,)),
    "avg_pool2d_backward": (lambda dy: kernels.avg_pool2d_backward(dy, (6, 6), 2), (IMAGE,)),
    "global_max_pool2d_forward": (kernels.global_max_pool2d_forward, (IMAGE,)),
    "global_avg_pool2d_backward": (lambda dy: kernels.global_avg_pool2d_backward(dy, (2, 2)), (X,)),
    "upsample2d_forward": (lambda x: kernels.upsample2d_forward(x, 2, "bilinear"), (IMAGE,)),
    "upsample2d_backward": (lambda dy: kernels.upsample2d_backward(dy, 3), (IMAGE,)),
    "zero_padding2d_forward": (lambda x: kernels.zero_padding2d_forward(x, 1), (IMAGE,)),
    "cropping2d_forward": (lambda x: kernels.cropping2d_forward(x, 1), (IMAGE,)),
    "batch_norm_forward": (lambda *a: np.vstack(kernels.batch_norm_forward(*a)), (X, X[0], X[1])),
    "batch_norm_forward with statistics": (lambda *a: kernels.batch_norm_forward(*a)[0], (X, X[0], X[1], X[2], X[0])),
    "batch_norm_backward": (lambda *a: np.vstack(kernels.batch_norm_backward(*a)), (X, X, X[0], X[1])),
    "layer_norm_forward": (kernels.layer_norm_forward, (X, X[0], X[1])),
    "layer_norm_backward": (lambda *a: np.vstack(kernels.layer_norm_backward(*a)), (X, X, X[0])),
    "group_norm_forward": (lambda *a: kernels.group_norm_forward(*a, groups=3), (X, X[0], X[1])),
    "group_norm_backward": (lambda *a: np.vstack(kernels.group_norm_backward(*a, groups=3)), (X, X, X[0])),
}


def _clean(argument: Any) -> Any:
    """Return the same values in an array of its own: contiguous, aligned, native, writable."""
    if not isinstance(argument, np.ndarray):
        return argument
    return np.array(argument, dtype=argument.dtype.newbyteorder("="), order="C", copy=True, subok=False)


@pytest.mark.parametrize("name", CALLS)
def test_odd_arguments(name: str) -> None:
    function, good = CALLS[name]
    for label, odd in ODD.items():
        replaced = [tuple(odd if i == place else value for i, value in enumerate(good)) for place in range(len(good))]
        for arguments in (*replaced, (odd,) * len(good)):
            try:
                got = function(*arguments)
            except REFUSALS:
                continue
            expected = function(*map(_clean, arguments))
            np.testing.assert_array_equal(got, expected, err_msg=label)


OUTPUTS: dict[str, tuple[Callable[..., Any], Callable[[], Any]]] = {
    "matmul": (lambda out: kernels.matmul(X, X, out), lambda: kernels.matmul(X, X)),
    "activation_forward": (
        lambda out: kernels.activation_forward("tanh", X, out=out),
        lambda: kernels.activation_forward("tanh", X),
    ),
    "softmax_forward": (lambda out: kernels.softmax_forward(X, out), lambda: kernels.softmax_forward(X)),
    "softmax_backward": (lambda out: kernels.softmax_backward(X, X, out), lambda: kernels.softmax_backward(X, X)),
    "batch_norm_forward": (
        lambda out: kernels.batch_norm_forward(X, out=out),
        lambda: kernels.batch_norm_forward(X)[0],
    ),
    "layer_norm_forward": (lambda out: kernels.layer_norm_forward(X, out=out), lambda: kernels.layer_norm_forward(X)),
    "group_norm_forward": (
        lambda out: kernels.group_norm_forward(X, groups=1, out=out),
        lambda: kernels.group_norm_forward(X, groups=1),
    ),
    "sgd_update": (lambda out: kernels.sgd_update(out, X), lambda: None),
    "velocity": (lambda out: kernels.sgd_update(X.copy(), X, out, 0.1, 0.9), lambda: None),
    "adam_update": (lambda out: kernels.adam_update(X.copy(), X, out, X.copy()), lambda: None),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_odd_outputs(name: str) -> None:
    function, expected = OUTPUTS[name]
    for label, odd in _odd_arrays().items():
        before = np.array(odd, copy=True, subok=False)
        try:
            function(odd)
        except REFUSALS:
            np.testing.assert_array_equal(np.asarray(odd), before, err_msg=label)
            continue
        if odd is not None:
            assert odd.flags.writeable, label
        if expected() is not None and odd is not None:
            np.testing.assert_array_equal(odd, expected(), err_msg=label)


def test_shapes_that_no_memory_holds() -> None:
    huge = np.broadcast_to(np.ones(3, np.float32), (2**40, 3))
    with pytest.raises(ValueError, match=r"contiguous|memory"):
        kernels.softmax_forward(huge)
    with pytest.raises(ValueError, match=r"contiguous|memory"):
        kernels.matmul(huge, X)
