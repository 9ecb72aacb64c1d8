"""The third and the fifth rung of the MNIST ladder (S10), dropout and a committee: made small; whole with -m slow."""

import importlib
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


@pytest.fixture
def dropout() -> ModuleType:
    import mnist_dropout

    return mnist_dropout


@pytest.fixture
def committee() -> ModuleType:
    import mnist_committee

    return mnist_committee


def blobs(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of noise with a bright square whose place is the class."""
    rng = np.random.default_rng(seed)
    y = (np.arange(rows) % 10).astype(np.uint8)
    x = rng.integers(0, 80, (rows, 28, 28, 1), dtype=np.uint8)
    for image, digit in zip(x, y, strict=True):
        top, left = 4 + 12 * (digit // 5), 1 + 5 * (digit % 5)
        image[top : top + 6, left : left + 4] += 100
    return x, y


@pytest.fixture
def small_mnist(monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, np.ndarray]:
    """Blobs in place of MNIST; returns the test set."""
    train, test = blobs(700, 0), blobs(100, 1)
    monkeypatch.setattr(nf.data, "load_mnist", lambda **_: (train, test))
    return test


@pytest.fixture
def no_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without MNIST."""
    monkeypatch.delenv("NNFAST_DATA", raising=False)
    for name in ("XDG_CACHE_HOME", "HOME", "LOCALAPPDATA", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))


def figures(printed: str, start: str) -> list[float]:
    """The percentages, as fractions, at the ends of the lines that begin so."""
    lines = [line.split() for line in printed.splitlines() if line.startswith(start)]
    return [float(next(word for word in words if word.endswith("%")).rstrip("%")) / 100 for words in lines]


@pytest.mark.usefixtures("small_mnist")
def test_validation_split_trains_on_other_images() -> None:
    import mnist

    data = mnist.load()
    split = mnist.validation_split(data, rows=200)
    assert (len(split.x_train), len(split.x_test)) == (500, 200)
    assert np.array_equal(np.concatenate([split.x_train, split.x_test]), data.x_train)
    assert np.array_equal(np.concatenate([split.y_train, split.y_test]), data.y_train)


# ---- dropout ---------------------------------------------------------------------


@pytest.mark.usefixtures("small_mnist")
@pytest.mark.parametrize("recipe", ["plain", "shifted"])
def test_dropout_learns_blobs(
    dropout: ModuleType, recipe: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(dropout.RECIPES, recipe, dropout.RECIPES[recipe]._replace(hidden=(96, 64)))
    mean = dropout.main(["--recipe", recipe, "--seeds", "2", "--epochs", "10", "--limit", "512"])
    printed = capsys.readouterr().out
    shown = figures(printed, recipe)
    assert len(shown) == 2
    assert np.mean(shown) == pytest.approx(mean, abs=1e-9)
    assert mean > 0.5  # chance is .1
    assert f"mean {mean:.3%}, 99.0% " in printed


@pytest.mark.parametrize("recipe", ["plain", "shifted"])
def test_dropout_network_has_several_hidden_layers(dropout: ModuleType, recipe: str) -> None:
    """Dense layers only, each hidden one followed by a ReLU and dropout; noise only in training."""
    chosen = dropout.RECIPES[recipe]
    net = dropout.build(chosen, seed=0)
    sizes = [784, *chosen.hidden]
    kernels = sum(d * o for d, o in zip(sizes, [*chosen.hidden, 10], strict=True))
    assert net.num_parameters == kernels + 10 + 4 * sum(chosen.hidden)
    kinds = [type(layer) for layer in net.layers]
    assert layers.Conv2D not in kinds
    assert len(chosen.hidden) >= 2
    assert kinds.count(layers.ReLU) == len(chosen.hidden)
    assert kinds.count(layers.Dropout) == len(chosen.hidden) + 1
    x = blobs(5, 0)[0]
    assert np.array_equal(net.predict(x), net.predict(x))


@pytest.mark.slow
@pytest.mark.usefixtures("data_dir")
@pytest.mark.parametrize("recipe", ["plain", "shifted"])
def test_third_rung_of_the_ladder(dropout: ModuleType, recipe: str) -> None:
    assert dropout.main(["--recipe", recipe]) >= 0.990


# ---- committee -------------------------------------------------------------------


def test_committee_of_blobs(
    committee: ModuleType,
    small_mnist: tuple[np.ndarray, np.ndarray],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its printed accuracies are those of the saved members, counted without the ensemble."""
    short = ["--members", "3", "--recipe", "one-epoch", "--epochs", "1", "--limit", "384", "--output", str(tmp_path)]
    result = committee.main(short)
    printed = capsys.readouterr().out
    assert figures(printed, "seed ") == pytest.approx(result.alone, abs=1e-9)
    assert figures(printed, "mean of the networks") == pytest.approx([np.mean(result.alone)], abs=6e-5)
    assert [*figures(printed, "committee, mean"), *figures(printed, "committee, vote")] == pytest.approx(
        [result.mean, result.vote], abs=1e-9
    )
    assert (tmp_path / "mnist_committee.png").read_bytes().startswith(b"\x89PNG")

    x, y = small_mnist
    members = nf.Ensemble.load(tmp_path / "mnist_committee.safetensors").networks
    assert [net.seed for net in members] == [0, 1, 2]
    probabilities = np.stack([net.predict(x) for net in members]).astype(np.float64)
    answers = probabilities.argmax(axis=2)
    assert np.mean(answers == y, axis=1) == pytest.approx(result.alone, abs=1e-9)
    assert np.mean(probabilities.mean(axis=0).argmax(axis=1) == y) == pytest.approx(result.mean, abs=1e-9)
    votes = [np.bincount(column, minlength=10).argmax() for column in answers.T]
    assert np.mean(votes == y) == pytest.approx(result.vote, abs=1e-9)
    assert result.mean > 0.3  # chance is .1


def test_committee_is_right_where_a_majority_is(committee: ModuleType) -> None:
    """Three members, each wrong about another of three digits: two of three are right about each."""
    truth = np.array([0, 1, 2], dtype=np.uint8)
    right, wrong = np.eye(4, dtype=np.float32)[truth], np.eye(4, dtype=np.float32)[[3, 3, 3]]
    members = np.stack([np.where(np.arange(3)[:, None] == own, wrong, right) for own in range(3)])
    mean, vote = committee.by_size(members, truth)
    assert len(mean) == len(vote) == 3
    assert mean[0] == vote[0] == pytest.approx(2 / 3, abs=1e-9)
    assert mean[2] == vote[2] == 1.0


@pytest.mark.usefixtures("no_mnist")
@pytest.mark.parametrize("name", ["mnist_dropout", "mnist_committee"])
def test_rungs_without_mnist(name: str) -> None:
    with pytest.raises(SystemExit, match="load_mnist"):
        importlib.import_module(name).main([])


@pytest.mark.slow
@pytest.mark.usefixtures("data_dir")
def test_fifth_rung_of_the_ladder(committee: ModuleType, tmp_path: Path) -> None:
    assert committee.main(["--output", str(tmp_path)]).mean >= 0.997
