"""nnfast."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

import nnfast as nf
from bench import machine, peers, workloads
from bench.peers import Contender
from bench.workloads import (
    ADAM,
    EXPRESSIONS,
    BatchedProduct,
    Chain,
    Elementwise,
    Prediction,
    Product,
    Reduction,
    Scaling,
    Step,
    Workload,
)
from nnfast import kernels, layers, ops


def contender(call: Callable[[], object], result: Callable[[], peers.Results]) -> Contender:
    return Contender(call, result, prepare=lambda: nf.set_num_threads(machine.threads()))


def _network(workload: Workload) -> nf.Network:
    stack: list[layers.Layer] = [layers.Input((workload.sizes[0],))]
    for units, activation in zip(workload.sizes[1:], workload.activations(), strict=True):
        stack.append(layers.Dense(units, activation=activation))
    network = nf.Network(stack, seed=0)
    network.set_weights([array for pair in workload.weights() for array in pair])
    return network


def step(task: Step) -> Contender:
    workload = task.workload
    network = _network(workload)
    rate = workload.learning_rate
    optimizer = nf.optimizers.Adam(rate, **ADAM) if workload.optimizer == "adam" else nf.optimizers.SGD(rate)
    trainer = nf.Trainer(network, loss=workload.loss, optimizer=optimizer)
    x, y = workload.inputs(workload.batch), workload.targets(workload.batch)

    def call() -> float:
        return trainer.train_on_batch(x, y)

    return contender(call, lambda: peers.step_results(call, network.get_weights))


def predict(task: Prediction) -> Contender:
    network = _network(task.workload)
    x = task.workload.inputs(task.batch)
    return contender(lambda: network.predict(x), lambda: {"output": network.predict(x)})


def product(task: Product) -> Contender:
    a, b = task.operands()
    out = workloads.empty((task.m, task.n))

    def call() -> object:
        return kernels.matmul(a, b, out, transpose_a=task.transpose_a, transpose_b=task.transpose_b)

    return contender(call, lambda: {"output": np.array(call())})


def product_stored_otherwise(task: Product) -> Contender | None:
    """The cost of a transposed b: the same product with b stored so that its rows are contiguous."""
    if not task.transpose_b:
        return None
    a, b = task.operands()
    b = workloads.aligned(b.T)
    out = workloads.empty((task.m, task.n))

    def call() -> object:
        return kernels.matmul(a, b, out, transpose_a=task.transpose_a)

    return contender(call, lambda: {"output": np.array(call())})


def product_split_over_k(task: Product) -> Contender | None:
    """The gain of dividing a sum between two threads, which the ascending order rules out: halves of k, then added."""
    if machine.threads() < 2 or task.transpose_a or task.transpose_b:
        return None
    a, b = task.operands()
    half = task.k // 2
    out, other = workloads.empty((task.m, task.n)), workloads.empty((task.m, task.n))
    pool = ThreadPoolExecutor(1)

    def call() -> object:
        second = pool.submit(kernels.matmul, a[:, half:], b[half:], other)
        kernels.matmul(a[:, :half], b[:half], out)
        second.result()
        return np.add(out, other, out=out)

    return Contender(call, lambda: {"output": np.array(call())}, prepare=lambda: nf.set_num_threads(1))


def elementwise(task: Elementwise) -> Contender:
    if task.function == "adam":
        return _adam(task)
    x, out = task.x(), workloads.empty(task.shape)
    name, _, backward = task.function.partition(" ")
    if backward:
        dy, y = task.dy(), task.y()

        def call() -> object:
            return kernels.activation_backward(name, dy, x, y, out=out)
    else:

        def call() -> object:
            return kernels.activation_forward(name, x, out=out)

    return contender(call, lambda: {"output": np.array(call())})


def reduction(task: Reduction) -> Contender:
    x, function = task.x(), getattr(ops, task.function)

    def call() -> object:
        return function(x, task.axis)

    return contender(call, lambda: {"output": np.asarray(call())})


def batched_product(task: BatchedProduct) -> Contender:
    a, b = task.operands()
    return contender(lambda: ops.matmul(a, b), lambda: {"output": ops.matmul(a, b)})


def chain(task: Chain) -> Contender:
    x, y = task.operands()
    inputs = [layers.Input(task.shape[1:]) for _ in range(2)]
    network = nf.Network(inputs=inputs, outputs=EXPRESSIONS[task.expression](ops, *inputs))
    return contender(lambda: network.predict([x, y]), lambda: {"output": network.predict([x, y])})


def _adam(task: Elementwise) -> Contender:
    p, g = task.x().ravel(), task.dy().ravel()
    m, v = (workloads.aligned(np.zeros_like(p)) for _ in range(2))
    steps = 0

    def call() -> float:
        nonlocal steps
        steps += 1
        kernels.adam_update(p, g, m, v, learning_rate=1e-3, step=steps, **ADAM)
        return 1.0

    return contender(call, lambda: peers.step_results(call, lambda: [p]))


def on_all_threads(task: Scaling) -> Contender:
    found = peers.make(task.task, "nnfast")
    assert found is not None
    return found


def on_one_thread(task: Scaling) -> Contender:
    return replace(on_all_threads(task), prepare=lambda: nf.set_num_threads(1))
