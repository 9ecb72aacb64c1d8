"""Updates of optimizers by PyTorch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from bench import peers
from bench.peers import Contender
from bench.workloads import Update

RATE = 1e-3
EPS = 1e-7
FOREACH: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda p, **options: torch.optim.SGD(p, RATE, **options),
    "adam": lambda p, **options: torch.optim.Adam(p, RATE, eps=EPS, **options),
    "amsgrad": lambda p, **options: torch.optim.Adam(p, RATE, eps=EPS, amsgrad=True, **options),
    "adamw": lambda p, **options: torch.optim.AdamW(p, RATE, eps=EPS, weight_decay=0.004, **options),
    "nadam": lambda p, **options: torch.optim.NAdam(p, RATE, eps=EPS, **options),
    "adamax": lambda p, **options: torch.optim.Adamax(p, RATE, eps=EPS, **options),
    "adagrad": lambda p, **options: torch.optim.Adagrad(p, RATE, initial_accumulator_value=0.1, eps=1e-20, **options),
    "adadelta": lambda p, **options: torch.optim.Adadelta(p, 1.0, rho=0.95, eps=EPS, **options),
    "muon": lambda p, **options: torch.optim.Muon(p, RATE, weight_decay=0, adjust_lr_fn="match_rms_adamw"),
}
FUSED = ("sgd", "adam", "amsgrad", "adamw", "adagrad")


def _update(task: Update, **options: Any) -> Contender:
    parameters, gradients = task.arrays()
    p = torch.from_numpy(parameters).requires_grad_()
    p.grad = torch.from_numpy(gradients)
    optimizer = FOREACH[task.rule]([p], **options)

    def call() -> float:
        optimizer.step()
        return 1.0

    return Contender(call, lambda: peers.step_results(call, lambda: [np.asarray(p.detach())]))


def update_foreach(task: Update) -> Contender:
    return _update(task, foreach=True)


def update_fused(task: Update) -> Contender | None:
    return _update(task, fused=True) if task.rule in FUSED else None
