"""Network files: safetensors, with everything but the tensors stored as JSON in one key of the metadata.

Files are not trusted. The header is checked against the size of the file, the architecture is built only from nnfast's
layers and the caller's `custom_objects`, and all names, shapes and dtypes are checked before memory is allocated for
the network. Nothing is imported, evaluated or unpickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from nnfast.core.files import atomic_writer, open_regular
from nnfast.core.options import integer
from nnfast.core.text import short_repr, shorten
from nnfast.core.typing import Array
from nnfast.graph.architecture import Architecture
from nnfast.io.container import TensorFile, digest_of, parse_json, tensor_bytes
from nnfast.io.custom_objects import names_to_keep, require_custom_objects
from nnfast.network import Network

__all__ = [
    "CALLBACKS",
    "CUSTOM",
    "STATE",
    "File",
    "checked_objects",
    "content_of",
    "describe",
    "json_text",
    "load_network",
    "mapping",
    "name_list",
    "network_in",
    "only_network_in",
    "reading",
    "save_network",
    "write",
]

_KEY = "nnfast"
"""Key in the metadata."""
_FORMAT = "nnfast 1"
_DTYPES = ("float32", "float64")
STATE = "optimizer/"
"""Prefix of the optimizer's tensors, which layer names must not have."""
CALLBACKS = ".callbacks/"
"""Prefix of the callbacks' tensors; no layer's name begins with a dot."""
CUSTOM = "custom_objects"
_DIGEST = "sha256"
"""Key of the digest of all else in the file; files of earlier versions have none."""
_LONGEST_TEXT = 2000


def save_network(network: Network, path: str | os.PathLike[str]) -> None:
    """Write a network; see `Network.save`."""
    names = names_to_keep(network.layers)
    with network.parameters.reading("save"):
        content = content_of(dict(network.parameters), {"network": describe(network, names)})
    write(path, content)


def load_network(path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None) -> Network:
    """Read a network from a network file or a checkpoint; see `Network.load`."""
    own = checked_objects(custom_objects)
    with reading(path) as file:
        if "network" not in file.description and "networks" in file.description:
            raise ValueError("expected a network, got several; read them with Ensemble.load")
        return only_network_in(file, own)


def checked_objects(custom_objects: Any) -> Mapping[str, Any]:
    """The caller's classes and functions by name; None becomes an empty dict."""
    if custom_objects is not None and not isinstance(custom_objects, Mapping):
        raise TypeError(
            f"custom_objects: expected a dict of classes and functions by name, got {short_repr(custom_objects)}; "
            'write {"Name": Name}'
        )
    return custom_objects or {}


def describe(network: Network, custom: list[str]) -> dict[str, Any]:
    """Everything about a network except its tensors; `custom` lists user-defined classes and functions."""
    facts = {"name": network.name, "dtype": network.dtype, "seed": network.seed, "frozen": network.frozen}
    return {**facts, **network.architecture.describe(), **({CUSTOM: custom} if custom else {})}


def only_network_in(file: File, custom_objects: Mapping[str, Any]) -> Network:
    """The network of a network file or of a checkpoint."""
    names = {name: name for name in file.tensors.tensors if not name.startswith((STATE, CALLBACKS))}
    return network_in(file, mapping(file.description, "network"), names, custom_objects)


