"""Networks: chains, graphs, parameters, prediction, and what can be seen of them."""

import copy
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array
from nnfast.inspect.gradient_check import GradientCheck

EPS32 = float(np.finfo(np.float32).eps)


def small(seed: int = 0, dtype: str = "float32") -> nf.Network:
    chain = [layers.Input((4,)), layers.Dense(6, "tanh"), layers.Dense(3, "softmax")]
    return nf.Network(chain, seed=seed, dtype=dtype)


def test_a_chain_computes_what_its_layers_say(rng: np.random.Generator) -> None:
    net = small(dtype="float64")
    x = rng.normal(size=(10, 4))
    p = net.parameters
    z = np.tanh(x @ p["dense.kernel"] + p["dense.bias"]) @ p["dense_1.kernel"] + p["dense_1.bias"]
    e = np.exp(z - z.max(axis=1, keepdims=True))
    np.testing.assert_allclose(net.predict(x), e / e.sum(axis=1, keepdims=True), rtol=64 * np.finfo(float).eps)


def test_a_graph_with_branches_and_a_skip(rng: np.random.Generator) -> None:
    x = layers.Input((4,))
    left = layers.Dense(4, "tanh", name="left")(x)
    right = layers.Dense(4, name="right")(x)
    joined = layers.Concatenate()([left + right, left * x])
    net = nf.Network(inputs=x, outputs=layers.Dense(1, name="end")(joined), seed=0, dtype="float64")
    data = rng.normal(size=(6, 4))
    p = net.parameters
    a = np.tanh(data @ p["left.kernel"] + p["left.bias"])
    b = data @ p["right.kernel"] + p["right.bias"]
    wanted = np.concatenate([a + b, a * data], axis=1) @ p["end.kernel"] + p["end.bias"]
    np.testing.assert_allclose(net.predict(data), wanted, rtol=0, atol=64 * np.finfo(float).eps * np.abs(wanted).max())
    assert [layer.name for layer in net.layers] == ["input", "left", "right", "add", "multiply", "concatenate", "end"]
    assert "left, right" in net.summary()


def test_a_graph_begins_with_an_input() -> None:
    x = layers.Input((4,))
    hidden = layers.Dense(3)(x)
    match = r"expected inputs to be of layers\.Input, got <Tensor \(N, 3\) of Dense\(3\)>"
    with pytest.raises(ValueError, match=match):
        nf.Network(inputs=hidden, outputs=layers.Dense(2)(hidden))
    with pytest.raises(TypeError, match="Input: it is a tensor already and takes no input"):
        layers.Input((3,))(hidden)


def test_what_is_no_tensor_and_no_dtype() -> None:
    x = layers.Input((4,))
    with pytest.raises(TypeError, match="Network: expected tensors as outputs, got array"):
        nf.Network(inputs=x, outputs=np.ones(3))
    with pytest.raises(TypeError, match="Network: expected tensors as inputs, got None"):
        nf.Network(outputs=layers.ReLU()(x))
    for dtype in ("floaty", None, 3, "float16"):
        with pytest.raises(ValueError, match=f'expected dtype "float32" or "float64", got {dtype!r}'):
            nf.Network([layers.Input((4,)), layers.Dense(3)], dtype=dtype)


def test_one_name_says_what_trains() -> None:
    net = nf.Network([layers.Input((2,)), layers.Dense(1, trainable="kernel")])
    assert (net.trainable, net.layers[1].trainable) == (["dense.kernel"], ("kernel",))


def test_names_are_given_as_in_keras() -> None:
    chain = [layers.Input((2,)), layers.Dense(2), layers.Dense(2, name="dense_1"), layers.Dense(2)]
    assert [layer.name for layer in nf.Network(chain).layers] == ["input", "dense", "dense_1", "dense_2"]


