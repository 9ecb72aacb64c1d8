"""Cost of shifting, rotating and zooming images in an epoch of LeNet-5, whose steps are short.

The goal is at most a tenth: the time without augmentation is at least .91 of that with it.
"""

from typing import Any

from bench.images import LENET, Augmented
from bench.measure import cases, run
from bench.workloads import Task

TASKS: list[Task] = [Augmented(workload=LENET, goal=0.91)]


@cases(TASKS)
def test_augmentation(benchmark: Any, task: Task, name: str) -> None:
    run(benchmark, task, name)
