"""What all estimators share: parameters, data, networks and trainers of one fit after the other."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from nnfast.core.arrays import dtype_name
from nnfast.core.machine import get_num_threads, set_num_threads
from nnfast.core.objects import refuse_masked
from nnfast.core.options import flag, integer, real
from nnfast.core.text import short_repr
from nnfast.core.typing import Array
from nnfast.network import Network
from nnfast.sklearn.solver import (
    Monitor,
    Validation,
    batch_size_of,
    is_stochastic,
    make_optimizer,
    most_epochs,
    run,
    warn_if_not_converged,
)
from nnfast.sklearn.targets import Targets, as_column
from nnfast.training.history import History
from nnfast.training.plans import take_over
from nnfast.training.trainer import Trainer

__all__ = ["NeuralEstimator", "stochastic_only"]


class NeuralEstimator(BaseEstimator):
    """Base class of all estimators; `nnfast.sklearn` describes their parameters, methods and attributes."""

    solver: Any
    alpha: Any = 0.0
    batch_size: Any
    learning_rate: Any
    learning_rate_init: Any
    power_t: Any
    max_iter: Any
    shuffle: Any
    random_state: Any
    tol: Any
    verbose: Any
    warm_start: Any
    momentum: Any
    nesterovs_momentum: Any
    early_stopping: Any
    validation_fraction: Any
    beta_1: Any
    beta_2: Any
    epsilon: Any
    n_iter_no_change: Any
    max_fun: Any
    loss: Any
    optimizer: Any
    schedule: Any
    callbacks: Any
    metrics: Any
    n_threads: Any
    dtype: Any

    network_: Network
    trainer_: Trainer
    history_: History
    n_iter_: int
    t_: int
    loss_: float
    loss_curve_: list[float]
    best_loss_: Any
    validation_scores_: Any
    best_validation_score_: Any
    n_outputs_: int
    out_activation_: str
    _no_improvement_count: int
    _targets: Targets
    _penalty: float

    _takes_any_shape = False
    """Whether rows may be images or sequences, not only vectors."""
    _takes_sparse = False
    _y_is_numeric = False
    _y_may_be_column = True
    """Whether one column of y is taken for a vector, with scikit-learn's warning."""
    _fewest_scored = 1
    """Rows that a score needs."""
    _auto_batch = 200
    """Rows of a batch, if they are left to the estimator."""
    _fits_in_parts = True
    """Whether there is `partial_fit`."""
    _warns_of_the_end = True
    """Whether all epochs are taken only if training does not converge."""

    def _store(self, arguments: dict[str, Any]) -> None:
        """Store the arguments of a constructor, ``locals()`` there, as they are, as scikit-learn wants it."""
        for name in self._get_param_names():
            setattr(self, name, arguments[name])

    # ---- what estimators define --------------------------------------------------

    def _targets_of(self, y: Any, classes: Any) -> Targets:
        """What is learned, from the first y."""
        raise NotImplementedError

    def _check_targets(self, y: Any, incremental: bool) -> None:
        """Refuse a y that does not suit what was learned before."""

    def _encode(self, y: Any) -> Array:
        """y as the loss takes it."""
        return self._targets.encode(y)

    def _make_network(self, input_shape: tuple[int, ...], dtype: str, seed: int, rng: np.random.RandomState) -> Network:
        """A new network for `_targets`, with the penalty `_penalty`."""
        raise NotImplementedError

    def _loss_of(self, network: Network) -> tuple[Any, float]:
        """The loss that the trainer gets, and its weight."""
        raise NotImplementedError

    def _score_of(self, network: Network, x: Any, y: Array, sample_weight: Array | None) -> float:
        """The score on validation data, or NaN if predictions are not finite."""
        raise NotImplementedError

    def _hint_at_divergence(self) -> str:
        """What else may have made the loss infinite."""
        return ""

    def _weights_by_class(self, y: Any, incremental: bool) -> Array | None:
        """What `class_weight` makes of y."""
        return None

    # ---- data --------------------------------------------------------------------

    def _validated(self, X: Any, y: Any = "no_validation", *, reset: bool) -> Any:
        """X, or X and y, checked by scikit-learn, in a dtype that the network takes."""
        self._refuse_masked(X=X, y=y)
        dtype: Any = (np.float64, np.float32) if self.dtype is None else np.dtype(dtype_name(self.dtype))
        if not reset and hasattr(self, "network_"):
            dtype = np.dtype(self.network_.dtype)
        options: dict[str, Any] = {"accept_sparse": "csr" if self._takes_sparse else False, "dtype": dtype}
        if self._takes_any_shape:
            given = getattr(X, "dtype", None)
            # Images of bytes are read without a copy, and token ids, which may be in lists and tables, are no floats.
            is_float = isinstance(given, np.dtype) and given.kind not in "iu"
            options = {"allow_nd": True, "dtype": dtype if is_float else "numeric"}
        if isinstance(y, str):
            return validate_data(self, X, reset=reset, **options)
        return validate_data(self, X, y, reset=reset, multi_output=True, y_numeric=self._y_is_numeric, **options)

    def _validated_pair(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, Any]:
        """X and y, checked; a y of one column is a vector, unless it is X."""
        X, y = self._validated(X, y, reset=reset)
        return X, as_column(y) if self._y_may_be_column else y

    def _refuse_masked(self, **arguments: Any) -> None:
        """Refuse masks, which scikit-learn drops."""
        for name, value in arguments.items():
            refuse_masked(value, type(self).__name__, name)

    def _dtype_for(self, X: Any) -> str:
        if self.dtype is not None:
            return dtype_name(self.dtype)
        return "float32" if X.dtype == np.float32 else "float64"

    def _weights(self, sample_weight: Any, y: Any, rows: int, incremental: bool) -> Array | None:
        """Weights of rows, by class and by the caller; None if all are equal."""
        weights = self._weights_by_class(y, incremental)
        if sample_weight is not None:
            self._refuse_masked(sample_weight=sample_weight)
            own = np.asarray(sample_weight, dtype=np.float64)
            if own.ndim > 1:
                raise ValueError(f"Sample weights must be 1D array or scalar, got {own.ndim} axes")
            if own.ndim == 1 and len(own) != rows:
                raise ValueError(f"sample_weight.shape == {own.shape}, expected {(rows,)}!")
            own = np.broadcast_to(own, rows)
            weights = own.copy() if weights is None else weights * own
        if weights is None:
            return None
        if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
            got = "only zeros" if not weights.any() else "others"
            raise ValueError(
                f"{type(self).__name__}: expected finite sample weights of 0 or more that are not all zero, got {got}"
            )
        return weights

    def _validation(
        self, given: Any, X: Any, y: Any, weights: Array | None, rng: np.random.RandomState
    ) -> tuple[Any, Any, Array | None, Validation | None]:
        """Training data and validation data: what the caller gave or, for early stopping, some of the rows."""
        where = type(self).__name__
        if given is not None:
            if not isinstance(given, tuple | list) or len(given) not in (2, 3):
                raise ValueError(
                    f"{where}: expected validation_data as (X, y) or (X, y, sample_weight), got {short_repr(given)}"
                )
            own = self._validated_pair(given[0], given[1], reset=False)
            if self.early_stopping and own[0].shape[0] < self._fewest_scored:
                raise ValueError(
                    f"{where}: expected validation_data of at least {self._fewest_scored} rows, for a score, with "
                    f"early_stopping, got {own[0].shape[0]}; pass more, or set early_stopping=False"
                )
            weight = None if len(given) == 2 or given[2] is None else np.asarray(given[2], np.float64)
            return X, y, weights, (*own, weight)
        if not self.early_stopping or not is_stochastic(self):
            return X, y, weights, None
        share = real(where, "validation_fraction", self.validation_fraction, minimum=0.0, upper_bound=1.0)
        indices = np.arange(X.shape[0])
        first, second = train_test_split(indices, random_state=rng, test_size=share, stratify=self._strata(y))
        if len(second) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        parts = [None if weights is None else weights[part] for part in (first, second)]
        for name, part in zip(("training", "validation"), parts, strict=True):
            if part is not None and not part.any():
                raise ValueError(
                    f"{where}: expected rows of positive weight in both parts of the split for early_stopping, got "
                    f"none in the {name} data; pass validation_data, or leave out rows of weight 0 and set "
                    "validation_fraction=0.5"
                )
        return X[first], y[first], parts[0], (X[second], y[second], parts[1])

    def _strata(self, y: Any) -> Any:
        """Classes that both parts of a split should have."""
        return None

    # ---- training ------------------------------------------------------------------

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        validation_data: Any = None,
        *,
        incremental: bool = False,
        classes: Any = None,
    ) -> Self:
        self._check_parameters()
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        is_first = not hasattr(self, "network_") or not (self.warm_start or incremental)
        X, y = self._validated_pair(X, y, reset=is_first)
        if is_first:
            self._targets = self._targets_of(y, classes)
        else:
            self._check_targets(y, incremental)
        weights = self._weights(sample_weight, y, X.shape[0], incremental)
        rng = check_random_state(self.random_state)
        initial = copy.deepcopy(rng)  # where scikit-learn's MLP starts to draw
        seed = int(rng.randint(np.iinfo(np.int32).max))
        X, y, weights, validation = self._validation(validation_data, X, y, weights, rng)
        with self._threads():
            self._prepare(X, weights, seed, initial, is_first, incremental)
            self._train(X, y, weights, validation, incremental, validation_data is not None)
        return self

    def _check_parameters(self) -> None:
        """Refuse parameters that nothing else checks, as scikit-learn does: a text is true."""
        where, names = type(self).__name__, self._get_param_names()
        for name in ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping"):
            if name in names:
                flag(where, name, getattr(self, name))
        real(where, "tol", self.tol, minimum=0.0)
        if self.n_iter_no_change != math.inf:
            integer(where, "n_iter_no_change", self.n_iter_no_change)
        if "power_t" in names:
            real(where, "power_t", self.power_t)

    def _train(
        self,
        X: Any,
        y: Any,
        weights: Array | None,
        validation: Validation | None,
        incremental: bool,
        validates: bool,
    ) -> None:
        epochs = 1 if incremental else most_epochs(self)
        # The mean becomes 1, so that weights do not change the size of steps.
        scaled = None if weights is None else weights / weights.mean()
        target, own = self._encode(y), None
        if validation is not None and validates:
            own = (validation[0], self._encode(validation[1]), validation[2])
        self.n_iter_ = 0
        monitor = Monitor(self, X.shape[0], validation)
        if self.validation_scores_:  # the best ones of a previous fit are those it ended with
            monitor.best = self.network_.flat().copy()
        size = batch_size_of(self, X.shape[0])
        options = {"batch_size": size, "shuffle": bool(self.shuffle), "validation_data": own, "sample_weight": scaled}
        run(self, monitor, epochs, X, target, **options)
        if not is_stochastic(self):  # the loss of a step is that before its move
            self.loss_ = self.trainer_.evaluate(X, target, scaled)["loss"]
            self.best_loss_ = min(self.best_loss_, self.loss_)
        if not incremental:
            warn_if_not_converged(self, monitor, epochs)

    def _prepare(
        self,
        X: Any,
        weights: Array | None,
        seed: int,
        rng: np.random.RandomState,
        is_first: bool,
        incremental: bool,
    ) -> None:
        """Make the network and the trainer, which go on from those of the last fit where they should.

        The penalty on weights is divided by the weight of a batch. A network is made for one penalty.
        """
        if is_first:
            self._start_records()
        self._start_comparisons(is_first)
        before = None if is_first else self.trainer_
        alpha = real(type(self).__name__, "alpha", self.alpha, minimum=0.0)
        mean = 1.0 if weights is None else float(weights.mean())
        penalty = alpha / (min(batch_size_of(self, X.shape[0], warn=False), X.shape[0]) * mean)
        if before is not None and incremental and penalty == self._penalty:
            return
        self._penalty = penalty
        made = self._make_network(tuple(X.shape[1:]), self._dtype_for(X), seed, rng)
        trainer = self._make_trainer(made)
        if before is not None and incremental:
            take_over(trainer, before)
        elif before is not None:
            self._require_same_layers(made, before.network)
            made.take_over(before.network)
            trainer.epoch = before.epoch  # for another order of rows
        self.network_, self.trainer_ = made, trainer

    def _require_same_layers(self, made: Network, before: Network) -> None:
        old, new = ({name: view.shape for name, view in net.parameters.items()} for net in (before, made))
        if old != new:
            raise ValueError(
                f"{type(self).__name__}: expected the layers of the previous fit with warm_start=True, got others: "
                f"{list(old.values())} became {list(new.values())}; set warm_start=False"
            )

    def _make_trainer(self, network: Network) -> Trainer:
        loss, weight = self._loss_of(network)
        return Trainer(network, loss=loss, loss_weights=[weight], optimizer=make_optimizer(self), metrics=self.metrics)

    def _start_records(self) -> None:
        self.t_ = 0
        self.loss_curve_ = []
        self._no_improvement_count = 0
        self.n_outputs_, self.out_activation_ = self._targets.units, self._targets.out_activation

    def _start_comparisons(self, is_first: bool) -> None:
        """Start what tells whether training improves, unless the last fit, with the same rule, left it."""
        stops_early = bool(self.early_stopping) and is_stochastic(self)
        if not is_first and stops_early == (self.best_loss_ is None):
            return
        self.validation_scores_ = [] if stops_early else None
        self.best_validation_score_ = -np.inf if stops_early else None
        self.best_loss_ = None if stops_early else np.inf

    @contextmanager
    def _threads(self) -> Iterator[None]:
        """Use `n_threads` threads."""
        if self.n_threads is None:
            yield
            return
        before = get_num_threads()
        set_num_threads(integer(type(self).__name__, "n_threads", self.n_threads))
        try:
            yield
        finally:
            set_num_threads(before)

    # ---- prediction ------------------------------------------------------------------

    def _output(self, X: Any) -> Array:
        """The network's output."""
        check_is_fitted(self)
        x = self._validated(X, reset=False)
        with self._threads():
            output: Array = self._of_network(self.network_, x)
        return output

    def _of_network(self, network: Network, x: Any) -> Array:
        return np.asarray(network.predict(x))


def stochastic_only(estimator: NeuralEstimator) -> bool:
    """Whether `partial_fit` is there; the error says why it is not."""
    if not estimator._fits_in_parts:
        raise AttributeError(f"{type(estimator).__name__}: partial_fit is not available, since scales need all rows")
    if is_stochastic(estimator):
        return True
    raise AttributeError(
        f"partial_fit is only available for stochastic optimizers. {estimator.optimizer or estimator.solver} is not "
        "stochastic."
    )
