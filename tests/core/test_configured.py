"""What makes options: limits at exactly their value, plain configurations, what a repr shows."""

from __future__ import annotations

import inspect
import json
import math
from typing import Any

import numpy as np
import pytest

from nnfast import callbacks, data, initializers, layers, losses, metrics, optimizers, schedules
from nnfast.core.options import choose, flag, integer, real, shape_of
from nnfast.core.text import short_repr, shorten


def test_limits_of_integers() -> None:
    assert [integer("p", "n", n, minimum=3, upper_bound=6) for n in (3, 4, 5)] == [3, 4, 5]
    assert type(integer("p", "n", np.int8(3))) is int
    assert integer("p", "n", 1) == 1
    assert integer("p", "n", 2**63 - 1) == 2**63 - 1
    for n, wanted in ((2, "n >= 3"), (6, "n <= 5"), (2**70, "n <= 5")):
        with pytest.raises(ValueError, match=f"p: expected {wanted}, got {n}"):
            integer("p", "n", n, minimum=3, upper_bound=6)
    for n, wanted in ((0, "n >= 1"), (2**63, r"n < 2\^63")):
        with pytest.raises(ValueError, match=f"p: expected {wanted}, got {n}"):
            integer("p", "n", n)
    for value in (True, 1.0, "1", None, np.float64(1), np.array([1])):
        with pytest.raises(TypeError, match="p: expected an integer as n, got"):
            integer("p", "n", value)


def test_limits_of_reals() -> None:
    assert [real("p", "x", x, minimum=0.5, upper_bound=2.0) for x in (0.5, 1, math.nextafter(2, 0))][:2] == [0.5, 1.0]
    assert type(real("p", "x", np.float32(0.5))) is float
    for x in (math.nextafter(0.5, 0), 2.0, math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match=r"p: expected 0\.5 <= x < 2, got"):
            real("p", "x", x, minimum=0.5, upper_bound=2.0)
    with pytest.raises(ValueError, match="p: expected a finite x >= 0, got -1"):
        real("p", "x", -1, minimum=0.0)
    with pytest.raises(ValueError, match="p: expected a finite number as x, got inf"):
        real("p", "x", math.inf)
    for value in (True, "1", None, 1j, np.array([1.0])):
        with pytest.raises(TypeError, match="p: expected a real number as x, got"):
            real("p", "x", value)


def test_flags() -> None:
    values = (True, False, 1, 0, np.bool_(True), np.int8(0))
    assert [flag("p", "f", value) for value in values] == [True, False, True, False, True, False]
    assert all(type(flag("p", "f", value)) is bool for value in values)
    for value in (2, -1, "True", None, 1.0, np.array([True]), []):
        with pytest.raises(TypeError, match="p: expected True or False as f, got"):
            flag("p", "f", value)


def test_shapes() -> None:
    assert shape_of("p", "s", 3) == (3,)
    assert shape_of("p", "s", [3, np.int64(4)]) == (3, 4)
    assert shape_of("p", "s", (0,), minimum=0) == (0,)
    with pytest.raises(ValueError, match="p: expected size in s >= 1, got 0"):
        shape_of("p", "s", (0,))
    assert shape_of("p", "s", [1] * 63) == (1,) * 63
    with pytest.raises(ValueError, match="p: expected at most 63 sizes as s, got 64"):
        shape_of("p", "s", [1] * 64)


def test_long_texts_are_shortened() -> None:
    assert shorten("a" * 20, limit=20) == "a" * 20
    assert shorten("a" * 10 + "b" + "c" * 10, limit=20) == f"{'a' * 10} ... (1 characters) ... {'c' * 10}"
    assert (short_repr("x" * 298), len(short_repr("x" * 299))) == (
        repr("x" * 298),
        300 + len(" ... (1 characters) ... "),
    )
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert short_repr(deep) == "a list that is nested too deeply to be shown"


def test_the_nearest_name() -> None:
    names = ["mse", "mae", "cross_entropy", "binary_cross_entropy"]
    assert choose("loss", "mse", names) == "mse"
    for given, near in (
        ("msee", "mse"),
        ("Cross-Entropy", "cross_entropy"),
        ("binary_crossentropy", "binary_cross_entropy"),
        ("my_mae", "mae"),
    ):
        with pytest.raises(ValueError, match=f"unknown loss '{given}'; did you mean '{near}'"):
            choose("loss", given, names)
    with pytest.raises(ValueError, match="unknown loss 'xyz'; valid names: binary_cross_entropy, cross_entropy, mae"):
        choose("loss", "xyz", names)
    assert choose("loss", "L2 loss", names, {"l2_loss": "mse"}) == "mse"
    with pytest.raises(ValueError, match="did you mean 'mse'"):
        choose("loss", "l2_lss", names, {"l2_loss": "mse"})


