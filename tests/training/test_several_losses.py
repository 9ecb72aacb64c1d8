"""Networks with several outputs in training: losses, their weights, metrics, targets and the names of logs."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

ROWS = 24


def network(form: str = "dict", **options: Any) -> nf.Network:
    """A trunk with a class and a number as outputs; the second head reads the first one's probabilities too."""
    x = layers.Input((5,))
    trunk = layers.Dense(7, "tanh")(x)
    kind = layers.Dense(3, "softmax", name="kind")(trunk)
    size = layers.Dense(2, name="size")(layers.Concatenate()([trunk, kind]))
    outputs: Any = {"k": kind, "s": size} if form == "dict" else [kind, size]
    return nf.Network(inputs=x, outputs=outputs, seed=4, **options)


def data(rows: int = ROWS, dtype: str = "float64") -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(2)
    return rng.normal(size=(rows, 5)).astype(dtype), rng.integers(0, 3, rows), rng.normal(size=(rows, 2)).astype(dtype)


def reference(
    net: nf.Network, x: Array, labels: Array, sizes: Array, weights: Array | None = None
) -> tuple[float, float]:
    kind, size = net.predict(x).values()
    w = np.ones(len(x)) if weights is None else weights
    return -(w * np.log(kind[np.arange(len(x)), labels])).mean(), (w * ((size - sizes) ** 2).mean(axis=1)).mean()


def test_the_loss_is_the_weighted_sum_of_all() -> None:
    net = network(dtype="float64")
    x, labels, sizes = data()
    trainer = nf.Trainer(net, loss=["cross_entropy", "mse"], loss_weights=[0.5, 2.0], metrics=[["accuracy"], "mae"])
    cross, square = reference(net, x, labels, sizes)
    scores = trainer.evaluate(x, {"k": labels, "s": sizes})
    assert list(scores) == ["loss", "k_loss", "s_loss", "k_accuracy", "s_mae"]
    kind, size = net.predict(x).values()
    wanted = [
        0.5 * cross + 2 * square,
        cross,
        square,
        (kind.argmax(axis=1) == labels).mean(),
        np.abs(size - sizes).mean(),
    ]
    np.testing.assert_allclose(list(scores.values()), wanted, rtol=1e-13)
    assert trainer.train_on_batch(x, [labels, sizes]) == pytest.approx(wanted[0], rel=1e-13)


def test_sample_weights_of_all_outputs_or_of_each() -> None:
    net = network(dtype="float64")
    x, labels, sizes = data()
    rng = np.random.default_rng(5)
    one, other = rng.uniform(size=(2, ROWS))
    trainer = nf.Trainer(net, loss=["cross_entropy", "mse"])
    both = trainer.evaluate(x, [labels, sizes], one)
    np.testing.assert_allclose([both["k_loss"], both["s_loss"]], reference(net, x, labels, sizes, one), rtol=1e-13)
    for given in ([one, other], {"k": one, "s": other}):
        each = trainer.evaluate(x, [labels, sizes], given)
        assert each["k_loss"] == both["k_loss"]
        assert each["s_loss"] == pytest.approx(reference(net, x, labels, sizes, other)[1], rel=1e-13)
    only = trainer.evaluate(x, [labels, sizes], {"s": other})
    assert only["s_loss"] == each["s_loss"]
    assert only["k_loss"] == trainer.evaluate(x, [labels, sizes])["k_loss"]


