"""Networks from ONNX files: the same answers as ONNX Runtime, and further training.

onnx_models.zip has small models that PyTorch (both exporters) and skl2onnx wrote; tools/onnx_models.py makes it.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast.core.typing import Array

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx_graphs import answers, assert_close, model_of, predicted  # noqa: E402

with zipfile.ZipFile(Path(__file__).with_name("onnx_models.zip")) as _archive:
    MODELS = {Path(name).stem: _archive.read(name) for name in _archive.namelist()}
LIGHT = sorted((Path(onnx.__file__).parent / "backend/test/data/light").glob("*.onnx"))


def first_input(model: bytes) -> tuple[str, list[Any], bool]:
    """Name, shape and whether it is one of integers."""
    value = onnx.load_from_string(model).graph.input[0]
    shape = [dim.dim_value or None for dim in value.type.tensor_type.shape.dim]
    return value.name, shape, value.type.tensor_type.elem_type == TensorProto.INT64


def some_rows(model: bytes, rows: int = 3) -> tuple[str, Array]:
    """The name of the input, and random numbers for it."""
    name, shape, whole = first_input(model)
    rng = np.random.default_rng(1)
    full = [rows if size is None else size for size in shape]
    return name, rng.integers(0, 11, full) if whole else rng.standard_normal(full).astype(np.float32)


# ---- models of exporters ---------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in MODELS if not name.startswith("skl_")])
def test_predicts_what_onnx_runtime_does(name: str) -> None:
    model = MODELS[name]
    entry, x = some_rows(model)
    net = nf.from_onnx(model)
    rows = np.moveaxis(x, 1, 0) if "gru_seqfirst" in name else x
    assert_close(predicted(net, rows), answers(model, {entry: x}))
    assert len(net.trainable) >= 4


@pytest.mark.parametrize("name", [name for name in MODELS if name.endswith("-b1")])
def test_a_graph_for_a_batch_of_one_treats_each_row_by_itself(name: str) -> None:
    model = MODELS[name]
    entry, _ = some_rows(model)
    _, x = some_rows(MODELS[name.replace("-b1", "-dyn")], 5)
    single = [answers(model, {entry: row[None]}) for row in x]
    wanted = [np.concatenate(parts) for parts in zip(*single, strict=True)]
    assert_close(predicted(nf.from_onnx(model), x), wanted)


@pytest.mark.parametrize("name", ["lenet-ts-dyn", "resnet-dynamo-dyn", "gru-ts-dyn", "encoder-ts-dyn", "unet-ts-dyn"])
def test_is_trained_further(name: str) -> None:
    _, x = some_rows(MODELS[name], 8)
    net = nf.from_onnx(MODELS[name])
    before = {key: value.copy() for key, value in net.parameters.items()}
    target = np.zeros((8, *net.output_shape), np.float32)
    history = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.Adam(3e-3)).fit(x, target, epochs=4, progress=False)
    assert history["loss"][-1] < history["loss"][0]
    for key in net.trainable:
        assert not np.array_equal(before[key], net.parameters[key]), key


@pytest.mark.parametrize("name", ["resnet-ts-dyn", "causal-dynamo-dyn", "lstm-ts-dyn", "misc-ts-dyn"])
def test_is_saved_and_loaded(name: str, tmp_path: Path) -> None:
    _, x = some_rows(MODELS[name])
    net = nf.from_onnx(MODELS[name])
    net.save(tmp_path / "net.safetensors")
    again = nf.Network.load(tmp_path / "net.safetensors")
    for a, b in zip(predicted(net, x), predicted(again, x), strict=True):
        np.testing.assert_array_equal(a, b)


def test_layers_are_named_after_the_weights() -> None:
    names = set(nf.from_onnx(MODELS["lenet-ts-dyn"]).parameters)
    assert {"0.kernel", "0.bias", "7.kernel", "9.bias"} <= names


def test_images_need_no_transposition_but_at_the_entrance() -> None:
    for name, count in (("resnet-ts-dyn", 1), ("unet-ts-dyn", 2)):
        kinds = [layer.kind for layer in nf.from_onnx(MODELS[name]).layers if isinstance(layer, nf.layers.Operation)]
        assert kinds.count("transpose") == count
        last = [
            layer.kind
            for layer in nf.from_onnx(MODELS[name], input_layout="NHWC").layers
            if isinstance(layer, nf.layers.Operation)
        ]
        assert "transpose" not in last


def test_channels_last() -> None:
    _, x = some_rows(MODELS["unet-ts-dyn"])
    wanted = nf.from_onnx(MODELS["unet-ts-dyn"]).predict(x)
    got = nf.from_onnx(MODELS["unet-ts-dyn"], input_layout="NHWC").predict(np.moveaxis(x, 1, -1))
    np.testing.assert_array_equal(np.moveaxis(got, -1, 1), wanted)


# ---- scikit-learn ----------------------------------------------------------------


def test_probabilities_and_labels_of_scikit_learn() -> None:
    _, x = some_rows(MODELS["skl_classifier"], 20)
    y = nf.from_onnx(MODELS["skl_classifier"]).predict(x)
    labels, maps = answers(MODELS["skl_classifier"], {"X": x})
    assert list(y) == ["output_label", "output_probability"]
    np.testing.assert_array_equal(y["output_label"], labels)
    np.testing.assert_allclose(y["output_probability"], [list(row.values()) for row in maps], atol=1e-6)


@pytest.mark.parametrize("name", ["skl_binary", "skl_regressor"])
def test_other_models_of_scikit_learn(name: str) -> None:
    _, x = some_rows(MODELS[name], 20)
    assert_close(predicted(nf.from_onnx(MODELS[name]), x), answers(MODELS[name], {"X": x}))


def test_labels_that_are_texts_are_refused_and_can_be_left_out() -> None:
    with pytest.raises(ValueError, match=r"'ArrayFeatureExtractor' \(ai.onnx.ml.ArrayFeatureExtractor\).*outputs="):
        nf.from_onnx(MODELS["skl_strings"])
    net = nf.from_onnx(MODELS["skl_strings"], outputs="output_probability")
    _, x = some_rows(MODELS["skl_strings"])
    maps = answers(MODELS["skl_strings"], {"X": x})[1]
    np.testing.assert_allclose(net.predict(x), [list(row.values()) for row in maps], atol=1e-6)


# ---- the graphs that onnx has ----------------------------------------------------


def with_random_weights(path: Path) -> bytes:
    """The graph with random weights in place of the file's, which are constants."""
    model = onnx.load(path)
    shapes = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    rng = np.random.default_rng(0)
    positive = {node.input[4] for node in model.graph.node if node.op_type == "BatchNormalization"}
    kept = []
    for node in model.graph.node:
        if node.op_type != "ConstantOfShape":
            kept.append(node)
            continue
        shape = shapes[node.input[0]]
        fan = np.prod(shape[1:]) if len(shape) > 1 else 100
        values = rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / fan))
        name = node.output[0]
        values = np.abs(values) + np.float32(0.5) if name in positive else values
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    del model.graph.node[:]
    model.graph.node.extend(kept)
    data: bytes = model.SerializeToString()
    return data


