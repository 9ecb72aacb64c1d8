"""Memory does not grow with the number of calls."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")

SCRIPT = """
    import gc, os
    import numpy as np
    import nnfast as nf
    from nnfast import callbacks, layers

    def resident():
        gc.collect()
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 8)).astype("float32"), rng.integers(0, 3, 64)
    net = nf.Network(
        [layers.Input((8,)), layers.Dense(32, "relu"), layers.Dropout(0.1), layers.Dense(3, "softmax")], seed=0
    )

    def predicts(count):
        for i in range(count):
            net.predict(x[: 1 + i % 64])

    def fits(count):
        for i in range(count):
            trainer = nf.Trainer(net, loss="cross_entropy", metrics=["accuracy", "f1"])
            trainer.fit(
                x, y, epochs=2, batch_size=16 + i % 8, validation_data=(x, y), progress=False,
                callbacks=callbacks.EarlyStopping("val_loss"),
            )

    predicts(300), fits(30)
    first = resident()
    predicts({predicts}), fits({fits})
    print(resident() - first)
"""


@pytest.mark.parametrize(
    ("predicts", "fits"), [(1000, 100), pytest.param(10_000, 1000, marks=pytest.mark.slow)], ids=["short", "long"]
)
def test_many_calls(predicts: int, fits: int) -> None:
    """The allocator may keep some pages, but no more for more calls: 2 MiB are 2 KiB for each of a thousand fits."""
    script = textwrap.dedent(SCRIPT).format(predicts=predicts, fits=fits)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2 * 2**20
