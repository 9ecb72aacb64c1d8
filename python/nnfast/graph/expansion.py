"""The graph of the core for the layers of a network: user-defined layers become the calls that they consist of."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from nnfast.core.options import choose, function_name
from nnfast.core.tensor import Tensor, call_names, output_name
from nnfast.core.text import short_repr
from nnfast.core.typing import Shape, Spec
from nnfast.layers import CustomLayer, Layer, Operation
from nnfast.layers.base import StandIn, Weight
from nnfast.layers.composition import Trace
from nnfast.layers.weight_options import option_of

__all__ = ["Expansion"]


class Expansion:
    """Nodes of the core, in order."""

    def __init__(self) -> None:
        self.nodes: list[Spec] = []
        self.shapes: dict[str, Shape] = {}
        """Of a row of each tensor, by name."""
        self.parameters: dict[str, Shape] = {}
        self.masks: dict[str, str] = {}
        """The nodes that say which steps count, by the names of the tensors that have such a mask."""
        self.callbacks: dict[str, Any] = {}
        """The NumPy functions of custom layers, by node."""
        self.owners: dict[int, str] = {}
        """Where the parameters of layers belong, by the layer's id."""
        self.losses: list[str] = []
        """The nodes whose means are added to the loss, besides regularizers."""
        self.regularizers: dict[str, tuple[float, float]] = {}
        """The factors l1 and l2 of the penalties that the core computes by itself, by parameter."""
        self.other_regularizers: dict[str, str] = {}
        """The nodes with other penalties, by parameter."""
        self.constraints: dict[str, Spec] = {}
        """Descriptions of the constraints, by parameter."""

    def add(self, name: str, layer: Layer, inputs: Sequence[str], owner: str | None = None) -> None:
        """Add a call of a layer.

        Parameters
        ----------
        name : str
            Of the call, and of its first output.
        layer : Layer
        inputs : sequence of str
            Names of tensors.
        owner : str, optional
            Where the layer's parameters belong; by default the layer's name.
        """
        owner = layer.place if owner is None else owner
        mask = self.masks.get(inputs[layer.masked_input]) if layer.takes_mask else None
        if layer.is_composed:
            self._add_parts(name, layer, inputs, mask, owner)
        else:
            self._add_node(name, layer, inputs, mask, owner)
        self._add_mask(name, layer, inputs)
        activity = option_of("activity_regularizer", layer.activity_regularizer)
        if activity is not None:
            self._add_activity_penalty(activity, name)

    def _add_node(self, name: str, layer: Layer, inputs: Sequence[str], mask: str | None, owner: str) -> None:
        noise = layer.noise_spec()
        if noise is not None:
            noisy = f"{name}.dropout"
            self.nodes.append({**noise, "name": noisy, "inputs": [inputs[0]]})
            self.shapes[noisy] = self.shapes[inputs[0]]
            inputs = [noisy, *inputs[1:]]
        if mask is not None:
            inputs = [*inputs, mask]
        named = [(source, self.shapes[source]) for source in inputs]
        inferred = layer.infer(named, mask is not None)
        spec = {**layer.node(named, mask is not None), "name": name, "owner": owner}
        own = {parameter: f"{owner}.{parameter}" for parameter, _ in inferred["parameters"]}
        if own:
            self._require_one_owner(layer, owner)
        # A layer is tied to one beside it.
        beside = owner.removesuffix(layer.place)
        shared = {key: f"{beside}{full}" for key, full in spec.get("shared", {}).items()}
        if shared:
            spec["shared"] = shared
        if any(full in self.parameters for full in own.values()):
            shared = {key: full for key, full in own.items() if full in self.parameters} | shared
            spec["shared"] = shared
        self.nodes.append(spec)
        self.shapes |= {output_name(name, i): shape for i, shape in enumerate(inferred["shapes"])}
        new = {parameter: tuple(shape) for parameter, shape in inferred["parameters"] if parameter not in shared}
        self.parameters |= {own[parameter]: shape for parameter, shape in new.items()}
        for parameter, shape in new.items():
            self._add_options(layer, parameter, own[parameter], shape)
        if isinstance(layer, CustomLayer):
            self.callbacks[name] = (layer.forward, layer.backward)

    def _add_mask(self, name: str, layer: Layer, inputs: Sequence[str]) -> None:
        """Find the mask of the layer's output: the one that it makes, or that of its inputs."""
        steps = self.shapes[name][:-1]
        spec = layer.mask_spec()
        if spec is not None:
            mask = f"{name}.mask"
            self.nodes.append({**spec, "name": mask, "inputs": list(inputs)})
            self.shapes[mask] = steps
            self.masks[name] = mask
        elif (moved := self._moved_mask(layer, inputs)) is not None:
            mask = self.masks[name] = f"{name}.mask"
            self.nodes.append({**moved, "name": mask})
            self.shapes[mask] = steps
        elif layer.passes_mask and name not in self.masks:
            sources = inputs[:1] if layer.takes_mask else inputs
            found = sorted({self.masks[source] for source in sources if source in self.masks})
            if len(found) > 1:
                raise ValueError(
                    f"{name}: expected inputs with one mask, got {' and '.join(found)}; use one Masking layer for both"
                )
            if found and steps == self.shapes[found[0]]:
                self.masks[name] = found[0]

    def _moved_mask(self, layer: Layer, inputs: Sequence[str]) -> Spec | None:
        mask = self.masks.get(inputs[0]) if inputs else None
        return None if mask is None else layer.moved_mask((mask, self.shapes[mask]))

    def _add_options(self, layer: Layer, parameter: str, full: str, shape: Shape) -> None:
        """Add the regularizer and the constraint of a parameter."""
        constraint = option_of("constraint", layer.constraint(parameter))
        if constraint is not None:
            self.constraints[full] = constraint.spec(full, shape)
        regularizer = option_of("regularizer", layer.regularizer(parameter))
        if regularizer is None:
            return
        factors = regularizer.factors()
        if factors is None:
            self._add_penalty(regularizer, full, shape)
        else:
            self.regularizers[full] = factors

    def _add_penalty(self, regularizer: Any, full: str, shape: Shape) -> None:
        """Add the graph of a penalty that is written as a function of tensors."""
        weights = Weight(shape, "zeros", True, name="weights")._outputs(())[0]
        value = regularizer(weights)
        where = _place_of(full, regularizer)
        if not isinstance(value, Tensor) or value.batched or value.shape not in ((), (1,)):
            raise ValueError(
                f"{where}: expected a penalty of one number, computed from the weights with nf.ops, got {value!r}; "
                "add the elements up with nf.ops.sum"
            )
        name = f"{full}:regularizer"  # which no layer is called
        shared = {"weights": full}
        self.nodes.append({**weights.layer.node(()), "name": name, "owner": name, "shared": shared})
        self.shapes[name] = weights.shape
        self.add_loss(self._add_operations(where, name, weights, name, value))
        self.other_regularizers[full] = self.losses.pop()

    def _add_activity_penalty(self, regularizer: Any, source: str) -> None:
        """Add the graph of a penalty on a tensor."""
        y = Tensor(StandIn(), (), self.shapes[source])
        value = regularizer.of_activity(y)
        where = _place_of(source, regularizer)
        if not isinstance(value, Tensor):
            raise ValueError(
                f"{where}: expected a penalty computed from the layer's output with nf.ops, got {short_repr(value)}"
            )
        name = f"{source}:activity{len(self.losses)}"  # the last layer of a composed one may have a penalty too
        self.add_loss(self._add_operations(where, name, y, source, value))

    def _add_operations(self, where: str, name: str, argument: Tensor, source: str, value: Tensor) -> str:
        """Add the graph of a function of one tensor, `source`; returns the name of the value."""
        names = {id(argument): source}

        def name_of(tensor: Tensor) -> str:
            return output_name(names[id(tensor.first)], tensor.index)

        calls = Trace.of(where, [argument], [value], []).calls
        for tensor, call in zip(calls, call_names(calls), strict=True):
            if not isinstance(tensor.layer, Operation):
                raise ValueError(
                    f"{where}: expected a function of its argument and of numbers, written with nf.ops, got one with "
                    f"{tensor.layer!r}; write a layer with add_weight and add_loss"
                )
            names[id(tensor)] = f"{name}.{call}"
            self.add(names[id(tensor)], tensor.layer, [name_of(source) for source in tensor.inputs])
        return name_of(value)

    def _require_one_owner(self, layer: Layer, owner: str) -> None:
        if self.owners.setdefault(id(layer), owner) != owner:
            raise ValueError(
                f"{owner}: expected a layer that belongs to one user-defined layer alone, got one that is "
                f"{self.owners[id(layer)]} too; make one for each, or pass on the output of the first"
            )

    def _add_parts(self, name: str, layer: Layer, inputs: Sequence[str], mask: str | None, owner: str) -> None:
        shapes = [self.shapes[source] for source in inputs]
        trace = layer.trace(shapes) if mask is None else layer.trace(shapes, self.shapes[mask])
        sources = [*inputs] if mask is None else [*inputs, mask]
        names = {id(tensor): source for tensor, source in zip(trace.inputs, sources, strict=True)}
        # The call of the only output has the layer's name, so that a loss finds its activation.
        last = trace.outputs[0].first if len(trace.outputs) == 1 and not trace.outputs[0].index else None
        if last is not None and (last.layer.fixed or id(last) in names):
            last = None

        def name_of(tensor: Tensor) -> str:
            return output_name(names[id(tensor.first)], tensor.index)

        for tensor, call in zip(trace.calls, call_names(trace.calls), strict=True):
            names[id(tensor)] = name if tensor is last else f"{name}.{call}"
            within = owner if isinstance(tensor.layer, Weight) else f"{owner}.{tensor.layer.place}"
            self.add(names[id(tensor)], tensor.layer, [name_of(source) for source in tensor.inputs], within)
        if last is None:
            sources = [name_of(tensor) for tensor in trace.outputs]
            self.nodes.append({"name": name, "op": "tuple", "inputs": sources})
            outputs = {output_name(name, i): source for i, source in enumerate(sources)}
            self.shapes |= {output: self.shapes[source] for output, source in outputs.items()}
            self.masks |= {output: self.masks[source] for output, source in outputs.items() if source in self.masks}
        for tensor in trace.losses:
            self.add_loss(name_of(tensor))
        if not isinstance(layer.trainable, bool):
            parts = [name.removeprefix(f"{owner}.") for name in self.parameters if name.startswith(f"{owner}.")]
            for chosen in layer.trainable:
                choose(f"parameter of {owner} in trainable", chosen, parts)

    def penalties(self, frozen: Collection[str]) -> list[str]:
        """The nodes whose means are added to the loss; frozen parameters have no regularizers."""
        return [*self.losses, *(node for name, node in self.other_regularizers.items() if name not in frozen)]

    def add_loss(self, source: str) -> None:
        """Add a tensor whose mean is added to the loss."""
        name = f"{source}:loss"  # which no layer is called
        while name in self.losses:
            name += "'"
        # A copy, which nothing else reads.
        self.nodes.append({"name": name, "op": "tuple", "inputs": [source]})
        self.losses.append(name)


def _place_of(what: str, regularizer: Any) -> str:
    """The beginning of a message about the regularizer of a parameter or an output."""
    return f"{what}: {function_name(getattr(regularizer, 'function', type(regularizer)))}"
