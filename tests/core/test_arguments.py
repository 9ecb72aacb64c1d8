"""Arrays on their way into the core: what is taken as it lies, what is cast on the way, and whose errors are whose."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers, losses
from nnfast.core.typing import Array

X = np.array([[-3, 0, 7], [1, 2, -1], [100, -5, 3], [0, 0, 1]])
Y = np.array([[0.25, 1.0], [0.5, 0.0], [0.125, 0.75], [1.0, 0.0]])

TYPES = ["float64", "float32", "int64", "int32", "int16", "uint16", "uint8"]


def network(dtype: str = "float32", activation: str = "sigmoid") -> nf.Network:
    return nf.Network([layers.Input((3,)), layers.Dense(2, activation)], seed=0, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("given", TYPES)
def test_rows_of_common_types_are_cast_on_the_way(given: str, dtype: str) -> None:
    """To the bits of NumPy's cast, without a detour through Python's checks."""
    net = network(dtype)
    x = (X.astype(given) if given[0] != "u" else np.abs(X).astype(given)) + np.asarray(
        0.1 if given[0] == "f" else 0, given
    )
    wanted = net.predict(x.astype(dtype))
    for rows in (x, x[:1], x[2:3]):
        fast = net._predict_if_fits(rows)
        assert fast is not None
        assert fast.dtype == dtype
        where = [int(np.flatnonzero((x == row).all(axis=1))[0]) for row in rows]
        assert fast.tobytes() == net.predict(rows).tobytes() == wanted[where].tobytes()
    assert net.predict(x.tolist()).tobytes() == wanted.tobytes()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("given", ["float64", "float32", "int64", "int32"])
def test_batches_of_common_types_train_alike(given: str, weighted: bool) -> None:
    """As arrays of the network's type do, and lists."""
    weight = np.array([0.5, 1.0, 0.0, 2.0]) if weighted else None
    ways: list[Callable[[nf.Trainer], float]] = [
        lambda t: t.train_on_batch(X.astype(given), Y, weight),
        lambda t: t.train_on_batch(X.astype("float32"), Y.astype("float32"), weight),
        lambda t: t.train_on_batch(
            X.astype("float32"), Y.astype("float32"), None if weight is None else weight.astype("float32")
        ),
        lambda t: t.train_on_batch(X.tolist(), Y.tolist(), None if weight is None else weight.tolist()),
        lambda t: t.train_on_batch(np.asfortranarray(X), Y[::-1][::-1], weight),
    ]
    results = set()
    for way in ways:
        trainer = nf.Trainer(network(), loss="binary_cross_entropy")
        results.add((*(way(trainer) for _ in range(3)), trainer.network.flat().tobytes()))
    assert len(results) == 1
    trainer = nf.Trainer(network(), loss="binary_cross_entropy")
    assert trainer._train_step_if_fits(X.astype(given), Y, weight, 0.001) is not None


class Masked(np.ndarray[Any, Any]):
    """Some array with a meaning of its own."""


