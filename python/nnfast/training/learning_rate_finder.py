"""The learning-rate range test: short training with a growing rate, to find the rates that work."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnfast.core.options import integer, named_arguments, real
from nnfast.training.callbacks.base import Callback, Logs
from nnfast.training.divergence import is_divergence

if TYPE_CHECKING:
    from nnfast.training.trainer import Trainer

__all__ = ["LearningRateCurve", "find_learning_rate"]

Numbers = NDArray[np.float64]


class LearningRateCurve:
    """What `find_learning_rate` returns.

    Parameters
    ----------
    rates, losses : array_like (steps,)
    smoothing : float
        Decay of the moving average.

    Attributes
    ----------
    rates : ndarray of float64, of shape (steps,)
        Learning rates of the steps.
    losses : ndarray of float64, of shape (steps,)
        Loss of each batch before its step.
    smoothed : ndarray of float64, of shape (steps,)
        Exponential moving average of the losses.
    suggestion : float or None
        The rate at which the loss falls most steeply, by the logarithm of the rate: the middle of the fifth of the
        curve with the steepest regression line, before the minimum of the smoothed loss. None if it does not fall.

    Examples
    --------
    >>> from nnfast.training.learning_rate_finder import LearningRateCurve
    >>> LearningRateCurve([0.1, 0.2, 0.4, 0.8], [5.0, 4.0, 2.0, 3.0], smoothing=0)
    <LearningRateCurve of 4 steps from 0.1 to 0.8: suggestion 0.283>
    """

    def __init__(self, rates: Any, losses: Any, smoothing: float) -> None:
        self.rates: Numbers = np.array(rates, dtype=np.float64)
        self.losses: Numbers = np.array(losses, dtype=np.float64)
        self.smoothed = _smooth(self.losses, smoothing)
        self.suggestion = _steepest(self.rates, self.losses[: self.smoothed.argmin() + 1])

    def __repr__(self) -> str:
        found = "the loss does not fall" if self.suggestion is None else f"suggestion {self.suggestion:.3g}"
        first, last = self.rates[0], self.rates[-1]
        return f"<LearningRateCurve of {len(self.rates)} steps from {first:.3g} to {last:.3g}: {found}>"

    def plot(self, axes: Any = None) -> Any:
        """Plot the losses over the learning rates, and mark the suggestion. Requires Matplotlib.

        Parameters
        ----------
        axes : matplotlib.axes.Axes, optional
            Where to plot; a new figure by default.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from nnfast.plot.training import learning_rates

        return learning_rates(self, axes)


