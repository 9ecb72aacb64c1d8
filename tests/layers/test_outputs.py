"""Layers with several outputs: their values, gradients, names and files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layer_passes import passes
from small_networks import bits, duplicates, randomize, same

import nnfast as nf
from nnfast import _core, layers
from nnfast.core.typing import Array, Shape


class Polar(layers.CustomLayer):
    """Length and direction of vectors."""

    seen: Any = None

    def output_shape(self, input_shape: Any) -> Sequence[Shape]:
        return [(1,), tuple(input_shape)]

    def forward(self, inputs: list[Array], output: Any, parameters: dict[str, Array], training: bool) -> None:
        length, direction = output
        length[...] = np.sqrt((inputs[0] ** 2).sum(1, keepdims=True))
        direction[...] = inputs[0] / length

    def backward(self, d_output: Any, d_inputs: list[Array], inputs: list[Array], output: Any, *others: Any) -> None:
        (length, direction), (d_length, d_direction) = output, d_output
        Polar.seen = [gradient.copy() for gradient in d_output]
        along = (d_direction * direction).sum(1, keepdims=True)
        d_inputs[0][...] = d_length * direction + (d_direction - along * direction) / length


def split_network(dtype: str = "float64") -> nf.Network:
    """One part of three is used twice, one once, one not at all."""
    x = layers.Input((4,), name="x")
    a, b, _ = layers.Split([2, 5], name="split")(layers.Dense(7, "tanh", name="first")(x))
    joined = layers.Concatenate()([a * layers.Dense(2, name="second")(b), a])
    net = nf.Network(inputs=x, outputs=layers.Dense(2, name="last")(joined), dtype=dtype, seed=1)
    return randomize(net, np.random.default_rng(3))


def polar_network(dtype: str = "float64") -> nf.Network:
    x = layers.Input((4,), name="x")
    length, direction = Polar(name="polar")(layers.Dense(3, name="first")(x))
    y = layers.Dense(2, name="last")(layers.Concatenate()([direction, length]))
    return randomize(nf.Network(inputs=x, outputs=y, dtype=dtype, seed=1), np.random.default_rng(3))


NETWORKS = {"split": split_network, "polar": polar_network}
every_network = pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)


# ---- values and gradients -------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("shape", "parts", "axis"),
    [((6,), 3, -1), ((7,), [1, 2, 6], 1), ((4, 3), 2, 1), ((4, 3), [1], -1), ((2, 5, 3), [1, 4], 2), ((300, 8), 4, 2)],
)
def test_parts_and_their_gradient(dtype: str, shape: Shape, parts: Any, axis: int, rng: np.random.Generator) -> None:
    x = rng.normal(size=(33, *shape)).astype(dtype)
    wanted = np.split(x, parts, axis)
    gradients = [rng.normal(size=part.shape).astype(dtype) for part in wanted]
    found = passes(layers.Split(parts, axis), [x], gradients)
    assert bits(found.outputs) == bits([np.ascontiguousarray(part) for part in wanted])
    assert bits(found.d_inputs[0]) == bits(np.concatenate(gradients, axis))


@pytest.mark.parametrize("unused", range(3))
def test_a_part_that_nothing_reads_gets_no_gradient(unused: int, rng: np.random.Generator) -> None:
    x = rng.normal(size=(5, 6))
    gradients: list[Any] = [rng.normal(size=(5, 2)) for _ in range(3)]
    gradients[unused] = None
    found = passes(layers.Split(3), [x], gradients)
    wanted = np.concatenate([np.zeros((5, 2)) if g is None else g for g in gradients], 1)
    assert bits(found.d_inputs[0]) == bits(wanted)


@every_network
@pytest.mark.parametrize("training", [False, True])
def test_gradients(make: Any, training: bool, rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(5, 4)), rng.normal(size=(5, 2))
    nf.check_gradients(make(), x, y, "mse", training=training, raise_on_failure=True)


@pytest.mark.parametrize("used", [0, 1])
def test_a_custom_layer_sees_0_as_gradient_of_an_output_that_nothing_reads(used: int, rng: np.random.Generator) -> None:
    x = layers.Input((4,))
    parts = Polar()(layers.Dense(3)(x))
    net = nf.Network(inputs=x, outputs=layers.Dense(2)(parts[used]), seed=1)
    nf.check_gradients(net, rng.normal(size=(5, 4)), rng.normal(size=(5, 2)), "mse", raise_on_failure=True)
    assert (Polar.seen[used] != 0).any()
    assert (Polar.seen[1 - used] == 0).all()


@every_network
@pytest.mark.usefixtures("threads")
def test_threads_and_fusion_change_no_bit(make: Any, rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(3000, 4)).astype("float32"), rng.normal(size=(3000, 2)).astype("float32")
    found = set()
    for threads in (1, 3):
        nf.set_num_threads(threads)
        for fuse in (True, False):
            net = make("float32")
            optimizer = nf.optimizers.SGD(0.01).spec()
            plan = net.plan(3000, heads=net.heads("test", "mse"), optimizer=optimizer, fuse=fuse)
            plan.train_step(x, y, None, 0.01)
            found.add((*bits(dict(net.parameters)), *bits(net.predict(x))))
    assert len(found) == 1


def test_outputs_of_a_layer_as_outputs_of_a_network(rng: np.random.Generator) -> None:
    x = layers.Input((6,), name="x")
    a, b, c = layers.Split(3, name="split")(x)
    rows = rng.normal(size=(4, 6)).astype("float32")
    parts = np.split(rows, 3, 1)
    several = nf.Network(inputs=x, outputs=[c, a]).predict(rows)
    assert bits(several) == bits([np.ascontiguousarray(parts[2]), np.ascontiguousarray(parts[0])])
    assert bits(nf.Network(inputs=x, outputs=b).predict(rows)) == bits(np.ascontiguousarray(parts[1]))
    named = nf.Network(inputs=x, outputs={"b": b, "sum": a + c})
    assert named.output_shape == {"b": (2,), "sum": (2,)}
    np.testing.assert_array_equal(named.predict(rows)["sum"], parts[0] + parts[2])
    chain = nf.Network([layers.Input((6,)), layers.Split(2)])
    assert [part.shape for part in chain.predict(rows)] == [(4, 3), (4, 3)]
    joined = nf.Network([layers.Input((6,)), layers.Split(2), layers.Subtract()])
    np.testing.assert_array_equal(joined.predict(rows), rows[:, :3] - rows[:, 3:])


def test_a_loss_for_each_output_of_a_layer(rng: np.random.Generator) -> None:
    x = layers.Input((4,))
    net = nf.Network(inputs=x, outputs=layers.Split([1])(layers.Dense(3)(x)), dtype="float64", seed=0)
    rows, targets = rng.normal(size=(5, 4)), [rng.normal(size=(5, 1)), rng.normal(size=(5, 2))]
    _, gradients = net.loss_and_gradients(rows, targets, ["mse", "half_squared_error"])
    errors = [y - t for y, t in zip(net.predict(rows), targets, strict=True)]
    wanted = np.concatenate([2 * errors[0] / 5, errors[1] / 5], 1)
    np.testing.assert_allclose(gradients["dense.kernel"], rows.T @ wanted, rtol=1e-13, atol=1e-14)
    by_name = net.loss_and_gradients(rows, targets, {"split": "mse", "split#1": "half_squared_error"})[1]
    assert bits(by_name) == bits(gradients)


def test_gradients_of_several_outputs_by_hand(rng: np.random.Generator) -> None:
    x = layers.Input((4,))
    net = nf.Network(inputs=x, outputs=layers.Split([1])(layers.Dense(3)(x)), dtype="float64", seed=0)
    rows, dy = rng.normal(size=(5, 4)), rng.normal(size=(5, 2))
    _, pullback = net.vjp(rows)
    gradients, dx = pullback([None, dy])
    wanted = np.concatenate([np.zeros((5, 1)), dy], 1)
    np.testing.assert_allclose(gradients["dense.kernel"], rows.T @ wanted, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(dx, wanted @ net.parameters["dense.kernel"].T, rtol=1e-13, atol=1e-14)


def test_training_of_a_single_output(rng: np.random.Generator) -> None:
    x = layers.Input((4,))
    mean, _ = layers.Split(2)(layers.Dense(4)(x))
    net = nf.Network(inputs=x, outputs=mean, seed=0)
    rows = rng.normal(size=(64, 4)).astype("float32")
    before = net.get_weights()
    history = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.3)).fit(rows, rows[:, :2], epochs=60)
    assert history.history["loss"][-1] < 1e-3
    kernel, bias = net.get_weights()
    assert (kernel[:, 2:] == before[0][:, 2:]).all()
    assert (bias[2:] == before[1][2:]).all()
    assert (kernel[:, :2] != before[0][:, :2]).all()


def test_a_layer_with_several_outputs_called_twice(rng: np.random.Generator) -> None:
    x = layers.Input((4,), name="x")
    split = layers.Split(2, name="split")
    a, b = split(x)
    c, d = split(layers.Concatenate(name="swapped")([b, a]))
    net = nf.Network(inputs=x, outputs=[c, d])
    rows = rng.normal(size=(3, 4)).astype("float32")
    assert bits(net.predict(rows)) == bits([np.ascontiguousarray(rows[:, 2:]), np.ascontiguousarray(rows[:, :2])])
    assert [node.inputs for node in net.architecture.nodes] == [(), ("x",), ("split#1", "split"), ("swapped",)]
    assert net.architecture.outputs.names == ("split:2", "split:2#1")


# ---- names, files, networks in networks ------------------------------------------------


@every_network
def test_files_and_copies(make: Any, rng: np.random.Generator, tmp_path: Path) -> None:
    net = make("float32")
    x, y = rng.normal(size=(5, 4)).astype("float32"), rng.normal(size=(5, 2)).astype("float32")
    twins = duplicates(net, tmp_path, {"Polar": Polar})
    for way, twin in twins.items():
        assert same(twin, net), way
        assert bits(twin.predict(x)) == bits(net.predict(x)), way
    losses = {nf.Trainer(one, loss="mse", optimizer="sgd").train_on_batch(x, y) for one in (net, *twins.values())}
    assert len(losses) == 1


def test_outputs_in_a_file(tmp_path: Path) -> None:
    x = layers.Input((6,))
    a, b = layers.Split(2)(x)
    nf.Network(inputs=x, outputs={"b": b, "a": a}).save(tmp_path / "net")
    loaded = nf.Network.load(tmp_path / "net")
    rows = np.arange(6, dtype="float32")[None]
    assert loaded.predict(rows)["b"].tolist() == [[3, 4, 5]]


def test_names_in_summary_trace_and_description(rng: np.random.Generator) -> None:
    net = split_network()
    assert "split (Split)              (N, 2), (N, 3), (N, 2)           0  first" in net.summary()
    assert "second (Dense)             (N, 2)                           8  split#1" in net.summary()
    rows = {row["name"]: row for row in net.describe()}
    assert [rows[name]["shape"] for name in ("split", "split#1", "split#2")] == [(2,), (3,), (2,)]
    assert rows["second"]["inputs"] == ["split#1"]
    assert rows["split#1"]["flops"] == 0 < rows["split"]["flops"]
    x = rng.normal(size=(3, 4))
    trace = net.trace(x)
    parts = [trace[name] for name in ("split", "split#1", "split#2")]
    np.testing.assert_array_equal(np.concatenate(parts, 1), trace["first"])


def test_a_network_with_several_outputs_of_a_layer_in_another_network(rng: np.random.Generator) -> None:
    x = layers.Input((4,), name="x")
    a, b = layers.Split(2)(layers.Dense(6, "tanh")(x))
    inner = nf.Network(inputs=x, outputs=[a, b], name="inner", seed=2, dtype="float64")
    y = layers.Input((4,))
    left, right = inner(y)
    net = nf.Network(inputs=y, outputs=left * right, seed=3, dtype="float64")
    rows = rng.normal(size=(3, 4))
    first, second = inner.predict(rows)
    np.testing.assert_allclose(net.predict(rows), first * second, rtol=1e-14)


def test_symbolic_tensors_know_which_output_they_are() -> None:
    a, b = layers.Split(2)(layers.Input((4,)))
    assert (a.index, b.index, b.first is a, a.first is a) == (0, 1, True, True)
    assert repr(b) == "<Tensor (N, 2), output 1 of Split(2)>"


# ---- what does not fit -----------------------------------------------------------------

SPLITS: dict[str, tuple[Any, type[Exception], str]] = {
    "sections that do not divide": (lambda x: layers.Split(4)(x), ValueError, "split: .*divides the axis of 6, got 4"),
    "one section": (lambda x: layers.Split(1), ValueError, "indices_or_sections >= 2, got 1"),
    "no places": (lambda x: layers.Split([])(x), ValueError, "one place or more at which to split, got none"),
    "places that descend": (lambda x: layers.Split([4, 2])(x), ValueError, "ascend between 0 and the axis of 6, got 2"),
    "a place at the end": (lambda x: layers.Split([6])(x), ValueError, "ascend between 0 and the axis of 6, got 6"),
    "the batch axis": (lambda x: layers.Split(2, axis=0), ValueError, "axis 0 is the batch axis"),
    "an axis that is not there": (lambda x: layers.Split(2, axis=2)(x), ValueError, "expected an axis of -1 to 0"),
    "a list of outputs for one input": (
        lambda x: layers.Dense(2)(layers.Split(2)(x)),
        ValueError,
        "dense: expected inputs: 1, got 2",
    ),
}


@pytest.mark.parametrize("case", SPLITS)
def test_splits_that_do_not_fit(case: str) -> None:
    make, error, text = SPLITS[case]
    with pytest.raises(error, match=text):
        make(layers.Input((6,)))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"inputs": ["split#3"]}, r"dense: expected an output that its layer has, got 'split#3'"),
        ({"inputs": ["split#0"]}, r"unknown input of dense 'split#0'; further outputs of split are split#1, split#2"),
        ({"inputs": ["split#"]}, r"unknown input of dense 'split#'"),
        ({"inputs": ["splot#1"]}, r"did you mean 'split'"),
        ({"inputs": ["split#1x"]}, r"unknown input of dense 'split#1x'"),
        ({"inputs": ["dense#1"]}, r"unknown input of dense 'dense'"),
    ],
)
def test_a_file_that_names_an_output_that_is_not_there(changes: dict[str, Any], text: str, tmp_path: Path) -> None:
    x = layers.Input((6,))
    net = nf.Network(inputs=x, outputs=layers.Dense(2)(layers.Split(3)(x)[1]))
    description = net.architecture.describe()
    description["layers"][-1] |= changes
    with pytest.raises(ValueError, match=text):
        type(net.architecture).from_description(description, {}).infer()


def test_a_file_whose_network_ends_in_an_output_that_is_not_there() -> None:
    x = layers.Input((6,))
    description = nf.Network(inputs=x, outputs=layers.Split(3)(x)[1]).architecture.describe()
    assert description["output"] == "split#1"
    description["output"] = "split#3"
    with pytest.raises(ValueError, match="Network: expected an output that its layer has, got 'split#3'"):
        type(nf.Network(inputs=x, outputs=layers.ReLU()(x)).architecture).from_description(description, {}).infer()


INPUT = {"name": "x", "op": "input", "shape": [6]}
SPLIT = {"name": "split", "op": "split", "sections": 2, "inputs": ["x"]}


@pytest.mark.parametrize(
    ("nodes", "outputs", "text"),
    [
        ([INPUT, SPLIT], ["split#2"], "expected the output to be one of its nodes, got 'split#2'"),
        ([INPUT, SPLIT], ["split#1", "split#1"], "expected outputs that differ, got 'split#1' twice"),
        ([INPUT, {**SPLIT, "inputs": ["x#1"]}], ["split"], "split: expected inputs that stand before it, got 'x#1'"),
        ([INPUT, {**SPLIT, "name": "a#1"}], ["a#1"], "expected a name without '#', got 'a#1'"),
        ([INPUT, {**SPLIT, "sections": None, "indices": [2**62]}], ["split"], "ascend between 0 and the axis of 6"),
        (
            [INPUT, {"name": "c", "op": "callback", "inputs": ["x"], "shape": [1], "output_2": [1]}],
            ["c"],
            "c: expected shapes of further outputs as output_1, output_2, ..., got output_2",
        ),
    ],
)
def test_graphs_that_do_not_fit(nodes: list[Any], outputs: list[str], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        _core.Graph(nodes, outputs, "float32")


def test_shapes_of_a_custom_layer_with_several_outputs() -> None:
    class Shaped(Polar):
        def __init__(self, shapes: Any) -> None:
            super().__init__()
            self.shapes = shapes

        def output_shape(self, input_shape: Any) -> Any:
            return self.shapes

    x = layers.Input((3,))
    assert [y.shape for y in Shaped([(1,), [2, 3], (4,)])(x)] == [(1,), (2, 3), (4,)]
    for wrong in ([(1,)], [(1,), 2], [(1,), (2.5,)]):
        with pytest.raises(ValueError, match="shaped: expected sizes of one output row"):
            Shaped(wrong)(x)
    with pytest.raises(ValueError, match="expected sizes of 1 or more"):
        Shaped([(1,), (0,)])(x)


def test_a_custom_layer_that_leaves_an_output_unwritten() -> None:
    class Half(Polar):
        def forward(self, inputs: list[Array], output: Any, *others: Any) -> None:
            output[0][...] = 1

    net = nf.Network([layers.Input((3,)), Half()])
    with pytest.raises(ValueError, match=r"half\.forward: expected every element of output\[1\] to be written"):
        net.predict(np.ones((2, 3)))
