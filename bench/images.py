"""Convolutional networks and their operations, described as data for the adapters of all libraries.

Layouts are nnfast's: images (N, H, W, C), kernels (KH, KW, C, O).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from bench.workloads import Array, Prediction, Step, Task, aligned

Shape = tuple[int, int, int]
Parameters = dict[str, Array]
NORM = {"momentum": 0.9, "epsilon": 1e-5}
"""Of batch normalization; the momentum as Keras and nnfast have it, which is 1 - PyTorch's."""


@dataclass(frozen=True)
class Conv:
    """2-D convolution with `padding` zeros on each side."""

    filters: int
    size: int
    strides: int = 1
    padding: int = 0
    activation: str = "identity"
    use_bias: bool = True


@dataclass(frozen=True)
class Norm:
    """Batch normalization, with statistics of the batch in training and given ones in prediction."""

    activation: str = "identity"


@dataclass(frozen=True)
class MaxPool:
    """Adjacent windows of 2 x 2; an odd row or column at the end is ignored."""


@dataclass(frozen=True)
class GlobalAverage:
    """(N, H, W, C) to (N, C)."""


@dataclass(frozen=True)
class Flatten:
    """(N, H, W, C) to (N, H W C)."""


@dataclass(frozen=True)
class Dropout:
    rate: float


@dataclass(frozen=True)
class Dense:
    units: int
    activation: str = "identity"


@dataclass(frozen=True)
class Subsample:
    """Every `strides`-th pixel in both directions, with zeros as additional channels: option A of He et al."""

    filters: int
    strides: int


@dataclass(frozen=True)
class Residual:
    """ReLU of the sum of two branches; a shortcut without layers is the input."""

    main: tuple["Layer", ...]
    shortcut: tuple["Layer", ...] = ()


Layer = Conv | Norm | MaxPool | GlobalAverage | Flatten | Dropout | Dense | Subsample | Residual


