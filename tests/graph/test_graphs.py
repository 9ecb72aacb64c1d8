"""Graphs of any form: several inputs and outputs, layers called more than once, networks as layers, tied kernels."""

from typing import Any

import numpy as np
import pytest
from small_networks import GRAPHS, autoencoder, flat, fork, inputs_of, same, twins

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

ROWS = 7


# ---- values -------------------------------------------------------------------


def test_one_layer_in_two_places(rng: np.random.Generator) -> None:
    net = twins()
    net.set_weights([rng.normal(size=view.shape) ** 2 for view in net.parameters.values()])
    x, p = inputs_of(net, rng, ROWS), net.parameters

    def branch(rows: Array) -> Array:
        z = np.tanh(rows @ p["see.kernel"] + p["see.bias"])
        spread = np.sqrt(p["norm.moving_variance"] + 1e-3)
        return (z - p["norm.moving_mean"]) / spread * p["norm.gamma"] + p["norm.beta"]

    wanted = (branch(x["left"]) * branch(x["right"])) @ p["last.kernel"] + p["last.bias"]
    np.testing.assert_allclose(net.predict(x), wanted, rtol=1e-13, atol=1e-13)
    assert [name for name in p if name.startswith("see")] == ["see.kernel", "see.bias"]


def test_a_kernel_transposed_in_another_layer(rng: np.random.Generator) -> None:
    net = autoencoder()
    net.set_weights([rng.normal(size=view.shape) for view in net.parameters.values()])
    x, p = rng.normal(size=(ROWS, 6)), net.parameters
    code = np.tanh(x @ p["encoder.kernel"] + p["encoder.bias"])
    decoded = np.maximum(code @ p["encoder.kernel"].T + p["decoder.bias"], 0)
    again = np.tanh(decoded @ p["encoder.kernel"] + p["encoder.bias"])
    np.testing.assert_allclose(net.predict(x), np.concatenate([again, decoded], 1), rtol=1e-12, atol=1e-12)
    assert list(p) == ["encoder.kernel", "encoder.bias", "decoder.bias"]


def test_a_network_in_a_network_starts_from_its_parameters(rng: np.random.Generator) -> None:
    inner = nf.Network([layers.Input((3,)), layers.Dense(3, "tanh"), layers.BatchNormalization()], name="inner", seed=1)
    inner.set_weights([rng.normal(size=view.shape) ** 2 for view in inner.parameters.values()])
    inner.freeze("dense")
    x = layers.Input((3,))
    net = nf.Network(inputs=x, outputs=layers.Dense(2, name="head")(inner(x)), seed=2)
    rows = rng.normal(size=(ROWS, 3)).astype("float32")
    hidden = inner.predict(rows).astype("float64")
    wanted = hidden @ net.parameters["head.kernel"] + net.parameters["head.bias"]
    np.testing.assert_allclose(net.predict(rows), wanted, rtol=1e-5, atol=1e-5)
    assert net.frozen == ["inner/dense.kernel", "inner/dense.bias"]
    before = inner.get_weights()
    nf.Trainer(net, loss="mse").train_on_batch(rows, rows[:, :2])
    assert all((a == b).all() for a, b in zip(before, inner.get_weights(), strict=True))
    net.freeze("inner")
    assert net.trainable == ["head.kernel", "head.bias"]


