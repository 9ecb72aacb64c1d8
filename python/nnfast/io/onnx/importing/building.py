"""The network of an ONNX graph while it is built: its layers, their names and their weights."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnfast.core.tensor import Tensor
from nnfast.core.typing import Array
from nnfast.io.onnx.importing.errors import Unsupported
from nnfast.io.onnx.importing.graph import Graph
from nnfast.io.onnx.importing.layout import View
from nnfast.io.onnx.importing.nodes import MAX_NUMBERS, Const, Node, slim
from nnfast.layers import Constant, Layer
from nnfast.layers.operation import constant

__all__ = ["Builder"]


class Builder:
    """Layers, made once for each weight, and the values that their parameters get.

    Parameters
    ----------
    graph : Graph
    """

    def __init__(self, graph: Graph) -> None:
        self.folder = graph.folder
        self.batch = graph.batch
        self.used = graph.used
        self.users = graph.users
        self.nodes = graph.nodes
        self.graph_outputs = graph.outputs
        self.values: dict[str, Any] = {}
        """The values that are there so far, by name."""
        self.absorbed: set[int] = set()
        """The numbers of the nodes whose work a layer before them does."""
        self.weights: list[tuple[Layer, str, Array]] = []
        self._made: dict[Any, Layer] = {}
        self._names: set[str] = set()
        self._numbers = 0

    def layer(self, key: Any, make: Callable[[], Layer], node: Node, weights: dict[str, Const | Array]) -> Layer:
        """The layer of a node; the same one for nodes with the same weights.

        Parameters
        ----------
        key : hashable
            What determines the layer, besides its weights.
        make : callable
        node : Node
        weights : dict
            The values of the layer's parameters, by name.
        """
        sources = tuple((name, value.source) for name, value in weights.items() if isinstance(value, Const))
        shared = len(sources) == len(weights) and all(source is not None for _, source in sources)
        whole = (key, sources)
        if shared and whole in self._made:
            return self._made[whole]
        made = make()
        first = next((source for _, source in sources if source), None)
        made.take_name(self.free_name(_layer_name(first, node, made)))
        for name, value in weights.items():
            self.add_weight(made, name, value.array if isinstance(value, Const) else value)
        if shared:
            self._made[whole] = made
        return made

    def add_weight(self, layer: Layer, parameter: str, array: Array) -> None:
        """The value that a parameter gets, once the network is there."""
        self._numbers += math.prod(array.shape)
        if self._numbers > MAX_NUMBERS:
            raise Unsupported(f"expected networks of at most {MAX_NUMBERS} weights")
        if array.dtype.kind not in "fiub" or not np.isfinite(slim(array)).all():
            raise Unsupported(f"expected finite numbers as {parameter}, got NaN, infinity or no numbers")
        self.weights.append((layer, parameter, array))

    def free_name(self, wanted: str) -> str:
        """A name for a layer that no other one has."""
        name, number = wanted, 0
        while name in self._names:
            number += 1
            name = f"{wanted}_{number}"
        self._names.add(name)
        return name

    def bias_behind(self, node: Node, units: int) -> Const | None:
        """The bias that the only user of a node's output adds to it; that node then passes on what it gets."""
        users = self.users.get(node.outputs[0], [])
        if len(users) != 1 or node.outputs[0] in self.graph_outputs:
            return None
        proto = self.nodes[users[0]]
        others = [name for name in proto.input if name != node.outputs[0]]
        if proto.op_type != "Add" or proto.domain or len(others) != 1 or proto.attribute:
            return None
        bias = self.values.get(others[0])
        if not isinstance(bias, Const) or bias.array.size != units or bias.array.dtype.kind != "f":
            return None
        if bias.array.shape[-1:] != (units,) or bias.array.ndim > len(node.value(0).shape):
            return None
        self.absorbed.add(users[0])
        return bias

    def matrix(self, value: Tensor | Array, source: str | None, node: Node) -> Tensor:
        """An operand of a product as a tensor."""
        if isinstance(value, Tensor):
            return value
        made = self.tensor(value, source, node)
        return made if isinstance(made, Tensor) else constant(_finite(value))

    def operand(self, value: Const | View, node: Node) -> View | Array:
        """An operand of an operation that broadcasts."""
        return value if isinstance(value, View) else slim(value.array)

    def tensor(self, value: Tensor | Array, source: str | None, node: Node) -> Tensor | Array | float:
        """A constant operand: a trained parameter if it is an initializer of several real numbers that are finite."""
        if isinstance(value, Tensor):
            return value
        if value.size == 1:
            single = value.reshape(()).item()
            return float(single) if value.dtype.kind == "b" else single
        self._numbers += value.size
        if self._numbers > MAX_NUMBERS:
            raise Unsupported(f"expected networks of at most {MAX_NUMBERS} weights")
        trains = value.dtype.kind == "f" and bool(np.isfinite(value).all())
        if source is None or not trains:
            return _finite(value)
        key = ("parameter", source, value.shape, value.strides)
        if key not in self._made:
            made = Constant(value.shape, np.ascontiguousarray(value), trainable=True)
            made.take_name(self.free_name(_valid(source)))
            self._made[key] = made
        return self._made[key](())


def _finite(value: Array) -> Array:
    """The largest numbers in place of infinities, which masks have: files of networks hold finite numbers."""
    if value.dtype.kind != "f":
        return np.ascontiguousarray(value)
    if np.isnan(value).any():
        raise Unsupported("expected constants without NaN")
    largest = np.finfo(np.float32).max
    return np.ascontiguousarray(np.clip(value, -largest, largest) if np.isinf(value).any() else value)


def _layer_name(source: str | None, node: Node, layer: Layer) -> str:
    """The weight's name without its last part, or the name of the node without that of the operation."""
    if source is not None and not source.startswith("onnx::") and re.search(r"[./]", source):
        return _valid(re.split(r"[./](?=[^./]*$)", source)[0])
    parts = [part for part in node.name.split("/") if part]
    if len(parts) > 1 and parts[-1].startswith(node.op):
        return _valid("/".join(parts[:-1]))
    given = node.name or (source if source is not None and not source.startswith("onnx::") else "")
    return _valid(given) if given else layer.default_name()


def _valid(name: str) -> str:
    """A name as layers have them."""
    found = re.sub(r"[^A-Za-z0-9_\-]+", "_", name).strip("_-")[:80]
    return found if found and not found.startswith("optimizer") else f"value_{found}"


def valid_name(name: str) -> str:
    """A name as layers have them."""
    return _valid(name)


def single_or_list(values: Sequence[Any]) -> Any:
    """One value by itself."""
    return values[0] if len(values) == 1 else list(values)
