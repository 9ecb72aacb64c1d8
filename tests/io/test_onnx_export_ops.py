"""Exported operations on tensors, in the layouts that convolutions leave behind."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx_runs import errors, exported, largest_error
from small_networks import randomize

import nnfast as nf
from nnfast import _core, layers, ops

POSITIVE = {"log", "log1p", "sqrt", "rsqrt", "power"}


def elementwise(function: str, *operands: Any) -> Any:
    """A node of the core with that function; numbers become its constant."""
    tensors = [x for x in operands if not isinstance(x, float)]
    options: dict[str, Any] = {"function": function}
    for place, x in enumerate(operands):
        if isinstance(x, float):
            options |= {"constant": x, "constant_at": place}
    return layers.Operation("elementwise", options)(tensors if len(tensors) > 1 else tensors[0])


def numbers(rng: np.random.Generator, shape: tuple[int, ...] = (6, 8)) -> Any:
    """Some of them whole, none too close to where functions jump."""
    x = rng.normal(size=shape) * 2
    x[..., 0] = np.round(x[..., 0])
    return x.astype("f4")


def wrong(net: nf.Network, names: Iterable[str], x: Any, **options: Any) -> dict[str, float]:
    """The outputs that are not as they should be, by name, and how far they are off."""
    return {name: error for name, error in zip(names, errors(net, x, **options), strict=True) if not error < 1e-5}


def test_functions_of_one_tensor(rng: np.random.Generator) -> None:
    """Of vectors, and of images whose channels come first."""
    names = [*_core.unary_names(), *(name for name in _core.activation_names() if not name.endswith("softmax"))]
    x = layers.Input((8,))
    positive = ops.abs(x) + 0.1
    made = [elementwise(name, positive if name in POSITIVE else x) for name in names]
    assert not wrong(nf.Network(inputs=x, outputs=made, seed=0), names, numbers(rng))
    x = layers.Input((3, 2, 4))
    h = layers.Conv2D(2, 1)(x)
    positive = ops.abs(h) + 0.1
    made = [elementwise(name, positive if name in POSITIVE else h) for name in names]
    made = [layers.Conv2D(1, 1)(y) for y in made]
    assert not wrong(nf.Network(inputs=x, outputs=made, seed=0), names, numbers(rng, (2, 3, 2, 4)), opset=21)


def test_functions_of_two_tensors(rng: np.random.Generator) -> None:
    names = _core.binary_names()
    a, b = layers.Input((8,)), layers.Input((8,))
    powers = {"power": (ops.abs(a) + 0.1, b)}
    pairs = {name: powers.get(name, (a, b)) for name in names}
    x, y = numbers(rng), numbers(rng)
    y[:, 1], x[:, 2] = x[:, 1], 0
    y[:, 3] = np.where(y[:, 3] == 0, 1, y[:, 3])
    cases: list[tuple[list[Any], Any, Any]] = [
        ([elementwise(name, *pair) for name, pair in pairs.items()], [a, b], [x, y]),
        ([elementwise(name, pair[0], 1.5) for name, pair in pairs.items()], a, x),
        ([elementwise(name, 2.0, pair[1]) for name, pair in pairs.items()], b, y),
    ]
    for made, inputs, data in cases:
        assert not wrong(nf.Network(inputs=inputs, outputs=made, seed=0), names, data)


def test_not_numbers(rng: np.random.Generator) -> None:
    x = layers.Input((4,))
    bad = ops.log(x) / 0.0
    made = [elementwise("is_finite", bad), elementwise("is_nan", bad), ops.where(x > 0, x, 0.5), bad]
    assert largest_error(nf.Network(inputs=x, outputs=made, seed=0), rng.normal(size=(5, 4)).astype("f4")) == 0


TENSORS: dict[str, Callable[[Any], Any]] = {
    "slice": lambda x: x[:, 1:3, ::-1, ::2],
    "slice backwards": lambda x: x[:, ::-2, 2:0:-1, -1:],
    "index": lambda x: x[:, 1, :, -1],
    "roll": lambda x: ops.roll(x, (1, -2), axis=(1, 3)),
    "roll all": lambda x: ops.roll(x, 7, axis=2),
    "flip": lambda x: ops.flip(x, axis=2),
    "transpose": lambda x: ops.transpose(x, (0, 3, 1, 2)),
    "transpose twice": lambda x: ops.transpose(ops.transpose(x, (0, 2, 3, 1)), (0, 1, 3, 2)),
    "moveaxis": lambda x: ops.moveaxis(x, 1, 3),
    "pad": lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 1), (2, 0)), constant_values=1.5),
    "pad reflect": lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 0), (2, 3)), mode="reflect"),
    "pad symmetric": lambda x: ops.pad(x, ((0, 0), (3, 2), (0, 0), (4, 3)), mode="symmetric"),
    "pad edge": lambda x: ops.pad(x, ((0, 0), (5, 2), (1, 0), (0, 3)), mode="edge"),
    "pad wrap": lambda x: ops.pad(x, ((0, 0), (3, 2), (0, 0), (1, 3)), mode="wrap"),
    "tile": lambda x: ops.tile(x, (1, 2, 1, 3)),
    "repeat": lambda x: ops.repeat(x, 2, axis=2),
    "split": lambda x: ops.concatenate(ops.split(x, 2, axis=3)[::-1], axis=1),
    "split at places": lambda x: ops.concatenate(ops.split(x, [1, 2], axis=1)[::-1], axis=1),
    "unstack": lambda x: ops.stack(ops.unstack(x, axis=2), axis=1),
    "concatenate": lambda x: ops.concatenate([x, 2 * x, x], axis=-1),
    "sum": lambda x: ops.sum(x, axis=(1, 3)),
    "mean over all": lambda x: ops.mean(x),
    "mean over the batch": lambda x: x - ops.mean(x, axis=0, keepdims=True),
    "max": lambda x: ops.max(x, axis=-1, keepdims=True),
    "min": lambda x: ops.min(x, axis=(-1, 2)),
    "prod": lambda x: ops.prod(x, axis=2),
    "variance": lambda x: ops.var(x, axis=(1, 2)),
    "norm": lambda x: ops.norm(x, axis=-1),
    "logsumexp": lambda x: ops.logsumexp(x, axis=(1, 2)),
    "argmax": lambda x: ops.argmax(x, axis=-1),
    "argmin": lambda x: ops.argmin(x, axis=1, keepdims=True),
    "argmax of all": lambda x: ops.argmax(ops.mean(x, axis=0)),
    "softmax": lambda x: ops.softmax(x, axis=1),
    "log_softmax": lambda x: ops.log_softmax(x, axis=-1),
    "cumsum": lambda x: ops.cumsum(x, axis=1),
    "cumsum of the last axis": lambda x: ops.cumsum(x, axis=-1),
    "sort": lambda x: ops.sort(x, axis=-1),
    "argsort": lambda x: ops.argsort(x, axis=1),
    "top_k": lambda x: ops.top_k(x, 2)[0] + ops.top_k(x, 2)[1],
    "matmul": lambda x: ops.matmul(x, ops.swapaxes(x, -1, -2)),
    "einsum": lambda x: ops.einsum("nhwc,nhvc->nwv", x, x),
    "tensordot": lambda x: ops.tensordot(x, np.arange(8.0).reshape(4, 2) / 8, axes=1),
    "broadcast": lambda x: ops.broadcast_to(x[:, :, :1], (None, 3, 5, 4)),
    "broadcast to rows": lambda x: x[:, 0, 0] + ops.broadcast_to(np.arange(4.0), (None, 4)),
    "one_hot": lambda x: ops.one_hot(ops.argmax(x, axis=-1), 4),
    "take": lambda x: ops.take(x, [2, 0, -1], axis=1),
    "take_along_axis": lambda x: ops.take_along_axis(x, ops.argsort(x, axis=-1), axis=-1),
    "with a vector": lambda x: x * np.arange(4.0) + np.ones((5, 1)),
    "minus its mean": lambda x: x - ops.mean(x, axis=(1, 2), keepdims=True),
    "compared": lambda x: ops.where(x > ops.mean(x, axis=-1, keepdims=True), x, -1.0),
}


@pytest.mark.parametrize("convolve", [False, True])
def test_tensors(convolve: bool, rng: np.random.Generator) -> None:
    """With channels last, and behind a convolution with channels first."""
    x = layers.Input((3, 5, 4))
    made = [function(layers.Conv2D(4, 1)(x) if convolve else x) for function in TENSORS.values()]
    made = [y if y.batched else x + y for y in made]
    net = randomize(nf.Network(inputs=x, outputs=made, seed=0), rng)
    options = {"opset": 18, "input_layout": "NCHW"} if convolve else {}
    assert not wrong(net, TENSORS, rng.normal(size=(3, 3, 5, 4)).astype("f4"), **options)


def test_variance_of_a_sample(rng: np.random.Generator) -> None:
    """Over the batch too, whose size the graph does not know."""
    x = layers.Input((5,))
    for axes in ([0], [1], [0, 1]):
        y = layers.Operation("reduce", {"function": "mean", "axes": axes, "keepdims": 1, "ddof": 1})(x)
        assert largest_error(nf.Network(inputs=x, outputs=x + y, seed=0), rng.normal(size=(4, 5)).astype("f4")) < 1e-5


@pytest.mark.parametrize("exclusive", [0, 1])
def test_sums_from_the_end(exclusive: int, rng: np.random.Generator) -> None:
    x = layers.Input((5,))
    y = layers.Operation("cumulative_sum", {"axis": -1, "reverse": 1, "exclusive": exclusive})(x)
    assert largest_error(nf.Network(inputs=x, outputs=y, seed=0), rng.normal(size=(4, 5)).astype("f4")) < 1e-5


@pytest.mark.parametrize("keepdims", [0, 1])
def test_largest_of_several_axes(keepdims: int, rng: np.random.Generator) -> None:
    x = layers.Input((3, 4, 5))
    for axes in ([1, 3], [2, 3], [1, 2, 3]):
        y = layers.Operation("arg_reduce", {"function": "argmax", "axes": axes, "keepdims": keepdims})(x)
        net = nf.Network(inputs=x, outputs=y, seed=0)
        assert largest_error(net, rng.normal(size=(4, 3, 4, 5)).astype("f4")) == 0


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotary_positions_from_an_offset(interleaved: bool, rng: np.random.Generator) -> None:
    x, offset = layers.Input((4, 12)), layers.Input((1,))
    y = layers.RotaryEmbedding(100.0, num_heads=2, interleaved=interleaved)([x, offset])
    net = nf.Network(inputs=[x, offset], outputs=y, seed=0)
    start = np.array([[0], [3], [4000]], "f4")
    assert largest_error(net, [rng.normal(size=(3, 4, 12)).astype("f4"), start]) < 1e-5


# ---- layouts ---------------------------------------------------------------------


def image_network(*chain: layers.Layer) -> nf.Network:
    return nf.Network([layers.Input((6, 5, 3)), layers.Conv2D(4, 2), *chain], seed=0)


CHAINS: dict[str, list[layers.Layer]] = {
    "flatten, dense": [layers.Flatten(), layers.Dense(3)],
    "flatten, activation, dropout, dense": [layers.Flatten(), layers.ReLU(), layers.Dropout(0.5), layers.Dense(3)],
    "flatten, scaling": [layers.Flatten(), layers.Rescaling(2.0, 1.0), layers.Dense(3)],
    "flatten of an image of one pixel": [layers.GlobalAvgPool2D(keepdims=True), layers.Flatten(), layers.Dense(3)],
    "padding, cropping, pooling": [layers.ZeroPadding2D(((1, 0), (0, 2))), layers.Cropping2D(1), layers.MaxPool2D()],
    "normalizations": [layers.BatchNormalization(), layers.GroupNormalization(2), layers.PReLU(), layers.Conv2D(2, 2)],
    "enlarged": [layers.UpSampling2D(2), layers.UpSampling2D((1, 3), "bilinear"), layers.Conv2D(2, 3, strides=2)],
    "prelu by channel": [layers.PReLU("he_normal", shared_axes=(1, 2)), layers.GlobalMaxPool2D()],
}


@pytest.mark.parametrize("name", CHAINS)
def test_no_transposition_is_needed(name: str, rng: np.random.Generator) -> None:
    net = randomize(image_network(*CHAINS[name]), rng)
    x = rng.normal(size=(3, 6, 5, 3)).astype("f4")
    options = {"input_layout": "NCHW", "output_layout": "NCHW"}
    assert largest_error(net, x, **options) < 1e-5
    assert Counter(node.op_type for node in exported(net, **options).graph.node)["Transpose"] == 0


def test_tied_kernels_of_flattened_images(rng: np.random.Generator) -> None:
    """Also where the elements that they multiply are in the order of channels first."""
    x = layers.Input((4, 3, 2))
    wide = layers.Dense(60, name="wide")
    flat = layers.Flatten()(layers.Conv2D(5, 1)(x))
    narrow = layers.Dense(7, name="narrow")
    code = narrow(flat)
    again = layers.Dense(60, tied_to=narrow)(code)
    other = layers.Dense(7, tied_to=wide)(flat)
    y = layers.Concatenate()([again, other, wide(code)])
    net = randomize(nf.Network(inputs=x, outputs=y, seed=0), rng)
    assert largest_error(net, rng.normal(size=(3, 4, 3, 2)).astype("f4")) < 1e-5


def test_skip_connections(rng: np.random.Generator) -> None:
    """A U-Net: joined channels, additions, attention gates that broadcast, and a flat branch."""
    x = layers.Input((8, 8, 3))
    a = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    b = layers.Conv2D(4, 3, strides=2, padding="same")(a)
    up = layers.Conv2DTranspose(4, 2, strides=2)(layers.Activation("softmax")(b))
    joined = layers.Concatenate()([a, up])
    gate = ops.sigmoid(ops.mean(joined, axis=(1, 2), keepdims=True))
    image = layers.Conv2D(2, 1)(joined * gate) + layers.Conv2D(2, 1)(x)
    flat = layers.Flatten()(b)
    net = nf.Network(inputs=x, outputs=[image, flat, layers.Dense(2)(flat)], seed=0)
    randomize(net, rng)
    for layout in ("NHWC", "NCHW"):
        assert largest_error(net, rng.normal(size=(2, 8, 8, 3)).astype("f4"), input_layout=layout) < 1e-5


def test_sequences_with_channels_first(rng: np.random.Generator) -> None:
    """Convolutions along time, normalization and recurrent layers."""
    x = layers.Input((9, 3))
    y = layers.BatchNormalization()(x)
    y = layers.Conv1D(4, 3, padding="same", activation="relu")(y)
    y = layers.MaxPool1D(2)(layers.BatchNormalization()(y))
    y = layers.UpSampling1D(2)(y)
    net = nf.Network(inputs=x, outputs=layers.GRU(3)(layers.LayerNormalization()(y)), seed=0)
    assert largest_error(randomize(net, rng), rng.normal(size=(3, 9, 3)).astype("f4")) < 1e-5
