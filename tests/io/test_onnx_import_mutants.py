"""Damaged and hostile ONNX files: an error that says what is wrong, or a network."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnfast as nf

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx_graphs import composed_graphs  # noqa: E402

with zipfile.ZipFile(Path(__file__).with_name("onnx_models.zip")) as _archive:
    FILES = [_archive.read(name) for name in _archive.namelist()]
_SMALL = [file for file in FILES if len(file) < 12_000]
COMPOSED = composed_graphs()
_NUMBERS = [0, 1, -1, 2, 3, 7, 64, 1 << 20, 1 << 31, (1 << 31) - 1, 1 << 40, (1 << 62) - 1, -(1 << 62)]


def damaged(file: bytes, rng: np.random.Generator) -> bytes:
    """Bytes changed, cut off or repeated."""
    data = bytearray(file)
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(len(data)))
        kind = rng.integers(4)
        if kind == 0:
            data[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[place] = int(rng.integers(256))
        elif kind == 2:
            del data[place : place + int(rng.integers(1, 40))]
        else:
            data[place:place] = data[place : place + int(rng.integers(1, 40))]
        if not data:
            return b""
    return bytes(data)


def hostile(file: bytes, rng: np.random.Generator) -> bytes:
    """A well-formed file whose graph is wrong: names, orders, attributes, shapes."""
    model = onnx.load_from_string(file)
    graph = model.graph
    names = [name for node in graph.node for name in (*node.input, *node.output)]
    for _ in range(rng.integers(1, 3)):
        node = graph.node[int(rng.integers(len(graph.node)))]
        kind = rng.integers(8)
        if kind == 0 and node.input:
            node.input[int(rng.integers(len(node.input)))] = str(rng.choice(names))
        elif kind == 1 and node.attribute:
            _change(node.attribute[int(rng.integers(len(node.attribute)))], rng)
        elif kind == 2 and graph.initializer:
            tensor = graph.initializer[int(rng.integers(len(graph.initializer)))]
            if tensor.data_type == 7:  # shapes, axes, indices
                array = onnx.numpy_helper.to_array(tensor).copy()
                array[...] = rng.choice(_NUMBERS, array.shape)
                tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
            else:
                tensor.dims[:] = [abs(int(rng.choice(_NUMBERS))) for _ in range(rng.integers(5))]
        elif kind == 3:
            dims = graph.input[0].type.tensor_type.shape.dim
            if len(dims):
                dims[int(rng.integers(len(dims)))].dim_value = int(rng.choice(_NUMBERS))
        elif kind == 4:
            del node.input[int(rng.integers(len(node.input) + 1)) :]
        elif kind == 5:
            node.op_type = str(rng.choice([other.op_type for other in graph.node]))
        elif kind == 6:
            graph.node.insert(0, node)
        else:
            graph.output[0].name = str(rng.choice(names))
    data: bytes = model.SerializeToString()
    return data


def _change(attribute: Any, rng: np.random.Generator) -> None:
    kind = rng.integers(4)
    if kind == 0:
        attribute.type = int(rng.integers(0, 15))
    elif kind == 1 and attribute.ints:
        attribute.ints[int(rng.integers(len(attribute.ints)))] = int(rng.choice(_NUMBERS))
    elif kind == 2:
        attribute.i = int(rng.choice(_NUMBERS))
    else:
        attribute.name = "other"


def imported(files: list[bytes], count: int, seed: int) -> int:
    """How many of some mutants became networks; all others are ValueErrors."""
    rng, read = np.random.default_rng(seed), 0
    for number in range(count):
        file = files[int(rng.integers(len(files)))]
        mutant = (damaged if number % 2 else hostile)(file, rng)
        try:
            nf.from_onnx(mutant)
            read += 1
        except ValueError:
            continue
        except Exception as error:
            raise AssertionError(f"seed {seed}, mutant {number}: {type(error).__name__}: {error}") from error
    return read


@pytest.mark.parametrize("files", [_SMALL, COMPOSED], ids=["models", "composed"])
def test_mutants(files: list[bytes]) -> None:
    assert 0 < imported(files, 300, 0) < 300


@pytest.mark.slow
@pytest.mark.parametrize("files", [_SMALL, COMPOSED], ids=["models", "composed"])
def test_5000_mutants(files: list[bytes]) -> None:
    assert 0 < imported(files, 5000, 1) < 5000


def test_truncated_files() -> None:
    file = min(FILES, key=len)
    for end in range(0, len(file), 7):
        with pytest.raises(ValueError, match="from_onnx"):
            nf.from_onnx(file[:end])
