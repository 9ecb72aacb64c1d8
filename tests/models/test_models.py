"""Ready-made networks: numbers of parameters, shapes, values in NumPy and PyTorch, training, bad options."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference.convolution import conv_forward
from reference.pooling import max_pool

import nnfast as nf
from nnfast import layers, models
from nnfast.core.typing import Array

# ---- numbers of parameters -------------------------------------------------------

# torchvision's documentation of its weights, "num_params".
TORCHVISION = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}
# Millions, to the digits that He et al. print: table 6 of arXiv:1512.03385.
CIFAR = {20: 0.27, 32: 0.46, 44: 0.66, 56: 0.85, 110: 1.7}


def trained(net: nf.Network) -> int:
    return sum(net.parameters[name].size for name in net.trainable)


def normalized(size: int, inputs: int, outputs: int) -> int:
    """Kernel, gamma and beta of a convolution with batch normalization."""
    return size * size * inputs * outputs + 2 * outputs


def cifar_parameters(depth: int) -> int:
    """Option A: a convolution, 2 n layers with each of 16, 32 and 64 maps, a dense layer."""
    n = (depth - 2) // 6
    total = normalized(3, 3, 16)
    for before, maps in ((16, 16), (16, 32), (32, 64)):
        total += normalized(3, before, maps) + (2 * n - 1) * normalized(3, maps, maps)
    return total + 64 * 10 + 10


@pytest.mark.parametrize("depth", CIFAR)
def test_residual_networks_for_cifar(depth: int) -> None:
    net = models.resnet_cifar(depth, seed=0)
    assert trained(net) == cifar_parameters(depth)
    digits = 1 if CIFAR[depth] > 1 else 2
    assert round(trained(net) / 1e6, digits) == CIFAR[depth]
    # Each layer with normalized maps has two moving averages for each; there are 2 n with each number of maps, 1 more.
    assert net.num_parameters - trained(net) == 2 * (16 + (depth - 2) // 3 * (16 + 32 + 64))
    assert f"trainable {trained(net):,}" in net.summary()


def test_projections_add_two_convolutions() -> None:
    net = models.resnet_cifar(20, shortcut="projection", seed=0)
    assert trained(net) == cifar_parameters(20) + normalized(1, 16, 32) + normalized(1, 32, 64)


@pytest.mark.parametrize("depth", TORCHVISION)
def test_residual_networks_for_imagenet(depth: int) -> None:
    net = models.resnet(depth, seed=0)
    assert trained(net) == TORCHVISION[depth]
    assert f"trainable {TORCHVISION[depth]:,}" in net.summary()
    assert (net.input_shape, net.output_shape) == ((224, 224, 3), (1000,))
    weighted = [layer for layer in net.layers if isinstance(layer, layers.Conv2D | layers.Dense)]
    projections = [layer for layer in weighted if str(layer.name).endswith("_shortcut")]
    assert len(weighted) - len(projections) == depth


def test_googlenet() -> None:
    """As many as Caffe's bvlc_googlenet has without its two auxiliary classifiers."""
    net = models.googlenet(seed=0)
    assert net.num_parameters == trained(net) == 6_998_552
    assert "Parameters: 6,998,552" in net.summary()
    biases = sum(view.size for name, view in net.parameters.items() if name.endswith(".bias")) - 1000
    assert trained(models.googlenet(batch_normalization=True, seed=0)) == 6_998_552 + biases


def test_networks_for_digits() -> None:
    dense = [(256, 120), (120, 84), (84, 10)]
    expected = 5 * 5 * 6 + 6 + 5 * 5 * 6 * 16 + 16 + sum((d + 1) * o for d, o in dense)
    assert models.lenet5().num_parameters == expected == 44_426
    # The original's image and layers, had its second convolution seen all maps.
    assert models.lenet5((32, 32, 1)).num_parameters == 61_706
    # Printed by Keras's example.
    assert models.mnist_convnet().num_parameters == 34_826


# ---- shapes ----------------------------------------------------------------------


def shapes(net: nf.Network) -> dict[str, tuple[int, ...]]:
    return net.architecture.infer()[1]


