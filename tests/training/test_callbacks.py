"""What runs and what is shown between the epochs and batches of a training run, and what the run leaves behind."""

import copy
import io
import re
import sys
from collections.abc import Callable
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from small_networks import classifier, line, same

import nnfast as nf
from nnfast import callbacks, layers
from nnfast.core.typing import Array

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


class After(callbacks.Callback):
    """Does something once, after so many batches."""

    def __init__(self, batches: int, work: Callable[[nf.Trainer], Any]) -> None:
        self.left = batches
        self.work = work

    def on_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.left -= 1
        if self.left == 0:
            self.work(self.trainer)


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
    "set_model": r"use self\.trainer",
    "set_params": r"use self\.trainer",
    "on_train_batch_end": r"write on_batch_end\(batch, logs\)",
    "on_train_batch_begin": "write on_epoch_begin",
    "on_batch_begin": "write on_epoch_begin",
    "on_test_begin": "write on_epoch_end",
    "on_test_end": "write on_epoch_end",
    "on_test_batch_begin": "write on_epoch_end",
    "on_test_batch_end": "write on_epoch_end",
    "on_predict_begin": r"Network\.predict",
    "on_predict_end": r"Network\.predict",
    "on_epoch_ends": "the methods of a callback are on_batch_end, on_epoch_begin, on_epoch_end, on_train",
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


