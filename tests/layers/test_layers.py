"""Every layer of the table: shape, values, gradients, file, repr and documentation."""

import doctest
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layer_table import ROWS, Row, Scale, network
from small_networks import bits, duplicates, same

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

OF_OPS = {"Constant", "Lambda", "Operation"}  # see tests/ops
every_row = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)


def test_every_layer_has_a_row() -> None:
    assert {name.partition(" ")[0] for name in ROWS} == set(layers.__all__) - {"Layer"} - OF_OPS


@every_row
def test_shape_and_parameters(row: Row) -> None:
    net = network(row)
    assert net.trace(np.ones((3, 4), int))["examined"].shape == (3, *row.output_shape)
    own = {name: view.shape for name, view in net.parameters.items() if name.startswith("examined.")}
    assert own == {f"examined.{name}": shape for name, shape in row.parameters.items()}


@every_row
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values(row: Row, dtype: str, rng: np.random.Generator) -> None:
    net = network(row, dtype)
    tensors = net.trace(row.data(rng, 7, dtype))
    names = next(node.inputs for node in net.architecture.nodes if node.name == "examined")
    unread = np.zeros((7, *row.shape), dtype)  # by a layer that depends on the shape alone
    arrays = [
        *(tensors.get(name, unread) for name in names),
        *(net.parameters[f"examined.{name}"] for name in row.parameters),
    ]
    wanted = row.values(*(array.astype("float64") for array in arrays))
    assert tensors["examined"].dtype == dtype
    # Sums of at most six products of numbers around 1, and a function that is right to a few units in the last place;
    # attention has four such sums and a softmax in a chain.
    tolerance = row.tolerance * np.finfo(dtype).eps
    np.testing.assert_allclose(tensors["examined"], wanted, rtol=tolerance, atol=tolerance)


@every_row
@pytest.mark.parametrize("training", [False, True])
def test_gradients(row: Row, training: bool, rng: np.random.Generator) -> None:
    net = network(row)
    x, y = row.data(rng, 3), rng.normal(size=(3, 2))
    report = nf.check_gradients(net, x, y, "mse", training=training)
    assert list(report.errors) == net.trainable
    wrong = {name for name, error in report.errors.items() if not error <= report.tolerance}
    # A bias before the statistics of the batch, and one of keys before the softmax over them, have no effect: their
    # gradients are 0, the differences rounding.
    gradients = net.loss_and_gradients(x, y, "mse", training=training)[1]
    vain = {"dense.bias"} if training and row.text.startswith("BatchNormalization") else set()
    vain |= {name for name in wrong if name.endswith("key.bias")}
    wrong -= {name for name in vain if np.abs(gradients[name]).max() < 1e-13}
    assert not wrong, f"\n{report}"


@every_row
def test_files_and_copies(row: Row, rng: np.random.Generator, tmp_path: Path) -> None:
    """They predict and go on training with the same bits."""
    net = network(row, "float32")
    x, y = row.data(rng, 5, "float32"), rng.normal(size=(5, 2)).astype("float32")
    twins = duplicates(net, tmp_path, {"Scale": Scale})
    for way, twin in twins.items():
        assert [repr(layer) for layer in twin.layers] == [repr(layer) for layer in net.layers], way
        assert same(twin, net), way
        assert bits(twin.predict(x)) == bits(net.predict(x)), way
    losses = {nf.Trainer(one, loss="mse", optimizer="sgd").train_on_batch(x, y) for one in (net, *twins.values())}
    assert len(losses) == 1
    assert all(same(twin, net) for twin in twins.values())


@every_row
@pytest.mark.usefixtures("threads")
def test_threads_and_fusion_change_no_bit(row: Row, rng: np.random.Generator) -> None:
    """Of a prediction, and of a step; with so many rows that there is something to share."""
    rows = 3000
    x, y = row.data(rng, rows, "float32"), rng.normal(size=(rows, 2)).astype("float32")
    optimizer = nf.optimizers.SGD(0.01).spec()
    found = set()
    for threads in (1, 3):
        nf.set_num_threads(threads)
        for fuse in (True, False):
            net = network(row, "float32")
            prediction = net.plan(rows, fuse=fuse).predict(x)
            step = net.plan(rows, heads=net.heads("test", "mse"), optimizer=optimizer, fuse=fuse)
            loss = step.train_step(x, y, None, 0.01)
            found.add((prediction.tobytes(), loss, *bits(dict(net.parameters))))
    assert len(found) == 1


@every_row
def test_repr_can_be_read_back(row: Row) -> None:
    layer = row.make()
    assert repr(layer) == row.text
    names = {**vars(layers), **vars(nf.initializers), "Scale": Scale}
    again = eval(repr(layer), names)
    assert again.get_config() == layer.get_config()


