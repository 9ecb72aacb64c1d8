"""The training loop, written out (row S20).

    repeat
        draw a batch of examples x with targets t
        run the network on x to obtain the output o
        compute the loss: how far o is from t, here the mean squared error
        compute the gradient of the loss
        update the weights
    until the errors no longer change, or the loss is small enough

`train_by_hand` is this loop; `train_with_callback` does the same steps with `Trainer.fit`, and a callback for the last
line. `train_with_own_loss` computes a loss and its gradient in NumPy, averages the gradients of two batches for each
step of an optimizer, and sets the learning rate; `adversarial_inputs` uses the gradient by the input. A layer in matrix
form is h = g(W x), where the bias is the weight of an additional input of 1.
"""

from pathlib import Path

import numpy as np
from drawing import BLUE, GREY, ORANGE, new_figure, output_folder, save

import nnfast as nf
from nnfast import callbacks, kernels, layers, losses

BATCH_SIZE, LEARNING_RATE = 16, 0.2


def data() -> tuple[np.ndarray, np.ndarray]:
    """64 points of a parabola."""
    x = np.linspace(-1, 1, 64)[:, None]
    return x, x**2


def network() -> nf.Network:
    """One hidden layer of eight tanh neurons."""
    return nf.Network([layers.Input((1,)), layers.Dense(8, "tanh"), layers.Dense(1)], seed=0, dtype="float64")


def train_by_hand(
    below: float, min_change: float, most_epochs: int = 5000, net: nf.Network | None = None
) -> tuple[list[float], str]:
    """The loss of each epoch, and the condition that ended the loop."""
    net = net or network()
    x, t = data()
    history: list[float] = []
    for _ in range(most_epochs):
        batch_losses = []
        for start in range(0, len(x), BATCH_SIZE):
            batch = slice(start, start + BATCH_SIZE)
            loss, gradients = net.loss_and_gradients(x[batch], t[batch], "mse")
            for name, gradient in gradients.items():
                net.parameters[name][...] -= LEARNING_RATE * gradient
            batch_losses.append(loss)
        history.append(float(np.mean(batch_losses)))
        if history[-1] < below:
            return history, "the loss is small enough"
        if len(history) > 1 and abs(history[-1] - history[-2]) <= min_change:
            return history, "the errors no longer change"
    return history, "no condition"


def train_with_callback(below: float, min_change: float, most_epochs: int = 5000) -> list[float]:
    """The same by `Trainer.fit`."""
    trainer = nf.Trainer(network(), loss="mse", optimizer=nf.optimizers.SGD(LEARNING_RATE))
    stop = callbacks.TerminateOnCondition("loss", below=below, min_change=min_change)
    x, t = data()
    history = trainer.fit(
        x, t, epochs=most_epochs, batch_size=BATCH_SIZE, shuffle=False, callbacks=[stop], progress=False
    )
    return history.history["loss"]


# ---- a loss in NumPy ---------------------------------------------------------------

QUANTILE = 0.9


def noisy_data() -> tuple[np.ndarray, np.ndarray]:
    """256 points above a parabola, exponentially distributed."""
    x = np.linspace(-1, 1, 256)[:, None]
    order = np.random.default_rng(0).permutation(256)
    return x[order], (x**2 + np.random.default_rng(1).exponential(0.2, x.shape))[order]


