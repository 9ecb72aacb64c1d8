"""Files: what is saved comes back; what is damaged, hostile or half written does no harm."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzing import REUSED_FOLDER, examples
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

import nnfast as nf
from nnfast import layers
from nnfast.core import options
from nnfast.core.typing import Array
from nnfast.graph import architecture
from nnfast.io import container
from nnfast.training import checkpoints


def network(seed: int = 0) -> nf.Network:
    x = layers.Input((3,))
    h = layers.Dense(4, layers.LeakyReLU(0.2), name="first layer")(x)
    y = layers.Dense(2, "softmax", trainable=("kernel",))(layers.Concatenate()([h, x]))
    return nf.Network(inputs=x, outputs=y, seed=seed, name="saved")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "net.safetensors"
    network().save(file)
    return file


def parts(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """A file's tensors, and the description that is all of its metadata, without the digest: what a test changes."""
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert list(header["__metadata__"]) == ["nnfast"]
    description = json.loads(header["__metadata__"]["nnfast"])
    description.pop("sha256", None)
    return load(content), description


def rewrite(path: Path, tensors: dict[str, Array], description: Any) -> None:
    path.write_bytes(save(tensors, {"nnfast": json.dumps(description)}))


def change(path: Path, edit: Any, part: str = "network") -> None:
    """Edit the description of a file's network or of its training."""
    tensors, description = parts(path)
    edit(description[part])
    rewrite(path, tensors, description)


def test_a_network_comes_back(path: Path, rng: np.random.Generator) -> None:
    net, loaded = network(), nf.Network.load(path)
    x = rng.normal(size=(9, 3)).astype("float32")
    assert loaded.predict(x).tobytes() == net.predict(x).tobytes()
    assert (loaded.name, loaded.seed, loaded.dtype, loaded.trainable) == ("saved", 0, "float32", net.trainable)
    assert loaded.summary() == net.summary()
    assert [repr(layer) for layer in loaded.layers] == [repr(layer) for layer in net.layers]


def test_frozen_parameters_and_float64_come_back(tmp_path: Path) -> None:
    net = nf.Network([layers.Input((2,)), layers.Dense(2), layers.Dense(1)], dtype="float64", seed=9)
    net.freeze("dense")
    net.save(str(tmp_path / "net"))
    loaded = nf.Network.load(str(tmp_path / "net"))
    assert (loaded.dtype, loaded.trainable) == ("float64", ["dense_1.kernel", "dense_1.bias"])
    assert all(np.array_equal(a, b) for a, b in zip(net.get_weights(), loaded.get_weights(), strict=True))


