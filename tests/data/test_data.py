"""IDX files and MNIST: what is read and written, what hostile files get, and where the digits are looked for."""

import gzip
import hashlib
import os
import re
import struct
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzing import REUSED_FOLDER, examples
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from nnfast import data
from nnfast.data import idx, mnist

# Each element type of the format: its code, its struct letter (the independent truth), its dtype.
FORMATS = [
    (0x08, "B", np.uint8),
    (0x09, "b", np.int8),
    (0x0B, "h", np.int16),
    (0x0C, "i", np.int32),
    (0x0D, "f", np.float32),
    (0x0E, "d", np.float64),
]
DTYPES = [dtype for _, _, dtype in FORMATS]
# What reading may take beside the array: one chunk, the buffers of file and gzip, the growth of the byte array.
WORKING_BYTES = 4 * idx._CHUNK_BYTES


def idx_bytes(code: int, shape: tuple[int, ...], elements: bytes) -> bytes:
    return struct.pack(f">HBB{len(shape)}I", 0, code, len(shape), *shape) + elements


def peak_bytes(action: Callable[[], Any]) -> int:
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def expect_refusal(path: Path, content: bytes, match: str, **options: Any) -> None:
    path.write_bytes(content)
    with pytest.raises(ValueError, match=match) as caught:
        data.read_idx(path, **options)
    assert str(path) in str(caught.value)


# ---- reading and writing -------------------------------------------------------


@pytest.mark.parametrize(("code", "letter", "dtype"), FORMATS)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_every_dtype_against_struct(tmp_path: Path, code: int, letter: str, dtype: type, suffix: str) -> None:
    numbers = [0, 1, 2, 100, 17, 3] if letter == "B" else [0, -1, 2, 100, -17, 3]
    content = idx_bytes(code, (2, 3), struct.pack(f">6{letter}", *numbers))
    path = tmp_path / f"array{suffix}"
    path.write_bytes(gzip.compress(content) if suffix else content)
    array = data.read_idx(path)
    assert array.dtype == np.dtype(dtype)
    assert array.dtype.isnative
    assert array.shape == (2, 3)
    assert array.ravel().tolist() == numbers
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert array.flags.aligned

    data.write_idx(path, np.array(numbers, dtype).reshape(2, 3))
    written = path.read_bytes()
    assert (gzip.decompress(written) if suffix else written) == content


@settings(REUSED_FOLDER)
@given(
    array=st.sampled_from(DTYPES).flatmap(
        lambda dtype: hnp.arrays(
            st.sampled_from([np.dtype(dtype), np.dtype(dtype).newbyteorder(">")]),
            hnp.array_shapes(min_dims=1, max_dims=5, max_side=5),
        )
    ),
    suffix=st.sampled_from(["", ".gz"]),
    transpose=st.booleans(),
)
def test_round_trip(tmp_path: Path, array: NDArray[Any], suffix: str, transpose: bool) -> None:
    path = tmp_path / f"array{suffix}"
    array = array.T if transpose else array
    data.write_idx(path, array)
    back = data.read_idx(path)
    assert back.dtype == array.dtype.newbyteorder("=")
    # Bits, not values: NaN and the sign of zero count.
    assert back.shape == array.shape
    assert back.tobytes() == array.astype(back.dtype).tobytes()


def test_gzip_is_recognized_by_content(tmp_path: Path) -> None:
    content = idx_bytes(0x08, (3,), b"\x01\x02\x03")
    for name, stored in [("plain.gz", content), ("packed", gzip.compress(content))]:
        (tmp_path / name).write_bytes(stored)
        assert data.read_idx(tmp_path / name).tolist() == [1, 2, 3]


def test_gzip_in_several_members(tmp_path: Path) -> None:
    content = idx_bytes(0x08, (3,), b"\x01\x02\x03")
    (tmp_path / "a.gz").write_bytes(gzip.compress(content[:9]) + gzip.compress(content[9:]))
    assert data.read_idx(tmp_path / "a.gz").tolist() == [1, 2, 3]


def test_most_dimensions(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.int32).reshape((1,) * 62 + (2, 3))
    data.write_idx(tmp_path / "deep", array)
    assert np.array_equal(data.read_idx(tmp_path / "deep"), array)


def test_larger_than_one_chunk(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (3, idx._CHUNK_BYTES - 1), np.uint8)
    for name in ["large", "large.gz"]:
        data.write_idx(tmp_path / name, array)
        assert np.array_equal(data.read_idx(tmp_path / name), array)


def test_same_array_same_bytes(tmp_path: Path) -> None:
    array = np.arange(10, dtype=np.uint8)
    data.write_idx(tmp_path / "a.gz", array)
    data.write_idx(tmp_path / "b.gz", array)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


