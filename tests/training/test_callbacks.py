"""Callbacks: what runs between the epochs and batches of a training run."""

import copy
import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_callbacks import After
from small_networks import classifier, line, same

import nnfast as nf
from nnfast import callbacks
from nnfast.core.typing import Array
from nnfast.training.resumed import Resumed

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
    assert first.history == second.history


def test_a_batch_has_its_own_loss_and_metrics(rng: np.random.Generator) -> None:
    """The short last one too: means over its own rows."""
    seen: list[dict[str, float]] = []

    class Watch(callbacks.Callback):
        def on_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            assert batch == len(seen)
            seen.append(dict(logs))

    x, t = rng.normal(size=(10, 3)), rng.normal(size=(10, 2))
    net = line()
    error = net.predict(x) - t
    trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.0), metrics=["mae"])
    trainer.fit(x, t, epochs=1, batch_size=4, shuffle=False, callbacks=[Watch()])
    for logs, rows in zip(seen, (slice(0, 4), slice(4, 8), slice(8, 10)), strict=True):
        expected = {"loss": (error[rows] ** 2).mean(), "mae": np.abs(error[rows]).mean()}
        assert logs == pytest.approx(expected, rel=1e-13)


def test_a_stop_after_a_batch_ends_the_epoch_there(rng: np.random.Generator) -> None:
    x, t = rng.normal(size=(10, 3)), rng.normal(size=(10, 2))
    net = line()
    values = ((net.predict(x) - t) ** 2).mean(axis=1)
    trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.0))

    def stop(trainer: nf.Trainer) -> None:
        trainer.stop_training = True

    history = trainer.fit(
        x, t, epochs=5, batch_size=4, shuffle=False, validation_data=(x, t), callbacks=[After(2, stop)]
    )
    assert (trainer.iteration, trainer.epoch) == (2, 1)
    assert history["loss"] == pytest.approx([values[:8].mean()], rel=1e-13)
    assert history["val_loss"] == pytest.approx([values.mean()], rel=1e-13)
    again = trainer.fit(x, t, epochs=3, batch_size=4)
    assert len(again["loss"]) == 3
    assert trainer.iteration == 2 + 3 * 3


def test_frozen_in_a_callback_is_frozen_from_the_next_step_on(rng: np.random.Generator) -> None:
    """With the bits of steps by hand; evaluating and predicting beside it change none."""
    x, t = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))

    def freeze(trainer: nf.Trainer) -> None:
        trainer.network.freeze("dense.kernel")
        trainer.evaluate(x, t)
        trainer.network.predict(x)

    one, two = line(), line()
    trainer = nf.Trainer(one, loss="mse")
    history = trainer.fit(x, t, epochs=2, batch_size=8, shuffle=False, callbacks=[After(3, freeze)])
    by_hand = nf.Trainer(two, loss="mse")
    losses = []
    for step in range(10):
        if step == 3:
            two.freeze("dense.kernel")
        rows = slice(8 * (step % 5), 8 * (step % 5) + 8)
        losses.append(by_hand.train_on_batch(x[rows], t[rows]))
    assert same(one, two)
    assert trainer.iteration == 10
    assert history["loss"] == pytest.approx([np.mean(losses[:5]), np.mean(losses[5:])], rel=1e-13)


def test_frozen_between_epochs_is_frozen_in_the_next(rng: np.random.Generator) -> None:
    x, t = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    kernels = []

    class Freeze(callbacks.Callback):
        def on_epoch_begin(self, epoch: int) -> None:
            kernels.append(self.trainer.network.parameters["dense.kernel"].copy())
            if epoch == 1:
                self.trainer.network.freeze("dense.kernel")
            if epoch == 3:
                self.trainer.network.unfreeze()

    nf.Trainer(line(), loss="mse").fit(x, t, epochs=5, batch_size=8, callbacks=[Freeze()])
    assert [bool((a == b).all()) for a, b in pairwise(kernels)] == [False, True, True, False]


