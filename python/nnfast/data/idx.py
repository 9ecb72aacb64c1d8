"""The IDX file format: one array in big-endian byte order behind a short header, optionally gzip-compressed.

A file consists of two zero bytes, a byte for the element type, a byte for the number of dimensions, each dimension as
an unsigned 32-bit integer, and the elements in C order.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import sys
import zlib
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnfast.core.arrays import as_array
from nnfast.core.files import atomic_writer, open_regular
from nnfast.core.options import integer

DEFAULT_MAX_BYTES: Final = 4 * 2**30

_DTYPES: Final[dict[int, np.dtype[Any]]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
_CODES: Final = {dtype: code for code, dtype in _DTYPES.items()}
_DTYPE_NAMES: Final = ", ".join(dtype.name for dtype in _DTYPES.values())
# The format allows 255 dimensions, NumPy 64.
_MAX_DIMENSIONS: Final = 64
_MAX_DIMENSION: Final = 2**32 - 1

_GZIP_MAGIC: Final = b"\x1f\x8b"
# A match in deflate takes at least two bits and copies at most 258 bytes, which bounds the expansion.
_DEFLATE_MAX_RATIO: Final = 258 * 8 // 2
_CHUNK_BYTES: Final = 2**20


def read_idx(path: str | os.PathLike[str], *, max_bytes: int = DEFAULT_MAX_BYTES) -> NDArray[Any]:
    """Read an array from an IDX file. Gzip is recognized by the first bytes of the file, whatever its name.

    Parameters
    ----------
    path : str or path-like
    max_bytes : int, default 4 GiB
        Maximum size of the array.

    Returns
    -------
    ndarray
        C-contiguous, writable and in native byte order; uint8, int8, int16, int32, float32 or float64.

    Raises
    ------
    ValueError
        If the file is not a valid IDX file, or the array exceeds `max_bytes`.

    Notes
    -----
    The size stated in the header is compared with `max_bytes` and with the size of the file (for gzip with 1032 times
    that size, the maximum expansion of deflate) before anything is read, and memory grows only with the bytes that
    arrive, so a small malicious file cannot allocate much.

    References
    ----------
    LeCun, Cortes & Burges (1998), The MNIST database of handwritten digits, section "File formats". Deutsch (1996),
    DEFLATE Compressed Data Format Specification, RFC 1951, DOI 10.17487/RFC1951.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> import nnfast as nf
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "numbers.idx.gz")
    ...     nf.data.write_idx(path, np.array([[1, 2, 3], [4, 5, 6]], dtype=np.int16))
    ...     nf.data.read_idx(path)
    array([[1, 2, 3],
           [4, 5, 6]], dtype=int16)
    """
    filename = os.fspath(path)
    integer("read_idx", "max_bytes", max_bytes)
    with open_regular(filename) as file:
        size = os.fstat(file.fileno()).st_size
        compressed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        file.seek(0)
        if not compressed:
            return _read_array(file, filename, size, compressed, max_bytes)
        try:
            with gzip.GzipFile(fileobj=file, mode="rb") as stream:
                return _read_array(stream, filename, size, compressed, max_bytes)
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise ValueError(
                f"{filename}: expected valid gzip data, got damaged data ({error}); fetch the file again"
            ) from error


def write_idx(path: str | os.PathLike[str], array: ArrayLike) -> None:
    """Write an array to an IDX file, gzip-compressed if the name ends in ``.gz``.

    Parameters
    ----------
    path : str or path-like
        An existing file is replaced atomically: readers see the old file or the complete new one.
    array : array_like
        uint8, int8, int16, int32, float32 or float64, in any byte order and memory layout, with 1 to 64 dimensions of 1
        to 2^32 - 1.

    Raises
    ------
    TypeError
        If the format has no code for the dtype.

    Notes
    -----
    Equal arrays give equal bytes: gzip headers contain no time and no name.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> import nnfast as nf
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "labels.idx")
    ...     nf.data.write_idx(path, np.array([7, 2, 1], dtype=np.uint8))
    ...     with open(path, "rb") as file:
    ...         print(file.read().hex(" "))
    00 00 08 01 00 00 00 03 07 02 01
    """
    filename = os.fspath(path)
    values = as_array(array, filename, "array")
    header = _header(values, filename)
    elements = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder(">")).reshape(-1).view(np.uint8)
    with atomic_writer(filename) as file:
        if filename.lower().endswith(".gz"):
            with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as stream:
                stream.write(header)
                stream.write(elements.data)
        else:
            file.write(header)
            file.write(elements.data)


def _read_array(
    stream: BinaryIO | gzip.GzipFile, filename: str, file_size: int, compressed: bool, max_bytes: int
) -> NDArray[Any]:
    dtype, shape = _read_header(stream, filename)
    promised = math.prod(shape) * dtype.itemsize
    if promised > max_bytes:
        raise ValueError(
            f"{filename}: expected at most {max_bytes} bytes, got a header that promises {promised} (shape {shape}, "
            f"{dtype.name}); pass a larger max_bytes if this is right"
        )
    # A plain file contains what follows the header; a gzip file at most what deflate can expand to.
    available = file_size * _DEFLATE_MAX_RATIO if compressed else file_size - stream.tell()
    if promised > available:
        raise ValueError(_wrong_length(filename, dtype, shape, promised, f"at most {available}"))

    data = bytearray()
    while len(data) < promised:
        chunk = stream.read(min(_CHUNK_BYTES, promised - len(data)))
        if not chunk:
            raise ValueError(_wrong_length(filename, dtype, shape, promised, str(len(data))))
        data += chunk
    # Reading past the last element also makes gzip verify its checksum.
    if stream.read(1):
        raise ValueError(_wrong_length(filename, dtype, shape, promised, "more"))

    array = np.frombuffer(data, dtype=dtype).reshape(shape)
    if sys.byteorder == "little":
        array.byteswap(inplace=True)
    return array.view(dtype.newbyteorder("="))


def _read_header(stream: BinaryIO | gzip.GzipFile, filename: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = _read_header_bytes(stream, 4, filename)
    if magic[:2] != b"\0\0":
        raise ValueError(
            f"{filename}: expected an IDX file (first bytes 00 00), got {magic[:2].hex(' ')}; check the path"
        )
    code, dimensions = magic[2], magic[3]
    if code not in _DTYPES:
        known = ", ".join(f"0x{known:02X}" for known in _DTYPES)
        raise ValueError(f"{filename}: expected an element type of {known}, got 0x{code:02X}; is it an IDX file?")
    if not 1 <= dimensions <= _MAX_DIMENSIONS:
        raise ValueError(
            f"{filename}: expected 1 to {_MAX_DIMENSIONS} dimensions, got {dimensions}; is it an IDX file?"
        )
    shape = struct.unpack(f">{dimensions}I", _read_header_bytes(stream, 4 * dimensions, filename))
    if 0 in shape:
        raise ValueError(f"{filename}: expected dimensions of 1 or more, got shape {shape}; is it an IDX file?")
    return _DTYPES[code], shape


def _read_header_bytes(stream: BinaryIO | gzip.GzipFile, count: int, filename: str) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise ValueError(f"{filename}: expected an IDX header, got a file that ends inside it; fetch the file again")
    return data


def _wrong_length(filename: str, dtype: np.dtype[Any], shape: tuple[int, ...], promised: int, got: str) -> str:
    return (
        f"{filename}: expected {promised} bytes of data (shape {shape}, {dtype.name}, from its header), got {got}; "
        "the file is cut short, padded or damaged: fetch it again"
    )


def _header(array: NDArray[Any], filename: str) -> bytes:
    code = _CODES.get(array.dtype.newbyteorder(">"))
    if code is None:
        raise TypeError(
            f"{filename}: expected an array of {_DTYPE_NAMES}, got {array.dtype}; convert it first, e.g. "
            "array.astype(np.int32)"
        )
    if not 1 <= array.ndim <= _MAX_DIMENSIONS:
        raise ValueError(
            f"{filename}: expected 1 to {_MAX_DIMENSIONS} dimensions, got {array.ndim}; reshape the array first, e.g. "
            "array.reshape(1)"
        )
    if not all(1 <= dimension <= _MAX_DIMENSION for dimension in array.shape):
        raise ValueError(
            f"{filename}: expected dimensions from 1 to {_MAX_DIMENSION}, got shape {array.shape}; IDX files hold no "
            "empty arrays"
        )
    return struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
