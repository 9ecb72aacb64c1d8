"""Training: steps against formulas, the loop of fit, validation, metrics."""

import math
import time
from typing import Any

import numpy as np
import pytest
from small_networks import classifier, line, same

import nnfast as nf
from nnfast import callbacks, layers
from nnfast.core.typing import Array
from nnfast.training import fit_loop

# ---- steps ---------------------------------------------------------------------------


class Formula:
    """A linear network's training by hand, in NumPy."""

    def __init__(self, net: nf.Network) -> None:
        self.w, self.b = net.get_weights()

    def gradients(self, x: Array, t: Array) -> list[Array]:
        error = x @ self.w + self.b - t
        return [x.T @ error / len(x), error.mean(axis=0)]


@pytest.mark.parametrize(
    "optimizer",
    [
        nf.optimizers.SGD(0.1),
        nf.optimizers.SGD(0.1, momentum=0.9),
        nf.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
        nf.optimizers.Adam(0.01),
        nf.optimizers.Adam(0.01, beta_1=0.5, beta_2=0.9, epsilon=1e-3),
    ],
    ids=repr,
)
def test_steps_follow_the_formula(optimizer: Any, rng: np.random.Generator) -> None:
    x, t = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
    net = line()
    trainer = nf.Trainer(net, loss="half_squared_error", optimizer=optimizer)
    formula = Formula(net)
    first = [np.zeros_like(formula.w), np.zeros_like(formula.b)]
    second = [np.zeros_like(formula.w), np.zeros_like(formula.b)]
    for step in range(1, 6):
        gradients = formula.gradients(x, t)
        for i, (p, g) in enumerate(zip((formula.w, formula.b), gradients, strict=True)):
            if isinstance(optimizer, nf.optimizers.SGD):
                first[i] = optimizer.momentum * first[i] - 0.1 * g
                p += optimizer.momentum * first[i] - 0.1 * g if optimizer.nesterov else first[i]
            else:
                first[i] = optimizer.beta_1 * first[i] + (1 - optimizer.beta_1) * g
                second[i] = optimizer.beta_2 * second[i] + (1 - optimizer.beta_2) * g * g
                m, v = first[i] / (1 - optimizer.beta_1**step), second[i] / (1 - optimizer.beta_2**step)
                p -= 0.01 * m / (np.sqrt(v) + optimizer.epsilon)
        trainer.train_on_batch(x, t)
        for found, wanted in zip(net.get_weights(), (formula.w, formula.b), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=0, atol=step * 1e-14)
    assert trainer.iteration == 5


def test_the_loss_of_a_batch_is_the_one_before_the_step(rng: np.random.Generator) -> None:
    x, t = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    weight = rng.uniform(size=5)
    net = line()
    trainer = nf.Trainer(net, loss="mse")
    values = ((net.predict(x) - t) ** 2).mean(axis=1)
    assert trainer.train_on_batch(x, t, weight) == pytest.approx((values * weight).mean(), rel=1e-14)


def test_two_two_two_as_computed_exactly() -> None:
    """Row S8: the errors before and after a step with biases held fixed, and at the 10,000th evaluation."""
    chain = [
        layers.Input((2,)),
        layers.Dense(2, "sigmoid", True, [[0.15, 0.25], [0.20, 0.30]], 0.35, trainable=("kernel",)),
        layers.Dense(2, "sigmoid", True, [[0.40, 0.50], [0.45, 0.55]], 0.60, trainable=("kernel",)),
    ]
    net = nf.Network(chain, dtype="float64")
    trainer = nf.Trainer(net, loss="half_squared_error", optimizer=nf.optimizers.SGD(0.5))
    x, t = np.array([[0.05, 0.10]]), np.array([[0.01, 0.99]])
    errors = [trainer.train_on_batch(x, t) for _ in range(10000)]
    assert errors[0] == pytest.approx(0.298371109, abs=5e-10)
    assert errors[1] == pytest.approx(0.291027774, abs=5e-10)
    assert errors[-1] == pytest.approx(0.0000351085, abs=5e-11)
    assert (net.parameters["dense.bias"] == 0.35).all()


def test_weights_of_zero_leave_rows_out(rng: np.random.Generator) -> None:
    x, t = rng.normal(size=(8, 3)), rng.normal(size=(8, 2))
    one, two = line(), line()
    nf.Trainer(one, loss="mse", optimizer="sgd").train_on_batch(x, t, np.repeat([2.0, 0.0], 4))
    nf.Trainer(two, loss="mse", optimizer="sgd").train_on_batch(x[:4], t[:4])
    for found, wanted in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-15)


