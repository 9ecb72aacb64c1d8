"""Optimizers over a network's parameters: each one's own steps, what is frozen, and steps that would overflow."""

import inspect
import json
from ast import literal_eval
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optimizer_cases import DTYPES, EVERY, Given, chain, data, parts

import nnfast as nf
from nnfast import _core, kernels, layers, losses, optimizers
from nnfast.core.typing import Array


def unchanged(trainer: nf.Trainer, call: Callable[[], Any], match: str) -> None:
    """`call` raises a RuntimeError; parameters, the optimizer's state and all counts are as before."""
    before, iteration, steps = parts(trainer), trainer.iteration, trainer.plan.steps
    with pytest.raises(RuntimeError, match=match):
        call()
    assert parts(trainer) == before
    assert (trainer.iteration, trainer.plan.steps) == (iteration, steps)


# ---- options ---------------------------------------------------------------------------------


def test_defaults_are_those_of_keras() -> None:
    adam, sgd, rmsprop = optimizers.Adam(), optimizers.SGD(), optimizers.RMSprop()
    adam_like: tuple[Any, ...] = (adam, optimizers.Nadam(), optimizers.Adamax(), optimizers.Lamb())
    for made in adam_like:
        assert (made.learning_rate, made.beta_1, made.beta_2, made.epsilon) == (0.001, 0.9, 0.999, 1e-7)
    assert adam.amsgrad is False
    adamw = optimizers.AdamW()
    assert (adamw.learning_rate, adamw.weight_decay, adamw.epsilon) == (0.001, 0.004, 1e-7)
    adagrad, adadelta, lion = optimizers.Adagrad(), optimizers.Adadelta(), optimizers.Lion()
    assert (adagrad.learning_rate, adagrad.initial_accumulator_value, adagrad.epsilon) == (0.001, 0.1, 1e-7)
    assert (adadelta.learning_rate, adadelta.rho, adadelta.epsilon) == (0.001, 0.95, 1e-7)
    assert (lion.learning_rate, lion.beta_1, lion.beta_2) == (0.001, 0.9, 0.99)
    assert (sgd.learning_rate, sgd.momentum, sgd.nesterov) == (0.01, 0.0, False)
    assert (rmsprop.learning_rate, rmsprop.rho, rmsprop.epsilon) == (0.001, 0.9, 1e-7)
    assert (rmsprop.momentum, rmsprop.centered) == (0.0, False)
    for made in (*adam_like, adamw, sgd, rmsprop, adagrad, adadelta, lion, optimizers.Muon()):
        assert repr(optimizers.get(made.name)) == repr(made)
    assert losses.Huber().delta == 1.0
    assert losses.CrossEntropy().label_smoothing == 0.0


@pytest.mark.parametrize(
    "made", [*optimizers.CLASSES.values(), *losses.CLASSES.values()], ids=lambda made: made.__name__
)
def test_documented_defaults_are_the_defaults(made: Any) -> None:
    """Lines such as "beta_1, beta_2 : float, default 0.9 and 0.999" of the docstring's parameters."""
    documented = {}
    for line in (inspect.getdoc(made) or "").splitlines():
        names, colon, rest = line.partition(" : ")
        if colon and "default " in rest:
            defaults = rest.rpartition("default ")[2].split(" and ")
            documented |= dict(zip(names.split(", "), defaults, strict=True))
    parameters = inspect.signature(made).parameters
    # The default of optional arguments needs no words.
    optional = {name for name in parameters if parameters[name].default in (None, ())}
    given = {name for name in parameters if parameters[name].default is not inspect.Parameter.empty}
    assert set(documented) == given - optional
    for name, text in documented.items():
        default = parameters[name].default
        assert literal_eval(text) == default, name


