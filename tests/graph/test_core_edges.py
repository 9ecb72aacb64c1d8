"""Edges of graphs and plans: each of these once went wrong without a word."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import _core, kernels, layers
from nnfast.core.typing import Array

X = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)
Y = np.linspace(0, 1, 8, dtype="float32").reshape(4, 2)


def core_plan(activation: str = "identity", **options: Any) -> tuple[Array, _core.Plan]:
    """The flat parameters, all 0.5, and a plan of a dense layer (3, 2) for 4 rows."""
    nodes: list[dict[str, Any]] = [
        {"op": "input", "name": "input", "shape": [3]},
        {"op": "dense", "name": "dense", "inputs": ["input"], "units": 2, "activation": activation},
    ]
    graph = _core.Graph(nodes, ["dense"], "float32")
    for view in graph.parameters().values():
        view[...] = 0.5
    return graph.flat(), _core.Plan(graph, 4, **with_head(options))


def with_head(options: dict[str, Any]) -> dict[str, Any]:
    """Options of a plan whose loss and metrics are those of its only output."""
    loss, metrics = options.pop("loss", None), options.pop("metrics", [])
    return options if loss is None else options | {"heads": [head(loss, metrics)]}


def head(loss: dict[str, Any], metrics: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    return {"output": 0, "loss": loss, "weight": 1.0, "metrics": metrics}


class Identity(layers.CustomLayer):
    """y = x; `look` sees each call's name and arrays first."""

    def __init__(self, look: Callable[[str, dict[str, Any]], None]) -> None:
        super().__init__()
        self.look = look

    def forward(self, inputs: list[Array], output: Array, parameters: dict[str, Array], training: bool) -> None:
        self.look("forward", {"inputs": inputs[0]})
        output[...] = inputs[0]

    def backward(
        self,
        d_output: Array,
        d_inputs: list[Array],
        inputs: list[Array],
        output: Array,
        parameters: dict[str, Array],
        d_parameters: dict[str, Array],
    ) -> None:
        self.look("backward", {"inputs": inputs[0], "output": output})
        d_inputs[0][...] = d_output


def unchanged(trainer: nf.Trainer, call: Callable[[], Any], error: type[Exception], match: str) -> None:
    """`call` raises `error`; parameters, the optimizer's state and the count of steps are as before."""
    net, plan = trainer.network, trainer.plan
    parts = [net.flat(), *plan.state().values()]
    before, iteration = [part.copy() for part in parts], plan.iteration
    with pytest.raises(error, match=match):
        call()
    assert [part.tobytes() for part in parts] == [part.tobytes() for part in before]
    assert plan.iteration == iteration


# ---- shapes ----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(16, 1, 1), (16, 4, 1), (16, 6, 1), (16, 10, 1), (16, 1), (16, 5, 1, 1)])
def test_labels_want_all_axes_of_the_output_but_the_last(shape: tuple[int, ...]) -> None:
    """Labels (N, 1, 1) for outputs (N, 5, 10) would be read beyond their end."""
    trainer = nf.Trainer(nf.Network([layers.Input((5, 4)), layers.Dense(10, "softmax")], seed=0), loss="cross_entropy")
    x, y = np.ones((16, 5, 4), dtype="float32"), np.zeros(shape, dtype=np.uint8)
    match = f"y: expected .*got {re.escape(str(shape))}"
    unchanged(trainer, lambda: trainer.train_on_batch(x, y), ValueError, match)
    unchanged(trainer, lambda: trainer.evaluate(x, y), ValueError, match)
    unchanged(trainer, lambda: trainer.plan.train_step(x, y, None, 0.1), ValueError, match)
    unchanged(trainer, lambda: trainer.plan.evaluate(x, y, None), ValueError, match)
    fitting = np.zeros((16, 5), dtype=np.uint8)
    assert trainer.plan.evaluate(x, fitting, None) == trainer.plan.evaluate(x, fitting[..., None], None)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_that_only_rescales_has_a_loss(dtype: str) -> None:
    net = nf.Network([layers.Input((3,)), layers.Rescaling(0.5)], dtype=dtype)
    x, y = X.astype(dtype), np.zeros((4, 3), dtype=dtype)
    loss, gradients = net.loss_and_gradients(x, y, "mse")
    wanted = ((0.5 * x.astype("float64")) ** 2).mean()
    assert loss == pytest.approx(wanted, rel=16 * float(np.finfo(dtype).eps))
    assert gradients == {}
    trainer = nf.Trainer(net, loss="mse")
    assert trainer.train_on_batch(x, y) == trainer.evaluate(x, y)["loss"] == loss


