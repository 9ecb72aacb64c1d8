"""The cost of computing each element of a product as one sum over k in ascending order.

That order makes the bits the same for any number of threads, any batch and every instruction set with fused
multiply-add. It rules out two things that peers are free to do. With a transposed b, the sum of an element runs along
contiguous memory, so vectors would hold parts of one sum. And if a product has few elements, each a long sum, parts of
the sum could be computed side by side, in one thread or in several. The rows are the products where this matters; for
comparison, nnfast also computes the same product with b stored so that the problem does not occur, and with two threads
that each compute half of the sum.
"""

from typing import Any

from bench.measure import cases, run
from bench.workloads import ReproducibleProduct, Task

TASKS: list[Task] = [
    ReproducibleProduct(m=1, n=512, k=784, transpose_b=True),
    ReproducibleProduct(m=8, n=512, k=784, transpose_b=True),
    ReproducibleProduct(m=128, n=512, k=784, transpose_b=True),
    ReproducibleProduct(m=1, n=16, k=65536),
    ReproducibleProduct(m=8, n=8, k=65536),
    ReproducibleProduct(m=64, n=64, k=16384),
]


@cases(TASKS)
def test_reproducibility_cost(benchmark: Any, task: Task, name: str) -> None:
    run(benchmark, task, name)
