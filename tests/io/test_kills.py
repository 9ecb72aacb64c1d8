"""Processes that are killed at any moment while they train and save; only with -m slow.

NNFAST_KILLS is the number of random kills of the scripts that are started again, 30 unless it is set.
"""

import csv
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load

import nnfast as nf
from nnfast import layers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL"),
]


def is_killed_after(seconds: float, script: str) -> bool:
    """Runs a script, which prints a line when it begins what matters; False where it ended of itself before."""
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "begins\n"
        try:
            return child.wait(seconds) != 0
        except subprocess.TimeoutExpired:
            child.kill()
    return True


def test_a_kill_leaves_a_whole_file(tmp_path: Path) -> None:
    """That of one of the saves, and at most one other file, which the next save removes."""
    path = tmp_path / "net.safetensors"
    net = nf.Network([layers.Input((40,)), layers.Dense(500), layers.Dense(30)], seed=0)
    net.set_weights([np.zeros_like(weights) for weights in net.get_weights()])
    net.save(path)
    script = f"""
        import nnfast as nf
        net = nf.Network.load({str(path)!r})
        print("begins", flush=True)
        while True:
            net.set_weights([weights + 1 for weights in net.get_weights()])
            net.save({str(path)!r})
    """
    delays, saves = random.Random(0), 0.0
    for _ in range(30):
        assert is_killed_after(delays.uniform(0, 0.15), script)
        assert len(list(tmp_path.iterdir())) <= 2
        found = {float(value) for weights in nf.Network.load(path).get_weights() for value in np.unique(weights)}
        assert len(found) == 1
        assert saves <= min(found)
        saves = min(found)
    assert saves > 3
    net.save(path)
    assert list(tmp_path.iterdir()) == [path]


TRAINING = """
    import numpy as np
    import nnfast as nf
    from nnfast import callbacks

    class Save(callbacks.Callback):
        def on_batch_end(self, batch, logs):
            self.trainer.save_checkpoint(path)

    path = {path!r}
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(90, 5)).astype("float32"), rng.normal(size=(90, 2)).astype("float32")
    trainer = nf.Trainer.resume(path)
    print("begins", flush=True)
    if trainer.epoch < 6:
        trainer.fit(x, y, epochs=6, initial_epoch=trainer.epoch, batch_size=9, callbacks=[Save()], progress=False)
        trainer.save_checkpoint(path)
"""


def test_a_training_that_is_killed_again_and_again_ends_with_the_same_bits(tmp_path: Path) -> None:
    """From its checkpoints, however many steps each kill has cost."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    chain = [layers.Dense(6), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.2), layers.Dense(2)]
    trainer = nf.Trainer(nf.Network([layers.Input((5,)), *chain], seed=0), loss="mse")
    for path in (whole, killed):
        trainer.save_checkpoint(path)
    assert not is_killed_after(600, TRAINING.format(path=str(whole)))
    delays, kills = random.Random(1), 0
    while is_killed_after(delays.uniform(0, 0.3 + kills / 20), TRAINING.format(path=str(killed))):
        kills += 1
    assert kills > 3
    assert nf.Trainer.resume(killed).iteration == 60
    one, other = (load(path.read_bytes()) for path in (killed, whole))
    assert {name: tensor.tobytes() for name, tensor in one.items()} == {
        name: tensor.tobytes() for name, tensor in other.items()
    }


# ---- scripts that are started again -----------------------------------------------------

KILLS = int(os.environ.get("NNFAST_KILLS", "30"))

SCRIPT = """
    import json, os, signal
    import numpy as np
    import nnfast as nf
    from nnfast import callbacks, layers, optimizers

    class Counting(callbacks.Callback):
        # A user's own, with a number, a list and an array that depend on all epochs before.
        def on_train_begin(self):
            self.total, self.seen, self.sums = 0.0, [], np.zeros(3)

        def on_epoch_end(self, epoch, logs):
            self.total = self.total / 2 + logs["loss"]
            self.seen.append(epoch)
            self.sums = self.sums * 0.7 + [epoch, self.total, 1.0]
            logs["total"] = self.total

        def get_state(self):
            return {{"total": self.total, "seen": self.seen, "sums": self.sums}}

        def set_state(self, state):
            self.total, self.seen, self.sums = state["total"], list(state["seen"]), np.array(state["sums"])

    def chain():
        first = [layers.Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Conv2D(8, 3), layers.BatchNormalization()]
        return [*first, layers.ReLU(), layers.Dropout(0.2), layers.Flatten(), layers.Dense(4, "softmax")]

    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, size=(400, 8, 8, 1)).astype("uint8"), rng.integers(0, 4, size=400)
    weights = rng.uniform(0.1, 2, size=400)
    net = nf.Network(chain(), seed=0)
    folder = {folder!r}
    data = {{"x": x, "y": y, "batch_size": 16, "validation_split": 0.2}}
    settings, called = {{"loss": "cross_entropy", "metrics": ["accuracy"]}}, [Counting()]
    {variant}
    trainer = nf.Trainer(net, **settings)
    # The file stays: a kill after the end, too, must not begin the run again.
    backup = callbacks.BackupAndRestore(os.path.join(folder, "backup"), {save_freq}, False, every_seconds=0.05)
    print("begins", flush=True)
    {dying}
    history = trainer.fit(**data, epochs=12, callbacks=[*called, backup], progress=False)
    figures = {{**history.to_dict(), "seconds": None, "state": repr(called[0].get_state())}}
    if getattr(trainer.optimizer, "use_ema", False):
        with trainer.averaged_weights():
            figures["averages"] = net.fingerprint()
    with open(os.path.join(folder, "result"), "w") as file:
        json.dump(figures, file)