def test_a_custom_layer_has_an_axis_besides_the_batch() -> None:
    class Total(layers.CustomLayer):
        def output_shape(self, input_shape: Any) -> tuple[int, ...]:
            return ()

    with pytest.raises(ValueError, match=r"total: expected an output shape of one axis or more.*got \(\).*\(1,\)"):
        nf.Network([layers.Input((3,)), Total()])


# ---- what a user's function may write to -------------------------------------------------


@pytest.mark.parametrize("place", ["forward inputs", "backward inputs", "backward output"])
def test_a_custom_layer_cannot_write_to_what_it_reads(place: str) -> None:
    method, name = place.split()

    def spoil(called: str, arrays: dict[str, Array]) -> None:
        for array in arrays.values():
            assert not array.flags.writeable
        if called == method:
            arrays[name][...] = 7

    x = X.copy()
    # The first layer sees the caller's own array; its backward pass runs where something before it learns.
    before = [layers.Dense(3)] if method == "backward" else []
    net = nf.Network([layers.Input((3,)), *before, Identity(spoil), layers.Dense(2)], seed=0)
    trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.1, momentum=0.9))
    unchanged(trainer, lambda: trainer.plan.train_step(x, Y, None, 0.1), ValueError, "read-only")
    unchanged(trainer, lambda: trainer.train_on_batch(x, Y), ValueError, "read-only")
    unchanged(trainer, lambda: trainer.fit(x, Y, epochs=1, batch_size=2), ValueError, "read-only")
    if method == "forward":
        unchanged(trainer, lambda: net.predict(x), ValueError, "read-only")
        unchanged(trainer, lambda: net.trace(x), ValueError, "read-only")
    assert x.tobytes() == X.tobytes()


@pytest.mark.parametrize("spoiled", ["target", "prediction"])
def test_a_custom_loss_cannot_write_to_what_it_reads(spoiled: str) -> None:
    class Spoils(nf.losses.CustomLoss):
        def value(self, target: Array, prediction: Array) -> Array:
            arrays = {"target": target, "prediction": prediction}
            assert not any(array.flags.writeable for array in arrays.values())
            arrays[spoiled] -= 1
            return np.zeros(len(target))

        def gradient(self, target: Array, prediction: Array) -> Array:
            return np.zeros_like(prediction)

    y = Y.copy()
    trainer = nf.Trainer(nf.Network([layers.Input((3,)), layers.Dense(2)], seed=0), loss=Spoils())
    unchanged(trainer, lambda: trainer.train_on_batch(X, y), ValueError, "read-only")
    unchanged(trainer, lambda: trainer.evaluate(X, y), ValueError, "read-only")
    assert y.tobytes() == Y.tobytes()


@pytest.mark.parametrize("method", ["forward", "backward"])
def test_an_exception_amid_an_epoch_costs_no_bit(method: str) -> None:
    """Two of five steps are made; the plan goes on, and the next `fit` completes the epoch as if nothing had been."""
    calls = 0

    def fail_once(called: str, arrays: dict[str, Array]) -> None:
        nonlocal calls
        calls += called == method
        if called == method and calls == 3:
            raise LookupError("on purpose")

    def trainer_with(look: Callable[[str, dict[str, Array]], None]) -> nf.Trainer:
        chain = [layers.Input((3,)), layers.Dense(3, "tanh"), Identity(look), layers.Dropout(0.25), layers.Dense(2)]
        return nf.Trainer(nf.Network(chain, seed=5), loss="mse")

    failing, sound = trainer_with(fail_once), trainer_with(lambda *_: None)
    x, y = np.tile(X, (5, 1)), np.tile(Y, (5, 1))
    after: list[bytes] = []

    class Note(nf.callbacks.Callback):
        def on_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            after.append(sound.network.flat().tobytes())

    sound.fit(x, y, epochs=1, batch_size=4, callbacks=[Note()])
    with pytest.raises(LookupError, match="on purpose"):
        failing.fit(x, y, epochs=1, batch_size=4)
    assert failing.iteration == 2
    assert failing.network.flat().tobytes() == after[1]
    failing.fit(x, y, epochs=1, batch_size=4)
    assert failing.network.flat().tobytes() == after[-1] == sound.network.flat().tobytes()
    assert failing.evaluate(x, y) == sound.evaluate(x, y)


# ---- calls of the core -----------------------------------------------------------------------


