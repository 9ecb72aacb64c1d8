"""Losses written as functions of tensors, and terms added to the loss."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers, losses, ops


def mse(y_true: Any, y_pred: Any) -> Any:
    return ops.square(y_true - y_pred)


def policy(y_true: Any, y_pred: Any) -> Any:
    """-advantage * log-likelihood of the action."""
    chosen = ops.take_along_axis(ops.log_softmax(y_pred), ops.expand_dims(y_true["action"], -1), axis=-1)
    return -y_true["advantage"] * ops.squeeze(chosen, -1)


def network(units: int = 2, dtype: str = "float32") -> nf.Network:
    return nf.Network([layers.Input((3,)), layers.Dense(4, "tanh"), layers.Dense(units)], seed=0, dtype=dtype)


@pytest.fixture
def data(rng: np.random.Generator) -> tuple[Any, Any]:
    return rng.normal(size=(11, 3)), rng.normal(size=(11, 2))


def test_it_trains_like_the_built_in_loss(data: tuple[Any, Any]) -> None:
    x, y = data
    nets = network(dtype="float64"), network(dtype="float64")
    weights = np.linspace(0, 2, 11)
    for net, loss in zip(nets, ("mse", mse), strict=True):
        trainer = nf.Trainer(net, loss=loss, optimizer=nf.optimizers.SGD(0.1))
        trainer.fit(x, y, epochs=3, batch_size=4, sample_weight=weights, validation_split=0.2, progress=False)
        trainer.train_on_batch(x, y)
    for a, b in zip(nets[0].get_weights(), nets[1].get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    one, two = (
        nf.Trainer(net, loss=loss).evaluate(x, y, weights) for net, loss in zip(nets, ("mse", mse), strict=True)
    )
    assert one["loss"] == pytest.approx(two["loss"], rel=1e-12)
    assert losses.FunctionLoss(mse)(y, np.zeros_like(y), weights) == pytest.approx(
        losses.MeanSquaredError()(y, np.zeros_like(y), weights)
    )


def test_targets_of_several_arrays_and_advantages_of_any_sign(data: tuple[Any, Any]) -> None:
    x = data[0]
    actions, advantages = np.arange(11) % 2, np.linspace(-1, 1, 11)
    net = network(dtype="float64")
    y = {"action": actions, "advantage": advantages}
    assert nf.check_gradients(net, x, y, policy)
    logits = net.predict(x)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    value = np.mean(-advantages * log_p[np.arange(11), actions])
    trainer = nf.Trainer(net, loss=policy)
    assert trainer.evaluate(x, y)["loss"] == pytest.approx(value, rel=1e-12)
    assert trainer.train_on_batch(x, y) == pytest.approx(value, rel=1e-12)
    trainer.fit(x, y, epochs=2, batch_size=4, validation_split=0.3, progress=False)
    # Weights of any sign have the same effect as advantages.
    net = network(dtype="float64")
    ones = {"action": actions, "advantage": np.ones(11)}
    assert nf.Trainer(net, loss=policy).evaluate(x, ones, advantages)["loss"] == pytest.approx(value, rel=1e-12)


def test_class_numbers_as_targets(data: tuple[Any, Any]) -> None:
    def cross_entropy(y_true: Any, y_pred: Any) -> Any:
        return -ops.take_along_axis(ops.log_softmax(y_pred), ops.expand_dims(y_true, -1), axis=-1)

    x, labels = data[0], np.arange(11) % 3
    net = network(3, "float64")
    trainer = nf.Trainer(net, loss=cross_entropy, metrics=["accuracy"])
    logs = trainer.evaluate(x, labels)
    other = nf.Trainer(net, loss=losses.CrossEntropy(from_logits=True), metrics=["accuracy"]).evaluate(x, labels)
    assert logs["loss"] == pytest.approx(other["loss"], rel=1e-12)
    assert logs["accuracy"] == other["accuracy"]


def test_several_outputs(data: tuple[Any, Any]) -> None:
    x, y = data
    source = layers.Input((3,))
    outputs = {"a": layers.Dense(2, name="a")(source), "b": layers.Dense(2, name="b")(source)}
    net = nf.Network(inputs=source, outputs=outputs, seed=0, dtype="float64")
    logs = nf.Trainer(net, loss={"a": mse, "b": "mse"}).evaluate(x, {"a": y, "b": y})
    plain = nf.Trainer(net, loss="mse").evaluate(x, {"a": y, "b": y})
    assert logs == pytest.approx(plain, rel=1e-12)


def test_trainers_are_saved_copied_and_resumed(tmp_path: Path, data: tuple[Any, Any]) -> None:
    x, y = data
    trainer = nf.Trainer(network(), loss=mse)
    trainer.fit(x, y, epochs=1, progress=False)
    trainer.save_checkpoint(tmp_path / "c")
    resumed = nf.Trainer.resume(tmp_path / "c", custom_objects={"mse": mse})
    twins = [resumed, copy.deepcopy(trainer), pickle.loads(pickle.dumps(trainer))]
    bits = {twin.train_on_batch(x, y) for twin in (trainer, *twins)}
    assert len(bits) == 1
    assert len({twin.network.parameters["dense.kernel"].tobytes() for twin in (trainer, *twins)}) == 1
    with pytest.raises(ValueError, match=r"custom_objects=\{'mse': mse\}"):
        nf.Trainer.resume(tmp_path / "c")


@pytest.mark.parametrize("options", [{"shards": 2}, {"micro_batch_size": 4}])
def test_in_parts(options: dict[str, int], data: tuple[Any, Any]) -> None:
    x, y = data
    results = []
    for chosen in ({}, options):
        net = network(dtype="float64")
        trainer = nf.Trainer(net, loss=mse, **chosen)
        trainer.train_on_batch(x, y)
        results.append(net.parameters["dense.kernel"].copy())
    np.testing.assert_allclose(results[0], results[1], rtol=1e-10)


def test_errors(data: tuple[Any, Any]) -> None:
    x, y = data
    net = network()

    def train(loss: Any, targets: Any) -> None:
        nf.Trainer(net, loss=loss).train_on_batch(x, targets)

    with pytest.raises(TypeError, match="expected the function to return a symbolic tensor"):
        train(lambda t, p: 1.0, y)
    with pytest.raises(ValueError, match="expected one value per row"):
        train(lambda t, p: ops.mean(t - p), y)
    with pytest.raises(ValueError, match="expected shapes that broadcast"):
        train(mse, y[:, :1].repeat(3, axis=1))
    with pytest.raises(ValueError, match=r"y\['b'\]: expected one row for each of the 11 rows"):
        train(mse, {"a": y, "b": y[:3]})
    with pytest.raises(TypeError, match=r"nf\.ops\.where"):
        train(lambda t, p: t - p if p > 0 else p, y)
    with pytest.raises(ValueError, match="Trainer: expected a loss for at least one output"):
        nf.Trainer(net)
    outside = layers.Input((2,))
    with pytest.raises(ValueError, match=r"use net\.add_loss"):
        train(lambda t, p: t - p + outside, y)


# ---- terms added to the loss -----------------------------------------------------------------------


def penalized(dtype: str = "float64") -> nf.Network:
    x = layers.Input((3,))
    h = layers.Dense(4, "tanh")(x)
    net = nf.Network(inputs=x, outputs=layers.Dense(2)(h), seed=0, dtype=dtype)
    net.add_loss(0.1 * ops.square(h))
    net.add_loss(ops.mean(h, axis=0) ** 2)
    return net


def test_added_losses(tmp_path: Path, data: tuple[Any, Any]) -> None:
    x, y = data
    net = penalized()
    h = net.trace(x)["dense"]
    value = np.mean((net.predict(x) - y) ** 2) + 0.1 * np.mean(h**2) + np.mean(h.mean(0) ** 2)
    assert nf.Trainer(net, loss="mse").evaluate(x, y)["loss"] == pytest.approx(value, rel=1e-12)
    assert nf.check_gradients(net, x, y, "mse")
    net.save(tmp_path / "net")
    loaded = nf.Network.load(tmp_path / "net")
    for twin in (loaded, net.copy(), pickle.loads(pickle.dumps(net))):
        assert nf.Trainer(twin, loss="mse").evaluate(x, y)["loss"] == pytest.approx(value, rel=1e-12)


def test_added_losses_alone_need_no_targets(data: tuple[Any, Any]) -> None:
    x = data[0]
    net = penalized()
    trainer = nf.Trainer(net, optimizer=nf.optimizers.SGD(0.5))
    before = trainer.evaluate(x)["loss"]
    trainer.fit(x, epochs=5, batch_size=4, progress=False)
    assert trainer.evaluate(x)["loss"] < before
    assert nf.check_gradients(net, x, None, None)
    with pytest.raises(ValueError, match="y: expected none"):
        trainer.train_on_batch(x, data[1])


def test_errors_of_add_loss() -> None:
    with pytest.raises(RuntimeError, match="expected a network just made"):
        network().add_loss(layers.Input((2,)))
    with pytest.raises(TypeError, match="expected a symbolic tensor"):
        penalized().add_loss(3.0)  # type: ignore[arg-type]


def test_metrics_as_functions(data: tuple[Any, Any]) -> None:
    def error(y_true: Any, y_pred: Any) -> Any:
        return ops.max(ops.absolute(y_true - y_pred), axis=-1)

    x, y = data
    net = network(dtype="float64")
    trainer = nf.Trainer(net, loss=mse, metrics=[error, "mae"])
    logs = trainer.evaluate(x, y)
    assert logs["error"] == pytest.approx(abs(net.predict(x) - y).max(1).mean(), rel=1e-12)
    assert logs["mae"] == pytest.approx(abs(net.predict(x) - y).mean(), rel=1e-12)
    history = trainer.fit(x, y, epochs=1, validation_data=(x, y), progress=False)
    assert "val_error" in history.history


# ---- one trainer, several forms of targets -------------------------------------------------------


def first_only(y_true: Any, y_pred: Any) -> Any:
    return ops.square(y_pred - y_true["a"]) + 0 * y_true["b"]


def test_the_order_of_keys_has_no_meaning(data: tuple[Any, Any]) -> None:
    x, a = data
    b = np.full_like(a, 3.0)
    plain, mixed = (nf.Trainer(network(), loss=first_only, optimizer=nf.optimizers.SGD(0.1)) for _ in range(2))
    wanted = plain.fit(x, {"a": a, "b": b}, epochs=3, progress=False)
    got = mixed.fit(x, {"a": a, "b": b}, epochs=3, validation_data=(x, {"b": b, "a": a}), progress=False)
    assert got["loss"] == wanted["loss"]


def test_validation_may_have_targets_of_another_form(data: tuple[Any, Any]) -> None:
    x, y = data

    def truncated(y_true: Any, y_pred: Any) -> Any:
        return ops.square(y_pred - ops.cast(y_true, "int32"))

    def wide(y_true: Any, y_pred: Any) -> Any:
        return ops.square(y_pred - y_true)

    for loss, other in ((truncated, np.ones((11, 2), int)), (wide, y[:, :1])):
        plain, mixed = (nf.Trainer(network(), loss=loss) for _ in range(2))
        wanted = plain.fit(x, y, epochs=3, progress=False)
        got = mixed.fit(x, y, epochs=3, validation_data=(x, other), progress=False)
        assert got["loss"] == wanted["loss"]
        single = x.astype("float32")
        steps = [trainer.train_on_batch(single, y.astype("float32")) for trainer in (plain, mixed)]
        assert mixed.train_on_batch(single, other) != steps[1]
        assert steps[0] == steps[1]


def test_metrics_read_no_more_than_the_targets(data: tuple[Any, Any]) -> None:
    def narrow(y_true: Any, y_pred: Any) -> Any:
        return ops.square(y_pred - ops.expand_dims(y_true, -1))

    with pytest.raises(ValueError, match="mae: expected one array of targets, of the output's shape"):
        nf.Trainer(network(), loss=narrow, metrics=["mae"]).evaluate(data[0], data[1][:, 0])


def test_lists_of_arrays_and_bytes(data: tuple[Any, Any]) -> None:
    x, y = data

    def both(y_true: Any, y_pred: Any) -> Any:
        return ops.square(y_pred - y_true[0]) * y_true[1]

    trainer = nf.Trainer(network(), loss=both)
    trainer.fit(x, [y, np.ones((11, 1))], epochs=1, validation_split=0.3, progress=False)
    p = trainer.network.predict(x)
    logs = trainer.evaluate(x, [y, np.ones((11, 1))])
    assert losses.FunctionLoss(both)([y, np.ones((11, 1))], p) == pytest.approx(logs["loss"], rel=1e-6)

    def sign(y_true: Any, y_pred: Any) -> Any:
        return ops.square(y_pred - (1 - 2 * y_true))

    ones = np.ones((11, 2), "uint8")
    logs = nf.Trainer(trainer.network, loss=sign).evaluate(x, ones)
    assert losses.FunctionLoss(sign)(ones, p) == pytest.approx(logs["loss"], rel=1e-6)
    with pytest.raises(ValueError, match="class_weight: expected one array"):
        trainer.fit(x, [y, np.ones((11, 1))], epochs=1, class_weight={0: 2.0}, progress=False)


def test_what_a_loss_must_not_contain(data: tuple[Any, Any]) -> None:
    for function in (lambda t, p: layers.Dense(2)(p) - t, lambda t, p: layers.Dropout(0.5)(p) - t):
        with pytest.raises(ValueError, match="expected a function of y_true and y_pred alone"):
            nf.Trainer(network(), loss=function).evaluate(*data)


def test_add_loss_keeps_what_is_frozen_and_is_all_or_nothing(data: tuple[Any, Any]) -> None:
    x = layers.Input((3,))
    h = layers.Dense(4, name="h")(x)
    net = nf.Network(inputs=x, outputs=h, seed=0)
    net.freeze("h.bias")
    net.add_loss(h)
    assert net.frozen == ["h.bias"]
    with pytest.raises(ValueError, match="depend"):
        net.add_loss(layers.Dense(2)(layers.Input((2,))))
    assert (net.copy().predict(data[0]) == net.predict(data[0])).all()
    net.add_loss(ops.square(h))
    with pytest.raises(ValueError, match="without terms of add_loss"):
        net(layers.Input((3,)))
