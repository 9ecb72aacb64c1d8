"""Cat or dog: what happens in an epoch, and in one update (row S28).

- An example is one element of the data, a batch a small subset of them, the batch size their number.
- An epoch goes through all examples once:
  1. pick a few examples at random: a batch,
  2. compute the output of the network,
  3. compute the loss of this output,
  4. compute the gradients,
  5. update the weights,
  6. repeat until every example has been seen once.

The network takes the picture of a dog for a cat: .9 cat, .1 dog. After one update on this picture, the probability of
cat is lower and that of dog higher.
"""

from pathlib import Path

import numpy as np
from drawing import BLUE, ORANGE, new_figure, output_folder, save

import nnfast as nf
from nnfast import layers

CLASSES = ("cat", "dog")
DRAWINGS = (
    # Pointed, upright ears, and whiskers.
    """
    .#......#.
    .##....##.
    .########.
    .#......#.
    .#.#..#.#.
    ##..##..##
    .#......#.
    ##.####.##
    .#......#.
    ..######..
    """,
    # Hanging ears, and a long snout.
    """
    ...####...
    .##....##.
    ##......##
    ##.#..#.##
    ##......##
    ##..##..##
    ##.####.##
    ...#..#...
    ...#..#...
    ....##....
    """,
)


def faces() -> np.ndarray:
    """One noise-free picture of each class: (2, 10, 10), with 1 for foreground."""
    return np.array([[[c == "#" for c in row] for row in text.split()] for text in DRAWINGS], dtype="float32")


def pictures(count: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Faces with strong noise: (count, 10, 10) and class indices (count,)."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, count)
    return (faces()[y] + rng.normal(0, 0.8, (count, 10, 10))).astype("float32"), y


def network() -> nf.Network:
    """From picture to vector to probabilities; initially .9 cat, .1 dog for every picture."""
    first_answer = np.log([0.9, 0.1])
    return nf.Network(
        [
            layers.Input((10, 10)),
            layers.Flatten(),
            layers.Dense(2, "softmax", kernel_initializer="zeros", bias_initializer=first_answer),
        ]
    )


def one_update(learning_rate: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities of (cat, dog) for the picture of a dog, before and after one update with it."""
    net = network()
    x, y = faces()[1:], np.array([1])
    before = net.predict(x)[0]
    trainer = nf.Trainer(net, loss="cross_entropy", optimizer=nf.optimizers.SGD(learning_rate))
    trainer.train_on_batch(x, y)
    return before, net.predict(x)[0]


def epoch(
    net: nf.Network, x: np.ndarray, y: np.ndarray, batch_size: int, learning_rate: float, rng: np.random.Generator
) -> tuple[list[float], np.ndarray]:
    """The six steps. Returns the loss of each batch and how often each example was seen."""
    unseen = rng.permutation(len(x))
    seen = np.zeros(len(x), dtype=int)
    batch_losses = []
    while len(unseen):  # 6.
        batch, unseen = unseen[:batch_size], unseen[batch_size:]  # 1.
        loss, gradients = net.loss_and_gradients(x[batch], y[batch], "cross_entropy")  # 2., 3. and 4.
        for name, gradient in gradients.items():
            net.parameters[name][...] -= learning_rate * gradient  # 5.
        batch_losses.append(loss)
        seen[batch] += 1
    return batch_losses, seen


def train(epochs: int = 5, batch_size: int = 32) -> tuple[nf.Network, list[list[float]], np.ndarray]:
    """A network after some epochs, the losses of the batches in each, and how often each example was seen."""
    net, rng = network(), np.random.default_rng(0)
    x, y = pictures()
    records = [epoch(net, x, y, batch_size, 0.05, rng) for _ in range(epochs)]
    return net, [losses for losses, _ in records], np.sum([seen for _, seen in records], axis=0)


def accuracy(net: nf.Network) -> float:
    """Fraction of correct answers on pictures not used in training."""
    x, y = pictures(seed=1)
    return float((net.predict(x).argmax(axis=1) == y).mean())


def picture(folder: Path) -> Path:
    """The dog, and the network's answer before and after one update."""
    figure, (image, bars) = new_figure(8, 3.8, 1, 2, width_ratios=[1, 1.6])
    image.imshow(faces()[1], cmap="gray_r")
    image.set_title("Truth: dog")
    image.axis("off")
    for shift, values, color, label in zip((-0.2, 0.2), one_update(), (ORANGE, BLUE), ("before", "after"), strict=True):
        drawn = bars.bar(np.arange(2) + shift, values, 0.38, color=color, label=f"{label} the update")
        bars.bar_label(drawn, fmt="%.2f", padding=2)
    bars.set(xticks=[0, 1], xticklabels=CLASSES, ylim=(0, 1.05), title="The network's answer", ylabel="probability")
    bars.legend(loc="upper center")
    return save(figure, folder, "cat_or_dog.png")


def main(folder: Path) -> None:
    for name, (cat, dog) in zip(("before", "after"), one_update(), strict=True):
        print(f"{name:6} the update: cat {cat:.3f}, dog {dog:.3f}")
    net, batches, seen = train()
    print(
        f"{len(seen)} examples in batches of 32: {len(batches[0])} batches an epoch, the last one of {len(seen) % 32}"
    )
    for number, losses in enumerate(batches, start=1):
        print(f"epoch {number}: mean loss of its batches {np.mean(losses):.4f}")
    print(f"Every example was seen {seen.min()} to {seen.max()} times; accuracy on unseen pictures {accuracy(net):.1%}")
    picture(folder)


if __name__ == "__main__":
    main(output_folder())
