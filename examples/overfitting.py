"""Overfitting and its remedies; ReLU against the sigmoid in a deep network (row S11).

Overfitting: a network with 118,000 weights and 500 images of digits learns every one of these by heart. From some epoch
on the loss on other images, the validation loss, rises again while the training loss goes to 0: the network becomes
ever more certain of its mistakes. The remedies shown here:

- early stopping: end when the validation loss no longer improves, and go back to the best epoch,
- weight decay: shrink the weights a little in every step, so that only those stay that are needed,
- dropout: set half of the hidden units and a fifth of the pixels to 0, others for every example, so that no unit
  can rely on certain others.

With the smaller digits of scikit-learn, which are used where MNIST is missing, there is less to overfit, and little to
gain by the remedies.

ReLU: the slope of the logistic sigmoid is at most 1/4, so each layer of sigmoids that the gradient passes on its way
back makes it smaller, and the first layers of a deep network hardly learn. The slope of a ReLU is 1 where it is active.
With one hidden layer both learn; with six, only ReLU does.

References: Srivastava et al. (2014), Dropout: a simple way to prevent neural networks from overfitting, JMLR 15;
Glorot, Bordes & Bengio (2011), Deep sparse rectifier neural networks, AISTATS.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from drawing import BLUE, GREEN, GREY, ORANGE, PURPLE, new_figure, output_folder, save
from mnist import find_data
from numpy.typing import NDArray

import nnfast as nf
from nnfast import callbacks, layers
from nnfast.training.history import History

TRAINING, VALIDATION = 500, 1000
REMEDIES = ("none", "early stopping", "weight decay", "dropout")
DEPTHS = (1, 6)


class Digits(NamedTuple):
    """Images as rows of pixels from 0 to 1, and their labels."""

    x_train: NDArray[np.float32]
    y_train: NDArray[np.uint8]
    x_validation: NDArray[np.float32]
    y_validation: NDArray[np.uint8]


def few_digits() -> Digits:
    """500 images to train on and up to 1,000 to validate with, of MNIST or scikit-learn's digits."""
    data = find_data(download=False)
    x = data.x_train[: TRAINING + VALIDATION].reshape(-1, data.x_train[0].size).astype("float32") / data.most_ink
    y = data.y_train[: len(x)]
    return Digits(x[:TRAINING], y[:TRAINING], x[TRAINING:], y[TRAINING:])


def fit(net: nf.Network, data: Digits, epochs: int, optimizer: nf.optimizers.Optimizer, stop: bool = False) -> History:
    """Train in batches of 32; with `stop`, end when the validation loss has not improved for five epochs."""
    trainer = nf.Trainer(net, loss="cross_entropy", optimizer=optimizer, metrics=["accuracy"])
    return trainer.fit(
        data.x_train,
        data.y_train,
        epochs=epochs,
        batch_size=32,
        validation_data=(data.x_validation, data.y_validation),
        callbacks=[callbacks.EarlyStopping("val_loss", patience=5)] if stop else [],
        progress=False,
    )


# ---- overfitting -----------------------------------------------------------------


def wide_network(pixels: int, dropout: bool = False) -> nf.Network:
    """Two hidden layers of 128 units; dropout of a fifth of the pixels and half of the units, if asked for."""
    stack: list[layers.Layer] = [layers.Input((pixels,))]
    if dropout:
        stack.append(layers.Dropout(0.2))
    for _ in range(2):
        stack.append(layers.Dense(128, "relu"))
        if dropout:
            stack.append(layers.Dropout(0.5))
    return nf.Network([*stack, layers.Dense(10, "softmax")], seed=0)


def remedy(name: str, data: Digits, epochs: int) -> tuple[nf.Network, History]:
    """Train a network with one of the remedies."""
    net = wide_network(data.x_train.shape[1], dropout=name == "dropout")
    optimizer = nf.optimizers.Adam(1e-3, weight_decay=1.0 if name == "weight decay" else 0.0)
    return net, fit(net, data, epochs, optimizer, stop=name == "early stopping")


