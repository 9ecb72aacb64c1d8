"""Images from folders and archives: what is read, in which order, and what hostile or broken sources get."""

import io
import lzma
import os
import sys
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_sources import (
    FILES,
    JPEG,
    PNG,
    TRUTH,
    encoded,
    file_member,
    images,
    picture,
    tar_bytes,
    write_folder,
    write_tar,
)

from nnfast import data
from nnfast.data import cifar10
from nnfast.data import images as image_files


def source_of(kind: str, tmp_path: Path, files: dict[str, bytes]) -> Path:
    return write_folder(tmp_path / "folder", files) if kind == "folder" else write_tar(tmp_path / f"a{kind}", files)


KINDS = ["folder", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_and_its_archives(tmp_path: Path, kind: str) -> None:
    pixels, labels, names = data.load_images(source_of(kind, tmp_path, FILES))
    assert names == ["cat", "dog"]
    np.testing.assert_array_equal(pixels, TRUTH)
    assert labels.tolist() == [0, 0, 1, 1]
    assert (pixels.dtype, labels.dtype) == (np.uint8, np.int64)
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("subset", ["train", "./deep/down/", "deep/down"])
def test_subsets(tmp_path: Path, kind: str, subset: str) -> None:
    files = {f"{part}/{name}": content for part in ("train", "deep/down") for name, content in FILES.items()}
    files["test/cow/a.png"] = b"of another subset: not read"
    pixels, _, names = data.load_images(source_of(kind, tmp_path, files), subset=subset)
    assert names == ["cat", "dog"]
    np.testing.assert_array_equal(pixels, TRUTH)


def test_names_with_a_dot_before_them(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", {f"./{name}": content for name, content in FILES.items()})
    np.testing.assert_array_equal(data.load_images(path)[0], TRUTH)


def test_an_archive_with_folders_and_long_names(tmp_path: Path) -> None:
    long = "n" * 300 + ".png"
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        folder, _ = file_member("cat/", type=tarfile.DIRTYPE)
        members = [(folder, b""), (folder, b""), file_member(f"cat/{long}", encoded(picture(7)))]
        (tmp_path / "a.tar").write_bytes(tar_bytes(members, format=form))
        np.testing.assert_array_equal(data.load_images(tmp_path / "a.tar")[0][0], picture(7))


def test_xz_in_several_streams(tmp_path: Path) -> None:
    content = tar_bytes([file_member(name, part) for name, part in FILES.items()])
    (tmp_path / "a.tar.xz").write_bytes(lzma.compress(content[:700]) + bytes(8) + lzma.compress(content[700:]))
    np.testing.assert_array_equal(data.load_images(tmp_path / "a.tar.xz")[0], TRUTH)


def test_colors(tmp_path: Path) -> None:
    ramp = np.arange(20, dtype=np.uint8).reshape(5, 4) * 12
    flat = np.stack([ramp, ramp, ramp], axis=-1)
    alpha = np.dstack([flat, np.full_like(ramp, 9)])
    files = {"a/1.png": encoded(ramp), "a/2.png": encoded(flat), "a/3.png": encoded(alpha)}
    folder = write_folder(tmp_path, files)
    gray = data.load_images(folder, color="gray")[0]
    assert gray.shape == (3, 5, 4, 1)
    for image in gray:
        np.testing.assert_array_equal(image[..., 0], ramp)
    for image in data.load_images(folder)[0]:
        np.testing.assert_array_equal(image, flat)


def in_mode(mode: str, kind: str) -> bytes:
    stream = io.BytesIO()
    images.fromarray(picture(0, 6, 8)).convert(mode).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        *((mode, "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA")),
        *((mode, "JPEG") for mode in ("L", "RGB", "CMYK")),
        *(("RGB", kind) for kind in ("GIF", "BMP", "PPM", "WEBP")),
    ],
)
def test_modes_and_formats(tmp_path: Path, mode: str, kind: str) -> None:
    """Of 8 bits per channel or less: converted as Pillow does it, with every ending in any case."""
    content = in_mode(mode, kind)
    endings = {"JPEG": ["jpg", "jpeg", "JPG"], "PPM": ["ppm", "pgm"]}.get(kind, [kind.lower(), kind])
    folder = write_folder(tmp_path, {f"a/{i}.{ending}": content for i, ending in enumerate(endings)})
    for color, wanted in (("rgb", "RGB"), ("gray", "L")):
        with images.open(io.BytesIO(content)) as opened:
            truth = np.asarray(opened.convert(wanted)).reshape(6, 8, -1)
        pixels = data.load_images(folder, color=color)[0]
        assert len(pixels) == len(endings)
        for image in pixels:
            np.testing.assert_array_equal(image, truth)


