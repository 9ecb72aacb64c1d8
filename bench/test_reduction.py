"""Sums, means and maxima over the rows, the columns and all of a matrix: memory-bound, so measured in bytes."""

from typing import Any

from bench.measure import cases, run
from bench.workloads import Reduction, Task

TASKS: list[Task] = [
    Reduction(function=function, axis=axis) for function in ("sum", "mean", "max") for axis in (0, 1, None)
]


@cases(TASKS)
def test_reduction(benchmark: Any, task: Task, name: str) -> None:
    run(benchmark, task, name)