def network_in(
    file: File, description: Mapping[str, Any], names: Mapping[str, str], custom_objects: Mapping[str, Any]
) -> Network:
    """A network in a file, after comparing its tensors, whose names in the file are `names`, with its architecture."""
    name, dtype, frozen = description.get("name"), description.get("dtype"), description.get("frozen")
    if not isinstance(name, str) or dtype not in _DTYPES or not isinstance(frozen, list):
        raise ValueError("expected name, dtype and frozen parameters of the network")
    seed = integer("network", "seed", description.get("seed"), minimum=0)
    require_custom_objects(description.get(CUSTOM, []), custom_objects)
    architecture = Architecture.from_description(description, custom_objects)
    _, _, shapes = architecture.infer()
    if set(names) != set(shapes):
        raise ValueError(f"expected the parameters {name_list(shapes)}, got {name_list(names)}")
    if not set(frozen) <= set(shapes):
        raise ValueError(f"expected frozen parameters among {name_list(shapes)}, got {short_repr(frozen)}")
    for tensor, shape in shapes.items():
        file.tensors.check(names[tensor], shape, dtype)
    network = Network.from_architecture(architecture, seed, dtype, name)
    for tensor, view in network.parameters.items():
        file.tensors.read_into(names[tensor], view)
    network.set_state(network.parameters, frozen)
    return network


def name_list(names: Iterable[str]) -> str:
    """Names for an error message."""
    return shorten(str(sorted(names)), 500)


def mapping(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The entry `key` of a description, which must be a mapping itself."""
    value = values.get(key)
    if not isinstance(value, dict):
        raise ValueError(f"expected a description of the {key}, got {short_repr(value)}")
    return value


# ---- files -----------------------------------------------------------------------


def content_of(tensors: Mapping[str, Array], description: Mapping[str, Any]) -> bytes:
    """The content of a file."""
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise ValueError(
                f"{name}: expected finite numbers, got NaN or infinity, which load would refuse; the file is as before"
            )
    # One key of sorted JSON: safetensors writes several keys in random order, and equal networks should give equal
    # bytes.
    full = {"format": _FORMAT, **description}
    return tensor_bytes(tensors, {_KEY: json_text({**full, _DIGEST: digest_of(json_text(full), tensors)})})


def write(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file atomically."""
    with atomic_writer(path) as file:
        file.write(content)


def json_text(description: Mapping[str, Any]) -> str:
    """A description as JSON, sorted; what cannot be stored is named in the error."""
    try:
        return json.dumps(description, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{_path_of_invalid(description)}: expected values that JSON can represent: {error}") from error


def _path_of_invalid(value: Any, path: str = "", depth: int = 0) -> str:
    """Path of the first value that JSON cannot represent."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, item in items if depth < 20 else ():
        try:
            json.dumps(item, allow_nan=False)
        except (TypeError, ValueError):
            return _path_of_invalid(item, f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}", depth + 1)
    return path.lstrip(".")


class File:
    """An open file: its description and its tensors."""

    def __init__(self, tensors: TensorFile) -> None:
        if _KEY not in tensors.metadata:
            raise ValueError(
                f"expected metadata with the key {_KEY!r}, got {name_list(tensors.metadata)}; was it saved by nnfast?"
            )
        description = parse_json(tensors.metadata[_KEY])
        if not isinstance(description, dict) or description.get("format") != _FORMAT:
            found = description.get("format") if isinstance(description, dict) else description
            raise ValueError(
                f"expected a file of format {_FORMAT!r}, got {short_repr(found)}; read it with the nnfast that saved it"
            )
        self.description: dict[str, Any] = description
        self.tensors = tensors
        self._check_digest()

    def _check_digest(self) -> None:
        if _DIGEST not in self.description:
            return
        stored = self.description.pop(_DIGEST)
        found = self.tensors.digest(json_text(self.description))
        if stored != found:
            raise ValueError(
                f"expected content with the SHA-256 {short_repr(stored)}, got {found!r}; the file has been changed or "
                "damaged since it was saved, so use another copy"
            )


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[File]:
    """An open file; any fault in its content is raised as a ValueError that names the file."""
    with open_regular(path) as file:
        try:
            yield File(TensorFile(file))
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
            text = str(error)
            # As the cause, it would be printed too, even if it has megabytes.
            cause = error if len(text) <= _LONGEST_TEXT else None
            raise ValueError(f"{os.fspath(path)}: cannot be read: {shorten(text, _LONGEST_TEXT)}") from cause