@pytest.mark.parametrize(
    "path",
    [path for path in LIGHT if "squeezenet" in path.name or "shufflenet" in path.name],
    ids=lambda path: path.stem,
)
def test_graphs_of_imagenet(path: Path) -> None:
    _compare(path)


@pytest.mark.slow
@pytest.mark.parametrize("path", LIGHT, ids=lambda path: path.stem)
def test_all_graphs_of_imagenet(path: Path) -> None:
    _compare(path)


def _compare(path: Path) -> None:
    model = with_random_weights(path)
    x = np.random.default_rng(2).standard_normal((2, 3, 224, 224), np.float32)
    net = nf.from_onnx(model)
    entry = next(value.name for value in onnx.load(path).graph.input if value.name.endswith("data_0"))
    wanted = np.concatenate([answers(model, {entry: row[None]})[0] for row in x])
    got = net.predict(x)
    assert got.shape == wanted.shape
    # Probabilities: absolute errors of what goes into softmax are relative ones of what comes out.
    np.testing.assert_allclose(got, wanted, rtol=2e-3, atol=1e-6)


# ---- patterns --------------------------------------------------------------------


def test_a_graph_of_tensorflow() -> None:
    """tf2onnx writes channels last, and transposes around each convolution."""
    rng = np.random.default_rng(0)
    weights = {
        "conv/kernel": rng.standard_normal((4, 3, 3, 3), np.float32),
        "conv/bias": rng.standard_normal(4, np.float32),
        "dense/kernel": rng.standard_normal((64, 5), np.float32),
        "dense/bias": rng.standard_normal(5, np.float32),
        "shape": np.array([-1, 64]),
    }
    nodes = [
        helper.make_node("Transpose", ["x"], ["a"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["a", "conv/kernel", "conv/bias"], ["b"], strides=[2, 2], auto_pad="SAME_UPPER"),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Transpose", ["c"], ["d"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["d", "shape"], ["e"]),
        helper.make_node("MatMul", ["e", "dense/kernel"], ["f"]),
        helper.make_node("Add", ["f", "dense/bias"], ["g"]),
        helper.make_node("Softmax", ["g"], ["y"], axis=-1),
    ]
    model = model_of(nodes, {"x": ["N", 8, 8, 3]}, ["y"], weights)
    net = nf.from_onnx(model)
    x = rng.standard_normal((3, 8, 8, 3), np.float32)
    assert_close([net.predict(x)], answers(model, {"x": x}))
    assert [type(layer).__name__ for layer in net.layers] == [
        "Input",
        "Conv2D",
        "ReLU",
        "Operation",
        "Dense",
        "Softmax",
    ]
    assert list(net.parameters) == ["conv.kernel", "conv.bias", "dense.kernel", "dense.bias"]


def test_a_bidirectional_lstm_of_tensorflow() -> None:
    """tf2onnx gives it states: zeros for each row, once for each direction."""
    rng = np.random.default_rng(0)
    weights: dict[str, Any] = {
        "W": rng.standard_normal((2, 12, 4), np.float32),
        "R": rng.standard_normal((2, 12, 3), np.float32),
        "B": rng.standard_normal((2, 24), np.float32),
        "zero": np.array(0, np.float32),
        "units": np.array([3], np.int32),
        "first": np.array([0]),
        "second": np.array([1]),
        "third": np.array([2]),
    }
    nodes = [
        helper.make_node("Transpose", ["x"], ["steps"], perm=[1, 0, 2]),
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Cast", ["shape"], ["sizes"], to=TensorProto.INT32),
        helper.make_node("Slice", ["sizes", "first", "second", "first"], ["rows"]),
        helper.make_node("Concat", ["rows", "units"], ["packed"], axis=0),
        helper.make_node("Cast", ["packed"], ["full"], to=TensorProto.INT64),
        helper.make_node("Expand", ["zero", "full"], ["zeros"]),
        helper.make_node("Unsqueeze", ["zeros", "first"], ["state"]),
        helper.make_node("Concat", ["state", "state"], ["states"], axis=0),
        helper.make_node(
            *("LSTM", ["steps", "W", "R", "B", "", "states", "states"], ["", "last"]),
            hidden_size=3,
            direction="bidirectional",
            activations=["Sigmoid", "Tanh", "Tanh"] * 2,
        ),
        helper.make_node("Slice", ["last", "first", "second", "first"], ["forward"]),
        helper.make_node("Squeeze", ["forward", "first"], ["a"]),
        helper.make_node("Slice", ["last", "second", "third", "first"], ["backward"]),
        helper.make_node("Squeeze", ["backward", "first"], ["b"]),
        helper.make_node("Concat", ["a", "b"], ["y"], axis=1),
    ]
    model = model_of(nodes, {"x": ["N", 5, 4]}, ["y"], weights)
    x = rng.standard_normal((3, 5, 4), np.float32)
    assert_close([nf.from_onnx(model).predict(x)], answers(model, {"x": x}))


def test_sizes_of_repeated_constants_side_by_side() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["sizes"], end=2),
        helper.make_node("Expand", ["zero", "sizes"], ["zeros"]),
        helper.make_node("Concat", ["zeros", "zeros"], ["joined"], axis=1),
        helper.make_node("Shape", ["joined"], ["shape"]),
        helper.make_node("Reshape", ["x", "shape"], ["y"]),
    ]
    net = nf.from_onnx(model_of(nodes, {"x": ["N", 3, 2]}, ["y"], {"zero": np.zeros((1, 1), np.float32)}))
    assert net.output_shape == (6,)


