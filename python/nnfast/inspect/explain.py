"""Forward and backward pass of one example, number by number.

For a neuron with net input In = sum_i x_i w_i + b and output Out = g(In), the chain rule gives for each weight

    dLoss/dw = dLoss/dOut * dOut/dIn * dIn/dw,     dIn/dw = x_i (1 for the bias),     w' = w - learning rate * dLoss/dw

and the table shows each factor.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nnfast import _core
from nnfast.core.arrays import as_array
from nnfast.core.options import real
from nnfast.core.table import Table
from nnfast.core.typing import Array
from nnfast.layers.core import Dense
from nnfast.network import Network

__all__ = ["Explanation", "explain"]


class Explanation:
    """Result of `Network.explain`; prints as text.

    Attributes
    ----------
    loss : float
        Loss of the example.
    neurons : Table
        For each neuron: layer, neuron, net_input, output, dLoss/dOut, dOut/dIn.
    weights : Table
        For each weight: layer, neuron, weight, value, dLoss/dOut, dOut/dIn, dIn/dw, their product dLoss/dw, and the
        updated weight.
    """

    def __init__(self, loss: float, learning_rate: float, neurons: Table, weights: Table) -> None:
        self.loss = loss
        self.learning_rate = learning_rate
        self.neurons = neurons
        self.weights = weights

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of `weights`."""
        return self.weights.rows

    def __str__(self) -> str:
        return (
            f"Forward: loss {self.loss:.9g}\n{self.neurons}\n\n"
            f"Backward: learning rate {self.learning_rate:g}\n{self.weights}"
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return (
            f"<p>Forward: loss {self.loss:.9g}</p>{self.neurons._repr_html_()}"
            f"<p>Backward: learning rate {self.learning_rate:g}</p>{self.weights._repr_html_()}"
        )


def explain(network: Network, x: ArrayLike, y: ArrayLike, loss: Any, learning_rate: float = 0.01) -> Explanation:
    """Forward and backward pass of one example through the dense layers of a small network; see `Network.explain`.

    Layers without weights take part, but have no rows. Weights are named w[i, j], from input i to neuron j, and b[j].
    dOut/dIn is None for softmax and log-softmax, where each output depends on all net inputs; dLoss/dw is correct for
    them too. Frozen weights keep their values.

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import layers
    >>> net = nf.Network([layers.Input((1,)), layers.Dense(1, "sigmoid", kernel_initializer=[[1.0]])], dtype="float64")
    >>> step = net.explain([2.0], [0.0], "half_squared_error", learning_rate=0.5)
    >>> round(step.neurons[0]["output"], 4), round(step.weights[0]["dIn/dw"], 4)
    (0.8808, 2.0)
    """
    rate = real("explain", "learning_rate", learning_rate, minimum=0.0)
    rows, targets = _one_row(network, x, y)
    network.architecture.outputs.require_one("explain")
    heads, rows = network.heads("loss", loss), network.as_rows(rows)
    targets, _ = heads.for_rows(1, targets, None, network.dtype)
    plan = network.plan(1, heads=heads, keep=True, fuse=False)
    value = plan.loss_and_gradients(rows, targets, None, False)
    values, slopes, gradients = plan.values(), plan.value_gradients(), plan.gradients()
    neurons: list[dict[str, Any]] = []
    weights: list[dict[str, Any]] = []
    for node in network.architecture.nodes:
        layer, inputs = node.layer, node.inputs
        if not isinstance(layer, Dense):
            continue
        if values[layer.place].ndim != 2:
            raise ValueError(f"{layer.place}: explain expects dense layers on vectors; put layers.Flatten() before it")
        facts = _neurons(layer, values, slopes)
        neurons += facts
        weights += _weights(network, layer, values[inputs[0]][0], facts, gradients, rate)
    return Explanation(float(value), rate, Table(neurons), Table(weights))


def _one_row(network: Network, x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    row, target = as_array(x, "explain", "x"), as_array(y, "explain", "y")
    if row.shape == network.input_shape:
        row = row[None]
    if row.ndim == 0 or len(row) != 1:
        raise ValueError(f"explain: expected one example, got {row.shape}; pass x[:1] and y[:1]")
    if target.ndim == 0 or (target.shape == network.output_shape and target.shape != (1,)):
        target = target[None]
    return row, target


def _neurons(layer: Dense, values: dict[str, Array], slopes: dict[str, Array]) -> list[dict[str, Any]]:
    output = values[layer.place]
    net_input = values.get(f"{layer.place}.preactivation", output)
    function = layer.function
    if function.name in ("softmax", "log_softmax"):
        slope: list[float | None] = [None] * layer.units
    else:
        one = np.ones_like(output)
        derivative = _core.activation_backward(function.name, one, net_input, output, function.alpha, None)
        slope = derivative[0].tolist()
    d_output = slopes[layer.place][0].tolist() if layer.place in slopes else [None] * layer.units
    return [
        {
            "layer": layer.name,
            "neuron": j,
            "net_input": float(net_input[0, j]),
            "output": float(output[0, j]),
            "dLoss/dOut": d_output[j],
            "dOut/dIn": slope[j],
        }
        for j in range(layer.units)
    ]


def _weights(
    network: Network,
    layer: Dense,
    inputs: Array,
    facts: list[dict[str, Any]],
    gradients: dict[str, Array],
    rate: float,
) -> list[dict[str, Any]]:
    kernel = network.parameters[f"{layer.name}.kernel"]
    d_kernel = gradients.get(f"{layer.name}.kernel")
    bias = network.parameters.get(f"{layer.name}.bias")
    d_bias = gradients.get(f"{layer.name}.bias")
    rows = []
    for j, fact in enumerate(facts):
        terms = [
            (f"w[{i}, {j}]", kernel[i, j], inputs[i], None if d_kernel is None else d_kernel[i, j])
            for i in range(len(inputs))
        ]
        if bias is not None:
            terms.append((f"b[{j}]", bias[j], 1.0, None if d_bias is None else d_bias[j]))
        for name, weight, d_in, d_weight in terms:
            rows.append(
                {
                    "layer": layer.name,
                    "neuron": j,
                    "weight": name,
                    "value": float(weight),
                    "dLoss/dOut": fact["dLoss/dOut"],
                    "dOut/dIn": fact["dOut/dIn"],
                    "dIn/dw": float(d_in),
                    "dLoss/dw": None if d_weight is None else float(d_weight),
                    "updated": float(weight) - (0.0 if d_weight is None else rate * float(d_weight)),
                }
            )
    return rows
