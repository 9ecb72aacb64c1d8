"""Noise removal from audio by an autoencoder (row S23): tones and glides come out of noise as loud as they are.

Notes with harmonics and gliding tones are made here, several at once, and white noise of the same power is added. A
convolutional autoencoder gets the spectrogram (magnitudes of the Fourier transforms of overlapping windows), squeezes
it to half of its resolution, and gives back how much of each point of time and frequency belongs to the sound. The gain
is the difference of the signal-to-noise ratios after and before, in decibels, 10 log10(power of the sound / power of
the error), of a piece that was not trained on. For comparison, the classical way: points below a threshold are set to
0, the threshold being the best for this piece.

Besides the picture, it writes what can be listened to: audio_noisy.wav, audio_denoised.wav and audio_clean.wav.
"""

import wave
from pathlib import Path

import numpy as np
from drawing import new_figure, output_folder, save
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

import nnfast as nf
from nnfast import layers, ops

RATE = 8000
"""Samples per second."""
LEVEL = 0.1
"""Root mean square of the sound, and of the noise."""
WINDOW, HOP = 512, 128
"""Samples: 64 ms, every 16 ms."""
FRAMES, BINS = 32, 256
"""Size of the images that the network gets: half a second, all frequencies but the highest."""
TAPER = np.sqrt(np.hanning(WINDOW + 1)[:-1])
NOISE_SCALE = LEVEL * np.sqrt((TAPER**2).sum())
"""Root mean square of the Fourier transform of the noise."""
Signal = NDArray[np.float64]
Spectrum = NDArray[np.complex128]


# ---- sounds ----------------------------------------------------------------------


def note(rng: np.random.Generator, seconds: float) -> Signal:
    """A note with harmonics that fades away."""
    t = np.arange(int(seconds * RATE)) / RATE
    pitch = 220 * 2 ** (rng.integers(0, 30) / 12)
    harmonics = np.arange(1, int(min(4, 0.45 * RATE / pitch)) + 1)[:, None]
    tone = np.sin(2 * np.pi * harmonics * pitch * t + rng.uniform(0, 2 * np.pi, harmonics.shape)) / harmonics
    return np.asarray(tone.sum(axis=0) * np.exp(-3 * t / seconds) * np.minimum(1, t / 0.02))


def glide(rng: np.random.Generator, seconds: float) -> Signal:
    """A tone whose frequency moves from one value to another."""
    t = np.arange(int(seconds * RATE)) / RATE
    first, last = rng.uniform(200, 3000, size=2)
    phase = 2 * np.pi * (first * t + (last - first) * t**2 / (2 * seconds))
    return np.asarray(np.sin(phase) * np.sin(np.pi * t / seconds))