def test_facts() -> None:
    net = small()
    assert (net.input_shape, net.output_shape, net.num_parameters) == ((4,), (3,), 4 * 6 + 6 + 6 * 3 + 3)
    assert {name: view.shape for name, view in net.parameters.items()} == {
        "dense.kernel": (4, 6),
        "dense.bias": (6,),
        "dense_1.kernel": (6, 3),
        "dense_1.bias": (3,),
    }
    assert net.get_layer("dense_1") is net.layers[2]
    assert "51 parameters" in repr(net)


def test_parameters_are_views() -> None:
    net = small()
    net.parameters["dense_1.kernel"][...] = 0
    net.parameters["dense_1.bias"][...] = [0, 0, 50]
    assert net.predict(np.ones((1, 4))).argmax() == 2
    views = net.parameters
    del net
    assert views["dense_1.bias"][2] == 50


def test_weights_as_lists() -> None:
    net, other = small(0), small(1)
    assert not np.array_equal(net.predict(np.ones((1, 4))), other.predict(np.ones((1, 4))))
    other.set_weights(net.get_weights())
    assert net.predict(np.ones((1, 4))).tobytes() == other.predict(np.ones((1, 4))).tobytes()
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"dense_1\.bias: expected shape \(3,\), got \(4,\)"):
        other.set_weights([*(2 * w for w in before[:-1]), np.zeros(4)])
    with pytest.raises(ValueError, match="expected 4 arrays, got 3"):
        other.set_weights(before[:-1])
    with pytest.raises(ValueError, match="NaN"):
        other.set_weights([*before[:-1], np.full(3, np.nan)])
    assert all(np.array_equal(a, b) for a, b in zip(before, other.get_weights(), strict=True))


def test_the_seed_sets_the_first_parameters() -> None:
    assert all(np.array_equal(a, b) for a, b in zip(small(7).get_weights(), small(7).get_weights(), strict=True))
    assert not np.array_equal(small(7).parameters["dense.kernel"], small(8).parameters["dense.kernel"])
    one, two = nf.Network([layers.Input((3,)), layers.Dense(3)]), nf.Network([layers.Input((3,)), layers.Dense(3)])
    assert one.seed != two.seed


def test_float32_and_float64_start_alike() -> None:
    for single, double in zip(small(5).get_weights(), small(5, "float64").get_weights(), strict=True):
        assert np.array_equal(single, double.astype(np.float32))


@pytest.mark.parametrize("rows", [1, 2, 3, 31, 32, 33, 255, 256, 257, 700])
def test_a_row_is_predicted_alike_in_any_batch(rows: int, rng: np.random.Generator) -> None:
    net, alone = small(), small()
    x = rng.normal(size=(rows, 4)).astype("float32")
    whole = net.predict(x)
    assert whole.tobytes() == b"".join(alone.predict(x[i : i + 1]).tobytes() for i in range(rows))
    assert whole.tobytes() == net.predict(x, batch_size=7).tobytes() == net(x).tobytes()


def test_predict_takes_pixels_and_casts_the_rest(rng: np.random.Generator) -> None:
    net = nf.Network([layers.Input((3,)), layers.Rescaling(1 / 255), layers.Dense(2)], seed=0)
    pixels = rng.integers(0, 256, size=(5, 3), dtype=np.uint8)
    wanted = net.predict(pixels)
    padded = np.zeros((5, 6), dtype="float32")
    padded[:, ::2] = pixels
    unaligned = np.zeros(5 * 3 * 4 + 1, dtype=np.uint8)[1:].view("float32").reshape(5, 3)
    unaligned[...] = pixels
    for same in (
        pixels.astype("float32"),
        pixels.astype("float64"),
        pixels.astype("int16"),
        pixels.astype("float16"),
        pixels.astype(">f4"),
        np.asfortranarray(pixels),
        padded[:, ::2],
        unaligned,
        pixels[::-1][::-1],
        pixels.tolist(),
    ):
        assert net.predict(same).tobytes() == wanted.tobytes()


