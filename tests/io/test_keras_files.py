"""Files of Keras, read without Keras: a model that it has saved, files written with h5py, and damaged ones."""

import io
import json
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mutants import mutant

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

SMALL = Path(__file__).with_name("files") / "small.keras"
IMAGES = (np.arange(120).reshape(2, 6, 5, 2) % 7 / 8 - 0.4).astype("float32")
WORDS = np.array([[1, 2, 0, 3], [6, 5, 4, 1]])
# What Keras 3.15 predicts.
EXPECTED = (
    np.array([[-0.5858088, -0.13897091], [-0.600122, -0.16304171]]),
    np.array([[0.4618107, -0.37973338, -0.01415575, 0.60108584], [0.4854063, -0.37687504, -0.03857688, 0.6478647]]),
)


def test_a_model_of_keras() -> None:
    net = nf.from_keras(SMALL, seed=3)
    assert net.name.startswith("functional")
    assert net.seed == 3
    assert [entry.place for entry in net.layers if entry.place.startswith("base")] == ["base/one", "base/two"]
    for got, expected in zip(net.predict([IMAGES, WORDS]), EXPECTED, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    trainer = nf.Trainer(net, loss=["mse", "mse"])
    before = trainer.evaluate([IMAGES, WORDS], [np.zeros((2, 2)), np.zeros((2, 4))])["loss"]
    trainer.fit([IMAGES, WORDS], [np.zeros((2, 2)), np.zeros((2, 4))], epochs=3, progress=False)
    assert trainer.evaluate([IMAGES, WORDS], [np.zeros((2, 2)), np.zeros((2, 4))])["loss"] < before
    assert nf.from_keras(SMALL, dtype="float64").dtype == "float64"


def saved_with(path: Path, weights: dict[str, list[Array]], names: dict[str, str] | None = None) -> Path:
    """A file of weights as `Model.save_weights` writes it."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    with h5py.File(path, "w") as h5:
        for group, arrays in weights.items():
            place = h5.require_group(f"{group}/vars")
            place.attrs["name"] = (names or {}).get(group, group.rpartition("/")[2])
            for i, array in enumerate(arrays):
                place[str(i)] = array
    return path


def dense_arrays(rng: np.random.Generator, *sizes: int) -> list[list[Array]]:
    return [[rng.normal(size=(a, b)), rng.normal(size=b)] for a, b in pairwise(sizes)]


def two_layers() -> nf.Network:
    return nf.Network([layers.Input((4,)), layers.Dense(3, name="a"), layers.Dense(3, name="b")], seed=0)


def test_layers_are_found_by_order_within_their_class(tmp_path: Path, rng: np.random.Generator) -> None:
    first, second = dense_arrays(rng, 4, 3, 3)
    stored = {"layers/dense_10": second, "layers/dense_9": first, "layers/dropout": [], "optimizer": [np.ones(3)]}
    path = saved_with(tmp_path / "a.weights.h5", stored)
    net = two_layers()
    assert nf.io.load_keras_weights(net, path) == ["a.kernel", "a.bias", "b.kernel", "b.bias"]
    np.testing.assert_array_equal(net.parameters["a.kernel"], first[0].astype("float32"))
    np.testing.assert_array_equal(net.parameters["b.bias"], second[1].astype("float32"))


def test_layers_are_found_by_name(tmp_path: Path, rng: np.random.Generator) -> None:
    second, first = dense_arrays(rng, 3, 3, 3)
    stored = {"layers/dense": second, "layers/dense_1": first}
    path = saved_with(tmp_path / "a.weights.h5", stored, {"layers/dense": "b", "layers/dense_1": "a"})
    net = nf.Network([layers.Input((3,)), layers.Dense(3, name="a"), layers.Dense(3, name="b")], seed=0)
    nf.io.load_keras_weights(net, path)
    np.testing.assert_array_equal(net.parameters["b.kernel"], second[0].astype("float32"))
    # Or as the caller says.
    nf.io.load_keras_weights(net, path, names={"a": "b", "b": "a"})
    np.testing.assert_array_equal(net.parameters["a.kernel"], second[0].astype("float32"))


def test_what_does_not_fit_is_named_and_changes_nothing(tmp_path: Path, rng: np.random.Generator) -> None:
    net = two_layers()
    before = {name: view.copy() for name, view in net.parameters.items()}
    (only,) = dense_arrays(rng, 4, 3)
    path = saved_with(tmp_path / "a.weights.h5", {"layers/dense": only})
    with pytest.raises(ValueError, match=r"of the network: a, b; of the file: dense; pass names="):
        nf.io.load_keras_weights(net, path)
    assert nf.io.load_keras_weights(net, path, names={"a": "dense"}, skip_mismatch=True) == ["a.kernel", "a.bias"]
    net.set_state(before, ())
    with pytest.raises(
        ValueError, match=r"expected a layer of the file with weights, each once, got 'x'; it has dense"
    ):
        nf.io.load_keras_weights(net, path, names={"a": "x"})
    path = saved_with(tmp_path / "b.weights.h5", {"layers/dense": only, "layers/dense_1": only})
    with pytest.raises(ValueError, match=r"b.kernel: expected an array of shape \(3, 3\), got \(4, 3\)"):
        nf.io.load_keras_weights(net, path)
    only[1][2] = np.nan
    path = saved_with(
        tmp_path / "c.weights.h5", {"layers/dense": only, "layers/dense_1": [np.ones((3, 3)), np.ones(3)]}
    )
    with pytest.raises(ValueError, match=r"a.bias"):
        nf.io.load_keras_weights(net, path)
    assert all((net.parameters[name] == value).all() for name, value in before.items())
    with pytest.raises(ValueError, match=r"got weights alone; use nf.io.load_keras_weights"):
        nf.from_keras(path)


def test_legacy_files_are_read_in_their_order(tmp_path: Path, rng: np.random.Generator) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    first, second = dense_arrays(rng, 4, 3, 3)
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        h5.attrs["layer_names"] = [b"z", b"drop", b"y"]  # as Keras 2 writes them
        for name, arrays in (("z", first), ("drop", []), ("y", second)):
            group = h5.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{part}:0".encode() for part in ("kernel", "bias")[: len(arrays)]]
            for part, array in zip(("kernel", "bias"), arrays, strict=False):
                group[f"{name}/{part}:0"] = array
    net = two_layers()
    nf.io.load_keras_weights(net, tmp_path / "a.h5")
    np.testing.assert_array_equal(net.parameters["a.kernel"], first[0].astype("float32"))
    np.testing.assert_array_equal(net.parameters["b.kernel"], second[0].astype("float32"))


# ---- hostile files ---------------------------------------------------------------


def with_parts(path: Path, config: Any = None, weights: bytes | None = None, **options: Any) -> Path:
    """The small model with another description or other weights."""
    with zipfile.ZipFile(SMALL) as archive:
        parts = {name: archive.read(name) for name in ("config.json", "model.weights.h5")}
    if config is not None:
        parts["config.json"] = config if isinstance(config, bytes) else json.dumps(config).encode()
    if weights is not None:
        parts["model.weights.h5"] = weights
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def small_config() -> Any:
    with zipfile.ZipFile(SMALL) as archive:
        return json.loads(archive.read("config.json"))


def _changed(change: Callable[[Any], Any]) -> Any:
    config = small_config()
    change({entry["name"]: entry for entry in config["config"]["layers"]})
    return config


def _config(name: str, **options: Any) -> Any:
    return _changed(lambda by_name: by_name[name]["config"].update(options))


REFUSED: dict[str, tuple[Any, str]] = {
    "units": (_config("last", units=1 << 30), r"last.kernel: expected an array of shape \(8, 1073741824\)"),
    "size": (_config("table", input_dim=1 << 40), r"cannot be read"),
    "lambda": (
        _changed(lambda layers: layers["flat"].update(class_name="Lambda")),
        r"'Lambda' \(a Lambda layer is code",
    ),
    "class": (_changed(lambda layers: layers["flat"].update(class_name="os.system")), r"got 'os.system'"),
    "option": (_config("conv", data_format="channels_first"), r"got data_format='channels_first'"),
    "unknown option": (_config("conv", novelty=3), r"got novelty=3"),
    "axis": (_config("norm", axis=1), r"norm: expected the last axis, got axis=1"),
    "activation": (_config("conv", activation={"config": "exec"}), r"conv: expected an activation function.*'exec'"),
    "regularizer": (_config("conv", kernel_regularizer={"class_name": "get", "config": {}}), r"kernel_regularizer"),
    "cycle": (
        _changed(lambda layers: layers["first"].update(inbound_nodes=layers["last"]["inbound_nodes"])),
        r"expected a graph without cycles",
    ),
    "subclassed": ({"class_name": "MyModel", "config": {"layers": []}}, r"expected a Sequential or functional model"),
    "no layers": ({"class_name": "Sequential", "config": {"layers": []}}, r"cannot be read"),
    "number": (b"3", r"expected a file with an architecture"),
    "depth": (b"[" * 100_000, r"cannot be read"),
    "text": (b"\xff\xfe", r"cannot be read"),
}


def keras_2(layer: str, config: Any, *sources: Any) -> Any:
    """An entry of a graph as Keras 2 writes it."""
    return {"class_name": layer, "config": config, "name": config["name"], "inbound_nodes": list(sources)}


def functional(name: str, entries: list[Any], outputs: Any) -> Any:
    start = keras_2("InputLayer", {"name": "x", "batch_input_shape": [None, 2], "dtype": "float32"})
    config = {"name": name, "layers": [start, *entries], "input_layers": [["x", 0, 0]], "output_layers": outputs}
    return {"class_name": "Functional", "config": config}


def doubled(depth: int) -> Any:
    """A model that calls the one within twice."""
    if not depth:
        return functional("m", [keras_2("ReLU", {"name": "r"}, [["x", 0, 0, {}]])], [["r", 0, 0]])
    inner = {**doubled(depth - 1), "name": "m", "inbound_nodes": [[["x", 0, 0, {}]], [["m", 1, 0, {}]]]}
    return functional("m", [inner], [["m", 2, 0]])


def test_graphs_of_keras_2(tmp_path: Path) -> None:
    """Calls of models are counted from 1 there."""
    entries = [
        {**doubled(2), "name": "m", "inbound_nodes": [[["x", 0, 0, {}]]]},
        keras_2("Concatenate", {"name": "c", "axis": -1}, [["m", 1, 0, {}], ["x", 0, 0, {}]]),
    ]
    path = with_parts(tmp_path / "a.keras", functional("all", entries, [["c", 0, 0]]))
    assert nf.from_keras(path).predict([[-1.0, 2.0]])[0].tolist() == [[0.0, 2.0, -1.0, 2.0]]


def test_dropout_of_whole_rows(tmp_path: Path) -> None:
    config = {"name": "d", "rate": 0.5, "noise_shape": [None, 1], "dtype": "float32"}
    model = functional("all", [keras_2("Dropout", config, [["x", 0, 0, {}]])], ["d", 0, 0])
    net = nf.from_keras(with_parts(tmp_path / "a.keras", model), seed=0)
    x = np.ones((64, 2), "float32") * [1.0, 3.0]
    np.testing.assert_array_equal(net.predict([x]), x)
    factors = net.vjp([x], training=True)[0] / x
    assert set(factors[:, 0].tolist()) == {0.0, 2.0}
    np.testing.assert_array_equal(factors[:, 0], factors[:, 1])


def test_calls_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected at most 10000 calls of layers"):
        nf.from_keras(with_parts(tmp_path / "a.keras", doubled(19)))
    inner = {"class_name": "ReLU", "config": {"name": "r"}}
    entry = keras_2("Flatten", {"name": "f"}, [["t", 0, 0, {}]])
    steps = keras_2(
        "TimeDistributed", {"name": "t", "layer": {**inner, "class_name": "MaxPooling1D"}}, [["x", 0, 0, {}]]
    )
    config = functional("all", [steps, entry], [["f", 0, 0]])
    config["config"]["layers"][0]["config"]["batch_input_shape"] = [None, 1 << 20, 4, 2]
    with pytest.raises(ValueError, match="expected at most 10000 calls of layers"):
        nf.from_keras(with_parts(tmp_path / "a.keras", config))


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_descriptions(name: str, tmp_path: Path) -> None:
    config, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        nf.from_keras(with_parts(tmp_path / "a.keras", config))


def test_bombs(tmp_path: Path) -> None:
    path = with_parts(tmp_path / "a.keras", weights=bytes(20 << 20), compression=zipfile.ZIP_DEFLATED)
    other = with_parts(tmp_path / "b.keras", b"[" + b"1," * (10 << 20) + b"1]", compression=zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"expected model.weights.h5 of at most"):
        nf.from_keras(path)
    with pytest.raises(ValueError, match=r"expected config.json of at most"):
        nf.from_keras(other)
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()
    with zipfile.ZipFile(tmp_path / "c.keras", "w") as archive:
        archive.writestr("../config.json", b"{}")
    with pytest.raises(ValueError, match=r"with config.json, got a ZIP archive of \['../config.json'\]"):
        nf.from_keras(tmp_path / "c.keras")


def read_mutants(count: int, folder: Path, seed: int) -> int:
    """Reads damaged files; returns how many were still read."""
    rng = np.random.default_rng(seed)
    with zipfile.ZipFile(SMALL) as archive:
        weights, config = archive.read("model.weights.h5"), archive.read("config.json")
    whole = SMALL.read_bytes()
    net = nf.from_keras(SMALL, seed=0)
    path, read, faults = folder / "mutant.keras", 0, list[str]()
    for i in range(count):
        if i % 3 == 0:
            path.write_bytes(mutant(weights, rng))
        elif i % 3 == 1:
            with_parts(path, config=mutant(config, rng))
        else:
            path.write_bytes(mutant(whole, rng))
        try:
            if i % 3:
                nf.from_keras(path, seed=0)
            else:
                nf.io.load_keras_weights(net, path)
            read += 1
        except ValueError as error:
            faults.append(str(error))
    assert all(str(path) in fault for fault in faults)
    return read


def test_mutants(tmp_path: Path) -> None:
    read_mutants(10, tmp_path, 0)  # what is imported or kept once
    tracemalloc.start()
    read = read_mutants(200, tmp_path, 1)
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()
    assert 0 < read < 180


@pytest.mark.slow
def test_5000_mutants(tmp_path: Path) -> None:
    started = time.process_time()
    read_mutants(5000, tmp_path, 2)
    assert time.process_time() - started < 3000  # far from hanging


def test_files_of_other_kinds(tmp_path: Path) -> None:
    (tmp_path / "a.keras").write_bytes(io.BytesIO(b"something else").read())
    for function in (nf.from_keras, lambda path: nf.io.load_keras_weights(two_layers(), path)):
        with pytest.raises(ValueError, match=r"a.keras: cannot be read: expected an HDF5 file"):
            function(tmp_path / "a.keras")
        with pytest.raises(FileNotFoundError):
            function(tmp_path / "b.keras")
    with pytest.raises(TypeError, match="expected names as a dict"):
        nf.io.load_keras_weights(two_layers(), SMALL, names=["a"])  # type: ignore[arg-type]