@pytest.mark.parametrize("dtype", [np.bool_, np.int64, np.uint16, np.float16, np.complex64, "U3", object])
def test_write_refuses_other_dtypes(tmp_path: Path, dtype: Any) -> None:
    with pytest.raises(TypeError, match=r"a\.idx: expected an array of uint8, .*; convert it first"):
        data.write_idx(tmp_path / "a.idx", np.ones(3, dtype))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("shape", "match"), [((), "got 0"), ((0,), "got shape"), ((3, 0, 2), "got shape")], ids=["scalar", "empty", "inner"]
)
def test_write_refuses_other_shapes(tmp_path: Path, shape: tuple[int, ...], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        data.write_idx(tmp_path / "a.idx", np.ones(shape, np.uint8))
    assert not list(tmp_path.iterdir())


def test_the_largest_dimension(tmp_path: Path) -> None:
    """By arrays of many elements and one byte."""
    largest = 2**32 - 1
    header = idx._header(np.broadcast_to(np.uint8(0), (2, largest)), "a")
    assert header == struct.pack(">HBBII", 0, 8, 2, 2, largest)
    with pytest.raises(ValueError, match=rf"dimensions from 1 to {largest}, got shape \(2, {largest + 1}\)"):
        data.write_idx(tmp_path / "a", np.broadcast_to(np.uint8(0), (2, largest + 1)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    path = tmp_path / "a.idx"
    data.write_idx(path, np.array([1, 2], np.uint8))
    old = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(os, function, fail)
        with pytest.raises(OSError, match="disk full"):
            data.write_idx(path, np.array([3, 4], np.uint8))
    assert path.read_bytes() == old
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.idx"]


def test_write_syncs_before_it_renames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def recorded(original: Callable[..., Any]) -> Callable[..., Any]:
        def record(*args: Any) -> Any:
            calls.append(original.__name__)
            return original(*args)

        return record

    monkeypatch.setattr(os, "fsync", recorded(os.fsync))
    monkeypatch.setattr(os, "replace", recorded(os.replace))
    data.write_idx(tmp_path / "a.idx", np.array([1], np.uint8))
    assert calls == (["fsync", "replace"] if os.name == "nt" else ["fsync", "replace", "fsync"])


# ---- hostile files -------------------------------------------------------------

SOUND = idx_bytes(0x0B, (2, 3), struct.pack(">6h", 1, -2, 3, -4, 5, -6))


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "ends inside it"),
        (b"\0\0\x08", "ends inside it"),
        (b"\x01\0\x08\x01" + SOUND[4:], r"first bytes 00 00\), got 01 00"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "got 89 50"),
        (b"\0\0\x0a\x01\0\0\0\x01\x01", "got 0x0A"),
        (b"\0\0\x08\0", "1 to 64 dimensions, got 0"),
        (b"\0\0\x08\x41" + b"\0\0\0\x01" * 65 + b"\x01", "1 to 64 dimensions, got 65"),
        (b"\0\0\x08\x03\0\0\0\x01", "ends inside it"),
        (idx_bytes(0x08, (2, 0, 3), b""), r"got shape \(2, 0, 3\)"),
        (SOUND[:-1], r"expected 12 bytes of data \(shape \(2, 3\), int16, from its header\), got at most 11"),
        (SOUND + b"\0", "expected 12 bytes of data .* got more"),
        (idx_bytes(0x08, (2**32 - 1,) * 64, b""), "expected at most 4294967296 bytes"),
        (idx_bytes(0x0E, (2**29,), bytes(8)), "got at most 8"),
    ],
    ids=[
        "empty",
        "short-magic",
        "wrong-magic",
        "png",
        "element-type",
        "no-dimensions",
        "65-dimensions",
        "short-header",
        "zero-dimension",
        "one-byte-short",
        "one-byte-long",
        "overflowing-shape",
        "promises-4-gib",
    ],
)
def test_plain_files_that_lie(tmp_path: Path, content: bytes, match: str) -> None:
    path = tmp_path / "hostile.idx"
    peak = peak_bytes(lambda: expect_refusal(path, content, match))
    assert peak < WORKING_BYTES


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"\x1f\x8b", "damaged data"),
        (gzip.compress(b""), "ends inside it"),
        (gzip.compress(SOUND)[:-9], "damaged data"),
        (gzip.compress(SOUND)[:-8] + bytes(8), "damaged data"),
        (gzip.compress(SOUND) + b"rubbish", "damaged data"),
        (gzip.compress(SOUND[:-1]), "expected 12 bytes of data .* got 11"),
        (gzip.compress(SOUND + b"\0"), "got more"),
        (gzip.compress(SOUND) + gzip.compress(b"\0"), "got more"),
        (gzip.compress(idx_bytes(0x08, (2**31,), b"\0")), "got at most"),
        (gzip.compress(idx_bytes(0x08, (100,), bytes(2**26))), "expected 100 bytes of data .* got more"),
    ],
    ids=[
        "magic-only",
        "empty",
        "cut",
        "wrong-checksum",
        "rubbish-behind",
        "one-byte-short",
        "one-byte-long",
        "second-member",
        "promises-2-gib",
        "bomb",
    ],
)
def test_gzip_files_that_lie(tmp_path: Path, content: bytes, match: str) -> None:
    path = tmp_path / "hostile.gz"
    peak = peak_bytes(lambda: expect_refusal(path, content, match))
    assert peak < WORKING_BYTES


