"""The language models of examples/tinyshakespeare.py, on the first characters of the text."""

import importlib
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import nnfast as nf

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

pytest.importorskip("matplotlib")
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="needs the source tree; only the tests are here")


@pytest.fixture
def example() -> ModuleType:
    return importlib.import_module("tinyshakespeare")


@pytest.fixture
def text(example: ModuleType, data_dir: Path) -> str:
    try:
        return example.find_text()
    except FileNotFoundError:
        pytest.skip(f"needs tinyshakespeare/input.txt in {data_dir}")


@pytest.fixture
def data(example: ModuleType, text: str) -> Any:
    return example.prepare(text[:16_000])


def test_the_text_is_cut_at_nine_tenths(example: ModuleType, text: str) -> None:
    data = example.prepare(text)
    assert len(data.vocabulary) == 65
    assert (len(data.training), len(data.validation)) == (1_003_855, 111_539)
    assert data.vocabulary.decode(data.training[:13]) == "First Citizen"


@pytest.mark.parametrize(("kind", "epochs"), [("lstm", 6), ("transformer", 2)])
def test_characters_are_learned(example: ModuleType, data: Any, kind: str, epochs: int) -> None:
    """Better than by the frequencies of characters."""
    recipe = example.RECIPES[kind]._replace(steps=25, epochs=epochs, batch_size=12, warmup_steps=5)
    run = example.train(kind, data, recipe)
    counts = np.bincount(data.training, minlength=len(data.vocabulary)) + 1.0
    by_frequency = -np.log(counts / counts.sum())[data.validation].mean()
    assert min(run.val_losses) < by_frequency - 0.4
    # The loss by hand, of the network as it was at its best epoch.
    x, y = nf.text.windows(data.validation, recipe.steps)
    probabilities = np.take_along_axis(run.network.predict(x), y[..., None].astype(np.int64), axis=-1)
    assert -np.log(probabilities).mean() == pytest.approx(min(run.val_losses), rel=1e-5)
    text = example.speak(run, data, length=80)
    assert text.startswith(example.PROMPT)
    assert len(text) == len(example.PROMPT) + 80
    assert text == example.speak(run, data, length=80)
    assert math.isfinite(run.seconds)


def test_the_picture(example: ModuleType, tmp_path: Path) -> None:
    runs = {"lstm": example.Run(None, [2.0, 1.5], [2.1, 1.7], 1.0)}
    path = example.draw(runs, tmp_path)
    assert path.stat().st_size > 5_000
