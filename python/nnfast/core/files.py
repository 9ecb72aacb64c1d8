"""Files: read so that no pipe or device can make the reader wait, written so that nobody ever sees half of one."""

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

__all__ = ["atomic_writer", "open_regular"]

_PREFIX: Final = ".nnfast-"
_SUFFIX: Final = ".tmp"
_ABANDONED_SECONDS: Final = 86400.0
"""Age of a temporary file that belongs to no running process, where there are no locks to ask."""


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading bytes.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    file
        Unlike a mapping, it can be cut by another process while it is read: then it just ends early.

    Raises
    ------
    ValueError
        If `path` is a folder, pipe, socket or device, which has no size and may make one wait for ever.
    OSError
        If the file cannot be opened.

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
    # Before opening, which does things to some devices, and after it, since the name may mean another file by then.
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
            f"{filename}: expected a regular file, got {_kind(mode)}; give the path of a file, into which you can copy "
            "what comes from elsewhere"
        )


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return next((name for is_kind, name in kinds if is_kind(mode)), "a device")


@contextmanager
def atomic_writer(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a temporary file that takes the name `path` when the block ends well and vanishes when it does not.

    Parameters
    ----------
    path : str or path-like
        The file; one that exists is replaced and keeps its mode and, where the system allows it, its owner. A symbolic
        link stays, and the file that it leads to is replaced.

    Yields
    ------
    file
        Open for writing bytes, in the folder of `path`.

    Raises
    ------
    OSError
        If the file cannot be written, is write-protected, or is to lie in a folder that does not exist. One that stood
        there before is then unharmed.
    ValueError
        If `path` is a pipe, socket or device.

    Notes
    -----
    The content reaches the disk before the name does, and the name before the block is left, so after a crash or a
    loss of power there is the old file or the new one, whole. A process that is killed leaves its temporary file, which
    the next call for the same folder removes. Other names (hard links) of a file that is replaced keep the old content.

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
            if sys.platform != "win32":  # Where an open file may be renamed its lock is kept until that is done.
                os.replace(temporary, target)
        if sys.platform == "win32":
            os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _replaceable(target: Path) -> os.stat_result | None:
    """What is known of the file that stands there; None if there is none."""
    if not target.parent.is_dir():
        # A missing folder, and not the temporary file that cannot be made in it.
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
    """A new temporary file that is locked as long as it is open."""
    while True:
        # A short name of its own: one made from the target's could be too long for the file system.
        temporary = folder / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
        try:
            file = open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode))  # noqa: SIM115
        except OSError as error:
            error.filename = str(folder)  # It is the folder that cannot be written to.
            raise
        # Another process may have taken it for a leftover before it was locked.
        if _lock(file) and temporary.exists():
            return temporary, file
        file.close()


def _lock(file: BinaryIO) -> bool:
    """Lock a file without waiting; False if somebody else has, True also where the file system knows no locks."""
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass
    return True


def _remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of processes that were killed: those that nobody has locked."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.name.endswith(_SUFFIX):
                with contextlib.suppress(OSError):  # It is in use, gone, or not ours.
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
    """Give a file the owner, as far as the system allows, and the mode of another."""
    if sys.platform != "win32":
        for user, group in ((old.st_uid, -1), (-1, old.st_gid)):
            with contextlib.suppress(OSError):
                os.fchown(file.fileno(), user, group)
        os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows opens no folders; NTFS keeps its own journal of names.
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
