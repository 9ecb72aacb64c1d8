"""Positions of the steps of a sequence: learned, of sines, and rotations."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_networks import bits, duplicates, randomize

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

N, T, D = 3, 5, 6


def alone(layer: layers.Layer, shape: tuple[int, ...] = (T, D), dtype: str = "float64") -> nf.Network:
    layer.take_name("positions")
    return nf.Network([layers.Input(shape), layer], seed=1, dtype=dtype)


def test_learned_positions_are_the_first_of_the_table(rng: np.random.Generator) -> None:
    net = randomize(alone(layers.PositionEmbedding(8)), rng)
    table = net.parameters["positions.embeddings"]
    assert table.shape == (8, D)
    got = net.predict(rng.normal(size=(N, T, D)))
    assert np.array_equal(got, np.broadcast_to(table[:T], (N, T, D)))
    gradient = net.vjp(np.zeros((N, T, D)))[1](np.ones((N, T, D)))[0]["positions.embeddings"]
    assert np.array_equal(gradient, np.where(np.arange(8)[:, None] < T, N, 0.0) * np.ones((8, D)))


def test_they_are_added_by_an_operator_and_by_a_layer(rng: np.random.Generator) -> None:
    x = layers.Input((T, D))
    positions = layers.PositionEmbedding(T)
    net = nf.Network(inputs=x, outputs=[x + positions(x), layers.Add()([x, positions(x)])], seed=1)
    data = rng.normal(size=(N, T, D)).astype("float32")
    one, two = net.predict(data)
    assert one.tobytes() == two.tobytes() == (data + net.parameters["position_embedding.embeddings"]).tobytes()


def test_options_of_the_table(rng: np.random.Generator) -> None:
    net = alone(layers.PositionEmbedding(T, "zeros", embeddings_regularizer=nf.regularizers.L2(0.5), trainable=False))
    assert not net.trainable
    assert not net.parameters["positions.embeddings"].any()
    free = randomize(alone(layers.PositionEmbedding(T, embeddings_regularizer=nf.regularizers.L2(0.5))), rng)
    table = free.parameters["positions.embeddings"]
    loss = free.loss_and_gradients(np.zeros((1, T, D)), np.zeros((1, T, D)), "mse")[0]
    assert loss == pytest.approx((table**2).mean() + 0.5 * (table**2).sum(), rel=1e-12)


@pytest.mark.parametrize("size", [1, 6, 7])
@pytest.mark.parametrize("wavelength", [10000.0, 50.0])
def test_sines(size: int, wavelength: float) -> None:
    """Section 3.5 of arXiv:1706.03762, an element at a time."""
    net = alone(layers.SinePositionEncoding(wavelength), (T, size))
    wanted = np.empty((T, size))
    for t, i in np.ndindex(T, size):
        angle = t / wavelength ** (2 * (i // 2) / size)
        wanted[t, i] = np.cos(angle) if i % 2 else np.sin(angle)
    got = net.predict(np.zeros((N, T, size)))
    np.testing.assert_allclose(got, np.broadcast_to(wanted, got.shape), rtol=0, atol=1e-15)
    assert not net.trainable


def rotated(x: Array, heads: int, base: float, interleaved: bool, offset: Array | None = None) -> Array:
    """As complex numbers: each pair times e^(i angle)."""
    parts = x.reshape(*x.shape[:2], heads, -1)
    half = parts.shape[-1] // 2
    first, second = (parts[..., ::2], parts[..., 1::2]) if interleaved else (parts[..., :half], parts[..., half:])
    position = np.arange(x.shape[1]) + (np.zeros((len(x), 1)) if offset is None else offset)
    angles = position[:, :, None] * base ** (-np.arange(half) / half)
    turned = (first + 1j * second) * np.exp(1j * angles)[:, :, None]
    y = np.empty_like(parts)
    if interleaved:
        y[..., ::2], y[..., 1::2] = turned.real, turned.imag
    else:
        y[..., :half], y[..., half:] = turned.real, turned.imag
    return y.reshape(x.shape)


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize(("heads", "size"), [(1, 2), (1, 6), (3, 4)])
@pytest.mark.parametrize("base", [10000.0, 10.0])
def test_rotations(heads: int, size: int, base: float, interleaved: bool, rng: np.random.Generator) -> None:
    x = rng.normal(size=(N, T, heads * size))
    net = nf.Network(
        inputs=(entry := layers.Input((T, heads * size))),
        outputs=layers.Dense(1, kernel_initializer="ones")(layers.RotaryEmbedding(base, heads, interleaved)(entry)),
        dtype="float64",
    )
    traced = net.trace(x)["rotary_embedding"]
    np.testing.assert_allclose(traced, rotated(x, heads, base, interleaved), rtol=0, atol=1e-14)
    dy = rng.normal(size=(N, T, 1))
    _, dx = net.vjp(x)[1](dy)
    # The transposed rotation.
    wanted = np.stack(
        [(rotated(np.broadcast_to(e, x.shape), heads, base, interleaved) * dy).sum(-1) for e in np.eye(heads * size)],
        -1,
    )
    np.testing.assert_allclose(dx, wanted, rtol=0, atol=1e-13)


def test_rotations_from_another_position(rng: np.random.Generator) -> None:
    x, offset = rng.normal(size=(N, T, D)), np.array([[0.0], [3.0], [100.0]])
    entry, start = layers.Input((T, D)), layers.Input((1,))
    net = nf.Network(inputs=[entry, start], outputs=layers.RotaryEmbedding()([entry, start]), dtype="float64")
    wanted = rotated(x, 1, 10000.0, False, offset)
    np.testing.assert_allclose(net.predict([x, offset]), wanted, rtol=0, atol=1e-13)


def test_products_of_rotated_steps_depend_on_their_distance(rng: np.random.Generator) -> None:
    net = alone(layers.RotaryEmbedding(), (40, D))
    q, k = (net.predict(np.broadcast_to(rng.normal(size=D), (1, 40, D)))[0] for _ in range(2))
    products = q @ k.T
    for distance in (0, 1, 17):
        values = np.diagonal(products, distance)
        np.testing.assert_allclose(values, values[0], rtol=0, atol=1e-13)


def test_rotations_in_attention(rng: np.random.Generator) -> None:
    """The option is the layer on projected queries and keys."""
    from test_attention import heads_of, weights_of

    x = rng.normal(size=(N, T, D))
    layer = layers.MultiHeadAttention(2, 4, rotary=100.0, num_key_value_heads=1, name="attention")
    net = randomize(nf.Network([layers.Input((T, D)), layer], seed=1, dtype="float64"), rng)
    p = weights_of(net)
    q, k, v = (x @ p[f"{name}.kernel"] + p[f"{name}.bias"] for name in ("query", "key", "value"))
    q, k = heads_of(rotated(q, 2, 100.0, False), 2), heads_of(rotated(k, 1, 100.0, False), 1)
    scores = np.exp(q @ k.swapaxes(2, 3) / 2)
    y = (scores / scores.sum(-1, keepdims=True)) @ heads_of(v, 1)
    joined = y.transpose(0, 2, 1, 3).reshape(N, T, -1)
    wanted = joined @ p["attention_output.kernel"] + p["attention_output.bias"]
    np.testing.assert_allclose(net.predict(x), wanted, rtol=0, atol=1e-12)


def test_tokens_and_positions(rng: np.random.Generator, tmp_path: Path) -> None:
    tokens = layers.Input((T,), dtype="int32")
    layer = layers.TokenAndPositionEmbedding(9, 7, D, name="embed")
    net = randomize(nf.Network(inputs=tokens, outputs=layer(tokens), seed=1), rng)
    words, places = (net.parameters[f"embed.{name}_embedding.embeddings"] for name in ("token", "position"))
    assert (words.shape, places.shape) == ((9, D), (7, D))
    data = rng.integers(0, 9, (N, T))
    assert np.array_equal(net.predict(data), words[data] + places[:T])
    for way, twin in duplicates(net, tmp_path, {}).items():
        assert bits(twin.predict(data)) == bits(net.predict(data)), way
    with pytest.raises(ValueError, match="ids from 0 to 8, got 9"):
        net.predict(np.full((1, T), 9))


def test_masks_pass(rng: np.random.Generator) -> None:
    """Token 0 is padding for the loss, behind the sum with positions."""
    tokens = np.array([[3, 1, 0, 0], [4, 2, 5, 0]])
    entry = layers.Input((4,), dtype="int32")
    embedded = layers.TokenAndPositionEmbedding(6, 4, 3, mask_zero=True)(entry)
    vectors = layers.Embedding(6, 3, mask_zero=True)(entry)
    for x in (
        embedded,
        vectors + layers.SinePositionEncoding()(vectors),
        layers.RotaryEmbedding()(layers.Dense(2)(vectors)),
    ):
        net = randomize(nf.Network(inputs=entry, outputs=x, seed=1, dtype="float64"), rng)
        y = net.predict(tokens)
        target = rng.normal(size=y.shape)
        steps = ((y - target) ** 2).mean(axis=-1)
        wanted = np.mean([steps[0, :2].mean(), steps[1, :3].mean()])
        assert net.loss_and_gradients(tokens, target, "mse")[0] == pytest.approx(wanted, rel=1e-12)


BAD: dict[str, tuple[Any, str]] = {
    "more steps than positions": (
        lambda: alone(layers.PositionEmbedding(T - 1)),
        "positions: expected at most 4 steps, the number of positions, got 5; make the layer with sequence_length=5",
    ),
    "tokens": (lambda: alone(layers.PositionEmbedding(T), (T,)), r"positions: expected an input of \(N, T, D\)"),
    "images": (lambda: alone(layers.SinePositionEncoding(), (2, 3, 4)), r"of \(N, T, D\), got \(N, 2, 3, 4\)"),
    "no wavelength": (lambda: layers.SinePositionEncoding(0), "max_wavelength > 0"),
    "an odd size": (lambda: alone(layers.RotaryEmbedding(), (T, 5)), "positions: expected"),
    "heads that do not divide": (lambda: alone(layers.RotaryEmbedding(num_heads=4), (T, D)), "positions: expected"),
    "vectors in place of tokens": (
        lambda: alone(layers.TokenAndPositionEmbedding(9, 5, 3)),
        r"positions: expected tokens of \(N, T\), got \(N, 5, 6\)",
    ),
    "more tokens than positions": (
        lambda: alone(layers.TokenAndPositionEmbedding(9, 4, 3), (T,)),
        "expected at most 4 steps",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    make, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        make()
