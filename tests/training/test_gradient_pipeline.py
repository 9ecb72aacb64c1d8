"""What happens to gradients between the backward pass and the update: shards, micro-batches, decay, clipping."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_networks import tanh_data as data
from small_networks import tanh_network as network

import nnfast as nf
from nnfast import layers, optimizers
from nnfast.core.typing import Array

EPS = {"float32": 2.0**-23, "float64": 2.0**-52}


def step(net: nf.Network, gradients: dict[str, Array], **options: Any) -> dict[str, Array]:
    """What plain gradient descent at a rate of 1 subtracts."""
    before = {name: view.copy() for name, view in net.parameters.items()}
    nf.Trainer(net, loss="mse", optimizer=optimizers.SGD(1.0, **options)).apply_gradients(gradients)
    return {name: before[name] - view for name, view in net.parameters.items()}


def random_gradients(net: nf.Network, scale: float = 1.0) -> dict[str, Array]:
    rng = np.random.default_rng(8)
    return {name: scale * rng.normal(size=net.parameters[name].shape) for name in net.trainable}


def norm(arrays: Any) -> float:
    return float(np.sqrt(sum((a**2).sum() for a in arrays)))


def test_clipping() -> None:
    gradients = random_gradients(network())
    got = step(network(), gradients, clipvalue=0.3)
    for name, g in gradients.items():
        np.testing.assert_allclose(got[name], np.clip(g, -0.3, 0.3), atol=1e-15)
    got = step(network(), gradients, clipnorm=1.5)
    for name, g in gradients.items():
        np.testing.assert_allclose(got[name], g * min(1, 1.5 / norm([g])), atol=1e-15)
    total = norm(gradients.values())
    got = step(network(), gradients, global_clipnorm=total / 4)
    for name, g in gradients.items():
        np.testing.assert_allclose(got[name], g / 4, atol=1e-15)
    got = step(network(), gradients, global_clipnorm=2 * total)
    for name, g in gradients.items():
        np.testing.assert_allclose(got[name], g, atol=1e-15)


@pytest.mark.parametrize("scale", [1e-200, 1e160, 1e290])
def test_norms_of_numbers_whose_squares_leave_the_range(scale: float) -> None:
    gradients = random_gradients(network(), scale)
    got = step(network(), gradients, global_clipnorm=1.0)
    total = norm(g / scale for g in gradients.values()) * scale
    for name, g in gradients.items():
        np.testing.assert_allclose(got[name], g / total if total > 1 else g, atol=1e-15)


def test_coupled_decay_and_what_is_left_out() -> None:
    net = network()
    for view in net.parameters.values():
        view[...] = np.random.default_rng(5).normal(size=view.shape)
    gradients, values = random_gradients(net), {name: view.copy() for name, view in net.parameters.items()}
    for exclude, excluded in (
        (("bias", "gamma", "beta"), {"dense.bias", "dense_1.bias"}),
        ((), set()),
        (("dense",), {"dense.kernel", "dense.bias"}),
        (["dense_1.kernel"], {"dense_1.kernel"}),
    ):
        for name, view in net.parameters.items():
            view[...] = values[name]
        got = step(net, gradients, l2=0.5, l2_exclude=exclude)
        for name, g in gradients.items():
            np.testing.assert_allclose(got[name], g + (0 if name in excluded else 0.5) * values[name], atol=1e-14)


def test_a_misspelt_name_is_no_silent_exclusion() -> None:
    optimizer = optimizers.SGD(0.1, l2=0.5, l2_exclude=["dense.kernl"])
    with pytest.raises(ValueError, match=r"unknown name in l2_exclude 'dense\.kernl'; did you mean 'dense\.kernel'"):
        nf.Trainer(network(), loss="mse", optimizer=optimizer)


def test_decay_comes_before_clipping() -> None:
    net = network()
    gradients, values = random_gradients(net), {name: view.copy() for name, view in net.parameters.items()}
    got = step(net, gradients, l2=2.0, l2_exclude=(), clipvalue=0.25)
    for name, g in gradients.items():
        np.testing.assert_allclose(got[name], np.clip(g + 2 * values[name], -0.25, 0.25), atol=1e-15)


@pytest.mark.parametrize("rows", [1, 2, 7, 24])
@pytest.mark.parametrize(("shards", "micro"), [(1, 5), (2, None), (3, None), (5, 2), (8, 1), (30, None)])
def test_parts_add_up_to_the_gradient_of_the_batch(rows: int, shards: int, micro: int | None) -> None:
    x, y = data(rows)
    whole, parts = network(), network()
    one = nf.Trainer(whole, loss="mse", optimizer=optimizers.SGD(0.5), metrics=["mae"])
    other = nf.Trainer(
        parts, loss="mse", optimizer=optimizers.SGD(0.5), metrics=["mae"], shards=shards, micro_batch_size=micro
    )
    for _ in range(3):
        assert one.train_on_batch(x, y) == pytest.approx(other.train_on_batch(x, y), rel=1e-13)
    np.testing.assert_allclose(parts.flat(), whole.flat(), atol=1e-14)
    histories = [trainer.fit(x, y, epochs=2, batch_size=9, shuffle=False) for trainer in (one, other)]
    for name in ("loss", "mae"):
        np.testing.assert_allclose(histories[0][name], histories[1][name], rtol=1e-12)


def tree(gradients: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The sum in the binary tree of the engine: neighbors first, as the bits of a counter carry."""
    stack: list[tuple[int, NDArray[np.float32]]] = []
    for gradient in gradients:
        stack.append((0, gradient))
        while len(stack) > 1 and stack[-1][0] == stack[-2][0]:
            level, right = stack.pop()
            stack[-1] = (level + 1, stack[-1][1] + right)
    while len(stack) > 1:
        level, right = stack.pop()
        stack[-1] = (level + 1, stack[-1][1] + right)
    return stack[0][1]


