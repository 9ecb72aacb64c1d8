"""Validation loss and time of a language model of characters, beside PyTorch: `python -m bench.language_model`.

tinyshakespeare, in the folder that NNFAST_DATA names: the first 90 % for training, the last 10 % for validation. An
embedding of 128, two LSTM layers of 128 units, windows of 50 characters, 50 in a batch, Adam with gradients clipped to
a norm of 1 and a learning rate that falls to 0 along a cosine. Both start from PyTorch's usual and nnfast's usual
weights, and read the windows in random order, in one process each, with the same number of threads.
"""

import argparse
import importlib
import json
import math
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import machine

ROOT = Path(__file__).parents[1]
NAMES = ("nnfast", "PyTorch")
UNITS = 128


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.language_model", description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--worker", choices=NAMES, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        print(json.dumps(measure(options)))
        return
    print(
        "| contender | seconds | seconds of an epoch | best validation loss | at epoch |",
        "|---|---|---|---|---|",
        sep="\n",
    )
    for name in options.only:
        command = [sys.executable, "-m", "bench.language_model", "--worker", name, "--threads", str(options.threads)]
        command += ["--epochs", str(options.epochs), "--learning-rate", str(options.learning_rate)]
        command += ["--seed", str(options.seed)]
        done = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        losses, seconds = json.loads(done.stdout.splitlines()[-1])
        best = min(losses)
        print(
            f"| {name} | {seconds:.0f} | {seconds / len(losses):.2f} | {best:.4f} | {losses.index(best) + 1} |",
            flush=True,
        )


def measure(options: argparse.Namespace) -> tuple[list[float], float]:
    """Validation losses after each epoch, and the seconds of training."""
    machine.limit_threads(options.threads)
    sys.path.insert(0, str(ROOT / "examples"))
    example = importlib.import_module("tinyshakespeare")
    data = example.prepare(example.find_text())
    recipe = example.RECIPES["lstm"]._replace(epochs=options.epochs, learning_rate=options.learning_rate)
    if options.worker == "nnfast":
        run = example.train("lstm", data, recipe, options.seed)
        return run.val_losses, run.seconds
    return train_torch(data, recipe, options.seed)


def train_torch(data: Any, recipe: Any, seed: int) -> tuple[list[float], float]:
    import torch

    import nnfast as nf

    torch.manual_seed(seed)
    characters = len(data.vocabulary)

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(characters, UNITS)
            self.lstm = torch.nn.LSTM(UNITS, UNITS, num_layers=2, batch_first=True)
            self.head = torch.nn.Linear(UNITS, characters)

        def forward(self, x: Any) -> Any:
            return self.head(self.lstm(self.embedding(x))[0])

    def tensors(tokens: Any) -> tuple[Any, Any]:
        x, y = nf.text.windows(tokens, recipe.steps)
        return torch.from_numpy(x.astype("int64")), torch.from_numpy(y.astype("int64"))

    model, (x, y), (x_val, y_val) = Model(), tensors(data.training), tensors(data.validation)
    optimizer = torch.optim.Adam(model.parameters(), recipe.learning_rate, betas=(0.9, 0.99), fused=True)
    loss_of = torch.nn.CrossEntropyLoss()
    total, step, losses = recipe.epochs * -(-len(x) // recipe.batch_size), 0, []
    start = time.perf_counter()
    for _ in range(recipe.epochs):
        for rows in torch.randperm(len(x)).split(recipe.batch_size):
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * (1 + math.cos(math.pi * step / total)) / 2
            loss = loss_of(model(x[rows]).flatten(0, 1), y[rows].flatten())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            step += 1
        with torch.no_grad():
            sums = [
                loss_of(model(a).flatten(0, 1), b.flatten()).item() * len(a)
                for a, b in zip(x_val.split(200), y_val.split(200), strict=True)
            ]
        losses.append(sum(sums) / len(x_val))
    return losses, time.perf_counter() - start


if __name__ == "__main__":
    main()
