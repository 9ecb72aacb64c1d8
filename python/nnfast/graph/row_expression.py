"""Losses and metrics that users write as functions of tensors, as small graphs of the core."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nnfast import _core, losses
from nnfast.core.arrays import are_several, as_numbers, require_finite
from nnfast.core.options import function_name
from nnfast.core.tensor import Tensor, batch_shape
from nnfast.core.text import short_repr
from nnfast.core.typing import Array, Shape
from nnfast.graph.architecture import Architecture
from nnfast.layers import Activation, Constant, Flatten, Input, Operation, Reshape
from nnfast.metrics import FunctionMetric, Metric

__all__ = ["NOTHING_TRACED", "HeadExpressions", "Parts", "TargetForm", "form_of", "parts_of"]


class TargetForm(NamedTuple):
    """What the targets of a function consist of: one array, or several in a list or dict."""

    keys: tuple[str, ...] | int | None
    """Of a dict; the length of a list; None for one array."""
    shapes: tuple[Shape, ...]
    """Of the rows of each array."""
    domains: tuple[str, ...]

    def arrange(self, parts: Sequence[Any]) -> Any:
        """The parts in the form in which the function gets them."""
        if isinstance(self.keys, tuple):
            return dict(zip(self.keys, parts, strict=True))
        return parts[0] if self.keys is None else list(parts)


class Parts(tuple[Array, ...]):
    """The arrays of targets for a function, with their form."""

    form: TargetForm

    @classmethod
    def of(cls, form: TargetForm, arrays: Iterable[Array]) -> Parts:
        """The arrays of targets of that form."""
        parts = cls(arrays)
        parts.form = form
        return parts

    def rows(self, where: slice) -> Parts:
        """Some rows of each array."""
        return Parts.of(self.form, (array[where] for array in self))


def parts_of(y: Any, rows: int, dtype: str) -> Parts:
    """The arrays of targets given by a caller, checked."""
    keys: tuple[str, ...] | int | None = None
    named: dict[str, Any] = {"y": y}
    if isinstance(y, Mapping):
        keys = tuple(sorted(y))  # their order has no meaning
        named = {f"y[{key!r}]": y[key] for key in keys}
    elif are_several(y):
        keys = len(y)
        named = {f"y[{i}]": value for i, value in enumerate(y)}
    if not named:
        raise ValueError("y: expected one array of targets or more, got none")
    arrays = []
    for name, value in named.items():
        array = as_numbers(value, name, name)
        if array.ndim == 0 or len(array) != rows:
            got = "a single number" if array.ndim == 0 else f"{len(array)} rows"
            raise ValueError(f"{name}: expected one row for each of the {rows} rows of x, got {got}")
        if array.dtype.kind == "b":
            array = array.astype("uint8")
        elif array.dtype.kind in "ui":
            array = array if array.dtype in ("uint8", "int32", "int64") else array.astype("int64")
        else:
            with np.errstate(over="ignore"):  # infinity is found
                array = array.astype(dtype, copy=False)
            require_finite(array, name)
        arrays.append(np.ascontiguousarray(array))
    domains = tuple("real" if array.dtype.kind == "f" else "integer" for array in arrays)
    return Parts.of(TargetForm(keys, tuple(array.shape[1:] for array in arrays), domains), arrays)


def form_of(targets: Array, output: Shape) -> TargetForm:
    """The form of targets of a loss of the core: class numbers, or numbers of the output's shape."""
    are_labels = targets.dtype.kind != "f" and output[-1] > 1 and math.prod(targets.shape[1:]) == math.prod(output[:-1])
    domain = "real" if targets.dtype.kind == "f" else "integer"
    return TargetForm(None, (output[:-1] if are_labels else output,), (domain,))


_OF_FUNCTIONS = (Input, Operation, Constant, Activation, Reshape, Flatten)
"""Layers that a loss may use."""
_RANDOM = ("random_normal", "random_uniform")


class _Argument(Input):
    """An argument of the function; its rows may be single numbers."""

    def __init__(self, shape: Shape, *, dtype: str | None, name: str) -> None:
        super().__init__(shape or (1,), dtype=dtype, name=name)
        self.shape = shape


class RowExpression(NamedTuple):
    """A function of targets and predictions, traced for one form of targets."""

    form: TargetForm
    graph: _core.Graph
    used: tuple[int, ...]
    """The arrays of targets that the function reads."""

    @classmethod
    def trace(
        cls, function: Callable[[Any, Any], Any], name: str, form: TargetForm, output: Shape, dtype: str
    ) -> RowExpression:
        """Call the function on symbolic tensors."""
        prediction = _Argument(output, dtype=None, name="y_pred")
        # Integers have no gradient, which is not wanted either.
        targets = [_Argument(shape, dtype="int32", name=f"y_true_{i}") for i, shape in enumerate(form.shapes)]
        for target, domain in zip(targets, form.domains, strict=True):
            target.domain = domain
        value = function(form.arrange(targets), prediction)
        if not isinstance(value, Tensor):
            raise TypeError(
                f"{name}: expected the function to return a symbolic tensor, computed from y_true and y_pred with "
                f"nf.ops, got {short_repr(value)}"
            )
        if not value.batched:
            raise ValueError(
                f"{name}: expected one value per row, got a tensor of shape {batch_shape(value.shape)} without the "
                "batch axis; leave the mean over the batch to the trainer, which weighs rows too"
            )
        if value.shape:
            axes = list(range(1, value.ndim))
            value = Operation("reduce", {"function": "mean", "axes": axes, "keepdims": 0})(value)
        architecture = Architecture.of_function([prediction, *targets], value)
        used = [i for i, target in enumerate(targets) if target.layer.place in architecture.inputs.names]
        for layer in architecture.layers:
            if not isinstance(layer, _OF_FUNCTIONS) or getattr(layer, "kind", "") in _RANDOM:
                raise ValueError(
                    f"{name}: expected a function of y_true and y_pred alone, without weights, random numbers and "
                    f"NumPy code, got the layer {layer!r} in it; make it part of the network"
                )
        nodes, _, _ = architecture.infer()
        graph = _core.Graph(nodes, architecture.outputs.names, dtype)
        for key, view in graph.parameters().items():  # constants
            layer, own = architecture.layer_of(key)
            view[...] = layer.initializer(own)
        return cls(form, graph, tuple(used))


class HeadExpressions(NamedTuple):
    """The functions of tensors of a head, traced for one form of targets."""

    loss: RowExpression | None
    metrics: Mapping[Metric, RowExpression]

    @classmethod
    def trace(
        cls, loss: losses.Loss, measured: Iterable[FunctionMetric], form: TargetForm, output: Shape, dtype: str
    ) -> HeadExpressions:
        """Trace a loss that is a function, and those metrics for which this succeeds."""
        own = None
        if isinstance(loss, losses.FunctionLoss):
            own = RowExpression.trace(loss.function, function_name(loss.function), form, output, dtype)
        found: dict[Metric, RowExpression] = {}
        for metric in measured:
            # Functions that take arrays only fail in their own ways, and are called with arrays later.
            with contextlib.suppress(Exception):
                found[metric] = RowExpression.trace(metric.function, metric.name, form, output, dtype)
        return cls(own, found)

    def for_core(self) -> dict[str, Any]:
        """Graphs with the targets that they read, in the order in which the core computes them."""
        own = None if self.loss is None else (self.loss.graph, self.loss.used)
        return {"loss": own, "metrics": [(each.graph, each.used) for each in self.metrics.values()]}


NOTHING_TRACED = HeadExpressions(None, {})
