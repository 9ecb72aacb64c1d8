"""Rows of the kernel table for convolution."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from kernel_cases import Check, Workbench, vector_width
from reference.convolution import conv_backward, conv_forward

from nnfast import kernels

# images, kernel (KH, KW), filters, strides, dilation, groups, padding
Case = tuple[tuple[int, ...], tuple[int, int], int, tuple[int, int], tuple[int, int], int, Any]

DIRECT: tuple[Case, ...] = (
    ((2, 7, 5, 4), (3, 3), 6, (2, 1), (1, 2), 2, "same"),
    ((2, 4, 5, 16), (2, 3), 3, (1, 1), (1, 1), 1, "same"),
    # Three taps of every other row, but no window of 3 x 3.
    ((2, 7, 6, 16), (5, 3), 17, (2, 1), (1, 1), 1, "same"),
    ((2, 7, 6, 16), (6, 3), 17, (2, 1), (1, 1), 1, "same"),
    ((1, 9, 5, 16), (9, 3), 17, (3, 1), (1, 1), 1, "same"),
    # One channel less than Winograd's tiles take.
    ((2, 5, 4, 15), (3, 3), 16, (1, 1), (1, 1), 1, "same"),
)
WINOGRAD: tuple[Case, ...] = (
    ((2, 7, 6, 33), (3, 3), 70, (1, 1), (1, 1), 1, "same"),
    ((1, 5, 8, 40), (3, 3), 32, (1, 1), (1, 1), 1, "valid"),
    ((2, 6, 7, 16), (3, 3), 17, (1, 1), (1, 1), 1, ((2, 0), (1, 3))),
)
# Each input is seen by three neighboring outputs, or by none.
SKIPPING: Case = ((2, 7, 6, 16), (3, 3), 17, (2, 2), (2, 2), 1, "same")


def matrix_convolutions(bench: Workbench) -> Iterator[Check]:
    """Those that are a matrix product, over pixels or over windows, with the size of the workbench as channels in turn.

    Tolerances, here and below: the sum's terms, plus 2, times eps times the sum of the terms' magnitudes.
    """
    size = min(bench.size, 70)
    for case in DIRECT:
        yield from _checks(bench, case, forward="direct", input_gradient="direct", kernel_gradient="direct")
    if size == 0:
        return
    for shape, filters in (((9, 4, 4, 2), 3), ((2, 3, 2, size), 5), ((2, 3, 2, 5), size), ((size, 2, 3, 3), 4)):
        case = (shape, (1, 1), filters, (1, 1), (1, 1), 1, "valid")
        yield from _checks(bench, case, forward="matmul", input_gradient="matmul", kernel_gradient="direct")
    for channels, filters in ((size, 1), (1, size)):
        case = ((2, 4, 5, 2 * channels), (2, 3), 2 * filters, (1, 1), (1, 1), 2, "same")
        how = "depthwise" if size == 1 else "direct"
        yield from _checks(bench, case, forward=how, input_gradient=how, kernel_gradient=how)


def winograd_convolutions(bench: Workbench) -> Iterator[Check]:
    """By Winograd's tiles, with the size of the workbench as channels, filters, width and batch in turn.

    A tile's sums hold numbers that cancel in the end and that the tolerance does not know: images are no smaller than
    a tile, so that there are as many that it knows.
    """
    size = min(bench.size, 70)
    channels = max(size, 16)
    sized = (
        ((2, 4, 5, channels), 16),
        ((2, 4, 5, 17), channels),
        ((1, 4, max(size, 4), 16), 16),
        ((size, 4, 5, 16), 16),
    )
    cases = [(shape, (3, 3), filters, (1, 1), (1, 1), 1, "same") for shape, filters in sized]
    for case in (*WINOGRAD, *cases):
        yield from _checks(bench, case, forward="winograd", input_gradient="winograd", kernel_gradient="winograd")
    yield from _checks(bench, SKIPPING, forward="direct", input_gradient="winograd", kernel_gradient="direct")


def folded_convolutions(bench: Workbench) -> Iterator[Check]:
    """With folded input gradients, with the size of the workbench as channels, filters, width and batch in turn."""
    size = min(bench.size, 70)
    cases: list[Case] = [
        ((1, 5, 6, 3), (3, 2), 7, (1, 1), (1, 1), 1, "valid"),
        ((3, 6, 7, 1), (5, 4), 2, (3, 2), (1, 1), 1, ((2, 2), (0, 3))),
        ((size, 3, 3, 2), (2, 2), 4, (1, 1), (1, 1), 1, "same"),
    ]
    if size > 0:
        cases += [
            ((2, 4, 5, size), (2, 3), 3, (1, 1), (1, 1), 1, "valid"),
            ((2, 4, 5, 3), (2, 3), size, (1, 1), (1, 1), 1, "same"),
            ((2, 4, size, 2), (3, 1), 5, (2, 1), (1, 1), 1, "valid"),
        ]
    for case in cases:
        yield from _checks(bench, case, forward="direct", input_gradient="fold", kernel_gradient="direct")


def paired_convolutions(bench: Workbench) -> Iterator[Check]:
    """Two images at a time where filters fill at most half of a vector, with the size of the workbench in turn.

    The first has a chain of 256 pixels in each image, and images for two chains in each of 8 sums.
    """
    size = min(bench.size, 70)
    filters = vector_width(bench.dtype) // 2
    for shape in ((17, 17, 17, 1), (size, 3, 4, 2), (8, 2, size, 3), (3, 5, 3, size)):
        if size > 1:
            case: Case = (shape, (2, 2), filters, (1, 1), (1, 1), 1, "valid")
            yield from _checks(bench, case, forward="pairs", input_gradient="fold", kernel_gradient="pairs")


def depthwise_convolutions(bench: Workbench) -> Iterator[Check]:
    """One filter per channel, with the size of the workbench as channels and as width."""
    size = min(bench.size, 70)
    for shape, window, strides, dilation, padding in (
        ((2, 5, 9, size), (3, 3), (1, 1), (1, 1), "same"),
        ((1, 6, 10, size), (2, 5), (1, 1), (1, 1), ((1, 0), (3, 2))),
        ((2, 5, 4, size), (3, 2), (2, 3), (1, 2), "same"),
        ((2, 3, size, 5), (3, 3), (2, 1), (1, 1), "same"),
    ):
        if size > 1:
            case = (shape, window, shape[-1], strides, dilation, shape[-1], padding)
            yield from _checks(
                bench, case, forward="depthwise", input_gradient="depthwise", kernel_gradient="depthwise"
            )


def _checks(bench: Workbench, case: Case, **algorithms: str) -> Iterator[Check]:
    """The forward pass and the gradients, which must take these algorithms."""
    shape, window, filters, strides, dilation, groups, padding = case
    x = bench.normal(*shape)
    kernel = bench.normal(*window, shape[-1] // groups, filters)
    bias = bench.normal(filters)
    how = (strides, padding, dilation, groups)
    plain = padding == "valid" and groups == 1 and dilation == (1, 1)
    if plain and 2 * filters <= vector_width(bench.dtype):
        algorithms = {
            name: "pairs" if value == "direct" and window != (1, 1) else value for name, value in algorithms.items()
        }
    assert kernels.conv2d_algorithms(x, kernel, *how) == algorithms, case
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