# ---- fit -----------------------------------------------------------------------------


def test_it_learns(blobs: tuple[Array, Array]) -> None:
    x, y = blobs
    trainer = nf.Trainer(classifier(), loss="cross_entropy", optimizer=nf.optimizers.Adam(0.02), metrics=["accuracy"])
    history = trainer.fit(x, y, epochs=15, batch_size=16, validation_split=0.2)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert all(len(values) == 15 for values in history.history.values())
    assert history.epoch == list(range(15))
    assert len(history.seconds) == 15
    assert history.history["val_accuracy"][-1] == 1.0
    assert history.history["loss"][-1] < history.history["loss"][0] / 3
    assert trainer.epoch == 15
    assert trainer.iteration == 15 * math.ceil(120 / 16)


def test_an_epoch_is_the_same_as_its_batches(rng: np.random.Generator) -> None:
    x, t = rng.normal(size=(10, 3)), rng.normal(size=(10, 2))
    one, two = line(), line()
    history = nf.Trainer(one, loss="mse").fit(x, t, epochs=2, batch_size=4, shuffle=False)
    trainer = nf.Trainer(two, loss="mse")
    for epoch in range(2):
        losses = [trainer.train_on_batch(x[i : i + 4], t[i : i + 4]) for i in (0, 4, 8)]
        mean = (4 * losses[0] + 4 * losses[1] + 2 * losses[2]) / 10
        assert history.history["loss"][epoch] == pytest.approx(mean, rel=1e-14)
    assert same(one, two)


def test_every_row_is_taken_once_per_epoch_in_changing_order(rng: np.random.Generator) -> None:
    seen: list[Array] = []

    class Record(nf.losses.CustomLoss):
        def value(self, target: Array, prediction: Array) -> Array:
            seen.append(target[:, 0].copy())
            return np.zeros(len(target))

        def gradient(self, target: Array, prediction: Array) -> Array:
            return np.zeros_like(prediction)

    x = rng.normal(size=(10, 3))
    t = np.stack([np.arange(10.0)] * 2, axis=1)
    trainer = nf.Trainer(line(), loss=Record())
    trainer.fit(x, t, epochs=2, batch_size=4)
    first, second = np.concatenate(seen[:3]), np.concatenate(seen[3:])
    assert sorted(first) == sorted(second) == list(range(10))
    assert list(first) != list(second)
    seen.clear()
    trainer.fit(x, t, epochs=1, batch_size=4, drop_last=True)
    assert [len(batch) for batch in seen] == [4, 4]


def test_the_same_seed_gives_the_same_bits(blobs: tuple[Array, Array], threads: None) -> None:
    nets = []
    for count in (1, 2, 3):
        nf.set_num_threads(count)
        nets.append(classifier(4))
        nf.Trainer(nets[-1], loss="cross_entropy").fit(*blobs, epochs=2, batch_size=32)
    assert same(nets[0], nets[1])
    assert same(nets[0], nets[2])


def test_the_order_of_rows_follows_from_the_seed_and_the_epoch(blobs: tuple[Array, Array]) -> None:
    """Streams from 2^31 on, which no parameter draws its first values from."""
    x, y = blobs
    one, two = classifier(7), classifier(7)
    nf.Trainer(one, loss="cross_entropy").fit(x, y, epochs=3, batch_size=50)
    by_hand = nf.Trainer(two, loss="cross_entropy")
    for epoch in range(3):
        for rows in np.split(nf._core.random_permutation(150, 7, 2**31 + epoch), 3):
            by_hand.train_on_batch(x[rows], y[rows])
    assert same(one, two)


def test_the_seconds_of_the_epochs_are_part_of_those_of_the_run(blobs: tuple[Array, Array]) -> None:
    started = time.perf_counter()
    history = nf.Trainer(classifier(), loss="cross_entropy").fit(*blobs, epochs=3, validation_data=blobs)
    assert len(history.seconds) == 3
    assert min(history.seconds) > 0
    assert sum(history.seconds) <= time.perf_counter() - started


def test_two_calls_are_one_long_one(blobs: tuple[Array, Array]) -> None:
    one, two = classifier(), classifier()
    nf.Trainer(one, loss="cross_entropy").fit(*blobs, epochs=4)
    trainer = nf.Trainer(two, loss="cross_entropy")
    trainer.fit(*blobs, epochs=2)
    history = trainer.fit(*blobs, epochs=4, initial_epoch=2)
    assert history.epoch == [2, 3]
    assert same(one, two)


