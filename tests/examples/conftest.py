"""The examples can be imported, as they import each other when they run as programs: by their folder."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module", autouse=True)
def _examples_are_importable() -> Iterator[None]:
    """In each file of tests anew, so that none sees what another has changed in them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        yield
        for path in EXAMPLES.glob("*.py"):
            sys.modules.pop(path.stem, None)