@pytest.mark.parametrize("rows", [2, 100])
def test_steps_in_a_callback_are_steps_and_no_part_of_the_epoch(rows: int, rng: np.random.Generator) -> None:
    """100 rows are more than the plan has room for: a new one is made in the middle of the epoch."""
    x, t = rng.normal(size=(24, 3)), rng.normal(size=(24, 2))
    more = rng.normal(size=(rows, 3)), rng.normal(size=(rows, 2))
    one, two = line(), line()
    trainer = nf.Trainer(one, loss="mse")
    trainer.fit(x, t, epochs=1, batch_size=8, shuffle=False, callbacks=[After(2, lambda t: t.train_on_batch(*more))])
    by_hand = nf.Trainer(two, loss="mse")
    for batch in ((x[:8], t[:8]), (x[8:16], t[8:16]), more, (x[16:], t[16:])):
        by_hand.train_on_batch(*batch)
    assert trainer.iteration == 4
    assert same(one, two)


def test_a_fit_within_a_fit_is_refused(rng: np.random.Generator) -> None:
    x, t = rng.normal(size=(8, 3)), rng.normal(size=(8, 2))
    trainer = nf.Trainer(line(), loss="mse")
    with pytest.raises(RuntimeError, match=r"no other fit of this trainer.*train_on_batch"):
        trainer.fit(x, t, epochs=2, batch_size=4, callbacks=[After(1, lambda inner: inner.fit(x, t, epochs=1))])
    assert len(trainer.fit(x, t, epochs=1)["loss"]) == 1
    copies = []
    trainer.fit(x, t, epochs=1, callbacks=[After(1, lambda inner: copies.append(copy.deepcopy(inner)))])
    assert len(copies[0].fit(x, t, epochs=1)["loss"]) == 1


@pytest.mark.parametrize("name", ["network", "loss", "optimizer", "metrics"])
def test_what_a_trainer_is_made_of_stays(name: str) -> None:
    """Another value would have no effect."""
    trainer = nf.Trainer(line(), loss="mse")
    with pytest.raises(AttributeError, match=f"Trainer: {name} is fixed; make a new Trainer"):
        setattr(trainer, name, getattr(trainer, name))


def test_one_callback_or_an_iterator_of_them_will_do(rng: np.random.Generator) -> None:
    x, t = rng.normal(size=(8, 3)), rng.normal(size=(8, 2))
    for wrap in (lambda c: c, lambda c: (c,), lambda c: iter([c])):
        stop = callbacks.TerminateOnCondition(below=1e9)
        assert len(nf.Trainer(line(), loss="mse").fit(x, t, epochs=5, callbacks=wrap(stop))["loss"]) == 1
    assert list(nf.Trainer(line(), loss="mse", metrics=None).fit(x, t, epochs=2, callbacks=None)) == ["loss"]


KERAS = {
    "on_test_batch_begin": "write on_test_begin",
    "on_test_batch_end": "write on_test_begin",
    "on_predict_begin": r"Network\.predict",
    "on_predict_end": r"Network\.predict",
    "on_predict_batch_begin": r"Network\.predict",
    "on_predict_batch_end": r"Network\.predict",
    "on_epoch_ends": "the methods of a callback are on_batch_begin, on_batch_end, on_epoch_begin, on_epoch_end, on_te",
}


@pytest.mark.parametrize("name", KERAS)
@pytest.mark.parametrize("on_object", [False, True], ids=["of the class", "of the object"])
def test_methods_that_nothing_calls_are_refused(name: str, on_object: bool) -> None:
    callback = type("Own", (callbacks.Callback,), {} if on_object else {name: lambda self, *_: None})()
    if on_object:
        setattr(callback, name, lambda *_: None)
    net = line()
    before = net.get_weights()
    with pytest.raises(TypeError, match=f"Own: no method of a callback is called {name}; .*{KERAS[name]}"):
        nf.Trainer(net, loss="mse").fit(np.ones((2, 3)), np.ones((2, 2)), epochs=1, callbacks=[callback])
    assert all((a == b).all() for a, b in zip(before, net.get_weights(), strict=True))


