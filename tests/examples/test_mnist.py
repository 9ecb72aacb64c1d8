"""The main example and the MNIST ladder (S10): what they print, write and reach."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import nnfast as nf

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="needs the source tree; only the tests are here")


@pytest.fixture(scope="module")
def mnist() -> ModuleType:
    import mnist

    return mnist


@pytest.fixture
def no_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without MNIST."""
    monkeypatch.delenv("NNFAST_DATA", raising=False)
    for name in ("XDG_CACHE_HOME", "HOME", "LOCALAPPDATA", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))


@pytest.fixture
def no_picture(mnist: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than learning; `test_main_job_draws_the_digits` looks at the picture."""
    monkeypatch.setattr(mnist, "draw_digits", lambda path, data, probabilities: None)


@pytest.fixture
def real_mnist(mnist: ModuleType, data_dir: Path) -> tuple[ModuleType, object]:
    if not (data_dir / "mnist").is_dir():
        pytest.skip("NNFAST_DATA has no folder mnist")
    return mnist, mnist.mnist_data()


def probabilities_by_numpy(net: nf.Network, pixels: np.ndarray) -> np.ndarray:
    """The network's formula in float64: scaled pixels, dense layers with ReLU between them, softmax."""
    arrays = [np.asarray(view, dtype=np.float64) for view in net.parameters.values()]
    h = pixels.reshape(len(pixels), -1)
    for kernel, bias in zip(arrays[:-2:2], arrays[1:-2:2], strict=True):
        h = np.maximum(h @ kernel + bias, 0)
    z = h @ arrays[-2] + arrays[-1]
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.usefixtures("no_mnist", "no_picture")
@pytest.mark.parametrize(("kind", "least"), [("one", 0.88), ("hidden", 0.89)])
def test_main_job_on_the_bundled_digits(
    mnist: ModuleType, kind: str, least: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its accuracy is that of the saved numbers, computed without nnfast. `least` is a point under the usual figure."""
    output = tmp_path / "new" / "folder"
    accuracy = mnist.main(["--layers", kind, "--output", str(output)])
    printed = capsys.readouterr().out
    assert "MNIST is not on this machine" in printed
    assert "scikit-learn's digits: 1,437 digits to train on, 360 to test with" in printed
    assert f"test accuracy {accuracy:.2%}\n" in printed
    assert accuracy >= least

    net = nf.Network.load(output / "digits.safetensors")
    data = mnist.digits_data()
    expected = probabilities_by_numpy(net, data.x_test / 16)
    # float32 logits of size up to 30 after sums of up to 625 terms, each off by some eps of its size.
    np.testing.assert_allclose(net.predict(data.x_test), expected, rtol=0, atol=1e-4)
    assert np.mean(expected.argmax(axis=1) == data.y_test) == pytest.approx(accuracy, abs=1e-12)


@pytest.mark.usefixtures("no_mnist")
def test_main_job_draws_the_digits(mnist: ModuleType, tmp_path: Path) -> None:
    from matplotlib.image import imread

    mnist.main(["--layers", "one", "--epochs", "2", "--output", str(tmp_path)])
    pixels = imread(tmp_path / "digits.png")
    height, width = pixels.shape[:2]
    assert (height, width) == (640, 1000)
    dark = (pixels[..., :3].max(axis=2) < 0.5).reshape(4, height // 4, 10, width // 10)
    assert dark.any(axis=(1, 3)).all(), "a cell of the picture is empty"


@pytest.mark.usefixtures("no_mnist")
def test_a_picture_without_mistakes(mnist: ModuleType, tmp_path: Path) -> None:
    data = mnist.digits_data()
    mnist.draw_digits(tmp_path / "right.png", data, np.eye(10, dtype=np.float32)[data.y_test])
    assert (tmp_path / "right.png").stat().st_size > 0


@pytest.mark.usefixtures("no_mnist", "no_picture", "threads")
def test_main_job_learns_the_same_bits_on_any_number_of_threads(mnist: ModuleType, tmp_path: Path) -> None:
    learned = {}
    for seed, threads in ((0, 1), (0, 3), (1, 1)):
        nf.set_num_threads(threads)
        folder = tmp_path / f"{seed}-{threads}"
        mnist.main(["--epochs", "2", "--seed", str(seed), "--output", str(folder)])
        net = nf.Network.load(folder / "digits.safetensors")
        learned[seed, threads] = b"".join(view.tobytes() for view in net.parameters.values())
    assert learned[0, 1] == learned[0, 3]
    assert learned[0, 1] != learned[1, 1]


@pytest.mark.usefixtures("no_mnist", "no_picture")
def test_main_job_downloads_only_when_asked(
    mnist: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def retrieve(url: str, **_: object) -> None:
        asked.append(url)
        raise OSError("no network in this test")

    downloader = ModuleType("pooch")
    downloader.retrieve = retrieve  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pooch", downloader)
    mnist.main(["--layers", "one", "--epochs", "1", "--output", str(tmp_path)])
    assert not asked
    with pytest.raises(SystemExit, match="no network in this test"):
        mnist.main(["--download", "--output", str(tmp_path)])
    assert len(asked) == 1


def test_main_job_refuses_unknown_layers(mnist: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        mnist.main(["--layers", "two"])
    assert "invalid choice" in capsys.readouterr().err


def test_one_epoch_of_mnist(real_mnist: tuple[ModuleType, object]) -> None:
    """One epoch of the hidden layer passes what one layer reaches in twenty."""
    mnist, data = real_mnist
    assert (data.x_train.shape, data.x_test.shape) == ((60000, 28, 28, 1), (10000, 28, 28, 1))
    net = mnist.build(data, "hidden", seed=0)
    assert mnist.train(net, data, mnist.Recipe(1, 128, 2e-3), report=False) >= 0.96


def test_first_rung_of_the_ladder(real_mnist: tuple[ModuleType, object]) -> None:
    import mnist_ladder

    _, data = real_mnist
    accuracies, _ = mnist_ladder.climb(mnist_ladder.RUNGS[0], data)
    assert len(accuracies) == 3
    assert np.mean(accuracies) >= 0.925


@pytest.mark.slow
def test_the_ladder(real_mnist: tuple[ModuleType, object], tmp_path: Path) -> None:
    import mnist_ladder

    means = mnist_ladder.main(["--output", str(tmp_path)])
    assert means["one layer"] >= 0.925
    assert means["784-625-10"] >= 0.982
    assert (tmp_path / "hidden_units.png").stat().st_size > 0
