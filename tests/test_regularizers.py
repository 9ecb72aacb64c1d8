"""Regularizers: penalties in the loss and in the gradient, of every layer with weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference.training_step import regularized
from small_networks import Scale

import nnfast as nf
from nnfast import layers, regularizers
from nnfast.core.typing import Array

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
EPS = {"float32": 2.0**-23, "float64": 2.0**-52}


def orthogonality(w: Array, factor: float, mode: str) -> float:
    """Keras's formula, step by step."""
    rows = w if mode == "rows" else w.T
    rows = rows / np.sqrt((rows**2).sum(axis=1, keepdims=True))
    product = rows @ rows.T * (1 - np.eye(len(rows)))
    return float(factor * 0.5 * np.abs(product).sum() / (len(rows) * (len(rows) - 1) / 2))


def cubes(weights: Any) -> Any:
    return 0.1 * nf.ops.sum(abs(weights) ** 3)


class Spread(regularizers.Regularizer):
    def __init__(self, strength: float) -> None:
        self.strength = strength

    def __call__(self, weights: Any) -> Any:
        return self.strength * nf.ops.var(weights)


def differences(net: nf.Network, base: nf.Network, x: Array, y: Array) -> tuple[float, dict[str, Array]]:
    """What regularizers add to the loss and to the gradients."""
    loss, gradients = net.loss_and_gradients(x, y, "mse")
    plain, others = base.loss_and_gradients(x, y, "mse")
    return loss - plain, {name: g - others[name] for name, g in gradients.items()}


def dense(dtype: str = "float64", size: int = 7, **options: Any) -> nf.Network:
    net = nf.Network([layers.Input((5,)), layers.Dense(size, **options)], seed=2, dtype=dtype)
    net.parameters["dense.bias"][...] = np.linspace(-1, 1, size)
    net.parameters["dense.kernel"][0, 0] = 0
    return net


def data(dtype: str = "float64", size: int = 7, rows: int = 6) -> tuple[Array, Array]:
    rng = np.random.default_rng(4)
    return rng.normal(size=(rows, 5)).astype(dtype), rng.normal(size=(rows, size)).astype(dtype)


@DTYPES
@pytest.mark.parametrize(
    ("regularizer", "l1", "l2"),
    [
        ("l1", 0.01, 0.0),
        ("l2", 0.0, 0.01),
        ("l1_l2", 0.01, 0.01),
        (regularizers.L1(0.5), 0.5, 0.0),
        (regularizers.L2(0.25), 0.0, 0.25),
        (regularizers.l1_l2(l1=0.5, l2=0.25), 0.5, 0.25),
        (regularizers.L1L2(), 0.0, 0.0),
    ],
)
def test_penalty_and_gradient(regularizer: Any, l1: float, l2: float, dtype: str) -> None:
    x, y = data(dtype)
    net, base = dense(dtype, kernel_regularizer=regularizer), dense(dtype)
    penalty, gradients = differences(net, base, x, y)
    w = net.parameters["dense.kernel"].astype("float64")
    wanted, d_wanted = regularized(w, l1, l2)
    loss = base.loss_and_gradients(x, y, "mse")[0]
    assert penalty == pytest.approx(wanted, abs=8 * EPS[dtype] * (wanted + loss))
    np.testing.assert_allclose(gradients["dense.kernel"], d_wanted, atol=8 * EPS[dtype])
    assert not gradients["dense.bias"].any()
    found = regularizers.get(regularizer)
    assert found is not None
    assert float(found(w)) == pytest.approx(wanted, rel=1e-14)


