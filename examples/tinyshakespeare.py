"""Language models of characters: an LSTM and a small Transformer learn to write like Shakespeare, letter by letter.

The text is tinyshakespeare (1.1 million characters, 65 different ones), in the folder that NNFAST_DATA names; its first
90 % are for training, the last 10 % for validation. The loss is in nats per character: the mean of -log of the
probability that the network gave to the character that came. Options: python examples/tinyshakespeare.py --help
"""

import argparse
import os
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import nnfast as nf
from nnfast import callbacks, optimizers, schedules

PROMPT = "ROMEO:\n"


class Data(NamedTuple):
    """Token numbers, and the characters that they stand for."""

    vocabulary: nf.text.CharacterVocabulary
    training: NDArray[np.int32]
    validation: NDArray[np.int32]


class Recipe(NamedTuple):
    """Steps T of a window, windows of a batch, epochs, the highest learning rate, its warm-up, and weight decay."""

    steps: int
    batch_size: int
    epochs: int
    learning_rate: float
    warmup_steps: int
    weight_decay: float


class Run(NamedTuple):
    """A trained network, at its best epoch, with its losses after each epoch."""

    network: nf.Network
    losses: list[float]
    val_losses: list[float]
    seconds: float


RECIPES = {
    "lstm": Recipe(50, 50, 20, 4e-3, 0, 0.0),
    "large-lstm": Recipe(64, 50, 12, 3e-3, 200, 0.01),
    "transformer": Recipe(64, 12, 4, 3e-3, 100, 0.1),
}


def find_text() -> str:
    """The text; FileNotFoundError if it is not on this machine."""
    path = Path(os.environ.get("NNFAST_DATA", ".")) / "tinyshakespeare" / "input.txt"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; set NNFAST_DATA to a folder with tinyshakespeare/input.txt")
    return path.read_text(encoding="utf-8")


def prepare(text: str) -> Data:
    """Characters as numbers; the last tenth for validation."""
    vocabulary = nf.text.CharacterVocabulary().fit([text])
    training, validation = nf.text.split_text(text, 0.9)
    return Data(vocabulary, vocabulary.encode(training), vocabulary.encode(validation))


def build(kind: str, characters: int, steps: int, seed: int = 0) -> nf.Network:
    """The network of that kind, from T characters to the probabilities of the next one after each of them."""
    if kind == "lstm":
        return nf.models.char_lstm(characters, steps, units=128, depth=2, embedding=128, seed=seed)
    if kind == "large-lstm":
        return nf.models.char_lstm(characters, steps, units=256, depth=2, embedding=128, dropout=0.2, seed=seed)
    return nf.models.transformer(
        characters,
        steps,
        depth=4,
        width=128,
        heads=4,
        mlp_ratio=8 / 3,
        activation="swiglu",
        normalization="rms",
        positions="rotary",
        use_bias=False,
        seed=seed,
    )


def train(kind: str, data: Data, recipe: Recipe, seed: int = 0, progress: bool = False) -> Run:
    """Train a network, with a learning rate that falls to 0 along a cosine."""
    network = build(kind, len(data.vocabulary), recipe.steps, seed)
    x, y = nf.text.windows(data.training, recipe.steps)
    total = recipe.epochs * -(-len(x) // recipe.batch_size)
    rate = schedules.Cosine(recipe.learning_rate, total, warmup=recipe.warmup_steps)
    optimizer = optimizers.AdamW(rate, beta_2=0.99, weight_decay=recipe.weight_decay, global_clipnorm=1.0)
    trainer = nf.Trainer(network, loss="cross_entropy", optimizer=optimizer)
    best = callbacks.EarlyStopping("val_loss", patience=recipe.epochs, restore_best_weights=True)
    start = time.perf_counter()
    history = trainer.fit(
        x,
        y,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        validation_data=nf.text.windows(data.validation, recipe.steps),
        callbacks=[best],
        progress=progress,
    )
    return Run(network, history["loss"], history["val_loss"], time.perf_counter() - start)


def speak(run: Run, data: Data, length: int = 400, temperature: float = 0.8, seed: int = 0) -> str:
    """A text that the network writes, character by character."""
    return PROMPT + nf.generation.generate(
        run.network, PROMPT, length, vocabulary=data.vocabulary, temperature=temperature, seed=seed
    )


def draw(runs: dict[str, Run], folder: Path) -> Path:
    """A picture of the losses over the epochs."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for (kind, run), color in zip(runs.items(), ("tab:blue", "tab:orange"), strict=False):
        epochs = range(1, len(run.losses) + 1)
        axes.plot(epochs, run.losses, ":", color=color, label=f"{kind}, training")
        axes.plot(
            epochs, run.val_losses, "-", color=color, label=f"{kind}, validation (best {min(run.val_losses):.3f})"
        )
    axes.set_title("Characters of Shakespeare: loss after each epoch")
    axes.set_xlabel("epoch")
    axes.set_ylabel("nats per character")
    axes.legend()
    path = folder / "tinyshakespeare.png"
    figure.savefig(path, dpi=110)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description="Language models of characters.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="where the picture goes (default: here)")
    parser.add_argument("--kinds", nargs="+", choices=sorted(RECIPES), default=["lstm", "transformer"])
    parser.add_argument("--epochs", type=int, help="instead of those of the recipe")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    try:
        data = prepare(find_text())
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from error
    runs = {}
    for kind in options.kinds:
        recipe = RECIPES[kind]
        run = runs[kind] = train(kind, data, recipe._replace(epochs=options.epochs or recipe.epochs), progress=True)
        print(f"{kind}: {run.network.num_parameters:,} parameters, {run.seconds:.0f} s")
        print(f"validation loss {min(run.val_losses):.3f} nats per character at its best epoch\n")
        print(speak(run, data), end="\n\n")
    print(f"picture: {draw(runs, options.folder)}")


if __name__ == "__main__":
    main()
