"""One training step of convolutional networks: forward, loss, backward, update.

LeNet-5 as in nnfast.models.lenet5, the network of Keras's "Simple MNIST convnet" as in mnist_convnet, and the residual
network for CIFAR-10 as in resnet_cifar(20), whose shortcuts have no parameters.
"""

from typing import Any

from bench.images import CONVNET, LENET, RESNET, ImageStep
from bench.measure import cases, run
from bench.workloads import Task

TASKS: list[Task] = [
    ImageStep(workload=LENET, goal=4, percent=40),
    ImageStep(workload=CONVNET, goal=2.5),
    ImageStep(workload=RESNET, goal=1.35),
]


@cases(TASKS)
def test_image_steps(benchmark: Any, task: Task, name: str) -> None:
    run(benchmark, task, name)
