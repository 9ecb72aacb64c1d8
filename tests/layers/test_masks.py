"""Masks: padding does not count, in losses, gradients and metrics."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

STEPS, FEATURES, CLASSES = 6, 3, 4
LENGTHS = (6, 2, 1, 4, 0, 5)


def padded(dtype: str = "float64", value: float = 0.0) -> tuple[Array, Array]:
    """Sequences of different lengths, padded on the right, and which steps count."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(len(LENGTHS), STEPS, FEATURES)).astype(dtype)
    mask = np.arange(STEPS) < np.array(LENGTHS)[:, None]
    x[~mask] = value
    return x, mask


def network(last: layers.Layer, dtype: str = "float64", value: float = 0.0) -> nf.Network:
    return nf.Network(
        [
            layers.Input((STEPS, FEATURES)),
            layers.Rescaling(0.5),
            layers.Masking(value / 2),
            layers.Dense(5, "tanh"),
            layers.LayerNormalization(),
            layers.Dropout(0.25),
            last,
        ],
        seed=2,
        dtype=dtype,
    )


def row_values(name: str, y: Array, p: Array) -> Array:
    """The loss of each step (N, T)."""
    e = p - y
    return {
        "mse": lambda: (e**2).mean(axis=-1),
        "mae": lambda: np.abs(e).mean(axis=-1),
        "half_squared_error": lambda: (e**2).sum(axis=-1) / 2,
        "sum_absolute_error": lambda: np.abs(e).sum(axis=-1),
        "huber": lambda: np.where(np.abs(e) < 1, e**2 / 2, np.abs(e) - 0.5).mean(axis=-1),
        "binary_cross_entropy": lambda: -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(axis=-1),
        "cross_entropy": lambda: -(y * np.log(p)).sum(axis=-1),
    }[name]()


def masked_loss(name: str, values: Array, mask: Array, weights: Array | None = None) -> float:
    sums = (values * mask).sum(axis=1).astype("float64")
    if name not in ("half_squared_error", "sum_absolute_error"):
        sums /= np.maximum(mask.sum(axis=1), 1)
    return float((sums if weights is None else sums * weights).mean())


ENDS = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid"}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "loss",
    ["mse", "mae", "half_squared_error", "sum_absolute_error", "huber", "binary_cross_entropy", "cross_entropy"],
)
def test_padding_does_not_count_in_losses_and_gradients(loss: str, weighted: bool) -> None:
    net = network(layers.Dense(CLASSES, ENDS.get(loss, "linear")))
    x, mask = padded()
    rng = np.random.default_rng(3)
    y = rng.dirichlet(np.ones(CLASSES), size=x.shape[:2])
    weights = rng.uniform(size=len(x)) if weighted else None
    wanted = masked_loss(loss, row_values(loss, y, net.predict(x)), mask, weights)
    scores = nf.Trainer(net, loss=loss).evaluate(x, y, weights)
    assert scores["loss"] == pytest.approx(wanted, rel=1e-12)
    value, gradients = net.loss_and_gradients(x, y, loss, weights)
    assert value == pytest.approx(wanted, rel=1e-12)
    changed = y.copy()
    changed[~mask] = 0.5  # whatever the targets of padding are
    same, others = net.loss_and_gradients(x, changed, loss, weights)
    assert same == value
    for name, gradient in gradients.items():
        assert gradient.tobytes() == others[name].tobytes()
        flat = net.parameters[name].reshape(-1)
        for i in range(0, flat.size, 4):
            before, step = flat[i], 1e-6
            flat[i] = before + step
            above = net.loss_and_gradients(x, y, loss, weights)[0]
            flat[i] = before - step
            below = net.loss_and_gradients(x, y, loss, weights)[0]
            flat[i] = before
            assert gradient.reshape(-1)[i] == pytest.approx((above - below) / (2 * step), rel=1e-5, abs=1e-8), name


def test_labels_and_metrics() -> None:
    net = network(layers.Dense(CLASSES, "softmax"))
    x, mask = padded()
    labels = np.random.default_rng(4).integers(0, CLASSES, mask.shape)
    scores = nf.Trainer(net, loss="cross_entropy", metrics=["accuracy"]).evaluate(x, labels)
    p = net.predict(x)
    one_hot = np.eye(CLASSES)[labels]
    assert scores["loss"] == pytest.approx(masked_loss("cross_entropy", row_values("cross_entropy", one_hot, p), mask))
    assert scores["accuracy"] == pytest.approx(masked_loss("", p.argmax(axis=-1) == labels, mask))
    both = nf.Trainer(net, loss="cross_entropy", metrics=["accuracy", "mae"]).evaluate(x, one_hot)
    assert both["accuracy"] == scores["accuracy"]
    assert both["mae"] == pytest.approx(masked_loss("mae", row_values("mae", one_hot, p), mask), rel=1e-12)


def test_accuracy_of_answers_apart() -> None:
    net = network(layers.Dense(2, "sigmoid"))
    x, mask = padded()
    y = np.random.default_rng(4).integers(0, 2, (*mask.shape, 2)).astype("float64")
    scores = nf.Trainer(net, loss="binary_cross_entropy", metrics=["accuracy"]).evaluate(x, y)
    right = ((net.predict(x) > 0.5) == (y > 0.5)).mean(axis=-1)
    assert scores["accuracy"] == pytest.approx(masked_loss("", right, mask), rel=1e-12)