def test_repr_shows_what_is_no_default() -> None:
    for value, wanted in (
        (layers.Dense(3), "Dense(3)"),
        (layers.Dense(3, "linear", kernel_initializer="glorot_uniform", trainable=True), "Dense(3)"),
        (layers.Dense(3, use_bias=False), "Dense(3, use_bias=False)"),
        (layers.Dense(3, layers.LeakyReLU(0.2)), "Dense(3, activation={'name': 'leaky_relu', 'alpha': 0.2})"),
        (layers.Dense(3, bias_initializer=0.5), "Dense(3, bias_initializer=Constant(value=0.5))"),
        (layers.Dense(3, trainable=("bias",)), "Dense(3, trainable=('bias',))"),
        (layers.MaxPool2D(), "MaxPool2D()"),
        (layers.MaxPool2D((2, 3), padding="same"), "MaxPool2D(pool_size=(2, 3), padding='same')"),
        (optimizers.SGD(0.1, momentum=0.9), "SGD(learning_rate=0.1, momentum=0.9)"),
        (initializers.RandomUniform(-0.05, 0.1), "RandomUniform(maxval=0.1)"),
        (losses.CrossEntropy(from_logits=True), "CrossEntropy(from_logits=True)"),
    ):
        assert repr(value) == wanted


class Own(layers.CustomLayer):
    def __init__(self, factor: Any, sizes: Any = (), *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.factor, self.sizes = factor, sizes


def test_configurations_are_plain() -> None:
    config = Own(np.float32(0.5), (np.int64(2), [np.bool_(True)])).get_config()
    assert json.loads(json.dumps(config)) == config == {"factor": 0.5, "sizes": [2, [True]], "name": None}
    nested = layers.Dense(1, kernel_initializer=initializers.RandomNormal(stddev=2.0)).get_config()
    assert nested["kernel_initializer"] == {"class": "RandomNormal", "config": {"mean": 0.0, "stddev": 2.0}}


# As the docstrings have them, from the sources that these name.
DEFAULTS: list[tuple[Any, dict[str, Any]]] = [
    (layers.BatchNormalization(), {"momentum": 0.99, "epsilon": 1e-3, "center": True, "scale": True}),
    (layers.LayerNormalization(), {"epsilon": 1e-3}),
    (layers.GroupNormalization(), {"epsilon": 1e-3, "groups": 32}),
    (layers.LeakyReLU(), {"negative_slope": 0.01}),
    (layers.ELU(), {"alpha": 1.0}),
    (layers.GELU(), {"approximate": False}),
    (layers.Heaviside(), {"threshold": 0.0}),
    (layers.Conv2D(1, 3), {"strides": 1, "padding": "valid", "dilation_rate": 1, "groups": 1, "use_bias": True}),
    (layers.DepthwiseConv2D(3), {"depth_multiplier": 1, "strides": 1, "padding": "valid"}),
    (layers.AvgPool1D(), {"pool_size": 2, "strides": None, "padding": "valid"}),
    (layers.UpSampling2D(), {"size": 2, "interpolation": "nearest"}),
    (layers.ZeroPadding2D(), {"padding": 1}),
    (layers.Concatenate(), {"axis": -1}),
    (layers.Rescaling(2.0), {"offset": 0.0}),
    (layers.GlobalAvgPool2D(), {"keepdims": False}),
    (optimizers.SGD(), {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False}),
    (optimizers.Adam(), {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}),
    (losses.Huber(), {"delta": 1.0}),
    (losses.CrossEntropy(), {"from_logits": False, "label_smoothing": 0.0}),
    (losses.BinaryCrossEntropy(), {"from_logits": False}),
    (schedules.Cosine(0.1, 5), {"final": 0.0, "warmup": 0}),
    (schedules.OneCycle(0.1, 5), {"rise": 0.3, "final": 0.0, "shape": "cosine"}),
    (schedules.Exponential(0.1, 5, 0.5), {"staircase": False}),
    (
        callbacks.EarlyStopping(),
        {"monitor": "val_loss", "patience": 5, "min_delta": 0.0, "restore_best_weights": True},
    ),
    (data.Augmentation(), {"shift": 0.0, "rotation": 0.0, "zoom": 0.0, "fill": "constant", "fill_value": 0.0}),
    (metrics.get("huber").loss, {"delta": 1.0}),  # type: ignore[attr-defined]
]


@pytest.mark.parametrize(("value", "wanted"), DEFAULTS, ids=[type(value).__name__ for value, _ in DEFAULTS])
def test_documented_defaults(value: Any, wanted: dict[str, Any]) -> None:
    assert {name: getattr(value, name) for name in wanted} == wanted


def test_every_layer_keeps_its_name() -> None:
    required = {"shape": 3, "units": 2, "filters": 2, "kernel_size": 3, "rate": 0.5, "stddev": 0.1, "scale": 2.0}
    required |= {
        "target_shape": (3,),
        "cropping": 1,
        "activation": "relu",
        "input_dim": 3,
        "output_dim": 2,
        "indices_or_sections": 2,
        "dims": (1,),
        "n": 2,
        "function": abs,
        "kind": "elementwise",
        "attributes": {"function": "exp"},
        "kl_weight": 1.0,
        "layer": layers.GRU(2, return_sequences=True),
        "num_heads": 2,
        "num_query_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 2,
        "key_dim": 2,
        "sequence_length": 3,
        "vocabulary_size": 3,
        "embedding_dim": 2,
        "intermediate_dim": 2,
    }
    for make in layers.CLASSES.values():
        given = {
            name: required[name]
            for name, parameter in inspect.signature(make).parameters.items()
            if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        }
        assert make(**given, name="own").name == "own", make
