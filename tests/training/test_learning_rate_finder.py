"""The search for a learning rate."""

import copy
import sys
from typing import Any

import numpy as np
import pytest
from small_networks import classifier, line, same

import nnfast as nf
from nnfast import training
from nnfast.core.typing import Array


def test_the_losses_are_those_of_training_by_hand(rng: np.random.Generator) -> None:
    """Over several epochs, whose order is that of `fit`; until the smoothed loss has grown to four times its least."""
    x, t = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    curve = training.find_learning_rate(
        nf.Trainer(line(), loss="mse", optimizer="sgd"), x, t, start=1e-3, end=1e3, steps=61, batch_size=8
    )
    np.testing.assert_allclose(curve.rates, 10 ** np.linspace(-3, 3, 61)[: len(curve.rates)], rtol=1e-12)
    losses: list[float] = []
    by_hand = nf.Trainer(line(), loss="mse", optimizer=nf.optimizers.SGD(lambda step: 1e-3 * 10 ** (step / 10)))
    record = nf.callbacks.LambdaCallback(on_batch_end=lambda batch, logs: losses.append(logs["loss"]))
    by_hand.fit(x, t, epochs=12, batch_size=8, callbacks=record, progress=False)
    count = len(curve.losses)
    np.testing.assert_allclose(curve.losses, losses[:count], rtol=1e-9)
    weights = 0.9 ** np.arange(count)[::-1]
    expected = [np.average(losses[: i + 1], weights=weights[count - 1 - i :]) for i in range(count)]
    np.testing.assert_allclose(curve.smoothed, expected, rtol=1e-9)
    assert 20 < count < 61
    assert curve.smoothed[-1] > 4 * curve.smoothed.min() >= curve.smoothed[:-1].max()


def test_the_trainer_stays_as_it_is_to_the_bit(blobs: tuple[Array, Array]) -> None:
    """Also in the middle of an epoch, and with dropout, whose random numbers depend on the step."""

    def interrupt(batch: int, logs: Any) -> None:
        if batch == 2:
            raise KeyboardInterrupt

    x, y = blobs
    trainer = nf.Trainer(classifier(), loss="cross_entropy")
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(x, y, epochs=1, callbacks=nf.callbacks.LambdaCallback(on_batch_end=interrupt))
    other = copy.deepcopy(trainer)
    curve = training.find_learning_rate(trainer, x, y, steps=20)
    assert len(curve.losses) == 20
    assert same(trainer.network, other.network)
    assert (trainer.iteration, trainer.epoch, repr(trainer.optimizer)) == (3, 0, repr(other.optimizer))
    assert trainer.fit(x, y, epochs=2).history == other.fit(x, y, epochs=2).history
    assert same(trainer.network, other.network)


def test_the_suggestion_trains(rng: np.random.Generator) -> None:
    """Gradient descent on a quadratic converges below 2 / L, L being the largest eigenvalue of the loss's Hessian."""
    x = rng.normal(size=(256, 3)) * [3.0, 1.0, 1.0]
    t = x @ rng.normal(size=(3, 2))
    bound = 2 / np.linalg.eigvalsh(x.T @ x / len(x)).max()  # the mean over two outputs halves the second derivative
    trainer = nf.Trainer(line(), loss="mse", optimizer="sgd")
    curve = training.find_learning_rate(trainer, x, t, batch_size=256, steps=200)
    assert curve.suggestion is not None
    assert 1e-3 * bound < curve.suggestion < bound
    before = trainer.evaluate(x, t)["loss"]
    trainer.optimizer.learning_rate = curve.suggestion
    assert trainer.fit(x, t, epochs=20, batch_size=256)["loss"][-1] < 0.5 * before


