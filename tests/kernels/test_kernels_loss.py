"""Losses: known answers, class labels, weights, edges and bad input."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from kernel_cases import DTYPES, assert_close, eps, tiny
from kernel_table import LOSSES
from reference.losses import loss_backward, loss_forward

import nnfast as nf
from nnfast import _core, kernels

dtypes = pytest.mark.parametrize("dtype", DTYPES)


def test_every_loss_is_in_the_table() -> None:
    assert {name for name, _ in LOSSES} == set(_core.loss_names()) - {"callback"}


@dtypes
@pytest.mark.parametrize(
    ("name", "options", "prediction", "target", "value"),
    [
        ("mse", {}, [1.0, 3.0], [0.0, 1.0], 2.5),
        ("half_squared_error", {}, [0.75136507, 0.772928465], [0.01, 0.99], 0.298371109),  # Mazur's example
        ("mae", {}, [1.0, 3.0], [0.0, 1.0], 1.5),
        ("sum_absolute_error", {}, [-0.75, -0.25, 0.75, 0.5], [1.0, 0.0, 0.0, 0.0], 3.25),
        ("huber", {"delta": 1.0}, [0.5, 3.0], [0.0, 1.0], (0.125 + 1.5) / 2),
        ("binary_cross_entropy", {}, [0.5, 0.25], [1.0, 0.0], (np.log(2) + np.log(4 / 3)) / 2),
        ("binary_cross_entropy", {"from_logits": True}, [0.0, np.log(3)], [1.0, 1.0], (np.log(2) + np.log(4 / 3)) / 2),
        ("cross_entropy", {}, [0.48, 0.01, 0.51], [0.0, 0.0, 1.0], -np.log(0.51)),
        ("cross_entropy", {"from_logits": True}, [0.0, 0.0, np.log(2)], [0.0, 0.0, 1.0], np.log(2)),
    ],
)
def test_known_values(
    name: str, options: dict[str, Any], prediction: list[float], target: list[float], value: float, dtype: str
) -> None:
    p, t = np.array([prediction], dtype), np.array([target], dtype)
    assert_close(kernels.loss_forward(name, p, t, **options), [value], 8 * eps(dtype) * (1 + value) + 5e-10)


LABEL_DTYPES = pytest.mark.parametrize("label_dtype", [np.uint8, np.int32, np.int64])


@dtypes
@LABEL_DTYPES
@pytest.mark.parametrize("options", [{"from_logits": True}, {"from_logits": True, "label_smoothing": 0.25}])
def test_labels_have_the_bits_of_one_hot_targets(
    label_dtype: type, options: dict[str, Any], dtype: str, rng: np.random.Generator
) -> None:
    p = rng.standard_normal((9, 21)).astype(dtype)
    labels = rng.integers(0, 21, 9).astype(label_dtype)
    one_hot, weight = np.eye(21, dtype=dtype)[labels], rng.uniform(0.5, 2, 9).astype(dtype)
    for function in (kernels.loss_forward, kernels.loss_backward):
        by_label = function("cross_entropy", p, labels, weight, **options)
        np.testing.assert_array_equal(by_label, function("cross_entropy", p, one_hot, weight, **options))


@dtypes
@LABEL_DTYPES
def test_labels_of_probabilities(label_dtype: type, dtype: str, rng: np.random.Generator) -> None:
    p = rng.dirichlet(np.ones(7), 5).astype(dtype)
    labels = rng.integers(0, 7, 5).astype(label_dtype)
    value, gradient = loss_forward("cross_entropy", p, labels), loss_backward("cross_entropy", p, labels)
    assert_close(kernels.loss_forward("cross_entropy", p, labels), value, 4 * eps(dtype) * (1 + value))
    assert_close(kernels.loss_backward("cross_entropy", p, labels), gradient, 4 * eps(dtype) * np.abs(gradient))


@dtypes
@pytest.mark.parametrize(("name", "options"), [row for row in LOSSES if row != ("cross_entropy", {})])
def test_rows_of_several_axes(name: str, options: dict[str, Any], dtype: str, rng: np.random.Generator) -> None:
    p = rng.dirichlet(np.ones(5), (4, 3)).astype(dtype)
    t = rng.dirichlet(np.ones(5), (4, 3)).astype(dtype)
    weight = rng.uniform(0.5, 2, 4).astype(dtype)
    value = loss_forward(name, p, t, options)
    assert_close(kernels.loss_forward(name, p, t, **options), value, 40 * eps(dtype) * (1 + value))
    gradient = loss_backward(name, p, t, weight, options)
    got = kernels.loss_backward(name, p, t, weight, **options)
    assert_close(got, gradient, 20 * eps(dtype) * (np.abs(gradient) + 1))


@dtypes
def test_labels_of_several_axes(dtype: str, rng: np.random.Generator) -> None:
    p, labels = rng.standard_normal((4, 3, 5)).astype(dtype), rng.integers(0, 5, (4, 3))
    options = {"from_logits": True}
    value = loss_forward("cross_entropy", p, labels, options)
    assert_close(kernels.loss_forward("cross_entropy", p, labels, **options), value, 20 * eps(dtype) * (1 + value))
    gradient = loss_backward("cross_entropy", p, labels, None, options)
    assert_close(kernels.loss_backward("cross_entropy", p, labels, **options), gradient, 20 * eps(dtype))


@dtypes
@pytest.mark.parametrize(("name", "options"), LOSSES)
def test_a_row_alone_has_the_bits_of_a_row_in_a_batch(
    name: str, options: dict[str, Any], dtype: str, rng: np.random.Generator
) -> None:
    p, t = rng.dirichlet(np.ones(37), (2, 8)).astype(dtype)
    whole = kernels.loss_forward(name, p, t, **options)
    for i in range(8):
        np.testing.assert_array_equal(kernels.loss_forward(name, p[i : i + 1], t[i : i + 1], **options), whole[i])


@dtypes
def test_logits_of_any_size_give_finite_losses(dtype: str) -> None:
    z = np.array([[1e4, -1e4, 0.0], [-1e30, 1e30, 0.0]], dtype)
    t = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], dtype)
    for name in ("cross_entropy", "binary_cross_entropy"):
        value = loss_forward(name, z.astype(np.float64), t, {"from_logits": True})
        got = kernels.loss_forward(name, z, t, from_logits=True)
        assert_close(got, value, 8 * eps(dtype) * value)
        gradient = loss_backward(name, z.astype(np.float64), t, None, {"from_logits": True})
        assert_close(kernels.loss_backward(name, z, t, from_logits=True), gradient, 4 * eps(dtype))


LOGITS = [0.0, 1e-6, 0.1, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 50.0, 80.0, 87.0, 1e3, 1e9, 3e38]


@dtypes
@pytest.mark.parametrize("t", [0.0, 0.25, 0.5, 0.9375, 1.0])
def test_binary_cross_entropy_of_logits_keeps_all_digits(t: float, dtype: str) -> None:
    """-t log s(z) - (1 - t) log(1 - s(z)), s the logistic function: log s(z) = -log(1 + exp(-z)), in all of z."""
    z = np.array([[sign * size] for size in LOGITS for sign in (1, -1)], dtype)
    target, wide = np.full_like(z, t), z.astype(np.float64)
    value = t * np.logaddexp(0, -wide) + (1 - t) * np.logaddexp(0, wide)
    got = kernels.loss_forward("binary_cross_entropy", z, target, from_logits=True)
    assert_close(got, value[:, 0], 4 * eps(dtype) * value[:, 0] + 2 * tiny(dtype))
    slope = (1 - t) * np.exp(-np.logaddexp(0, -wide)) - t * np.exp(-np.logaddexp(0, wide))
    got = len(z) * kernels.loss_backward("binary_cross_entropy", z, target, from_logits=True)
    # For answers between yes and no, slopes are differences of like numbers; for others they have no larger parts.
    size = np.abs(slope) if t in (0, 1) else np.ones_like(slope)
    assert_close(got, slope, 8 * eps(dtype) * size + 2 * len(z) * tiny(dtype))


@dtypes
def test_a_row_and_its_mirror_image_have_the_same_bits(dtype: str, rng: np.random.Generator) -> None:
    z, t = (20 * rng.standard_normal((7, 5))).astype(dtype), (rng.random((7, 5)) < 0.5).astype(dtype)
    value = kernels.loss_forward("binary_cross_entropy", z, t, from_logits=True)
    gradient = kernels.loss_backward("binary_cross_entropy", z, t, from_logits=True)
    np.testing.assert_array_equal(kernels.loss_forward("binary_cross_entropy", -z, 1 - t, from_logits=True), value)
    np.testing.assert_array_equal(kernels.loss_backward("binary_cross_entropy", -z, 1 - t, from_logits=True), -gradient)


@dtypes
def test_binary_cross_entropy_of_small_probabilities(dtype: str) -> None:
    """-log(1 - p) = p + p^2 / 2 + ... for p far below the distance of 1 to its neighbor."""
    p = np.array([[1e-30], [1e-12], [1e-6], [1e-3]], dtype)
    value = -np.log1p(-p.astype(np.float64))[:, 0]
    got = kernels.loss_forward("binary_cross_entropy", p, np.zeros_like(p))
    assert_close(got, value, 4 * eps(dtype) * value)


INF = np.inf


@dtypes
@pytest.mark.parametrize(
    ("name", "logits", "target", "value", "gradient"),
    [
        ("cross_entropy", [-INF, 0.0], [0.0, 1.0], 0.0, [0.0, 0.0]),
        ("cross_entropy", [-INF, 0.0, 0.0], [0.0, 1.0, 0.0], np.log(2), [0.0, -0.5, 0.5]),
        ("cross_entropy", [-INF, 0.0, 0.0], [0.0, 0.5, 0.5], np.log(2), [0.0, 0.0, 0.0]),
        ("cross_entropy", [-INF, 0.0], [1.0, 0.0], INF, [-1.0, 1.0]),
        ("cross_entropy", [3e38, -3e38], [1.0, 0.0], 0.0, [0.0, 0.0]),
        ("cross_entropy", [-3e38, 3e38, 3e38], [0.0, 1.0, 0.0], np.log(2), [0.0, -0.5, 0.5]),
        ("binary_cross_entropy", [INF], [1.0], 0.0, [0.0]),
        ("binary_cross_entropy", [-INF], [0.0], 0.0, [0.0]),
        ("binary_cross_entropy", [INF], [0.0], INF, [1.0]),
        ("binary_cross_entropy", [-INF], [1.0], INF, [-1.0]),
        ("binary_cross_entropy", [INF], [0.5], INF, [0.5]),
    ],
)
def test_infinite_and_huge_logits(
    name: str, logits: list[float], target: list[float], value: float, gradient: list[float], dtype: str
) -> None:
    """Limits: a class of probability 0 that is not wanted costs nothing; logits of -inf come from masks."""
    z, t = np.array([logits] * 2, dtype), np.array([target] * 2, dtype)
    assert_close(kernels.loss_forward(name, z, t, from_logits=True), [value] * 2, 4 * eps(dtype))
    got = 2 * kernels.loss_backward(name, z, t, from_logits=True)
    assert_close(got, np.array([gradient] * 2), 4 * eps(dtype))
    if name == "cross_entropy" and sorted(target) == [0.0] * (len(target) - 1) + [1.0]:
        labels = t.argmax(axis=1)
        assert_close(kernels.loss_forward(name, z, labels, from_logits=True), [value] * 2, 4 * eps(dtype))


@dtypes
@pytest.mark.parametrize(("name", "options"), LOSSES)
def test_nan_passes_through(name: str, options: dict[str, Any], dtype: str) -> None:
    for t in ([0.0, 1.0], [1.0, 0.0]):
        for place in (0, 1):
            p = np.array([[0.5, 0.5]], dtype)
            p[0, place] = np.nan
            target = np.array([t], dtype)
            assert np.isnan(kernels.loss_forward(name, p, target, **options)).all(), (t, place)


@dtypes
@pytest.mark.parametrize(("name", "options"), LOSSES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, "largest"])
def test_a_row_of_weight_zero_counts_for_nothing(
    bad: Any, name: str, options: dict[str, Any], dtype: str, rng: np.random.Generator
) -> None:
    p, t = rng.dirichlet(np.ones(5), (2, 3)).astype(dtype)
    weight = np.array([1.5, 0, 2], dtype)
    value = kernels.loss_forward(name, p, t, weight, **options)
    gradient = kernels.loss_backward(name, p, t, weight, **options)
    p[1, :4] = np.finfo(dtype).max if bad == "largest" else bad
    t[1, 3:] = -np.finfo(dtype).max
    np.testing.assert_array_equal(kernels.loss_forward(name, p, t, weight, **options), value)
    np.testing.assert_array_equal(kernels.loss_backward(name, p, t, weight, **options), gradient)
    assert value[1] == 0
    assert not gradient[1].any()


@dtypes
def test_certain_and_right_costs_nothing(dtype: str) -> None:
    p = np.array([[0.0, 1.0]], dtype)
    for name in ("cross_entropy", "binary_cross_entropy"):
        np.testing.assert_array_equal(kernels.loss_forward(name, p, p), [0])
    wrong = kernels.loss_forward("cross_entropy", p, p[:, ::-1].copy())
    assert np.isfinite(wrong).all()
    assert wrong[0] > 80


@dtypes
def test_no_slope_at_the_bottom(dtype: str) -> None:
    p = np.array([[0.5, -2.0, 0.0]], dtype)
    for name in ("mse", "half_squared_error", "mae", "sum_absolute_error", "huber"):
        np.testing.assert_array_equal(kernels.loss_forward(name, p, p), [0])
        np.testing.assert_array_equal(kernels.loss_backward(name, p, p), np.zeros((1, 3)))


@dtypes
def test_weight_zero_takes_a_row_out(dtype: str, rng: np.random.Generator) -> None:
    p, t = rng.standard_normal((2, 3, 4)).astype(dtype)
    gradient = kernels.loss_backward("mse", p, t, np.array([1, 0, 1], dtype))
    assert (gradient[1] == 0).all()
    assert (gradient[[0, 2]] != 0).all()


P = np.full((3, 4), 0.25, np.float32)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: kernels.loss_forward("msee", P, P), ValueError, ("msee", "mse")),
        (lambda: kernels.loss_forward("mse", P, P[:2]), ValueError, ("(3, 4)", "(2, 4)")),
        (lambda: kernels.loss_backward("mse", P, P.astype(np.float64)), TypeError, ("float32", "float64")),
        (lambda: kernels.loss_forward("mse", P, P, np.ones(2, np.float32)), ValueError, ("(3,)", "(2,)")),
        (lambda: kernels.loss_forward("mse", P, P, np.ones(3)), TypeError, ("float32", "float64")),
        (lambda: kernels.loss_forward("cross_entropy", P, np.array([0, 1, 4])), ValueError, ("4",)),
        (lambda: kernels.loss_backward("cross_entropy", P, np.array([0, -1, 2])), ValueError, ("-1",)),
        (lambda: kernels.loss_forward("cross_entropy", P, np.array([0, 1])), ValueError, ("3 positions", "(2,)")),
        (lambda: kernels.loss_forward("cross_entropy", P, np.array([0.0, 1.0, 2.0])), TypeError, ("float64",)),
        (lambda: kernels.loss_forward("cross_entropy", P, P, label_smoothing=1.5), ValueError, ("label_smoothing",)),
        (lambda: kernels.loss_forward("huber", P, P, delta=-1.0), ValueError, ("delta",)),
        (lambda: kernels.loss_forward("huber", P, P, detla=1.0), TypeError, ("detla",)),
        (lambda: kernels.loss_forward("cross_entropy", P[None], P[None]), ValueError, ("(N, K)",)),
        (lambda: kernels.loss_forward("cross_entropy", P[:1], np.array(0), from_logits=True), ValueError, ("()",)),
    ],
)
def test_bad_calls_say_what_is_wrong(call: Callable[[], object], error: type, words: tuple[str, ...]) -> None:
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


def test_a_cross_entropy_of_probabilities_over_positions() -> None:
    """(N, T, K): the mean over positions of -sum_k t_k log p_k, for labels, values, weights and smoothed labels."""
    rng = np.random.default_rng(8)
    p = rng.dirichlet(np.ones(4), size=(5, 3))
    labels, weights = rng.integers(0, 4, size=(5, 3)), rng.random(5)
    one_hot = np.eye(4)[labels]
    for smoothing in (0.0, 0.25):
        loss = nf.losses.CrossEntropy(label_smoothing=smoothing)
        t = (1 - smoothing) * one_hot + smoothing / 4
        rows = -(t * np.log(p)).sum(axis=2).mean(axis=1)
        for target in (labels, one_hot):
            assert loss(target, p) == pytest.approx(rows.mean(), rel=1e-14)
            assert loss(target, p, weights) == pytest.approx((rows * weights).mean(), rel=1e-14)


def test_the_metric_cross_entropy_takes_positions() -> None:
    net = nf.Network([nf.layers.Input((3, 4)), nf.layers.Activation("softmax")], dtype="float64")
    x, y = np.random.default_rng(9).random((5, 3, 4)), np.arange(15).reshape(5, 3) % 4
    scores = nf.Trainer(net, loss="mse", metrics=["cross_entropy"]).evaluate(x, np.eye(4)[y])
    assert scores["cross_entropy"] == pytest.approx(nf.losses.CrossEntropy()(y, net.predict(x)), rel=1e-14)
