"""nnfast on images."""

from collections.abc import Callable, Iterator

import nnfast as nf
from bench import peers, workloads
from bench.images import (
    NORM,
    Array,
    Augmented,
    Conv,
    Convolution,
    Dense,
    Dropout,
    Flatten,
    GlobalAverage,
    ImagePrediction,
    ImageStep,
    ImageWorkload,
    Layer,
    MaxPool,
    Norm,
    Normalization,
    Parameters,
    Pooling,
    Residual,
    Subsample,
)
from bench.peers import Contender, nnfast_
from bench.workloads import ADAM
from nnfast import kernels, layers


class Builder:
    """A workload's network, and its parameters in the order of the workload."""

    def __init__(self, workload: ImageWorkload, scale: float = 1.0) -> None:
        self._weights: Iterator[Parameters] = workload.weights()
        self._values: dict[str, Array] = {}
        inputs = layers.Input(workload.shape)
        scaled = inputs if scale == 1 else layers.Rescaling(scale)(inputs)
        self.network = nf.Network(inputs=inputs, outputs=self._sequence(workload.layers, scaled), seed=0)
        for name, values in self._values.items():
            self.network.parameters[name][...] = values

    def parameters(self) -> list[Array]:
        """The trained parameters."""
        trained = set(self.network.trainable)
        return [self.network.parameters[name] for name in self._values if name in trained]

    def _sequence(self, stack: tuple[Layer, ...], x: layers.Layer) -> layers.Layer:
        for layer in stack:
            x = self._apply(layer, x)
        return x

    def _apply(self, layer: Layer, x: layers.Layer) -> layers.Layer:
        match layer:
            case Conv():
                options = {"strides": layer.strides, "padding": layer.padding, "use_bias": layer.use_bias}
                return layers.Conv2D(
                    layer.filters, layer.size, activation=layer.activation, name=self._name(), **options
                )(x)
            case Dense():
                return layers.Dense(layer.units, activation=layer.activation, name=self._name())(x)
            case Norm():
                x = layers.BatchNormalization(**NORM, name=self._name())(x)
                return layers.ReLU()(x) if layer.activation == "relu" else x
            case Residual():
                branches = [self._sequence(layer.main, x), self._sequence(layer.shortcut, x)]
                return layers.ReLU()(layers.Add()(branches))
            case Subsample():
                return self._subsample(layer, x)
            case Dropout():
                return layers.Dropout(layer.rate)(x)
            case MaxPool():
                return layers.MaxPool2D(2)(x)
            case GlobalAverage():
                return layers.GlobalAvgPool2D()(x)
            case Flatten():
                return layers.Flatten()(x)

    def _subsample(self, layer: Subsample, x: layers.Layer) -> layers.Layer:
        """As in nnfast.models: pixels by average pooling of single pixels, channels as columns that can be padded."""
        x = layers.AvgPool2D(1, strides=layer.strides)(x)
        height, width, maps = x.shape
        x = layers.Reshape((height * width, maps, 1))(x)
        x = layers.ZeroPadding2D(((0, 0), (0, layer.filters - maps)))(x)
        return layers.Reshape((height, width, layer.filters))(x)

    def _name(self) -> str:
        """Name of the next layer with parameters."""
        values = next(self._weights)
        name = f"layer_{len(self._values)}"
        self._values |= {f"{name}.{own}": array for own, array in values.items()}
        return name


def optimizer_of(workload: ImageWorkload) -> nf.optimizers.Optimizer:
    if workload.optimizer == "adam":
        return nf.optimizers.Adam(workload.learning_rate, **ADAM)
    return nf.optimizers.SGD(workload.learning_rate, momentum=workloads.MOMENTUM)


def step(task: ImageStep) -> Contender:
    workload = task.workload
    builder = Builder(workload)
    trainer = nf.Trainer(builder.network, loss="cross_entropy", optimizer=optimizer_of(workload))
    x, y = workload.inputs(workload.batch), workload.targets(workload.batch)

    def call() -> float:
        return trainer.train_on_batch(x, y)

    return nnfast_.contender(call, lambda: peers.step_results(call, builder.parameters))