def test_several_outputs_come_as_they_were_asked_for(rng: np.random.Generator) -> None:
    net = fork()
    x, p = inputs_of(net, rng, ROWS), net.parameters
    got = net.predict(x)
    y = np.maximum(x[0] @ p["y.kernel"] + p["y.bias"], 0)
    assert list(got) == ["z", "y"]
    assert net.output_shape == {"z": (2,), "y": (4,)}
    np.testing.assert_allclose(got["y"], y, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(got["z"], y @ p["z.kernel"] + p["z.bias"], rtol=1e-13, atol=1e-13)
    one = nf.Network(inputs=(entry := layers.Input((3,))), outputs=[layers.Dense(1)(entry)])
    assert isinstance(one.predict(x[0]), list)


def test_outputs_may_share_memory_with_each_other_and_with_inputs(rng: np.random.Generator) -> None:
    x = layers.Input((2, 3))
    y = layers.Dense(3)(x)
    net = nf.Network(inputs=x, outputs=[y, layers.Flatten()(y), layers.Flatten()(x), x], seed=1)
    rows = rng.normal(size=(300, 2, 3)).astype("float32")  # more than one pass
    got = net.predict(rows)
    assert got[1].tobytes() == got[0].tobytes()
    assert got[2].tobytes() == got[3].tobytes() == rows.tobytes()
    assert len({array.ctypes.data for array in got}) == 4
    kernel, bias = net.get_weights()
    np.testing.assert_allclose(got[0], rows @ kernel + bias, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", GRAPHS)
def test_data_by_name_and_in_order_are_the_same(name: str, rng: np.random.Generator) -> None:
    net = GRAPHS[name]()
    x = inputs_of(net, rng, ROWS)
    wanted = [array.tobytes() for array in flat(net.predict(x))]
    names = net.architecture.inputs.names
    for form in (dict(zip(names, flat(x), strict=True)), tuple(flat(x)), flat(x)):
        if isinstance(form, list | tuple) and not isinstance(x, list | dict):
            continue  # a list for a single input is an array
        assert [array.tobytes() for array in flat(net.predict(form))] == wanted
    by_rows = [[part[i : i + 1] for part in flat(x)] for i in range(ROWS)]
    rows = [flat(net.predict(dict(zip(names, row, strict=True)))) for row in by_rows]
    assert [np.concatenate(parts).tobytes() for parts in zip(*rows, strict=True)] == wanted
    assert [array.tobytes() for array in flat(net.predict(x, batch_size=2))] == wanted


# ---- gradients ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["twins", "autoencoder", "nested"])
@pytest.mark.parametrize("training", [False, True])
def test_gradients_of_shared_parameters(name: str, training: bool, rng: np.random.Generator) -> None:
    net = GRAPHS[name]()
    net.set_weights([rng.normal(size=view.shape) ** 2 for view in net.parameters.values()])
    target = rng.normal(size=(ROWS, *net.output_shape))
    report = nf.check_gradients(net, inputs_of(net, rng, ROWS), target, "mse", training=training)
    assert report, report


def test_gradients_of_a_shared_parameter_are_the_sum_over_its_uses(rng: np.random.Generator) -> None:
    """Against a network in which each use has a parameter of its own."""
    shared = twins()
    left, right = layers.Input((3,)), layers.Input((3,))
    pairs = [(layers.Dense(4, "tanh")(x), layers.BatchNormalization()) for x in (left, right)]
    both = pairs[0][1](pairs[0][0]) * pairs[1][1](pairs[1][0])
    apart = nf.Network(inputs=[left, right], outputs=layers.Dense(2, name="last")(both), dtype="float64")
    twin = {"dense": "see", "dense_1": "see", "batch_normalization": "norm", "batch_normalization_1": "norm"}

    def name_of(own: str) -> str:
        place, _, parameter = own.partition(".")
        return f"{twin.get(place, place)}.{parameter}"

    apart.set_weights([shared.parameters[name_of(name)] for name in apart.parameters])
    x, y = inputs_of(shared, rng, ROWS), rng.normal(size=(ROWS, 2))
    loss, gradients = shared.loss_and_gradients(x, y, "mse", training=True)
    other, parts = apart.loss_and_gradients(flat(x), y, "mse", training=True)
    assert loss == pytest.approx(other, rel=1e-14)
    for name, gradient in gradients.items():
        total = sum(part for own, part in parts.items() if name_of(own) == name)
        np.testing.assert_allclose(gradient, total, rtol=1e-12, atol=1e-13)


def test_pytorch_has_the_same_gradients_of_a_tied_kernel(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    net = autoencoder()
    x, target = rng.normal(size=(ROWS, 6)), rng.normal(size=(ROWS, 9))
    p = {name: torch.tensor(view.copy(), requires_grad=True) for name, view in net.parameters.items()}
    code = torch.tanh(torch.tensor(x) @ p["encoder.kernel"] + p["encoder.bias"])
    decoded = torch.relu(code @ p["encoder.kernel"].T + p["decoder.bias"])
    again = torch.tanh(decoded @ p["encoder.kernel"] + p["encoder.bias"])
    loss = ((torch.cat([again, decoded], 1) - torch.tensor(target)) ** 2).mean()
    loss.backward()
    value, gradients = net.loss_and_gradients(x, target, "mse")
    assert value == pytest.approx(float(loss.detach()), rel=1e-13)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, p[name].grad.numpy(), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", ["twins", "autoencoder", "nested"])
def test_a_sum_of_gradients_that_overflows_changes_nothing(name: str) -> None:
    """Each use's part is finite, their sum is not."""
    net = GRAPHS[name]("float32")
    for view in net.parameters.values():
        view[...] = 1
    trainer = nf.Trainer(net, loss="half_squared_error", optimizer=nf.optimizers.SGD(1e-38))
    x = dict.fromkeys(net.architecture.inputs.names, np.ones((1, *flat(net.input_shape)[0]), "float32"))
    x = {key: value * np.float32(1e37) for key, value in x.items()}
    before = net.get_weights()
    with pytest.raises(RuntimeError, match="the parameters are those before it"):
        trainer.train_on_batch(x, np.full((1, *net.output_shape), -3e38, "float32"))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(before, net.get_weights(), strict=True))


# ---- training ----------------------------------------------------


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("name", ["twins", "autoencoder", "nested"])
def test_fit_is_the_steps_by_hand_on_any_number_of_threads(name: str, rng: np.random.Generator) -> None:
    first = GRAPHS[name]("float32")
    x = inputs_of(first, rng, 40)
    y = rng.normal(size=(40, *first.output_shape)).astype("float32")
    found = []
    for threads in (1, 2):
        nf.set_num_threads(threads)
        net = first.copy()
        trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.05))
        history = trainer.fit(x, y, epochs=2, batch_size=16, shuffle=False, validation_split=0.2, progress=False)
        assert history["loss"][1] < history["loss"][0]
        assert len(history["val_loss"]) == 2
        found.append(net)
    by_hand = first.copy()
    trainer = nf.Trainer(by_hand, loss="mse", optimizer=nf.optimizers.SGD(0.05))
    for _ in range(2):
        for start in (0, 16):
            stop = min(start + 16, 32)
            parts = {k: part[start:stop] for k, part in zip(first.architecture.inputs.names, flat(x), strict=True)}
            trainer.train_on_batch(parts, y[start:stop])
    assert same(found[0], found[1])
    assert same(found[0], by_hand)


