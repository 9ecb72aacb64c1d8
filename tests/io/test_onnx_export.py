"""Exported networks: ONNX's checker passes, ONNX Runtime gives what `predict` gives, and the metadata restore all."""

import itertools
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from layer_table import ROWS, Row, Scale, network  # noqa: E402
from onnx_runs import exported, largest_error, outputs  # noqa: E402
from small_networks import randomize, same  # noqa: E402

import nnfast as nf  # noqa: E402
from nnfast import _core, layers, models  # noqa: E402
from nnfast.io.onnx.converters import CONVERTERS, REFUSED  # noqa: E402
from nnfast.io.onnx.export import model_of  # noqa: E402
from nnfast.io.onnx.messages import ModelProto, StringStringEntryProto  # noqa: E402
from nnfast.io.onnx.origin import network_of  # noqa: E402

EXPORTED = {name: row for name, row in ROWS.items() if name != "CustomLayer"}
every_row = pytest.mark.parametrize("row", EXPORTED.values(), ids=EXPORTED)
S = {"sequence_length": 8, "depth": 2, "width": 16, "heads": 2, "seed": 0}
IMAGES = {"input_shape": (33, 32, 3), "classes": 10, "seed": 0}

MODELS: dict[str, Callable[[], nf.Network]] = {
    "lenet5": lambda: models.lenet5(seed=0),
    "mnist_convnet": lambda: models.mnist_convnet(seed=0),
    "resnet_cifar": lambda: models.resnet_cifar(8, seed=0),
    "resnet_cifar, projections": lambda: models.resnet_cifar(8, shortcut="projection", seed=0),
    "resnet": lambda: models.resnet(18, **IMAGES),
    "googlenet": lambda: models.googlenet(**IMAGES),
    "char_lstm": lambda: models.char_lstm(11, 8, seed=0),
    "transformer": lambda: models.transformer(11, **S),
    "transformer, rotary": lambda: models.transformer(
        11, **S, positions="rotary", normalization="rms", activation="swiglu", key_value_heads=1
    ),
    "transformer, sine": lambda: models.transformer(11, **S, positions="sine", tied=False, use_bias=False),
    "transformer, classes": lambda: models.transformer(11, **S, causal=False, classes=3),
    "transformer, padded": lambda: models.transformer(11, **S, mask_zero=True),
    "transformer_seq2seq": lambda: models.transformer_seq2seq(11, 13, 6, 7, depth=2, width=16, heads=2, seed=0),
    "autoencoder": lambda: models.autoencoder(12, 3, (7, 5), seed=0),
    "autoencoder, tied": lambda: models.autoencoder(12, 3, (7, 5), tied=True, seed=0),
    "autoencoder, convolutional": lambda: models.autoencoder((7, 5, 2), 3, (6,), (4, 5), seed=0),
    "autoencoder, sequences": lambda: models.autoencoder((11, 1), 3, (6,), (4, 5), seed=0),
    "variational_autoencoder": lambda: models.variational_autoencoder((7, 5, 2), 2, (), (4,), seed=0),
}
ONLY_IMAGES_TRANSPOSED = {"lenet5", "mnist_convnet", "resnet_cifar, projections", "resnet", "googlenet"}
LARGE = {"resnet", "googlenet"}


def data_for(net: nf.Network, rng: np.random.Generator, rows: int = 3) -> Any:
    """Rows for each input: token ids, or bytes as floats for images."""
    made = []
    for name, shape in zip(net.architecture.inputs.names, net._input_shapes, strict=True):
        layer: Any = net.architecture.by_name[name]
        whole = rng.integers(0, 256 if len(shape) == 3 else 11, (rows, *shape))
        made.append(
            whole.astype(layer.dtype or net.dtype)
            if layer.dtype or len(shape) == 3
            else rng.normal(size=(rows, *shape)).astype(net.dtype)
        )
    return net.architecture.inputs.arrange(made)


# ---- layers and models -----------------------------------------------------------


def test_every_kind_of_node_is_converted_or_refused() -> None:
    assert not set(CONVERTERS) & set(REFUSED)
    inputs = {"input", "integer_input"}
    assert set(CONVERTERS) | set(REFUSED) | inputs == set(_core.op_names())


@every_row
@pytest.mark.parametrize("opset", [17, pytest.param(23, marks=pytest.mark.slow)])
def test_layers(row: Row, opset: int, rng: np.random.Generator) -> None:
    net = network(row, "float32")
    x = row.data(rng, 7, "float32")
    assert largest_error(net, x.astype("int32") if row.vocabulary else x, opset=opset) < 1e-5


