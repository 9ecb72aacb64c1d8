"""The example of reinforcement learning: its environment, its advantages, its loss, and what it reaches."""

import math
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

pytest.importorskip("matplotlib")
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="needs the source tree; only the tests are here")


@pytest.fixture(scope="module")
def cart_pole() -> ModuleType:
    import cart_pole

    return cart_pole


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """The example sets the number of threads, for the whole process."""
    before = nf.get_num_threads()
    yield
    nf.set_num_threads(before)


def derivative(state: list[float], push: int) -> list[float]:
    """The equations of motion of Barto, Sutton and Anderson without friction, solved as two linear equations.

    With the angle a, the position x and the force f, for a pole of mass m and half length l on a cart of mass M:
    (M + m) x'' + m l cos(a) a'' = f + m l a'^2 sin(a),  and  cos(a) x'' + 4/3 l a'' = g sin(a).
    """
    _, speed, angle, turning = state
    matrix = [[1.1, 0.05 * math.cos(angle)], [math.cos(angle), 4 / 3 * 0.5]]
    force = 10.0 if push else -10.0
    acceleration, turn = np.linalg.solve(matrix, [force + 0.05 * turning**2 * math.sin(angle), 9.8 * math.sin(angle)])
    return [speed, acceleration, turning, turn]


def test_carts_move_as_the_equations_say(cart_pole: ModuleType) -> None:
    carts = cart_pole.Carts(5, seed=3)
    assert np.abs(carts.state).max() <= 0.05
    carts.state = np.random.default_rng(0).normal(scale=0.2, size=(5, 4)) * [1, 3, 0.5, 3]
    for pushes in ([0, 1, 1, 0, 1], [True, True, False, False, True]):
        rates = [derivative(state, push) for state, push in zip(carts.state.tolist(), pushes, strict=True)]
        wanted = carts.state + 0.02 * np.array(rates)
        carts.step(np.array(pushes))
        np.testing.assert_allclose(carts.state, wanted, rtol=1e-12, atol=1e-12)


def test_where_episodes_end(cart_pole: ModuleType) -> None:
    carts = cart_pole.Carts(6, seed=0)
    angle = math.radians(12)
    carts.state = np.zeros((6, 4))
    carts.state[:, 0] = [2.39, 2.41, -2.41, 0, 0, 0]
    carts.state[:, 2] = [0, 0, 0, angle - 0.001, angle + 0.001, -angle - 0.001]
    # The speeds are 0: positions and angles change with the next step only.
    assert carts.step(np.ones(6)).tolist() == [True, False, False, True, False, False]


def test_episodes_are_as_long_as_the_poles_stand(cart_pole: ModuleType) -> None:
    """A network that always pushes to the right: each pole falls after eight to ten steps."""
    net = nf.Network([layers.Input((4,)), layers.Dense(2, kernel_initializer="zeros", bias_initializer=[0.0, 1.0])])
    episodes = cart_pole.play(net, cart_pole.Carts(7, seed=1), explore=False)
    assert episodes.pushes.all()
    assert set(episodes.returns) <= {8, 9, 10}
    assert len(episodes.states) == episodes.returns.max()
    for cart, length in enumerate(episodes.returns):
        assert episodes.alive[:length, cart].all()
        assert not episodes.alive[length:, cart].any()
        assert (np.abs(episodes.states[:length, cart, 2]) <= math.radians(12)).all()
    again = cart_pole.play(net, cart_pole.Carts(7, seed=1), explore=False)
    assert np.array_equal(again.states, episodes.states)


def test_pushes_have_the_probabilities_of_the_network(cart_pole: ModuleType) -> None:
    bias = [0.0, math.log(3)]
    net = nf.Network([layers.Input((4,)), layers.Dense(2, kernel_initializer="zeros", bias_initializer=bias)])
    episodes = cart_pole.play(net, cart_pole.Carts(4000, seed=0), explore=True)
    first = episodes.pushes[0]
    # The deviation of the fraction is sqrt(.75 * .25 / 4000) = .0068.
    assert first.mean() == pytest.approx(0.75, abs=4 * 0.0068)


def test_advantages(cart_pole: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cart_pole, "DISCOUNT", 0.5)
    alive = np.array([[1, 1], [1, 1], [0, 1]], dtype=bool)
    # To go: 1.5, 1 and 1.75, 1.5, 1; minus the means 1.625, 1.25, 1.
    raw = np.array([[-0.125, 0.125], [-0.25, 0.25], [0.0, 0.0]])
    expected = raw / raw[alive].std()
    np.testing.assert_allclose(cart_pole.advantages(alive), expected, rtol=1e-6)


def test_the_loss_is_the_policy_gradient(cart_pole: ModuleType) -> None:
    net = nf.Network([layers.Input((4,)), layers.Dense(2)], seed=0, dtype="float64")
    rng = np.random.default_rng(0)
    x, targets = rng.normal(size=(9, 4)), {"push": np.arange(9) % 2 > 0, "advantage": rng.normal(size=9)}
    assert nf.check_gradients(net, x, targets, cart_pole.policy_gradient)
    logits = net.predict(x)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    likelihood = np.log(p[np.arange(9), targets["push"].astype(int)])
    entropy = -(p * np.log(p)).sum(axis=1)
    expected = np.mean(-targets["advantage"] * likelihood - cart_pole.ENTROPY_WEIGHT * entropy)
    found = nf.Trainer(net, loss=cart_pole.policy_gradient).evaluate(x, targets)["loss"]
    assert found == pytest.approx(expected, rel=1e-12)


def test_the_return_rises(cart_pole: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In twelve iterations the pole stands several times as long as with random pushes."""
    nf.set_num_threads(1)
    history = cart_pole.learn(cart_pole.build(seed=0), iterations=12, seed=0)
    assert len(history) == 12
    assert 15 < history[0] < 40
    assert np.mean(history[-3:]) > 1.5 * history[0]
    cart_pole.main(["--iterations", "3", "--output", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "3 iterations of 32 episodes" in printed
    assert "Time per action" in printed
    assert (tmp_path / "cart_pole.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_pole_stands(cart_pole: ModuleType, seed: int, tmp_path: Path) -> None:
    assert cart_pole.main(["--seed", str(seed), "--output", str(tmp_path)]) >= cart_pole.SOLVED
