"""Heads: the outputs of a network with their losses, weights, metrics and targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from nnfast import losses, metrics
from nnfast.core.arrays import as_targets, as_weights
from nnfast.core.options import real
from nnfast.core.typing import Array, Shape, Spec
from nnfast.graph.ends import Ends
from nnfast.graph.measurements import Measurements
from nnfast.graph.row_expression import NOTHING_TRACED, HeadExpressions, Parts, TargetForm, form_of, parts_of
from nnfast.metrics import FunctionMetric, Metric

__all__ = ["Head", "Heads"]


class Head(NamedTuple):
    """One output with a loss."""

    output: int
    """Position among the network's outputs."""
    name: str
    """Key of the output if outputs are a dict, else the name of its layer."""
    node: str
    shape: Shape
    loss: losses.Loss
    weight: float = 1.0
    metrics: tuple[Metric, ...] = ()
    weighted_metrics: tuple[Metric, ...] = ()
    mask: str | None = None
    """The core's node that says which positions count."""

    @property
    def all_metrics(self) -> tuple[Metric, ...]:
        """Those without sample weights and those with them."""
        return self.metrics + self.weighted_metrics

    @property
    def functions(self) -> list[FunctionMetric]:
        """Metrics that may be functions of tensors; not of a masked output, of which they would count all positions."""
        if self.mask is not None:
            return []
        return [each for each in self.all_metrics if type(each) is FunctionMetric]

    def spec(self, traced: HeadExpressions, measured: Mapping[str, Any]) -> Spec:
        """Description of this head for the core, with the traced loss if that is a function of tensors."""
        is_unbound = isinstance(self.loss, losses.FunctionLoss) and traced.loss is None
        return {
            "output": self.output,
            "loss": losses.MeanSquaredError().spec() if is_unbound else self.loss.spec(),
            "targets": [] if traced.loss is None else [list(shape) for shape in traced.loss.form.shapes],
            "weight": self.weight,
            "mask": self.mask,
            **measured,
        }


