"""The reference itself: against published vectors, finite differences and identities, without nnfast."""

import math

import numpy as np
import pytest
from kernel_table import ACTIVATIONS, ALPHA, LOSSES
from reference.activations import activation_backward, activation_forward
from reference.losses import loss_backward, loss_forward
from reference.math_functions import erf
from reference.matmul import matmul_fma_chain
from reference.philox import philox4x32, random_permutation, random_uniform
from reference.softmax import log_softmax_backward, log_softmax_forward, softmax_backward, softmax_forward

STEP = 1e-6  # of central differences: error about STEP^2 |f'''| / 6 + eps |f| / STEP, some 1e-10
CLOSE = 1e-8

ONES = 0xFFFFFFFF
PI = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0)


# Random123, the authors' own implementation, file kat_vectors.
@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES, ONES, ONES, ONES), (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (PI[:4], PI[4:], (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
    ],
)
def test_philox_gives_the_published_vectors(
    counter: tuple[int, ...], key: tuple[int, int], expected: tuple[int, ...]
) -> None:
    words = philox4x32(tuple(np.array([c], np.uint64) for c in counter), key)
    assert tuple(int(word[0]) for word in words) == expected


def test_uniform_numbers_fill_the_unit_interval() -> None:
    for dtype in ("float32", "float64"):
        u = random_uniform(10_000, 5, 0, dtype)
        assert u.min() >= 0
        assert u.max() < 1
        # Mean and variance of n uniform numbers: standard errors 0.0029 and 0.00075; five of them allowed.
        assert abs(u.mean() - 1 / 2) < 0.0145
        assert abs(u.var() - 1 / 12) < 0.0038


def test_permutations_of_three_are_equally_frequent() -> None:
    counts: dict[tuple[int, ...], int] = {}
    for seed in range(3000):
        order = tuple(random_permutation(3, seed, 0).tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    assert max(abs(count - 500) for count in counts.values()) < 5 * math.sqrt(500)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_derivatives_are_slopes(name: str) -> None:
    x = np.linspace(-4.03, 4.07, 50)  # no kink within a step of these
    alpha = ALPHA.get(name, 0.0)
    slope = (activation_forward(name, x + STEP, alpha) - activation_forward(name, x - STEP, alpha)) / (2 * STEP)
    np.testing.assert_allclose(activation_backward(name, np.ones_like(x), x, alpha), slope, atol=CLOSE, rtol=CLOSE)


@pytest.mark.parametrize(
    ("forward", "backward"),
    [(softmax_forward, softmax_backward), (log_softmax_forward, log_softmax_backward)],
)
def test_softmax_gradients_are_slopes(forward, backward, rng: np.random.Generator) -> None:
    x, dy = rng.standard_normal((2, 5)), rng.standard_normal((2, 5))
    dx = backward(dy, forward(x))
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = STEP
        slope = ((forward(x + step) - forward(x - step)) * dy).sum() / (2 * STEP)
        assert abs(dx[index] - slope) < CLOSE


@pytest.mark.parametrize(("name", "options"), LOSSES)
def test_loss_gradients_are_slopes(name: str, options: dict[str, float], rng: np.random.Generator) -> None:
    p, t = softmax_forward(rng.standard_normal((3, 4))), softmax_forward(rng.standard_normal((3, 4)))
    weight = rng.uniform(0.5, 2.0, 3)
    dp = loss_backward(name, p, t, weight, options)
    for index in np.ndindex(p.shape):
        step = np.zeros_like(p)
        step[index] = STEP
        difference = loss_forward(name, p + step, t, options) - loss_forward(name, p - step, t, options)
        slope = (weight * difference).sum() / 3 / (2 * STEP)
        assert abs(dp[index] - slope) < CLOSE * (1 + abs(slope))


def test_class_numbers_are_one_hot_rows(rng: np.random.Generator) -> None:
    p, labels = rng.standard_normal((4, 2, 5)), rng.integers(0, 5, (4, 2))
    options = {"from_logits": True, "label_smoothing": 0.1}
    one_hot = np.eye(5)[labels]
    by_number = loss_forward("cross_entropy", p, labels, options)
    np.testing.assert_array_equal(by_number, loss_forward("cross_entropy", p, one_hot, options))


def test_fma_chain_rounds_once() -> None:
    # The exact product is 2^-24 (1 + 2^-36), just above half a unit of 1: rounded alone it would lie on the tie.
    a = np.array([[1 + 2.0**-12]], np.float32)
    b = np.array([[2.0**-24 * (1 - 2.0**-12 + 2.0**-24)]], np.float32)
    start = np.array([[1.0]], np.float32)
    assert matmul_fma_chain(a, b, start)[0, 0] == np.nextafter(np.float32(1), np.float32(2))
    assert start + a * b == 1


def test_erf_series_equals_the_c_library() -> None:
    x = np.linspace(-6.5, 6.5, 201)
    expected = [math.erf(v) for v in x]
    np.testing.assert_allclose(erf(x.astype(np.longdouble)).astype(np.float64), expected, rtol=4e-16)
