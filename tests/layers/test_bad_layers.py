"""Layers whose sizes cannot be: a ValueError that names the layer, before anything is allocated from the sizes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import _core, kernels, layers
from nnfast.core.typing import Shape

FLAT, SEQUENCE, IMAGE = (4,), (8, 4), (8, 9, 4)
CONVOLUTIONS = {
    layers.Conv2D: IMAGE,
    layers.Conv2DTranspose: IMAGE,
    layers.Conv1D: SEQUENCE,
    layers.Conv1DTranspose: SEQUENCE,
}
POOLS = {layers.MaxPool2D: IMAGE, layers.AvgPool2D: IMAGE, layers.MaxPool1D: SEQUENCE, layers.AvgPool1D: SEQUENCE}

Case = tuple[Shape, Callable[..., layers.Layer], dict[str, Any], str]


def refused(shape: Shape, make: Callable[..., layers.Layer], options: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        nf.Network([layers.Input(shape), make(**options)])


WRONG_PADDINGS = [
    ("full", r"padding \"valid\", \"same\" or numbers, got 'full'"),
    ((1, 2, 3), r"padding for 2 axes, got \(1, 2, 3\)"),
    (((1, 2, 3), (0, 0)), r"padding as pairs \(before, after\), got"),
    (((1,), 0), r"padding as pairs \(before, after\), got"),
]


@pytest.mark.parametrize(("padding", "match"), WRONG_PADDINGS)
def test_paddings_that_cannot_be(padding: Any, match: str) -> None:
    with pytest.raises(ValueError, match=f"Conv2D: expected {match}"):
        layers.Conv2D(1, 3, padding=padding)
    with pytest.raises(ValueError, match=f"MaxPool2D: expected {match}"):
        layers.MaxPool2D(padding=padding)


def test_margins_for_other_axes() -> None:
    for make, name in ((layers.ZeroPadding2D, "padding"), (layers.Cropping2D, "cropping")):
        match = rf"{make.__name__}: expected {name} of one integer or one entry for each of 2 axes, got \(1, 2, 3\)"
        with pytest.raises(ValueError, match=match):
            make((1, 2, 3))
        with pytest.raises(ValueError, match=rf"{make.__name__}: expected {name} as pairs \(before, after\), got"):
            make(((1, 2, 3), (0, 0)))


# ---- what the constructor refuses names the class ---------------------------------------------------

WRONG_NUMBERS: list[tuple[Callable[..., layers.Layer], dict[str, Any], str]] = [
    *((make, {"filters": 0, "kernel_size": 3}, "filters >= 1, got 0") for make in CONVOLUTIONS),
    *((make, {"filters": -2, "kernel_size": 3}, "filters >= 1, got -2") for make in CONVOLUTIONS),
    *((make, {"filters": 2, "kernel_size": 0}, "kernel_size >= 1, got 0") for make in CONVOLUTIONS),
    *((make, {"filters": 2, "kernel_size": -3}, "kernel_size >= 1, got -3") for make in CONVOLUTIONS),
    *((make, {"filters": 2, "kernel_size": 3, "strides": 0}, "strides >= 1, got 0") for make in CONVOLUTIONS),
    *((make, {"filters": 2, "kernel_size": 3, "padding": -1}, "padding >= 0, got -1") for make in CONVOLUTIONS),
    *((make, {"filters": 2, "kernel_size": (3, 3, 3)}, "kernel_size of one number or") for make in CONVOLUTIONS),
    *((make, {"filters": 2, "kernel_size": 3, "dilation_rate": 0}, "dilation_rate >= 1") for make in CONVOLUTIONS),
    (layers.Conv2D, {"filters": 2, "kernel_size": 3, "groups": 0}, "groups >= 1, got 0"),
    (layers.DepthwiseConv2D, {"kernel_size": 0}, "kernel_size >= 1, got 0"),
    (layers.DepthwiseConv2D, {"kernel_size": 3, "depth_multiplier": 0}, "depth_multiplier >= 1, got 0"),
    *((make, {"pool_size": 0}, "pool_size >= 1, got 0") for make in POOLS),
    *((make, {"pool_size": -2}, "pool_size >= 1, got -2") for make in POOLS),
    *((make, {"pool_size": 2, "strides": 0}, "strides >= 1, got 0") for make in POOLS),
    *((make, {"size": 0}, "size >= 1, got 0") for make in (layers.UpSampling1D, layers.UpSampling2D)),
    *((make, {"size": -1}, "size >= 1, got -1") for make in (layers.UpSampling1D, layers.UpSampling2D)),
    *((make, {"padding": -1}, "padding >= 0, got -1") for make in (layers.ZeroPadding1D, layers.ZeroPadding2D)),
    *((make, {"cropping": -1}, "cropping >= 0, got -1") for make in (layers.Cropping1D, layers.Cropping2D)),
    (layers.BatchNormalization, {"momentum": 1.5}, "0 <= momentum < 1, got 1.5"),
    (layers.BatchNormalization, {"epsilon": 0}, "epsilon > 0, got 0"),
    (layers.GroupNormalization, {"groups": 0}, "groups >= 1, got 0"),
]


@pytest.mark.parametrize(("make", "options", "match"), WRONG_NUMBERS)
def test_wrong_numbers(make: type[layers.Layer], options: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=f"^{make.__name__}: .*{match}"):
        make(**options)


# ---- what the network refuses names the layer -------------------------------------------------------

MEMORY = r"fits in memory|this machine's memory"
HUGE = 2**40
WRONG_FITS: list[Case] = [
    # Windows beyond the padded input.
    (IMAGE, layers.Conv2D, {"filters": 3, "kernel_size": 9}, "at most the padded input's height, 8, got one of 9"),
    (IMAGE, layers.Conv2D, {"filters": 3, "kernel_size": (3, 12), "padding": 1}, "width, 11, got one of 12"),
    (IMAGE, layers.Conv2D, {"filters": 3, "kernel_size": 3, "dilation_rate": 4}, "height, 8, got one of 9"),
    (SEQUENCE, layers.Conv1D, {"filters": 3, "kernel_size": 9}, "length, 8, got one of 9"),
    (IMAGE, layers.DepthwiseConv2D, {"kernel_size": 9}, "height, 8, got one of 9"),
    *((shape, make, {"pool_size": 10}, "got one of 10") for make, shape in POOLS.items()),
    *((shape, make, {"pool_size": HUGE}, "less than 2\\^30") for make, shape in POOLS.items()),
    (IMAGE, layers.MaxPool2D, {"pool_size": 2, "padding": 2}, "padding smaller than the window, 2"),
    (SEQUENCE, layers.Conv1DTranspose, {"filters": 3, "kernel_size": 3, "padding": 9}, "padding that leaves an output"),
    (IMAGE, layers.Conv2DTranspose, {"filters": 3, "kernel_size": 3, "padding": 9}, "padding that leaves an output"),
    # Groups.
    (IMAGE, layers.Conv2D, {"filters": 6, "kernel_size": 3, "groups": 3}, "divide 4 channels and 6 filters, got 3"),
    (IMAGE, layers.Conv2D, {"filters": 7, "kernel_size": 3, "groups": 2}, "divide 4 channels and 7 filters, got 2"),
    (SEQUENCE, layers.Conv1D, {"filters": 8, "kernel_size": 3, "groups": 8}, "divide 4 channels and 8 filters, got 8"),
    (FLAT, layers.GroupNormalization, {"groups": 3}, "divide the input's 4 channels, got 3"),
    # Axes.
    (FLAT, layers.Conv1D, {"filters": 3, "kernel_size": 3}, r"\(N, T, C\), got \(N, 4\)"),
    (SEQUENCE, layers.Conv2D, {"filters": 3, "kernel_size": 3}, r"\(N, H, W, C\), got \(N, 8, 4\)"),
    (SEQUENCE, layers.Conv2DTranspose, {"filters": 3, "kernel_size": 3}, r"\(N, H, W, C\), got \(N, 8, 4\)"),
    (FLAT, layers.DepthwiseConv2D, {"kernel_size": 3}, r"\(N, H, W, C\), got \(N, 4\)"),
    *((FLAT, make, {}, r"\(N, .*C\), got \(N, 4\)") for make in POOLS),
    (SEQUENCE, layers.GlobalAvgPool2D, {}, r"\(N, H, W, C\), got \(N, 8, 4\)"),
    (IMAGE, layers.GlobalMaxPool1D, {}, r"\(N, T, C\), got \(N, 8, 9, 4\)"),
    (SEQUENCE, layers.UpSampling2D, {}, r"\(N, H, W, C\), got \(N, 8, 4\)"),
    (SEQUENCE, layers.ZeroPadding2D, {}, r"\(N, H, W, C\), got \(N, 8, 4\)"),
    (IMAGE, layers.Cropping1D, {"cropping": 1}, r"\(N, T, C\), got \(N, 8, 9, 4\)"),
    (FLAT, layers.SpatialDropout2D, {"rate": 0.5}, r"\(N, H, W, C\), got \(N, 4\)"),
    # Sizes whose product overflows, or fits into 64 bits alone.
    *((shape, make, {"filters": HUGE, "kernel_size": 3}, MEMORY) for make, shape in CONVOLUTIONS.items()),
    *((shape, make, {"filters": 2**62, "kernel_size": 3}, MEMORY) for make, shape in CONVOLUTIONS.items()),
    *((shape, make, {"filters": 3, "kernel_size": HUGE}, "less than 2\\^30") for make, shape in CONVOLUTIONS.items()),
    *(
        (shape, make, {"filters": 3, "kernel_size": 3, "strides": HUGE}, "2\\^30")
        for make, shape in CONVOLUTIONS.items()
    ),
    *(
        (shape, make, {"filters": 3, "kernel_size": 2**29, "padding": "same"}, f"{MEMORY}|padding to at most 4 times")
        for make, shape in CONVOLUTIONS.items()
    ),
    *(
        (shape, make, {"filters": 3, "kernel_size": 3, "padding": "same", "dilation_rate": 2**29}, "padding to at most")
        for make, shape in CONVOLUTIONS.items()
    ),
    *(
        (shape, make, {"filters": 3, "kernel_size": 3, "padding": 2**29}, "padding")
        for make, shape in CONVOLUTIONS.items()
    ),
    (IMAGE, layers.DepthwiseConv2D, {"kernel_size": 3, "depth_multiplier": HUGE}, MEMORY),
    (IMAGE, layers.DepthwiseConv2D, {"kernel_size": 3, "depth_multiplier": 2**62}, "integer of 64 bits"),
    (IMAGE, layers.UpSampling2D, {"size": 2**20}, MEMORY),
    (IMAGE, layers.UpSampling2D, {"size": 2**30}, "less than 2\\^30 along each axis"),
    (IMAGE, layers.UpSampling2D, {"size": 2**62}, "less than 2\\^30 along each axis"),
    (SEQUENCE, layers.UpSampling1D, {"size": 2**62}, "less than 2\\^30 along each axis"),
    (IMAGE, layers.ZeroPadding2D, {"padding": 2**29}, MEMORY),
    (IMAGE, layers.ZeroPadding2D, {"padding": 2**62}, "less than 2\\^30"),
    (SEQUENCE, layers.ZeroPadding1D, {"padding": 2**62}, "less than 2\\^30"),
    (IMAGE, layers.Cropping2D, {"cropping": 4}, "leaves something of each axis"),
    (IMAGE, layers.Cropping2D, {"cropping": 2**62}, "less than 2\\^30"),
    (SEQUENCE, layers.Cropping1D, {"cropping": (3, 5)}, "leaves something of each axis"),
    (FLAT, layers.Dense, {"units": HUGE}, MEMORY),
    (FLAT, layers.Dense, {"units": 2**62}, MEMORY),
    ((2**46,), layers.BatchNormalization, {}, MEMORY),
    ((1, 1, 2**46), layers.BatchNormalization, {}, MEMORY),
    ((2**46,), layers.LayerNormalization, {}, MEMORY),
    ((1, 1, 2**24), layers.Conv2D, {"filters": 2**24, "kernel_size": 1}, MEMORY),
]


@pytest.mark.parametrize(("shape", "make", "options", "match"), WRONG_FITS)
def test_wrong_fits(shape: Shape, make: Callable[..., layers.Layer], options: dict[str, Any], match: str) -> None:
    refused(shape, make, {**options, "name": "the_layer"}, rf"^the_layer(\.\w+)?: .*({match})")


@pytest.mark.parametrize("shape", [(2**20, 2**20, 2**20), (2**62, 4), (2**32, 2**32)])
def test_inputs_whose_size_overflows(shape: Shape) -> None:
    with pytest.raises(ValueError, match="expected a size that fits in memory"):
        nf.Network([layers.Input(shape), layers.Flatten()])


@pytest.mark.parametrize("make", [layers.UpSampling2D, layers.ZeroPadding2D])
def test_outputs_beyond_memory_are_refused_before_they_are_made(make: Callable[..., layers.Layer]) -> None:
    option = {"size": 2**18} if make is layers.UpSampling2D else {"padding": 2**21}
    net = nf.Network([layers.Input((4, 4, 1)), make(**option, name="the_layer")])
    with pytest.raises(
        ValueError, match=r"^the_layer: expected an output of at most the \d+ GiB .* smaller batch_size"
    ):
        net.predict(np.zeros((1, 4, 4, 1), "float32"))


def test_normalization_of_rows_without_images() -> None:
    net = nf.Network([layers.Input(FLAT), layers.BatchNormalization(name="the_layer")])
    with pytest.raises(ValueError, match=r"expected input \(N, 4\), got \(3, 5\)"):
        net.predict(np.zeros((3, 5), "float32"))


LARGE = 2**62
SIZES: dict[str, tuple[dict[str, Any], list[Shape]]] = {
    "a sum of axes": ({"op": "concatenate"}, [(LARGE,), (LARGE,)]),
    "a sum of many axes": ({"op": "concatenate"}, [(2**47, 2)] * 9),
    "a sum of other axes": ({"op": "concatenate", "axis": 0}, [(LARGE, 1), (LARGE, 1), (LARGE, 1)]),
    "padding": ({"op": "zero_padding", "padding": [2**29] * 4}, [(2**63 - 1, 1, 1)]),
    "up-sampling": ({"op": "upsampling", "size": [2**29, 2], "interpolation": "nearest"}, [(LARGE, 2, 1)]),
    "reshaping": ({"op": "reshape", "shape": [-1, LARGE]}, [(LARGE, LARGE)]),
    "reshaping to much": ({"op": "reshape", "shape": [2**32, 2**32]}, [(4,)]),
    "flattening": ({"op": "flatten"}, [(LARGE, 4)]),
    "a transposed convolution": (
        {"op": "conv_transpose", "kernel_size": [3], "strides": [2**29], "filters": 1, "padding": "same"},
        [(2**40, 1)],
    ),
    "a kernel": ({"op": "dense", "units": LARGE}, [(4,)]),
    "filters": ({"op": "conv", "kernel_size": [3, 3], "filters": LARGE}, [(4, 4, 4)]),
    "pooling": ({"op": "max_pool", "pool_size": [2, 2]}, [(LARGE, LARGE, 1)]),
    "pooling of all": ({"op": "global_avg_pool", "axes": 2}, [(LARGE, LARGE, 1)]),
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_that_overflow_are_refused(name: str) -> None:
    node, shapes = SIZES[name]
    with pytest.raises(ValueError, match=r"^node\S*: expected .*(fits in memory|less than 2\^30|elements in all)"):
        _core.infer({"name": "node", "inputs": [str(i) for i in range(len(shapes))], **node}, shapes)


ABSURD: dict[str, Callable[[], Any]] = {
    "zero_padding2d": lambda: kernels.zero_padding2d_forward(np.ones((1, 1, 1, 1)), 2**24),
    "upsample2d": lambda: kernels.upsample2d_forward(np.ones((1, 1, 1, 1)), 2**24),
    "global_avg_pool2d": lambda: kernels.global_avg_pool2d_backward(np.ones((1, 1)), size=2**24),
    "random_uniform": lambda: kernels.random_uniform(2**40),
    "random_uniform, 2^61": lambda: kernels.random_uniform(2**61),
    "an empty image": lambda: kernels.upsample2d_forward(np.ones((0, 1, 1, 2**20), "f4"), 2**29),
    "an empty margin": lambda: kernels.zero_padding2d_forward(np.ones((0, 1, 1, 2**20), "f4"), 2**29),
    "a row of nothing": lambda: kernels.reduce_sum(np.ones((2**40, 0), "f4"), 1),
    "columns of nothing": lambda: kernels.reduce_sum(np.ones((0, 2**40), "f4"), 0),
    "rows of nothing": lambda: kernels.gather_rows(np.ones((0, 2**40, 2**20), "f4"), np.zeros(0, "i8")),
}


@pytest.mark.parametrize("name", ABSURD)
def test_arrays_beyond_memory_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"^\w+: expected an array of at most the \d+ GiB .*use smaller sizes"):
        ABSURD[name]()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: layers.LSTM(3)(x, mask=x), r"unknown argument 'mask'; leave it out: the mask that .* travels"),
        (lambda x: layers.Dropout(0.5)(x, training=True), r"unknown argument 'training'; leave it out: fit, "),
        (lambda x: layers.LSTM(3)(x, initial_states=[x]), "did you mean 'initial_state'"),
        (lambda x: layers.MultiHeadAttention(2, 3)(x, causal_mask=True), "did you mean 'use_causal_mask'"),
        (lambda x: layers.Bidirectional(layers.GRU(3))(x, states=[x]), "unknown argument 'states'"),
    ],
)
def test_unknown_arguments_of_a_call(call: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call(layers.Input((5, 3)))
