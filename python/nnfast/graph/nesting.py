"""Networks as layers of other networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nnfast.core.tensor import Tensor, output_name
from nnfast.core.typing import Shape
from nnfast.graph.architecture import Architecture, copied
from nnfast.layers.base import Layer, Source

if TYPE_CHECKING:
    from nnfast.network import Network

__all__ = ["called_on", "copies_for_use"]


def copies_for_use(network: Network) -> dict[str, Layer]:
    """Copies of a network's layers by name; in another network they are initialized with its parameters."""
    copies = copied(network.layers)
    for name, layer in copies.items():
        layer.take_name(f"{network.name}/{name}")
        layer.source = Source(network, name)
    return copies


def called_on(
    architecture: Architecture, copies: Mapping[str, Layer], shapes: Sequence[Shape], where: str, x: Any
) -> Any:
    """The outputs of an architecture whose layers are replaced by `copies`, called on symbolic tensors."""
    if architecture.losses:
        raise ValueError(
            f"{where}: expected a network without terms of add_loss as a layer; add them in the call of a layer, with "
            "self.add_loss"
        )
    tensors: dict[str, Tensor] = {}
    given = architecture.inputs.split(x, where)
    for name, shape, tensor in zip(architecture.inputs.names, shapes, given, strict=True):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{where}: expected symbolic tensors, got {type(tensor).__name__} for {name}")
        if tensor.shape != shape or not tensor.batched:
            raise ValueError(
                f"{where}: expected a tensor of shape {shape} for {name}, got {tensor.shape} from {tensor.layer.place}"
            )
        tensors[name] = tensor
    for node in architecture.nodes:
        if node.name not in tensors:
            layer, sources = copies[node.layer.place], [tensors[name] for name in node.inputs]
            made: Any = layer(sources[0] if len(sources) == 1 else sources)
            outputs = made if isinstance(made, list) else [made]
            tensors |= {output_name(node.name, tensor.index): tensor for tensor in outputs}
    return architecture.outputs.arrange([tensors[name] for name in architecture.outputs.names])
