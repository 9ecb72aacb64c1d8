"""Folders and archives of images that tests read."""

import gzip
import io
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

images = pytest.importorskip("PIL.Image", reason="the extra nnfast[images] is not installed")

Pixels = NDArray[np.uint8]


def encoded(pixels: Pixels, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    images.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def picture(seed: int, height: int = 5, width: int = 4) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def write_folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def file_member(name: str, content: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for field, value in fields.items():
        setattr(member, field, value)
    return member, content


def tar_bytes(members: list[tuple[tarfile.TarInfo, bytes]], **options: Any) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", **options) as made:
        for member, content in members:
            made.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    content = tar_bytes([file_member(name, data) for name, data in files.items()])
    compress: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".xz": lzma.compress}
    path.write_bytes(compress.get(path.suffix, bytes)(content))
    return path


# Not in the order of the result; other files and hidden ones are passed over.
FILES = {
    "dog/b.png": encoded(picture(3)),
    "cat/z.PNG": encoded(picture(2)),
    "dog/a.bmp": encoded(picture(4), "BMP"),
    "cat/notes.txt": b"not an image",
    "cat/.hidden.png": b"not an image",
    ".git/a.png": b"not an image",
    "README.md": b"about these images",
    "cat/a.ppm": encoded(picture(1), "PPM"),
}
TRUTH = np.stack([picture(i) for i in (1, 2, 4, 3)])
JPEG = encoded(picture(0, 32, 32), "JPEG")
PNG = encoded(picture(0, 32, 32))