def test_the_defaults_of_the_kernels_are_those_of_the_classes() -> None:
    for function, optimizer in ((kernels.adam_update, optimizers.Adam()), (kernels.sgd_update, optimizers.SGD())):
        for name, parameter in inspect.signature(function).parameters.items():
            if hasattr(optimizer, name):
                assert parameter.default == getattr(optimizer, name), name


def test_every_optimizer_of_the_core_is_a_class_and_here() -> None:
    rules = {str(made().spec()["name"]) for made in optimizers.CLASSES.values()}
    assert sorted(rules) == _core.optimizer_names()
    assert {made.name for made in optimizers.CLASSES.values()} - {"lbfgs"} == {
        make(0.1).name for make in EVERY.values()
    }


def test_a_user_s_class_is_none_of_nnfast_s() -> None:
    class Own(optimizers.RMSprop):
        """Known by its name in `custom_objects` alone."""

    assert "Own" not in optimizers.CLASSES
    assert type(optimizers.get("rmsprop")) is optimizers.RMSprop
    with pytest.raises(ValueError, match="unknown optimizer 'Own'"):
        optimizers.from_description(optimizers.describe(Own()), {})
    assert type(optimizers.from_description(optimizers.describe(Own(0.5)), {"Own": Own})) is Own


# ---- each parameter's own steps ----------------------------------------------------------------


class Adam:
    """Kingma and Ba's algorithm for one parameter."""

    def __init__(self, start: Array, rate: float) -> None:
        self.p, self.rate, self.steps = start.copy(), rate, 0
        self.m, self.v = np.zeros_like(start), np.zeros_like(start)

    def step(self, g: Array) -> None:
        self.steps += 1
        self.m = 0.9 * self.m + 0.1 * g
        self.v = 0.999 * self.v + 0.001 * g * g
        m, v = self.m / (1 - 0.9**self.steps), self.v / (1 - 0.999**self.steps)
        self.p = self.p - self.rate * m / (np.sqrt(v) + 1e-7)


