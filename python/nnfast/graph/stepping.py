"""The graph of a network that gets a sequence in parts: what it remembers becomes further inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count, takewhile
from typing import NamedTuple

from nnfast.core.tensor import output_name
from nnfast.core.typing import Shape, Spec, Unbatched

__all__ = ["State", "StepGraph", "step_graph"]

_PER_ELEMENT = frozenset(
    {
        "activation",
        "add",
        "average",
        "dropout",
        "elementwise",
        "gaussian_noise",
        "maximum",
        "minimum",
        "multiply",
        "rescaling",
        "stop_gradient",
        "subtract",
        "tuple",
    }
)
"""Kinds of nodes that treat each element alike, whatever the axes."""

_PER_STEP = frozenset(
    {
        "batch_normalization",
        "concatenate",
        "dense",
        "layer_normalization",
        "mask",
        "masking",
        "prelu",
        "rms_norm",
        "softmax",
        "spatial_dropout",
    }
)
"""Kinds that treat each step of (N, T, ..., D) alike, but not each element."""

_INPUTS = ("input", "integer_input")
_RECURRENT = frozenset({"gru", "lstm", "simple_rnn"})

OFFSET = "steps:offset"
"""The input that says how many steps came before; no layer is called so."""
_POSITIONS = "steps:positions"
"""The numbers of the steps."""


class State(NamedTuple):
    """Something that the network remembers between calls."""

    name: str
    """Of the input of the core."""
    source: str
    """The tensor that is the input of the next call."""
    shape: Shape
    grows: bool
    """Whether its first axis is the capacity."""


class StepGraph(NamedTuple):
    """A graph of the core for some steps at a time."""

    nodes: list[Spec]
    outputs: list[str]
    """Those of the network, and then the sources of the states."""
    states: list[State]
    has_offset: bool
    """Whether OFFSET is an input, behind the network's and before the states."""
    timed: list[bool]
    """Which of the network's outputs have a time axis."""
    limit: int | None
    """How many steps a sequence may have in all, because positions are looked up in a table; None: any number."""


def step_graph(
    nodes: Sequence[Spec], shapes: Mapping[str, Shape], outputs: Sequence[str], steps: int, capacity: int
) -> StepGraph:
    """The graph of a network for the next `steps` steps of a sequence.

    Parameters
    ----------
    nodes : sequence of dict
        Of the core, with inputs of (T, ...).
    shapes : mapping of str to tuple of int
        Of a row of each tensor.
    outputs : sequence of str
        The network's.
    steps : int
    capacity : int
        How many steps, with those before, layers that look back (attention) can keep.
    """
    return _Stepping(shapes, steps, capacity).graph(nodes, outputs)


