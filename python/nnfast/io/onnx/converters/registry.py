"""Which function converts which kind of node to ONNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnfast.core.tensor import output_name
from nnfast.core.typing import Shape, Spec
from nnfast.io.onnx.builder import LAST, GraphBuilder
from nnfast.io.onnx.storage import Step

__all__ = ["CONVERTERS", "REFUSED", "Call", "converter"]


class Call:
    """A node of nnfast that is being converted."""

    def __init__(self, graph: GraphBuilder, spec: Spec) -> None:
        self.graph = graph
        self.spec = spec
        self.name: str = spec["name"]
        self.inputs: list[str] = list(spec["inputs"])

    @property
    def shape(self) -> Shape:
        """Of a row of the first output."""
        return self.graph.shapes[self.name]

    def input_shape(self, i: int = 0) -> Shape:
        """Of a row of an input."""
        return self.graph.shapes[self.inputs[i]]

    def input(self, i: int = 0, form: str = LAST) -> str:
        """The name of an input in a layout."""
        return self.graph.get(self.inputs[i], form)

    def option(self, key: str, otherwise: Any = None) -> Any:
        """An attribute of the node."""
        return self.spec.get(key, otherwise)

    def parameter(self, key: str, *steps: Step) -> str:
        """A parameter of the node, stored after some steps."""
        return self.graph.parameter(self.spec.get("shared", {}).get(key, f"{self.spec['owner']}.{key}"), *steps)

    def put(self, value: str, form: str = LAST, output: int = 0) -> None:
        """Tell the name of an output in a layout."""
        self.graph.put(output_name(self.name, output), value, form)


CONVERTERS: dict[str, Callable[[Call], None]] = {}
REFUSED: dict[str, str] = {
    "append": "it belongs to generation step by step, which ONNX has no state for",
    "callback": "it is written in Python; write it with nf.ops instead, in `call` of a user-defined layer",
    "random_normal": "ONNX has no generator of the same random numbers",
    "random_uniform": "ONNX has no generator of the same random numbers",
    "visible": "it belongs to generation step by step, which ONNX has no state for",
}
"""Kinds that have no converter, and why."""


def converter(*kinds: str) -> Callable[[Callable[[Call], None]], Callable[[Call], None]]:
    """Register a function as the one that converts some kinds of nodes."""

    def register(function: Callable[[Call], None]) -> Callable[[Call], None]:
        CONVERTERS.update(dict.fromkeys(kinds, function))
        return function

    return register
