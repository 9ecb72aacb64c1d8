"""Networks of operations in files: they come back as they were, and damaged descriptions give clean errors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import nnfast as nf
from nnfast import layers, ops


def network() -> nf.Network:
    x = layers.Input((4, 6))
    ids = layers.Input((3,), dtype="int32")
    y = ops.softmax(x[:, ::-1, 1:5] * np.arange(4.0) - ops.mean(x[:, :, :4], axis=1, keepdims=True), axis=1)
    y = ops.pad(ops.matmul(y, ops.swapaxes(y, 1, 2)), [(0, 0), (1, 0), (0, 1)])
    y = ops.concatenate([y, ops.cumsum(y, axis=2)], axis=1)
    picked = ops.take(ops.reshape(np.arange(20.0), (5, 4)), ids, axis=0)
    values, places = ops.top_k(y, 2)
    z = ops.sum(picked, axis=(1, 2)) + ops.where(places > 0, values, 0.5)[:, 0, 0]
    return nf.Network(inputs=[x, ids], outputs=[y, ops.expand_dims(z, -1)], seed=0)


@pytest.fixture
def data(rng: np.random.Generator) -> list[Any]:
    return [rng.normal(size=(5, 4, 6)).astype("float32"), rng.integers(0, 5, (5, 3))]


def test_files_give_the_same_network(tmp_path: Path, data: list[Any]) -> None:
    net = network()
    path = tmp_path / "net.safetensors"
    net.save(path)
    loaded = nf.Network.load(path)
    for a, b in zip(net.predict(data), loaded.predict(data), strict=True):
        assert (a == b).all()
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def edits(value: Any, rng: np.random.Generator) -> Any:
    """Return a value of JSON with one part of it replaced."""
    odd = [-1, 0, 1, 2, 7, 10**6, 2**31, 2**62, -(2**40), 1.5, None, "exp", "", [], [1], [-1, 2], [2**40], {}, True]
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = str(rng.choice(list(value)))
        if rng.random() < 0.1:
            return {name: item for name, item in value.items() if name != key}
        return {**value, key: edits(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        place = int(rng.integers(len(value)))
        return [edits(item, rng) if i == place else item for i, item in enumerate(value)]
    return odd[int(rng.integers(len(odd)))]


def test_damaged_descriptions(tmp_path: Path, data: list[Any]) -> None:
    path = tmp_path / "net.safetensors"
    net = network()
    net.save(path)
    tensors = load_file(path)
    size = int.from_bytes(path.read_bytes()[:8], "little")
    metadata = json.loads(path.read_bytes()[8 : 8 + size])["__metadata__"]
    (key,) = [name for name, text in metadata.items() if "layers" in text and text.startswith("{")]
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        description = json.loads(metadata[key])
        del description["sha256"]  # without it, what is edited is looked at
        save_file(tensors, path, metadata | {key: json.dumps(edits(description, rng))})
        try:
            nf.Network.load(path).predict(data)
        except (ValueError, TypeError, RuntimeError):
            refused += 1
    assert refused > 200


def test_fields_of_nodes_are_no_attributes() -> None:
    with pytest.raises(ValueError, match="expected attributes of the operation, got 'inputs'"):
        layers.Operation("elementwise", {"function": "exp", "inputs": ["y"]})
    with pytest.raises(ValueError, match="did you mean 'elementwise'"):
        layers.Operation("elementwis", {"function": "exp"})
