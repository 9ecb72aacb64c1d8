"""Training: steps against formulas, the loop of fit, validation, callbacks, interruption, resume."""

import _thread
import math
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import callbacks, layers
from nnfast.typing import Array


def line(seed: int = 0, dtype: str = "float64") -> nf.Network:
    return nf.Network([layers.Input((3,)), layers.Dense(2)], seed=seed, dtype=dtype)


def classifier(seed: int = 0) -> nf.Network:
    chain = [layers.Input((4,)), layers.Dense(8, "relu"), layers.Dropout(0.3), layers.Dense(3, "softmax")]
    return nf.Network(chain, seed=seed)


@pytest.fixture
def blobs(rng: np.random.Generator) -> tuple[Array, Array]:
    """Three well separated clusters."""
    labels = rng.integers(0, 3, size=150)
    centres = np.array([[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0]])
    return (centres[labels] + 0.2 * rng.normal(size=(150, 4))).astype("float32"), labels


def same(a: nf.Network, b: nf.Network) -> bool:
    return all(u.tobytes() == v.tobytes() for u, v in zip(a.get_weights(), b.get_weights(), strict=True))


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


# ---- callbacks -----------------------------------------------------------------------


def test_callbacks_are_called_in_order(blobs: tuple[Array, Array]) -> None:
    calls: list[Any] = []

    class Record(callbacks.Callback):
        def on_train_begin(self) -> None:
            calls.append("begin")

        def on_train_end(self) -> None:
            calls.append("end")

        def on_epoch_begin(self, epoch: int) -> None:
            calls.append(epoch)

        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            calls.append(sorted(logs))

        def on_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            calls.append((batch, *logs))

    x, y = blobs
    trainer = nf.Trainer(classifier(), loss="cross_entropy")
    trainer.fit(x, y, epochs=1, batch_size=100, validation_data=(x, y), callbacks=[Record()])
    assert calls == ["begin", 0, (0, "loss"), (1, "loss"), ["loss", "val_loss"], "end"]


def test_batch_callbacks_change_no_bit(blobs: tuple[Array, Array]) -> None:
    class Watch(callbacks.Callback):
        def on_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            pass

    one, two = classifier(), classifier()
    first = nf.Trainer(one, loss="cross_entropy").fit(*blobs, epochs=2)
    second = nf.Trainer(two, loss="cross_entropy").fit(*blobs, epochs=2, callbacks=[Watch()])
    assert same(one, two)
    assert first.history["loss"] == pytest.approx(second.history["loss"], rel=1e-12)


