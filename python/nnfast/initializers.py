"""Initializers: initial values of parameters.

Each parameter has its own stream of a counter-based random number generator, identified by the network's seed and the
index of the parameter. Values are computed in float64 and rounded to the network's dtype, so float32 and float64
networks with the same seed start from the same values.

Fan-in is the number of products summed for one output, fan-out the number of products that one input enters,
disregarding strides and borders:

=================================================  ==================  ===============
kernel                                             fan-in              fan-out
=================================================  ==================  ===============
dense (D, O)                                       D                   O
convolution (KH, KW, C / groups, O)                KH KW C / groups    KH KW O / groups
depthwise (KH, KW, C, multiplier)                  KH KW               KH KW multiplier
transposed convolution (KH, KW, O, C)              KH KW C             KH KW O
=================================================  ==================  ===============

For a vector, both are its length. Keras always takes the last two axes as D and O, so it differs for grouped, depthwise
and transposed kernels: with its fan-in, a depthwise layer of 64 channels initialized by `HeNormal` would scale signals
by 1/8. PyTorch differs for transposed kernels only.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from nnfast import _core
from nnfast.core.arrays import as_array, as_numbers
from nnfast.core.options import (
    Configured,
    choose,
    from_config,
    integer,
    module_names,
    public_classes,
    real,
    shape_of,
)
from nnfast.core.typing import Array, Shape

__all__ = [
    "Constant",
    "Given",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "LeCunNormal",
    "LeCunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "Zeros",
    "get",
]

__getattr__, __dir__ = module_names(__name__, __all__)


def fans(shape: Shape) -> tuple[int, int]:
    """Fan-in and fan-out of the kernel of a dense layer or an ordinary convolution; other layers override `Layer.fans`.

    Examples
    --------
    >>> from nnfast.initializers import fans
    >>> fans((784, 10)), fans((3, 3, 16, 32))
    ((784, 10), (144, 288))
    """
    shape = shape_of("fans", "shape", shape, minimum=0)
    if len(shape) < 2:
        return math.prod(shape), math.prod(shape)
    field = math.prod(shape[:-2])
    return field * shape[-2], field * shape[-1]


class Initializer(Configured):
    """Base class of all initializers: called with a shape, a seed and a stream, they return float64 values.

    A network passes its own seed and, as stream, the index of the parameter in `Network.parameters`.

    Examples
    --------
    >>> from nnfast import initializers
    >>> initializers.Ones()((2, 3), seed=0, stream=0)
    array([[1., 1., 1.],
           [1., 1., 1.]])
    """

    name: ClassVar[str]

    def __call__(self, shape: Shape, seed: int, stream: int) -> Array:
        raise NotImplementedError

    def draw(self, shape: Shape, seed: int, stream: int, fans: tuple[int, int]) -> Array:
        """Values of a parameter with the given fans; by default those of a call."""
        return as_array(self(shape, seed, stream), type(self).__name__, "a result")


def _scaled(values: Array, scale: float, offset: float) -> Array:
    """`values` * scale + offset in place: new arrays would cost more than the arithmetic."""
    values *= scale
    values += offset
    return values


def _count(shape: Shape) -> int:
    """Number of elements of a shape, checked to fit in memory."""
    count = math.prod(shape_of("initializer", "shape", shape, minimum=0))
    if count >= 2**48:
        raise ValueError(f"initializer: expected a shape of fewer than 2^48 elements, got {shape}")
    return count


def _counters(shape: Shape, seed: int, stream: int) -> tuple[int, int, int]:
    """Arguments of the core's random number generators."""
    return (
        _count(shape),
        integer("initializer", "seed", seed, minimum=0, upper_bound=2**64),
        integer("initializer", "stream", stream, minimum=0, upper_bound=2**32),
    )


def _uniform(shape: Shape, low: float, high: float, seed: int, stream: int) -> Array:
    values = _core.random_uniform(*_counters(shape, seed, stream), "float64").reshape(shape)
    return _scaled(values, high - low, low)


def _normal(shape: Shape, mean: float, stddev: float, seed: int, stream: int) -> Array:
    values = _core.random_normal(*_counters(shape, seed, stream), "float64").reshape(shape)
    return _scaled(values, stddev, mean)