def test_predict_reads_read_only_arrays() -> None:
    x = np.ones((2, 4), dtype="float32")
    x.flags.writeable = False
    assert small().predict(x).shape == (2, 3)


def test_results_do_not_share_memory() -> None:
    net = small()
    first = net.predict(np.zeros((1, 4), dtype="float32"))
    kept = first.copy()
    net.predict(np.ones((1, 4), dtype="float32"))
    assert np.array_equal(first, kept)


def test_trace_shows_every_tensor(rng: np.random.Generator) -> None:
    net = small()
    x = rng.normal(size=(3, 4)).astype("float32")
    tensors = net.trace(x)
    assert list(tensors) == ["input", "dense.preactivation", "dense", "dense_1.preactivation", "dense_1"]
    assert tensors["dense_1"].tobytes() == net.predict(x).tobytes()
    assert np.array_equal(tensors["input"], x)
    np.testing.assert_allclose(tensors["dense"], np.tanh(tensors["dense.preactivation"]), rtol=8 * EPS32)


def test_loss_and_gradients_are_those_of_the_formula(rng: np.random.Generator) -> None:
    net = nf.Network([layers.Input((4,)), layers.Dense(2)], seed=0, dtype="float64")
    x, t, weight = rng.normal(size=(8, 4)), rng.normal(size=(8, 2)), rng.uniform(size=8)
    error = x @ net.parameters["dense.kernel"] - t
    before = net.get_weights()
    loss, gradients = net.loss_and_gradients(x, t, "half_squared_error", sample_weight=weight)
    assert loss == pytest.approx((weight * (error**2).sum(axis=1) / 2).mean(), rel=1e-14)
    np.testing.assert_allclose(gradients["dense.kernel"], x.T @ (weight[:, None] * error) / 8, atol=1e-14)
    np.testing.assert_allclose(gradients["dense.bias"], (weight[:, None] * error).mean(axis=0), atol=1e-14)
    assert all(np.array_equal(a, b) for a, b in zip(before, net.get_weights(), strict=True))
    net.freeze("dense.bias")
    assert list(net.loss_and_gradients(x, t, "half_squared_error")[1]) == ["dense.kernel"]


def test_freezing_by_name() -> None:
    chain = [layers.Input((2,)), layers.Dense(2, trainable=("kernel",)), layers.Dense(2, trainable=False)]
    net = nf.Network([*chain, layers.Dense(2)])
    assert net.trainable == ["dense.kernel", "dense_2.kernel", "dense_2.bias"]
    net.unfreeze("dense", "dense_1.kernel")
    net.freeze("dense_2")
    assert net.trainable == ["dense.kernel", "dense.bias", "dense_1.kernel"]
    net.freeze()
    assert net.trainable == []
    net.unfreeze()
    assert len(net.trainable) == 6
    with pytest.raises(ValueError, match=r"'dens'; did you mean 'dense'"):
        net.freeze("dens")
    with pytest.raises(AttributeError, match="freeze"):
        net.layers[1].trainable = False


def test_copies_are_apart() -> None:
    net = small()
    net.freeze("dense")
    for other in (net.copy(), pickle.loads(pickle.dumps(net))):
        assert other.predict(np.ones((1, 4))).tobytes() == net.predict(np.ones((1, 4))).tobytes()
        assert (other.trainable, other.seed, other.name) == (net.trainable, net.seed, net.name)
        other.parameters["dense.kernel"][...] = 0
        assert net.parameters["dense.kernel"].any()
    double = net.copy("float64")
    assert double.dtype == "float64"
    assert double.predict(np.ones((1, 4))).dtype == np.float64


