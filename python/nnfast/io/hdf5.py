"""A reader of the part of HDF5 that files of weights use: groups, contiguous numbers, attributes of text.

It is written in Python for safety: the C library of HDF5 is not made for files that nobody has checked. All numbers of
a file are compared with its size before they are used; time and memory are linear in that size. Links to other places,
external storage, committed datatypes, filters and chunks are refused.

References
----------
The HDF Group, HDF5 file format specification version 3.0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np

from nnfast.core.text import short_repr
from nnfast.core.typing import Array, Shape

__all__ = ["Dataset", "Group", "read_hdf5"]

_SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
_MAX_DEPTH: Final = 40
"""Of groups in groups."""
_MAX_OBJECTS: Final = 200_000
_MAX_RANK: Final = 32
_MAX_NAME: Final = 1000
_LEAST_WORK: Final = 1 << 16
_UNDEFINED: Final = (1 << 64) - 1
_REWRITE: Final = "write it again with h5py's default options"

_DATASPACE, _LINK_INFO, _DATATYPE, _LINK, _EXTERNAL, _LAYOUT = 0x01, 0x02, 0x03, 0x06, 0x07, 0x08
_FILTERS, _ATTRIBUTE, _CONTINUATION, _SYMBOLS, _ATTRIBUTE_INFO = 0x0B, 0x0C, 0x10, 0x11, 0x15
_SHARED: Final = 2
"""Flag of a message that is stored elsewhere."""
_FLOATS: Final = {2: (10, 5, 0, 10), 4: (23, 8, 0, 23), 8: (52, 11, 0, 52)}
"""IEEE formats by number of bytes: place and size of the exponent, place and size of the mantissa."""


class Dataset:
    """Numbers in a file, read on request.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    """

    def __init__(self, reader: _Reader, shape: Shape, dtype: np.dtype[Any], data: bytes | int) -> None:
        self._reader = reader
        self._data = data
        self.shape = shape
        self.dtype = dtype

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return _product(self.shape) * self.dtype.itemsize

    def read(self) -> Array:
        """The numbers, as a new array."""
        data = self._data if isinstance(self._data, bytes) else self._reader.bytes_at(self._data, self.nbytes)
        return np.frombuffer(data, self.dtype, _product(self.shape)).reshape(self.shape).copy()


class Group:
    """A group of a file: groups, datasets, and attributes of text, by name."""

    def __init__(self) -> None:
        self.groups: dict[str, Group] = {}
        self.datasets: dict[str, Dataset] = {}
        self.attributes: dict[str, str | list[str]] = {}

    def walk(self, path: str = "") -> Iterator[tuple[str, Dataset]]:
        """All datasets within, by path."""
        for name, dataset in self.datasets.items():
            yield f"{path}{name}", dataset
        for name, group in self.groups.items():
            yield from group.walk(f"{path}{name}/")


def read_hdf5(file: BinaryIO) -> Group:
    """The root group of a file, whose numbers are read from the file later.

    Parameters
    ----------
    file : binary file
        Open, and seekable.

    Raises
    ------
    ValueError
        If it is not an HDF5 file, is damaged, or uses what this reader does not know. The file is not named.
    """
    try:
        return _Reader(file).root()
    except (struct.error, UnicodeDecodeError, IndexError, OverflowError, RecursionError) as error:
        raise ValueError(f"expected a complete HDF5 file, got a damaged one: {error}") from error


class _Message(NamedTuple):
    kind: int
    flags: int
    data: bytes


class _Type(NamedTuple):
    """The type of a dataset or attribute."""

    size: int
    dtype: np.dtype[Any] | None = None
    text: str = ""
    """"fixed" or "variable"."""


class _Reader:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, 2)
        self._work = 16 * self.size + _LEAST_WORK
        self._stored = 0
        self._visited: set[int] = set()
        self._heaps: dict[int, dict[int, bytes]] = {}
        start = self._read(0, min(self.size, 128))
        if not start.startswith(_SIGNATURE) or len(start) < 48:
            raise ValueError(f"expected an HDF5 file, which starts with {_SIGNATURE!r}, got {start[:8]!r}")
        version = start[8]
        if version not in (0, 1, 2, 3):
            raise ValueError(f"expected a superblock of version 0 to 3, got {version}")
        sizes = start[13:15] if version < 2 else start[9:11]
        if tuple(sizes) != (8, 8):
            raise ValueError(f"expected offsets and lengths of 8 bytes, got {tuple(sizes)}")
        place = {0: 24, 1: 28, 2: 12, 3: 12}[version]
        (base,) = struct.unpack_from("<Q", start, place)
        if base != 0:
            raise ValueError(f"expected a file without a user block, got one of {base} bytes; {_REWRITE}")
        # The root's object header comes after four addresses; before version 2 in the entry of a symbol table.
        (self._root,) = struct.unpack_from("<Q", start, place + (40 if version < 2 else 24))

    # ---- bytes -------------------------------------------------------------

    def bytes_at(self, place: int, count: int) -> bytes:
        """Bytes of the file, checked to be there."""
        if not 0 <= place <= place + count <= self.size:
            raise ValueError(f"expected {count} bytes at {place}, got a file of {self.size} bytes")
        self._file.seek(place)
        data = self._file.read(count)
        if len(data) != count:
            raise ValueError("expected more bytes, got a file that ends early")
        return data

    def _read(self, place: int, count: int) -> bytes:
        """Bytes that describe something; a file that leads back to the same ones again and again is refused."""
        self._work -= count + 16
        if self._work < 0:
            raise ValueError("expected each part of the file to be used once, got a file that refers to parts again")
        return self.bytes_at(place, count)

    # ---- objects -----------------------------------------------------------

    def root(self) -> Group:
        group = self._object(self._root, 0)
        if not isinstance(group, Group):
            raise ValueError("expected a group as root, got a dataset")
        return group

    def _object(self, place: int, depth: int) -> Group | Dataset:
        if place in self._visited:
            raise ValueError("expected each object once, got several links to one; write it to a new file")
        self._visited.add(place)
        if depth > _MAX_DEPTH or len(self._visited) > _MAX_OBJECTS:
            raise ValueError(f"expected groups nested at most {_MAX_DEPTH} deep and {_MAX_OBJECTS} objects, got more")
        messages = self._messages(place)
        by_kind = {message.kind: message for message in messages}
        if _LAYOUT in by_kind:
            return self._dataset(by_kind)
        group = Group()
        for name, child in self._links(messages):
            if name in group.groups or name in group.datasets:
                raise ValueError(f"expected unique names, got {short_repr(name)} twice")
            found = self._object(child, depth + 1)
            if isinstance(found, Group):
                group.groups[name] = found
            else:
                group.datasets[name] = found
        for message in messages:
            if message.kind == _ATTRIBUTE:
                name, text = self._attribute(message)
                if text is not None:
                    group.attributes[name] = text
        return group

    def _messages(self, place: int) -> list[_Message]:
        """The messages of an object header."""
        start = self._read(place, 16)
        newer = start[:4] == b"OHDR"
        if newer:
            flags = start[5]
            place += 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
            width = 1 << (flags & 3)
            size = int.from_bytes(self._read(place, width), "little")
            blocks = [(place + width, size)]
        else:
            if start[0] != 1:
                raise ValueError(f"expected an object header of version 1 or 2, got {start[0]}")
            flags = 0
            (size,) = struct.unpack_from("<I", start, 8)
            blocks = [(place + 16, size)]
        messages: list[_Message] = []
        while blocks:
            block = self._read(*blocks.pop(0))
            for message in self._messages_in(block, newer, bool(flags & 4)):
                if message.kind == _CONTINUATION:
                    where, size = struct.unpack_from("<QQ", message.data)
                    # After the signature and before the checksum, if there are any.
                    blocks.append((where + 4, size - 8) if newer else (where, size))
                else:
                    messages.append(message)
        return messages

    @staticmethod
    def _messages_in(block: bytes, newer: bool, ordered: bool) -> Iterator[_Message]:
        head = (6 if ordered else 4) if newer else 8
        place = 0
        while place + head <= len(block):
            kind, size, flags = struct.unpack_from("<BHB" if newer else "<HHB", block, place)
            place += head
            if place + size > len(block):
                raise ValueError("expected messages within their object header")
            if flags & _SHARED and kind != 0:
                raise ValueError(f"expected descriptions in place, got one that is stored elsewhere; {_REWRITE}")
            yield _Message(kind, flags, block[place : place + size])
            place += size

    # ---- groups ------------------------------------------------------------

    def _links(self, messages: list[_Message]) -> Iterator[tuple[str, int]]:
        """Names and addresses of what a group has."""
        for message in messages:
            if message.kind == _SYMBOLS:
                tree, heap = struct.unpack_from("<QQ", message.data)
                yield from self._in_tree(tree, self._names(heap), None)
            elif message.kind == _LINK:
                yield _hard_link(message.data)
            elif message.kind == _LINK_INFO:
                flags = message.data[1]
                (heap,) = struct.unpack_from("<Q", message.data, 10 if flags & 1 else 2)
                if heap != _UNDEFINED:
                    raise ValueError(f"expected groups in the format that h5py writes by default; {_REWRITE}")

    def _names(self, place: int) -> bytes:
        head = self._read(place, 32)
        if head[:4] != b"HEAP":
            raise ValueError(f"expected a heap of names at {place}, got {head[:4]!r}")
        size, _, data = struct.unpack_from("<QQQ", head, 8)
        return self._read(data, size)

    def _in_tree(self, place: int, names: bytes, above: int | None) -> Iterator[tuple[str, int]]:
        head = self._read(place, 24)
        kind, level, used = struct.unpack_from("<BBH", head, 4)
        if head[:4] != b"TREE" or kind != 0 or (above is not None and level != above - 1):
            raise ValueError(f"expected a node of a tree of groups at {place}, got {head[:8]!r}")
        children = struct.unpack_from(f"<{2 * used + 1}Q", self._read(place + 24, 16 * used + 8))[1::2]
        for child in children:
            if level:
                yield from self._in_tree(child, names, level)
            else:
                yield from self._in_node(child, names)

    def _in_node(self, place: int, names: bytes) -> Iterator[tuple[str, int]]:
        head = self._read(place, 8)
        if head[:4] != b"SNOD":
            raise ValueError(f"expected a node of symbols at {place}, got {head[:4]!r}")
        (count,) = struct.unpack_from("<H", head, 6)
        for name_at, address, cache in struct.iter_unpack("<QQI20x", self._read(place + 8, 40 * count)):
            end = names.find(b"\0", name_at, name_at + _MAX_NAME)
            if not 0 <= name_at < end:
                raise ValueError("expected names within their heap")
            name = names[name_at:end].decode()
            if cache == 2 or address == _UNDEFINED:
                raise ValueError(f"{short_repr(name)}: expected a group or dataset, got a link; {_REWRITE}")
            yield name, address

    # ---- datasets ----------------------------------------------------------

    def _dataset(self, by_kind: dict[int, _Message]) -> Dataset:
        if _EXTERNAL in by_kind:
            raise ValueError(f"expected numbers in the file itself, got external storage; {_REWRITE}")
        if _DATASPACE not in by_kind or _DATATYPE not in by_kind:
            raise ValueError("expected a dataset with a shape and a type")
        shape = _shape_of(by_kind[_DATASPACE].data)
        dtype = _type_of(by_kind[_DATATYPE].data).dtype
        if dtype is None or shape is None:
            raise ValueError("expected datasets of numbers, got something else")
        layout = by_kind[_LAYOUT].data
        if layout[0] not in (3, 4) or layout[1] not in (0, 1) or _FILTERS in by_kind:
            raise ValueError(f"expected numbers stored contiguously, without compression, got chunks; {_REWRITE}")
        needed = _product(shape) * dtype.itemsize
        self._stored += needed
        if self._stored > self.size:
            raise ValueError(f"expected numbers of at most {self.size} bytes, as the file has, got more")
        if layout[1] == 0:
            (size,) = struct.unpack_from("<H", layout, 2)
            if size != needed or len(layout) < 4 + size:
                raise ValueError(f"expected {needed} bytes of shape {shape}, got {size}")
            return Dataset(self, shape, dtype, layout[4 : 4 + size])
        place, size = struct.unpack_from("<QQ", layout, 2)
        if needed and (size != needed or place + size > self.size):
            raise ValueError(f"expected {needed} bytes of shape {shape} in the file, got {size} at {place}")
        return Dataset(self, shape, dtype, place if needed else b"")

    # ---- attributes --------------------------------------------------------

    def _attribute(self, message: _Message) -> tuple[str, str | list[str] | None]:
        """Name and text of an attribute; None if it is not of text."""
        data = message.data
        version, flags, name_size, type_size, space_size = struct.unpack_from("<BBHHH", data)
        if version not in (1, 2, 3) or (version > 1 and flags):
            raise ValueError(f"expected attributes of version 1 to 3, got {version}")
        place = 9 if version == 3 else 8
        parts = []
        for size in (name_size, type_size, space_size):
            parts.append(data[place : place + size])
            place += -(-size // 8) * 8 if version == 1 else size
        name = parts[0].partition(b"\0")[0].decode()
        kind, shape = _type_of(parts[1]), _shape_of(parts[2])
        if not kind.text or shape is None or len(shape) > 1:
            return name, None
        count = _product(shape)
        if place + count * kind.size > len(data):
            raise ValueError(f"{short_repr(name)}: expected {count} texts within the attribute")
        items = (data[place + i * kind.size : place + (i + 1) * kind.size] for i in range(count))
        texts = [self._text(item, kind) for item in items]
        return name, texts if shape else texts[0]

    def _text(self, item: bytes, kind: _Type) -> str:
        if kind.text == "fixed":
            return item.rstrip(b"\0").decode()
        length, heap, index = struct.unpack("<IQI", item)
        if not length:
            return ""
        self._work -= length
        if self._work < 0:
            raise ValueError("expected each text once, got a file that refers to texts again and again")
        if heap not in self._heaps:
            self._heaps[heap] = self._global_heap(heap)
        return self._heaps[heap].get(index, b"")[:length].decode()

    def _global_heap(self, place: int) -> dict[int, bytes]:
        head = self._read(place, 16)
        (size,) = struct.unpack_from("<Q", head, 8)
        if head[:4] != b"GCOL" or size < 16:
            raise ValueError(f"expected a heap of texts at {place}, got {head[:4]!r}")
        data = self._read(place + 16, size - 16)
        found, at = {}, 0
        while at + 16 <= len(data):
            index, _, length = struct.unpack_from("<HHxxxxQ", data, at)
            if index == 0:
                break
            if at + 16 + length > len(data):
                raise ValueError("expected texts within their heap")
            found[index] = data[at + 16 : at + 16 + length]
            at += 16 + -(-length // 8) * 8
        return found


def _hard_link(data: bytes) -> tuple[str, int]:
    flags, place = data[1], 2
    kind = 0
    if flags & 8:
        kind, place = data[place], place + 1
    place += (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
    width = 1 << (flags & 3)
    length = int.from_bytes(data[place : place + width], "little")
    place += width
    name = data[place : place + length].decode()
    if kind != 0:
        raise ValueError(f"{short_repr(name)}: expected a group or dataset, got a link; {_REWRITE}")
    (address,) = struct.unpack_from("<Q", data, place + length)
    return name, address


def _shape_of(data: bytes) -> Shape | None:
    """The shape of a dataspace; None for one without any numbers."""
    version, rank = struct.unpack_from("<BB", data)
    if version not in (1, 2) or rank > _MAX_RANK:
        raise ValueError(f"expected a shape of version 1 or 2 with at most {_MAX_RANK} axes, got {version} and {rank}")
    if version == 2 and data[3] == 2:
        return None
    return struct.unpack_from(f"<{rank}Q", data, 8 if version == 1 else 4)


def _type_of(data: bytes) -> _Type:
    head, bits, _, _, size = struct.unpack_from("<BBBBI", data)
    kind, big = head & 15, ">" if bits & 1 else "<"
    if kind == 0 and size in (1, 2, 4, 8):
        return _Type(size, np.dtype(f"{big}{'i' if bits & 8 else 'u'}{size}"))
    if kind == 1 and size in _FLOATS and not bits & 0x40:
        offset, precision, *layout = struct.unpack_from("<HHBBBB", data, 8)
        if (offset, precision, tuple(layout)) == (0, 8 * size, _FLOATS[size]):
            return _Type(size, np.dtype(f"{big}f{size}"))
    if kind == 3 and size:
        return _Type(size, text="fixed")
    if kind == 9 and bits & 15 == 1 and size == 16:
        return _Type(size, text="variable")
    return _Type(size)


def _product(sizes: Shape) -> int:
    """Their product, but at most 2^64: those of a damaged file could have many digits."""
    if 0 in sizes:
        return 0
    product = 1
    for size in sizes:
        product *= size
        if product > 1 << 64:
            break
    return product