"""
VARIANTS = {
    "shards and augmentation": """
        settings |= {"shards": 2, "micro_batch_size": 4}
        called += [callbacks.EarlyStopping(patience=4), callbacks.ReduceLROnPlateau(patience=1)]
        data["augmentation"] = nf.data.Augmentation(horizontal_flip=True, shift=1)
    """,
    "averages of weights": """
        settings["optimizer"] = optimizers.AdamW(0.01, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=50)
        called.append(callbacks.SwapEMAWeights(True))
    """,
    "accumulation": """
        rate = nf.schedules.Warmup(nf.schedules.Cosine(0.1, 60), 10)
        settings["optimizer"] = optimizers.SGD(rate, momentum=0.9, gradient_accumulation_steps=3, global_clipnorm=1.0)
    """,
    "weighted metrics": """
        weighted = ["accuracy", nf.metrics.ConfusionMatrix(), nf.metrics.F1Score(average=None)]
        settings["weighted_metrics"] = weighted
        data |= {"sample_weight": weights, "class_weight": {0: 2.0, 3: 0.5}}
    """,
    "callbacks": """
        best = os.path.join(folder, "best-{epoch:02d}")
        called += [
            callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=0.02, cooldown=1),
            callbacks.EarlyStopping("total", mode="min", patience=3, restore_best_weights=True),
            callbacks.ModelCheckpoint(best, "loss", save_best_only=True, save_weights_only=True, keep=2),
            callbacks.CSVLogger(os.path.join(folder, "log"), append=True),
        ]
    """,
    "iterators": """
        def batches(first):
            while True:
                for i in range(first, 400, 10):
                    yield x[i : i + 10], y[i : i + 10], weights[i : i + 10]
        data = {"x": batches(0), "steps_per_epoch": 30, "validation_data": batches(5), "validation_steps": 7}
    """,
}
DYING = """
    left = {number}
    def dying(function):
        def call(*arguments, **options):
            global left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)
        return call
    for name in ("open", "fchmod", "fsync", "replace", "unlink"):
        setattr(os, name, dying(getattr(os, name)))
"""
"""Kills the process before a number of the calls that saving makes; none is made otherwise."""
TORN = """
    import resource
    class Tear(callbacks.Callback):
        def on_train_batch_begin(self, batch):
            if trainer.iteration == {iteration}:
                signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
                resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))
    called.append(Tear())
