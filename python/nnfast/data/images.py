"""Images in one folder per class, or in an archive of such folders. Requires Pillow: the extra nnfast[images]."""

from __future__ import annotations

import importlib
import io
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnfast.core.files import open_regular
from nnfast.core.options import choose, integer, shape_of
from nnfast.core.text import shorten
from nnfast.data.archive import Limits, is_archive, read_archive

__all__ = ["load_images", "read_images"]

Labelled = tuple[NDArray[np.uint8], NDArray[np.int64], list[str]]
Size = tuple[int, int]

_SUFFIXES: Final = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".webp")
_FORMATS: Final = ("BMP", "GIF", "JPEG", "PNG", "PPM", "WEBP")
_COLORS: Final = {"rgb": "RGB", "gray": "L"}
# Pillow's modes with at most 8 bits per channel, which conversion at most rounds.
_MODES: Final = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")

DEFAULT_LIMITS: Final = Limits(files=2_000_000, file_bytes=64 * 2**20, bytes=4 * 2**30)


class _File(NamedTuple):
    """An image file: its name in error messages, its subset, class and name, and its content."""

    origin: str
    subset: str
    label: str
    name: str
    content: bytes


def load_images(
    source: str | os.PathLike[str],
    *,
    subset: str | None = None,
    size: Sequence[int] | None = None,
    color: str = "rgb",
    max_files: int = DEFAULT_LIMITS.files,
    max_file_bytes: int = DEFAULT_LIMITS.file_bytes,
    max_bytes: int = DEFAULT_LIMITS.bytes,
) -> Labelled:
    """Load images from one folder per class: ``source/cat/1.jpg``, ``source/dog/a.png``.

    Parameters
    ----------
    source : str or path-like
        The folder that contains the class folders, or an archive of it: ``.tar``, ``.tar.gz`` (``.tgz``) or ``.tar.xz``
        (``.txz``).
    subset : str, optional
        Folder in `source` that contains the class folders, such as "train" or "data/train".
    size : (height, width), optional
        Resize all images bilinearly, disregarding the aspect ratio. Without it, all images must have the same size.
    color : {"rgb", "gray"}, default "rgb"
        Convert images to three channels or to one; transparency is dropped.
    max_files : int, default 2000000
        Maximum number of files (in an archive: files and folders).
    max_file_bytes : int, default 64 MiB
        Maximum size of a file.
    max_bytes : int, default 4 GiB
        Maximum total size of all files, and of all decoded images.

    Returns
    -------
    images : ndarray of uint8, of shape (N, H, W, C)
        Sorted by class, then by file name: shuffle them before splitting off validation data by position.
    labels : ndarray of int64, of shape (N,)
        Indices into `names`.
    names : list of str
        The classes: names of the folders, sorted.

    Raises
    ------
    ValueError
        If a class has no images, an image is damaged or has another size, or a limit is exceeded; also if an archive is
        damaged or contains absolute paths, paths with "..", links or devices.

    Notes
    -----
    Files ending in bmp, gif (first frame), jpeg, jpg, pgm, png, ppm or webp are images; other files are ignored, as are
    files and folders whose names begin with a dot. Links are followed in folders, not in archives. Archives are read
    sequentially and nothing is extracted to disk. Sizes in headers are compared with the limits before memory is
    allocated. EXIF orientation is ignored.

    Examples
    --------
    >>> import os, tempfile
    >>> import nnfast as nf
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, gray in [("black", 0), ("white", 255)]:
    ...         os.mkdir(os.path.join(folder, name))
    ...         with open(os.path.join(folder, name, "1.pgm"), "wb") as file:
    ...             _ = file.write(b"P5 3 2 255 " + bytes([gray] * 6))
    ...     images, labels, names = nf.data.load_images(folder, color="gray")
    >>> images.shape, labels.tolist(), names
    ((2, 2, 3, 1), [0, 1], ['black', 'white'])
    """
    wanted = None if size is None else _size_of(size)
    mode = _COLORS[choose("color", color, _COLORS)]
    limits = Limits(
        integer("load_images", "max_files", max_files),
        integer("load_images", "max_file_bytes", max_file_bytes),
        integer("load_images", "max_bytes", max_bytes),
    )
    return read_images(source, ["" if subset is None else _folder_name(subset)], wanted, mode, limits)[0]


