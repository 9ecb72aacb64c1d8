"""Element-wise expressions of more inputs than one fused operation takes."""

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers


@pytest.mark.parametrize("count", [2, 12, 13, 16, 17, 20, 40])
def test_a_sum_of_many_parts(count: int) -> None:
    x = layers.Input((3 * count,))
    y = x[:, :3]
    for i in range(1, count):
        y = y + x[:, 3 * i : 3 * i + 3]
    net = nf.Network(inputs=x, outputs=y)
    values = np.random.default_rng(0).normal(size=(5, 3 * count)).astype(np.float32)
    wanted = values[:, :3]
    for i in range(1, count):
        wanted = wanted + values[:, 3 * i : 3 * i + 3]
    np.testing.assert_array_equal(net.predict(values), wanted)
    made, pullback = net.vjp(values)
    np.testing.assert_array_equal(made, wanted)
    _, dx = pullback(np.ones_like(wanted))
    np.testing.assert_array_equal(dx, np.ones_like(values))
