"""Matrix products, including the Python call: square ones, those of dense networks, and narrow ones."""

from typing import Any

from bench.measure import cases, run
from bench.workloads import Product, Task

TASKS: list[Task] = [
    Product(m=64, n=64, k=64, percent=70),
    Product(m=128, n=128, k=128),
    Product(m=256, n=256, k=256, percent=90),
    Product(m=512, n=512, k=512, percent=90),
    Product(m=1024, n=1024, k=1024, percent=90),
    Product(m=784, n=512, k=128, percent=90),
    Product(m=128, n=512, k=784),
    Product(m=128, n=10, k=512),
    Product(m=1, n=512, k=784),
    Product(m=4096, n=16, k=27),
    # The backward pass of MLP 784-512-512-10: dkernel = x^T dy and dx = dy kernel^T.
    Product(m=784, n=512, k=128, transpose_a=True, percent=90),
    Product(m=512, n=512, k=128, transpose_a=True),
    Product(m=512, n=10, k=128, transpose_a=True),
    Product(m=128, n=512, k=512, transpose_b=True),
    Product(m=128, n=512, k=10, transpose_b=True),
]


@cases(TASKS)
def test_matmul(benchmark: Any, task: Task, name: str) -> None:
    run(benchmark, task, name)
