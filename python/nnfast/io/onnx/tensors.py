"""Tensors of ONNX files and NumPy arrays.

All sizes are compared with the bytes that are there before anything is allocated. External data are read only from
regular files within the folder of the model.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from nnfast.core.files import open_regular
from nnfast.core.text import short_repr
from nnfast.core.typing import Array, Shape
from nnfast.io.onnx.messages import DataType, TensorProto

__all__ = ["DTYPES", "from_array", "to_array"]

DTYPES: Final = {
    DataType.FLOAT: "float32",
    DataType.UINT8: "uint8",
    DataType.INT8: "int8",
    DataType.UINT16: "uint16",
    DataType.INT16: "int16",
    DataType.INT32: "int32",
    DataType.INT64: "int64",
    DataType.BOOL: "bool",
    DataType.FLOAT16: "float16",
    DataType.DOUBLE: "float64",
    DataType.UINT32: "uint32",
    DataType.UINT64: "uint64",
    DataType.COMPLEX64: "complex64",
    DataType.COMPLEX128: "complex128",
}
"""NumPy's names of the types that it has."""
_PACKED: Final = {
    DataType.UINT4: (4, False),
    DataType.INT4: (4, True),
    DataType.UINT2: (2, False),
    DataType.INT2: (2, True),
    DataType.FLOAT4E2M1: (4, False),
}
"""Types of less than a byte: bits and sign. The first element has the lowest bits."""
_SMALL_FLOATS: Final = {  # bits of exponent and mantissa, bias, whether there are infinities, a negative zero
    DataType.FLOAT4E2M1: (2, 1, 1, False, True),
    DataType.FLOAT8E4M3FN: (4, 3, 7, False, True),
    DataType.FLOAT8E4M3FNUZ: (4, 3, 8, False, False),
    DataType.FLOAT8E5M2: (5, 2, 15, True, True),
    DataType.FLOAT8E5M2FNUZ: (5, 2, 16, False, False),
}
_FIELDS: Final = {
    DataType.FLOAT: "float_data",
    DataType.COMPLEX64: "float_data",
    DataType.DOUBLE: "double_data",
    DataType.COMPLEX128: "double_data",
    DataType.INT64: "int64_data",
    DataType.UINT32: "uint64_data",
    DataType.UINT64: "uint64_data",
}
"""Where data are that are not raw; the others are in int32_data."""


def to_array(tensor: TensorProto, folder: str | os.PathLike[str] | None = None) -> Array:
    """The array of a tensor.

    Parameters
    ----------
    tensor : TensorProto
    folder : path-like, optional
        That of the model, which may have files with tensors.

    Returns
    -------
    ndarray
        Read-only if it needs no copy of the file's bytes. Types that NumPy lacks are converted without rounding:
        bfloat16 and smaller floats to float32, integers of 2 and 4 bits to uint8 and int8; strings become bytes.

    Raises
    ------
    ValueError
        If the type is unknown, or the data do not have the size that type and shape need, or are out of the folder.
    """
    where = f"tensor {tensor.name!r}"
    shape, kind = _checked_shape(where, tensor), _checked_type(where, tensor.data_type)
    count = math.prod(shape)
    if kind == DataType.STRING:
        if tensor.data_location or tensor.raw_data:
            raise ValueError(f"{where}: expected strings in string_data, got raw or external ones")
        _require_count(where, "strings", count, len(tensor.string_data))
        made = np.empty(count, object)
        made[:] = tensor.string_data
        return made.reshape(shape)
    if tensor.data_location == 1:
        raw: Any = _external(where, tensor, _bytes_of(kind, count), folder)
    elif tensor.has("raw_data") and (tensor.raw_data or not count):
        _require_count(where, "bytes", _bytes_of(kind, count), len(tensor.raw_data))
        raw = tensor.raw_data
    else:
        return _from_numbers(where, tensor, kind, count).reshape(shape)
    stored = np.frombuffer(raw, _stored_dtype(kind))
    return _decoded(kind, stored, count).reshape(shape)


def from_array(values: ArrayLike, name: str = "") -> TensorProto:
    """The tensor of an array.

    Parameters
    ----------
    values : array_like
        Of a type in `DTYPES`; raw, and not copied if it is contiguous.
    name : str
    """
    array = np.asarray(values, order="C")
    kind = next((kind for kind, dtype in DTYPES.items() if dtype == array.dtype.name), None)
    if kind is None:
        raise TypeError(f"tensor {name!r}: expected one of the dtypes {list(DTYPES.values())}, got {array.dtype}")
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return TensorProto(dims=list(array.shape), data_type=int(kind), name=name, raw_data=_bytes_view(little))


def _bytes_view(array: Array) -> Any:
    return array.reshape(-1).view(np.uint8).data if array.size else b""


# ---- checks ----------------------------------------------------------------------


def _checked_shape(where: str, tensor: TensorProto) -> Shape:
    shape = tuple(tensor.dims)
    if any(size < 0 for size in shape) or len(shape) > 64 or math.prod(size or 1 for size in shape) >= 1 << 62:
        raise ValueError(f"{where}: expected up to 64 sizes from 0 on, got {short_repr(list(shape))}")
    return shape


def _checked_type(where: str, number: int) -> DataType:
    try:
        kind = DataType(number)
    except ValueError:
        raise ValueError(f"{where}: expected a known type of elements, got number {number}") from None
    if kind == DataType.UNDEFINED:
        raise ValueError(f"{where}: expected a type of its elements, got none")
    return kind


