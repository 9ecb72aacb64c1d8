"""User-defined layers: functions of tensors, and layers written in NumPy."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nnfast.core.options import function_name, shape_of
from nnfast.core.text import short_repr
from nnfast.core.typing import Array, Shape, Spec
from nnfast.layers.base import Layer, MultiOutput

__all__ = ["CustomLayer", "Lambda"]


class CustomLayer(MultiOutput):
    """Base class of layers whose forward and backward passes are written in NumPy.

    Subclasses define `forward`, `backward` for training, and `output_shape`, `parameter_shapes` and `initializer` where
    the defaults do not fit. Every constructor argument must be stored in an attribute of the same name, from which the
    layer is printed and saved. To combine existing layers, a function of symbolic tensors is enough.

    Notes
    -----
    The arrays passed to `forward` and `backward` have the batch as their first axis and the network's dtype, and are
    valid only during the call. Inputs are read-only, because they may be the caller's data. Results are written to the
    arrays provided: leaving part of them unwritten or returning a value is a ValueError. Both methods hold the GIL; the
    rest of the step runs without it. If a method raises an exception, it propagates, and no parameter is changed.

    A layer has several outputs if `output_shape` returns a list of shapes. Called on symbolic tensors, it then returns
    a list of tensors, and `forward` and `backward` get lists as `output` and `d_output`. The gradient of an output that
    is not used is 0.

    `Network.load` needs the class: ``Network.load(path, custom_objects={"Scale": Scale})``.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> class Scale(layers.CustomLayer):
    ...     '''y = factor * x with a trainable factor.'''
    ...     def parameter_shapes(self, input_shape):
    ...         return {"factor": (1,)}
    ...     def initializer(self, parameter):
    ...         return "ones"
    ...     def forward(self, inputs, output, parameters, training):
    ...         output[...] = parameters["factor"] * inputs[0]
    ...     def backward(self, d_output, d_inputs, inputs, output, parameters, d_parameters):
    ...         d_inputs[0][...] = parameters["factor"] * d_output
    ...         if "factor" in d_parameters:  # absent if it is frozen
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

    def output_shape(self, input_shape: Any) -> Shape | Sequence[Shape]:
        """Shape of one output row, without the batch axis; by default the input shape.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of one input row. A layer with several inputs gets a list of shapes and must override this method.

        Returns
        -------
        tuple of int, or list of tuples
            At least one axis. A list of two or more shapes gives the layer as many outputs.

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
        if isinstance(input_shape, list):
            raise ValueError(
                f"{self.place}: expected sizes of one output row from output_shape, got the inputs' shapes "
                f"{tuple(input_shape)}; override it"
            )
        return tuple(input_shape)

    def parameter_shapes(self, input_shape: Any) -> Mapping[str, Shape]:
        """Shapes of the parameters by name (an identifier); by default there are none.

        Parameters
        ----------
        input_shape : tuple of int
            As for `output_shape`.
        """
        return {}

    def initializer(self, parameter: str) -> Any:
        """Initial values of a parameter: anything that `nnfast.initializers.get` accepts; by default Glorot uniform.

        Parameters
        ----------
        parameter : str
            A name from `parameter_shapes`.
        """
        return "glorot_uniform"

    def forward(self, inputs: list[Array], output: Any, parameters: dict[str, Array], training: bool) -> None:
        """Write the output.

        Parameters
        ----------
        inputs : list of ndarray (N, ...)
            Read-only.
        output : ndarray (N, ...), or list of them
            Uninitialized; every element must be written.
        parameters : dict of str to ndarray
            Read-only.
        training : bool
            Whether this is a training step.
        """
        raise NotImplementedError(f"{type(self).__name__}: expected a method forward")

    def backward(
        self,
        d_output: Any,
        d_inputs: list[Array],
        inputs: list[Array],
        output: Any,
        parameters: dict[str, Array],
        d_parameters: dict[str, Array],
    ) -> None:
        """Write the gradients `d_inputs` and add to `d_parameters`, given the gradient `d_output` of the loss.

        Not called if no parameter of the layer, or of a layer before it, is trained.

        Parameters
        ----------
        d_output : ndarray (N, ...), or list of them
            Gradient of the loss with respect to the output; do not write to it.
        d_inputs : list of ndarray (N, ...)
            Uninitialized; every element must be written.
        inputs, output, parameters
            As passed to `forward` and filled by it; read-only.
        d_parameters : dict of str to ndarray
            Gradients of the trained parameters, initially 0; frozen parameters are absent.
        """
        raise NotImplementedError(f"{type(self).__name__}: expected a method backward, which training needs")

    def spec(self, input_shapes: list[Shape]) -> Spec:
        given = input_shapes[0] if len(input_shapes) == 1 else input_shapes
        shapes = dict(self.parameter_shapes(given))
        for name in shapes:
            if not (isinstance(name, str) and name.isidentifier()):
                raise ValueError(f"{self.place}: expected an identifier as parameter, got {name!r}")
        first, *others = self._output_shapes(given)
        spec: Spec = {"op": self.op, "shape": first, **{f"output_{i}": shape for i, shape in enumerate(others, 1)}}
        if shapes:
            spec["parameters"] = list(shapes)
        for name, shape in shapes.items():
            spec[f"shape_{name}"] = list(shape_of(self.place, f"the shape of {name}", shape))
        return spec

    def _output_shapes(self, input_shape: Any) -> list[list[int]]:
        found = self.output_shape(input_shape)
        several = len(found) > 1 and all(isinstance(shape, list | tuple) for shape in found)
        shapes: Any = found if several else [found]
        if any(not isinstance(size, numbers.Integral) for shape in shapes for size in shape):
            raise ValueError(
                f"{self.place}: expected sizes of one output row from output_shape, or a list of two or more such "
                f"shapes, got {found}; override it"
            )
        return [[int(size) for size in shape] for shape in shapes]


class Lambda(Layer):
    """A layer without weights: a function of tensors, written with `nnfast.ops`.

    Parameters
    ----------
    function : callable
        ``function(x)`` returns a tensor, or a list of them; with several inputs it gets a list.

    Notes
    -----
    A file keeps the function by name, and `Network.load` needs it: ``custom_objects={"double": double}``. A function of
    the form ``lambda x: ...`` has no name by which it could be found.

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import layers
    >>> def double(x):
    ...     return 2 * x
    >>> nf.Network([layers.Input((2,)), layers.Lambda(double)]).predict([[1.0, 2.0]])
    array([[2., 4.]], dtype=float32)
    """

    def __init__(self, function: Callable[[Any], Any], *, name: str | None = None) -> None:
        super().__init__(name=name)
        if not callable(function):
            raise TypeError(f"Lambda: expected a function, got {short_repr(function)}")
        self.function = function

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "function": function_name(self.function)}

    def call(self, inputs: Any) -> Any:
        return self.function(inputs)
