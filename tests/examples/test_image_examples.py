"""The examples that train on MNIST and CIFAR-10 with convolutions, made small; whole only with -m slow."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import nnfast as nf

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="needs the source tree; only the tests are here")


@pytest.fixture
def convnet() -> ModuleType:
    import mnist_convnet

    return mnist_convnet


@pytest.fixture
def transfer() -> ModuleType:
    import transfer_learning

    return transfer_learning


@pytest.fixture
def cifar10() -> ModuleType:
    import cifar10

    return cifar10


def stripes(shape: tuple[int, ...], classes: int, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with stripes whose direction and width differ from class to class."""
    rng = np.random.default_rng(seed)
    y = np.arange(rows) % classes
    place = np.indices(shape[:2])
    angle = np.pi * (y % 5) / 5
    phase = place[0] * np.cos(angle)[:, None, None] + place[1] * np.sin(angle)[:, None, None]
    wave = np.sin(phase * np.where(y < 5, 0.8, 1.6)[:, None, None])[..., None]
    noise = rng.normal(size=(rows, *shape))
    return np.clip(128 + 60 * wave + 20 * noise, 0, 255).astype(np.uint8), y


def is_picture(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG")


# ---- MNIST -----------------------------------------------------------------------


@pytest.mark.parametrize("recipe", ["best", "one-epoch"])
def test_convnet_learns_stripes(
    convnet: ModuleType,
    recipe: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train, test = stripes((28, 28, 1), 10, 1000, 0), stripes((28, 28, 1), 10, 100, 1)
    monkeypatch.setattr(nf.data, "load_mnist", lambda **_: (train, test))
    arguments = ["--recipe", recipe, "--seeds", "2", "--epochs", "2", "--limit", "640", "--output", str(tmp_path)]
    mean = convnet.main(arguments)
    printed = capsys.readouterr().out
    shown = [float(line.split()[3].rstrip("%")) / 100 for line in printed.splitlines() if line.startswith(recipe)]
    assert len(shown) == 2
    assert np.mean(shown) == pytest.approx(mean, abs=1e-9)
    assert mean > 0.5
    assert f"mean {mean:.3%}, " in printed
    assert is_picture(tmp_path / "mnist_convnet.png")


def test_networks_for_mnist(convnet: ModuleType) -> None:
    quick = convnet.build(convnet.RECIPES["one-epoch"], seed=0)
    sizes = [25 * 24 + 4 * 24, 9 * 24 * 32 + 4 * 32, 5 * 5 * 32 * 256 + 256, 256 * 10 + 10]
    assert quick.num_parameters == sum(sizes)
    best = convnet.build(convnet.RECIPES["best"], seed=0)
    kernels = [25 * 32, 9 * 32 * 64, 9 * 64 * 128, 3 * 3 * 128 * 10 + 10]
    assert best.num_parameters == sum(kernels) + 4 * (32 + 64 + 128)


@pytest.mark.usefixtures("data_dir")
def test_a_tenth_of_mnist(convnet: ModuleType, tmp_path: Path) -> None:
    arguments = ["--recipe", "one-epoch", "--seeds", "1", "--limit", "6000", "--output", str(tmp_path)]
    assert convnet.main(arguments) > 0.9


def test_convnet_without_mnist(convnet: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NNFAST_DATA", raising=False)
    for name in ("XDG_CACHE_HOME", "HOME", "LOCALAPPDATA", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    with pytest.raises(SystemExit, match="load_mnist"):
        convnet.main([])


@pytest.mark.slow
@pytest.mark.usefixtures("data_dir")
@pytest.mark.parametrize(("recipe", "least"), [("one-epoch", 0.990), ("best", 0.995)])
def test_fourth_rung_of_the_ladder(convnet: ModuleType, recipe: str, least: float, tmp_path: Path) -> None:
    assert convnet.main(["--recipe", recipe, "--output", str(tmp_path)]) >= least


# ---- transfer learning -----------------------------------------------------------


def test_transfer_keeps_what_was_learned(transfer: ModuleType) -> None:
    """The frozen layers stay as they are under a new head, and move when they are fine-tuned."""
    images, labels = stripes((28, 28, 1), 10, 200, 0)
    low, high = transfer.split(images, labels.astype(np.uint8))
    assert (len(low.y), len(high.y), set(low.y), set(high.y)) == (100, 100, set(range(5)), set(range(5)))
    assert np.array_equal(high.x, images[labels >= 5])
    given = transfer.few(high, 3)
    assert np.bincount(given.y).tolist() == [3] * 5
    source = transfer.build(seed=0)
    transfer.train(source, low, epochs=1, rate=1e-3)
    network = transfer.with_new_head(source, seed=1)
    assert network.trainable == ["head.kernel", "head.bias"]
    transfer.train(network, given, epochs=2, rate=1e-3, batch_size=5)
    assert len(network.frozen) == 4
    for name in network.frozen:
        assert network.parameters[name].tobytes() == source.parameters[name.removeprefix("digits/")].tobytes()
    features = source.extract("features").predict(high.x) @ network.parameters["head.kernel"]
    answers = (features + network.parameters["head.bias"]).argmax(axis=1)
    assert transfer.accuracy(network, high) == pytest.approx(np.mean(answers == high.y), abs=0.011)
    frozen = {name: network.parameters[name].copy() for name in network.frozen}
    network.unfreeze()
    transfer.train(network, given, epochs=1, rate=1e-4, batch_size=5)
    assert all((network.parameters[name] != values).any() for name, values in frozen.items())


@pytest.mark.usefixtures("data_dir")
def test_transfer_helps_where_images_are_few(transfer: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    found = transfer.main(["--limit", "15000"])
    scratch, head, tuned = found.values()
    assert min(head, tuned) > scratch + 0.01
    printed = capsys.readouterr().out
    for name, value in found.items():
        assert f"{name:30}{value:13.1%}" in printed


def test_transfer_without_mnist(transfer: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NNFAST_DATA", raising=False)
    for name in ("XDG_CACHE_HOME", "HOME", "LOCALAPPDATA", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    with pytest.raises(SystemExit, match="load_mnist"):
        transfer.main([])


# ---- CIFAR-10 --------------------------------------------------------------------


def test_cifar10_learns_stripes(
    cifar10: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train, test = stripes((32, 32, 3), 10, 600, 0), stripes((32, 32, 3), 10, 100, 1)
    monkeypatch.setattr(nf.data, "load_cifar10", lambda: (train, test))
    mean = cifar10.main(["--epochs", "4", "--limit", "384", "--output", str(tmp_path)])
    printed = capsys.readouterr().out
    assert mean > 0.3  # chance is .1
    assert f"mean {mean:.2%} after 4 epochs" in printed
    assert is_picture(tmp_path / "cifar10.png")


def test_network_for_cifar10(cifar10: ModuleType) -> None:
    net = cifar10.build(seed=0)
    maps = [(3, 32), (32, 64), (64, 128), (128, 128), (128, 128), (128, 256)]
    expected = sum(9 * c * o + 4 * o for c, o in maps) + 256 * 10 + 10
    assert (net.num_parameters, net.output_shape) == (expected, (10,))


def test_cifar10_without_data(cifar10: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NNFAST_DATA", raising=False)
    for name in ("XDG_CACHE_HOME", "HOME", "LOCALAPPDATA", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    with pytest.raises(SystemExit, match="load_cifar10"):
        cifar10.main([])


@pytest.mark.slow
@pytest.mark.usefixtures("data_dir")
def test_cifar10(cifar10: ModuleType, tmp_path: Path) -> None:
    assert cifar10.main(["--output", str(tmp_path)]) >= 0.85