def output_shape(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    match layer:
        case Conv():
            height, width = ((n + 2 * layer.padding - layer.size) // layer.strides + 1 for n in shape[:2])
            return height, width, layer.filters
        case MaxPool():
            return shape[0] // 2, shape[1] // 2, shape[2]
        case Subsample():
            return -(-shape[0] // layer.strides), -(-shape[1] // layer.strides), layer.filters
        case GlobalAverage():
            return shape[2:]
        case Flatten():
            return (int(np.prod(shape)),)
        case Dense():
            return (layer.units,)
        case Residual():
            return [*walk(layer.main, shape)][-1][2]
    return shape


def walk(layers: tuple[Layer, ...], shape: tuple[int, ...]) -> Iterator[tuple[Layer, tuple[int, ...], tuple[int, ...]]]:
    """Every layer with its input and output shapes; in a residual block, the main branch comes before the shortcut."""
    for layer in layers:
        after = output_shape(layer, shape)
        if isinstance(layer, Residual):
            yield from walk(layer.main, shape)
            yield from walk(layer.shortcut, shape)
        yield layer, shape, after
        shape = after


def parameter_shapes(layer: Layer, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    match layer:
        case Conv():
            kernel = (layer.size, layer.size, shape[-1], layer.filters)
            return {"kernel": kernel} | ({"bias": kernel[3:]} if layer.use_bias else {})
        case Norm():
            return dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), shape[-1:])
        case Dense():
            return {"kernel": (shape[0], layer.units), "bias": (layer.units,)}
    return {}


@dataclass(frozen=True)
class ImageWorkload:
    """A network for images that ends in logits or a softmax, trained on classes with cross-entropy."""

    name: str
    shape: Shape
    layers: tuple[Layer, ...]
    optimizer: str
    # As for dense networks, and large enough for the change of a parameter to stand clear of its rounding.
    learning_rate: float
    batch: int
    change_tolerance: float | None = None
    """For the change of each parameter, where the usual one is too narrow."""

    def weights(self) -> Iterator[Parameters]:
        """Initial parameters of each layer that has any, in the order of `walk`. Kernels are He uniform."""
        rng = np.random.default_rng(1)
        for layer, before, _ in walk(self.layers, self.shape):
            found = {}
            for name, shape in parameter_shapes(layer, before).items():
                if name == "kernel":
                    limit = np.sqrt(6 / np.prod(shape[:-1]))
                    values = rng.uniform(-limit, limit, shape)
                else:
                    values = rng.uniform(-0.1, 0.1, shape) + (name in ("gamma", "moving_variance"))
                found[name] = aligned(values.astype(np.float32))
            if found:
                yield found

    @property
    def classes(self) -> int:
        return [*walk(self.layers, self.shape)][-1][2][0]

    def inputs(self, rows: int) -> Array:
        """(rows, H, W, C) in [0, 1)."""
        return aligned(np.random.default_rng(2).random((rows, *self.shape), dtype=np.float32))

    def targets(self, rows: int) -> NDArray[np.int64]:
        """Class numbers (rows,)."""
        return aligned(np.random.default_rng(3).integers(0, self.classes, rows))

    def _products(self) -> list[float]:
        """Multiplications and additions of each matrix product or convolution, for one image."""
        found = []
        for layer, before, after in walk(self.layers, self.shape):
            kernel = parameter_shapes(layer, before).get("kernel")
            if kernel:
                found.append(2.0 * np.prod(kernel) * np.prod(after[:-1]))
        return found

    def forward_operations(self, rows: int) -> float:
        return rows * sum(self._products())

    def step_operations(self) -> float:
        """Operations forward, and twice as many backward, except those of the unused gradient of the images."""
        products = self._products()
        return self.batch * (3 * sum(products) - products[0])

    def without_dropout(self) -> "ImageWorkload":
        return replace(self, layers=tuple(layer for layer in self.layers if not isinstance(layer, Dropout)))


LENET = ImageWorkload(
    "LeNet-5",
    (28, 28, 1),
    (
        *(Conv(6, 5, activation="relu"), MaxPool()),
        *(Conv(16, 5, activation="relu"), MaxPool()),
        *(Flatten(), Dense(120, "relu"), Dense(84, "relu"), Dense(10, "softmax")),
    ),
    "adam",
    1e-4,
    128,
)
CONVNET = ImageWorkload(
    "Keras convnet",
    (28, 28, 1),
    (
        *(Conv(32, 3, activation="relu"), MaxPool()),
        *(Conv(64, 3, activation="relu"), MaxPool()),
        *(Flatten(), Dropout(0.5), Dense(10, "softmax")),
    ),
    "adam",
    1e-4,
    128,
)


def _block(filters: int, strides: int = 1) -> Residual:
    main = (
        *(Conv(filters, 3, strides, padding=1, use_bias=False), Norm("relu")),
        *(Conv(filters, 3, padding=1, use_bias=False), Norm()),
    )
    return Residual(main, (Subsample(filters, strides),) if strides > 1 else ())


RESNET = ImageWorkload(
    "ResNet-20",
    (32, 32, 3),
    (
        *(Conv(16, 3, padding=1, use_bias=False), Norm("relu")),
        *(_block(16), _block(16), _block(16)),
        *(_block(32, 2), _block(32), _block(32)),
        *(_block(64, 2), _block(64), _block(64)),
        *(GlobalAverage(), Dense(10, "softmax")),
    ),
    "momentum",
    1e-2,
    128,
    # Rounding in twenty layers moves numbers across ReLU's kink: PyTorch in float32 was seen to be off PyTorch in
    # float64 by 7e-3 in some parameters' change, and by 1.4e-2 in the layout channels_last.
    change_tolerance=5e-2,
)


@dataclass(frozen=True, kw_only=True)
class ImageStep(Step):
    """Forward, loss, backward and update of a convolutional network on one batch."""

    workload: ImageWorkload

    kind = "image step"

    def tolerances(self) -> dict[str, float]:
        return {"change": self.workload.change_tolerance} if self.workload.change_tolerance else {}

    def without_chance(self) -> Task:
        workload = self.workload.without_dropout()
        return self if workload == self.workload else replace(self, workload=workload)


@dataclass(frozen=True, kw_only=True)
class ImagePrediction(Prediction):
    """A convolutional network's output for one batch."""

    workload: ImageWorkload

    kind = "image prediction"


@dataclass(frozen=True, kw_only=True)
class Convolution(Task):
    """One 2-D convolution: forward, with a bias; backward, all gradients; or only those of kernel and bias.

    The last is the backward pass of a network's first layer, which needs no gradient of the images.
    """

    title: str
    batch: int = 128
    shape: Shape
    layer: Conv
    direction: Literal["forward", "backward", "kernel gradient"]

    kind = "convolution"

    @property
    def name(self) -> str:
        return f"{self.title} {self.direction}"

    @property
    def input_gradient(self) -> bool:
        return self.direction == "backward"

    @property
    def amount(self) -> float:
        forward = 2.0 * self.batch * np.prod(self.kernel_shape) * np.prod(self.output_shape[1:3])
        return float(forward) * (1 + self.input_gradient)

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        return parameter_shapes(self.layer, self.shape)["kernel"]

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.batch, *output_shape(self.layer, self.shape)

    def x(self) -> Array:
        return aligned(np.random.default_rng(7).standard_normal((self.batch, *self.shape), dtype=np.float32))

    def kernel(self) -> Array:
        return aligned(np.random.default_rng(8).standard_normal(self.kernel_shape, dtype=np.float32))

    def bias(self) -> Array:
        return aligned(np.random.default_rng(9).standard_normal(self.layer.filters, dtype=np.float32))

    def dy(self) -> Array:
        return aligned(np.random.default_rng(10).standard_normal(self.output_shape, dtype=np.float32))


@dataclass(frozen=True, kw_only=True)
class Pooling(Task):
    """Maximum or mean of windows of 2 x 2, or the mean of each image's channels, forward or backward."""

    function: Literal["max 2x2", "average 2x2", "global average"]
    shape: tuple[int, int, int, int]
    backward: bool = False

    kind = "pooling"
    unit = "GB/s"

    @property
    def name(self) -> str:
        return f"{self.function}, {'x'.join(map(str, self.shape[1:]))}{' backward' * self.backward}"

    @property
    def output_shape(self) -> tuple[int, ...]:
        n, h, w, c = self.shape
        return (n, c) if self.function == "global average" else (n, h // 2, w // 2, c)

    @property
    def amount(self) -> float:
        """x and y; backward dx and dy, and for the maximum its place."""
        outputs = 2 if self.backward and self.function == "max 2x2" else 1
        return 4.0 * (np.prod(self.shape) + outputs * np.prod(self.output_shape))

    def x(self) -> Array:
        return aligned(np.random.default_rng(11).standard_normal(self.shape, dtype=np.float32))

    def dy(self) -> Array:
        return aligned(np.random.default_rng(12).standard_normal(self.output_shape, dtype=np.float32))


@dataclass(frozen=True, kw_only=True)
class Normalization(Task):
    """Batch normalization: with the batch's statistics, backward through them, or with given statistics."""

    direction: Literal["training", "backward", "inference"]
    shape: tuple[int, int, int, int]

    kind = "normalization"
    unit = "GB/s"

    @property
    def name(self) -> str:
        return f"batch norm {self.direction}, {'x'.join(map(str, self.shape[1:]))}"

    @property
    def amount(self) -> float:
        """Passes over memory: x twice and y; x and dy twice and dx; x and y."""
        passes = {"training": 3, "backward": 5, "inference": 2}[self.direction]
        return 4.0 * passes * np.prod(self.shape)

    def x(self) -> Array:
        return aligned(np.random.default_rng(13).standard_normal(self.shape, dtype=np.float32) + np.float32(0.5))

    def dy(self) -> Array:
        return aligned(np.random.default_rng(14).standard_normal(self.shape, dtype=np.float32))

    def parameters(self) -> Parameters:
        rng = np.random.default_rng(15)
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        return {name: aligned(rng.uniform(0.5, 1.5, self.shape[3]).astype(np.float32)) for name in names}


@dataclass(frozen=True, kw_only=True)
class Augmented(Task):
    """An epoch of `batches` steps on byte images, which are augmented while the batch is gathered."""

    workload: ImageWorkload
    batches: int = 32

    kind = "augmentation"
    options: ClassVar = {"shift": 2, "rotation": 10, "zoom": 0.1}

    @property
    def name(self) -> str:
        return f"{self.workload.name}, batch {self.workload.batch}: {', '.join(self.options)}"

    @property
    def amount(self) -> float:
        return self.batches * self.workload.step_operations()

    def images(self) -> NDArray[np.uint8]:
        rows = self.batches * self.workload.batch
        return aligned(np.random.default_rng(16).integers(0, 256, (rows, *self.workload.shape), np.uint8))
