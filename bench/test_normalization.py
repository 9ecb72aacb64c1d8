"""Batch normalization: memory-bound, so measured in bytes, in as few passes as it takes."""

from typing import Any

from bench.images import Normalization
from bench.measure import cases, run
from bench.workloads import Task

TASKS: list[Task] = [
    Normalization(direction=direction, shape=shape)
    for shape in [(128, 32, 32, 16), (128, 16, 16, 32), (128, 8, 8, 64), (128, 24, 24, 6)]
    for direction in ("training", "backward", "inference")
]


@cases(TASKS)
def test_normalization(benchmark: Any, task: Task, name: str) -> None:
    run(benchmark, task, name)
