"""Reinforcement learning: a network learns to balance a pole on a cart by trial and error.

A pole stands on a cart, and the network pushes the cart to the left or to the right, 50 times a second. An episode ends
when the pole leans too far, when the cart leaves the track, or after 500 steps; its return is the number of steps. No
one tells the network which push is right. It tries pushes at random, with the probabilities that are its output, and
the policy gradient (Williams 1992) makes those more likely after which the pole stood longer than usual:

    loss = -advantage * log(probability of the push) - weight * entropy of the probabilities

where the advantage is how much longer the pole stood from this step on than in the other episodes that got so far. The
loss is a function of tensors, of which nnfast derives the gradient; the environment is NumPy, for many carts at a time.

Usage: python examples/cart_pole.py [--iterations N] [--seed N] [--threads N] [--output FOLDER]
"""

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from drawing import BLUE, GREY, new_figure, save

import nnfast as nf
from nnfast import layers, ops

MOST_STEPS = 500
SOLVED = 475
"""The mean return over 100 episodes from which the task counts as solved."""
CARTS = 32
"""Episodes in each iteration."""
DISCOUNT, ENTROPY_WEIGHT, BATCH_SIZE, RATE = 0.995, 0.01, 512, 2e-3


class Carts:
    """Many carts with a pole each: Barto, Sutton and Anderson (1983), with the numbers of Gymnasium's CartPole-v1.

    A state is the cart's position and speed and the pole's angle and angular speed.
    """

    GRAVITY, CART_MASS, POLE_MASS, HALF_POLE, FORCE, STEP = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
    MOST_POSITION, MOST_ANGLE = 2.4, np.deg2rad(12)

    def __init__(self, count: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.count = count
        self.reset()

    def reset(self) -> None:
        """Begin a new episode with each cart, almost at rest."""
        self.state = self.rng.uniform(-0.05, 0.05, (self.count, 4))

    def step(self, pushes: np.ndarray) -> np.ndarray:
        """Push each cart, to the left (0) or to the right (1); returns which poles still stand."""
        _, speed, angle, turning = self.state.T
        total = self.CART_MASS + self.POLE_MASS
        sine, cosine = np.sin(angle), np.cos(angle)
        push = (np.where(pushes, self.FORCE, -self.FORCE) + self.POLE_MASS * self.HALF_POLE * turning**2 * sine) / total
        inertia = self.HALF_POLE * (4 / 3 - self.POLE_MASS * cosine**2 / total)
        turn = (self.GRAVITY * sine - cosine * push) / inertia
        acceleration = push - self.POLE_MASS * self.HALF_POLE * turn * cosine / total
        self.state = self.state + self.STEP * np.stack([speed, acceleration, turning, turn], axis=1)
        return (np.abs(self.state[:, 0]) <= self.MOST_POSITION) & (np.abs(self.state[:, 2]) <= self.MOST_ANGLE)


class Episodes(NamedTuple):
    """Episodes side by side, each as long as the longest: what comes after the end of one is not `alive`."""

    states: np.ndarray
    """(steps, carts, 4)"""
    pushes: np.ndarray
    """(steps, carts)"""
    alive: np.ndarray
    """(steps, carts)"""

    @property
    def returns(self) -> np.ndarray:
        """Steps of each episode."""
        return self.alive.sum(axis=0)


def build(seed: int) -> nf.Network:
    """From the state to the logits of both pushes."""
    return nf.Network([layers.Input((4,)), layers.Dense(64, "tanh"), layers.Dense(2)], seed=seed)


def play(net: nf.Network, carts: Carts, explore: bool) -> Episodes:
    """One episode with each cart: random pushes with the network's probabilities, or else always the likelier one."""
    carts.reset()
    alive = np.ones(carts.count, bool)
    steps = []
    while alive.any() and len(steps) < MOST_STEPS:
        state = carts.state
        left, right = net.predict(state).T
        noise = carts.rng.logistic(size=carts.count) if explore else 0.0
        pushes = right - left > noise  # with the probability of the right push: the sigmoid of the difference
        steps.append((state, pushes, alive))
        alive = alive & carts.step(pushes)
    return Episodes(*(np.stack(part) for part in zip(*steps, strict=True)))


def advantages(alive: np.ndarray) -> np.ndarray:
    """The discounted number of further steps, minus its mean over the episodes that are alive, normalized."""
    to_go = np.zeros(alive.shape)
    further = np.zeros(alive.shape[1])
    for step in reversed(range(len(alive))):
        further = to_go[step] = alive[step] * (1 + DISCOUNT * further)
    usual = to_go.sum(axis=1, keepdims=True) / alive.sum(axis=1, keepdims=True)
    advantage = np.where(alive, to_go - usual, 0.0)
    return advantage / (advantage[alive].std() + 1e-8)


def policy_gradient(y_true: Any, y_pred: Any) -> Any:
    """-advantage * log-likelihood of the push, minus an entropy bonus, which keeps the network trying."""
    log_p = ops.log_softmax(y_pred)
    likelihood = ops.sum(ops.one_hot(y_true["push"], 2) * log_p, axis=-1)
    entropy = -ops.sum(ops.exp(log_p) * log_p, axis=-1)
    return -y_true["advantage"] * likelihood - ENTROPY_WEIGHT * entropy


def learn(net: nf.Network, iterations: int, seed: int) -> list[float]:
    """Play and train in turn, until all poles have stood three times; returns the mean return of each iteration."""
    trainer = nf.Trainer(net, loss=policy_gradient, optimizer=nf.optimizers.Adam(RATE))
    carts = Carts(CARTS, seed)
    history: list[float] = []
    while len(history) < iterations and history[-3:] != 3 * [MOST_STEPS]:
        episodes = play(net, carts, explore=True)
        history.append(float(episodes.returns.mean()))
        alive = episodes.alive
        targets = {"push": episodes.pushes[alive], "advantage": advantages(alive)[alive]}
        trainer.fit(episodes.states[alive], targets, epochs=1, batch_size=BATCH_SIZE, progress=False)
    return history


def mean_return(net: nf.Network, seed: int, count: int = 100) -> float:
    """Of as many episodes in which the network always takes the likelier push."""
    return float(play(net, Carts(count, seed), explore=False).returns.mean())


def seconds_per_action(net: nf.Network, repeats: int = 2000) -> float:
    """Median time from one state to one push."""
    state = np.zeros((1, 4), "float32")
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        net.predict(state).argmax()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def picture(folder: Path, history: list[float]) -> Path:
    """The mean return of each iteration."""
    figure, axes = new_figure(8, 4.4)
    axes.plot(range(1, len(history) + 1), history, color=BLUE)
    axes.axhline(SOLVED, color=GREY, linewidth=1, linestyle="--")
    axes.set(title="Learning to balance a pole", xlabel=f"iteration of {CARTS} episodes", ylabel="mean return (steps)")
    axes.set(ylim=(0, MOST_STEPS * 1.05))
    return save(figure, folder, "cart_pole.png")


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Policy gradient on cart-pole.")
    parser.add_argument("--iterations", type=int, default=150, help="at most (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the weights, the states and the pushes")
    parser.add_argument("--threads", type=int, default=1, help="(default: 1, enough for so small a network)")
    parser.add_argument("--output", type=Path, default=Path("examples/output"), help="folder of the picture")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> float:
    """Learn, print the results and save the picture; returns the mean return of 100 evaluation episodes."""
    options = parse_arguments(arguments)
    nf.set_num_threads(options.threads)
    net = build(options.seed)
    before = mean_return(net, options.seed + 1000)
    start = time.perf_counter()
    history = learn(net, options.iterations, options.seed)
    seconds = time.perf_counter() - start
    reached = mean_return(net, options.seed + 1000)
    print(f"{len(history)} iterations of {CARTS} episodes, {sum(history) * CARTS:,.0f} steps, in {seconds:.1f} s")
    print(f"Mean return of 100 episodes: {before:.1f} untrained, {reached:.1f} trained ({SOLVED} solves the task)")
    print(f"Time per action: {seconds_per_action(net) * 1e6:.1f} us")
    options.output.mkdir(parents=True, exist_ok=True)
    picture(options.output, history)
    return reached


if __name__ == "__main__":
    main()
