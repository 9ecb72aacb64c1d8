"""Prediction of one image and of a batch by convolutional networks."""

from typing import Any

from bench.images import CONVNET, LENET, RESNET, ImagePrediction
from bench.measure import cases, run
from bench.workloads import Task

TASKS: list[Task] = [
    ImagePrediction(workload=workload, batch=batch, goal=goal)
    for workload, goal in ((LENET, 1.2), (CONVNET, 1), (RESNET, 1))
    for batch in (1, 128)
]


@cases(TASKS)
def test_image_inference(benchmark: Any, task: Task, name: str) -> None:
    run(benchmark, task, name)
