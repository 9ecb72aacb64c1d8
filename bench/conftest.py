"""Options of the pytest-benchmark runs."""

import sys

import pytest

from bench import machine


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bench-threads", type=int, default=1, help="threads of every library in bench/ (default 1)")


def pytest_configure(config: pytest.Config) -> None:
    if "numpy" in sys.modules:
        raise pytest.UsageError("run bench/ by itself: the threads of NumPy can only be set before it is imported")
    machine.limit_threads(config.getoption("--bench-threads"))
    # The peers' own deprecations are not ours to mend.
    config.addinivalue_line("filterwarnings", "default")
