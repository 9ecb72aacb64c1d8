"""The wire format of protocol buffers: messages that are described by tables of fields.

Reading takes untrusted bytes. Lengths are compared with the bytes that are there before they are used, messages may be
nested `MAX_DEPTH` deep, and time and memory are linear in the number of bytes. Unknown fields are skipped, repeated
numbers may be packed or not, and a message that is given twice is merged, all as the specification says:
https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, NamedTuple, Self

import numpy as np

from nnfast.core.typing import Array

__all__ = [
    "ARRAY",
    "BYTES",
    "DOUBLE",
    "FLOAT",
    "INT32",
    "INT64",
    "STRING",
    "UINT64",
    "VIEW",
    "Field",
    "Message",
    "field",
]

INT32: Final = "int32"
INT64: Final = "int64"
UINT64: Final = "uint64"
FLOAT: Final = "float"
DOUBLE: Final = "double"
STRING: Final = "string"
BYTES: Final = "bytes"
VIEW: Final = "view"
"""Bytes that are not copied: a memoryview of what was parsed."""
ARRAY: Final = "array"
"""For `many`: an `array.array` instead of a list, for numbers that may be millions."""

MAX_DEPTH: Final = 100
MAX_MESSAGES: Final = 2_000_000
"""An empty message has two bytes in a file, but about a hundred in memory."""
_MAX_BYTES: Final = (1 << 31) - 1
"""Limit of the format for a message."""
_VARINT, _FIXED64, _LENGTH, _GROUP, _END_GROUP, _FIXED32 = range(6)
_WIRE_TYPES: Final = {INT32: _VARINT, INT64: _VARINT, UINT64: _VARINT, FLOAT: _FIXED32, DOUBLE: _FIXED64}
_ZEROS: Final[Mapping[Any, Any]] = {
    **dict.fromkeys((INT32, INT64, UINT64), 0),
    **dict.fromkeys((FLOAT, DOUBLE), 0.0),
    STRING: "",
    BYTES: b"",
    VIEW: b"",
}
_DTYPES: Final = {INT32: "<i4", INT64: "<i8", UINT64: "<u8", FLOAT: "<f4", DOUBLE: "<f8"}
_TYPE_CODES: Final = {INT32: "i", INT64: "q", UINT64: "Q", FLOAT: "f", DOUBLE: "d"}
_MASK: Final = (1 << 64) - 1


class Field(NamedTuple):
    """A field of a message: its number, the kind of its values, and whether there are many."""

    number: int
    kind: Any
    """One of the constants of this module, or the class of a message."""
    many: bool | str
    default: Any


_ABSENT: Final = object()


def field(number: int, kind: Any, *, many: bool | str = False, default: Any = _ABSENT) -> Any:
    """A field, as the value of a class attribute of a `Message`.

    Parameters
    ----------
    number : int
    kind : str or type of Message
    many : bool or ARRAY
    default : optional
        What an absent field reads as: by default the zero of its kind, an empty tuple if there may be many, and None
        for a message.
    """
    if default is _ABSENT:
        default = () if many else _ZEROS.get(kind) if isinstance(kind, str) else None
    return Field(number, kind, many, default)


class Message:
    """The base class of messages. Their fields are attributes; absent ones read as their default values."""

    _fields: ClassVar[dict[str, Field]]
    _by_number: ClassVar[dict[int, tuple[str, Field]]]
    one_of: ClassVar[tuple[str, ...]] = ()
    """Fields of which a message has at most one: the last that is read."""

    def __init_subclass__(cls) -> None:
        made = {name: value for name, value in vars(cls).items() if isinstance(value, Field)}
        cls._complete(made)

    @classmethod
    def _complete(cls, fields: dict[str, Field]) -> None:
        """The class attributes become the default values, so that an empty message holds nothing."""
        cls._fields = dict(sorted(fields.items(), key=lambda item: item[1].number))
        cls._by_number = {value.number: (name, value) for name, value in fields.items()}
        for name, value in fields.items():
            setattr(cls, name, value.default)

    @classmethod
    def add_fields(cls, **fields: Any) -> None:
        """Add fields whose kinds are messages that are defined after this one."""
        cls._complete(cls._fields | fields)

    def __init__(self, **values: Any) -> None:
        for name, value in values.items():
            if name not in self._fields:
                raise TypeError(f"{type(self).__name__}: expected one of the fields {list(self._fields)}, got {name!r}")
            setattr(self, name, value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def has(self, name: str) -> bool:
        """Whether a field was set, be it to its default value."""
        return name in vars(self)

    @classmethod
    def parse(cls, data: bytes | bytearray | memoryview) -> Self:
        """Read a message.

        Parameters
        ----------
        data : bytes-like
            Must not be changed as long as the message is in use: fields of the kind VIEW are not copied.

        Raises
        ------
        ValueError
            With the position of what is wrong.
        """
        view = memoryview(data).cast("B")
        message = cls()
        _Reader(view).message(message, 0, len(view), 0)
        return message

    def serialize(self) -> bytes:
        """The bytes of the message, fields in the order of their numbers.

        Raises
        ------
        ValueError
            If they are 2 GiB or more, which no reader takes.
        """
        pieces: list[Any] = []
        size = _write(self, pieces)
        if size > _MAX_BYTES:
            raise ValueError(
                f"{type(self).__name__}: expected at most {_MAX_BYTES} bytes, the limit of protocol buffers, got {size}"
            )
        return b"".join(pieces)


# ---- reading ---------------------------------------------------------------------


class _Reader:
    """Bytes that are being parsed. Positions are those in the whole, so that errors can name them."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.messages = 0

    def message(self, message: Message, at: int, end: int, depth: int) -> None:
        """Read the fields between two positions into a message."""
        self.messages += 1
        if depth > MAX_DEPTH:
            raise _error(at, f"messages nested at most {MAX_DEPTH} deep, got more")
        if self.messages > MAX_MESSAGES:
            raise _error(at, f"at most {MAX_MESSAGES} messages, got more")
        known = message._by_number
        while at < end:
            start = at
            tag, at = self.varint(at, end)
            number, wire = tag >> 3, tag & 7
            if not 0 < number < 1 << 29:
                raise _error(start, f"a field number from 1 to {(1 << 29) - 1}, got {number}")
            name, described = known.get(number, ("", None))
            if described is None or not _fits(described, wire):
                at = self.skip(wire, number, start, at, end, depth)
            else:
                at = self.value(message, name, described, wire, at, end, depth)

    def value(self, message: Message, name: str, described: Field, wire: int, at: int, end: int, depth: int) -> int:
        """Read a field; returns the position after it."""
        kind, values = described.kind, vars(message)
        last = at
        if wire == _LENGTH:
            at, last = self.length(at, end)
        if name in message.one_of:
            for other in message.one_of:
                if other != name:
                    values.pop(other, None)
        if isinstance(kind, type):
            made = values.get(name) if not described.many else None
            if made is None:
                made = kind()
                self.store(values, name, described, made)
            self.message(made, at, last, depth + 1)
        elif kind in _WIRE_TYPES and wire == _LENGTH:
            self.packed(values, name, described, at, last)
        elif kind in _WIRE_TYPES:
            number, last = self.scalar(kind, at, end)
            self.store(values, name, described, number)
        else:
            self.store(values, name, described, self.text(kind, at, last))
        return last

    def store(self, values: dict[str, Any], name: str, described: Field, value: Any) -> None:
        if described.many:
            self.collection(values, name, described).append(value)
        else:
            values[name] = value

    def collection(self, values: dict[str, Any], name: str, described: Field) -> Any:
        found = values.get(name)
        if found is None:
            found = values[name] = array(_TYPE_CODES[described.kind]) if described.many == ARRAY else []
        return found

    def packed(self, values: dict[str, Any], name: str, described: Field, at: int, end: int) -> None:
        """Read numbers that follow each other without tags."""
        kind = described.kind
        numbers = self.varints(kind, at, end) if _WIRE_TYPES[kind] == _VARINT else self.fixed(kind, at, end)
        if not described.many:
            if numbers.size:
                values[name] = numbers[-1].item()
        elif described.many == ARRAY:
            native = numbers.astype(numbers.dtype.newbyteorder("="), copy=False)
            self.collection(values, name, described).frombytes(native.view(np.uint8).data)
        else:
            self.collection(values, name, described).extend(numbers.tolist())

    def fixed(self, kind: str, at: int, end: int) -> Array:
        dtype = np.dtype(_DTYPES[kind])
        if (end - at) % dtype.itemsize:
            raise _error(at, f"numbers of {dtype.itemsize} bytes each, got {end - at} bytes")
        return np.frombuffer(self.data[at:end], dtype)

    def varints(self, kind: str, at: int, end: int) -> Array:
        """Numbers of 7 bits per byte, of which all but the last have the high bit."""
        raw = np.frombuffer(self.data[at:end], np.uint8)
        ends = np.flatnonzero(raw < 128)
        if raw.size and (not ends.size or ends[-1] != raw.size - 1):
            raise _error(end, "a number to end before it, got its first bytes only")
        starts = np.concatenate([[0], ends[:-1] + 1]) if ends.size else ends
        lengths = ends - starts + 1
        longest = int(lengths.max(initial=0))
        if longest > 10:
            raise _error(at + int(starts[lengths.argmax()]), f"a number of at most 10 bytes, got {longest}")
        numbers = np.zeros(ends.size, np.uint64)
        for k in range(longest):
            longer = lengths > k
            numbers[longer] |= (raw[starts[longer] + k] & 127).astype(np.uint64) << np.uint64(7 * k)
        return numbers.astype(_DTYPES[kind])  # which wraps, as the specification says

    def scalar(self, kind: str, at: int, end: int) -> tuple[float, int]:
        """A number that is not packed with others, and the position after it."""
        if _WIRE_TYPES[kind] != _VARINT:
            last = at + np.dtype(_DTYPES[kind]).itemsize
            if last > end:
                raise _error(at, f"a number of {last - at} bytes, got {end - at} bytes")
            return self.fixed(kind, at, last)[0].item(), last
        value, last = self.varint(at, end)
        bits = 32 if kind == INT32 else 64
        value &= (1 << bits) - 1
        return value - (1 << bits) if kind != UINT64 and value >> bits - 1 else value, last

    def varint(self, at: int, end: int) -> tuple[int, int]:
        """An unsigned number of 64 bits, and the position after it."""
        data, value, shift, start = self.data, 0, 0, at
        while at < end and shift < 70:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value & _MASK, at
            shift += 7
        raise _error(start, "a number of at most 10 bytes, got " + ("more" if shift == 70 else "the end"))

    def length(self, at: int, end: int) -> tuple[int, int]:
        """The positions at which something with a length begins and ends."""
        size, start = self.varint(at, end)
        if size > end - start:
            raise _error(at, f"at most the {end - start} bytes that follow, got a length of {size}")
        return start, start + size

    def text(self, kind: str, at: int, end: int) -> Any:
        if kind == VIEW:
            return self.data[at:end]
        content = bytes(self.data[at:end])
        if kind == BYTES:
            return content
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise _error(at + error.start, f"text in UTF-8, got the byte {content[error.start]:#x}") from None

    def skip(self, wire: int, number: int, start: int, at: int, end: int, depth: int) -> int:
        """The position after a value that is not wanted."""
        if wire == _VARINT:
            return self.varint(at, end)[1]
        if wire == _LENGTH:
            return self.length(at, end)[1]
        if wire in (_FIXED32, _FIXED64):
            last = at + (4 if wire == _FIXED32 else 8)
            if last > end:
                raise _error(at, f"a number of {last - at} bytes, got {end - at} bytes")
            return last
        if wire == _GROUP:
            return self.skip_group(number, start, at, end, depth + 1)
        raise _error(start, f"the beginning of a field, got the wire type {wire}")

    def skip_group(self, number: int, start: int, at: int, end: int, depth: int) -> int:
        if depth > MAX_DEPTH:
            raise _error(start, f"groups nested at most {MAX_DEPTH} deep, got more")
        while at < end:
            inner = at
            tag, at = self.varint(at, end)
            if tag & 7 == _END_GROUP:
                if tag >> 3 != number:
                    raise _error(inner, f"the end of the group {number}, got that of {tag >> 3}")
                return at
            at = self.skip(tag & 7, tag >> 3, inner, at, end, depth)
        raise _error(start, f"a group that ends, got the end of the message in group {number}")