def read_images(
    source: str | os.PathLike[str], subsets: Sequence[str], size: Size | None, mode: str, limits: Limits
) -> list[Labelled]:
    """Read several subsets in one pass over the source; `mode` is Pillow's "RGB" or "L"."""
    origin = os.fspath(source)
    images = _pillow()
    if os.path.isdir(origin):
        classes, files = _folder_classes(Path(origin), subsets), _folder_files(Path(origin), subsets, limits)
    elif not os.path.isfile(origin) and os.path.exists(origin):
        raise ValueError(f"{origin}: expected a folder or an archive, got a pipe or device")
    elif not is_archive(origin):
        if not os.path.exists(origin):
            raise FileNotFoundError(f"{origin}: expected a folder or an archive, found nothing; check the path")
        raise ValueError(f"{origin}: expected a folder, or an archive .tar, .tar.gz or .tar.xz; check the path")
    else:
        classes = {subset: set() for subset in subsets}
        files = _archive_files(origin, classes, limits)
    decoder = _Decoder(images, size, mode, limits.bytes)
    found: dict[str, list[tuple[str, str, NDArray[np.uint8]]]] = {subset: [] for subset in subsets}
    with warnings.catch_warnings():
        warnings.simplefilter("error", images.DecompressionBombWarning)
        for file in files:
            found[file.subset].append((file.label, file.name, decoder.decode(file)))
    return [
        _assemble(os.path.join(origin, subset) if subset else origin, found[subset], classes[subset])
        for subset in subsets
    ]


def _pillow() -> Any:
    try:
        return importlib.import_module("PIL.Image")
    except ImportError as error:
        raise ImportError(
            f"load_images: the library Pillow cannot be imported ({error}); pip install pillow"
        ) from error


def _size_of(size: Any) -> Size:
    sizes = shape_of("load_images", "size", size)
    if len(sizes) != 2:
        raise ValueError(f"load_images: expected size as (height, width), got {size!r}")
    return sizes[0], sizes[1]


