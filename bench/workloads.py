"""Workloads, described as data for the adapters of all libraries: networks, products, elementwise functions.

All arrays are aligned to 64 bytes, like the tensors of PyTorch and JAX but not NumPy's arrays: alignment would
otherwise be random, and it affects speed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[np.float32]
Scalar = TypeVar("Scalar", bound=np.generic)
ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
MOMENTUM = 0.9
ALIGNMENT = 64


def empty(shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Aligned and uninitialized."""
    size = prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def aligned(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """A contiguous, aligned copy."""
    copy = empty(array.shape, array.dtype)
    copy[...] = array
    return copy


@dataclass(frozen=True)
class Workload:
    """A dense network, its data and its training options."""

    name: str
    sizes: tuple[int, ...]
    hidden: str
    output: str
    loss: str
    optimizer: str
    # Small, so that thousands of steps on one batch do not drive gradients into subnormal numbers.
    learning_rate: float
    batch: int

    def weights(self) -> list[tuple[Array, Array]]:
        """Initial parameters: for each layer the kernel (D, O), Glorot uniform, and the bias (O,)."""
        rng = np.random.default_rng(1)
        found = []
        for inputs, units in zip(self.sizes, self.sizes[1:], strict=False):
            limit = np.sqrt(6 / (inputs + units))
            kernel = rng.uniform(-limit, limit, (inputs, units)).astype(np.float32)
            bias = rng.uniform(-0.1, 0.1, units).astype(np.float32)
            found.append((aligned(kernel), aligned(bias)))
        return found

    def activations(self) -> list[str]:
        """One per layer."""
        return [self.hidden] * (len(self.sizes) - 2) + [self.output]

    def inputs(self, rows: int) -> Array:
        """(rows, D) in [0, 1)."""
        return aligned(np.random.default_rng(2).random((rows, self.sizes[0]), dtype=np.float32))

    def targets(self, rows: int) -> NDArray[np.int64] | Array:
        """Class numbers (rows,) for cross-entropy, else numbers (rows, O) in [0, 1)."""
        rng = np.random.default_rng(3)
        if self.loss == "cross_entropy":
            return aligned(rng.integers(0, self.sizes[-1], rows))
        return aligned(rng.random((rows, self.sizes[-1]), dtype=np.float32))

    def forward_operations(self, rows: int) -> float:
        """Multiplications and additions of the matrix products."""
        return 2.0 * rows * sum(d * o for d, o in zip(self.sizes, self.sizes[1:], strict=False))

    def step_operations(self) -> float:
        """Operations forward, and twice as many backward, except those of the unused gradient of the input."""
        first = 2.0 * self.batch * self.sizes[0] * self.sizes[1]
        return 3 * self.forward_operations(self.batch) - first


TINY = Workload("tiny 2-3-1", (2, 3, 1), "sigmoid", "sigmoid", "mse", "sgd", 1e-2, 32)
POLICY = Workload("policy 8-64-64-4", (8, 64, 64, 4), "tanh", "identity", "mse", "adam", 1e-4, 64)
MLP_128 = Workload("MLP 784-128-10", (784, 128, 10), "relu", "softmax", "cross_entropy", "sgd", 1e-3, 32)
MLP_512 = Workload("MLP 784-512-512-10", (784, 512, 512, 10), "relu", "softmax", "cross_entropy", "adam", 1e-4, 128)


@dataclass(frozen=True)
class Task:
    """One row of a table: work done by every contender, and the goal for nnfast.

    `goal` is the desired ratio of times, best peer : nnfast; `percent` the desired percentage of the machine's rate,
    i.e. the peak of fused multiply-adds for GFLOP/s and the rate of a copy for GB/s.
    """

    goal: float = 1.0
    percent: float | None = None

    kind = ""
    unit = "GFLOP/s"

    @property
    def name(self) -> str:
        raise NotImplementedError

    @property
    def amount(self) -> float:
        """Operations or bytes per call."""
        raise NotImplementedError

    def tolerances(self) -> dict[str, float]:
        """Tolerances, if they differ from the usual ones."""
        return {}

    def without_chance(self) -> "Task":
        """The part of the task on which libraries can agree: without random numbers."""
        return self


@dataclass(frozen=True, kw_only=True)
class Product(Task):
    """op(a) @ op(b), (M, K) by (K, N)."""

    m: int
    n: int
    k: int
    transpose_a: bool = False
    transpose_b: bool = False

    kind = "product"

    @property
    def name(self) -> str:
        marks = " a^T" * self.transpose_a + " b^T" * self.transpose_b
        return f"{self.m}x{self.n}x{self.k}{marks}"

    @property
    def amount(self) -> float:
        return 2.0 * self.m * self.n * self.k

    def operands(self) -> tuple[Array, Array]:
        """a and b before transposition, with elements in [-1, 1)."""
        rng = np.random.default_rng(4)
        a = (self.k, self.m) if self.transpose_a else (self.m, self.k)
        b = (self.n, self.k) if self.transpose_b else (self.k, self.n)
        return aligned(2 * rng.random(a, dtype=np.float32) - 1), aligned(2 * rng.random(b, dtype=np.float32) - 1)


@dataclass(frozen=True, kw_only=True)
class ReproducibleProduct(Product):
    """A product that could be faster with another order of summation than the ascending one."""

    kind = "reproducible product"


@dataclass(frozen=True, kw_only=True)
class Step(Task):
    """Forward, loss, backward and update on one batch."""

    workload: Workload

    kind = "step"

    @property
    def name(self) -> str:
        return f"{self.workload.name}, batch {self.workload.batch}, {self.workload.optimizer}"

    @property
    def amount(self) -> float:
        return self.workload.step_operations()


@dataclass(frozen=True, kw_only=True)
class Prediction(Task):
    """The network's output for one batch."""

    workload: Workload
    batch: int

    kind = "prediction"

    @property
    def name(self) -> str:
        return f"{self.workload.name}, batch {self.batch}"

    @property
    def amount(self) -> float:
        return self.workload.forward_operations(self.batch)


@dataclass(frozen=True, kw_only=True)
class Elementwise(Task):
    """An activation, its backward pass, softmax over rows of 26, or an update by Adam, of 2.77 million elements."""

    function: str

    kind = "elementwise"
    unit = "GB/s"
    shape = (106_496, 26)

    @property
    def name(self) -> str:
        return self.function

    @property
    def amount(self) -> float:
        arrays = 7 if self.function == "adam" else 3 if self.function.endswith("backward") else 2
        return 4.0 * arrays * self.shape[0] * self.shape[1]

    def x(self) -> Array:
        """Normal numbers with standard deviation 3."""
        return aligned(3 * np.random.default_rng(5).standard_normal(self.shape, dtype=np.float32))

    def y(self) -> Array:
        """The activation of x, for its backward pass."""
        x = self.x()
        functions = {
            "relu": lambda: np.maximum(x, 0),
            "sigmoid": lambda: 1 / (1 + np.exp(-x)),
            "tanh": lambda: np.tanh(x),
        }
        activation = self.function.split()[0]
        return aligned(functions[activation]()) if activation in functions else x

    def dy(self) -> Array:
        """Normal numbers: gradients."""
        return aligned(np.random.default_rng(6).standard_normal(self.shape, dtype=np.float32))


UPDATES = {
    "sgd": 3,
    "adam": 7,
    "amsgrad": 9,
    "adamw": 7,
    "nadam": 7,
    "adamax": 7,
    "adagrad": 5,
    "adadelta": 7,
    "muon": 5,
}
"""Rules of optimizers, and the arrays that an update reads and writes at least."""


@dataclass(frozen=True, kw_only=True)
class Update(Task):
    """One update of a matrix of 1024 x 1024 parameters."""

    rule: str

    kind = "update"
    unit = "GB/s"
    shape = (1024, 1024)

    @property
    def name(self) -> str:
        return self.rule

    @property
    def amount(self) -> float:
        return 4.0 * UPDATES[self.rule] * self.shape[0] * self.shape[1]

    def tolerances(self) -> dict[str, float]:
        # PyTorch's Muon iterates in bfloat16.
        return {"change 0": 0.05} if self.rule == "muon" else {}

    def arrays(self) -> tuple[Array, Array]:
        """Parameters and gradients."""
        rng = np.random.default_rng(8)
        return tuple(aligned(rng.standard_normal(self.shape, dtype=np.float32)) for _ in range(2))  # type: ignore[return-value]


@dataclass(frozen=True, kw_only=True)
class Reduction(Task):
    """The sum, mean or maximum of 4096 rows of 1024 numbers over an axis, or of all of them."""

    function: str
    axis: int | None

    kind = "reduction"
    unit = "GB/s"
    shape = (4096, 1024)

    @property
    def name(self) -> str:
        return f"{self.function}, {'all' if self.axis is None else f'axis {self.axis}'}"

    @property
    def amount(self) -> float:
        return 4.0 * self.shape[0] * self.shape[1]

    def x(self) -> Array:
        """Numbers in [0, 1): sums without cancellation."""
        return aligned(np.random.default_rng(7).random(self.shape, dtype=np.float32))


EXPRESSIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "(x y + x) / 2 - abs(y)": lambda library, x, y: (x * y + x) * 0.5 - abs(y),
    "tanh(x y + x) y": lambda library, x, y: library.tanh(x * y + x) * y,
    "exp(-(x - y)^2 / 2)": lambda library, x, y: library.exp((x - y) ** 2 * -0.5),
}
"""Chains of element-wise functions, for any library with the names of NumPy."""


