"""Ensembles: several networks whose predictions are averaged."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from nnfast import _core
from nnfast.core.arrays import as_numbers
from nnfast.core.digest import fingerprint
from nnfast.core.machine import get_num_threads
from nnfast.core.options import integer, named_arguments
from nnfast.core.slices import any_sliced, without_maps
from nnfast.core.text import short_repr
from nnfast.network import Network
from nnfast.training.callbacks.base import Callback, as_callbacks
from nnfast.training.history import History
from nnfast.training.plans import take_over
from nnfast.training.sources import BatchDataset, as_dataset, is_alone
from nnfast.training.trainer import Trainer
from nnfast.training.voting import ballot, identity, losses_of

if TYPE_CHECKING:
    from nnfast.training.dataset import ArrayDataset

__all__ = ["Ensemble"]

_COMBINE = ("mean", "vote")
_MEMBER = "{member}"
"""Stands for the number of a member in the paths of callbacks."""


class Ensemble:
    """A committee: several networks whose predictions are averaged, or that vote.

    The mean of M members is y = sum_i w_i y_i / sum_i w_i, where the weights w_i are 1 by default. With independent
    errors, its expected squared error is 1 / M of that of a member.

    Parameters
    ----------
    networks : sequence of Network
        One or more, with the same inputs and outputs. They may have different layers.
    combine : {"mean", "vote"}, default "mean"
        "mean" averages the outputs: probabilities, or the values of a regression. With "vote", the output is the
        fraction of the votes for each class; a member votes for its most probable class, the first of several. With
        `BinaryCrossEntropy`, and with outputs of a sigmoid and no loss, it votes on each label: for 1 if its
        probability is more than 0.5, or the logit more than 0.
    weights : sequence of float, optional
        One for each network, 0 or larger, and not all 0.
    **settings
        Arguments of `Trainer`, such as `loss`, `optimizer` and `metrics`, for `fit` and `evaluate`. Each member is
        trained by a separate trainer and optimizer.

    Attributes
    ----------
    networks : tuple of Network
    trainers : tuple of Trainer
        Empty without settings.
    combine : str
    weights : tuple of float

    Raises
    ------
    ValueError
        If the networks have different inputs or outputs, or are to vote on the values of a regression.

    Notes
    -----
    Predictions are summed in float64 in the order of the members. Ensembles can be pickled and copied with
    `copy.deepcopy`, like networks and trainers.

    References
    ----------
    Hansen and Salamon (1990), Neural network ensembles, DOI 10.1109/34.58871. Committees on MNIST: Ciresan, Meier,
    Gambardella, Schmidhuber (2011), Convolutional neural network committees for handwritten character classification,
    DOI 10.1109/ICDAR.2011.229.

    Examples
    --------
    >>> import numpy as np
    >>> import nnfast as nf
    >>> from nnfast import layers
    >>> def member(seed):
    ...     return nf.Network([layers.Input((1,)), layers.Dense(8, "tanh"), layers.Dense(1)], seed=seed)
    >>> ensemble = nf.Ensemble.build(member, 3, loss="mse", optimizer=nf.optimizers.Adam(0.05))
    >>> x = np.linspace(-1, 1, 40, dtype="float32")[:, None]
    >>> histories = ensemble.fit(x, x**2, epochs=100, batch_size=40)
    >>> ensemble.evaluate(x, x**2)["loss"] < 0.01
    True
    >>> ensemble
    <Ensemble of 3 networks, mean: input (1,), output (1,), 75 parameters>
    """

    def __init__(
        self,
        networks: Sequence[Network],
        *,
        combine: Literal["mean", "vote"] = "mean",
        weights: Sequence[float] | None = None,
        **settings: Any,
    ) -> None:
        self.networks = _checked_networks(networks)
        if not isinstance(combine, str) or combine not in _COMBINE:
            raise ValueError(f'Ensemble: expected combine "mean" or "vote", got {short_repr(combine)}')
        self.combine: str = combine
        self.weights = _checked_weights(weights, len(self.networks))
        self.trainers: tuple[Trainer, ...] = ()
        if settings:
            self._make_trainers([settings] * len(self.networks))

    @classmethod
    def build(
        cls,
        function: Callable[[int], Any],
        count: int | None = None,
        seeds: Iterable[int] | None = None,
        *,
        combine: Literal["mean", "vote"] = "mean",
        weights: Sequence[float] | None = None,
        **settings: Any,
    ) -> Self:
        """An ensemble of the networks that a function makes, one for each seed.

        Parameters
        ----------
        function : callable
            ``function(seed)`` returns a Network with this seed, or (Network, dict) with settings of its trainer.
        count : int, optional
            Number of networks, with the seeds 0, 1, ..., count - 1.
        seeds : iterable of int, optional
            Instead of `count`.
        combine, weights
            See `Ensemble`.
        **settings
            For all trainers; those that `function` returns come first.

        Examples
        --------
        >>> import nnfast as nf
        >>> def member(seed):
        ...     return nf.Network([nf.layers.Input((2,)), nf.layers.Dense(3, "softmax")], seed=seed)
        >>> [net.seed for net in nf.Ensemble.build(member, seeds=[3, 5]).networks]
        [3, 5]
        """
        if (count is None) == (seeds is None):
            raise ValueError("Ensemble.build: expected either count= or seeds=")
        numbers = range(integer("Ensemble.build", "count", count)) if seeds is None else list(seeds)
        made = [_network_and_settings(function(seed)) for seed in numbers]
        for seed, (network, _) in zip(numbers, made, strict=True):
            if network.seed != seed:
                raise ValueError(
                    f"Ensemble.build: expected a network with seed={seed}, got seed={network.seed}; pass the argument "
                    "of the function on: Network(..., seed=seed)"
                )
        ensemble = cls([network for network, _ in made], combine=combine, weights=weights)
        all_settings = [{**settings, **own} for _, own in made]
        if any(all_settings):
            ensemble._make_trainers(all_settings)
        return ensemble

    def _make_trainers(self, all_settings: Sequence[Mapping[str, Any]]) -> None:
        # A trainer's optimizer has a learning rate that callbacks change.
        self.trainers = tuple(
            Trainer(network, **{**settings, "optimizer": copy.deepcopy(settings.get("optimizer", "adam"))})
            for network, settings in zip(self.networks, all_settings, strict=True)
        )
        if self.combine == "vote":
            for trainer in self.trainers:  # known before training
                for output in {head.output for head in trainer.heads.all}:
                    ballot(trainer.network, trainer, output)

    def __len__(self) -> int:
        return len(self.networks)

    def __repr__(self) -> str:
        first, parameters = self.networks[0], sum(network.num_parameters for network in self.networks)
        return (
            f"<Ensemble of {len(self)} networks, {self.combine}: input {first.input_shape}, output "
            f"{first.output_shape}, {parameters} parameters>"
        )

    # ---- training ------------------------------------------------------------

    @named_arguments
    def fit(self, x: Any, y: Any = None, *, n_jobs: int | None = None, **options: Any) -> list[History]:
        """Train each network on the same data, one after the other or in several processes.

        Parameters
        ----------
        x, y
            As in `Trainer.fit`, but no iterator, which only the first network could read.
        n_jobs : int, optional
            Number of processes; -1 for one per processor. They share the threads of this process. The default, like 1,
            trains one network at a time with all threads. Requires joblib. The bits are the same for any number.
        **options
            Arguments of `Trainer.fit`, such as `epochs`. Each member has a copy of the callbacks. In the paths of
            callbacks that write files, ``{member}`` is the member's number, from 0.

        Returns
        -------
        list of History
            One for each network.

        Raises
        ------
        TypeError
            If several networks are to read the same iterator.
        ValueError
            If callbacks of several networks are to write the same file.

        Notes
        -----
        With several processes, data and settings are pickled, large arrays are shared through memory maps, nothing is
        shown unless ``progress=True``, and after an error or Ctrl-C all networks are as before.

        Examples
        --------
        >>> import nnfast as nf
        >>> def member(seed):
        ...     return nf.Network([nf.layers.Input((1,)), nf.layers.Dense(1)], seed=seed)
        >>> ensemble = nf.Ensemble.build(member, 2, loss="mse")
        >>> [len(history["loss"]) for history in ensemble.fit([[1.0]], [[2.0]], epochs=5)]
        [5, 5]
        """
        trainers = self._required_trainers("fit")
        jobs = min(_number_of_jobs(n_jobs), len(trainers))
        for name, data in {"x": x, "validation_data": options.get("validation_data")}.items():
            if len(trainers) > 1 and isinstance(data, Iterator):
                raise TypeError(
                    f"fit: expected data that each of {len(trainers)} networks can read, got an iterator "
                    f"({type(data).__name__}) as {name}, which can be read once; pass arrays, a Dataset, an object "
                    "whose __iter__ begins anew, or the function that makes the iterator"
                )
        callbacks = _callbacks_of_members(options.pop("callbacks", None), len(trainers))
        if jobs == 1:
            fits = zip(trainers, callbacks, strict=True)
            return [trainer.fit(x, y, callbacks=own, **options) for trainer, own in fits]
        from joblib import Parallel, delayed  # type: ignore[import-untyped]

        threads = max(1, get_num_threads() // jobs)
        options = {**options, "progress": options.get("progress") or False}
        # joblib makes memory maps of large arrays, but these are to be trained on as arrays are.
        in_memory = not any_sliced(x, y)
        calls = [
            delayed(_fit_in_worker)(threads, trainer, x, y, {**options, "callbacks": own}, in_memory)
            for trainer, own in zip(trainers, callbacks, strict=True)
        ]
        results = Parallel(n_jobs=jobs)(calls)
        for trainer, (trained, _) in zip(trainers, results, strict=True):
            take_over(trainer, trained)
        return [history for _, history in results]

    def _required_trainers(self, what: str) -> tuple[Trainer, ...]:
        if not self.trainers:
            raise RuntimeError(
                f"{what}: expected an ensemble with settings for trainers; make one of its networks: "
                "Ensemble(ensemble.networks, loss=..., optimizer=...)"
            )
        return self.trainers

    # ---- prediction ----------------------------------------------------------

    def predict(self, x: Any, batch_size: int | None = None) -> Any:
        """The combined output of the networks.

        Parameters
        ----------
        x, batch_size
            As in `Network.predict`.

        Returns
        -------
        ndarray (N, *output_shape), or list or dict of them

        Examples
        --------
        >>> import nnfast as nf
        >>> def member(value):
        ...     return nf.Network([nf.layers.Input((1,)), nf.layers.Dense(1, kernel_initializer=[[value]])])
        >>> nf.Ensemble([member(1.0), member(4.0)], weights=[2, 1]).predict([[1.0]])
        array([[2.]], dtype=float32)
        """
        ends, total = self.networks[0].architecture.outputs, sum(self.weights)
        sums: list[Any] = [0.0] * len(ends.names)
        dtypes: list[Any] = ["float32"] * len(ends.names)
        for i, (network, weight) in enumerate(zip(self.networks, self.weights, strict=True)):
            counted = self._ballots(i)
            own = network.architecture.outputs.split(network.predict(x, batch_size), "y")
            sums = [both + weight / total * count(part) for both, count, part in zip(sums, counted, own, strict=True)]
            dtypes = list(map(np.result_type, dtypes, own))
        return ends.arrange([both.astype(dtype) for both, dtype in zip(sums, dtypes, strict=True)])

    __call__ = predict

    def _ballots(self, member: int) -> list[Callable[[Any], Any]]:
        """What is summed of each output of a member."""
        network, trainer = self.networks[member], self.trainers[member] if self.trainers else None
        outputs = range(len(network.architecture.outputs.names))
        return [ballot(network, trainer, i) if self.combine == "vote" else np.float64 for i in outputs]

    def evaluate(self, x: Any, y: Any = None, sample_weight: Any = None) -> dict[str, Any]:
        """Loss and metrics of the combined output, with the settings of the first network.

        Parameters
        ----------
        x, y, sample_weight
            As in `Trainer.evaluate`.

        Returns
        -------
        dict of str to float

        Notes
        -----
        Terms of `Network.add_loss` and of layers, which belong to single networks, are not part of the loss. For losses
        with ``from_logits=True``, the combined output is the mean of the logits; of votes, the logits are those of
        their fractions.

        Examples
        --------
        >>> import nnfast as nf
        >>> def member(value):
        ...     return nf.Network([nf.layers.Input((1,)), nf.layers.Dense(1, kernel_initializer=[[value]])])
        >>> nf.Ensemble([member(1.0), member(3.0)], loss="mse").evaluate([[1.0]], [[2.5]])
        {'loss': 0.25}
        """
        (first, *_) = self._required_trainers("evaluate")
        scored = Trainer(
            identity(self.networks[0], losses_of(first) if self.combine == "vote" else {}),
            loss=first.loss,
            loss_weights=first.loss_weights,
            metrics=first.metrics,
            weighted_metrics=first.weighted_metrics,
        )
        if not is_alone(x):
            return scored.evaluate(self.predict(x), y, sample_weight)
        heads = first.heads
        data = as_dataset("evaluate", first.network, heads, x, y, sample_weight)
        batches = (
            (
                self.predict(part.x),
                heads.arrange(part.y_given),
                None if all(own is None for own in part.weight) else heads.arrange(part.weight),
            )
            for part in data.parts()
        )
        return scored.evaluate_dataset(_InTurn("evaluate", scored.network, scored.heads, batches))

    # ---- copies and files ------------------------------------------------------

    def copy(self) -> Ensemble:
        """A copy with copies of the networks and without trainers."""
        return Ensemble([network.copy() for network in self.networks], combine=self.combine, weights=self.weights)  # type: ignore[arg-type]

    def fingerprint(self) -> str:
        """Short hash of the parameters of all networks, see `Network.fingerprint`."""
        return fingerprint("\n".join(network.fingerprint() for network in self.networks), [])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all networks to one safetensors file, atomically.

        Parameters
        ----------
        path : str or path-like

        Raises
        ------
        TypeError, ValueError
            As in `Network.save`.

        Examples
        --------
        >>> import os, tempfile
        >>> import nnfast as nf
        >>> def member(seed):
        ...     return nf.Network([nf.layers.Input((2,)), nf.layers.Dense(3, "softmax")], seed=seed)
        >>> ensemble = nf.Ensemble.build(member, 3)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     ensemble.save(os.path.join(folder, "ensemble.safetensors"))
        ...     same = nf.Ensemble.load(os.path.join(folder, "ensemble.safetensors"))
        >>> same.fingerprint() == ensemble.fingerprint()
        True
        """
        from nnfast.io.several_networks import save_networks

        save_networks(self.networks, {"combine": self.combine, "weights": list(self.weights)}, path)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, custom_objects: Mapping[str, Any] | None = None, **settings: Any
    ) -> Self:
        """Read an ensemble written by `save`. Files from untrusted sources are safe to load, see `Network.load`.

        Parameters
        ----------
        path : str or path-like
        custom_objects : dict, optional
            User-defined classes by name.
        **settings
            For trainers, as in `Ensemble`.

        Raises
        ------
        ValueError
            If the file is damaged or not of an ensemble, or a custom class is missing.
        """
        from nnfast.io.several_networks import load_networks

        networks, facts = load_networks(path, custom_objects)
        try:
            return cls(networks, combine=facts.get("combine"), weights=facts.get("weights"), **settings)  # type: ignore[arg-type]
        except (ValueError, TypeError) as error:
            raise type(error)(f"{os.fspath(path)}: {error}") from error