@pytest.mark.parametrize("fuse", [True, False])
def test_gradients_are_those_of_central_differences(fuse: bool) -> None:
    """The softmax that the first loss takes over is read by the second head, whose gradient passes through it."""
    net = network(dtype="float64")
    x, labels, sizes = data(6)
    targets = {"k": labels, "s": sizes}
    heads = net.heads("test", {"k": "cross_entropy", "s": "huber"}, {"k": 0.3, "s": 1.7})
    rows = net.as_rows(x)
    plan = net.plan(6, heads=heads, fuse=fuse)
    core, _ = heads.for_rows(6, targets, None, "float64")
    plan.loss_and_gradients(rows, core, None, False)
    gradients = {name: gradient.copy() for name, gradient in plan.gradients().items()}
    for name, gradient in gradients.items():
        values = net.parameters[name].reshape(-1)
        for i in range(0, values.size, 3):
            before, step = values[i], 1e-6
            values[i] = before + step
            above = plan.loss_and_gradients(rows, core, None, False)
            values[i] = before - step
            below = plan.loss_and_gradients(rows, core, None, False)
            values[i] = before
            assert gradient.reshape(-1)[i] == pytest.approx((above - below) / (2 * step), rel=1e-6, abs=1e-8), name


def test_an_output_without_a_loss_changes_nothing() -> None:
    x, labels, _ = data(dtype="float32")
    i = layers.Input((5,))
    alone = nf.Network(inputs=i, outputs=layers.Dense(3, "softmax", name="kind")(layers.Dense(7, "tanh")(i)))
    alone.parameters.update({name: network().parameters[name] for name in alone.parameters})
    nf.Trainer(alone, loss="cross_entropy").fit(x, labels, epochs=3, batch_size=7, shuffle=False)
    for loss, targets in (
        ({"k": "cross_entropy"}, {"k": labels}),
        (["cross_entropy", None], [labels, None]),
        (["cross_entropy", None], [labels]),
    ):
        net = network()
        nf.Trainer(net, loss=loss).fit(x, targets, epochs=3, batch_size=7, shuffle=False)
        for name in net.parameters:
            wanted = alone.parameters[name] if name in alone.parameters else network().parameters[name]
            assert net.parameters[name].tobytes() == wanted.tobytes(), name


def test_history_validation_and_python_metrics() -> None:
    def largest(y_true: Array, y_pred: Array) -> float:
        return float(np.abs(y_true - y_pred).max())

    x, labels, sizes = data(dtype="float32")
    net = network()
    trainer = nf.Trainer(net, loss={"k": "cross_entropy", "s": "mse"}, metrics={"s": [largest], "k": "accuracy"})
    history = trainer.fit(x, {"k": labels, "s": sizes}, epochs=2, validation_split=0.25)
    wanted = ["loss", "k_loss", "s_loss", "k_accuracy"]
    assert set(history.history) >= {*wanted, *(f"val_{name}" for name in wanted), "val_s_largest"}
    scores = trainer.evaluate(x[18:], [labels[18:], sizes[18:]])
    assert history.history["val_s_largest"][-1] == scores["s_largest"]
    assert scores["s_largest"] == np.abs(net.predict(x[18:])["s"] - sizes[18:]).max()


def test_names_of_layers_where_outputs_are_a_list() -> None:
    x, labels, sizes = data(dtype="float32")
    trainer = nf.Trainer(network("list"), loss={"size": "mse", "kind": "cross_entropy"})
    assert list(trainer.evaluate(x, {"size": sizes, "kind": labels})) == ["loss", "kind_loss", "size_loss"]
    assert repr(trainer.loss) == "[CrossEntropy(), MeanSquaredError()]"


def test_a_checkpoint_continues_to_the_same_bits(tmp_path: Path) -> None:
    x, labels, sizes = data(dtype="float32")

    def trainer() -> nf.Trainer:
        loss = {"k": "cross_entropy", "s": nf.losses.Huber(0.5)}
        return nf.Trainer(network(), loss=loss, loss_weights={"s": 0.25}, metrics={"k": ["accuracy"]}, shards=2)

    whole, half = trainer(), trainer()
    whole.fit(x, [labels, sizes], epochs=4, batch_size=5)
    half.fit(x, [labels, sizes], epochs=2, batch_size=5)
    half.save_checkpoint(tmp_path / "run.safetensors")
    resumed = nf.Trainer.resume(tmp_path / "run.safetensors")
    assert repr(resumed) == repr(half)
    assert (resumed.loss_weights, resumed.shards) == ({"k": 1.0, "s": 0.25}, 2)
    resumed.fit(x, [labels, sizes], epochs=4, batch_size=5, initial_epoch=2)
    assert resumed.network.flat().tobytes() == whole.network.flat().tobytes()