class _Stepping:
    def __init__(self, shapes: Mapping[str, Shape], steps: int, capacity: int) -> None:
        self.shapes = shapes
        self.steps, self.capacity = steps, capacity
        self.entries: list[Spec] = []
        self.nodes: list[Spec] = []
        self.states: list[State] = []
        self.timed: dict[str, Shape] = {}
        """The tensors with a time axis, and their new shapes."""
        self.has_offset = False
        self.limit: int | None = None
        self.tables: dict[str, str] = {}
        """Tables without the batch axis, by tensors that are their first rows."""
        self.at_steps: dict[str, str] = {}
        """The rows of the present steps, by table."""
        self.summaries: set[str] = set()
        """Tensors without a time axis that depend on the steps so far, such as the last state."""

    def graph(self, nodes: Sequence[Spec], outputs: Sequence[str]) -> StepGraph:
        self.length = next(self.shapes[node["name"]][0] for node in nodes if node["op"] in _INPUTS)
        for node in nodes:
            self._add(dict(node))
        offset = [{"op": "input", "name": OFFSET, "inputs": [], "shape": [1]}] if self.has_offset else []
        states = [{"op": "input", "name": s.name, "inputs": [], "shape": list(s.shape)} for s in self.states]
        return StepGraph(
            [*self.entries, *offset, *states, *self.nodes],
            [*outputs, *(state.source for state in self.states)],
            self.states,
            self.has_offset,
            [name in self.timed for name in outputs],
            self.limit,
        )

    def _add(self, node: Spec) -> None:
        name, op = node["name"], node["op"]
        timed = [source for source in node["inputs"] if source in self.timed]
        if op in _INPUTS:
            node["shape"] = [self.steps, *node["shape"][1:]]
            self.entries.append(node)
            self.timed[name] = tuple(node["shape"])
            return
        of_all = [source for source in node["inputs"] if source in self.summaries]
        if not timed:
            self._add_without_time(node)
            if of_all:
                self._summarizes(name)
            return
        if of_all:
            raise ValueError(
                f"{name}: expected steps of a sequence, or what is the same for all steps, got {of_all[0]} too, which "
                "depends on the whole sequence; predict whole sequences instead"
            )
        if op in _RECURRENT:
            self._add_recurrent(node)
        elif op == "attention":
            self._add_attention(node)
        elif op == "rotary" and not node.get("has_offset"):
            node |= {"inputs": [*node["inputs"], self._offset()], "has_offset": 1}
            self._add_timed(node)
        else:
            if op in _PER_ELEMENT:
                rank = max(len(self.timed[source]) for source in timed)
                node["inputs"] = [self._present(source, rank) for source in node["inputs"]]
            self._require_step_by_step(node, timed)
            self._add_timed(node)

    def _summarizes(self, name: str) -> None:
        """Note that the outputs of a node depend on the steps so far, as a whole."""
        self.summaries.update(output for output in self._outputs(name) if output not in self.timed)

    def _outputs(self, name: str) -> Iterator[str]:
        """The names of a node's outputs."""
        return takewhile(self.shapes.__contains__, (output_name(name, i) for i in count()))

    def _add_without_time(self, node: Spec) -> None:
        """A node that depends on no step: a weight, or what is computed from weights alone."""
        first = node["inputs"][0] if node["inputs"] else ""
        if node["op"] == "slice" and (node["axes"], node["starts"], node["steps"]) == ([0], [0], [1]):
            self.tables[node["name"]] = first
        if node["op"] == "broadcast_to" and self._is_table(first, len(node["shape"]) - 1, for_each_row=True):
            # The same for each row of the batch.
            self.timed[node["name"]] = (self.steps, *self.shapes[first][1:])
            self.nodes.append({"op": "tuple", "name": node["name"], "inputs": [self._rows_at_steps(first)]})
            return
        self.nodes.append(node)

    def _is_table(self, source: str, rank: int, for_each_row: bool = False) -> bool:
        """Whether a tensor has a row for each step, for all sequences alike, such as a table of positions.

        A single row may also be meant for all steps.
        """
        shape = self.shapes.get(source, ())
        if not isinstance(shape, Unbatched) or len(shape) != rank or shape[0] != self.length:
            return False
        return self.length > 1 or for_each_row or source in self.tables

    def _present(self, source: str, rank: int) -> str:
        """What is there of an operand at the present steps."""
        return self._rows_at_steps(source) if self._is_table(source, rank) else source

    def _rows_at_steps(self, source: str) -> str:
        table = self.tables.get(source, source)
        if table not in self.at_steps:
            rows = self.shapes[table][0]
            self.limit = rows if self.limit is None else min(self.limit, rows)
            if not self.at_steps:
                first = next(iter(self.timed))
                inputs = [first, self._offset()]
                self.nodes.append({"op": "positions", "name": _POSITIONS, "inputs": inputs, "has_offset": 1})
            name = self.at_steps[table] = f"{table}:present"
            self.nodes.append({"op": "take", "name": name, "inputs": [table, _POSITIONS], "axis": 0})
            self.timed[name] = (self.steps, *self.shapes[table][1:])
        return self.at_steps[table]

    def _add_timed(self, node: Spec) -> None:
        """A node of which each output has a time axis."""
        self.nodes.append(node)
        self.timed |= {output: (self.steps, *self.shapes[output][1:]) for output in self._outputs(node["name"])}

    def _require_step_by_step(self, node: Spec, timed: Sequence[str]) -> None:
        """Refuse what does not treat the steps of a sequence alike, such as pooling over time."""
        op = node["op"]
        shapes = [self.shapes[source] if source in self.shapes else self.timed[source] for source in node["inputs"]]
        rank = max(len(shape) for shape in shapes)
        fits = op in _PER_ELEMENT or (op in _PER_STEP and all(len(self.timed[source]) > 1 for source in timed))
        fits = fits or op == "embedding"
        if op == "activation" and node["activation"] in ("softmax", "log_softmax"):
            fits = rank > 1
        if op == "prelu":
            fits = 0 in node["shared_axes"]
        if op == "concatenate":
            fits = rank > 1 and node.get("axis", -1) in (-1, rank - 1)
        # An operand without the time axis must be the same at all steps.
        for source, shape in zip(node["inputs"], shapes, strict=True):
            if source not in self.timed and len(shape) >= rank and shape[0] != 1:
                fits = False
        if not fits:
            raise ValueError(
                f"{node['name']}: expected a layer that treats each step of a sequence alike or looks back in time, "
                f"and that steppers know, got {op!r}; predict whole sequences instead, or end the network before it "
                "(Network.extract)"
            )

    def _offset(self) -> str:
        self.has_offset = True
        return OFFSET

    def _state(self, name: str, source: str, shape: Shape, grows: bool = False) -> str:
        self.states.append(State(name, source, shape, grows))
        return name

    def _add_recurrent(self, node: Spec) -> None:
        name = node["name"]
        if node.get("go_backwards"):
            raise ValueError(
                f"{name}: expected a recurrent layer that reads forwards, got one that reads backwards (as in "
                "Bidirectional), which needs the whole sequence; predict whole sequences instead"
            )
        if node.get("has_state"):
            raise ValueError(
                f"{name}: expected a recurrent layer without initial_state, which would be used again at each step; "
                "leave it out, and set Stepper.state"
            )
        units = (int(node["units"]),)
        names = ["h", "c"] if node["op"] == "lstm" else ["h"]
        states = [self._state(f"{name}:{part}", output_name(name, i), units) for i, part in enumerate(names, 1)]
        x, *mask = node["inputs"]
        node |= {"inputs": [x, *states, *mask], "has_state": 1, "return_state": 1}
        self.nodes.append(node)
        if node.get("return_sequences"):
            self.timed[name] = (self.steps, *units)
        self._summarizes(name)

    def _add_attention(self, node: Spec) -> None:
        name = node["name"]
        query, key, value, *mask = node["inputs"]
        if key not in self.timed or value not in self.timed:
            # The same keys at all steps.
            self._add_timed(node)
            return
        if not node.get("causal") or mask:
            what = "one with a mask" if mask else "one that sees later steps"
            raise ValueError(
                f"{name}: expected causal attention without a mask, got {what}, which needs the whole sequence; "
                "predict whole sequences instead"
            )
        kept = []
        for part, source in (("k", key), ("v", value)):
            cache, appended = f"{name}:{part}", f"{name}:{part}+"
            shape = (self.capacity, *self.timed[source][1:])
            self._state(cache, appended, shape, grows=True)
            self.nodes.append({"op": "append", "name": appended, "inputs": [cache, source, self._offset()]})
            kept.append(appended)
        visible = f"{name}:visible"
        sizes = {"steps": self.steps, "capacity": self.capacity}
        self.nodes.append({"op": "visible", "name": visible, "inputs": [self._offset()], **sizes})
        node |= {"inputs": [query, *kept, visible], "causal": 0, "has_mask": 1}
        self._add_timed(node)