def test_data_in_any_form_give_the_same_bits(blobs: tuple[Array, Array]) -> None:
    x, y = blobs
    nets = []
    for data in ((x, y), (x.astype("float64"), y.astype("int16")), (np.asfortranarray(x), np.eye(3)[y])):
        nets.append(classifier())
        nf.Trainer(nets[-1], loss="cross_entropy").fit(*data, epochs=2)
    assert same(nets[0], nets[1])
    for found, wanted in zip(nets[2].get_weights(), nets[0].get_weights(), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("share", [0.3, 0.29, 0.5, 0.05])
def test_the_last_rows_are_set_apart(share: float, rng: np.random.Generator) -> None:
    """With their weights and targets; training sees none of them, and functions among the metrics no other."""
    rows = 20
    apart = int(rows * share)
    x, t, weight = rng.normal(size=(rows, 3)), rng.normal(size=(rows, 2)), rng.uniform(0.5, 2, size=rows)
    seen: list[Array] = []

    def largest(y_true: Array, y_pred: Array) -> float:
        error = float(np.abs(y_true - y_pred).max())  # fails with symbolic tensors
        seen.append(y_true)
        return error

    one, two = line(), line()
    trainer = nf.Trainer(one, loss="mse", metrics=[largest])
    history = trainer.fit(x, t.tolist(), epochs=3, batch_size=4, sample_weight=weight, validation_split=share)
    alone = nf.Trainer(two, loss="mse")
    kept = slice(0, rows - apart)
    expected = alone.fit(x[kept], t[kept], epochs=3, batch_size=4, sample_weight=weight[kept])
    assert same(one, two)
    assert history["loss"] == expected["loss"]
    error = one.predict(x[-apart:]) - t[-apart:]
    values = (error**2).mean(axis=1)
    assert history["val_loss"][-1] == pytest.approx((values * weight[-apart:]).mean(), rel=1e-13)
    assert history["val_largest"][-1] == pytest.approx(np.abs(error).max(), rel=1e-13)
    assert len(seen) == 3
    assert all(np.array_equal(y_true, t[-apart:]) for y_true in seen)


def test_validation_data_have_weights_of_their_own(rng: np.random.Generator) -> None:
    x, t, weight = rng.normal(size=(6, 3)), rng.normal(size=(6, 2)), rng.uniform(0.5, 2, size=6)
    net = line()
    history = nf.Trainer(net, loss="mse").fit(x, t, epochs=1, validation_data=(x[:4], t[:4], weight[:4]))
    values = ((net.predict(x[:4]) - t[:4]) ** 2).mean(axis=1)
    assert history["val_loss"] == pytest.approx([(values * weight[:4]).mean()], rel=1e-13)


@pytest.mark.parametrize("shuffle", [False, True])
def test_the_short_last_batch_is_left_out(shuffle: bool, rng: np.random.Generator) -> None:
    """In order, the rows after the last whole batch never count; and the loss is a mean over those that do."""
    x, t = rng.normal(size=(11, 3)), rng.normal(size=(11, 2))
    net = line()
    values = ((net.predict(x) - t) ** 2).mean(axis=1)
    trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.0))
    history = trainer.fit(x, t, epochs=1, batch_size=4, shuffle=shuffle, drop_last=True)
    order = nf._core.random_permutation(11, 0, 1 << 31) if shuffle else np.arange(11)
    assert trainer.iteration == 2
    assert history["loss"] == pytest.approx([values[order[:8]].mean()], rel=1e-13)
    trainer.fit(x, t, epochs=1, batch_size=11, drop_last=True)
    assert trainer.iteration == 3


def test_class_weights_are_sample_weights(blobs: tuple[Array, Array]) -> None:
    x, y = blobs
    one, two = classifier(), classifier()
    nf.Trainer(one, loss="cross_entropy").fit(x, y, epochs=1, class_weight={1: 3.0})
    nf.Trainer(two, loss="cross_entropy").fit(x, y, epochs=1, sample_weight=np.where(y == 1, 3.0, 1.0))
    assert same(one, two)


def test_frozen_parameters_stay_and_momentum_survives(rng: np.random.Generator) -> None:
    x, t = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
    net = line()
    trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.1, momentum=0.9))
    trainer.train_on_batch(x, t)
    velocity = trainer.plan.state()["velocity"].copy()
    kernel, bias = net.get_weights()
    net.freeze("dense.kernel")
    trainer.train_on_batch(x, t)
    assert np.array_equal(net.parameters["dense.kernel"], kernel)
    assert not np.array_equal(net.parameters["dense.bias"], bias)
    assert trainer.iteration == 2
    net.unfreeze()
    trainer.fit(np.tile(x, (20, 1)), np.tile(t, (20, 1)), epochs=1, batch_size=100)
    assert velocity.any()
    assert not np.array_equal(net.parameters["dense.kernel"], kernel)


