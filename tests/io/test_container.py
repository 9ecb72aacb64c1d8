"""The safetensors container: what the format's own program writes is read, and what only looks like it is refused."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

import nnfast as nf
from nnfast.io.container import TensorFile


def raw(header: Any, body: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + body


def entry(shape: Any, start: Any, end: Any, dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


BAD_CONTAINERS = {
    "empty": (b"", "ends early"),
    "half a length": (bytes(7), "ends early"),
    "no header": (raw(b""), "a safetensors header within the file's 8 bytes, got one of 0"),
    "header of one byte too many": (raw({}, length=3), "within the file's 10 bytes, got one of 3"),
    "huge header": (raw({}, length=2**64 - 1), "got one of 18446744073709551615"),
    "no JSON": (raw(b"{x"), "Expecting"),
    "no UTF-8": (raw(b'{"\xff": 1}'), "utf-8"),
    "a list": (raw([]), "expected a safetensors header with the tensors by name"),
    "deep": (raw(b"[" * 100_000), "recursion"),
    "a name twice": (raw(b'{"a": 1, "a": 1}'), "unique names"),
    "NaN": (raw(b'{"a": NaN}'), "finite numbers, got NaN"),
    "an integer of 5000 digits": (raw(b'{"a": %s}' % (b"9" * 5000)), "integer string conversion"),
    "metadata as list": (raw({"__metadata__": []}), "metadata with strings"),
    "metadata of numbers": (raw({"__metadata__": {"nnfast": 1}}), "metadata with strings"),
    "no entry": (raw({"a": 1}), "a: expected dtype, shape and data_offsets, got 1"),
    "an entry with more": (raw({"a": {**entry([1], 0, 4), "more": 1}}, bytes(4)), "expected dtype, shape and data_off"),
    "unknown dtype": (raw({"a": entry([1], 0, 2, "F16")}, bytes(2)), "dtype of F32, F64, got 'F16'"),
    "dtype as list": (raw({"a": entry([1], 0, 4, ["F32"])}, bytes(4)), r"got \['F32'\]"),
    "shape as number": (raw({"a": entry(1, 0, 4)}, bytes(4)), "expected whole numbers"),
    "shape of a float": (raw({"a": entry([1.0], 0, 4)}, bytes(4)), "expected whole numbers"),
    "shape of a bool": (raw({"a": entry([True], 0, 4)}, bytes(4)), "expected whole numbers"),
    "negative shape": (raw({"a": entry([-1, -1], 0, 4)}, bytes(4)), "expected whole numbers"),
    "three offsets": (raw({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 4]}}, bytes(4)), "whole numbers"),
    "offsets turned": (raw({"a": entry([1], 4, 0)}, bytes(4)), "data_offsets within"),
    "beyond the end": (raw({"a": entry([2], 0, 8)}, bytes(7)), "within the file's 7 bytes of tensors"),
    "before the start": (raw({"a": entry([1], -4, 0)}, bytes(4)), "expected whole numbers"),
    "other size": (raw({"a": entry([2], 0, 4)}, bytes(4)), r"as many bytes as shape \(2,\) F32 has, got 4"),
    "of no size": (raw({"a": entry([0, 2], 0, 4)}, bytes(4)), "as many bytes as shape"),
    "of no size and huge": (raw({"a": entry([2**62, 0], 0, 4)}, bytes(4)), "as many bytes as shape"),
    "shape of a million digits": (raw({"a": entry([10**1000] * 1000, 0, 4)}, bytes(4)), "as many bytes as shape"),
    "bytes before the first": (raw({"a": entry([1], 4, 8)}, bytes(8)), "a: expected the tensor's bytes at"),
    "overlap": (raw({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, bytes(12)), "b: expected the tensor's bytes at"),
    "gap": (raw({"a": entry([1], 0, 4), "b": entry([1], 8, 12)}, bytes(12)), "b: expected the tensor's bytes at"),
    "bytes behind the last": (raw({"a": entry([1], 0, 4)}, bytes(5)), r"file of \d+ bytes, got \d+; it is cut"),
}


@pytest.mark.parametrize("damaged", BAD_CONTAINERS.values(), ids=BAD_CONTAINERS)
def test_containers_that_are_none(tmp_path: Path, damaged: tuple[bytes, str]) -> None:
    content, match = damaged
    (tmp_path / "x").write_bytes(content)
    with open(tmp_path / "x", "rb") as file, pytest.raises((ValueError, RecursionError), match=match):
        TensorFile(file)
    with pytest.raises(ValueError, match=rf"x: cannot be read: .*{match}"):
        nf.Network.load(tmp_path / "x")


def test_the_container_reads_what_safetensors_writes(tmp_path: Path, rng: np.random.Generator) -> None:
    """In any order and with any padding; scalars and empty tensors too."""
    tensors = {
        "b": rng.normal(size=(3, 2)).astype("float32"),
        "a": rng.normal(size=(2, 1, 4)),
        "scalar": np.array(0.5),
        "empty": np.zeros((0, 3), dtype="float32"),
    }
    (tmp_path / "x").write_bytes(save(tensors, {"note": "text"}))
    with open(tmp_path / "x", "rb") as file:
        opened = TensorFile(file)
        assert (opened.metadata, opened.size) == ({"note": "text"}, (tmp_path / "x").stat().st_size)
        assert {name: stored.shape for name, stored in opened.tensors.items()} == {
            name: value.shape for name, value in tensors.items()
        }
        for name in ("a", "b", "scalar"):
            read = np.zeros_like(tensors[name])
            opened.read_into(name, read)
            assert read.tobytes() == tensors[name].tobytes()
        with pytest.raises(ValueError, match=r"b: expected shape \(2, 3\) F32, got \(3, 2\) F32"):
            opened.read_into("b", np.zeros((2, 3), dtype="float32"))
        with pytest.raises(ValueError, match=r"b: expected shape \(3, 2\) F64, got \(3, 2\) F32"):
            opened.read_into("b", np.zeros((3, 2)))
        with pytest.raises(ValueError, match="expected a tensor 'c'"):
            opened.read_into("c", np.zeros(1))


def test_a_file_that_is_cut_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(save({"a": np.ones(100_000)}))
    with open(path, "rb") as file:
        opened = TensorFile(file)
        os.truncate(path, 100_000)
        with pytest.raises(ValueError, match="truncated while"):
            opened.read_into("a", np.zeros(100_000))
