"""Convolutions of the convolutional networks below and of larger ones, forward and backward.

With few channels, libraries designed for many are slow: the goal there is twice their speed, and for other shapes a
fraction of the peak.
"""

from typing import Any

from bench.images import Conv, Convolution
from bench.measure import cases, run
from bench.workloads import Task

_FIRST: list[dict[str, Any]] = [
    {"title": "LeNet conv1 28x28x1 5x5x6", "shape": (28, 28, 1), "layer": Conv(6, 5), "goal": 2},
    {"title": "Keras conv1 28x28x1 3x3x32", "shape": (28, 28, 1), "layer": Conv(32, 3), "goal": 2},
    {"title": "ResNet stem 32x32x3 3x3x16", "shape": (32, 32, 3), "layer": Conv(16, 3, padding=1), "goal": 2},
]
_OTHERS: list[dict[str, Any]] = [
    {"title": "LeNet conv2 12x12x6 5x5x16", "shape": (12, 12, 6), "layer": Conv(16, 5), "goal": 2},
    {"title": "Keras conv2 13x13x32 3x3x64", "shape": (13, 13, 32), "layer": Conv(64, 3), "percent": 85},
    {"title": "32x32x16 3x3x16", "shape": (32, 32, 16), "layer": Conv(16, 3, padding=1), "percent": 85},
    {"title": "32x32x16 3x3x32 stride 2", "shape": (32, 32, 16), "layer": Conv(32, 3, 2, 1), "percent": 85},
    {"title": "16x16x32 3x3x32", "shape": (16, 16, 32), "layer": Conv(32, 3, padding=1), "percent": 85},
    {"title": "8x8x64 3x3x64", "shape": (8, 8, 64), "layer": Conv(64, 3, padding=1), "percent": 85},
    {"title": "28x28x64 1x1x256", "shape": (28, 28, 64), "layer": Conv(256, 1), "batch": 32, "percent": 85},
]

TASKS: list[Task] = [
    *(Convolution(direction="forward", **row) for row in _FIRST + _OTHERS),
    *(Convolution(direction="kernel gradient", **row) for row in _FIRST),
    *(Convolution(direction="backward", **row) for row in _FIRST + _OTHERS),
]


@cases(TASKS)
def test_convolution(benchmark: Any, task: Task, name: str) -> None:
    run(benchmark, task, name)
