"""Input, Rescaling, Dense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnfast import activations, initializers
from nnfast.core.options import flag, integer, real, shape_of
from nnfast.core.tensor import Tensor
from nnfast.core.typing import Shape, Spec
from nnfast.initializers import Initializer
from nnfast.layers.base import Layer

__all__ = ["Dense", "Input", "Rescaling"]


class Input(Layer, Tensor):
    """Where rows of data enter; it is a symbolic tensor itself.

    Parameters
    ----------
    shape : tuple of int
        Shape of one row, without the batch axis: ``(784,)``, ``(28, 28, 1)``.
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        If a size is below 1, or, in a network, the shape is (); rows of single numbers are (1,).
    TypeError
        If a size is no integer, or the Input is called: it is a tensor already.

    Notes
    -----
    Data may be uint8 or of the network's dtype without any copy; see `Network.predict`.

    Examples
    --------
    >>> from nnfast import layers
    >>> layers.Input((28, 28, 1)).shape
    (28, 28, 1)
    """

    op = "input"
    num_inputs = 0

    def __init__(self, shape: int | Sequence[int], *, name: str | None = None) -> None:
        Layer.__init__(self, name=name)
        Tensor.__init__(self, self, (), shape_of("Input", "shape", shape))

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "shape": list(self.shape)}

    def __call__(self, inputs: Tensor | Sequence[Tensor]) -> Tensor:
        raise TypeError("Input: it is a tensor already and takes no input; call the next layer on it")

    __repr__ = Layer.__repr__


class Rescaling(Layer):
    """y = x * scale + offset, with fixed numbers; ``Rescaling(1 / 255)`` turns pixels of 0 to 255 into 0 to 1.

    Parameters
    ----------
    scale : float
        Finite.
    offset : float, default 0
        Finite.
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        If `scale` or `offset` is not finite.
    TypeError
        If `scale` or `offset` is no number.

    Notes
    -----
    Shape (N, ...) to the same. After an Input of uint8 rows it runs while the rows are gathered, at no cost of its own.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import Network, layers
    >>> net = Network([layers.Input((2,)), layers.Rescaling(1 / 255)])
    >>> net.predict(np.array([[0, 255]], dtype=np.uint8))
    array([[0., 1.]], dtype=float32)
    """

    op = "rescaling"

    def __init__(self, scale: float, offset: float = 0.0, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.scale = real("Rescaling", "scale", scale)
        self.offset = real("Rescaling", "offset", offset)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "scale": self.scale, "offset": self.offset}


class Dense(Layer):
    """y = g(x W + b): every unit sees every feature of the last axis.

    Parameters
    ----------
    units : int
        Number O of outputs.
    activation : str or activation layer, optional
        g by name, or a layer such as ``layers.LeakyReLU(0.2)`` for its number; None is the identity.
    use_bias : bool, default True
        Whether b is added.
    kernel_initializer, bias_initializer : Initializer, str, float or array_like
        First values of W and b; see `nnfast.initializers`. By default Glorot uniform and zeros.
    tied_to : Dense or str, optional
        Another dense layer of the network, or its name: W is that layer's kernel transposed, one parameter for both, as
        in autoencoders. `units` is then the number of that layer's inputs.
    trainable : bool or names, default True
        Which parameters training changes: all, none, or the named ones, e.g. ``("kernel",)`` for fixed biases.
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        If `units` is below 1, or the activation or an initializer is unknown. Where the layer is called: if a name in
        `trainable` is no parameter's. From the `Network`: if an array of first values has not the parameter's shape.
    TypeError
        If `units` is no integer, or another argument is of a type that it does not take.

    Notes
    -----
    Shape (N, ..., D) to (N, ..., O). Parameters: kernel (D, O), bias (O,). 2 D O operations for
    each vector along the last axis.

    References
    ----------
    Rosenblatt (1958), The perceptron, DOI 10.1037/h0042519.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> net = Network([layers.Input((2,)), layers.Dense(1, activation="relu", kernel_initializer="ones")])
    >>> net.predict([[1.0, 2.0], [-3.0, 1.0]])
    array([[3.],
           [0.]], dtype=float32)
    """

    op = "dense"

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        *,
        tied_to: Dense | str | None = None,
        trainable: bool | Sequence[str] = True,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self._declare_trainable(trainable)
        self.units = integer("Dense", "units", units)
        if not isinstance(tied_to, Dense | str | None):
            raise TypeError(f"Dense: expected tied_to as a layers.Dense or the name of one, got {tied_to!r}")
        self.tied_to = tied_to
        self.function = activations.get(activation)
        self.use_bias = flag("Dense", "use_bias", use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    @property
    def activation(self) -> str | dict[str, Any] | None:
        """The activation function's name, with its number where that is not the default."""
        return None if self.function.name == "identity" else self.function.plain()

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {
            "op": self.op,
            "units": self.units,
            "use_bias": int(self.use_bias),
            "activation": self.function.name,
            "alpha": self.function.alpha,
            **self._tie(),
        }

    def _tie(self) -> Spec:
        if self.tied_to is None:
            return {}
        name = self.tied_to if isinstance(self.tied_to, str) else self.tied_to.place
        return {"transposed": 1, "shared": {"kernel": f"{name}.kernel"}}

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if isinstance(self.tied_to, Layer):
            config["tied_to"] = self.tied_to.name
        return config

    def initializer(self, parameter: str) -> Initializer:
        return {"kernel": self.kernel_initializer, "bias": self.bias_initializer}[parameter]
