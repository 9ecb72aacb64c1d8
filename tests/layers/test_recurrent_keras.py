"""Recurrent layers with the weights of Keras's, in float64: values, states and gradients."""

import os
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

os.environ.setdefault("KERAS_BACKEND", "jax")
jax = pytest.importorskip("jax", reason="JAX is not installed")
jax.config.update("jax_enable_x64", True)  # before Keras looks at it
keras = pytest.importorskip("keras", reason="Keras is not installed")
if keras.backend.backend() != "jax":
    pytest.skip("Keras runs on another backend than JAX", allow_module_level=True)
keras.config.set_floatx("float64")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of JAX, in Keras

STEPS, FEATURES, UNITS, ROWS = 6, 3, 4, 5
MASKS = {
    "right": np.arange(STEPS) < np.array([6, 3, 1, 0, 5])[:, None],
    "middle": np.array([[1, 1, 0, 0, 1, 0], [0, 1, 0, 1, 1, 1], [1] * 6, [0] * 6, [0, 0, 0, 1, 0, 0]]) > 0,
}
# Sums of some hundred products of numbers around 1, in other orders.
TOLERANCE = 1e-12

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "SimpleRNN": ("SimpleRNN", {}),
    "SimpleRNN of relu": ("SimpleRNN", {"activation": "relu", "use_bias": False}),
    "LSTM": ("LSTM", {}),
    "LSTM with other gates": ("LSTM", {"activation": "softsign", "recurrent_activation": "hard_sigmoid"}),
    "LSTM without a bias": ("LSTM", {"use_bias": False}),
    "GRU": ("GRU", {}),
    "GRU of the paper": ("GRU", {"reset_after": False}),
    "GRU without a bias": ("GRU", {"use_bias": False, "activation": "relu"}),
    "GRU of the paper without a bias": ("GRU", {"use_bias": False, "reset_after": False}),
}


def of_keras(name: str, **options: Any) -> Any:
    """The layer of Keras, with a tanh in float64: that of keras.ops is computed in float32."""
    return getattr(keras.layers, name)(UNITS, **{"activation": jax.numpy.tanh, **options})


def random_weights(layer: Any, *shapes: Any) -> list[Array]:
    """For a layer of Keras that is built for these shapes."""
    layer.build(*shapes)
    rng = np.random.default_rng(7)
    weights = [rng.uniform(-0.6, 0.6, variable.shape) for variable in layer.weights]
    layer.set_weights(weights)
    return weights


def results(layer: Any, mask: Array | None, inputs: list[Array], dy: list[Array]) -> tuple[list[Array], list[Array]]:
    """Outputs, and the gradients of weights, then of inputs."""

    def outputs(weights: Any, inputs: Any) -> Any:
        x, *states = inputs
        options = {"initial_state": states} if states else {}
        options |= {} if mask is None else {"mask": jax.numpy.asarray(mask)}
        made, _ = layer.stateless_call(weights, [v.value for v in layer.non_trainable_variables], x, **options)
        return list(made) if isinstance(made, list | tuple) else [made]

    y, pullback = jax.vjp(outputs, [v.value for v in layer.trainable_variables], [jax.numpy.asarray(x) for x in inputs])
    weights, d_inputs = pullback([jax.numpy.asarray(own) for own in dy])
    return [np.asarray(own) for own in y], [np.asarray(own) for own in (*weights, *d_inputs)]


def compare(
    made: Any, theirs: Any, mask: Array | None, states: int, shape: tuple[int, ...] = (STEPS, FEATURES)
) -> None:
    """A layer with as many states as arguments, and Keras's."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(ROWS, *shape))
    if mask is not None:
        x[~mask] = 0
    inputs = [x, *(rng.normal(size=(ROWS, UNITS)) for _ in range(states))]
    weights = random_weights(theirs, (None, *shape))
    entries = [layers.Input(own.shape[1:]) for own in inputs]
    first = entries[0] if mask is None else layers.Masking()(entries[0])
    net = nf.Network(inputs=entries, outputs=made([first, *entries[1:]] if states else first), dtype="float64")
    net.set_weights(weights)
    y, pullback = net.vjp(inputs)
    y = y if isinstance(y, list) else [y]
    dy = [rng.normal(size=own.shape) for own in y]
    wanted, wanted_gradients = results(theirs, mask, inputs, dy)
    gradients, d_inputs = pullback(dy if len(dy) > 1 or isinstance(net.output_shape, list) else dy[0])
    if mask is not None:
        wanted_gradients[len(weights)] = wanted_gradients[len(weights)] * mask[..., None]  # what Masking lets through
    found = [*y, *gradients.values(), *d_inputs]
    for one, other in zip(found, [*wanted, *wanted_gradients], strict=True):
        np.testing.assert_allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("masked", ["right", "middle"])
def test_layers(kind: str, masked: str) -> None:
    """Padding on the right, which is on the left for those that go backwards, and with holes."""
    name, own = KINDS[kind]
    for return_sequences, go_backwards in ((True, True), (False, False)):
        options = {**own, "go_backwards": go_backwards, "return_sequences": return_sequences, "return_state": True}
        made = getattr(layers, name)(UNITS, **options)
        states = len(made.state_names) * (masked == "middle")
        compare(made, of_keras(name, **options), MASKS[masked], states)


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "ave", "mul", None])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_bidirectional(merge_mode: str | None, return_sequences: bool) -> None:
    options = {"activation": "softsign", "return_sequences": return_sequences, "return_state": True}
    both = keras.layers.Bidirectional(of_keras("GRU", **options), merge_mode=merge_mode)
    made = layers.Bidirectional(layers.GRU(UNITS, **options), merge_mode)
    compare(made, both, MASKS["middle" if return_sequences else "right"], 2)


def test_time_distributed() -> None:
    """With the mask of words in sentences."""
    mask = np.random.default_rng(4).uniform(size=(ROWS, 3, STEPS)) < 0.6
    made = layers.TimeDistributed(layers.LSTM(UNITS))
    for own in (None, mask):
        compare(made, keras.layers.TimeDistributed(of_keras("LSTM")), own, 0, (3, STEPS, FEATURES))


def test_mean_over_time() -> None:
    mask = np.arange(STEPS) < np.array([6, 3, 1, 2, 5])[:, None]
    for keepdims in (False, True):
        theirs = keras.layers.GlobalAveragePooling1D(keepdims=keepdims)
        compare(layers.GlobalAveragePooling1D(keepdims), theirs, mask, 0)


def test_initial_biases() -> None:
    theirs = keras.layers.LSTM(UNITS)
    theirs.build((None, STEPS, FEATURES))
    net = nf.Network([layers.Input((STEPS, FEATURES)), layers.LSTM(UNITS)])
    np.testing.assert_array_equal(net.get_weights()[2], theirs.get_weights()[2])
    assert [w.shape for w in net.get_weights()] == [w.shape for w in theirs.get_weights()]
