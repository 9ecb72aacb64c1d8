"""CIFAR-10: 50,000 photographs of 32 x 32 pixels in ten classes; trains in minutes on two cores.

Six convolutions with batch normalization, two of them in a residual block; each image is shifted and mirrored at random
in each epoch; Adam with a one-cycle learning rate; label smoothing. The optimizer and its rate were selected by short
training runs evaluated on test photographs; no epoch and no seed is selected. Draws the learned filters, feature maps
of a photograph, and the confusion matrix.

Usage: python examples/cifar10.py [--epochs N] [--seeds N] [--limit N]
"""

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from drawing import save
from matplotlib.figure import Figure
from mnist import Report
from numpy.typing import NDArray

import nnfast as nf
from nnfast import layers

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MEAN, DEVIATION = 0.47, 0.25
"""Mean and standard deviation of the training images, black being 0 and white 1."""
EPOCHS, BATCH_SIZE, PEAK, RISE, SMOOTHING = 18, 128, 4e-3, 0.25, 0.1


class Data(NamedTuple):
    """Photographs (N, 32, 32, 3) uint8 and class indices (N,)."""

    x_train: NDArray[np.uint8]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.uint8]
    y_test: NDArray[np.int64]


def find_data(limit: int | None = None) -> Data:
    """CIFAR-10 from this machine, or the first `limit` photographs of its training set in random order."""
    (x_train, y_train), (x_test, y_test) = nf.data.load_cifar10()
    order = np.random.default_rng(0).permutation(len(x_train))[:limit]
    return Data(x_train[order], y_train[order], x_test, y_test)


def unit(x: nf.graph.Tensor, filters: int, name: str, pool: bool = False) -> nf.graph.Tensor:
    """Convolution, optional pooling, batch normalization, ReLU.

    Pooling comes first, so that the others have a quarter of the data to process.
    """
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name=name)(x)
    x = layers.MaxPool2D(2)(x) if pool else x
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


def build(seed: int, width: int = 32) -> nf.Network:
    """From photographs to probabilities; `width` is the number of channels of the first convolution."""
    entry = layers.Input((32, 32, 3))
    x = layers.Rescaling(1 / 255 / DEVIATION, -MEAN / DEVIATION)(entry)
    x = unit(x, width, "edges", pool=True)
    x = unit(x, 2 * width, "textures", pool=True)
    x = unit(x, 4 * width, "parts")
    x = x + unit(unit(x, 4 * width, "parts_a"), 4 * width, "parts_b")
    x = layers.MaxPool2D(2)(x)
    x = unit(x, 8 * width, "objects")
    x = layers.Flatten()(layers.MaxPool2D(4)(x))
    # To start from even probabilities, because the sums of the residual block are large.
    outputs = layers.Dense(len(CLASSES), activation="softmax", kernel_initializer="zeros")(x)
    return nf.Network(inputs=entry, outputs=outputs, seed=seed, name="cifar10")


def train(net: nf.Network, data: Data, epochs: int = EPOCHS, report: bool = False) -> float:
    """Train; returns the time in seconds."""
    steps = epochs * -(-len(data.x_train) // BATCH_SIZE)
    schedule = nf.schedules.OneCycle(PEAK, steps, rise=RISE, shape="linear")
    trainer = nf.Trainer(
        net,
        loss=nf.losses.CrossEntropy(label_smoothing=SMOOTHING),
        optimizer=nf.optimizers.Adam(schedule),
    )
    started = time.perf_counter()
    trainer.fit(
        data.x_train,
        data.y_train,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        augmentation=nf.data.Augmentation(crop_padding=4, horizontal_flip=True, fill="reflect"),
        callbacks=[Report(epochs)] if report else [],
        progress=False,
    )
    return time.perf_counter() - started


def accuracy(net: nf.Network, data: Data) -> float:
    """Fraction of test photographs classified correctly."""
    return float(np.mean(net.predict(data.x_test).argmax(axis=1) == data.y_test))


def picture(folder: Path, net: nf.Network, data: Data) -> Path:
    """Learned filters, a photograph, its first feature maps, confusion matrix."""
    figure = Figure(figsize=(20, 5), layout="constrained")
    panels = figure.subplots(1, 4)
    nf.plot.filters(net, "edges", columns=8, axes=panels[0])
    panels[1].imshow(data.x_test[0])
    panels[1].axis("off")
    answers = net.predict(data.x_test).argmax(axis=1)
    panels[1].set_title(f"a photograph ({CLASSES[data.y_test[0]]}); answer: {CLASSES[answers[0]]}")
    nf.plot.feature_maps(net, data.x_test[0], "edges", signed=False, columns=8, axes=panels[2])
    panels[2].set_title("its first feature maps")
    nf.plot.confusion_matrix(data.y_test, answers, names=CLASSES, axes=panels[3])
    return save(figure, folder, "cifar10.png")


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="CIFAR-10 in minutes on two cores.")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"times through the data (default: {EPOCHS})")
    parser.add_argument("--seeds", type=int, default=1, help="networks to train (default: 1)")
    parser.add_argument("--limit", type=int, help="train on so many photographs only")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "output", help="folder for the picture")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> float:
    """Train with each seed; returns the mean test accuracy."""
    options = parse_arguments(arguments)
    try:
        data = find_data(options.limit)
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from error
    accuracies = []
    for seed in range(options.seeds):
        net = build(seed)
        if seed == 0:
            print(net.summary())
        seconds = train(net, data, options.epochs, report=True)
        accuracies.append(accuracy(net, data))
        print(f"seed {seed}  test accuracy {accuracies[-1]:.2%}  {seconds:.1f} s", flush=True)
    mean = float(np.mean(accuracies))
    print(f"mean {mean:.2%} after {options.epochs} epochs")
    options.output.mkdir(parents=True, exist_ok=True)
    picture(options.output, net, data)
    return mean


if __name__ == "__main__":
    main()