def predict(task: ImagePrediction) -> Contender:
    network, x = Builder(task.workload).network, task.workload.inputs(task.batch)
    return nnfast_.contender(lambda: network.predict(x), lambda: {"output": network.predict(x)})


def convolve(task: Convolution) -> Contender:
    x, kernel, bias, dy = task.x(), task.kernel(), task.bias(), task.dy()
    strides, padding = task.layer.strides, task.layer.padding
    if task.direction == "forward":
        out = workloads.empty(task.output_shape)

        def forward() -> Array:
            return kernels.conv2d_forward(x, kernel, bias, strides, padding, out=out)

        return nnfast_.contender(forward, lambda: {"output": forward().copy()})

    def backward() -> tuple[Array | None, Array, Array]:
        return kernels.conv2d_backward(dy, x, kernel, strides, padding, input_gradient=task.input_gradient)

    def result() -> peers.Results:
        dx, dkernel, dbias = backward()
        return {"dkernel": dkernel, "dbias": dbias} | ({} if dx is None else {"dx": dx})

    return nnfast_.contender(backward, result)


def pool(task: Pooling) -> Contender:
    x, dy = task.x(), task.dy()
    out = workloads.empty(task.shape if task.backward else task.output_shape)
    calls: dict[tuple[str, bool], Callable[[], Array]] = {
        ("max 2x2", False): lambda: kernels.max_pool2d_forward(x, 2, out=out),
        ("average 2x2", False): lambda: kernels.avg_pool2d_forward(x, 2, out=out),
        ("global average", False): lambda: kernels.global_avg_pool2d_forward(x, out=out),
        ("average 2x2", True): lambda: kernels.avg_pool2d_backward(dy, task.shape[1:3], 2, out=out),
        ("global average", True): lambda: kernels.global_avg_pool2d_backward(dy, task.shape[1:3], out=out),
    }
    if task.function == "max 2x2" and task.backward:
        winners = workloads.empty(task.output_shape)
        kernels.max_pool2d_forward(x, 2, winners=winners)
        calls["max 2x2", True] = lambda: kernels.max_pool2d_backward(dy, winners, task.shape[1:3], 2, out=out)
    call = calls[task.function, task.backward]
    return nnfast_.contender(call, lambda: {"output": call().copy()})


def normalize(task: Normalization) -> Contender:
    x, dy, out = task.x(), task.dy(), workloads.empty(task.shape)
    gamma, beta, mean, variance = task.parameters().values()
    epsilon = NORM["epsilon"]
    if task.direction == "inference":

        def infer() -> Array:
            return kernels.batch_norm_forward(x, gamma, beta, mean, variance, epsilon, out=out)[0]

        return nnfast_.contender(infer, lambda: {"output": infer().copy()})
    if task.direction == "training":

        def train() -> Array:
            return kernels.batch_norm_forward(x, gamma, beta, epsilon=epsilon, out=out)[0]

        return nnfast_.contender(train, lambda: {"output": train().copy()})

    _, *found = kernels.batch_norm_forward(x, gamma, beta, epsilon=epsilon)

    def backward() -> tuple[Array, Array, Array]:
        return kernels.batch_norm_backward(dy, x, gamma, beta, *found, epsilon, constant=False, out=out)

    return nnfast_.contender(backward, lambda: dict(zip(("dx", "dgamma", "dbeta"), backward(), strict=True)))


def _epoch(task: Augmented, *, augmented: bool) -> Contender:
    workload = task.workload
    network = Builder(workload, scale=1 / 255).network
    trainer = nf.Trainer(network, loss="cross_entropy", optimizer=optimizer_of(workload))
    x, y = task.images(), workload.targets(task.batches * workload.batch)
    augmentation = nf.data.Augmentation(**task.options) if augmented else None

    def call() -> object:
        return trainer.fit(
            x, y, epochs=1, batch_size=workload.batch, augmentation=augmentation, callbacks=[], progress=False
        )

    # Other images, so other losses: there is nothing to compare.
    return nnfast_.contender(call, dict)


def epoch_augmented(task: Augmented) -> Contender:
    return _epoch(task, augmented=True)


def epoch(task: Augmented) -> Contender:
    return _epoch(task, augmented=False)