def test_pooling_of_jax() -> None:
    """jax2onnx pools (1, 1, N, H, W, C) by windows of 1 along the batch; means are convolutions with ones."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Unsqueeze", ["x", "axes"], ["a"]),
        helper.make_node("MaxPool", ["a"], ["b"], kernel_shape=[1, 3, 2, 1], strides=[1, 2, 2, 1]),
        helper.make_node("Conv", ["b", "ones"], ["c"], strides=[1, 1, 2, 1]),
        helper.make_node("AveragePool", ["c"], ["d"], kernel_shape=[1, 2, 1, 1], pads=[0, 1, 0, 0, 0, 0, 0, 0]),
        helper.make_node("Squeeze", ["d", "axes"], ["y"]),
    ]
    weights = {"axes": np.array([0, 1]), "ones": np.ones((1, 1, 1, 2, 2, 1), np.float32)}
    x = rng.standard_normal((3, 9, 8, 4), np.float32)
    got = nf.from_onnx(model_of(nodes, {"x": ["N", 9, 8, 4]}, ["y"], weights)).predict(x)
    # ONNX Runtime has no windows over four axes.
    images = np.lib.stride_tricks.sliding_window_view(x, (3, 2), (1, 2))[:, ::2, ::2].max((-1, -2))
    sums = np.lib.stride_tricks.sliding_window_view(images, (2, 2), (1, 2))[:, :, ::2].sum((-1, -2))
    means = np.concatenate([sums[:, :1], (sums[:, 1:] + sums[:, :-1]) / 2], 1)
    np.testing.assert_allclose(got, means, rtol=1e-6, atol=1e-6)
    nodes[1].attribute[0].ints[0] = 2
    with pytest.raises(ValueError, match="axis 0 is not the batch"):
        nf.from_onnx(model_of(nodes, {"x": ["N", 9, 8, 4]}, ["y"], weights))


def test_a_choice_that_is_known() -> None:
    """jax2onnx guards divisions by NaN in place of what is not chosen."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Expand", ["nan", "shape"], ["nans"]),
        helper.make_node("Where", ["yes", "x", "nans"], ["a"]),
        helper.make_node("Where", ["no", "nans", "a"], ["b"]),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    weights = {"nan": np.array(np.nan, np.float32), "yes": np.array(True), "no": np.array([[False]])}
    x = np.float32([[1, -2], [3, 4]])
    net = nf.from_onnx(model_of(nodes, {"x": ["N", 2]}, ["y"], weights))
    np.testing.assert_array_equal(net.predict(x), [[1, 0], [3, 4]])


