"""Classes of the user's own: layers, losses, metrics, optimizers and initializers, used, saved and read again."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import initializers, layers, losses, metrics, optimizers, schedules
from nnfast.core.typing import Array

X = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)
Y = np.linspace(0, 1, 8, dtype="float32").reshape(4, 2)


class Quartic(losses.CustomLoss):
    """The fourth power of the error, times a factor."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    def value(self, target: Array, prediction: Array) -> Array:
        return self.factor * ((prediction - target) ** 4).mean(axis=1)

    def gradient(self, target: Array, prediction: Array) -> Array:
        return 4 * self.factor * (prediction - target) ** 3 / target.shape[1]


class Largest(metrics.Metric):
    """The largest error, times a factor."""

    name = "largest"

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    def evaluate(self, y_true: Array, y_pred: Array) -> float:
        return self.factor * float(np.abs(np.asarray(y_true) - y_pred).max())


class Stairs(initializers.Initializer):
    """0, step, 2 step, ..."""

    name = "stairs"

    def __init__(self, step: float) -> None:
        self.step = step

    def __call__(self, shape: Any, seed: int, stream: int) -> Array:
        return self.step * np.arange(np.prod(shape), dtype="float64").reshape(shape)


class Careful(optimizers.SGD):
    """SGD with another default."""

    def __init__(self, learning_rate: float = 1e-3, momentum: float = 0.5, nesterov: bool = False) -> None:
        super().__init__(learning_rate, momentum, nesterov)


