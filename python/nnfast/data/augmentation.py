"""Random changes of images, made anew whenever a batch is put together."""

from __future__ import annotations

from typing import Any

from nnfast.core.options import Configured, choose, integer, real
from nnfast.core.typing import Spec

__all__ = ["Augmentation"]

_FILLS = ("constant", "nearest", "reflect")
_LONGEST = 32768
"""Largest shift, padding or square, as large as the largest side of an image."""


class Augmentation(Configured):
    """Random changes of the images that a network is trained with, so that it learns what does not matter.

    Each image of each batch is changed in its own way: flipped, then zoomed, sheared and rotated about its centre,
    and shifted; then contrast and brightness; then cutout. All that moves pixels is one affine map, sampled
    bilinearly. Validation, evaluation and prediction see images as they are.

    Parameters
    ----------
    shift : float, default 0
        Pixels: each image moves down by a distance from [-shift, shift), and right by another; 0 <= shift < 32768.
    horizontal_flip, vertical_flip : bool, default False
        Whether each second image, on average, is mirrored left to right, or upside down.
    rotation : float, default 0
        Degrees: turned by an angle from [-rotation, rotation), clockwise; 0 <= rotation <= 180.
    zoom : float, default 0
        Share: enlarged by a factor from [1 - zoom, 1 + zoom), the same along both axes; 0 <= zoom < 1.
    shear : float, default 0
        Degrees: vertical lines lean by an angle from [-shear, shear); 0 <= shear < 90.
    crop_padding : int, default 0
        Pixels: the image gets a border as wide, and a part of its old size is cut out anywhere, so that it moves by
        whole pixels from -crop_padding to crop_padding along each axis; 0 <= crop_padding < 32768.
    cutout : int, default 0
        Pixels: side of a square that is set to `fill_value`; its centre is any pixel, so that it may be cut by the
        image's edge; 0 <= cutout < 32768.
    brightness : float, default 0
        In units of the data, so of 0 to 255 for bytes: a number from [-brightness, brightness) is added.
    contrast : float, default 0
        Share: differences from the mean of the image, over its pixels and channels before the changes, are multiplied
        by a factor from [1 - contrast, 1 + contrast); 0 <= contrast <= 1.
    fill : {"constant", "nearest", "reflect"}, default "constant"
        What comes in from outside of the image: `fill_value`, the nearest pixel, or the image mirrored at its edges.
    fill_value : float, default 0
        In units of the data; for images of bytes a whole number from 0 to 255.

    Raises
    ------
    ValueError, TypeError
        For options out of range or of another type.

    Notes
    -----
    The random numbers are a function of the network's seed, the step, and the image's place in the batch, so training
    has the same bits for any number of threads and after a checkpoint. Where an image moves by whole pixels it is
    copied, without rounding. Brightness and contrast may leave the range of the data; nothing is clipped. A rescaling
    at the start of the network follows the augmentation and costs nothing beside it.

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
            "shift": real(where, "shift", shift, minimum=0.0, upper_bound=_LONGEST),
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
        """The core's description of these options."""
        return {"name": "augmentation", **self.get_config()}


def _flag(where: str, name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{where}: expected True or False as {name}, got {value!r}")
    return value


def _at_most(where: str, name: str, value: Any, most: float) -> float:
    number = real(where, name, value, minimum=0.0)
    if number > most:
        raise ValueError(f"{where}: expected 0 <= {name} <= {most:g}, got {number!r}")
    return number


def _pixels(where: str, name: str, value: Any) -> int:
    number = integer(where, name, value, minimum=0)
    if number >= _LONGEST:
        raise ValueError(f"{where}: expected 0 <= {name} < {_LONGEST}, got {number}")
    return number