@dataclass(frozen=True, kw_only=True)
class Chain(Task):
    """A chain of element-wise functions of two arrays beyond the caches: 2048 rows of 1024 numbers."""

    expression: str

    kind = "chain"
    unit = "GB/s"
    shape = (2048, 1024)

    @property
    def name(self) -> str:
        return self.expression

    @property
    def amount(self) -> float:
        """Both arrays are read, and the result is written."""
        return 3 * 4.0 * self.shape[0] * self.shape[1]

    def operands(self) -> tuple[Array, Array]:
        rng = np.random.default_rng(8)
        return aligned(rng.random(self.shape, dtype=np.float32)), aligned(rng.random(self.shape, dtype=np.float32))


@dataclass(frozen=True, kw_only=True)
class BatchedProduct(Task):
    """Products of stacks of matrices, (batch, M, K) by (batch, K, N)."""

    batch: int
    m: int
    n: int
    k: int

    kind = "batched product"

    @property
    def name(self) -> str:
        return f"{self.batch} of {self.m}x{self.n}x{self.k}"

    @property
    def amount(self) -> float:
        return 2.0 * self.batch * self.m * self.n * self.k

    def operands(self) -> tuple[Array, Array]:
        rng = np.random.default_rng(9)
        a = rng.random((self.batch, self.m, self.k), dtype=np.float32)
        return aligned(a), aligned(rng.random((self.batch, self.k, self.n), dtype=np.float32))


@dataclass(frozen=True, kw_only=True)
class Scaling(Task):
    """Another task on one thread and on all."""

    task: Task

    kind = "scaling"

    @property
    def name(self) -> str:
        return f"{self.task.kind}: {self.task.name}"

    @property
    def amount(self) -> float:
        return self.task.amount