@pytest.mark.parametrize("name", GRAPHS)
def test_fused_and_single_ops_have_the_same_bits(name: str, rng: np.random.Generator) -> None:
    net = GRAPHS[name]("float32")
    x = inputs_of(net, rng, ROWS)
    rows = net.as_rows(x)
    plans = [net.plan(ROWS, fuse=fuse) for fuse in (False, True)]
    fused, single = (flat(plan.predict(rows)) for plan in plans)
    assert [a.tobytes() for a in fused] == [b.tobytes() for b in single]
    traced = net.trace(x)
    assert [traced[n].tobytes() for n in net.architecture.outputs.names] == [a.tobytes() for a in flat(net.predict(x))]


def test_a_summary_shows_calls_and_their_sources() -> None:
    lines = twins().summary().splitlines()
    assert [line.split()[0] for line in lines[3:11]] == [
        "left",
        "right",
        "see",
        "norm",
        "see:2",
        "norm:2",
        "multiply",
        "last",
    ]
    assert lines[7].split() == ["see:2", "(Dense)", "(N,", "4)", "0", "right"]


# ---- errors -----------------------------------------------------------------------


def ends(count: int = 2) -> list[Any]:
    return [layers.Input((3,), name=f"in{i}") for i in range(count)]


def unused_input() -> Any:
    a, b = ends()
    return nf.Network(inputs=[a, b], outputs=layers.Dense(1)(a))


def missing_input() -> Any:
    a, b = ends()
    return nf.Network(inputs=[a], outputs=layers.Add()([a, b]))


def double_input() -> Any:
    (a,) = ends(1)
    return nf.Network(inputs=[a, a], outputs=layers.Dense(1)(a))


