"""Gradients and training loops by hand: Network.vjp, loss_and_gradients in training, Trainer.apply_gradients."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers, optimizers
from nnfast.core.typing import Array


def convnet(dtype: str = "float64") -> nf.Network:
    return nf.Network(
        [
            layers.Input((6, 5, 2)),
            layers.Rescaling(0.5, offset=0.25),
            layers.Conv2D(3, 3, activation="gelu"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.25),
            layers.Dense(4, "softmax"),
        ],
        seed=6,
        dtype=dtype,
    )


def fork(form: str = "dict") -> nf.Network:
    a, b = layers.Input((3,), name="a"), layers.Input((4,), name="b")
    shared = layers.Dense(5, "tanh")
    h = shared(layers.Dense(4)(a)) + shared(b)
    y, z = layers.Dense(2, name="y")(h), layers.Activation("sigmoid", name="z")(h)
    inputs: Any = {"a": a, "b": b} if form == "dict" else [a, b]
    return nf.Network(inputs=inputs, outputs={"y": y, "z": z} if form == "dict" else [y, z], seed=2, dtype="float64")


def differences(f: Callable[[], float], values: Array, stride: int = 1) -> Array:
    flat, found = values.reshape(-1), []
    for i in range(0, flat.size, stride):
        before, step = flat[i], 1e-6 * max(1.0, abs(flat[i]))
        flat[i] = before + step
        above = f()
        flat[i] = before - step
        below = f()
        flat[i] = before
        found.append((above - below) / (2 * step))
    return np.array(found)


def test_vjp_of_a_convolutional_network() -> None:
    net = convnet()
    rng = np.random.default_rng(1)
    for view in net.parameters.values():
        view[...] = rng.uniform(0.2, 0.9, view.shape)
    x, dy = rng.normal(size=(3, 6, 5, 2)), rng.normal(size=(3, 4))
    y, pullback = net.vjp(x)
    assert y.tobytes() == net.predict(x).tobytes()
    gradients, dx = pullback(dy)
    assert list(gradients) == net.trainable

    def value() -> float:
        return float((net.predict(x) * dy).sum())

    np.testing.assert_allclose(dx.reshape(-1)[::7], differences(value, x, 7), rtol=1e-5, atol=1e-8)
    for name, gradient in gradients.items():
        wanted = differences(value, net.parameters[name], 5)
        np.testing.assert_allclose(gradient.reshape(-1)[::5], wanted, rtol=1e-5, atol=1e-8, err_msg=name)


@pytest.mark.parametrize("form", ["dict", "list"])
def test_several_inputs_and_outputs(form: str) -> None:
    net = fork(form)
    rng = np.random.default_rng(3)
    parts = {"a": rng.normal(size=(5, 3)), "b": rng.normal(size=(5, 4))}
    slopes = {"y": rng.normal(size=(5, 2)), "z": rng.normal(size=(5, 5))}
    as_given = (lambda d: d) if form == "dict" else (lambda d: list(d.values()))
    _, pullback = net.vjp(as_given(parts))
    gradients, dx = pullback(as_given(slopes))
    dx = dx if form == "dict" else dict(zip("ab", dx, strict=True))

    def value() -> float:
        results = net.predict(as_given(parts))
        named = results if form == "dict" else dict(zip("yz", results, strict=True))
        return float(sum((named[k] * slopes[k]).sum() for k in slopes))

    for key, x in parts.items():
        np.testing.assert_allclose(dx[key].reshape(-1), differences(value, x), rtol=1e-6, atol=1e-9)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient.reshape(-1), differences(value, net.parameters[name]), rtol=1e-6, atol=1e-9)


def test_an_output_without_a_gradient_counts_as_zeros() -> None:
    net = fork()
    x = {"a": np.ones((2, 3)), "b": np.ones((2, 4))}
    _, pullback = net.vjp(x)
    zeros = pullback({"y": np.ones((2, 2)), "z": np.zeros((2, 5))})
    missing = pullback({"y": np.ones((2, 2))})
    for name in zeros[0]:
        assert zeros[0][name].tobytes() == missing[0][name].tobytes()
    assert zeros[1]["a"].tobytes() == missing[1]["a"].tobytes()


def test_a_pullback_may_be_called_again_and_beside_others() -> None:
    net = convnet("float32")
    rng = np.random.default_rng(4)
    x, other = rng.normal(size=(2, 3, 6, 5, 2)).astype("float32")
    dy = np.eye(4, dtype="float32")[:3]
    given = x.copy()
    y, pullback = net.vjp(given)
    given[...] = np.nan  # the call keeps what it needs
    _, second = net.vjp(other)
    first = pullback(dy)
    second(dy)
    again = pullback(dy)
    assert first[1].tobytes() == again[1].tobytes()
    for name in first[0]:
        assert first[0][name].tobytes() == again[0][name].tobytes()
    assert pullback(2 * dy)[1].tobytes() == (2 * first[1]).tobytes()
    assert y.tobytes() == net.predict(x).tobytes()


def test_an_input_that_reaches_no_output_has_gradients_of_zero() -> None:
    x = layers.Input((3,))
    net = nf.Network(inputs=x, outputs=x)
    y, pullback = net.vjp([[1.0, 2.0, 3.0]])
    gradients, dx = pullback([[4.0, 5.0, 6.0]])
    assert gradients == {}
    np.testing.assert_array_equal(y, [[1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(dx, [[4.0, 5.0, 6.0]])


def test_bytes_as_input() -> None:
    net = nf.Network([layers.Input((2,)), layers.Rescaling(1 / 4), layers.Dense(1, kernel_initializer=[[2.0], [3.0]])])
    y, pullback = net.vjp(np.array([[4, 8]], np.uint8))
    assert y == [[8.0]]
    np.testing.assert_array_equal(pullback([[1.0]])[1], [[0.5, 0.75]])


def test_frozen_parameters_have_no_gradient_but_pass_it_on() -> None:
    net = fork()
    net.freeze("dense", "y")
    x = {"a": np.ones((2, 3)), "b": np.ones((2, 4))}
    gradients, dx = net.vjp(x)[1]({"y": np.ones((2, 2)), "z": np.ones((2, 5))})
    assert list(gradients) == net.trainable
    net.unfreeze()
    full, same = net.vjp(x)[1]({"y": np.ones((2, 2)), "z": np.ones((2, 5))})
    assert dx["a"].tobytes() == same["a"].tobytes()
    for name, gradient in gradients.items():
        assert gradient.tobytes() == full[name].tobytes()


OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.1, momentum=0.9),
    "adam": lambda: optimizers.Adam(0.01, clipnorm=0.1, l2=0.01),
    "rmsprop": lambda: optimizers.RMSprop(0.01, centered=True),
    "muon": optimizers.Muon,
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_loop_by_hand_makes_the_bits_of_train_on_batch(make: Callable[[], optimizers.Optimizer]) -> None:
    """Dropout, noise and moving averages advance alike."""
    rng = np.random.default_rng(5)
    x, labels = rng.normal(size=(8, 6, 5, 2)).astype("float32"), rng.integers(0, 4, 8)
    nets = [convnet("float32") for _ in range(2)]
    trainers = [nf.Trainer(net, loss="cross_entropy", optimizer=make()) for net in nets]
    for _ in range(5):
        wanted = trainers[0].train_on_batch(x, labels)
        loss, gradients = nets[1].loss_and_gradients(x, labels, "cross_entropy", training=True)
        trainers[1].apply_gradients(gradients)
        assert loss == wanted
    assert nets[0].flat().tobytes() == nets[1].flat().tobytes()
    assert trainers[0].iteration == trainers[1].iteration == 5


def test_training_advances_dropout() -> None:
    net = nf.Network([layers.Input((50,)), layers.Dropout(0.5)], seed=1)
    x = np.ones((1, 50), "float32")
    masks = [net.vjp(x, training=True)[0].tobytes() for _ in range(3)]
    assert len(set(masks)) == 3
    twin = nf.Network([layers.Input((50,)), layers.Dropout(0.5)], seed=1)
    assert [twin.vjp(x, training=True)[0].tobytes() for _ in range(3)] == masks
    assert net.vjp(x)[0].tobytes() == x.tobytes()


def test_gradients_pass_through_the_mask_of_the_pass() -> None:
    net = nf.Network([layers.Input((50,)), layers.Dropout(0.5)], seed=1)
    x = np.ones((2, 50), "float32")
    for _ in range(2):
        y, pullback = net.vjp(x, training=True)
        for _ in range(2):
            assert pullback(x)[1].tobytes() == y.tobytes()


def gradients_of(net: nf.Network, **changes: Any) -> dict[str, Any]:
    return {name: np.zeros_like(net.parameters[name]) for name in net.trainable} | changes


BAD: dict[str, tuple[Callable[[nf.Network], object], type[Exception], str]] = {
    "missing": (lambda net: {"y.kernel": np.zeros((5, 2))}, ValueError, "got none of 'dense.kernel'"),
    "unknown": (lambda net: gradients_of(net) | {"y.krenel": 0}, ValueError, "did you mean 'y.kernel'"),
    "shape": (lambda net: gradients_of(net) | {"y.bias": [1.0]}, ValueError, "gradient of y.bias: expected shape (2,)"),
    "nan": (
        lambda net: gradients_of(net) | {"y.bias": [1.0, np.nan]},
        ValueError,
        "gradient of y.bias: expected finite",
    ),
    "list": (lambda net: [1.0], TypeError, "expected a mapping of names to gradients, got list"),
    "text": (lambda net: gradients_of(net) | {"y.bias": "ab"}, TypeError, "gradient of y.bias"),
}


@pytest.mark.parametrize("case", BAD)
def test_gradients_that_do_not_fit(case: str) -> None:
    make, error, text = BAD[case]
    net = fork()
    before = net.flat().copy()
    trainer = nf.Trainer(net, loss="mse")
    with pytest.raises(error, match=re.escape(text)):
        trainer.apply_gradients(make(net))  # type: ignore[arg-type]
    assert net.flat().tobytes() == before.tobytes()
    assert trainer.iteration == 0


def test_slopes_that_do_not_fit() -> None:
    net = convnet()
    _, pullback = net.vjp(np.ones((2, 6, 5, 2)))
    with pytest.raises(ValueError, match=re.escape("dy of shape (2, 4), as y, got (2, 3)")):
        pullback(np.ones((2, 3)))
    with pytest.raises(ValueError, match="dy: expected finite numbers"):
        pullback(np.full((2, 4), np.inf))
    with pytest.raises(ValueError, match="dy: expected a list of 2 or a dict"):
        fork().vjp({"a": np.ones((2, 3)), "b": np.ones((2, 4))})[1](np.ones((2, 2)))
