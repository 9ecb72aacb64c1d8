"""The tangent and the inverse trigonometric functions: values to the last bits, gradients, bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast.core.typing import Array

INVERSE: dict[str, Any] = {
    "arctan": lambda x: 1 / (1 + x * x),
    "arcsin": lambda x: 1 / np.sqrt((1 - x) * (1 + x)),
    "arccos": lambda x: -1 / np.sqrt((1 - x) * (1 + x)),
}
"""With their derivatives."""


def places(name: str) -> Array:
    """Numbers of all sizes, where branches meet, and bounds."""
    small = np.geomspace(1e-30, 0.7, 200)
    if name == "arctan":
        x = np.concatenate([small, np.linspace(0.5, 3, 2000), np.geomspace(3, 1e30, 200), [0.66, 2.414213562373095]])
    else:
        x = np.concatenate([small, np.linspace(0, 1, 4001)])
    return np.concatenate([-x, [0.0], x])


def network(name: str, dtype: str) -> nf.Network:
    x = nf.layers.Input((1,))
    return nf.Network(inputs=x, outputs=getattr(nf.ops, name)(x), dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", INVERSE)
def test_values(name: str, dtype: str) -> None:
    x = places(name).astype(dtype)
    truth = getattr(np, name)(x.astype(np.longdouble))
    for got in (network(name, dtype).predict(x[:, None])[:, 0], getattr(nf.ops, name)(x)):
        # Half a unit each of the argument, two of its roundings, the rational function and the sum; doubled at the end.
        unit = np.spacing(np.maximum(np.abs(truth), np.finfo(dtype).tiny).astype(dtype))
        assert (np.abs(got - truth) <= 3 * unit).all()


@pytest.mark.parametrize("name", INVERSE)
def test_gradients(name: str) -> None:
    x = places(name)
    x = x[np.abs(x) < (1e10 if name == "arctan" else 1)]
    _, pullback = network(name, "float64").vjp(x[:, None])
    _, dx = pullback(np.ones((len(x), 1)))
    # 1 - x and what divides by it lose 1 / (1 - |x|) units.
    loss = np.ones_like(x) if name == "arctan" else 1 / (1 - np.abs(x))
    np.testing.assert_array_less(np.abs(dx[:, 0] / INVERSE[name](x) - 1), 16 * np.finfo(float).eps * loss)


def test_bounds() -> None:
    infinite = np.array([np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(nf.ops.arctan(infinite), [np.pi / 2, -np.pi / 2, np.nan])
    np.testing.assert_array_equal(nf.ops.arcsin(np.array([1.0, -1.0, 1.1])), [np.pi / 2, -np.pi / 2, np.nan])
    np.testing.assert_array_equal(nf.ops.arccos(np.array([1.0, -1.0, -1.1])), [0, np.pi, np.nan])


def test_tangent() -> None:
    x = np.linspace(-1.5, 1.5, 1001)
    np.testing.assert_allclose(nf.ops.tan(x), np.tan(x), rtol=4 * np.finfo(float).eps)


def test_files_of_onnx() -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx_runs import largest_error

    x = nf.layers.Input((1,))
    net = nf.Network(inputs=x, outputs=[getattr(nf.ops, name)(x) for name in INVERSE])
    assert largest_error(net, np.linspace(-1, 1, 101, dtype=np.float32)[:, None]) < 1e-6
