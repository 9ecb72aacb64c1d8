"""The same bits: for any number of threads, and on every instruction set with fused multiply-add."""

import json
import os
import subprocess
import sys
from functools import cache

import pytest
from kernel_cases import FMA_ISAS
from kernel_digest import digests

from nnfast import _core


def _run(isa: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NNFAST_ISA": isa, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)


@cache
def _digests_alone() -> dict[str, str]:
    """Those of one thread, in this process."""
    before = _core.get_num_threads()
    _core.set_num_threads(1)
    found = digests()
    _core.set_num_threads(before)
    return found


@cache
def _digests_of(isa: str) -> dict[str, str]:
    if isa == _core.isa_name():
        return _digests_alone()
    done = _run(isa, "-m", "kernel_digest")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["isa"] == isa
    return answer["digests"]


def _differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    assert one.keys() == other.keys()
    return [what for what in one if one[what] != other[what]]


@pytest.mark.usefixtures("threads")
def test_same_bits_for_any_number_of_threads() -> None:
    alone = _digests_alone()
    for n in (2, 3, 8):
        _core.set_num_threads(n)
        found = digests(table=n == 3)
        assert _differences({what: alone[what] for what in found}, found) == []
        assert len(found) > 200
    assert found.keys() < alone.keys()


@pytest.mark.parametrize("isa", _core.available_isas())
def test_every_available_instruction_set_runs(isa: str) -> None:
    assert _digests_of(isa)


def test_same_bits_on_all_instruction_sets_with_fma() -> None:
    isas = [isa for isa in _core.available_isas() if isa in FMA_ISAS]
    if len(isas) < 2:
        pytest.skip(f"this machine has only {isas}")
    for isa in isas[1:]:
        assert _differences(_digests_of(isas[0]), _digests_of(isa)) == []


def test_exact_kernels_agree_with_the_baseline_too() -> None:
    """Without rounding there is no difference between a fused and a separate multiply-add."""
    exact = (
        "random_uniform",
        "dropout",
        "add",
        "multiply",
        "fold_rows",
        "fold_columns",
        "argmax_rows",
        "max_pool_forward",
    )
    baseline, other = _digests_of(_core.available_isas()[0]), _digests_of(_core.available_isas()[-1])
    for kernel in exact:
        for dtype in ("float32", "float64"):
            assert baseline[f"{kernel}, {dtype}"] == other[f"{kernel}, {dtype}"]


def test_unknown_instruction_set_is_an_import_error_with_the_valid_names() -> None:
    done = _run("nonsense", "-c", "import nnfast._core")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError")
    assert "nonsense" in last
    for isa in _core.available_isas():
        assert isa in last


def test_the_best_instruction_set_is_chosen_unless_told() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "NNFAST_ISA"}
    code = "from nnfast import _core; print(_core.isa_name(), *_core.available_isas())"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    chosen, *available = done.stdout.split()
    assert chosen == available[-1]
