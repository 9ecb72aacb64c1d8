"""When training stops: EarlyStopping and TerminateOnCondition."""

from typing import Any

import numpy as np
import pytest
from small_networks import classifier, line

import nnfast as nf
from nnfast import callbacks, layers
from nnfast.core.typing import Array


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
    assert len(values) == best + 3
    assert stop.stopped_epoch == best + 2
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
def test_an_unknown_figure_needs_a_mode(monitor: str, rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match=f'EarlyStopping: expected mode="min" or mode="max" with {monitor!r}'):
        nf.Trainer(line(), loss="mse").fit(
            rng.normal(size=(4, 3)), np.ones((4, 2)), epochs=1, callbacks=callbacks.EarlyStopping(monitor)
        )
    stop = callbacks.EarlyStopping(monitor, mode="max", restore_best_weights=False)
    stop.trainer = nf.Trainer(line(), loss="mse")
    stop.on_train_begin()
    for epoch, figure in enumerate([0.5, 0.7, 0.6]):
        stop.on_epoch_end(epoch, {monitor: figure})
    assert stop.best_epoch == 1


class Own(nf.metrics.Metric):
    """Says itself whether more is better."""

    name = "own_loss"
    higher_is_better = True

    def evaluate(self, y_true: Array, y_pred: Array) -> float:
        return 0.0


def test_a_metric_says_what_is_better() -> None:
    """More than its name does."""
    stop = callbacks.EarlyStopping("val_own_loss", restore_best_weights=False)
    stop.trainer = nf.Trainer(line(), loss="mse", metrics=[Own()])
    stop.on_train_begin()
    for epoch, figure in enumerate([0.5, 0.7, 0.6]):
        stop.on_epoch_end(epoch, {"val_own_loss": figure})
    assert (stop.best_epoch, stop.best) == (1, 0.7)


def run(stop: callbacks.EarlyStopping, figures: list[float]) -> int:
    """The number of epochs that are run when the loss is as given."""
    stop.trainer = nf.Trainer(line(), loss="mse")
    stop.on_train_begin()
    for epoch, figure in enumerate(figures):
        stop.on_epoch_end(epoch, {"loss": figure})
        if stop.trainer.stop_training:
            return epoch + 1
    return len(figures)


@pytest.mark.parametrize(
    ("options", "figures", "epochs"),
    [
        ({"patience": 2}, [3, 2, 2, 2, 1], 4),
        ({"patience": 2}, [3, 2, 2, 1, 1, 1, 0], 6),
        ({"patience": 0}, [3, 2, 2, 1], 3),
        ({"patience": 1}, [3, 2, 2, 1], 3),
        ({"patience": 1, "min_delta": 0.5}, [3, 2, 1.5, 0], 3),
        ({"patience": 2, "baseline": 2.0}, [4, 3, 1, 1], 2),
        ({"patience": 3, "baseline": 2.0}, [4, 3, 1, 1, 1, 1, 1], 6),
        ({"patience": 1, "start_from_epoch": 2}, [1, 2, 3, 2, 2, 1], 5),
        ({"patience": 2}, [3, float("nan"), 2, float("nan"), float("nan"), 1], 5),
        ({"patience": 1}, [float("nan"), 1], 1),
        ({"patience": 1, "mode": "max"}, [1, 2, 3, 3, 4], 4),
    ],
)
def test_when_early_stopping_stops(options: dict[str, Any], figures: list[float], epochs: int) -> None:
    stop = callbacks.EarlyStopping("loss", **options)
    assert run(stop, figures) == epochs
    assert stop.stopped_epoch == epochs - 1


def test_early_stopping_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    stop = callbacks.EarlyStopping("loss", patience=1, verbose=True)
    run(stop, [0.25, 0.5])
    stop.on_train_end()
    expected = "EarlyStopping: stopped after epoch 2; the best loss, 0.25, is that of epoch 1\n"
    assert capsys.readouterr().err == expected
    assert repr(stop) == "EarlyStopping(monitor='loss', patience=1, verbose=True)"


def test_a_state_continues_the_wait(rng: np.random.Generator) -> None:
    """With the best parameters, which the network gets at the end."""
    figures = [3.0, 2.0, 2.5, 2.5, 2.5, 2.5]
    whole, first, rest = (callbacks.EarlyStopping("loss", patience=3) for _ in range(3))
    assert run(whole, figures) == 5
    assert run(first, figures[:3]) == 3
    state = first.get_state()
    best = first.trainer.network.get_weights()
    rest.trainer = nf.Trainer(line(seed=1), loss="mse")
    rest.on_train_begin()
    rest.set_state(state)
    assert (rest.best, rest.best_epoch) == (2.0, 1)
    for epoch in (3, 4):
        rest.on_epoch_end(epoch, {"loss": 2.5})
        assert rest.trainer.stop_training == (epoch == 4)
    rest.on_train_end()
    assert all((a == b).all() for a, b in zip(best, rest.trainer.network.get_weights(), strict=True))
    unused = callbacks.EarlyStopping()
    unused.set_state(callbacks.EarlyStopping().get_state())
    assert unused.best == np.inf


def test_an_object_serves_for_several_fits(rng: np.random.Generator) -> None:
    """The second run begins without the first one's best figure, its last one, or its wish to stop."""
    x, t = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    stop = callbacks.EarlyStopping("loss", patience=2)
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