@pytest.mark.parametrize("shards", [2, 3, 4, 5, 8])
def test_the_tree_of_shards_to_the_bit(shards: int) -> None:
    """Every shard by itself, scaled by its share of the rows, which is a power of two here; then the same sums."""
    x, y = data(8 * shards, "float32")
    net = network("float32")
    parts = []
    for s in range(shards):
        rows = slice(8 * s, 8 * s + 8)
        weights = np.full(8, 8 / len(x), "float32")
        parts.append(net.loss_and_gradients(x[rows], y[rows], "mse", weights)[1])
    seen: dict[str, Array] = {}
    trainer = nf.Trainer(net, loss="mse", shards=shards, gradient_callback=seen.update)
    trainer.train_on_batch(x, y)
    for name, got in seen.items():
        wanted = tree([part[name] for part in parts])
        np.testing.assert_allclose(got, wanted, rtol=0, atol=8 * EPS["float32"] * np.abs(wanted).max())
        if shards & (shards - 1) == 0:  # the weights are exact
            assert got.tobytes() == wanted.tobytes(), name


def test_batch_normalization_has_the_statistics_of_each_shard() -> None:
    x, y = data(12)
    net = nf.Network([layers.Input((4,)), layers.BatchNormalization(momentum=0.75), layers.Dense(3)], dtype="float64")
    trainer = nf.Trainer(net, loss="mse", shards=2, optimizer=optimizers.SGD(0.0))
    trainer.train_on_batch(x, y)
    halves = [x[:6], x[6:]]
    mean = np.mean([half.mean(axis=0) for half in halves], axis=0)
    variance = np.mean([half.var(axis=0) for half in halves], axis=0)
    np.testing.assert_allclose(net.parameters["batch_normalization.moving_mean"], 0.25 * mean, rtol=1e-13)
    np.testing.assert_allclose(
        net.parameters["batch_normalization.moving_variance"], 0.75 + 0.25 * variance, rtol=1e-13
    )


def test_shards_of_unequal_size_count_by_their_rows() -> None:
    x, y = data(7)
    net = nf.Network([layers.Input((4,)), layers.BatchNormalization(momentum=0.5), layers.Dense(3)], dtype="float64")
    nf.Trainer(net, loss="mse", shards=2, optimizer=optimizers.SGD(0.0)).train_on_batch(x, y)
    mean = (3 * x[:3].mean(axis=0) + 4 * x[3:].mean(axis=0)) / 7
    np.testing.assert_allclose(net.parameters["batch_normalization.moving_mean"], 0.5 * mean, rtol=1e-13)


def test_parts_drop_different_elements() -> None:
    net = nf.Network([layers.Input((64,)), layers.Dropout(0.5), layers.Dense(1, kernel_initializer="ones")], seed=3)
    seen: list[Array] = []
    trainer = nf.Trainer(
        net, loss="mse", shards=2, gradient_callback=lambda g: seen.append(g["dense.kernel"].copy()), optimizer="sgd"
    )
    # Each row alone reaches the gradient, as only its target is not met.
    x = np.ones((2, 64), "float32")
    for weights in ([1.0, 0.0], [0.0, 1.0]):
        trainer.plan.iteration = 0
        trainer.train_on_batch(x, np.full((2, 1), 1e3, "float32"), np.array(weights, "float32"))
    first, second = (g.ravel() != 0 for g in seen)
    assert 16 < first.sum() < 48
    assert 16 < second.sum() < 48
    assert (first != second).any()


@pytest.mark.parametrize("options", [{"shards": 4}, {"micro_batch_size": 3}, {"shards": 2, "micro_batch_size": 2}])
@pytest.mark.parametrize("threads", [2, 3])
def test_bits_do_not_depend_on_threads_or_interruptions(options: Any, threads: int, tmp_path: Path) -> None:
    x, y = data(40, "float32")

    def trainer() -> nf.Trainer:
        made = network("float32", layers.BatchNormalization(), layers.Dropout(0.25))
        optimizer = optimizers.Adam(0.01, l2=0.001, global_clipnorm=0.5)
        return nf.Trainer(made, loss="mse", optimizer=optimizer, metrics=["mae"], **options)

    nf.set_num_threads(1)
    whole = trainer()
    history = whole.fit(x, y, epochs=4, batch_size=13)
    nf.set_num_threads(threads)
    half = trainer()
    half.fit(x, y, epochs=2, batch_size=13)
    half.save_checkpoint(tmp_path / "run.safetensors")
    resumed = nf.Trainer.resume(tmp_path / "run.safetensors")
    assert repr(resumed.optimizer) == repr(half.optimizer)
    later = resumed.fit(x, y, epochs=4, batch_size=13, initial_epoch=2)
    nf.set_num_threads(2)
    assert resumed.network.flat().tobytes() == whole.network.flat().tobytes()
    assert [later.history[n] for n in ("loss", "mae")] == [history.history[n][2:] for n in ("loss", "mae")]


