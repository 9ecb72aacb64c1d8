"""The mapping behind `Network.parameters`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from nnfast import _core
from nnfast.core.arrays import as_numbers
from nnfast.core.digest import array_bytes, fingerprint
from nnfast.core.options import choose
from nnfast.core.typing import Array

__all__ = ["Parameters", "Trainables"]


class Parameters(Mapping[str, Array]):
    """Views of a network's parameters by full name; assigning to an entry writes the values into the network.

    Entries cannot be added or deleted. Pickling or copying gives a plain dict.

    Parameters
    ----------
    graph : _core.Graph
        The graph of the network.

    Raises
    ------
    RuntimeError
        On assignment, while another thread trains the network.

    Examples
    --------
    >>> import nnfast as nf
    >>> net = nf.Network([nf.layers.Input((2,)), nf.layers.Dense(1)], seed=0)
    >>> net.parameters["dense.kernel"] = [[1.0], [2.0]]
    >>> net.parameters["dense.bias"] += 0.5
    >>> net.predict([[1.0, 1.0]])
    array([[3.5]], dtype=float32)
    """

    def __init__(self, graph: _core.Graph) -> None:
        self._graph = graph
        self._views: dict[str, Array] = graph.parameters()

    def __getitem__(self, name: str) -> Array:
        try:
            return self._views[name]
        except KeyError:
            raise self._unknown(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def __contains__(self, name: object) -> bool:
        return name in self._views

    def __repr__(self) -> str:
        return f"Parameters({self._views!r})"

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def update(self, *values: Any, **more: Any) -> None:
        """Write values by name, like `dict.update`; after an error, none is written.

        Parameters
        ----------
        *values, **more
            A mapping, or pairs of a name and an array_like of the parameter's shape.
        """
        self.write("", dict(*values, **more))

    def matching(self, names: Sequence[str]) -> set[str]:
        """Full names of the parameters given by their names or by those of layers or networks; by default all."""
        layers = {name.partition(".")[0] for name in self}
        parts = {name.rpartition(".")[0] for name in self}  # layers of user-defined layers too
        networks = {layer.rpartition("/")[0] for layer in layers} - {""}
        valid = [*self, *sorted(layers | parts | networks)]
        found: set[str] = set()
        for name in names:
            choose("parameter or layer with parameters", name, valid)
            found |= {p for p in self if p == name or p.startswith((f"{name}.", f"{name}/"))}
        return found if names else set(self)

    def write(self, where: str, values: Mapping[str, Any]) -> None:
        """`update` with the name of the call for error messages."""
        for name in values:
            if name not in self._views:
                raise self._unknown(name)
        start = f"{where}: " if where else ""
        arrays = [_values_for(f"{start}{name}", self._views[name], value) for name, value in values.items()]
        views = [self._views[name] for name in values]
        with self.writing(where or "assignment to parameters"):
            # Consecutive NumPy calls without Python code in between, where Ctrl-C would be noticed.
            any(map(np.ndarray.__setitem__, views, [...] * len(arrays), arrays))

    def write_gradients(self, gradients: Mapping[str, Any], views: Mapping[str, Array]) -> None:
        """Write gradients by name to `views` of the trained parameters; after an error, none is written."""
        if not isinstance(gradients, Mapping):
            raise TypeError(
                f"apply_gradients: expected a mapping of names to gradients, got {type(gradients).__name__}"
            )
        for name in gradients:
            choose("trainable parameter", name, list(views))
        missing = [name for name in views if name not in gradients]
        if missing:
            raise ValueError(
                f"apply_gradients: expected a gradient of every trainable parameter, got none of {missing[0]!r}; "
                "freeze it, or give zeros"
            )
        arrays = {name: _values_for(f"gradient of {name}", view, gradients[name]) for name, view in views.items()}
        for name, view in views.items():
            view[...] = arrays[name]

    def reading(self, what: str) -> _core.UseBlock:
        """Context of the call `what` in which no other thread writes the parameters."""
        return self._graph.reading(what)

    def writing(self, what: str) -> _core.UseBlock:
        """Context of the call `what` in which no other thread reads or writes the parameters."""
        return self._graph.writing(what)

    def training(self, what: str) -> _core.UseBlock:
        """Context like `writing`, in which this thread may also read and write through other calls."""
        return self._graph.training(what)

    def __ior__(self, values: Any) -> Parameters:  # type: ignore[misc]  # where __or__ gives a dict
        self.update(values)
        return self

    def __or__(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return self._views | dict(values)

    def __ror__(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return dict(values) | self._views

    def copy(self) -> dict[str, Array]:
        """A plain dict of the same views."""
        return dict(self._views)

    def __reduce__(self) -> tuple[type, tuple[dict[str, Array]]]:
        return dict, (self.copy(),)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(
            "parameters: expected the network to keep its parameters, got one to delete or to add; use "
            "dict(net.parameters), a mapping of your own"
        )

    __delitem__ = pop = popitem = clear = setdefault = _refuse

    def _unknown(self, name: object) -> KeyError:
        try:
            choose("parameter", name, self._views)
        except (TypeError, ValueError) as error:
            return KeyError(str(error))
        raise AssertionError(name)


def _values_for(name: str, view: Array, value: Any) -> Array:
    """`value` as a new array for the parameter `view`: with its shape and dtype, and finite."""
    numbers = as_numbers(value, name, "values")
    if numbers.shape != view.shape:
        raise ValueError(f"{name}: expected shape {view.shape}, got {numbers.shape}{_shape_remedy(view, numbers)}")
    with np.errstate(over="ignore"):  # infinity is found below
        array = np.array(numbers, dtype=view.dtype)
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity, or too large for {view.dtype}")
    return array


def _shape_remedy(view: Array, numbers: Array) -> str:
    if numbers.ndim == 0:
        return "; write one number everywhere with net.parameters[name][...] = number"
    if numbers.T.shape == view.shape:
        return "; transpose it with .T"
    return ""


class Trainables:
    """What a network's parameters are: trained, frozen, or moving averages and constants."""

    parameters: Parameters
    seed: int
    training_calls: int
    """Random numbers of `vjp` and `loss_and_gradients` depend on it."""
    version: int
    """Counts changes of what is frozen; trainers look at it."""
    _frozen: set[str]
    _statistics: frozenset[str]

    @property
    def trainable(self) -> list[str]:
        """Full names of the parameters that an optimizer changes."""
        return [name for name in self.parameters if name not in self._frozen | self._statistics]

    @property
    def frozen(self) -> list[str]:
        """Full names of the parameters, including moving averages, that training does not change."""
        return [name for name in self.parameters if name in self._frozen]

    @property
    def statistics(self) -> list[str]:
        """Full names of moving averages and of constants, which optimizers do not change."""
        return [name for name in self.parameters if name in self._statistics]

    def get_weights(self) -> list[Array]:
        """Copies of all parameters, in the order of `parameters`."""
        with self.parameters.reading("get_weights"):
            return [view.copy() for view in self.parameters.values()]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Set all parameters, in the order of `parameters`; after an error, none is changed.

        Parameters
        ----------
        weights : sequence of array_like
            One array of finite numbers per parameter, with its shape.
        """
        given = list(weights)
        if len(given) != len(self.parameters):
            raise ValueError(f"set_weights: expected {len(self.parameters)} arrays, got {len(given)}")
        self.parameters.write("set_weights", dict(zip(self.parameters, given, strict=True)))

    def fingerprint(self) -> str:
        """Short hash of all parameters, by which two machines can compare a result in one line.

        The first 16 hexadecimal digits of the SHA-256 of names, dtypes, shapes and bits of the parameters, in the order
        of `parameters`. Two networks with the same fingerprint have the same parameters; a difference in the last bit
        of one number gives another fingerprint. Seed, layers without parameters and frozen names do not count.

        Examples
        --------
        >>> import nnfast as nf
        >>> net = nf.Network([nf.layers.Input((2,)), nf.layers.Dense(1, kernel_initializer="ones")])
        >>> net.fingerprint()
        'c66ba4bf63b387aa'
        """
        with self.parameters.reading("fingerprint"):
            views = self.parameters.items()
            tensors = [(name, view.dtype.name, view.shape, [array_bytes(view)]) for name, view in views]
            return fingerprint("", tensors)

    def set_state(self, values: Mapping[str, Array], frozen: Iterable[str]) -> None:
        """Copy parameters by name, and the set of frozen ones."""
        with self.parameters.writing("set_state"):
            for name, view in self.parameters.items():
                view[...] = values[name]
        self._frozen = set(frozen)
        self.version += 1

    def take_over(self, other: Trainables) -> None:
        """Copy everything that changes from a network with the same layers, and its seed."""
        self.set_state(other.parameters, other.frozen)
        self.training_calls = other.training_calls
        if other.seed != self.seed:
            self.seed = other.seed
            self._make_predictor()

    def _make_predictor(self) -> None:
        raise NotImplementedError

    def freeze(self, *names: str) -> None:
        """Exclude parameters from training; trainers take this into account from the next step on.

        If the moving averages of a `layers.BatchNormalization` are frozen, training uses them too.

        Parameters
        ----------
        *names : str
            Full names such as "dense.bias", or names of layers for all their parameters; by default all.

        Examples
        --------
        >>> import nnfast as nf
        >>> net = nf.Network([nf.layers.Input((4,)), nf.layers.Dense(3)], seed=0)
        >>> net.freeze("dense.bias")
        >>> net.trainable
        ['dense.kernel']
        """
        named = self.parameters.matching(names)
        self.version += 1  # first: an interruption in between then costs a new plan, but is not missed
        self._frozen |= named

    def unfreeze(self, *names: str) -> None:
        """Include parameters in training again; names as for `freeze`."""
        named = self.parameters.matching(names)
        self.version += 1
        self._frozen -= named