def _fits(described: Field, wire: int) -> bool:
    """Whether a value of this wire type belongs to a field; otherwise the field is unknown."""
    return wire == _LENGTH or wire == _WIRE_TYPES.get(described.kind)


def _error(at: int, text: str) -> ValueError:
    return ValueError(f"byte {at}: expected {text}; the file is damaged or of another format")


# ---- writing ---------------------------------------------------------------------


def _write(message: Message, pieces: list[Any]) -> int:
    """Append the pieces of a message's bytes; returns their size."""
    size = 0
    for name, described in message._fields.items():
        value = vars(message).get(name)
        if value is None:
            continue
        if not described.many:
            size += _write_one(described, value, pieces)
        elif described.kind in _WIRE_TYPES and described.many == ARRAY:
            size += _write_bytes(described.number, _packed(described.kind, value), pieces) if len(value) else 0
        else:
            size += sum(_write_one(described, item, pieces) for item in value)
    return size


def _write_one(described: Field, value: Any, pieces: list[Any]) -> int:
    kind, number = described.kind, described.number
    if isinstance(kind, type):
        place = len(pieces)
        pieces.append(b"")
        size = _write(value, pieces)
        pieces[place] = _varint(number << 3 | _LENGTH) + _varint(size)
        return size + len(pieces[place])
    if kind in (STRING, BYTES, VIEW):
        return _write_bytes(number, value.encode() if kind == STRING else memoryview(value).cast("B"), pieces)
    tag = _varint(number << 3 | _WIRE_TYPES[kind])
    content = tag + (_varint(value & _MASK) if _WIRE_TYPES[kind] == _VARINT else _packed(kind, [value]))
    pieces.append(content)
    return len(content)


def _write_bytes(number: int, content: Any, pieces: list[Any]) -> int:
    head = _varint(number << 3 | _LENGTH) + _varint(len(content))
    pieces += [head, content]
    return len(head) + len(content)


def _packed(kind: str, numbers: Sequence[float]) -> bytes:
    if _WIRE_TYPES[kind] == _VARINT:
        return b"".join(_varint(int(number) & _MASK) for number in numbers)
    return np.asarray(numbers, _DTYPES[kind]).tobytes()


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)
