"""Models that Keras has saved give Keras's predictions, and networks in Keras those of nnfast."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_models import MODELS

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras", reason="Keras is not installed")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of NumPy and JAX, in Keras

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(autouse=True)
def in_float32() -> Iterator[None]:
    before = keras.config.floatx()
    keras.config.set_floatx("float32")
    yield
    keras.config.set_floatx(before)


def with_random_weights(model: Any, rng: np.random.Generator) -> Any:
    """The model with weights, moving averages too, that are not those of its initializers."""
    model.set_weights(
        [
            (w + 0.1 * rng.normal(size=w.shape)).astype("float32") if w.ndim > 1 else rng.uniform(0.5, 1.5, w.shape)
            for w in model.get_weights()
        ]
    )
    return model


def data_for(model: Any, rng: np.random.Generator) -> Any:
    def rows(tensor: Any) -> Array:
        shape = (3, *tensor.shape[1:])
        return rng.integers(0, 11, shape) if "int" in str(tensor.dtype) else rng.normal(size=shape).astype("float32")

    if model.name == "of_dicts":
        return {tensor.name: rows(tensor) for tensor in model.inputs}
    return rows(model.inputs[0]) if len(model.inputs) == 1 else [rows(tensor) for tensor in model.inputs]


def assert_same(expected: Any, got: Any) -> None:
    if isinstance(expected, dict):
        assert set(expected) == set(got)
        for name in expected:
            np.testing.assert_allclose(got[name], expected[name], **TOLERANCE)
    elif isinstance(expected, list | tuple):
        assert len(expected) == len(got)
        for one, other in zip(expected, got, strict=True):
            np.testing.assert_allclose(other, one, **TOLERANCE)
    else:
        np.testing.assert_allclose(got, expected, **TOLERANCE)


@pytest.mark.parametrize("name", MODELS)
def test_models_of_keras(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    if name == "attention" and keras.backend.backend() == "jax":
        pytest.skip("Keras's attention on JAX wants values as wide as keys")
    model = with_random_weights(MODELS[name](), rng)
    x = data_for(model, rng)
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "a.keras")
    net = nf.from_keras(tmp_path / "a.keras", seed=0)
    assert_same(expected, net.predict(x))
    net.save(tmp_path / "a.safetensors")
    assert_same(net.predict(x), nf.Network.load(tmp_path / "a.safetensors").predict(x))
    # The weights alone, in either format, into a network that has others.
    model.save_weights(tmp_path / "a.weights.h5")
    for source in ("a.keras", "a.weights.h5"):
        other = net.copy()
        other.set_state({k: v if k.endswith(".value") else 0 * v for k, v in other.parameters.items()}, ())
        read = nf.io.load_keras_weights(other, tmp_path / source)
        assert read == [k for k in net.parameters if not k.endswith(".value")]
        assert_same(net.predict(x), other.predict(x))


@pytest.mark.parametrize("name", ["dense", "convolutions", "recurrent", "several_inputs"])
@pytest.mark.filterwarnings("ignore")
def test_legacy_files(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    model = with_random_weights(MODELS[name](), rng)
    x = data_for(model, rng)
    model.save(tmp_path / "a.h5")
    assert_same(model.predict(x, verbose=0), nf.from_keras(tmp_path / "a.h5").predict(x))


def test_frozen_layers_and_options(tmp_path: Path) -> None:
    model = MODELS["nested"]()
    model.save(tmp_path / "a.keras")
    net = nf.from_keras(tmp_path / "a.keras")
    assert net.frozen == ["middle/inner/only.kernel", "middle/inner/only.bias"]
    MODELS["dense"]().save(tmp_path / "b.keras")
    first = nf.from_keras(tmp_path / "b.keras").layers[1]
    assert repr(first.kernel_regularizer) == "L2()"  # type: ignore[attr-defined]


def test_open_sizes(tmp_path: Path, rng: np.random.Generator) -> None:
    model = keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(4)])
    model.save(tmp_path / "a.keras")
    with pytest.raises(ValueError, match=r"expected sizes of all axes.*pass input_shape"):
        nf.from_keras(tmp_path / "a.keras")
    net = nf.from_keras(tmp_path / "a.keras", input_shape=(5, 3))
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    assert_same(model.predict(x, verbose=0), net.predict(x))


def test_what_is_code_is_refused(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x * 2)])
    model.save(tmp_path / "a.keras")
    with pytest.raises(ValueError, match=r"'Lambda' \(a Lambda layer is code, which is not run\).*custom_objects"):
        nf.from_keras(tmp_path / "a.keras")

    class Double(layers.Layer):
        def __init__(self, factor: float, name: str | None = None) -> None:
            super().__init__(name=name)
            self.factor = factor

        def call(self, x: Any) -> Any:
            return self.factor * x

    @keras.saving.register_keras_serializable()
    class Times(keras.layers.Layer):
        def __init__(self, factor: float, **options: Any) -> None:
            super().__init__(**options)
            self.factor = factor

        def call(self, x: Any) -> Any:
            return self.factor * x

        def get_config(self) -> Any:
            return {**super().get_config(), "factor": self.factor}

    model = keras.Sequential([keras.Input((3,)), Times(3.0)])
    model.save(tmp_path / "b.keras")
    with pytest.raises(ValueError, match=r"got 'Times'; write it as a layers.Layer"):
        nf.from_keras(tmp_path / "b.keras")
    net = nf.from_keras(tmp_path / "b.keras", custom_objects={"Times": Double})
    assert net.predict([[1.0, 2.0, 3.0]]).tolist() == [[3.0, 6.0, 9.0]]


# ---- networks in Keras -----------------------------------------------------------


def _graph() -> nf.Network:
    a, b = layers.Input((6, 4), name="a"), layers.Input((4,), name="b")
    shared = layers.Dense(4, "tanh", name="shared")
    y, h = layers.GRU(4, return_sequences=True, return_state=True)(shared(a), initial_state=[b])
    z = layers.MultiHeadAttention(2, 3)(y, a)
    return nf.Network(inputs=[a, b], outputs=[layers.Flatten()(z + y), shared(h)], seed=1)


NETWORKS = {
    "dense": lambda: nf.Network([layers.Input((4,)), layers.Dense(5, "gelu_tanh"), layers.Dense(2, "leaky_relu")]),
    "convnet": lambda: nf.Network(
        [
            layers.Input((9, 9, 2)),
            layers.Conv2D(4, 3, padding=1, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPool2D(2),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.Conv2DTranspose(3, 3, strides=2),
            layers.GroupNormalization(3),
            layers.PReLU(),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(3, "log_softmax"),
        ]
    ),
    "recurrent": lambda: nf.Network(
        [
            layers.Input((5,), dtype="int32"),
            layers.Embedding(11, 4, mask_zero=True),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
            layers.TimeDistributed(layers.Dense(4)),
            layers.SimpleRNN(3),
            layers.Normalization(),
        ]
    ),
    "graph": _graph,
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
def test_networks_in_keras(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    net = NETWORKS[name]()
    state = {k: v + rng.uniform(0.1, 0.5, v.shape) for k, v in net.parameters.items()}
    net.set_state(state, ())
    model = nf.io.to_keras(net)
    x = data_for(model, rng)
    assert_same(net.predict(x), model.predict(x, verbose=0))
    model.save(tmp_path / "a.keras")
    if name != "dense":  # whose activation function is one of Python's
        assert_same(net.predict(x), nf.from_keras(tmp_path / "a.keras").predict(x))


def test_layers_without_counterpart_are_named() -> None:
    net = nf.Network([layers.Input((4, 2)), layers.SinePositionEncoding(name="where")])
    with pytest.raises(ValueError, match=r"expected layers that Keras has, got where \(SinePositionEncoding\)"):
        nf.io.to_keras(net)
    net = nf.Network([layers.Input((4, 2)), layers.MultiHeadAttention(2, 2, rotary=True)])
    with pytest.raises(ValueError, match=r"got multi_head_attention with rotary=10000"):
        nf.io.to_keras(net)