@DTYPES
def test_many_weights_and_the_loss_that_is_reported(dtype: str) -> None:
    """The sums are cut into tiles; training, evaluation and a step report the penalty with the loss."""
    size = 4001
    x, y = data(dtype, size, 9)
    options = {"kernel_regularizer": regularizers.L1L2(1e-4, 1e-3), "bias_regularizer": regularizers.L1(1e-3)}
    net, base = dense(dtype, size, **options), dense(dtype, size)
    wanted = regularized(net.parameters["dense.kernel"].astype("float64"), 1e-4, 1e-3)[0]
    wanted += regularized(net.parameters["dense.bias"].astype("float64"), 1e-3, 0.0)[0]
    for shards, micro in ((1, None), (3, 2)):
        trainers = [
            nf.Trainer(each.copy(), loss="mse", optimizer=nf.optimizers.SGD(0.0), shards=shards, micro_batch_size=micro)
            for each in (net, base)
        ]
        measured = [
            [t.evaluate(x, y)["loss"], t.train_on_batch(x, y), t.fit(x, y, epochs=1, batch_size=4).history["loss"][0]]
            for t in trainers
        ]
        np.testing.assert_allclose(np.subtract(*measured), wanted, rtol=64 * EPS[dtype] * 5 / wanted)


@pytest.mark.parametrize("mode", ["rows", "columns"])
def test_orthogonality(mode: str, rng: np.random.Generator) -> None:
    made = regularizers.OrthogonalRegularizer(0.5, mode)
    w = rng.normal(size=(5, 7))
    assert float(made(w)) == pytest.approx(orthogonality(w, 0.5, mode), rel=1e-11)
    x, y = data()
    net, base = dense(kernel_regularizer=made), dense()
    penalty, _ = differences(net, base, x, y)
    assert penalty == pytest.approx(orthogonality(net.parameters["dense.kernel"], 0.5, mode), rel=1e-11)
    assert nf.check_gradients(net, x, y, "mse")
    with pytest.raises(ValueError, match=r"expected a matrix, got weights of shape \(7,\)"):
        dense(bias_regularizer="orthogonal_regularizer")
    with pytest.raises(ValueError, match=r"expected two rows or more"):
        nf.Network([layers.Input((1,)), layers.Dense(2, kernel_regularizer=made if mode == "rows" else "orthogonal")])


@pytest.mark.parametrize("made", [cubes, Spread(0.5)])
def test_functions_of_tensors(made: Any, tmp_path: Path) -> None:
    x, y = data()
    net, base = dense(kernel_regularizer=made, bias_regularizer=made), dense()
    penalty, gradients = differences(net, base, x, y)
    values = list(net.parameters.values())
    wanted = sum(0.1 * (abs(w) ** 3).sum() if made is cubes else 0.5 * w.var() for w in values)
    assert penalty == pytest.approx(wanted, rel=1e-13)
    if made is cubes:
        for name, g in gradients.items():
            w = net.parameters[name]
            np.testing.assert_allclose(g, 0.3 * w * abs(w), atol=1e-15)
    assert nf.check_gradients(net, x, y, "mse")
    net.save(tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match="cubes" if made is cubes else "Spread"):
        nf.Network.load(tmp_path / "net.safetensors")
    loaded = nf.Network.load(tmp_path / "net.safetensors", custom_objects={"cubes": cubes, "Spread": Spread})
    assert loaded.loss_and_gradients(x, y, "mse")[0] == net.loss_and_gradients(x, y, "mse")[0]
    assert list(loaded.parameters) == list(net.parameters)
    net.freeze("dense.kernel")
    left = net.loss_and_gradients(x, y, "mse")[0]
    assert left < loaded.loss_and_gradients(x, y, "mse")[0]  # frozen parameters have no penalty


