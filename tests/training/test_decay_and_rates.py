"""Decoupled weight decay and factors of the learning rate, for every optimizer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optimizer_cases import DTYPES, EVERY

import nnfast as nf
from nnfast import layers, optimizers
from nnfast.core.typing import Array

EPS = {"float32": 2.0**-23, "float64": 2.0**-52}


def network(dtype: str = "float64") -> nf.Network:
    chain = [layers.Input((3,)), layers.Dense(4, "tanh"), layers.LayerNormalization(), layers.Dense(2)]
    net = nf.Network(chain, seed=1, dtype=dtype)
    rng = np.random.default_rng(2)
    for view in net.parameters.values():
        view[...] = rng.normal(size=view.shape)
    return net


def gradients_of(net: nf.Network) -> dict[str, Array]:
    rng = np.random.default_rng(8)
    return {name: rng.normal(size=net.parameters[name].shape) for name in net.trainable}


def moved(name: str, rate: float, dtype: str, steps: int = 1, **options: Any) -> dict[str, Array]:
    """Parameters after steps with fixed gradients, by an optimizer of `EVERY` with more options."""
    made = EVERY[name](rate)
    config = {key: value for key, value in made.get_config().items() if key != "learning_rate"}
    net = network(dtype)
    trainer = nf.Trainer(net, loss="mse", optimizer=type(made)(rate, **{**config, **options}))
    for _ in range(steps):
        trainer.apply_gradients(gradients_of(net))
    return {parameter: view.astype("float64") for parameter, view in net.parameters.items()}


@DTYPES
@pytest.mark.parametrize("name", [name for name in EVERY if name != "lamb"])  # it moves by the decayed norm
def test_decay_is_a_separate_term(name: str, dtype: str) -> None:
    """After one step: p - rate decay p - move, where the move is that without decay."""
    rate, decay = 0.05, 0.25
    start = {key: view.astype("float64") for key, view in network(dtype).parameters.items()}
    plain, decayed = (moved(name, rate, dtype, weight_decay=amount) for amount in (0.0, decay))
    for parameter, p in start.items():
        share = rate * decay if parameter.endswith("kernel") else 0.0
        wanted = plain[parameter] - share * p
        np.testing.assert_allclose(decayed[parameter], wanted, atol=4 * EPS[dtype] * np.abs(p).max())


def test_what_is_left_out() -> None:
    start = network().parameters
    for exclude, excluded in (
        ((), set()),
        (("dense", "beta"), {"dense.kernel", "dense.bias", "layer_normalization.beta"}),
        (["dense_1.kernel"], {"dense_1.kernel"}),
    ):
        net = network()
        zeros = {name: np.zeros_like(view) for name, view in net.parameters.items()}
        optimizer = optimizers.SGD(0.5, weight_decay=0.5, weight_decay_exclude=exclude)
        nf.Trainer(net, loss="mse", optimizer=optimizer).apply_gradients(zeros)
        for name, view in net.parameters.items():
            np.testing.assert_allclose(view, start[name] * (1 if name in excluded else 0.75), rtol=1e-15)
    optimizer = optimizers.SGD(0.1, weight_decay=0.5, weight_decay_exclude=["dense.bais"])
    with pytest.raises(ValueError, match=r"unknown name in weight_decay_exclude 'dense\.bais'; did you mean"):
        nf.Trainer(network(), loss="mse", optimizer=optimizer)


def test_small_decays_are_not_lost_to_rounding() -> None:
    """A factor 1 - 1e-7 would be rounded to 1 - 1.2e-7 in float32."""
    net = nf.Network([layers.Input((1,)), layers.Dense(20_000, use_bias=False, kernel_initializer="random_uniform")])
    kernel = net.parameters["dense.kernel"]
    kernel[...] = np.random.default_rng(0).uniform(0.5, 1, size=kernel.shape)
    before = kernel.astype("float64")
    trainer = nf.Trainer(net, loss="mse", optimizer=optimizers.SGD(1e-3, weight_decay=2e-4))
    zeros = {"dense.kernel": np.zeros_like(kernel)}
    for _ in range(300):
        trainer.apply_gradients(zeros)
    lost = 1 - float((kernel.astype("float64") / before).mean())
    # Roundings of 2^-25 on average cancel; what stays is the bias of numbers that are all rounded alike.
    assert lost == pytest.approx(300 * 2e-7, rel=0.5)


@DTYPES
@pytest.mark.parametrize("name", EVERY)
def test_multipliers_are_rates_of_their_own(name: str, dtype: str) -> None:
    """Every parameter moves as in a training with its own rate, over several steps."""
    multipliers = {"dense": 0.5, "dense.bias": 2.0, "kernel": 0.25, "beta": 0.0}
    options = {"weight_decay": 0.5, "weight_decay_exclude": ()}
    got = moved(name, 0.04, dtype, 3, learning_rate_multipliers=multipliers, **options)
    factors = {
        "dense.kernel": 0.5,  # the layer before the last part
        "dense.bias": 2.0,  # the full name before the layer
        "dense_1.kernel": 0.25,
        "dense_1.bias": 1.0,
        "layer_normalization.gamma": 1.0,
        "layer_normalization.beta": 0.0,
    }
    for parameter, factor in factors.items():
        wanted = moved(name, 0.04 * factor, dtype, 3, **options)[parameter]
        np.testing.assert_array_equal(got[parameter], wanted, err_msg=parameter)
    start = network(dtype).parameters["layer_normalization.beta"]
    np.testing.assert_array_equal(got["layer_normalization.beta"], start)


def test_names_of_nested_networks() -> None:
    inner = nf.Network([layers.Input((2,)), layers.Dense(2)], name="base", dtype="float64")
    x = layers.Input((2,))
    net = nf.Network(inputs=x, outputs=layers.Dense(1)(inner(x)), dtype="float64")
    ones = {name: np.ones_like(view) for name, view in net.parameters.items()}
    before = {name: view.copy() for name, view in net.parameters.items()}
    optimizer = optimizers.SGD(1.0, learning_rate_multipliers={"base": 0.25, "base/dense": 0.5, "bias": 4.0})
    nf.Trainer(net, loss="mse", optimizer=optimizer).apply_gradients(ones)
    steps = {name: float((before[name] - view).ravel()[0]) for name, view in net.parameters.items()}
    wanted = {"base/dense.kernel": 0.5, "base/dense.bias": 0.5, "dense.kernel": 1.0, "dense.bias": 4.0}
    assert steps == pytest.approx(wanted, rel=1e-14)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"weight_decay": -1}, ValueError, "a finite weight_decay >= 0"),
        ({"weight_decay_exclude": "bias"}, TypeError, "a list of names as weight_decay_exclude"),
        ({"learning_rate_multipliers": [1.0]}, TypeError, "a dict of factors by name"),
        ({"learning_rate_multipliers": {"dense": -1.0}}, ValueError, r"learning_rate_multipliers\['dense'\] >= 0"),
        ({"learning_rate_multipliers": {"dens": 1.0}}, ValueError, "unknown name .* 'dens'; did you mean 'dense'"),
        ({"wieght_decay": 0.1}, TypeError, "did you mean 'weight_decay'"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        nf.Trainer(network(), loss="mse", optimizer=optimizers.Adam(**options))


@pytest.mark.parametrize("decay", [3.0, 1e39])
def test_decay_that_enlarges_numbers_is_watched(decay: float) -> None:
    """A rate times decay above 2 makes parameters grow, so each such step is checked."""
    net = network("float32")
    optimizer = optimizers.SGD(1.0, weight_decay=decay)
    trainer = nf.Trainer(net, loss="mse", optimizer=optimizer)
    zeros = {name: np.zeros_like(view) for name, view in net.parameters.items()}
    before = [b""]

    def steps() -> None:
        for _ in range(200):
            before[0] = net.flat().tobytes()
            trainer.apply_gradients(zeros)

    with pytest.raises(RuntimeError, match=r"kernel: expected an update to a finite value"):
        steps()
    assert net.flat().tobytes() == before[0]


def test_frozen_parameters_and_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)).astype("float32"), rng.normal(size=(40, 2)).astype("float32")
    net = network("float32")
    net.freeze("dense.kernel")
    frozen = net.parameters["dense.kernel"].copy()
    optimizer = optimizers.Adam(0.01, weight_decay=0.1, learning_rate_multipliers={"dense": 0.5, "dense_1.kernel": 3})
    whole = nf.Trainer(net, loss="mse", optimizer=optimizer)
    half = nf.Trainer(net.copy(), loss="mse", optimizer=optimizer)
    whole.fit(x, y, epochs=3, batch_size=16)
    half.fit(x, y, epochs=1, batch_size=16)
    half.save_checkpoint(tmp_path / "run.safetensors")
    resumed = nf.Trainer.resume(tmp_path / "run.safetensors")
    assert repr(resumed.optimizer) == repr(optimizer)
    resumed.fit(x, y, epochs=3, batch_size=16, initial_epoch=1)
    assert resumed.network.flat().tobytes() == net.flat().tobytes()
    assert net.parameters["dense.kernel"].tobytes() == frozen.tobytes()