def test_sizes_of_the_stages() -> None:
    """The column "output size" of table 1 in both papers."""
    deep = shapes(models.resnet(50, seed=0))
    assert deep["conv1"] == (112, 112, 64)
    last = {"conv2_3": (56, 56, 256), "conv3_4": (28, 28, 512), "conv4_6": (14, 14, 1024), "conv5_3": (7, 7, 2048)}
    assert {name: deep[name] for name in last} == last
    inception = shapes(models.googlenet(seed=0))
    blocks = {
        "inception_3a": (28, 28, 256),
        "inception_3b": (28, 28, 480),
        "inception_4a": (14, 14, 512),
        "inception_4d": (14, 14, 528),
        "inception_4e": (14, 14, 832),
        "inception_5b": (7, 7, 1024),
    }
    assert {name: inception[name] for name in blocks} == blocks
    assert shapes(models.resnet_cifar(20, (31, 32, 3), seed=0))["conv4_3"] == (8, 8, 64)


SMALL: dict[str, Callable[..., nf.Network]] = {
    "lenet5": models.lenet5,
    "mnist_convnet": models.mnist_convnet,
    "resnet_cifar": lambda **options: models.resnet_cifar(8, (8, 8, 3), 4, **options),
    "resnet": lambda **options: models.resnet(18, (32, 32, 3), 4, **options),
    "resnet of bottlenecks": lambda **options: models.resnet(50, (32, 32, 3), 4, **options),
    "googlenet": lambda **options: models.googlenet((32, 32, 3), 4, **options),
    "googlenet, normalized": lambda **options: models.googlenet((32, 32, 3), 4, batch_normalization=True, **options),
}


@pytest.mark.parametrize("name", sorted(set(SMALL) - {"resnet of bottlenecks"}))
def test_options_of_all(name: str) -> None:
    net, double, other = SMALL[name](seed=3), SMALL[name](seed=3, dtype="float64", scale=1), SMALL[name](seed=4)
    assert (net.dtype, double.dtype) == ("float32", "float64")
    for single, exact in zip(net.get_weights(), double.get_weights(), strict=True):
        assert np.array_equal(single, exact.astype(np.float32))
    assert not all(np.array_equal(a, b) for a, b in zip(net.get_weights(), other.get_weights(), strict=True))
    assert [layer.scale for layer in net.layers if isinstance(layer, layers.Rescaling)] == [1 / 255]
    assert not [layer for layer in double.layers if isinstance(layer, layers.Rescaling)]


def test_scale_and_offset_of_the_images(rng: np.random.Generator) -> None:
    x = rng.integers(0, 256, size=(2, 28, 28, 1), dtype=np.uint8)
    scaled = models.lenet5(scale=0.5, offset=-1.0, seed=0).predict(x)
    np.testing.assert_allclose(models.lenet5(scale=1, seed=0).predict(0.5 * x - 1), scaled, rtol=1e-4)


def test_kernels_start_as_he_et_al_say() -> None:
    for name, view in models.resnet_cifar(20, seed=0).parameters.items():
        if view.ndim == 4:
            count = view.size
            # The variance of a sample variance of normal numbers is 2 / count of its square; five deviations.
            assert view.var() == pytest.approx(2 / np.prod(view.shape[:3]), rel=5 * np.sqrt(2 / count)), name


