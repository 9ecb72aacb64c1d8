"""Rows of the kernel table for convolution."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from kernel_cases import Check, Workbench
from reference.convolution import conv_backward, conv_forward

from nnfast import kernels

CASES = (
    # images, kernel (KH, KW), filters, strides, dilation, groups, padding
    ((1, 5, 6, 3), (3, 2), 7, (1, 1), (1, 1), 1, "valid"),
    ((2, 7, 5, 4), (3, 3), 6, (2, 1), (1, 2), 2, "same"),
    ((9, 4, 4, 2), (1, 1), 3, (1, 1), (1, 1), 1, "valid"),
    ((3, 6, 7, 1), (5, 4), 2, (3, 2), (1, 1), 1, ((2, 2), (0, 3))),
    # by Winograd's tiles
    ((2, 7, 6, 33), (3, 3), 70, (1, 1), (1, 1), 1, "same"),
    ((1, 5, 8, 40), (3, 3), 32, (1, 1), (1, 1), 1, "valid"),
    ((2, 6, 7, 16), (3, 3), 17, (1, 1), (1, 1), 1, ((2, 0), (1, 3))),
)


def convolutions(bench: Workbench) -> Iterator[Check]:
    """Forward pass and gradients, with the size of the workbench as channels, filters, width and batch in turn.

    Tolerances: the sum's terms, plus 2, times eps times the sum of the terms' magnitudes.
    """
    size = min(bench.size, 70)
    sized = (
        ((2, 4, 5, size), (2, 3), 3, (1, 1), (1, 1), 1, "valid"),
        ((2, 4, 5, 3), (2, 3), size, (1, 1), (1, 1), 1, "same"),
        ((2, 4, size, 2), (3, 1), 5, (2, 1), (1, 1), 1, "valid"),
        ((size, 3, 3, 2), (2, 2), 4, (1, 1), (1, 1), 1, "same"),
    )
    for case in CASES + tuple(case for case in sized if size > 0 or case is sized[-1]):
        yield from _checks(bench, *case)


def depthwise_convolutions(bench: Workbench) -> Iterator[Check]:
    """The same for one filter per channel, with the size of the workbench as channels and as width."""
    size = min(bench.size, 70)
    for shape, window, strides, dilation, padding in (
        ((2, 5, 9, size), (3, 3), (1, 1), (1, 1), "same"),
        ((1, 6, 10, size), (2, 5), (1, 1), (1, 1), ((1, 0), (3, 2))),
        ((2, 5, 4, size), (3, 2), (2, 3), (1, 2), "same"),
        ((2, 3, size, 5), (3, 3), (2, 1), (1, 1), "same"),
    ):
        if size > 1:
            yield from _checks(bench, shape, window, shape[-1], strides, dilation, shape[-1], padding)


def _checks(
    bench: Workbench,
    shape: tuple[int, ...],
    window: tuple[int, int],
    filters: int,
    strides: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    padding: Any,
) -> Iterator[Check]:
    x = bench.normal(*shape)
    kernel = bench.normal(*window, shape[-1] // groups, filters)
    bias = bench.normal(filters)
    how = (strides, padding, dilation, groups)
    y = conv_forward(x, kernel, bias, *how)
    label = f"{shape} * {kernel.shape}, strides {strides}, {padding}, dilation {dilation}, groups {groups}"
    size_y = conv_forward(abs(x), abs(kernel), abs(bias), *how)
    got = kernels.conv2d_forward(x, kernel, bias, *how, out=bench.out(*y.shape))
    terms = kernel[..., 0].size + 3
    yield Check(label, got, y, terms * bench.eps * size_y)
    dy = bench.normal(*y.shape)
    results = kernels.conv2d_backward(dy, x, kernel, *how)
    truths = conv_backward(dy, x, kernel, *how)
    sizes = conv_backward(abs(dy), abs(x), abs(kernel), *how)
    pixels = dy.size // filters + 2
    lengths = (window[0] * window[1] * filters + 2, pixels, pixels)
    for name, result, truth, magnitude, length in zip(
        ("dx", "d_kernel", "d_bias"), results, truths, sizes, lengths, strict=True
    ):
        assert result is not None
        yield Check(f"{name} of {label}", np.asarray(result), truth, length * bench.eps * magnitude)