class Zeros(Initializer):
    """All values 0.

    Examples
    --------
    >>> from nnfast import initializers
    >>> initializers.Zeros()((3,), seed=0, stream=0)
    array([0., 0., 0.])
    """

    name = "zeros"

    def __call__(self, shape: Shape, seed: int, stream: int) -> Array:
        return np.zeros(_count(shape)).reshape(shape)


class Ones(Initializer):
    """All values 1.

    Examples
    --------
    >>> from nnfast import initializers
    >>> initializers.Ones()((3,), seed=0, stream=0)
    array([1., 1., 1.])
    """

    name = "ones"

    def __call__(self, shape: Shape, seed: int, stream: int) -> Array:
        return np.ones(_count(shape)).reshape(shape)


class Constant(Initializer):
    """All values `value`.

    Parameters
    ----------
    value : float, default 0

    Examples
    --------
    >>> from nnfast import initializers
    >>> initializers.Constant(0.5)((3,), seed=0, stream=0)
    array([0.5, 0.5, 0.5])
    """

    name = "constant"

    def __init__(self, value: float = 0.0) -> None:
        self.value = real("Constant", "value", value)

    def __call__(self, shape: Shape, seed: int, stream: int) -> Array:
        return np.full(_count(shape), self.value).reshape(shape)


class Given(Initializer):
    """The values of an array, which must have the shape of the parameter.

    Parameters
    ----------
    values : array_like
        Finite numbers; copied.

    Notes
    -----
    Saved networks do not store the array; a loaded network has `Zeros` in its place.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> net = Network([layers.Input((2,)), layers.Dense(1, kernel_initializer=[[2.0], [3.0]])], seed=0)
    >>> net.predict([[1.0, 10.0]])
    array([[32.]], dtype=float32)
    """

    name = "given"

    def __init__(self, values: ArrayLike) -> None:
        self.values = np.array(as_numbers(values, "Given", "values"), dtype=np.float64)
        if not np.isfinite(self.values).all():
            raise ValueError("Given: expected finite values, got NaN or infinity")

    def __call__(self, shape: Shape, seed: int, stream: int) -> Array:
        if self.values.shape != shape:
            raise ValueError(f"initializer: expected an array of shape {shape}, got {self.values.shape}")
        return self.values

    def get_config(self) -> dict[str, Any]:
        """Empty, because JSON cannot hold the array; `initializers.get` reads it as `Zeros`."""
        return {}

    def __repr__(self) -> str:
        return f"Given(<array of shape {self.values.shape}>)"


class RandomUniform(Initializer):
    """Uniform on [minval, maxval).

    Parameters
    ----------
    minval, maxval : float, default -0.05 and 0.05

    Examples
    --------
    >>> from nnfast import initializers
    >>> values = initializers.RandomUniform(-1, 3)((10000,), seed=0, stream=0)
    >>> round(float(values.min()), 1), round(float(values.max()), 1)
    (-1.0, 3.0)
    """

    name = "random_uniform"

    def __init__(self, minval: float = -0.05, maxval: float = 0.05) -> None:
        self.minval = real("RandomUniform", "minval", minval)
        self.maxval = real("RandomUniform", "maxval", maxval, minimum=self.minval)

    def __call__(self, shape: Shape, seed: int, stream: int) -> Array:
        return _uniform(shape, self.minval, self.maxval, seed, stream)


class RandomNormal(Initializer):
    """Normal with mean `mean` and standard deviation `stddev`.

    Parameters
    ----------
    mean, stddev : float, default 0 and 0.05

    Examples
    --------
    >>> from nnfast import initializers
    >>> values = initializers.RandomNormal(2.0, 0.5)((10000,), seed=0, stream=0)
    >>> round(float(values.mean()), 1), round(float(values.std()), 1)
    (2.0, 0.5)
    """

    name = "random_normal"

    def __init__(self, mean: float = 0.0, stddev: float = 0.05) -> None:
        self.mean = real("RandomNormal", "mean", mean)
        self.stddev = real("RandomNormal", "stddev", stddev, minimum=0)

    def __call__(self, shape: Shape, seed: int, stream: int) -> Array:
        return _normal(shape, self.mean, self.stddev, seed, stream)


