"""Prediction of one row and of a batch."""

from typing import Any

from bench.measure import cases, run
from bench.workloads import MLP_128, MLP_512, POLICY, TINY, Prediction, Task

TASKS: list[Task] = [
    Prediction(workload=TINY, batch=1, goal=2.5),
    Prediction(workload=POLICY, batch=1, goal=2),
    Prediction(workload=MLP_128, batch=1, goal=1.3),
    Prediction(workload=MLP_128, batch=32, goal=1.3),
    Prediction(workload=MLP_512, batch=1),
    Prediction(workload=MLP_512, batch=128),
]


@cases(TASKS)
def test_inference(benchmark: Any, task: Task, name: str) -> None:
    run(benchmark, task, name)