def test_a_sequence_alone_and_padded_has_the_same_bits() -> None:
    x, mask = padded("float32")
    y = np.random.default_rng(5).normal(size=(*mask.shape, 2)).astype("float32")
    long = network(layers.Dense(2), "float32")
    for row, length in enumerate(LENGTHS):
        if length == 0:
            continue
        short = nf.Network([layers.Input((length, FEATURES)), *_copies(long)], seed=2)
        short.parameters.update(long.parameters)
        one, two = (
            net.loss_and_gradients(a, b, "mse")
            for net, a, b in (
                (long, x[row : row + 1], y[row : row + 1]),
                (short, x[row : row + 1, :length], y[row : row + 1, :length]),
            )
        )
        assert one[0] == two[0]
        for name in one[1]:
            np.testing.assert_allclose(one[1][name], two[1][name], rtol=1e-6, atol=1e-7)


def _copies(net: nf.Network) -> list[layers.Layer]:
    return [layer for layer in net.copy().layers if not isinstance(layer, layers.Input)]


def test_masking_writes_zeros_and_lets_no_gradient_through() -> None:
    net = nf.Network([layers.Input((STEPS, FEATURES)), layers.Masking(7.0)], dtype="float64")
    x, mask = padded(value=7.0)
    x[0, 0, 0] = 7.0  # one number is no padding
    y, pullback = net.vjp(x)
    np.testing.assert_array_equal(y, np.where(mask[..., None], x, 0))
    np.testing.assert_array_equal(pullback(np.ones_like(x))[1], np.broadcast_to(mask[..., None], x.shape))


def test_masks_pass_through_branches_that_share_them_and_end_elsewhere() -> None:
    x = layers.Input((STEPS, FEATURES))
    m = layers.Masking()(x)
    both = layers.Add()([layers.Dense(4)(m), layers.Dense(4)(x)])
    net = nf.Network(inputs=x, outputs={"y": layers.Dense(2)(both), "z": layers.Dense(2)(layers.Flatten()(m))})
    heads = net.heads("test", "mse")
    assert [head.mask for head in heads.all] == ["masking.mask", None]
    with pytest.raises(ValueError, match=r"expected inputs with one mask, got masking\.mask and masking_1\.mask"):
        nf.Network(inputs=x, outputs=layers.Add()([m, layers.Masking(1.0)(x)]))


@pytest.mark.parametrize(
    "layer", [lambda x: layers.PReLU()(x), lambda x: layers.Subtract()([x, x]), lambda x: layers.ReLU()(x)]
)
def test_elementwise_layers_pass_masks_on(layer: Callable[[Any], Any]) -> None:
    x = layers.Input((STEPS, FEATURES))
    net = nf.Network(inputs=x, outputs=layer(layers.Masking()(x)))
    assert [head.mask for head in net.heads("test", "mse").all] == ["masking.mask"]


# ---- masks of tokens, and within user-defined layers ----------------------------------------------


def masks_of(net: nf.Network) -> list[str | None]:
    return [head.mask for head in net.heads("test", "mse").all]


def test_tokens_of_0_are_padding() -> None:
    """As a Masking layer over vectors of zeros does it, but with a row for 0 in the table."""
    ids = np.array([[3, 1, 0, 0], [2, 2, 4, 1], [0, 0, 0, 0], [1, 0, 2, 0]])
    y = np.random.default_rng(6).normal(size=(4, 4, 2))
    net = nf.Network(
        [layers.Input((4,), dtype="int32"), layers.Embedding(5, 3, "random_normal", mask_zero=True), layers.Dense(2)],
        seed=1,
        dtype="float64",
    )
    assert masks_of(net) == ["embedding.mask"]
    values, gradients = net.loss_and_gradients(ids, y, "mse")
    p = net.predict(ids)
    assert values == pytest.approx(masked_loss("mse", row_values("mse", y, p), ids != 0), rel=1e-12)
    assert not gradients["embedding.embeddings"][0].any()
    assert gradients["embedding.embeddings"][1:].all()
    assert layers.Embedding(5, 3, mask_zero=True).get_config()["mask_zero"] is True
    assert masks_of(net.copy()) == ["embedding.mask"]
    plain = nf.Network([layers.Input((4,), dtype="int32"), layers.Embedding(5, 3), layers.Dense(2)])
    assert masks_of(plain) == [None]


class Between(layers.Layer):
    """Dense layers and operations, each of which treats steps by themselves."""

    def build(self, input_shape: Any) -> None:
        self.dense = layers.Dense(input_shape[-1])

    def call(self, x: Any) -> Any:
        return x + nf.ops.tanh(self.dense(x))


class Halves(layers.Layer):
    """Two outputs, of which the second has no steps."""

    def call(self, x: Any) -> Any:
        return [2 * x, nf.ops.sum(x, axis=1)]


