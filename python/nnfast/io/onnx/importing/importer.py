"""`from_onnx`: a network from an ONNX file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnfast.core.files import open_regular
from nnfast.core.tensor import Tensor, ancestors
from nnfast.core.text import short_repr
from nnfast.core.typing import Array

# They register their importers.
from nnfast.io.onnx.importing import (  # noqa: F401
    attention,
    classical,
    convolutions,
    einsum,
    elementwise,
    normalizations,
    pooling,
    products,
    recurrent,
    reductions,
    resizing,
    selections,
    shapes,
)
from nnfast.io.onnx.importing.building import Builder, valid_name
from nnfast.io.onnx.importing.errors import NeedsConstant, Unsupported
from nnfast.io.onnx.importing.folding import foldable, folded
from nnfast.io.onnx.importing.graph import BATCH, Entry, Graph
from nnfast.io.onnx.importing.layout import View
from nnfast.io.onnx.importing.nodes import Const, Node, Value, importers, place_of
from nnfast.io.onnx.messages import ModelProto, NodeProto
from nnfast.io.onnx.origin import network_of
from nnfast.layers import Input
from nnfast.network import Network
from nnfast.ops.core import apply

__all__ = ["OPERATIONS", "from_onnx"]

OPERATIONS = importers


def from_onnx(
    path: str | os.PathLike[str] | bytes,
    *,
    input_shapes: Mapping[str, Sequence[int | None]] | None = None,
    batch_axis: int | Mapping[str, int] | None = None,
    outputs: str | Sequence[str] | None = None,
    input_layout: str = "file",
    custom_objects: Mapping[str, Any] | None = None,
    seed: int | None = None,
    dtype: Any = None,
    name: str | None = None,
) -> Network:
    """A network from an ONNX file, that predicts and can be trained further.

    Parameters
    ----------
    path : path-like or bytes
        The file, or its content. Tensors in other files have to be in its folder.
    input_shapes : dict of str to tuple of int, optional
        Shapes of inputs, all axes counted, for those that the file leaves open: ``{"tokens": (None, 16)}``. None is the
        batch.
    batch_axis : int, or dict of str to int, optional
        The axis of inputs that is the batch; by default the first one whose size is open, else axis 0.
    outputs : str or sequence of str, optional
        The outputs of the graph that the network has; by default all. What only others need is left out.
    input_layout : {"file", "NHWC"}, default "file"
        The order of the axes of images: that of the file, or channels last for files that have them in front, for
        outputs too. The network computes with channels last in any case.
    custom_objects : dict of str to class, optional
        User-defined classes of a network that nnfast exported; see `Network.load`.
    seed, dtype, name
        See `Network`. dtype is float32 by default, or that of the network that nnfast exported.

    Returns
    -------
    Network
        Weights of the layers that the operations correspond to, and other arrays that the file stores as initializers,
        are parameters of the network, named after those of the file. With several inputs or outputs, they are dicts by
        the file's names.

    Raises
    ------
    ValueError
        If the file is damaged, or the graph is none of a network; all nodes that cannot be imported are named.

    Notes
    -----
    A file that `Network.export_onnx` wrote, and that nobody has changed since, gives the network that it was written
    from, with its layers, names and bits, and with channels last, unless `input_shapes`, `batch_axis` or `outputs` ask
    for something else.

    See docs/onnx.md for what is supported. A graph made for a batch of 1 becomes a network for any number of rows,
    each of which is treated as the graph treats its one. Dropout is left out, because files for inference rarely have
    it; add it before training if it is wanted.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> import nnfast as nf
    >>> net = nf.models.lenet5(seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "lenet.onnx")
    ...     net.export_onnx(path)
    ...     again, other = nf.from_onnx(path), nf.from_onnx(path, batch_axis=0)
    >>> again.fingerprint() == net.fingerprint()
    True
    >>> x = np.random.default_rng(0).random((2, 28, 28, 1), np.float32)
    >>> bool(abs(other.predict(x) - net.predict(x)).max() < 1e-6)
    True
    """
    if input_layout not in ("file", "NHWC"):
        raise ValueError(f'from_onnx: expected input_layout "file" or "NHWC", got {short_repr(input_layout)}')
    model, folder, where = _read(path)
    is_as_written = input_shapes is None and batch_axis is None and outputs is None
    if is_as_written and (written := network_of(model, custom_objects or {})) is not None:
        return _with(written, seed, dtype, name)
    wanted = [outputs] if isinstance(outputs, str) else outputs
    graph = Graph(model, where, folder, input_shapes or {}, batch_axis, wanted)
    importer = GraphImporter(graph, input_layout == "NHWC")
    return importer.network(seed=seed, dtype=dtype or "float32", name=name or "network")


def _with(network: Network, seed: int | None, dtype: Any, name: str | None) -> Network:
    """The network, with what is asked for."""
    if seed is None and dtype is None and name is None:
        return network
    chosen = network.copy(dtype or network.dtype)
    made = Network.from_architecture(
        chosen.architecture, chosen.seed if seed is None else seed, chosen.dtype, name or chosen.name
    )
    made.set_state(chosen.parameters, chosen.frozen)
    return made


def _read(path: str | os.PathLike[str] | bytes) -> tuple[ModelProto, str | None, str]:
    """The message, the folder, and what errors call the file."""
    if isinstance(path, bytes | bytearray | memoryview):
        data, folder, where = bytes(path), None, "from_onnx"
    else:
        with open_regular(path) as file:
            data = file.read()
        folder, where = os.path.dirname(os.path.abspath(os.fspath(path))), f"from_onnx: {os.fspath(path)}"
    try:
        return ModelProto.parse(data), folder, where
    except ValueError as error:
        raise ValueError(f"{where}: expected an ONNX file, got damaged data: {error}") from None


class GraphImporter:
    """Goes through a graph once.

    Parameters
    ----------
    graph : Graph
    channels_last : bool
        Whether images are inputs and outputs with the channels last.
    fixed : dict, optional
        Values of inputs that are known at import.
    """

    def __init__(self, graph: Graph, channels_last: bool = False, fixed: Mapping[str, Array] | None = None) -> None:
        self.graph = graph
        self.channels_last = channels_last
        self.builder = Builder(graph)
        self.values: dict[str, Value | None] = self.builder.values
        self.failed: set[str] = set()
        self.problems: list[str] = []
        self.needed: list[str] = []
        """Values that nodes need as constants."""
        self.inputs: dict[str, Tensor] = {}
        self.values.update({name: Const(np.asarray(array)) for name, array in (fixed or {}).items()})
        self.values.update({entry.name: self._input(entry) for entry in graph.entries})

    def network(self, **options: Any) -> Network:
        """The network of the graph."""
        self.run()
        made = self.outputs()
        self._complain()
        reached = {id(tensor) for tensor in ancestors(made.values())}
        used = {name: tensor for name, tensor in self.inputs.items() if id(tensor) in reached}
        inputs: Any = next(iter(used.values())) if len(used) == 1 else used
        results: Any = next(iter(made.values())) if len(made) == 1 else made
        try:
            network = Network(inputs=inputs, outputs=results, **options)
        except ValueError as error:
            raise ValueError(f"{self.graph.where}: {error}") from error
        for layer, parameter, array in self.builder.weights:
            name = f"{layer.place}.{parameter}"
            if name in network.parameters:  # else no output depends on the layer
                network.parameters[name][...] = array
        return network

    def run(self) -> None:
        """Import all nodes that the outputs need."""
        for name in self.graph.initializers:
            self.values[name] = Const(self.graph.array(name), name)
        for number in self.graph.needed_nodes:
            self._import(self.graph.nodes[number], number)
        self._complain()

    def _complain(self) -> None:
        if self.problems:
            raise ValueError(
                f"{self.graph.where}: expected a graph that a Network can compute, got {len(self.problems)} "
                f"node{'s' * (len(self.problems) > 1)} for which that is not so:\n  " + "\n  ".join(self.problems[:50])
            )

    # ---- nodes ---------------------------------------------------------------

    def _import(self, proto: NodeProto, number: int) -> None:
        if any(name in self.failed for name in proto.input):
            self.failed.update(proto.output)
            return
        try:
            absorbed = number in self.builder.absorbed
            results = self._absorbed(proto) if absorbed else self._results(proto)
        except NeedsConstant as error:
            self.needed.append(error.value)
            self._fail(proto, number, error)
        except (Unsupported, ValueError, TypeError, IndexError, OverflowError, MemoryError) as error:
            self._fail(proto, number, error)
        else:
            self.values.update(zip(proto.output, results, strict=False))
            self.failed.update(proto.output[len(results) :])

    def _fail(self, proto: NodeProto, number: int, error: Exception) -> None:
        self.problems.append(f"{place_of(proto, number)}: {error}".replace(str(BATCH), "N"))
        self.failed.update(proto.output)

    def _results(self, proto: NodeProto) -> list[Value | None]:
        inputs = [self._value(name) for name in proto.input]
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        function = importers.get((domain, proto.op_type))
        node = Node(proto, inputs, self.graph.version(domain), self.builder)
        if all(not isinstance(value, View) for value in inputs) and foldable(domain, proto.op_type):
            return folded(node)
        if function is None and foldable(domain, proto.op_type):
            name = next(name for name, value in zip(proto.input, inputs, strict=True) if isinstance(value, View))
            raise NeedsConstant(name, "its input")
        if function is None:
            raise Unsupported("expected an operation that nnfast has; docs/onnx_ops.md lists them")
        result = function(node)
        return result if isinstance(result, list) else [result]

    def _absorbed(self, proto: NodeProto) -> list[Value | None]:
        """What the node gets besides the constant that a layer before it has added."""
        return [next(value for name in proto.input if isinstance(value := self._value(name), View))]

    def _value(self, name: str) -> Value | None:
        if not name:
            return None
        if name not in self.values:
            raise Unsupported(f"expected its input {name!r} to be computed by a node before it")
        return self.values[name]

    # ---- inputs and outputs --------------------------------------------------

    def _input(self, entry: Entry) -> View:
        """The view of an input of the graph."""
        row = [size for axis, size in enumerate(entry.shape) if axis != entry.batch_axis]
        order = list(range(len(row)))
        if self.channels_last and len(row) == 3 and entry.batch_axis == 0:
            order = [1, 2, 0]
        held = [row[i] for i in order]
        name = self.builder.free_name(valid_name(entry.name))
        tensor: Tensor
        tensor = self.inputs[entry.name] = Input(held or (1,), dtype=entry.dtype, name=name)
        if entry.domain != tensor.domain:
            tensor.domain = entry.domain
        if not row:
            tensor = apply("reshape", [tensor], tensor.domain, shape=[])
        axes: list[tuple[int, ...]] = [(order.index(i) + 1,) for i in range(len(row))]
        if entry.batch_axis is not None:
            axes.insert(entry.batch_axis, (0,) if self.graph.batch > 1 else ())
        return View(tensor, axes, self.graph.batch)

    def outputs(self) -> dict[str, Tensor]:
        """The outputs of the network, by name."""
        made: dict[str, Tensor] = {}
        for name in self.graph.outputs:
            if name in self.failed:
                continue
            value = self.values.get(name)
            if not isinstance(value, View):
                self.problems.append(
                    f"output {name!r}: expected numbers that depend on the network's inputs, got constants"
                )
                continue
            try:
                tensor = self._output(value)
            except Unsupported as error:
                self.problems.append(f"output {name!r}: {error}")
                continue
            if any(tensor is other for other in (*made.values(), *self.inputs.values())):
                tensor = apply("reshape", [tensor], tensor.domain, shape=list(tensor.shape))
            made[name] = tensor
        return made

    def _output(self, view: View) -> Tensor:
        axis = view.batch_axis
        if axis is None and self.graph.batch > 1:
            raise Unsupported("it does not depend on the batch")
        if axis is None and self.graph.has_batch_axis and view.rank and view.size(view.axes[0]) == 1:
            axis = 0  # of a graph for a batch of 1
        if axis is not None and 0 in view.axes[axis][1:]:
            raise Unsupported(f"the batch is the faster part of axis {axis} of its shape {view.shape}")
        rest = [i for i in range(view.rank) if i != axis or view.size(view.axes[i]) > view.batch]
        if self.channels_last and view.rank == 4 and len(rest) == 3 and axis == 0:
            rest = [2, 3, 1]
        return view.in_order(rest)