@pytest.mark.parametrize("how", ["copy", "pickle", "deepcopy", "float64 and back"])
def test_copies_freeze_and_draw_for_themselves(how: str) -> None:
    """What is frozen and the seed, which dropout draws from, are those of the original; later changes are not."""

    def make(seed: int) -> nf.Network:
        chain = [layers.Input((4,)), layers.Dense(6, "tanh"), layers.Dropout(0.5), layers.Dense(3)]
        return nf.Network(chain, seed=seed)

    net = make(1234567)
    net.freeze("dense.bias", "dense_1")
    other = {
        "copy": net.copy,
        "pickle": lambda: pickle.loads(pickle.dumps(net)),
        "deepcopy": lambda: copy.deepcopy(net),
        "float64 and back": lambda: net.copy("float64").copy("float32"),
    }[how]()
    assert (other.trainable, other.seed) == (["dense.kernel"], 1234567)
    x, y = np.ones((8, 4), "float32"), np.ones((8, 3), "float32")
    other_seed = make(7654321)
    other_seed.set_weights(net.get_weights())
    losses = [nf.Trainer(n, loss="mse").train_on_batch(x, y) for n in (net, other, other_seed)]
    assert losses[0] == losses[1] != losses[2]
    assert net.flat().tobytes() == other.flat().tobytes()
    other.unfreeze("dense.bias")
    assert net.frozen == ["dense.bias", "dense_1.kernel", "dense_1.bias"]
    net.freeze()
    assert other.trainable == ["dense.kernel", "dense.bias"]


def test_a_trainer_notices_what_is_frozen_and_unfrozen() -> None:
    """With the gradient of half_squared_error by hand: a step moves a bias by rate times the mean error, or not."""
    net = nf.Network([layers.Input((1,)), layers.Dense(2)], seed=0)
    trainer = nf.Trainer(net, loss="half_squared_error", optimizer=nf.optimizers.SGD(0.5))
    x, y = np.zeros((4, 1), "float32"), np.ones((4, 2), "float32")
    expected = 0.0
    for change, moves in (
        (lambda: None, True),
        (lambda: net.freeze("dense.bias"), False),
        (lambda: net.unfreeze("dense.bias"), True),
        (lambda: net.freeze("dense"), False),
        (lambda: net.unfreeze(), True),
    ):
        change()
        trainer.train_on_batch(x, y)
        expected += 0.5 * (1 - expected) * moves
        assert net.parameters["dense.bias"].tolist() == [expected] * 2
    net.freeze()
    trainer.fit(x, y, epochs=1, batch_size=4, progress=False)
    assert net.parameters["dense.bias"].tolist() == [expected] * 2
    net.unfreeze("dense.bias")
    trainer.fit(x, y, epochs=1, batch_size=4, progress=False)
    assert net.parameters["dense.bias"].tolist() == [expected + 0.5 * (1 - expected)] * 2


def test_summary_counts() -> None:
    net = small()
    net.freeze("dense_1.bias")
    text = net.summary()
    assert "dense_1 (Dense)  (N, 3)                21" in text
    assert text.endswith("Parameters: 51 (204 bytes), trainable 48, frozen 3")
    assert "Connected" not in text


def test_describe_lists_the_operations() -> None:
    table = small().describe()
    assert {"op", "name", "shape", "flops"} <= set(table[0])
    assert sum(row["flops"] for row in table) >= 2 * (4 * 6 + 6 * 3)
    assert "dense_1" in str(table)
    assert {row["algorithm"] for row in table} == {None}


def test_describe_names_the_algorithms_of_convolutions() -> None:
    net = nf.Network(
        [
            layers.Input((9, 9, 16)),
            layers.Conv2D(16, 3),
            layers.Conv2D(16, 3, 2),
            layers.Conv2D(16, 1),
            layers.DepthwiseConv2D(3),
            layers.Conv2DTranspose(16, 3),
            layers.Conv2DTranspose(4, 4, padding="same"),
            layers.Conv2DTranspose(4, 4, padding="same", use_bias=False),
        ]
    )
    expected = ["winograd", "direct", "matmul", "depthwise", "winograd", "direct", "fold"]
    assert [row["algorithm"] for row in net.describe()] == [None, *expected]


