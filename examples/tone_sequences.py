"""Recurrent networks and LSTM (rows S21, S23): they tell in which order three tones were heard.

A low, a middle and a high tone in noise, in one of six orders, with pauses, at any pitch and tempo. Every sequence has
the same three tones, so that a network that does not know about order, such as one that takes the mean over time, can
only guess. A recurrent network reads the spectrum step by step and keeps what it has heard in its state: a plain one, a
gated recurrent unit (GRU; Cho et al. 2014) and a long short-term memory (LSTM; Hochreiter & Schmidhuber 1997). The
picture shows the state of an LSTM that is asked after every step: after the first tone two orders remain possible, and
after the second tone one.
"""

from itertools import permutations
from pathlib import Path

import numpy as np
from drawing import new_figure, output_folder, save
from matplotlib import colormaps
from numpy.typing import NDArray

import nnfast as nf
from nnfast import layers

RATE = 4000
"""Samples per second."""
FRAME, STEPS = 80, 50
"""Samples of a step, and steps of a sequence: one second."""
TONES = (400, 700, 1200)
"""Hertz."""
ORDERS = tuple(permutations(("low", "middle", "high")))
Array = NDArray[np.float64]


def sound(order: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """The samples of a sequence, and the times at which its tones end."""
    pitch, names = rng.uniform(0.85, 1.15), ("low", "middle", "high")
    lengths, pauses = rng.uniform(0.12, 0.22, size=3), rng.uniform(0.02, 0.1, size=3)
    starts = np.cumsum(pauses) + np.concatenate([[0], np.cumsum(lengths)[:-1]])
    t = np.arange(FRAME * STEPS) / RATE
    signal = rng.normal(size=t.shape)
    for name, start, length in zip(ORDERS[order], starts, lengths, strict=True):
        heard = (t >= start) & (t < start + length)
        frequency = TONES[names.index(name)] * pitch
        signal += heard * np.sin(2 * np.pi * frequency * t + rng.uniform(0, 2 * np.pi))
    return signal, starts + lengths


def spectra(signals: Array) -> NDArray[np.float32]:
    """Logarithms (N, STEPS, 41) of the magnitudes of the Fourier transform of each step."""
    frames = signals.reshape(len(signals), STEPS, FRAME) * np.hanning(FRAME)
    return np.log(np.abs(np.fft.rfft(frames)) / 5 + 0.1).astype("float32")


def data(count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Spectra and orders."""
    rng = np.random.default_rng(seed)
    orders = np.arange(count) % len(ORDERS)
    return spectra(np.stack([sound(order, rng)[0] for order in orders])), orders


def networks(seed: int = 0) -> dict[str, nf.Network]:
    """What differs is the layer that sums up the sequence."""
    kinds: dict[str, list[layers.Layer]] = {
        "mean over time": [layers.Dense(32, "relu"), layers.GlobalAvgPool1D()],
        "plain recurrent": [layers.SimpleRNN(32)],
        "GRU": [layers.GRU(32)],
        "LSTM": [layers.LSTM(32)],
    }
    first, last = (STEPS, FRAME // 2 + 1), len(ORDERS)
    return {
        name: nf.Network(
            [layers.Input(first), *middle, layers.Dense(last, "softmax", name="answer")], seed=seed, name=name
        )
        for name, middle in kinds.items()
    }


def listener(seed: int = 0) -> nf.Network:
    """An LSTM that is asked after every step: two outputs, its state (STEPS, 32) and its answer (STEPS, 6)."""
    x = layers.Input((STEPS, FRAME // 2 + 1))
    state = layers.LSTM(32, return_sequences=True, name="state")(x)
    answer = layers.Dense(len(ORDERS), "softmax", name="answer")(state)
    return nf.Network(inputs=x, outputs={"state": state, "answer": answer}, seed=seed, name="listener")


def optimizer() -> nf.optimizers.Optimizer:
    """Gradients through many steps may explode: they are clipped."""
    return nf.optimizers.Adam(3e-3, global_clipnorm=1.0)


def train(network: nf.Network, count: int, epochs: int) -> float:
    """Accuracy on unseen sequences."""
    trainer = nf.Trainer(network, loss="cross_entropy", optimizer=optimizer(), metrics=["accuracy"])
    trainer.fit(*data(count, seed=1), epochs=epochs, batch_size=32, progress=False)
    return trainer.evaluate(*data(600, seed=2))["accuracy"]


def train_listener(network: nf.Network, count: int, epochs: int) -> None:
    """The target is the order at every step, also when it cannot be known yet."""
    x, orders = data(count, seed=1)
    trainer = nf.Trainer(network, loss={"answer": "cross_entropy"}, optimizer=optimizer())
    at_every_step = np.repeat(orders[:, None], STEPS, axis=1)
    trainer.fit(x, {"answer": at_every_step}, epochs=epochs, batch_size=32, progress=False)


def remaining(answers: Array, ends: Array) -> list[float]:
    """How many orders remain, as the exponential of the entropy of the answer, after each of the tones."""
    steps = np.minimum(np.round(ends * RATE / FRAME).astype(int), STEPS - 1)
    return [float(np.exp(-np.sum(p * np.log(p + 1e-12)))) for p in answers[steps]]


def picture(folder: Path, network: nf.Network, order: int = 3) -> Path:
    """What it hears, what it keeps, and what it would answer."""
    signal, ends = sound(order, np.random.default_rng(5))
    state, answers = (output[0] for output in network.predict(spectra(signal[None])).values())
    figure, (heard, kept, answered) = new_figure(10, 9.5, 3, 1, sharex=True)
    seconds = STEPS * FRAME / RATE
    heard.imshow(
        spectra(signal[None])[0].T, origin="lower", aspect="auto", cmap="magma", extent=(0, seconds, 0, RATE / 2000)
    )
    heard.set(title=f"heard: {', '.join(ORDERS[order])}", ylabel="kHz")
    # Units that change late stand above those that change early.
    changes = np.abs(np.diff(state, axis=0, prepend=0))
    by_time = (changes * np.arange(STEPS)[:, None]).sum(axis=0) / changes.sum(axis=0)
    kept.imshow(
        state[:, by_time.argsort()].T,
        origin="lower",
        aspect="auto",
        cmap="seismic",
        vmin=-1,
        vmax=1,
        extent=(0, seconds, 0, state.shape[1]),
    )
    kept.set(title="kept: the state of the LSTM", ylabel="unit")
    times = (np.arange(STEPS) + 1) * FRAME / RATE
    for number, (names, color) in enumerate(zip(ORDERS, colormaps["tab10"].colors, strict=False)):
        answered.plot(times, answers[:, number], color=color, label=", ".join(names))
    answered.set(title="answered", xlabel="seconds", ylabel="probability", xlim=(0, seconds), ylim=(0, 1.02))
    answered.legend(loc="center right")
    for axes in (heard, kept):
        axes.grid(False)
    for axes in (heard, kept, answered):
        for end in ends:
            axes.axvline(end, color="grey", linestyle="dotted", linewidth=1.2)
    return save(figure, folder, "tone_sequences.png")


def main(folder: Path, count: int = 3000, epochs: int = 10) -> dict[str, float]:
    """Train, print and draw; returns the accuracies."""
    made = networks()
    found = {name: train(network, count, epochs) for name, network in made.items()}
    for name, accuracy in found.items():
        print(f"{name:16}{made[name].num_parameters:6,} parameters  {accuracy:6.1%} of unseen sequences right")
    network = listener()
    train_listener(network, count, epochs)
    rng = np.random.default_rng(6)
    sounds = [sound(order, rng) for order in range(len(ORDERS)) for _ in range(20)]
    answers = network.predict(spectra(np.stack([signal for signal, _ in sounds])))["answer"]
    left = np.mean([remaining(each, ends) for each, (_, ends) in zip(answers, sounds, strict=True)], axis=0)
    print(f"asked after each tone, how many orders remain possible: {', '.join(f'{number:.1f}' for number in left)}")
    picture(folder, network)
    return found


if __name__ == "__main__":
    main(output_folder())
