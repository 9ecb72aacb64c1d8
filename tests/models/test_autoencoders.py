"""Autoencoders: numbers of parameters, shapes, values in NumPy and PyTorch, parts, ties, noise and the bound."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_networks import duplicates, randomize, same

import nnfast as nf
from nnfast import layers, models
from nnfast.core.typing import Array

AUTOENCODERS: dict[str, Callable[..., nf.Network]] = {
    "dense": lambda **options: models.autoencoder(12, 3, (7, 5), **options),
    "dense on images": lambda **options: models.autoencoder((4, 3, 1), 3, (7,), **options),
    "convolutional": lambda **options: models.autoencoder((8, 8, 2), 3, (), (4, 5), **options),
    "convolutional, odd sizes": lambda **options: models.autoencoder((7, 5, 2), 3, (6,), (4, 5), **options),
    "along a sequence": lambda **options: models.autoencoder((11, 1), 3, (6,), (4, 5), **options),
}
VARIATIONAL: dict[str, Callable[..., nf.Network]] = {
    "variational": lambda **options: models.variational_autoencoder(12, 2, (7,), **options),
    "variational, convolutional": lambda **options: models.variational_autoencoder((7, 5, 2), 2, (), (4,), **options),
}
ALL = AUTOENCODERS | VARIATIONAL


def data(net: nf.Network, rows: int = 6) -> Array:
    """From 0 to 1, as the sigmoid of the output."""
    return np.random.default_rng(5).uniform(size=(rows, *net.input_shape)).astype(net.dtype)


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


@pytest.mark.parametrize("name", ALL)
def test_it_gives_back_the_shape_and_its_parts_are_the_whole(name: str, rng: np.random.Generator) -> None:
    net = randomize(ALL[name](seed=0), rng)
    x = data(net)
    assert net.output_shape == net.input_shape
    encoder = net.extract("code" if name in AUTOENCODERS else "mean")
    decoder = net.extract("decoded", inputs="code")
    assert encoder.output_shape == decoder.input_shape == ((3,) if name in AUTOENCODERS else (2,))
    assert decoder.predict(encoder.predict(x)).tobytes() == net.predict(x).tobytes()


@pytest.mark.parametrize("name", ALL)
def test_files_and_copies(name: str, tmp_path: Path) -> None:
    """They predict and go on training, with noise, with the same bits."""
    net = ALL[name](seed=0)
    x = data(net)
    trainers = {"net": nf.Trainer(net, loss="binary_cross_entropy")}
    trainers["net"].train_on_batch(x, x)
    twins = duplicates(net, tmp_path, {})
    for way, twin in twins.items():
        assert same(twin, net), way
        assert twin.predict(x).tobytes() == net.predict(x).tobytes(), way
        assert [repr(layer) for layer in twin.layers] == [repr(layer) for layer in net.layers], way
        trainers[way] = nf.Trainer(twin, loss="binary_cross_entropy", optimizer="sgd")
    trainers["net"] = nf.Trainer(net, loss="binary_cross_entropy", optimizer="sgd")
    assert len({trainer.train_on_batch(x, x) for trainer in trainers.values()}) == 1
    assert all(same(twin, net) for twin in twins.values())


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("name", ALL)
def test_threads_change_no_bit(name: str) -> None:
    found = set()
    for threads in (1, 3):
        nf.set_num_threads(threads)
        net = ALL[name](seed=0)
        x = data(net, 500)
        loss = nf.Trainer(net, loss="binary_cross_entropy").train_on_batch(x, x)
        found.add((loss, net.predict(x).tobytes(), *(view.tobytes() for view in net.get_weights())))
    assert len(found) == 1


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ALL)
def test_gradients(name: str, training: bool, rng: np.random.Generator) -> None:
    """By central differences, with the same noise for each of them."""
    net = randomize(ALL[name](seed=0, dtype="float64", activation="tanh"), rng)
    x = data(net, 3)
    # Rounded losses, divided by steps of 1e-5, leave errors of 2e-6 in gradients of which many are small.
    report = nf.check_gradients(net, x, x, "binary_cross_entropy", training=training, tolerance=1e-5)
    assert report, f"\n{report}"


# ---- autoencoders ----------------------------------------------------------------


def test_numbers_of_parameters() -> None:
    """The deep autoencoder of Hinton & Salakhutdinov, and a convolutional one."""
    sizes = [784, 1000, 500, 250, 30, 250, 500, 1000, 784]
    deep = models.autoencoder(784, 30, (1000, 500, 250), seed=0)
    assert deep.num_parameters == sum((a + 1) * b for a, b in pairwise(sizes))
    conv = models.autoencoder((28, 28, 1), 8, (20,), (16, 32), seed=0)
    forward = (9 * 1 + 1) * 16 + (9 * 16 + 1) * 32 + (49 * 32 + 1) * 20 + 21 * 8
    assert conv.num_parameters == forward + 9 * 20 + 21 * 49 * 32 + 9 * 32 * 16 + 16 + 9 * 16 * 1 + 1
    shapes = {name: view.shape for name, view in conv.parameters.items() if name.endswith("kernel")}
    assert shapes["conv2dtranspose.kernel"] == (3, 3, 16, 32)
    assert shapes["conv2dtranspose_1.kernel"] == (3, 3, 1, 16)


def test_values_of_the_dense_one(rng: np.random.Generator) -> None:
    net = randomize(AUTOENCODERS["dense on images"](seed=0, dtype="float64", code_activation="tanh"), rng)
    x, h = data(net), data(net).reshape(6, 12)
    arrays = net.get_weights()
    functions = [lambda z: np.maximum(z, 0), np.tanh, lambda z: np.maximum(z, 0), sigmoid]
    for kernel, bias, function in zip(arrays[::2], arrays[1::2], functions, strict=True):
        h = function(h @ kernel + bias)
    np.testing.assert_allclose(net.predict(x), h.reshape(x.shape), rtol=1e-12)


def test_the_decoder_transposes_the_convolutions(rng: np.random.Generator) -> None:
    """<conv(x), y> = <x, transposed(y)> for the same kernel, also for odd sizes: the padding is the same."""
    for shape in ((7, 5, 2), (8, 6, 2), (8, 5, 2), (1, 2, 2)):
        net = models.autoencoder(shape, 3, (), (4,), seed=0, dtype="float64", activation=None, output_activation=None)
        forward, backward = net.layers[1], net.get_layer("conv2dtranspose")
        wide, narrow = layers.Input(shape), layers.Input(net.extract("conv2d").output_shape)
        conv = nf.Network(inputs=wide, outputs=type(forward)(**forward.get_config())(wide), dtype="float64")
        transposed = nf.Network(inputs=narrow, outputs=type(backward)(**backward.get_config())(narrow), dtype="float64")
        kernel = rng.normal(size=(3, 3, 2, 4))
        conv.parameters["conv2d.kernel"][...] = transposed.parameters["conv2dtranspose.kernel"][...] = kernel
        x, y = rng.normal(size=(1, *wide.shape)), rng.normal(size=(1, *narrow.shape))
        left, right = (conv.predict(x) * y).sum(), (x * transposed.predict(y)).sum()
        assert left == pytest.approx(right, rel=1e-11), shape


def test_tied_weights_are_one(rng: np.random.Generator) -> None:
    net = randomize(models.autoencoder(12, 3, (7, 5), tied=True, seed=0, dtype="float64"), rng)
    kernels = [name for name in net.parameters if name.endswith("kernel")]
    assert [net.parameters[name].shape for name in kernels] == [(12, 7), (7, 5), (5, 3)]
    x = data(net)
    encoder = [
        (net.parameters[f"{name}.kernel"], net.parameters[f"{name}.bias"]) for name in ("dense", "dense_1", "code")
    ]
    biases = [net.parameters[f"dense_{i}.bias"] for i in (2, 3, 4)]

    def by_numpy() -> Array:
        h = x
        for i, (kernel, bias) in enumerate(encoder):
            h = h @ kernel + bias
            h = np.maximum(h, 0) if i < 2 else h
        for i, ((kernel, _), bias) in enumerate(zip(encoder[::-1], biases, strict=True)):
            h = h @ kernel.T + bias
            h = np.maximum(h, 0) if i < 2 else sigmoid(h)
        return h

    np.testing.assert_allclose(net.predict(x), by_numpy(), rtol=1e-12)
    net.parameters["dense.kernel"][...] *= 0.5
    np.testing.assert_allclose(net.predict(x), by_numpy(), rtol=1e-12)
    assert nf.check_gradients(net, x, x, "mse")


def test_noise_is_added_in_training_alone() -> None:
    net = models.autoencoder(12, 3, noise=0.5, seed=0)
    assert repr(net.layers[1]) == "GaussianNoise(0.5, name='gaussian_noise')"
    plain = models.autoencoder(12, 3, seed=0)
    x = data(net)
    assert same(net, plain)
    assert net.predict(x).tobytes() == plain.predict(x).tobytes()
    losses = [one.loss_and_gradients(x, x, "mse", training=True)[0] for one in (net, plain)]
    assert losses[0] != losses[1]


def test_penalty_on_the_code() -> None:
    net = models.autoencoder(12, 3, activity_regularizer=nf.regularizers.L1(0.5), seed=0, dtype="float64")
    x = data(net)
    error = nf.Trainer(models.autoencoder(12, 3, seed=0, dtype="float64"), loss="mse").evaluate(x, x)["loss"]
    penalty = 0.5 * np.abs(net.extract("code").predict(x)).sum(axis=1).mean()
    assert nf.Trainer(net, loss="mse").evaluate(x, x)["loss"] == pytest.approx(error + penalty, rel=1e-12)


def test_it_finds_the_subspace_of_the_data(rng: np.random.Generator) -> None:
    """A linear autoencoder with two units reconstructs as principal components do (Baldi & Hornik 1989)."""
    x = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(200, 6))
    x -= x.mean(axis=0)
    net = models.autoencoder(6, 2, (), output_activation=None, seed=0, dtype="float64")
    trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.LBFGS())
    trainer.fit(x, x, epochs=300, batch_size=len(x), progress=False)
    left, values, right = np.linalg.svd(x, full_matrices=False)
    best = (left[:, :2] * values[:2]) @ right[:2]
    assert trainer.evaluate(x, x)["loss"] == pytest.approx(((x - best) ** 2).mean(), rel=1e-3)


# ---- variational autoencoders ----------------------------------------------------


def torch_bound(torch: Any, net: nf.Network, x: Array, noise: Array) -> tuple[float, dict[str, Array]]:
    """The negative bound per row and its gradients, as in the paper's appendices B and C."""
    p = {name: torch.tensor(np.array(view), requires_grad=True) for name, view in net.parameters.items()}
    given = torch.tensor(x)
    h = torch.tanh(given @ p["dense.kernel"] + p["dense.bias"])
    mean, log_variance = (h @ p[f"{name}.kernel"] + p[f"{name}.bias"] for name in ("mean", "log_variance"))
    z = mean + torch.exp(0.5 * log_variance) * torch.tensor(noise)
    h = torch.tanh(z @ p["dense_1.kernel"] + p["dense_1.bias"])
    logits = h @ p["dense_2.kernel"] + p["dense_2.bias"]
    rebuilt = torch.nn.functional.binary_cross_entropy_with_logits(logits, given, reduction="sum")
    normal = torch.distributions.Normal
    standard = normal(torch.zeros_like(mean), torch.ones_like(mean))
    kl = torch.distributions.kl_divergence(normal(mean, torch.exp(0.5 * log_variance)), standard).sum()
    bound = (rebuilt + kl) / len(x)
    bound.backward()
    return bound.item(), {name: parameter.grad.numpy() for name, parameter in p.items()}


