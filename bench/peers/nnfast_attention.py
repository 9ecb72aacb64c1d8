"""nnfast: attention, a block of a Transformer, steps one by one."""

import numpy as np

import nnfast as nf
from bench import peers
from bench.attention import Attention, BlockStep, NextStep
from bench.peers import Contender
from bench.peers.nnfast_ import contender
from bench.peers.nnfast_sequences import network_of
from bench.workloads import ADAM
from nnfast import kernels, layers


def attention(task: Attention) -> Contender:
    q, k, v, dy = task.operands()

    def forward() -> peers.Results:
        return {"output": kernels.attention_forward(q, k, v, causal=True)[0]}

    def both() -> peers.Results:
        y, log_sums = kernels.attention_forward(q, k, v, causal=True)
        gradients = kernels.attention_backward(dy, y, log_sums, q, k, v, causal=True)
        return {"output": y, "dx": np.stack(gradients)}

    call = both if task.backward else forward
    return contender(call, call)


def step(task: BlockStep) -> Contender:
    block = layers.TransformerEncoder(4 * task.width, task.heads)
    network = nf.Network([layers.Input((task.steps, task.width)), block], seed=0)
    network.set_weights(task.weights())
    trainer = nf.Trainer(network, loss="mse", optimizer=nf.optimizers.Adam(task.learning_rate, **ADAM))
    x, y = task.data()

    def call() -> float:
        return trainer.train_on_batch(x, y)

    return contender(call, lambda: peers.step_results(call, lambda: task.comparable(network.get_weights())))


def next_step(task: NextStep) -> Contender:
    stepper = network_of(task.workload).stepper()
    tokens = task.workload.inputs(task.batch)[:, 0].copy()

    def results() -> peers.Results:
        stepper.reset()
        return {"output": np.stack([stepper(tokens) for _ in range(3)])}

    return contender(lambda: stepper(tokens), results)
