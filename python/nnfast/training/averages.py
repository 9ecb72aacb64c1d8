"""Moving averages of the weights: how a trainer puts them in the place of the weights, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from nnfast import _core
from nnfast.core.typing import Array
from nnfast.training.plans import AVERAGE, parts_of

if TYPE_CHECKING:
    from nnfast.network import Network
    from nnfast.optimizers import Optimizer

__all__ = ["AveragedWeights", "with_own_weights"]


class AveragedWeights:
    """The part of a trainer that concerns the moving averages of the optimizer's option `use_ema`."""

    network: Network
    optimizer: Optimizer
    plan: _core.Plan
    exchanged: tuple[str, ...] = ()
    """The parameters whose averages are in their place; their own values are in the state of the plan then."""
    _kept: tuple[list[Array], list[Array]] = [], []
    """Their own values, and their averages."""

    def choose_fast_step(self) -> None:
        """Set what `train_on_batch` calls first; defined by the trainer."""
        raise NotImplementedError

    @contextmanager
    def averaged_weights(self) -> Iterator[Network]:
        """Context in which the network has the moving averages of its weights, to evaluate, predict or save with them.

        At its end, also after an exception, the network gets its own weights back; what is written to them inside is
        lost. Training inside is refused. A checkpoint that is saved inside contains both and resumes outside.

        Returns
        -------
        context manager
            Its value is the network.

        Raises
        ------
        RuntimeError
            If the optimizer has no `use_ema`, or if the averages are in place already.

        Notes
        -----
        Averages are kept of trained parameters. Frozen ones, those that have not made a step, and the moving statistics
        of batch normalization stay as they are.

        Examples
        --------
        >>> import nnfast as nf
        >>> net = nf.Network([nf.layers.Input((1,)), nf.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
        >>> optimizer = nf.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5)
        >>> trainer = nf.Trainer(net, loss="half_squared_error", optimizer=optimizer)
        >>> for _ in range(2):
        ...     loss = trainer.train_on_batch([[1.0]], [[4.0]])
        >>> with trainer.averaged_weights():
        ...     print(net.predict([[1.0]]))
        [[2.5]]
        >>> net.predict([[1.0]])
        array([[3.]], dtype=float32)
        """
        self.exchange_weights("averaged_weights")
        try:
            yield self.network
        finally:
            self.restore_weights()

    def finalize_variable_values(self) -> None:
        """Replace the weights by their moving averages, for good.

        Raises
        ------
        RuntimeError
            As in `averaged_weights`.

        Examples
        --------
        >>> import nnfast as nf
        >>> net = nf.Network([nf.layers.Input((1,)), nf.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
        >>> optimizer = nf.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5)
        >>> trainer = nf.Trainer(net, loss="half_squared_error", optimizer=optimizer)
        >>> for _ in range(2):
        ...     loss = trainer.train_on_batch([[1.0]], [[4.0]])
        >>> trainer.finalize_variable_values()
        >>> net.predict([[1.0]])
        array([[2.5]], dtype=float32)
        """
        values, averages = self._views("finalize_variable_values")
        self._write(values, averages)

    def exchange_weights(self, what: str) -> None:
        """Begin of the block `averaged_weights`, for the call `what`."""
        values, averages = self._views(what)
        self._kept = [view.copy() for view in values], [view.copy() for view in averages]
        own, means = self._kept
        self.exchanged = tuple(self._averaged())
        self.choose_fast_step()
        self._write([*values, *averages], [*means, *own])

    def restore_weights(self) -> None:
        """End of the block `averaged_weights`; nothing outside of one."""
        if not self.exchanged:
            return
        average = parts_of(self.network, self.plan.state()[AVERAGE])  # of the current plan
        values = [self.network.parameters[name] for name in self.exchanged]
        averages = [average[name] for name in self.exchanged]
        own, means = self._kept
        self._write([*values, *averages], [*own, *means])
        self.exchanged, self._kept = (), ([], [])
        self.choose_fast_step()

    def require_averages(self, what: str) -> None:
        """Refuse the call `what` of an optimizer without `use_ema`."""
        if not getattr(self.optimizer, "use_ema", False):
            raise RuntimeError(
                f"{what}: expected an optimizer that keeps moving averages, got {self.optimizer!r}; make one with "
                "use_ema=True, and a new Trainer"
            )

    def require_own_weights(self, what: str) -> None:
        """Refuse the call `what` while averages are in place of the weights."""
        if self.exchanged:
            raise RuntimeError(
                f"{what}: expected the network's own weights, got their moving averages; leave the block of "
                "averaged_weights() first"
            )

    def _averaged(self) -> list[str]:
        """Names of the parameters that have an average."""
        steps = self.plan.steps
        return [name for name in self.network.trainable if steps[name] > 0]

    def _views(self, what: str) -> tuple[list[Array], list[Array]]:
        """The parameters that have an average, and their averages."""
        self.require_averages(what)
        self.require_own_weights(what)
        average = parts_of(self.network, self.plan.state()[AVERAGE])
        names = self._averaged()
        return [self.network.parameters[name] for name in names], [average[name] for name in names]

    def _write(self, views: list[Array], values: list[Array]) -> None:
        with self.network.parameters.writing("averaged_weights"):
            # Consecutive NumPy calls without Python code in between, where Ctrl-C would be noticed.
            any(map(np.ndarray.__setitem__, views, [...] * len(views), values))


def with_own_weights(tensors: Mapping[str, Any], names: tuple[str, ...], prefix: str) -> dict[str, Any]:
    """The tensors of a checkpoint with parameters and averages where they belong; see `AveragedWeights.exchanged`."""
    swapped = {name: f"{prefix}{AVERAGE}/{name}" for name in names}
    return {**tensors, **{a: tensors[b] for a, b in swapped.items()}, **{b: tensors[a] for a, b in swapped.items()}}
