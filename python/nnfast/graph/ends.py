"""Inputs and outputs of a network: a single one, several in order, or several by key."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from nnfast.core.arrays import IntegerRange, as_rows, require_finite
from nnfast.core.options import choose
from nnfast.core.tensor import Tensor
from nnfast.core.text import short_repr
from nnfast.core.typing import Array, Shape

__all__ = ["Ends"]

T = TypeVar("T")


class Ends(NamedTuple):
    """Names of nodes, in the caller's order and form."""

    names: tuple[str, ...]
    keys: tuple[str, ...] | None = None
    """Of a dict."""
    single: bool = False
    """One by itself, in no list."""

    @staticmethod
    def tensors(value: Any, kind: str) -> list[Tensor]:
        """The tensors passed to `Network` as `kind`, "inputs" or "outputs"."""
        found = list(value.values()) if isinstance(value, Mapping) else value
        found = list(found) if isinstance(found, list | tuple) else [found]
        if not found:
            raise ValueError(f"Network: expected one tensor or more as {kind}, got none")
        if isinstance(value, Mapping) and not all(isinstance(key, str) and key for key in value):
            raise TypeError(f"Network: expected texts as keys of {kind}, got {list(value)}")
        for tensor in found:
            if not isinstance(tensor, Tensor):
                raise TypeError(f"Network: expected tensors as {kind}, got {tensor!r}")
        if len({id(tensor) for tensor in found}) != len(found):
            raise ValueError(f"Network: expected {kind} that differ, got one of them twice")
        return found

    @classmethod
    def of(cls, value: Any, names: Sequence[str]) -> Ends:
        """The ends for a value accepted by `tensors`, whose nodes have the given names."""
        if isinstance(value, Mapping):
            return cls(tuple(names), tuple(value))
        return cls(tuple(names), single=not isinstance(value, list | tuple))

    def among(self, names: Collection[str]) -> Ends:
        """Those of the ends that are among `names`, in the form that all have."""
        kept = [place for place, name in enumerate(self.names) if name in names]
        keys = None if self.keys is None else tuple(self.keys[place] for place in kept)
        return Ends(tuple(self.names[place] for place in kept), keys, self.single)

    def require_one(self, what: str) -> None:
        """Raise a ValueError unless there is a single output, not in a list; `what` requires it."""
        if not self.single:
            raise ValueError(f"{what}: expected a network with one output, in no list, got {', '.join(self.names)}")

    def arrange(self, values: Sequence[T]) -> Any:
        """One value per end, in the form of the ends: a single value, a list or a dict."""
        if self.single:
            return values[0]
        return list(values) if self.keys is None else dict(zip(self.keys, values, strict=True))

    def keys_in(self, value: Mapping[str, Any], name: str) -> tuple[str, ...]:
        """The keys, or else the layer names, that a dict passed as `name` uses, in the order of the ends."""
        by_key = self.names if self.keys is None or set(value) <= set(self.names) else self.keys
        for key in value:
            choose(f"key of {name}", key, by_key)
        return by_key

    def split(self, value: Any, name: str) -> list[Any]:
        """One value per end, from a value passed by a caller as `name`: single, in order, or by key or layer name."""
        if self.single and not isinstance(value, Mapping):
            return [value]
        if isinstance(value, Mapping):
            by_key = self.keys_in(value, name)
            missing = [key for key in by_key if key not in value]
            if missing:
                raise ValueError(
                    f"{name}: expected an entry for each of {', '.join(by_key)}, got none for {missing[0]!r}"
                )
            return [value[key] for key in by_key]
        if not isinstance(value, list | tuple) or len(value) != len(self.names):
            got = f"{len(value)} of them" if isinstance(value, list | tuple) else type(value).__name__
            keys = self.names if self.keys is None else self.keys
            raise ValueError(
                f"{name}: expected a list of {len(self.names)} or a dict by name, for {', '.join(keys)}, got {got}"
            )
        return list(value)

    def rows(self, x: Any, shapes: Sequence[Shape], dtype: str, integers: Mapping[str, IntegerRange]) -> Any:
        """Inputs as the core takes them: finite rows, all of one number; an array for a single input, else a list.

        `integers` are the inputs that take no other numbers, by name.
        """
        parts = self.split(x, "x")
        arrays = [
            as_rows(part, shape, dtype, name, integers=integers.get(name))
            for part, shape, name in zip(parts, shapes, self.names, strict=True)
        ]
        for array, name in zip(arrays, self.names, strict=True):
            if len(array) != len(arrays[0]):
                raise ValueError(
                    f"{name}: expected {len(arrays[0])} rows, as {self.names[0]} has, got {len(array)}; give every "
                    "input one row for each example"
                )
            require_finite(array, "x" if self.single else name)
        return arrays[0] if len(arrays) == 1 else arrays

    def describe(self) -> Any:
        """The ends as JSON values; ends by key are two lists, because files sort keys."""
        if self.single:
            return self.names[0]
        return list(self.names) if self.keys is None else {"keys": list(self.keys), "names": list(self.names)}

    @classmethod
    def from_description(cls, value: Any, known: Mapping[str, Any], kind: str) -> Ends:
        """Ends from the output of `describe`, which is not trusted."""
        keys = value.get("keys") if isinstance(value, dict) else None
        names = value.get("names") if isinstance(value, dict) else value if isinstance(value, list) else [value]
        if not isinstance(names, list) or not names:
            raise ValueError(f"architecture: expected names of {kind}s, got {short_repr(value)}")
        found = [known_output(kind, name, known) for name in names]
        if len(set(found)) != len(found):
            raise ValueError(f"architecture: expected {kind}s that differ, got {short_repr(names)}")
        if not isinstance(value, dict):
            return cls.of(value, found)
        texts = [key for key in keys if isinstance(key, str) and key] if isinstance(keys, list) else []
        if not len(texts) == len(set(texts)) == len(found) or texts != keys:
            raise ValueError(f"architecture: expected a key for each {kind}, got {short_repr(keys)}")
        return cls(tuple(found), tuple(texts))


def known_output(kind: str, name: Any, nodes: Mapping[str, Any]) -> str:
    """`name`, of an output of one of the nodes: "split" or "split#1". The number of outputs is checked later."""
    node, mark, index = name.partition("#") if isinstance(name, str) else (name, "", "")
    choose(kind, node, nodes)
    if mark and not (index.isascii() and index.isdecimal() and not index.startswith("0")):
        raise ValueError(f"unknown {kind} {short_repr(name)}; further outputs of {node} are {node}#1, {node}#2, ...")
    return str(name)


def number_of_rows(x: Array | list[Array]) -> int:
    """Number of rows of the output of `Ends.rows`."""
    return len(x[0]) if isinstance(x, list) else len(x)