REFUSED: dict[str, tuple[Any, Any, Any, str]] = {
    "x too large": (X * 1e38, Y, None, "row 0"),
    "x not finite": (np.where(X == 2, np.nan, X), Y, None, "row 1"),
    "y too large": (X, Y * np.array([[1], [1], [1e39], [1]]), None, "row 2"),
    "y above 1": (X, Y * 1.5, None, "probabilities from 0 to 1"),
    "y below 0": (X, Y - 0.5, None, "probabilities from 0 to 1"),
    "y of one row less": (X, Y[:3], None, "one row for each of the 4 rows"),
    "y of another shape": (X, Y[:, :1], None, r"expected targets \(N, 2\)"),
    "weight below 0": (X, Y, np.array([1, 1, -0.5, 1]), "non-negative weights"),
    "weight not finite": (X, Y, np.array([1, 1, np.inf, 1]), "row 2"),
    "weight too large": (X, Y, np.array([1, 1, 1e39, 1]), "row 2"),
    "weights of another number": (X, Y, np.ones(3), "one for each of the 4 rows"),
    "float32 weight below 0": (X, Y, np.array([1, 1, -0.5, 1], "float32"), "non-negative weights"),
    "rows of another size": (X[:, :2], Y, None, r"expected input \(N, 3\), got \(4, 2\)"),
    "no rows": (X[:0], Y[:0], None, "at least one row"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_lost_in_a_cast_is_an_error(case: str) -> None:
    x, y, weight, text = REFUSED[case]
    trainer = nf.Trainer(network(), loss="binary_cross_entropy", optimizer=nf.optimizers.SGD(0.1, momentum=0.9))
    trainer.train_on_batch(X.astype("float32"), Y.astype("float32"))
    before = trainer.network.flat().tobytes(), trainer.iteration
    with pytest.raises(ValueError, match=text):
        trainer.train_on_batch(x, y, weight)
    assert before == (trainer.network.flat().tobytes(), trainer.iteration)


def test_predictions_of_what_does_not_fit_name_it() -> None:
    net = network()
    for x in (
        X * 1e38,
        (X * 1e38).tolist(),
        np.where(X == 7, np.nan, X),
        np.where(X == 7, np.inf, X).astype("float32"),
    ):
        with pytest.raises(ValueError, match="finite numbers"):
            net.predict(x)
    with pytest.raises(TypeError, match="real numbers"):
        net.predict(X.astype(complex))
    assert net._predict_if_fits(X.astype("float32").view(Masked)) is None
    assert net._predict_if_fits(X.astype(">f8")) is None
    assert net._predict_if_fits("text") is None


# ---- the user's own errors -------------------------------------------------------------------------


class Broken:
    """Counts calls, and fails in the one that is asked for."""

    def __init__(self, error: type[Exception]) -> None:
        self.error = error
        self.calls = 0
        self.fails = False

    def look(self) -> None:
        self.calls += 1
        if self.fails:
            raise self.error("sensor offline")


class Layer(layers.CustomLayer):
    def __init__(self, forward: Broken, backward: Broken) -> None:
        super().__init__()
        self.at_forward, self.at_backward = forward, backward

    def forward(self, inputs: list[Array], output: Array, parameters: dict[str, Array], training: bool) -> None:
        self.at_forward.look()
        output[...] = inputs[0]

    def backward(self, d_output: Array, d_inputs: list[Array], *rest: Any) -> None:
        self.at_backward.look()
        d_inputs[0][...] = d_output


class Loss(losses.CustomLoss):
    def __init__(self, value: Broken, gradient: Broken) -> None:
        super().__init__()
        self.at_value, self.at_gradient = value, gradient

    def value(self, target: Array, prediction: Array) -> Array:
        self.at_value.look()
        return np.asarray(((prediction - target) ** 2).sum(axis=1))

    def gradient(self, target: Array, prediction: Array) -> Array:
        self.at_gradient.look()
        return 2 * (prediction - target)


@pytest.mark.parametrize("error", [ValueError, TypeError, RuntimeError])
@pytest.mark.parametrize("call", ["predict", "train_on_batch", "train_on_batch of lists", "evaluate", "fit"])
@pytest.mark.parametrize("place", ["forward", "backward", "value", "gradient", "metric", "rate"])
def test_an_error_of_the_user_is_passed_on_and_nothing_runs_twice(
    place: str, call: str, error: type[Exception]
) -> None:
    """It is raised by one call alone: what runs again would work, and nobody would know."""
    broken = {name: Broken(error) for name in ("forward", "backward", "value", "gradient", "metric", "rate")}

    def metric(target: Array, prediction: Array) -> float:
        np.sum(prediction)  # fails with symbolic tensors, with which it is called first
        broken["metric"].look()
        return 0.0

    def rate(step: int) -> float:
        broken["rate"].look()
        return 0.1

    chain = [layers.Input((3,)), layers.Dense(2), Layer(broken["forward"], broken["backward"])]
    net = nf.Network(chain, seed=0)
    trainer = nf.Trainer(
        net, loss=Loss(broken["value"], broken["gradient"]), optimizer=nf.optimizers.SGD(rate), metrics=[metric]
    )
    x, y = X.astype("float32"), Y.astype("float32")
    calls: dict[str, Callable[[], Any]] = {
        "predict": lambda: net.predict(x),
        "train_on_batch": lambda: trainer.train_on_batch(x, y),
        "train_on_batch of lists": lambda: trainer.train_on_batch(X.tolist(), Y.tolist()),
        "evaluate": lambda: trainer.evaluate(x, y),
        "fit": lambda: trainer.fit(x, y, epochs=1, batch_size=4, progress=False),
    }
    calls[call]()
    once = broken[place].calls
    if once == 0:
        pytest.skip(f"{call} does not come by {place}")
    before = net.flat().tobytes()
    broken[place].calls = 0
    broken[place].fails = True
    with pytest.raises(error, match="sensor offline"):
        calls[call]()
    assert broken[place].calls == 1
    assert net.flat().tobytes() == before


def test_an_error_of_what_becomes_an_array_is_passed_on() -> None:
    class Lazy:
        def __array__(self, *_: Any, **__: Any) -> Array:
            raise ValueError("the disk is gone")

    with pytest.raises(ValueError, match=r"^the disk is gone$"):
        network().predict(Lazy())
