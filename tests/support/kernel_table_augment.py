"""Rows of the kernel tests for the augmentation of images."""

from collections.abc import Iterator
from typing import Any

from kernel_cases import Array, Check, Workbench
from reference.augment import augment, augment_error

from nnfast import kernels
from nnfast.data import Augmentation

AUGMENTATIONS: tuple[dict[str, Any], ...] = (
    {},
    {"horizontal_flip": True, "vertical_flip": True},
    {"crop_padding": 3, "horizontal_flip": True},
    {"crop_padding": 5, "fill": "nearest", "vertical_flip": True},
    {"crop_padding": 4, "fill": "reflect", "horizontal_flip": True},
    {"shift": 2.5, "fill_value": 7.0},
    {"shift": 40.0, "fill": "reflect"},
    {"rotation": 180.0, "fill": "nearest"},
    {"zoom": 0.5, "fill_value": 100.0},
    {"shear": 30.0, "fill": "reflect"},
    {"brightness": 20.0, "contrast": 0.5},
    {"cutout": 3, "fill_value": 9.0},
    {
        "shift": 1.5,
        "rotation": 15.0,
        "zoom": 0.1,
        "shear": 5.0,
        "horizontal_flip": True,
        "crop_padding": 2,
        "brightness": 10.0,
        "contrast": 0.25,
        "cutout": 4,
        "fill_value": 3.0,
    },
)


def augment_checks(bench: Workbench, images: Array) -> Iterator[Check]:
    """Every augmentation of (N, H, W, C), alone and with a rescaling."""
    for step, options in enumerate(AUGMENTATIONS):
        for scale, offset in ((1.0, 0.0), (1 / 127.5, -1.0)):
            got = kernels.augment(
                images, Augmentation(**options), 5, step, scale=scale, offset=offset, dtype=bench.dtype.name
            )
            truth = augment(images, options, 5, step, scale, offset)
            tolerance = augment_error(images, options, bench.eps, scale)
            yield Check(f"{options} {images.shape} {images.dtype} * {scale} + {offset}", got, truth, tolerance)


def image_shapes(size: int) -> list[tuple[int, int, int, int]]:
    """Rows of `size` elements in one and in three channels, unless they are long; and one high image."""
    shapes = [(2, 3, size, 1), (2, max(size // 8, 1), 2, 3)]
    if size % 3 == 0:
        shapes.append((3, 2, size // 3, 3))
    return [shape for shape in shapes if 0 not in shape]