def test_a_loss_that_overflows_ends_the_search(rng: np.random.Generator) -> None:
    x, t = rng.normal(size=(32, 3)).astype("float32"), rng.normal(size=(32, 2)).astype("float32")
    trainer = nf.Trainer(line(dtype="float32"), loss="mse", optimizer="sgd")
    curve = training.find_learning_rate(trainer, x, t, start=1e-3, end=1e38, steps=10, divergence=1e300)
    assert 1 < len(curve.losses) < 10
    assert np.isfinite(curve.losses).all()
    x[3] = 1e30
    with pytest.raises(RuntimeError, match=r"loss: expected a finite number|expected finite outputs"):
        training.find_learning_rate(trainer, x, t)


def test_the_suggestion_is_where_the_loss_falls_most_steeply(rng: np.random.Generator) -> None:
    """A logistic fall around 0.01, with noise, and then a rise."""
    rates = np.geomspace(1e-6, 1, 121)
    losses = 1 + 2 / (1 + (rates / 0.01) ** 2) + 5 * rates + 0.1 * rng.normal(size=121)
    curve = training.LearningRateCurve(rates, losses, smoothing=0.9)
    assert curve.suggestion == pytest.approx(0.01, rel=0.5)


def test_a_loss_that_does_not_fall_has_no_suggestion() -> None:
    curve = training.LearningRateCurve([0.1, 0.2, 0.4], [1.0, 2.0, 3.0], smoothing=0.0)
    assert curve.suggestion is None
    assert repr(curve) == "<LearningRateCurve of 3 steps from 0.1 to 0.4: the loss does not fall>"
    assert training.LearningRateCurve([0.1], [1.0], smoothing=0.0).suggestion is None


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"start": 0.0}, "expected 0 < start < end, got 0.0 and 10.0"),
        ({"start": 1.0, "end": 1.0}, "expected 0 < start < end"),
        ({"steps": 1}, "expected steps >= 2, got 1"),
        ({"smoothing": 1.0}, "expected 0 <= smoothing < 1"),
        ({"divergence": 1.0}, "expected divergence > 1, got 1.0"),
    ],
)
def test_wrong_options(options: dict[str, Any], match: str) -> None:
    trainer = nf.Trainer(line(), loss="mse")
    with pytest.raises(ValueError, match=f"find_learning_rate: {match}"):
        training.find_learning_rate(trainer, np.ones((4, 3)), np.ones((4, 2)), **options)


def test_the_plot(pyplot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    curve = training.LearningRateCurve([0.1, 0.2, 0.4, 0.8], [5.0, 4.0, 2.0, 3.0], smoothing=0.0)
    place = curve.plot()
    assert place.get_xscale() == "log"
    assert place.lines[1].get_xydata().tolist() == [[0.1, 5.0], [0.2, 4.0], [0.4, 2.0], [0.8, 3.0]]
    assert place.lines[2].get_xdata()[0] == curve.suggestion
    own = pyplot.figure().subplots()
    assert training.LearningRateCurve([0.1, 0.2], [1.0, 2.0], smoothing=0.0).plot(own) is own
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        curve.plot()


def test_the_rates_are_those_of_batches_whatever_the_optimizer_counts(rng: np.random.Generator) -> None:
    x = rng.normal(size=(256, 4))
    y = x.sum(axis=1, keepdims=True)
    net = nf.Network([nf.layers.Input((4,)), nf.layers.Dense(1)], seed=0)
    trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.01, gradient_accumulation_steps=2))
    curve = training.find_learning_rate(trainer, x, y, steps=40, end=100.0)
    assert len(curve.losses) < 40  # it diverges at rates that it has seen
    trainer.fit(x, y, epochs=3, progress=False)
    assert training.find_learning_rate(trainer, x, y, steps=40, end=100.0).losses[0] < curve.losses[0]


def test_an_iterator_of_batches(rng: np.random.Generator) -> None:
    x = rng.normal(size=(32, 4))
    net = nf.Network([nf.layers.Input((4,)), nf.layers.Dense(1)], seed=0)
    batches = ((x, x.sum(axis=1, keepdims=True)) for _ in range(1000))
    curve = training.find_learning_rate(nf.Trainer(net, loss="mse", optimizer="sgd"), batches, steps=20, end=1e-3)
    assert len(curve.losses) == 20