@every_row
def test_documentation(row: Row) -> None:
    kind = type(row.make())
    assert doctest.DocTestFinder(recurse=False).find(kind), kind.__name__
    text = kind.__doc__ or ""
    assert "Examples\n" in text
    assert ">>> " in text


def test_default_names_are_those_of_keras() -> None:
    kinds = (layers.Dense, layers.LeakyReLU, layers.ReLU, layers.SiLU, layers.ELU, layers.LogSoftmax)
    names = [kind.default_name() for kind in kinds]
    assert names == ["dense", "leaky_relu", "relu", "silu", "elu", "log_softmax"]


def test_dropout_drops_the_share_it_should() -> None:
    """In training, the mean of n values of 0 or 1 / (1 - rate) stays within five of its standard deviations of 1."""
    rate, n = 0.3, 20000
    seen: list[Array] = []

    class Spy(layers.CustomLayer):
        def forward(self, inputs: list[Array], output: Array, parameters: dict[str, Array], training: bool) -> None:
            seen.append(inputs[0].copy())
            output[...] = inputs[0]

        def backward(
            self,
            d_output: Array,
            d_inputs: list[Array],
            inputs: list[Array],
            output: Array,
            parameters: dict[str, Array],
            d_parameters: dict[str, Array],
        ) -> None:
            d_inputs[0][...] = d_output

    net = nf.Network([layers.Input((n,)), layers.Dropout(rate), Spy(), layers.Dense(1)], seed=0)
    trainer = nf.Trainer(net, loss="mse")
    ones = np.ones((1, n), dtype="float32")
    trainer.train_on_batch(ones, ones[:, :1])
    trainer.train_on_batch(ones, ones[:, :1])
    first, second = (values[0] for values in seen)
    assert set(np.unique(first)) == {0, np.float32(1 / (1 - rate))}
    assert abs(float(first.mean()) - 1) < 5 * np.sqrt(rate / (1 - rate) / n)
    assert (first != second).any()
    net.predict(ones)
    assert (seen[-1] == 1).all()


def test_named_activations_are_the_functions_of_that_name(rng: np.random.Generator) -> None:
    x = rng.normal(size=(4, 6)).astype("float32")
    for name in nf.activations.names():
        chain = [layers.Input((6,)), layers.Dense(5), layers.Activation(name)]
        fused = [layers.Input((6,)), layers.Dense(5, activation=name)]
        apart, together = nf.Network(chain, seed=1), nf.Network(fused, seed=1)
        assert apart.predict(x).tobytes() == together.predict(x).tobytes(), name


@pytest.mark.parametrize("make", [layers.Conv1D, layers.Conv2D, layers.Conv1DTranspose, layers.Conv2DTranspose])
@pytest.mark.parametrize("activation", [layers.LeakyReLU(0.3), layers.ELU(1.5)])
def test_a_fused_activation_keeps_its_number(make: Any, activation: layers.Layer) -> None:
    shape = (6, 2) if make.axes == 1 else (6, 6, 2)
    x = np.random.default_rng(1).standard_normal((3, *shape))
    fused = nf.Network([layers.Input(shape), make(4, 3, activation=activation)], dtype="float64", seed=2)
    apart = nf.Network([layers.Input(shape), make(4, 3)], dtype="float64", seed=2)
    z, y = apart.predict(x), fused.predict(x)
    negative = 0.3 * z if isinstance(activation, layers.LeakyReLU) else 1.5 * np.expm1(z)
    np.testing.assert_allclose(y, np.where(z > 0, z, negative), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(("size", "strides", "rate"), [(3, 1, 1), ([2], 2, (3,)), (1, 1, 1)])
def test_causal_padding_comes_before_the_sequence(size: Any, strides: int, rate: Any, rng: np.random.Generator) -> None:
    before = (np.max(size) - 1) * np.max(rate)
    net = nf.Network([layers.Input((9, 2)), layers.Conv1D(4, size, strides, "causal", rate)], seed=0)
    valid = nf.Network([layers.Input((9 + before, 2)), layers.Conv1D(4, size, strides, "valid", rate)], seed=0)
    x = rng.standard_normal((3, 9, 2)).astype(np.float32)
    y = net.predict(x)
    assert y.tobytes() == valid.predict(np.pad(x, ((0, 0), (before, 0), (0, 0)))).tobytes()
    x[:, 5:] = 7  # later steps
    np.testing.assert_array_equal(net.predict(x)[:, : -(-5 // strides)], y[:, : -(-5 // strides)])
