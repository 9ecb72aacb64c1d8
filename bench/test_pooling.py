"""Pooling: memory-bound, so measured in bytes."""

from typing import Any

from bench.images import Pooling
from bench.measure import cases, run
from bench.workloads import Task

TASKS: list[Task] = [
    Pooling(function=function, shape=shape, backward=backward)
    for function, shape in [
        ("max 2x2", (128, 24, 24, 6)),
        ("max 2x2", (128, 26, 26, 32)),
        ("max 2x2", (128, 8, 8, 64)),
        ("average 2x2", (128, 24, 24, 6)),
        ("average 2x2", (128, 26, 26, 32)),
        ("global average", (128, 8, 8, 64)),
        ("global average", (128, 26, 26, 32)),
    ]
    for backward in (False, True)
]


@cases(TASKS)
def test_pooling(benchmark: Any, task: Task, name: str) -> None:
    run(benchmark, task, name)
