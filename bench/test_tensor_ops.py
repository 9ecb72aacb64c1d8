"""Chains of element-wise functions, memory-bound, and products of stacks of small matrices."""

from typing import Any

from bench.measure import cases, run
from bench.workloads import EXPRESSIONS, BatchedProduct, Chain, Task

TASKS: list[Task] = [
    *(Chain(expression=expression) for expression in EXPRESSIONS),
    BatchedProduct(batch=128, m=64, n=64, k=64),
    BatchedProduct(batch=8, m=50, n=50, k=16),
    BatchedProduct(batch=128, m=50, n=50, k=16),
]


@cases(TASKS)
def test_tensor_ops(benchmark: Any, task: Task, name: str) -> None:
    run(benchmark, task, name)
