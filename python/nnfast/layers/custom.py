"""Layers of one's own, in NumPy."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

from nnfast.core.options import shape_of
from nnfast.core.typing import Array, Shape, Spec
from nnfast.layers.base import Layer

__all__ = ["CustomLayer"]


class CustomLayer(Layer):
    """Base of layers whose forward and backward pass are written in NumPy.

    Derive from it, give `forward` and `backward`, and where they differ from the defaults `output_shape`,
    `parameter_shapes` and `initializer`. Keep each argument of your constructor as an attribute of the same name: that
    is how a layer is shown and saved. A layer that only combines others needs no class: write a function of tensors.

    Parameters
    ----------
    trainable : bool or names, default True
        Which parameters training changes: all, none, or the named ones.
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        Where the layer is called: if a name in `trainable` is no parameter's.
    TypeError
        If `trainable` is neither a bool nor names.
    NotImplementedError
        Where the class has no `forward`; in training, where it has no `backward` and needs one.

    Notes
    -----
    The arrays that `forward` and `backward` get have rows first, are in the network's dtype, and are valid during the
    call only; inputs, and the output in `backward`, are read-only, because they may be the caller's own. Results go
    into the arrays given for them: a method that leaves a part unwritten, or returns its result, is a ValueError. The
    rest of the step runs without the interpreter lock; these two calls take it. An exception in them voids the step:
    it propagates, and all parameters are as before.

    `Network.load` needs the class by name: ``Network.load(path, custom_objects={"Scale": Scale})``.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> class Scale(layers.CustomLayer):
    ...     '''y = factor * x, the factor being trained.'''
    ...     def parameter_shapes(self, input_shape):
    ...         return {"factor": (1,)}
    ...     def initializer(self, parameter):
    ...         return "ones"
    ...     def forward(self, inputs, output, parameters, training):
    ...         output[...] = parameters["factor"] * inputs[0]
    ...     def backward(self, d_output, d_inputs, inputs, output, parameters, d_parameters):
    ...         d_inputs[0][...] = parameters["factor"] * d_output
    ...         if "factor" in d_parameters:  # not where it is frozen
    ...             d_parameters["factor"] += (d_output * inputs[0]).sum()
    >>> net = Network([layers.Input((2,)), Scale()])
    >>> net.predict([[1.0, 2.0]])
    array([[1., 2.]], dtype=float32)
    >>> net.trainable
    ['scale.factor']
    """

    op = "callback"
    num_inputs = None

    def __init__(self, *, trainable: bool | Sequence[str] = True, name: str | None = None) -> None:
        super().__init__(name=name)
        self._declare_trainable(trainable)

    def output_shape(self, input_shape: Any) -> Shape:
        """Shape of one output row, without the batch axis; by default the input's.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of one input row; for several inputs a list of such shapes, and the class needs a method of its own.

        Returns
        -------
        tuple of int
            One axis or more, each of 1 or more.

        Raises
        ------
        ValueError
            Where the layer is called: if what the method returns is () or has a size below 1.

        Examples
        --------
        >>> from nnfast import Network, layers
        >>> class Total(layers.CustomLayer):
        ...     def output_shape(self, input_shape):
        ...         return (1,)
        ...     def forward(self, inputs, output, parameters, training):
        ...         inputs[0].sum(axis=1, keepdims=True, out=output)
        >>> Network([layers.Input((3,)), Total()]).predict([[1.0, 2.0, 4.0]])
        array([[7.]], dtype=float32)
        """
        return tuple(input_shape)

    def parameter_shapes(self, input_shape: Any) -> Mapping[str, Shape]:
        """Names and shapes of the parameters; by default none.

        Parameters
        ----------
        input_shape : tuple of int
            As in `output_shape`.

        Returns
        -------
        dict of str to tuple of int
            The names are identifiers, the sizes 1 or more.

        Raises
        ------
        ValueError
            Where the layer is called: if a name is no identifier or a size is below 1.
        """
        return {}

    def initializer(self, parameter: str) -> Any:
        """First values of a parameter: anything that `nnfast.initializers.get` takes. By default Glorot uniform.

        Parameters
        ----------
        parameter : str
            A name that `parameter_shapes` gives.

        Returns
        -------
        Initializer, str, float or array_like

        Raises
        ------
        ValueError
            From the `Network`: if what the method returns names no initializer or is an array of another shape.
        """
        return "glorot_uniform"

    def forward(self, inputs: list[Array], output: Array, parameters: dict[str, Array], training: bool) -> None:
        """Fill `output` in place.

        Parameters
        ----------
        inputs : list of ndarray (N, ...)
            Read-only.
        output : ndarray (N, ...)
            Holds anything before: every element is to be written.
        parameters : dict of str to ndarray
            By their own names; read-only.
        training : bool
            Whether this is a training step.

        Raises
        ------
        NotImplementedError
            If the class does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__}: expected a method forward")

    def backward(
        self,
        d_output: Array,
        d_inputs: list[Array],
        inputs: list[Array],
        output: Array,
        parameters: dict[str, Array],
        d_parameters: dict[str, Array],
    ) -> None:
        """Overwrite `d_inputs` and add into `d_parameters`, from the loss's gradient `d_output` by the output.

        Training does not call it where neither a parameter of the layer nor anything before the layer trains.

        Parameters
        ----------
        d_output : ndarray (N, ...)
            To be read, not written.
        d_inputs : list of ndarray (N, ...)
            Receive the gradients with respect to the inputs. They hold anything before: every element is to be written.
        inputs, output, parameters
            As `forward` got and left them; read-only.
        d_parameters : dict of str to ndarray
            The gradients with respect to the parameters that train, all 0 before; frozen ones are not in it.

        Raises
        ------
        NotImplementedError
            If the class does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__}: expected a method backward, which training needs")

    def spec(self, input_shapes: list[Shape]) -> Spec:
        given = input_shapes[0] if len(input_shapes) == 1 else input_shapes
        shapes = dict(self.parameter_shapes(given))
        for name in shapes:
            if not (isinstance(name, str) and name.isidentifier()):
                raise ValueError(f"{self.place}: expected an identifier as parameter, got {name!r}")
        output = self.output_shape(given)
        if any(not isinstance(size, numbers.Integral) for size in output):
            raise ValueError(
                f"{self.place}: expected sizes of one output row from output_shape, got {output}; override it"
            )
        spec: Spec = {"op": self.op, "shape": [int(size) for size in output]}
        if shapes:
            spec["parameters"] = list(shapes)
        for name, shape in shapes.items():
            spec[f"shape_{name}"] = list(shape_of(self.place, f"the shape of {name}", shape))
        return spec