def double_output() -> Any:
    (a,) = ends(1)
    y = layers.Dense(1)(a)
    return nf.Network(inputs=a, outputs=[y, y])


def tied(units: int, **options: Any) -> Any:
    x = layers.Input((6,))
    encoder = layers.Dense(3, name="encoder")
    return nf.Network(inputs=x, outputs=layers.Dense(units, **{"tied_to": encoder, **options})(encoder(x)))


def other_shape() -> Any:
    a, b = layers.Input((3,)), layers.Input((4,))
    shared = layers.Dense(2, name="shared")
    return nf.Network(inputs=[a, b], outputs=layers.Add()([shared(a), shared(b)]))


def same_names() -> Any:
    x = layers.Input((3,))
    one, two = (nf.Network([layers.Input((3,)), layers.Dense(3)]) for _ in range(2))
    return nf.Network(inputs=x, outputs=two(one(x)))


BAD = {
    "an input that no output needs": (unused_input, ValueError, "all inputs, got .*in1.*leave it out"),
    "an input that is missing": (missing_input, ValueError, "in1.*add it to inputs="),
    "an input twice": (double_input, ValueError, "inputs that differ"),
    "an output twice": (double_output, ValueError, "outputs that differ"),
    "no outputs": (
        lambda: nf.Network(inputs=ends(1), outputs=[]),
        ValueError,
        "as outputs, got none",
    ),
    "a number as output": (lambda: nf.Network(inputs=ends(1), outputs=[3]), TypeError, "tensors as outputs, got 3"),
    "keys that are no texts": (lambda: nf.Network(inputs={1: ends(1)[0]}, outputs=ends(1)), TypeError, "texts as keys"),
    "a tied kernel of another shape": (
        lambda: tied(5),
        ValueError,
        r"\(5, 3\) to share, got .*\(6, 3\)",
    ),
    "a tie to nobody": (
        lambda: tied(6, tied_to="decoder"),
        ValueError,
        "to share, got 'decoder.kernel'",
    ),
    "a tie to a number": (lambda: tied(6, tied_to=3), TypeError, "tied_to as a layers.Dense or the name of one"),
    "a layer on another shape": (other_shape, ValueError, r"shared:2: expected a kernel of shape \(4, 2\) to share"),
    "two networks of one name": (same_names, ValueError, "different names of layers.*rename"),
    "a network on another shape": (
        lambda: nf.Network([layers.Input((3,)), layers.Dense(1)], name="inner")(layers.Input((4,))),
        ValueError,
        r"inner: expected a tensor of shape \(3,\)",
    ),
    "a network on tensors and numbers": (
        lambda: twins()([layers.Input((3,)), 3]),
        TypeError,
        "symbolic tensors, got int",
    ),
    "data that miss an input": (lambda: twins().predict({"left": np.ones((2, 3))}), ValueError, "none for 'right'"),
    "data of an unknown input": (
        lambda: twins().predict({"left": np.ones((2, 3)), "rigth": np.ones((2, 3))}),
        ValueError,
        "did you mean 'right'",
    ),
    "too few arrays": (lambda: twins().predict([np.ones((2, 3))]), ValueError, "a list of 2 or a dict.*left, right"),
    "one array for two inputs": (lambda: twins().predict(np.ones((2, 3))), ValueError, "a list of 2 or a dict"),
    "different numbers of rows": (
        lambda: twins().predict([np.ones((2, 3)), np.ones((3, 3))]),
        ValueError,
        "right: expected 2 rows, as left has, got 3",
    ),
    "one array for two outputs": (
        lambda: fork().loss_and_gradients([np.ones((1, 3))], np.ones((1, 2)), "mse"),
        ValueError,
        "y: expected a list of 2 or a dict by name, for z, y, got ndarray",
    ),
    "NaN in one input": (lambda: twins().predict([np.ones((1, 3)), np.full((1, 3), np.nan)]), ValueError, "right.*NaN"),
}


@pytest.mark.parametrize("case", BAD)
def test_graphs_and_data_that_do_not_fit(case: str) -> None:
    make, error, text = BAD[case]
    with pytest.raises(error, match=text):
        make()
