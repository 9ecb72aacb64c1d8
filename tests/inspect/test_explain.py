"""The table of one example's forward and backward pass, on the two-two-two network of row S18."""

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers


def two_two_two() -> nf.Network:
    chain = [
        layers.Input((2,)),
        layers.Dense(2, "sigmoid", kernel_initializer=[[0.15, 0.25], [0.20, 0.30]], bias_initializer=0.35),
        layers.Dense(2, "sigmoid", kernel_initializer=[[0.40, 0.50], [0.45, 0.55]], bias_initializer=0.60),
    ]
    return nf.Network(chain, dtype="float64")


def test_the_figures_of_the_slides() -> None:
    net = two_two_two()
    before = net.get_weights()
    step = net.explain([0.05, 0.10], [0.01, 0.99], "half_squared_error", learning_rate=0.5)
    assert step.loss == pytest.approx(0.298371109, abs=5e-10)
    net_input = [row["net_input"] for row in step.neurons]
    output = [row["output"] for row in step.neurons]
    assert net_input[:3] == pytest.approx([0.3775, 0.3925, 1.10591], abs=5e-6)
    assert output == pytest.approx([0.59327, 0.59688, 0.75137, 0.77293], abs=5e-6)
    w5 = next(row for row in step.weights if (row["layer"], row["weight"]) == ("dense_1", "w[0, 0]"))
    assert w5["dLoss/dOut"] == pytest.approx(0.74137, abs=5e-6)
    assert w5["dOut/dIn"] == pytest.approx(0.18682, abs=5e-6)
    assert w5["dIn/dw"] == pytest.approx(0.59327, abs=5e-6)
    assert w5["dLoss/dw"] == pytest.approx(0.08217, abs=5e-6)
    assert w5["updated"] == pytest.approx(0.35892, abs=5e-6)
    assert all(np.array_equal(a, b) for a, b in zip(before, net.get_weights(), strict=True))


def test_every_factor_multiplies_to_the_gradient() -> None:
    step = two_two_two().explain([[0.05, 0.10]], [[0.01, 0.99]], "half_squared_error")
    assert len(step.rows) == 12
    for row in step.rows:
        product = row["dLoss/dOut"] * row["dOut/dIn"] * row["dIn/dw"]
        assert row["dLoss/dw"] == pytest.approx(product, rel=1e-12)
        assert row["updated"] == pytest.approx(row["value"] - 0.01 * row["dLoss/dw"], rel=1e-12)


def test_updated_weights_are_those_of_a_step() -> None:
    net = two_two_two()
    net.freeze("dense.bias", "dense_1.bias")
    step = net.explain([0.05, 0.10], [0.01, 0.99], "half_squared_error", learning_rate=0.5)
    trainer = nf.Trainer(net, loss="half_squared_error", optimizer=nf.optimizers.SGD(0.5))
    trainer.train_on_batch([[0.05, 0.10]], [[0.01, 0.99]])
    weights = {(row["layer"], row["weight"]): row["updated"] for row in step.weights}
    for name, view in net.parameters.items():
        layer, _, parameter = name.partition(".")
        for index in np.ndindex(view.shape):
            key = f"w[{index[0]}, {index[1]}]" if parameter == "kernel" else f"b[{index[0]}]"
            assert weights[layer, key] == pytest.approx(view[index], rel=1e-14)


def test_softmax_has_no_single_slope() -> None:
    net = nf.Network([layers.Input((3,)), layers.Dense(2, "softmax")], seed=0, dtype="float64")
    step = net.explain([1.0, 2.0, 3.0], 1, "cross_entropy")
    p = net.predict([[1.0, 2.0, 3.0]])[0]
    assert step.loss == pytest.approx(-np.log(p[1]), rel=1e-14)
    assert all(row["dOut/dIn"] is None for row in step.rows)
    assert step.rows[2]["dLoss/dw"] == pytest.approx(3 * p[0], rel=1e-13)


def test_it_prints() -> None:
    text = str(two_two_two().explain([0.05, 0.10], [0.01, 0.99], "half_squared_error", learning_rate=0.5))
    assert "0.298371109" in text
    assert "dLoss/dOut" in text
    assert "w[1, 0]" in text
    assert "0.751365" in text


def test_one_example_only() -> None:
    with pytest.raises(ValueError, match="one example"):
        two_two_two().explain(np.ones((2, 2)), np.ones((2, 2)), "mse")


def test_dense_layers_on_vectors_only() -> None:
    net = nf.Network([layers.Input((2, 3)), layers.Dense(4), layers.Flatten(), layers.Dense(1)], seed=0)
    with pytest.raises(ValueError, match=r"dense: explain expects dense layers on vectors; put layers\.Flatten\(\)"):
        net.explain(np.ones((1, 2, 3)), [[1.0]], "mse")