def _require_count(where: str, what: str, expected: int, got: int) -> None:
    if got != expected:
        raise ValueError(f"{where}: expected {expected} {what} for its shape, got {got}")


def _stored_dtype(kind: DataType) -> Any:
    if kind == DataType.BFLOAT16:
        return np.dtype("<u2")
    return np.dtype(DTYPES.get(kind, "uint8")).newbyteorder("<")


def _bytes_of(kind: DataType, count: int) -> int:
    if kind in _PACKED:
        return -(-count * _PACKED[kind][0] // 8)
    return count * int(_stored_dtype(kind).itemsize)


# ---- values ----------------------------------------------------------------------


def _from_numbers(where: str, tensor: TensorProto, kind: DataType, count: int) -> Array:
    """Values in a field of numbers."""
    name = _FIELDS.get(kind, "int32_data")
    numbers: Any = getattr(tensor, name)
    per = 2 if kind in (DataType.COMPLEX64, DataType.COMPLEX128) else 1
    expected = _bytes_of(kind, count) if kind in _PACKED else count * per
    _require_count(where, f"numbers in {name}", expected, len(numbers))
    values = np.asarray(numbers) if len(numbers) else np.zeros(0, np.int32)
    dtype = _stored_dtype(kind)
    if per == 2:
        return values.astype(np.float32 if kind == DataType.COMPLEX64 else np.float64).view(DTYPES[kind])
    if kind == DataType.FLOAT16:  # bit patterns
        return values.astype(np.uint16).view(np.float16)
    return _decoded(kind, values.astype(dtype), count)


def _decoded(kind: DataType, stored: Array, count: int) -> Array:
    """Elements of a type, from the form in which they are stored."""
    if kind in _PACKED:
        bits, signed = _PACKED[kind]
        shifts = np.arange(0, 8, bits, dtype=np.uint8)
        stored = (stored[:, None] >> shifts & (1 << bits) - 1).reshape(-1)[:count]
        if signed:
            half = 1 << bits - 1
            return ((stored ^ half).astype(np.int8) - half).astype(np.int8)
    if kind == DataType.BFLOAT16:
        return (stored.astype(np.uint32) << 16).view(np.float32)
    if kind == DataType.FLOAT8E8M0:
        powers = np.ldexp(1.0, np.minimum(np.arange(256), 254) - 127).astype(np.float32)
        powers[255] = np.nan
        return np.asarray(powers[stored])
    if kind in _SMALL_FLOATS:
        return _small_floats(*_SMALL_FLOATS[kind])[stored]
    return stored.astype(stored.dtype.newbyteorder("="), copy=False)


def _small_floats(exponent: int, mantissa: int, bias: int, infinities: bool, negative_zero: bool) -> Array:
    """The values of all bit patterns of a small format (Micikevicius et al. 2022, arXiv:2209.05433)."""
    patterns = np.arange(1 << exponent + mantissa)
    powers, fractions = patterns >> mantissa, patterns & (1 << mantissa) - 1
    normal = np.ldexp(1.0 + fractions / (1 << mantissa), powers - bias)
    values = np.where(powers > 0, normal, np.ldexp(fractions / (1 << mantissa), 1 - bias))
    if infinities:
        values = np.where(powers == (1 << exponent) - 1, np.where(fractions == 0, np.inf, np.nan), values)
    elif negative_zero and exponent > 2:
        values[-1] = np.nan
    both = np.concatenate([values, -values])
    if not negative_zero:
        both[len(values)] = np.nan
    return both.astype(np.float32)


# ---- other files -----------------------------------------------------------------


def _external(where: str, tensor: TensorProto, expected: int, folder: str | os.PathLike[str] | None) -> Array:
    """The bytes of a tensor that another file has."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    if folder is None:
        raise ValueError(
            f"{where}: expected data within the model, got the file {short_repr(location)}; pass the model's path"
        )
    path = _confined(where, location, os.fspath(folder))
    offset = _number(where, entries, "offset", 0)
    length = _number(where, entries, "length", expected)
    _require_count(where, "bytes", expected, length)
    try:
        file = open_regular(path)
    except OSError as error:
        raise ValueError(f"{where}: expected its data in the file {path}, got {error}") from None
    with file:
        size = os.fstat(file.fileno()).st_size
        if offset + length > size:
            raise ValueError(f"{where}: expected {length} bytes from {offset} on in {path}, got a file of {size} bytes")
        file.seek(offset)
        made = np.empty(length, np.uint8)
        read = file.readinto(made.data)  # type: ignore[attr-defined]
    _require_count(where, "bytes", length, read)
    return made


def _confined(where: str, location: str, folder: str) -> str:
    """The path of a file within a folder, also after links have been followed."""
    resolved: Callable[[str], str] = os.path.realpath
    base = resolved(folder)
    parts = location.replace("\\", "/").split("/")
    outside = not location or "\0" in location or os.path.isabs(location) or ".." in parts or ":" in parts[0]
    path = base if outside else resolved(os.path.join(base, location))
    if outside or os.path.commonpath([base, path]) != base or path == base:
        raise ValueError(
            f"{where}: expected a file within the folder {base} of the model, got {short_repr(location)}; copy it there"
        )
    return path


def _number(where: str, entries: dict[str, str], key: str, default: int) -> int:
    text = entries.get(key, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ValueError(f"{where}: expected a whole number from 0 on as {key} of its data, got {short_repr(text)}")
    return int(text)