class Heads:
    """All heads of a network, in the order of its outputs.

    Parameters
    ----------
    where : str
        Beginning of error messages.
    outputs : Ends
    shapes : sequence of tuple of int
        Shapes of the outputs.
    masks : sequence of str or None
        Nodes of the core with the masks of the outputs.
    loss : str, Loss, or list or dict of them
        One for all outputs, or one per output; None, or a missing key, for outputs without a loss.
    loss_weights : list or dict of float, optional
    measured : list or dict, optional
        With one output a list of metrics, with several a list or dict of metrics or lists of them.
    measured_weighted : list or dict, optional
        Likewise, of the metrics to which sample weights apply.
    penalized : bool, default False
        Whether the network adds terms to the loss, so that outputs need none.
    """

    def __init__(
        self,
        where: str,
        outputs: Ends,
        shapes: Sequence[Shape],
        masks: Sequence[str | None],
        loss: Any,
        loss_weights: Any = None,
        measured: Any = (),
        measured_weighted: Any = (),
        penalized: bool = False,
    ) -> None:
        self._outputs = outputs
        names = outputs.names if outputs.keys is None else outputs.keys
        chosen = self._losses(where, loss)
        weights = self._weights(where, loss_weights, chosen)
        lists = self._metrics(where, "metrics", measured, chosen)
        weighted = self._metrics(where, "weighted_metrics", measured_weighted, chosen)
        self.all = tuple(
            Head(i, names[i], outputs.names[i], shapes[i], own, weights[i], lists[i], weighted[i], masks[i])
            for i, own in enumerate(chosen)
            if own is not None
        )
        if not self.all and not penalized:
            raise ValueError(f"{where}: expected a loss for at least one output, got none")
        self.single = outputs.single
        self._ends = outputs.among({head.node for head in self.all})
        own = [] if len(self.all) == 1 else [self._log_name(head, "loss") for head in self.all]
        self.loss_names = ["loss", *own]
        """Names of the losses reported by the core: the sum, and with several heads that of each."""
        self._known: dict[tuple[int, TargetForm, str], HeadExpressions] = {}
        self._trace([NOTHING_TRACED] * len(self.all))
        self.version = 0
        """Counts changes of the form of targets; plans are made for one."""
        self._require_distinct_logs(where)

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the graphs of functions, which are made again."""
        return {name: value for name, value in vars(self).items() if name not in ("_known", "_traced", "measurements")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._known = {}
        self._trace([NOTHING_TRACED] * len(self.all))

    def _trace(self, traced: list[HeadExpressions]) -> None:
        """Take these functions of tensors for the current targets, by head."""
        self._traced = traced
        self.measurements = Measurements(self.all, traced, self._log_name)

    def _by_output(self, value: Any, name: str) -> list[Any]:
        """One value per output, from a list or a dict; None where a dict has no entry."""
        if isinstance(value, Mapping):
            return [value.get(key) for key in self._outputs.keys_in(value, name)]
        return self._outputs.split(value, name)

    def _losses(self, where: str, loss: Any) -> list[losses.Loss | None]:
        if isinstance(loss, list | tuple) or (isinstance(loss, Mapping) and "class" not in loss):
            if self._outputs.single and isinstance(loss, list | tuple):
                raise TypeError(f"{where}: expected one loss for a network with one output, got a list of {len(loss)}")
            return [None if item is None else losses.get(item) for item in self._by_output(loss, "loss")]
        if loss is None:
            return [None] * len(self._outputs.names)
        return [losses.get(loss)] * len(self._outputs.names)

    def _weights(self, where: str, given: Any, chosen: Sequence[losses.Loss | None]) -> list[float]:
        weights = [1.0] * len(chosen)
        if given is None:
            return weights
        in_list = self._outputs.single and isinstance(given, list | tuple)
        parts = given if in_list else self._by_output(given, "loss_weights")
        if len(parts) != len(chosen):
            raise ValueError(f"{where}: expected {len(chosen)} loss_weights, got {len(parts)}")
        for i, weight in enumerate(parts):
            if weight is not None and chosen[i] is None:
                raise ValueError(
                    f"{where}: expected loss_weights for outputs with a loss, got one for {self._outputs.names[i]}"
                )
            if weight is not None:
                weights[i] = real(where, "loss_weights", weight)
        return weights

    def _metrics(self, where: str, name: str, given: Any, chosen: Sequence[Any]) -> list[tuple[Metric, ...]]:
        if given is None or (isinstance(given, list | tuple) and not given):
            return [()] * len(chosen)
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise TypeError(f"{where}: expected a list of metrics, got {given!r}; write {name}=[{given!r}]")
        if self._outputs.single and not isinstance(given, Mapping):
            return [_metric_list(where, given)]
        lists = []
        for item, loss, output in zip(self._by_output(given, name), chosen, self._outputs.names, strict=True):
            own = () if item is None else item if isinstance(item, list | tuple) else (item,)
            if own and loss is None:
                raise ValueError(f"{where}: expected {name} of outputs with a loss, got some of {output}")
            lists.append(_metric_list(where, own))
        return lists

    def _require_distinct_logs(self, where: str) -> None:
        names = self.figure_names
        for name in names:
            if names.count(name) > 1:
                raise ValueError(
                    f"{where}: expected different names of metrics, got {name!r} twice; pass name=... to one of them, "
                    "which for a function is metrics.FunctionMetric(function, name=...)"
                )

    def arrange(self, values: Sequence[Any], missing: Any = None) -> Any:
        """One value per head, in the form of the network's outputs."""
        by_output = dict(zip((head.output for head in self.all), values, strict=True))
        return self._outputs.arrange([by_output.get(i, missing) for i in range(len(self._outputs.names))])

    # ---- logs ----------------------------------------------------------------

    @property
    def figure_names(self) -> list[str]:
        """The names in the logs of all losses and metrics."""
        return self.loss_names + [each.name for each in self.measurements.all]

    def _log_name(self, head: Head, name: str) -> str:
        return name if self.single else f"{head.name}_{name}"

    def logs(self, totals: Array, rows: int, sizes: Sequence[int]) -> dict[str, Any]:
        """Losses and the core's metrics by name, from the core's totals over the given number of rows.

        `sizes` are those of the states of the metrics, which follow the losses.
        """
        count = len(self.loss_names)
        losses = dict(zip(self.loss_names, (totals[:count] / rows).tolist(), strict=True))
        return losses | self.measurements.values(totals[count:], sizes)

    # ---- for the core --------------------------------------------------------

    @property
    def depend_on_targets(self) -> bool:
        """Whether a loss is a function, which is traced for each form of targets."""
        return any(isinstance(head.loss, losses.FunctionLoss) for head in self.all)

    def bind(self, targets: Sequence[Any], dtype: str) -> None:
        """Trace functions for targets of this form, unless that is done; before a plan is used."""
        traced = []
        for head, own in zip(self.all, targets, strict=True):
            if not isinstance(head.loss, losses.FunctionLoss) and not head.functions:
                traced.append(NOTHING_TRACED)
                continue
            form = own.form if isinstance(own, Parts) else form_of(own, head.shape)
            key = (head.output, form, dtype)
            if key not in self._known:
                self._known[key] = HeadExpressions.trace(head.loss, head.functions, form, head.shape, dtype)
            traced.append(self._known[key])
        if any(new is not old for new, old in zip(traced, self._traced, strict=True)):
            self._trace(traced)
            self.version += 1
            for i, own in enumerate(targets):
                self._require_targets(i, own)

    @property
    def most_traced_totals(self) -> int:
        """By how much the core's totals may grow when functions are traced: metrics that only Python could compute."""
        return 2 * sum(len(head.functions) for head in self.all)

    def specs(self) -> list[Spec]:
        """Descriptions for the core."""
        return [head.spec(self._traced[i], self.measurements.specs(i)) for i, head in enumerate(self.all)]

    def functions(self) -> dict[str, dict[str, Any]]:
        """The NumPy functions of custom losses and the graphs of functions, by the name of the output's node."""
        graphs = {head.node: traced.for_core() for head, traced in zip(self.all, self._traced, strict=True)}
        callbacks = {head.node: function for head in self.all for function in head.loss.callbacks().values()}
        return {"losses": callbacks, "expressions": graphs}

    def _require_targets(self, i: int, targets: Any) -> None:
        """Refuse metrics of the core where the loss is a function of other targets than they read."""
        if not isinstance(targets, Parts):
            return
        head, form, in_core = self.all[i], targets.form, self.measurements.names_in_core(i)
        are_labels = form.domains[0] == "integer" and form.shapes[0] == head.shape[:-1] and head.shape[-1] > 1
        if in_core and (form.keys is not None or not (are_labels or form.shapes[0] == head.shape)):
            raise ValueError(
                f"{in_core[0]}: expected one array of targets, of the output's shape or of class numbers, got others; "
                "leave the metric out, or write it as a function of y_true and y_pred"
            )

    # ---- targets -------------------------------------------------------------

    def split_targets(self, y: Any) -> list[Any]:
        """One item per head, from a value passed by a caller as `y`."""
        if not self.all:
            if y is not None:
                raise ValueError("y: expected none, since no output has a loss; pass loss= to the Trainer")
            return []
        takes_all = len(self.all) == 1 and isinstance(self.all[0].loss, losses.FunctionLoss)
        if self.single and (takes_all or not isinstance(y, Mapping)):
            return [y]
        if isinstance(y, Mapping):
            keys = self._ends.keys_in(y, "y")
            missing = [key for key in keys if key not in y]
            if missing:
                raise ValueError(f"y: expected targets for {', '.join(keys)}, got none for {missing[0]!r}")
            return [y[key] for key in keys]
        names = ", ".join(head.name for head in self.all)
        if not isinstance(y, list | tuple):
            raise ValueError(
                f"y: expected a list of {len(self.all)} or a dict by name, for {names}, got {type(y).__name__}"
            )
        if len(y) == len(self._outputs.names):
            extra = [i for i, item in enumerate(y) if item is not None and i not in {head.output for head in self.all}]
            if extra:
                raise ValueError(
                    f"y: expected targets of outputs with a loss, got some of {self._outputs.names[extra[0]]}"
                )
            return [y[head.output] for head in self.all]
        if len(y) != len(self.all):
            raise ValueError(
                f"y: expected a list of {len(self.all)} or a dict by name, for {names}, got {len(y)} of them"
            )
        return list(y)

    def as_targets(self, parts: Sequence[Any], rows: int, dtype: str) -> list[Any]:
        """Targets of each head in the core's form: an array, or for functions of targets a tuple of arrays."""
        found: list[Any] = []
        for head, part in zip(self.all, parts, strict=True):
            try:
                if isinstance(head.loss, losses.FunctionLoss):
                    found.append(parts_of(part, rows, dtype))
                else:
                    found.append(as_targets(part, rows, head.shape, dtype, head.loss.targets))
            except (ValueError, TypeError) as error:
                if self.single:
                    raise
                raise type(error)(f"{head.name}: {error}") from error
        return found

    def as_weights(self, weights: Any, rows: int, dtype: str) -> list[Array | None]:
        """Sample weights of each head: one array for all of them, or a list or dict."""
        several = not self.single and isinstance(weights, list | tuple | Mapping)
        parts = self._split_weights(weights) if several else [weights] * len(self.all)
        signed = [isinstance(head.loss, losses.FunctionLoss) for head in self.all]
        return [as_weights(part, rows, dtype, sign) for part, sign in zip(parts, signed, strict=True)]

    def _split_weights(self, weights: Any) -> list[Any]:
        if isinstance(weights, Mapping):
            return [weights.get(key) for key in self._ends.keys_in(weights, "sample_weight")]
        if len(weights) != len(self.all):
            raise ValueError(
                f"sample_weight: expected one array for all outputs, or {len(self.all)} of them, got {len(weights)}"
            )
        return list(weights)

    def for_rows(self, rows: int, y: Any, sample_weight: Any, dtype: str) -> tuple[Any, Any]:
        """Targets and weights of a caller's, all checked and in the core's form."""
        targets = self.as_targets(self.split_targets(y), rows, dtype)
        self.bind(targets, dtype)
        return self.for_core(targets, self.as_weights(sample_weight, rows, dtype))

    def for_core(self, targets: Sequence[Any], weights: Sequence[Array | None]) -> tuple[Any, Any]:
        """Targets and weights of all heads as the core takes them: single arrays, or one for each array of targets."""
        arrays: list[Any] = []
        of_arrays: list[Any] = []
        for target, weight in zip(targets, weights, strict=True):
            own = target if isinstance(target, tuple) else (target,)
            arrays += own
            of_arrays += [weight, *[None] * (len(own) - 1)]
        if not arrays:
            return None, None
        if len(arrays) == 1:
            return arrays[0], of_arrays[0]
        return arrays, None if all(weight is None for weight in of_arrays) else of_arrays


def _metric_list(where: str, given: Any) -> tuple[Metric, ...]:
    found = tuple(metrics.get(metric) for metric in given)
    for metric in found:
        if not isinstance(getattr(metric, "name", None), str):
            raise TypeError(f"{where}: expected metrics with a name, got {metric!r}; give its class an attribute name")
    return found
