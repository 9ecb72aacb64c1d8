"""Random numbers as arrays and in networks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernel_cases import DTYPES, assert_close, eps
from reference.philox import random_normal, random_uniform

import nnfast as nf
from nnfast import _core, layers, ops

dtypes = pytest.mark.parametrize("dtype", DTYPES)


@dtypes
def test_arrays_equal_the_reference(dtype: str) -> None:
    for shape in ((), (1,), (17,), (3, 17), (2, 3, 4097)):
        n = int(np.prod(shape))
        uniform, normal = random_uniform(n, 7, 0, dtype), random_normal(n, 7, 0, dtype)
        for mean, stddev in ((0.0, 1.0), (-3.0, 0.5)):
            got = ops.random_normal(shape, mean, stddev, seed=7, dtype=dtype)
            assert got.dtype == dtype
            # A logarithm, a root and a cosine: 16 roundings at most, of a number of at most 6 (float32) or 9.
            assert_close(got, (mean + stddev * normal).reshape(shape), 16 * eps(dtype) * (abs(mean) + 9 * stddev))
        for low, high in ((0.0, 1.0), (-3.0, 2.0)):
            got = ops.random_uniform(shape, low, high, seed=7, dtype=dtype)
            exact = low + (high - low) * uniform.astype(np.float64)
            assert_close(got, exact.reshape(shape), 2 * eps(dtype) * 3)


@dtypes
def test_the_upper_bound_is_never_reached(dtype: str) -> None:
    """Between 1 and the next number but one, half of the values would be rounded to it."""
    low = np.dtype(dtype).type(1)
    high = np.nextafter(low, low + 1)
    for seed in range(5):
        got = ops.random_uniform((1000,), float(low), float(high), seed=seed, dtype=dtype)
        assert (got == low).all()


def test_moments() -> None:
    y = ops.random_normal((400_000,), 2.0, 3.0, seed=3)
    assert abs(y.mean() - 2) < 5 * 3 / 400_000**0.5
    assert abs(y.std() - 3) < 5 * 3 / 800_000**0.5
    u = ops.random_uniform((400_000,), -1.0, 3.0, seed=3)
    assert abs(u.mean() - 1) < 5 * 4 / (12 * 400_000) ** 0.5
    assert (u >= -1).all()
    assert (u < 3).all()


def noisy(**options: Any) -> nf.Network:
    x = layers.Input((3,))
    a, b = ops.random_normal((None, 3)), ops.random_uniform((None, 1), -1.0, 1.0)
    return nf.Network(inputs=x, outputs={"a": x + a, "b": x * 0 + b, "c": x + ops.random_normal((3,))}, **options)


@dtypes
def test_predictions_repeat_and_depend_on_the_seed(dtype: str) -> None:
    x = np.zeros((5, 3))
    found = noisy(seed=1, dtype=dtype).predict(x)
    again, other = noisy(seed=1, dtype=dtype).predict(x), noisy(seed=2, dtype=dtype).predict(x)
    for key in ("a", "b", "c"):
        np.testing.assert_array_equal(found[key], again[key])
        assert (found[key] != other[key]).all()
    a, b, c = found["a"], found["b"], found["c"]
    assert len(np.unique(a)) == 15
    assert len(np.unique(b)) == 5
    assert (b[:, :1] == b).all()
    assert (c == c[0]).all()  # the same for all rows
    assert not np.isin(c, a).any()  # each has its own stream


def test_a_network_with_noise_is_saved_and_loaded(tmp_path: Path) -> None:
    net, x = noisy(seed=3), np.ones((4, 3))
    net.save(tmp_path / "network")
    loaded = nf.Network.load(tmp_path / "network")
    for key, value in net.predict(x).items():
        np.testing.assert_array_equal(loaded.predict(x)[key], value)


def test_predictions_do_not_depend_on_the_size_of_the_parts() -> None:
    x = np.zeros((3000, 3))
    whole = noisy(seed=1).predict(x)
    assert len(np.unique(whole["a"])) > 8900  # of 9000 numbers of 24 bits
    for size in (1000, 777):
        for key, value in noisy(seed=1).predict(x, batch_size=size).items():
            np.testing.assert_array_equal(value, whole[key])


def test_each_training_step_draws_anew() -> None:
    net = noisy(seed=1)
    x = np.zeros((5, 3))
    first, second, predicted = net.vjp(x, training=True)[0], net.vjp(x, training=True)[0], net.predict(x)
    for key in ("a", "b", "c"):
        assert (first[key] != second[key]).all()
        assert (first[key] == predicted[key]).all()


def test_a_network_learns_through_noise() -> None:
    """The mean and the deviation of a sample, by the gradient through mean + deviation * noise."""
    x = layers.Input((1,))
    mean, deviation = layers.Dense(1, use_bias=False)(x), layers.Dense(1, use_bias=False)(x)
    net = nf.Network(inputs=x, outputs=mean + deviation * ops.random_normal((None, 1)), seed=4, dtype="float64")
    y, pullback = net.vjp(np.ones((50, 1)), training=True)
    gradients, _ = pullback(np.ones((50, 1)))
    noise = (y - net.parameters["dense.kernel"]) / net.parameters["dense_1.kernel"]
    np.testing.assert_allclose(gradients["dense.kernel"], [[50]])
    np.testing.assert_allclose(gradients["dense_1.kernel"], [[noise.sum()]])


def test_the_number_of_threads_changes_no_bit(threads: None) -> None:
    found = []
    for count in (1, 2, 3, 8):
        _core.set_num_threads(count)
        found.append([f((30_011,), -1.0, 2.0, seed=5).tobytes() for f in (ops.random_normal, ops.random_uniform)])
    assert all(results == found[0] for results in found[1:])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ops.random_normal((3,), 0.0, -1.0), ValueError, "finite stddev of 0 or more, got -1"),
        (lambda: ops.random_normal((3,), np.nan, 1.0), ValueError, "finite number as mean"),
        (lambda: ops.random_uniform((3,), 1.0, 1.0), ValueError, "minval < maxval, got 1 and 1"),
        (lambda: ops.random_normal((None, 3), seed=1), ValueError, "leave out seed= in a network"),
        (lambda: ops.random_normal((3, None)), ValueError, "None only as the first size"),
        (lambda: ops.random_normal((-3,)), ValueError, "sizes of 1 or more"),
        (lambda: ops.random_normal(3), TypeError, "a tuple of sizes"),
        (lambda: ops.random_normal((3,), seed=-1), ValueError, "seed >= 0"),
        (lambda: ops.random_normal((3,), seed=1, dtype="int32"), ValueError, "int32"),
    ],
)
def test_bad_calls_say_what_is_wrong(call: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