@every_row
def test_layers_in_double_precision(row: Row, rng: np.random.Generator) -> None:
    net = network(row)
    x = row.data(rng, 3)
    # Attributes of ONNX are float32: the slope of a leaky ReLU is off by 1e-8.
    assert largest_error(net, x.astype("int32") if row.vocabulary else x) < 1e-6


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in LARGE else n for n in MODELS])
def test_models(name: str, rng: np.random.Generator) -> None:
    net = MODELS[name]()
    if name not in LARGE:  # at random, their activations overflow
        randomize(net, rng)
    x = data_for(net, rng)
    for layout, images in (("NHWC", 1), ("NCHW", 0)):
        model = exported(net, input_layout=layout, output_layout=layout)
        assert largest_error(net, x, model, input_layout=layout, output_layout=layout) < 1e-5
        if name in ONLY_IMAGES_TRANSPOSED:
            assert Counter(node.op_type for node in model.graph.node)["Transpose"] == images


def test_every_model_is_tested() -> None:
    blocks = {name for name in models.__all__ if name.endswith("_block") or name == "convolution"}
    assert {name.partition(",")[0] for name in MODELS} == set(models.__all__) - blocks


# ---- inputs and outputs ----------------------------------------------------------


def test_bytes_go_in_as_they_are(rng: np.random.Generator) -> None:
    net = models.lenet5(seed=0)
    x = rng.integers(0, 256, (4, 28, 28, 1), np.uint8)
    model = exported(net, input_dtype="uint8", input_layout="NCHW")
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    (y,) = outputs(model, [np.moveaxis(x, -1, 1)])
    np.testing.assert_allclose(y, net.predict(x), atol=1e-6)


def test_names_and_sizes() -> None:
    a, b = layers.Input((3,), name="a"), layers.Input((4, 5, 2), name="b")
    y = layers.Dense(2, name="y")(a)
    z = layers.Conv2D(3, 2, name="z")(b)
    net = nf.Network(inputs={"a": a, "b": b}, outputs={"y": y, "z": z, "same": layers.Dropout(0.5)(y), "a": a}, seed=0)

    def sizes(values: Any) -> dict[str, list[Any]]:
        return {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}

    graph = exported(net).graph
    assert sizes(graph.input) == {"a": ["N", 3], "b": ["N", 4, 5, 2]}
    assert list(sizes(graph.output).items())[:2] == [("y", ["N", 2]), ("z", ["N", 3, 4, 3])]
    assert len(sizes(graph.output)) == 4
    graph = exported(net, input_layout="NCHW", output_layout="NCHW").graph
    assert sizes(graph.input) == {"a": ["N", 3], "b": ["N", 2, 4, 5]}
    assert sizes(graph.output)["z"] == ["N", 3, 3, 4]
    rng = np.random.default_rng(0)
    x = {"a": rng.normal(size=(2, 3)).astype("f4"), "b": rng.normal(size=(2, 4, 5, 2)).astype("f4")}
    for layout in ("NHWC", "NCHW"):
        assert largest_error(net, x, input_layout=layout, output_layout=layout) < 1e-6


def test_keys_are_names(rng: np.random.Generator) -> None:
    a, b = layers.Input((3,), name="first"), layers.Input((2,), dtype="int32", name="second")
    made = layers.Dense(2, name="made")(a)
    total = made + layers.Flatten()(layers.Embedding(5, 1)(b))
    ends = {
        "made": total,
        "x": made,
        "first": layers.ReLU(name="last")(total),
    }  # names of other layers, and of an input
    net = nf.Network(inputs={"x": a, "ids": b}, outputs=ends, seed=0)
    model = exported(net)
    assert [value.name for value in model.graph.input] == ["x", "ids"]
    assert [value.name for value in model.graph.output] == ["made", "x_2", "first"]
    x = {"x": rng.standard_normal((4, 3)).astype(np.float32), "ids": rng.integers(0, 5, (4, 2)).astype(np.int32)}
    for got, wanted in zip(outputs(model, [*x.values()]), net.predict(x).values(), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-6)


def fourth_powers(weights: Any) -> Any:
    return nf.ops.sum(weights**4)


def test_what_only_training_needs_is_left_out(rng: np.random.Generator) -> None:
    x = layers.Input((5,))
    h = layers.Dense(4, activity_regularizer="l2", kernel_regularizer=fourth_powers)(x)
    h = layers.GaussianNoise(0.5)(layers.Dropout(0.5)(h))
    net = nf.Network(inputs=x, outputs=layers.Dense(2)(h), seed=0)
    assert [node.op_type for node in exported(net).graph.node] == ["Gemm", "Gemm"]
    assert largest_error(net, rng.normal(size=(3, 5)).astype("f4")) < 1e-6


