"""The example of recurrent networks (S21, S23): its sounds, and what networks with and without memory make of them."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

pytest.importorskip("matplotlib")
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="needs the source tree; only the tests are here")


@pytest.fixture(scope="module")
def tones() -> ModuleType:
    import tone_sequences

    return tone_sequences


def test_tones_stand_in_their_order(tones: ModuleType) -> None:
    """The strongest frequency of the whole second before the end of each tone, within the range of its pitch."""
    frequencies = dict(zip(("low", "middle", "high"), tones.TONES, strict=True))
    for seed in range(5):
        for order, names in enumerate(tones.ORDERS):
            signal, ends = tones.sound(order, np.random.default_rng(seed))
            for name, end in zip(names, ends, strict=True):
                last = round(end * tones.RATE)
                part = signal[last - 400 : last]  # a tenth of a second, less than the shortest tone
                loudest = np.abs(np.fft.rfft(part)).argmax() * tones.RATE / len(part)
                assert 0.84 < loudest / frequencies[name] < 1.17, (names, name)
            assert ends[-1] < 1


def test_data_have_every_order_as_often(tones: ModuleType) -> None:
    x, y = tones.data(60, seed=0)
    assert x.shape == (60, tones.STEPS, 41)
    assert np.bincount(y).tolist() == [10] * 6
    assert np.array_equal(tones.data(60, seed=0)[0], x)


def test_how_many_remain(tones: ModuleType) -> None:
    answers = np.zeros((tones.STEPS, 6))
    answers[:20], answers[20:30, :2], answers[30:, 4] = 1 / 6, 1 / 2, 1
    step = tones.FRAME / tones.RATE
    assert tones.remaining(answers, np.array([10, 25, 45]) * step) == pytest.approx([6, 2, 1], rel=1e-6)


def test_memory_is_needed(tones: ModuleType) -> None:
    networks = tones.networks()
    assert tones.train(networks["LSTM"], count=1500, epochs=6) > 0.8
    assert tones.train(networks["mean over time"], count=300, epochs=2) < 0.3
    sizes = {name: network.num_parameters for name, network in networks.items()}
    inputs, units = 41, 32
    dense, answer = (inputs + 1) * units, (units + 1) * 6
    assert sizes["mean over time"] == dense + answer
    assert sizes["plain recurrent"] == (inputs + units + 1) * units + answer
    assert sizes["GRU"] == 3 * (inputs + units + 2) * units + answer
    assert sizes["LSTM"] == 4 * (inputs + units + 1) * units + answer


def test_an_answer_at_each_step(tones: ModuleType) -> None:
    """It depends on what was heard so far, and on nothing later."""
    network = tones.listener()
    tones.train_listener(network, count=60, epochs=1)
    x = tones.data(6, seed=3)[0]
    changed = x.copy()
    changed[:, 30:] += 1
    first, second = network.predict(x), network.predict(changed)
    for name, size in (("state", 32), ("answer", 6)):
        assert first[name].shape == (6, tones.STEPS, size)
        assert np.array_equal(first[name][:, :30], second[name][:, :30])
        assert (first[name][:, 30:] != second[name][:, 30:]).any(axis=(1, 2)).all()
