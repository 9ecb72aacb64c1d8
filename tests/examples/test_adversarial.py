"""The example of saliency maps and adversarial examples: its gradients, and what they do to the answers."""

from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="needs the source tree; only the tests are here")


@pytest.fixture(scope="module")
def adversarial() -> ModuleType:
    import adversarial

    return adversarial


@pytest.fixture
def no_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without MNIST."""
    monkeypatch.delenv("NNFAST_DATA", raising=False)
    for name in ("XDG_CACHE_HOME", "HOME", "LOCALAPPDATA", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))


def test_gradients_of_a_linear_network(adversarial: ModuleType) -> None:
    """For logits z = x W: the answer's gradient is a column of W, that of the loss W (softmax(z) - truth)."""
    net = nf.Network([layers.Input((2, 2, 1)), layers.Flatten(), layers.Dense(10, use_bias=False)], seed=0)
    rng = np.random.default_rng(0)
    x, y = rng.random((6, 2, 2, 1)).astype("float32"), np.arange(6)
    w = net.parameters["dense.kernel"].astype("float64")
    z = x.reshape(6, 4) @ w
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    wanted = ((p - np.eye(10)[y]) @ w.T).reshape(x.shape)
    np.testing.assert_allclose(adversarial.loss_gradient(net, x, y), wanted, atol=1e-6)
    maps = adversarial.saliency(net, x)
    np.testing.assert_allclose(maps, np.abs(w[:, z.argmax(axis=1)]).T.reshape(x.shape), rtol=1e-6)
    moved = adversarial.fast_gradient_sign(net, x, y, 0.1)
    np.testing.assert_allclose(moved, np.clip(x + 0.1 * np.sign(wanted), 0, 1), atol=1e-6)


def test_random_signs(adversarial: ModuleType) -> None:
    x = np.full((3, 8, 8, 1), 0.5, "float32")
    moved = adversarial.random_signs(x, 0.25)
    assert set(np.unique(moved)) == {0.25, 0.75}
    assert set(np.unique(adversarial.random_signs(x, 0.75))) == {0.0, 1.0}


@pytest.mark.usefixtures("no_mnist")
def test_small_changes_deceive_the_network(
    adversarial: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = adversarial.main(["--epochs", "8", "--output", str(tmp_path)])
    assert found[0.0][0] == found[0.0][1] > 0.85
    along, random = zip(*found.values(), strict=True)
    assert all(before >= after for before, after in pairwise(along))
    assert along[-1] < 0.5 < 0.8 < random[-1]
    printed = capsys.readouterr().out
    assert f"test accuracy {found[0.0][0]:.2%}" in printed
    assert (tmp_path / "adversarial.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.usefixtures("data_dir")
def test_on_mnist(adversarial: ModuleType, tmp_path: Path) -> None:
    found = adversarial.main(["--output", str(tmp_path)])
    assert found[0.0][0] > 0.975
    assert found[0.25][0] < 0.3
    assert found[0.25][1] > 0.9