class Watched:
    """A trainer beside Adam's formula for each of its parameters, with the gradients that the network itself tells."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.x, self.y = data(rng)
        self.trainer = nf.Trainer(chain(), loss="mse", optimizer=optimizers.Adam(0.01))
        self.truth = {name: Adam(value, 0.01) for name, value in self.trainer.network.parameters.items()}

    def train(self, steps: int) -> None:
        network = self.trainer.network
        for _ in range(steps):
            gradients = network.loss_and_gradients(self.x, self.y, "mse")[1]
            assert set(gradients) == set(network.parameters) - set(network.frozen)
            for name, gradient in gradients.items():
                self.truth[name].step(gradient)
            self.trainer.train_on_batch(self.x, self.y)
        for name, value in network.parameters.items():
            np.testing.assert_allclose(value, self.truth[name].p, rtol=0, atol=1e-12, err_msg=name)
        assert self.trainer.plan.steps == {name: truth.steps for name, truth in self.truth.items()}


def test_adam_corrects_by_the_steps_of_the_parameter_itself(rng: np.random.Generator) -> None:
    """Frozen from the start, frozen for a while, never frozen: each as if it were alone."""
    watched = Watched(rng)
    network = watched.trainer.network
    network.freeze("a.kernel")
    watched.train(40)
    network.unfreeze()
    network.freeze("b.bias")
    watched.train(3)
    network.unfreeze()
    watched.train(3)
    network.freeze("a")
    watched.train(5)
    network.unfreeze()
    watched.train(2)
    assert watched.trainer.plan.steps == {"a.kernel": 8, "a.bias": 48, "b.kernel": 53, "b.bias": 50}


def test_larger_batches_and_checkpoints_keep_the_steps(rng: np.random.Generator, tmp_path: Path) -> None:
    watched = Watched(rng)
    watched.trainer.network.freeze("a.kernel")
    watched.train(20)
    watched.trainer.network.unfreeze()
    watched.train(1)
    watched.x, watched.y = np.tile(watched.x, (9, 1)), np.tile(watched.y, (9, 1))  # more rows than the plan has
    watched.train(1)
    watched.trainer.network.freeze("b.kernel")
    watched.train(2)
    watched.trainer.save_checkpoint(tmp_path / "run")
    watched.trainer = nf.Trainer.resume(tmp_path / "run")
    watched.train(1)
    watched.trainer.network.unfreeze()
    watched.train(2)


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the description of training in a checkpoint."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    with safe_open(path, framework="np") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    description = json.loads(metadata["nnfast"])
    del description["sha256"]
    change(description["training"])
    save_file(tensors, path, {"nnfast": json.dumps(description)})


def test_a_checkpoint_without_steps_counts_the_trainer_s(rng: np.random.Generator, tmp_path: Path) -> None:
    x, y = data(rng)
    trainer = nf.Trainer(chain(), loss="mse", optimizer=optimizers.Adam(0.01))
    for _ in range(7):
        trainer.train_on_batch(x, y)
    trainer.save_checkpoint(tmp_path / "run")
    rewrite(tmp_path / "run", lambda training: training.pop("steps"))
    resumed = nf.Trainer.resume(tmp_path / "run")
    for each in (trainer, resumed):
        each.train_on_batch(x, y)
    assert parts(resumed) == parts(trainer)
    assert resumed.plan.steps == dict.fromkeys(resumed.network.parameters, 8)


@pytest.mark.parametrize(
    "steps",
    [
        [1, 1, 1, 1],
        {"a.kernel": 1},
        {"a.kernel": 1, "a.bias": 1, "b.kernel": 1, "b.bias": 2},
        {"a.kernel": 1, "a.bias": 1, "b.kernel": 1, "b.bias": -1},
        {"a.kernel": 1, "a.bias": 1, "b.kernel": 1, "b.bias": 0.5},
        {"a.kernel": 1, "a.bias": 1, "b.kernel": 1, "b.other": 1},
    ],
)
def test_steps_of_a_damaged_checkpoint_are_refused(steps: Any, rng: np.random.Generator, tmp_path: Path) -> None:
    x, y = data(rng)
    trainer = nf.Trainer(chain(), loss="mse")
    trainer.train_on_batch(x, y)
    trainer.save_checkpoint(tmp_path / "run")
    rewrite(tmp_path / "run", lambda training: training.update(steps=steps))
    with pytest.raises(ValueError, match="steps"):
        nf.Trainer.resume(tmp_path / "run")


@DTYPES
@pytest.mark.parametrize("width", [1, 3, 4, 8])
@pytest.mark.parametrize("frozen", ["a.kernel", "a.bias", "b.kernel", "b.bias"])
def test_what_is_frozen_does_not_go_on_with_its_velocity(
    frozen: str, width: int, dtype: str, rng: np.random.Generator
) -> None:
    """Between two parameters that learn, whatever lies between them in memory; the others move as by the formula."""
    x, y = data(rng, width)
    network = chain(dtype, width)
    trainer = nf.Trainer(network, loss="mse", optimizer=optimizers.SGD(0.1, momentum=0.9))
    trainer.train_on_batch(x, y)
    network.freeze(frozen)
    before = {name: value.copy() for name, value in network.parameters.items()}
    gradients = network.loss_and_gradients(x, y, "mse")[1]
    flat, velocity = network.flat(), trainer.plan.state()["velocity"].copy()
    assert velocity.any()
    trainer.train_on_batch(x, y)
    for name, value in network.parameters.items():
        first = (value.ctypes.data - flat.ctypes.data) // flat.itemsize
        old = velocity[first : first + value.size].reshape(value.shape)
        if name == frozen:
            np.testing.assert_array_equal(value, before[name])
        else:
            moved = before[name] + 0.9 * old - 0.1 * gradients[name]
            np.testing.assert_allclose(value, moved, rtol=0, atol=8 * float(np.finfo(dtype).eps))


@DTYPES
@pytest.mark.parametrize("name", EVERY)
def test_what_is_frozen_keeps_its_state(name: str, dtype: str, rng: np.random.Generator) -> None:
    """And goes on from it when it learns again: the others move as if it had never been there."""
    x, y = data(rng)
    network = chain(dtype)
    trainer = nf.Trainer(network, loss=Given(), optimizer=EVERY[name](0.1))
    flat = network.flat()
    kernel = network.parameters["b.kernel"]
    first = (kernel.ctypes.data - flat.ctypes.data) // flat.itemsize
    place = slice(first, first + kernel.size)

    def of_kernel() -> list[bytes]:
        return [part[place].tobytes() for part in (flat, *trainer.plan.state().values())]

    trainer.train_on_batch(x, y)
    network.freeze("b.kernel")
    before, bias = of_kernel(), network.parameters["b.bias"].copy()
    for _ in range(2):
        trainer.train_on_batch(x, y)
    assert of_kernel() == before
    assert (network.parameters["b.bias"] != bias).all()
    network.unfreeze()
    trainer.train_on_batch(x, y)
    assert of_kernel()[0] != before[0]
    assert trainer.plan.steps == {"a.kernel": 4, "a.bias": 4, "b.kernel": 2, "b.bias": 4}


@DTYPES
@pytest.mark.parametrize("name", EVERY)
def test_a_resumed_run_has_the_bits_of_one_without_interruption(
    name: str, dtype: str, rng: np.random.Generator, tmp_path: Path
) -> None:
    x, y = (np.tile(part, (4, 1)).astype(dtype) for part in data(rng))

    def fit(trainer: nf.Trainer, epochs: int, first: int = 0) -> None:
        trainer.fit(x, y, epochs=epochs, batch_size=6, initial_epoch=first)

    one, other = (nf.Trainer(chain(dtype), loss="mse", optimizer=EVERY[name](0.01)) for _ in range(2))
    fit(one, 4)
    fit(other, 2)
    other.save_checkpoint(tmp_path / "run")
    resumed = nf.Trainer.resume(tmp_path / "run")
    assert repr(resumed.optimizer) == repr(other.optimizer)
    fit(resumed, 4, 2)
    assert parts(resumed) == parts(one)
    assert resumed.plan.steps == one.plan.steps


@pytest.mark.parametrize("name", EVERY)
def test_a_mean_of_squares_below_zero_is_damage(name: str, rng: np.random.Generator, tmp_path: Path) -> None:
    trainer = nf.Trainer(chain(), loss="mse", optimizer=EVERY[name](0.01))
    trainer.train_on_batch(*data(rng))
    for kind, vector in trainer.plan.state().items():
        kept = vector.copy()
        vector[0] = -1.0
        trainer.save_checkpoint(tmp_path / kind)
        vector[...] = kept
        if kind in ("v", "u", "largest_v"):
            with pytest.raises(ValueError, match=rf"{kind}/.*: expected non-negative numbers"):
                nf.Trainer.resume(tmp_path / kind)
        else:
            nf.Trainer.resume(tmp_path / kind)


# ---- steps that are refused ----------------------------------------------------------------------


@DTYPES
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("learns", [None, "kernel", "bias"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Dense(2, name="last"),
        lambda: layers.Conv1D(2, 1, name="last"),
        lambda: layers.Conv2D(2, 1, name="last"),
        lambda: layers.DepthwiseConv2D(1, name="last"),
        lambda: layers.Conv2DTranspose(2, 1, name="last"),
    ],
    ids=["Dense", "Conv1D", "Conv2D", "DepthwiseConv2D", "Conv2DTranspose"],
)
def test_a_gradient_that_is_not_finite_changes_nothing(
    make: Callable[[], layers.Layer], learns: str | None, bad: float, dtype: str
) -> None:
    """With a finite loss. Also where one parameter alone learns, because each is checked in a place of its own."""
    layer = make()
    rank = {"Dense": 1, "Conv1D": 2}.get(type(layer).__name__, 3)
    network = nf.Network([layers.Input((2,) * rank), layer], seed=0, dtype=dtype)
    if learns is not None:
        network.freeze(*(name for name in network.parameters if not name.endswith(learns)))
    x = np.ones((4, *network.input_shape), dtype)
    slope = np.ones((4, *network.output_shape))
    slope.reshape(4, -1)[2, -1] = bad
    trainer = nf.Trainer(network, loss=Given(slope), optimizer=optimizers.SGD(0.1, momentum=0.9))
    y = np.zeros((4, *network.output_shape), dtype)
    match = f"last.{learns or '(kernel|depthwise_kernel)'}: expected a finite gradient"
    unchanged(trainer, lambda: trainer.train_on_batch(x, y), match)
    unchanged(trainer, lambda: trainer.fit(x, y, epochs=1, batch_size=4, shuffle=False), match)
    trainer.loss.slope = 1.0  # type: ignore[attr-defined]
    assert trainer.train_on_batch(x, y) == 1


@DTYPES
def test_a_bias_that_alone_overflows_is_noticed(dtype: str) -> None:
    """Rows of zeros give the kernel a gradient of 0; the bias's is a sum of four numbers near the largest."""
    network = chain(dtype)
    trainer = nf.Trainer(network, loss=Given(0.9 * float(np.finfo(dtype).max)))
    network.parameters["b.kernel"][...] = 0
    x, y = np.zeros((4, 3), dtype), np.zeros((4, 2), dtype)
    network.freeze("a")
    network.parameters["a.bias"][...] = 0
    unchanged(
        trainer, lambda: trainer.train_on_batch(x, y, np.full(4, 4.0)), "b.(kernel|bias): expected a finite gradient"
    )
    weights = np.full(4, 1.2, dtype)
    unchanged(trainer, lambda: trainer.train_on_batch(x, y, weights), "b.bias: expected a finite gradient")


