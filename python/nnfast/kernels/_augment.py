"""Random changes of images."""

from __future__ import annotations

from nnfast import _core
from nnfast.core.options import real
from nnfast.core.typing import Array
from nnfast.data.augmentation import Augmentation
from nnfast.kernels._arguments import counter_of, dtype_of, seed_of


def augment(
    images: Array,
    augmentation: Augmentation,
    seed: int = 0,
    step: int = 0,
    *,
    scale: float = 1.0,
    offset: float = 0.0,
    dtype: str = "float32",
) -> Array:
    """Images changed at random, as training sees them: augmented, then times scale plus offset.

    Parameters
    ----------
    images : ndarray of uint8 or `dtype`, of shape (N, H, W, C)
        A batch; H, W and C are at most 32768.
    augmentation : nnfast.data.Augmentation
        What is changed, and how much.
    seed : int, default 0
        In [0, 2^64): that of the network.
    step : int, default 0
        In [0, 2^32): number of the training step, counted from 0.
    scale, offset : float, default 1 and 0
        Rescaling afterwards, as in `layers.Rescaling`.
    dtype : {"float32", "float64"}, default "float32"
        Of the result.

    Returns
    -------
    ndarray of shape (N, H, W, C)

    Raises
    ------
    ValueError
        If the images have another shape, are not contiguous, or are bytes and `fill_value` is no byte, a number is out
        of its range, or `dtype` is not one of those named.
    TypeError
        If the images have another dtype, or `augmentation` is none.

    Notes
    -----
    Image i is changed with 16 random words of 32 bits, a function of (seed, step, i). Rotation, zoom, shear and shifts
    by parts of pixels are one bilinear interpolation; an image that moves by whole pixels is copied.

    Examples
    --------
    >>> import numpy as np
    >>> import nnfast as nf
    >>> images = np.arange(6, dtype=np.uint8).reshape(1, 1, 6, 1)
    >>> flip = nf.data.Augmentation(horizontal_flip=True)
    >>> [nf.kernels.augment(images, flip, seed=0, step=step).ravel().tolist() for step in (1, 2)]
    [[5.0, 4.0, 3.0, 2.0, 1.0, 0.0], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]]
    """
    if not isinstance(augmentation, Augmentation):
        raise TypeError(f"augment: expected an nnfast.data.Augmentation, got {type(augmentation).__name__}")
    counters = seed_of("augment", seed), counter_of("augment", "step", step)
    rescaling = real("augment", "scale", scale), real("augment", "offset", offset)
    return _core.augment(images, augmentation.spec(), *counters, *rescaling, dtype_of("augment", dtype))
