"""The examples in docstrings and in the README run, and print what they say."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest

import nnfast as nf

README = Path(__file__).resolve().parents[1] / "README.md"
PRIVATE = {"nnfast._core"}
MODULES = sorted(
    {"nnfast", *(found.name for found in pkgutil.walk_packages(nf.__path__, "nnfast."))} - PRIVATE - {"nnfast.__main__"}
)


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str) -> None:
    with np.printoptions():
        failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    for public in getattr(module, "__all__", []):
        value = getattr(module, public)
        if callable(value) and getattr(value, "__module__", "").startswith("nnfast"):
            assert value.__doc__, f"{name}.{public} has no docstring"


@pytest.mark.skipif(not README.is_file(), reason="needs the source tree; only the tests are here")
def test_code_in_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its Python blocks run one after the other, in one namespace; the data are small stand-ins for MNIST."""

    def few_images() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, size=(256, 28, 28, 1), dtype=np.uint8)
        labels = rng.integers(0, 10, size=256).astype(np.uint8)
        return (images, labels), (images[:64], labels[:64])

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(nf.data, "load_mnist", few_images)
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
