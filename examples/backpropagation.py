"""Backpropagation (rows S5, S6, S7).

The numerical gradient shifts every weight slightly down and up and measures the error each time: two forward passes per
weight. Backpropagation gives the same numbers from one forward and one backward pass, by the chain rule

    de/dw = da/dw * db/da * dc/db * ... * de/dz.

`chain_rule` shows its factors one by one: for y = x w1 and e = y w2, de/dw1 = x w2; for a weight, db/da = w; for a sum,
dz/da = 1; for the logistic sigmoid, db/da = b (1 - b); for ReLU, db/da = 1 if a > 0, else 0.

Its pitfalls: a ReLU whose input is negative for all data is dead, because its gradient is 0 and it never recovers; and
the product of many factors vanishes or explodes.
"""

import time
from pathlib import Path

import numpy as np
from drawing import BLUE, GREEN, RED, new_figure, output_folder, save
from four_pixel_camera import CLASSES, accuracy, noisy_images, train, untrained_network

import nnfast as nf
from nnfast import initializers, layers, losses

Gradients = dict[str, np.ndarray]


def numerical_gradient(
    net: nf.Network, x: np.ndarray, y: np.ndarray, loss: losses.Loss, step: float = 1e-5
) -> tuple[Gradients, int]:
    """(error at w + step - error at w - step) / (2 step) for every weight w, and the number of forward passes."""
    gradients = {name: np.empty_like(view) for name, view in net.parameters.items()}
    passes = 0
    for name, view in net.parameters.items():
        for index in np.ndindex(view.shape):
            weight = view[index]
            errors = []
            for moved in (weight - step, weight + step):
                view[index] = moved
                errors.append(loss(y, net.predict(x)))
                passes += 1
            view[index] = weight
            gradients[name][index] = (errors[1] - errors[0]) / (2 * step)
    return gradients, passes


def compare(hidden: int = 16) -> dict[str, float]:
    """Both gradients of one network: number of weights, forward passes, largest difference, and the time of each."""
    net = nf.Network(
        [layers.Input((8,)), layers.Dense(hidden, "tanh"), layers.Dense(hidden, "tanh"), layers.Dense(3)],
        seed=0,
        dtype="float64",
    )
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(10, 8)), rng.normal(size=(10, 3))
    net.loss_and_gradients(x, y, "mse")
    start = time.perf_counter()
    _, exact = net.loss_and_gradients(x, y, "mse")
    middle = time.perf_counter()
    numerical, passes = numerical_gradient(net, x, y, losses.MeanSquaredError())
    end = time.perf_counter()
    return {
        "weights": net.num_parameters,
        "forward passes": passes,
        "largest gradient": max(float(np.abs(g).max()) for g in exact.values()),
        "largest difference": max(float(np.abs(exact[name] - numerical[name]).max()) for name in exact),
        "seconds, backpropagation": middle - start,
        "seconds, numerical": end - middle,
    }


class Output(losses.CustomLoss):
    """The network's output as the loss, so that gradients are derivatives of the output."""

    def value(self, target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        return prediction[:, 0]

    def gradient(self, target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        return np.ones_like(prediction)


def derivatives(x: float, *chain: layers.Layer) -> tuple[float, list[float]]:
    """The output of a chain of layers for the input x, and its derivative with respect to each weight."""
    net = nf.Network([layers.Input((1,)), *chain], dtype="float64")
    output, gradients = net.loss_and_gradients([[x]], [[0.0]], Output())
    return output, [float(d) for gradient in gradients.values() for d in gradient.ravel()]


def weights(*values: float, column: bool = False) -> layers.Dense:
    """A layer without bias and activation: from one input to several sums, or as a column from several to one."""
    kernel = np.array(values)[:, None] if column else np.array([values])
    return layers.Dense(kernel.shape[1], use_bias=False, kernel_initializer=kernel)


def chain_rule() -> dict[str, tuple[float, float]]:
    """For each factor: the derivative found by backpropagation, and the one given by the formula."""
    x, w1, w2 = 3.0, 0.5, -2.0
    _, (de_dw1, de_dw2) = derivatives(x, weights(w1), weights(w2))
    # In the others, a is a weight on the input 1, so the derivative by this weight is the derivative by a.
    a, w = 0.7, -1.5
    _, (db_da, _) = derivatives(1.0, weights(a), weights(w))
    _, (dz_da, *_) = derivatives(1.0, weights(a, 0.1, -0.4, 2.0), weights(1.0, 1.0, 1.0, 1.0, column=True))
    b, (dsigmoid,) = derivatives(1.0, weights(a), layers.Sigmoid())
    _, (drelu,) = derivatives(1.0, weights(a), layers.ReLU())
    _, (drelu_below,) = derivatives(1.0, weights(-a), layers.ReLU())
    return {
        "y = x w1, e = y w2: de/dw1 = x w2": (de_dw1, x * w2),
        "y = x w1, e = y w2: de/dw2 = y": (de_dw2, x * w1),
        "weight: db/da = w": (db_da, w),
        "sum: dz/da = 1": (dz_da, 1.0),
        "sigmoid: db/da = b (1 - b)": (dsigmoid, b * (1 - b)),
        "ReLU, a > 0: db/da = 1": (drelu, 1.0),
        "ReLU, a < 0: db/da = 0": (drelu_below, 0.0),
    }


def dead_unit_moves(activation: str, steps: int = 100) -> float:
    """How far training moves the weights of a hidden unit whose bias of -10 makes its input negative for all data."""
    hidden = layers.Dense(1, activation, kernel_initializer="ones", bias_initializer=-10.0, name="hidden")
    net = nf.Network([layers.Input((2,)), hidden, layers.Dense(1, kernel_initializer="ones")])
    before = net.parameters["hidden.kernel"].copy()
    trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.1))
    x = np.random.default_rng(0).uniform(-1, 1, (64, 2)).astype("float32")
    for _ in range(steps):
        trainer.train_on_batch(x, x[:, :1])
    return float(np.abs(net.parameters["hidden.kernel"] - before).max())