@pytest.mark.parametrize("name", SMALL)
def test_saved_and_loaded(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    net = SMALL[name](seed=0)
    x = rng.integers(0, 256, size=(2, *net.input_shape), dtype=np.uint8)
    net.save(tmp_path / "net.safetensors")
    assert np.array_equal(nf.Network.load(tmp_path / "net.safetensors").predict(x), net.predict(x))


def test_numbers_that_only_training_shows() -> None:
    """Momentum and epsilon of torchvision's normalizations; dropout of GoogLeNet's paper and of Keras's example."""
    for name, make in SMALL.items():
        normal = [layer for layer in make(seed=0).layers if isinstance(layer, layers.BatchNormalization)]
        assert bool(normal) == (name.startswith("resnet") or name.endswith("normalized"))
        assert {(layer.momentum, layer.epsilon) for layer in normal} <= {(0.9, 1e-5)}
    for net, rate in ((SMALL["googlenet"](seed=0), 0.4), (models.mnist_convnet(seed=0), 0.5)):
        *_, before, last = net.layers
        assert (type(before), before.rate, type(last)) == (layers.Dropout, rate, layers.Dense)


# ---- values ----------------------------------------------------------------------


def test_padded_shortcut(rng: np.random.Generator) -> None:
    """With a kernel of zeros in the second convolution a block is the ReLU of its shortcut."""
    x = layers.Input((5, 4, 3))
    net = nf.Network(inputs=x, outputs=models.residual_block(x, 8, 2, shortcut="padding", name="block"), seed=0)
    net.parameters["block_b.kernel"][...] = 0
    image = rng.normal(size=(2, 5, 4, 3)).astype(np.float32)
    expected = np.zeros((2, 3, 2, 8), np.float32)
    expected[..., :3] = np.maximum(image[:, ::2, ::2], 0)
    assert np.array_equal(net.predict(image), expected)


def test_same_maps_are_passed_on(rng: np.random.Generator) -> None:
    x = layers.Input((4, 4, 3))
    for block in (models.residual_block(x, 3, name="block"), models.residual_block(x, 3, shortcut="padding")):
        net = nf.Network(inputs=x, outputs=block, seed=0)
        last = [name for name in net.parameters if name.endswith(".kernel")][-1]
        net.parameters[last][...] = 0
        image = rng.normal(size=(1, 4, 4, 3)).astype(np.float32)
        assert np.array_equal(net.predict(image), np.maximum(image, 0))


class InNumpy:
    """The blocks in NumPy, with an nnfast network's parameters."""

    def __init__(self, net: nf.Network) -> None:
        self.values = {name: np.array(view) for name, view in net.parameters.items()}

    def filtered(self, x: Array, kernel: Array, bias: Array | None, strides: int) -> Array:
        half = len(kernel) // 2
        return conv_forward(x, kernel, bias, (strides, strides), ((half, half), (half, half)), (1, 1), 1)

    def normalized(self, x: Array, mean: Array, variance: Array, gamma: Array, beta: Array) -> Array:
        return gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta

    def largest(self, x: Array, strides: int, padding: Any) -> Array:
        return max_pool(x, (3, 3), (strides, strides), padding)

    def convolution(self, x: Array, name: str, strides: int = 1, relu: bool = True) -> Array:
        x = self.filtered(x, self.values[f"{name}.kernel"], self.values.get(f"{name}.bias"), strides)
        if f"{name}_norm.gamma" in self.values:
            parts = ("moving_mean", "moving_variance", "gamma", "beta")
            x = self.normalized(x, *(self.values[f"{name}_norm.{part}"] for part in parts))
        return np.maximum(x, 0) if relu else x

    def residual(self, x: Array, name: str, strides: int, parts: str) -> Array:
        y = x
        for part in parts:
            moves = strides if part == parts[-2 if len(parts) == 3 else 0] else 1
            y = self.convolution(y, f"{name}_{part}", moves, relu=part != parts[-1])
        if f"{name}_shortcut.kernel" in self.values:
            x = self.convolution(x, f"{name}_shortcut", strides, relu=False)
        elif x.shape != y.shape:
            x = np.pad(x[:, ::strides, ::strides], ((0, 0), (0, 0), (0, 0), (0, y.shape[-1] - x.shape[-1])))
        return np.maximum(x + y, 0)

    def inception(self, x: Array, name: str) -> Array:
        branches = (("1x1",), ("3x3_reduce", "3x3"), ("5x5_reduce", "5x5"), ("pool_1x1",))
        found = []
        for parts in branches:
            y = self.largest(x, 1, "same") if parts[0].startswith("pool") else x
            for part in parts:
                y = self.convolution(y, f"{name}_{part}")
            found.append(y)
        return np.concatenate(found, axis=-1)

    def classify(self, x: Array) -> Array:
        return x.mean(axis=(1, 2)) @ self.values["dense.kernel"] + self.values["dense.bias"]


class InTorch(InNumpy):
    """Likewise, with PyTorch's functions on (N, C, H, W)."""

    def __init__(self, net: nf.Network) -> None:
        super().__init__(net)
        self.torch = pytest.importorskip("torch")

    def _call(self, function: str, x: Array, *others: Any, **options: Any) -> Array:
        images = self.torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
        tensors = [self.torch.from_numpy(o) if isinstance(o, np.ndarray) else o for o in others]
        y: Array = getattr(self.torch.nn.functional, function)(images, *tensors, **options).numpy()
        return y.transpose(0, 2, 3, 1)

    def filtered(self, x: Array, kernel: Array, bias: Array | None, strides: int) -> Array:
        return self._call("conv2d", x, kernel.transpose(3, 2, 0, 1).copy(), bias, strides, len(kernel) // 2)

    def normalized(self, x: Array, mean: Array, variance: Array, gamma: Array, beta: Array) -> Array:
        return self._call("batch_norm", x, mean, variance, gamma, beta, eps=1e-5)

    def largest(self, x: Array, strides: int, padding: Any) -> Array:
        """As torchvision's networks have it."""
        if padding == "same" and strides == 2:
            return self._call("max_pool2d", x, 3, 2, ceil_mode=True)
        return self._call("max_pool2d", x, 3, strides, 1)


def resnet_cifar(t: InNumpy, x: Array) -> Array:
    x = t.convolution(x, "conv1")
    for stage in (2, 3, 4):
        x = t.residual(x, f"conv{stage}_1", 1 if stage == 2 else 2, "ab")
    return t.classify(x)


def resnet(t: InNumpy, x: Array, blocks: tuple[int, ...], parts: str) -> Array:
    x = t.largest(t.convolution(x, "conv1", 2), 2, ((1, 1), (1, 1)))
    for stage, count in enumerate(blocks, 2):
        for block in range(1, count + 1):
            x = t.residual(x, f"conv{stage}_{block}", 2 if stage > 2 and block == 1 else 1, parts)
    return t.classify(x)


def googlenet(t: InNumpy, x: Array) -> Array:
    x = t.largest(t.convolution(x, "conv1", 2), 2, "same")
    x = t.convolution(t.convolution(x, "conv2_reduce"), "conv2")
    for stage, letters in ((3, "ab"), (4, "abcde"), (5, "ab")):
        x = t.largest(x, 2, "same")
        for letter in letters:
            x = t.inception(x, f"inception_{stage}{letter}")
    return t.classify(x)


WRITTEN_AGAIN: dict[str, Callable[[InNumpy, Array], Array]] = {
    "resnet_cifar": resnet_cifar,
    "resnet": lambda t, x: resnet(t, x, (2, 2, 2, 2), "ab"),
    "resnet of bottlenecks": lambda t, x: resnet(t, x, (3, 4, 6, 3), "abc"),
    "googlenet": googlenet,
    "googlenet, normalized": googlenet,
}


@pytest.mark.parametrize("library", [InNumpy, InTorch])
@pytest.mark.parametrize("name", WRITTEN_AGAIN)
def test_values(name: str, library: type[InNumpy], rng: np.random.Generator) -> None:
    net = SMALL[name](seed=0, dtype="float64", scale=1)
    for parameter, view in net.parameters.items():
        if parameter.endswith(("gamma", "moving_variance")):
            view[...] = rng.uniform(0.5, 1.5, view.shape)
        elif parameter.endswith(("beta", "moving_mean", "bias")):
            view[...] = rng.normal(0, 0.1, view.shape)
    x = rng.normal(size=(2, *net.input_shape))
    logits = WRITTEN_AGAIN[name](library(net), x)
    assert logits.std() > 0.01
    # Sums of up to 4,608 terms in some 50 layers, each relative to its own size: 50 * 4608 * eps is 5e-11.
    got = net.trace(x)["dense.preactivation"]
    np.testing.assert_allclose(got, logits, rtol=0, atol=5e-11 * np.abs(logits).max())


# ---- training --------------------------------------------------------------------


@pytest.mark.parametrize("name", SMALL)
def test_a_few_steps_learn_one_batch(name: str, rng: np.random.Generator) -> None:
    """Noise on a brightness that differs from class to class."""
    net = SMALL[name](seed=0)
    y = np.arange(12) % 4
    noise = rng.integers(0, 64, size=(12, *net.input_shape))
    x = (noise + 64 * y[:, None, None, None]).astype(np.uint8)
    trainer = nf.Trainer(net, loss="cross_entropy", optimizer=nf.optimizers.Adam(1e-3))
    losses = [trainer.train_on_batch(x, y) for _ in range(15)]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.85 * losses[0]


def test_a_trainer_of_a_deep_network_takes_memory_for_the_rows_that_it_gets(rng: np.random.Generator) -> None:
    net = models.googlenet((64, 64, 3), 4, seed=0)
    trainer = nf.Trainer(net, loss="cross_entropy", optimizer=nf.optimizers.SGD(0.01))
    small = trainer.plan.arena_bytes
    assert 1 <= trainer.plan.capacity < 20
    x = rng.integers(0, 256, size=(20, *net.input_shape), dtype=np.uint8)
    trainer.evaluate(x, np.arange(20) % 4)
    assert trainer.plan.arena_bytes == small
    trainer.train_on_batch(x, np.arange(20) % 4)
    assert trainer.plan.capacity == 20
    assert trainer.plan.arena_bytes > small
    assert nf.Trainer(models.lenet5(seed=0), loss="cross_entropy").plan.capacity == 32


# ---- bad options -----------------------------------------------------------------

BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "depth for CIFAR": (lambda: models.resnet_cifar(21), ValueError, r"expected a depth of 6 n \+ 2.*got 21"),
    "depth too small": (lambda: models.resnet_cifar(2), ValueError, r"expected a depth of 6 n \+ 2.*got 2"),
    "depth for ImageNet": (lambda: models.resnet(20), ValueError, "expected a depth of 18, 34, 50, 101, 152, got 20"),
    "depth as text": (lambda: models.resnet("50"), TypeError, "resnet: expected an integer as depth"),
    "no channels": (
        lambda: models.lenet5((28, 28)),
        ValueError,
        r"lenet5: expected input_shape as \(height, width, channels\), got \(28, 28\)",
    ),
    "pooling": (lambda: models.lenet5(pooling="min"), ValueError, "unknown pooling 'min'"),
    "shortcut": (lambda: models.resnet_cifar(shortcut="none"), ValueError, 'expected shortcut "projection" or "pad'),
    "fewer maps": (
        lambda: models.residual_block(layers.Input((8, 8, 16)), 8, shortcut="padding"),
        ValueError,
        "expected at least 16 filters with padding, got 8",
    ),
    "image too small": (lambda: models.lenet5((8, 8, 1)), ValueError, "conv2d_1|conv2d"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_options(name: str) -> None:
    make, error, message = BAD[name]
    with pytest.raises(error, match=message):
        make()


# ---- options ---------------------------------------------------------------


def layers_of(net: nf.Network, kind: type) -> list[Any]:
    return [layer for layer in net.layers if isinstance(layer, kind)]


def test_dropout_is_that_of_the_sources() -> None:
    """Keras's example has a rate of .5, the paper of GoogLeNet 40 %; residual networks have none."""
    assert [layer.rate for layer in layers_of(nf.models.mnist_convnet(seed=0), layers.Dropout)] == [0.5]
    assert [layer.rate for layer in layers_of(nf.models.googlenet((64, 64, 3), 10, seed=0), layers.Dropout)] == [0.4]
    assert layers_of(nf.models.resnet_cifar(seed=0), layers.Dropout) == []


def test_normalization_and_first_values_of_the_blocks() -> None:
    net = nf.models.resnet_cifar(seed=0)
    norms, convolutions = layers_of(net, layers.BatchNormalization), layers_of(net, layers.Conv2D)
    assert len(norms) == len(convolutions) == 19
    assert {(norm.momentum, norm.epsilon) for norm in norms} == {(0.9, 1e-5)}
    assert {repr(layer.kernel_initializer) for layer in convolutions} == {"HeNormal()"}
    assert not any(layer.use_bias for layer in convolutions)
    plain = layers.Input((8, 8, 3))
    bare = nf.Network(inputs=plain, outputs=nf.models.convolution(plain, 4, 3, batch_normalization=False), seed=0)
    (only,) = layers_of(bare, layers.Conv2D)
    assert (only.use_bias, only.activation, only.padding) == (True, "relu", ((1, 1), (1, 1)))


@pytest.mark.parametrize("make", [nf.models.mnist_convnet, nf.models.lenet5, nf.models.resnet_cifar])
def test_pixels_are_brought_to_one(make: Callable[..., nf.Network]) -> None:
    (rescaling,) = layers_of(make(seed=0), layers.Rescaling)
    assert (rescaling.scale, rescaling.offset) == (1 / 255, 0.0)
    (rescaling,) = layers_of(make(scale=2.0, offset=-1.0, seed=0), layers.Rescaling)
    assert (rescaling.scale, rescaling.offset) == (2.0, -1.0)
