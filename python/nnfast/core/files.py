"""Files: reading never blocks on pipes or devices, and writing is atomic."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

if sys.platform != "win32":
    import fcntl

__all__ = ["atomic_writer", "open_regular", "require_writable"]

_PREFIX: Final = ".nnfast-"
_SUFFIX: Final = ".tmp"
_ABANDONED_SECONDS: Final = 86400.0
"""Age from which a temporary file is considered abandoned, on systems without locks."""


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading bytes.

    Unlike a memory map, the file may be truncated by another process while it is read: it then just ends early.

    Raises
    ------
    ValueError
        If `path` is a folder, pipe, socket or device, which has no size and may block forever.

    Examples
    --------
    >>> import os, tempfile
    >>> from nnfast.core.files import open_regular
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open(os.path.join(folder, "a"), "wb") as file:
    ...         _ = file.write(b"content")
    ...     with open_regular(os.path.join(folder, "a")) as file:
    ...         file.read()
    b'content'
    """
    filename = os.fspath(path)
    # Before opening, which has effects on some devices, and after it, because the file may have been replaced.
    _require_regular(os.stat(filename).st_mode, filename)
    file = open(filename, "rb", opener=_open_at_once)  # noqa: SIM115
    try:
        _require_regular(os.fstat(file.fileno()).st_mode, filename)
    except BaseException:
        file.close()
        raise
    return file


def _open_at_once(name: str, flags: int) -> int:
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))


def _require_regular(mode: int, filename: str) -> None:
    if not stat.S_ISREG(mode):
        raise ValueError(
            f"{filename}: expected a regular file, got {_kind(mode)}; pass the path of a file, and copy "
            "other data to a file first"
        )


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return next((name for is_kind, name in kinds if is_kind(mode)), "a device")


@contextmanager
def atomic_writer(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a temporary file that is renamed to `path` if the block succeeds, and removed if it fails.

    An existing file keeps its mode and, if the system allows it, its owner. For a symbolic link, the file it points to
    is replaced. Other hard links to a replaced file keep the old content.

    Raises
    ------
    OSError
        If the file cannot be written or is write-protected, or its folder does not exist. An existing file is unharmed.
    ValueError
        If `path` is a pipe, socket or device.

    Notes
    -----
    The content is flushed to disk before the file is renamed, and the new name before the block is left, so after a
    crash or a power failure there is either the old file or the new one. A killed process leaves its temporary file,
    which the next call for the same folder removes.

    Examples
    --------
    >>> import os, tempfile
    >>> from nnfast.core.files import atomic_writer
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_writer(os.path.join(folder, "new")) as file:
    ...         _ = file.write(b"all of it")
    ...     os.listdir(folder)
    ['new']
    """
    target = Path(os.path.realpath(path))
    old = _replaceable(target)
    _remove_leftovers(target.parent)
    temporary, file = _create(target.parent, 0o666 if old is None else 0o600)
    try:
        with file:
            yield file
            file.flush()
            if old is not None:
                _take_over(file, old)
            os.fsync(file.fileno())
            if sys.platform != "win32":  # An open file can be renamed, so keep its lock until then.
                os.replace(temporary, target)
        if sys.platform == "win32":
            os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def require_writable(path: str | os.PathLike[str]) -> None:
    """Raise the error that `atomic_writer` would raise for this path, as far as it can be known without writing."""
    target = Path(os.path.realpath(path))
    _replaceable(target)
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "expected a folder that may be written to", str(target.parent))


def _replaceable(target: Path) -> os.stat_result | None:
    """Status of the existing file; None if there is none."""
    if not target.parent.is_dir():
        # Report the missing folder, not the temporary file that cannot be created in it.
        raise FileNotFoundError(
            errno.ENOENT, "expected a folder that exists; create it first, with os.makedirs", str(target.parent)
        )
    try:
        old = os.stat(target)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(old.st_mode):
        raise IsADirectoryError(errno.EISDIR, "expected the name of a file, got a folder", str(target))
    if not stat.S_ISREG(old.st_mode):
        raise ValueError(f"{target}: expected a regular file or a new name, got {_kind(old.st_mode)}")
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "expected a file that may be written, got a protected one", str(target))
    return old


def _create(folder: Path, mode: int) -> tuple[Path, BinaryIO]:
    """A new temporary file, locked as long as it is open."""
    while True:
        # A short name: one derived from the target's could be too long for the file system.
        temporary = folder / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
        try:
            file = open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode))  # noqa: SIM115
        except OSError as error:
            error.filename = str(folder)  # The folder is what cannot be written to.
            raise
        # Another process may have removed it as a leftover before it was locked.
        if _lock(file) and temporary.exists():
            return temporary, file
        file.close()


def _lock(file: BinaryIO) -> bool:
    """Lock a file without waiting; False if another process holds it, True also if the file system has no locks."""
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass
    return True


def _remove_leftovers(folder: Path) -> None:
    """Remove temporary files of killed processes, i.e. those that are not locked."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.name.endswith(_SUFFIX):
                with contextlib.suppress(OSError):  # in use, already removed, or not ours
                    _remove_leftover(entry)


def _remove_leftover(entry: os.DirEntry[str]) -> None:
    if not entry.is_file(follow_symlinks=False):
        return
    if sys.platform == "win32":
        if time.time() - entry.stat().st_mtime > _ABANDONED_SECONDS:
            os.unlink(entry.path)
        return
    descriptor = os.open(entry.path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(entry.path)
    finally:
        os.close(descriptor)


def _take_over(file: BinaryIO, old: os.stat_result) -> None:
    """Give a file the mode and, as far as the system allows, the owner of another."""
    if sys.platform != "win32":
        for user, group in ((old.st_uid, -1), (-1, old.st_gid)):
            with contextlib.suppress(OSError):
                os.fchown(file.fileno(), user, group)
        os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open folders; NTFS journals names itself.
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
