"""`Activation`, one layer per activation function, and `PReLU`, which has parameters.

All map (N, ...) to the same shape; Softmax and LogSoftmax act along the last axis. An activation costs less as
``Dense(..., activation=)``, where it runs inside the matrix product. Exceptions are softmax and log_softmax, and in
training also gelu, gelu_tanh, silu and softsign.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

from nnfast import activations, initializers
from nnfast.core.options import flag, real, shape_of
from nnfast.core.typing import Shape, Spec
from nnfast.initializers import Initializer
from nnfast.layers.base import Layer
from nnfast.layers.weight_options import AlphaOptions

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Activation",
    "HardSigmoid",
    "Heaviside",
    "LeakyReLU",
    "LogSoftmax",
    "PReLU",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
]


class _ActivationLayer(Layer):
    """y = g(x), shape (N, ...) to (N, ...)."""

    passes_mask = True
    op = "activation"
    function: activations.ActivationFunction

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "activation": self.function.name, "alpha": self.function.alpha}


class Activation(_ActivationLayer):
    """y = g(x) for an activation function g given by name.

    Parameters
    ----------
    activation : str or activation layer
        A name from `nnfast.activations`, or a layer such as ``layers.LeakyReLU(0.2)``.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> net = Network([layers.Input((3,)), layers.Activation("relu")])
    >>> net.predict([[-1.0, 0.0, 2.0]])
    array([[0., 0., 2.]], dtype=float32)
    """

    def __init__(self, activation: Any, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.function = activations.get(activation)

    @property
    def activation(self) -> str | dict[str, Any]:
        """Name of the activation function, with its parameter if that differs from the default."""
        return self.function.plain()


class _NamedActivation(_ActivationLayer):
    function_name: ClassVar[str]

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.function = activations.get(self.function_name)


class Heaviside(_ActivationLayer):
    """Step function: y = 1 if x >= threshold, else 0. Its gradient is 0 everywhere, so it cannot be trained through.

    Parameters
    ----------
    threshold : float, default 0
        Smallest x with y = 1.

    References
    ----------
    McCulloch & Pitts (1943), A logical calculus of the ideas immanent in nervous activity, DOI 10.1007/BF02478259.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> both = layers.Dense(1, layers.Heaviside(1.2), kernel_initializer="ones", use_bias=False)
    >>> Network([layers.Input((2,)), both]).predict([[0, 1], [1, 1]])
    array([[0.],
           [1.]], dtype=float32)
    """

    def __init__(self, threshold: float = 0.0, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.threshold = real("Heaviside", "threshold", threshold)
        self.function = activations.get("heaviside", self.threshold)


class Sigmoid(_NamedActivation):
    """Logistic function: y = 1 / (1 + exp(-x)). The gradient is y (1 - y).

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((1,)), layers.Sigmoid()]).predict([[0.0]])
    array([[0.5]], dtype=float32)
    """

    function_name = "sigmoid"


class Tanh(_NamedActivation):
    """y = tanh(x). The gradient is 1 - y^2.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((1,)), layers.Tanh()]).predict([[0.0]])
    array([[0.]], dtype=float32)
    """

    function_name = "tanh"


class ReLU(_NamedActivation):
    """Rectified linear unit: y = max(x, 0). The gradient at 0 is 0.

    Directly after a `BatchNormalization` or an `Add`, it is fused into that layer.

    References
    ----------
    Glorot, Bordes & Bengio (2011), Deep sparse rectifier neural networks, AISTATS.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((2,)), layers.ReLU()]).predict([[-1.0, 2.0]])
    array([[0., 2.]], dtype=float32)
    """

    function_name = "relu"


class LeakyReLU(_ActivationLayer):
    """y = x if x > 0, else negative_slope * x. The gradient at 0 is the slope.

    Parameters
    ----------
    negative_slope : float, default 0.01
        0 or larger.

    References
    ----------
    Maas, Hannun & Ng (2013), Rectifier nonlinearities improve neural network acoustic models, ICML.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((2,)), layers.LeakyReLU(0.5)]).predict([[-1.0, 2.0]])
    array([[-0.5,  2. ]], dtype=float32)
    """

    def __init__(self, negative_slope: float = 0.01, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.negative_slope = real("LeakyReLU", "negative_slope", negative_slope)
        self.function = activations.get("leaky_relu", self.negative_slope)


class ELU(_ActivationLayer):
    """Exponential linear unit: y = x if x > 0, else alpha * (exp(x) - 1).

    Parameters
    ----------
    alpha : float, default 1
        0 or larger.

    References
    ----------
    Clevert, Unterthiner & Hochreiter (2015), arXiv:1511.07289.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((2,)), layers.ELU()]).predict([[0.0, 2.0]])
    array([[0., 2.]], dtype=float32)
    """

    def __init__(self, alpha: float = 1.0, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.alpha = real("ELU", "alpha", alpha)
        self.function = activations.get("elu", self.alpha)


class SELU(_NamedActivation):
    """Scaled ELU: y = scale * x if x > 0, else scale * alpha * (exp(x) - 1).

    scale = 1.0507... and alpha = 1.6733... preserve mean 0 and variance 1 from layer to layer, given the "lecun_normal"
    initializer.

    References
    ----------
    Klambauer et al. (2017), Self-normalizing neural networks, arXiv:1706.02515.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((1,)), layers.SELU()]).predict([[1.0]]).round(4)
    array([[1.0507]], dtype=float32)
    """

    function_name = "selu"


class GELU(_ActivationLayer):
    """Gaussian error linear unit: y = x * Phi(x), with the standard normal distribution function Phi.

    Parameters
    ----------
    approximate : bool, default False
        Whether to approximate Phi(x) by (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.

    References
    ----------
    Hendrycks & Gimpel (2016), arXiv:1606.08415.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((1,)), layers.GELU()]).predict([[1.0]]).round(4)
    array([[0.8413]], dtype=float32)
    """

    def __init__(self, approximate: bool = False, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.approximate = flag("GELU", "approximate", approximate)
        self.function = activations.get("gelu_tanh" if self.approximate else "gelu")


class SiLU(_NamedActivation):
    """Sigmoid linear unit, also called swish: y = x / (1 + exp(-x)).

    References
    ----------
    Elfwing, Uchibe & Doya (2017), arXiv:1702.03118; Ramachandran, Zoph & Le (2017), arXiv:1710.05941 (swish).

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((1,)), layers.SiLU()]).predict([[1.0]]).round(4)
    array([[0.7311]], dtype=float32)
    """

    function_name = "silu"


class Softplus(_NamedActivation):
    """y = log(1 + exp(x)), computed without overflow as max(x, 0) + log(1 + exp(-abs(x))).

    References
    ----------
    Dugas et al. (2000), Incorporating second-order functional knowledge for better option pricing, NIPS 13.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((1,)), layers.Softplus()]).predict([[0.0]]).round(4)
    array([[0.6931]], dtype=float32)
    """

    function_name = "softplus"


class Softsign(_NamedActivation):
    """y = x / (1 + abs(x)).

    References
    ----------
    Glorot & Bengio (2010), Understanding the difficulty of training deep feedforward neural networks, AISTATS.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((1,)), layers.Softsign()]).predict([[1.0]])
    array([[0.5]], dtype=float32)
    """

    function_name = "softsign"


class HardSigmoid(_NamedActivation):
    """y = min(max(x / 6 + 1/2, 0), 1). The gradient is 1/6 between -3 and 3, and 0 elsewhere.

    References
    ----------
    Howard et al. (2019), Searching for MobileNetV3, arXiv:1905.02244.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((3,)), layers.HardSigmoid()]).predict([[-3.0, 0.0, 4.0]])
    array([[0. , 0.5, 1. ]], dtype=float32)
    """

    function_name = "hard_sigmoid"


class Softmax(_NamedActivation):
    """y_k = exp(x_k) / sum_j exp(x_j) along the last axis.

    The maximum is subtracted first, so nothing overflows. Before a cross-entropy loss, softmax and loss are computed
    together.

    References
    ----------
    Bridle (1990), Probabilistic interpretation of feedforward classification network outputs,
    DOI 10.1007/978-3-642-76153-9_28.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((2,)), layers.Softmax()]).predict([[1.0, 1.0]])
    array([[0.5, 0.5]], dtype=float32)
    """

    function_name = "softmax"


class LogSoftmax(_NamedActivation):
    """y_k = x_k - log(sum_j exp(x_j)) along the last axis, accurate for small probabilities too.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((2,)), layers.LogSoftmax()]).predict([[1.0, 1.0]]).round(4)
    array([[-0.6931, -0.6931]], dtype=float32)
    """

    function_name = "log_softmax"


class PReLU(Layer):
    """y = x where x > 0, otherwise alpha x; the slopes alpha are trained.

    Parameters
    ----------
    alpha_initializer : Initializer, str, float or array_like, default "zeros"
        Initial slopes; see `nnfast.initializers`.
    shared_axes : int or sequence of int, optional
        Axes along which the slope is shared; as in Keras, axis 0 is the batch axis, which always shares. For images,
        ``(1, 2)`` gives one slope per channel. By default every element of a row has its own.
    **weights
        alpha_regularizer and alpha_constraint, see `nnfast.layers`.

    Notes
    -----
    Parameter: alpha, with the shape of a row, except for size 1 along shared axes. At x = 0 the derivative is alpha.

    References
    ----------
    He et al. (2015), Delving deep into rectifiers: surpassing human-level performance on ImageNet classification,
    arXiv:1502.01852.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> net = Network([layers.Input((2,)), layers.PReLU(alpha_initializer=[0.5, 0.25])])
    >>> net.predict([[-1.0, 2.0], [3.0, -4.0]])
    array([[-0.5,  2. ],
           [ 3. , -1. ]], dtype=float32)
    """

    op = "prelu"
    shared_arguments: ClassVar[dict[str, Any]] = dict.fromkeys(AlphaOptions.__annotations__)
    passes_mask = True

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        shared_axes: int | Sequence[int] | None = None,
        *,
        trainable: bool | Sequence[str] = True,
        name: str | None = None,
        **weights: Unpack[AlphaOptions],
    ) -> None:
        super().__init__(name=name)
        self._declare_trainable(trainable)
        self._declare_weights(weights)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.shared_axes = None if shared_axes is None else shape_of("PReLU", "shared_axes", shared_axes)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "shared_axes": [axis - 1 for axis in self.shared_axes or ()]}

    def initializer(self, parameter: str) -> Initializer:
        return {"alpha": self.alpha_initializer}[parameter]
