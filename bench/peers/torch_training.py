"""PyTorch training a sequence of nnfast's layers, with augmentation and a learning rate per step."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

import nnfast as nf
from bench.peers import layouts, torch_
from bench.peers.torch_images import FORMATS
from nnfast import layers

_AUGMENTATIONS = {"shift", "rotation", "zoom"}


class _Rescaling(torch.nn.Module):
    def __init__(self, scale: float, offset: float) -> None:
        super().__init__()
        self.scale = scale
        self.offset = offset

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale + self.offset


def _modules(network: nf.Network) -> torch.nn.Sequential:
    """The same layers with the same values, up to the logits."""
    found: list[torch.nn.Module] = []
    shape: tuple[int, ...] = network.input_shape
    image = None
    for layer in network.layers:
        own = {name.partition(".")[2]: view for name, view in network.parameters.items() if _owns(layer, name)}
        match layer:
            case layers.Input():
                continue
            case layers.Rescaling():
                found.append(_Rescaling(layer.scale, layer.offset))
            case layers.Conv2D():
                size, filters = own["kernel"].shape[0], own["kernel"].shape[3]
                padding = size // 2 if layer.padding == "same" else 0
                found.append(torch.nn.Conv2d(shape[2], filters, size, padding=padding, bias=layer.use_bias))
                shape = (*(n + 2 * padding - size + 1 for n in shape[:2]), filters)
            case layers.MaxPool2D():
                found.append(torch.nn.MaxPool2d(2))
                shape = (shape[0] // 2, shape[1] // 2, shape[2])
            case layers.BatchNormalization():
                found.append(torch.nn.BatchNorm2d(shape[2], eps=layer.epsilon, momentum=1 - layer.momentum))
            case layers.Flatten():
                found.append(torch.nn.Flatten())
                image, shape = shape, (math.prod(shape),)
            case layers.Dense():
                found.append(torch.nn.Linear(shape[0], layer.units))
                shape = (layer.units,)
            case layers.Dropout():
                found.append(torch.nn.Dropout(layer.rate))
            case layers.ReLU():
                found.append(torch.nn.ReLU())
            case _:
                raise ValueError(f"{layer.place}: expected a layer that the recipes have, got {type(layer).__name__}")
        _take(found[-1], own, image if isinstance(layer, layers.Dense) else None)
        if isinstance(layer, layers.Dense):
            image = None
        if isinstance(layer, layers.Conv2D | layers.Dense) and layer.function.name == "relu":
            found.append(torch.nn.ReLU())
    return torch.nn.Sequential(*found)


def _owns(layer: layers.Layer, parameter: str) -> bool:
    return parameter.partition(".")[0] == layer.place


def _take(module: Any, values: Mapping[str, NDArray[Any]], image: tuple[int, ...] | None) -> None:
    names = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
    names |= {"kernel": "weight", "bias": "bias"}
    with torch.no_grad():
        for name, array in values.items():
            value = layouts.outputs_first(array, image) if name == "kernel" else array
            getattr(module, names[name]).copy_(torch.from_numpy(np.array(value)))


def _augment(x: torch.Tensor, options: Mapping[str, float]) -> torch.Tensor:
    """Zoom, rotate and shift each image individually, like nnfast.data.Augmentation."""
    if unknown := set(options) - _AUGMENTATIONS:
        raise ValueError(f"expected augmentation by {', '.join(sorted(_AUGMENTATIONS))}, got {unknown}")

    def between(limit: float, *shape: int) -> torch.Tensor:
        return (2 * torch.rand(len(x), *shape) - 1) * limit

    angle = torch.deg2rad(between(options.get("rotation", 0)))
    factor = 1 + between(options.get("zoom", 0))
    move = between(2 * options.get("shift", 0) / x.shape[-1], 2)
    cosine, sine = torch.cos(angle) / factor, torch.sin(angle) / factor
    map_back = torch.stack([torch.stack([cosine, sine], 1), torch.stack([-sine, cosine], 1)], 1)
    theta = torch.cat([map_back, -(map_back @ move[:, :, None])], 2)
    return functional.grid_sample(x, functional.affine_grid(theta, list(x.shape), align_corners=False))


class Training:
    """A network from nnfast in PyTorch, in one memory format, with Adam; images have values 0 to 255 (N, C, H, W)."""

    def __init__(self, network: nf.Network, augmentation: Mapping[str, float], layout: str, compiled: bool) -> None:
        self._format = FORMATS[layout]
        self._module = _modules(network).to(memory_format=self._format)
        self._optimizer = torch_.adam(self._module.parameters(), 0.0, fused=True)
        self._augmentation = augmentation
        self._compiled = torch.compile(self._loss) if compiled else None

    def _loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(self._module(x), y)

    def fit(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        batch_size: int,
        rate: Callable[[int], float],
        steps: int,
    ) -> float:
        """Make `steps` steps, epoch after epoch in random order; returns the time in seconds."""
        self._module.train()
        start, step = time.perf_counter(), 0
        while step < steps:
            for rows in torch.randperm(len(labels)).split(batch_size)[: steps - step]:
                x = images[rows]
                x = _augment(x, self._augmentation) if self._augmentation else x
                x = x.contiguous(memory_format=self._format)
                # What is compiled is so for whole batches; the last one would have it compiled again.
                run = self._compiled if self._compiled and len(rows) == batch_size else self._loss
                self._optimizer.param_groups[0]["lr"] = rate(step)
                self._optimizer.zero_grad()
                run(x, labels[rows]).backward()
                self._optimizer.step()
                step += 1
        return time.perf_counter() - start

    @torch.no_grad()
    def predict(self, images: torch.Tensor) -> NDArray[np.float32]:
        """Probabilities."""
        self._module.eval()
        chunks = images.contiguous(memory_format=self._format).split(1000)
        return torch.cat([functional.softmax(self._module(chunk), dim=-1) for chunk in chunks]).numpy()
