"""Updates of optimizers: memory-bound, except Muon's, so measured in bytes."""

from typing import Any

from bench.measure import cases, run
from bench.workloads import UPDATES, Task, Update

TASKS: list[Task] = [Update(rule=rule) for rule in UPDATES]


@cases(TASKS)
def test_update(benchmark: Any, task: Task, name: str) -> None:
    run(benchmark, task, name)
