"""Random changes of images: the words of an image, its affine map, bilinear sampling, colors, cutout, rescaling."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference.philox import words

Array = NDArray[np.float64]

STREAM = 3 << 29
WORDS = 16  # an image

DEFAULTS: dict[str, Any] = {
    "shift": 0.0,
    "horizontal_flip": False,
    "vertical_flip": False,
    "rotation": 0.0,
    "zoom": 0.0,
    "shear": 0.0,
    "crop_padding": 0,
    "cutout": 0,
    "brightness": 0.0,
    "contrast": 0.0,
    "fill": "constant",
    "fill_value": 0.0,
}


def uniforms(count: int, seed: int, step: int) -> Array:
    """Return numbers in [0, 1), of shape (count, 16)."""
    return words(WORDS * count, seed, step, STREAM).astype(np.float64).reshape(count, WORDS) / 2.0**32


def forward_map(u: Array, o: dict[str, Any]) -> tuple[Array, Array]:
    """Return the matrix (2, 2) and the shift (2,), in (x, y), that move a point of the image about its center."""
    w = 2 * u - 1
    flip = np.diag(
        [-1.0 if o["horizontal_flip"] and u[0] >= 0.5 else 1.0, -1.0 if o["vertical_flip"] and u[1] >= 0.5 else 1.0]
    )
    zoom = (1 + w[8] * o["zoom"]) * np.eye(2)
    shear = np.array([[1.0, np.tan(np.radians(w[7] * o["shear"]))], [0.0, 1.0]])
    angle = np.radians(w[6] * o["rotation"])
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    crop = np.floor(u[[5, 4]] * (2 * o["crop_padding"] + 1)) - o["crop_padding"]
    return rotation @ shear @ zoom @ flip, w[[3, 2]] * o["shift"] + crop


def pixels(image: Array, y: NDArray[np.int64], x: NDArray[np.int64], o: dict[str, Any]) -> Array:
    """Return image (H, W, C) at whole positions (...), also outside of it: (..., C)."""
    height, width = image.shape[:2]
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    if o["fill"] == "reflect":
        y, x = (np.where(i % (2 * n) < n, i % (2 * n), 2 * n - 1 - i % (2 * n)) for i, n in ((y, height), (x, width)))
    found = image[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
    return np.where(inside[..., None], found, o["fill_value"]) if o["fill"] == "constant" else found


def sample(image: Array, y: Array, x: Array, o: dict[str, Any]) -> Array:
    """Return image (H, W, C) at positions (...), bilinearly between pixels: (..., C)."""
    top, left = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
    wy, wx = (y - top)[..., None], (x - left)[..., None]
    upper = (1 - wx) * pixels(image, top, left, o) + wx * pixels(image, top, left + 1, o)
    lower = (1 - wx) * pixels(image, top + 1, left, o) + wx * pixels(image, top + 1, left + 1, o)
    return (1 - wy) * upper + wy * lower


def augment_one(image: Array, u: Array, o: dict[str, Any]) -> Array:
    height, width = image.shape[:2]
    matrix, shift = forward_map(u, o)
    center = np.array([(width - 1) / 2, (height - 1) / 2])
    rows, columns = np.mgrid[:height, :width]
    source = (np.stack([columns, rows], axis=-1) - center - shift) @ np.linalg.inv(matrix).T + center
    result = sample(image, source[..., 1], source[..., 0], o)
    w = 2 * u - 1
    mean = image.mean()
    result = mean + (1 + w[10] * o["contrast"]) * (result - mean) + w[9] * o["brightness"]
    if o["cutout"]:
        top, left = int(u[11] * height) - o["cutout"] // 2, int(u[12] * width) - o["cutout"] // 2
        square = (rows >= top) & (rows < top + o["cutout"]) & (columns >= left) & (columns < left + o["cutout"])
        result[square] = o["fill_value"]
    return result


def augment(
    images: NDArray[Any],
    options: dict[str, Any],
    seed: int = 0,
    step: int = 0,
    scale: float = 1.0,
    offset: float = 0.0,
) -> Array:
    """Return the images (N, H, W, C) of a batch, changed and rescaled."""
    o = DEFAULTS | options
    u = uniforms(len(images), seed, step)
    changed = [augment_one(image.astype(np.float64), u[i], o) for i, image in enumerate(images)]
    return np.array(changed).reshape(images.shape) * scale + offset


def augment_error(images: NDArray[Any], options: dict[str, Any], eps: float, scale: float = 1.0) -> float:
    """Bound the error of `augment` in a dtype: rounded coordinates times the steepest slope, then rounded sums.

    A coordinate is a sum of two terms that are rounded, and is rounded itself: three times eps / 2 of the terms' size.
    Zoom and shear stretch the terms. The slope along an axis is at most the range of the pixels and the filling.
    """
    o = DEFAULTS | options
    height, width = images.shape[1:3]
    values = np.append(images.astype(np.float64).reshape(-1), o["fill_value"])
    stretch = (1 + abs(np.tan(np.radians(o["shear"])))) / (1 - o["zoom"])
    size = 2 * stretch * (height + width + o["shift"] + o["crop_padding"])
    gain = 1 + o["contrast"]
    slope = np.ptp(values) * gain
    magnitude = 8 * (np.abs(values).max() * (1 + 2 * gain) + o["brightness"])
    return float(eps * abs(scale) * (2 * 3 * size * slope + magnitude) + eps)
