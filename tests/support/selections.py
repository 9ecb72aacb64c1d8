"""Functions that choose, repeat and reorder elements: their values and gradients in networks, against NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np

import nnfast as nf
from nnfast import layers, ops
from nnfast.core.typing import Array

Selection = Callable[[Any, Any], Any]
"""Of a module, `numpy` or `nnfast.ops`, and a tensor."""


def of_batch(function: Callable[[Any], Any], shape: tuple[int, ...], dtype: str = "float64") -> nf.Network:
    """The function of rows of that shape."""
    x = layers.Input(shape)
    return nf.Network(inputs=x, outputs=function(x), dtype=dtype)


class OfWeight(layers.Layer):
    """The input times a function of a weight, flattened: the weight has no batch."""

    def __init__(self, function: Callable[[Any], Any], value: Array) -> None:
        super().__init__()
        self.function, self.value = function, value

    def build(self, input_shape: Any) -> None:
        self.weight = self.add_weight(self.value.shape, self.value, name="weight")

    def call(self, x: Any) -> Any:
        return x * ops.reshape(self.function(self.weight), -1)


def scattered(function: Selection, shape: tuple[int, ...], dy: Array) -> Array:
    """The gradient of a selection: each element gets the sum of dy over the places where it went.

    dy holds small integers, so that sums are exact.
    """
    numbers = 1 + np.arange(int(np.prod(shape))).reshape(shape)
    places = np.asarray(function(np, numbers))  # 0 where a constant was put
    return np.bincount(places.ravel(), dy.ravel(), numbers.size + 1)[1:].reshape(shape)


def check_selection(function: Selection, shape: tuple[int, ...], rng: np.random.Generator, batched: bool) -> None:
    """On arrays, in a network with a batch (if it may have one), and of a weight: values and gradients, exactly."""
    x = rng.standard_normal(shape)
    wanted = np.asarray(function(np, x))
    for dtype in ("float32", "float64"):
        got = function(ops, x.astype(dtype))
        assert np.asarray(got).dtype == dtype
        np.testing.assert_array_equal(got, wanted.astype(dtype))
    whole = rng.integers(-9, 10, shape)
    np.testing.assert_array_equal(function(ops, whole), function(np, whole))

    def with_ops(tensor: Any) -> Any:
        return function(ops, tensor)

    dy = rng.integers(-9, 10, wanted.shape).astype("float64")
    if batched:
        y, pullback = of_batch(with_ops, shape[1:]).vjp(x)
        np.testing.assert_array_equal(y, wanted)
        np.testing.assert_array_equal(pullback(dy)[1], scattered(function, shape, dy))
    net = nf.Network([layers.Input((wanted.size,)), OfWeight(with_ops, x)], dtype="float64")
    y, pullback = net.vjp(np.ones((1, wanted.size)))
    np.testing.assert_array_equal(y.ravel(), wanted.ravel())
    gradients = pullback(dy.reshape(1, -1))[0]
    (gradient,) = gradients.values()
    np.testing.assert_array_equal(gradient, scattered(function, shape, dy))
