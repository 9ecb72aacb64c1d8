"""Convolution's contract: any geometry, exact chains, the same bits for batches and threads, errors."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import Array, assert_close, eps
from reference.convolution import conv_backward, conv_forward, conv_transpose_forward
from reference.matmul import matmul_fma_chain

import nnfast as nf
from nnfast import kernels, layers

sizes = st.integers(1, 9)
pairs = st.tuples(st.integers(0, 4), st.integers(0, 4))


@st.composite
def geometries(draw: st.DrawFn) -> tuple[Any, ...]:
    """Shapes of x and kernel, with strides, padding, dilation and groups that fit them."""
    groups = draw(st.integers(1, 3))
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    strides, dilation = (draw(st.tuples(st.integers(1, 3), st.integers(1, 3))) for _ in range(2))
    padding = draw(st.one_of(st.just("same"), st.tuples(pairs, pairs)))
    image = []
    for axis in range(2):
        span = (kernel[axis] - 1) * dilation[axis] + 1
        before_and_after = sum(padding[axis]) if padding != "same" else span
        image.append(draw(st.integers(max(1, span - before_and_after), 12)))
    channels, filters = groups * draw(st.integers(1, 5)), groups * draw(st.integers(1, 9))
    x = (draw(st.integers(1, 3)), *image, channels)
    return x, (*kernel, channels // groups, filters), strides, padding, dilation, groups


@given(geometries(), st.integers(0, 2**32 - 1))
def test_any_geometry(geometry: tuple[Any, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, kernel = rng.standard_normal(geometry[0]), rng.standard_normal(geometry[1])
    how = geometry[2:]
    y = kernels.conv2d_forward(x, kernel, None, *how)
    assert_close(y, conv_forward(x, kernel, None, *how), 1e-13 * max(1.0, float(abs(y).max())))
    dy = rng.standard_normal(y.shape)
    for got, truth in zip(
        kernels.conv2d_backward(dy, x, kernel, *how), conv_backward(dy, x, kernel, *how), strict=True
    ):
        # At most 1,300 terms of magnitude around 1: sums below 400, and an error below 1,300 eps times that.
        assert_close(got, truth, 1e-10)


@pytest.mark.parametrize("shape", [(2, 5, 4, 3), (1, 9, 20, 2)])
def test_an_element_is_one_chain_of_fma_from_the_bias(shape: tuple[int, ...], isa: str, rng: Any) -> None:
    if isa == "sse2":
        pytest.skip("no fused multiply-add: its products are rounded twice")
    x = rng.standard_normal(shape).astype(np.float32)
    kernel = rng.standard_normal((2, 3, shape[-1], 2)).astype(np.float32)
    bias = rng.standard_normal(2).astype(np.float32)
    y = kernels.conv2d_forward(x, kernel, bias)
    windows = np.lib.stride_tricks.sliding_window_view(x, (2, 3), axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)
    rows = windows.reshape(y.size // 2, -1)
    chain = matmul_fma_chain(rows, kernel.reshape(-1, 2), np.tile(bias, (len(rows), 1)))
    np.testing.assert_array_equal(y.reshape(-1, 2), chain)


def _all_results(x: Array, kernel: Array, padding: Any, strides: int) -> list[Array]:
    y = kernels.conv2d_forward(x, kernel, None, strides, padding, activation="tanh")
    results = kernels.conv2d_backward(y, x, kernel, strides, padding)
    return [y, *(np.asarray(result) for result in results)]


@pytest.mark.parametrize("channels", [1, 6, 16])
@pytest.mark.parametrize(("padding", "strides"), [("valid", 1), ("same", 1), ("same", 2)])
def test_bits_do_not_depend_on_threads(channels: int, padding: str, strides: int, rng: Any) -> None:
    x = rng.standard_normal((21, 20, 19, channels)).astype(np.float32)
    kernel = rng.standard_normal((5, 3, channels, 10)).astype(np.float32)
    before = nf.get_num_threads()
    try:
        runs = []
        for threads in (1, 2, 3, 8):
            nf.set_num_threads(threads)
            runs.append([result.tobytes() for result in _all_results(x, kernel, padding, strides)])
    finally:
        nf.set_num_threads(before)
    assert runs[1:] == runs[:1] * 3


def test_an_image_alone_has_the_bits_of_one_in_a_batch(rng: Any) -> None:
    x = rng.standard_normal((9, 12, 11, 6)).astype(np.float32)
    kernel = rng.standard_normal((3, 3, 6, 20)).astype(np.float32)
    whole = kernels.conv2d_forward(x, kernel, padding="same")
    np.testing.assert_array_equal(kernels.conv2d_forward(x[4:5], kernel, padding="same"), whole[4:5])


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_many_filters(padding: str, rng: Any) -> None:
    """The kernel is more than a band's panels take at a time, and a filter's results are those of the filter alone."""
    x = rng.standard_normal((100, 9, 8, 40))  # so many pixels that the kernel is copied
    kernel, bias = rng.standard_normal((3, 3, 40, 150)), rng.standard_normal(150)
    y = kernels.conv2d_forward(x, kernel, bias, 2, padding)
    # 360 terms of magnitude around 1: sums below 200, and an error below 360 eps times that.
    assert_close(y, conv_forward(x, kernel, bias, (2, 2), padding, (1, 1), 1), 2e-11)
    for some in (slice(0, 5), slice(60, 101), slice(149, 150)):
        alone = kernels.conv2d_forward(x, np.ascontiguousarray(kernel[..., some]), bias[some], 2, padding)
        np.testing.assert_array_equal(alone, y[..., some])


def test_sequences(rng: Any) -> None:
    x, kernel = rng.standard_normal((3, 11, 4)), rng.standard_normal((3, 4, 5))
    y = kernels.conv2d_forward(x, kernel, strides=2, padding="same")
    assert_close(y, conv_forward(x, kernel, None, (2,), "same", (1,), 1), 24 * eps("float64") * 20)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"strides": 0}, "strides >= 1, got 0"),
        ({"strides": (1, 2, 3)}, "strides of one number or 2"),
        ({"dilation_rate": 5}, "window of at most the padded input's height, 6, got one of 11"),
        ({"dilation_rate": 2**30}, "less than 2\\^30"),
        ({"padding": "full"}, 'padding "valid", "same" or numbers'),
        ({"padding": -1}, "padding >= 0, got -1"),
        ({"padding": 2**40}, "less than 2\\^30"),
        ({"padding": 2**29}, "padding to at most 4 times the input"),
        ({"padding": "same", "dilation_rate": 2**28}, "padding to at most 4 times the input"),
        ({"groups": 3}, "divisor of 4 channels and 6 filters, got 3"),
        ({"groups": 0}, "divisor of 4 channels and 6 filters, got 0"),
        ({"groups": 2}, "expected 2 channels"),
        ({"bias": np.zeros(5)}, "bias: expected shape \\(6,\\)"),
        ({"activation": "softmax"}, "element-wise activation"),
        ({"out": np.zeros((1, 2, 3, 4))}, "out: expected shape"),
        ({"x": np.zeros((2, 6))}, "expected shape \\(N, H, W, C\\)"),
        ({"kernel": np.zeros((3, 4, 6))}, "as many axes as x"),
        ({"kernel": np.zeros((7, 3, 4, 6))}, "height, 6, got one of 7"),
        ({"kernel": np.zeros((3, 3, 4, 0))}, "one channel or more"),
    ],
)
def test_bad_input(change: dict[str, Any], text: str) -> None:
    arguments: dict[str, Any] = {"x": np.zeros((1, 6, 6, 4)), "kernel": np.zeros((3, 3, 4, 6))} | change
    with pytest.raises(ValueError, match=text):
        kernels.conv2d_forward(**arguments)


def test_a_gradient_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"dy: expected shape \(1, 4, 4, 6\)"):
        kernels.conv2d_backward(np.zeros((1, 4, 4, 5)), np.zeros((1, 6, 6, 4)), np.zeros((3, 3, 4, 6)))


def test_dtypes_do_not_mix() -> None:
    with pytest.raises(TypeError, match="kernel: expected float64, got float32"):
        kernels.conv2d_forward(np.zeros((1, 6, 6, 4)), np.zeros((3, 3, 4, 6), np.float32))


@pytest.mark.parametrize("pads", [(2, 0), (0, 1), (1, 2)])
@pytest.mark.parametrize("strides", [1, 2, 3])
def test_a_transposed_convolution_is_cut_where_it_is_padded(strides: int, pads: tuple[int, int], rng: Any) -> None:
    """As in PyTorch: what the padding of the convolution covers is cut off the transposed one's output."""
    x, kernel = rng.standard_normal((2, 7, 3)), rng.standard_normal((4, 5, 3))
    uncut = (7 - 1) * strides + 4
    whole = conv_transpose_forward(x, kernel, None, (uncut,), (strides,), "valid")
    for layer, shape, how in (
        (layers.Conv1DTranspose, (7, 3), (pads,)),
        (layers.Conv2DTranspose, (1, 7, 3), ((0, 0), pads)),
    ):
        size = 4 if len(shape) == 2 else (1, 4)
        made = layer(5, size, strides if len(shape) == 2 else (1, strides), how, use_bias=False)
        net = nf.Network([layers.Input(shape), made], dtype="float64")
        net.set_weights([kernel.reshape(net.get_weights()[0].shape)])
        y = net.predict(x.reshape(2, *shape)).reshape(2, -1, 5)
        assert y.shape[1] == uncut - sum(pads)
        np.testing.assert_allclose(y, whole[:, pads[0] : uncut - pads[1]], rtol=0, atol=1e-13)
        report = nf.check_gradients(net, x.reshape(2, *shape), np.ones((2, *net.output_shape)), "mse")
        assert report, f"\n{report}"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("image", [(6, 6, 2), (30, 29, 1), (1, 1500, 1), (2, 400, 2)])