def test_other_programs_can_read_the_tensors(path: Path) -> None:
    tensors, description = parts(path)
    assert {name: value.shape for name, value in tensors.items()} == {
        "first layer.kernel": (3, 4),
        "first layer.bias": (4,),
        "dense.kernel": (7, 2),
        "dense.bias": (2,),
    }
    assert description["format"] == "nnfast 1"


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    """Networks and checkpoints; in another process too, where hashes of texts differ."""

    def saved(name: str) -> list[bytes]:
        net = network()
        net.save(tmp_path / name)
        nf.Trainer(net, loss="cross_entropy", metrics=["accuracy"]).save_checkpoint(tmp_path / f"{name}.run")
        return [(tmp_path / name).read_bytes(), (tmp_path / f"{name}.run").read_bytes()]

    first = saved("first")
    assert all(saved(f"again {i}") == first for i in range(5))
    script = f"""
        import nnfast as nf
        nf.Network.load({str(tmp_path / "first")!r}).save({str(tmp_path / "other")!r})
        nf.Trainer.resume({str(tmp_path / "first.run")!r}).save_checkpoint({str(tmp_path / "other.run")!r})
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)
    assert [(tmp_path / "other").read_bytes(), (tmp_path / "other.run").read_bytes()] == first


def test_a_checkpoint_is_a_network_too(tmp_path: Path) -> None:
    trainer = nf.Trainer(network(), loss="cross_entropy")
    trainer.train_on_batch(np.ones((2, 3)), [0, 1])
    trainer.save_checkpoint(tmp_path / "run.safetensors")
    loaded = nf.Network.load(tmp_path / "run.safetensors")
    assert all(np.array_equal(a, b) for a, b in zip(trainer.network.get_weights(), loaded.get_weights(), strict=True))


def test_a_network_is_no_checkpoint(path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a checkpoint.*Network\.load"):
        nf.Trainer.resume(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        nf.Network.load(tmp_path / "none.safetensors")
    with pytest.raises(FileNotFoundError):
        network().save(tmp_path / "no folder" / "net.safetensors")


# ---- damaged files ---------------------------------------------------------------------


def test_truncated_files(path: Path) -> None:
    content = path.read_bytes()
    for length in [*range(64), *range(64, len(content), 37), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"net\.safetensors"):
            nf.Network.load(path)


@settings(REUSED_FOLDER, max_examples=examples(200))
@given(data=st.data())
def test_flipped_bytes_never_do_harm(path: Path, data: st.DataObject) -> None:
    """Damage in the header is an error, or yields a network of the same shapes; nothing else happens."""
    original = path.read_bytes()
    header = 8 + int.from_bytes(original[:8], "little")
    content = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, header - 1))] = data.draw(st.integers(0, 255))
    damaged = path.with_name("damaged.safetensors")
    damaged.write_bytes(content)
    with contextlib.suppress(ValueError):
        loaded = nf.Network.load(damaged)
        assert [w.size for w in loaded.get_weights()] == [w.size for w in network().get_weights()]


@settings(max_examples=examples(100))
@given(content=st.binary(max_size=200))
def test_noise_is_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("noise") / "noise"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="noise"):
        nf.Network.load(path)


HOSTILE = {
    "huge layer": lambda d: d["layers"][1]["config"].update(units=10**12),
    "beyond 64 bits": lambda d: d["layers"][1]["config"].update(units=10**30),
    "huge input": lambda d: d["layers"][0]["config"].update(shape=[2**40, 2**40]),
    "negative": lambda d: d["layers"][1]["config"].update(units=-4),
    "a float": lambda d: d["layers"][1]["config"].update(units=4.0),
    "a text": lambda d: d["layers"][1]["config"].update(units="4"),
    "null": lambda d: d["layers"][1]["config"].update(units=None),
    "unknown option": lambda d: d["layers"][1]["config"].update(hack=1),
    "unknown activation": lambda d: d["layers"][1]["config"].update(activation="exec"),
    "code as activation": lambda d: d["layers"][1]["config"].update(activation="__import__('os').abort()"),
    "unknown class": lambda d: d["layers"][1].update({"class": "os.system"}),
    "base class": lambda d: d["layers"][1].update({"class": "Layer"}),
    "custom layer without its class": lambda d: d["layers"][1].update({"class": "CustomLayer"}),
    "class as number": lambda d: d["layers"][1].update({"class": 7}),
    "unknown initializer": lambda d: d["layers"][1]["config"].update(
        kernel_initializer={"class": "eval", "config": {"source": "1"}}
    ),
    "name with a dot": lambda d: d["layers"][1].update(name="a.b"),
    "name twice": lambda d: d["layers"][1].update(name="input"),
    "name as list": lambda d: d["layers"][1].update(name=["x"]),
    "unknown input": lambda d: d["layers"][1].update(inputs=["nowhere"]),
    "own output as input": lambda d: d["layers"][1].update(inputs=["first layer"]),
    "later layer as input": lambda d: d["layers"][1].update(inputs=["dense"]),
    "no input": lambda d: d["layers"][1].update(inputs=[]),
    "inputs as text": lambda d: d["layers"][1].update(inputs="input"),
    "two inputs": lambda d: d["layers"][1].update(inputs=["input", "input"]),
    "two input layers": lambda d: d["layers"].insert(1, {**d["layers"][0], "name": "second"}),
    "no layers": lambda d: d.update(layers=[]),
    "layers as dict": lambda d: d.update(layers={}),
    "layer as text": lambda d: d["layers"].append("Dense"),
    "unknown output": lambda d: d.update(output="nowhere"),
    "output as list": lambda d: d.update(output=["dense"]),
    "unknown dtype": lambda d: d.update(dtype="float16"),
    "dtype as dict": lambda d: d.update(dtype={}),
    "seed as text": lambda d: d.update(seed="0"),
    "frozen nothing": lambda d: d.update(frozen=["nothing"]),
    "frozen as number": lambda d: d.update(frozen=3),
    "frozen unhashable": lambda d: d.update(frozen=[[]]),
    "missing name": lambda d: d.pop("name"),
    "other shape": lambda d: d["layers"][1]["config"].update(units=5),
    "without bias": lambda d: d["layers"][1]["config"].update(use_bias=False),
    "other dtype": lambda d: d.update(dtype="float64"),
    "deep": lambda d: d["layers"][1]["config"].update(kernel_initializer=nested(900)),
}


def nested(depth: int) -> Any:
    value: Any = 1.0
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("edit", HOSTILE.values(), ids=HOSTILE)
def test_hostile_architectures_are_refused(edit: Any, path: Path) -> None:
    change(path, edit)
    with pytest.raises(ValueError, match=r"net\.safetensors"):
        nf.Network.load(path)


def test_hostile_metadata_and_tensors_are_refused(path: Path) -> None:
    tensors, description = parts(path)
    good = json.dumps(description)
    texts = [
        "",
        "not JSON",
        "[" * 100000,
        "[]",
        "1",
        "{}",
        '{"format": "nnfast 1"}',
        good.replace("nnfast 1", "nnfast 2"),
    ]
    metadata = [{}, {"format": "nnfast 1"}, {"network": good}, *({"nnfast": text} for text in texts)]
    renamed = {name.replace("dense", "other"): value for name, value in tensors.items()}
    contents: list[dict[str, Array]] = [
        {},
        renamed,
        {**tensors, "more": np.zeros(1, dtype="float32")},
        {name: value.T.copy() for name, value in tensors.items()},
        {name: value.astype("float64") for name, value in tensors.items()},
        {name: value.view("int32") for name, value in tensors.items()},
    ]
    for hostile in [*(save(tensors, entry) for entry in metadata), *(save(c, {"nnfast": good}) for c in contents)]:
        path.write_bytes(hostile)
        with pytest.raises(ValueError, match=r"net\.safetensors"):
            nf.Network.load(path)


def test_metadata_of_other_programs_are_passed_over(path: Path) -> None:
    tensors, description = parts(path)
    path.write_bytes(save(tensors, {"nnfast": json.dumps(description), "format": "pt", "note": "{"}))
    assert nf.Network.load(path).name == "saved"


def test_files_that_nobody_could_read_are_not_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers that are none, and a header beyond the format's limit, which other readers hold as well."""
    before = path.read_bytes()
    net = network(1)
    for value in (np.nan, np.inf, -np.inf):
        net.parameters["dense.bias"][0] = value
        with pytest.raises(ValueError, match=r"dense\.bias: expected finite numbers, got NaN or infinity"):
            net.save(path)
    length = int.from_bytes(before[:8], "little")
    monkeypatch.setattr(container, "_MAX_HEADER_BYTES", length)
    network().save(path)
    assert nf.Network.load(path).name == "saved"
    monkeypatch.setattr(container, "_MAX_HEADER_BYTES", length - 1)
    with pytest.raises(ValueError, match=rf"at most {length - 1} bytes of names and options.*got {length}"):
        network().save(path)
    with pytest.raises(ValueError, match=f"got one of {length} bytes"):
        nf.Network.load(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_parameters_that_are_no_numbers_are_damage(path: Path, value: float) -> None:
    tensors, description = parts(path)
    tensors["dense.kernel"][1, 1] = value
    rewrite(path, tensors, description)
    with pytest.raises(ValueError, match=r"net\.safetensors: .*dense\.kernel: expected finite numbers"):
        nf.Network.load(path)


def test_all_is_checked_before_memory_is_taken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A description of terabytes over small tensors, of another dtype, and with other names."""
    sound = path.read_bytes()

    def fail(*_: Any) -> None:
        raise AssertionError("the network was made before the file was checked")

    monkeypatch.setattr(nf.Network, "from_architecture", fail)
    edits = [
        lambda d: d["layers"][1]["config"].update(units=10**9),
        lambda d: d.update(dtype="float64"),
        lambda d: d["layers"][1].update(name="other"),
        lambda d: d.update(frozen=["nothing"]),
        lambda d: d.update(seed=-1),
    ]
    for edit in edits:
        path.write_bytes(sound)
        change(path, edit)
        with pytest.raises(ValueError, match=r"net\.safetensors"):
            nf.Network.load(path)


# ---- what a file asks for --------------------------------------------------------------


def large_rows(width: int) -> nf.Trainer:
    """A network whose tensors have nothing to do with the size of its file: 2 of them, and their gradients."""
    return nf.Trainer(nf.Network([layers.Input((width,)), layers.Activation("gelu")], seed=0), loss="mse")


def test_a_small_file_cannot_ask_for_much_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large_rows(100).save_checkpoint(tmp_path / "run")
    with pytest.raises(
        ValueError, match=r"at most max_bytes = 1599, .* of 1600 bytes for each row; pass max_bytes=1600"
    ):
        nf.Trainer.resume(tmp_path / "run", max_bytes=1599)
    assert nf.Trainer.resume(tmp_path / "run", max_bytes=1600).iteration == 0
    # By default so many bytes are free, and so many times the file's size.
    size = (tmp_path / "run").stat().st_size
    for free, times, fits in ((1600, 0, True), (1599, 0, False), (0, -(-1600 // size), True), (0, 1599 // size, False)):
        monkeypatch.setattr(checkpoints, "_FREE_BYTES", free)
        monkeypatch.setattr(checkpoints, "_BYTES_OF_A_BYTE", times)
        with contextlib.nullcontext() if fits else pytest.raises(ValueError, match=r"run: .*max_bytes"):
            nf.Trainer.resume(tmp_path / "run")
    for wrong, error in ((0, ValueError), ("1", TypeError), (1.5, TypeError)):
        with pytest.raises(error, match=r"resume: expected .*max_bytes"):
            nf.Trainer.resume(tmp_path / "run", max_bytes=wrong)  # type: ignore[arg-type]


def test_gigabytes_are_refused_before_they_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large_rows(4).save_checkpoint(tmp_path / "run")
    change(tmp_path / "run", lambda d: d["layers"][0]["config"].update(shape=[2**31]))

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("the plan was made before the file was checked")

    monkeypatch.setattr(nf.Network, "plan", fail)
    with pytest.raises(ValueError, match=f"run: .*tensors of {2**35} bytes"):
        nf.Trainer.resume(tmp_path / "run")


def test_a_file_cannot_ask_for_more_layers_than_a_network_may_have(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the core does with them takes the square of their number."""
    monkeypatch.setattr(architecture, "_MAX_LAYERS", 4)
    assert len(nf.Network.load(path).layers) == 4
    monkeypatch.setattr(architecture, "_MAX_LAYERS", 3)
    with pytest.raises(ValueError, match="expected at most 3 layers, got 4"):
        nf.Network.load(path)
    with pytest.raises(ValueError, match="expected at most 3 layers, got 4"):
        nf.Network([layers.Input((1,)), *(layers.Dense(1) for _ in range(3))])


class Endless(dict[str, int]):
    """Names that nobody may go through."""

    def __iter__(self) -> Any:
        raise AssertionError("went through all names to find one")


def test_a_name_is_found_without_a_look_at_all_others() -> None:
    """Or a file of many layers takes the square of their number."""
    assert options.choose("name", "b", Endless(a=1, b=2)) == "b"


def test_nobody_looks_for_what_is_like_a_long_name() -> None:
    """The comparison takes the product of the lengths."""
    with pytest.raises(ValueError, match=r"unknown name 'dense.*'; did you mean 'dense'"):
        options.choose("name", "dense" * 40, ["dense"])
    with pytest.raises(ValueError, match=r"unknown name 'dense.*'; valid names: dense"):
        options.choose("name", "dense" * 40 + "x", ["dense"])


def test_errors_are_short(path: Path) -> None:
    """Whatever the file shows them, and whatever is printed with them."""
    long = "x" * 10**6
    deep = nested(300)
    edits: list[Any] = [
        lambda d: d.update(name=[long]),
        lambda d: d.update(frozen=[long]),
        lambda d: d.update(seed=long),
        lambda d: d.update(seed=10**4000),
        lambda d: d.update(output=long),
        lambda d: d.update(output=[long]),
        lambda d: d.update(layers=long),
        lambda d: d.update(layers=[long]),
        lambda d: d.update(custom_objects=[long]),
        lambda d: d.update(custom_objects=long),
        lambda d: d["layers"][1].update(name=long),
        lambda d: d["layers"][1].update(inputs=[long]),
        lambda d: d["layers"][1].update(config=long),
        lambda d: d["layers"][1].update({"class": long}),
        lambda d: d["layers"][1].update({"class": [long]}),
        lambda d: d["layers"][1]["config"].update({long: 1}),
        lambda d: d["layers"][1]["config"].update(units=[1.0] * 10**5),
        lambda d: d["layers"][1]["config"].update(units=long),
        lambda d: d["layers"][1]["config"].update(activation=long),
        lambda d: d["layers"][1]["config"].update(activation={"class": long, "config": {}}),
        lambda d: d["layers"][1]["config"].update(kernel_initializer=deep),
        lambda d: d["layers"][1]["config"].update(kernel_initializer=[long]),
        lambda d: d["layers"][1]["config"].update(trainable=[long]),
        lambda d: d["layers"][0]["config"].update(shape=[1] * 10**5),
        lambda d: d["layers"][0]["config"].update(shape=[long]),
    ]
    sound = path.read_bytes()
    tensors, description = parts(path)
    contents = [save(tensors, {long: "1"}), save(tensors, {"nnfast": json.dumps({"format": long})})]
    contents += [save({long: np.zeros(1)}, {"nnfast": json.dumps(description)})]
    for edit in edits:
        path.write_bytes(sound)
        change(path, edit)
        contents.append(path.read_bytes())
    headers = [json.dumps(header).encode() for header in ({"a": long}, {long: 1})]
    contents += [len(header).to_bytes(8, "little") + header for header in headers]
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"net\.safetensors: ") as caught:
            nf.Network.load(path)
        assert len(str(caught.value)) < 2500
        assert sum(map(len, traceback.format_exception(caught.value))) < 30_000


