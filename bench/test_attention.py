"""Attention alone and in a block of a Transformer, and characters one by one."""

from typing import Any

from bench.attention import Attention, BlockStep, NextStep
from bench.measure import cases, run
from bench.sequences import characters
from bench.workloads import Task

TASKS: list[Task] = [
    BlockStep(goal=1.7),
    *(Attention(batch=64, steps=64, backward=backward) for backward in (False, True)),
    *(Attention(batch=2, steps=1024, backward=backward) for backward in (False, True)),
    *(NextStep(workload=characters("LSTM"), batch=batch, goal=3) for batch in (1, 16)),
]


@cases(TASKS)
def test_attention(benchmark: Any, task: Task, name: str) -> None:
    run(benchmark, task, name)
