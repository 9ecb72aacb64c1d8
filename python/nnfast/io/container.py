"""The safetensors container: a JSON header followed by the bytes of the tensors. It knows nothing about networks.

Files are read, not mapped: truncating a mapped file would crash the reader. All numbers of the header are compared with
the file's size before they are used, and time and memory are linear in that size.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np

from nnfast.core.digest import array_bytes, sha256
from nnfast.core.typing import Array, Shape

__all__ = ["TensorFile", "digest_of", "parse_json", "tensor_bytes"]

_LENGTH_BYTES: Final = 8
_MAX_HEADER_BYTES: Final = 100_000_000
"""Limit of the format."""
_DTYPES: Final[dict[str, np.dtype[Any]]] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}
_NAMES: Final = {dtype.name: name for name, dtype in _DTYPES.items()}
_PIECE: Final = 1 << 20
"""Bytes that are read at a time to compute a digest."""


class _Stored(NamedTuple):
    """A tensor's dtype, shape and position in the file."""

    dtype: str
    shape: Shape
    start: int
    end: int


def parse_json(text: str) -> Any:
    """Parse JSON, refusing duplicate names and non-finite numbers."""
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("expected JSON with unique names")
    return made


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"expected JSON with finite numbers, got {name}")


def tensor_bytes(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    """The content of a file."""
    from safetensors.numpy import save

    content: bytes = save({name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}, dict(metadata))
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    if length > _MAX_HEADER_BYTES:
        raise ValueError(
            f"expected at most {_MAX_HEADER_BYTES} bytes of names and options, the limit of safetensors, got "
            f"{length}; keep large arrays in parameters, not in options"
        )
    return content


def digest_of(text: str, tensors: Mapping[str, Array]) -> str:
    """SHA-256 of a text and of tensors by name, independent of the order in which a file has them."""
    parts = sorted(tensors.items())
    return sha256(
        text, ((name, _NAMES[tensor.dtype.name], tensor.shape, [array_bytes(tensor)]) for name, tensor in parts)
    )


class TensorFile:
    """An open file: its metadata, the names of its tensors, and their values on request.

    Errors are ValueErrors that do not name the file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(self._read(_LENGTH_BYTES), "little")
        if not 0 < length <= min(_MAX_HEADER_BYTES, self.size - _LENGTH_BYTES):
            raise ValueError(
                f"expected a safetensors header within the file's {self.size} bytes, got one of {length} bytes"
            )
        header = parse_json(self._read(length).decode())
        if not isinstance(header, dict):
            raise ValueError("expected a safetensors header with the tensors by name")
        metadata = header.pop("__metadata__", {})
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            raise ValueError("expected metadata with strings by name")
        self.metadata: dict[str, str] = metadata
        self.tensors = self._placed(header, _LENGTH_BYTES + length)

    def _read(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise ValueError("expected more bytes, got a file that ends early")
        return data

    def _placed(self, header: dict[str, Any], start: int) -> dict[str, _Stored]:
        """The entries of the header, which must fill the rest of the file without gaps or overlaps."""
        room = self.size - start
        stored = {name: _stored(name, entry, start, room) for name, entry in header.items()}
        end = start
        for name, tensor in sorted(stored.items(), key=lambda item: item[1][2:]):
            if tensor.start != end:
                raise ValueError(f"{name}: expected the tensor's bytes at {end}, got {tensor.start}")
            end = tensor.end
        if end != self.size:
            raise ValueError(f"expected a file of {end} bytes, got {self.size}; it is cut short or damaged")
        return stored

    def digest(self, text: str) -> str:
        """What `digest_of` gives for the tensors of the file."""
        parts = sorted(self.tensors.items())
        return sha256(text, ((name, stored.dtype, stored.shape, self._pieces(stored)) for name, stored in parts))

    def _pieces(self, stored: _Stored) -> Iterator[bytes]:
        self._file.seek(stored.start)
        for first in range(stored.start, stored.end, _PIECE):
            yield self._read(min(_PIECE, stored.end - first))

    def check(self, name: str, shape: Shape, dtype: str) -> None:
        """Compare the description of a tensor with the expected shape and dtype."""
        if name not in self.tensors:
            raise ValueError(f"expected a tensor {name!r}")
        stored = self.tensors[name]
        if (stored.shape, stored.dtype) != (tuple(shape), _NAMES[dtype]):
            raise ValueError(
                f"{name}: expected shape {tuple(shape)} {_NAMES[dtype]}, got {stored.shape} {stored.dtype}"
            )

    def all_beginning_with(self, prefix: str) -> dict[str, Array]:
        """The tensors whose names begin so, as new arrays."""
        found = {}
        for name, stored in self.tensors.items():
            if name.startswith(prefix):
                found[name] = np.empty(stored.shape, _DTYPES[stored.dtype].newbyteorder("="))
                self.read_into(name, found[name])
        return found

    def read_into(self, name: str, array: Array) -> None:
        """Read a tensor into a C-contiguous array, after checking it; its values must be finite."""
        self.check(name, array.shape, array.dtype.name)
        self._file.seek(self.tensors[name].start)
        data = array.reshape(-1).view("u1")  # a view, since the array is contiguous
        if self._file.readinto(data) < len(data):  # type: ignore[attr-defined]
            raise ValueError("expected more bytes, but the file was truncated while it was read")
        if not np.isfinite(array).all():
            raise ValueError(f"{name}: expected finite numbers, got NaN or infinity; the file is damaged")


def _stored(name: str, entry: Any, start: int, room: int) -> _Stored:
    """An entry of the header, checked against the number of bytes available for tensors."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name}: expected dtype, shape and data_offsets, got {entry!r}")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ValueError(f"{name}: expected a dtype of {', '.join(_DTYPES)}, got {dtype!r}")
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise ValueError(f"{name}: expected whole numbers as shape and two as data_offsets, got {entry!r}")
    first, last = offsets
    if not first <= last <= room:
        raise ValueError(f"{name}: expected data_offsets within the file's {room} bytes of tensors, got {offsets!r}")
    count = 0 if 0 in shape else 1
    for size in shape:
        count *= size
        if count > room:  # inside the loop, because the product of a long list has many digits
            break
    if count * _DTYPES[dtype].itemsize != last - first:
        raise ValueError(f"{name}: expected as many bytes as shape {tuple(shape)} {dtype} has, got {last - first}")
    return _Stored(dtype, tuple(shape), start + first, start + last)


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)