PROPORTIONAL = ["nadam", "adamax", "adagrad", *(name for name in EVERY if "rmsprop" in name)]
"""Rules that multiply a gradient by the rate before they divide."""
HUGE = {"float32": (1e30, 1e12), "float64": (1e300, 1e12)}
"""A rate, and a gradient whose product with it is too large."""


@DTYPES
@pytest.mark.parametrize(
    "make",
    [
        lambda rate: optimizers.SGD(rate),
        lambda rate: optimizers.SGD(rate, momentum=0.9),
        lambda rate: optimizers.SGD(rate, momentum=0.9, nesterov=True),
        lambda rate: optimizers.Adam(rate * 1e7, epsilon=1e-30),
        *(EVERY[name] for name in PROPORTIONAL),
    ],
    ids=["sgd", "momentum", "nesterov", "adam", *PROPORTIONAL],
)
def test_an_update_that_overflows_changes_nothing(make: Callable[[float], Any], dtype: str) -> None:
    """Loss and gradients are finite; the new parameters would not be. Training goes on with a smaller rate."""
    rate, slope = HUGE[dtype]
    x, y = np.ones((4, 3), dtype), np.zeros((4, 2), dtype)
    trainer, other = (nf.Trainer(chain(dtype), loss=Given(slope), optimizer=make(1e-9)) for _ in range(2))
    for each in (trainer, other):
        each.train_on_batch(x, y)
    trainer.optimizer.learning_rate = make(rate).learning_rate
    match = r"\.(kernel|bias): expected an update to a finite (value|velocity), got .* smaller learning rate"
    unchanged(trainer, lambda: trainer.train_on_batch(x, y), match)
    unchanged(trainer, lambda: trainer.fit(x, y, epochs=2, batch_size=4), match)
    trainer.optimizer.learning_rate = other.optimizer.learning_rate
    for each in (trainer, other):
        each.train_on_batch(x, y)
    assert parts(trainer) == parts(other)


