"""Updates of optimizers by nnfast, as a trainer makes them."""

from collections.abc import Callable

import numpy as np

import nnfast as nf
from bench import peers
from bench.peers import Contender
from bench.peers.nnfast_ import contender
from bench.workloads import Update
from nnfast import layers, optimizers

RATE = 1e-3
RULES: dict[str, Callable[[], optimizers.Optimizer]] = {
    "sgd": lambda: optimizers.SGD(RATE),
    "adam": lambda: optimizers.Adam(RATE),
    "amsgrad": lambda: optimizers.Adam(RATE, amsgrad=True),
    "adamw": lambda: optimizers.AdamW(RATE),
    "nadam": lambda: optimizers.Nadam(RATE, momentum_decay=0.004),
    "adamax": lambda: optimizers.Adamax(RATE),
    "adagrad": lambda: optimizers.Adagrad(RATE, epsilon=1e-20),
    "adadelta": lambda: optimizers.Adadelta(1.0),
    "muon": lambda: optimizers.Muon(RATE),
}


def update(task: Update) -> Contender:
    p, g = task.arrays()
    net = nf.Network([layers.Input(p.shape[:1]), layers.Dense(p.shape[1], use_bias=False)])
    kernel = net.parameters["dense.kernel"]
    kernel[...] = p
    trainer = nf.Trainer(net, loss="mse", optimizer=RULES[task.rule]())
    plan, name = trainer.plan, "dense.kernel"
    plan.gradients()[name][...] = g

    def call() -> float:
        plan.apply_gradients(RATE if task.rule != "adadelta" else 1.0)
        return 1.0

    return contender(call, lambda: peers.step_results(call, lambda: [np.asarray(kernel)]))
