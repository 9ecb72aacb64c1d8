"""The CIFAR-10 images, read from an archive of image files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nnfast.data.images import DEFAULT_LIMITS, Labelled, read_images
from nnfast.data.locations import Location, cache_folder

Part = tuple[NDArray[np.uint8], NDArray[np.int64]]

NAMES: Final = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
ARCHIVES: Final = ("cifar10-images.tar.xz", "cifar10-images.tar.gz", "cifar10-images.tar")


def load_cifar10(folder: str | os.PathLike[str] | None = None) -> tuple[Part, Part]:
    r"""Load the CIFAR-10 images: 50,000 for training and 10,000 for testing, in ten classes.

    The archive ``cifar10-images.tar.xz`` (or ``.tar.gz``, ``.tar``), with files ``train/<class>/<name>.jpg`` and
    ``test/<class>/<name>.jpg``, is looked up in this order; nothing is downloaded:

    1. `folder`;
    2. ``$NNFAST_DATA``;
    3. the user's cache folder: ``$XDG_CACHE_HOME/nnfast`` (default ``~/.cache/nnfast``), ``~/Library/Caches/nnfast`` on
       macOS, ``%LOCALAPPDATA%\nnfast\Cache`` on Windows.

    Requires Pillow: the extra ``nnfast[images]``.

    Parameters
    ----------
    folder : str or path-like, optional
        Folder that contains the archive.

    Returns
    -------
    (x_train, y_train), (x_test, y_test) : tuples of ndarray
        Images (N, 32, 32, 3) uint8, RGB; labels (N,) int64, in the order airplane, automobile, bird, cat, deer, dog,
        frog, horse, ship, truck. Rows are sorted by class: shuffle them before splitting off validation data by
        position.

    Raises
    ------
    FileNotFoundError
        If the archive is not found.
    ValueError
        If the archive is damaged, or has other classes or image sizes; see also `load_images`.

    References
    ----------
    Krizhevsky (2009), Learning multiple layers of features from tiny images, University of Toronto.

    Examples
    --------
    An archive with one gray image per class for training, and one for testing:

    >>> import io, os, tarfile, tempfile
    >>> import nnfast as nf
    >>> picture = b"P5 32 32 255 " + bytes(32 * 32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with tarfile.open(os.path.join(folder, "cifar10-images.tar"), "w") as archive:
    ...         for name in nf.data.cifar10.NAMES:
    ...             for part in ["train", "test"]:
    ...                 member = tarfile.TarInfo(f"{part}/{name}/0.pgm")
    ...                 member.size = len(picture)
    ...                 archive.addfile(member, io.BytesIO(picture))
    ...     (x_train, y_train), (x_test, y_test) = nf.data.load_cifar10(folder)
    >>> x_train.shape, y_test.tolist()
    ((10, 32, 32, 3), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    locations = _locations(folder)
    for location in locations:
        found = _find(location.folder)
        if found is not None:
            train, test = read_images(found, ("train", "test"), None, "RGB", DEFAULT_LIMITS)
            return _checked(found, "train", train), _checked(found, "test", test)
    raise FileNotFoundError(_nothing_found(locations))


def _locations(folder: str | os.PathLike[str] | None) -> list[Location]:
    root = os.environ.get("NNFAST_DATA")
    return [
        Location(
            "the folder argument",
            None if folder is None else Path(folder).expanduser(),
            'pass the folder with the archive: load_cifar10("path/to/folder")',
        ),
        Location("$NNFAST_DATA", Path(root).expanduser() if root else None, "set NNFAST_DATA to the archive's folder"),
        Location("the cache", cache_folder(), "copy the archive there"),
    ]


def _find(folder: Path | None) -> Path | None:
    if folder is None:
        return None
    return next((path for name in ARCHIVES if (path := folder / name).is_file()), None)


def _nothing_found(locations: list[Location]) -> str:
    lines = [f"load_cifar10: expected {' or '.join(ARCHIVES)} in one of three places, found none:"]
    for number, location in enumerate(locations, start=1):
        if location.folder is None:
            found = "not given"
        elif not location.folder.is_dir():
            found = f"{location.folder} is not a folder"
        else:
            found = f"{location.folder} lacks the archive"
        lines.append(f"  {number}. {location.title}: {found}; {location.remedy}")
    return "\n".join(lines)


def _checked(path: Path, part: str, loaded: Labelled) -> Part:
    images, labels, names = loaded
    if images.shape[1:] != (32, 32, 3) or tuple(names) != NAMES:
        raise ValueError(
            f"{path}: expected images (32, 32, 3) of {', '.join(NAMES)} in {part}, got {images.shape[1:]} of "
            f"{', '.join(names)}; use load_images for other data"
        )
    return images, labels