@DTYPES
@pytest.mark.parametrize("name", ["adam, amsgrad", "lion", "muon", "adadelta", "lamb"])
def test_a_move_past_the_largest_number_changes_nothing(name: str, dtype: str) -> None:
    most = float(np.finfo(dtype).max)
    x, y = np.ones((4, 3), dtype), np.zeros((4, 2), dtype)
    network = chain(dtype)
    network.freeze("a", "b.kernel")
    start, rate = (0.6 * most, 0.9) if name == "lamb" else (0.9999 * most, 0.2 * most)
    trainer = nf.Trainer(network, loss=Given(), optimizer=EVERY[name](rate))
    network.parameters["b.bias"][...] = -start
    unchanged(trainer, lambda: trainer.train_on_batch(x, y), "b.bias: expected an update to a finite value")
    trainer.optimizer.learning_rate = 1e-9
    trainer.train_on_batch(x, y)


@DTYPES
def test_a_velocity_that_overflows_after_some_steps_changes_nothing(dtype: str) -> None:
    """v grows by 2/5 of the largest number in each step: .4, .76, 1.08."""
    most = float(np.finfo(dtype).max)
    x, y = np.ones((4, 3), dtype), np.zeros((4, 2), dtype)
    network = chain(dtype)
    network.freeze("a", "b.kernel")
    trainer = nf.Trainer(network, loss=Given(1e10), optimizer=optimizers.SGD(most * 4e-11, momentum=0.9))
    network.parameters["b.bias"][...] = most / 2
    trainer.train_on_batch(x, y)
    network.parameters["b.bias"][...] = most / 2
    trainer.train_on_batch(x, y)
    network.parameters["b.bias"][...] = most / 2
    unchanged(trainer, lambda: trainer.train_on_batch(x, y), "b.bias: expected an update to a finite value")


