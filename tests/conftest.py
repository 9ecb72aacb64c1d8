"""Fixtures that several test files share."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fuzzing  # noqa: F401  (registers the profiles)
import numpy as np
import pytest
from hypothesis import settings

from nnfast import _core
from nnfast.core.typing import Array

settings.load_profile("reproducible")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240229)


@pytest.fixture
def blobs(rng: np.random.Generator) -> tuple[Array, Array]:
    """Three well separated clusters, and their numbers."""
    labels = rng.integers(0, 3, size=150)
    centers = np.array([[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0]])
    return (centers[labels] + 0.2 * rng.normal(size=(150, 4))).astype("float32"), labels


@pytest.fixture(scope="session")
def isa() -> str:
    return _core.isa_name()


@pytest.fixture
def threads() -> Iterator[None]:
    """Let a test change the number of threads, and put it back."""
    before = _core.get_num_threads()
    yield
    _core.set_num_threads(before)


@pytest.fixture
def in_foreground() -> Iterator[None]:
    """Ctrl-C interrupts, as in a terminal; what a shell runs in the background inherits that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def pyplot(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Matplotlib's, without a display; figures are closed after the test."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    module = pytest.importorskip("matplotlib.pyplot")
    module.switch_backend("agg")
    yield module
    module.close("all")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    folder = os.environ.get("NNFAST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("NNFAST_DATA does not name a folder with data sets")
    return Path(folder)