def piece(seconds: float, seed: int) -> Signal:
    """Notes and glides at random, about three at once."""
    rng = np.random.default_rng(seed)
    signal = np.zeros(int(seconds * RATE))
    for _ in range(int(4 * seconds)):
        sound = (note if rng.random() < 0.6 else glide)(rng, rng.uniform(0.4, 1.0)) * rng.uniform(0.4, 1.0)
        start = rng.integers(-len(sound) // 2, len(signal) - len(sound) // 2)
        begin, end = max(start, 0), min(start + len(sound), len(signal))
        signal[begin:end] += sound[begin - start : end - start]
    return np.asarray(signal * LEVEL / np.sqrt(np.mean(signal**2)))


def noisy(signal: Signal, seed: int) -> Signal:
    """The signal with white noise."""
    return signal + LEVEL * np.random.default_rng(seed).normal(size=signal.shape)


def decibels(signal: Signal, truth: Signal) -> float:
    """Signal-to-noise ratio."""
    return float(10 * np.log10(np.sum(truth**2) / np.sum((signal - truth) ** 2)))


# ---- spectra ---------------------------------------------------------------------


def spectrum(signal: Signal) -> Spectrum:
    """Fourier transforms (frames, 257) of windows, such that noise has a root mean square of 1."""
    silence = np.zeros(WINDOW)
    windows = sliding_window_view(np.concatenate([silence, signal, silence]), WINDOW)[::HOP]
    return np.asarray(np.fft.rfft(windows * TAPER) / NOISE_SCALE)


def signal_of(found: Spectrum, samples: int) -> Signal:
    """The reverse of `spectrum`."""
    total, weights = np.zeros((2, len(found) * HOP + WINDOW))
    for i, window in enumerate(np.fft.irfft(found * NOISE_SCALE) * TAPER):
        total[i * HOP : i * HOP + WINDOW] += window
        weights[i * HOP : i * HOP + WINDOW] += TAPER**2
    return (total / np.maximum(weights, 1e-9))[WINDOW : WINDOW + samples]


def images(values: Signal) -> NDArray[np.float32]:
    """Images (N, FRAMES, BINS, 1) of frames, the last of which is filled up with zeros."""
    filled = np.pad(values[:, :BINS], ((0, -len(values) % FRAMES), (0, 0)))
    return filled.reshape(-1, FRAMES, BINS, 1).astype("float32")


def example_of(signal: Signal, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Magnitudes with noise, and what to make of them: the part of the sound that is in step with them."""
    clean, given = spectrum(signal), spectrum(noisy(signal, seed))
    magnitude = np.abs(given)
    return images(magnitude), images((clean * given.conj()).real / np.maximum(magnitude, 1e-9))


# ---- the network -----------------------------------------------------------------


def build(seed: int = 0) -> nf.Network:
    """From magnitudes to magnitudes: a number from 0 to 1 for each, which it is multiplied by."""
    x = layers.Input((FRAMES, BINS, 1))
    fine = layers.Conv2D(8, 5, padding="same", activation="relu")(ops.log(x + 0.1))
    coarse = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(fine)
    coarse = layers.Conv2D(16, 3, padding="same", activation="relu", name="code")(coarse)
    again = layers.Conv2DTranspose(8, 3, strides=2, padding="same", activation="relu")(coarse)
    # The exact place of a tone, which the code does not have, goes past it.
    mask = layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="mask")(layers.Concatenate()([fine, again]))
    return nf.Network(inputs=x, outputs=mask * x, seed=seed, name="denoiser")


def train(network: nf.Network, seconds: float, epochs: int, batch_size: int = 8) -> None:
    """A long piece, with different noise in each of its thirds."""
    parts = [example_of(piece(seconds / 3, seed=10 + i), seed=20 + i) for i in range(3)]
    x, y = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    optimizer = nf.optimizers.Adam(nf.schedules.Cosine(4e-3, epochs * -(-len(x) // batch_size)))
    nf.Trainer(network, loss="mse", optimizer=optimizer).fit(x, y, epochs=epochs, batch_size=batch_size, progress=False)


def denoise(network: nf.Network, signal: Signal) -> Signal:
    """The phases stay; the magnitudes are those of the network."""
    given = spectrum(signal)
    magnitude = network.predict(images(np.abs(given))).reshape(-1, BINS)[: len(given)]
    given[:, BINS:] = 0
    given[:, :BINS] *= magnitude / np.maximum(np.abs(given[:, :BINS]), 1e-9)
    return signal_of(given, len(signal))


def above_threshold(signal: Signal, threshold: float) -> Signal:
    """The classical way; the threshold is in multiples of the noise."""
    given = spectrum(signal)
    return signal_of(given * (np.abs(given) > threshold), len(signal))


# ---- output ----------------------------------------------------------------------


def write_wav(path: Path, signal: Signal) -> None:
    """16 bits, one channel."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(signal, -1, 1) * 32767).astype("<i2").tobytes())
    print(f"sound: {path}")


def picture(folder: Path, signals: dict[str, Signal]) -> Path:
    """Spectrograms on one scale."""
    figure, panels = new_figure(10, 10, len(signals), 1, sharex=True)
    for axes, (title, signal) in zip(panels, signals.items(), strict=True):
        values = 20 * np.log10(np.abs(spectrum(signal)).T + 1e-3)
        extent = (-WINDOW / 2 / RATE, (len(signal) + WINDOW / 2) / RATE, 0, RATE / 2000)
        shown = axes.imshow(values, origin="lower", aspect="auto", cmap="magma", vmin=-20, vmax=30, extent=extent)
        axes.set(title=title, ylabel="kHz", xlim=(0, len(signal) / RATE))
        axes.grid(False)
    panels[-1].set_xlabel("seconds")
    figure.colorbar(shown, ax=panels, label="dB above the noise", shrink=0.6, aspect=40)
    return save(figure, folder, "audio_denoising.png")


def main(folder: Path, seconds: float = 300, epochs: int = 8) -> dict[str, float]:
    """Train and remove noise; returns the signal-to-noise ratios."""
    truth = piece(6, seed=0)
    given = noisy(truth, seed=1)
    network = build()
    train(network, seconds, epochs)
    result = denoise(network, given)
    best = max((1.5, 2.0, 2.5, 3.0, 3.5), key=lambda threshold: decibels(above_threshold(given, threshold), truth))
    signals = {"with noise": given, "above the best threshold": above_threshold(given, best), "autoencoder": result}
    found = {name: decibels(signal, truth) for name, signal in signals.items()}
    for name, value in found.items():
        print(f"{name:25}{value:6.2f} dB, gain {value - found['with noise']:6.2f} dB")
    for name, signal in (("noisy", given), ("denoised", result), ("clean", truth)):
        write_wav(folder / f"audio_{name}.wav", signal)
    picture(folder, {f"{name}: {found[name]:.1f} dB": signal for name, signal in signals.items()} | {"clean": truth})
    return found


if __name__ == "__main__":
    main(output_folder())