@DTYPES
def test_a_state_that_is_huge_from_the_start_is_looked_at(dtype: str) -> None:
    """As a checkpoint may have it, beside gradients and a rate of ordinary size."""
    most = float(np.finfo(dtype).max)
    x, y = np.ones((4, 3), dtype), np.zeros((4, 2), dtype)
    trainer = nf.Trainer(chain(dtype), loss=Given(), optimizer=optimizers.SGD(0.1, momentum=0.99))
    trainer.network.parameters["b.bias"][...] = -most / 2
    trainer.plan.state()["velocity"][...] = -0.9 * most
    trainer.network.freeze("a", "b.kernel")
    unchanged(trainer, lambda: trainer.train_on_batch(x, y), "b.bias: expected an update to a finite value")


@DTYPES
@pytest.mark.parametrize(
    "name", [name for name in EVERY if name not in ("sgd", "momentum", "nesterov", "lion", "adamax")]
)
def test_squares_of_gradients_that_overflow_change_nothing(name: str, dtype: str) -> None:
    x, y = np.ones((4, 3), dtype), np.zeros((4, 2), dtype)
    trainer = nf.Trainer(chain(dtype), loss=Given(1.0), optimizer=EVERY[name](1e-3))
    trainer.train_on_batch(x, y)
    trainer.loss.slope = 1e2 * np.sqrt(float(np.finfo(dtype).max))  # type: ignore[attr-defined]
    unchanged(trainer, lambda: trainer.train_on_batch(x, y), "expected an update to a finite v, got .* Scale inputs")
    trainer.loss.slope = 1.0  # type: ignore[attr-defined]
    trainer.train_on_batch(x, y)
    assert trainer.iteration == 2


