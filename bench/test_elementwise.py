"""Element-wise functions, functions of short rows, and Adam's update: memory-bound, so measured in bytes."""

from typing import Any

from bench.measure import cases, run
from bench.workloads import Elementwise, Task

_ACTIVATIONS = ["relu", "sigmoid", "tanh", "gelu"]

TASKS: list[Task] = [
    *(Elementwise(function=name) for name in _ACTIVATIONS),
    *(Elementwise(function=f"{name} backward") for name in _ACTIVATIONS),
    Elementwise(function="softmax"),
    Elementwise(function="adam"),
]


@cases(TASKS)
def test_elementwise(benchmark: Any, task: Task, name: str) -> None:
    run(benchmark, task, name)