def test_any_number_of_rows(rng: np.random.Generator) -> None:
    net = models.transformer(11, **S, causal=False, classes=3)
    model = exported(net)
    for rows in (1, 2, 17):
        x = rng.integers(0, 11, (rows, 8)).astype("int32")
        np.testing.assert_allclose(outputs(model, [x])[0], net.predict(x), atol=1e-6)


# ---- recurrent layers ------------------------------------------------------------

CELLS = {
    "SimpleRNN": [{}],
    "LSTM": [{}],
    "GRU": [{"reset_after": True}, {"reset_after": False}],
}
FUNCTIONS = ["relu", "hard_sigmoid", "elu", "leaky_relu", "softsign", "softplus", "identity", "gelu", "selu"]
WAYS = list(itertools.product((False, True), repeat=3))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_layers(cell: str, masked: bool, rng: np.random.Generator) -> None:
    """Directions, outputs, states and biases; with a mask of any steps, as a Scan."""
    x = rng.normal(size=(4, 5, 3)).astype("f4")
    x[0, 3:] = x[1, :2] = x[2, 1] = x[3] = 9
    for options in CELLS[cell]:
        for backwards, sequences, use_bias in WAYS:
            inputs = layers.Input((5, 3))
            h = layers.Masking(9.0)(inputs) if masked else inputs
            made = getattr(layers, cell)(
                4,
                go_backwards=backwards,
                return_sequences=sequences,
                return_state=True,
                use_bias=use_bias,
                **options,
            )(h)
            y, *states = made
            again = getattr(layers, cell)(4, return_sequences=True)(
                layers.RepeatVector(3)(states[0]), initial_state=states
            )
            net = nf.Network(inputs=inputs, outputs=[y, *states, again], seed=0)
            randomize(net, rng)
            assert largest_error(net, x) < 1e-5
            operators = Counter(node.op_type for node in exported(net).graph.node)
            assert operators["Scan"] == int(masked)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_activations_of_recurrent_layers(cell: str, function: str, rng: np.random.Generator) -> None:
    options = {} if cell == "SimpleRNN" else {"recurrent_activation": function}
    chain = [layers.Input((5, 3)), getattr(layers, cell)(4, function, **options)]
    net = nf.Network(chain, seed=0)
    assert largest_error(net, (rng.normal(size=(4, 5, 3)) / 4).astype("f4")) < 1e-5


def test_both_directions_in_order(rng: np.random.Generator) -> None:
    for masked in (False, True):
        inputs = layers.Input((5, 3))
        h = layers.Masking(9.0)(inputs) if masked else inputs
        y = layers.Bidirectional(layers.GRU(4, return_sequences=True))(h)
        net = randomize(nf.Network(inputs=inputs, outputs=layers.LSTM(3)(y), seed=0), rng)
        x = rng.normal(size=(4, 5, 3)).astype("f4")
        x[0, 3:] = x[1, 1] = 9
        assert largest_error(net, x) < 1e-5


def test_states_that_training_keeps_are_saved_but_not_used(rng: np.random.Generator) -> None:
    net = nf.Network([layers.Input((5, 3)), layers.LSTM(4, stateful=2, name="lstm")], seed=0)
    randomize(net, rng)
    assert largest_error(net, rng.normal(size=(3, 5, 3)).astype("f4")) < 1e-5
    assert "lstm.h" in {tensor.name for tensor in exported(net).graph.initializer}


def test_layers_in_a_row_need_no_transposition_between() -> None:
    chain = [layers.Input((5, 3)), *(layers.LSTM(4, return_sequences=True) for _ in range(3)), layers.GRU(2)]
    operators = Counter(node.op_type for node in exported(nf.Network(chain, seed=0)).graph.node)
    assert operators["Transpose"] == 1


# ---- masks and attention ---------------------------------------------------------


@pytest.mark.parametrize("groups", [4, 2, 1])
@pytest.mark.parametrize("causal", [False, True])
def test_attention_with_masks(groups: int, causal: bool, rng: np.random.Generator) -> None:
    """Of tokens of which some, or all, are padding; with more queries than keys."""
    words, others = layers.Input((6,), dtype="int32"), layers.Input((4,), dtype="int32")
    embedded = layers.Embedding(9, 8, mask_zero=True)
    q, k = embedded(words), embedded(others)
    attention = layers.GroupQueryAttention(3, 4, groups, causal=causal)
    pooled = layers.GlobalAvgPool1D()(attention([q, k]))
    net = nf.Network(inputs=[words, others], outputs=[pooled, attention([k, q])], seed=0)
    randomize(net, rng)
    tokens = [rng.integers(0, 9, (5, size)).astype("int32") for size in (6, 4)]
    tokens[0][0], tokens[1][0], tokens[1][1] = 0, [0, 0, 1, 2], 0
    assert largest_error(net, tokens) < 1e-5


