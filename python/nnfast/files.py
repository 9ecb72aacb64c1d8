"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["atomic_writer"]


@contextmanager
def atomic_writer(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a temporary file that takes the name `path` when the block ends well and vanishes when it does not.

    Parameters
    ----------
    path : str or path-like
        The file; one that exists is replaced.

    Yields
    ------
    file
        Open for writing bytes, in the folder of `path`.

    Raises
    ------
    OSError
        If the file cannot be written; one that stood there before is then unharmed.

    Notes
    -----
    The content reaches the disk before the name does, and the name before the block is left, so after a crash or a
    loss of power there is the old file or the new one, whole.

    Examples
    --------
    >>> import os, tempfile
    >>> from nnfast.files import atomic_writer
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_writer(os.path.join(folder, "new")) as file:
    ...         _ = file.write(b"all of it")
    ...     os.listdir(folder)
    ['new']
    """
    target = Path(path)
    # Its own short name: one made from the target's could be too long for the file system.
    temporary = target.with_name(f".nnfast-{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows opens no folders; NTFS keeps its own journal of names.
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
