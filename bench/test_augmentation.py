"""What shifting, rotating and zooming of images adds to an epoch of LeNet-5, whose steps are short.

At most a tenth is wanted: without augmentation at least .91 of the time with it.
"""

from typing import Any

from bench.images import LENET, Augmented
from bench.measure import cases, run
from bench.workloads import Task

TASKS: list[Task] = [Augmented(workload=LENET, goal=0.91)]


@cases(TASKS)
def test_augmentation(benchmark: Any, task: Task, name: str) -> None:
    run(benchmark, task, name)