def test_a_larger_batch_keeps_the_state(rng: np.random.Generator) -> None:
    x, t = rng.normal(size=(100, 3)), rng.normal(size=(100, 2))
    one, two = line(), line()
    first, second = nf.Trainer(one, loss="mse"), nf.Trainer(two, loss="mse")
    second.evaluate(x, t)
    second.fit(x, t, epochs=1, batch_size=100, callbacks=[callbacks.Callback()])
    first.fit(x, t, epochs=1, batch_size=100)
    for trainer in (first, second):
        trainer.train_on_batch(x[:2], t[:2])
    assert same(one, two)


def test_the_learning_rate_can_follow_the_step(rng: np.random.Generator) -> None:
    x, t = rng.normal(size=(12, 3)), rng.normal(size=(12, 2))
    one, two = line(), line()
    schedule = nf.optimizers.SGD(lambda step: 0.1 / (1 + step))
    nf.Trainer(one, loss="mse", optimizer=schedule).fit(x, t, epochs=2, batch_size=4, shuffle=False)
    trainer = nf.Trainer(two, loss="mse", optimizer=nf.optimizers.SGD())
    for step in range(6):
        trainer.optimizer.learning_rate = 0.1 / (1 + step)
        trainer.train_on_batch(x[step % 3 * 4 :][:4], t[step % 3 * 4 :][:4])
    assert same(one, two)


