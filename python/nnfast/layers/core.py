"""Input, Rescaling, Dense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

import numpy as np

from nnfast import activations, initializers
from nnfast.core.options import flag, integer, real, shape_of
from nnfast.core.tensor import Tensor
from nnfast.core.typing import Shape, Spec
from nnfast.initializers import Initializer
from nnfast.layers.base import Layer
from nnfast.layers.embedding import Embedding
from nnfast.layers.weight_options import KernelOptions

__all__ = ["Dense", "Input", "Rescaling"]


class Input(Layer, Tensor):
    """An input of the network; an `Input` is a symbolic tensor itself.

    Parameters
    ----------
    shape : int or tuple of int
        Shape of one row, without the batch axis: ``(784,)``, ``(28, 28, 1)``. Rows that are single numbers have shape
        (1,).
    dtype : {"int32", "int64"}, optional
        For an input of integers, such as token ids; left out, for numbers of the network's dtype.

    Notes
    -----
    Data of dtype uint8 or of the network's dtype are read without a copy.

    With either integer `dtype`, data of dtype int32, int64 and uint8 are read without a copy, other integers are cast
    once, and floats are a TypeError. Layers see the integers as numbers of the network's dtype, exactly: they may be 0
    to 2^24 in float32 networks, and 0 to 2^53 in float64 ones. Their gradient is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import Network, layers
    >>> layers.Input((28, 28, 1)).shape
    (28, 28, 1)
    >>> tokens = layers.Input((3,), dtype="int32")
    >>> net = Network(inputs=tokens, outputs=layers.Embedding(10, 4)(tokens), seed=0)
    >>> net.predict(np.array([[1, 5, 1]])).shape
    (1, 3, 4)
    """

    op = "input"
    num_inputs = 0

    def __init__(self, shape: int | Sequence[int], *, dtype: Any = None, name: str | None = None) -> None:
        Layer.__init__(self, name=name)
        domain = "real" if dtype is None else "integer"
        sizes = shape_of("Input", "shape", shape)
        if not sizes:
            raise ValueError(
                "Input: expected a shape of one axis or more besides the batch, got (); numbers go in as (1,)"
            )
        Tensor.__init__(self, self, (), sizes, domain=domain)
        self.dtype = None if dtype is None else _integer_dtype(dtype)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op if self.dtype is None else "integer_input", "shape": list(self.shape)}

    def __call__(self, inputs: Tensor | Sequence[Tensor]) -> Tensor:
        raise TypeError("Input: it is a tensor already and takes no input; call the next layer on it")

    __repr__ = Layer.__repr__


def _integer_dtype(dtype: Any) -> str:
    """The name of the dtype of an input of integers."""
    try:
        name = str(np.dtype(dtype).name)
    except (TypeError, ValueError):
        name = str(dtype)
    if name not in ("int32", "int64"):
        raise ValueError(
            f'Input: expected dtype "int32" or "int64", for integers, got {dtype!r}; leave it out for other numbers, '
            "which get the network's dtype"
        )
    return name


class Rescaling(Layer):
    """y = x * scale + offset with constants; ``Rescaling(1 / 255)`` maps pixel values 0 to 255 to the range 0 to 1.

    Parameters
    ----------
    scale : float
        Factor.
    offset : float, default 0
        Summand.

    Notes
    -----
    Shape (N, ...) to (N, ...). Directly after a uint8 input, it is applied while the batch is gathered, at no extra
    cost.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import Network, layers
    >>> net = Network([layers.Input((2,)), layers.Rescaling(1 / 255)])
    >>> net.predict(np.array([[0, 255]], dtype=np.uint8))
    array([[0., 1.]], dtype=float32)
    """

    passes_mask = True
    op = "rescaling"

    def __init__(self, scale: float, offset: float = 0.0, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.scale = real("Rescaling", "scale", scale)
        self.offset = real("Rescaling", "offset", offset)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "scale": self.scale, "offset": self.offset}


class Dense(Layer):
    """Fully connected layer: y = g(x W + b).

    Parameters
    ----------
    units : int
        Number O of outputs.
    activation, use_bias, kernel_initializer, bias_initializer, trainable, name, **weights
        See `nnfast.layers`.
    tied_to : Dense, Embedding or str, optional
        Another dense layer of the network, or its name. W is then the transposed kernel of that layer, one parameter
        shared by both, as in tied autoencoders; `units` must equal that layer's number of inputs. Or an `Embedding`,
        whose transposed table turns vectors into scores of the tokens, as in language models (or the full name of its
        table, "tokens.embeddings").

    Notes
    -----
    Shape (N, ..., D) to (N, ..., O). Parameters: kernel (D, O), bias (O,). 2 D O operations per vector.

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

    passes_mask = True
    op = "dense"
    shared_arguments: ClassVar[dict[str, Any]] = dict.fromkeys(KernelOptions.__annotations__)

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        *,
        tied_to: Dense | Embedding | str | None = None,
        trainable: bool | Sequence[str] = True,
        name: str | None = None,
        **weights: Unpack[KernelOptions],
    ) -> None:
        super().__init__(name=name)
        self._declare_trainable(trainable)
        self._declare_weights(weights)
        self.units = integer("Dense", "units", units)
        if not isinstance(tied_to, Dense | Embedding | str | None):
            raise TypeError(
                f"Dense: expected tied_to as a layers.Dense or the name of one, or a layers.Embedding, got {tied_to!r}"
            )
        self.tied_to = tied_to
        for option in ("kernel_regularizer", "kernel_constraint"):
            if tied_to is not None and weights.get(option) is not None:
                raise ValueError(f"Dense: expected no {option} with tied_to; give it to the layer that has the kernel")
        self.function = activations.get(activation)
        self.use_bias = flag("Dense", "use_bias", use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    @property
    def activation(self) -> str | dict[str, Any] | None:
        """Name of the activation function, with its parameter if that differs from the default."""
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
        tie = self.tied_parameter
        return {} if tie is None else {"transposed": 1, "shared": {"kernel": tie}}

    @property
    def tied_parameter(self) -> str | None:
        if isinstance(self.tied_to, Embedding):
            return f"{self.tied_to.place}.embeddings"
        if isinstance(self.tied_to, Layer):
            return f"{self.tied_to.place}.kernel"
        return self.tied_to if self.tied_to is None or "." in self.tied_to else f"{self.tied_to}.kernel"

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if isinstance(self.tied_to, Layer):
            config["tied_to"] = self.tied_parameter if isinstance(self.tied_to, Embedding) else self.tied_to.name
        return config

    def initializer(self, parameter: str) -> Initializer:
        return {"kernel": self.kernel_initializer, "bias": self.bias_initializer}[parameter]