class _VarianceScaling(Initializer):
    """Mean 0 and a variance derived from the fans, which preserves the scale of signals from layer to layer."""

    def variance(self, fan_in: int, fan_out: int) -> float:
        raise NotImplementedError

    def __call__(self, shape: Shape, seed: int, stream: int) -> Array:
        return self.draw(shape, seed, stream, fans(shape))


class _ScaledUniform(_VarianceScaling):
    def draw(self, shape: Shape, seed: int, stream: int, fans: tuple[int, int]) -> Array:
        limit = math.sqrt(3 * self.variance(*fans))
        return _uniform(shape, -limit, limit, seed, stream)


class _ScaledNormal(_VarianceScaling):
    def draw(self, shape: Shape, seed: int, stream: int, fans: tuple[int, int]) -> Array:
        return _normal(shape, 0.0, math.sqrt(self.variance(*fans)), seed, stream)


class _Glorot(_VarianceScaling):
    def variance(self, fan_in: int, fan_out: int) -> float:
        return 2 / max(fan_in + fan_out, 1)


class _He(_VarianceScaling):
    def variance(self, fan_in: int, fan_out: int) -> float:
        return 2 / max(fan_in, 1)


class _LeCun(_VarianceScaling):
    def variance(self, fan_in: int, fan_out: int) -> float:
        return 1 / max(fan_in, 1)


class GlorotUniform(_Glorot, _ScaledUniform):
    """Uniform on +-sqrt(6 / (fan-in + fan-out)), i.e. with variance 2 / (fan-in + fan-out). For tanh and softmax.

    References
    ----------
    Glorot & Bengio (2010), Understanding the difficulty of training deep feedforward neural networks, AISTATS.

    Examples
    --------
    >>> from nnfast import initializers
    >>> values = initializers.GlorotUniform()((200, 100), seed=0, stream=0)
    >>> round(float(abs(values).max()), 2)
    0.14
    """

    name = "glorot_uniform"


class GlorotNormal(_Glorot, _ScaledNormal):
    """Normal with variance 2 / (fan-in + fan-out), not truncated; see `GlorotUniform`.

    Examples
    --------
    >>> from nnfast import initializers
    >>> values = initializers.GlorotNormal()((200, 100), seed=0, stream=0)
    >>> round(float(values.std()), 2)
    0.08
    """

    name = "glorot_normal"


class HeUniform(_He, _ScaledUniform):
    """Uniform on +-sqrt(6 / fan-in), i.e. with variance 2 / fan-in. For ReLU and similar functions.

    References
    ----------
    He et al. (2015), Delving deep into rectifiers, arXiv:1502.01852.

    Examples
    --------
    >>> from nnfast import initializers
    >>> values = initializers.HeUniform()((200, 100), seed=0, stream=0)
    >>> round(float(abs(values).max()), 2)
    0.17
    """

    name = "he_uniform"


class HeNormal(_He, _ScaledNormal):
    """Normal with variance 2 / fan-in, not truncated; see `HeUniform`.

    Examples
    --------
    >>> from nnfast import initializers
    >>> values = initializers.HeNormal()((200, 100), seed=0, stream=0)
    >>> round(float(values.std()), 2)
    0.1
    """

    name = "he_normal"


class LeCunUniform(_LeCun, _ScaledUniform):
    """Uniform on +-sqrt(3 / fan-in), i.e. with variance 1 / fan-in.

    References
    ----------
    LeCun et al. (1998), Efficient BackProp, in Neural Networks: Tricks of the Trade, DOI 10.1007/3-540-49430-8_2.

    Examples
    --------
    >>> from nnfast import initializers
    >>> values = initializers.LeCunUniform()((200, 100), seed=0, stream=0)
    >>> round(float(abs(values).max()), 2)
    0.12
    """

    name = "lecun_uniform"


class LeCunNormal(_LeCun, _ScaledNormal):
    """Normal with variance 1 / fan-in, not truncated; see `LeCunUniform`. For SELU.

    References
    ----------
    Klambauer et al. (2017), Self-normalizing neural networks, arXiv:1706.02515.

    Examples
    --------
    >>> from nnfast import initializers
    >>> values = initializers.LeCunNormal()((200, 100), seed=0, stream=0)
    >>> round(float(values.std()), 2)
    0.07
    """

    name = "lecun_normal"