def test_a_rate_advances_with_every_step_however_the_steps_are_cut(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In stretches of one step of the core, after an interruption in the middle, and after callbacks."""
    x, t = rng.normal(size=(30, 3)), rng.normal(size=(30, 2))

    def rate(step: int) -> float:
        return 0.2 / (1 + step)

    class Watch(callbacks.Callback):
        left = 3

        def on_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt

    expected = line()
    by_hand = nf.Trainer(expected, loss="mse", optimizer=nf.optimizers.SGD())
    for step in range(20):
        by_hand.optimizer.learning_rate = rate(step)
        by_hand.train_on_batch(x[step % 10 * 3 :][:3], t[step % 10 * 3 :][:3])
    for seconds in (0.0, 60.0):
        monkeypatch.setattr(fit_loop, "_CHUNK_SECONDS", seconds)
        for watched in (False, True):
            trainer = nf.Trainer(line(), loss="mse", optimizer=nf.optimizers.SGD(rate))
            options: dict[str, Any] = {"epochs": 2, "batch_size": 3, "shuffle": False}
            if watched:
                with pytest.raises(KeyboardInterrupt):
                    trainer.fit(x, t, callbacks=Watch(), **options)
                assert trainer.iteration == 3
            trainer.fit(x, t, **options)
            assert trainer.iteration == 20
            assert same(trainer.network, expected)


# ---- metrics -------------------------------------------------------------------------


def test_metrics_against_their_formulas(blobs: tuple[Array, Array]) -> None:
    x, y = blobs
    net = classifier()
    p = net.predict(x).astype("float64")

    def most_likely(y_true: Array, y_pred: Array) -> float:
        return float(y_pred.max() + (y_true == y).all())

    metrics = ["accuracy", nf.losses.CrossEntropy(label_smoothing=0.1), most_likely]
    scores = nf.Trainer(net, loss="cross_entropy", metrics=metrics).evaluate(x, y)
    smooth = 0.9 * np.eye(3)[y] + 0.1 / 3
    assert list(scores) == ["loss", "accuracy", "cross_entropy", "most_likely"]
    assert scores["loss"] == pytest.approx(-np.log(p[np.arange(150), y]).mean(), rel=1e-5)
    assert scores["accuracy"] == (p.argmax(axis=1) == y).mean()
    assert scores["cross_entropy"] == pytest.approx(-(smooth * np.log(p)).sum(axis=1).mean(), rel=1e-5)
    assert scores["most_likely"] == pytest.approx(1 + p.max())


@pytest.mark.parametrize("metric", ["mae", nf.metrics.MeanAbsoluteError()])
def test_one_metric_without_a_list(metric: Any) -> None:
    with pytest.raises(TypeError, match=r"expected a list of metrics, got .*; write metrics=\["):
        nf.Trainer(line(), loss="mse", metrics=metric)


def test_a_metric_may_not_be_called_loss() -> None:
    """Its figures would take the place of the loss's."""

    def loss(y_true: Array, y_pred: Array) -> float:
        return 0.0

    with pytest.raises(ValueError, match="different names of metrics, got 'loss' twice"):
        nf.Trainer(line(), loss="mse", metrics=[loss])


def test_losses_as_metrics_see_the_output_and_not_the_logits(blobs: tuple[Array, Array]) -> None:
    x, y = blobs
    net = classifier()
    p = net.predict(x).astype("float64")
    trainer = nf.Trainer(net, loss="cross_entropy", metrics=["mse", "sum_absolute_error"])
    scores = trainer.evaluate(x, np.eye(3)[y])
    assert scores["mse"] == pytest.approx(((p - np.eye(3)[y]) ** 2).mean(), rel=1e-5)
    assert scores["sum_absolute_error"] == pytest.approx(np.abs(p - np.eye(3)[y]).sum(axis=1).mean(), rel=1e-5)
    with pytest.raises(ValueError, match="one-hot targets because of the metric mse"):
        trainer.evaluate(x, y)


@pytest.mark.parametrize(
    ("one_hot", "metrics"),
    [(False, ["accuracy"]), (True, ["accuracy", "mse"])],
    ids=["labels", "one-hot"],
)
def test_metrics_of_training_are_those_of_evaluation(
    one_hot: bool, metrics: list[str], blobs: tuple[Array, Array]
) -> None:
    """With steps too small to change an output, for several widths: what lies where in memory follows from them."""
    x, y = blobs
    target = np.eye(3)[y] if one_hot else y
    for width in (2, 8, 33):
        net = nf.Network([layers.Input((4,)), layers.Dense(width, "relu"), layers.Dense(3, "softmax")], seed=3)
        before = net.get_weights()
        trainer = nf.Trainer(net, loss="cross_entropy", optimizer=nf.optimizers.SGD(1e-30), metrics=metrics)
        history = trainer.fit(x, target, epochs=2, batch_size=32).history
        assert all(np.abs(a - b).max() < 1e-28 for a, b in zip(before, net.get_weights(), strict=True))
        scores = trainer.evaluate(x, target)
        assert list(history) == list(scores) == ["loss", *metrics]
        for name, score in scores.items():
            # Each batch's value is a sum of float32 numbers in another order.
            assert history[name] == pytest.approx([score] * 2, rel=1e-12 if name == "accuracy" else 1e-5)


def test_accuracy_of_one_output(rng: np.random.Generator) -> None:
    x = rng.normal(size=(50, 2)).astype("float32")
    y = (x[:, 0] > 0).astype("uint8")
    for activation, limit in (("sigmoid", 0.5), (None, 0.0)):
        net = nf.Network([layers.Input((2,)), layers.Dense(1, activation)], seed=1)
        loss = nf.losses.BinaryCrossEntropy(from_logits=activation is None)
        score = nf.Trainer(net, loss=loss, metrics=["accuracy"]).evaluate(x, y)["accuracy"]
        assert score == pytest.approx(((net.predict(x)[:, 0] > limit) == y).mean())


def test_distance_of_the_slides() -> None:
    """Row S27: truth (0, 0, 1) against (.48, .01, .51)."""
    t, p = np.array([[0.0, 0.0, 1.0]]), np.array([[0.48, 0.01, 0.51]])
    assert math.sqrt(2 * nf.losses.HalfSquaredError()(t, p)) == pytest.approx(0.68, abs=0.01)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_of_logits_and_of_probabilities_agree(smoothing: float, rng: np.random.Generator) -> None:
    logits, labels = rng.normal(size=(6, 4)), rng.integers(0, 4, size=6)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    target = (1 - smoothing) * np.eye(4)[labels] + smoothing / 4
    wanted = pytest.approx(-(target * np.log(p)).sum(axis=1).mean(), rel=1e-13)
    for truth in (labels, np.eye(4)[labels]):
        assert nf.losses.CrossEntropy(label_smoothing=smoothing)(truth, p) == wanted
        assert nf.losses.CrossEntropy(from_logits=True, label_smoothing=smoothing)(truth, logits) == wanted


def test_a_non_finite_loss_stops_with_the_last_good_parameters(rng: np.random.Generator) -> None:
    x, t = rng.normal(size=(64, 3)), rng.normal(size=(64, 2))
    net = line()
    trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(1e100))
    with pytest.raises(RuntimeError, match=r"(?i)finite"):
        trainer.fit(x, t, epochs=100)
    assert all(np.isfinite(weights).all() for weights in net.get_weights())


def test_the_repr_of_a_trainer() -> None:
    net = line()
    trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.5), metrics=["mae"])
    wanted = f"Trainer({net!r}, loss=MeanSquaredError(), optimizer=SGD(learning_rate=0.5), metrics=['mae'])"
    assert repr(trainer) == wanted
