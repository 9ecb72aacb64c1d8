"""Digests: files that were altered after they were saved are refused; fingerprints tell parameters apart."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

import nnfast as nf
from nnfast import layers
from nnfast.core.digest import array_bytes, sha256
from nnfast.core.typing import Array


def network(seed: int = 0, **options: Any) -> nf.Network:
    chain = [layers.Input((3,)), layers.Dense(2), layers.BatchNormalization(), layers.Dense(1)]
    return nf.Network(chain, seed=seed, **options)


def save_run(path: Path, seed: int = 0) -> None:
    trainer = nf.Trainer(network(seed), loss="mse")
    trainer.train_on_batch(np.ones((2, 3)), np.ones((2, 1)))
    trainer.save_checkpoint(path)


def parts(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return load(content), json.loads(header["__metadata__"]["nnfast"])


def write(path: Path, tensors: dict[str, Array], description: Any) -> None:
    path.write_bytes(save(tensors, {"nnfast": json.dumps(description)}))


def test_the_digest_in_a_file_is_what_its_documentation_says(tmp_path: Path) -> None:
    """SHA-256 of the sorted JSON without it, and of each tensor by name: its facts on a line, then its bytes."""
    save_run(tmp_path / "run")
    tensors, description = parts(tmp_path / "run")
    stored = description.pop("sha256")
    expected = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name in sorted(tensors):
        expected.update(f"'{name}' F32 {tensors[name].shape}\n".encode() + tensors[name].astype("<f4").tobytes())
    assert stored == expected.hexdigest()


def test_any_flipped_bit_of_a_tensor_is_found(tmp_path: Path) -> None:
    """The bits of numbers are never checked otherwise, so nothing else would notice most of these."""
    save_run(tmp_path / "run")
    content = bytearray((tmp_path / "run").read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    for place in range(start, len(content), 7):
        content[place] ^= 1
        (tmp_path / "run").write_bytes(content)
        with pytest.raises(ValueError, match=r"run: cannot be read: expected content with the SHA-256 '\w{64}', got"):
            nf.Trainer.resume(tmp_path / "run")
        content[place] ^= 1
    (tmp_path / "run").write_bytes(content)
    nf.Trainer.resume(tmp_path / "run")


@pytest.mark.parametrize("read", [nf.Network.load, nf.Trainer.resume])
def test_mixed_files_are_refused(tmp_path: Path, read: Any) -> None:
    """A description with the tensors of another file, one tensor of another file, two tensors exchanged."""
    for name, seed in (("a", 0), ("b", 1)):
        save_run(tmp_path / name, seed)
    (tensors, description), (others, _) = parts(tmp_path / "a"), parts(tmp_path / "b")
    exchanged = {**tensors, "dense.bias": tensors["batch_normalization.beta"] + 0}
    exchanged["batch_normalization.beta"] = tensors["dense.bias"]
    for mixed in (others, {**tensors, "dense.kernel": others["dense.kernel"]}, exchanged):
        write(tmp_path / "mixed", mixed, description)
        with pytest.raises(ValueError, match="mixed: cannot be read: expected content with the SHA-256"):
            read(tmp_path / "mixed")
    description["network"]["seed"] = 5
    write(tmp_path / "mixed", tensors, description)
    with pytest.raises(ValueError, match="use another copy"):
        read(tmp_path / "mixed")


def test_the_same_content_in_another_layout_is_sound(tmp_path: Path) -> None:
    """Other programs may write the tensors in another order, and the JSON with spaces."""
    save_run(tmp_path / "run")
    tensors, description = parts(tmp_path / "run")
    (tmp_path / "run").write_bytes(save(dict(reversed(tensors.items())), {"nnfast": json.dumps(description, indent=3)}))
    assert nf.Trainer.resume(tmp_path / "run").iteration == 1


def test_a_file_without_a_digest_loads(tmp_path: Path) -> None:
    """As earlier versions wrote them; but one that is no text is damage."""
    save_run(tmp_path / "run")
    tensors, description = parts(tmp_path / "run")
    del description["sha256"]
    write(tmp_path / "run", tensors, description)
    assert nf.Trainer.resume(tmp_path / "run").iteration == 1
    write(tmp_path / "run", tensors, {**description, "sha256": None})
    with pytest.raises(ValueError, match="SHA-256 None, got"):
        nf.Trainer.resume(tmp_path / "run")


# ---- fingerprints ----------------------------------------------------------------------


def test_a_fingerprint_is_what_its_documentation_says() -> None:
    net = network(dtype="float64")
    expected = hashlib.sha256()
    for name, view in net.parameters.items():
        expected.update(f"'{name}' float64 {view.shape}\n".encode() + view.astype("<f8").tobytes())
    assert net.fingerprint() == expected.hexdigest()[:16]


def test_equal_parameters_have_equal_fingerprints(tmp_path: Path) -> None:
    net = network()
    net.save(tmp_path / "net")
    assert {other.fingerprint() for other in (net, net.copy(), network(), nf.Network.load(tmp_path / "net"))} == {
        net.fingerprint()
    }


def test_a_fingerprint_depends_on_every_bit_name_shape_and_dtype() -> None:
    net = network()
    seen = {net.fingerprint()}
    for view in net.parameters.values():
        for i in range(view.size):
            before = view.flat[i]
            view.flat[i] = np.nextafter(before, np.float32(9))
            seen.add(net.fingerprint())
            view.flat[i] = before
    view = net.parameters["dense.bias"]
    view[0] = -0.0
    seen.add(net.fingerprint())
    assert len(seen) == 1 + net.num_parameters + 1
    zeros = {
        nf.Network([layers.Input((2,)), layers.Dense(*units, name=name)], dtype=dtype).fingerprint()
        for units, name, dtype in [
            ((2, None, False, "zeros"), "a", "float32"),
            ((2, None, False, "zeros"), "b", "float32"),
            ((2, None, False, "zeros"), "a", "float64"),
            ((4, None, False, "zeros"), "a", "float32"),
        ]
    }
    assert len(zeros) == 4


@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (2, 3), (3, 1, 2)])
def test_arrays_of_any_shape_layout_and_byte_order(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    array = rng.normal(size=shape)
    for other in (array, np.asfortranarray(array), array.astype(">f8"), np.stack([array, array], axis=-1)[..., 0]):
        assert array_bytes(other).tobytes() == array.tobytes()


def test_names_and_shapes_cannot_be_confused() -> None:
    ends = [sha256("", [(name, "F32", (1,), [b"1234"])]) for name in ("a", "a' F32 (1,)\n", "a\n", "b")]
    ends += [sha256("", [("a", "F32", (1,), [b"12", b"34"])]), sha256("", [("a", "F32", (1, 1), [b"1234"])])]
    assert ends[4] == ends[0]
    assert len(set(ends)) == 5