class Recorder(callbacks.Callback):
    """Says what is called, and with what: all the methods of Keras's callbacks that fit calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        self.calls.append(("set_params", params))

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        self.calls.append("set_model")

    def on_train_begin(self, logs: Any = None) -> None:
        super().on_train_begin(logs)
        self.calls.append(("on_train_begin", logs))

    def on_train_end(self, logs: Any = None) -> None:
        super().on_train_end(logs)
        self.calls.append(("on_train_end", *logs))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self.calls.append(("on_epoch_begin", epoch, logs))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_end(epoch, logs)
        self.calls.append(("on_epoch_end", epoch, *logs))

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        super().on_train_batch_begin(batch, logs)
        self.calls.append(("on_train_batch_begin", batch, logs))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        super().on_train_batch_end(batch, logs)
        self.calls.append(("on_train_batch_end", batch, *logs))

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.calls.append(("on_batch_begin", batch))

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        self.calls.append(("on_batch_end", batch))

    def on_test_begin(self, logs: Any = None) -> None:
        super().on_test_begin(logs)
        self.calls.append(("on_test_begin", logs))

    def on_test_end(self, logs: Any = None) -> None:
        super().on_test_end(logs)
        self.calls.append(("on_test_end", *logs))


def test_the_order_of_calls(blobs: tuple[Array, Array]) -> None:
    record = Recorder()
    nf.Trainer(classifier(), loss="cross_entropy").fit(
        *blobs, epochs=2, batch_size=100, initial_epoch=1, validation_data=blobs, callbacks=record
    )
    assert record.calls == [
        ("set_params", {"epochs": 2, "steps": 2, "samples": 150, "batch_size": 100}),
        "set_model",
        ("on_train_begin", {}),
        ("on_epoch_begin", 1, {}),
        ("on_batch_begin", 0),
        ("on_train_batch_begin", 0, {}),
        ("on_batch_end", 0),
        ("on_train_batch_end", 0, "loss"),
        ("on_batch_begin", 1),
        ("on_train_batch_begin", 1, {}),
        ("on_batch_end", 1),
        ("on_train_batch_end", 1, "loss"),
        ("on_test_begin", {}),
        ("on_test_end", "loss"),
        ("on_epoch_end", 1, "loss", "val_loss"),
        ("on_train_end", "loss", "val_loss"),
    ]


def test_params_without_the_last_batch(blobs: tuple[Array, Array]) -> None:
    record = Recorder()
    nf.Trainer(classifier(), loss="cross_entropy").fit(*blobs, epochs=1, drop_last=True, callbacks=record)
    assert record.params == {"epochs": 1, "steps": 4, "samples": 128, "batch_size": 32}


def test_a_callback_written_for_keras_runs(blobs: tuple[Array, Array], tmp_path: Path) -> None:
    """The one of Keras's guide that stops at the lowest loss, and what else such callbacks do with the model."""
    x, y = blobs

    class EarlyStoppingAtMinLoss(callbacks.Callback):
        def __init__(self, patience: int = 0) -> None:
            super().__init__()
            self.patience = patience
            self.best_weights = None

        def on_train_begin(self, logs: Any = None) -> None:
            self.wait = 0
            self.stopped_epoch = 0
            self.best = np.inf

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            current = logs.get("loss")
            if np.less(current, self.best):
                self.best = current
                self.wait = 0
                self.best_weights = self.model.get_weights()
            else:
                self.wait += 1
                if self.wait >= self.patience:
                    self.stopped_epoch = epoch
                    self.model.stop_training = True
                    self.model.set_weights(self.best_weights)
            self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate) * 1.5
            self.shape = self.model.predict(x).shape
            self.scores = self.model.evaluate(x, y)
            self.model.save_weights(tmp_path / "weights.safetensors")

    stop = EarlyStoppingAtMinLoss(patience=2)
    net = classifier()
    trainer = nf.Trainer(net, loss="cross_entropy", optimizer=nf.optimizers.SGD(1.0))
    history = trainer.fit(x, y, epochs=200, callbacks=[stop])
    assert stop.stopped_epoch == len(history["loss"]) - 1 < 199
    assert stop.best == min(history["loss"])
    assert trainer.optimizer.learning_rate == pytest.approx(1.5 ** len(history["loss"]))
    assert (stop.shape, list(stop.scores)) == ((150, 3), ["loss"])
    assert all((a == b).all() for a, b in zip(net.get_weights(), stop.best_weights or [], strict=True))
    assert nf.Network.load(tmp_path / "weights.safetensors").num_parameters == net.num_parameters


