"""Losses.

A loss has one value per row; the loss of a batch is ``sum_i weight_i * value_i / N``, with sample weights of 1 by
default. Rows of weight 0 are ignored, even if their value overflows or is NaN. In the formulas, t is the target and p
the prediction, with j running over the O outputs of a row.

`Trainer` and `Network.loss_and_gradients` raise a ValueError if a loss does not fit the last layer: from probabilities,
the cross-entropies need a network that ends in a sigmoid or softmax; from logits, it must not. They are always computed
from the logits, together with the sigmoid or softmax, so that nothing overflows and no logarithm of 0 occurs. When a
cross-entropy is called on probabilities, these are bounded below by the smallest normal number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from nnfast import _core
from nnfast.core.arrays import TargetKind, are_several, as_array, as_numbers, as_rows, as_targets, as_weights
from nnfast.core.hints import LOSSES
from nnfast.core.options import (
    Configured,
    choose,
    custom_classes,
    custom_function,
    flag,
    from_config,
    function_name,
    module_names,
    public_classes,
    real,
)
from nnfast.core.typing import Array, Spec

__all__ = [
    "BinaryCrossEntropy",
    "CrossEntropy",
    "CustomLoss",
    "FunctionLoss",
    "HalfSquaredError",
    "Huber",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SumAbsoluteError",
    "get",
]


class Loss(Configured):
    """Base class of all losses. A loss can also be called on arrays: ``loss(y_true, y_pred)``.

    Examples
    --------
    >>> from nnfast import losses
    >>> losses.SumAbsoluteError()([[1.0, 0.0, 0.0, 0.0]], [[-0.75, -0.25, 0.75, 0.5]])
    3.25
    """

    name: ClassVar[str]
    targets: ClassVar[TargetKind] = "real"

    def spec(self) -> Spec:
        """Description of this loss for the core."""
        return {"name": self.name}

    def callbacks(self) -> dict[str, Any]:
        """The NumPy functions of a custom loss, for the core."""
        return {}

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """The loss of a batch, in float64.

        Parameters
        ----------
        y_true : array_like (N, ...)
            Targets of the shape of `y_pred`, or class indices for `CrossEntropy`.
        y_pred : array_like (N, ..., O)
        sample_weight : array_like (N,), optional
            0 or larger.

        Returns
        -------
        float
        """
        prediction = as_numbers(y_pred, "y_pred", "y_pred")
        prediction = as_rows(prediction, prediction.shape[1:], "float64", "y_pred").astype("float64")
        rows, shape = len(prediction), prediction.shape[1:]
        target = as_targets(y_true, rows, shape, "float64", self.targets)
        weight = as_weights(sample_weight, rows, "float64")
        return float(self._weighted_values(target, prediction, weight).sum() / rows)

    def _weighted_values(self, target: Array, prediction: Array, weight: Array | None) -> Array:
        return _core.loss_forward(self.name, prediction, target, weight, self.spec())


class MeanSquaredError(Loss):
    """mean_j (t_j - p_j)^2. Name: "mse".

    Examples
    --------
    >>> from nnfast import losses
    >>> losses.MeanSquaredError()([[0.0, 1.0]], [[0.5, 0.5]])
    0.25
    """

    name = "mse"


class HalfSquaredError(Loss):
    """sum_j (t_j - p_j)^2 / 2, whose gradient is p_j - t_j. Name: "half_squared_error".

    Examples
    --------
    >>> from nnfast import losses
    >>> losses.HalfSquaredError()([[0.0, 1.0]], [[0.5, 0.5]])
    0.25
    """

    name = "half_squared_error"


class MeanAbsoluteError(Loss):
    """mean_j abs(t_j - p_j), with derivative 0 at p_j = t_j. Name: "mae".

    Examples
    --------
    >>> from nnfast import losses
    >>> losses.MeanAbsoluteError()([[0.0, 1.0]], [[0.5, 0.5]])
    0.5
    """

    name = "mae"


class SumAbsoluteError(Loss):
    """sum_j abs(t_j - p_j), with derivative 0 at p_j = t_j. Name: "sum_absolute_error".

    Examples
    --------
    >>> from nnfast import losses
    >>> losses.SumAbsoluteError()([[0.0, 1.0]], [[0.5, 0.5]])
    1.0
    """

    name = "sum_absolute_error"


class Huber(Loss):
    """mean_j h(t_j - p_j) with h(e) = e^2 / 2 if abs(e) <= delta, else delta * (abs(e) - delta / 2). Name: "huber".

    Parameters
    ----------
    delta : float, default 1
        At least 1.18e-38, the smallest normal float32.

    References
    ----------
    Huber (1964), Robust estimation of a location parameter, DOI 10.1214/aoms/1177703732.

    Examples
    --------
    >>> from nnfast import losses
    >>> losses.Huber()([[0.0]], [[3.0]])
    2.5
    """

    name = "huber"

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = real("Huber", "delta", delta, minimum=float(np.finfo(np.float32).tiny))

    def spec(self) -> Spec:
        return {"name": self.name, "delta": self.delta}


class BinaryCrossEntropy(Loss):
    """mean_j -(t_j log p_j + (1 - t_j) log(1 - p_j)) for targets in [0, 1]. Name: "binary_cross_entropy".

    Parameters
    ----------
    from_logits : bool, default False
        Whether predictions are logits z with p = sigmoid(z), instead of p.

    Examples
    --------
    >>> from nnfast import losses
    >>> round(losses.BinaryCrossEntropy(from_logits=True)([[1.0]], [[0.0]]), 4)
    0.6931
    """

    name = "binary_cross_entropy"
    targets = "probability"

    def __init__(self, from_logits: bool = False) -> None:
        self.from_logits = flag(type(self).__name__, "from_logits", from_logits)

    def spec(self) -> Spec:
        return {"name": self.name, "from_logits": int(self.from_logits)}


class CrossEntropy(Loss):
    """-sum_k t_k log p_k over the K classes of the last axis, averaged over other axes. Name: "cross_entropy".

    Targets are class indices (N, ...) of an integer dtype, or one-hot or soft targets (N, ..., K).

    Parameters
    ----------
    from_logits : bool, default False
        Whether predictions are logits z with p = softmax(z), instead of p.
    label_smoothing : float, default 0
        0 <= e < 1: replaces t_k by (1 - e) t_k + e / K.

    References
    ----------
    Szegedy et al. (2015), Rethinking the Inception architecture, arXiv:1512.00567 (label smoothing).

    Examples
    --------
    >>> from nnfast import losses
    >>> round(losses.CrossEntropy()([2], [[0.25, 0.25, 0.5]]), 4)
    0.6931
    """

    name = "cross_entropy"
    targets = "classes"

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0) -> None:
        self.from_logits = flag(type(self).__name__, "from_logits", from_logits)
        self.label_smoothing = real("CrossEntropy", "label_smoothing", label_smoothing, minimum=0.0, upper_bound=1.0)

    def spec(self) -> Spec:
        return {
            "name": self.name,
            "from_logits": int(self.from_logits),
            "label_smoothing": self.label_smoothing,
        }

    def _weighted_values(self, target: Array, prediction: Array, weight: Array | None) -> Array:
        if self.from_logits:
            return super()._weighted_values(target, prediction, weight)
        # The core computes cross-entropy of probabilities for vectors only, and label smoothing only with the softmax.
        rows, classes = len(prediction), prediction.shape[-1]
        if self.label_smoothing:
            soft = target if target.dtype.kind == "f" else np.eye(classes)[target]
            target = (1 - self.label_smoothing) * soft + self.label_smoothing / classes
        each = target.reshape((-1, classes) if target.dtype.kind == "f" else -1)
        values = _core.loss_forward(self.name, prediction.reshape(-1, classes), each, None, {"from_logits": 0})
        means: Array = values.reshape(rows, -1).mean(axis=1)
        return _weighted(means, weight)


class CustomLoss(Loss):
    """Base class of losses written in NumPy: derive from it and define `value` and `gradient`.

    Targets and predictions are read-only and, in a network, have its dtype. Every constructor argument must be stored
    in an attribute of the same name, from which checkpoints save the loss; `Trainer.resume` needs the class:
    ``custom_objects={"Quartic": Quartic}``. If a method raises an exception, it propagates, and no parameter is
    changed. `nnfast.check_gradients` checks that `gradient` matches `value`.

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import layers, losses
    >>> class Quartic(losses.CustomLoss):
    ...     def value(self, target, prediction):
    ...         return ((prediction - target) ** 4).mean(axis=1)
    ...     def gradient(self, target, prediction):
    ...         return 4 * (prediction - target) ** 3 / target.shape[1]
    >>> Quartic()([[0.0, 0.0]], [[1.0, 2.0]])
    8.5
    >>> net = nf.Network([layers.Input((3,)), layers.Dense(2)], seed=0)
    >>> bool(nf.check_gradients(net, [[1.0, 2.0, 3.0]], [[0.0, 1.0]], Quartic()))
    True
    """

    name = "callback"

    def value(self, target: Array, prediction: Array) -> Array:
        """The loss of each row, before sample weights.

        Parameters
        ----------
        target, prediction : ndarray of shape (N, *output_shape)

        Returns
        -------
        ndarray of shape (N,)
        """
        raise NotImplementedError(f"{type(self).__name__}: expected a method value")

    def gradient(self, target: Array, prediction: Array) -> Array:
        """The gradient of each row's loss with respect to its prediction, before sample weights and the mean over rows.

        Evaluation does not need it.

        Parameters
        ----------
        target, prediction : ndarray of shape (N, *output_shape)

        Returns
        -------
        ndarray of shape (N, *output_shape)
        """
        raise NotImplementedError(f"{type(self).__name__}: expected a method gradient, which training needs")

    def callbacks(self) -> dict[str, Any]:
        return {"loss": self._run}

    def _run(self, target: Array, prediction: Array, value: Array, d_prediction: Array | None) -> None:
        value[...] = self._checked("value", self.value(target, prediction), value)
        if d_prediction is not None:
            d_prediction[...] = self._checked("gradient", self.gradient(target, prediction), d_prediction)

    def _checked(self, method: str, result: Any, wanted: Array) -> Array:
        array = as_array(result, f"{type(self).__name__}.{method}", "a result")
        if array.shape != wanted.shape:
            raise ValueError(f"{type(self).__name__}.{method}: expected shape {wanted.shape}, got {array.shape}")
        return array

    def _weighted_values(self, target: Array, prediction: Array, weight: Array | None) -> Array:
        target, prediction = target.view(), prediction.view()
        target.flags.writeable = prediction.flags.writeable = False  # they may be the caller's data
        values = self._checked("value", self.value(target, prediction), np.empty(len(prediction)))
        return _weighted(values, weight)


class FunctionLoss(Loss):
    """A loss written as a function of tensors, with `nnfast.ops`; its gradient follows.

    Where a loss is expected, the function itself will do: ``Trainer(net, loss=quartic)``.

    Parameters
    ----------
    function : callable
        ``function(y_true, y_pred)`` returns the loss of each row (N,), or a tensor (N, ...), of whose elements the mean
        over each row is taken. It is called once for each form of targets, with symbolic tensors.

    Notes
    -----
    `y_true` has the form of the targets passed to the trainer, which may be any numbers or integers (N, ...), or a dict
    or tuple of such arrays: ``{"action": actions, "advantage": advantages}``. Sample weights may be negative.

    A checkpoint keeps the function by name; `Trainer.resume` needs it: ``custom_objects={"quartic": quartic}``.

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import layers, losses
    >>> def quartic(y_true, y_pred):
    ...     return nf.ops.mean((y_pred - y_true) ** 4, axis=-1)
    >>> losses.FunctionLoss(quartic)([[0.0, 0.0]], [[1.0, 2.0]])
    8.5
    >>> net = nf.Network([layers.Input((3,)), layers.Dense(2)], seed=0)
    >>> bool(nf.check_gradients(net, [[1.0, 2.0, 3.0]], [[0.0, 1.0]], quartic))
    True
    """

    name = "expression"
    targets = "any"

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        if not callable(function):
            raise TypeError(f"FunctionLoss: expected a function, got {function!r}")
        self.function = function

    def get_config(self) -> dict[str, Any]:
        return {"function": function_name(self.function)}

    def __call__(self, y_true: Any, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        prediction = np.asarray(as_numbers(y_pred, "y_pred", "y_pred"), "float64")
        values = np.asarray(self.function(_arrays_in(y_true), prediction), "float64")
        if values.ndim == 0 or len(values) != len(prediction):
            raise ValueError(
                f"{function_name(self.function)}: expected one value for each of the {len(prediction)} rows, got shape "
                f"{values.shape}"
            )
        weight = as_weights(sample_weight, len(prediction), "float64", signed=True)
        return float(_weighted(values.reshape(len(values), -1).mean(axis=1), weight).sum() / len(values))


def _arrays_in(y: Any) -> Any:
    if isinstance(y, Mapping):
        return {key: _array_of(value) for key, value in y.items()}
    return [_array_of(part) for part in y] if are_several(y) else _array_of(y)


def _array_of(y: Any) -> Array:
    array = np.asarray(y)
    return array.astype("int64") if array.dtype.kind in "bu" else array  # whose differences may be negative


def _weighted(values: Array, weight: Array | None) -> Array:
    """Values times weights; 0 where the weight is 0, whatever the value."""
    return values if weight is None else np.multiply(values, weight, out=np.zeros_like(values), where=weight != 0)


CLASSES = public_classes(Loss, CustomLoss, FunctionLoss)
NAMES: dict[str, type[Loss]] = {c.name: c for c in CLASSES.values()}
ALIASES = {
    "mean_squared_error": "mse",
    "mse_loss": "mse",
    "mean_absolute_error": "mae",
    "l1_loss": "mae",
    "huber_loss": "huber",
    "binary_crossentropy": "binary_cross_entropy",
    "bce": "binary_cross_entropy",
    "bce_loss": "binary_cross_entropy",
    "categorical_crossentropy": "cross_entropy",
    "sparse_categorical_crossentropy": "cross_entropy",
    "cross_entropy_loss": "cross_entropy",
}
"""Names in Keras and PyTorch."""

# Keras's spelling.
BinaryCrossentropy = BinaryCrossEntropy
CategoricalCrossentropy = SparseCategoricalCrossentropy = CrossEntropy

__getattr__, __dir__ = module_names(__name__, __all__, LOSSES)


def get(loss: Any, custom_objects: Mapping[str, Any] | None = None) -> Loss:
    """Look up a loss.

    Parameters
    ----------
    loss : Loss, str, callable or dict
        Case and underscores in names are ignored, and names of Keras and PyTorch are accepted, such as
        "sparse_categorical_crossentropy". A function is one of tensors, see `FunctionLoss`. A dict is a saved loss.
    custom_objects : dict, optional
        Classes and functions of custom losses by name, for a saved loss.

    Examples
    --------
    >>> from nnfast import losses
    >>> losses.get("huber")
    Huber()
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, type) and issubclass(loss, Loss):
        raise TypeError(f"loss: expected a loss, got the class {loss.__name__}; write {loss.__name__}()")
    if callable(loss):
        return FunctionLoss(loss)
    if isinstance(loss, Mapping) and loss.get("class") == FunctionLoss.__name__:
        config = loss.get("config")
        name = config.get("function") if isinstance(config, Mapping) else None
        return FunctionLoss(custom_function(custom_objects, "loss function", name))
    if isinstance(loss, Mapping):
        return from_config("loss", loss, CLASSES | custom_classes(custom_objects, Loss))
    return NAMES[choose("loss", loss, NAMES, ALIASES)]()