LAYERS: dict[str, tuple[Any, tuple[int, ...], tuple[str, ...]]] = {
    "Dense": (lambda **o: layers.Dense(3, **o), (5,), ("kernel", "bias")),
    "Conv1D": (lambda **o: layers.Conv1D(3, 2, **o), (6, 2), ("kernel", "bias")),
    "Conv2D": (lambda **o: layers.Conv2D(3, 2, **o), (4, 4, 2), ("kernel", "bias")),
    "Conv1DTranspose": (lambda **o: layers.Conv1DTranspose(3, 2, **o), (6, 2), ("kernel", "bias")),
    "Conv2DTranspose": (lambda **o: layers.Conv2DTranspose(3, 2, **o), (4, 4, 2), ("kernel", "bias")),
    "DepthwiseConv2D": (lambda **o: layers.DepthwiseConv2D(2, **o), (4, 4, 2), ("kernel", "bias")),
    "BatchNormalization": (layers.BatchNormalization, (5,), ("gamma", "beta")),
    "LayerNormalization": (layers.LayerNormalization, (5,), ("gamma", "beta")),
    "RMSNormalization": (layers.RMSNormalization, (5,), ("gamma",)),
    "GroupNormalization": (lambda **o: layers.GroupNormalization(1, **o), (5,), ("gamma", "beta")),
    "Embedding": (lambda **o: layers.Embedding(4, 3, **o), (2,), ("embeddings",)),
    "PReLU": (layers.PReLU, (5,), ("alpha",)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_with_weights_takes_them(name: str, tmp_path: Path) -> None:
    make, shape, weights = LAYERS[name]
    options = {f"{weight}_regularizer": regularizers.L2(0.25 + i) for i, weight in enumerate(weights)}
    options |= {f"{weight}_constraint": "non_neg" for weight in weights}
    layer = make(**options)
    net = nf.Network([layers.Input(shape), layer, layers.Flatten()], seed=0, dtype="float64")
    place = layer.name
    for weight in weights:
        net.parameters[f"{place}.{weight}"] -= 0.5
    x = np.ones((2, *shape))
    before = {weight: net.parameters[f"{place}.{weight}"].copy() for weight in weights}
    wanted = sum((0.25 + i) * (before[weight] ** 2).sum() for i, weight in enumerate(weights))
    y = net.predict(x)
    assert net.loss_and_gradients(x, y, "mse")[0] == pytest.approx(wanted, rel=1e-13)
    trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.0))
    trainer.train_on_batch(x, y)
    for weight in weights:
        np.testing.assert_array_equal(net.parameters[f"{place}.{weight}"], np.maximum(before[weight], 0))
    net.save(tmp_path / "net.safetensors")
    assert repr(nf.Network.load(tmp_path / "net.safetensors").layers[1]) == repr(layer)
    assert "L2(l2=0.25)" in repr(layer)
    assert "NonNeg()" in repr(layer)


def test_shared_and_frozen_parameters_count_once_or_not_at_all() -> None:
    x = layers.Input((3,))
    shared = layers.Dense(3, kernel_regularizer=regularizers.L2(1.0), bias_regularizer=cubes)
    net = nf.Network(inputs=x, outputs=shared(shared(x)), seed=0, dtype="float64")
    rows = np.ones((2, 3))
    y = net.predict(rows)
    w = net.parameters["dense.kernel"]
    assert net.loss_and_gradients(rows, y, "mse")[0] == pytest.approx((w**2).sum(), rel=1e-14)
    net.freeze("dense.kernel")
    assert net.loss_and_gradients(rows, y, "mse")[0] == 0


def test_weights_of_user_defined_layers_and_nested_networks() -> None:
    class Scale(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.factor = self.add_weight((3,), 2.0, regularizer=regularizers.L1(0.5), constraint="unit_norm")
            self.hidden = layers.Dense(3, use_bias=False, kernel_initializer="ones", kernel_regularizer=cubes)

        def call(self, x: Any) -> Any:
            return self.hidden(self.factor * x)

    inner = nf.Network([layers.Input((3,)), Scale()], name="inner", dtype="float64")
    x = layers.Input((3,))
    net = nf.Network(inputs=x, outputs=inner(x), dtype="float64")
    rows = np.ones((2, 3))
    y = net.predict(rows)
    assert net.loss_and_gradients(rows, y, "mse")[0] == pytest.approx(0.5 * 6 + 0.1 * 9, rel=1e-14)
    nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.0)).train_on_batch(rows, y)
    factor = net.parameters["inner/scale.weight"]
    np.testing.assert_allclose(factor, np.full(3, 3**-0.5), rtol=1e-6)