def test_gzip_that_could_hold_what_it_promises_but_does_not(tmp_path: Path) -> None:
    filler = np.random.default_rng(0).bytes(2**18)
    content = gzip.compress(idx_bytes(0x08, (2**28,), filler))
    peak = peak_bytes(lambda: expect_refusal(tmp_path / "a.gz", content, f"expected {2**28} bytes .* got {2**18}"))
    assert peak < WORKING_BYTES


def test_dense_gzip_is_no_lie(tmp_path: Path) -> None:
    # Zeros are what deflate compresses most: the bound on its expansion must let them through.
    data.write_idx(tmp_path / "zeros.gz", np.zeros(2**24, np.uint8))
    assert 2**24 / (tmp_path / "zeros.gz").stat().st_size > 1000
    assert not data.read_idx(tmp_path / "zeros.gz").any()


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_max_bytes(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "a.idx"
    expect_refusal(path, pack(SOUND), "at most 11 bytes, got a header that promises 12", max_bytes=11)
    assert data.read_idx(path, max_bytes=12).shape == (2, 3)


@pytest.mark.parametrize(("most", "error"), [("12", TypeError), (12.0, TypeError), (0, ValueError)])
def test_max_bytes_is_a_number(tmp_path: Path, most: Any, error: type[Exception]) -> None:
    (tmp_path / "a.idx").write_bytes(SOUND)
    with pytest.raises(error, match=r"read_idx: expected .*max_bytes"):
        data.read_idx(tmp_path / "a.idx", max_bytes=most)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        data.read_idx(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="expected a regular file"):
        data.read_idx(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="expected a regular file"):
        data.read_idx(tmp_path / "pipe")


def read_or_refuse(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    size, refusal = 0, str(path)
    try:
        size = data.read_idx(path).nbytes
    except ValueError as error:
        refusal = str(error)
    assert str(path) in refusal
    assert size <= len(content) * 1032


@settings(REUSED_FOLDER)
@given(content=st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda tail: b"\0\0\x08\x01" + tail)))
def test_fuzz_any_bytes(tmp_path: Path, content: bytes) -> None:
    read_or_refuse(tmp_path / "fuzz", content)
    read_or_refuse(tmp_path / "fuzz", gzip.compress(content))


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_fuzz_mutated_bytes(tmp_path: Path, packed: bool) -> None:
    rng = np.random.default_rng(0)
    sound = gzip.compress(SOUND, mtime=0) if packed else SOUND

    def mutate_and_read() -> None:
        for _ in range(examples(400)):
            content = bytearray(sound)
            for _ in range(rng.integers(1, 4)):
                content[rng.integers(len(content))] = rng.integers(256)
            cut = rng.integers(len(content)) if rng.random() < 0.2 else len(content)
            read_or_refuse(tmp_path / "fuzz", bytes(content[:cut]))

    assert peak_bytes(mutate_and_read) < WORKING_BYTES


# ---- MNIST ---------------------------------------------------------------------


def write_digits(folder: Path, count: int, suffix: str = "", **replace: NDArray[Any]) -> Path:
    """Write the four files: `count` training pictures, one for testing; `replace` gives the content of single files."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(count)
    for split, n in [("train", count), ("t10k", 1)]:
        images = rng.integers(0, 256, (n, 28, 28), np.uint8)
        labels = rng.integers(0, 10, n, np.uint8)
        data.write_idx(folder / f"{split}-images-idx3-ubyte{suffix}", replace.get(f"{split}_images", images))
        data.write_idx(folder / f"{split}-labels-idx1-ubyte{suffix}", replace.get(f"{split}_labels", labels))
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a machine without MNIST (NNFAST_DATA not set, download fails); return the folder of its empty cache."""
    monkeypatch.delenv("NNFAST_DATA", raising=False)
    monkeypatch.setattr(mnist, "cache_folder", lambda: tmp_path / "cache")

    def fail(cache: Path) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(mnist, "_download", fail)
    return tmp_path / "cache" / "mnist"