def _checked_networks(networks: Any) -> tuple[Network, ...]:
    if isinstance(networks, Network) or not isinstance(networks, Iterable):
        raise TypeError(f"Ensemble: expected a list of networks, got {short_repr(networks)}")
    found = tuple(networks)
    if not found:
        raise ValueError("Ensemble: expected one network or more, got none")
    for i, network in enumerate(found):
        if not isinstance(network, Network):
            raise TypeError(f"Ensemble: expected networks, got {short_repr(network)} as networks[{i}]")
        for what in ("input_shape", "output_shape"):
            expected, got = getattr(found[0], what), getattr(network, what)
            if expected != got:
                raise ValueError(
                    f"Ensemble: expected {what} {expected}, as networks[0] has, got {got} of networks[{i}]"
                )
        if any(network is other for other in found[:i]):
            raise ValueError(f"Ensemble: expected different networks, got one again as networks[{i}]; use its copy()")
    return found


def _checked_weights(weights: Any, count: int) -> tuple[float, ...]:
    if weights is None:
        return (1.0,) * count
    numbers = as_numbers(weights, "Ensemble", "weights").astype("float64")
    if numbers.shape != (count,):
        raise ValueError(f"Ensemble: expected {count} weights, one for each network, got shape {numbers.shape}")
    if not np.isfinite(numbers).all() or (numbers < 0).any() or not numbers.any():
        raise ValueError(f"Ensemble: expected weights of 0 or more, and not all 0, got {short_repr(weights)}")
    return tuple(numbers.tolist())


