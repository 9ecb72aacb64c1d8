"""How estimators train: optimizers by scikit-learn's names, and its rules for the end of training."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from nnfast import optimizers
from nnfast.core.options import choose, integer
from nnfast.core.typing import Array
from nnfast.optimizers import Optimizer
from nnfast.training.callbacks.base import Callback, as_callbacks
from nnfast.training.divergence import is_divergence

if TYPE_CHECKING:
    from nnfast.sklearn.base import NeuralEstimator

__all__ = [
    "Monitor",
    "Validation",
    "batch_size_of",
    "is_stochastic",
    "make_optimizer",
    "most_epochs",
    "run",
    "warn_if_not_converged",
]

_SOLVERS = ("adam", "sgd", "lbfgs")
_RATES = ("constant", "invscaling", "adaptive")
_CALLER = 5
"""Stack level of the call of `fit`, in which users see warnings."""
_SMALLEST_RATE = 1e-6
"""At which "adaptive" rates end."""
_LEAST_DECREASE = 1e7 * np.finfo(float).eps
"""Relative decrease of the loss at which L-BFGS ends, as SciPy's does."""
_SLOW_STEPS = 5
"""Over which the decrease is measured: at a kink of a ReLU, a single step may be tiny."""
_EVALUATIONS = 2
"""Of the loss in a step of L-BFGS, which are not counted."""

Validation = tuple[Any, Array, Array | None]
"""X in the network's form, y as the caller has it, and weights."""


def is_stochastic(estimator: NeuralEstimator) -> bool:
    """Whether the optimizer takes batches."""
    if estimator.optimizer is None:
        return bool(estimator.solver != "lbfgs")
    return not optimizers.get(estimator.optimizer).needs_all_rows


def make_optimizer(estimator: NeuralEstimator) -> Optimizer:
    """The optimizer that the parameters of an estimator describe."""
    where, given = type(estimator).__name__, estimator.optimizer
    rate = estimator.learning_rate_init if estimator.schedule is None else estimator.schedule
    if isinstance(given, Optimizer):
        made = copy.deepcopy(given)
    elif given is not None:
        made = optimizers.get(given)
        made.learning_rate = made.learning_rate if made.needs_all_rows else rate
    else:
        solver = choose(f"solver of {where}", estimator.solver, _SOLVERS)
        if solver == "lbfgs":
            return optimizers.LBFGS()
        if solver == "adam":
            made = optimizers.Adam(rate, estimator.beta_1, estimator.beta_2, estimator.epsilon)
        else:
            choose(f"learning_rate of {where}", estimator.learning_rate, _RATES)
            momentum = estimator.momentum
            made = optimizers.SGD(rate, momentum, bool(estimator.nesterovs_momentum and momentum))
    if estimator.schedule is not None:
        made.learning_rate = estimator.schedule
    return made


def batch_size_of(estimator: NeuralEstimator, rows: int, *, warn: bool = True) -> int:
    """Rows of a batch."""
    given = estimator.batch_size
    if isinstance(given, str):
        chosen = choose(f"batch_size of {type(estimator).__name__}", given, ("auto", "full"))
        size = min(estimator._auto_batch, rows) if chosen == "auto" else rows
    else:
        size = integer(type(estimator).__name__, "batch_size", given)
    if not is_stochastic(estimator):
        return rows
    if size > rows and warn:
        warnings.warn(
            f"{type(estimator).__name__}: batch_size is larger than the number of rows; {size} is clipped to {rows}",
            UserWarning,
            stacklevel=_CALLER,
        )
    return min(size, rows)


