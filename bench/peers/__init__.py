"""The adapter of every library for each kind of work, by the name used in the tables.

A contender is a library with certain settings. If a library has several good settings, each is a contender, and the
fastest counts. Libraries are imported on demand.
"""

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.workloads import Task

Results = dict[str, NDArray[Any]]


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Contender:
    """The work of one task, set up and ready to run."""

    call: Callable[[], object]
    """What is timed."""
    result: Callable[[], Results]
    """What is compared with nnfast's, by the names of `TOLERANCES`; runs once, first of all."""
    prepare: Callable[[], object] = _nothing
    """Runs before each round, untimed."""
    finish: Callable[[], object] = _nothing
    """Ends each round, timed: waits for work that `call` only started."""


_PRODUCTS = {"nnfast": "nnfast_:product", "NumPy": "numpy_:product", "PyTorch": "torch_:product", "JAX": "jax_:product"}
_STEPS = {
    "nnfast": "nnfast_:step",
    "PyTorch": "torch_:step",
    "PyTorch, fused optimizer": "torch_:step_fused",
    "PyTorch, compiled": "torch_:step_compiled",
    "JAX": "jax_:step",
    "scikit-learn": "sklearn_:step",
    "NumPy": "numpy_:step",
}
_PREDICTIONS = {
    "nnfast": "nnfast_:predict",
    "PyTorch": "torch_:predict",
    "ONNX Runtime": "onnxruntime_:predict",
    "ONNX Runtime, bound": "onnxruntime_:predict_bound",
    "JAX": "jax_:predict",
    "NumPy": "numpy_:predict",
}
_ELEMENTWISE = {
    "nnfast": "nnfast_:elementwise",
    "NumPy": "numpy_:elementwise",
    "PyTorch": "torch_:elementwise",
    "JAX": "jax_:elementwise",
}
_REDUCTIONS = {"nnfast": "nnfast_:reduction", "NumPy": "numpy_:reduction", "PyTorch": "torch_:reduction"}
_BATCHED_PRODUCTS = {
    "nnfast": "nnfast_:batched_product",
    "NumPy": "numpy_:batched_product",
    "PyTorch": "torch_:batched_product",
    "JAX": "jax_:batched_product",
}
_CHAINS = {"nnfast": "nnfast_:chain", "NumPy": "numpy_:chain", "PyTorch": "torch_:chain", "JAX": "jax_:chain"}
_CONVOLUTIONS = {
    "nnfast": "nnfast_images:convolve",
    "PyTorch": "torch_images:convolve",
    "PyTorch, channels_last": "torch_images:convolve_channels_last",
    "JAX": "jax_images:convolve",
}
_POOLINGS = {
    "nnfast": "nnfast_images:pool",
    "PyTorch": "torch_images:pool",
    "PyTorch, channels_last": "torch_images:pool_channels_last",
    "JAX": "jax_images:pool",
}
_NORMALIZATIONS = {
    "nnfast": "nnfast_images:normalize",
    "PyTorch": "torch_images:normalize",
    "PyTorch, channels_last": "torch_images:normalize_channels_last",
    "JAX": "jax_images:normalize",
}
_IMAGE_STEPS = {
    "nnfast": "nnfast_images:step",
    "PyTorch": "torch_images:step",
    "PyTorch, fused optimizer": "torch_images:step_fused",
    "PyTorch, channels_last, fused optimizer": "torch_images:step_channels_last",
    "PyTorch, compiled, fused optimizer": "torch_images:step_compiled",
    "PyTorch, compiled, channels_last, fused optimizer": "torch_images:step_compiled_channels_last",
    "JAX": "jax_images:step",
}
_IMAGE_PREDICTIONS = {
    "nnfast": "nnfast_images:predict",
    "PyTorch": "torch_images:predict",
    "PyTorch, channels_last": "torch_images:predict_channels_last",
    "PyTorch, compiled, channels_last": "torch_images:predict_compiled",
    "ONNX Runtime": "onnxruntime_images:predict",
    "ONNX Runtime, bound": "onnxruntime_images:predict_bound",
    "JAX": "jax_images:predict",
}
_ALTERNATIVES = {
    "nnfast, b stored transposed": "nnfast_:product_stored_otherwise",
    "nnfast, k shared by threads": "nnfast_:product_split_over_k",
}