class Orthogonal(Initializer):
    """Random matrix with orthonormal columns (or rows, if there are fewer of them), times `gain`.

    All axes but the last are flattened. The matrix is uniformly (Haar) distributed.

    Parameters
    ----------
    gain : float, default 1

    Raises
    ------
    ValueError
        From `Network`, if the parameter has fewer than two axes.

    Notes
    -----
    Gram-Schmidt on a normal matrix, projecting each column twice, which makes it orthogonal to rounding error (Giraud
    et al. 2005). It uses nnfast's matrix product, so the result does not depend on the installed LAPACK. About 4 m n^2
    operations for m rows and n columns, m >= n.

    References
    ----------
    Saxe et al. (2014), Exact solutions to the nonlinear dynamics of learning in deep linear networks, arXiv:1312.6120.
    Giraud et al. (2005), Rounding error analysis of the classical Gram-Schmidt orthogonalization process, DOI
    10.1007/s00211-005-0615-4.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import initializers
    >>> q = initializers.Orthogonal()((5, 3), seed=0, stream=0)
    >>> bool(np.allclose(q.T @ q, np.eye(3), atol=1e-14))
    True
    """

    name = "orthogonal"

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = real("Orthogonal", "gain", gain)

    def __call__(self, shape: Shape, seed: int, stream: int) -> Array:
        if len(shape_of("Orthogonal", "shape", shape, minimum=0)) < 2:
            raise ValueError(
                f"Orthogonal: expected a shape with two or more axes, got {shape}; use another initializer"
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        vectors = _normal((min(rows, columns), max(rows, columns)), 0.0, 1.0, seed, stream)
        _orthonormalize(vectors)
        matrix = vectors.T if rows >= columns else vectors
        return self.gain * matrix.reshape(shape)


def _orthonormalize(vectors: Array) -> None:
    """Orthonormalize the rows of (n, m) in place."""
    for i, vector in enumerate(vectors):
        before = vectors[:i]
        for _ in range(2 if i else 0):
            shares = _product(vector[None], before, transpose=True)
            vector -= _product(shares, before)[0]
        vector /= math.sqrt(_product(vector[None], vector[None], transpose=True)[0, 0])


def _product(a: Array, b: Array, *, transpose: bool = False) -> Array:
    return _core.matmul(a, b, None, False, transpose, None, "identity", 0.0, False)


_CLASSES = public_classes(Initializer)
_NAMES = {c.name: c for c in _CLASSES.values() if c is not Given}


_ALIASES = {
    "zero": "zeros",
    "one": "ones",
    "uniform": "random_uniform",
    "normal": "random_normal",
    "xavier_uniform": "glorot_uniform",
    "xavier_normal": "glorot_normal",
    "kaiming_uniform": "he_uniform",
    "kaiming_normal": "he_normal",
}
"""Names used by other libraries."""


def get(initializer: Any) -> Initializer:
    """Look up or construct an initializer.

    Parameters
    ----------
    initializer : Initializer, str, float, array_like or dict
        Case and underscores in names are ignored ("GlorotUniform"), and PyTorch's names are accepted
        ("xavier_uniform"). A number becomes a `Constant`, an array, list or tuple a `Given`; a dict is a saved
        initializer.

    Examples
    --------
    >>> from nnfast import initializers
    >>> initializers.get("he_normal"), initializers.get(0.5)
    (HeNormal(), Constant(value=0.5))
    """
    if isinstance(initializer, Initializer):
        return initializer
    if isinstance(initializer, str):
        return _NAMES[choose("initializer", initializer, _NAMES, _ALIASES)]()
    if isinstance(initializer, Mapping):
        if initializer.get("class") == "Given":
            return Zeros()
        return from_config("initializer", initializer, _CLASSES)
    if isinstance(initializer, numbers.Real):
        return Constant(float(initializer))
    if isinstance(initializer, np.ndarray | list | tuple):
        return Given(initializer)
    raise TypeError(f"initializer: expected a name, an Initializer, a number or an array, got {initializer!r}")