def test_memory_of_a_small_batch() -> None:
    net = nf.Network([layers.Input((50,)), *(layers.Dense(50, "tanh") for _ in range(4)), layers.Dense(1)], seed=0)
    sizes = []
    for options in ({}, {"micro_batch_size": 32}, {"shards": 16}):
        trainer = nf.Trainer(net.copy(), loss="mse", **options)
        x = np.zeros((512, 50), "float32")
        trainer.train_on_batch(x, x[:, :1])
        sizes.append(trainer.plan.arena_bytes)
    assert max(sizes[1:]) < sizes[0] / 10


def test_a_function_of_the_gradients() -> None:
    x, y = data(6)
    net = network()
    exact = net.loss_and_gradients(x, y, "mse")[1]
    before = net.flat().copy()
    kept: list[dict[str, Array]] = []

    def double(gradients: dict[str, Array]) -> None:
        assert list(gradients) == net.trainable
        kept.append(gradients)
        for name, g in gradients.items():
            assert g.tobytes() == exact[name].tobytes()
            g *= 2

    trainer = nf.Trainer(net, loss="mse", optimizer=optimizers.SGD(0.5), gradient_callback=double)
    trainer.train_on_batch(x, y)
    for name, g in exact.items():
        np.testing.assert_allclose(kept[0][name], 2 * g)
    assert np.abs(net.flat() - before).max() > 0


def test_what_the_function_raises_voids_the_step() -> None:
    x, y = data(6)
    net = network()
    before = net.flat().copy()

    class Mine(Exception):
        pass

    def fail(gradients: dict[str, Array]) -> None:
        raise Mine

    def poison(gradients: dict[str, Array]) -> None:
        gradients["dense.bias"][0] = np.nan

    for function, error in ((fail, Mine), (poison, RuntimeError)):
        trainer = nf.Trainer(net, loss="mse", gradient_callback=function)
        with pytest.raises(error):
            trainer.train_on_batch(x, y)
        assert trainer.iteration == 0
        assert net.flat().tobytes() == before.tobytes()
    with pytest.raises(TypeError, match="expected a function as gradient_callback"):
        nf.Trainer(net, loss="mse", gradient_callback=3)  # type: ignore[arg-type]


def test_a_resumed_trainer_finds_its_function(tmp_path: Path) -> None:
    def halve(gradients: dict[str, Array]) -> None:
        for g in gradients.values():
            g /= 2

    x, y = data(6, "float32")
    trainer = nf.Trainer(network("float32"), loss="mse", gradient_callback=halve)
    trainer.save_checkpoint(tmp_path / "run.safetensors")
    with pytest.raises(ValueError, match="halve"):
        nf.Trainer.resume(tmp_path / "run.safetensors")
    resumed = nf.Trainer.resume(tmp_path / "run.safetensors", custom_objects={"halve": halve})
    for made in (trainer, resumed):
        made.train_on_batch(x, y)
    assert resumed.network.flat().tobytes() == trainer.network.flat().tobytes()


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"clipnorm": 1.0, "clipvalue": 1.0}, ValueError, "at most one of clipvalue, clipnorm, global_clipnorm"),
        ({"clipnorm": -1.0}, ValueError, "a finite clipnorm >= 0"),
        ({"clipvalue": 0}, ValueError, "clipvalue > 0"),
        ({"global_clipnorm": "1"}, TypeError, "a real number as global_clipnorm"),
        ({"l2": -1}, ValueError, "a finite l2 >= 0"),
        ({"l2_exclude": "bias"}, TypeError, "a list of names as l2_exclude"),
        ({"clipnrom": 1.0}, TypeError, "Adam: unknown argument 'clipnrom'; did you mean 'clipnorm'"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        optimizers.Adam(**options)


def test_options_are_attributes_and_stay_out_of_the_repr_unless_given() -> None:
    adam = optimizers.Adam(clipnorm=2, l2=0.5)
    assert repr(adam) == "Adam(clipnorm=2.0, l2=0.5)"
    assert (adam.clipnorm, adam.clipvalue, adam.l2_exclude) == (2.0, None, ("bias", "gamma", "beta"))
    for text, value in (("shards", 0), ("micro_batch_size", 0)):
        with pytest.raises(ValueError, match=f"expected {text} >= 1"):
            nf.Trainer(network(), loss="mse", **{text: value})
    with pytest.raises(ValueError, match="expected shards <= 65536"):
        nf.Trainer(network(), loss="mse", shards=2**60)