ADAPTERS: dict[str, dict[str, str]] = {
    "product": _PRODUCTS,
    "step": _STEPS,
    "prediction": _PREDICTIONS,
    "elementwise": _ELEMENTWISE,
    "update": {
        "nnfast": "nnfast_updates:update",
        "PyTorch, foreach": "torch_updates:update_foreach",
        "PyTorch, fused": "torch_updates:update_fused",
    },
    "reduction": _REDUCTIONS,
    "batched product": _BATCHED_PRODUCTS,
    "chain": _CHAINS,
    "scaling": {"nnfast": "nnfast_:on_all_threads", "nnfast on one thread": "nnfast_:on_one_thread"},
    "reproducible product": _PRODUCTS | _ALTERNATIVES,
    "convolution": _CONVOLUTIONS,
    "pooling": _POOLINGS,
    "normalization": _NORMALIZATIONS,
    "image step": _IMAGE_STEPS,
    "image prediction": _IMAGE_PREDICTIONS,
    "recurrent step": {
        "nnfast": "nnfast_sequences:step",
        "PyTorch": "torch_sequences:step",
        "PyTorch, fused optimizer": "torch_sequences:step_fused",
    },
    "recurrent prediction": {
        "nnfast": "nnfast_sequences:predict",
        "PyTorch": "torch_sequences:predict",
        "ONNX Runtime": "onnxruntime_sequences:predict",
        "ONNX Runtime, bound": "onnxruntime_sequences:predict_bound",
    },
    "attention": {"nnfast": "nnfast_attention:attention", "PyTorch": "torch_attention:attention"},
    "transformer block": {
        "nnfast": "nnfast_attention:step",
        "PyTorch": "torch_attention:step",
        "PyTorch, fused optimizer": "torch_attention:step_fused",
        "PyTorch, compiled": "torch_attention:step_compiled",
    },
    "next step": {"nnfast": "nnfast_attention:next_step", "PyTorch": "torch_attention:next_step"},
    "augmentation": {
        "nnfast": "nnfast_images:epoch_augmented",
        "nnfast without augmentation": "nnfast_images:epoch",
    },
}
"""For each kind of task the contenders, nnfast first: module and function that makes one (None if it does not fit)."""

_NEEDS = {"torch": ["torch"], "jax": ["jax"], "onnxruntime": ["onnx", "onnxruntime"], "sklearn": ["sklearn"]}
"""Packages by the beginnings of the modules' names."""

TOLERANCES = {"output": 3e-5, "first loss": 1e-5, "losses": 1e-5, "change": 1e-3}
TOLERANCES |= dict.fromkeys(("dx", "dkernel", "dbias", "dgamma", "dbeta"), 3e-5)
"""Largest difference from nnfast's result, as Euclidean norms, relative; that of "change" holds for each parameter.

Rounding alone was seen to make 1e-5 in sums of 131072 terms, 3e-7 in losses and 3e-5 in the change of a parameter.
Another activation, loss, gradient or rate makes more than any of these limits.
"""


def missing(kind: str, name: str) -> list[str]:
    """Packages required by a contender that are not installed."""
    module = ADAPTERS[kind][name].partition("_")[0]
    return [package for package in _NEEDS.get(module, []) if importlib.util.find_spec(package) is None]


def checked(task: Task, name: str, contender: Contender) -> Results:
    """Results of a contender for comparison, without random numbers."""
    contender.prepare()
    results = contender.result()
    same = task.without_chance()
    if same is not task:
        other = make(same, name)
        assert other is not None
        other.prepare()
        results = other.result()
    return results


def make(task: Task, name: str) -> Contender | None:
    """The contender with the given name for a task; None if it does not support the task."""
    module, _, function = ADAPTERS[task.kind][name].partition(":")
    contender: Contender | None = getattr(importlib.import_module(f"bench.peers.{module}"), function)(task)
    return contender


def step_results(step: Callable[[], Any], parameters: Callable[[], list[NDArray[Any]]]) -> Results:
    """Losses of three steps, and the changes of all parameters, in the workload's order."""

    def now() -> list[NDArray[Any]]:
        return [np.array(array, np.float64) for array in parameters()]

    before = now()
    losses = np.array([float(step()) for _ in range(3)])
    changes = {f"change {i}": b - a for i, (a, b) in enumerate(zip(before, now(), strict=True))}
    return {"first loss": losses[:1], "losses": losses} | changes


def differences(task: Task, results: Results, truth: Results) -> list[str]:
    """Description of how results differ from nnfast's by more than the tolerance."""
    tolerances = TOLERANCES | task.tolerances()
    found = []
    for name, value in results.items():
        expected = truth[name]
        if value.shape != expected.shape:
            found.append(f"{name}: expected shape {expected.shape}, got {value.shape}")
            continue
        error = float(np.linalg.norm((value - expected).ravel()) / np.linalg.norm(expected.ravel()))
        tolerance = tolerances[name.rstrip(" 0123456789")]
        if not error <= tolerance:
            found.append(f"{name}: differs from nnfast's by {error:.2g}, more than {tolerance:.0e}")
    return found
