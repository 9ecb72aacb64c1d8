"""The schedule of the backward pass against central differences: who writes a gradient first, who adds, who lends.

The graphs are drawn: values that are read once, twice or more, by ops that pass a gradient on as it is (sums, views)
and by ops that make one of their own, in any order.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fuzzing import examples
from hypothesis import given, settings
from hypothesis import strategies as st

import nnfast as nf
from nnfast import layers
from nnfast.core.tensor import Tensor
from nnfast.core.typing import Array

ROWS = 3


@st.composite
def graphs(draw: st.DrawFn) -> Callable[[], nf.Network]:
    """A network of values (4, 3), each made of one to three of those before it."""
    steps = []
    for made in range(draw(st.integers(3, 9))):
        kind = draw(st.sampled_from(["dense", "add", "add relu", "add three", "multiply", "reshape", "tanh", "concat"]))
        before = [draw(st.integers(max(0, made - 3), made)) for _ in range(3)]
        steps.append((kind, before))

    def build() -> nf.Network:
        source = layers.Input((4, 3))
        values = [layers.Dense(3)(source)]
        for kind, before in steps:
            a, b, c = (values[i] for i in before)
            values.append(MAKERS[kind](a, b, c))
        return nf.Network(inputs=source, outputs=layers.Dense(2)(values[-1]), seed=3, dtype="float64")

    return build


MAKERS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "dense": lambda a, b, c: layers.Dense(3, activation="tanh")(a),
    "add": lambda a, b, c: layers.Add()([a, b]),
    "add relu": lambda a, b, c: layers.ReLU()(layers.Add()([a, b])),
    "add three": lambda a, b, c: layers.Add()([a, b, c]),
    "multiply": lambda a, b, c: layers.Multiply()([a, b]),
    "reshape": lambda a, b, c: layers.Add()([layers.Reshape((4, 3))(layers.Reshape((3, 4))(a)), b]),
    "tanh": lambda a, b, c: layers.Activation("tanh")(a),
    "concat": lambda a, b, c: layers.Dense(3)(layers.Concatenate()([a, b])),
}


def batch(net: nf.Network) -> tuple[Array, Array]:
    rng = np.random.default_rng(4)
    return rng.standard_normal((ROWS, *net.input_shape)), rng.standard_normal((ROWS, *net.output_shape))


@settings(max_examples=examples(40))
@given(graphs())
def test_any_graph(build: Callable[[], nf.Network]) -> None:
    net = build()
    for name, value in net.parameters.items():
        value[...] = np.random.default_rng(len(name)).uniform(-0.7, 0.7, value.shape)
    x, y = batch(net)
    report = nf.check_gradients(net, x, y, "mse", max_elements=3, tolerance=1e-5)
    assert report, f"{net.describe()}\n{report}"
    # Memory that holds other numbers from the step before, in turn with one in which each gradient is apart.
    found = []
    for keep, fuse in ((False, True), (False, False), (True, False)):
        plan = net.plan(ROWS, heads=net.heads("test", "mse"), keep=keep, fuse=fuse)
        plan.loss_and_gradients(-50 * x, y, None, True)
        plan.loss_and_gradients(x, y, None, True)
        found.append({name: gradient.tobytes() for name, gradient in plan.gradients().items()})
    _, first = net.loss_and_gradients(x, y, "mse", training=True)
    assert found == [{name: gradient.tobytes() for name, gradient in first.items()}] * 3


PARTS: dict[str, tuple[tuple[int, ...], Callable[[], layers.Layer]]] = {
    "dense": ((6,), lambda: layers.Dense(3, activation="tanh")),
    "dense on positions": ((4, 6), lambda: layers.Dense(3)),
    "conv": ((6, 5, 2), lambda: layers.Conv2D(3, 3, activation="tanh")),
    "few filters": ((6, 5, 2), lambda: layers.Conv2D(1, 2)),
    "pointwise": ((6, 5, 2), lambda: layers.Conv2D(3, 1)),
    "depthwise": ((6, 5, 4), lambda: layers.DepthwiseConv2D(3)),
    "in groups": ((6, 5, 4), lambda: layers.Conv2D(6, 3, groups=2)),
    "Winograd's": ((5, 5, 16), lambda: layers.Conv2D(16, 3)),
    "in time": ((7, 2), lambda: layers.Conv1D(3, 3, strides=2)),
    "transposed": ((4, 3, 2), lambda: layers.Conv2DTranspose(3, 3, 2, "same", activation="tanh")),
    "in time, transposed": ((4, 2), lambda: layers.Conv1DTranspose(3, 3, 2)),
    "batch normalization": ((4, 3), lambda: layers.BatchNormalization()),
    "group normalization": ((4, 6), lambda: layers.GroupNormalization(2)),
    "layer normalization": ((4, 6), lambda: layers.LayerNormalization()),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", PARTS)
def test_each_parameter_alone_has_its_gradient(name: str, training: bool) -> None:
    """The others frozen; with and without a gradient at the layer's input."""
    shape, make = PARTS[name]
    for before in ([], [layers.Dense(shape[-1], name="before")]):
        layer = make()
        net = nf.Network([layers.Input(shape), *before, layer], seed=2, dtype="float64")
        for value in net.parameters.values():
            value += 0.1 + 0.05 * np.arange(value.size).reshape(value.shape) / value.size
        x, y = batch(net)
        whole = net.loss_and_gradients(x, y, "mse", training=training)[1]
        for trained in net.trainable:
            one = net.copy()
            one.freeze(*(other for other in net.trainable if other != trained))
            assert one.trainable == [trained]
            report = nf.check_gradients(one, x, y, "mse", max_elements=20, training=training)
            known = "before" in trained and "batch" in name and training  # no effect on what is normalized
            assert report or known, f"\n{report}"
            gradients = one.loss_and_gradients(x, y, "mse", training=training)[1]
            if not ("batch" in name and training):  # frozen, it takes its averages
                # Another order of a bias's sum, where the kernel is frozen.
                assert list(gradients) == [trained]
                np.testing.assert_allclose(gradients[trained], whole[trained], rtol=1e-12)
            assert known or np.abs(gradients[trained]).max() > 1e-6


class WrongAt(layers.CustomLayer):
    """y = w x, whose gradient at w is off in one place."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place_of_error = place

    def parameter_shapes(self, input_shape: Any) -> Any:
        return {"w": tuple(input_shape)}

    def forward(self, inputs: list[Array], output: Array, parameters: dict[str, Array], training: bool) -> None:
        np.multiply(inputs[0], parameters["w"], out=output)

    def backward(self, d_output: Array, d_inputs: list[Array], inputs: list[Array], *more: Any) -> None:
        np.multiply(d_output, more[1]["w"], out=d_inputs[0])
        more[2]["w"] += (d_output * inputs[0]).sum(axis=0)
        more[2]["w"][self.place_of_error] += 1


def test_a_check_of_some_elements_spreads_them() -> None:
    x, y = np.ones((2, 10)), np.zeros((2, 10))

    def found(count: int | None) -> list[int]:
        nets = (nf.Network([layers.Input((10,)), WrongAt(place)], seed=0) for place in range(10))
        reports = [nf.check_gradients(net, x, y, "mse", max_elements=count) for net in nets]
        assert {report.evaluations for report in reports} == {2 * min(count or 10, 10)}
        return [place for place, report in enumerate(reports) if not report]

    assert found(2) == [0, 9]
    assert found(4) == [0, 3, 6, 9]
    assert found(10) == found(11) == found(None) == list(range(10))