"""
"""From this step on, kills the process when it has written so many bytes of a file."""


def script_in(folder: Path, variant: str, *, save_freq: int = 7, dying: str = "") -> str:
    """The script of a variant, with its files in a separate folder."""
    folder.mkdir(exist_ok=True)

    def indented(text: str) -> str:
        return textwrap.indent(textwrap.dedent(text), "    ").strip()

    return SCRIPT.format(
        folder=str(folder), variant=indented(VARIANTS[variant]), save_freq=save_freq, dying=indented(dying)
    )


def contents(folder: Path) -> dict[str, Any]:
    """What a script has left: of the log a row for each epoch, which may be there twice if a kill came after it."""
    apart = ("log", "backup")  # a checkpoint tells how long the epochs took
    found: dict[str, Any] = {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in apart}
    if (folder / "log").exists():
        with open(folder / "log", newline="") as file:
            rows = list(csv.DictReader(file))
        found["log"] = {row["epoch"]: row for row in rows}
        assert all(row == found["log"][row["epoch"]] for row in rows)
    return found


def progress_in(folder: Path) -> int:
    """Number of steps in the checkpoint, which is whole wherever the kill came."""
    path = folder / "backup"
    return nf.Trainer.resume(path).iteration if path.exists() else 0


def kill_again_and_again(
    folder: Path, script: Callable[[int], str], is_killed: Callable[[int, str], bool], limit: int
) -> int:
    """Starts a script until it ends of itself, or `limit` times; returns the number of kills. No kill loses a step."""
    steps = 0
    for kills in range(limit):
        if not is_killed(kills, script(kills)):
            return kills
        before, steps = steps, progress_in(folder)
        assert steps >= before
    raise AssertionError(f"not at its end after {limit} kills")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_script_that_is_started_again_after_every_kill_ends_with_the_same_bits(variant: str, tmp_path: Path) -> None:
    """Parameters, history and files, with all that changes while training goes on."""
    started = time.monotonic()
    assert not is_killed_after(600, script_in(tmp_path / "whole", variant))
    whole, seconds = contents(tmp_path / "whole"), time.monotonic() - started
    delays, kills, runs = random.Random(variant), 0, 0
    while kills < KILLS / len(VARIANTS) or runs == 0:
        folder = tmp_path / str(runs)
        kills += kill_again_and_again(
            folder,
            lambda _, folder=folder: script_in(folder, variant),  # type: ignore[misc]
            lambda before, script: is_killed_after(delays.uniform(0, seconds * (0.2 + before / 50)), script),
            300,
        )
        assert contents(folder) == whole
        runs += 1
    print(f"{variant}: {kills} kills in {runs} runs")
    assert kills >= runs


def test_a_kill_between_any_two_steps_of_saving(tmp_path: Path) -> None:
    """Each start dies one call later than the one before; all of them, and all files of callbacks, are tried."""
    assert not is_killed_after(600, script_in(tmp_path / "whole", "callbacks", save_freq=15))
    kills = kill_again_and_again(
        tmp_path / "run",
        lambda number: script_in(tmp_path / "run", "callbacks", save_freq=15, dying=DYING.format(number=number + 1)),
        lambda _, script: is_killed_after(600, script),
        100,
    )
    assert kills > 10
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_a_kill_in_the_middle_of_a_file(tmp_path: Path) -> None:
    """Any number of its bytes are written then; the checkpoint before is whole, and the rest is removed later."""
    assert not is_killed_after(600, script_in(tmp_path / "whole", "averages of weights"))
    folder = tmp_path / "run"
    sizes = [1, 7, 8, 9, 100, 4096, 5000, 10000]
    for number, size in enumerate(sizes):
        torn = TORN.format(iteration=10 + 20 * number, size=size)
        assert is_killed_after(600, script_in(folder, "averages of weights", dying=torn))
        left = [path.stat().st_size for path in folder.iterdir() if path.name != "backup"]
        assert left == [size]
        assert 7 <= progress_in(folder) <= 10 + 20 * number
    assert not is_killed_after(600, script_in(folder, "averages of weights"))
    assert contents(folder) == contents(tmp_path / "whole")
