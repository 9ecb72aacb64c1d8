"""Networks as ONNX files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import metadata
from typing import Any, Final

from nnfast.core.files import atomic_writer
from nnfast.core.options import flag, integer
from nnfast.core.tensor import node_of
from nnfast.core.text import short_repr
from nnfast.core.typing import Spec, Unbatched
from nnfast.graph.expansion import Expansion
from nnfast.io.onnx.builder import BATCH, FIRST, LAST, GraphBuilder, value_info
from nnfast.io.onnx.converters import CONVERTERS, REFUSED, Call
from nnfast.io.onnx.free_time import graph_for_any_length
from nnfast.io.onnx.messages import ModelProto, OperatorSetIdProto
from nnfast.io.onnx.origin import properties
from nnfast.network import Network

__all__ = ["export_onnx", "model_of"]

_OPSETS: Final = {17: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11}
"""The versions of the set of operators, and the version of the format with which each began."""
_FORMS: Final = {"NHWC": LAST, "NCHW": FIRST}
_IMAGE_AXES: Final = 3


def export_onnx(
    network: Network,
    path: str | os.PathLike[str],
    opset: int = 17,
    input_layout: str = "NHWC",
    output_layout: str = "NHWC",
    input_dtype: str | None = None,
    dynamic_time: bool = False,
) -> None:
    """Write a network; see `Network.export_onnx`."""
    content = model_of(network, opset, input_layout, output_layout, input_dtype, dynamic_time).serialize()
    with atomic_writer(path) as file:
        file.write(content)


def model_of(
    network: Network,
    opset: int = 17,
    input_layout: str = "NHWC",
    output_layout: str = "NHWC",
    input_dtype: str | None = None,
    dynamic_time: bool = False,
) -> ModelProto:
    """The message that `export_onnx` writes."""
    version = integer("export_onnx", "opset", opset, minimum=min(_OPSETS))
    if version not in _OPSETS:
        raise ValueError(f"export_onnx: expected an opset from {min(_OPSETS)} to {max(_OPSETS)}, got {opset}")
    layouts = []
    for key, layout in (("input_layout", input_layout), ("output_layout", output_layout)):
        if layout not in _FORMS:
            raise ValueError(f'export_onnx: expected "NHWC" or "NCHW" as {key}, got {short_repr(layout)}')
        layouts.append(_FORMS[layout])
    if input_dtype not in (None, "uint8", network.dtype):
        raise ValueError(
            f'export_onnx: expected None, "uint8" or "{network.dtype}" as input_dtype, got {short_repr(input_dtype)}'
        )
    free_time = flag("export_onnx", "dynamic_time", dynamic_time)

    def convert(expansion: Expansion) -> GraphBuilder:
        return _graph(network, expansion, version, layouts, input_dtype or network.dtype, free_time)

    with network.parameters.reading("export"):
        graph = graph_for_any_length(network, convert) if free_time else convert(network._expansion)
    options = {
        "opset": version,
        "input_layout": input_layout,
        "output_layout": output_layout,
        "input_dtype": input_dtype,
        "dynamic_time": free_time,
    }
    return ModelProto(
        ir_version=_OPSETS[version],
        producer_name="nnfast",
        producer_version=_version(),
        graph=graph.finish(network.name),
        opset_import=[OperatorSetIdProto(domain="", version=version)],
        metadata_props=properties(network, graph.recipes, options),
    )


def _version() -> str:
    try:
        return metadata.version("nnfast")
    except metadata.PackageNotFoundError:
        return ""


def _graph(
    network: Network, expansion: Expansion, opset: int, forms: Sequence[str], input_dtype: str, free_time: bool
) -> GraphBuilder:
    ends = network.architecture
    graph = GraphBuilder(network.dtype, opset, expansion.shapes, network.parameters, free_time)
    inputs, outputs = ends.inputs.names, ends.outputs.names
    needed = _needed(expansion.nodes, outputs)
    _refuse([node for node in expansion.nodes if node["name"] in needed])
    for name, key in zip(inputs, ends.inputs.keys or inputs, strict=True):
        _add_input(graph, name, key, network, forms[0], input_dtype)
    reserved = [graph.fresh(key) for key in ends.outputs.keys or outputs]
    for node in expansion.nodes:
        if node["name"] in needed and node["name"] not in inputs:
            graph.scope = node["name"]
            CONVERTERS[node["op"]](Call(graph, node))
    graph.scope = ""
    for name, made in zip(outputs, reserved, strict=True):
        _add_output(graph, name, made, forms[1])
    for parameter in network.parameters:
        if parameter not in graph.recipes:  # of a part that only the loss needs
            graph.parameter(parameter)
    return graph


def _needed(nodes: Sequence[Spec], outputs: Sequence[str]) -> set[str]:
    """The nodes that outputs depend on."""
    needed = {node_of(output) for output in outputs}
    for node in reversed(nodes):
        if node["name"] in needed:
            needed.update(node_of(source) for source in node.get("inputs", ()))
    return needed


def _refuse(nodes: Sequence[Spec]) -> None:
    """Raise an error if there are nodes that ONNX cannot have."""
    for node in nodes:
        kind = node["op"]
        if kind in REFUSED:
            raise ValueError(
                f"export_onnx: expected layers that ONNX can express, got {node['name']!r} ({kind}): {REFUSED[kind]}"
            )


def _add_input(graph: GraphBuilder, name: str, key: str, network: Network, form: str, dtype: str) -> None:
    """Add an input of the graph called `key`, which may have another type and layout than the network's tensor."""
    shape = list(graph.shapes[name])
    layer: Any = network.architecture.by_name[name]
    is_image = len(shape) == _IMAGE_AXES and layer.dtype is None
    form = form if is_image else LAST
    dtype = layer.dtype or dtype
    sizes = [shape[-1], *shape[:-1]] if form == FIRST else shape
    made = value = graph.fresh(key)
    graph.inputs.append(value_info(made, dtype, [BATCH, *sizes]))
    if dtype != graph.dtype:
        graph.scope = name
        value = graph.cast(made, graph.dtype)
        graph.integers_of[value] = made
    graph.put(name, value, form)


def _add_output(graph: GraphBuilder, name: str, made: str, form: str) -> None:
    """Add an output of the graph called `made`, which has the value of the network's tensor."""
    shape = graph.shapes[name]
    form = form if len(shape) == _IMAGE_AXES and not isinstance(shape, Unbatched) else LAST
    value = graph.get(name, form)
    if not graph.rename(value, made):
        graph.ops("Identity", [value], [made])
    sizes = [shape[-1], *shape[:-1]] if form == FIRST else list(shape)
    batch: list[int | str] = [] if isinstance(shape, Unbatched) else [BATCH]
    graph.outputs.append(value_info(made, graph.dtype, [*batch, *sizes]))