def test_an_error_that_is_just_the_tolerance_agrees() -> None:
    """So that a tolerance of 0 can be met."""
    errors = {"a": 0.0, "b": 0.5}
    assert GradientCheck(errors, 0.5, 4)
    assert not GradientCheck(errors, 0.4999, 4)
    assert [line.split()[-1] for line in str(GradientCheck(errors, 0.0, 4)).splitlines()[2:]] == ["True", "False"]


def test_check_gradients_finds_a_wrong_gradient(rng: np.random.Generator) -> None:
    class Wrong(nf.losses.CustomLoss):
        def value(self, target: Array, prediction: Array) -> Array:
            return np.asarray(((prediction - target) ** 2).sum(axis=1))

        def gradient(self, target: Array, prediction: Array) -> Array:
            return np.asarray(2.001 * (prediction - target))

    net = nf.Network([layers.Input((2,)), layers.Dense(2)], seed=0)
    x = rng.normal(size=(3, 2))
    report = nf.check_gradients(net, x, x, Wrong())
    assert not report
    assert report.max_error == pytest.approx(0.001 / 2.001, rel=1e-3)
    with pytest.raises(RuntimeError, match=r"dense\.kernel"):
        nf.check_gradients(net, x, x, Wrong(), raise_on_failure=True)
    assert nf.check_gradients(net, x, x, "mse", max_elements=2).evaluations == 8


LOSSES = [
    *(("identity", name, nf.losses.get(name)) for name in ("mse", "half_squared_error", "mae", "sum_absolute_error")),
    ("identity", "huber", nf.losses.Huber(0.5)),
    ("sigmoid", "binary_cross_entropy", nf.losses.BinaryCrossEntropy()),
    ("identity", "binary_cross_entropy from logits", nf.losses.BinaryCrossEntropy(from_logits=True)),
    ("softmax", "cross_entropy", nf.losses.CrossEntropy()),
    ("softmax", "cross_entropy smoothed", nf.losses.CrossEntropy(label_smoothing=0.2)),
    ("identity", "cross_entropy from logits", nf.losses.CrossEntropy(from_logits=True, label_smoothing=0.1)),
]


@pytest.mark.parametrize(("activation", "name", "loss"), LOSSES, ids=[name for _, name, _ in LOSSES])
def test_gradients_of_every_loss(activation: str, name: str, loss: nf.losses.Loss, rng: np.random.Generator) -> None:
    x, target = rng.normal(size=(4, 3)), rng.uniform(0.1, 0.9, size=(4, 3))
    net = nf.Network([layers.Input((3,)), layers.Dense(5, "tanh"), layers.Dense(3, activation)], seed=2)
    assert nf.check_gradients(net, x, target, loss)
    if loss.targets == "classes":
        assert nf.check_gradients(net, x, rng.integers(0, 3, size=4), loss)


def test_losses_cover_all_names() -> None:
    assert {loss.name for _, _, loss in LOSSES} == set(nf.losses.NAMES)


def test_a_custom_layer_with_several_inputs(rng: np.random.Generator) -> None:
    class Difference(layers.CustomLayer):
        def output_shape(self, input_shape: list[tuple[int, ...]]) -> tuple[int, ...]:
            return input_shape[0]

        def forward(self, inputs: list[Array], output: Array, parameters: dict[str, Array], training: bool) -> None:
            np.subtract(inputs[0], inputs[1], out=output)

        def backward(
            self,
            d_output: Array,
            d_inputs: list[Array],
            inputs: list[Array],
            output: Array,
            parameters: dict[str, Array],
            d_parameters: dict[str, Array],
        ) -> None:
            d_inputs[0][...] = d_output
            d_inputs[1][...] = -d_output

    x = layers.Input((3,))
    y = Difference()([layers.Dense(2)(x), layers.Dense(2)(x)])
    net = nf.Network(inputs=x, outputs=y, seed=0, dtype="float64")
    data = rng.normal(size=(4, 3))
    p = net.parameters
    np.testing.assert_allclose(net.predict(data), data @ (p["dense.kernel"] - p["dense_1.kernel"]), atol=1e-15)
    assert nf.check_gradients(net, data, np.ones((4, 2)), "mse")