def test_a_plan_without_an_optimizer_makes_no_step() -> None:
    flat, plan = core_plan(loss={"name": "mse"})
    before = flat.copy()
    with pytest.raises(RuntimeError, match="train_step: expected a plan with an optimizer"):
        plan.train_step(X, Y, None, 0.1)
    with pytest.raises(RuntimeError, match="train_batches: expected a plan with an optimizer"):
        plan.train_batches(X, Y, None, np.arange(4), 0, 2, np.ones(2), 1.0, np.zeros((2, 2)))
    assert flat.tobytes() == before.tobytes()
    assert plan.evaluate(X, Y, None).shape == (1,)


def test_learning_rates_may_have_strides() -> None:
    """Every second number is a rate; the others would show."""
    rates = np.array([0.5, 1e9, 0.25, 1e9, 0.125, 1e9, 0.0625, 1e9])[::2]
    forms = [rates, rates.copy(), rates.astype("float32"), rates[::-1].copy()[::-1]]
    parameters = set()
    for form in forms:
        flat, plan = core_plan(loss={"name": "mse"}, optimizer={"name": "sgd"})
        plan.train_batches(X, Y, None, np.arange(4), 0, 1, form, 60.0, np.zeros((2, 2)))
        assert plan.iteration == 4
        parameters.add(flat.tobytes())
    assert len(parameters) == 1
    flat, plan = core_plan(loss={"name": "mse"}, optimizer={"name": "sgd"})
    before = flat.copy()
    plan.train_batches(X, Y, None, np.arange(4), 0, 1, np.array([0.0, 1e9] * 4)[::2], 60.0, np.zeros((2, 2)))
    assert flat.tobytes() == before.tobytes()


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("count", [1, 2])
def test_a_prediction_in_passes_has_the_bits_of_its_rows_alone(count: int) -> None:
    """Rows of 300 KB of values go through the layers a few at a time; 29 rows leave a shorter last pass."""
    net = nf.Network(
        [layers.Input((40, 40, 1)), layers.Conv2D(48, 3, activation="relu"), layers.MaxPool2D(2), layers.Dense(2)],
        seed=2,
    )
    x = np.random.default_rng(3).integers(0, 256, size=(29, 40, 40, 1)).astype("float32")
    nf.set_num_threads(count)
    together = net.predict(x)
    alone = np.concatenate([net.predict(row[None]) for row in x])
    by_size = net.predict(x, batch_size=11)
    assert together.tobytes() == alone.tobytes() == by_size.tobytes()


def test_a_custom_layer_sees_all_rows_of_a_prediction_at_once() -> None:
    seen = []
    watching = Identity(lambda called, arrays: seen.append(len(arrays["inputs"])))
    net = nf.Network([layers.Input((64, 1024)), watching, layers.Flatten()])
    net.predict(np.ones((20, 64, 1024), "float32"))
    assert seen == [20]


def test_the_number_of_steps_has_a_bound() -> None:
    """Random numbers count steps in 32 bits."""
    _, plan = core_plan(loss={"name": "mse"}, optimizer={"name": "adam"})
    plan.iteration = 7
    for number in (2**32 - 1, 2**32, 2**64 - 1):
        with pytest.raises(ValueError, match=r"iteration: expected less than 2\^32 - 1"):
            plan.iteration = number
    assert plan.iteration == 7


@pytest.mark.parametrize("metric", ["mse", "mae", "huber"])
def test_a_metric_of_the_output_refuses_labels(metric: str) -> None:
    _, plan = core_plan("softmax", loss={"name": "cross_entropy"}, metrics=[{"name": metric}])
    labels = np.array([0, 1, 1, 0])
    with pytest.raises(ValueError, match=f"{metric}: .*got labels; use one-hot"):
        plan.evaluate(X, labels, None)
    assert np.isfinite(plan.evaluate(X, np.eye(2, dtype="float32")[labels], None)).all()


# ---- numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_inputs_that_the_first_layer_would_hide_are_refused(bad: float) -> None:
    """tanh(inf) is 1: nothing after it would notice."""
    net = nf.Network([layers.Input((3,)), layers.Activation("tanh"), layers.Dense(2)], seed=0)
    trainer = nf.Trainer(net, loss="mse")
    trainer.train_on_batch(X, Y)
    x = X.copy()
    x[2, 1] = bad
    for call in (trainer.train_on_batch, trainer.evaluate):
        unchanged(trainer, lambda call=call: call(x, Y), ValueError, "x: expected finite numbers.* row 2")  # type: ignore[misc]
    unchanged(trainer, lambda: trainer.plan.train_step(x, Y, None, 0.1), ValueError, "finite numbers in x")
    unchanged(trainer, lambda: trainer.plan.evaluate(x, Y, None), ValueError, "finite numbers in x")
    unchanged(trainer, lambda: trainer.plan.loss_and_gradients(x, Y, None, True), ValueError, "finite numbers in x")
    assert np.isfinite(trainer.train_on_batch(X, Y))


