"""Processes that are killed at any moment while they save; only with -m slow."""

import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

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
    while is_killed_after(delays.uniform(0, 0.3), TRAINING.format(path=str(killed))):
        kills += 1
    assert kills > 3
    assert nf.Trainer.resume(killed).iteration == 60
    one, other = (load(path.read_bytes()) for path in (killed, whole))
    assert {name: tensor.tobytes() for name, tensor in one.items()} == {
        name: tensor.tobytes() for name, tensor in other.items()
    }


SCRIPT = """
    import json
    import numpy as np
    import nnfast as nf
    from nnfast import callbacks, layers

    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, size=(400, 8, 8, 1)).astype("uint8"), rng.integers(0, 4, size=400)
    chain = [layers.Conv2D(8, 3), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.2), layers.Flatten()]
    net = nf.Network([layers.Input((8, 8, 1)), layers.Rescaling(1 / 255), *chain, layers.Dense(4, "softmax")], seed=0)
    trainer = nf.Trainer(net, loss="cross_entropy", shards=2, micro_batch_size=4, metrics=["accuracy"])
    called = [callbacks.BackupAndRestore({backup!r}, 7, every_seconds=0.05), callbacks.EarlyStopping(patience=4)]
    called += [callbacks.ReduceLROnPlateau(patience=1)]
    print("begins", flush=True)
    history = trainer.fit(
        x, y, epochs=12, batch_size=16, validation_split=0.2, callbacks=called, progress=False,
        augmentation=nf.data.Augmentation(horizontal_flip=True, shift=1),
    )
    with open({result!r}, "w") as file:
        json.dump([history.history, history.epoch, history.learning_rate, history.fingerprint], file)
"""


def test_a_script_that_is_started_again_after_every_kill_ends_with_the_same_bits(tmp_path: Path) -> None:
    """Parameters and history, with all that changes while training goes on."""

    def script(name: str) -> str:
        return SCRIPT.format(backup=str(tmp_path / name), result=str(tmp_path / f"{name}.json"))

    assert not is_killed_after(600, script("whole"))
    delays, kills = random.Random(2), 0
    while is_killed_after(delays.uniform(0, 0.2 + kills / 20), script("killed")):
        kills += 1
    assert kills > 3
    assert (tmp_path / "killed.json").read_text() == (tmp_path / "whole.json").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed.json", "whole.json"]
