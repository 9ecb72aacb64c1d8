"""The MNIST handwritten digits: lookup, download and checks."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nnfast.data.idx import read_idx
from nnfast.data.locations import Location, cache_folder

Digits = tuple[NDArray[np.uint8], NDArray[np.uint8]]

MIRROR: Final = "https://ossci-datasets.s3.amazonaws.com/mnist/"

# SHA-256 of the gzip files on the mirror. Copies compressed again have other sums, so files already on the machine are
# checked by their content instead.
SHA256: Final = {
    "train-images-idx3-ubyte": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}


def load_mnist(folder: str | os.PathLike[str] | None = None, *, download: bool = True) -> tuple[Digits, Digits]:
    r"""Load the MNIST handwritten digits: 60,000 images for training and 10,000 for testing.

    The files ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte`` and
    ``t10k-labels-idx1-ubyte``, each plain or with ``.gz``, are looked up in this order:

    1. `folder`;
    2. ``$NNFAST_DATA/mnist``;
    3. the user's cache folder: ``$XDG_CACHE_HOME/nnfast/mnist`` (default ``~/.cache/nnfast/mnist``),
       ``~/Library/Caches/nnfast/mnist`` on macOS, ``%LOCALAPPDATA%\nnfast\Cache\mnist`` on Windows;
    4. a public mirror, from which 11.6 MB are downloaded into the cache folder and verified by their SHA-256 sums;
       requires the extra ``nnfast[download]``.

    Parameters
    ----------
    folder : str or path-like, optional
        Folder that contains the files. Other data sets in the same format, such as Fashion-MNIST, work too.
    download : bool, default True
        Whether to try the fourth location.

    Returns
    -------
    (x_train, y_train), (x_test, y_test) : tuples of ndarray
        Images (N, 28, 28, 1) uint8, from 0 (background) to 255, and labels (N,) uint8 from 0 to 9, in the order of the
        files.

    Raises
    ------
    FileNotFoundError
        If the files are not found; the message says why for each location.
    ValueError
        If a file is damaged or has other contents. It is then reported, not skipped.

    References
    ----------
    LeCun, Bottou, Bengio & Haffner (1998), Gradient-based learning applied to document recognition, DOI
    10.1109/5.726791.

    Examples
    --------
    A folder with three blank images for training and two for testing:

    >>> import os, tempfile
    >>> import numpy as np
    >>> import nnfast as nf
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for split, n in [("train", 3), ("t10k", 2)]:
    ...         start = os.path.join(folder, split)
    ...         nf.data.write_idx(f"{start}-images-idx3-ubyte.gz", np.zeros((n, 28, 28), np.uint8))
    ...         nf.data.write_idx(f"{start}-labels-idx1-ubyte.gz", np.zeros(n, np.uint8))
    ...     (x_train, y_train), (x_test, y_test) = nf.data.load_mnist(folder)
    >>> x_train.shape, y_train.shape, x_test.shape, y_test.shape
    ((3, 28, 28, 1), (3,), (2, 28, 28, 1), (2,))
    """
    cache = cache_folder() / "mnist"
    locations = _locations(folder, cache)
    for location in locations:
        if location.folder is not None and not _missing(location.folder):
            return _read(location.folder)
    if not download:
        raise FileNotFoundError(
            _nothing_worked(locations, "switched off by download=False; leave that out to allow it")
        )
    try:
        _download(cache)
    except ImportError as error:
        fault = f"the library pooch cannot be imported ({error}); pip install pooch"
        raise FileNotFoundError(_nothing_worked(locations, fault)) from error
    except (OSError, ValueError) as error:
        fault = f"{type(error).__name__}: {error}; check the network and that the cache can be written"
        raise FileNotFoundError(_nothing_worked(locations, fault)) from error
    return _read(cache)


def _locations(folder: str | os.PathLike[str] | None, cache: Path) -> list[Location]:
    root = os.environ.get("NNFAST_DATA")
    return [
        Location(
            "the folder argument",
            None if folder is None else Path(folder).expanduser(),
            'pass the folder with the files: load_mnist("path/to/mnist")',
        ),
        Location(
            "$NNFAST_DATA/mnist",
            Path(root).expanduser() / "mnist" if root else None,
            "set NNFAST_DATA to the folder that holds the folder mnist with the files",
        ),
        Location("the cache", cache, "copy the files there"),
    ]


def _find(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if os.path.isfile(path)), None)


def _missing(folder: Path) -> list[str]:
    return [name for name in SHA256 if _find(folder, name) is None]


def _download(cache: Path) -> None:
    """Download the files that are not in `cache`. Each gets its name only after its checksum has been verified."""
    # By name, because pooch is optional and untyped: `import pooch` would need an exemption for either.
    pooch = importlib.import_module("pooch")
    for name in _missing(cache):
        pooch.retrieve(f"{MIRROR}{name}.gz", known_hash=f"sha256:{SHA256[name]}", fname=f"{name}.gz", path=cache)


def _nothing_worked(locations: list[Location], download_fault: str) -> str:
    lines = [f"load_mnist: expected {', '.join(SHA256)} (each plain or .gz) in one of four places, got none:"]
    for number, location in enumerate(locations, start=1):
        if location.folder is None:
            found = "not given"
        elif not location.folder.is_dir():
            found = f"{location.folder} is not a folder"
        else:
            found = f"{location.folder} lacks {', '.join(_missing(location.folder))}"
        lines.append(f"  {number}. {location.title}: {found}; {location.remedy}")
    lines.append(f"  {len(locations) + 1}. download from {MIRROR} into the cache: {download_fault}")
    return "\n".join(lines)


def _read(folder: Path) -> tuple[Digits, Digits]:
    return _read_split(folder, "train"), _read_split(folder, "t10k")


def _read_split(folder: Path, split: str) -> Digits:
    images_path = _find(folder, f"{split}-images-idx3-ubyte")
    labels_path = _find(folder, f"{split}-labels-idx1-ubyte")
    if images_path is None or labels_path is None:
        raise FileNotFoundError(f"load_mnist: expected the {split} files in {folder}, but they have disappeared")
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (28, 28):
        raise ValueError(
            f"{images_path}: expected images (N, 28, 28) uint8, got {images.shape} {images.dtype}; "
            "replace it with the MNIST file of that name"
        )
    is_list = labels.dtype == np.uint8 and labels.ndim == 1
    if not is_list or labels.max() > 9:
        got = f"a label {labels.max()}" if is_list else f"{labels.shape} {labels.dtype}"
        raise ValueError(
            f"{labels_path}: expected labels (N,) uint8 from 0 to 9, got {got}; "
            "replace it with the MNIST file of that name"
        )
    if len(images) != len(labels):
        raise ValueError(
            f"{labels_path}: expected {len(images)} labels, one for each picture of {images_path.name}, "
            f"got {len(labels)}; take both files from the same source"
        )
    return images[..., np.newaxis], labels
