"""The modules in a `state_dict` of PyTorch, with their tensors as arrays."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from nnfast.core.files import open_regular
from nnfast.core.text import short_repr, shorten
from nnfast.core.typing import Array

__all__ = ["Module", "modules_of", "read_state"]

_DTYPES: Final = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}
_LAYER: Final = re.compile(r"(weight_ih|weight_hh|bias_ih|bias_hh|weight_hr)_l(\d+)(_reverse)?")
_COUNTER: Final = "num_batches_tracked"
Module = dict[str, Array]
"""The tensors of a module by their names within it."""


def read_state(source: Any) -> tuple[dict[str, Array], bool]:
    """The tensors by name, and whether they are in the order of the modules, which files do not keep."""
    if isinstance(source, Mapping):
        return {name: _array(name, value) for name, value in source.items()}, True
    if hasattr(source, "state_dict"):
        return read_state(source.state_dict())
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"load_torch_weights: expected a file, a state_dict or a module, got {short_repr(source)}")
    tensors = _read_file(source)
    return {name: tensors[name] for name in sorted(tensors, key=_natural)}, False


def _natural(name: str) -> list[tuple[bool, Any]]:
    """A key by which "2.weight" comes before "10.weight"."""
    parts = re.split(r"(\d+)", name)
    return [(part.isdecimal(), int(part[:20]) if part.isdecimal() else part) for part in parts]


def _array(name: Any, value: Any) -> Array:
    if not isinstance(name, str):
        raise TypeError(f"load_torch_weights: expected tensors by name, got {short_repr(name)}")
    if hasattr(value, "detach"):  # a tensor of PyTorch
        value = value.detach().cpu()
        value = (value.float() if "float16" in str(value.dtype) else value).numpy()
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        got = short_repr(value)
        if isinstance(value, Mapping):  # a checkpoint, with the state of the optimizer beside that of the model
            got = f"a dict of {short_repr(list(value))}; if this is the state_dict, pass source[{short_repr(name)}]"
        raise TypeError(f"{short_repr(name)}: expected a tensor of numbers, got {got}")
    return array


def _read_file(path: str | os.PathLike[str]) -> dict[str, Array]:
    from safetensors import SafetensorError, deserialize

    with open_regular(path) as file:
        content = file.read()
    if content[:4] == b"PK\3\4" or content[:1] == b"\x80":
        raise ValueError(
            f"{os.fspath(path)}: expected a safetensors file, got a pickle of PyTorch, which may run code when it is "
            "loaded; write it again with safetensors.torch.save_file(model.state_dict(), path)"
        )
    try:
        entries = deserialize(content)  # type: ignore[no-untyped-call]
        return {name: _numbers(entry["dtype"], entry["shape"], entry["data"]) for name, entry in entries}
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{os.fspath(path)}: cannot be read: {shorten(str(error))}") from error


def _numbers(dtype: str, shape: list[int], data: bytes) -> Array:
    if dtype == "BF16":  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4").reshape(shape)
    if dtype not in _DTYPES:
        raise ValueError(f"expected tensors of {', '.join(_DTYPES)} or BF16, got {dtype}")
    return np.frombuffer(data, _DTYPES[dtype]).reshape(shape)


def modules_of(state: Mapping[str, Array]) -> dict[str, Module]:
    """The modules with tensors by name, in order.

    The output projection of an attention is part of it. A recurrent module of several layers becomes as many, named
    "lstm.l0", "lstm.l1"; of one layer, it keeps its name.
    """
    modules: dict[str, Module] = {}
    attentions = {name.rpartition(".")[0] for name in state if name.endswith(("in_proj_weight", "q_proj_weight"))}
    depth: dict[str, int] = {}
    for name in state:
        prefix, _, own = name.rpartition(".")
        if found := _LAYER.fullmatch(own):
            depth[prefix] = max(depth.get(prefix, 0), int(found[2][:6]))
    for name, array in state.items():
        prefix, _, own = name.rpartition(".")
        if own == _COUNTER:
            continue
        parent, _, last = prefix.rpartition(".")
        if last == "out_proj" and parent in attentions:
            prefix, own = parent, f"out_proj.{own}"
        if found := _LAYER.fullmatch(own):
            own = found[1] + (found[3] or "")
            prefix += f".l{found[2]}" if depth[prefix] else ""
        modules.setdefault(prefix, {})[own] = array
    return modules