def test_rows_of_a_dense_layer_follow_the_order_in_which_images_are_held() -> None:
    rng = np.random.default_rng(0)
    weights = {"c": rng.standard_normal((4, 3, 1, 1), np.float32), "w": rng.standard_normal((5, 4 * 6 * 5), np.float32)}
    nodes = [
        helper.make_node("Conv", ["x", "c"], ["a"]),
        helper.make_node("Flatten", ["a"], ["b"]),
        helper.make_node("Gemm", ["b", "w"], ["y"], transB=1),
    ]
    model = model_of(nodes, {"x": ["N", 3, 6, 5]}, ["y"], weights)
    net = nf.from_onnx(model, input_layout="NHWC")
    x = rng.standard_normal((2, 3, 6, 5), np.float32)
    assert_close([net.predict(np.moveaxis(x, 1, -1))], answers(model, {"x": x}))
    assert "transpose" not in [
        layer.attributes.get("op", layer.kind) for layer in net.layers if isinstance(layer, nf.layers.Operation)
    ]


def test_shared_weights_are_one_parameter() -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("MatMul", ["a", "w"], ["y"])]
    net = nf.from_onnx(model_of(nodes, {"x": ["N", 2]}, ["y"], {"w": np.array([[1, 2], [3, 4]], np.float32)}))
    assert list(net.parameters) == ["w.kernel"]
    np.testing.assert_allclose(net.predict([[1.0, 0.0]]), [[7.0, 10.0]])


def test_several_inputs_and_outputs_go_by_name() -> None:
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Sub", ["a", "b"], ["difference"])]
    net = nf.from_onnx(model_of(nodes, {"a": ["N", 2], "b": ["N", 2]}, ["sum", "difference"], {}))
    y = net.predict({"b": [[1.0, 2.0]], "a": [[3.0, 5.0]]})
    assert {key: value.tolist() for key, value in y.items()} == {"sum": [[4.0, 7.0]], "difference": [[2.0, 3.0]]}


