"""What tells of a network in rows: its summary, the tables of its pass, the parser of neither."""

from __future__ import annotations

import re

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers
from nnfast.core.table import Table, format_table


def test_columns_of_a_table() -> None:
    rows = [
        {"name": "a", "value": 0.5, "list": [1, 2], "mixed": None},
        {"name": "bcd", "value": 1234567.0, "list": [], "mixed": 3},
    ]
    table = Table(rows)
    assert str(table) == "\n".join(
        [
            "name        value  list  mixed",
            "----  -----------  ----  -----",
            "a             0.5  1, 2      -",
            "bcd   1.23457e+06            3",
        ]
    )
    assert (len(table), table[1], list(table), str(Table([]))) == (2, rows[1], rows, "(no rows)")
    assert format_table(["a"], [["long"]], right=[0]) == "   a\n----\nlong"


@pytest.mark.parametrize(("dtype", "bytes_each"), [("float32", 4), ("float64", 8)])
def test_summary_counts_each_layer_for_itself(dtype: str, bytes_each: int) -> None:
    chain = [layers.Input((4,)), *(layers.Dense(units) for units in (3, 5, 2)), layers.BatchNormalization()]
    net = nf.Network([*chain], dtype=dtype, seed=0)
    net.freeze("dense_1")
    text = net.summary()
    counts = {
        name: int(n.replace(",", "")) for name, n in re.findall(r"^(\w+) \(\w+\)\s.*?([\d,]+)$", text, re.MULTILINE)
    }
    # D O + O each; gamma, beta and two averages for each of the two features
    assert counts == {"input": 0, "dense": 15, "dense_1": 20, "dense_2": 12, "batch_normalization": 8}
    total = sum(counts.values())
    assert text.splitlines()[-1] == (
        f"Parameters: {total} ({total * bytes_each} bytes), trainable {15 + 12 + 4}, frozen 20, moving averages 4"
    )
    assert "Connected to" not in text


def test_summary_of_a_graph_that_is_no_chain() -> None:
    x = layers.Input((3,))
    first = layers.Dense(3, name="first")(x)
    net = nf.Network(inputs=x, outputs=layers.Add()([layers.Dense(3, name="second")(first), x]), seed=0)
    rows = net.summary().splitlines()
    assert rows[1].split() == ["Layer", "Output", "shape", "Parameters", "Connected", "to"]
    assert rows[-2].endswith("second, input")


SLOPES = {  # g and g' of In
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "leaky": (lambda z: np.where(z > 0, z, 0.2 * z), lambda z: np.where(z > 0, 1, 0.2)),
    "elu": (lambda z: np.where(z > 0, z, 1.5 * np.expm1(z)), lambda z: np.where(z > 0, 1, 1.5 * np.exp(z))),
    "identity": (lambda z: z, np.ones_like),
}
LAYER = {"leaky": layers.LeakyReLU(0.2), "elu": layers.ELU(1.5)}


@pytest.mark.parametrize("name", SLOPES)
def test_explained_slopes_are_the_derivatives(name: str) -> None:
    kernel = np.array([[1.0, -2.0, 0.5], [0.25, 0.75, -1.0]])
    net = nf.Network(
        [layers.Input((2,)), layers.Dense(3, LAYER.get(name, name), kernel_initializer=kernel)], dtype="float64"
    )
    x, y = np.array([0.5, -1.5]), np.array([0.1, 0.2, 0.3])
    step = net.explain(x, y, "half_squared_error", learning_rate=0.5)
    function, slope = SLOPES[name]
    z = x @ kernel
    for key, wanted in (
        ("net_input", z),
        ("output", function(z)),
        ("dOut/dIn", slope(z)),
        ("dLoss/dOut", function(z) - y),
    ):
        np.testing.assert_allclose([row[key] for row in step.neurons], wanted, rtol=1e-13, atol=1e-15)
    gradient = np.vstack([np.outer(x, (function(z) - y) * slope(z)), (function(z) - y) * slope(z)])
    np.testing.assert_allclose([row["dLoss/dw"] for row in step.weights], gradient.T.ravel(), rtol=1e-12)
    assert [row["dIn/dw"] for row in step.weights] == [0.5, -1.5, 1.0] * 3
    weights = np.vstack([kernel, np.zeros(3)])
    np.testing.assert_allclose(
        [row["updated"] for row in step.weights], (weights - 0.5 * gradient).T.ravel(), rtol=1e-12
    )


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_slopes_that_there_are_not(name: str) -> None:
    net = nf.Network([layers.Input((2,)), layers.Dense(3, name)], dtype="float64", seed=0)
    step = net.explain([1.0, 2.0], [0.2, 0.3, 0.5], "mse")
    assert [row["dOut/dIn"] for row in step.neurons] == [None] * 3
    assert all(isinstance(row["dLoss/dw"], float) for row in step.weights)
