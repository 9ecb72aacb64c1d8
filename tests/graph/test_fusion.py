"""Ops that do the work of the layer after them: the same bits as with an op for each layer."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from small_networks import randomize

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

DTYPES = ["float32", "float64"]


@pytest.fixture(params=[1, 2, 3])
def thread_count(request: pytest.FixtureRequest) -> Iterator[int]:
    before = nf.get_num_threads()
    nf.set_num_threads(request.param)
    yield request.param
    nf.set_num_threads(before)


def at_random(net: nf.Network) -> nf.Network:
    return randomize(net, np.random.default_rng(3))


def chain(shape: tuple[int, ...], *middle: layers.Layer, dtype: str = "float32") -> nf.Network:
    return at_random(nf.Network([layers.Input(shape), *middle], seed=1, dtype=dtype))


def batch(net: nf.Network, rows: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(7)
    x = rng.standard_normal((rows, *net.input_shape)).astype(net.dtype)
    return x, rng.standard_normal((rows, *net.output_shape)).astype(net.dtype)


def ops(net: nf.Network, training: bool = False, fuse: bool = True) -> list[str]:
    heads = net.heads("test", "mse") if training else None
    return [row["op"] for row in net.plan(2, heads=heads, fuse=fuse).describe()]


def check_prediction(net: nf.Network, rows: int) -> None:
    x, _ = batch(net, rows)
    fused, plain = (net.plan(rows, fuse=fuse).predict(x) for fuse in (True, False))
    assert fused.tobytes() == plain.tobytes()


def check_training(net: nf.Network, rows: int) -> None:
    """Loss and gradients, where work is fused, where it is not, and where each gradient has memory of its own."""
    x, y = batch(net, rows)
    found = []
    for fuse, keep in ((True, False), (False, False), (False, True)):
        plan = net.plan(rows, heads=net.heads("test", "mse"), fuse=fuse, keep=keep)
        loss = plan.loss_and_gradients(x, y, None, True)
        found.append((loss, {name: value.tobytes() for name, value in plan.gradients().items()}))
    assert found[0] == found[1]
    assert found[0] == found[2]
    assert any(np.frombuffer(value, net.dtype).any() for value in found[0][1].values())


PRODUCTS: dict[str, Callable[[bool], layers.Layer]] = {
    "conv": lambda bias: layers.Conv2D(9, 3, use_bias=bias),
    "many filters": lambda bias: layers.Conv2D(70, 3, strides=2, padding="same", use_bias=bias),
    "few filters": lambda bias: layers.Conv2D(2, 3, use_bias=bias),
    "pointwise": lambda bias: layers.Conv2D(37, 1, use_bias=bias),
    "groups": lambda bias: layers.Conv2D(8, 3, groups=2, padding="same", use_bias=bias),
    "depthwise": lambda bias: layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=bias),
    "dense": lambda bias: layers.Dense(21, use_bias=bias),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("product", PRODUCTS)
def test_a_normalization_runs_in_the_product_before_it(product: str, bias: bool, dtype: str) -> None:
    layer = PRODUCTS[product]
    for tail in ([], [layers.ReLU()]):
        net = chain((7, 8, 4), layer(bias), layers.BatchNormalization(), *tail, dtype=dtype)
        assert len(ops(net)) == 2
        assert "batch_normalization" in ops(net, fuse=False)
        for rows in (1, 6, 7):
            check_prediction(net, rows)
            assert (net.predict(batch(net, rows)[0]) < 0).any() == (not tail)


IMAGE, SEQUENCE = (7, 8, 4), (9, 4)
ACTIVE: dict[str, tuple[tuple[int, ...], Callable[..., layers.Layer]]] = {
    **{
        name: (IMAGE, lambda activation, use_bias, make=make: make(use_bias, activation=activation))
        for name, make in {
            "conv": lambda bias, **more: layers.Conv2D(9, 3, use_bias=bias, **more),
            "many filters": lambda bias, **more: layers.Conv2D(70, 3, strides=2, padding="same", use_bias=bias, **more),
            "few filters": lambda bias, **more: layers.Conv2D(2, 3, use_bias=bias, **more),
            "dilated": lambda bias, **more: layers.Conv2D(5, 3, dilation_rate=2, use_bias=bias, **more),
            "pointwise": lambda bias, **more: layers.Conv2D(37, 1, use_bias=bias, **more),
            "groups": lambda bias, **more: layers.Conv2D(8, 3, groups=2, padding="same", use_bias=bias, **more),
            "depthwise": lambda bias, **more: layers.DepthwiseConv2D(3, use_bias=bias, **more),
            "multiplied": lambda bias, **more: layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=bias, **more),
            "dense": lambda bias, **more: layers.Dense(21, use_bias=bias, **more),
            "transposed": lambda bias, **more: layers.Conv2DTranspose(3, 3, use_bias=bias, **more),
            "transposed by 2": lambda bias, **more: layers.Conv2DTranspose(3, 3, 2, "same", use_bias=bias, **more),
            "transposed, gaps": lambda bias, **more: layers.Conv2DTranspose(3, 2, 3, use_bias=bias, **more),
            "transposed, wide": lambda bias, **more: layers.Conv2DTranspose(20, 4, 2, "same", use_bias=bias, **more),
        }.items()
    },
    "Winograd's": ((6, 7, 16), lambda **options: layers.Conv2D(16, 3, padding="same", **options)),
    "Winograd's, transposed": ((6, 7, 16), lambda **options: layers.Conv2DTranspose(16, 3, **options)),
    "in time": (SEQUENCE, lambda **options: layers.Conv1D(5, 3, **options)),
    "in time, transposed": (SEQUENCE, lambda **options: layers.Conv1DTranspose(3, 3, 2, **options)),
    "a row": ((600,), lambda **options: layers.Dense(70, **options)),
    "a unit": ((600,), lambda **options: layers.Dense(1, **options)),
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", ACTIVE)
def test_an_activation_of_a_layer_has_the_bits_of_one_of_its_own(name: str, bias: bool) -> None:
    shape, make = ACTIVE[name]
    for activation in nf.activations.names():
        for dtype in DTYPES:
            net = chain(shape, make(activation=activation, use_bias=bias), dtype=dtype)
            for rows in (1, 5):
                check_prediction(net, rows)
            x, _ = batch(net, 4)
            assert net.predict(x).tobytes() == list(net.trace(x).values())[-1].tobytes()
            if activation != "heaviside" and not (activation.endswith("softmax") and net.output_shape == (1,)):
                check_training(net, 4)  # others have no gradient


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", ACTIVE)
def test_a_relu_after_a_layer_runs_in_it(name: str, bias: bool) -> None:
    shape, make = ACTIVE[name]
    for dtype in DTYPES:
        net = chain(shape, make(activation=None, use_bias=bias), layers.ReLU(), dtype=dtype)
        for training in (True, False):
            assert len(ops(net, training)) == 2
            assert len(ops(net, training, fuse=False)) == 3
        for rows in (1, 5):
            check_prediction(net, rows)
        check_training(net, 4)


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("units", [3, 70, 200])
def test_a_normalization_runs_in_a_dense_layer_on_rows(units: int, rows: int) -> None:
    for scale, center in ((True, True), (False, True), (True, False), (False, False)):
        normal = layers.BatchNormalization(scale=scale, center=center)
        net = chain((600,), layers.Dense(units), normal, layers.ReLU(), layers.Dense(3), layers.Activation("tanh"))
        assert ops(net) == ["input", "dense", "dense", "activation"]
        check_prediction(net, rows)


def test_threads_share_what_is_fused(thread_count: int) -> None:
    net = chain((24, 24, 8), layers.Conv2D(24, 3), layers.BatchNormalization(), layers.ReLU(), layers.Conv2D(40, 1))
    x, _ = batch(net, 16)
    fused = net.plan(16).predict(x)
    nf.set_num_threads(1)
    assert fused.tobytes() == net.plan(16, fuse=False).predict(x).tobytes()


def test_the_parameters_of_the_moment_count() -> None:
    net = chain((5, 5, 3), layers.Conv2D(6, 3), layers.BatchNormalization())
    plan, plain = net.plan(4), net.plan(4, fuse=False)
    x, _ = batch(net, 4)
    before = plan.predict(x)
    assert plan.describe()[1]["parameters"] == list(net.parameters)
    for name in ("gamma", "beta", "moving_mean", "moving_variance"):
        net.parameters[f"batch_normalization.{name}"][...] *= 2
        after = plan.predict(x)
        assert after.tobytes() == plain.predict(x).tobytes()
        assert (after != before).any()
        before = after
    net.parameters["batch_normalization.moving_variance"][2] = -1
    with pytest.raises(ValueError, match=r"moving_variance: expected variances of 0 or more, got -1 in channel 2"):
        plan.predict(x)


def test_what_is_read_twice_keeps_its_op() -> None:
    source = layers.Input((6, 6, 3))
    conv = layers.Conv2D(4, 3, padding="same")(source)
    normal = layers.BatchNormalization()(conv)
    net = at_random(nf.Network(inputs=source, outputs=layers.Concatenate()([conv, normal]), seed=0))
    assert ops(net) == ["input", "conv", "batch_normalization", "concatenate"]
    check_prediction(net, 3)
    active = layers.Conv2D(4, 3, activation="relu")(source)
    outputs = layers.Concatenate()([layers.MaxPool2D(2)(active), layers.AvgPool2D(2)(active)])
    net = at_random(nf.Network(inputs=source, outputs=outputs, seed=0))
    check_prediction(net, 3)
    check_training(net, 3)
    total = layers.Add()([source, layers.Conv2D(3, 1)(source)])
    outputs = layers.Add()([layers.ReLU()(total), total])
    net = at_random(nf.Network(inputs=source, outputs=outputs, seed=0))
    assert ops(net, training=True) == ["input", "conv", "add", "activation", "add"]
    check_training(net, 3)


def test_an_activation_before_the_normalization_keeps_them_apart() -> None:
    net = chain((6, 6, 3), layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization())
    assert ops(net) == ["input", "conv", "batch_normalization"]
    check_prediction(net, 3)


@pytest.mark.parametrize("frozen", [True, False])
def test_training_keeps_the_normalization(frozen: bool) -> None:
    middle = [layers.Conv2D(5, 3), layers.BatchNormalization(), layers.ReLU(), layers.Flatten(), layers.Dense(2)]
    net = chain((6, 6, 3), *middle)
    if frozen:
        net.freeze("batch_normalization")
    assert ops(net, training=True) == ["input", "conv", "batch_normalization", "flatten", "dense"]
    check_training(net, 4)
    check_prediction(net, 4)


def full_of_zeros(net: nf.Network) -> tuple[nf.Network, Array, Array]:
    """The network and a batch of small whole numbers: many ties, zeros of both signs, and windows below 0."""
    rng = np.random.default_rng(5)
    for value in net.parameters.values():
        value[...] = rng.integers(-1, 2, value.shape)
    x, y = batch(net, 6)
    x[...] = rng.integers(-1, 2, x.shape)
    x[x == 0] *= -1
    return net, x, y


POOLS: dict[str, Callable[[], layers.Layer]] = {
    "2": lambda: layers.MaxPool2D(2),
    "3 by 2": lambda: layers.MaxPool2D(3, strides=2),
    "3 by 1, padded": lambda: layers.MaxPool2D(3, strides=1, padding="same"),
    "2 by 3": lambda: layers.MaxPool2D(2, strides=3),
    "4": lambda: layers.MaxPool2D(4),
    "whole": lambda: layers.GlobalMaxPool2D(),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("filters", [1, 6, 16, 35])
@pytest.mark.parametrize("pool", POOLS)
def test_a_relu_waits_for_the_pooling(pool: str, filters: int, dtype: str) -> None:
    middle = [layers.Conv2D(filters, 3, activation="relu"), POOLS[pool](), layers.Flatten(), layers.Dense(3)]
    net = chain((11, 12, 2), *middle, dtype=dtype)
    check_prediction(net, 3)
    check_training(net, 3)
    net, x, y = full_of_zeros(net)
    found = []
    for fuse in (True, False):
        plan = net.plan(6, heads=net.heads("test", "mse"), optimizer=nf.optimizers.get("sgd").spec(), fuse=fuse)
        loss = plan.loss_and_gradients(x, y, None, True)
        found.append((loss, [value.tobytes() for value in plan.gradients().values()]))
        found[-1][1].append(net.plan(6, fuse=fuse).predict(x).tobytes())
    assert found[0] == found[1]


def test_zeros_keep_their_sign_in_a_pooling_with_relu() -> None:
    """-0 counts as the ReLU of -0, and +0 as that of what is below."""
    net = nf.Network(
        [layers.Input((2, 2, 1)), layers.Conv2D(1, 1, activation="relu", use_bias=False), layers.MaxPool2D(2)]
    )
    net.parameters["conv2d.kernel"][...] = 1
    x = np.array(np.meshgrid(*[[-1.0, -0.0, 0.0, 1.0]] * 4), "float32").reshape(4, -1).T.reshape(-1, 2, 2, 1).copy()
    fused, plain = (net.plan(len(x), fuse=fuse).predict(x) for fuse in (True, False))
    assert fused.tobytes() == plain.tobytes()
    np.testing.assert_array_equal(fused.ravel(), np.maximum(x, 0).max(axis=(1, 2, 3)))


def residual(dtype: str, projection: bool) -> nf.Network:
    source = layers.Input((24, 24, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(source)
    for _ in range(2):
        inner = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(x))
        short = layers.BatchNormalization()(layers.Conv2D(8, 1)(x)) if projection else x
        x = layers.ReLU()(layers.Add()([inner, short]))
    outputs = layers.Dense(3)(layers.GlobalAvgPool2D()(x))
    return at_random(nf.Network(inputs=source, outputs=outputs, seed=2, dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("projection", [True, False])
def test_residual_blocks(projection: bool, dtype: str, thread_count: int) -> None:
    net = residual(dtype, projection)
    for training in (True, False):
        assert "activation" not in ops(net, training)
        assert ops(net, training).count("add") == 2
    assert "batch_normalization" not in ops(net)
    check_prediction(net, 20)
    check_training(net, 20)


def sums(kind: str) -> nf.Network:
    source = layers.Input((16, 6))
    a, b, c = (layers.Dense(6)(source) for _ in range(3))
    outputs = {
        "two": lambda: a + b,
        "three": lambda: layers.ReLU()(layers.Add()([a, b, c])),
        "twice the same": lambda: layers.ReLU()(layers.Add()([a, a])),
        "sum of sums": lambda: layers.Add()([layers.Add()([a, b]), layers.Add()([b, c])]),
        "one of them again": lambda: layers.ReLU()(a + b) + layers.Dense(6, activation="relu")(b) + c,
        "views": lambda: layers.Reshape((6, 16))(a) + layers.Reshape((6, 16))(b),
        "views of one": lambda: layers.Reshape((6, 16))(a) + layers.Reshape((6, 16))(layers.ReLU()(a + b)),
        "the input": lambda: layers.ReLU()(layers.Dense(6)(layers.ReLU()(source + a)) + source),
        "active": lambda: layers.Dense(6, activation="relu")(a) + layers.Dense(6, activation="tanh")(b) + b,
    }[kind]()
    return at_random(nf.Network(inputs=source, outputs=outputs, seed=2))


@pytest.mark.parametrize(
    "kind",
    [
        "two",
        "three",
        "twice the same",
        "sum of sums",
        "one of them again",
        "views",
        "views of one",
        "the input",
        "active",
    ],
)
def test_gradients_through_sums(kind: str, thread_count: int) -> None:
    net = sums(kind)
    check_prediction(net, 5)
    check_training(net, 5)
    check_training(net, 1200)