def figures(net: nf.Network, data: Digits) -> dict[str, float]:
    """Loss and accuracy on the training and the validation images."""
    trainer = nf.Trainer(net, loss="cross_entropy", metrics=["accuracy"])
    seen, unseen = trainer.evaluate(data.x_train, data.y_train), trainer.evaluate(data.x_validation, data.y_validation)
    return {**seen, **{f"val_{name}": value for name, value in unseen.items()}}


# ---- ReLU against sigmoid --------------------------------------------------------


def deep_network(pixels: int, activation: str, depth: int) -> nf.Network:
    """Hidden layers of 64 units, with the usual initialization for their activation."""
    start = "he_normal" if activation == "relu" else "glorot_uniform"
    hidden = [layers.Dense(64, activation, kernel_initializer=start) for _ in range(depth)]
    return nf.Network([layers.Input((pixels,)), *hidden, layers.Dense(10, "softmax")], seed=0)


def gradient_sizes(net: nf.Network, data: Digits) -> list[float]:
    """Norm of the loss's gradient by each layer's kernel, from the first layer to the last."""
    _, gradients = net.loss_and_gradients(data.x_train, data.y_train, "cross_entropy")
    return [float(np.linalg.norm(gradient)) for name, gradient in gradients.items() if name.endswith("kernel")]


def activations(data: Digits, epochs: int) -> dict[tuple[str, int], tuple[float, History]]:
    """For each activation and depth, first layer's gradient / last layer's before training, and the history."""
    found = {}
    for activation in ("relu", "sigmoid"):
        for depth in DEPTHS:
            net = deep_network(data.x_train.shape[1], activation, depth)
            sizes = gradient_sizes(net, data)
            history = fit(net, data, epochs, nf.optimizers.SGD(0.1))
            found[activation, depth] = sizes[0] / sizes[-1], history
    return found


def picture(folder: Path, histories: dict[str, History], deep: dict[tuple[str, int], tuple[float, History]]) -> Path:
    """Left, the losses of each remedy; right, the accuracy with each activation."""
    figure, (left, middle, right) = new_figure(15, 4.8, 1, 3)
    for (name, history), color in zip(histories.items(), (GREY, PURPLE, GREEN, ORANGE), strict=True):
        left.semilogy(history["loss"], color=color, label=name)
        middle.plot(history["val_loss"], color=color, label=name)
        best = history.best("val_loss")
        middle.plot(best.epoch, best.value, "o", color=color)
    for (activation, depth), (_, history) in deep.items():
        color, style = (BLUE if activation == "relu" else ORANGE), ("--" if depth == 1 else "-")
        label = f"{activation}, {depth} hidden layer{'s' * (depth > 1)}"
        right.plot(history["val_accuracy"], style, color=color, label=label)
    left.set(title="Training loss", xlabel="epoch", ylabel="cross-entropy")
    middle.set(
        title="Validation loss", xlabel="epoch", ylim=(0, 2 * max(h["val_loss"][-1] for h in histories.values()))
    )
    right.set(title="ReLU and sigmoid: validation accuracy", xlabel="epoch", ylim=(0, 1))
    middle.legend()
    right.legend()
    return save(figure, folder, "overfitting.png")


def main(folder: Path, epochs: int = 40) -> None:
    data = few_digits()
    print(f"{len(data.x_train)} images to train on, {len(data.x_validation):,} to validate with, {epochs} epochs")
    print("remedy            training: loss  accuracy   validation: loss  accuracy   lowest loss, in epoch")
    histories = {}
    for name in REMEDIES:
        net, histories[name] = remedy(name, data, epochs)
        last, best = figures(net, data), histories[name].best("val_loss")
        print(
            f"{name:14} {last['loss']:18.4f} {last['accuracy']:9.1%} {last['val_loss']:18.4f}"
            f" {last['val_accuracy']:9.1%} {best.value:13.4f} {best.epoch + 1:9}"
        )
    deep = activations(data, epochs)
    for (activation, depth), (ratio, history) in deep.items():
        print(
            f"{activation:7}  {depth} hidden: gradient of the first layer {ratio:9.2g} times the last layer's, "
            f"validation accuracy {history['val_accuracy'][-1]:.1%}"
        )
    picture(folder, histories, deep)


if __name__ == "__main__":
    main(output_folder())
