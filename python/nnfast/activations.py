"""Activation functions by name.

==============  ====================================================================
identity        x (also "linear")
heaviside       1 where x >= threshold (default 0), else 0; its gradient is 0
sigmoid         1 / (1 + exp(-x))
tanh            tanh(x)
relu            max(x, 0)
leaky_relu      x where x > 0, else slope * x (default slope .01)
elu             x where x > 0, else alpha * (exp(x) - 1) (default alpha 1)
selu            scale * elu(x), self-normalising (Klambauer et al. 2017)
gelu            x * Phi(x) with the normal distribution function Phi
gelu_tanh       the same with Phi approximated by tanh
silu            x * sigmoid(x) (also "swish")
softplus        log(1 + exp(x))
softsign        x / (1 + abs(x))
hard_sigmoid    min(max(x / 6 + 1/2, 0), 1)
softmax         exp(x_k) / sum_j exp(x_j) over the last axis
log_softmax     log(softmax(x)) over the last axis
==============  ====================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nnfast import _core
from nnfast.core.options import Configured, choose, module_names, real

__all__ = ["ActivationFunction", "get", "names"]

__getattr__, __dir__ = module_names(__name__, __all__)

_ALIASES = {"linear": "identity", "swish": "silu"}
"""What some are called elsewhere."""
_DEFAULT_ALPHA = {"leaky_relu": 0.01, "elu": 1.0}


@dataclass(frozen=True, slots=True)
class ActivationFunction:
    """An activation function and its one number. `get` makes them; nothing is checked here.

    Parameters
    ----------
    name : str
        One of `names`.
    alpha : float
        Threshold, slope or alpha; 0 where the function has none.

    Raises
    ------
    AttributeError
        If a field is set: make a new one.

    Examples
    --------
    >>> from nnfast import activations
    >>> activations.get("elu") == activations.ActivationFunction("elu", 1.0)
    True
    """

    name: str
    alpha: float

    def plain(self) -> str | dict[str, Any]:
        """The function as JSON keeps it: its name, with its number where that is not the default."""
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
    """The activation function that a name, None (identity), or an activation layer stands for.

    Parameters
    ----------
    activation : str, None, ActivationFunction or activation layer
        What a layer was given as ``activation=``. Case and underscores in a name do not count ("LeakyReLU"), and
        "linear" and "swish" are known too.
    alpha : float, optional
        Threshold, slope or alpha; the function's default where None. Only beside a name.

    Returns
    -------
    ActivationFunction

    Raises
    ------
    ValueError
        For an unknown name (the text gives the nearest valid one), or an alpha that is not finite.
    TypeError
        For anything else, such as a class or a function of your own.

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
        raise TypeError(f"activation: expected a name, got {activation!r}; for your own function use a CustomLayer")
    name = choose("activation", activation, _core.activation_names(), _ALIASES)
    number = _DEFAULT_ALPHA.get(name, 0.0) if alpha is None else real(name, "alpha", alpha)
    return ActivationFunction(name, number)
