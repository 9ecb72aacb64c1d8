"""Files as such: what replaces them, what a killed process leaves, and what is no file."""

import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers
from nnfast.core.files import atomic_writer, open_regular

if os.name == "posix":
    import fcntl

posix = pytest.mark.skipif(os.name != "posix", reason="modes, links and locks of POSIX")


def write(path: Path | str, content: bytes = b"new") -> None:
    with atomic_writer(path) as file:
        file.write(content)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old"
    path.write_bytes(b"before")
    return path


# ---- what is replaced ------------------------------------------------------------------


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_the_mode_of_a_file_stays(old: Path, mode: int) -> None:
    old.chmod(mode)
    with atomic_writer(old) as file:
        file.write(b"new")
        # What is private is so from the first byte on.
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o600
    assert (old.read_bytes(), mode_of(old)) == (b"new", mode)


@posix
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_a_new_file_has_the_mode_of_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write(tmp_path / "new")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "new") == mode


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_the_owner_stays(old: Path) -> None:
    os.chown(old, 1234, 4321)
    old.chmod(0o4750)
    write(old)
    found = old.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1234, 4321, 0o4750)


@posix
def test_links_stay(old: Path) -> None:
    """A link to a link, in another folder, by a relative path; and one to a file that is not there yet."""
    folder = old.parent / "folder"
    folder.mkdir()
    (folder / "first").symlink_to("../old")
    (folder / "second").symlink_to("first")
    (folder / "open").symlink_to("../later")
    write(folder / "second")
    write(folder / "open", b"later")
    assert (old.read_bytes(), (old.parent / "later").read_bytes()) == (b"new", b"later")
    assert [os.readlink(folder / name) for name in ("first", "second", "open")] == ["../old", "first", "../later"]
    assert names(folder) == ["first", "open", "second"]
    (folder / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="loop"):
        write(folder / "loop")
    assert (folder / "loop").is_symlink()


@posix
def test_networks_checkpoints_and_arrays_keep_links_and_modes(tmp_path: Path) -> None:
    net = nf.Network([layers.Input((2,)), layers.Dense(1)], seed=0)
    writers: list[Any] = [
        net.save,
        nf.Trainer(net, loss="mse").save_checkpoint,
        lambda path: nf.data.write_idx(path, np.arange(3, dtype=np.uint8)),
    ]
    for i, writer in enumerate(writers):
        target, link = tmp_path / f"target {i}", tmp_path / f"link {i}"
        target.write_bytes(b"")
        target.chmod(0o600)
        link.symlink_to(target)
        writer(link)
        assert link.is_symlink()
        assert (mode_of(target), target.stat().st_size > 0) == (0o600, True)


@posix
def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
        for kind in ("pipe", "socket"):
            with pytest.raises(ValueError, match=rf"{kind}: expected a regular file or a new name, got a {kind}"):
                write(tmp_path / kind)
    with pytest.raises(IsADirectoryError, match=r"got a folder: '.*folder'"):
        write(tmp_path / "folder")
    assert names(tmp_path) == ["folder", "pipe", "socket"]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@posix