GRADIENT_CASES = {
    "vanishing: sigmoid": ("sigmoid", "glorot_uniform"),
    "healthy: tanh, Glorot": ("tanh", "glorot_uniform"),
    "exploding: tanh, weights three times too large": ("tanh", initializers.RandomNormal(0.0, 3 / np.sqrt(64))),
}


def gradient_norms(activation: str, initializer: object, depth: int = 20, width: int = 64) -> list[float]:
    """Norm of the gradient of each layer's weights in a deep network, from input to output."""
    hidden = [layers.Dense(width, activation, kernel_initializer=initializer) for _ in range(depth)]
    net = nf.Network([layers.Input((width,)), *hidden, layers.Dense(1)], seed=0, dtype="float64")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(128, width)), rng.normal(size=(128, 1))
    _, gradients = net.loss_and_gradients(x, y, "mse")
    return [float(np.linalg.norm(g)) for name, g in gradients.items() if name.endswith("kernel")][:depth]


def training_picture(folder: Path) -> Path:
    """The four-pixel network before and after training from scratch."""
    figure, panels = new_figure(12, 5, 1, 2)
    net = untrained_network()
    x, y = noisy_images(2000, seed=2)
    for axes, title in zip(panels, ("Before training", "After training"), strict=True):
        if title == "After training":
            train(net)
        nf.plot.network(net, names=CLASSES, labels=False, axes=axes)
        axes.set_title(f"{title}: {accuracy(net, x, y):.1%} right")
    figure.suptitle("Blue weights are positive, orange ones negative")
    return save(figure, folder, "backpropagation_training.png")


def gradients_picture(folder: Path) -> Path:
    """Gradient norms by layer."""
    figure, axes = new_figure(8, 4.6)
    for (name, case), color in zip(GRADIENT_CASES.items(), (BLUE, GREEN, RED), strict=True):
        norms = gradient_norms(*case)
        axes.semilogy(range(1, len(norms) + 1), norms, "o-", color=color, label=name, markersize=4)
    axes.set(
        title="Gradients on their way back through 20 layers",
        xlabel="layer (1 is next to the input)",
        ylabel="length of the gradient",
        xticks=[1, 5, 10, 15, 20],
    )
    axes.legend()
    return save(figure, folder, "backpropagation_gradients.png")


def main(folder: Path) -> None:
    print("The same gradient twice:")
    for hidden in (4, 16, 64):
        cost = compare(hidden)
        print(
            f"  {cost['weights']:5} weights: largest difference {cost['largest difference']:.1e}; numerical "
            f"{cost['forward passes']:6} forward passes, {1e3 * cost['seconds, numerical']:8.2f} ms; backpropagation "
            f"1 forward and 1 backward pass, {1e3 * cost['seconds, backpropagation']:.3f} ms"
        )
    print("\nThe chain rule, link by link:")
    for name, (found, expected) in chain_rule().items():
        print(f"  {name:36} {found:8.4f}  {expected:8.4f}")
    print("\nA unit below 0 for all data, moved in 100 steps by:")
    for activation in ("relu", "leaky_relu"):
        print(f"  {activation:11} {dead_unit_moves(activation):.4f}")
    print("\nLength of the gradient at the first and the last of 20 layers:")
    for name, case in GRADIENT_CASES.items():
        norms = gradient_norms(*case)
        print(f"  {name:47} {norms[0]:.1e}  {norms[-1]:.1e}")
    training_picture(folder)
    gradients_picture(folder)


if __name__ == "__main__":
    main(output_folder())
