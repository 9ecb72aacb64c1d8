"""The reader of HDF5: the same numbers and texts as h5py, and clean errors for all else."""

import io
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mutants import mutant

from nnfast.io.hdf5 import Group, read_hdf5

h5py = pytest.importorskip("h5py", reason="h5py is not installed")


def written(fill: Any, **options: Any) -> io.BytesIO:
    file = io.BytesIO()
    with h5py.File(file, "w", **options) as h5:
        fill(h5)
    return file


def read(fill: Any, **options: Any) -> Group:
    return read_hdf5(written(fill, **options))


@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_numbers_of_all_types_and_shapes(version: str, rng: np.random.Generator) -> None:
    arrays = {
        f"{dtype}-{len(shape)}": (100 * rng.normal(size=shape)).astype(dtype)
        for dtype in ("<f4", ">f4", "f2", "f8", ">f8", "i1", "u2", ">i4", "u8")
        for shape in ((), (0,), (3,), (2, 0, 3), (2, 3, 4, 5))
    }

    def fill(h5: Any) -> None:
        for name, array in arrays.items():
            h5[f"of/{name[:-2].strip('<>')}/{name.replace('<', 'l').replace('>', 'b')}"] = array

    found = dict(read(fill, libver=version).walk())
    assert len(found) == len(arrays)
    for name, array in arrays.items():
        key = name.replace("<", "l").replace(">", "b")
        dataset = next(d for path, d in found.items() if path.endswith(f"/{key}"))
        assert dataset.shape == array.shape
        assert dataset.dtype == array.dtype
        np.testing.assert_array_equal(dataset.read(), array)


def test_many_groups_and_attributes() -> None:
    def fill(h5: Any) -> None:
        for i in range(300):  # a tree of several levels
            h5[f"layers/{'x' * (i % 7)}dense_{i}/vars/0"] = np.full(2, i, "f4")
        h5.attrs["one"] = "h\u00e4llo"
        h5.attrs["fixed"] = np.bytes_("fixed")
        h5.attrs["several"] = ["a", "", "ccc"]
        h5.attrs["fixed_ones"] = np.array([b"ab", b"c"])
        h5.attrs["number"] = 3.0
        h5.attrs["none"] = np.array([])

    group = read(fill)
    assert len(group.groups["layers"].groups) == 300
    assert all(d.read()[0] == int(path.split("/")[1].split("_")[1]) for path, d in group.walk())
    assert group.attributes == {
        "one": "h\u00e4llo",
        "fixed": "fixed",
        "several": ["a", "", "ccc"],
        "fixed_ones": ["ab", "c"],
    }


def _reference(h5: Any) -> None:
    h5["a"] = np.arange(3.0)
    h5["b"] = np.array([h5["a"].ref], dtype=h5py.ref_dtype)


REFUSED = {
    "soft link": (lambda h5: h5.__setitem__("a", h5py.SoftLink("/b")), "got a link"),
    "external link": (lambda h5: h5.__setitem__("a", h5py.ExternalLink("other.h5", "/")), "got a link"),
    "hard link": (lambda h5: (h5.create_group("a"), h5.__setitem__("a/b", h5["a"])), "several links to one"),
    "reference": (_reference, "expected datasets of numbers"),
    "text": (lambda h5: h5.__setitem__("a", "text"), "expected datasets of numbers"),
    "complex": (lambda h5: h5.__setitem__("a", np.ones(3, complex)), "expected datasets of numbers"),
    "compression": (lambda h5: h5.create_dataset("a", data=np.ones(99), compression="gzip"), "got chunks"),
    "chunks": (lambda h5: h5.create_dataset("a", (99,), "f4", chunks=(10,)), "got chunks"),
    "committed type": (
        lambda h5: (h5.__setitem__("t", np.dtype("f4")), h5.create_dataset("a", (3,), dtype=h5["t"])),
        "stored elsewhere|expected datasets of numbers",
    ),
    "never written": (lambda h5: h5.create_dataset("a", (1 << 40, 1 << 20), "f4"), "got more"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_what_is_refused(name: str, version: str) -> None:
    fill, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        read(fill, libver=version)


def test_external_storage_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        h5.create_dataset("a", (4,), "f4", external=[(str(tmp_path / "b"), 0, 16)])
    with open(tmp_path / "a.h5", "rb") as file, pytest.raises(ValueError, match="external storage"):
        read_hdf5(file)


def test_nested_groups_are_bounded() -> None:
    with pytest.raises(ValueError, match="at most 40 deep"):
        read(lambda h5: h5.create_group("/".join("abcd" * 25)))


def test_other_files() -> None:
    for content in (b"", b"not HDF5", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(100)):
        with pytest.raises(ValueError, match="expected"):
            read_hdf5(io.BytesIO(content))


def read_mutants(count: int, seed: int) -> int:
    """Reads damaged files of both formats, groups, texts and numbers; returns how many were still read."""

    def fill(h5: Any) -> None:
        h5.attrs["layer_names"] = ["a", "b" * 20, "c"]
        h5.attrs["model_config"] = np.bytes_(b"{" * 300)
        for i in range(12):
            h5[f"layers/dense_{i}/vars/0"] = np.arange(i + 1.0)
            h5[f"layers/dense_{i}/vars"].attrs["name"] = f"layer {i}"

    def few(h5: Any) -> None:  # more links of a group are kept in another way
        h5.attrs["layer_names"] = ["a", "b" * 20, "c"]
        for i in range(5):
            h5[f"layers/{i}/vars"] = np.arange(i + 1.0)

    rng = np.random.default_rng(seed)
    files = [written(fill).getvalue(), written(few, libver="latest").getvalue()]
    read = 0
    for i in range(count):
        try:
            group = read_hdf5(io.BytesIO(mutant(files[i % 2], rng)))
            total = sum(dataset.read().nbytes for _, dataset in group.walk())
            assert total <= len(files[i % 2])
            read += 1
        except ValueError:
            pass
    return read


def test_mutants_of_both_formats() -> None:
    tracemalloc.start()
    assert 10 < read_mutants(200, 0) < 195
    assert tracemalloc.get_traced_memory()[1] < 3 << 20
    tracemalloc.stop()


@pytest.mark.slow
def test_5000_mutants_of_both_formats() -> None:
    assert read_mutants(5000, 1) > 100
