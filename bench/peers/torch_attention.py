"""PyTorch: attention, a block of a Transformer, steps one by one."""

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from bench import peers
from bench.attention import Attention, BlockStep, NextStep
from bench.peers import Contender, torch_
from bench.peers.torch_sequences import Network


def attention(task: Attention) -> Contender:
    q, k, v, dy = (torch.from_numpy(array).transpose(1, 2) for array in task.operands())
    if task.backward:
        q, k, v = (tensor.detach().contiguous().requires_grad_() for tensor in (q, k, v))

    def forward() -> torch.Tensor:
        with torch.inference_mode(not task.backward):
            return functional.scaled_dot_product_attention(q, k, v, is_causal=True)

    def both() -> tuple[torch.Tensor, ...]:
        y = forward()
        return (y, *torch.autograd.grad(y, (q, k, v), dy))

    def results() -> peers.Results:
        y, *gradients = (t.detach().transpose(1, 2).numpy() for t in (both() if task.backward else [forward()]))
        return {"output": y} | ({"dx": np.stack(gradients)} if gradients else {})

    return Contender(both if task.backward else forward, results)


class _Block(torch.nn.Module):
    def __init__(self, task: BlockStep) -> None:
        super().__init__()
        options = {"dropout": 0.0, "batch_first": True}
        self.layer = torch.nn.TransformerEncoderLayer(task.width, task.heads, 4 * task.width, **options)
        own = dict(zip(task.names, zip(*[iter(task.weights())] * 2, strict=True), strict=True))
        projections = [own[f"self_attention.{name}"] for name in ("query", "key", "value")]
        joint = np.concatenate([kernel.T for kernel, _ in projections])
        given = {"self_attn.in_proj_": (joint.T, np.concatenate([bias for _, bias in projections]))}
        given |= {f"{theirs}.": own[ours] for ours, theirs in _PARTS.items()}
        with torch.no_grad():
            for name, parts in given.items():
                for part, value in zip(("weight", "bias"), parts, strict=True):
                    self.layer.get_parameter(name + part).copy_(torch.from_numpy(np.ascontiguousarray(value.T)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.layer(x)
        return y

    def values(self) -> list[Any]:
        """The parameters as nnfast has them."""
        own = {name: value.detach().numpy().T for name, value in self.layer.named_parameters()}
        joint, biases = own["self_attn.in_proj_weight"], own["self_attn.in_proj_bias"]
        found = [array for pair in zip(np.split(joint, 3, 1), np.split(biases, 3), strict=True) for array in pair]
        for theirs in _PARTS.values():
            found += [own[f"{theirs}.weight"], own[f"{theirs}.bias"]]
        return found


_PARTS = {
    "self_attention.attention_output": "self_attn.out_proj",
    "self_attention_norm": "norm1",
    "feedforward": "linear1",
    "feedforward_output": "linear2",
    "feedforward_norm": "norm2",
}


def _step(task: BlockStep, *, fused: bool, compiled: bool) -> Contender:
    network = _Block(task)
    optimizer = torch_.adam(network.parameters(), task.learning_rate, fused)
    x, y = (torch.from_numpy(array) for array in task.data())

    def forward() -> torch.Tensor:
        return functional.mse_loss(network(x), y)

    call = torch_.training_step(forward, optimizer, compiled)
    return Contender(call, lambda: peers.step_results(call, lambda: task.comparable(network.values())))


def step(task: BlockStep) -> Contender:
    return _step(task, fused=False, compiled=False)


def step_fused(task: BlockStep) -> Contender:
    return _step(task, fused=True, compiled=False)


def step_compiled(task: BlockStep) -> Contender:
    return _step(task, fused=True, compiled=True)


def next_step(task: NextStep) -> Contender:
    network = Network(task.workload).eval()
    embedding = network.embedding
    assert embedding is not None
    tokens = torch.from_numpy(task.workload.inputs(task.batch)[:, :1].copy())
    state: Any = None

    @torch.inference_mode()
    def call() -> torch.Tensor:
        nonlocal state
        y, state = network.recurrent(embedding(tokens), state)
        return functional.softmax(network.dense(y[:, 0]), dim=-1)

    def results() -> peers.Results:
        nonlocal state
        state = None
        return {"output": np.stack([call().numpy() for _ in range(3)])}

    return Contender(call, results)