def test_devices_are_not_replaced(tmp_path: Path) -> None:
    try:
        os.mknod(tmp_path / "null", 0o20666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root may make a device")
    with pytest.raises(ValueError, match=r"null: expected a regular file or a new name, got a device"):
        write(tmp_path / "null")
    assert stat.S_ISCHR((tmp_path / "null").stat().st_mode)


def test_protected_files_are_not_replaced(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, wanted: Path(path) != old)  # to root all is allowed
    with pytest.raises(PermissionError, match=r"got a protected one: '.*old'"):
        write(old)
    assert (old.read_bytes(), names(old.parent)) == (b"before", ["old"])


def test_a_folder_that_cannot_take_the_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"create it first, with os.makedirs: '.*missing'") as caught:
        write(tmp_path / "missing" / "net")
    assert caught.value.filename == str(tmp_path / "missing")

    def refuse(path: Any, *_: Any) -> int:
        raise PermissionError(13, "Permission denied", os.fspath(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError) as denied:
        write(tmp_path / "net")
    assert denied.value.filename == str(tmp_path)


# ---- interruptions ---------------------------------------------------------------------


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError, GeneratorExit])
def test_an_interruption_leaves_no_temporary_file(old: Path, error: type[BaseException]) -> None:
    def interrupted() -> None:
        with atomic_writer(old) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert (old.read_bytes(), names(old.parent)) == (b"before", ["old"])


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_ctrl_c_in_the_last_moment_leaves_no_temporary_file(
    old: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, function, interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(old)
    assert (old.read_bytes(), names(old.parent)) == (b"before", ["old"])


def test_all_bytes_are_there_when_the_file_is_synchronized(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Python still holds in its buffer would not reach the disk before the name does."""
    sizes = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode):
            sizes.append(found.st_size)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    write(old, b"abc")
    assert sizes == [3]


@posix
def test_leftovers_of_kills_are_removed_by_the_next_save(tmp_path: Path) -> None:
    script = f"""
        import os, signal
        from nnfast.core.files import atomic_writer
        with atomic_writer({str(tmp_path / "net")!r}) as file:
            file.write(bytes(1000))
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    """
    for _ in range(2):
        run = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
        assert run.returncode == -signal.SIGKILL
        # The second process has removed what the first one left.
        (left,) = names(tmp_path)
        assert left.startswith(".nnfast-")
    write(tmp_path / "other")
    assert names(tmp_path) == ["other"]


@posix
def test_the_temporary_file_of_a_running_save_stays(tmp_path: Path) -> None:
    """Another process saves into the same folder, and so does this one."""
    script = f"from nnfast.core.files import atomic_writer\nwith atomic_writer({str(tmp_path / 'b')!r}): pass"
    with atomic_writer(tmp_path / "a") as file:
        file.write(b"a")
        subprocess.run([sys.executable, "-c", script], check=True)
        write(tmp_path / "c")
    assert names(tmp_path) == ["a", "b", "c"]
    assert (tmp_path / "a").read_bytes() == b"a"


@posix
@pytest.mark.parametrize("still_locked", [True, False])
def test_a_temporary_file_that_is_taken_for_a_leftover_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, still_locked: bool
) -> None:
    """Another process finds it before it is locked, and has the lock or has had it."""
    flock, taken = fcntl.flock, []

    def late(file: Any, operation: int) -> None:
        if len(taken) < 2:
            taken.append(file.name)
            os.unlink(file.name)
            if still_locked:
                raise BlockingIOError
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    write(tmp_path / "a")
    assert len(set(taken)) == 2
    assert ((tmp_path / "a").read_bytes(), names(tmp_path)) == (b"new", ["a"])


@posix
def test_only_leftovers_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".nnfast-0123.txt").write_bytes(b"")
    (tmp_path / "nnfast-0123.tmp").write_bytes(b"")
    (tmp_path / ".nnfast-link.tmp").symlink_to(tmp_path / "nnfast-0123.tmp")
    (tmp_path / ".nnfast-folder.tmp").mkdir()
    os.mkfifo(tmp_path / ".nnfast-pipe.tmp")
    kept = names(tmp_path)
    (tmp_path / ".nnfast-0123.tmp").write_bytes(b"left")
    write(tmp_path / "new")
    assert names(tmp_path) == sorted([*kept, "new"])


@posix
def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are written, and leftovers stay, since nobody can tell whose they are."""

    def refuse(*_: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", refuse)
    (tmp_path / ".nnfast-0123.tmp").write_bytes(b"left")
    write(tmp_path / "new")
    assert names(tmp_path) == [".nnfast-0123.tmp", "new"]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files by /proc")
def test_no_file_stays_open(tmp_path: Path) -> None:
    """Whatever happens: a save, leftovers of either kind, an error, a file that is none."""

    def use_all() -> None:
        (tmp_path / ".nnfast-0123.tmp").write_bytes(b"left")
        with atomic_writer(tmp_path / "a"):
            write(tmp_path / "b")
        with pytest.raises(ValueError, match="regular"):
            open_regular(tmp_path)
        with pytest.raises(IsADirectoryError):
            write(tmp_path)

    use_all()
    before = names(Path("/proc/self/fd"))
    use_all()
    assert names(Path("/proc/self/fd")) == before


# ---- reading ---------------------------------------------------------------------------


@posix
def test_only_regular_files_are_opened(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = old.parent / "pipe"
    os.mkfifo(pipe)
    for path, kind in ((pipe, "a pipe"), (old.parent, "a folder"), (Path("/dev/null"), "a device")):
        with pytest.raises(ValueError, match=f"{path.name}: expected a regular file, got {kind}"):
            open_regular(path)
        for reader in (nf.Network.load, nf.Trainer.resume, nf.data.read_idx):
            with pytest.raises(ValueError, match=f"{path.name}: expected a regular file, got {kind}"):
                reader(path)
    with open_regular(old) as file:
        assert file.read() == b"before"
    # The name means another file between the look at it and its opening.
    regular = os.stat(old)
    monkeypatch.setattr(os, "stat", lambda path, **_: regular)
    with pytest.raises(ValueError, match="pipe: expected a regular file, got a pipe"):
        open_regular(pipe)