@pytest.mark.parametrize(("mode", "kind"), [("I;16", "PNG"), ("I", "PPM"), ("F", "TIFF")])
def test_more_than_8_bits_a_channel(tmp_path: Path, mode: str, kind: str) -> None:
    stream = io.BytesIO()
    images.new(mode, (4, 3), 300).save(stream, kind)
    write_folder(tmp_path, {f"a/1.{'png' if kind == 'PNG' else 'ppm'}": stream.getvalue()})
    with pytest.raises(ValueError, match=r"expected 8 bits per channel, got Pillow's mode|expected an image \(BMP, "):
        data.load_images(tmp_path)


def test_resizing(tmp_path: Path) -> None:
    plain = [np.full((h, w, 3), 10 * h + w, np.uint8) for h, w in ((5, 4), (8, 3), (2, 9))]
    folder = write_folder(tmp_path, {f"a/{i}.png": encoded(image) for i, image in enumerate(plain)})
    pixels = data.load_images(folder, size=(6, 7))[0]
    assert pixels.shape == (3, 6, 7, 3)
    assert [np.unique(image).tolist() for image in pixels] == [[54], [83], [29]]


@pytest.mark.parametrize(("color", "mode"), [("rgb", "RGB"), ("gray", "L")])
def test_resizing_is_bilinear(tmp_path: Path, color: str, mode: str) -> None:
    """Down, up, and both: what Pillow's own bilinear filter gives, which no other filter does."""
    source = picture(0, 9, 14)
    folder = write_folder(tmp_path, {"a/1.png": encoded(source)})
    for height, width in ((4, 5), (20, 30), (3, 30)):
        pixels = data.load_images(folder, size=(height, width), color=color)[0][0]
        truth, *others = (
            np.asarray(images.fromarray(source).convert(mode).resize((width, height), filter_)).reshape(pixels.shape)
            for filter_ in (images.Resampling.BILINEAR, images.Resampling.NEAREST, images.Resampling.BOX)
        )
        np.testing.assert_array_equal(pixels, truth)
        assert not any(np.array_equal(pixels, other) for other in others)


def test_images_of_different_sizes_are_named(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, {"a/1.png": encoded(picture(0)), "a/2.png": encoded(picture(0, 6, 4))})
    with pytest.raises(ValueError, match=r"2\.png: expected 5 x 4 .*1\.png, got 6 x 4; pass size=\(5, 4\)"):
        data.load_images(folder)


def test_jpeg_is_decoded_as_pillow_does(tmp_path: Path) -> None:
    content = encoded(np.tile(picture(0, 1, 1), (16, 16, 1)), "JPEG", quality=95)
    folder = write_folder(tmp_path, {"a/1.jpg": content, "a/2.JPEG": content})
    with images.open(io.BytesIO(content)) as opened:
        truth = np.asarray(opened)
    for image in data.load_images(folder)[0]:
        np.testing.assert_array_equal(image, truth)


# ---- sources that are not what they should be --------------------------------------


