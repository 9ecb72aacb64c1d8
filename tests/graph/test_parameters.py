"""Network.parameters: a mapping that writes into the network."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

X = np.linspace(-1, 1, 8, dtype="float32").reshape(2, 4)


def small(dtype: str = "float32") -> nf.Network:
    return nf.Network([layers.Input((4,)), layers.Dense(4), layers.Dense(3)], seed=0, dtype=dtype)


def formula(p: Any) -> Array:
    result: Array = (X.astype("float64") @ p["dense.kernel"] + p["dense.bias"]) @ p["dense_1.kernel"] + p[
        "dense_1.bias"
    ]
    return result


def assign(net: nf.Network, values: dict[str, Any]) -> None:
    for name, value in values.items():
        net.parameters[name] = value


def update(net: nf.Network, values: dict[str, Any]) -> None:
    net.parameters.update(values)


def update_pairs(net: nf.Network, values: dict[str, Any]) -> None:
    net.parameters.update(list(values.items()))


def merge(net: nf.Network, values: dict[str, Any]) -> None:
    net.parameters |= values


WAYS = [assign, update, update_pairs, merge]


@pytest.mark.parametrize("write", WAYS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_are_written_into_the_network(
    write: Callable[[nf.Network, dict[str, Any]], None], dtype: str, rng: np.random.Generator, tmp_path: Any
) -> None:
    """Predictions, training, weights and files agree on them; so do views that were taken before."""
    net = small(dtype)
    net.predict(X)
    trainer = nf.Trainer(net, loss="half_squared_error", optimizer=nf.optimizers.SGD(0.5))
    kernel, bias = rng.normal(size=(4, 4)), rng.integers(-3, 3, size=4).tolist()
    view = net.parameters["dense.kernel"]
    write(net, {"dense.kernel": kernel, "dense.bias": bias})
    assert net.parameters["dense.kernel"] is view
    assert np.array_equal(view, kernel.astype(dtype))
    assert np.array_equal(net.get_weights()[1], bias)
    np.testing.assert_allclose(net.predict(X), formula(net.parameters), rtol=0, atol=1e-5)
    net.save(tmp_path / "net")
    for other in (nf.Network.load(tmp_path / "net"), net.copy(), pickle.loads(pickle.dumps(net))):
        assert other.predict(X).tobytes() == net.predict(X).tobytes()
    # One step of plain gradient descent from them: the last bias moves by rate times the mean error.
    target = np.zeros((2, 3), dtype)
    wanted = net.parameters["dense_1.bias"] - 0.5 * formula(net.parameters).mean(axis=0)
    trainer.train_on_batch(X.astype(dtype), target)
    np.testing.assert_allclose(net.parameters["dense_1.bias"], wanted, rtol=0, atol=1e-5)


def test_arithmetic_in_place_and_values_of_the_network_itself() -> None:
    net, before = small(), small().get_weights()
    net.parameters["dense.kernel"] *= 2
    net.parameters["dense.bias"] += 1
    assert np.array_equal(net.get_weights()[0], 2 * before[0])
    assert np.array_equal(net.get_weights()[1], before[1] + 1)
    net.parameters["dense.kernel"] = net.parameters["dense.kernel"].T
    assert np.array_equal(net.get_weights()[0], 2 * before[0].T)


BAD: dict[str, tuple[dict[Any, Any], type[Exception], str]] = {
    "near name": ({"dense.kernal": np.zeros((4, 4))}, KeyError, r"'dense\.kernal'; did you mean 'dense\.kernel'"),
    "layer": ({"dense": np.zeros((4, 4))}, KeyError, "did you mean 'dense"),
    "no name": ({1: np.zeros(4)}, KeyError, "expected a name, got 1"),
    "shape": ({"dense_1.bias": np.zeros(4)}, ValueError, r"dense_1\.bias: expected shape \(3,\), got \(4,\)"),
    "transposed": ({"dense_1.kernel": np.zeros((3, 4))}, ValueError, r"got \(3, 4\); transpose it with \.T"),
    "broadcast": ({"dense.kernel": np.zeros(4)}, ValueError, r"expected shape \(4, 4\), got \(4,\)"),
    "a number": ({"dense.bias": 0.0}, ValueError, r"net\.parameters\[name\]\[\.\.\.\] = number"),
    "NaN": ({"dense.bias": [0, 0, 0, np.nan]}, ValueError, r"dense\.bias: expected finite numbers"),
    "too large": ({"dense.bias": [0, 0, 0, 1e39]}, ValueError, "too large for float32"),
    "text": ({"dense.bias": ["a", "b", "c", "d"]}, TypeError, "real numbers"),
    "nothing": ({"dense.bias": None}, TypeError, "expected an array as values, got None"),
}


@pytest.mark.parametrize("write", WAYS)
@pytest.mark.parametrize("bad", BAD)
def test_what_does_not_fit_is_an_error_and_nothing_is_written(
    write: Callable[[nf.Network, dict[str, Any]], None], bad: str
) -> None:
    net = small()
    before = net.flat().copy()
    values, error, text = BAD[bad]
    with pytest.raises(error, match=text):
        write(net, values if write is assign else {"dense_1.kernel": np.ones((4, 3)), **values})
    assert np.array_equal(net.flat(), before)
    assert list(net.parameters) == list(small().parameters)


def test_nothing_is_added_deleted_or_replaced() -> None:
    net = small()
    names = list(net.parameters)
    for change in (
        lambda: net.parameters.__delitem__("dense.bias"),
        lambda: net.parameters.pop("dense.bias"),
        lambda: net.parameters.popitem(),
        lambda: net.parameters.clear(),
        lambda: net.parameters.setdefault("other", np.zeros(1)),
    ):
        with pytest.raises(TypeError, match="expected the network to keep its parameters"):
            change()
    with pytest.raises(AttributeError, match=r"net\.parameters\.update\(values\)"):
        net.parameters = dict(net.parameters)  # type: ignore[assignment]
    with pytest.raises(AttributeError, match=r"update"):
        net.parameters = small().parameters
    assert list(net.parameters) == names
    with pytest.raises(KeyError, match=r"did you mean 'dense\.bias'"):
        _ = net.parameters["dense.bais"]
    assert net.parameters.get("dense.bais") is None


def test_copies_are_plain_dicts() -> None:
    """Of views where copying is shallow, of arrays of their own in a pickle or a deep copy."""
    net = small()
    p = net.parameters
    assert (len(p), "dense.bias" in p, "dense" in p) == (4, True, False)
    assert list(reversed(p)) == list(p)[::-1] == [name for name, _ in p.items()][::-1]
    for shallow in (dict(p), copy.copy(p), p.copy(), p | {}, {} | p, {**p}):
        assert type(shallow) is dict
        assert all(shallow[name] is view for name, view in p.items())
    assert list(p | {"more": 1}) == [*p, "more"]
    for deep in (copy.deepcopy(p), pickle.loads(pickle.dumps(p))):
        assert type(deep) is dict
        assert all(np.array_equal(deep[name], view) for name, view in p.items())
        deep["dense.kernel"][...] = 0
        assert p["dense.kernel"].any()
        net.parameters.update(deep)
        assert not p["dense.kernel"].any()
        net.parameters.update(small().parameters)


def test_views_outlive_the_network() -> None:
    net = small()
    p, view = net.parameters, net.parameters["dense.bias"]
    del net
    p["dense.bias"] = [1, 2, 3, 4]
    assert view.tolist() == [1, 2, 3, 4]


def test_the_repr_shows_names_and_numbers() -> None:
    net = nf.Network([layers.Input((2,)), layers.Dense(1, use_bias=False, kernel_initializer=[[1.5], [-2.0]])])
    assert repr(net.parameters) == f"Parameters({dict(net.parameters)!r})"
    assert "'dense.kernel': array([[ 1.5],\n       [-2. ]], dtype=float32)" in repr(net.parameters)
