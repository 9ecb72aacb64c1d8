"""Whatever an argument is, a call works or names the mistake: no text of pybind11, no failed allocation of NumPy."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from layer_table import ROWS, network

import nnfast as nf
from nnfast import (
    callbacks,
    constraints,
    initializers,
    kernels,
    layers,
    losses,
    metrics,
    optimizers,
    regularizers,
    schedules,
)
from nnfast.core.options import _arguments

# Sizes are so large that no machine has the memory, or small.
ABSURD: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 3, 2**40, 2**62, 2**63 - 1, 2**63, 2**64, -(2**63), -(2**70), 10**30),
    *(0.5, -1.5, 1e300, -1e300, math.nan, math.inf, 1j, Decimal("0.5"), Fraction(1, 3)),
    *("", "x", "relu\0", b"x", [], [1, 2], [2**40, 2**40], (2**62, 2**62), [0.5, None], [[1, 2], [3, 4]], [[[[1]]]]),
    *({}, {"name": "x"}, set(), object(), int, len, lambda *_: None, ..., range(3)),
    *(np.int64(-1), np.uint64(2**64 - 1), np.float16(2), np.bool_(True), np.float64(math.nan), np.str_("x")),
    *(np.array(1.0), np.array([]), np.array([1, 2]), np.ones((2, 2), "float32"), np.array(["a"]), np.array([None])),
)

X = np.linspace(0.1, 0.9, 9, dtype="float32").reshape(3, 3)
V = X[0].copy()
IMAGE = X.reshape(1, 3, 3, 1)
POOLED = IMAGE[:, :1, :1].copy()
CHANNEL = np.ones(1, "float32")
LABELS = np.array([0, 1, 2])
KERNEL = np.ones((2, 2, 1, 1), "float32")
OPTIONS = {"strides": 1, "padding": "valid"}
HEADS = np.ones((1, 3, 1, 2), "float32")
UNITS = np.full((2, 3), 0.5, "float32")
NOISE = {"rate": 0.0, "seed": 0, "step": 0, "stream": 0}

KERNELS: dict[str, dict[str, Any]] = {
    "activation_backward": {"name": "relu", "dy": X, "x": X, "y": X, "alpha": None, "out": None},
    "activation_forward": {"name": "elu", "x": X, "alpha": 1.0, "out": None},
    "binary_backward": {"name": "multiply", "dy": X, "a": X, "b": X, "y": X, "out": None},
    "binary_forward": {"name": "add", "a": X, "b": X, "out": None},
    "unary_backward": {"name": "exp", "dy": X, "x": X, "y": X, "out": None},
    "unary_forward": {"name": "exp", "x": X, "out": None},
    "where_backward": {"dy": X, "condition": X, "out": None},
    "where_forward": {"condition": X, "a": X, "b": X, "out": None},
    "adam_update": {
        "parameters": V.copy(),
        "gradients": V,
        "m": V.copy(),
        "v": V.copy(),
        "learning_rate": 0.1,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-7,
        "step": 1,
    },
    "add": {"a": X, "b": X},
    "argmax": {"x": X},
    "augment": {
        "images": IMAGE,
        "augmentation": nf.data.Augmentation(horizontal_flip=True),
        "seed": 0,
        "step": 0,
        "scale": 1.0,
        "offset": 0.0,
        "dtype": "float32",
    },
    "avg_pool2d_backward": {"dy": IMAGE, "size": (4, 4), "pool_size": 2, "out": None, **OPTIONS},
    "avg_pool2d_forward": {"x": IMAGE, "pool_size": 2, "out": None, **OPTIONS},
    "batch_norm_backward": {
        "dy": IMAGE,
        "x": IMAGE,
        "gamma": CHANNEL,
        "beta": CHANNEL,
        "mean": CHANNEL,
        "variance": CHANNEL,
        "epsilon": 1e-3,
        "activation": "identity",
        "constant": False,
        "out": None,
    },
    "batch_norm_forward": {
        "x": IMAGE,
        "gamma": CHANNEL,
        "beta": CHANNEL,
        "mean": CHANNEL,
        "variance": CHANNEL,
        "epsilon": 1e-3,
        "activation": "identity",
        "out": None,
    },
    "conv2d_algorithms": {"x": IMAGE, "kernel": KERNEL, "dilation_rate": 1, "groups": 1, **OPTIONS},
    "conv2d_backward": {
        "dy": np.ones((1, 2, 2, 1), "float32"),
        "x": IMAGE,
        "kernel": KERNEL,
        "dilation_rate": 1,
        "groups": 1,
        "input_gradient": True,
        **OPTIONS,
    },
    "conv2d_forward": {
        "x": IMAGE,
        "kernel": KERNEL,
        "bias": CHANNEL,
        "dilation_rate": 1,
        "groups": 1,
        "activation": "relu",
        "alpha": None,
        "out": None,
        **OPTIONS,
    },
    "cropping2d_backward": {"dy": IMAGE, "cropping": 1, "out": None},
    "cropping2d_forward": {"x": IMAGE, "cropping": 1, "out": None},
    "dropout_backward": {"dy": X, "rate": 0.5, "seed": 0, "step": 0, "stream": 0},
    "dropout_forward": {"x": X, "rate": 0.5, "seed": 0, "step": 0, "stream": 0},
    **{name: {"x": X} for name in ("erf", "exp", "expm1", "log", "log1p", "sigmoid", "tanh")},
    "gather_rows": {"x": X, "indices": LABELS, "scale": 1.0, "offset": 0.0, "dtype": "float32"},
    "global_avg_pool2d_backward": {"dy": X, "size": (2, 2), "out": None},
    "global_avg_pool2d_forward": {"x": IMAGE, "out": None},
    "global_max_pool2d_backward": {"dy": X, "winners": X, "size": (2, 2), "out": None},
    "global_max_pool2d_forward": {"x": IMAGE, "out": None, "winners": None},
    "group_norm_backward": {"dy": IMAGE, "x": IMAGE, "gamma": CHANNEL, "groups": 1, "epsilon": 1e-3},
    "group_norm_forward": {"x": IMAGE, "gamma": CHANNEL, "beta": CHANNEL, "groups": 1, "epsilon": 1e-3, "out": None},
    "attention_backward": {
        "dy": HEADS,
        "y": HEADS,
        "log_sums": np.ones((1, 3, 1), "float32"),
        "q": HEADS,
        "k": HEADS,
        "v": HEADS,
        "mask": None,
        "causal": False,
        "scale": None,
        **NOISE,
    },
    "attention_forward": {
        "q": HEADS,
        "k": HEADS,
        "v": HEADS,
        "mask": None,
        "causal": False,
        "scale": None,
        **NOISE,
        "out": None,
    },
    "rotary_backward": {"dy": HEADS, "offsets": None, "base": 1e4, "interleaved": False, "out": None},
    "rotary_forward": {"x": HEADS, "offsets": None, "base": 1e4, "interleaved": False, "out": None},
    "gru_reset_backward": {"d_reset": UNITS, "gates": np.tile(UNITS, 3), "h": UNITS},
    "gru_reset_forward": {"z": np.tile(UNITS, 3), "h": UNITS},
    "gru_step_backward": {"dh": UNITS, "gates": np.tile(UNITS, 3), "h": UNITS, "recurrent": UNITS},
    "gru_step_forward": {"z": np.tile(UNITS, 3), "h": UNITS, "recurrent": UNITS},
    "lstm_step_backward": {"dh": UNITS, "dc": UNITS, "gates": np.tile(UNITS, 4), "c_before": UNITS, "c": UNITS},
    "lstm_step_forward": {"z": np.tile(UNITS, 4), "c": UNITS},
    "rms_norm_backward": {"dy": X, "x": X, "gamma": V, "epsilon": 1e-3},
    "rms_norm_forward": {"x": X, "gamma": V, "epsilon": 1e-3, "out": None},
    "layer_norm_backward": {"dy": X, "x": X, "gamma": V, "epsilon": 1e-3},
    "layer_norm_forward": {"x": X, "gamma": V, "beta": V, "epsilon": 1e-3, "out": None},
    "log_softmax_backward": {"dy": X, "y": X, "out": None},
    "log_softmax_forward": {"x": X, "out": None},
    **{
        name: {
            "name": "huber",
            "prediction": X,
            "target": X,
            "sample_weight": V,
            "delta": 1.0,
            "from_logits": False,
            "label_smoothing": 0.0,
        }
        for name in ("loss_forward", "loss_backward")
    },
    "matmul": {
        "a": X,
        "b": X,
        "out": None,
        "transpose_a": False,
        "transpose_b": False,
        "bias": V,
        "activation": "relu",
        "alpha": None,
        "accumulate": False,
    },
    "matvec": {"a": X, "x": V, "transpose": False},
    "max_pool2d_backward": {"dy": POOLED, "winners": POOLED, "size": (3, 3), "pool_size": 2, "out": None, **OPTIONS},
    "max_pool2d_forward": {"x": IMAGE, "pool_size": 2, "out": None, "winners": None, **OPTIONS},
    "multiply": {"a": X, "b": X},
    "optimizer_update": {
        "optimizer": optimizers.RMSprop(),
        "parameters": V.copy(),
        "gradients": V,
        "state": {"v": V.copy()},
        "step": 1,
    },
    **{name: {"n": 4, "seed": 0, "stream": 0, "dtype": "float32"} for name in ("random_normal", "random_uniform")},
    "random_permutation": {"n": 4, "seed": 0, "stream": 0},
    "reduce_max": {"x": X, "axis": None},
    "reduce_sum": {"x": X, "axis": None},
    "sgd_update": {
        "parameters": V.copy(),
        "gradients": V,
        "velocity": V.copy(),
        "learning_rate": 0.1,
        "momentum": 0.9,
        "nesterov": False,
    },
    "softmax_backward": {"dy": X, "y": X, "out": None},
    "softmax_forward": {"x": X, "out": None},
    "upsample2d_backward": {"dy": np.ones((1, 4, 4, 1), "float32"), "size": 2, "interpolation": "nearest", "out": None},
    "upsample2d_forward": {"x": IMAGE, "size": 2, "interpolation": "nearest", "out": None},
    "zero_padding2d_backward": {"dy": IMAGE, "padding": 1, "out": None},
    "zero_padding2d_forward": {"x": IMAGE, "padding": 1, "out": None},
}


def complaint(call: Callable[..., Any], arguments: dict[str, Any], *, plain: bool) -> str:
    """What is wrong with how the call takes the arguments; "" where it works or names the mistake.

    With `plain` the text must be nnfast's own, so not one of NumPy or of Python.
    """
    try:
        call(**arguments)
    except (ValueError, TypeError, RuntimeError, OSError) as error:
        text = str(error)
        own = re.search(r"\bexpected|unknown|did you mean|has no length yet", text) is not None
        foreign = any(words in text for words in ("incompatible function", "Unable to cast", "argument types are"))
        return f"{type(error).__name__}: {text[:200]}" if foreign or (plain and not own) else ""
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:200]
    return ""


def complaints(name: str, call: Callable[..., Any], good: dict[str, Any], *, plain: bool = True) -> Iterator[str]:
    """Of every argument in turn, for every absurd value."""
    assert complaint(call, good, plain=plain) == "", name
    for argument in good:
        for value in ABSURD:
            found = complaint(call, {**good, argument: value}, plain=plain)
            if found:
                yield f"{name}({argument}={value!r:.60}) {found}"


def test_every_kernel_is_here() -> None:
    assert set(KERNELS) == set(kernels.__all__)
    for name, good in KERNELS.items():
        assert set(inspect.signature(getattr(kernels, name)).parameters) == set(good), name


@pytest.mark.parametrize("name", KERNELS)
def test_kernels(name: str) -> None:
    assert list(complaints(name, getattr(kernels, name), KERNELS[name])) == []


# ---- constructors ----------------------------------------------------------

NAME = {"name": "a"}


def layer_arguments(layer: layers.Layer) -> dict[str, Any]:
    """Those of its constructor, as they were given."""
    return {name: getattr(layer, name) for name in _arguments(type(layer))} | NAME


@pytest.mark.parametrize("name", [name for name in ROWS if name not in ("Input", "CustomLayer")])
def test_layers(name: str) -> None:
    layer = ROWS[name].make()

    def make(**arguments: Any) -> None:
        network(ROWS[name], layer=type(layer)(**arguments))

    assert list(complaints(name, make, layer_arguments(layer))) == []


RATE = {"learning_rate": 0.1}
ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
OBJECTS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "Input": (lambda **a: nf.Network([layers.Input(**a), layers.ReLU()]), {"shape": (2,), "dtype": "int32", **NAME}),
    "Huber": (losses.Huber, {"delta": 1.0}),
    "BinaryCrossEntropy": (losses.BinaryCrossEntropy, {"from_logits": True}),
    "CrossEntropy": (losses.CrossEntropy, {"from_logits": True, "label_smoothing": 0.1}),
    "losses.get": (losses.get, {"loss": "mse"}),
    "metrics.get": (metrics.get, {"metric": "mse"}),
    "LossMetric": (metrics.LossMetric, {"loss": "mse"}),
    "SGD": (optimizers.SGD, {**RATE, "momentum": 0.9, "nesterov": True}),
    "Adam": (optimizers.Adam, {**RATE, **ADAM, "amsgrad": True}),
    "AdamW": (optimizers.AdamW, {**RATE, **ADAM, "weight_decay": 0.1}),
    "Nadam": (optimizers.Nadam, {**RATE, **ADAM, "momentum_decay": 0.004}),
    "Adamax": (optimizers.Adamax, {**RATE, **ADAM}),
    "Lamb": (optimizers.Lamb, {**RATE, **ADAM}),
    "LBFGS": (optimizers.LBFGS, {**RATE, "history_size": 3}),
    "Lion": (optimizers.Lion, {**RATE, "beta_1": 0.9, "beta_2": 0.99}),
    "Adagrad": (optimizers.Adagrad, {**RATE, "initial_accumulator_value": 0.1, "epsilon": 1e-7}),
    "Adadelta": (optimizers.Adadelta, {**RATE, "rho": 0.95, "epsilon": 1e-7}),
    "Muon": (
        optimizers.Muon,
        {
            **RATE,
            "adam_beta_1": 0.9,
            "adam_beta_2": 0.999,
            "epsilon": 1e-7,
            "adam_lr_ratio": 0.5,
            "momentum": 0.9,
            "ns_steps": 3,
            "nesterov": False,
            "rms_rate": 0.1,
            "exclude": ["a"],
        },
    ),
    "RMSprop": (optimizers.RMSprop, {**RATE, "rho": 0.9, "momentum": 0.9, "epsilon": 1e-7, "centered": True}),
    "options of optimizers": (
        optimizers.Adam,
        {
            "weight_decay": 0.1,
            "weight_decay_exclude": (),
            "learning_rate_multipliers": {"bias": 1.0},
            "use_ema": True,
            "ema_momentum": 0.9,
            "ema_overwrite_frequency": 2,
            "gradient_accumulation_steps": 2,
        },
    ),
    "optimizers.get": (optimizers.get, {"optimizer": "adam"}),
    "L1": (regularizers.L1, {"l1": 0.1}),
    "L2": (regularizers.L2, {"l2": 0.1}),
    "L1L2": (regularizers.L1L2, {"l1": 0.1, "l2": 0.1}),
    "OrthogonalRegularizer": (regularizers.OrthogonalRegularizer, {"factor": 0.1, "mode": "rows"}),
    "regularizers.get": (regularizers.get, {"regularizer": "l1"}),
    "MaxNorm": (constraints.MaxNorm, {"max_value": 2.0, "axis": 0}),
    "UnitNorm": (constraints.UnitNorm, {"axis": (0, 1)}),
    "MinMaxNorm": (constraints.MinMaxNorm, {"min_value": 0.5, "max_value": 1.0, "rate": 0.5, "axis": 0}),
    "constraints.get": (constraints.get, {"constraint": "max_norm"}),
    "initializers.get": (initializers.get, {"initializer": "ones"}),
    "initializers.Constant": (initializers.Constant, {"value": 1.0}),
    "RandomUniform": (initializers.RandomUniform, {"minval": -1.0, "maxval": 1.0}),
    "RandomNormal": (initializers.RandomNormal, {"mean": 0.0, "stddev": 1.0}),
    "Orthogonal": (initializers.Orthogonal, {"gain": 1.0}),
    **{
        f"values of {name}": (initializers.get(name), {"shape": (3, 2), "seed": 0, "stream": 0})
        for name in ("glorot_uniform", "he_normal", "random_normal", "orthogonal")
    },
    "activations.get": (nf.activations.get, {"activation": "elu", "alpha": 1.0}),
    "Cosine": (schedules.Cosine, {"initial": 0.1, "steps": 10, "final": 0.0, "warmup": 2}),
    "OneCycle": (
        schedules.OneCycle,
        {"peak": 0.1, "steps": 10, "rise": 0.3, "initial": 0.0, "final": 0.0, "shape": "cosine"},
    ),
    "Piecewise": (schedules.Piecewise, {"boundaries": [5], "values": [0.1, 0.2]}),
    "Exponential": (schedules.Exponential, {"initial": 0.1, "steps": 10, "factor": 0.5, "staircase": True}),
    "EarlyStopping": (
        callbacks.EarlyStopping,
        {"monitor": "loss", "patience": 5, "min_delta": 0.0, "mode": "min", "restore_best_weights": True},
    ),
    "TerminateOnCondition": (callbacks.TerminateOnCondition, {"monitor": "loss", "below": 0.1, "min_change": 0.1}),
    "Augmentation": (
        nf.data.Augmentation,
        {
            "shift": 0.0,
            "horizontal_flip": False,
            "vertical_flip": False,
            "rotation": 0.0,
            "zoom": 0.0,
            "shear": 0.0,
            "crop_padding": 0,
            "cutout": 0,
            "brightness": 0.0,
            "contrast": 0.0,
            "fill": "constant",
            "fill_value": 0.0,
        },
    ),
    "set_num_threads": (nf.set_num_threads, {"n": nf.get_num_threads()}),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_objects(name: str) -> None:
    make, good = OBJECTS[name]
    threads = nf.get_num_threads()
    try:
        assert list(complaints(name, make, good)) == []
    finally:
        nf.set_num_threads(threads)


# ---- networks and training -------------------------------------------------

# Whether a call with a wrong argument has trained a little does not matter here.
NET = nf.Network([layers.Input((3,)), layers.Dense(3, "softmax")], seed=0)
TRAINER = nf.Trainer(NET, loss="cross_entropy")
BATCH = {"x": X, "y": LABELS, "sample_weight": V}
CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "Network": (
        nf.Network,
        {"layers": None, "inputs": None, "outputs": None, "seed": 0, "dtype": "float32", "name": "network"},
    ),
    "predict": (NET.predict, {"x": X, "batch_size": 2}),
    "trace": (NET.trace, {"x": X}),
    "loss_and_gradients": (NET.loss_and_gradients, {**BATCH, "loss": "cross_entropy", "training": False}),
    "explain": (NET.explain, {"x": X[:1], "y": LABELS[:1], "loss": "cross_entropy", "learning_rate": 0.1}),
    "set_weights": (NET.set_weights, {"weights": NET.get_weights()}),
    "get_layer": (NET.get_layer, {"name": "dense"}),
    "freeze": (lambda name: NET.copy().freeze(name), {"name": "dense"}),
    "copy": (NET.copy, {"dtype": "float32"}),
    "Trainer": (
        nf.Trainer,
        {"network": NET, "loss": "cross_entropy", "optimizer": "adam", "metrics": ["accuracy"]},
    ),
    "train_on_batch": (TRAINER.train_on_batch, BATCH),
    "evaluate": (TRAINER.evaluate, BATCH),
    "fit": (
        TRAINER.fit,
        {
            **BATCH,
            "batch_size": 2,
            "shuffle": True,
            "validation_data": None,
            "validation_split": 0.0,
            "class_weight": None,
            "augmentation": None,
            "callbacks": (),
            "progress": False,
        },
    ),
    "check_gradients": (
        nf.check_gradients,
        {
            "network": NET.copy("float64"),
            "x": X,
            "y": LABELS,
            "loss": "cross_entropy",
            "step": 1e-5,
            "tolerance": 1e-6,
            "max_elements": 2,
            "raise_on_failure": False,
            "training": False,
        },
    ),
}
INPUT = layers.Input((2,))
CALLS["Network"][1].update(inputs=INPUT, outputs=layers.ReLU()(INPUT))


@pytest.mark.parametrize("name", CALLS)
def test_calls(name: str) -> None:
    call, good = CALLS[name]
    assert list(complaints(name, call, good, plain=False)) == []