# ---- what is refused -------------------------------------------------------------


def test_refusals_name_layer_and_reason() -> None:
    net = nf.Network([layers.Input((3,)), Scale(2.0, name="mine")], seed=0)
    with pytest.raises(ValueError, match=r"got 'mine' \(callback\): it is written in Python; write it with nf.ops"):
        model_of(net)
    x = layers.Input((3,))
    net = nf.Network(inputs=x, outputs=x + nf.ops.random_normal((3,)), seed=0)
    with pytest.raises(ValueError, match="ONNX has no generator of the same random numbers"):
        model_of(net)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"opset": 16}, "opset"),
        ({"opset": 99}, "expected an opset from 17 to 23, got 99"),
        ({"input_layout": "NWHC"}, 'expected "NHWC" or "NCHW" as input_layout, got \'NWHC\''),
        ({"output_layout": "x"}, "as output_layout"),
        ({"input_dtype": "int8"}, 'expected None, "uint8" or "float32" as input_dtype, got \'int8\''),
    ],
)
def test_bad_options(options: dict[str, Any], text: str, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"as before")
    with pytest.raises(ValueError, match=text):
        models.lenet5(seed=0).export_onnx(path, **options)
    assert path.read_bytes() == b"as before"


# ---- files -----------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in MODELS if name not in LARGE])
def test_metadata_restore_the_network(name: str, rng: np.random.Generator, tmp_path: Path) -> None:
    """With all bits, and what is frozen."""
    net = randomize(MODELS[name](), rng)
    net.freeze(net.trainable[0])
    net.export_onnx(tmp_path / "net.onnx", 18, "NCHW")
    again = network_of(ModelProto.parse((tmp_path / "net.onnx").read_bytes()), {})
    assert again is not None
    assert same(again, net)
    assert (again.frozen, again.seed, again.name) == (net.frozen, net.seed, net.name)
    assert again.architecture.describe() == net.architecture.describe()


def small_model() -> ModelProto:
    chain = [layers.Input((5, 4)), layers.Conv1D(3, 2), layers.LSTM(3), layers.Dense(2)]
    return ModelProto.parse(model_of(nf.Network(chain, seed=0)).serialize())


def test_changed_graphs_are_not_the_network() -> None:
    """Nor are files of others."""
    model = small_model()
    assert network_of(model, {}) is not None
    assert model.graph is not None
    model.graph.node[-1].attribute = []
    model.graph.node[-1].op_type = "MatMul"
    assert network_of(model, {}) is None
    model = small_model()
    model.graph.initializer = model.graph.initializer[1:]
    assert network_of(model, {}) is None
    model.metadata_props = []
    assert network_of(model, {}) is None


def test_changed_weights_are_taken_over() -> None:
    model = small_model()
    assert model.graph is not None
    (kernel,) = (tensor for tensor in model.graph.initializer if tensor.name == "dense.kernel")
    kernel.raw_data = np.arange(6, dtype="<f4").tobytes()
    net = network_of(model, {})
    assert net is not None
    assert net.parameters["dense.kernel"].tolist() == [[0, 1], [2, 3], [4, 5]]


def edited(value: Any, rng: np.random.Generator) -> Any:
    """A value of JSON with one part of it replaced."""
    if isinstance(value, dict) and value and rng.random() < 0.95:
        key = str(rng.choice(list(value)))
        return {**value, key: edited(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        place = int(rng.integers(len(value)))
        return [edited(item, rng) if i == place else item for i, item in enumerate(value)]
    odd = [-1, 0, 3, 2**31, 2**62, 1.5, None, "take", "", [], [1], [-1, 2], [2**40], {}, True, [["zeros", 0, 2**40]]]
    return odd[int(rng.integers(len(odd)))]


def test_damaged_metadata(rng: np.random.Generator) -> None:
    model = small_model()
    texts = {entry.key: entry.value for entry in model.metadata_props}
    outcomes = Counter[str]()
    for _ in range(300):
        key = str(rng.choice(list(texts)))
        changed = texts | {key: json.dumps(edited(json.loads(texts[key]), rng))}
        model.metadata_props = [StringStringEntryProto(key=k, value=v) for k, v in changed.items()]
        outcomes[outcome(model)] += 1
    assert outcomes["refused"] > 100
    assert set(outcomes) <= {"refused", "None", "Network"}


def outcome(model: ModelProto) -> str:
    try:
        return type(network_of(model, {})).__name__.removesuffix("Type")
    except ValueError:
        return "refused"


def test_equal_networks_give_equal_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        models.lenet5(seed=0).export_onnx(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
