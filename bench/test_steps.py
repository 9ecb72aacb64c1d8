"""One training step of the dense networks: forward, loss, backward, update."""

from typing import Any

from bench.measure import cases, run
from bench.workloads import MLP_128, MLP_512, POLICY, TINY, Step, Task

TASKS: list[Task] = [
    Step(workload=TINY, goal=8),
    Step(workload=POLICY, goal=3.5),
    Step(workload=MLP_128, goal=1.5),
    Step(workload=MLP_512, goal=1.25),
]


@cases(TASKS)
def test_steps(benchmark: Any, task: Task, name: str) -> None:
    run(benchmark, task, name)
