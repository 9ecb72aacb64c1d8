"""The base class of all layers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from weakref import WeakSet

import numpy as np
from numpy.typing import ArrayLike

from nnfast import _core
from nnfast.core.options import Configured, choose, unknown_attribute
from nnfast.core.tensor import Tensor, output_name
from nnfast.core.text import short_repr
from nnfast.core.typing import Array, Shape, Spec, Unbatched
from nnfast.initializers import fans

if TYPE_CHECKING:
    from nnfast.network import Network

__all__ = ["Layer", "MultiOutput", "Source"]

_PARAMETERS = ("kernel", "bias", "embeddings", "gamma", "beta", "moving_mean", "moving_variance")
_VALID_NAME = re.compile(r"(?!optimizer/)[A-Za-z0-9_][A-Za-z0-9_\- /]{0,99}")
"""The slash parts the layers of a network within a network. Files have the optimizer's state behind "optimizer/"."""


class Source(NamedTuple):
    """A layer of another network, by name."""

    network: Network
    name: str


class Layer(Configured):
    """Base class of all layers.

    A layer becomes part of a network in a list of layers, or by being called on the symbolic tensor of its input
    (merging layers: on a list of tensors). A layer that is called again shares its parameters between the calls.

    To define a custom layer, derive it from `CustomLayer`. See `nnfast.layers` for the parameters.

    Notes
    -----
    Once a layer is part of a network, its parameters are attributes: ``hidden.kernel`` is the same view as
    ``net.parameters["hidden.kernel"]``.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> hidden = layers.Dense(10, activation="relu", name="hidden")
    >>> hidden
    Dense(10, activation='relu', name='hidden')
    >>> net = Network([layers.Input((4,)), hidden], seed=0)
    >>> hidden.set_weights([weights / 2 for weights in hidden.get_weights()])
    >>> hidden.kernel.shape, [weights.shape for weights in hidden.get_weights()]
    ((4, 10), [(4, 10), (10,)])
    """

    op: ClassVar[str]
    num_inputs: ClassVar[int | None] = 1
    """How many inputs the layer takes; None for any number."""
    passes_mask: bool = False
    """Whether a mask of the inputs is one of the output too: the layer treats each step (N, T) by itself."""
    _name: str | None = None
    _trainable: bool | tuple[str, ...] = True
    tied_to: Any = None
    """The layer, or its name, one of whose parameters this one uses too."""
    source: Source | None = None
    """Of a layer of a network that is used as a layer: where its values come from."""
    _networks: WeakSet[Network] | None = None
    """The networks that the layer is part of."""

    def __init__(self, *, name: str | None = None) -> None:
        if name is not None:
            self.take_name(name)

    @property
    def name(self) -> str | None:
        """Name of the layer; None until it is given or assigned by a network."""
        return self._name

    def take_name(self, name: Any) -> None:
        """Set the name; called by the network that the layer becomes part of."""
        if not isinstance(name, str) or not _VALID_NAME.fullmatch(name):
            raise ValueError(
                f"{type(self).__name__}: expected a name of at most 100 letters, digits, _, -, / and spaces, which "
                f"begins with a letter, a digit or _ and not with optimizer/, got {short_repr(name)}"
            )
        self._name = name

    @property
    def place(self) -> str:
        """Name of the layer in error messages."""
        return self._name or self.default_name()

    def join(self, network: Network) -> None:
        """Make the layer part of a network; called by the network."""
        if self._networks is None:
            self._networks = WeakSet()
        self._networks.add(network)

    def _network(self) -> Network:
        """The network that the layer is part of; an error unless there is exactly one."""
        networks = list(self._networks or ())
        if len(networks) != 1:
            was = f"part of {len(networks)} networks" if networks else "not part of a network"
            remedy = "use net.parameters of one of them" if networks else "put it into a Network first"
            raise RuntimeError(f"{self.place}: the layer is {was}, so it has no parameters of its own; {remedy}")
        return networks[0]

    def _parameters(self, network: Network) -> dict[str, Array]:
        start = f"{self.place}."
        return {name.removeprefix(start): view for name, view in network.parameters.items() if name.startswith(start)}

    def get_weights(self) -> list[Array]:
        """Copies of the layer's parameters, in the order of `Network.parameters`.

        Raises
        ------
        RuntimeError
            If the layer is not part of exactly one network.
        """
        network = self._network()
        with network.parameters.reading("get_weights"):
            return [view.copy() for view in self._parameters(network).values()]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Set the layer's parameters: either all of them or, after an error, none.

        Parameters
        ----------
        weights : sequence of array_like
            One array per parameter, in the order of `get_weights`.

        Raises
        ------
        RuntimeError
            If the layer is not part of exactly one network.
        """
        network = self._network()
        own = self._parameters(network)
        if len(weights) != len(own):
            raise ValueError(f"{self.place}: expected {len(own)} arrays, for {', '.join(own)}, got {len(weights)}")
        new = {f"{self.place}.{name}": array for name, array in zip(own, weights, strict=True)}
        network.set_weights([new.get(name, view) for name, view in network.parameters.items()])

    def __getattr__(self, name: str) -> Any:
        if name in _PARAMETERS or (self._networks and not name.startswith("_")):
            try:
                own = self._parameters(self._network())
            except RuntimeError as error:
                raise AttributeError(str(error)) from None
            if name in own:
                return own[name]
        raise unknown_attribute(type(self).__name__, name, dir(self))

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the networks that the layer is part of: a copy belongs to none."""
        return {key: value for key, value in self.__dict__.items() if key not in ("_networks", "source")}

    @property
    def trainable(self) -> bool | tuple[str, ...]:
        """Which parameters are trained initially: all, none, or the named ones."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool | Sequence[str]) -> None:
        raise AttributeError(
            f"{self.place}: trainable is given when a layer is made; later call the network's "
            'freeze("<layer>") or unfreeze("<layer>")'
        )

    def _declare_trainable(self, trainable: bool | Sequence[str]) -> None:
        if isinstance(trainable, bool | np.bool_):
            self._trainable = bool(trainable)
        elif isinstance(trainable, str):
            self._trainable = (trainable,)
        elif isinstance(trainable, list | tuple | set | frozenset):
            self._trainable = tuple(trainable)
        else:
            kind = type(self).__name__
            raise TypeError(f"{kind}: expected trainable as True, False or names of parameters, got {trainable!r}")

    def trains(self, parameter: str) -> bool:
        """Whether a parameter is trained initially; `Network.trainable` lists those that are trained now.

        Parameters
        ----------
        parameter : str
            Name within the layer, for example "kernel". The name is not checked.

        Examples
        --------
        >>> from nnfast import layers
        >>> layers.Dense(2, trainable=("kernel",)).trains("bias")
        False
        """
        if self.source is not None:
            return f"{self.source.name}.{parameter}" not in self.source.network.frozen
        return self._trainable if isinstance(self._trainable, bool) else parameter in self._trainable

    def default_name(self) -> str:
        """The class name in snake case: LeakyReLU becomes "leaky_relu"."""
        words = type(self).__name__.replace("ReLU", "Relu").replace("SiLU", "Silu")
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", words).lower()

    def spec(self, input_shapes: list[Shape]) -> Spec:
        """Description of the layer for the core, given the shapes of its inputs (without the batch axis)."""
        return {"op": self.op}

    def mask_spec(self) -> Spec | None:
        """Description for the core of the mask that the layer makes of its input; None if it makes none."""
        return None

    def initializer(self, parameter: str) -> Any:
        """Initial values of a parameter: anything that `nnfast.initializers.get` accepts.

        Parameters
        ----------
        parameter : str
            Name within the layer, for example "kernel".

        Examples
        --------
        >>> from nnfast import layers
        >>> layers.Dense(2).initializer("bias")
        Zeros()
        """
        raise KeyError(parameter)

    def fans(self, parameter: str, shape: Shape) -> tuple[int, int]:
        """Fan-in and fan-out of a parameter; see `nnfast.initializers`.

        Parameters
        ----------
        parameter : str
            Name within the layer, for example "kernel".
        shape : tuple of int
            Shape of the parameter.

        Examples
        --------
        >>> from nnfast import layers
        >>> layers.DepthwiseConv2D(3).fans("kernel", (3, 3, 64, 1))
        (9, 9)
        """
        return fans(shape)

    def node(self, inputs: Sequence[tuple[str, Shape]]) -> Spec:
        """`spec` with the names of the layer and of its inputs."""
        names = [name for name, _ in inputs]
        spec = self.spec([shape for _, shape in inputs])
        return {"name": self.place, "inputs": names, **spec}

    def infer(self, inputs: Sequence[tuple[str, Shape]]) -> dict[str, Any]:
        """``"shapes"`` of the outputs and ``"parameters"`` (names and shapes) for named inputs of the given shapes."""
        if self.num_inputs not in (None, len(inputs)):
            raise ValueError(
                f"{self.place}: expected inputs: {self.num_inputs}, got {len(inputs)}; join several with "
                "layers.Concatenate()"
            )
        unbatched = {i for i, (_, shape) in enumerate(inputs) if isinstance(shape, Unbatched)}
        inferred = _core.infer(self.node(inputs), [shape for _, shape in inputs], unbatched)
        if not inferred["batched"]:
            inferred["shapes"] = [Unbatched(shape) for shape in inferred["shapes"]]
        if not isinstance(self._trainable, bool):
            valid = [name for name, _ in inferred["parameters"] if name not in inferred["statistics"]]
            for name in self._trainable:
                choose(f"parameter of {self.place} in trainable", name, valid)
        return inferred

    def __call__(self, inputs: Tensor | Sequence[Tensor]) -> Tensor:
        """Apply the layer to a symbolic tensor (merging layers: to a sequence of tensors) and return its output."""
        return self._outputs(inputs)[0]

    def _outputs(self, inputs: Tensor | Sequence[Tensor]) -> list[Tensor]:
        tensors = tuple(inputs) if isinstance(inputs, list | tuple) else (inputs,)
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                raise TypeError(
                    f"{self.place}: expected symbolic tensors, which layers.Input(...) makes, "
                    f"got {type(tensor).__name__}; numbers go to Network.predict"
                )
        named = [(output_name(t.layer.place, t.index), t.shape) for t in tensors]
        first, *others = self.infer(named)["shapes"]
        outputs = [Tensor(self, tensors, first)]
        return outputs + [Tensor(self, tensors, shape, i, outputs[0]) for i, shape in enumerate(others, 1)]


class MultiOutput(Layer):
    """Base class of layers that may have several outputs."""

    def __call__(self, inputs: Tensor | Sequence[Tensor]) -> Any:
        """Apply the layer to symbolic tensors and return its output, or a list of its outputs."""
        outputs = self._outputs(inputs)
        return outputs[0] if len(outputs) == 1 else outputs
