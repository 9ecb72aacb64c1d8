"""nnfast on one thread compared with nnfast on all threads of the run."""

from typing import Any

import pytest

from bench import machine, test_inference, test_matmul, test_steps
from bench.measure import cases, run
from bench.workloads import MLP_512, Scaling, Step, Task


def _goal(task: Task) -> float:
    return 1.8 if isinstance(task, Step) and task.workload is MLP_512 else 1.0


TASKS: list[Task] = [
    Scaling(task=task, goal=_goal(task)) for task in (*test_steps.TASKS, *test_inference.TASKS, *test_matmul.TASKS[:9])
]


@cases(TASKS)
def test_scaling(benchmark: Any, task: Task, name: str) -> None:
    if machine.threads() == 1:
        pytest.skip("needs several threads: --bench-threads 2")
    run(benchmark, task, name)
