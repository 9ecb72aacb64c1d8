"""Data augmentation of images."""

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
    """Augment a batch of images as in training, and rescale it: augmented * scale + offset.

    Parameters
    ----------
    images : ndarray of uint8 or `dtype`, of shape (N, H, W, C)
        H, W and C are at most 32768.
    augmentation : nnfast.data.Augmentation
    scale, offset : float, default 1 and 0
        See `layers.Rescaling`.

    Returns
    -------
    ndarray of shape (N, H, W, C)

    Notes
    -----
    Image i uses 16 random 32-bit words, a function of (seed, step, i). Rotation, zoom, shear and subpixel shifts are
    one bilinear interpolation; shifts by whole pixels are copies.

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
