"""Constraints: the formulas of Keras, restored by each step."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference.training_step import limited_norms

import nnfast as nf
from nnfast import constraints, layers, optimizers
from nnfast.core.typing import Array

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
EPS = {"float32": 2.0**-23, "float64": 2.0**-52}


def keras(constraint: constraints.Constraint, w: Array) -> Array:
    """The formulas as they stand in Keras's documentation, in float64."""
    axis: Any = getattr(constraint, "axis", None)
    norms = np.sqrt(np.square(w).sum(axis=axis, keepdims=True))
    if isinstance(constraint, constraints.MaxNorm):
        return np.asarray(w * (np.clip(norms, 0, constraint.max_value) / (1e-7 + norms)))
    if isinstance(constraint, constraints.UnitNorm):
        return np.asarray(w / (1e-7 + norms))
    if isinstance(constraint, constraints.MinMaxNorm):
        limited = np.clip(norms, constraint.min_value, constraint.max_value)
        wanted = constraint.rate * limited + (1 - constraint.rate) * norms
        return np.asarray(w * (wanted / (1e-7 + norms)))
    return np.asarray(w * (w >= 0))


EVERY = [
    constraints.NonNeg(),
    constraints.MaxNorm(),
    constraints.MaxNorm(0.25, axis=1),
    constraints.MaxNorm(0.5, axis=(0, 1)),
    constraints.MaxNorm(0.0),
    constraints.UnitNorm(),
    constraints.UnitNorm(axis=-1),
    constraints.MinMaxNorm(0.5, 0.75),
    constraints.MinMaxNorm(0.5, 0.75, rate=0.25, axis=1),
]


def constrained(net: nf.Network) -> nf.Network:
    """After a step that does nothing else."""
    _, gradients = net.loss_and_gradients(
        np.zeros((1, *net.input_shape)), net.predict(np.zeros((1, *net.input_shape))), "mse"
    )
    nf.Trainer(net, loss="mse", optimizer=optimizers.SGD(0.0)).apply_gradients(gradients)
    return net


@DTYPES
@pytest.mark.parametrize("constraint", EVERY, ids=repr)
@pytest.mark.parametrize(("inputs", "units"), [(1, 1), (3, 2), (17, 33), (600, 129)])
def test_formulas(constraint: constraints.Constraint, inputs: int, units: int, dtype: str) -> None:
    rng = np.random.default_rng(inputs)
    net = nf.Network([layers.Input((inputs,)), layers.Dense(units, kernel_constraint=constraint)], dtype=dtype)
    kernel = net.parameters["dense.kernel"]
    kernel[...] = rng.normal(size=kernel.shape) * rng.choice([0.01, 1.0], size=(1, units))
    before = kernel.astype("float64")
    constrained(net)
    # A norm is a sum of at most inputs * units squares in partial sums, whose relative error is half of theirs.
    tolerance = (8 + inputs * units / 16) * EPS[dtype]
    np.testing.assert_allclose(kernel, keras(constraint, before), rtol=min(tolerance, 64 * EPS[dtype]), atol=0)
    np.testing.assert_allclose(constraint(before), keras(constraint, before), rtol=1e-14)
    assert not net.parameters["dense.bias"].any()


@pytest.mark.parametrize("axis", [(0, 1, 2), (0, 2), (1,), (3,), 0, (0, 1, 2, 3), (1, 3)])
def test_axes_of_a_convolution(axis: Any) -> None:
    chain = [layers.Input((8, 8, 5)), layers.Conv2D(6, (3, 4), kernel_constraint=constraints.MaxNorm(0.5, axis))]
    net = nf.Network(chain, seed=1, dtype="float64")
    before = net.parameters["conv2d.kernel"].copy() * 4
    net.parameters["conv2d.kernel"][...] = before
    wanted = limited_norms(before, axis, 0.0, 0.5, 1.0)
    np.testing.assert_allclose(constrained(net).parameters["conv2d.kernel"], wanted, rtol=1e-13)


