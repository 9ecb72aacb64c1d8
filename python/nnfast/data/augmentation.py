"""Data augmentation, applied whenever a batch is gathered."""

from __future__ import annotations

from typing import Any

from nnfast.core.options import Configured, choose, integer, real
from nnfast.core.typing import Spec

__all__ = ["Augmentation"]

_FILLS = ("constant", "nearest", "reflect")
_MAX_PIXELS = 32768
"""Exclusive upper bound of shifts, padding and cutout: the largest side of an image."""


class Augmentation(Configured):
    """Random transformations of training images.

    Each image of each batch gets its own transformations, in this order: flip; zoom, shear and rotation about the
    center; shift; contrast and brightness; cutout. All geometric ones are combined into one affine map with bilinear
    sampling. Validation, evaluation and prediction use the original images.

    Parameters
    ----------
    shift : float, default 0
        Shift each axis by a random distance in [-shift, shift) pixels; less than 32768.
    horizontal_flip, vertical_flip : bool, default False
        Mirror left to right, or top to bottom, with probability 1/2.
    rotation : float, default 0
        Rotate clockwise by a random angle in [-rotation, rotation) degrees; at most 180.
    zoom : float, default 0
        Scale both axes by the same random factor in [1 - zoom, 1 + zoom); less than 1.
    shear : float, default 0
        Tilt vertical lines by a random angle in [-shear, shear) degrees; less than 90.
    crop_padding : int, default 0
        Pad each side by this many pixels and take a random crop of the original size, i.e. shift by whole pixels; less
        than 32768.
    cutout : int, default 0
        Side in pixels of a square that is set to `fill_value`, centered on a random pixel and clipped at the border;
        less than 32768.
    brightness : float, default 0
        Add a random number in [-brightness, brightness), in units of the data (0 to 255 for bytes).
    contrast : float, default 0
        Multiply differences from the mean of the image by a random factor in [1 - contrast, 1 + contrast); at most 1.
        The mean is that of the original image over pixels and channels.
    fill : {"constant", "nearest", "reflect"}, default "constant"
        Pixels outside the image: `fill_value`, the nearest pixel, or the image mirrored at its border.
    fill_value : float, default 0
        In units of the data; for images of bytes an integer from 0 to 255.

    Notes
    -----
    Random numbers are a function of the network's seed, the step and the position in the batch, so training gives the
    same bits for any number of threads and after resuming from a checkpoint. Shifts by whole pixels copy without
    rounding. Brightness and contrast may exceed the range of the data; nothing is clipped. A `Rescaling` at the start
    of the network is applied in the same pass, at no extra cost.

    References
    ----------
    Simard, Steinkraus & Platt (2003), Best practices for convolutional neural networks applied to visual document
    analysis, DOI 10.1109/ICDAR.2003.1227801.

    DeVries & Taylor (2017), Improved regularization of convolutional neural networks with cutout, arXiv:1708.04552.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.data.Augmentation(crop_padding=4, horizontal_flip=True, cutout=8)
    Augmentation(horizontal_flip=True, crop_padding=4, cutout=8)
    """

    shift: float
    horizontal_flip: bool
    vertical_flip: bool
    rotation: float
    zoom: float
    shear: float
    crop_padding: int
    cutout: int
    brightness: float
    contrast: float
    fill: str
    fill_value: float

    def __init__(
        self,
        *,
        shift: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rotation: float = 0.0,
        zoom: float = 0.0,
        shear: float = 0.0,
        crop_padding: int = 0,
        cutout: int = 0,
        brightness: float = 0.0,
        contrast: float = 0.0,
        fill: str = "constant",
        fill_value: float = 0.0,
    ) -> None:
        where = type(self).__name__
        options = {
            "shift": real(where, "shift", shift, minimum=0.0, upper_bound=_MAX_PIXELS),
            "horizontal_flip": _flag(where, "horizontal_flip", horizontal_flip),
            "vertical_flip": _flag(where, "vertical_flip", vertical_flip),
            "rotation": _at_most(where, "rotation", rotation, 180.0),
            "zoom": real(where, "zoom", zoom, minimum=0.0, upper_bound=1.0),
            "shear": real(where, "shear", shear, minimum=0.0, upper_bound=90.0),
            "crop_padding": _pixels(where, "crop_padding", crop_padding),
            "cutout": _pixels(where, "cutout", cutout),
            "brightness": real(where, "brightness", brightness, minimum=0.0),
            "contrast": _at_most(where, "contrast", contrast, 1.0),
            "fill": choose(f"fill of {where}", fill, _FILLS),
            "fill_value": real(where, "fill_value", fill_value),
        }
        self.__dict__.update(options)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__}: {name} is fixed; make a new one with other options")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__}: {name} is fixed; make a new one with other options")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Augmentation) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash(tuple(self.get_config().values()))

    def spec(self) -> Spec:
        """Description of these options for the core."""
        return {"name": "augmentation", **self.get_config()}


def _flag(where: str, name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{where}: expected True or False as {name}, got {value!r}")
    return value


def _at_most(where: str, name: str, value: Any, maximum: float) -> float:
    number = real(where, name, value, minimum=0.0)
    if number > maximum:
        raise ValueError(f"{where}: expected 0 <= {name} <= {maximum:g}, got {number!r}")
    return number


def _pixels(where: str, name: str, value: Any) -> int:
    number = integer(where, name, value, minimum=0)
    if number >= _MAX_PIXELS:
        raise ValueError(f"{where}: expected 0 <= {name} < {_MAX_PIXELS}, got {number}")
    return number