@DTYPES
@pytest.mark.parametrize("name", EVERY)
def test_huge_gradients_that_fit_are_taken_by_the_formula(name: str, dtype: str) -> None:
    """Sizes on both sides of the one from which updates are checked give the bits of the kernel alone."""
    network = chain(dtype)
    network.freeze("a", "b.kernel")
    trainer = nf.Trainer(network, loss=Given(), optimizer=EVERY[name](1e-3))
    bias = network.parameters["b.bias"]
    p, state = bias.copy(), {kind: vector[:2].copy() for kind, vector in trainer.plan.state().items()}
    x, y = np.zeros((1, 3), dtype), np.zeros((1, 2), dtype)
    for step, slope in enumerate([1e3, 1e15, 1e3, 1e18, 1e12, 1.0], start=1):
        trainer.loss.slope = slope  # type: ignore[attr-defined]
        trainer.train_on_batch(x, y)
        g = np.full(2, slope, dtype)
        kernels.optimizer_update(trainer.optimizer, p, g, state, step)
        assert bias.tobytes() == p.tobytes(), step


def test_a_variance_that_its_moving_average_cannot_hold_changes_nothing() -> None:
    """1e40, which a float64 holds and a float32 does not."""
    network = nf.Network([layers.Input((2,)), layers.BatchNormalization(), layers.Dense(1)], seed=0)
    trainer = nf.Trainer(network, loss="mse")
    x, y = np.array([[1e20, 1], [-1e20, 2]], "float32"), np.zeros((2, 1), "float32")
    unchanged(trainer, lambda: trainer.train_on_batch(x, y), "finite")
    trainer.train_on_batch(x / np.float32(1e20), y)


def test_the_last_step_is_the_one_before_the_counter_s_end(rng: np.random.Generator) -> None:
    x, y = data(rng)
    trainer = nf.Trainer(chain(), loss="mse")
    trainer.plan.iteration = 2**32 - 3
    trainer.train_on_batch(x, y)
    assert trainer.iteration == 2**32 - 2
    match = r"expected fewer than 2\^32 - 1 steps"
    unchanged(trainer, lambda: trainer.train_on_batch(x, y), match)
    unchanged(trainer, lambda: trainer.fit(x, y, epochs=1, batch_size=5), match)


@DTYPES
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 4])
def test_targets_that_are_not_finite_change_nothing(row: int, bad: float, dtype: str, rng: np.random.Generator) -> None:
    """Arrays in the core's form, which it reads where they are."""
    x, y = (part.astype(dtype) for part in data(rng))
    y[row, 1] = bad
    trainer = nf.Trainer(chain(dtype), loss="huber")
    before = parts(trainer)
    for call in (trainer.train_on_batch, trainer.evaluate, lambda x, y: trainer.plan.train_step(x, y, None, 0.1)):
        with pytest.raises(ValueError, match="y: expected finite numbers"):
            call(x, y)
    assert parts(trainer) == before


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_number_that_is_not_finite_is_found_wherever_it_lies(count: int) -> None:
    """In enough numbers for each thread to look at a part of its own."""
    nf.set_num_threads(count)
    network = nf.Network([layers.Input((2000,)), layers.GaussianNoise(0.1)])
    x = np.zeros((700, 2000), "float32")
    for place in (0, 400_000, 699_999, 700_000, 1_000_000, x.size - 1):
        for bad in (np.nan, np.inf):
            x.reshape(-1)[place] = bad
            with pytest.raises(ValueError, match=f"x: expected finite numbers, .* in row {place // 2000}[,;]"):
                network.predict(x)
        x.reshape(-1)[place] = 0
    assert not network.predict(x).any()


def test_classes_are_no_optimizers() -> None:
    with pytest.raises(TypeError, match=r"optimizer: expected an optimizer, got a class; write Adam\(\)"):
        optimizers.get(optimizers.Adam)


def test_a_schedule_that_is_not_made_is_refused() -> None:
    for name in ("Cosine", "CosineDecay"):
        with pytest.raises(TypeError, match=rf"expected a learning rate, got a .*; write {name}\(\.\.\.\)"):
            optimizers.SGD(getattr(nf.schedules, name))
