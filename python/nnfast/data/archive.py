"""Sequential reading of tar archives that are not trusted.

Nothing is written to disk. Names that lead out of the archive, links and devices are refused anyway: an archive of
images has no use for them.
"""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final, cast

from nnfast.core.files import open_regular
from nnfast.core.text import short_repr, shorten

__all__ = ["Limits", "is_archive", "read_archive"]

_SUFFIXES: Final = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz")
_BLOCK: Final = tarfile.BLOCKSIZE
_CHUNK_BYTES: Final = 2**16
# `xz -9` needs 65 MiB for its dictionary; a header may demand 4 GiB.
_XZ_MEMORY: Final = 2**28
# Between the contents of two members there may be a header with extended headers for long names (tarfile reads ahead by
# a record), and zeros after the last.
_HEADER_BYTES: Final = 2**14 + tarfile.RECORDSIZE
_ZEROS_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """What is accepted from a source: number of files, bytes per file, and bytes in total."""

    files: int
    file_bytes: int
    bytes: int


def is_archive(filename: str) -> bool:
    """Whether `read_archive` can read a file of that name."""
    return filename.lower().endswith(_SUFFIXES)


def read_archive(filename: str, limits: Limits, wanted: tuple[str, ...]) -> Iterator[tuple[str, bytes | None]]:
    """Names of all members in order, with the content of files whose names end in `wanted` (lower case).

    Names of folders end in "/".
    """
    with open_regular(filename) as file, _damage_named(filename):
        source = _Bounded(_decompressed(file), filename, limits)
        with tarfile.open(fileobj=cast(BinaryIO, source), mode="r|") as archive:
            seen: set[str] = set()
            while (member := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # or else it keeps all of them
                name = _checked_name(member, filename, seen, limits)
                source.admit(member)
                content = archive.extractfile(member) if name.lower().endswith(wanted) else None
                yield name, None if content is None else content.read()
        source.finish()


@contextmanager
def _damage_named(filename: str) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, lzma.LZMAError, zlib.error, gzip.BadGzipFile, EOFError) as error:
        raise ValueError(
            f"{filename}: expected a valid tar archive, got damaged data ({shorten(str(error))}); fetch it again"
        ) from error


def _checked_name(member: tarfile.TarInfo, filename: str, seen: set[str], limits: Limits) -> str:
    """Name of the member without a leading "./"; an error for anything that an archive of images should not contain."""
    what = f"{filename}: member {short_repr(member.name)}"
    if not (member.isreg() or member.isdir()) or member.issparse():
        raise ValueError(
            f"{what}: expected a file or a folder, got a link, a device or a sparse file; make the archive without it"
        )
    # Backslashes and drive letters: paths of other systems are not allowed.
    parts = member.name.replace("\\", "/").split("/")
    if member.name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\0" in member.name:
        raise ValueError(f"{what}: expected a path inside the archive, got one that leads out of it")
    if member.size > limits.file_bytes:
        raise ValueError(
            f"{what}: expected at most {limits.file_bytes} bytes, got {member.size}; pass a larger max_file_bytes if "
            "this is right"
        )
    if len(seen) >= limits.files:
        raise ValueError(f"{what}: expected at most {limits.files} files; pass a larger max_files if more are right")
    name = "/".join(part for part in parts if part not in ("", "."))
    if member.isdir():
        name += "/"
    elif name in seen:
        raise ValueError(f"{what}: expected each file once, got it twice; create the archive again")
    seen.add(name)
    return name


class _Bounded:
    """A stream that raises an error if more is read than the members so far account for, or if it ends early."""

    def __init__(self, stream: BinaryIO, filename: str, limits: Limits) -> None:
        self._stream = stream
        self._filename = filename
        self._limits = limits
        self._read = 0
        self._end = 0
        """End of the members so far."""
        self._nonzero_end = 0
        self._room = _HEADER_BYTES
        self._promised = 0

    def read(self, size: int) -> bytes:
        """Up to `size` bytes."""
        data = self._stream.read(size)
        if content := data.rstrip(b"\0"):
            self._nonzero_end = self._read + len(content)
        self._read += len(data)
        if self._read > self._end + self._room:
            raise ValueError(f"{self._filename}: expected a header of limited size, got one without end")
        return data

    def admit(self, member: tarfile.TarInfo) -> None:
        """Allow reading the content of a member."""
        self._promised += member.size
        if self._promised > self._limits.bytes:
            raise ValueError(
                f"{self._filename}: member {short_repr(member.name)}: expected at most {self._limits.bytes} bytes in "
                "all, got more; pass a larger max_bytes if this is right"
            )
        blocks = -(-member.size // _BLOCK) if member.isreg() else 0
        self._end = member.offset_data + blocks * _BLOCK

    def finish(self) -> None:
        """Read to the end, which makes decompressors verify checksums, and check the end mark of the archive.

        tarfile takes a damaged header for the end, whatever follows.
        """
        self._room = _ZEROS_BYTES
        more = True
        while more:
            if self._nonzero_end > self._end:
                raise ValueError(
                    f"{self._filename}: expected zeros after the last file, at byte {self._end}, got a damaged header "
                    "or another archive; fetch it again, or join archives with tar"
                )
            more = bool(self.read(_CHUNK_BYTES))
        if self._read < self._end + _BLOCK:
            raise ValueError(
                f"{self._filename}: expected an end mark after the last file, got an archive that is cut short; fetch "
                "it again"
            )


def _decompressed(file: BinaryIO) -> BinaryIO:
    """The decompressed stream; the format is recognized by the first bytes."""
    start = file.read(6)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=file, mode="rb"))
    if start == b"\xfd7zXZ\0":
        return io.BufferedReader(_XzReader(file), _CHUNK_BYTES)
    return file


class _XzReader(io.RawIOBase):
    """`lzma.LZMAFile` with a memory limit for the decompressor."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = self._new_decoder()

    @staticmethod
    def _new_decoder() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while True:
            if self._decoder.eof:
                # Zeros after a stream are padding; another stream may follow.
                rest = self._decoder.unused_data or self._file.read(_CHUNK_BYTES)
                while rest and not (stripped := rest.lstrip(b"\0")):
                    rest = self._file.read(_CHUNK_BYTES)
                if not rest:
                    return 0
                rest = stripped
                self._decoder = self._new_decoder()
            elif self._decoder.needs_input:
                rest = self._file.read(_CHUNK_BYTES)
                if not rest:
                    raise EOFError("the compressed data end too early")
            else:
                rest = b""
            data = self._decoder.decompress(rest, len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)