@pytest.mark.parametrize(
    ("files", "options", "match"),
    [
        ({}, {}, "expected a folder with images for each class, found none"),
        ({"README.md": b""}, {}, "expected a folder with images for each class, found none"),
        ({"a.png": FILES["dog/b.png"]}, {}, "expected a folder with images for each class, found none"),
        ({"cat/1.txt": b"", "dog/1.png": FILES["dog/b.png"]}, {}, "cat: expected images of this class, found none"),
        ({"train/cat/1.png": FILES["dog/b.png"]}, {}, 'train: expected images.*subset="train"'),
        (FILES, {"subset": "test"}, "test"),
    ],
)
@pytest.mark.parametrize("kind", ["folder", ".tar"])
def test_nothing_there(tmp_path: Path, kind: str, files: dict[str, bytes], options: Any, match: str) -> None:
    (tmp_path / "folder").mkdir()
    source = source_of(kind, tmp_path, files)
    with pytest.raises(ValueError, match=match) as caught:
        data.load_images(source, **options)
    assert str(source) in str(caught.value)


def test_sources_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none: expected a folder or an archive, found nothing"):
        data.load_images(tmp_path / "none")
    (tmp_path / "a.zip").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"a\.zip: expected a folder, or an archive .tar, .tar.gz or .tar.xz"):
        data.load_images(tmp_path / "a.zip")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.tar")
        with pytest.raises(ValueError, match=r"pipe\.tar: expected a folder or an archive, got a pipe"):
            data.load_images(tmp_path / "pipe.tar")
    (tmp_path / "f" / "cat" / "x.png").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"x\.png: expected an image, got a folder"):
        data.load_images(tmp_path / "f")


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"size": 5}, ValueError, r"expected size as \(height, width\), got 5"),
        ({"size": (5, 0)}, ValueError, "expected size in size >= 1, got 0"),
        ({"size": (5, 2.5)}, TypeError, "expected an integer"),
        ({"color": "grey"}, ValueError, "did you mean 'gray'"),
        ({"subset": "../up"}, ValueError, "inside of the source, got '../up'"),
        ({"subset": "/etc"}, ValueError, "inside of the source"),
        ({"subset": 3}, TypeError, "expected subset as the name of a folder, got 3"),
        ({"max_bytes": 0}, ValueError, "max_bytes >= 1"),
    ],
)
def test_wrong_options(tmp_path: Path, options: dict[str, Any], error: type, match: str) -> None:
    with pytest.raises(error, match=match):
        data.load_images(write_folder(tmp_path, FILES), **options)


def test_without_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=r"Pillow cannot be imported .*; pip install pillow"):
        data.load_images(tmp_path)


# ---- broken and hostile images -----------------------------------------------------


def png_chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return len(content).to_bytes(4, "big") + checked + zlib.crc32(checked).to_bytes(4, "big")