def test_keras_habits_in_callbacks(rng: np.random.Generator) -> None:
    """Logs with a default are fine, and ``self.model`` says where the network is."""
    calls = []

    class Habits(callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            with pytest.raises(
                AttributeError, match=r"no attribute 'model'; use self\.trainer and self\.trainer\.network"
            ):
                self.model  # noqa: B018
            calls.append("begin")

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            calls.append(epoch)

    callback = Habits()
    callback.on_batch_end = lambda batch, logs: calls.append(list(logs))  # type: ignore[method-assign]
    nf.Trainer(line(), loss="mse").fit(rng.normal(size=(4, 3)), np.ones((4, 2)), epochs=1, callbacks=callback)
    assert calls == ["begin", 0, ["loss"]]


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


def test_what_to_watch_is_found_by_a_similar_name(blobs: tuple[Array, Array]) -> None:
    trainer = nf.Trainer(classifier(), loss="cross_entropy", metrics=["accuracy"])
    with pytest.raises(
        ValueError, match=r"'val_acc'; did you mean 'val_accuracy'\? valid names: accuracy, loss, val_acc"
    ):
        trainer.fit(*blobs, epochs=2, validation_split=0.2, callbacks=callbacks.EarlyStopping("val_acc"))
    with pytest.raises(ValueError, match=r"'acc'; did you mean 'accuracy'\?"):
        trainer.fit(*blobs, epochs=2, callbacks=callbacks.TerminateOnCondition("acc", below=0))


@pytest.mark.parametrize("mode", ["Max", "", None, ["max"]])
def test_other_modes_are_refused(mode: Any) -> None:
    with pytest.raises(ValueError, match='EarlyStopping: expected mode "auto", "min" or "max", got '):
        callbacks.EarlyStopping(mode=mode)


@pytest.mark.parametrize("monitor", ["val_f1", "f1", "val_r2", "val_largest_error"])
def test_an_unknown_figure_needs_a_mode(monitor: str) -> None:
    with pytest.raises(ValueError, match=f'mode="min" or mode="max" with {monitor!r}'):
        callbacks.EarlyStopping(monitor)
    stop = callbacks.EarlyStopping(monitor, mode="max", restore_best_weights=False)
    for epoch, figure in enumerate([0.5, 0.7, 0.6]):
        stop.on_epoch_end(epoch, {monitor: figure})
    assert stop.best_epoch == 1


def test_an_object_serves_for_several_fits(rng: np.random.Generator) -> None:
    """The second run begins without the first one's best figure, its last one, or its wish to stop."""
    x, t = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    stop = callbacks.EarlyStopping("loss", patience=1)
    still = callbacks.TerminateOnCondition(min_change=0)
    for _ in range(2):
        # With a rate of 0 the loss stays: the second epoch is no better, and the same, as the first.
        trainer = nf.Trainer(line(), loss="mse", optimizer=nf.optimizers.SGD(0.0))
        assert trainer.fit(x, t, epochs=9, batch_size=20, callbacks=stop).epoch == [0, 1, 2]
        assert (stop.best_epoch, trainer.stop_training) == (0, True)
        assert trainer.fit(x, t, epochs=9, batch_size=20, callbacks=still).epoch == [0, 1]
        assert trainer.fit(x, t, epochs=3).epoch == [0, 1, 2]
    other = line(seed=1)
    best = other.get_weights()
    nf.Trainer(other, loss="mse", optimizer=nf.optimizers.SGD(0.0)).fit(x, 1e3 * t, epochs=1, callbacks=stop)
    assert all((a == b).all() for a, b in zip(best, other.get_weights(), strict=True))
    assert stop.best > 1e3


def test_a_change_of_zero_ends_a_run_and_the_smallest_one_does_not() -> None:
    still = callbacks.TerminateOnCondition(min_change=0)
    still.trainer = nf.Trainer(line(), loss="mse")
    for epoch, (figure, stops) in enumerate(
        [(1.0, False), (np.nextafter(1.0, 0), False), (np.nextafter(1.0, 0), True)]
    ):
        still.on_epoch_end(epoch, {"loss": float(figure)})
        assert still.trainer.stop_training == stops


@pytest.mark.parametrize(
    ("monitor", "figures"),
    [
        ("accuracy", [0.5, 0.7, 0.6]),
        ("val_accuracy", [0.5, 0.7, 0.6]),
        ("loss", [0.5, 0.3, 0.4]),
        ("val_loss", [0.5, 0.3, 0.4]),
        ("val_mae", [0.5, 0.3, 0.4]),
        ("mse", [0.5, 0.3, 0.4]),
    ],
)
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


def test_a_figure_that_is_just_the_limit_is_not_below_it() -> None:
    net = nf.Network([layers.Input((1,)), layers.Dense(1, kernel_initializer="ones")])
    trainer = nf.Trainer(net, loss="half_squared_error", optimizer=nf.optimizers.SGD(0.0))
    for below, epochs in ((0.5, 3), (0.5000001, 1)):
        stop = callbacks.TerminateOnCondition(below=below)
        assert trainer.fit([[1.0]], [[0.0]], epochs=3, callbacks=stop).history == {"loss": [0.5] * epochs}


# ---- what a run leaves behind ----------------------------------------------------------


def test_a_history_is_a_mapping_of_names_to_figures(blobs: tuple[Array, Array]) -> None:
    trainer = nf.Trainer(classifier(), loss="cross_entropy", metrics=["accuracy"])
    history = trainer.fit(*blobs, epochs=3, validation_split=0.2)
    assert list(history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert len(history) == 4
    assert dict(history) == history.history
    assert history["val_loss"] is history.history["val_loss"]
    assert "val_loss" in history
    with pytest.raises(KeyError, match="no 'lr'; names: loss, accuracy, val_loss, val_accuracy"):
        history["lr"]


def test_the_repr_of_a_history_has_the_last_figures() -> None:
    history = nf.History()
    assert repr(history) == "<History of 0 epochs>"
    for epoch, loss in enumerate((0.5, 0.123456)):
        history.add(epoch, {"loss": loss, "val_loss": 2 * loss}, seconds=0.1)
    assert repr(history) == "<History of 2 epochs: loss 0.1235, val_loss 0.2469>"


def test_a_history_as_a_frame(blobs: tuple[Array, Array]) -> None:
    pytest.importorskip("pandas")
    trainer = nf.Trainer(classifier(), loss="cross_entropy")
    frame = trainer.fit(*blobs, epochs=5, initial_epoch=2, validation_split=0.2).to_dataframe()
    assert list(frame.columns) == ["loss", "val_loss"]
    assert (frame.index.name, list(frame.index)) == ("epoch", [2, 3, 4])


def test_a_history_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        nf.History().to_dataframe()


# ---- progress ------------------------------------------------------------------------


def test_without_a_terminal_there_is_a_plain_line_per_epoch(
    blobs: tuple[Array, Array], capsys: pytest.CaptureFixture[str]
) -> None:
    x, y = blobs
    trainer = nf.Trainer(classifier(), loss="cross_entropy", metrics=["accuracy"])
    history = trainer.fit(x, y, epochs=2, validation_data=(x, y))
    captured = capsys.readouterr()
    assert captured.out == ""
    expected = [
        f"epoch {epoch + 1}/2: " + ", ".join(f"{name} {values[epoch]:.4g}" for name, values in history.items())
        for epoch in range(2)
    ]
    assert captured.err.splitlines() == expected
    trainer.fit(x, y, epochs=1, progress=False)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("progress", [True, None])
def test_a_terminal_shows_a_bar_and_a_line_in_80_columns(
    progress: bool | None, blobs: tuple[Array, Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = blobs
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "80")
    trainer = nf.Trainer(classifier(), loss="cross_entropy", metrics=["accuracy"])
    history = trainer.fit(x, y, epochs=10, initial_epoch=8, progress=progress, validation_data=(x, y))
    drawn = re.split("[\r\n]", screen.getvalue())
    assert max(len(text) for text in drawn) <= 80
    assert any(re.match(r"epoch 9/10 \|.*\| \d/5 ", text) for text in drawn)
    lines = [text for text in drawn if text.startswith("epoch 10/10: ")]
    assert lines == ["epoch 10/10: " + ", ".join(f"{name} {values[-1]:.4g}" for name, values in history.items())]


def test_in_a_notebook_bars_stay_and_tell_all(blobs: tuple[Array, Array], monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no line beside them."""
    x, y = blobs
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    history = nf.Trainer(classifier(), loss="cross_entropy").fit(x, y, epochs=2, validation_data=(x, y))
    bars = screen.getvalue().split("\n")
    assert len(bars) == 3
    for epoch in range(2):
        drawn = bars[epoch].split("\r")[-1]
        figures = ", ".join(f"{name} {values[epoch]:.4g}" for name, values in history.items())
        assert re.fullmatch(rf"epoch {epoch + 1}/2 \|.*\| 5/5 [\d:]+, {figures} *", drawn)
    screen.truncate(0)
    nf.Trainer(classifier(), loss="cross_entropy").fit(x, y, epochs=1, progress=False)
    assert screen.getvalue() == ""


def test_the_bar_of_an_epoch_that_goes_on_begins_where_it_stood(
    blobs: tuple[Array, Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: nf.Trainer) -> None:
        raise KeyboardInterrupt

    screen = io.StringIO()
    trainer = nf.Trainer(classifier(), loss="cross_entropy")
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(*blobs, epochs=1, progress=False, callbacks=After(2, interrupt))
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    trainer.fit(*blobs, epochs=1)
    assert re.search(r"\| 5/5 [^\r]*\n$", screen.getvalue())


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("stream", [None, Broken(), object()], ids=["none", "broken pipe", "no stream"])
@pytest.mark.parametrize("progress", [None, False])
def test_training_goes_on_without_a_place_to_show_it(
    stream: Any, progress: bool | None, blobs: tuple[Array, Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Standard error is None where it was closed at the start, as by ``2>&-`` or in pythonw."""
    monkeypatch.setattr(sys, "stderr", stream)
    trainer = nf.Trainer(classifier(), loss="cross_entropy")
    assert len(trainer.fit(*blobs, epochs=2, progress=progress)["loss"]) == 2


def test_a_closed_standard_error_shows_nothing(blobs: tuple[Array, Array], monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    for progress in (None, True):
        nf.Trainer(classifier(), loss="cross_entropy").fit(*blobs, epochs=1, progress=progress)