def test_a_loss_that_is_not_finite_names_its_batch() -> None:
    x, y = np.ones((64, 3), dtype="float32"), np.ones((64, 2), dtype="float32")
    x[40] = 1e30
    trainer = nf.Trainer(nf.Network([layers.Input((3,)), layers.Dense(2)], seed=0), loss="mse")
    with pytest.raises(RuntimeError, match=r"in batch 5 \(rows 40 to 47 "):
        trainer.fit(x, y, epochs=1, batch_size=8, shuffle=False)
    assert trainer.iteration == 5


def test_random_streams_of_layers_are_not_those_of_parameters() -> None:
    """At rate 1/2 an element is kept where its uniform number of the same words is 1/2 or more."""
    n, seed = 4096, 11
    nodes: list[dict[str, Any]] = [
        {"op": "input", "name": "input", "shape": [n]},
        {"op": "dropout", "name": "first", "inputs": ["input"], "rate": 0.5},
        {"op": "dropout", "name": "second", "inputs": ["input"], "rate": 0.5},
        {"op": "add", "name": "sum", "inputs": ["first", "second"]},
    ]
    plan = _core.Plan(_core.Graph(nodes, ["sum"], "float32"), 1, heads=[head({"name": "mse"})], seed=seed, keep=True)
    plan.run(np.ones((1, n), dtype="float32"), True)
    values = plan.values()

    def kept(stream: int) -> Array:
        return np.asarray(kernels.random_uniform(n, seed, stream) >= 0.5)

    for index, name in enumerate(["first", "second"], start=1):
        mask = values[name][0] > 0
        np.testing.assert_array_equal(mask, kept(2**30 + index))
        assert all((mask != kept(stream)).any() for stream in range(8))


CHAINS: dict[str, Callable[[], list[layers.Layer]]] = {
    "flatten": lambda: [layers.Flatten()],
    "reshape": lambda: [layers.Reshape((3, 1))],
    "dropout": lambda: [layers.Dropout(0.5)],
    "identity": lambda: [layers.Activation("identity")],
    "tanh of a view": lambda: [layers.Reshape((3, 1)), layers.Activation("tanh")],
    "dense": lambda: [layers.Dense(3, kernel_initializer=np.eye(3))],
}


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_zeros_keep_their_sign_on_every_path(chain: Callable[[], list[layers.Layer]]) -> None:
    """Rows that are read in place, in chunks, and from a copy that `trace` keeps."""
    x = np.array([[-0.0, 0.0, 1.0], [0.5, -0.0, -0.0], [-0.0, -1.0, 0.0]], dtype="float32")
    net = nf.Network([layers.Input((3,)), *chain()])
    last = net.layers[-1].place
    assert net.trace(x)["input"].tobytes() == x.tobytes()
    assert net.predict(x).tobytes() == net.trace(x)[last].tobytes() == net.predict(x, batch_size=2).tobytes()


def test_rows_taken_by_order_keep_the_sign_of_zeros() -> None:
    x = np.array([[-0.0] * 35, [0.0] * 35], dtype="float32")
    order = np.array([1, 0, 1])
    assert kernels.gather_rows(x, order).tobytes() == x[order].tobytes()
    seen: list[bytes] = []
    look = Identity(lambda called, arrays: seen.append(arrays["inputs"].tobytes()))
    trainer = nf.Trainer(nf.Network([layers.Input((35,)), look, layers.Dense(1)], seed=0), loss="mse")
    trainer.fit(x, np.zeros((2, 1)), epochs=1, batch_size=1, shuffle=False)
    assert list(dict.fromkeys(seen)) == [row.tobytes() for row in x]


# ---- attributes that nobody reads ------------------------------------------

INPUT = {"name": "x", "op": "input", "shape": [6, 6, 2]}


def test_an_unknown_attribute_of_any_kind_of_node_is_an_error() -> None:
    kinds = set(_core.op_names())
    for kind in kinds:
        with pytest.raises(ValueError, match=f"node: expected attributes of {kind} .*got 'xyzzy'"):
            _core.infer({"name": "node", "op": kind, "xyzzy": 1}, [(6, 6, 2)])
    assert len(kinds) > 20