class Monitor(Callback):
    """Records the losses and scores of an estimator, changes its learning rate and ends its training."""

    def __init__(self, estimator: NeuralEstimator, rows: int, validation: Validation | None) -> None:
        self.estimator = estimator
        self.rows = rows
        self.validation = validation
        self.best: Array | None = None
        """The parameters with the best validation score."""
        self.converged = False

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.t_ += self.rows
        estimator.loss_ = logs["loss"]
        estimator.loss_curve_.append(estimator.loss_)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {estimator.loss_:.8f}")
        if not is_stochastic(estimator):
            self.converged = self._lbfgs_has_converged()
        else:
            self._count()
            self._follow_rate()
            if estimator._no_improvement_count > estimator.n_iter_no_change:
                self._stop_or_slow_down()
        if self.converged:
            self.trainer.stop_training = True

    def _count(self) -> None:
        """Count the epochs without improvement."""
        estimator = self.estimator
        if self.validation is not None and estimator.early_stopping:
            score = estimator._score_of(self.trainer.network, *self.validation)
            estimator.validation_scores_.append(score)
            if estimator.verbose:
                print(f"Validation score: {score:f}")
            best = estimator.best_validation_score_
            has_improved = not score < best + estimator.tol
            if score > best:
                estimator.best_validation_score_ = score
                self.best = self.trainer.network.flat().copy()
        else:
            has_improved = not estimator.loss_ > estimator.best_loss_ - estimator.tol
            estimator.best_loss_ = min(estimator.best_loss_, estimator.loss_)
        estimator._no_improvement_count = 0 if has_improved else estimator._no_improvement_count + 1

    @property
    def _has_own_rate(self) -> bool:
        """Whether `learning_rate` says how the rate changes."""
        estimator = self.estimator
        return estimator.solver == "sgd" and estimator.optimizer is None and estimator.schedule is None

    def _follow_rate(self) -> None:
        estimator = self.estimator
        if self._has_own_rate and estimator.learning_rate == "invscaling":
            rate = estimator.learning_rate_init / (estimator.t_ + 1) ** estimator.power_t
            self.trainer.optimizer.learning_rate = rate

    def _stop_or_slow_down(self) -> None:
        estimator, optimizer = self.estimator, self.trainer.optimizer
        if self._has_own_rate and estimator.learning_rate == "adaptive":
            rate = optimizer.rate(0)
            if rate > _SMALLEST_RATE:
                optimizer.learning_rate = rate / 5
                estimator._no_improvement_count = 0
                return
        self.converged = True
        if estimator.verbose:
            what = "Validation score" if estimator.early_stopping else "Training loss"
            print(
                f"{what} did not improve more than tol={estimator.tol:f} for {estimator.n_iter_no_change} consecutive "
                "epochs. Stopping."
            )

    def _lbfgs_has_converged(self) -> bool:
        """The rules of SciPy's L-BFGS-B, the second one for some steps. The loss of a step is that before its move."""
        estimator = self.estimator
        estimator.best_loss_ = min(estimator.best_loss_, estimator.loss_)
        largest = max(float(np.abs(gradient).max(initial=0)) for gradient in self.trainer.plan.gradients().values())
        if largest <= estimator.tol:
            return True
        curve = estimator.loss_curve_[-estimator.n_iter_ :]
        if len(curve) > 1 and curve[-1] == curve[-2]:
            return True  # no move, and the next step would be the same
        if len(curve) <= _SLOW_STEPS:
            return False
        before, now = curve[-1 - _SLOW_STEPS], curve[-1]
        return bool(before - now <= _LEAST_DECREASE * max(abs(before), abs(now), 1))


def run(estimator: NeuralEstimator, monitor: Monitor, epochs: int, x: Any, y: Array, **options: Any) -> None:
    """Train, and warn or complain of what scikit-learn's estimators warn or complain of."""
    trainer = estimator.trainer_
    called = [*as_callbacks(estimator.callbacks), monitor]
    try:
        estimator.history_ = trainer.fit(x, y, epochs=epochs, callbacks=called, progress=False, **options)
    except KeyboardInterrupt:
        estimator.history_ = trainer.history
        warnings.warn("Training interrupted by user.", UserWarning, stacklevel=_CALLER)
    except RuntimeError as error:
        if not is_divergence(error):
            raise
        estimator.history_ = trainer.history
        if monitor.best is None and not (estimator.early_stopping and estimator.validation_scores_):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
                f"preprocessed. {error}{estimator._hint_at_divergence()}"
            ) from error
        estimator.validation_scores_.append(float("nan"))
        warnings.warn(
            f"{type(estimator).__name__}: training ended after {estimator.n_iter_} epochs, because the loss or a "
            "weight was not finite; the best weights are kept. Try a smaller learning_rate_init",
            ConvergenceWarning,
            stacklevel=_CALLER,
        )
    finally:
        trainer.callbacks = ()
    if monitor.best is not None:
        trainer.network.flat()[...] = monitor.best


def warn_if_not_converged(estimator: NeuralEstimator, monitor: Monitor, epochs: int) -> None:
    """scikit-learn's warning at the end of the epochs."""
    if (
        estimator._warns_of_the_end
        and estimator.n_iter_ >= epochs
        and not monitor.converged
        and not monitor.trainer.stop_training
    ):
        warnings.warn(
            f"{type(estimator).__name__}: maximum iterations ({epochs}) reached and the optimization hasn't converged "
            "yet; increase max_iter or tol",
            ConvergenceWarning,
            stacklevel=_CALLER,
        )


def most_epochs(estimator: NeuralEstimator) -> int:
    """`max_iter`, or what `max_fun` leaves of it."""
    where = type(estimator).__name__
    epochs = integer(where, "max_iter", estimator.max_iter)
    if is_stochastic(estimator):
        return epochs
    return min(epochs, max(1, integer(where, "max_fun", estimator.max_fun) // _EVALUATIONS))
