"""Trainer: fits a network to data."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from nnfast import _core, optimizers
from nnfast.core.hints import TRAINER
from nnfast.core.options import integer, named_arguments, real, with_hints
from nnfast.core.typing import Array
from nnfast.network import Network
from nnfast.training.averages import AveragedWeights
from nnfast.training.callbacks.base import Callback, as_callbacks
from nnfast.training.checkpointing import Checkpoints
from nnfast.training.dataset import ArrayDataset
from nnfast.training.feeds import BatchFeed, Feed, FeedOptions
from nnfast.training.fit_loop import FitLoop, Position
from nnfast.training.history import History
from nnfast.training.plans import continue_from, progress_of, smallest_capacity
from nnfast.training.resumed import Resumed
from nnfast.training.sources import AnyDataset, ChunkedDataset, as_dataset, feed_of, validation_of

if TYPE_CHECKING:
    from nnfast.data.augmentation import Augmentation

__all__ = ["Trainer"]

_MAX_SHARDS = 2**16
"""The core looks at each shard in every step, also at those that are empty."""
_FIXED = (
    *("network", "loss", "loss_weights", "optimizer", "metrics", "weighted_metrics"),
    *("shards", "micro_batch_size", "gradient_callback"),
)
"""Attributes that are built into the plan: assigning to them would have no effect."""
_MADE_ANEW = (
    *("plan", "_train_step_if_fits", "_version", "_augmentation", "_fitting", "_kept"),
    *("callbacks", "first_epoch"),
)
"""Attributes that are not copied. The augmentation is passed to each `fit`."""


@with_hints(TRAINER)
class Trainer(AveragedWeights, Checkpoints):
    """Trains a network with losses, an optimizer and its state, and metrics.

    Parameters
    ----------
    network : Network
        Trained in place.
    loss : str or Loss, or list or dict of them
        Names or objects from `nnfast.losses`. With several outputs, one for all, a list with one each, or a dict by
        name; None, or a missing key, for outputs without a loss. A function of tensors is a loss too, see
        `losses.FunctionLoss`. Terms of `Network.add_loss` and of layers are added.
    loss_weights : list or dict of float, optional
        Weights of the losses of several outputs in their sum, which is minimized; 1 by default.
    optimizer : str or Optimizer, default "adam"
        A name or an object from `nnfast.optimizers`.
    metrics : sequence of str, Loss or callable, optional
        "accuracy", losses, or functions (y_true, y_pred) -> float, which only evaluation and validation call; see
        `nnfast.metrics`. With several outputs, a list with the metrics of each, or a dict by name. Sample and class
        weights do not apply to them.
    weighted_metrics : sequence of str, Loss or callable, optional
        Likewise, with sample and class weights. A metric that is in both lists has the prefix "weighted_" in the logs.
    shards : int, default 1
        Number of parts, at most 65536, into which each batch is divided. The gradient is the sum of those of the shards
        in a fixed binary tree, so the bits do not depend on where and when a shard is computed. Batch normalization
        uses the statistics of each shard; moving averages follow their mean.
    micro_batch_size : int, optional
        Process each batch, or each shard, in parts of at most this many rows and add their gradients: this needs the
        memory of a small batch and gives, up to rounding and batch statistics, the gradient of a large one.
    gradient_callback : callable, optional
        Called for each update with a dict of gradients by parameter name, before decay and clipping; may change the
        arrays in place.

    Attributes
    ----------
    network : Network
    loss : Loss, or list or dict of them
    optimizer : Optimizer
        ``trainer.optimizer.learning_rate`` may be set at any time.
    epoch : int
        Number of completed epochs.
    stop_training : bool
        Set by callbacks to end `fit`.
    history : History
        That of the last `fit`, also while it runs and if it ended with an exception or Ctrl-C. Checkpoints contain it.

    Notes
    -----
    The same seed, data and calls give the same bits for any number of threads. Freezing parameters of the network takes
    effect with the next step. Trainers can be pickled and copied with `copy.deepcopy`, including the network and the
    optimizer's state; the copy continues with the same bits.

    Examples
    --------
    >>> import numpy as np
    >>> import nnfast as nf
    >>> from nnfast import layers
    >>> x = np.linspace(-1, 1, 64, dtype="float32")[:, None]
    >>> net = nf.Network([layers.Input((1,)), layers.Dense(1)], seed=0)
    >>> trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.1))
    >>> history = trainer.fit(x, 2 * x + 1, epochs=50, batch_size=16)
    >>> [round(float(v.squeeze()), 2) for v in net.get_weights()]
    [2.0, 1.0]
    """

    plan: _core.Plan
    _train_step_if_fits: Callable[[Any, Any, Any, Any], float | None]
    _capacity: int
    _augmentation: Augmentation | None
    _version: int | None
    _heads_version: int
    callbacks: Sequence[Callback] = ()
    """Those of the running `fit`, or of one that ended with an exception, for checkpoints."""
    first_epoch: int | None = None
    """Index of the epoch of that `fit` that began with `epoch` = 0, or would have; None after a normal end."""
    resumed: Resumed | None = None
    """An unfinished `fit` from a checkpoint, for the next one."""

    @named_arguments
    def __init__(
        self,
        network: Network,
        *,
        loss: Any = None,
        loss_weights: Any = None,
        optimizer: Any = "adam",
        metrics: Any = (),
        weighted_metrics: Any = (),
        shards: int = 1,
        micro_batch_size: int | None = None,
        gradient_callback: Callable[[dict[str, Array]], object] | None = None,
    ) -> None:
        if not isinstance(network, Network):
            raise TypeError(f"Trainer: expected a Network, got {type(network).__name__}")
        self.network = network
        self.heads = network.heads("Trainer", loss, loss_weights, metrics, weighted_metrics)
        self.loss = self.heads.arrange([head.loss for head in self.heads.all])
        self.loss_weights = self.heads.arrange([head.weight for head in self.heads.all])
        self.metrics = self.heads.arrange([list(head.metrics) for head in self.heads.all], [])
        self.weighted_metrics = self.heads.arrange([list(head.weighted_metrics) for head in self.heads.all], [])
        self.optimizer = optimizers.get(optimizer)
        self.shards = integer("Trainer", "shards", shards, upper_bound=_MAX_SHARDS + 1)
        self.micro_batch_size = (
            None if micro_batch_size is None else integer("Trainer", "micro_batch_size", micro_batch_size)
        )
        if gradient_callback is not None and not callable(gradient_callback):
            raise TypeError(f"Trainer: expected a function as gradient_callback, got {gradient_callback!r}")
        self.gradient_callback = gradient_callback
        self.epoch = 0
        self.position: Position | None = None
        self.stop_training = False
        self.history = History()
        self._fitting = os.getpid(), threading.Lock()
        self._make_plan(smallest_capacity(network), None)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIXED and hasattr(self, name):
            raise AttributeError(f"Trainer: {name} is fixed; make a new Trainer of the same network")
        super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        self.require_own_weights("pickle")
        with self.network.parameters.reading("pickle"):
            fields = {name: value for name, value in vars(self).items() if name not in _MADE_ANEW}
            if self.position is not None:
                fields["position"] = self.position._replace(tally=self.position.tally.copy())
            fields["history"] = copy.deepcopy(self.history)
            progress = progress_of(self.plan)
            state = {name: vector.copy() for name, vector in progress["state"].items()}
        return {"fields": fields, "progress": {**progress, "state": state}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state["fields"].items():
            setattr(self, name, value)
        self._fitting = os.getpid(), threading.Lock()
        self._make_plan(self._capacity, None, state["progress"])

    def __repr__(self) -> str:
        heads = self.heads.all
        plain = self.heads.arrange([[metric.name for metric in head.metrics] for head in heads], [])
        weighted = self.heads.arrange([[metric.name for metric in head.weighted_metrics] for head in heads], [])
        more = f", weighted_metrics={weighted}" if any(head.weighted_metrics for head in heads) else ""
        return f"Trainer({self.network!r}, loss={self.loss!r}, optimizer={self.optimizer!r}, metrics={plain}{more})"

    # ---- the plan ------------------------------------------------------------

    @property
    def iteration(self) -> int:
        """Number of steps made: of batches, also where several make one update (`gradient_accumulation_steps`)."""
        return self.plan.iteration

    def _make_plan(
        self, capacity: int, augmentation: Augmentation | None, progress: Mapping[str, Any] | None = None
    ) -> None:
        """Make a plan that continues from the progress of another.

        If this is interrupted, the next step makes a new plan, because the version None is always out of date.
        Assigning all attributes at once through ``vars(self)`` would make them slower to read from then on.
        """
        version = self.network.version
        self._heads_version = self.heads.version
        plan = self.network.plan(
            capacity,
            heads=self.heads,
            optimizer=self.optimizer.spec(),
            gradients=self.optimizer.gradient_spec(self.network.trainable, self.network.parameters),
            update=self.optimizer.update_spec(self.network.trainable, self.network.parameters),
            gradient_callback=self.gradient_callback,
            shards=self.shards,
            micro_batch=self.micro_batch_size or 0,
            augmentation=None if augmentation is None else augmentation.spec(),
        )
        if progress is not None:
            continue_from(plan, progress)
        self._version = None
        self.plan = plan
        self.choose_fast_step()
        self._capacity = capacity
        self._augmentation = augmentation
        self._version = version

    def choose_fast_step(self) -> None:
        """Set what `train_on_batch` calls first."""
        takes_arrays = not self.heads.depend_on_targets and not self.exchanged
        self._train_step_if_fits = self.plan.train_step_if_fits if takes_arrays else _does_not_fit

    def require_plan(self, rows: int, data: ArrayDataset | None = None) -> None:
        """Make a new plan, with the optimizer's state, if the current one is too small or outdated.

        Freezing outdates it, and so do targets of another form, if a loss is a function of them.
        """
        if data is not None:
            self.heads.bind(data.y, self.network.dtype)
        self._require(rows, self._augmentation)

    def _require(self, rows: int, augmentation: Augmentation | None) -> None:
        """`require_plan`, also if the augmentation has changed."""
        rows = self.plan.rows_of_part(rows)
        versions = (self._version, self._heads_version)
        outdated = versions != (self.network.version, self.heads.version) or augmentation != self._augmentation
        if rows > self._capacity or outdated:
            self._make_plan(max(rows, self._capacity), augmentation, progress_of(self.plan))

    # ---- training --------------------------------------------------------------

    def train_on_batch(self, x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Make one step and return the loss of the batch before it.

        Parameters
        ----------
        x : array_like (N, *input_shape)
        y : array_like (N, ...)
            Targets of the output's shape, or class indices, depending on the loss.
        sample_weight : array_like (N,), optional
            0 or larger; the loss is sum_i weight_i value_i / N.

        Raises
        ------
        RuntimeError
            If the loss, a gradient or an updated parameter is not finite; parameters and optimizer are then unchanged.

        Notes
        -----
        Arrays in the core's form (C-contiguous; x uint8 or the network's dtype; y the network's dtype, or class indices
        as uint8, int32 or int64) are not copied; others are converted. For arrays in that form, it is not checked that
        soft targets are in [0, 1], as `fit` and `evaluate` do: for a small network, the check would take longer than
        the step.

        Examples
        --------
        >>> import nnfast as nf
        >>> from nnfast import layers
        >>> net = nf.Network([layers.Input((1,)), layers.Dense(1, kernel_initializer="ones")])
        >>> trainer = nf.Trainer(net, loss="half_squared_error", optimizer=nf.optimizers.SGD(0.5))
        >>> trainer.train_on_batch([[1.0]], [[0.0]]), trainer.train_on_batch([[1.0]], [[0.0]])
        (0.5, 0.0)
        """
        if self._version == self.network.version:
            # None if the arguments are not such arrays, or the rate is a function.
            loss = self._train_step_if_fits(x, y, sample_weight, self.optimizer.learning_rate)
            if loss is not None:
                return loss
        self.require_own_weights("train_on_batch")
        batch = ArrayDataset.of(self.network, self.heads, x, y, sample_weight)
        with self.network.parameters.training("train_on_batch"):
            self.require_plan(len(batch), batch)
            return self.plan.train_step(*batch.core, self.optimizer.rate(self.plan.iteration))

    def apply_gradients(self, gradients: Mapping[str, ArrayLike]) -> None:
        """Make one optimizer step with gradients computed elsewhere.

        Decay, clipping and the learning rate are those of the optimizer, and the step counts like one of training.

        Parameters
        ----------
        gradients : mapping of str to array_like
            A gradient for each name in ``network.trainable``, as returned by `Network.vjp` and
            `Network.loss_and_gradients`.

        Raises
        ------
        RuntimeError
            If an updated parameter is not finite; parameters and optimizer are then unchanged.

        Examples
        --------
        >>> import nnfast as nf
        >>> net = nf.Network([nf.layers.Input((1,)), nf.layers.Dense(1, kernel_initializer="ones")])
        >>> trainer = nf.Trainer(net, loss="half_squared_error", optimizer=nf.optimizers.SGD(0.5))
        >>> loss, gradients = net.loss_and_gradients([[1.0]], [[0.0]], "half_squared_error", training=True)
        >>> trainer.apply_gradients(gradients)
        >>> net.predict([[1.0]])
        array([[0.]], dtype=float32)
        """
        self.require_own_weights("apply_gradients")
        with self.network.parameters.training("apply_gradients"):
            self.require_plan(1)
            self.network.parameters.write_gradients(gradients, self.plan.gradients())
            self.plan.apply_gradients(self.optimizer.rate(self.plan.iteration))

    @named_arguments
    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        epochs: int,
        batch_size: int = 32,
        shuffle: bool = True,
        validation_data: Any = None,
        validation_split: float = 0.0,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        augmentation: Augmentation | None = None,
        callbacks: Callback | Iterable[Callback] | None = (),
        progress: bool | None = None,
        drop_last: bool = False,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        prefetch: int = 2,
    ) -> History:
        """Train for a number of epochs.

        Parameters
        ----------
        x : array_like (N, *input_shape), or list or dict of them, Dataset, or iterable of batches
            With several inputs, a list in their order or a dict by name. Arrays may be in files (`numpy.memmap`, HDF5,
            zarr) or sparse (SciPy). A `nnfast.data.Dataset`, a `training.Dataset`, which produces rows on demand, and
            an iterable of batches (x, y) or (x, y, sample_weight) contain y. A function without arguments that returns
            an iterable, such as one with ``yield``, is called in each epoch.
        y : array_like (N, ...), or list or dict of them
            Likewise for outputs.
        epochs : int
            Epochs `initial_epoch` to ``epochs - 1`` are run.
        batch_size : int, default 32
            At most the number of training rows is used. An iterable chooses the size of its batches itself.
        shuffle : bool, default True
            Shuffle the rows in each epoch; the order is a function of the network's seed and the trainer's `epoch`.
            Batches of an iterable are not shuffled.
        validation_data : (x, y), (x, y, sample_weight), Dataset, iterable of batches or function, optional
            Evaluated after each epoch. An iterator, such as a generator, can be read once: for more than one epoch pass
            the function that makes it, or `validation_steps`.
        validation_split : float, default 0
            Fraction of the rows, taken from the end, to use as validation data; 0 <= validation_split < 1.
        sample_weight : array_like (N,), or list or dict of them, optional
            With several outputs, one for all, or one each.
        class_weight : dict of int to float, optional
            Weights by class index, 1 for other classes; multiplied with `sample_weight`.
        augmentation : nnfast.data.Augmentation, optional
            Random transformations of the images (H, W, C) of each batch, but not of validation data.
        callbacks : Callback or iterable of Callback, optional
        progress : bool, optional
            Show a progress bar and a line per epoch on standard error. None shows the bar only on terminals and in
            notebooks, False nothing.
        drop_last : bool, default False
            Omit the last batch of an epoch if it is incomplete.
        initial_epoch : int, default 0
            Index of the first epoch.
        steps_per_epoch : int, optional
            Number of batches of an epoch, of an iterable only. By default its end ends the epoch.
        validation_steps : int, optional
            Number of batches of `validation_data`, of an iterable only, that are evaluated after each epoch: the first
            ones, or the next ones of an iterator. By default all.
        prefetch : int, default 2
            Number of batches of an iterable that a thread makes ahead, and whether such a thread reads files and
            datasets. With 0, no thread is used: for generators that predict with the network.

        Raises
        ------
        RuntimeError
            If the loss, a gradient or an updated parameter is not finite; network and optimizer then keep their last
            valid state. Also if another `fit` of the trainer is running, for example the one that called the current
            callback.

        Notes
        -----
        Arrays in memory are checked once. Arrays in the core's form (see `train_on_batch`) are not copied; others are
        converted as a whole. The random numbers of an augmentation are a function of the network's seed, the step and
        the position in the batch. The augmentation is not part of a checkpoint: pass it to `fit` again after `resume`.

        Arrays in files of more than 64 MiB, and datasets of them, are read in windows of this size and never as a
        whole. To shuffle them, blocks of 1 MiB change places and then the rows within each window; the batch size, the
        size of rows, the seed and the epoch determine the order.

        An iterable, such as a data loader, begins anew in each epoch. An iterator, such as a generator, goes on,
        and for more than one epoch needs `steps_per_epoch`. To complete an interrupted epoch (see below), the batches
        that it has trained are taken from the iterable once more and left out.

        Exceptions from callbacks, metrics, iterables and custom layers or losses propagate, and the network stays as
        after the last step. The same holds for Ctrl-C; the next `fit` with the same number of rows and batch size first
        completes the interrupted epoch, with the bits of an uninterrupted run.

        Examples
        --------
        >>> import numpy as np
        >>> import nnfast as nf
        >>> from nnfast import layers
        >>> x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype="float32")
        >>> y = np.array([[0], [1], [1], [0]], dtype="float32")
        >>> net = nf.Network([layers.Input((2,)), layers.Dense(8, "tanh"), layers.Dense(1, "sigmoid")], seed=1)
        >>> trainer = nf.Trainer(net, loss="binary_cross_entropy", optimizer=nf.optimizers.Adam(0.1))
        >>> history = trainer.fit(x, y, epochs=100, batch_size=4)
        >>> net.predict(x).round().ravel()
        array([0., 1., 1., 0.], dtype=float32)
        """
        count, first = integer("fit", "epochs", epochs), integer("fit", "initial_epoch", initial_epoch, minimum=0)
        share = real("fit", "validation_split", validation_split, minimum=0.0, upper_bound=1.0)
        self.require_own_weights("fit")
        called = as_callbacks(callbacks)
        _require_augmentation(augmentation)
        data = as_dataset("fit", self.network, self.heads, x, y, sample_weight, class_weight)
        steps = None if validation_steps is None else integer("fit", "validation_steps", validation_steps)
        runs = max(0, count - first)
        validation = validation_of(data, validation_data, share, steps, runs, self.network, self.heads)
        if share:
            assert isinstance(data, ArrayDataset | ChunkedDataset)
            data, validation = data.split(share, self.heads)
        options = FeedOptions(
            integer("fit", "batch_size", batch_size),
            self.network.seed,
            runs,
            bool(shuffle),
            bool(drop_last),
            integer("fit", "prefetch", prefetch, minimum=0),
            None if steps_per_epoch is None else integer("fit", "steps_per_epoch", steps_per_epoch),
        )
        feed = feed_of(data, options)
        _require_all_rows(self.optimizer, feed)
        lock = self._lock()
        if lock.locked():
            raise RuntimeError(
                "fit: expected no other fit of this trainer to run, got a call from one of its callbacks or from "
                "another thread; make further steps with train_on_batch, or train a copy"
            )
        with self.network.parameters.training("fit"), lock:
            self._require(feed.batch_size, augmentation)
            loop = FitLoop(self, feed, validation, callbacks=called, progress=progress)
            return loop.run(first, count)

    def _lock(self) -> threading.Lock:
        """Held by a running `fit`. A process forked by another thread in the meantime has its own lock."""
        if self._fitting[0] != os.getpid():
            self._fitting = os.getpid(), threading.Lock()
        return self._fitting[1]

    # ---- evaluation ------------------------------------------------------------

    @named_arguments
    def evaluate(self, x: Any, y: Any = None, sample_weight: Any = None) -> dict[str, Any]:
        """Loss and metrics on data, without dropout and with the moving averages of batch normalization.

        Parameters
        ----------
        x : array_like (N, *input_shape), or list or dict of them, Dataset, or iterable of batches
            Or a function without arguments that returns such an iterable.
        y : array_like (N, ...), or list or dict of them
            Not with a Dataset or an iterable, which contain targets and weights.
        sample_weight : array_like (N,), or list or dict of them, optional
            Weights for the loss, as in `train_on_batch`, and for `weighted_metrics`, but not for `metrics`.

        Returns
        -------
        dict of str to float
            "loss" and the metrics by name; of a few metrics an array. They are infinity or NaN if the outputs are.

        Examples
        --------
        >>> import nnfast as nf
        >>> from nnfast import layers
        >>> net = nf.Network([layers.Input((2,)), layers.Activation("softmax")])
        >>> trainer = nf.Trainer(net, loss="cross_entropy", metrics=["accuracy"])
        >>> scores = trainer.evaluate([[1.0, 1.0], [0.0, 9.0]], [1, 1])
        >>> scores["accuracy"]
        0.5
        """
        return self.evaluate_dataset(as_dataset("evaluate", self.network, self.heads, x, y, sample_weight))

    def evaluate_dataset(self, data: AnyDataset) -> dict[str, Any]:
        """`evaluate` on data that have been checked."""
        done = 0
        totals: Array | None = None  # whose size depends on the data if metrics are functions
        for part in data.parts():
            with self.network.parameters.reading("evaluate"):
                self.require_plan(1, part)
                own = self.plan.evaluate(*part.core)
            if totals is None:
                totals = own
                measurements = self.heads.measurements
                measurements.start()
            else:
                self.plan.merge_totals(totals, own)
            if measurements.run_in_python:
                predictions = self.network.architecture.outputs.split(self.network.predict(part.x), "y")
                measurements.update(part.y_given, predictions, part.weight)
            done += len(part)
        assert totals is not None
        return self.core_logs(totals, done) | measurements.results()

    def core_logs(self, totals: Array, rows: int) -> dict[str, Any]:
        """Losses and the core's metrics by name, from their totals over the given number of rows."""
        return self.heads.logs(totals, rows, self.plan.metric_sizes)


def _does_not_fit(x: Any, y: Any, sample_weight: Any, learning_rate: Any) -> None:
    """Stand-in for the core's step where the targets decide what the loss is."""


def _require_all_rows(optimizer: optimizers.Optimizer, feed: Feed) -> None:
    if not optimizer.needs_all_rows or feed.batch_size >= feed.rows:
        return
    where = f"fit: expected all rows in one batch with {type(optimizer).__name__}"
    if isinstance(feed, BatchFeed):
        raise ValueError(f"{where}, got an iterable of batches; pass arrays, or steps_per_epoch=1")
    raise ValueError(f"{where}, got batches of {feed.batch_size} of {feed.rows}; pass batch_size={feed.rows}")


def _require_augmentation(augmentation: object) -> None:
    if augmentation is None:
        return
    # Imported here, because most programs do not need nnfast.data.
    from nnfast.data.augmentation import Augmentation

    if not isinstance(augmentation, Augmentation):
        got = type(augmentation).__name__
        raise TypeError(f"fit: expected augmentation as an nnfast.data.Augmentation, got {got}")
