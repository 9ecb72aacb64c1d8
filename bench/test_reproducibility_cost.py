"""What it costs that an element of a product is always one sum over k in ascending order.

That order makes the bits the same for any number of threads, any batch and every instruction set with fused
multiply-add. It rules out two things which the peers are free to do. With a transposed b, the sum of an element runs
along contiguous memory, and vectors would hold parts of one sum. And where a product has few elements, each a long sum,
parts of the sum would run side by side, in one thread or in several. The rows are the products where this matters; to
compare, nnfast also does the same product with b stored so that the question does not arise, and with two threads each
doing half of the sum.
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
