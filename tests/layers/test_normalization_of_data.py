"""layers.Normalization: the statistics of a data set, against NumPy in float64."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers


def network(layer: layers.Layer, shape: tuple[int, ...], dtype: str = "float64") -> nf.Network:
    return nf.Network([layers.Input(shape), layer], dtype=dtype)


@pytest.mark.parametrize(
    ("axis", "others", "shape"),
    [
        (-1, (0, 1, 2), (3,)),
        (None, (0, 1, 2, 3), ()),
        (1, (0, 2, 3), (4, 1, 1)),
        ([2, 3], (0, 1), (5, 3)),
        ([-3, -1], (0, 2), (4, 1, 3)),
        ((1, 2, 3), (0,), (4, 5, 3)),
    ],
)
def test_statistics_along_axes(
    axis: Any, others: tuple[int, ...], shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    x = rng.normal(size=(50, 4, 5, 3)) * [1.0, 10.0, 0.1] + [0.0, 100.0, -1.0]
    layer = layers.Normalization(axis)
    layer.adapt(x)
    net = network(layer, (4, 5, 3))
    assert net.parameters["normalization.mean"].shape == shape
    mean, variance = x.mean(axis=others, keepdims=True), x.var(axis=others, keepdims=True)
    np.testing.assert_allclose(net.predict(x), (x - mean) / np.sqrt(variance), rtol=1e-10, atol=1e-12)
    back = layers.Normalization(axis, invert=True)
    back.adapt(x)
    both = nf.Network([layers.Input((4, 5, 3)), layer, back], dtype="float64")
    np.testing.assert_allclose(both.predict(x), x, rtol=1e-12, atol=1e-11)


def test_all_kinds_of_data_have_the_same_statistics(tmp_path: Path, rng: np.random.Generator) -> None:
    x = rng.normal(size=(1000, 3)) * [1, 2, 3] + [5, 0, 1e4]
    np.save(tmp_path / "x.npy", x)

    class Loader:
        def __iter__(self) -> Any:
            return ((x[i : i + 100], None) for i in range(0, 1000, 100))

    kinds: list[Any] = [
        x,
        x.tolist(),
        np.load(tmp_path / "x.npy", mmap_mode="r"),
        nf.data.Dataset(x, np.zeros(1000)),
        (x[i : i + 300] for i in range(0, 1000, 300)),
        Loader(),
    ]
    for data in kinds:
        layer = layers.Normalization()
        layer.adapt(data)
        net = network(layer, (3,))
        assert net.parameters["normalization.mean"] == pytest.approx(x.mean(axis=0), rel=1e-14)
        assert net.parameters["normalization.variance"] == pytest.approx(x.var(axis=0), rel=1e-12)


def test_long_sums_keep_their_digits(rng: np.random.Generator) -> None:
    """A million float32 rows around 4096: a float32 sum of squares would have 24 bits for 44."""
    x = (4096 + rng.normal(size=(1_000_000, 1))).astype("float32")
    layer = layers.Normalization()
    layer.adapt(x)
    net = network(layer, (1,))
    wide = x.astype(np.float64)
    assert net.parameters["normalization.mean"] == pytest.approx(wide.mean(axis=0), rel=1e-14)
    assert net.parameters["normalization.variance"] == pytest.approx(wide.var(axis=0), rel=1e-10)
    bytes_ = rng.integers(0, 256, (1000, 8, 8, 3)).astype(np.uint8)
    layer = layers.Normalization()
    layer.adapt(bytes_)
    made = network(layer, (8, 8, 3), "float32").predict(bytes_).astype(np.float64)
    assert abs(made.mean(axis=(0, 1, 2))).max() < 1e-5
    assert made.std(axis=(0, 1, 2)) == pytest.approx(np.ones(3), rel=1e-5)


def test_features_that_do_not_vary_become_zero() -> None:
    x = np.array([[0.1, 1.0], [0.1, 3.0]], dtype="float32")
    layer = layers.Normalization()
    layer.adapt(x)
    assert np.array_equal(network(layer, (2,), "float32").predict(x), [[0, -1], [0, 1]])


def test_given_statistics(tmp_path: Path) -> None:
    layer = layers.Normalization(mean=[1, 2], variance=[4.0, 9.0])
    assert repr(layer) == "Normalization(mean=[1.0, 2.0], variance=[4.0, 9.0])"
    net = network(layer, (2,))
    assert np.array_equal(net.predict([[3.0, 2.0]]), [[1.0, 0.0]])
    net.save(tmp_path / "net")
    assert np.array_equal(nf.Network.load(tmp_path / "net").predict([[3.0, 2.0]]), [[1.0, 0.0]])
    images = network(layers.Normalization(mean=2, variance=4), (2, 2, 1))
    assert (images.predict(np.full((1, 2, 2, 1), 4.0)) == 1).all()
    with pytest.raises(ValueError, match="without mean and variance to adapt"):
        layer.adapt([[1.0, 2.0]])


def test_what_is_found_is_saved_copied_and_not_trained(tmp_path: Path, rng: np.random.Generator) -> None:
    x = rng.normal(size=(64, 3)) * 7 + 100
    layer = layers.Normalization(name="scale")
    net = nf.Network([layers.Input((3,)), layer, layers.Dense(1)], seed=0)
    assert np.array_equal(net.parameters["scale.mean"], np.zeros(3))
    layer.adapt(x)  # after the network was made
    wanted = x.mean(axis=0).astype("float32")
    assert np.array_equal(net.parameters["scale.mean"], wanted)
    assert net.trainable == ["dense.kernel", "dense.bias"]
    nf.Trainer(net, loss="mse").fit(x, x[:, :1], epochs=2)
    net.freeze()
    net.unfreeze()
    assert net.trainable == ["dense.kernel", "dense.bias"]
    nf.Trainer(net, loss="mse").fit(x, x[:, :1], epochs=2)
    net.save(tmp_path / "net")
    for other in (net, nf.Network.load(tmp_path / "net"), net.copy()):
        assert np.array_equal(other.parameters["scale.mean"], wanted)
        assert np.array_equal(other.predict(x), net.predict(x))
    inner = layers.Input((3,))
    nested = nf.Network(inputs=inner, outputs=net(inner))
    assert np.array_equal(nested.predict(x), net.predict(x))


WRONG: dict[str, tuple[dict[str, Any], Any, type[Exception], str]] = {
    "the axis of the batch": ({"axis": 0}, None, ValueError, "expected axes other than 0"),
    "a text": ({"axis": "last"}, None, TypeError, "expected axis as an int"),
    "too many axes": ({"axis": 2}, np.ones((2, 3)), ValueError, r"from 1 to 1 or -1 to -1 for rows of shape \(3,\)"),
    "an axis twice": ({"axis": [1, -1]}, np.ones((2, 3)), ValueError, "expected different axes"),
    "mean alone": ({"mean": 1.0}, None, ValueError, "expected mean and variance, or neither"),
    "NaN as mean": ({"mean": np.nan, "variance": 1.0}, None, ValueError, "expected finite numbers as mean"),
    "a negative variance": ({"mean": 0.0, "variance": -1.0}, None, ValueError, "variance of 0 or more, got -1"),
    "NaN": ({}, np.array([[np.nan]]), ValueError, "data: expected finite numbers, .* in row 0, column 0"),
    "one axis": (
        {},
        np.ones(4),
        ValueError,
        r"normalization: expected data \(N, ...\) of two axes or more, got \(4,\)",
    ),
    "no rows": ({}, np.ones((0, 3)), ValueError, "expected one row or more in data, got none"),
    "changing shapes": (
        {},
        iter([np.ones((2, 3)), np.ones((2, 4))]),
        ValueError,
        r"rows of shape \(3,\) in data, got \(4,\)",
    ),
    "text as data": ({}, [["a"]], TypeError, "data of real numbers"),
    "a tensor": ({}, layers.Input((3,)), TypeError, "got a symbolic tensor"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit(wrong: str) -> None:
    options, data, error, text = WRONG[wrong]
    with pytest.raises(error, match=text):
        layers.Normalization(**options).adapt(data)


def test_statistics_of_another_shape() -> None:
    layer = layers.Normalization()
    layer.adapt(np.ones((2, 3)))
    with pytest.raises(
        ValueError, match=r"normalization: expected mean of shape \(4,\) for rows of shape \(4,\), got \(3,\)"
    ):
        network(layer, (4,))
    net = network(layer, (3,))
    with pytest.raises(ValueError, match="mean"):
        layer.adapt(np.ones((2, 4)))
    assert np.array_equal(net.parameters["normalization.mean"], np.ones(3))
