"""PyTorch: recurrent networks."""

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from bench import peers
from bench.peers import Contender, torch_
from bench.sequences import GATES, Recurrent, RecurrentPrediction, RecurrentStep
from bench.workloads import Array

# Places of nnfast's gates among PyTorch's, which has r before z.
_ORDER = {"SimpleRNN": (0,), "LSTM": (0, 1, 2, 3), "GRU": (1, 0, 2)}
_LAYERS = {"SimpleRNN": torch.nn.RNN, "LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU}


def _reordered(array: Array, cell: str) -> Array:
    """With the columns of the gates in the other library's order."""
    gates = np.split(array, GATES[cell], axis=-1)
    return np.concatenate([gates[i] for i in _ORDER[cell]], axis=-1)


class Network(torch.nn.Module):
    """Gives logits."""

    def __init__(self, workload: Recurrent) -> None:
        super().__init__()
        self.workload = w = workload
        self.embedding = torch.nn.Embedding(w.vocabulary, w.embedding) if w.reads_characters else None
        self.recurrent = _LAYERS[w.cell](w.width, w.units, w.depth, batch_first=True)
        self.dense = torch.nn.Linear(w.units, w.outputs)
        values = w.weights()
        with torch.no_grad():
            if self.embedding:
                self.embedding.weight.copy_(torch.from_numpy(values.pop(0)))
            for i in range(w.depth):
                kernel, recurrent, bias = (_reordered(values.pop(0), w.cell) for _ in range(3))
                biases = bias if w.cell == "GRU" else np.stack([bias, np.zeros_like(bias)])
                given = {"weight_ih": kernel.T, "weight_hh": recurrent.T, "bias_ih": biases[0], "bias_hh": biases[1]}
                for name, value in given.items():
                    getattr(self.recurrent, f"{name}_l{i}").copy_(torch.from_numpy(np.ascontiguousarray(value)))
                # Other cells have one bias in nnfast.
                getattr(self.recurrent, f"bias_hh_l{i}").requires_grad_(w.cell == "GRU")
            self.dense.weight.copy_(torch.from_numpy(values.pop(0).T))
            self.dense.bias.copy_(torch.from_numpy(values.pop(0)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.recurrent(self.embedding(x) if self.embedding else x)[0]
        return self.dense(y if self.workload.reads_characters else y[:, -1])

    def values(self) -> list[Any]:
        """The parameters as nnfast has them."""
        w = self.workload
        found = [self.embedding.weight.detach().numpy()] if self.embedding else []
        for i in range(w.depth):
            own = {
                name: getattr(self.recurrent, f"{name}_l{i}").detach().numpy()
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            }
            bias = np.stack([own["bias_ih"], own["bias_hh"]]) if w.cell == "GRU" else own["bias_ih"]
            found += [_reordered(a, w.cell) for a in (own["weight_ih"].T, own["weight_hh"].T, bias)]
        return [*found, self.dense.weight.detach().numpy().T, self.dense.bias.detach().numpy()]


def _step(task: RecurrentStep, fused: bool) -> Contender:
    workload = task.workload
    network = Network(workload)
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch_.adam(trained, workload.learning_rate, fused)
    x, y = torch.from_numpy(workload.inputs(workload.batch)), torch.from_numpy(workload.targets(workload.batch))

    def forward() -> torch.Tensor:
        p = network(x)
        return functional.cross_entropy(p.flatten(0, 1), y.flatten()) if p.ndim == 3 else functional.mse_loss(p, y)

    call = torch_.training_step(forward, optimizer)
    return Contender(call, lambda: peers.step_results(call, network.values))


def step(task: RecurrentStep) -> Contender:
    return _step(task, fused=False)


def step_fused(task: RecurrentStep) -> Contender:
    return _step(task, fused=True)


def predict(task: RecurrentPrediction) -> Contender:
    network = Network(task.workload).eval()
    x = torch.from_numpy(task.workload.inputs(task.batch))

    @torch.inference_mode()
    def call() -> torch.Tensor:
        y = network(x)
        return functional.softmax(y, dim=-1) if task.workload.reads_characters else y

    return Contender(call, lambda: {"output": call().numpy()})
