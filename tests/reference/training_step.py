"""A training step on parameters, from the gradients of batches to the new parameters, stage by stage."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Named = dict[str, Array]


def regularized(p: Array, l1: float, l2: float) -> tuple[float, Array]:
    """Return the penalty l1 |p| + l2 p^2 and its gradient."""
    return float(l1 * np.abs(p).sum() + l2 * (p**2).sum()), l1 * np.sign(p) + 2 * l2 * p


def limited_norms(p: Array, axis: int | tuple[int, ...], least: float, most: float, rate: float) -> Array:
    """Return p with norms rate clip(norm, least, most) + (1 - rate) norm, in Keras's form."""
    norm = np.sqrt((p**2).sum(axis=axis, keepdims=True))
    return p * (rate * np.clip(norm, least, most) + (1 - rate) * norm) / (1e-7 + norm)


def clipped(gradients: Named, kind: str, limit: float) -> Named:
    """Return gradients clipped by "clipvalue", "clipnorm" or "global_clipnorm"."""
    if kind == "clipvalue":
        return {name: np.clip(g, -limit, limit) for name, g in gradients.items()}
    norms = {name: np.sqrt((g**2).sum()) for name, g in gradients.items()}
    if kind == "global_clipnorm":
        norms = dict.fromkeys(norms, np.sqrt(sum(norm**2 for norm in norms.values())))
    return {name: g * min(1.0, limit / norms[name]) for name, g in gradients.items()}


@dataclass
class Options:
    """What is asked for, by full names of the parameters that are trained."""

    update: Callable[[str, Array, Array, float], Array]
    """The optimizer's rule: (name, p, g, rate) to the new p."""
    rate: float
    l2: Mapping[str, float] = field(default_factory=dict)
    clip: tuple[str, float] | None = None
    multipliers: Mapping[str, float] = field(default_factory=dict)
    weight_decay: Mapping[str, float] = field(default_factory=dict)
    constraints: Mapping[str, Callable[[Array], Array]] = field(default_factory=dict)
    ema_momentum: float | None = None


def update(p: Named, batches: Sequence[Named], average: Named | None, options: Options) -> tuple[Named, Named | None]:
    """Return the parameters and their average after the update that these batches make.

    A batch is the gradient of its loss, the regularizers included: the sum over its shards and micro-batches.
    """
    gradients = {name: np.mean([batch[name] for batch in batches], axis=0) for name in p}  # accumulation
    gradients = {name: g + options.l2.get(name, 0.0) * p[name] for name, g in gradients.items()}
    if options.clip is not None:
        gradients = clipped(gradients, *options.clip)
    new = {}
    for name, g in gradients.items():
        rate = options.rate * options.multipliers.get(name, 1.0)
        decayed = p[name] - rate * options.weight_decay.get(name, 0.0) * p[name]
        moved = options.update(name, decayed, g, rate)
        new[name] = options.constraints.get(name, lambda w: w)(moved)
    if options.ema_momentum is not None:
        m = options.ema_momentum
        average = dict(new) if average is None else {name: m * average[name] + (1 - m) * new[name] for name in new}
    return new, average