def png_bomb(side: int, depth: int = 8) -> bytes:
    header = side.to_bytes(4, "big") * 2 + bytes([depth, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(bytes(1000)))


@pytest.mark.parametrize("kind", ["folder", ".tar"])
@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("x.jpg", b"", r"expected an image \(BMP, .*\), got none"),
        ("x.jpg", b"GIF87 or so", "expected an image"),
        ("x.jpg", JPEG[:3], "expected an image|broken"),
        ("x.jpg", JPEG[: len(JPEG) // 2], "expected a valid image, got a damaged one"),
        ("x.png", PNG[:40], "expected a valid image, got a damaged one|expected an image"),
        ("x.png", PNG[: len(PNG) // 2], "expected a valid image, got a damaged one"),
        ("x.png", PNG[:60] + bytes(40) + PNG[100:], "expected a valid image, got a damaged one"),
        ("x.png", encoded(np.zeros((3, 3), np.uint16)), "expected 8 bits per channel, got Pillow's mode"),
        ("x.png", png_bomb(10_000), "expected fewer pixels than Pillow's limit"),
        ("x.png", png_bomb(60_000), "expected fewer pixels than Pillow's limit"),
        ("x.png", png_bomb(9000), "expected an image of at most max_bytes = 100000000, got 9000 x 9000"),
    ],
)
def test_broken_images_are_named(tmp_path: Path, kind: str, name: str, content: bytes, match: str) -> None:
    source = source_of(kind, tmp_path, {"cat/a.png": PNG, f"cat/{name}": content})
    with pytest.raises(ValueError, match=match) as caught:
        data.load_images(source, max_bytes=100_000_000)
    assert f"cat{os.sep if kind == 'folder' else '/'}{name}" in str(caught.value)


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "PNG", "PPM", "WEBP"])
def test_flipped_bytes_of_an_image_never_do_harm(tmp_path: Path, kind: str) -> None:
    """Either pixels or an error that names the file."""
    content = encoded(picture(0, 7, 6), kind)
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(content)
        for place in rng.integers(len(content), size=rng.integers(1, 4)):
            damaged[place] = rng.integers(256)
        write_folder(tmp_path, {f"a/x.{kind.lower()}": bytes(damaged)})
        try:
            shape = data.load_images(tmp_path, max_bytes=2**20)[0].shape
        except ValueError as error:
            assert f"x.{kind.lower()}: expected" in str(error)  # noqa: PT017
        else:
            assert (shape[0], shape[3]) == (1, 3)


@pytest.mark.parametrize("kind", ["folder", ".tar"])
@pytest.mark.parametrize("limit", ["max_files", "max_file_bytes", "max_bytes"])
def test_limits(tmp_path: Path, kind: str, limit: str) -> None:
    """Each at exactly what the source has, and one less."""
    blank = np.zeros((20, 20, 3), np.uint8)
    files = {f"cat/{i}.ppm": encoded(blank[: 20 - i // 2], "PPM") for i in range(3)}
    source = source_of(kind, tmp_path, files)
    sizes = [len(content) for content in files.values()]
    # Made smaller, the images take less than their files.
    most = {"max_files": 3, "max_file_bytes": max(sizes), "max_bytes": sum(sizes)}[limit]
    assert len(data.load_images(source, size=(10, 10), **{limit: most})[0]) == 3
    with pytest.raises(ValueError, match=rf"cat.\d\.ppm.*{limit}"):
        data.load_images(source, size=(10, 10), **{limit: most - 1})


def test_the_limit_of_decoded_images(tmp_path: Path) -> None:
    """At exactly its value; zeros compress well, so that the files are no matter."""
    content = encoded(np.zeros((50, 40, 3), np.uint8))
    folder = write_folder(tmp_path, {"a/1.png": content, "a/2.png": content})
    assert len(data.load_images(folder, max_bytes=2 * 6000)[0]) == 2
    with pytest.raises(ValueError, match=r"2\.png: expected images of at most max_bytes = 11999 in all"):
        data.load_images(folder, max_bytes=2 * 6000 - 1)
    with pytest.raises(ValueError, match=r"1\.png: expected an image of at most max_bytes = 5999, got 50 x 40"):
        data.load_images(folder, max_bytes=5999)
    assert len(data.load_images(folder, max_bytes=6000, size=(20, 20))[0]) == 2


def test_a_large_image_is_not_decoded_for_a_small_size(tmp_path: Path) -> None:
    """The header's size counts as well: all of it is decoded before it is made smaller."""
    folder = write_folder(tmp_path, {"a/1.png": png_bomb(9000)})
    with pytest.raises(
        ValueError, match=r"1\.png: expected an image of at most max_bytes = 100000000, got 9000 x 9000"
    ):
        data.load_images(folder, size=(4, 4), max_bytes=100_000_000)


@pytest.mark.parametrize("method", ["open", "Image.convert"])
def test_too_little_memory_is_no_broken_image(tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path, {"a/1.png": PNG})

    def fail(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(f"PIL.Image.{method}", fail)
    with pytest.raises(MemoryError):
        data.load_images(folder, color="gray")


def test_a_file_that_grows_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more is read than was counted."""
    folder = write_folder(tmp_path, {"a/1.ppm": encoded(picture(0), "PPM")})
    read = image_files.open_regular

    def grown(path: Path) -> Any:
        with open(path, "ab") as file:
            file.write(bytes(1000))
        return read(path)

    monkeypatch.setattr(image_files, "open_regular", grown)
    sizes = []
    monkeypatch.setattr(image_files._Decoder, "decode", lambda _, file: sizes.append(len(file.content)) or picture(0))
    data.load_images(folder)
    assert sizes == [len(encoded(picture(0), "PPM"))]


def test_the_limit_counts_resized_images(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, FILES)
    with pytest.raises(ValueError, match="expected images of at most max_bytes = 5000 in all"):
        data.load_images(folder, size=(30, 30), max_bytes=5000)
    with pytest.raises(ValueError, match="max_bytes = 5000, got 50 x 50"):
        data.load_images(folder, size=(50, 50), max_bytes=5000)


# ---- CIFAR-10 ----------------------------------------------------------------------


def cifar_files(train: int = 2, size: int = 32, names: tuple[str, ...] = cifar10.NAMES) -> dict[str, bytes]:
    counts = {"test": 1, "train": train}
    return {
        f"{part}/{name}/{i:04}.png": encoded(picture(10 * i + k, size, 32))
        for part, count in counts.items()
        for k, name in enumerate(names)
        for i in range(count)
    }


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a machine without CIFAR-10; return the folder of its cache."""
    monkeypatch.delenv("NNFAST_DATA", raising=False)
    monkeypatch.setattr(cifar10, "cache_folder", lambda: tmp_path / "cache")
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def test_cifar10_is_found_in_its_places(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNFAST_DATA", str(tmp_path / "data"))
    places = [(home, ".tar"), (tmp_path / "data", ".tar.gz"), (tmp_path / "given", ".tar.xz")]
    for count, (folder, suffix) in enumerate(places, start=1):
        folder.mkdir(exist_ok=True)
        write_tar(folder / f"cifar10-images{suffix}", cifar_files(count))
        (x_train, y_train), (x_test, y_test) = data.load_cifar10(tmp_path / "given")
        assert x_train.shape == (10 * count, 32, 32, 3)
        assert y_train.tolist() == sorted([*range(10)] * count)
        assert y_test.tolist() == [*range(10)]
    np.testing.assert_array_equal(x_test[4], picture(4, 32, 32))
    np.testing.assert_array_equal(x_train[3 * 4 + 2], picture(10 * 2 + 4, 32, 32))


def test_cifar10_is_nowhere(tmp_path: Path, home: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        data.load_cifar10(tmp_path / "given")
    heading, given, variable, cache = str(caught.value).splitlines()
    assert "cifar10-images.tar.xz" in heading
    assert [line.split()[0] for line in (given, variable, cache)] == ["1.", "2.", "3."]
    assert "given is not a folder; pass the folder" in given
    assert "not given; set NNFAST_DATA" in variable
    assert f"{home} lacks the archive; copy" in cache


@pytest.mark.parametrize(
    ("files", "match"),
    [
        (cifar_files(size=31), r"got \(31, 32, 3\)"),
        (cifar_files(names=("cat", "dog")), "got .* of cat, dog"),
        ({name: part for name, part in cifar_files().items() if name.startswith("train")}, "test: expected a folder"),
    ],
)
def test_archives_that_are_not_cifar10(home: Path, files: dict[str, bytes], match: str) -> None:
    write_tar(home / "cifar10-images.tar", files)
    with pytest.raises(ValueError, match=match):
        data.load_cifar10()


def test_the_first_images_of_the_real_cifar10(data_dir: Path, tmp_path: Path) -> None:
    """A few hundred members; the whole archive takes seconds."""
    path = data_dir / cifar10.ARCHIVES[0]
    if not path.is_file():
        pytest.skip(f"{data_dir} does not hold {path.name}")
    with tarfile.open(path, "r|xz") as source, tarfile.open(tmp_path / "few.tar", "w") as few:
        for _, member in zip(range(300), source, strict=False):
            few.addfile(member, source.extractfile(member) if member.isfile() else None)
    pixels, labels, names = data.load_images(tmp_path / "few.tar", subset="train")
    assert names == ["airplane"]
    assert pixels.shape == (len(labels), 32, 32, 3)
    assert len(labels) > 290
    # Photographs: neighboring pixels are alike, and all values occur.
    left, right = pixels[:, :, :-1].astype(float).ravel(), pixels[:, :, 1:].astype(float).ravel()
    assert np.corrcoef(left, right)[0, 1] > 0.9
    assert np.ptp(pixels) == 255