def _folder_name(subset: Any) -> str:
    if not isinstance(subset, str):
        raise TypeError(f"load_images: expected subset as the name of a folder, got {subset!r}")
    parts = [part for part in subset.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or subset.startswith("/"):
        raise ValueError(f"load_images: expected subset as the name of a folder inside of the source, got {subset!r}")
    return "/".join(parts)


def _folder_classes(root: Path, subsets: Sequence[str]) -> dict[str, set[str]]:
    """Names of the classes in each subset, including those without images."""
    classes = {}
    for subset in subsets:
        folder = root / subset
        if not folder.is_dir():
            raise ValueError(f"{root}: expected a folder {subset!r} in it, found none; check subset")
        classes[subset] = {entry.name for entry in folder.iterdir() if entry.is_dir() and _is_seen(entry.name)}
    return classes


def _is_seen(name: str) -> bool:
    return not name.startswith(".")


def _folder_files(root: Path, subsets: Sequence[str], limits: Limits) -> Iterator[_File]:
    number = total = 0
    for subset in subsets:
        for path in sorted((root / subset).glob("*/*")):
            label = path.parent.name
            if not (_is_seen(label) and _is_seen(path.name) and path.name.lower().endswith(_SUFFIXES)):
                continue
            if not path.is_file():
                raise ValueError(f"{path}: expected an image, got a folder, pipe, device or a link to nothing")
            number, size = number + 1, path.stat().st_size
            total += size
            for what, value, maximum in (
                ("file of max_file_bytes", size, limits.file_bytes),
                ("number of files of max_files", number, limits.files),
                ("total of bytes of max_bytes", total, limits.bytes),
            ):
                if value > maximum:
                    raise ValueError(
                        f"{path}: expected a {what} = {maximum} at most, got {value}; raise it if this is right"
                    )
            yield _File(str(path), subset, label, path.name, _content(path, size))


def _content(path: Path, size: int) -> bytes:
    """The bytes of a file, at most `size` even if it is growing."""
    with open_regular(path) as file:
        return file.read(size)


def _archive_files(origin: str, classes: dict[str, set[str]], limits: Limits) -> Iterator[_File]:
    """The files one by one; the classes found are added to `classes`."""
    for name, content in read_archive(origin, limits, _SUFFIXES):
        for subset in classes:
            prefix = f"{subset}/" if subset else ""
            label, slash, file = name[len(prefix) :].partition("/")
            if not (name.startswith(prefix) and slash and _is_seen(label)):
                continue
            classes[subset].add(label)
            if content is not None and "/" not in file and _is_seen(file):
                yield _File(f"{origin}: {name}", subset, label, file, content)


class _Decoder:
    """Decodes image files to arrays (H, W, C) of equal size."""

    def __init__(self, images: Any, size: Size | None, mode: str, max_bytes: int) -> None:
        self._images = images
        self._size = size
        self._mode = mode
        self._left = self._max_bytes = max_bytes
        self._first: tuple[str, Size] | None = None

    def decode(self, file: _File) -> NDArray[np.uint8]:
        """The pixels of a file; errors name it."""
        try:
            opened = self._images.open(io.BytesIO(file.content), formats=_FORMATS)
        except (self._images.DecompressionBombError, self._images.DecompressionBombWarning) as error:
            raise ValueError(f"{file.origin}: expected fewer pixels than Pillow's limit, got more ({error})") from error
        except self._images.UnidentifiedImageError as error:
            raise ValueError(f"{file.origin}: expected an image ({', '.join(_FORMATS)}), got none") from error
        except MemoryError:
            raise  # not the image's fault
        except Exception as error:
            raise self._broken(file, error) from error
        with opened as image:
            # From the header, before the pixels are decoded.
            self._check(file, image)
            try:
                converted = image if image.mode == self._mode else image.convert(self._mode)
                if self._size is not None and (converted.height, converted.width) != self._size:
                    converted = converted.resize(self._size[::-1], self._images.Resampling.BILINEAR)
                pixels: NDArray[np.uint8] = np.array(converted, dtype=np.uint8)
            except MemoryError:
                raise
            except Exception as error:
                raise self._broken(file, error) from error
        return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]

    def _broken(self, file: _File, error: Exception) -> ValueError:
        # Decoders raise exceptions of any kind for damaged data.
        return ValueError(
            f"{file.origin}: expected a valid image, got a damaged one ({shorten(str(error))}); replace or remove it"
        )

    def _check(self, file: _File, image: Any) -> None:
        if image.mode not in _MODES:
            raise ValueError(
                f"{file.origin}: expected 8 bits per channel, got Pillow's mode {image.mode!r}; convert the image"
            )
        channels = len(self._mode)
        given = image.height, image.width
        for height, width in {given, self._size or given}:
            if height * width * channels > self._max_bytes:
                raise ValueError(
                    f"{file.origin}: expected an image of at most max_bytes = {self._max_bytes}, got {height} x "
                    f"{width} pixels; raise it if this is right"
                )
        height, width = self._size or given
        self._left -= height * width * channels
        if self._left < 0:
            raise ValueError(
                f"{file.origin}: expected images of at most max_bytes = {self._max_bytes} in all, got more; raise it, "
                "or pass a smaller size"
            )
        if self._first is None:
            self._first = file.origin, (height, width)
        elif self._first[1] != (height, width):
            first, (first_height, first_width) = self._first
            raise ValueError(
                f"{file.origin}: expected {first_height} x {first_width} pixels (height x width) as in {first}, got "
                f"{height} x {width}; pass size=({first_height}, {first_width}) to resize all"
            )


def _assemble(origin: str, found: list[tuple[str, str, NDArray[np.uint8]]], classes: set[str]) -> Labelled:
    """Sort the images into one array. Each is removed from `found` once it is copied, so memory is not needed twice."""
    names = sorted(classes | {label for label, _, _ in found})
    if not names:
        raise ValueError(
            f"{origin}: expected a folder with images for each class, found none; if the classes are deeper, name "
            'their folder with subset, for example subset="train"'
        )
    empty = sorted(set(names) - {label for label, _, _ in found})
    if empty:
        raise ValueError(
            f"{os.path.join(origin, empty[0])}: expected images of this class, found none; remove the folder, or, if "
            f'it holds the classes, pass it as subset="{empty[0]}"'
        )
    found.sort(key=lambda item: item[:2], reverse=True)
    number = {name: i for i, name in enumerate(names)}
    images = np.empty((len(found), *found[0][2].shape), np.uint8)
    labels = np.empty(len(found), np.int64)
    for row in range(len(found)):
        label, _, images[row] = found.pop()
        labels[row] = number[label]
    return images, labels, names
