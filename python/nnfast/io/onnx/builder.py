"""Graphs of ONNX that are being built: nodes, constants, parameters, and the layouts in which tensors exist.

A tensor of nnfast has its channels last. Convolution and pooling in ONNX want them first. A tensor may exist in both
layouts: converters ask for the one that they need, and tell the one that they made, so that a transposition stands
only where two needs meet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from nnfast.core.typing import Array, Shape, Unbatched
from nnfast.io.onnx.messages import (
    AttributeProto,
    AttributeType,
    DataType,
    Dimension,
    GraphProto,
    NodeProto,
    TensorProto,
    TensorShapeProto,
    TensorType,
    TypeProto,
    ValueInfoProto,
)
from nnfast.io.onnx.storage import Step, inverse, stored
from nnfast.io.onnx.tensors import DTYPES, from_array, to_array

__all__ = ["BATCH", "FIRST", "FLAT", "LAST", "GraphBuilder", "value_info"]

LAST: Final = "channels last"
FIRST: Final = "channels first"
FLAT: Final = "flattened, channels first"
"""Of a vector (N, D): the order in which flattening finds the elements if channels come first."""
BATCH: Final = "N"
"""The name of the batch axis."""
_TYPES: Final = {dtype: kind for kind, dtype in DTYPES.items()}


class GraphBuilder:
    """A graph of ONNX for tensors of nnfast.

    Parameters
    ----------
    dtype : {"float32", "float64"}
    opset : int
    shapes : mapping of str to tuple of int
        Of a row of each tensor of nnfast.
    parameters : mapping of str to ndarray
    free_time : bool, default False
        Whether the graph shall not depend on the length of sequences, as far as converters can help it.
    """

    def __init__(
        self,
        dtype: str,
        opset: int,
        shapes: Mapping[str, Shape],
        parameters: Mapping[str, Array],
        free_time: bool = False,
    ) -> None:
        self.free_time = free_time
        self.dtype = dtype
        self.opset = opset
        self.shapes = shapes
        self.nodes: list[NodeProto] = []
        self.inputs: list[ValueInfoProto] = []
        self.outputs: list[ValueInfoProto] = []
        self.scope = ""
        """The node of nnfast that is being converted, from which names are made."""
        self.recipes: dict[str, tuple[str, list[Step]]] = {}
        """For each parameter, the initializer that holds it, and how to get it from there."""
        self.integers_of: dict[str, str] = {}
        """The integers of which values are conversions to the network's dtype."""
        self._parameters = parameters
        self._values: dict[str, dict[str, str]] = {}
        """The names of each tensor, by layout."""
        self._flattened: dict[str, Shape] = {}
        """What the vectors in the layout FLAT were before."""
        self._initializers: dict[str, TensorProto] = {}
        self._constants: dict[Any, str] = {}
        self._producers: dict[str, NodeProto] = {}
        self._taken: set[str] = set()
        self._batch: str | None = None

    # ---- tensors of nnfast -------------------------------------------------------

    def has(self, name: str, form: str) -> bool:
        """Whether a tensor exists in a layout."""
        return form in self._values[name]

    def put(self, name: str, value: str, form: str = LAST) -> None:
        """Tell the name of a tensor in a layout; those with fewer than two axes besides the batch have one layout."""
        if form == FIRST and len(self.shapes[name]) < 2:
            form = LAST
        self._values.setdefault(name, {})[form] = value

    def alias(self, name: str, source: str) -> None:
        """Tell that a tensor is another one."""
        self._values[name] = self._values[source]
        if source in self._flattened:
            self._flattened[name] = self._flattened[source]

    def put_flat(self, name: str, value: str, like: Shape) -> None:
        """Tell the name of a vector that is a flattened tensor with channels first; `like` is the shape of its rows."""
        self._values.setdefault(name, {})[FLAT] = value
        self._flattened[name] = like

    def flattened(self, name: str) -> Shape:
        """The shape that rows of a tensor in the layout FLAT had, with channels last."""
        return self._flattened[name]

    def get(self, name: str, form: str = LAST) -> str:
        """The name of a tensor in a layout, after a transposition if need be."""
        values = self._values[name]
        if form in values:
            return values[form]
        rank = len(self.shapes[name]) + 1
        if FLAT in values:
            *space, channels = self._flattened[name]
            image = self.reshape(values[FLAT], [-1, channels, *space])
            moved = self.transpose(image, to_last(len(space) + 2))
            values[LAST] = self.reshape(moved, [-1, math.prod(space) * channels])
            return values[LAST]
        if rank < 3:  # there is one layout only
            return values[LAST]
        if form == LAST:
            values[LAST] = self.transpose(values[FIRST], to_last(rank))
        else:
            values[FIRST] = self.transpose(values[LAST], to_first(rank))
        return values[form]

    def common_form(self, names: Sequence[str]) -> str:
        """The layout for an element-wise function of tensors: one that needs no transposition, if there is one."""
        if all(self.has(name, LAST) for name in names):
            return LAST
        ranks = {len(self.shapes[name]) for name in names}
        if len(names) == 1 and self.has(names[0], FLAT) and not self.has(names[0], LAST):
            return FLAT
        batched = not any(isinstance(self.shapes[name], Unbatched) for name in names)
        return FIRST if batched and len(ranks) == 1 and any(self.has(name, FIRST) for name in names) else LAST

    def axis(self, name: str, axis: int, form: str) -> int:
        """The axis of a value in a layout, from that of a tensor's full shape; negative ones count from the end."""
        rank = len(self.full_shape(name))
        axis = axis + rank if axis < 0 else axis
        return axis if form != FIRST or axis == 0 else 1 if axis == rank - 1 else axis + 1

    def full_shape(self, name: str) -> list[int]:
        """The sizes of all axes of a tensor; -1 is the batch."""
        shape = self.shapes[name]
        return [*shape] if isinstance(shape, Unbatched) else [-1, *shape]

    # ---- nodes -------------------------------------------------------------------

    def fresh(self, name: str) -> str:
        """A name that no value has."""
        made, number = name, 1
        while made in self._taken:
            number += 1
            made = f"{name}_{number}"
        self._taken.add(made)
        return made

    def op(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output; returns its name. An input "" is left out, and so are attributes None."""
        return self.ops(op_type, inputs, 1, **attributes)[0]

    def ops(self, op_type: str, inputs: Iterable[str], outputs: int | Sequence[str], **attributes: Any) -> list[str]:
        """Add a node with several outputs; returns their names."""
        if isinstance(outputs, int):
            base = f"{self.scope}/{op_type}" if self.scope else op_type
            outputs = [self.fresh(base if i == 0 else f"{base}#{i}") for i in range(outputs)]
        made = [attribute(key, value) for key, value in attributes.items() if value is not None]
        node = NodeProto(
            input=list(inputs), output=list(outputs), name=outputs[0] or outputs[-1], op_type=op_type, attribute=made
        )
        self.nodes.append(node)
        self._producers |= dict.fromkeys(outputs, node)
        return list(outputs)

    def producer(self, value: str) -> NodeProto | None:
        """The node that makes a value; None for constants and inputs of the graph."""
        return self._producers.get(value)

    def transpose(self, x: str, axes: Sequence[int]) -> str:
        """Transpose a value; two transpositions in a row become one or none."""
        before = self.producer(x)
        if before is not None and before.op_type == "Transpose":
            first = before.attribute[0].ints
            x, axes = before.input[0], [first[axis] for axis in axes]
        if list(axes) == sorted(axes):
            return x
        return self.op("Transpose", x, perm=list(axes))

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        """Reshape a value: -1 is the size that follows from the others, 0 the one that the axis has."""
        return self.op("Reshape", x, self.integers(shape))

    def cast(self, x: str, dtype: str) -> str:
        """Convert a value to a type by NumPy's name."""
        return self.op("Cast", x, to=int(_TYPES[dtype]))

    def to_number(self, condition: str) -> str:
        """0 and 1 in the network's dtype, from truth values."""
        return self.cast(condition, self.dtype)

    def truth(self, x: str) -> str:
        """Truth values, from numbers: whether they differ from 0."""
        return self.op("Cast", x, to=int(DataType.BOOL))

    def whole(self, x: str) -> str:
        """Integers of 64 bits, from numbers that are whole; what was converted from integers is taken from there."""
        return self.integers_of.get(x) or self.cast(x, "int64")

    def reduce(self, op_type: str, x: str, axes: Sequence[int] | None, keepdims: bool = False) -> str:
        """Reduce axes of a value; from version 18 on, all of these operators have the axes as an input."""
        keeps = int(keepdims)
        if axes is None:
            return self.op(op_type, x, keepdims=keeps)
        if op_type == "ReduceSum" or self.opset >= 18:
            return self.op(op_type, x, self.integers(axes), keepdims=keeps)
        return self.op(op_type, x, axes=list(axes), keepdims=keeps)

    def steps_of(self, x: str) -> str:
        """0, 1, ... for each step of a value (N, T, ...), as integers."""
        length = self.op("Squeeze", self.op("Shape", x, start=1, end=2), self.integers([0]))
        zero, one = (self.constant(number, "integer", "int64") for number in (0, 1))
        return self.op("Range", zero, length, one)

    def batch(self) -> str:
        """The number of rows, a vector of one integer."""
        if self._batch is None:
            shape = self.op("Shape", self.inputs[0].name, start=0, end=1)
            self._batch = shape
        return self._batch

    # ---- constants ---------------------------------------------------------------

    def constant(self, values: Any, name: str = "constant", dtype: str | None = None) -> str:
        """A constant of the network's dtype, or another; equal ones are stored once."""
        array = np.array(values, self.dtype if dtype is None else dtype, order="C")
        # Two numbers that are equal by chance may be a length and another size.
        key: Any = len(self._taken) if self.free_time else (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            made = self.fresh(f"{self.scope}/{name}" if self.scope else name)
            self._constants[key] = made
            self._initializers[made] = from_array(array, made)
        return self._constants[key]

    def integers(self, values: Sequence[int]) -> str:
        """A vector of integers, such as a shape."""
        return self.constant(list(values), "integers", "int64")

    def number(self, value: float) -> str:
        """A number of the network's dtype."""
        return self.constant(value, "number")

    def parameter(self, name: str, *steps: Step) -> str:
        """A parameter by its full name, stored after some steps, such as a transposition."""
        key = (name, repr(steps))
        if key not in self._constants:
            before = np.asarray(self._parameters[name])
            after = stored(before, steps)
            made = self.fresh(name)
            self._constants[key] = made
            self._initializers[made] = from_array(after, made)
            self.recipes.setdefault(name, (made, inverse(before.shape, steps)))
        return self._constants[key]

    def differing_constants(self, other: GraphBuilder) -> list[tuple[str, Array | None, Array | None]]:
        """The constants that differ from those of another graph, with both values; None where there is none."""
        made = []
        for name in {**self._initializers, **other._initializers}:
            tensors = self._initializers.get(name), other._initializers.get(name)
            a, b = (None if tensor is None else to_array(tensor) for tensor in tensors)
            if a is None or b is None or a.shape != b.shape or a.tobytes() != b.tobytes():
                made.append((name, a, b))
        return made

    def replace_constants(self, computed: Mapping[str, Callable[[], list[str]]]) -> None:
        """Replace vectors by concatenations of others, which functions make; their nodes stand before all else."""
        nodes, self.nodes = self.nodes, []
        for name, parts in computed.items():
            self.ops("Concat", parts(), [name], axis=0)
            del self._initializers[name]
        self.nodes += nodes

    # ---- the whole ---------------------------------------------------------------

    def finish(self, name: str) -> GraphProto:
        """The graph, without what no output needs."""
        wanted = {output.name for output in self.outputs}
        kept = []
        for node in reversed(self.nodes):
            if wanted.isdisjoint(node.output):
                continue
            kept.append(node)
            wanted.update(_names_read(node))
        holders = {holder for holder, _ in self.recipes.values()}
        initializers = [tensor for key, tensor in self._initializers.items() if key in wanted or key in holders]
        return GraphProto(name=name, node=kept[::-1], initializer=initializers, input=self.inputs, output=self.outputs)

    def rename(self, old: str, new: str) -> bool:
        """Give a value that a node makes a name from `fresh`; returns False if it is an output with a name already."""
        producer = self.producer(old)
        if producer is None or any(output.name == old for output in self.outputs):
            return False
        for node in self.nodes:
            node.input = [new if name == old else name for name in node.input]
        producer.output = [new if name == old else name for name in producer.output]
        self._producers[new] = producer
        for values in self._values.values():
            for form, value in values.items():
                if value == old:
                    values[form] = new
        return True


def to_last(rank: int) -> list[int]:
    """The axes of (N, C, ...) in the order (N, ..., C)."""
    return [0, *range(2, rank), 1]


def to_first(rank: int) -> list[int]:
    """The axes of (N, ..., C) in the order (N, C, ...)."""
    return [0, rank - 1, *range(1, rank - 1)]


def _names_read(node: NodeProto) -> set[str]:
    """What a node reads, also from within its graphs."""
    names = set(node.input)
    for found in node.attribute:
        if found.g is not None:
            for inner in found.g.node:
                names |= _names_read(inner)
            names.update(output.name for output in found.g.output)
    return names


def attribute(name: str, value: Any) -> AttributeProto:
    """An attribute, whose type follows from that of the value."""
    kind, key, stored_as = _attribute_kind(value)
    return AttributeProto(name=name, type=int(kind), **{key: stored_as})


def _attribute_kind(value: Any) -> tuple[AttributeType, str, Any]:
    if isinstance(value, GraphProto):
        return AttributeType.GRAPH, "g", value
    if isinstance(value, TensorProto):
        return AttributeType.TENSOR, "t", value
    if isinstance(value, str):
        return AttributeType.STRING, "s", value.encode()
    if isinstance(value, float):
        return AttributeType.FLOAT, "f", value
    if isinstance(value, int):
        return AttributeType.INT, "i", int(value)
    items = list(value)
    if items and isinstance(items[0], str):
        return AttributeType.STRINGS, "strings", [item.encode() for item in items]
    if items and isinstance(items[0], float):
        return AttributeType.FLOATS, "floats", items
    return AttributeType.INTS, "ints", [int(item) for item in items]


def value_info(name: str, dtype: str, shape: Sequence[int | str]) -> ValueInfoProto:
    """The name and type of a value; sizes may be names."""
    dims = [Dimension(dim_param=size) if isinstance(size, str) else Dimension(dim_value=size) for size in shape]
    tensor = TensorType(elem_type=int(_TYPES[dtype]), shape=TensorShapeProto(dim=dims))
    return ValueInfoProto(name=name, type=TypeProto(tensor_type=tensor))
