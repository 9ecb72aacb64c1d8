"""Time to train on MNIST up to a given accuracy: `python -m bench.time_to_accuracy`, on two threads.

The recipes are those of examples/mnist_convnet.py: one passes once over the digits and reaches 99.0 % of the test set,
one takes longer and reaches 99.5 %. nnfast runs the example's code. PyTorch gets the same layers with the same initial
values, Adam, the same learning rate at each step, the same batch size, and the same kinds of augmentation. Random
numbers are those of each library.

Digits are in memory for both: bytes for nnfast, floats for PyTorch, which saves it the conversion. PyTorch runs with
the fused optimizer and in the memory format that is faster in a few steps before the measurement. With --compile, it
runs a second time, compiled, including the time to compile. Each training is a separate process; time spent on the test
set does not count.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import machine

ROOT = Path(__file__).parents[1]
RECIPES = ("one-epoch", "best")
PROBE_STEPS = 10


def main(arguments: Sequence[str] | None = None) -> None:
    description = "Seconds until MNIST is learned."
    parser = argparse.ArgumentParser(prog="python -m bench.time_to_accuracy", description=description)
    parser.add_argument("--threads", type=int, default=2, help="threads (default 2)")
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES), help="recipes (default all)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each (default 3)")
    parser.add_argument("--limit", type=int, help="train on the first so many digits only")
    parser.add_argument("--compile", action="store_true", help="PyTorch compiled as well")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        recipe, name, seed = options.worker
        print(json.dumps(train(recipe, name, int(seed), options.threads, options.limit)))
        return
    names = ["nnfast", "PyTorch", *(["PyTorch, compiled"] if options.compile else [])]
    columns = ["recipe", "", "seconds", "mean test accuracy", "of each", "goal", "reached"]
    print(f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}", sep="\n")
    for recipe in options.recipes:
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        for seed in range(options.seeds):
            for name in names:
                found[name].append(run_worker(recipe, name, seed, options))
        for name, runs in found.items():
            print(line_of(recipe, name, runs), flush=True)


def run_worker(recipe: str, name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Result of `train` in a separate process."""
    command = [sys.executable, "-m", "bench.time_to_accuracy", "--worker", recipe, name, str(seed)]
    command += ["--threads", str(options.threads)]
    command += ["--limit", str(options.limit)] if options.limit else []
    print(f"{recipe}, {name}, seed {seed}", file=sys.stderr, flush=True)
    done = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def line_of(recipe: str, name: str, runs: list[dict[str, Any]]) -> str:
    accuracies = [run["accuracy"] for run in runs]
    mean = statistics.mean(accuracies)
    settings = sorted({run["setting"] for run in runs} - {""})
    cells = [
        recipe,
        name + (f" ({', '.join(settings)})" if settings else ""),
        f"{statistics.median(run['seconds'] for run in runs):.2f}",
        f"{100 * mean:.2f} %",
        ", ".join(f"{100 * accuracy:.2f}" for accuracy in accuracies),
        f"{100 * runs[0]['target']:.1f} %",
        "yes" if mean >= runs[0]["target"] else "no",
    ]
    return f"| {' | '.join(cells)} |"


def train(recipe_name: str, name: str, seed: int, threads: int, limit: int | None) -> dict[str, Any]:
    """One training: its time in seconds, its test accuracy, and the accuracy to reach."""
    machine.limit_threads(threads)
    sys.path.insert(0, str(ROOT / "examples"))
    import mnist_convnet as example

    data = example.mnist_data()
    data = data._replace(x_train=data.x_train[:limit], y_train=data.y_train[:limit])
    recipe = example.RECIPES[recipe_name]
    if name == "nnfast":
        network = example.build(recipe, seed)
        seconds = example.train(network, data, recipe)
        found, setting = example.accuracy(network, data), ""
    else:
        seconds, found, setting = train_torch(example, recipe, data, seed, compiled=name.endswith("compiled"))
    return {"seconds": seconds, "accuracy": found, "target": recipe.target, "setting": setting}


def train_torch(example: Any, recipe: Any, data: Any, seed: int, *, compiled: bool) -> tuple[float, float, str]:
    """Seconds, test accuracy and memory format of PyTorch's training with the recipe."""
    import numpy as np
    import torch

    import nnfast as nf
    from bench.peers.torch_images import FORMATS
    from bench.peers.torch_training import Training

    torch.manual_seed(seed)
    network = example.build(recipe, seed)
    images, test_images = (torch.from_numpy(x).permute(0, 3, 1, 2).float() for x in (data.x_train, data.x_test))
    labels = torch.from_numpy(data.y_train).long()
    steps = recipe.epochs * -(-len(labels) // recipe.batch_size)
    schedule = nf.schedules.OneCycle(recipe.peak, steps, rise=recipe.rise, shape="linear")

    def probe(layout: str) -> float:
        training = Training(network, recipe.augmentation, layout, compiled=False)
        np.testing.assert_allclose(training.predict(test_images[:100]), network.predict(data.x_test[:100]), atol=1e-4)
        training.fit(images, labels, recipe.batch_size, schedule, 2)
        return training.fit(images, labels, recipe.batch_size, schedule, PROBE_STEPS)

    layout = min(FORMATS, key=probe)
    training = Training(network, recipe.augmentation, layout, compiled)
    seconds = training.fit(images, labels, recipe.batch_size, schedule, steps)
    right = training.predict(test_images).argmax(axis=1) == data.y_test
    return seconds, float(right.mean()), layout


if __name__ == "__main__":
    main()
