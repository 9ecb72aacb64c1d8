"""The base class of all layers."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from weakref import WeakSet

import numpy as np
from numpy.typing import ArrayLike

from nnfast import _core
from nnfast.core.options import Configured, choose, named_arguments, shape_of, unknown_attribute
from nnfast.core.tensor import Tensor, output_name
from nnfast.core.text import short_repr
from nnfast.core.typing import Array, Shape, Spec, Unbatched
from nnfast.initializers import fans
from nnfast.layers.composition import Composition, Trace
from nnfast.layers.weight_options import option_of

if TYPE_CHECKING:
    from nnfast.network import Network

__all__ = ["Layer", "MultiOutput", "Source"]

_PARAMETERS = ("kernel", "recurrent_kernel", "bias", "embeddings", "gamma", "beta", "moving_mean", "moving_variance")
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

    To define a layer, derive it from this class: `build` declares weights, and `call` computes the output with the
    functions of `nnfast.ops` and other layers, which are compiled and differentiated like all else. Every constructor
    argument must be stored in an attribute of the same name, from which the layer is printed and saved. `Network.load`
    needs the class: ``Network.load(path, custom_objects={"Scale": Scale})``. (For what the functions cannot say, derive
    from `CustomLayer` and write both passes in NumPy.) See `nnfast.layers` for the parameters.

    Notes
    -----
    Once a layer is part of a network, its parameters are attributes: ``hidden.kernel`` is the same view as
    ``net.parameters["hidden.kernel"]``. Attributes to which a user-defined layer assigns the result of `add_weight`
    stay symbolic tensors.

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
    >>> class Scale(layers.Layer):
    ...     '''y = factor * x with a trainable factor.'''
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight((1,), "ones", name="factor")
    ...     def call(self, x):
    ...         return self.factor * x
    >>> scaled = Network([layers.Input((2,)), Scale()])
    >>> scaled.trainable, scaled.predict([[1.0, 2.0]])
    (['scale.factor'], array([[1., 2.]], dtype=float32))
    """

    op: ClassVar[str] = ""
    """The core's name of the operation; empty for a layer that is composed of others by `call`."""
    num_inputs: ClassVar[int | None] = 1
    """How many inputs the layer takes; None for any number."""
    fixed: ClassVar[bool] = False
    """Whether the output depends on no input: a weight or a constant."""
    passes_mask: bool = False
    """Whether a mask of the inputs is one of the output too, if that has as many steps (N, T).
    A user-defined layer passes on what its parts do, and the mask of its inputs if it sets this to True."""
    moves_mask: bool = False
    """Whether the mask of the output is what the layer makes of that of the input."""
    takes_mask: bool = False
    """Whether the layer reads the mask (N, T) of an input, if that has one.
    It is a further input of the layer's node, the last one; `call` of a user-defined layer gets it as ``mask=``."""
    masked_input: ClassVar[int] = 0  # the input whose mask the layer takes
    _name: str | None = None
    _trainable: bool | tuple[str, ...] = True
    tied_to: Any = None
    """The layer, or its name, one of whose parameters this one uses too."""
    activity_regularizer: Any = None
    """Penalty on the layer's output."""
    source: Source | None = None
    """Of a layer of a network that is used as a layer: where its values come from."""
    _networks: WeakSet[Network] | None = None
    """The networks that the layer is part of."""
    _composition: Composition | None = None
    """Of a layer that is composed of others: what it consists of."""

    def __init__(self, *, trainable: bool | Sequence[str] = True, name: str | None = None) -> None:
        if trainable is not True:
            self._declare_trainable(trainable)
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
        kept = self.__dict__.items()
        return {
            key: value
            for key, value in kept
            if key not in ("_networks", "source", "_composition") and not isinstance(value, Tensor)
        }

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

    def _declare_weights(self, given: Mapping[str, Any]) -> None:
        """Set the layer's regularizers and constraints, which `shared_arguments` lists."""
        for name in self.shared_arguments:
            setattr(self, name, option_of(name, given.get(name)))

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
        if self.is_composed and not self._trains_part(parameter):
            return False
        return self._trainable if isinstance(self._trainable, bool) else parameter in self._trainable

    @classmethod
    def default_name(cls) -> str:
        """The class name in snake case: LeakyReLU becomes "leaky_relu"."""
        words = cls.__name__.replace("ReLU", "Relu").replace("SiLU", "Silu").replace("RNN", "Rnn")
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", words).lower()

    def spec(self, input_shapes: list[Shape]) -> Spec:
        """Description of the layer for the core, given the shapes of its inputs (without the batch axis)."""
        return {"op": self.op}

    @property
    def tied_parameter(self) -> str | None:
        """The parameter of the layer `tied_to` that this one uses too, by its full name; None without such a layer."""
        return None

    def mask_spec(self) -> Spec | None:
        """Description for the core of the mask that the layer makes of its input; None if it makes none."""
        return None

    def moved_mask(self, mask: tuple[str, Shape]) -> Spec | None:
        """Description for the core of what makes the output's mask out of `mask`, the input's; None if it is that."""
        return self.node([mask]) if self.moves_mask and len(mask[1]) > 1 else None

    def noise_spec(self) -> Spec | None:
        """Description for the core of what training does to the first input before the layer; None for nothing."""
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
        place, _, own = parameter.partition(".")
        if own:
            return self.composition.layers[place].initializer(own)
        return self.composition.weights[place].initial_value

    def regularizer(self, parameter: str) -> Any:
        """Penalty on a parameter: anything that `nnfast.regularizers.get` accepts, by default
        the attribute ``<parameter>_regularizer``, if there is one.

        Parameters
        ----------
        parameter : str
            Name within the layer, for example "kernel".

        Examples
        --------
        >>> from nnfast import layers
        >>> layers.Dense(2, kernel_regularizer="l2").regularizer("kernel")
        L2()
        """
        return vars(self).get(f"{parameter}_regularizer")

    def constraint(self, parameter: str) -> Any:
        """Constraint of a parameter: anything that `nnfast.constraints.get` accepts, by default
        the attribute ``<parameter>_constraint``, if there is one.

        Parameters
        ----------
        parameter : str
            Name within the layer, for example "kernel".

        Examples
        --------
        >>> from nnfast import layers
        >>> layers.Dense(2, bias_constraint="non_neg").constraint("bias")
        NonNeg()
        """
        return vars(self).get(f"{parameter}_constraint")

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
        place, _, own = parameter.partition(".")
        found: tuple[int, int] = self.composition.layers[place].fans(own, shape) if own else fans(shape)
        return found

    def node(self, inputs: Sequence[tuple[str, Shape]], has_mask: bool = False) -> Spec:
        """`spec` with the names of the layer and of its inputs, the last of which may be the mask that it takes."""
        names = [name for name, _ in inputs]
        spec = self.spec([shape for _, shape in inputs[: len(inputs) - has_mask]])
        if has_mask:
            spec["has_mask"] = 1
        return {"name": self.place, "inputs": names, **spec}

    def infer(self, inputs: Sequence[tuple[str, Shape]], has_mask: bool = False) -> dict[str, Any]:
        """``"shapes"`` of the outputs and ``"parameters"`` (names and shapes) for inputs as `node` takes them."""
        if self.is_composed:
            return {"shapes": [tensor.shape for tensor in self.trace([shape for _, shape in inputs]).outputs]}
        if type(self).spec is Layer.spec and not self.op:
            raise TypeError(f"{type(self).__name__}: expected a layer of nnfast, or a class that defines call")
        if self.num_inputs not in (None, len(inputs)):
            raise ValueError(
                f"{self.place}: expected inputs: {self.num_inputs}, got {len(inputs)}; join several with "
                "layers.Concatenate()"
            )
        unbatched = {i for i, (_, shape) in enumerate(inputs) if isinstance(shape, Unbatched)}
        inferred = _core.infer(self.node(inputs, has_mask), [shape for _, shape in inputs], unbatched)
        if not inferred["batched"]:
            inferred["shapes"] = [Unbatched(shape) for shape in inferred["shapes"]]
        if not isinstance(self._trainable, bool):
            valid = [name for name, _ in inferred["parameters"] if name not in inferred["statistics"]]
            for name in self._trainable:
                choose(f"parameter of {self.place} in trainable", name, valid)
        return inferred

    @named_arguments
    def __call__(self, inputs: Tensor | Sequence[Tensor]) -> Tensor:
        """Apply the layer to a symbolic tensor (merging layers: to a sequence of tensors) and return its output.

        A user-defined layer with several outputs returns a list of them.
        """
        outputs: Any = self._outputs(inputs)
        result: Tensor = outputs[0] if len(outputs) == 1 else outputs
        return result

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

    # ---- user-defined layers -------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Declare the weights of a user-defined layer, with `add_weight`, and make the layers that `call` uses.

        Called once, before the first `call`.

        Parameters
        ----------
        input_shape : tuple of int, or list of tuples
            Shape of a row of the input, without the batch axis; with several inputs a list of shapes.
        """

    def call(self, inputs: Any) -> Any:
        """The output of a user-defined layer, computed with `nnfast.ops`, operators and layers.

        Parameters
        ----------
        inputs : Tensor, or list of Tensor
            A list if the layer is called on several tensors.

        Returns
        -------
        Tensor, or list of Tensor
        """
        raise NotImplementedError(f"{type(self).__name__}: expected a method call")

    def add_weight(
        self,
        shape: int | Sequence[int],
        initializer: Any = "glorot_uniform",
        trainable: bool = True,
        *,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
    ) -> Tensor:
        """Declare a weight of a user-defined layer, in `build`.

        Parameters
        ----------
        shape : tuple of int
            () for a single number.
        initializer : Initializer, str, float or array_like
            Initial values; see `nnfast.initializers`.
        trainable : bool, default True
            Whether the weight is trained initially.
        regularizer : Regularizer, str or callable, optional
            Penalty that is added to the loss; see `nnfast.regularizers`.
        constraint : Constraint or str, optional
            What holds after each update; see `nnfast.constraints`.
        name : str, optional
            Name within the layer; by default "weight", "weight_1", ...

        Returns
        -------
        Tensor
            Without the batch axis.

        Examples
        --------
        See `Layer`.
        """
        weights = self.composition.weights
        if name is None:
            name = next(free for i in itertools.count() if (free := f"weight_{i}" if i else "weight") not in weights)
        if not isinstance(name, str) or not name.isidentifier() or name in weights:
            raise ValueError(f"{self.place}: expected a new identifier as name of a weight, got {short_repr(name)}")
        sizes = shape_of(self.place, f"the shape of {name}", shape) if shape != () else ()
        made = weights[name] = Weight(sizes, initializer, trainable, name=name)
        made.weight_regularizer = option_of("weight_regularizer", regularizer)
        made.weight_constraint = option_of("weight_constraint", constraint)
        return made._outputs(())[0]

    def add_loss(self, loss: Tensor) -> None:
        """Add a term to the loss that is minimized in training, in `call`.

        Parameters
        ----------
        loss : Tensor
            Its mean over rows and elements is added; without the batch axis, the mean over its elements.

        Examples
        --------
        >>> import nnfast as nf
        >>> from nnfast import layers
        >>> class Sparse(layers.Layer):
        ...     '''Passes its input on, and keeps it small.'''
        ...     def call(self, x):
        ...         self.add_loss(0.01 * nf.ops.sum(abs(x), axis=-1))
        ...         return x
        >>> net = nf.Network([layers.Input((2,)), Sparse()])
        >>> round(nf.Trainer(net, loss="mse").evaluate([[3.0, -4.0]], [[3.0, -4.0]])["loss"], 4)
        0.07
        """
        if not isinstance(loss, Tensor):
            raise TypeError(f"{self.place}: expected a symbolic tensor as loss, got {short_repr(loss)}")
        self.composition.losses.append(loss)

    def source_of(self, parameter: str) -> tuple[Network, str] | None:
        """The network, and the name there, of which a parameter is a copy; None if its layer initializes it.

        Parameters
        ----------
        parameter : str
        """
        if self.source is not None:
            return self.source.network, f"{self.source.name}.{parameter}"
        place, _, own = parameter.partition(".")
        found: tuple[Network, str] | None = self.composition.layers[place].source_of(own) if own else None
        return found

    @property
    def is_composed(self) -> bool:
        """Whether `call` defines the layer."""
        return type(self).call is not Layer.call

    @property
    def composition(self) -> Composition:
        """What a user-defined layer consists of."""
        if self._composition is None:
            self._composition = Composition()
        return self._composition

    def trace(self, shapes: Sequence[Shape], mask: Shape | None = None) -> Trace:
        """The graph of a user-defined layer for inputs of the given shapes.

        Parameters
        ----------
        shapes : sequence of tuple of int
        mask : tuple of int, optional
            The shape of the mask that the layer takes, which becomes the last input.
        """
        composition = self.composition
        # Equal shapes may differ in the batch.
        key = (mask, *((isinstance(shape, Unbatched), *shape) for shape in shapes))
        if key not in composition.traces:
            if not composition.built:
                self.build(shapes[0] if len(shapes) == 1 else list(shapes))
                composition.built = True
            inputs = [Tensor(StandIn(), (), shape) for shape in shapes]
            masks = {} if mask is None else {"mask": Tensor(StandIn(), (), mask, domain="boolean")}
            composition.losses = []
            result = self.call(inputs[0] if len(inputs) == 1 else inputs, **masks)
            inputs += masks.values()
            outputs = list(result) if isinstance(result, list | tuple) else [result]
            for output in outputs or [result]:
                if not isinstance(output, Tensor):
                    raise TypeError(
                        f"{self.place}: expected call to return a symbolic tensor or a list of them, got "
                        f"{short_repr(output)}"
                    )
            trace = composition.traces[key] = Trace.of(self.place, inputs, outputs, composition.losses)
            composition.layers |= {tensor.layer.place: tensor.layer for tensor in trace.calls}
        return composition.traces[key]

    def _trains_part(self, parameter: str) -> bool:
        place, _, own = parameter.partition(".")
        composition = self.composition
        return bool(composition.layers[place].trains(own) if own else composition.weights[place].is_trained)


class Weight(Layer):
    """A weight of a user-defined layer, as a tensor."""

    op = "parameter"
    num_inputs = 0
    fixed = True

    def __init__(self, shape: Shape, initial_value: Any, is_trained: bool, *, name: str) -> None:
        super().__init__(name=name)
        self.shape = shape
        self.initial_value = initial_value
        self.is_trained = is_trained
        self.weight_regularizer: Any = None
        self.weight_constraint: Any = None

    def regularizer(self, parameter: str) -> Any:
        return self.weight_regularizer

    def constraint(self, parameter: str) -> Any:
        return self.weight_constraint

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "shape": list(self.shape), "parameter": self.place}


class StandIn(Layer):
    """The layer of an argument of `Layer.call`."""


class MultiOutput(Layer):
    """Base class of layers that may have several outputs."""

    @named_arguments
    def __call__(self, inputs: Tensor | Sequence[Tensor]) -> Any:
        """Apply the layer to symbolic tensors and return its output, or a list of its outputs."""
        outputs = self._outputs(inputs)
        return outputs[0] if len(outputs) == 1 else outputs