def test_early_stopping_restores_the_best(rng: np.random.Generator) -> None:
    """With a rate that grows, the loss first falls and then rises."""
    x, t = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    net = line()
    kept: list[list[Array]] = []

    class Keep(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            kept.append(self.trainer.network.get_weights())

    optimizer = nf.optimizers.SGD(lambda step: 0.05 * 1.3**step)
    stop = callbacks.EarlyStopping("val_loss", patience=2)
    trainer = nf.Trainer(net, loss="mse", optimizer=optimizer)
    history = trainer.fit(x, t, epochs=60, batch_size=20, validation_data=(x, t), callbacks=[Keep(), stop])
    values = history.history["val_loss"]
    best = int(np.argmin(values))
    assert stop.best_epoch == best
    assert len(values) == best + 4
    assert all(np.array_equal(a, b) for a, b in zip(net.get_weights(), kept[best], strict=True))


def test_early_stopping_wants_what_it_watches(blobs: tuple[Array, Array]) -> None:
    trainer = nf.Trainer(classifier(), loss="cross_entropy")
    with pytest.raises(ValueError, match=r"val_loss.*pass validation data"):
        trainer.fit(*blobs, epochs=2, callbacks=[callbacks.EarlyStopping()])


@pytest.mark.parametrize(("monitor", "figures"), [("accuracy", [0.5, 0.7, 0.6]), ("loss", [0.5, 0.3, 0.4])])
def test_early_stopping_tells_the_best_figure(monitor: str, figures: list[float]) -> None:
    """More is better for names that end in "accuracy", less for others."""
    stop = callbacks.EarlyStopping(monitor, restore_best_weights=False)
    for epoch, figure in enumerate(figures):
        stop.on_epoch_end(epoch, {monitor: figure})
    assert (stop.best_epoch, stop.best) == (1, figures[1])


def test_termination_conditions(rng: np.random.Generator) -> None:
    """Row S20: training ends when the loss is small enough, or when it no longer changes."""
    x = rng.normal(size=(20, 3))
    t = x @ rng.normal(size=(3, 2))
    optimizer = nf.optimizers.SGD(0.3)
    small = callbacks.TerminateOnCondition(below=1e-4)
    losses = nf.Trainer(line(), loss="mse", optimizer=optimizer).fit(
        x, t, epochs=1000, callbacks=[small], batch_size=20
    )
    assert losses.history["loss"][-1] < 1e-4 <= losses.history["loss"][-2]
    noisy = t + rng.normal(size=t.shape)
    still = callbacks.TerminateOnCondition(min_change=1e-6)
    losses = nf.Trainer(line(), loss="mse", optimizer=optimizer).fit(
        x, noisy, epochs=1000, callbacks=[still], batch_size=20
    )
    values = losses.history["loss"]
    assert abs(values[-1] - values[-2]) <= 1e-6 < abs(values[-2] - values[-3])
    with pytest.raises(ValueError, match="below="):
        callbacks.TerminateOnCondition()


# ---- progress ------------------------------------------------------------------------


def test_progress_is_shown_when_wanted(blobs: tuple[Array, Array], capsys: pytest.CaptureFixture[str]) -> None:
    x, y = blobs
    trainer = nf.Trainer(classifier(), loss="cross_entropy", metrics=["accuracy"])
    trainer.fit(x, y, epochs=1)
    trainer.fit(x, y, epochs=1, progress=False)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
    trainer.fit(x, y, epochs=2, progress=True, validation_data=(x, y))
    text = capsys.readouterr().err
    assert "epoch 1/2" in text
    assert "val_accuracy" in text
    assert "5/5" in text


# ---- interruption and resume -----------------------------------------------------------


class Interrupt(callbacks.Callback):
    """Ctrl-C after a number of batches."""

    def __init__(self, after: int) -> None:
        self.after = after

    def on_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.after -= 1
        if self.after == 0:
            raise KeyboardInterrupt


def test_an_interrupted_epoch_is_completed_with_the_same_bits(blobs: tuple[Array, Array]) -> None:
    one, two = classifier(), classifier()
    whole = nf.Trainer(one, loss="cross_entropy").fit(*blobs, epochs=3)
    trainer = nf.Trainer(two, loss="cross_entropy")
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(*blobs, epochs=3, callbacks=[Interrupt(7)])
    assert (trainer.iteration, trainer.epoch) == (7, 1)
    rest = trainer.fit(*blobs, epochs=3, initial_epoch=trainer.epoch)
    assert same(one, two)
    assert rest.history["loss"] == pytest.approx(whole.history["loss"][1:], rel=1e-12)


@pytest.fixture
def in_foreground() -> Iterator[None]:
    """Ctrl-C interrupts, as in a terminal; what a shell runs in the background inherits that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("in_foreground")
def test_ctrl_c_at_any_moment_loses_no_bit(blobs: tuple[Array, Array]) -> None:
    one, two = classifier(), classifier()
    trainer = nf.Trainer(two, loss="cross_entropy")
    for seconds in (0.01, 0.03, 0.05):
        timer = threading.Timer(seconds, _thread.interrupt_main)
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            trainer.fit(*blobs, epochs=10**6)
        timer.join()
    trainer.fit(*blobs, epochs=trainer.epoch + 1, initial_epoch=trainer.epoch)
    nf.Trainer(one, loss="cross_entropy").fit(*blobs, epochs=trainer.epoch)
    assert trainer.iteration == 5 * trainer.epoch
    assert same(one, two)


@pytest.mark.parametrize("batches", [5, 7], ids=["between epochs", "inside an epoch"])
@pytest.mark.parametrize("optimizer", ["adam", nf.optimizers.SGD(0.1, momentum=0.9)], ids=["adam", "momentum"])
def test_a_checkpoint_goes_on_with_the_same_bits(
    batches: int, optimizer: Any, blobs: tuple[Array, Array], tmp_path: Path
) -> None:
    path = tmp_path / "run.safetensors"

    class Checkpoint(callbacks.Callback):
        done = 0

        def on_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            self.done += 1
            if self.done == batches:
                self.trainer.save_checkpoint(path)

    one = classifier()
    trainer = nf.Trainer(
        one, loss=nf.losses.CrossEntropy(label_smoothing=0.1), optimizer=optimizer, metrics=["accuracy"]
    )
    whole = trainer.fit(*blobs, epochs=3, callbacks=[Checkpoint()])
    resumed = nf.Trainer.resume(path)
    assert resumed.iteration == batches
    assert repr(resumed.loss) == repr(trainer.loss)
    assert repr(resumed.optimizer) == repr(trainer.optimizer)
    # After the last batch of an epoch the epoch itself is not yet over: its validation is still to come.
    epoch = resumed.epoch
    rest = resumed.fit(*blobs, epochs=3, initial_epoch=epoch)
    assert same(one, resumed.network)
    for name in ("loss", "accuracy"):
        assert rest.history[name] == pytest.approx(whole.history[name][epoch:], rel=1e-12)


def halving(step: int) -> float:
    return 0.01 / (1 + step)


def test_functions_and_classes_of_a_checkpoint_are_handed_over(rng: np.random.Generator, tmp_path: Path) -> None:
    class Quartic(nf.losses.CustomLoss):
        def __init__(self, scale: float = 1.0) -> None:
            self.scale = scale

        def value(self, target: Array, prediction: Array) -> Array:
            return np.asarray(self.scale * ((prediction - target) ** 4).sum(axis=1))

        def gradient(self, target: Array, prediction: Array) -> Array:
            return np.asarray(4 * self.scale * (prediction - target) ** 3)

    def largest(y_true: Array, y_pred: Array) -> float:
        return float(np.abs(y_true - y_pred).max())

    x, t = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
    optimizer = nf.optimizers.Adam(halving)
    trainer = nf.Trainer(line(), loss=Quartic(0.5), optimizer=optimizer, metrics=[largest, "mae"])
    trainer.train_on_batch(x, t)
    trainer.save_checkpoint(tmp_path / "run.safetensors")
    objects = {"Quartic": Quartic, "largest": largest, "halving": halving}
    resumed = nf.Trainer.resume(tmp_path / "run.safetensors", custom_objects=objects)
    assert resumed.evaluate(x, t) == trainer.evaluate(x, t)
    assert resumed.train_on_batch(x, t) == trainer.train_on_batch(x, t)
    assert same(resumed.network, trainer.network)
    for missing in objects:
        rest = {name: value for name, value in objects.items() if name != missing}
        with pytest.raises(ValueError, match=missing):
            nf.Trainer.resume(tmp_path / "run.safetensors", custom_objects=rest)


def test_a_non_finite_loss_stops_with_the_last_good_parameters(rng: np.random.Generator) -> None:
    x, t = rng.normal(size=(64, 3)), rng.normal(size=(64, 2))
    net = line()
    trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(1e100))
    with pytest.raises(RuntimeError, match=r"(?i)finite"):
        trainer.fit(x, t, epochs=100)
    assert all(np.isfinite(weights).all() for weights in net.get_weights())
