"""Gradients compared with central differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nnfast.core.options import flag, integer, real
from nnfast.core.table import Table
from nnfast.core.typing import Array
from nnfast.graph.ends import number_of_rows
from nnfast.network import Network

__all__ = ["GradientCheck", "check_gradients"]


class GradientCheck:
    """Result of `check_gradients`; prints as a table and is true if all gradients agree.

    Attributes
    ----------
    errors : dict of str to float
        Largest relative error per parameter.
    tolerance : float
    evaluations : int
        Number of forward passes for the differences.
    """

    def __init__(self, errors: dict[str, float], tolerance: float, evaluations: int) -> None:
        self.errors = errors
        self.tolerance = tolerance
        self.evaluations = evaluations

    @property
    def max_error(self) -> float:
        """Largest relative error of all parameters."""
        return float(np.max([0.0, *self.errors.values()]))  # NaN if any is NaN

    def __bool__(self) -> bool:
        return self.max_error <= self.tolerance

    def __str__(self) -> str:
        return str(
            Table([{"parameter": n, "error": e, "agrees": str(e <= self.tolerance)} for n, e in self.errors.items()])
        )

    __repr__ = __str__


def check_gradients(
    network: Network,
    x: ArrayLike,
    y: ArrayLike,
    loss: Any,
    *,
    step: float = 1e-5,
    tolerance: float = 1e-6,
    max_elements: int | None = None,
    raise_on_failure: bool = False,
    training: bool = False,
) -> GradientCheck:
    """Compare backpropagation with central differences (L(w + h) - L(w - h)) / (2 h) for all trainable parameters.

    Parameters
    ----------
    network : Network
        Not changed: a float64 copy is checked.
    x : array_like (N, *input_shape)
    y : array_like (N, ...)
    loss : str or Loss
    step : float, default 1e-5
        h, relative to max(1, abs(w)).
    tolerance : float, default 1e-6
        Largest relative error accepted.
    max_elements : int, optional
        Check only this many elements per parameter, evenly spaced; by default all.
    raise_on_failure : bool, default False
        Raise a RuntimeError that names the parameters if gradients disagree.
    training : bool, default False
        Check the gradient of a training step, with the dropout of the first step and batch statistics.

    Notes
    -----
    The relative error is abs(a - b) / max(abs(a), abs(b), 1e-3 g), where g is the largest gradient element of the
    parameter (or 1e-6 if all are smaller), so tiny elements are judged by the scale of their neighbors. The error of
    the differences is about h^2 L''' / 6 + eps L / h, or 1e-10 for values around 1. Avoid inputs close to kinks, such
    as ReLU at 0. Every element costs two forward passes; backpropagation costs about three in total.

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import layers
    >>> net = nf.Network([layers.Input((2,)), layers.Dense(3, "tanh"), layers.Dense(1)], seed=0)
    >>> report = nf.check_gradients(net, [[0.5, -1.0]], [[1.0]], "mse")
    >>> bool(report), report.evaluations
    (True, 26)
    """
    if not isinstance(network, Network):
        raise TypeError(f"check_gradients: expected a Network, got {type(network).__name__}")
    real("check_gradients", "step", step, minimum=float(np.finfo(np.float64).tiny))
    real("check_gradients", "tolerance", tolerance, minimum=0.0)
    copy = network.copy("float64")
    heads, rows = copy.heads("loss", loss), copy.as_rows(x)
    targets, _ = heads.for_rows(number_of_rows(rows), y, None, copy.dtype)
    plan = copy.plan(number_of_rows(rows), heads=heads)
    plan.loss_and_gradients(rows, targets, None, flag("check_gradients", "training", training))
    exact = {name: gradient.copy() for name, gradient in plan.gradients().items()}

    def loss_now() -> float:
        if training:
            plan.iteration = 0  # the same dropout and noise each time
            return plan.loss_and_gradients(rows, targets, None, True)
        return float(plan.evaluate(rows, targets, None)[0]) / number_of_rows(rows)

    errors: dict[str, float] = {}
    evaluations = 0
    for name, gradient in exact.items():
        values, wanted = copy.parameters[name].reshape(-1), gradient.reshape(-1)
        count = values.size if max_elements is None else integer("check_gradients", "max_elements", max_elements)
        elements = np.linspace(0, values.size - 1, min(count, values.size)).astype(int)
        found = np.array([_difference(values, i, step, loss_now) for i in elements])
        evaluations += 2 * len(elements)
        floor = max(1e-3 * float(np.abs(wanted).max()), 1e-6)
        size = np.maximum(np.maximum(np.abs(found), np.abs(wanted[elements])), floor)
        errors[name] = float((np.abs(found - wanted[elements]) / size).max())
    report = GradientCheck(errors, tolerance, evaluations)
    if raise_on_failure and not report:
        raise RuntimeError(
            f"check_gradients: gradients differ from central differences by more than {tolerance}\n{report}"
        )
    return report


def _difference(values: Array, i: int, step: float, loss: Callable[[], float]) -> float:
    """Central difference of `loss` with respect to ``values[i]``, which is restored."""
    before = values[i]
    h = step * max(1.0, abs(before))
    values[i] = above = before + h
    loss_above = loss()
    values[i] = below = before - h
    loss_below = loss()
    values[i] = before
    return float((loss_above - loss_below) / (above - below))
