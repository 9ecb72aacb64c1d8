"""Layers of one's own, in NumPy."""

from collections.abc import Mapping, Sequence
from typing import Any

from nnfast.layers.base import Layer
from nnfast.typing import Array, Shape, Spec

__all__ = ["CustomLayer"]


class CustomLayer(Layer):
    """Base of layers whose forward and backward pass are written in NumPy.

    Derive from it, give `forward` and `backward`, and where they differ from the defaults `output_shape`,
    `parameter_shapes` and `initializer`. Keep each argument of your constructor as an attribute of the same name: that
    is how a layer is shown and saved. A layer that only combines others needs no class: write a function of tensors.

    Parameters
    ----------
    trainable : bool or names, default True
        Which parameters training changes.
    name : str, optional

    Notes
    -----
    The arrays that `forward` and `backward` get have rows first, are in the network's dtype, and are valid during the
    call only; inputs, and the output in `backward`, are read-only, because they may be the caller's own. The rest of
    the step runs without the interpreter lock; these two calls take it. An exception in them voids the step: it
    propagates, and all parameters are as before.

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
    ...         d_parameters["factor"] += (d_output * inputs[0]).sum()
    >>> net = Network([layers.Input((2,)), Scale()])
    >>> net.predict([[1.0, 2.0]])
    array([[1., 2.]], dtype=float32)
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
            Shape of one input row; for several inputs a list of such shapes.
        """
        return tuple(input_shape)

    def parameter_shapes(self, input_shape: Any) -> Mapping[str, Shape]:
        """Names and shapes of the parameters; by default none. `input_shape` as in `output_shape`."""
        return {}

    def initializer(self, parameter: str) -> Any:
        """First values of a parameter: anything that `nnfast.initializers.get` takes. By default Glorot uniform."""
        return "glorot_uniform"

    def forward(self, inputs: list[Array], output: Array, parameters: dict[str, Array], training: bool) -> None:
        """Fill `output` in place.

        Parameters
        ----------
        inputs : list of ndarray (N, ...)
        output : ndarray (N, ...)
        parameters : dict of ndarray
        training : bool
            Whether this is a training step.
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
        """Overwrite `d_inputs` and add into `d_parameters`, from the loss's gradient `d_output` by the output."""
        raise NotImplementedError(f"{type(self).__name__}: expected a method backward, which training needs")

    def spec(self, input_shapes: list[Shape]) -> Spec:
        given = input_shapes[0] if len(input_shapes) == 1 else input_shapes
        shapes = dict(self.parameter_shapes(given))
        for name in shapes:
            if not name.isidentifier():
                raise ValueError(f"{self.place}: expected an identifier as parameter, got {name!r}")
        spec: Spec = {"op": self.op, "shape": list(self.output_shape(given))}
        if shapes:
            spec["parameters"] = list(shapes)
        return spec | {f"shape_{name}": list(shape) for name, shape in shapes.items()}