def test_the_model_of_a_callback() -> None:
    callback = callbacks.Callback()
    with pytest.raises(AttributeError, match="Callback: no attribute 'trainer'; it exists during fit"):
        callback.model  # noqa: B018
    callback.trainer = nf.Trainer(line(), loss="mse")
    with pytest.raises(AttributeError, match="no attribute 'sotp_training' of the trainer"):
        callback.model.sotp_training = True
    with pytest.raises(AttributeError, match="Network has no attribute 'state_dict'; use parameters"):
        callback.model.state_dict  # noqa: B018
    own = callbacks.Callback()
    own.model = "mine"
    nf.Trainer(line(), loss="mse").fit(np.ones((2, 3)), np.ones((2, 2)), epochs=1, callbacks=own)
    assert own.model == "mine"


def test_methods_may_leave_out_the_logs(rng: np.random.Generator) -> None:
    calls = []

    class Short(callbacks.Callback):
        def on_train_begin(self) -> None:  # type: ignore[override]
            calls.append("begin")

        def on_epoch_begin(self, epoch: int) -> None:  # type: ignore[override]
            calls.append(epoch)

        def on_epoch_end(self, epoch: int, *_: Any) -> None:
            calls.append(epoch)

    callback = Short()
    callback.on_batch_end = lambda batch, logs: calls.append(list(logs))  # type: ignore[method-assign]
    nf.Trainer(line(), loss="mse").fit(rng.normal(size=(4, 3)), np.ones((4, 2)), epochs=1, callbacks=callback)
    assert calls == ["begin", 0, ["loss"], 0]
    callback.on_epoch_end = lambda: None  # type: ignore[assignment, method-assign]
    with pytest.raises(TypeError, match=r"Short.on_epoch_end: expected the arguments \(epoch, logs\), got \(\)"):
        nf.Trainer(line(), loss="mse").fit(np.ones((4, 3)), np.ones((4, 2)), epochs=1, callbacks=callback)