@named_arguments
def find_learning_rate(
    trainer: Trainer,
    x: Any,
    y: Any = None,
    *,
    start: float = 1e-6,
    end: float = 10.0,
    steps: int = 100,
    batch_size: int = 32,
    smoothing: float = 0.9,
    divergence: float = 4.0,
    sample_weight: Any = None,
    class_weight: Any = None,
    augmentation: Any = None,
) -> LearningRateCurve:
    """Train a copy of a trainer with exponentially growing learning rates.

    rate = start (end / start)^(i / (steps - 1)), i = 0, ..., steps - 1. A good learning rate is somewhat smaller than
    that at which the loss begins to grow; the suggestion is where it falls most steeply.

    Parameters
    ----------
    trainer : Trainer
        Stays as it is, network and optimizer included: the steps are made by a copy.
    x, y : array_like, or Dataset
        As in `Trainer.fit`.
    start : float, default 1e-6
        Rate of the first step, larger than 0.
    end : float, default 10
        Rate of the last step, larger than `start`.
    steps : int, default 100
        Number of steps, at least 2; over several epochs if there are fewer batches in one.
    batch_size : int, default 32
        That of the training to come: larger batches allow larger rates.
    smoothing : float, default 0.9
        Decay of the moving average of the losses, which is corrected for its start at 0; 0 <= smoothing < 1.
    divergence : float, default 4
        Stop when the smoothed loss exceeds its minimum by this factor, larger than 1, or when the loss is not finite.
    sample_weight, class_weight, augmentation : optional
        As in `Trainer.fit`.

    Returns
    -------
    LearningRateCurve

    Raises
    ------
    RuntimeError
        If not even the first step is possible.

    References
    ----------
    Smith (2015), Cyclical learning rates for training neural networks, arXiv:1506.01186.

    Examples
    --------
    >>> import numpy as np
    >>> import nnfast as nf
    >>> from nnfast import layers, training
    >>> x = np.random.default_rng(0).normal(size=(256, 4))
    >>> net = nf.Network([layers.Input((4,)), layers.Dense(1)], seed=0)
    >>> trainer = nf.Trainer(net, loss="mse", optimizer="sgd")
    >>> curve = training.find_learning_rate(trainer, x, x.sum(axis=1, keepdims=True))
    >>> bool(0.01 < curve.suggestion < 1)
    True
    >>> trainer.optimizer.learning_rate = curve.suggestion
    """
    where = "find_learning_rate"
    start, end = real(where, "start", start), real(where, "end", end)
    if not 0 < start < end:
        raise ValueError(f"{where}: expected 0 < start < end, got {start} and {end}")
    steps = integer(where, "steps", steps, minimum=2)
    smoothing = real(where, "smoothing", smoothing, minimum=0.0, upper_bound=1.0)
    divergence = real(where, "divergence", divergence)
    if divergence <= 1:
        raise ValueError(f"{where}: expected divergence > 1, got {divergence}")
    rates = start * (end / start) ** (np.arange(steps) / (steps - 1))
    own = copy.deepcopy(trainer)
    own.position = None  # of an interrupted epoch
    probe = _Probe(rates, smoothing, divergence)
    options = {"sample_weight": sample_weight, "class_weight": class_weight, "augmentation": augmentation}
    if isinstance(x, Iterator):
        options["steps_per_epoch"] = steps
    own.fit(x, y, epochs=steps, batch_size=batch_size, callbacks=probe, progress=False, **options)
    if not probe.losses:
        assert probe.error is not None
        raise probe.error
    return LearningRateCurve(rates[: len(probe.losses)], probe.losses, smoothing)


class _Probe(Callback):
    """Collects the losses, and stops when there are enough of them or they are too large."""

    def __init__(self, rates: Numbers, smoothing: float, divergence: float) -> None:
        self.losses: list[float] = []
        self.error: RuntimeError | None = None
        self._rates, self._smoothing, self._divergence = rates, smoothing, divergence

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        # Not a function of the step, which counts updates, of which there may be one for several batches.
        self.trainer.optimizer.learning_rate = float(self._rates[len(self.losses)])

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        self.losses.append(logs["loss"])
        smoothed = _smooth(np.array(self.losses), self._smoothing)
        least = smoothed.min()
        diverges = smoothed[-1] > least + (self._divergence - 1) * abs(least)
        if diverges or len(self.losses) == len(self._rates):
            self.trainer.stop_training = True

    def absorbs(self, error: RuntimeError) -> bool:
        self.error = error
        return is_divergence(error)


def _smooth(losses: Numbers, decay: float) -> Numbers:
    """Exponential moving average, divided by the sum of its weights."""
    mean, smoothed = 0.0, []
    for i, loss in enumerate(losses):
        mean = decay * mean + (1 - decay) * loss
        smoothed.append(mean / (1 - decay ** (i + 1)))
    return np.array(smoothed)


def _steepest(rates: Numbers, losses: Numbers) -> float | None:
    """The rate in the middle of the stretch with the steepest regression line; `losses` end at their minimum.

    Differences of neighbors, even of averages, would be those of the batches rather than of the rates.
    """
    width = max(2, min(len(rates) // 5, len(losses)))
    if len(losses) < width:
        return None
    place = np.arange(width) - (width - 1) / 2
    slopes = np.lib.stride_tricks.sliding_window_view(losses, width) @ place
    steepest = int(slopes.argmin())
    stretch = rates[steepest : steepest + width]
    return float(np.sqrt(stretch[0] * stretch[-1])) if slopes[steepest] < 0 else None
