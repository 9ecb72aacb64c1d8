"""A `state_dict` as PyTorch names and orders it, without PyTorch: what is found, and what is refused."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array


def linear(rng: np.random.Generator, name: str, before: int, after: int) -> dict[str, Array]:
    return {f"{name}.weight": rng.normal(size=(after, before)), f"{name}.bias": rng.normal(size=after)}


def three_layers(*names: str | None) -> nf.Network:
    hidden = [layers.Dense(4, "relu", name=name) for name in names]
    return nf.Network([layers.Input((4,)), *hidden, layers.Dense(2, name="head")], seed=0)


def test_modules_with_equal_shapes_are_in_order(rng: np.random.Generator) -> None:
    state = linear(rng, "z", 4, 4) | linear(rng, "a", 4, 4) | linear(rng, "out", 4, 2)
    net = three_layers(None, None)
    read = nf.io.load_torch_weights(net, state)
    assert read == ["dense.kernel", "dense.bias", "dense_1.kernel", "dense_1.bias", "head.kernel", "head.bias"]
    x = rng.normal(size=(5, 4))
    z = np.maximum(x @ state["z.weight"].T + state["z.bias"], 0)
    a = np.maximum(z @ state["a.weight"].T + state["a.bias"], 0)
    np.testing.assert_allclose(net.predict(x), a @ state["out.weight"].T + state["out.bias"], rtol=1e-4, atol=1e-5)


def test_files_have_no_order(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "a.safetensors"
    state = {k: v.astype("float32") for k, v in (linear(rng, "z", 4, 4) | linear(rng, "a", 4, 4)).items()}
    state |= {"num_batches_tracked": np.array(3), "out.weight": np.ones((2, 4), "f4"), "out.bias": np.ones(2, "f4")}
    save_file(state, path)
    net = three_layers(None, None)
    with pytest.raises(
        ValueError, match=r"expected modules of different shapes, or in order, got a, z for dense, dense_1"
    ):
        nf.io.load_torch_weights(net, path)
    nf.io.load_torch_weights(net, path, names={"dense": "z"})
    np.testing.assert_array_equal(net.parameters["dense_1.kernel"], state["a.weight"].T)
    # By name; and numbered ones by their numbers, 2 before 10.
    save_file(linear(rng, "one", 4, 4) | linear(rng, "head", 4, 2) | linear(rng, "other", 4, 4), path)
    assert len(nf.io.load_torch_weights(three_layers("other", "one"), path)) == 6
    state = linear(rng, "net.2", 4, 4) | linear(rng, "net.10", 4, 4) | linear(rng, "net.12", 4, 2)
    save_file(state, path)
    nf.io.load_torch_weights(net, path)
    np.testing.assert_array_equal(net.parameters["dense.kernel"], state["net.2.weight"].T.astype("float32"))


def test_what_remains_is_listed_and_nothing_changes(rng: np.random.Generator) -> None:
    net = three_layers("first", "second")
    before = {name: view.copy() for name, view in net.parameters.items()}
    state = linear(rng, "a", 4, 4) | linear(rng, "b", 4, 3)
    with pytest.raises(
        ValueError, match=r"unmatched layers: first .*, second .*, head .*; unmatched modules: a .*, b .*; pass names="
    ):
        nf.io.load_torch_weights(net, state)
    with pytest.raises(ValueError, match=r"head: expected tensors \{'weight': \(2, 4\).*got .*\(3, 4\).* of 'b'"):
        nf.io.load_torch_weights(net, state, names={"head": "b", "first": "a"}, strict=False)
    with pytest.raises(ValueError, match=r"expected a part of the state_dict, each once, got 'c'; it has a, b"):
        nf.io.load_torch_weights(net, state, names={"head": "c"})
    with pytest.raises(ValueError, match=r"first\.bias"):
        nf.io.load_torch_weights(net, {**state, "a.bias": np.full(4, np.inf)}, names={"first": "a"}, strict=False)
    assert all((net.parameters[name] == value).all() for name, value in before.items())
    assert nf.io.load_torch_weights(net, state, names={"second": "a"}, strict=False) == ["second.kernel", "second.bias"]


def test_checkpoints_of_several_parts() -> None:
    net = nf.Network([layers.Input(4), layers.Dense(3)])
    state = {"fc.weight": np.ones((3, 4)), "fc.bias": np.ones(3)}
    with pytest.raises(TypeError, match=r"got a dict of .*'fc.bias'.* pass source\['model'\]"):
        nf.io.load_torch_weights(net, {"model": state, "epoch": 3})
    nf.io.load_torch_weights(net, state)


def test_half_precision(tmp_path: Path) -> None:
    weight = np.array([[1.5, -2.0, 0.25, 3.0]] * 2, "float32")
    header = b'{"fc.weight":{"dtype":"BF16","shape":[2,4],"data_offsets":[0,16]}}'
    data = (weight.view("u4") >> 16).astype("<u2").tobytes()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + data)
    net = nf.Network([layers.Input((4,)), layers.Dense(2, use_bias=False)], seed=0)
    nf.io.load_torch_weights(net, tmp_path / "a.safetensors")
    np.testing.assert_array_equal(net.parameters["dense.kernel"], weight.T)


def test_other_files_are_refused(tmp_path: Path) -> None:
    net = three_layers()
    for name, content in (("zip", b"PK\3\4" + bytes(50)), ("pickle", b"\x80\x02}q\x00.")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=r"got a pickle of PyTorch, which may run code.*save_file"):
            nf.io.load_torch_weights(net, tmp_path / name)
    (tmp_path / "other").write_bytes(b"something else")
    with pytest.raises(ValueError, match="other: cannot be read"):
        nf.io.load_torch_weights(net, tmp_path / "other")
    with pytest.raises(TypeError, match="expected a file, a state_dict or a module, got 3"):
        nf.io.load_torch_weights(net, 3)
    with pytest.raises(TypeError, match="'a': expected a tensor of numbers"):
        nf.io.load_torch_weights(net, {"a": "text"})


def test_damaged_files(tmp_path: Path, rng: np.random.Generator) -> None:
    net, path = three_layers(None), tmp_path / "a.safetensors"
    save_file({k: v.astype("f4") for k, v in (linear(rng, "a", 4, 4) | linear(rng, "b", 4, 2)).items()}, path)
    content, faults = path.read_bytes(), list[str]()
    for _ in range(300):
        data = bytearray(content[: rng.integers(len(content))] if rng.integers(3) == 0 else content)
        for place in rng.integers(len(data), size=3) if data else ():
            data[place] = rng.integers(256)
        path.write_bytes(data)
        try:
            nf.io.load_torch_weights(net, path)
        except ValueError as error:
            faults.append(str(error))
    assert len(faults) > 100


def images_first(values: Array) -> Array:
    return np.moveaxis(values, -1, 1)


def test_rows_after_a_flatten_are_reordered(rng: np.random.Generator) -> None:
    net = nf.Network(
        [
            layers.Input((4, 3, 2)),
            layers.ReLU(),
            layers.Flatten(),
            layers.BatchNormalization(epsilon=1e-5),
            layers.Dense(5),
        ]
    )
    state: dict[str, Any] = linear(rng, "fc", 24, 5)
    state |= {f"bn.{name}": rng.uniform(0.5, 2, 24) for name in ("weight", "bias", "running_mean", "running_var")}
    nf.io.load_torch_weights(net, state)
    x = rng.normal(size=(3, 4, 3, 2))
    flat = np.maximum(images_first(x), 0).reshape(3, -1)
    flat = (flat - state["bn.running_mean"]) / np.sqrt(state["bn.running_var"] + 1e-5) * state["bn.weight"]
    expected = (flat + state["bn.bias"]) @ state["fc.weight"].T + state["fc.bias"]
    np.testing.assert_allclose(net.predict(x), expected, rtol=1e-4, atol=1e-5)
    nf.io.load_torch_weights(net, state, channels_first=False)
    np.testing.assert_array_equal(net.parameters["dense.kernel"], state["fc.weight"].T.astype("float32"))


def test_flattened_rows_that_are_mixed_are_refused() -> None:
    x = layers.Input((4, 3, 2))
    flat = layers.Flatten()(layers.Conv2D(2, 1)(x))
    net = nf.Network(inputs=x, outputs=layers.Dense(1)(layers.Concatenate()([flat, flat])))
    with pytest.raises(ValueError, match=r"concatenate: expected flattened images to go to a Dense layer"):
        nf.io.load_torch_weights(net, {})


class Scale(layers.Layer):
    def build(self, input_shape: Any) -> None:
        self.factor = self.add_weight((1,), "ones", name="factor")

    def call(self, x: Any) -> Any:
        return self.factor * x


def test_layers_that_pytorch_does_not_have(rng: np.random.Generator) -> None:
    net = nf.Network([layers.Input((4,)), Scale(), layers.Dense(1)])
    with pytest.raises(ValueError, match=r"expected layers that PyTorch has, got scale \(Scale\); assign to net.param"):
        nf.io.load_torch_weights(net, linear(rng, "a", 4, 1))
    # Statistics are not weights.
    normalize = layers.Normalization()
    normalize.adapt(rng.normal(size=(9, 4)))
    net = nf.Network([layers.Input((4,)), normalize, layers.Dense(1)])
    assert nf.io.load_torch_weights(net, linear(rng, "a", 4, 1)) == ["dense.kernel", "dense.bias"]