# ---- custom layers ---------------------------------------------------------------------


class Offset(layers.CustomLayer):
    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, inputs: list[Array], output: Array, parameters: dict[str, Array], training: bool) -> None:
        output[...] = inputs[0] + self.by


def test_custom_layers_come_from_the_caller(tmp_path: Path) -> None:
    net = nf.Network([layers.Input((2,)), Offset(3.0), layers.Dense(1)], seed=0)
    net.save(tmp_path / "net")
    loaded = nf.Network.load(tmp_path / "net", custom_objects={"Offset": Offset})
    assert loaded.predict(np.ones((1, 2))).tobytes() == net.predict(np.ones((1, 2))).tobytes()
    assert loaded.layers[1].name == "offset"
    with pytest.raises(ValueError, match=r"pass custom_objects=\{'Offset': Offset\}"):
        nf.Network.load(tmp_path / "net")


# ---- atomic ----------------------------------------------------------------------------


def test_a_failed_save_keeps_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        network(1).save(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_what_a_save_does_in_which_order(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content reaches the disk before the name does, and the name before save returns."""
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor: int) -> None:
        calls.append("fsync folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "fsync file")
        fsync(descriptor)

    def noted_replace(source: Any, target: Any) -> None:
        calls.append("replace")
        assert Path(source).parent == Path(target).parent
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    network(1).save(path)
    if Path("/proc/self/fd").is_dir():
        assert calls == ["fsync file", "replace", "fsync folder"]
    assert nf.Network.load(path).predict(np.ones((1, 3))).tobytes() == network(1).predict(np.ones((1, 3))).tobytes()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_kill_during_a_save_keeps_the_old_file(path: Path, moment: str) -> None:
    before = path.read_bytes()
    script = f"""
        import os, signal
        import nnfast as nf
        net = nf.Network.load({str(path)!r})
        net.set_weights([0 * weights for weights in net.get_weights()])
        os.{moment} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        net.save({str(path)!r})
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, check=False)
    assert run.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    assert nf.Network.load(path).predict(np.ones((1, 3))).any()


def test_loading_imports_nothing_and_runs_nothing(path: Path) -> None:
    """A name that would import a module on unpickling or on a look-up of classes leaves sys.modules as it was."""
    nf.Network.load(path)
    change(path, lambda d: d["layers"][1].update({"class": "antigravity.Layer"}))
    before = set(sys.modules)
    with pytest.raises(ValueError, match="unknown layer class"):
        nf.Network.load(path)
    assert set(sys.modules) == before