def test_figures_that_a_callback_adds_are_seen_after_it(rng: np.random.Generator) -> None:
    """By callbacks and by the history, in which epochs without them have NaN."""
    seen = []

    class Add(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            if epoch % 2:
                logs["own"] = 10.0 * epoch

    class See(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            seen.append((logs.get("own"), self.trainer.history.epoch[-1], len(self.trainer.history["loss"])))

    data = rng.normal(size=(4, 3)), np.ones((4, 2))
    history = nf.Trainer(line(), loss="mse").fit(*data, epochs=4, callbacks=[Add(), See()])
    assert seen == [(None, 0, 1), (10.0, 1, 2), (None, 2, 3), (30.0, 3, 4)]
    np.testing.assert_array_equal(history["own"], [np.nan, 10.0, np.nan, 30.0])


def test_a_resumed_run_gives_the_states_back_once(rng: np.random.Generator) -> None:
    class Count(callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.epochs = 0

        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            self.epochs += 1

        def get_state(self) -> dict[str, Any]:
            return {"epochs": self.epochs}

        def set_state(self, state: dict[str, Any]) -> None:
            self.epochs = state["epochs"]

    class Stop(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            self.run = Resumed.of(self.trainer)

    data = rng.normal(size=(4, 3)), np.ones((4, 2))
    trainer, count, stop = nf.Trainer(line(), loss="mse"), Count(), Stop()
    trainer.fit(*data, epochs=2, callbacks=[count, stop])
    assert stop.run == Resumed(2, False, [("Count", {"epochs": 2}), ("Stop", {})])
    assert trainer.callbacks == ()
    trainer.resumed = stop.run
    for expected in (5, 3):
        trainer.fit(*data, epochs=3, callbacks=[count])
        assert count.epochs == expected
    trainer.resumed = Resumed(2, False, [("Other", {"epochs": 9}), *stop.run.callbacks])
    trainer.fit(*data, epochs=3, callbacks=[count])
    assert count.epochs == 3


def test_the_history_is_there_after_ctrl_c(rng: np.random.Generator) -> None:
    """The weights are those of the last batch, and training goes on."""
    x, t = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))

    def interrupt(_: nf.Trainer) -> None:
        raise KeyboardInterrupt

    trainer, whole = nf.Trainer(line(), loss="mse"), nf.Trainer(line(), loss="mse")
    assert trainer.history.epoch == []
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(x, t, epochs=4, batch_size=8, callbacks=After(12, interrupt))
    assert (trainer.history.epoch, trainer.epoch, trainer.iteration) == ([0, 1], 2, 12)
    expected = whole.fit(x, t, epochs=4, batch_size=8)
    assert trainer.history["loss"] == expected["loss"][:2]
    assert trainer.fit(x, t, epochs=4, batch_size=8, initial_epoch=2)["loss"] == expected["loss"][2:]
    assert same(trainer.network, whole.network)
    assert trainer.history.epoch == [2, 3]


@pytest.mark.parametrize("by_batch", [False, True])
def test_the_learning_rate_is_part_of_the_history(by_batch: bool, rng: np.random.Generator) -> None:
    """That of the last step of each epoch; the function is called once for each step."""
    steps: list[int] = []

    def rate(step: int) -> float:
        steps.append(step)
        return 0.1 / (step + 1)

    data = rng.normal(size=(10, 3)), np.ones((10, 2))
    trainer = nf.Trainer(line(), loss="mse", optimizer=nf.optimizers.SGD(rate))
    own = [Recorder()] if by_batch else []
    history = trainer.fit(*data, epochs=2, batch_size=4, callbacks=own)
    assert history.learning_rate == history["learning_rate"] == [0.1 / 3, 0.1 / 6]
    assert list(history) == ["loss"]
    assert sorted(set(steps)) == list(range(6))


def test_names_of_keras_are_answered() -> None:
    with pytest.raises(
        AttributeError, match=r"nnfast\.callbacks has no attribute 'RemoteMonitor'; write callbacks.Log"
    ):
        callbacks.RemoteMonitor  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError, match=r"'EarlyStoping'; did you mean 'EarlyStopping'\?"):
        callbacks.EarlyStoping  # type: ignore[attr-defined]  # noqa: B018
    assert set(callbacks.__all__) <= set(dir(callbacks))


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: callbacks.EarlyStopping(),
        lambda folder: callbacks.ReduceLROnPlateau(),
        lambda folder: callbacks.CSVLogger(folder / "run.csv"),
        lambda folder: callbacks.TensorBoard(folder, update_freq="batch"),
        lambda folder: callbacks.TerminateOnNaN(),
        lambda folder: callbacks.Timing(),
    ],
)
def test_callbacks_can_be_copied(make: Any, blobs: tuple[Array, Array], tmp_path: Path) -> None:
    """As ensembles do, whose members have a copy each."""
    for duplicate in (copy.deepcopy(make(tmp_path)), pickle.loads(pickle.dumps(make(tmp_path)))):
        trainer = nf.Trainer(classifier(), loss="cross_entropy")
        assert trainer.fit(*blobs, epochs=1, validation_split=0.5, callbacks=duplicate).epoch == [0]
        assert duplicate.trainer is trainer