class Scale(layers.CustomLayer):
    """y = factor x; `look` sees what the methods get."""

    def __init__(self, look: Callable[..., None] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.look = look

    def parameter_shapes(self, input_shape: Any) -> dict[str, tuple[int, ...]]:
        return {"factor": (1,)}

    def initializer(self, parameter: str) -> str:
        return "ones"

    def forward(self, inputs: list[Array], output: Array, parameters: dict[str, Array], training: bool) -> None:
        if self.look:
            self.look(parameters)
        output[...] = parameters["factor"] * inputs[0]


OWN = {c.__name__: c for c in (Quartic, Largest, Stairs, Careful)}


def test_a_checkpoint_of_own_classes_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    def chain() -> nf.Network:
        return nf.Network([layers.Input((3,)), layers.Dense(2, kernel_initializer=Stairs(0.25))], seed=0)

    trainer = nf.Trainer(chain(), loss=Quartic(2.0), optimizer=Careful(), metrics=[Quartic(3.0), Largest(2.0), "mae"])
    trainer.fit(X, Y, epochs=2, batch_size=2)
    trainer.save_checkpoint(tmp_path / "run.safetensors")
    resumed = nf.Trainer.resume(tmp_path / "run.safetensors", custom_objects=OWN)
    assert isinstance(resumed.optimizer, Careful)
    assert isinstance(resumed.network.layers[1].kernel_initializer, Stairs)
    assert resumed.network.layers[1].kernel_initializer.step == 0.25
    assert resumed.evaluate(X, Y) == trainer.evaluate(X, Y)
    assert set(trainer.evaluate(X, Y)) == {"loss", "Quartic", "largest", "mae"}
    for one in (trainer, resumed):
        one.fit(X, Y, epochs=4, batch_size=2, initial_epoch=2)
    assert resumed.network.flat().tobytes() == trainer.network.flat().tobytes()


@pytest.mark.parametrize("missing", OWN)
def test_a_class_that_is_not_given_is_named(missing: str, tmp_path: Path) -> None:
    net = nf.Network([layers.Input((3,)), layers.Dense(2, kernel_initializer=Stairs(0.25))], seed=0)
    trainer = nf.Trainer(net, loss=Quartic(), optimizer=Careful(), metrics=[Largest()])
    trainer.save_checkpoint(tmp_path / "run.safetensors")
    given = {name: value for name, value in OWN.items() if name != missing}
    with pytest.raises(ValueError, match=rf"pass custom_objects=\{{'{missing}': {missing}\}}"):
        nf.Trainer.resume(tmp_path / "run.safetensors", custom_objects=given)


def test_a_network_with_an_own_initializer_is_read_again(tmp_path: Path) -> None:
    net = nf.Network([layers.Input((3,)), layers.Dense(2, bias_initializer=Stairs(0.5))], seed=0)
    net.save(tmp_path / "net.safetensors")
    again = nf.Network.load(tmp_path / "net.safetensors", custom_objects={"Stairs": Stairs})
    assert again.flat().tobytes() == net.flat().tobytes()
    assert again.parameters["dense.bias"].tolist() == [0.0, 0.5]


def test_metrics_need_a_name() -> None:
    class Nameless(metrics.Metric):
        pass

    net = nf.Network([layers.Input((3,)), layers.Dense(2)])
    with pytest.raises(TypeError, match=r"metrics with a name.*Nameless"):
        nf.Trainer(net, loss="mse", metrics=[Nameless()])
    with pytest.raises(TypeError, match="expected a function"):
        metrics.FunctionMetric(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"LossMetric: expected one of nnfast's losses, got Quartic\(\)"):
        metrics.LossMetric(Quartic())


def test_a_custom_loss_that_is_called_leaves_the_callers_arrays() -> None:
    class Spoiling(Quartic):
        def value(self, target: Array, prediction: Array) -> Array:
            target[...] = 0
            return super().value(target, prediction)

    target, prediction = np.ones((2, 2)), np.zeros((2, 2))
    with pytest.raises(ValueError, match="read-only"):
        Spoiling()(target, prediction)
    assert (target == 1).all()
    assert target.flags.writeable


def test_a_custom_layer_reads_its_parameters_only() -> None:
    def spoil(parameters: dict[str, Array]) -> None:
        parameters["factor"][...] = 7

    net = nf.Network([layers.Input((3,)), Scale(spoil)], seed=0)
    with pytest.raises(ValueError, match="read-only"):
        net.predict(X)
    assert net.parameters["scale.factor"] == 1


def test_shapes_of_a_custom_layer() -> None:
    class Halves(Scale):
        def output_shape(self, input_shape: Any) -> Any:
            return (2.5,)

    class Numbered(Scale):
        def parameter_shapes(self, input_shape: Any) -> Any:
            return {3: (1,)}

    class Odd(Scale):
        def parameter_shapes(self, input_shape: Any) -> Any:
            return {"factor": (1.5,)}

    entry = layers.Input((3,))
    with pytest.raises(ValueError, match=r"scale: expected sizes of one output row.*\(\(3,\), \(3,\)\)"):
        Scale()([entry, layers.Dense(3)(entry)])
    with pytest.raises(ValueError, match=r"halves: expected sizes of one output row.*2\.5"):
        Halves()(entry)
    with pytest.raises(ValueError, match="expected an identifier as parameter, got 3"):
        Numbered()(entry)
    with pytest.raises(TypeError, match=r"odd: expected an integer as size in the shape of factor, got 1\.5"):
        Odd()(entry)


def test_gradients_that_are_not_numbers_do_not_agree() -> None:
    """A NaN after a number that agrees is what the comparison of largest errors may lose."""

    class Broken(Scale):
        def backward(self, d_output: Array, d_inputs: list[Array], *more: Any) -> None:
            d_inputs[0][...] = np.nan

    entry = layers.Input((3,))
    branch = Broken()(layers.Dense(2, name="second")(entry))
    net = nf.Network(inputs=entry, outputs=layers.Add()([layers.Dense(2, name="first")(entry), branch]), seed=0)
    report = nf.check_gradients(net, X, Y, "mse")
    assert np.isnan(report.max_error)
    assert not report
    with pytest.raises(RuntimeError, match="gradients differ"):
        nf.check_gradients(net, X, Y, "mse", raise_on_failure=True)


# ---- what a file keeps by name alone ---------------------------------------------------


def halving(step: int) -> float:
    return 0.1 * 0.5**step


def largest(y_true: Array, y_pred: Array) -> float:
    return float(np.abs(y_true - y_pred).max())


class Offset(layers.CustomLayer):
    def __init__(self, by: Any) -> None:
        super().__init__()
        self.by = by

    def forward(self, inputs: list[Array], output: Array, parameters: dict[str, Array], training: bool) -> None:
        output[...] = inputs[0] + self.by


class Dense(layers.CustomLayer):
    """A layer of the user's, named as one of nnfast's: three times its input."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = units

    def forward(self, inputs: list[Array], output: Array, parameters: dict[str, Array], training: bool) -> None:
        output[...] = 3 * inputs[0]


def test_all_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    net = nf.Network([layers.Input((2,)), Offset(1.0), layers.Dense(1)], seed=0)
    run = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(halving), metrics=[largest])
    run.save_checkpoint(tmp_path / "run")
    match = r"with 'Offset', 'halving', 'largest',.*custom_objects=\{'Offset': Offset, 'halving': halving, 'largest'"
    with pytest.raises(ValueError, match=match):
        nf.Trainer.resume(tmp_path / "run")
    with pytest.raises(ValueError, match=r"expected custom_objects with 'largest', "):
        nf.Trainer.resume(tmp_path / "run", custom_objects={"Offset": Offset, "halving": halving})
    # The network alone needs what is in it.
    with pytest.raises(ValueError, match=r"expected custom_objects with 'Offset', "):
        nf.Network.load(tmp_path / "run")
    assert nf.Network.load(tmp_path / "run", custom_objects={"Offset": Offset}).num_parameters == 3
    own = {"Offset": Offset, "halving": halving, "largest": largest}
    assert nf.Trainer.resume(tmp_path / "run", custom_objects=own).optimizer.rate(1) == 0.05


def test_a_class_that_is_called_as_one_of_nnfasts_is_not_mistaken(tmp_path: Path) -> None:
    net = nf.Network([layers.Input((2,)), Dense(2)], seed=0)
    net.save(tmp_path / "net")
    with pytest.raises(ValueError, match=r"pass custom_objects=\{'Dense': Dense\}"):
        nf.Network.load(tmp_path / "net")
    loaded = nf.Network.load(tmp_path / "net", custom_objects={"Dense": Dense})
    assert loaded.predict([[1.0, 2.0]]).tolist() == [[3.0, 6.0]]
    both = nf.Network([layers.Input((2,)), Dense(2), layers.Dense(2)], seed=0)
    with pytest.raises(ValueError, match=r"expected different names .* got two called 'Dense'; rename one"):
        both.save(tmp_path / "both")
    assert not (tmp_path / "both").exists()


def test_functions_without_a_name_of_their_own_are_told_when_saving(tmp_path: Path) -> None:
    def run(*metrics: Any, rate: Any = 0.1) -> nf.Trainer:
        net = nf.Network([layers.Input((2,)), layers.Dense(1)], seed=0)
        return nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(rate), metrics=metrics)

    for rate, name in ((lambda step: 0.25, "<lambda>"), (functools.partial(pow, 0.5), "pow")):
        with pytest.warns(
            UserWarning, match=rf"will need custom_objects=\{{'{name}': ...\}}.*nnfast.schedules"
        ) as told:
            run(rate=rate).save_checkpoint(tmp_path / "run")
        assert [warning.filename for warning in told] == [__file__]
        with pytest.raises(ValueError, match=rf"run: .*custom_objects=\{{'{name}': "):
            nf.Trainer.resume(tmp_path / "run")
        # What the warning says works.
        resumed = nf.Trainer.resume(tmp_path / "run", custom_objects={name: halving})
        assert resumed.optimizer.rate(1) == 0.05
    with pytest.raises(ValueError, match="got two called '<lambda>'"):
        run(lambda y, p: 0.0, rate=lambda step: 0.1).save_checkpoint(tmp_path / "two")
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize("objects", [[Offset], Offset, "Offset", ("Offset", Offset)])
def test_custom_objects_of_another_type(objects: Any) -> None:
    for reader in (nf.Network.load, nf.Trainer.resume):
        with pytest.raises(TypeError, match=r'custom_objects: expected a dict .*write \{"Name": Name\}'):
            reader("anything", custom_objects=objects)


@pytest.mark.parametrize(("value", "error"), [(np.ones(2), TypeError), (float("nan"), ValueError), ({1}, TypeError)])
def test_options_that_json_cannot_hold_are_named(tmp_path: Path, value: Any, error: type[Exception]) -> None:
    net = nf.Network([layers.Input((2,)), Offset(1.0)], seed=0)
    net.layers[1].by = {"deep": [1, value]}  # type: ignore[attr-defined]
    with pytest.raises(
        error, match=r"^network\.layers\[1\]\.config\.by\.deep\[1\]: expected values that JSON can represent"
    ):
        net.save(tmp_path / "net")
    assert list(tmp_path.iterdir()) == []


# ---- what custom layers must write ------------------------------------------------------------------

Forward = Callable[[list[Array], Array], Any]
Backward = Callable[[Array, list[Array], list[Array], dict[str, Array]], Any]


def twice(inputs: list[Array], output: Array) -> None:
    np.multiply(inputs[0], 2, out=output)


def half(output: Array, values: Array) -> None:
    output[:, : values.shape[1] // 2] = values[:, : values.shape[1] // 2]


class Given(Scale):
    """A layer with the given forward and backward pass, which nothing saves."""

    def __init__(self, forward: Forward = twice, backward: Backward | None = None) -> None:
        super().__init__()
        self.given = forward, backward

    def forward(self, inputs: list[Array], output: Array, *more: Any) -> Any:
        return self.given[0](inputs, output)

    def backward(self, d_output: Array, d_inputs: list[Array], inputs: list[Array], *more: Any) -> Any:
        assert self.given[1] is not None
        return self.given[1](d_output, d_inputs, inputs, more[-1])


LEFT = "given.forward: expected every element of output to be written, got {} of 12 left"
FORWARD = {
    "returned": (
        lambda x, y: x[0] * 2,
        r"given.forward: .*a return value of type ndarray; write output\[\.\.\.\] = \.\.\.",
    ),
    "a number returned": (lambda x, y: 0, "given.forward: .*a return value of type int"),
    "nothing": (lambda x, y: None, LEFT.format(12)),
    "a part": (lambda x, y: half(y, x[0]), LEFT.format(8)),
    "all but the last element": (lambda x, y: y.reshape(-1).__setitem__(slice(11), 1), LEFT.format(1)),
    "added to what was there": (lambda x, y: np.add(y, x[0], out=y), LEFT.format(12)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", FORWARD)
def test_a_custom_layer_that_does_not_fill_its_output_is_refused(case: str, dtype: Any) -> None:
    forward, match = FORWARD[case]
    net = nf.Network([layers.Input((3,)), layers.Dense(3), Given(forward), layers.Dense(2)], dtype=dtype, seed=0)
    with pytest.raises(ValueError, match=match):
        net.predict(X)
    before = net.flat().copy()
    trainer = nf.Trainer(net, loss="mse")
    with pytest.raises(ValueError, match=match):
        trainer.train_on_batch(X, Y)
    np.testing.assert_array_equal(net.flat(), before)


def test_a_custom_layer_may_return_its_own_output_and_write_nans() -> None:
    def fill(inputs: list[Array], output: Array) -> Array:
        output[...] = np.nan
        output[:, 0] = np.inf - np.inf
        output[:, 1] = -np.nan
        return output

    net = nf.Network([layers.Input((3,)), Given(fill)])
    assert np.isnan(net.predict(X)).all()


def replace(target: Any, key: Any, value: Any) -> None:
    target[key] = value


BACKWARD: dict[str, tuple[Backward, str]] = {
    "returned": (lambda dy, dx, x, dp: [2 * dy], r"given.backward: .*a return value of type list; write d_inputs\[0\]"),
    "nothing": (lambda dy, dx, x, dp: None, r"of d_inputs\[0\] to be written, got 12 of 12 left"),
    "a part": (lambda dy, dx, x, dp: half(dx[0], dy), r"of d_inputs\[0\] to be written, got 8 of 12 left"),
    "replaced": (lambda dy, dx, x, dp: replace(dx, 0, dy), r"of d_inputs\[0\] to be written, got 12 of 12 left"),
    "parameter replaced": (
        lambda dy, dx, x, dp: np.copyto(dx[0], dy) or replace(dp, "factor", np.ones(1, "f4")),
        r"given.backward: expected a gradient added into the array d_parameters\['factor'\], got another",
    ),
    "parameter dropped": (
        lambda dy, dx, x, dp: np.copyto(dx[0], dy) or dp.clear(),
        r"given.backward: expected a gradient added into the array d_parameters\['factor'\]",
    ),
}


@pytest.mark.parametrize("case", BACKWARD)
def test_a_custom_layer_that_does_not_fill_its_gradients_is_refused(case: str) -> None:
    backward, match = BACKWARD[case]
    net = nf.Network([layers.Input((3,)), layers.Dense(3), Given(twice, backward), layers.Dense(2)], seed=0)
    before = net.flat().copy()
    with pytest.raises(ValueError, match=match):
        nf.Trainer(net, loss="mse").train_on_batch(X, Y)
    np.testing.assert_array_equal(net.flat(), before)


def test_a_gradient_that_nobody_wants_may_stay_unwritten() -> None:
    def of_the_parameter(dy: Array, dx: list[Array], x: list[Array], dp: dict[str, Array]) -> None:
        dp["factor"] += (dy * x[0]).sum()

    net = nf.Network([layers.Input((3,)), Given(twice, of_the_parameter)], seed=0)
    y = np.ones((4, 3), "f4")
    net.loss_and_gradients(X, y, "half_squared_error")
    _, gradients = net.loss_and_gradients(X, y, "half_squared_error")
    wanted = ((2 * X.astype("f8") - 1) * X).sum() / 4
    np.testing.assert_allclose(gradients["given.factor"], wanted, rtol=1e-6)


@pytest.mark.parametrize("method", ["value", "gradient"])
@pytest.mark.parametrize("wrong", ["nothing", "a part", "too few axes"])
def test_a_custom_loss_returns_all_of_its_result(method: str, wrong: str) -> None:
    class Wrong(Quartic):
        pass

    def result(target: Array, prediction: Array) -> Any:
        right = getattr(Quartic, method)(self_, target, prediction)
        return {"nothing": None, "a part": right[:-1], "too few axes": right.sum()}[wrong]

    self_ = Wrong()
    setattr(Wrong, method, staticmethod(result))
    net = nf.Network([layers.Input((3,)), layers.Dense(2)], seed=0)
    before = net.flat().copy()
    with pytest.raises(ValueError, match=rf"Wrong.{method}: expected shape \(4,"):
        nf.Trainer(net, loss=self_).train_on_batch(X, Y)
    np.testing.assert_array_equal(net.flat(), before)


def test_methods_that_are_missing_are_named() -> None:
    class Bare(layers.CustomLayer):
        pass

    class Value(losses.CustomLoss):
        def value(self, target: Array, prediction: Array) -> Array:
            return np.abs(prediction - target).mean(axis=1)

    class Forward(layers.CustomLayer):
        def forward(self, inputs: list[Array], output: Array, parameters: dict[str, Array], training: bool) -> None:
            output[...] = inputs[0]

    def trainer(layer: layers.Layer, loss: Any = "mse", rate: Any = 0.1) -> nf.Trainer:
        net = nf.Network([layers.Input((3,)), layers.Dense(2), layer], seed=0)
        return nf.Trainer(net, loss=loss, optimizer=optimizers.SGD(rate))

    class Nothing(losses.CustomLoss):
        pass

    class Rate(schedules.Schedule):
        pass

    for run, place in (
        (trainer(Bare()), "Bare: expected a method forward"),
        (trainer(Forward()), "Forward: expected a method backward, which training needs"),
        (trainer(layers.ReLU(), Nothing()), "Nothing: expected a method value"),
        (trainer(layers.ReLU(), Value()), "Value: expected a method gradient, which training needs"),
        (trainer(layers.ReLU(), rate=Rate()), r"Rate: expected a method __call__\(step\)"),
    ):
        with pytest.raises(NotImplementedError, match=place):
            run.train_on_batch(X, Y)
    # What only training needs may be missing elsewhere.
    assert trainer(Forward(), Value()).evaluate(X, Y)["loss"] > 0


def test_a_parameter_of_a_custom_layer_is_its_attribute() -> None:
    layer = Scale(name="scale")
    net = nf.Network([layers.Input((3,)), layer], seed=0)
    assert layer.factor.tolist() == [1.0]
    layer.factor[...] = 2
    assert net.predict(X).tolist() == (2 * X).tolist()
    for name in ("factors", "_factor"):
        with pytest.raises(AttributeError, match=f"Scale has no attribute '{name}'"):
            getattr(layer, name)


def test_predict_runs_no_more_rows_at_a_time_than_it_is_told() -> None:
    seen: list[int] = []

    class Looks(layers.CustomLayer):
        def forward(self, inputs: list[Array], output: Array, parameters: dict[str, Array], training: bool) -> None:
            seen.append(len(output))
            output[...] = inputs[0]

    net = nf.Network([layers.Input((3,)), Looks()])
    for x in (X, X.tolist()):
        for size in (1, 2, 3):
            seen.clear()
            assert net.predict(x, batch_size=size).tolist() == X.tolist()
            assert (sum(seen), max(seen) <= size) == (4, True)
        for wrong, error in ((0, ValueError), (-1, ValueError), (2.0, TypeError)):
            with pytest.raises(error, match=r"predict: expected (batch_size >= 1|an integer as batch_size)"):
                net.predict(x, batch_size=wrong)  # type: ignore[arg-type]