def test_gradients_of_few_filters_are_those_of_more(image: tuple[int, ...], dtype: Any, rng: Any) -> None:
    """Bit for bit, though vectors hold two images of few filters and one of more: which, the instruction set says."""
    kernel_size = (1, 2) if image[0] == 1 else (2, 2)
    most = 8 if dtype == "float32" else 4  # of half the widest vector
    for n in (1, 2, 9, 21, 40):
        x = rng.standard_normal((n, *image)).astype(dtype)
        kernel = np.zeros((*kernel_size, image[-1], most), dtype)
        y = kernels.conv2d_forward(x, kernel)
        dy = rng.standard_normal(y.shape).astype(dtype)
        _, d_kernel, d_bias = kernels.conv2d_backward(dy, x, kernel)
        for filters in range(1, most):
            few = [np.ascontiguousarray(array[..., :filters]) for array in (dy, kernel)]
            _, some, bias = kernels.conv2d_backward(few[0], x, few[1])
            np.testing.assert_array_equal(some, d_kernel[..., :filters])
            np.testing.assert_array_equal(bias, d_bias[:filters])


@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize(("size", "strides"), [((5, 3), (2, 1)), ((6, 3), (2, 1)), ((9, 3), (3, 1))])
def test_three_taps_of_every_other_row_are_no_window_of_three_rows(
    size: tuple[int, int], strides: tuple[int, int], use_bias: bool, rng: Any
) -> None:
    """These once went by Winograd's tiles, with the first three rows of the kernel."""
    net = nf.Network(
        [layers.Input((4, 5, 17)), layers.Conv2DTranspose(16, size, strides, "same", use_bias=use_bias)],
        dtype="float64",
    )
    for value in net.parameters.values():
        value[...] = rng.standard_normal(value.shape)
    kernel, bias = [*net.get_weights(), None][:2]
    x = rng.standard_normal((2, 4, 5, 17))
    truth = conv_transpose_forward(x, kernel, bias, (4 * strides[0], 5), strides, "same")
    # At most 3 * 3 * 17 terms and a bias of magnitude below 30: an error below 154 * 154 * 30 eps.
    assert_close(net.predict(x), truth, 154 * 154 * 30 * eps("float64"))


def test_the_shape_of_an_image_chooses_the_algorithm() -> None:
    """And neither the number of images nor the dtype."""

    def chosen(images: int, size: tuple[int, ...], window: tuple[int, ...], filters: int, dtype: str) -> set[str]:
        x, kernel = np.zeros((images, *size), dtype), np.zeros((*window, size[-1], filters), dtype)
        return set(kernels.conv2d_algorithms(x, kernel, padding="same").values())

    for images in (0, 1, 100):
        for dtype in ("float32", "float64"):
            assert chosen(images, (5, 6, 16), (3, 3), 256, dtype) == {"winograd"}
            assert chosen(images, (5, 6, 256), (3, 3), 256, dtype) == {"winograd"}
            assert chosen(images, (5, 6, 256), (3, 3), 257, dtype) == {"direct"}
            assert chosen(images, (5, 6, 15), (3, 3), 256, dtype) == {"direct"}
            assert chosen(images, (7, 16), (3,), 16, dtype) == {"direct"}
            assert chosen(images, (5, 6, 16), (1, 1), 16, dtype) == {"matmul", "direct"}