@pytest.mark.parametrize(
    ("node", "nearest"),
    [
        ({"op": "dense", "units": 2, "activaton": "relu"}, "activation"),
        ({"op": "conv", "filters": 2, "kernel_size": [3, 3], "stride": [2, 2]}, "strides"),
        ({"op": "max_pool", "pool_size": [2, 2], "pading": "same"}, "padding"),
        ({"op": "dropout", "rate": 0.5, "rates": 0.1}, "rate"),
        ({"op": "batch_normalization", "epsilon": 1e-3, "momentum": 0.9, "centre": 0}, "center"),
        ({"op": "callback", "shape": [2], "parameters": ["a"], "shape_a": [2], "shap": [1]}, "shape"),
    ],
)
def test_an_unknown_attribute_is_answered_with_the_nearest(node: dict[str, Any], nearest: str) -> None:
    with pytest.raises(ValueError, match=f"did you mean '{nearest}'"):
        _core.infer({"name": "node", **node}, [(6, 6, 2)])
    with pytest.raises(ValueError, match=f"did you mean '{nearest}'"):
        _core.Graph([INPUT, {"name": "node", "inputs": ["x"], **node}], ["node"], "float32")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"loss": {"name": "mse", "delta": 2.0}}, "mse: .*'delta'; leave it out"),
        ({"loss": {"name": "huber", "dleta": 2.0}}, "did you mean 'delta'"),
        ({"loss": {"name": "cross_entropy", "label_smooth": 0.1}}, "did you mean 'label_smoothing'"),
        ({"loss": {"name": "mse"}, "metrics": [{"name": "huber", "dleta": 2.0}]}, "did you mean 'delta'"),
        ({"loss": {"name": "mse"}, "metrics": [{"name": "accuracy", "treshold": 0.2}]}, "did you mean 'threshold'"),
        ({"loss": {"name": "mse"}, "optimizer": {"name": "adam", "beta1": 0.5}}, "did you mean 'beta_1'"),
        ({"loss": {"name": "mse"}, "optimizer": {"name": "sgd", "beta_1": 0.5}}, "sgd: .*'beta_1'"),
        ({"loss": {"name": "mse"}, "augmentation": {"name": "augmentation", "rotate": 5.0}}, "did you mean 'rotation'"),
    ],
)
def test_an_unknown_attribute_of_a_plan_is_an_error(options: dict[str, Any], match: str) -> None:
    graph = _core.Graph(
        [INPUT, {"name": "y", "op": "activation", "activation": "softmax", "inputs": ["x"]}], ["y"], "float32"
    )
    with pytest.raises(ValueError, match=match):
        _core.Plan(graph, 2, **with_head(dict(options)))


@pytest.mark.parametrize(
    "node",
    [
        {"op": "reshape", "shape": [3, 1.5]},
        {"op": "reshape", "shape": [None]},
        {"op": "dense", "units": object()},
        {"op": "dense", "units": {}},
        {"op": 3},
        {"op": "callback", "shape": [1], "parameters": ["a", 1]},
        {"op": "add", "inputs": [1]},
        {"op": "add", 3: 4},
    ],
)
def test_attributes_of_another_type_are_refused_in_plain_words(node: dict[Any, Any]) -> None:
    with pytest.raises(TypeError, match="expected"):
        _core.infer({"name": "node", **node}, [(3,)])


@pytest.mark.parametrize("rows", [1, 3, 4])
def test_a_plan_predicts_evaluates_and_trains_in_any_order(rows: int) -> None:
    """A prediction writes into its caller's array and reads from it; what comes next must not."""
    options: dict[str, Any] = {"loss": {"name": "mse"}, "optimizer": {"name": "sgd"}}
    x, y = X[:rows].copy(), Y[:rows].copy()
    calls: dict[str, Callable[[_core.Plan], Any]] = {
        "predict": lambda plan: plan.predict(x),
        "evaluate": lambda plan: plan.evaluate(x, y, None).tolist(),
        "gradients": lambda plan: plan.loss_and_gradients(x, y, None, False),
    }
    wanted = {name: np.asarray(call(core_plan(**options)[1])).tolist() for name, call in calls.items()}
    for first in calls:
        for second in calls:
            _, plan = core_plan(**options)
            before = calls[first](plan)
            kept = np.array(before)
            assert np.asarray(calls[second](plan)).tolist() == wanted[second]
            assert np.array_equal(np.asarray(before), kept)
            assert np.array_equal(x, X[:rows])
    flat, plan = core_plan(**options)
    flat_twin, twin = core_plan(**options)
    plan.predict(x)
    assert plan.train_step(x, y, None, 0.1) == twin.train_step(x, y, None, 0.1)
    assert np.array_equal(flat, flat_twin)
