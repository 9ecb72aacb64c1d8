"""Layers compiled into a graph of the core: its parameters, shapes, rows and plans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnfast import _core
from nnfast.core.options import choose
from nnfast.core.processes import share_processors
from nnfast.core.tensor import node_of
from nnfast.core.typing import Array
from nnfast.graph.architecture import Architecture
from nnfast.graph.parameters import Parameters, Trainables
from nnfast.layers.base import Layer

if TYPE_CHECKING:
    from nnfast.graph.heads import Heads
    from nnfast.graph.stepping import StepGraph

__all__ = ["Compiled"]


class Compiled(Trainables):
    """The base class of `Network`: what the core has of it, and the form in which data go in and out.

    `flat`, `as_rows`, `by_steps`, `last_activation`, `ends_in_softmax`, `heads` and `plan` are for nnfast's own
    modules.
    """

    _copies: dict[str, Layer] | None
    """The layers of networks that use this one as a layer."""

    def _build(self, architecture: Architecture, seed: int, dtype: str, name: str) -> None:
        share_processors()
        expansion = architecture.expand()
        shapes = expansion.shapes
        self.architecture = architecture
        self._expansion = expansion
        self._input_shapes = [shapes[name] for name in architecture.inputs.names]
        self._output_shapes = [shapes[name] for name in architecture.outputs.names]
        self._masks = [expansion.masks.get(name) for name in architecture.outputs.names]
        self.layers = architecture.layers
        self.seed = seed
        self.dtype = dtype
        self.name = name
        self._graph = _core.Graph(expansion.nodes, architecture.outputs.names, dtype)
        self._parameters = Parameters(self._graph)
        owners = {parameter: architecture.layer_of(parameter) for parameter in expansion.parameters}
        self._frozen = {parameter for parameter, (layer, own) in owners.items() if not layer.trains(own)}
        self._statistics = frozenset(self._graph.statistics())
        self.version = 0
        self._copies = None
        self.training_calls = 0
        self._make_predictor()

    def _make_predictor(self) -> None:
        self._predictor = _core.Predictor(self._graph, {"layers": self._expansion.callbacks}, self.seed)
        single = self.architecture.outputs.single
        self._predict_if_fits = self._predictor.predict_if_fits if single else self._predict_several_if_fits

    @property
    def parameters(self) -> Parameters:
        """Writable views by full name; assigning to an entry writes the values."""
        return self._parameters

    @parameters.setter
    def parameters(self, values: Parameters) -> None:
        if values is not self._parameters:  # |= assigns the same object
            raise AttributeError("Network: expected no other parameters; use net.parameters.update(values)")

    @property
    def input_shape(self) -> Any:
        """Shape of one input row; for several inputs a list or dict of shapes, like `inputs`."""
        return self.architecture.inputs.arrange(self._input_shapes)

    @property
    def output_shape(self) -> Any:
        """Shape of one output row; for several outputs a list or dict of shapes, like `outputs`."""
        return self.architecture.outputs.arrange(self._output_shapes)

    def flat(self) -> Array:
        """All parameters as one vector, with zeros between them for alignment."""
        return self._graph.flat()

    @property
    def num_parameters(self) -> int:
        """Total size of trained and frozen parameters and moving averages."""
        return sum(view.size for view in self.parameters.values())

    def get_layer(self, name: str) -> Layer:
        """The layer of the given name.

        Parameters
        ----------
        name : str
        """
        return {layer.place: layer for layer in self.layers}[choose("layer", name, [x.place for x in self.layers])]

    def as_rows(self, x: Any) -> Any:
        """Finite rows in the core's form: an array, or a list with one per input."""
        return self.architecture.inputs.rows(x, self._input_shapes, self.dtype, self.architecture.integer_inputs)

    def by_steps(self, steps: int, capacity: int) -> tuple[StepGraph, _core.Predictor]:
        """The network for `steps` steps of a sequence at a time, on the same parameters; see `graph.stepping`."""
        from nnfast.graph.stepping import step_graph

        made = self._expansion
        graph = step_graph(made.nodes, made.shapes, self.architecture.outputs.names, steps, capacity)
        core = self._graph.with_same_parameters(graph.nodes, graph.outputs)
        return graph, _core.Predictor(core, {"layers": made.callbacks}, self.seed)

    @property
    def last_activation(self) -> str | None:
        """The activation function of the output, if there is one and it is one that the core applies."""
        output = node_of(self.architecture.outputs.names[0])
        last = next(node for node in self._expansion.nodes if node["name"] == output)
        return last.get("activation") or last.get("function")

    @property
    def ends_in_softmax(self) -> bool:
        """Whether the output, if there is one, is a softmax."""
        return self.last_activation == "softmax"

    def _predict_several_if_fits(self, x: Any) -> Any:
        result = self._predictor.predict_if_fits(x)
        return None if result is None else self._arranged(result)

    def _arranged(self, results: Any) -> Any:
        """The core's array of a single output, or its list, in the form of `outputs`."""
        return self.architecture.outputs.arrange(results if isinstance(results, list) else [results])

    def heads(
        self, where: str, loss: Any, loss_weights: Any = None, metrics: Any = (), weighted_metrics: Any = ()
    ) -> Heads:
        """The outputs with the losses and metrics given for them."""
        # Imported here, because programs that only predict need no losses and metrics.
        from nnfast.graph.heads import Heads

        ends = self.architecture.outputs
        penalized = bool(self._expansion.penalties(self._frozen))
        return Heads(
            where, ends, self._output_shapes, self._masks, loss, loss_weights, metrics, weighted_metrics, penalized
        )

    def plan(
        self, capacity: int, *, heads: Heads | None = None, gradient_callback: Any = None, **options: Any
    ) -> _core.Plan:
        """An executor of the core for batches of up to `capacity` rows."""
        made = self._expansion
        functions = {"layers": made.callbacks} | ({} if heads is None else heads.functions())
        if gradient_callback is not None:
            functions["gradients"] = gradient_callback
        if heads is not None:
            penalties = made.penalties(self._frozen)
            options |= {"heads": heads.specs(), "penalties": penalties, "regularizers": made.regularizers}
        if made.constraints:
            options["update"] = {**options.get("update", {}), "constraints": made.constraints}
        trainable = [name for name in self.parameters if name not in self._frozen]
        return _core.Plan(self._graph, capacity, trainable=trainable, functions=functions, seed=self.seed, **options)