def test_an_exception_in_a_custom_layer_leaves_the_network(rng: np.random.Generator) -> None:
    class Fails(layers.CustomLayer):
        def forward(self, inputs: list[Array], output: Array, parameters: dict[str, Array], training: bool) -> None:
            raise LookupError("on purpose")

    net = nf.Network([layers.Input((2,)), layers.Dense(2), Fails(), layers.Dense(1)], seed=0)
    before = net.get_weights()
    with pytest.raises(LookupError, match="on purpose"):
        net.predict(np.ones((1, 2)))
    with pytest.raises(LookupError, match="on purpose"):
        nf.Trainer(net, loss="mse").train_on_batch(np.ones((1, 2)), np.ones((1, 1)))
    assert all(np.array_equal(a, b) for a, b in zip(before, net.get_weights(), strict=True))


def test_the_command_line_tells_what_it_runs_on() -> None:
    run = subprocess.run([sys.executable, "-m", "nnfast", "info"], capture_output=True, text=True, check=True)
    assert nf.__version__ in run.stdout
    assert "instruction set" in run.stdout
    run = subprocess.run([sys.executable, "-m", "nnfast", "--version"], capture_output=True, text=True, check=True)
    assert run.stdout == f"nnfast {nf.__version__}\n"


def test_the_configuration_is_printed_or_returned(capsys: pytest.CaptureFixture[str]) -> None:
    facts = nf.show_config("dicts")
    assert facts is not None
    assert capsys.readouterr().out == ""
    assert nf.show_config() is None
    lines = capsys.readouterr().out.splitlines()
    assert [line.rstrip() for line in lines] == [f"{name:<16} {value}".rstrip() for name, value in facts.items()]
    with pytest.raises(ValueError, match='show_config: expected mode "stdout" or "dicts", got \'json\''):
        nf.show_config("json")  # type: ignore[arg-type]


def test_public_names_are_there() -> None:
    for name in nf.__all__:
        assert getattr(nf, name) is not None
    assert set(nf.__all__) <= set(dir(nf))
    with pytest.raises(AttributeError, match="nothing"):
        _ = nf.nothing


def test_threads_can_be_set(threads: None) -> None:
    nf.set_num_threads(2)
    assert nf.get_num_threads() == 2
    with pytest.raises(ValueError, match="n >= 1"):
        nf.set_num_threads(0)
    with pytest.raises(TypeError, match="integer"):
        nf.set_num_threads(1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {"layers": [layers.Reshape((3,))]},
        {"layers": [layers.Dense(3, kernel_initializer=np.ones((5, 5)))]},
        {"dtype": "float16"},
        {"seed": -1},
        {"layers": [layers.Input((4,))]},
    ],
    ids=["a shape that does not fit", "first values that do not fit", "dtype", "seed", "a second input"],
)
def test_layers_of_a_network_that_failed_serve_for_another(options: dict[str, Any]) -> None:
    """They are in no graph, and have no names that were given by the way."""
    chain = [layers.Input((4,)), layers.Dense(2), layers.Dense(2)]
    more = options.pop("layers", [])
    with pytest.raises(ValueError):  # noqa: PT011  each has its own text
        nf.Network([*chain, *more], **options)
    assert [layer.name for layer in chain] == [None, None, None]
    assert list(nf.Network(chain[::2]).parameters) == ["dense.kernel", "dense.bias"]
    assert list(nf.Network([layers.Input((4,)), chain[1]]).parameters) == ["dense.kernel", "dense.bias"]