def test_order_of_places(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "given"
    monkeypatch.setenv("NNFAST_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(mnist, "_download", lambda cache: write_digits(cache, 2, ".gz"))

    def count() -> int:
        return len(data.load_mnist(folder)[0][1])

    assert count() == 2
    monkeypatch.setattr(mnist, "_download", lambda cache: pytest.fail("downloaded although the files were there"))
    write_digits(home, 3)
    assert count() == 3
    write_digits(tmp_path / "data" / "mnist", 4)
    assert count() == 4
    write_digits(folder, 5)
    assert count() == 5
    (folder / "t10k-labels-idx1-ubyte").unlink()
    assert count() == 4


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_content_of_a_folder(tmp_path: Path, home: Path, suffix: str) -> None:
    images = np.arange(2 * 28 * 28, dtype=np.int64).reshape(2, 28, 28).astype(np.uint8)
    write_digits(tmp_path, 2, suffix, train_images=images, train_labels=np.array([9, 0], np.uint8))
    (x_train, y_train), (x_test, y_test) = data.load_mnist(str(tmp_path))
    assert np.array_equal(x_train[..., 0], images)
    assert y_train.tolist() == [9, 0]
    assert x_train.shape == (2, 28, 28, 1)
    assert x_test.shape == (1, 28, 28, 1)
    assert y_test.shape == (1,)
    assert {array.dtype for array in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    assert x_train.flags.c_contiguous
    assert x_train.flags.writeable


def test_a_plain_file_goes_before_a_packed_one(tmp_path: Path, home: Path) -> None:
    write_digits(tmp_path, 3, ".gz")
    write_digits(tmp_path, 2)
    assert len(data.load_mnist(tmp_path)[0][0]) == 2


def test_message_when_nothing_works(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNFAST_DATA", str(tmp_path / "data"))
    write_digits(tmp_path / "data" / "mnist", 1)
    (tmp_path / "data" / "mnist" / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError) as caught:
        data.load_mnist(tmp_path / "given")
    heading, given_folder, variable, cache, download = str(caught.value).splitlines()
    assert all(name in heading for name in mnist.SHA256)
    assert str(tmp_path / "given") in given_folder
    assert "is not a folder; pass the folder" in given_folder
    assert str(tmp_path / "data" / "mnist") in variable
    assert "lacks train-labels-idx1-ubyte; set NNFAST_DATA" in variable
    assert str(home) in cache
    assert "copy the files there" in cache
    assert mnist.MIRROR in download
    assert "no route to host; check the network" in download


def test_message_when_nothing_is_set(home: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        data.load_mnist()
    lines = str(caught.value).splitlines()
    assert len(lines) == 5
    assert "1. the folder argument: not given" in lines[1]
    assert "not given" in lines[2]


def test_message_without_pooch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NNFAST_DATA", raising=False)
    monkeypatch.setattr(mnist, "cache_folder", lambda: tmp_path)
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(FileNotFoundError, match=r"pooch cannot be imported .*; pip install pooch"):
        data.load_mnist()


def test_advice_to_install_names_what_there_is() -> None:
    """Packages of others, which anybody can install: nnfast's own extras can be had only where nnfast itself can."""
    package = Path(data.__file__).parents[1]
    advised = [
        command
        for path in package.rglob("*.py")
        for command in re.findall(r"pip install ([\w-]+)", path.read_text(encoding="utf-8"))
    ]
    assert {"pooch", "pillow"} <= set(advised)
    known = {"pooch", "pillow", "pandas", "matplotlib", "tqdm", "safetensors", "scikit-learn", "joblib"}
    known |= {"keras", "torch"}
    assert set(advised) <= known


def test_no_download_where_it_is_switched_off(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist, "_download", lambda cache: pytest.fail("downloaded against the caller's wish"))
    with pytest.raises(FileNotFoundError, match=r"\n  4\. download from .*: switched off by download=False; leave"):
        data.load_mnist(download=False)
    write_digits(home, 2)
    assert len(data.load_mnist(download=False)[0][0]) == 2


@pytest.mark.parametrize(
    ("replace", "match"),
    [
        ({"train_images": np.zeros((2, 28, 27), np.uint8)}, r"train-images.*expected images.*got \(2, 28, 27\)"),
        ({"train_images": np.zeros((2, 784), np.uint8)}, "expected images"),
        ({"t10k_images": np.zeros((1, 28, 28), np.int8)}, "t10k-images.*int8"),
        ({"train_labels": np.array([3, 10], np.uint8)}, "train-labels.*got a label 10"),
        ({"train_labels": np.array([3, 1], np.int32)}, r"got \(2,\) int32"),
        ({"train_labels": np.zeros((2, 1), np.uint8)}, r"got \(2, 1\) uint8"),
        ({"train_labels": np.array([3], np.uint8)}, "expected 2 labels, one for each picture.*got 1"),
    ],
)
def test_files_that_are_not_mnist(tmp_path: Path, home: Path, replace: dict[str, Any], match: str) -> None:
    write_digits(tmp_path / "given", 2, **replace)
    with pytest.raises(ValueError, match=match):
        data.load_mnist(tmp_path / "given")


def test_a_damaged_file_is_reported_not_passed_over(tmp_path: Path, home: Path) -> None:
    write_digits(home, 2)
    folder = write_digits(tmp_path / "given", 2)
    (folder / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03")
    with pytest.raises(ValueError, match="ends inside it"):
        data.load_mnist(folder)


@pytest.mark.skipif(os.name == "nt", reason="the cache of Windows is elsewhere")
def testcache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "darwin")
    assert mnist.cache_folder() == tmp_path / "Library" / "Caches" / "nnfast"
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert mnist.cache_folder() == tmp_path / "xdg" / "nnfast"
    for ignored in ["", "relative"]:
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert mnist.cache_folder() == tmp_path / ".cache" / "nnfast"


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a stand-in for the mirror from this machine; return the folder that it serves."""
    pytest.importorskip("pooch", reason="the extra nnfast[download] is not installed")
    folder = write_digits(tmp_path / "mirror", 3, ".gz")
    sums = {name: hashlib.sha256((folder / f"{name}.gz").read_bytes()).hexdigest() for name in mnist.SHA256}
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.delenv("NNFAST_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(mnist, "MIRROR", f"http://127.0.0.1:{server.server_address[1]}/")
    monkeypatch.setattr(mnist, "SHA256", sums)
    monkeypatch.setattr(mnist, "cache_folder", lambda: tmp_path / "cache")
    yield folder
    server.shutdown()
    thread.join()
    server.server_close()


def test_download(tmp_path: Path, mirror: Path) -> None:
    (x_train, _), _ = data.load_mnist()
    assert np.array_equal(x_train[..., 0], data.read_idx(mirror / "train-images-idx3-ubyte.gz"))
    stored = sorted(path.name for path in (tmp_path / "cache" / "mnist").iterdir())
    assert stored == sorted(f"{name}.gz" for name in mnist.SHA256)


def test_download_fetches_only_what_is_missing(tmp_path: Path, mirror: Path) -> None:
    kept = tmp_path / "cache" / "mnist" / "train-labels-idx1-ubyte"
    kept.parent.mkdir(parents=True)
    data.write_idx(kept, np.array([7, 7, 7], np.uint8))
    assert data.load_mnist()[0][1].tolist() == [7, 7, 7]
    assert len(list(kept.parent.iterdir())) == 4


def test_download_with_a_wrong_sum(tmp_path: Path, mirror: Path) -> None:
    data.write_idx(mirror / "train-images-idx3-ubyte.gz", np.zeros((3, 28, 28), np.uint8))
    with pytest.raises(FileNotFoundError, match=r"4\. download from .*train-images-idx3-ubyte\.gz.* does not match"):
        data.load_mnist()
    assert not list((tmp_path / "cache" / "mnist").iterdir())


# ---- the real files ------------------------------------------------------------

# Published sums of the uncompressed files.
CONTENT_SHA256 = {
    "train-images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


@pytest.mark.skipif(
    not os.environ.get("NNFAST_DATA"), reason="NNFAST_DATA is not set: it names the folder that holds mnist/"
)
def test_real_mnist(tmp_path: Path) -> None:
    folder = Path(os.environ["NNFAST_DATA"]) / "mnist"
    if mnist._missing(folder):
        pytest.skip(f"{folder} does not hold the MNIST files")
    (x_train, y_train), (x_test, y_test) = data.load_mnist()
    assert x_train.shape == (60000, 28, 28, 1)
    assert x_test.shape == (10000, 28, 28, 1)
    assert np.bincount(y_train).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    arrays = zip(CONTENT_SHA256, [x_train[..., 0], y_train, x_test[..., 0], y_test], strict=True)
    for name, array in arrays:
        data.write_idx(tmp_path / name, array)
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == CONTENT_SHA256[name]
