"""More layers: Inception blocks (GoogLeNet) and residual blocks (ResNet, up to 152 layers) (row S13).

Deep networks are stacks of blocks. In an Inception block, convolutions of several sizes run in parallel. In a residual
block, the input is added to the result of the convolutions: the block has to learn only a correction, and gradients
reach the first layers directly.

With --deep, GoogLeNet and ResNet-152 run at full size: 224 x 224 pixels, 1,000 classes, forward and one training step.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from drawing import BLUE, GREY, ORANGE, new_figure, save
from sklearn.datasets import load_digits

import nnfast as nf
from nnfast import layers, models

Data = tuple[np.ndarray, np.ndarray]
BLOCKS = 6


def data() -> tuple[Data, Data]:
    """Training and test set: images (N, 8, 8, 1) with values from 0 to 1, and class indices (N,)."""
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.images))
    images, labels = (digits.images[order, ..., None] / 16).astype("float32"), digits.target[order]
    return (images[:1400], labels[:1400]), (images[1400:], labels[1400:])


def classifier(entry: layers.Input, x: nf.graph.Tensor, name: str) -> nf.Network:
    """A network that ends with global average pooling and a dense layer."""
    outputs = layers.Dense(10, activation="softmax")(layers.GlobalAvgPool2D()(x))
    return nf.Network(inputs=entry, outputs=outputs, seed=0, name=name)


def inception_network() -> nf.Network:
    """Two Inception blocks."""
    entry = layers.Input((8, 8, 1))
    x = models.convolution(entry, 16, 3)
    x = models.inception_block(x, 8, (8, 16), (4, 8), 8, batch_normalization=True)
    x = models.inception_block(x, 16, (16, 24), (4, 12), 12, batch_normalization=True)
    return classifier(entry, x, "inception")


def residual_network(blocks: int = BLOCKS) -> nf.Network:
    """Residual blocks of two convolutions each, after one convolution."""
    entry = layers.Input((8, 8, 1))
    x = models.convolution(entry, 16, 3)
    for _ in range(blocks):
        x = models.residual_block(x, 16)
    return classifier(entry, x, "residual")


def train(net: nf.Network, epochs: int) -> tuple[list[float], float]:
    """The loss of each epoch, and the accuracy on unseen digits."""
    train_set, test_set = data()
    optimizer = nf.optimizers.SGD(nf.schedules.Cosine(0.05, steps=epochs * 44), momentum=0.9)
    trainer = nf.Trainer(net, loss="cross_entropy", optimizer=optimizer, metrics=["accuracy"])
    history = trainer.fit(*train_set, epochs=epochs, batch_size=32, progress=False)
    return history.history["loss"], trainer.evaluate(*test_set)["accuracy"]


def run_deep(net: nf.Network, rows: int) -> dict[str, float]:
    """Time in seconds of a second forward pass and training step on `rows` random images, and memory in MB."""
    import resource  # not on Windows

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, size=(rows, *net.input_shape), dtype=np.uint8)
    y = rng.integers(0, net.output_shape[0], size=rows)
    optimizer = nf.optimizers.SGD(0.01, momentum=0.9)
    trainer = nf.Trainer(net, loss="cross_entropy", optimizer=optimizer)
    found = {}
    for name, run in (("forward", lambda: net.predict(x)), ("step", lambda: trainer.train_on_batch(x, y))):
        for _ in range(2):
            started = time.perf_counter()
            run()
            found[f"{name} s"] = time.perf_counter() - started
    found["parameters MB"] = net.flat().nbytes / 1e6
    found["arena MB"] = trainer.plan.arena_bytes / 1e6
    # kilobytes on Linux, bytes on macOS; the maximum since the process started
    found["process MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return found


def deep(rows: int) -> None:
    """GoogLeNet and ResNet-152 at full size."""
    for make in (models.googlenet, lambda seed: models.resnet(152, seed=seed)):
        started = time.perf_counter()
        net = make(seed=0)
        built = time.perf_counter() - started
        figures = ", ".join(f"{name} {value:.2f}" for name, value in run_deep(net, rows).items())
        print(f"{net.name}: {net.num_parameters:,} parameters, built in {built:.2f} s; {rows} images: {figures}")


def main(folder: Path, epochs: int = 8) -> None:
    figure, axes = new_figure(8, 4.4)
    for net, color in ((inception_network(), ORANGE), (residual_network(), BLUE)):
        losses, accuracy = train(net, epochs)
        print(f"{net.name}: {net.num_parameters:,} parameters, {accuracy:.1%} of unseen digits right")
        axes.plot(range(1, len(losses) + 1), losses, "o-", color=color, label=net.name)
    axes.set(title="Training on digits", xlabel="epoch", ylabel="loss", yscale="log")
    axes.legend()
    axes.grid(True, which="both", color=GREY, alpha=0.2)
    save(figure, folder, "more_layers.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Inception and residual blocks.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="where pictures go (default: here)")
    parser.add_argument("--deep", action="store_true", help="run GoogLeNet and ResNet-152 at full size as well")
    parser.add_argument("--batch", type=int, default=8, help="images in a step of the deep ones (default: 8)")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    main(options.folder)
    if options.deep:
        deep(options.batch)