@DTYPES
@pytest.mark.parametrize("exponent", [-60, 100, 126])
def test_numbers_whose_squares_leave_the_range(exponent: int, dtype: str) -> None:
    """They become numbers of the same directions; where the small number of the formula prevails, tiny ones."""
    size = 2.0 ** (exponent if dtype == "float32" else 8 * exponent)
    for constraint in (constraints.UnitNorm(), constraints.MinMaxNorm(0.5, 2.0, rate=0.5)):
        net = nf.Network([layers.Input((2,)), layers.Dense(1, kernel_constraint=constraint)], dtype=dtype)
        net.parameters["dense.kernel"][...] = np.array([[0.75], [1.0]]) * size
        got = constrained(net).parameters["dense.kernel"].astype("float64")
        assert np.isfinite(got).all()
        if exponent < 0:
            assert np.abs(got).max() < 1e-6
        else:
            np.testing.assert_allclose(got[0], 0.75 * got[1], rtol=4 * EPS[dtype])
            norm = 1.0 if isinstance(constraint, constraints.UnitNorm) else 0.5 * 1.25 * size
            assert np.hypot(*got[:, 0]) == pytest.approx(norm, rel=1e-6)


def test_training_keeps_to_it_and_frozen_parameters_stay(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 4)).astype("float32"), rng.normal(size=(64, 3)).astype("float32")
    chain = [
        layers.Input((4,)),
        layers.Dense(8, "tanh", kernel_constraint="unit_norm", bias_constraint="non_neg"),
        layers.Dense(3, kernel_constraint=constraints.MaxNorm(0.1)),
    ]
    net = nf.Network(chain, seed=3)
    net.freeze("dense_1.kernel")
    frozen = net.parameters["dense_1.kernel"].copy()
    trainer = nf.Trainer(net, loss="mse", optimizer=optimizers.Adam(0.05))
    trainer.fit(x, y, epochs=2)
    trainer.save_checkpoint(tmp_path / "run.safetensors")
    for each in (trainer, nf.Trainer.resume(tmp_path / "run.safetensors")):
        each.fit(x, y, epochs=1)
        kernel = each.network.parameters["dense.kernel"]
        np.testing.assert_allclose((kernel**2).sum(axis=0), 1, rtol=1e-5)
        assert (each.network.parameters["dense.bias"] >= 0).all()
        assert (each.network.parameters["dense.bias"] == 0).any()
        assert (each.network.parameters["dense_1.kernel"] == frozen).all()


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: layers.Dense(2, kernel_constraint="maxnor"), ValueError, "did you mean 'max_norm'"),
        (lambda: layers.Dense(2, kernel_constraint=2.0), TypeError, "on_batch_end of a callback"),
        (lambda: layers.Dense(2, kernel_constraint=constraints.MaxNorm), TypeError, r"write MaxNorm\(\)"),
        (lambda: constraints.MaxNorm(-1), ValueError, "a finite max_value >= 0"),
        (lambda: constraints.MinMaxNorm(2.0, 1.0), ValueError, "a finite max_value >= 2"),
        (lambda: constraints.MinMaxNorm(rate=1.5), ValueError, "0 <= rate <= 1"),
        (lambda: constraints.MaxNorm(axis=0.5), TypeError, "an integer as axis"),  # type: ignore[arg-type]
        (
            lambda: nf.Network([layers.Input((3,)), layers.Dense(2, bias_constraint=constraints.MaxNorm(axis=1))]),
            ValueError,
            r"dense\.bias: expected a MaxNorm with an axis of \(2,\), got axis=1",
        ),
    ],
)
def test_what_is_refused(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_names_and_numbers() -> None:
    assert repr(constraints.get("MaxNorm")) == "MaxNorm()"
    assert repr(constraints.get("non_negative")) == "NonNeg()"
    assert repr(constraints.min_max_norm(0.5, axis=[0, 1])) == "MinMaxNorm(min_value=0.5, axis=(0, 1))"
    saved = {"class": "MinMaxNorm", "config": constraints.MinMaxNorm(0.5, axis=(0, 1)).get_config()}
    assert repr(constraints.get(saved)) == "MinMaxNorm(min_value=0.5, axis=(0, 1))"
    assert constraints.get(None) is None