def test_layers_written_in_numpy() -> None:
    net = nf.Network([layers.Input((3,)), Factors(0.5)], dtype="float64")
    rows = np.ones((2, 3))
    y = net.predict(rows)
    assert net.loss_and_gradients(rows, y, "mse")[0] == 0.5 * 3
    nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.0)).train_on_batch(rows, y)
    np.testing.assert_allclose(net.parameters["factors.factor"], np.full(3, 0.5), rtol=1e-6)


class Factors(Scale):
    """y = factor * x."""

    def __init__(self, l1: float, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.l1 = l1

    def initializer(self, parameter: str) -> Any:
        return "ones"

    def regularizer(self, parameter: str) -> Any:
        return regularizers.L1(self.l1)

    def constraint(self, parameter: str) -> Any:
        return {"class": "MaxNorm", "config": {"max_value": 0.75**0.5}}


def test_penalties_do_not_add_up_where_no_loss_leads() -> None:
    """The backward pass does not write that gradient, so each step starts it at 0."""
    x = layers.Input((3,))
    used, unused = layers.Dense(2, name="used"), layers.Dense(2, name="unused", kernel_regularizer="l2")
    net = nf.Network(inputs=x, outputs=[used(x), unused(x)], seed=0, dtype="float64")
    w = net.parameters["unused.kernel"].copy()
    optimizer = nf.optimizers.SGD(0.5, l2=0.1)
    trainer = nf.Trainer(net, loss=["mse", None], optimizer=optimizer)
    for _ in range(3):
        trainer.train_on_batch(np.ones((2, 3)), [np.ones((2, 2)), None])
        w -= 0.5 * (0.02 + 0.1) * w
    np.testing.assert_allclose(net.parameters["unused.kernel"], w, rtol=1e-13)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: layers.Dense(2, kernel_regularizer="l3"), ValueError, "unknown regularizer 'l3'; did you mean"),
        (lambda: layers.Dense(2, kernel_regularizer=0.01), TypeError, r"write regularizers\.L2"),
        (lambda: layers.Dense(2, kernel_regularizer=regularizers.L2), TypeError, r"got a class; write L2\("),
        (lambda: layers.Dense(2, kernel_regulariser="l2"), TypeError, "did you mean 'kernel_regularizer'"),
        (lambda: layers.ReLU(activity_regularizer="l2"), TypeError, "ActivityRegularization"),
        (lambda: layers.Dense(2, tied_to="a", kernel_regularizer="l2"), ValueError, "no kernel_regularizer with"),
        (lambda: regularizers.L1(-1), ValueError, "a finite l1 >= 0"),
        (lambda: regularizers.L1L2(l2=float("nan")), ValueError, "a finite l2 >= 0"),
        (lambda: dense(kernel_regularizer=lambda w: w * w), ValueError, "add the elements up with nf.ops.sum"),
        (lambda: dense(kernel_regularizer=lambda w: 3.0), ValueError, "expected a penalty of one number"),
        (
            lambda: dense(bias_regularizer=lambda w: nf.ops.sum(w * np.arange(7.0))),
            ValueError,
            "a function of its argument and of numbers",
        ),
    ],
)
def test_what_is_refused(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_an_infinite_penalty_is_named() -> None:
    net = dense("float32", kernel_regularizer="l2")
    net.parameters["dense.kernel"][1, 2] = 1e20
    x, y = np.zeros((6, 5), "float32"), np.zeros((6, 7), "float32")
    trainer = nf.Trainer(net, loss="mse")
    with pytest.raises(RuntimeError, match=r"dense\.kernel: expected a finite penalty"):
        trainer.train_on_batch(x, y)
    assert trainer.evaluate(x, y) == {"loss": np.inf}
