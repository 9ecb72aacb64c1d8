"""Files that TensorBoard reads, without TensorFlow: records of protocol buffers with one scalar each.

A record is its length (8 bytes), a checksum of the length (4), the data, and a checksum of the data (4), all
little-endian. The data are an `Event`: wall_time = 1, step = 2, file_version = 3, summary = 5; a summary is a list
(field 1) of values: tag = 1, simple_value = 2. See tensorflow/core/util/event.proto and lib/io/record_writer.h.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterable
from pathlib import Path

__all__ = ["EventFile"]

_CASTAGNOLI = 0x82F63B78
_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5
"""Wire types of protocol buffers."""


class EventFile:
    """Scalars by tag and step, in a new file of a folder, which is created with the first of them.

    Parameters
    ----------
    folder : path-like

    Examples
    --------
    >>> import tempfile
    >>> from nnfast.training.callbacks.event_file import EventFile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     EventFile(folder).write({"loss": 0.5}, step=0)
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._path: Path | None = None

    def write(self, scalars: dict[str, float], step: int) -> None:
        """Write scalars of one step; the file is complete after it."""
        now = _field(1, _DOUBLE, struct.pack("<d", time.time()))
        values = (_field(1, _BYTES, _value(tag, number)) for tag, number in scalars.items())
        event = now + _field(2, _VARINT, _varint(step)) + _field(5, _BYTES, b"".join(values))
        records = [event]
        if self._path is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            unique = f"{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
            self._path = self.folder / f"events.out.tfevents.{unique}"
            records = [now + _field(3, _BYTES, b"brain.Event:2"), event]
        with open(self._path, "ab") as file:
            file.write(b"".join(map(_record, records)))


def _value(tag: str, number: float) -> bytes:
    return _field(1, _BYTES, tag.encode()) + _field(2, _FLOAT, struct.pack("<f", number))


def _field(number: int, wire_type: int, content: bytes) -> bytes:
    length = _varint(len(content)) if wire_type == _BYTES else b""
    return _varint(number << 3 | wire_type) + length + content


def _varint(number: int) -> bytes:
    """Seven bits per byte, least significant first; all but the last have the highest bit set."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + _checksum(length) + data + _checksum(data)


def _checksum(data: Iterable[int]) -> bytes:
    """CRC-32C, masked as in TFRecord files: rotated by 15 bits, plus a constant."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_CASTAGNOLI if byte & 1 else 0)
    return byte


_TABLE = [_entry(byte) for byte in range(256)]
