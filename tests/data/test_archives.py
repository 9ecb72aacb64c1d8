"""Archives that are damaged, hostile, or end too early or too late."""

import gzip
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_sources import FILES, JPEG, PNG, encoded, file_member, picture, tar_bytes, write_tar

from nnfast import data
from nnfast.data import archive

GOOD = file_member("cat/a.png", PNG)


@pytest.mark.parametrize(
    ("member", "match"),
    [
        (file_member("/etc/cat/a.png", PNG), "leads out of it"),
        (file_member("../cat/a.png", PNG), "leads out of it"),
        (file_member("cat/../../a.png", PNG), "leads out of it"),
        (file_member("cat\\..\\a.png", PNG), "leads out of it"),
        (file_member("C:/cat/a.png", PNG), "leads out of it"),
        (file_member("..", type=tarfile.DIRTYPE), "leads out of it"),
        (file_member("cat/b.png", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "got a link, a device"),
        (file_member("cat/b.png", type=tarfile.LNKTYPE, linkname="cat/a.png"), "got a link, a device"),
        (file_member("cat/b.png", type=tarfile.CHRTYPE), "got a link, a device"),
        (file_member("cat/b.png", type=tarfile.BLKTYPE), "got a link, a device"),
        (file_member("cat/b.png", type=tarfile.FIFOTYPE), "got a link, a device"),
        (file_member("readme.txt", type=tarfile.SYMTYPE, linkname="x"), "got a link, a device"),
        (file_member("./cat//a.png", PNG), "got it twice"),
    ],
)
@pytest.mark.parametrize("suffix", [".tar", ".tar.xz"])
def test_hostile_members_are_named(
    tmp_path: Path, member: tuple[tarfile.TarInfo, bytes], match: str, suffix: str
) -> None:
    content = tar_bytes([GOOD, member, file_member("dog/a.png", PNG)])
    (tmp_path / f"a{suffix}").write_bytes(lzma.compress(content) if suffix == ".tar.xz" else content)
    with pytest.raises(ValueError, match=match) as caught:
        data.load_images(tmp_path / f"a{suffix}")
    assert repr(member[0].name) in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == [f"a{suffix}"]


def test_a_bomb_is_not_inflated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of 200 MB of zeros, promised or hidden behind a small header, of another ending or in another folder."""
    monkeypatch.setattr(archive._XzReader, "readinto", counted := _Counted(archive._XzReader.readinto))
    huge = tarfile.TarInfo("cat/zeros.bin")
    huge.size = 200 * 2**20
    packer = lzma.LZMACompressor(preset=0)
    parts = [packer.compress(huge.tobuf())]
    parts += [packer.compress(bytes(2**20)) for _ in range(200)]
    (tmp_path / "a.tar.xz").write_bytes(b"".join([*parts, packer.flush()]))
    for limits in ({}, {"max_file_bytes": 2**30, "max_bytes": 2**20}):
        with pytest.raises(ValueError, match=r"cat/zeros\.bin.*expected at most"):
            data.load_images(tmp_path / "a.tar.xz", **limits)
    assert counted.bytes < 2**20


class _Counted:
    """Counts the bytes that a reader yields; stands in for its method."""

    def __init__(self, read: Any) -> None:
        self.read, self.bytes = read, 0

    def __get__(self, reader: Any, _: Any) -> Any:
        def read(buffer: Any) -> int:
            count: int = self.read(reader, buffer)
            self.bytes += count
            return count

        return read


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_without_end(tmp_path: Path, kind: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """tarfile reads an extended header whole, whatever its size, before it says a word."""
    monkeypatch.setattr(archive._XzReader, "readinto", counted := _Counted(archive._XzReader.readinto))
    header = tarfile.TarInfo("cat/a.png")
    header.type, header.size = kind, 64 * 2**20
    (tmp_path / "a.tar.xz").write_bytes(lzma.compress(header.tobuf() + bytes(header.size), preset=0))
    with pytest.raises(ValueError, match="got one without end"):
        data.load_images(tmp_path / "a.tar.xz")
    assert counted.bytes < 4 * 2**20


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_headers_are_small_wherever_they_stand(tmp_path: Path, kind: bytes) -> None:
    """What the headers before did not take is no room for a large one: reading one may take the square of its size."""
    members = [file_member(f"cat/{i}.png", PNG) for i in range(50)]
    large = file_member("cat/x.png", b"9" * 60_000, type=kind)
    (tmp_path / "a.tar").write_bytes(tar_bytes([*members, large]))
    with pytest.raises(ValueError, match="got one without end"):
        data.load_images(tmp_path / "a.tar")


def numbered(count: int = 5) -> list[tuple[tarfile.TarInfo, bytes]]:
    """Members of two blocks each, a header and a content."""
    return [file_member(f"{'cd'[i % 2]}/{i}.ppm", encoded(picture(i), "PPM")) for i in range(count)]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress], ids=["tar", "gz", "xz"])
def test_a_damaged_header_is_not_the_end(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """Of any member, in any place: either an error or all images."""
    path = tmp_path / {bytes: "a.tar", gzip.compress: "a.tar.gz"}.get(pack, "a.tar.xz")
    sound = tar_bytes(numbered())
    path.write_bytes(pack(sound))
    truth = data.load_images(path)[0]
    assert len(truth) == 5
    for member in range(5):
        start = 1024 * member
        damages = [
            (start + place, bytes([sound[start + place] ^ 1])) for place in range(0, 512, 9 if pack is bytes else 99)
        ]
        damages += [(start, bytes(512)), (start, b"A" * 512), (start + 148, b"0" * 8), (start + 148, bytes(8))]
        for place, damage in damages:
            path.write_bytes(pack(sound[:place] + damage + sound[place + len(damage) :]))
            try:
                found = data.load_images(path)[0]
            except ValueError:
                continue
            # The checksum's own last two bytes mean nothing.
            assert 148 + 6 <= place - start < 148 + 8
            np.testing.assert_array_equal(found, truth)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress], ids=["tar", "gz", "xz"])
def test_what_stands_behind_the_end(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / {bytes: "a.tar", gzip.compress: "a.tar.gz"}.get(pack, "a.tar.xz")
    sound = tar_bytes(numbered())
    for behind in (sound, b"\1", bytes(100_000) + b"\1"):
        path.write_bytes(pack(sound + behind))
        with pytest.raises(
            ValueError, match="expected zeros after the last file, at byte 5120, got a damaged header or"
        ):
            data.load_images(path)
    # One block of zeros is enough, and a million bytes are not too many.
    for zeros in (512, 1_000_000):
        path.write_bytes(pack(sound[:5120] + bytes(zeros)))
        assert len(data.load_images(path)[0]) == 5
    path.write_bytes(pack(sound[:5120] + bytes(511)))
    with pytest.raises(ValueError, match="cut short"):
        data.load_images(path)
    path.write_bytes(pack(sound[:5120] + bytes(3_000_000)))
    with pytest.raises(ValueError, match="without end"):
        data.load_images(path)


def test_compressed_archives_with_damage_behind_the_tar(tmp_path: Path) -> None:
    """A wrong checksum, what is no stream behind a stream, and padding of any length."""
    sound = tar_bytes(numbered())
    packed = gzip.compress(sound)
    for damaged in (packed[:-8] + bytes(4) + packed[-4:], packed[:-4] + bytes(4), packed + b"rubbish", packed[:-1]):
        (tmp_path / "a.tar.gz").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"a\.tar\.gz: expected a valid tar archive, got damaged data"):
            data.load_images(tmp_path / "a.tar.gz")
    packed = lzma.compress(sound)
    for damaged in (packed + b"rubbish", packed + bytes(200_000) + b"rubbish", packed[:-1], packed[:-20] + bytes(20)):
        (tmp_path / "a.tar.xz").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"a\.tar\.xz: expected a valid tar archive, got damaged data"):
            data.load_images(tmp_path / "a.tar.xz")
    halves = lzma.compress(sound[:2048]), lzma.compress(sound[2048:])
    for padding in (0, 4, 200_000):
        (tmp_path / "a.tar.xz").write_bytes(bytes(padding).join([*halves, b""]))
        assert len(data.load_images(tmp_path / "a.tar.xz")[0]) == 5


def test_the_strongest_compression(tmp_path: Path) -> None:
    """Its dictionary takes 64 MiB."""
    (tmp_path / "a.tar.xz").write_bytes(lzma.compress(tar_bytes(numbered()), preset=9 | lzma.PRESET_EXTREME))
    assert len(data.load_images(tmp_path / "a.tar.xz")[0]) == 5


def test_the_limit_of_files_counts_folders(tmp_path: Path) -> None:
    """Each once; and files of other endings."""
    folder, _ = file_member("c/", type=tarfile.DIRTYPE)
    members = [(folder, b""), (folder, b""), file_member("c/notes.txt", b"text"), *numbered(2)]
    (tmp_path / "a.tar").write_bytes(tar_bytes(members))
    assert len(data.load_images(tmp_path / "a.tar", max_files=4)[0]) == 2
    with pytest.raises(ValueError, match=r"member 'd/1\.ppm': expected at most 3 files"):
        data.load_images(tmp_path / "a.tar", max_files=3)


def test_an_archive_that_asks_for_much_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tar(tmp_path / "a.tar.xz", FILES)
    monkeypatch.setattr(archive, "_XZ_MEMORY", 2**20)
    with pytest.raises(ValueError, match=r"a\.tar\.xz: expected a valid tar archive, got damaged data \(Memory"):
        data.load_images(tmp_path / "a.tar.xz")


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz"])
def test_truncated_archives(tmp_path: Path, suffix: str) -> None:
    path = write_tar(tmp_path / f"a{suffix}", FILES)
    content = path.read_bytes()
    # A plain archive ends in zeros, of which one block is enough.
    end = len(content.rstrip(b"\0")) if suffix == ".tar" else len(content) - 1
    for length in [*range(0, end, max(end // 40, 1)), *range(0, end, 512), end]:
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=rf"a\{suffix}"):
            data.load_images(path)


def _images_or_error(path: Path) -> int | bool:
    """Number of images, or whether the error names the file."""
    try:
        return len(data.load_images(path)[0])
    except ValueError as error:
        return str(path) in str(error)


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz"])
def test_flipped_bytes_never_do_harm(tmp_path: Path, suffix: str) -> None:
    path = write_tar(tmp_path / f"a{suffix}", {"cat/a.png": PNG, "dog/a.jpg": JPEG})
    content = path.read_bytes()
    for place in range(0, len(content), max(len(content) // 150, 1)):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        assert _images_or_error(path) in (1, 2, True)
