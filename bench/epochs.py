"""Seconds of an epoch of `fit` on arrays in memory, beside peers: `python -m bench.epochs --threads 1 2`.

60,000 rows of 784 numbers in ten classes, as many as MNIST has, shuffled in each epoch, with accuracy as a metric.
Keras runs on JAX, its fastest backend on a CPU; scikit-learn is MLPClassifier; PyTorch takes batches by an index and
makes steps with its fused Adam, without a DataLoader, which is slower for arrays. "nnfast, steps alone" calls
`Trainer.train_on_batch` on one batch as often as an epoch has batches: what is left is the overhead of `fit`.

The contenders take turns, each in a new process: one epoch to warm up, then those that are measured. Figures are
medians.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import machine

ROOT = Path(__file__).parents[1]
ROWS, CLASSES = 60_000, 10
NETWORKS = {"784-128-10, batch 32": ((128,), 32), "784-512-512-10, batch 128": ((512, 512), 128)}
NAMES = ("nnfast", "nnfast, steps alone", "Keras on JAX", "PyTorch", "scikit-learn")
TINY = "2-3-1, batch 1"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.epochs", description="Seconds of an epoch of fit.")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads (default 1 2)")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each contender (default 3)")
    parser.add_argument("--epochs", type=int, default=2, help="epochs that count in each process (default 2)")
    parser.add_argument("--skip", nargs="+", default=[], metavar="NAME", help="contenders to leave out")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        print(json.dumps(measure(*options.worker, options.threads[0], options.epochs)))
        return
    print("| threads | network | contender | seconds | : nnfast |", "|---|---|---|---|---|", sep="\n")
    for threads in options.threads:
        for network in NETWORKS:
            found: dict[str, list[float]] = {name: [] for name in NAMES if name not in options.skip}
            for _ in range(options.rounds):
                for name, seconds in found.items():
                    seconds += run_worker(network, name, threads, options.epochs)
            medians = {name: statistics.median(seconds) for name, seconds in found.items() if seconds}
            for name, median in medians.items():
                ratio = median / medians["nnfast"]
                print(f"| {threads} | {network} | {name} | {median:.3f} | {ratio:.2f} |", flush=True)
        bare, fitted = run_worker(TINY, "nnfast", threads, options.epochs)
        print(f"| {threads} | {TINY} | overhead of fit per batch | {1e6 * (fitted - bare):.2f} us | |", flush=True)


def run_worker(network: str, name: str, threads: int, epochs: int) -> list[float]:
    """Result of `measure` in a separate process; nothing where the peer is not installed."""
    command = [sys.executable, "-m", "bench.epochs", "--worker", network, name]
    command += ["--threads", str(threads), "--epochs", str(epochs)]
    done = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(network: str, name: str, threads: int, epochs: int) -> list[float]:
    """Seconds of each epoch that counts."""
    machine.limit_threads(threads)
    if network == TINY:
        return overhead_of_tiny_batches()
    import numpy as np

    hidden, batch = NETWORKS[network]
    rng = np.random.default_rng(0)
    x = rng.random((ROWS, 784), dtype=np.float32)
    y = rng.integers(0, CLASSES, ROWS)
    contenders: dict[str, Callable[..., Callable[[], object]]] = {
        "nnfast": of_nnfast,
        "nnfast, steps alone": of_steps_alone,
        "Keras on JAX": of_keras,
        "PyTorch": of_torch,
        "scikit-learn": of_scikit_learn,
    }
    try:
        epoch = contenders[name](x, y, hidden, batch)
    except ImportError:
        return []
    epoch()
    return [seconds_of(epoch) for _ in range(epochs)]


def seconds_of(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def trainer_of(hidden: Sequence[int]) -> Any:
    import nnfast as nf
    from nnfast import layers

    chain = [layers.Input((784,)), *(layers.Dense(units, "relu") for units in hidden), layers.Dense(CLASSES, "softmax")]
    return nf.Trainer(nf.Network(chain, seed=0), loss="cross_entropy", metrics=["accuracy"])


def of_nnfast(x: Any, y: Any, hidden: Sequence[int], batch: int) -> Callable[[], object]:
    trainer = trainer_of(hidden)
    return lambda: trainer.fit(x, y, epochs=1, batch_size=batch, progress=False)


def of_steps_alone(x: Any, y: Any, hidden: Sequence[int], batch: int) -> Callable[[], object]:
    step, xs, ys = trainer_of(hidden).train_on_batch, x[:batch], y[:batch]

    def epoch() -> None:
        for _ in range(-(-ROWS // batch)):
            step(xs, ys)

    return epoch


def of_keras(x: Any, y: Any, hidden: Sequence[int], batch: int) -> Callable[[], object]:
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    chain = [keras.layers.Dense(units, activation="relu") for units in hidden]
    model = keras.Sequential([keras.Input((784,)), *chain, keras.layers.Dense(CLASSES, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=True)
    return lambda: model.fit(x, y, epochs=1, batch_size=batch, verbose=0)


def of_torch(x: Any, y: Any, hidden: Sequence[int], batch: int) -> Callable[[], object]:
    import torch

    sizes = [784, *hidden]
    modules: list[Any] = []
    for inputs, units in itertools.pairwise(sizes):
        modules += [torch.nn.Linear(inputs, units), torch.nn.ReLU()]
    model = torch.nn.Sequential(*modules, torch.nn.Linear(sizes[-1], CLASSES))
    steps = torch.optim.Adam(model.parameters(), fused=True)
    loss_of = torch.nn.CrossEntropyLoss()
    rows, labels = torch.from_numpy(x), torch.from_numpy(y)

    def epoch() -> None:
        right = torch.zeros((), dtype=torch.int64)
        for part in torch.randperm(ROWS).split(batch):
            target = labels[part]
            logits = model(rows[part])
            loss = loss_of(logits, target)
            steps.zero_grad(set_to_none=True)
            loss.backward()
            steps.step()
            right += (logits.detach().argmax(1) == target).sum()

    return epoch


def of_scikit_learn(x: Any, y: Any, hidden: Sequence[int], batch: int) -> Callable[[], object]:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore", ConvergenceWarning)
    model = MLPClassifier(hidden, batch_size=batch, alpha=0.0, max_iter=1, warm_start=True, random_state=0)
    return lambda: model.fit(x, y)


def overhead_of_tiny_batches() -> list[float]:
    """Seconds of a step of a tiny network by `train_on_batch`, and of a batch in `fit`."""
    import numpy as np

    import nnfast as nf
    from nnfast import layers

    rng = np.random.default_rng(0)
    x, y = rng.random((20_000, 2), dtype=np.float32), rng.random((20_000, 1), dtype=np.float32)
    net = nf.Network([layers.Input((2,)), layers.Dense(3, "sigmoid"), layers.Dense(1, "sigmoid")], seed=0)
    trainer = nf.Trainer(net, loss="mse", optimizer="sgd")
    xs, ys = x[:1], y[:1]

    def steps() -> None:
        for _ in range(len(x)):
            trainer.train_on_batch(xs, ys)

    def fit() -> None:
        trainer.fit(x, y, epochs=1, batch_size=1, progress=False)

    steps(), fit()
    both = [(seconds_of(steps), seconds_of(fit)) for _ in range(7)]
    return [statistics.median(times) / len(x) for times in zip(*both, strict=True)]


if __name__ == "__main__":
    main()
