"""Random numbers.

In a network they are drawn anew in each step of training, from the seed of the training, and are the same in every
prediction. With ``seed=`` they are drawn at once, as an array.

Parameters
----------
shape : tuple of int
    The sizes of all axes. A first size of None is the batch, as in the result of `shape`.
seed : int, optional
    Returns an array of numbers of this seed.
dtype : {"float32", "float64"}
    Of the array.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnfast import _core
from nnfast.core.options import choose, integer, real
from nnfast.layers.operation import Operation
from nnfast.ops.axes import full_sizes

__all__ = ["random_normal", "random_uniform"]


def _random(kind: str, shape: Any, seed: int | None, dtype: Any, **attributes: float) -> Any:
    sizes, batched = full_sizes(kind, shape)
    numbers = {name: real(kind, name, value) for name, value in attributes.items()}
    if seed is None:
        return Operation(kind, {"shape": sizes, **numbers})(())
    if batched:
        raise ValueError(f"{kind}: expected all sizes of an array, got {shape!r}; leave out seed= in a network")
    name = choose("dtype", np.dtype(dtype).name, ("float32", "float64"))
    seed = integer(kind, "seed", seed, minimum=0, upper_bound=2**64)
    return _core.evaluate({"op": kind, "name": kind, "shape": sizes, **numbers}, [], name, seed)[0][()]


def random_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, *, seed: int | None = None, dtype: Any = "float32"
) -> Any:
    """Normally distributed numbers.

    Parameters
    ----------
    mean, stddev : float, default 0 and 1

    Examples
    --------
    The noise of a variational autoencoder:

    >>> import nnfast as nf
    >>> from nnfast import layers
    >>> mean, deviation = layers.Input((2,)), layers.Input((2,))
    >>> mean + deviation * nf.ops.random_normal((None, 2))
    <Tensor (N, 2) of Operation('elementwise', {'function': 'add'})>

    An array:

    >>> nf.ops.random_normal((1000,), 5.0, 0.1, seed=1).mean().round(2)
    np.float32(5.0)
    """
    return _random("random_normal", shape, seed, dtype, mean=mean, stddev=stddev)


def random_uniform(
    shape: Any, minval: float = 0.0, maxval: float = 1.0, *, seed: int | None = None, dtype: Any = "float32"
) -> Any:
    """Uniformly distributed numbers: minval <= y < maxval.

    Parameters
    ----------
    minval, maxval : float, default 0 and 1

    Examples
    --------
    >>> import nnfast as nf
    >>> y = nf.ops.random_uniform((1000,), -1.0, 2.0, seed=1)
    >>> bool(y.min() >= -1 and y.max() < 2), y.mean().round(1)
    (True, np.float32(0.5))
    """
    return _random("random_uniform", shape, seed, dtype, minval=minval, maxval=maxval)