def _network_and_settings(made: Any) -> tuple[Network, Mapping[str, Any]]:
    network, settings = made if isinstance(made, tuple) and len(made) == 2 else (made, {})
    if not isinstance(network, Network) or not isinstance(settings, Mapping):
        raise TypeError(
            "Ensemble.build: expected a function that returns a Network, or a Network and a dict of arguments of "
            f"Trainer, got {short_repr(made)} from it"
        )
    return network, settings


def _number_of_jobs(n_jobs: Any) -> int:
    if n_jobs is None:
        return 1
    jobs = integer("fit", "n_jobs", n_jobs, minimum=-1)
    if jobs == 0:
        raise ValueError("fit: expected n_jobs >= 1, or -1 for one process per processor, got 0")
    if jobs == 1:
        return 1
    try:
        import joblib
    except ImportError as error:
        raise ImportError(
            "fit: expected joblib, which n_jobs requires and which is not installed; run `pip install joblib`, or "
            "leave out n_jobs"
        ) from error
    return int(joblib.effective_n_jobs(jobs))


def _callbacks_of_members(given: Any, count: int) -> list[tuple[Callback, ...]]:
    """Copies of the callbacks for each member, with its number in the paths of files."""
    callbacks = as_callbacks(given)
    for callback in callbacks:
        for name, path in _paths_of(callback).items():
            if count > 1 and _MEMBER not in path:
                where, (stem, ending) = type(callback).__name__, os.path.splitext(path)
                raise ValueError(
                    f"fit: expected a path with {_MEMBER}, the number of the network, in {where}, got {name}={path!r}, "
                    f"which all {count} networks would write; write {where}({stem + '-' + _MEMBER + ending!r})"
                )
    copies = [copy.deepcopy(callbacks) for _ in range(count)]
    for number, own in enumerate(copies):
        for callback in own:
            for name, path in _paths_of(callback).items():
                setattr(callback, name, path.replace(_MEMBER, str(number)))
    return copies


def _paths_of(callback: Callback) -> dict[str, str]:
    """Paths of the files that a callback writes, by the names of its attributes."""
    found = {name: vars(callback).get(name) for name in ("path", "filepath", "filename", "log_dir")}
    return {name: os.fspath(path) for name, path in found.items() if isinstance(path, str | os.PathLike)}


def _fit_in_worker(
    threads: int, trainer: Trainer, x: Any, y: Any, options: Mapping[str, Any], in_memory: bool
) -> tuple[Trainer, History]:
    if in_memory:
        x, y, options = without_maps(x), without_maps(y), without_maps(options)
    before = _core.get_num_threads()
    _core.set_num_threads(threads)
    try:
        history = trainer.fit(x, y, **options)
    finally:
        _core.set_num_threads(before)  # the process is used again
    return trainer, history


class _InTurn(BatchDataset):
    """Batches that are made where they are used: no second thread runs the networks meanwhile."""

    def parts(self) -> Iterator[ArrayDataset]:
        return self.checked(self.items())
