"""`nnfast.io.to_torch`: the same network in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nnfast.core.tensor import output_name
from nnfast.core.typing import Array, Shape
from nnfast.io.packages import required
from nnfast.io.torch.functions import activation, merge, operation
from nnfast.io.torch.modules import module_of
from nnfast.layers import Input, Layer, Operation
from nnfast.layers.activation import _ActivationLayer

if TYPE_CHECKING:
    from nnfast.network import Network

__all__ = ["to_torch"]


def to_torch(network: Network) -> Any:
    """The same network in PyTorch, with the same weights, to compare or to use it there.

    Parameters
    ----------
    network : Network

    Returns
    -------
    torch.nn.Module
        In evaluation mode. It takes tensors in the layout of nnfast, channels last, one argument per input, and
        returns a tensor, or a tuple of several outputs. Layers with weights are modules of PyTorch by the same names.

    Raises
    ------
    ModuleNotFoundError
        If PyTorch is not installed.
    ValueError
        If PyTorch has no counterpart of a layer, which the message names, or of an option of it.

    Examples
    --------
    >>> import nnfast as nf
    >>> net = nf.Network([nf.layers.Input((4,)), nf.layers.Dense(3)])
    >>> nf.io.to_torch(net)  # doctest: +SKIP
    NetworkModule(
      (dense): Linear(in_features=4, out_features=3, bias=True)
    )
    """
    torch = required("torch", "to_torch", "pip install torch")
    architecture = network.architecture
    _, shapes, _ = architecture.infer()
    modules: dict[str, Any] = {}
    calls: list[tuple[str, Callable[..., Any], tuple[str, ...]]] = []
    made: dict[str, Callable[..., Any]] = {}
    for node in architecture.nodes:
        layer, place = node.layer, node.layer.place
        if isinstance(layer, Input):
            continue
        if place not in made:
            rows = [shapes[name] for name in node.inputs]
            made[place], module = _made(torch, layer, rows, shapes[node.name], _weights_of(network, place))
            if module is not None:
                modules[place] = module
        calls.append((node.name, made[place], node.inputs))
    return _network_module(torch, modules, calls, architecture.inputs.names, architecture.outputs)


def _weights_of(network: Network, place: str) -> dict[str, Array]:
    start = f"{place}."
    found = network.parameters.items()
    return {name.removeprefix(start): np.array(view) for name, view in found if name.startswith(start)}


def _made(
    torch: Any, layer: Layer, rows: list[Shape], shape: Shape, weights: Mapping[str, Array]
) -> tuple[Callable[..., Any], Any]:
    """What a layer does with tensors, and its module, if it has one."""
    if isinstance(layer, Operation):
        return operation(torch, layer), None
    if isinstance(layer, _ActivationLayer):
        return activation(torch, layer, layer.function), None
    merged = merge(torch, layer)
    if merged is not None:
        return merged, None
    return module_of(torch, layer, rows, shape, weights)


def _network_module(torch: Any, modules: Mapping[str, Any], calls: list[Any], inputs: Any, outputs: Any) -> Any:
    class NetworkModule(torch.nn.Module):  # type: ignore[misc]
        """A network of nnfast."""

        def __init__(self) -> None:
            super().__init__()
            for name, module in modules.items():
                self.add_module(name, module)

        def forward(self, *arguments: Any) -> Any:
            values = dict(zip(inputs, arguments, strict=True))
            for name, call, sources in calls:
                result = call(*(values[source] for source in sources))
                for index, value in enumerate(result if isinstance(result, tuple) else (result,)):
                    values[output_name(name, index)] = value
            found = tuple(values[name] for name in outputs.names)
            return found[0] if outputs.single else found

    return NetworkModule().eval()