def test_a_custom_loss_among_others() -> None:
    class Cubes(nf.losses.CustomLoss):
        def value(self, target: Array, prediction: Array) -> Array:
            return (np.abs(prediction - target) ** 3).sum(axis=1)

        def gradient(self, target: Array, prediction: Array) -> Array:
            return 3 * (prediction - target) * np.abs(prediction - target)

    net = network(dtype="float64")
    x, labels, sizes = data()
    loss = ["cross_entropy", Cubes()]
    value, gradients = net.loss_and_gradients(x, [labels, sizes], loss)
    error = net.predict(x)["s"] - sizes
    assert value == pytest.approx(reference(net, x, labels, sizes)[0] + (np.abs(error) ** 3).sum() / ROWS, rel=1e-13)
    np.testing.assert_allclose(gradients["size.bias"], (3 * error * np.abs(error)).sum(axis=0) / ROWS, rtol=1e-12)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_bits_of_any_number_of_threads(threads: int) -> None:
    x, labels, sizes = data(500, "float32")
    found = []
    for count in (1, threads):
        nf.set_num_threads(count)
        net = network()
        nf.Trainer(net, loss=["cross_entropy", "mse"]).fit(x, [labels, sizes], epochs=2, batch_size=100)
        found.append(net.flat().tobytes())
    nf.set_num_threads(2)
    assert found[0] == found[1]


def fitted(targets: Any, **options: Any) -> Callable[[], object]:
    x, labels, sizes = data(dtype="float32")
    return lambda: nf.Trainer(network(), loss=["cross_entropy", "mse"], **options).fit(
        x, targets(labels, sizes), epochs=1
    )


BAD: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "loss of an unknown output": (
        lambda: nf.Trainer(network(), loss={"q": "mse"}),
        ValueError,
        "unknown key of loss 'q'",
    ),
    "too many losses": (lambda: nf.Trainer(network(), loss=["mse"] * 3), ValueError, "loss: expected a list of 2"),
    "no loss": (lambda: nf.Trainer(network(), loss=[None, None]), ValueError, "a loss for at least one output"),
    "a list for one output": (
        lambda: nf.Trainer(nf.Network([layers.Input((2,)), layers.Dense(1)]), loss=["mse"]),
        TypeError,
        "expected one loss for a network with one output",
    ),
    "weight without a loss": (
        lambda: nf.Trainer(network(), loss={"s": "mse"}, loss_weights={"k": 1.0}),
        ValueError,
        "loss_weights for outputs with a loss, got one for kind",
    ),
    "weight that is no number": (
        lambda: nf.Trainer(network(), loss="mse", loss_weights={"k": "much"}),
        TypeError,
        "expected a real number as loss_weights",
    ),
    "metrics without a loss": (
        lambda: nf.Trainer(network(), loss={"s": "mse"}, metrics={"k": ["accuracy"]}),
        ValueError,
        "metrics of outputs with a loss, got some of kind",
    ),
    "targets of one output": (
        fitted(lambda k, s: s),
        ValueError,
        "y: expected a list of 2 or a dict by name, for k, s",
    ),
    "targets of an unknown output": (fitted(lambda k, s: {"k": k, "z": s}), ValueError, "unknown key of y 'z'"),
    "missing targets": (fitted(lambda k, s: {"k": k}), ValueError, "expected targets for k, s, got none for 's'"),
    "targets that do not fit": (fitted(lambda k, s: [s, s]), ValueError, "k: y: expected targets"),
    "labels out of range": (fitted(lambda k, s: [k + 1, s]), ValueError, "k: y: expected class numbers from 0 to 2"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_refused(case: str) -> None:
    call, error, text = BAD[case]
    with pytest.raises(error, match=re.escape(text)):
        call()
