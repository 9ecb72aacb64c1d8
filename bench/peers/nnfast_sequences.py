"""nnfast: recurrent networks."""

import nnfast as nf
from bench import peers
from bench.peers import Contender
from bench.peers.nnfast_ import contender
from bench.sequences import Recurrent, RecurrentPrediction, RecurrentStep
from bench.workloads import ADAM
from nnfast import layers


def network_of(workload: Recurrent) -> nf.Network:
    if workload.reads_characters:
        stack: list[layers.Layer] = [
            layers.Input((workload.steps,), dtype="int32"),
            layers.Embedding(workload.vocabulary, workload.embedding),
        ]
    else:
        stack = [layers.Input((workload.steps, workload.features))]
    layer = getattr(layers, workload.cell)
    for i in range(workload.depth):
        stack.append(layer(workload.units, return_sequences=workload.reads_characters or i < workload.depth - 1))
    stack.append(layers.Dense(workload.outputs, "softmax" if workload.reads_characters else None))
    network = nf.Network(stack, seed=0)
    network.set_weights(workload.weights())
    return network


def step(task: RecurrentStep) -> Contender:
    workload = task.workload
    network = network_of(workload)
    optimizer = nf.optimizers.Adam(workload.learning_rate, **ADAM)
    trainer = nf.Trainer(network, loss=workload.loss, optimizer=optimizer)
    x, y = workload.inputs(workload.batch), workload.targets(workload.batch)

    def call() -> float:
        return trainer.train_on_batch(x, y)

    return contender(call, lambda: peers.step_results(call, network.get_weights))


def predict(task: RecurrentPrediction) -> Contender:
    network = network_of(task.workload)
    x = task.workload.inputs(task.batch)
    return contender(lambda: network.predict(x), lambda: {"output": network.predict(x)})
