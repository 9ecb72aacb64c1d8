"""The examples of autoencoders (S23): their figures against formulas, and what they reach on small data."""

import importlib
import wave
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import nnfast as nf

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ON_MNIST = ("denoising_autoencoder", "representation_learning", "sparse_autoencoder")

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="needs the source tree; only the tests are here")


def example(name: str) -> ModuleType:
    return importlib.import_module(name)


@pytest.fixture
def small_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """scikit-learn's digits instead of MNIST, each pixel three times as wide, with a margin."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    wide = np.kron(digits.images, np.ones((1, 3, 3))) * 255 / 16
    x = np.pad(wide, ((0, 0), (2, 2), (2, 2))).astype("uint8")[..., None]
    y = digits.target.astype("uint8")
    monkeypatch.setattr(nf.data, "load_mnist", lambda **_: ((x[:1400], y[:1400]), (x[1400:], y[1400:])))


def is_picture(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ON_MNIST)
def test_without_mnist(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NNFAST_DATA", raising=False)
    for variable in ("XDG_CACHE_HOME", "HOME", "LOCALAPPDATA", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path / "nothing"))
    with pytest.raises(SystemExit, match="load_mnist"):
        example(name).main([])


# ---- noise on digits -------------------------------------------------------------


def test_decibels_of_images(rng: np.random.Generator) -> None:
    images = example("denoising_autoencoder")
    truth = rng.uniform(size=(50, 28, 28, 1)).astype("float32")
    # An error of a tenth everywhere is 20 dB; noise with a deviation of a half, 6.02 dB up to its own deviation.
    assert images.decibels(truth + np.float32(0.1), truth) == pytest.approx(20, abs=1e-3)
    assert images.decibels(images.noisy(truth), truth) == pytest.approx(20 * np.log10(2), abs=0.15)


def test_principal_components_are_those_of_scikit_learn(rng: np.random.Generator) -> None:
    from sklearn.decomposition import PCA

    images = example("denoising_autoencoder")
    x = rng.normal(size=(300, 784)) * np.linspace(3, 0.1, 784)
    given = rng.normal(size=(5, 784))
    found = images.principal_components(x.reshape(-1, 28, 28, 1), given.reshape(-1, 28, 28, 1))
    model = PCA(images.CODE, svd_solver="full").fit(x)
    wanted = model.inverse_transform(model.transform(given))
    np.testing.assert_allclose(found.reshape(5, 784), wanted, atol=1e-4)


@pytest.mark.usefixtures("small_digits")
def test_noise_is_removed_from_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = example("denoising_autoencoder").main([str(tmp_path), "--epochs", "6"])
    assert found["with noise"] == pytest.approx(6.02, abs=0.1)
    assert found["autoencoder"] > found["with noise"] + 5
    gain = found["autoencoder"] - found["with noise"]
    assert f"autoencoder              {found['autoencoder']:6.2f} dB, gain {gain:6.2f} dB" in capsys.readouterr().out
    assert is_picture(tmp_path / "denoising_autoencoder.png")


@pytest.mark.slow
@pytest.mark.usefixtures("data_dir")
def test_noise_is_removed_from_mnist(tmp_path: Path) -> None:
    found = example("denoising_autoencoder").main([str(tmp_path)])
    assert found["autoencoder"] > found["64 principal components"] + 0.5
    assert found["autoencoder"] > found["with noise"] + 11.5


# ---- noise on sounds -------------------------------------------------------------


@pytest.fixture
def audio() -> ModuleType:
    return example("audio_denoising")


def test_a_spectrum_gives_back_its_signal(audio: ModuleType, rng: np.random.Generator) -> None:
    for samples in (1, 127, 4000):
        signal = rng.normal(size=samples)
        np.testing.assert_allclose(audio.signal_of(audio.spectrum(signal), samples), signal, atol=1e-12)


def test_noise_has_a_spectrum_of_one(audio: ModuleType) -> None:
    noise = audio.noisy(np.zeros(80_000), seed=0)
    power = np.abs(audio.spectrum(noise)[8:-8, 1:-1]) ** 2
    assert power.mean() == pytest.approx(1, rel=0.03)


def test_decibels_of_signals(audio: ModuleType) -> None:
    truth = audio.piece(3, seed=0)
    assert np.sqrt(np.mean(truth**2)) == pytest.approx(audio.LEVEL)
    assert audio.decibels(1.1 * truth, truth) == pytest.approx(20)
    assert audio.decibels(audio.noisy(truth, 1), truth) == pytest.approx(0, abs=0.2)
    assert np.array_equal(audio.piece(3, seed=0), truth)


def test_a_glide_goes_from_one_frequency_to_the_other(audio: ModuleType) -> None:
    """The peaks of its spectrum lie on a line."""
    first, last = np.random.default_rng(4).uniform(200, 3000, size=2)
    found = np.abs(audio.spectrum(audio.glide(np.random.default_rng(4), 2.0)))
    steps = np.arange(20, len(found) - 20)
    peaks = found[steps].argmax(axis=1) * audio.RATE / audio.WINDOW
    middles = (steps * audio.HOP - audio.WINDOW / 2) / audio.RATE
    np.testing.assert_allclose(peaks, first + (last - first) * middles / 2, atol=1.5 * audio.RATE / audio.WINDOW)


def test_targets_are_the_best_magnitudes(audio: ModuleType) -> None:
    """With the phases of the noisy signal, none come nearer to the clean one."""
    clean = audio.piece(1, seed=3)
    x, y = audio.example_of(clean, seed=4)
    given, wanted = audio.spectrum(audio.noisy(clean, 4)), audio.spectrum(clean)
    frames, used = len(given), slice(None, audio.BINS)
    phases = np.exp(1j * np.angle(given[:, used]))
    best = y.reshape(-1, audio.BINS)[:frames]
    np.testing.assert_allclose(x.reshape(-1, audio.BINS)[:frames], np.abs(given[:, used]), rtol=1e-6)
    errors = [np.abs((best + off) * phases - wanted[:, used]) ** 2 for off in (0, 0.01, -0.01)]
    assert (errors[0] <= errors[1] + 1e-6).all()
    assert (errors[0] <= errors[2] + 1e-6).all()


def test_noise_is_removed_from_audio(audio: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = audio.main(tmp_path, seconds=45, epochs=3)
    assert found["with noise"] == pytest.approx(0, abs=0.2)
    assert found["autoencoder"] > 6
    assert "gain" in capsys.readouterr().out
    assert is_picture(tmp_path / "audio_denoising.png")
    sounds = {}
    for name in ("clean", "noisy", "denoised"):
        with wave.open(str(tmp_path / f"audio_{name}.wav")) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, audio.RATE)
            sounds[name] = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32767
    # Rounded to 16 bits, 50 dB below and more.
    assert audio.decibels(sounds["denoised"], sounds["clean"]) == pytest.approx(found["autoencoder"], abs=0.01)


# ---- representations -------------------------------------------------------------


def test_neighbors(rng: np.random.Generator) -> None:
    maps = example("representation_learning")
    labels = rng.integers(0, 4, size=400)
    apart = np.array([(0, 0), (0, 9), (9, 0), (9, 9)])[labels] + rng.normal(size=(400, 2))
    assert maps.neighbors_agree(apart, labels) > 0.99
    assert maps.neighbors_agree(rng.normal(size=(400, 2)), labels) < 0.4


def test_codes_of_the_grid() -> None:
    """The decoder is given the quantiles of a normal distribution, the second number growing upwards."""
    maps = example("representation_learning")
    net = maps.variational()
    digits = maps.generated(net, size=3)
    decoder = net.extract("decoded", inputs="code")
    quarter = 0.9674215661017014  # of a standard normal variable, five sixths are below
    corners = decoder.predict([[-quarter, quarter], [quarter, quarter], [-quarter, -quarter], [0.0, 0.0]])
    np.testing.assert_allclose(digits[[0, 2, 6, 4]].reshape(4, 784), corners, atol=1e-6)


@pytest.mark.usefixtures("small_digits")
def test_representations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = example("representation_learning").main([str(tmp_path), "--epochs", "20"])
    assert min(found.values()) > 0.3  # chance is .1
    before, after = (float(word) for word in capsys.readouterr().out.split() if word.startswith("-"))
    assert after > before + 100
    assert is_picture(tmp_path / "representation_learning.png")


# ---- sparse units ----------------------------------------------------------------


def test_sparsity_is_a_divergence(rng: np.random.Generator) -> None:
    sparse = example("sparse_autoencoder")
    h = rng.uniform(0.01, 0.99, size=(7, 3))
    mean, wanted = h.mean(axis=0), sparse.ACTIVITY
    kl = wanted * np.log(wanted / mean) + (1 - wanted) * np.log((1 - wanted) / (1 - mean))
    assert sparse.sparsity(h) == pytest.approx(sparse.WEIGHT * kl.sum())
    assert sparse.sparsity(np.full((4, 2), wanted)) == pytest.approx(0, abs=1e-15)


@pytest.mark.usefixtures("small_digits")
def test_sparse_units_are_seldom_active(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found: dict[str, Any] = example("sparse_autoencoder").main([str(tmp_path), "--epochs", "15"])
    (_, dense, many), (error, rare, few) = found.values()
    assert rare < 0.2 < 0.35 < dense
    assert few < many / 2
    assert error < 0.08  # the variance of the pixels is twice as large
    assert "mean activity" in capsys.readouterr().out
    assert is_picture(tmp_path / "sparse_autoencoder.png")