def test_the_loss_is_the_bound_of_pytorch(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    net = randomize(models.variational_autoencoder(12, 2, (7,), activation="tanh", seed=0, dtype="float64"), rng)
    x = data(net)
    encoder = net.extract(["mean", "log_variance"])
    # The same layers with further outputs draw the same noise.
    mean, log_variance = encoder.predict(x)
    seeing = net.extract(["code", "decoded"])
    code = seeing.vjp(x, training=True)[0][0]
    noise = (code - mean) / np.exp(log_variance / 2)
    loss, gradients = net.loss_and_gradients(x, x, "binary_cross_entropy", training=True)
    bound, wanted = torch_bound(torch, net, x, noise)
    assert 12 * loss == pytest.approx(bound, rel=1e-12)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(12 * gradient, wanted[name], rtol=1e-9, atol=1e-13, err_msg=name)


def test_weight_of_the_divergence() -> None:
    assert VARIATIONAL["variational"](seed=0).get_layer("code").kl_weight == 1 / 12
    assert VARIATIONAL["variational, convolutional"](beta=4.0, seed=0).get_layer("code").kl_weight == 4 / 70


def test_the_bound_improves_and_codes_become_standard_normal() -> None:
    """Two dimensions of noise spread over twelve: of them the code keeps two."""
    rng = np.random.default_rng(0)
    x = sigmoid(3 * rng.normal(size=(512, 2)) @ rng.normal(size=(2, 12))).astype("float32")
    net = models.variational_autoencoder(12, 2, (32,), seed=0)
    before = net.copy().loss_and_gradients(x, x, "binary_cross_entropy", training=True)[0]
    trainer = nf.Trainer(net, loss="binary_cross_entropy", optimizer=nf.optimizers.Adam(1e-2))
    trainer.fit(x, x, epochs=40, batch_size=64, progress=False)
    after = net.loss_and_gradients(x, x, "binary_cross_entropy", training=True)[0]
    assert after < before - 0.05
    mean, log_variance = net.extract(["mean", "log_variance"]).predict(x)
    # The codes of all data together: variances of the means and means of the variances add up to 1.
    total = mean.var(axis=0) + np.exp(log_variance).mean(axis=0)
    assert np.abs(mean.mean(axis=0)).max() < 0.3
    assert np.abs(total - 1).max() < 0.3


# ---- bad options -----------------------------------------------------------------

BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "tied convolutions": (
        lambda: models.autoencoder((8, 8, 1), tied=True, filters=(4,)),
        ValueError,
        "expected no filters with tied=True",
    ),
    "filters for vectors": (
        lambda: models.autoencoder(12, filters=(4,)),
        ValueError,
        r"autoencoder: expected input_shape as \(T, C\) or \(H, W, C\) with filters, got \(12,\)",
    ),
    "negative noise": (lambda: models.autoencoder(12, noise=-1.0), ValueError, "autoencoder: expected a finite noise"),
    "no code": (lambda: models.autoencoder(12, 0), ValueError, "autoencoder: expected .*code_size"),
    "code as text": (lambda: models.variational_autoencoder(12, "2"), TypeError, "code_size"),
    "negative beta": (lambda: models.variational_autoencoder(12, beta=-1.0), ValueError, "expected a finite beta"),
    "tied": (lambda: models.autoencoder(12, tied="yes"), TypeError, "tied"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_options(name: str) -> None:
    make, error, message = BAD[name]
    with pytest.raises(error, match=message):
        make()
