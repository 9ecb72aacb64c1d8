"""Files of Keras, opened: `.keras` (a ZIP archive), `.weights.h5` and legacy `.h5`.

Nothing is extracted to disk, imported or executed. What is decompressed is bounded by the size of the file.
"""

from __future__ import annotations

import errno
import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final

from nnfast.core.files import open_regular
from nnfast.core.text import shorten
from nnfast.io.hdf5 import Group, read_hdf5

__all__ = ["KerasFile", "opened"]

_CONFIG: Final = "config.json"
_WEIGHTS: Final = "model.weights.h5"
_MAX_CONFIG_BYTES: Final = 16 << 20
_MAX_RATIO: Final = 30
"""How many times larger decompressed weights may be; random numbers cannot be compressed at all."""
_LEAST_BYTES: Final = 1 << 20
_LONGEST_TEXT: Final = 2000


class KerasFile:
    """The architecture in a file, if it has one, and its weights."""

    def __init__(self, config: Any, root: Group) -> None:
        self.config = config
        self.root = root


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[KerasFile]:
    """An open file; any fault in its content is raised as a ValueError that names the file."""
    with open_regular(path) as file:
        try:
            yield _read(file)
        except _FAULTS as error:
            text = str(error) or type(error).__name__
            # As the cause, it would be printed too, even if it has megabytes.
            cause = error if len(text) <= _LONGEST_TEXT else None
            raise ValueError(f"{os.fspath(path)}: cannot be read: {shorten(text, _LONGEST_TEXT)}") from cause


_FAULTS: Final = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    RecursionError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def _read(file: BinaryIO) -> KerasFile:
    start = file.read(4)
    if start != b"PK\3\4":
        root = read_hdf5(file)
        config = root.attributes.get("model_config")
        return KerasFile(_parsed(config) if isinstance(config, str) else None, root)
    size = file.seek(0, 2)
    try:
        with zipfile.ZipFile(file) as archive:
            config = _entry(archive, _CONFIG, _MAX_CONFIG_BYTES).decode()
            weights = _entry(archive, _WEIGHTS, max(_MAX_RATIO * size, _LEAST_BYTES))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise ValueError(f"expected offsets within the file: {error}") from error
    return KerasFile(_parsed(config), read_hdf5(io.BytesIO(weights)))


def _entry(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    try:
        entry = archive.getinfo(name)
    except KeyError:
        names = shorten(str(archive.namelist()), 300)
        raise ValueError(f"expected a .keras file with {name}, got a ZIP archive of {names}") from None
    if entry.file_size > limit:
        raise ValueError(f"expected {name} of at most {limit} bytes, got {entry.file_size}")
    with archive.open(entry) as file:
        data = file.read(limit + 1)
    if len(data) != entry.file_size:
        raise ValueError(f"expected {entry.file_size} bytes of {name}, got {len(data)}")
    return data


def _parsed(text: str) -> Any:
    # Keras writes NaN and infinity as JSON does not know them; where they matter, the layers refuse them.
    return json.loads(text)