def test_tensors_in_other_files(tmp_path: Path) -> None:
    model = onnx.load_from_string(MODELS["mlp-ts-dyn"])
    onnx.save_model(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    _, x = some_rows(MODELS["mlp-ts-dyn"])
    np.testing.assert_array_equal(
        nf.from_onnx(tmp_path / "m.onnx").predict(x), nf.from_onnx(MODELS["mlp-ts-dyn"]).predict(x)
    )


# ---- what is refused -------------------------------------------------------------


def test_all_nodes_that_are_not_supported_are_named() -> None:
    nodes = [
        helper.make_node("StringNormalizer", ["x"], ["a"], name="first"),
        helper.make_node("MaxUnpool", ["x", "i"], ["b"], name="second", kernel_shape=[2, 2]),
        helper.make_node("Relu", ["x"], ["c"], name="fine"),
        helper.make_node("Concat", ["a", "b", "c"], ["y"], name="behind", axis=1),
    ]
    with pytest.raises(ValueError, match="2 nodes") as caught:
        nf.from_onnx(model_of(nodes, {"x": ["N", 2]}, ["y"], {"i": np.zeros((1, 2), np.int64)}))
    text = str(caught.value)
    assert "node 'first' (StringNormalizer)" in text
    assert "node 'second' (MaxUnpool)" in text
    assert "fine" not in text
    assert "behind" not in text


@pytest.mark.parametrize(
    ("node", "shape", "text"),
    [
        (helper.make_node("ReduceMean", ["x"], ["y"], axes=[0]), ["N", 4], "axis 0, which is the batch"),
        (helper.make_node("Softmax", ["x"], ["y"], axis=0), ["N", 4], "axis 0, which is the batch"),
        (helper.make_node("Concat", ["x", "x"], ["y"], axis=0), ["N", 4], "axis 0, which is the batch"),
        (helper.make_node("Transpose", ["x"], ["y"], perm=[0]), ["N", 4], "order of 2 axes"),
        (helper.make_node("Concat", ["x", "x"], ["y"], axis="1"), ["N", 4], "attribute axis"),
        (helper.make_node("Gemm", ["x", "x"], ["y"]), ["N", 4], "same K, got .N, 4. and .N, 4."),
        (helper.make_node("Relu", ["z"], ["y"]), ["N", 4], "'z'"),
        (helper.make_node("Relu", ["y"], ["y"]), ["N", 4], "cycle"),
        (helper.make_node("Relu", ["x"], ["y"]), ["N", "T"], "input_shapes"),
        (helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2]), [3, 4, 8, 8], None),
    ],
)
def test_refused(node: Any, shape: list[Any], text: str | None) -> None:
    model = model_of([node], {"x": shape}, ["y"], {})
    if text is None:
        assert nf.from_onnx(model).output_shape == (4, 7, 7)
        return
    with pytest.raises(ValueError, match=text):
        nf.from_onnx(model)


def test_open_sizes_are_given() -> None:
    model = model_of([helper.make_node("Relu", ["x"], ["y"])], {"x": ["N", "T"]}, ["y"], {})
    assert nf.from_onnx(model, input_shapes={"x": (None, 3)}).output_shape == (3,)


def test_sizes_that_would_take_all_memory() -> None:
    nodes = [helper.make_node("ConstantOfShape", ["s"], ["w"]), helper.make_node("MatMul", ["x", "w"], ["y"])]
    with pytest.raises(ValueError, match="at most"):
        nf.from_onnx(model_of(nodes, {"x": ["N", 4]}, ["y"], {"s": np.array([4, 1 << 40])}))


def test_a_file_that_nnfast_wrote_gives_the_same_network(tmp_path: Path) -> None:
    net = nf.models.lenet5(seed=4)
    net.freeze()
    net.export_onnx(tmp_path / "net.onnx", input_layout="NCHW")
    again = nf.from_onnx(tmp_path / "net.onnx")
    assert again.fingerprint() == net.fingerprint()
    assert (again.name, again.seed, again.trainable) == (net.name, 4, [])
    assert [repr(layer) for layer in again.layers] == [repr(layer) for layer in net.layers]
    other = nf.from_onnx(tmp_path / "net.onnx", dtype="float64", seed=5, name="other")
    assert (other.name, other.seed, other.dtype, other.trainable) == ("other", 5, "float64", [])
    # Told anything about its graph, or if another program has changed it, the graph decides.
    x = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)
    by_graph = nf.from_onnx(tmp_path / "net.onnx", batch_axis=0, input_layout="NHWC")
    assert [layer.place for layer in by_graph.layers] != [layer.place for layer in net.layers]
    np.testing.assert_allclose(by_graph.predict(x), net.predict(x), rtol=1e-5, atol=1e-6)
