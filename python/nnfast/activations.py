"""Activation functions by name.

==============  ====================================================================
identity        x (also "linear")
heaviside       1 if x >= threshold (default 0), else 0; the gradient is 0
sigmoid         1 / (1 + exp(-x))
tanh            tanh(x)
relu            max(x, 0)
leaky_relu      x if x > 0, else slope * x (default slope 0.01)
elu             x if x > 0, else alpha * (exp(x) - 1) (default alpha 1)
selu            scale * elu(x), self-normalizing (Klambauer et al. 2017)
gelu            x * Phi(x), Phi being the standard normal distribution function
gelu_tanh       gelu with Phi approximated by tanh
silu            x * sigmoid(x) (also "swish")
softplus        log(1 + exp(x))
softsign        x / (1 + abs(x))
hard_sigmoid    min(max(x / 6 + 1/2, 0), 1)
softmax         exp(x_k) / sum_j exp(x_j) along the last axis
log_softmax     log(softmax(x)) along the last axis
==============  ====================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nnfast import _core
from nnfast.core.options import Configured, choose, module_names, real

__all__ = ["ActivationFunction", "get", "names"]

__getattr__, __dir__ = module_names(__name__, __all__)

_ALIASES = {"linear": "identity", "swish": "silu"}
"""Names used by other libraries."""
_DEFAULT_ALPHA = {"leaky_relu": 0.01, "elu": 1.0}


class ActivationFunction(NamedTuple):
    """An activation function and its parameter, as returned by `get`; immutable.

    Parameters
    ----------
    name : str
        A name from `names`.
    alpha : float
        Threshold, slope or alpha; 0 for functions without a parameter.

    Examples
    --------
    >>> from nnfast import activations
    >>> activations.get("elu") == activations.ActivationFunction("elu", 1.0)
    True
    """

    name: str
    alpha: float

    def plain(self) -> str | dict[str, Any]:
        """The function as a JSON value: its name, with the parameter if that differs from the default."""
        if self.alpha == _DEFAULT_ALPHA.get(self.name, 0.0):
            return self.name
        return {"name": self.name, "alpha": self.alpha}


def names() -> list[str]:
    """Names of all activation functions.

    Examples
    --------
    >>> from nnfast import activations
    >>> "relu" in activations.names()
    True
    """
    return sorted(_core.activation_names())


def get(activation: Any, alpha: float | None = None) -> ActivationFunction:
    """Look up an activation function.

    Parameters
    ----------
    activation : str, None, ActivationFunction or activation layer
        Case and underscores in names are ignored ("LeakyReLU"). None is the identity.
    alpha : float, optional
        Threshold, slope or alpha of a function given by name.

    Examples
    --------
    >>> from nnfast import activations
    >>> activations.get("leaky_relu")
    ActivationFunction(name='leaky_relu', alpha=0.01)
    >>> activations.get("rellu")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: unknown activation 'rellu'; did you mean 'relu'? valid names: ...
    """
    if activation is None:
        activation = "identity"
    if isinstance(activation, Mapping):
        activation, alpha = activation.get("name"), activation.get("alpha")
    is_layer = not isinstance(activation, type) and getattr(activation, "op", None) == "activation"
    function = activation.function if is_layer else activation
    if isinstance(function, ActivationFunction):
        return function
    if isinstance(activation, type) and issubclass(activation, Configured):
        raise TypeError(f"activation: expected a name or a layer, got a class; write {activation.__name__}()")
    if callable(activation):
        raise TypeError(
            f"activation: expected a name, got {activation!r}; for a user-defined function use a CustomLayer"
        )
    name = choose("activation", activation, _core.activation_names(), _ALIASES)
    number = _DEFAULT_ALPHA.get(name, 0.0) if alpha is None else real(name, "alpha", alpha)
    return ActivationFunction(name, number)