class Masked(layers.Layer):
    def call(self, x: Any) -> Any:
        return layers.Dense(2)(layers.Masking()(x))


class Sum(layers.Layer):
    """Over the steps that count."""

    takes_mask = True

    def call(self, x: Any, mask: Any = None) -> Any:
        return nf.ops.sum(x if mask is None else nf.ops.where(mask[:, :, None], x, 0.0), axis=1)


class First(layers.Layer):
    """The first of two sequences; and the sum of the second over its steps."""

    takes_mask = True
    masked_input = 1

    def call(self, inputs: Any, mask: Any = None) -> Any:
        a, b = inputs
        return [a + 1.0, nf.ops.sum(b if mask is None else b * mask[:, :, None], axis=1)]


def test_user_defined_layers_pass_on_what_their_parts_do() -> None:
    x = layers.Input((STEPS, FEATURES))
    m = layers.Masking()(x)
    doubled, total = Halves()(m)
    net = nf.Network(inputs=x, outputs=[Between()(m), doubled, total, Masked()(x), Between()(x)])
    assert masks_of(net) == ["masking.mask", "masking.mask", None, "masked.masking.mask", None]
    nested = nf.Network([layers.Input((STEPS, FEATURES)), layers.Masking(), Between()], name="inner")
    assert masks_of(nf.Network([layers.Input((STEPS, FEATURES)), Between(), Between()])) == [None]
    assert masks_of(nf.Network(inputs=x, outputs=nested(x))) == ["inner/masking.mask"]


def test_user_defined_layers_take_masks() -> None:
    x, mask = padded(value=9.0)
    z = layers.Input((STEPS, FEATURES))
    m, n = layers.Masking(9.0)(z), layers.Masking(9.0)(z[:, ::-1])
    first, total = First()([m, n])
    net = nf.Network(inputs=z, outputs=[Sum()(m), Sum()(z), first, total], dtype="float64")
    assert masks_of(net) == [None, None, "masking.mask", None]
    found = net.predict(x)
    np.testing.assert_allclose(found[0], (x * mask[..., None]).sum(axis=1), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(found[1], x.sum(axis=1), rtol=1e-13)
    np.testing.assert_allclose(found[3], (x * mask[..., None]).sum(axis=1), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("keepdims", [False, True])
def test_mean_over_the_steps_that_count(keepdims: bool) -> None:
    x, mask = padded()
    net = nf.Network(
        [layers.Input((STEPS, FEATURES)), layers.Masking(), layers.GlobalAvgPool1D(keepdims)], dtype="float64"
    )
    sums = (x * mask[..., None]).sum(axis=1, keepdims=keepdims)
    counts = mask.sum(axis=1)[:, None, None] if keepdims else mask.sum(axis=1)[:, None]
    y, pullback = net.vjp(x)
    np.testing.assert_allclose(y, sums / np.maximum(counts, 1), rtol=1e-13, atol=1e-14)
    dy = np.random.default_rng(2).normal(size=y.shape)
    wanted = mask[..., None] * (dy / np.maximum(counts, 1)).reshape(len(x), 1, FEATURES)
    np.testing.assert_allclose(pullback(dy)[1], wanted, rtol=1e-13, atol=1e-15)


def test_spatial_dropout_passes_masks_on() -> None:
    chain = [layers.Input((STEPS, FEATURES)), layers.Masking(), layers.SpatialDropout1D(0.5)]
    assert masks_of(nf.Network(chain)) == ["masking.mask"]


def test_files_copies_threads_and_fusion(tmp_path: Path) -> None:
    net = network(layers.Dense(CLASSES, "softmax"), "float32", 1.0)
    x, mask = padded("float32", 1.0)
    x, mask = np.tile(x, (50, 1, 1)), np.tile(mask, (50, 1))
    labels = np.random.default_rng(4).integers(0, CLASSES, mask.shape)
    net.save(tmp_path / "net.safetensors")
    found = []
    for made in (net, net.copy(), nf.Network.load(tmp_path / "net.safetensors")):
        for threads in (1, 3):
            nf.set_num_threads(threads)
            twin = made.copy()
            nf.Trainer(twin, loss="cross_entropy", metrics=["accuracy"]).fit(x, labels, epochs=2, batch_size=64)
            found.append(twin.flat().tobytes())
    nf.set_num_threads(2)
    assert len(set(found)) == 1
    assert "masking" in net.summary()


class Own(nf.losses.CustomLoss):
    def value(self, target: Array, prediction: Array) -> Array:
        return np.abs(target - prediction).sum(axis=(1, 2))


BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "vectors": (
        lambda: nf.Network([layers.Input((3,)), layers.Masking()]),
        ValueError,
        "masking: expected an input of (N, T, ..., D), got (N, 3)",
    ),
    "a mask value that is not a number": (lambda: layers.Masking("0"), TypeError, "a real number as mask_value"),
    "a custom loss": (
        lambda: nf.Trainer(network(layers.Dense(2)), loss=Own()),
        ValueError,
        "expected a loss of nnfast for an output with a mask",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit(case: str) -> None:
    call, error, text = BAD[case]
    with pytest.raises(error, match=re.escape(text)):
        call()
