"""A short proof that an installed wheel works: arithmetic, training, saving, loading.

Usage: python smoke.py
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import nnfast as nf
from nnfast import layers


def main() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((37, 29)), rng.standard_normal((29, 41))
    np.testing.assert_allclose(nf.kernels.matmul(a, b), a @ b, rtol=1e-12, atol=1e-12)

    # XOR, which no single layer can learn.
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
    y = np.array([[0], [1], [1], [0]], dtype=np.float32)
    net = nf.Network([layers.Input((2,)), layers.Dense(16, activation="tanh"), layers.Dense(1)], seed=0)
    trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.Adam(0.02))
    trainer.fit(x, y, epochs=400, batch_size=4, progress=False)
    prediction = net.predict(x)
    assert np.abs(prediction - y).max() < 0.1, prediction

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "xor.safetensors"
        net.save(path)
        np.testing.assert_array_equal(nf.Network.load(path).predict(x), prediction)
    print(f"nnfast {nf.__version__} works on Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
