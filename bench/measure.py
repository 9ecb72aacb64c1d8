"""Admission and timing of the contenders of a task."""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import pytest

from bench import machine, peers
from bench.peers import Contender
from bench.workloads import Task

ROUND_SECONDS = 0.02
WARM_SECONDS = 0.005
SETTLE_SECONDS = 0.2
"""Pause before each contender where there are several threads: a library's threads go on spinning for some time after
its last call, and would take the processor from the next one. Those of OpenBLAS were seen at it 110 ms later."""


@dataclass
class Row:
    """Measurements for one task: seconds per call, by contender, one per round."""

    task: str
    kind: str
    goal: float
    percent: float | None
    amount: float
    unit: str
    rates: list[float] = field(default_factory=list)
    """The machine's own rate, in `unit` (peak of fused multiply-adds, or of a copy), between the rounds."""
    seconds: dict[str, list[float]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def machine_rate(task: Task) -> float:
    """The bound of a task: the peak of fused multiply-adds in GFLOP/s, or the rate of a copy in GB/s."""
    return machine.copy_rate() if task.unit == "GB/s" else machine.fma_peak()


def settle() -> None:
    if machine.threads() > 1:
        time.sleep(SETTLE_SECONDS)


def timed(contender: Contender, calls: int) -> float:
    """Seconds per call, over `calls` calls."""
    call = contender.call
    start = time.perf_counter()
    for _ in repeat(None, calls):
        call()
    contender.finish()
    return (time.perf_counter() - start) / calls


def warm(contender: Contender) -> float:
    """Warm up caches, threads and branch predictors for the contender. Returns seconds per call."""
    contender.prepare()
    end = time.perf_counter() + WARM_SECONDS
    calls = 1
    while True:
        seconds = timed(contender, calls)
        if time.perf_counter() >= end:
            return seconds
        calls *= 2


def admit(task: Task, row: Row, skip: list[str]) -> dict[str, Contender]:
    """Contenders that are installed, support the task and agree with nnfast; `row.left_out` explains the others."""
    admitted: dict[str, Contender] = {}
    truth: peers.Results = {}
    for name in peers.ADAPTERS[task.kind]:
        if name in skip:
            continue
        if packages := peers.missing(task.kind, name):
            row.left_out[name] = f"{' and '.join(packages)} not installed"
            continue
        try:
            contender = peers.make(task, name)
            if contender is None:
                continue
            results = peers.checked(task, name, contender)
        except Exception as error:
            if name == "nnfast":
                raise
            row.left_out[name] = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
            continue
        truth = truth or results
        if differing := peers.differences(task, results, truth):
            row.left_out[name] = "; ".join(differing)
        else:
            admitted[name] = contender
    return admitted


def measure(task: Task, rounds: int, skip: list[str]) -> Row:
    """Run all contenders of a task in turn, `rounds` times, measuring the machine's rate in between."""
    row = Row(task.name, task.kind, task.goal, task.percent, task.amount, task.unit)
    contenders = admit(task, row, skip)
    calls = {name: max(1, int(ROUND_SECONDS / warm(contender))) for name, contender in contenders.items()}
    row.seconds = {name: [] for name in contenders}
    gc.collect()
    gc.disable()
    for _ in range(rounds):
        settle()
        row.rates.append(machine_rate(task))
        for name, contender in contenders.items():
            settle()
            warm(contender)
            row.seconds[name].append(timed(contender, calls[name]))
    gc.enable()
    return row


def cases(tasks: list[Task]) -> pytest.MarkDecorator:
    """Parameters of a pytest-benchmark test: every contender of each task; those not installed are skipped."""
    found = []
    for task in tasks:
        for name in peers.ADAPTERS[task.kind]:
            packages = peers.missing(task.kind, name)
            skip = pytest.mark.skipif(bool(packages), reason=f"{name} needs {' and '.join(packages)}")
            found.append(pytest.param(task, name, id=f"{task.name}-{name}", marks=skip))
    return pytest.mark.parametrize(("task", "name"), found)


def run(benchmark: Any, task: Task, name: str) -> None:
    """Run one contender of a task under pytest-benchmark, after comparing its results with those of nnfast."""
    contender = peers.make(task, name)
    if contender is None:
        pytest.skip(f"{name} has no such work")
    ours = peers.make(task, "nnfast")
    assert ours is not None
    truth = peers.checked(task, "nnfast", ours)
    assert not peers.differences(task, peers.checked(task, name, contender), truth)
    before = machine_rate(task)
    call: Callable[[], Any] = contender.call

    def call_to_the_end() -> None:
        call()
        contender.finish()

    warm(contender)
    benchmark.group = f"{task.kind}: {task.name}"
    benchmark(call_to_the_end)
    benchmark.extra_info |= machine.describe() | {
        "threads": machine.threads(),
        "machine rate": f"{before:.1f} {task.unit}",
    }
    if benchmark.enabled:
        rate = task.amount / benchmark.stats.stats.median / 1e9
        peak = statistics.mean([before, machine_rate(task)])
        benchmark.extra_info |= {task.unit: round(rate, 2), "percent of machine rate": round(100 * rate / peak, 1)}
