"""Recurrent networks: training steps and prediction of characters and of time series."""

from typing import Any

from bench.measure import cases, run
from bench.sequences import RecurrentPrediction, RecurrentStep, characters, time_series
from bench.workloads import Task

TASKS: list[Task] = [
    *(RecurrentStep(workload=characters(cell), goal=1.3) for cell in ("LSTM", "GRU", "SimpleRNN")),
    RecurrentStep(workload=time_series("LSTM"), goal=2.5),
    RecurrentStep(workload=time_series("GRU"), goal=4),
    *(RecurrentPrediction(workload=characters("LSTM"), batch=batch, goal=1.3) for batch in (1, 50)),
    *(RecurrentPrediction(workload=time_series("GRU"), batch=batch, goal=1.3) for batch in (1, 50)),
]


@cases(TASKS)
def test_recurrent(benchmark: Any, task: Task, name: str) -> None:
    run(benchmark, task, name)
