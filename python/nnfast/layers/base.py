"""The base of all layers."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from nnfast import _core
from nnfast.configured import Configured
from nnfast.graph import Tensor
from nnfast.typing import Shape, Spec

__all__ = ["Layer"]

_VALID_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_\- ]{0,99}")


class Layer(Configured):
    """Base of all layers: options, and how the core is told about them.

    A layer is used once, in one place of a network; two places mean two layers. It gets there in a list of layers, or
    by being called on the symbolic tensor of its input (layers that merge: on a list of tensors).

    Parameters
    ----------
    name : str, optional
        The layer's name in summaries, in parameters' names ("hidden.kernel") and in errors. Up to 100 ASCII letters,
        digits, ``_``, ``-`` and spaces; the last two do not come first. By default the class's name in lower case with
        underscores, numbered within the network: "dense", "dense_1", ...

    Raises
    ------
    ValueError
        If `name` is anything else, or the network has two layers of one name. If the layer is called on more inputs
        than it takes or on shapes that do not fit, or is called a second time.
    TypeError
        If the layer is called on anything but symbolic tensors.

    Notes
    -----
    A class of your own derives from `CustomLayer`.

    Examples
    --------
    >>> from nnfast import layers
    >>> hidden = layers.Dense(10, activation="relu", name="hidden")
    >>> hidden
    Dense(10, activation='relu', name='hidden')
    >>> hidden(layers.Input((4,))).shape
    (10,)
    """

    op: ClassVar[str]
    num_inputs: ClassVar[int | None] = 1
    """How many inputs the layer takes; None for any number."""
    _name: str | None = None
    _trainable: bool | tuple[str, ...] = True
    _used = False

    def __init__(self, *, name: str | None = None) -> None:
        if name is not None:
            self.take_name(name)

    @property
    def name(self) -> str | None:
        """The layer's name; None until it is given or a network gives one."""
        return self._name

    def take_name(self, name: Any) -> None:
        """Set the name; for the network that the layer becomes part of."""
        if not isinstance(name, str) or not _VALID_NAME.fullmatch(name):
            raise ValueError(
                f"{type(self).__name__}: expected a name of letters, digits, _, - and spaces, got {name!r}"
            )
        self._name = name

    @property
    def place(self) -> str:
        """How error messages call the layer."""
        return self._name or self.default_name()

    @property
    def trainable(self) -> bool | tuple[str, ...]:
        """Which parameters train from the start: all, none, or the named ones."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool | Sequence[str]) -> None:
        raise AttributeError(
            f"{self.place}: trainable is given when a layer is made; later call the network's "
            'freeze("<layer>") or unfreeze("<layer>")'
        )

    def _declare_trainable(self, trainable: bool | Sequence[str]) -> None:
        if isinstance(trainable, bool):
            self._trainable = trainable
        elif isinstance(trainable, str):
            self._trainable = (trainable,)
        elif isinstance(trainable, Iterable):
            self._trainable = tuple(trainable)
        else:
            kind = type(self).__name__
            raise TypeError(f"{kind}: expected trainable as True, False or names of parameters, got {trainable!r}")

    def trains(self, parameter: str) -> bool:
        """Whether the parameter of that name trains from the start.

        Parameters
        ----------
        parameter : str
            Its own name, without the layer's: "kernel".

        Returns
        -------
        bool
            What the constructor's `trainable` says of it. `Network.trainable` tells what holds now.

        Notes
        -----
        There are no errors: a name that the layer does not have is not looked for.

        Examples
        --------
        >>> from nnfast import layers
        >>> layers.Dense(2, trainable=("kernel",)).trains("bias")
        False
        """
        return self._trainable if isinstance(self._trainable, bool) else parameter in self._trainable

    @classmethod
    def default_name(cls) -> str:
        """The class's name in lower case, its words parted by underscores: LeakyReLU is "leaky_relu"."""
        words = cls.__name__.replace("ReLU", "Relu").replace("SiLU", "Silu")
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", words).lower()

    def spec(self, input_shapes: list[Shape]) -> Spec:
        """The core's description of this layer on inputs of these shapes (of one row)."""
        return {"op": self.op}

    def initializer(self, parameter: str) -> Any:
        """First values of the parameter of that name: anything that `nnfast.initializers.get` takes.

        Parameters
        ----------
        parameter : str
            Its own name, without the layer's: "kernel".

        Returns
        -------
        Initializer, str, float or array_like

        Raises
        ------
        KeyError
            If the layer never has a parameter of that name.

        Examples
        --------
        >>> from nnfast import layers
        >>> layers.Dense(2).initializer("bias")
        Zeros()
        """
        raise KeyError(parameter)

    def node(self, inputs: Sequence[tuple[str, Shape]]) -> Spec:
        """`spec` with the layer's own name and those of its inputs."""
        names = [name for name, _ in inputs]
        spec = self.spec([shape for _, shape in inputs])
        return {"name": self.place, "inputs": names, **spec}

    def infer(self, inputs: Sequence[tuple[str, Shape]]) -> dict[str, Any]:
        """Output ``"shape"`` and ``"parameters"`` (names with shapes) on named inputs of these shapes."""
        if self.num_inputs not in (None, len(inputs)):
            raise ValueError(
                f"{self.place}: expected inputs: {self.num_inputs}, got {len(inputs)}; join several with "
                "layers.Concatenate()"
            )
        inferred = _core.infer(self.node(inputs), [shape for _, shape in inputs])
        if not isinstance(self._trainable, bool):
            valid = [name for name, _ in inferred["parameters"] if name not in inferred["statistics"]]
            for name in self._trainable:
                if name not in valid:
                    raise ValueError(f"{self.place}: trainable names {name!r}; it has {valid}")
        return inferred

    def __call__(self, inputs: Tensor | Sequence[Tensor]) -> Tensor:
        """The layer's output on a symbolic tensor, or on a sequence of them for layers that merge."""
        tensors = tuple(inputs) if isinstance(inputs, list | tuple) else (inputs,)
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                raise TypeError(
                    f"{self.place}: expected symbolic tensors, which layers.Input(...) makes, "
                    f"got {type(tensor).__name__}; numbers go to Network.predict"
                )
        if self._used:
            raise ValueError(
                f"{self.place}: this layer is already part of a graph, and layers do not share parameters; make a new "
                f"{type(self).__name__} for the second place"
            )
        named = [(t.layer.place, t.shape) for t in tensors]
        shape = self.infer(named)["shape"]
        self._used = True
        return Tensor(self, tensors, tuple(shape))
