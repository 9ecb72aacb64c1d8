"""The graph of an ONNX model, checked: inputs with their shapes, the nodes that are needed, and arrays."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from nnfast.core.text import short_repr
from nnfast.core.typing import Array, Shape
from nnfast.io.onnx.messages import DataType, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto
from nnfast.io.onnx.tensors import to_array

__all__ = ["BATCH", "Entry", "Graph"]

BATCH: Final = 2**31 - 1
"""The size that an open batch has in computations with shapes: a prime, which no other size has by accident."""
_MAX_NODES = 100_000
_MAX_SIZE = 1 << 31
_REAL = (DataType.FLOAT, DataType.DOUBLE, DataType.FLOAT16, DataType.BFLOAT16)
_WHOLE = (
    DataType.INT64,
    DataType.INT32,
    DataType.INT16,
    DataType.INT8,
    DataType.UINT8,
    DataType.UINT16,
    DataType.UINT32,
    DataType.UINT64,
)


class Entry(NamedTuple):
    """An input of the graph."""

    name: str
    shape: Shape
    """Of all axes; of the batch as the graph's numbers have it."""
    batch_axis: int | None
    dtype: str | None
    """Of an input of integers."""
    domain: str


class Graph:
    """A graph that has been checked.

    Parameters
    ----------
    model : ModelProto
    where : str
        The model in error messages.
    folder : str, optional
        Of files with tensors.
    input_shapes, batch_axis, outputs
        See `from_onnx`.
    rows : bool, default False
        Whether inputs have no batch axis: the network's is a further one.
    fixed : collection of str
        Inputs that are known at import.
    """

    def __init__(
        self,
        model: ModelProto,
        where: str,
        folder: str | None,
        input_shapes: Mapping[str, Sequence[int | None]],
        batch_axis: int | Mapping[str, int] | None,
        outputs: Sequence[str] | None,
        *,
        rows: bool = False,
        fixed: Collection[str] = (),
    ) -> None:
        self.where = where
        self.folder = folder
        if model.graph is None:
            raise ValueError(f"{where}: expected a model with a graph, got none")
        self._graph: GraphProto = model.graph
        self._versions = {entry.domain: entry.version for entry in model.opset_import}
        self._given = {key: tuple(value) for key, value in input_shapes.items()}
        self.nodes: Sequence[NodeProto] = self._graph.node
        if len(self.nodes) > _MAX_NODES:
            raise ValueError(f"{where}: expected at most {_MAX_NODES} nodes, got {len(self.nodes)}")
        self._tensors: dict[str, TensorProto] = {tensor.name: tensor for tensor in self._graph.initializer}
        self.outputs = self._chosen_outputs(outputs)
        self.needed_nodes = self._needed()
        self.used = {name for number in self.needed_nodes for name in self.nodes[number].input} | set(self.outputs)
        self.users: dict[str, list[int]] = {}
        for number in self.needed_nodes:
            for name in self.nodes[number].input:
                self.users.setdefault(name, []).append(number)
        self.initializers = [name for name in self._tensors if name in self.used]
        infos = [info for info in self._graph.input if info.name not in self._tensors and info.name in self.used]
        infos = [info for info in infos if info.name not in fixed]
        unknown = set(self._given) - {info.name for info in self._graph.input}
        if unknown:
            raise ValueError(f"{where}: expected inputs of the graph in input_shapes, got {sorted(unknown)}")
        self.batch, self.has_batch_axis = 1, not rows
        self.entries: list[Entry] = []
        self._add_entries(infos, batch_axis, rows)

    def version(self, domain: str) -> int:
        """The version of the operators of a domain."""
        return self._versions.get(domain, self._versions.get("ai.onnx", 1) if not domain else 1)

    def array(self, name: str) -> Array:
        """The values of an initializer."""
        try:
            return to_array(self._tensors[name], self.folder)
        except ValueError as error:
            raise ValueError(f"{self.where}: {error}") from None

    def _chosen_outputs(self, wanted: Sequence[str] | None) -> list[str]:
        names = [info.name for info in self._graph.output]
        if not names:
            raise ValueError(f"{self.where}: expected a graph with outputs, got none")
        if wanted is None:
            return list(dict.fromkeys(names))
        for name in wanted:
            if name not in names:
                raise ValueError(f"{self.where}: expected outputs among {short_repr(names)}, got {short_repr(name)}")
        if not wanted:
            raise ValueError(f"{self.where}: expected one output or more, got none")
        return list(dict.fromkeys(wanted))

    def _needed(self) -> list[int]:
        """The numbers of the nodes that outputs depend on, in their order in the file."""
        makers: dict[str, int] = {}
        for number, node in enumerate(self.nodes):
            for name in node.output:
                if name and (name in makers or name in self._tensors):
                    raise ValueError(f"{self.where}: expected each value to be computed once, got {name!r} twice")
                if name:
                    makers[name] = number
        known = set(self._tensors) | {info.name for info in self._graph.input}
        waiting, found = list(self.outputs), set()
        for name in self.outputs:
            if name not in makers and name not in known:
                raise ValueError(f"{self.where}: expected an output that a node computes, got {name!r}")
        while waiting:
            maker = makers.get(waiting.pop())
            if maker is not None and maker not in found:
                found.add(maker)
                waiting += [name for name in self.nodes[maker].input if name]
        order = sorted(found)
        for number in order:
            for name in self.nodes[number].input:
                if name and name not in known and makers.get(name, number) >= number:
                    got = "a cycle or nodes out of order" if name in makers else "nothing that computes it"
                    raise ValueError(
                        f"{self.where}: expected the input {name!r} of node {self.nodes[number].name or number!r} "
                        f"({self.nodes[number].op_type}) to be computed before it, got {got}"
                    )
        return order

    # ---- inputs --------------------------------------------------------------

    def _add_entries(self, infos: Sequence[ValueInfoProto], batch_axis: Any, rows: bool) -> None:
        if not infos and not rows:
            raise ValueError(f"{self.where}: expected a graph whose outputs depend on inputs, got constants")
        shapes = [self._sizes(info) for info in infos]
        axes: list[int | None] = [None] * len(infos)
        if not rows:
            names = {size for shape in shapes for size in shape if isinstance(size, str)}
            first = next((size for shape in shapes for size in shape[:1] if isinstance(size, str)), None)
            batch_name = first if first is not None else names.pop() if len(names) == 1 else None
            axes = [
                self._axis(info.name, shape, batch_axis, batch_name) for info, shape in zip(infos, shapes, strict=True)
            ]
            sizes = {shape[axis] for shape, axis in zip(shapes, axes, strict=True) if axis is not None}
            fixed = {size for size in sizes if isinstance(size, int)}
            if len(fixed) > 1:
                raise ValueError(
                    f"{self.where}: expected inputs with the same batch, got {sorted(fixed)}; give batch_axis="
                )
            self.batch = BATCH if not fixed or len(sizes) > 1 else next(iter(fixed))
        for info, shape, axis in zip(infos, shapes, axes, strict=True):
            self.entries.append(self._entry(info, shape, axis))

    def _sizes(self, info: ValueInfoProto) -> tuple[int | str, ...]:
        """The sizes of all axes; a name for those that are open."""
        kind = info.type.tensor_type if info.type is not None else None
        if kind is None:
            raise ValueError(
                f"{self.where}: expected a tensor as input {info.name!r}, got a sequence, a map or nothing"
            )
        if info.name in self._given:
            given = self._given[info.name]
            if not all(size is None or (isinstance(size, int) and 0 < size < _MAX_SIZE) for size in given):
                raise ValueError(f"{self.where}: expected sizes or None as input_shapes of {info.name!r}, got {given}")
            return tuple("" if size is None else size for size in given)
        if kind.shape is None:
            raise ValueError(
                f"{self.where}: expected the shape of input {info.name!r}, got none; give "
                f"input_shapes={{{info.name!r}: (None, ...)}}, None for the batch"
            )
        sizes: list[int | str] = []
        for dim in kind.shape.dim:
            if dim.dim_value is not None and not 0 < dim.dim_value < _MAX_SIZE:
                if dim.dim_value < 0:
                    sizes.append("")  # as old exporters write an open one
                    continue
                raise ValueError(
                    f"{self.where}: expected sizes of 1 or more for input {info.name!r}, got {dim.dim_value}"
                )
            sizes.append(dim.dim_value if dim.dim_value is not None else dim.dim_param or "")
        return tuple(sizes)

    def _axis(self, name: str, shape: Sequence[int | str], given: Any, batch_name: str | None) -> int | None:
        """The axis of the batch."""
        chosen = given.get(name) if isinstance(given, Mapping) else given
        if chosen is not None:
            if isinstance(chosen, bool) or not isinstance(chosen, int) or not -len(shape) <= chosen < len(shape):
                raise ValueError(f"{self.where}: expected batch_axis as an axis of {name!r}, got {chosen!r}")
            return chosen % len(shape)
        if not shape:
            raise ValueError(f"{self.where}: expected input {name!r} with a batch axis, got a single number")
        if batch_name is not None and batch_name in shape:
            return list(shape).index(batch_name)
        return next((axis for axis, size in enumerate(shape) if isinstance(size, str)), 0)

    def _entry(self, info: ValueInfoProto, shape: Sequence[int | str], axis: int | None) -> Entry:
        open_axes = [i for i, size in enumerate(shape) if isinstance(size, str) and i != axis]
        if open_axes:
            got = tuple(None if isinstance(size, str) else size for size in shape)
            raise ValueError(
                f"{self.where}: expected input {info.name!r} with fixed sizes but for the batch, which is axis {axis}, "
                f"got {got}; give input_shapes={{{info.name!r}: ...}} with a number for axis {open_axes[0]}"
            )
        sizes = tuple(self.batch if isinstance(size, str) or i == axis else size for i, size in enumerate(shape))
        if math.prod(size for i, size in enumerate(sizes) if i != axis) >= _MAX_SIZE:
            raise ValueError(
                f"{self.where}: expected rows of fewer than 2^31 numbers as input {info.name!r}, got {sizes}"
            )
        kind = info.type.tensor_type.elem_type if info.type is not None and info.type.tensor_type is not None else 0
        if kind in _REAL:
            return Entry(info.name, sizes, axis, None, "real")
        if kind in _WHOLE:
            return Entry(info.name, sizes, axis, "int64", "integer")
        if kind == DataType.BOOL:
            return Entry(info.name, sizes, axis, None, "boolean")
        raise ValueError(f"{self.where}: expected numbers as input {info.name!r}, got elements of type {kind}")
