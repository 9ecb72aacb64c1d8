"""The metrics of all heads: their states in the core, their values, and those that run in Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nnfast.core.typing import Array, Spec
from nnfast.graph.row_expression import HeadExpressions
from nnfast.metrics import Metric
from nnfast.metrics.base import Measured

if TYPE_CHECKING:
    from nnfast.graph.heads import Head

__all__ = ["Measurements"]


class _Measurement(NamedTuple):
    """One metric of one head."""

    name: str
    """In the logs."""
    metric: Metric
    head: int
    output: Measured
    is_weighted: bool
    state: int | None
    """Position of its state among those of the core; None if it runs in Python."""


class Measurements:
    """The metrics of all heads: of each, first those without sample weights, then those with them.

    Metrics of a head that need the same state of the core share it.

    Parameters
    ----------
    heads : sequence of Head
    traced : sequence of HeadExpressions
        Of each head, what of its metrics is a function of tensors that the core computes.
    log_name : callable
        The name in the logs of a figure of a head.
    """

    def __init__(
        self, heads: Sequence[Head], traced: Sequence[HeadExpressions], log_name: Callable[[Head, str], str]
    ) -> None:
        self._heads = heads
        self._traced = traced
        self._states: list[tuple[int, bool, Spec]] = []
        self.all = [
            _Measurement(log_name(head, name), metric, i, output, weighted, self._state(i, weighted, metric, output))
            for i, head in enumerate(heads)
            for output in [Measured(head.shape, head.loss, head.mask is not None)]
            for name, metric, weighted in _named(head)
        ]
        self._of_core = [each for each in self.all if each.state is not None]
        self._in_python = [each for each in self.all if each.state is None]

    def _state(self, head: int, is_weighted: bool, metric: Metric, output: Measured) -> int | None:
        functions = list(self._traced[head].metrics)
        if metric in functions:
            spec: Spec | None = {"name": "expression", "number": functions.index(metric)}
        else:
            spec = metric.spec(output)
        if spec is None:
            return None
        state = (head, is_weighted, spec)
        if state not in self._states:
            self._states.append(state)
        return self._states.index(state)

    @property
    def run_in_python(self) -> bool:
        """Whether there are metrics that run in Python."""
        return bool(self._in_python)

    def specs(self, head: int) -> dict[str, list[Spec]]:
        """Descriptions for the core of the states of a head."""
        own = [(is_weighted, spec) for of, is_weighted, spec in self._states if of == head]
        return {
            "metrics": [spec for is_weighted, spec in own if not is_weighted],
            "weighted_metrics": [spec for is_weighted, spec in own if is_weighted],
        }

    def names_in_core(self, head: int) -> list[str]:
        """Names of the metrics of a head whose states the core collects, but for functions of tensors."""
        own = [each.metric for each in self._of_core if each.head == head]
        return [metric.name for metric in own if metric not in self._traced[head].metrics]

    def values(self, states: Array, sizes: Sequence[int]) -> dict[str, Any]:
        """The metrics of the core by name, from their states, one after the other."""
        ends = list(accumulate(sizes))
        return {
            each.name: each.metric.value_of(
                states[ends[each.state] - sizes[each.state] : ends[each.state]], each.output
            )
            for each in self._of_core
            if each.state is not None
        }

    # ---- in Python -----------------------------------------------------------

    def start(self) -> None:
        """Begin an evaluation."""
        for each in self._in_python:
            each.metric.reset_state()

    def update(self, targets: Sequence[Any], predictions: Sequence[Array], weights: Sequence[Array | None]) -> None:
        """Show rows to the metrics that run in Python: targets and weights by head, predictions by output."""
        given: list[Any] = [y if isinstance(y, Mapping | tuple) else np.asarray(y) for y in targets]
        for each in self._in_python:
            prediction = predictions[self._heads[each.head].output]
            weight = weights[each.head] if each.is_weighted else None
            own = each.metric.arguments(given[each.head], prediction, each.output)
            if weight is None:
                each.metric.update_state(*own)
            else:
                each.metric.update_state(*own, weight)

    def results(self) -> dict[str, Any]:
        """The metrics that run in Python, by name, of the rows since `start`."""
        return {each.name: each.metric.result() for each in self._in_python}


def _named(head: Head) -> list[tuple[str, Metric, bool]]:
    """The metrics of a head with their names, and whether sample weights apply to them."""
    taken = {metric.name for metric in head.metrics}
    return [(metric.name, metric, False) for metric in head.metrics] + [
        (f"weighted_{metric.name}" if metric.name in taken else metric.name, metric, True)
        for metric in head.weighted_metrics
    ]