def quantile_loss(output: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """A loss that is smallest where .9 of the targets lie below the output, and its gradient by the output."""
    error = target - output
    loss = np.mean(np.maximum(QUANTILE * error, (QUANTILE - 1) * error))
    return float(loss), np.where(error > 0, -QUANTILE, 1 - QUANTILE) / len(output)


def learning_rate(epoch: int, epochs: int) -> float:
    """Decreases linearly."""
    return 0.02 * (1 - epoch / epochs)


def train_with_own_loss(net: nf.Network, x: np.ndarray, t: np.ndarray, epochs: int) -> list[float]:
    """The loss of each epoch; each step averages the gradients of two batches."""
    trainer = nf.Trainer(net, loss="mse", optimizer="adam")  # for its optimizer: this loss is not used
    history = []
    for epoch in range(epochs):
        trainer.optimizer.learning_rate = learning_rate(epoch, epochs)
        batch_losses = []
        for start in range(0, len(x), 2 * BATCH_SIZE):
            mean = dict.fromkeys(net.trainable, 0.0)
            for first in (start, start + BATCH_SIZE):
                batch = slice(first, first + BATCH_SIZE)
                y, pullback = net.vjp(x[batch], training=True)
                loss, dy = quantile_loss(y, t[batch])
                gradients, _ = pullback(dy)
                mean = {name: mean[name] + gradient / 2 for name, gradient in gradients.items()}
                batch_losses.append(loss)
            trainer.apply_gradients(mean)
        history.append(float(np.mean(batch_losses)))
    return history


def adversarial_inputs(net: nf.Network, x: np.ndarray, t: np.ndarray, step: float) -> np.ndarray:
    """Each input moved by `step` in the direction in which the loss grows."""
    y, pullback = net.vjp(x)
    _, dy = quantile_loss(y, t)
    _, dx = pullback(dy)
    return x + step * np.sign(dx)


# ---- mean squared error and matrix form --------------------------------------------


def mean_squared_error(target: list[float], output: list[float]) -> tuple[float, float]:
    """The mean of the squared differences, by hand and as a loss function."""
    by_hand = sum((t - o) ** 2 for t, o in zip(target, output, strict=True)) / len(target)
    return by_hand, losses.MeanSquaredError()([target], [output])


def matrix_form() -> tuple[np.ndarray, np.ndarray]:
    """h = g(W x) for a layer of two neurons at (.05, .10), as a matrix product and as a layer of a network."""
    w = np.array([[0.15, 0.20, 0.35], [0.25, 0.30, 0.35]])
    h = kernels.sigmoid(kernels.matvec(w, np.array([0.05, 0.10, 1.0])))
    layer = layers.Dense(2, "sigmoid", kernel_initializer=w[:, :2].T, bias_initializer=w[:, 2])
    return h, nf.Network([layers.Input((2,)), layer], dtype="float64").predict(np.array([[0.05, 0.10]]))[0]


def picture(folder: Path, small: list[float], unchanged: list[float]) -> Path:
    """The loss until each condition ends the loop."""
    figure, axes = new_figure(8, 4.4)
    axes.semilogy(small, color=BLUE, label="until the loss is below .001")
    axes.semilogy(unchanged, color=ORANGE, linewidth=5, alpha=0.5, label="until it changes by at most .0001")
    axes.plot(len(small) - 1, small[-1], "o", color=BLUE)
    axes.plot(len(unchanged) - 1, unchanged[-1], "o", color=ORANGE)
    axes.axhline(1e-3, color=GREY, linewidth=1, linestyle="--")
    axes.set(title="When to stop", xlabel="epoch", ylabel="mean squared error")
    axes.legend()
    return save(figure, folder, "training_loop.png")


def main(folder: Path) -> None:
    small, why_small = train_by_hand(below=1e-3, min_change=0.0)
    unchanged, why_unchanged = train_by_hand(below=0.0, min_change=1e-4)
    for history, why in ((small, why_small), (unchanged, why_unchanged)):
        print(f"{len(history):4} epochs, mean squared error {history[-1]:.6f}: {why}")
    print(f"Trainer.fit with a callback: {len(train_with_callback(1e-3, 0.0))} epochs")
    net = network()
    x, t = noisy_data()
    losses_by_epoch = train_with_own_loss(net, x, t, epochs=100)
    below = np.mean(t < net.predict(x))
    print(f"Quantile loss {losses_by_epoch[0]:.4f}, after 100 epochs {losses_by_epoch[-1]:.4f}: {below:.1%} lie below")
    moved = quantile_loss(net.predict(adversarial_inputs(net, x, t, 0.1)), t)[0]
    print(f"Inputs moved by .1 along the sign of their gradients: loss {moved:.4f}")
    by_hand, by_loss = mean_squared_error([0.01, 0.99], [0.75, 0.77])
    print(f"Mean squared error of (.75, .77) for (.01, .99): {by_hand:.6f} by hand, {by_loss:.6f} as a loss")
    by_product, by_layer = matrix_form()
    print(f"h = g(W x): {by_product} as a product, {by_layer} as a layer")
    picture(folder, small, unchanged)


if __name__ == "__main__":
    main(output_folder())
