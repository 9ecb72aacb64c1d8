"""Options of layers whose window slides over one or two axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnfast.core.options import integer

__all__ = ["margins_of", "padding_of", "sizes_of"]


def sizes_of(where: str, name: str, value: Any, axes: int) -> int | tuple[int, ...]:
    """`value`, a positive integer for all axes or one per axis, unchanged."""
    if not isinstance(value, tuple | list):
        return integer(where, name, value)
    sizes = tuple(integer(where, name, size) for size in value)
    if len(sizes) != axes:
        raise ValueError(f"{where}: expected {name} of one number or {axes}, got {sizes}")
    return sizes


def each(value: int | Sequence[int], axes: int) -> list[int]:
    """One number per axis."""
    return [value] * axes if isinstance(value, int) else list(value)


def padding_of(where: str, value: Any, axes: int, name: str = "padding") -> str | tuple[tuple[int, int], ...]:
    """ "valid", "same", or explicit amounts as pairs (before, after), one per axis.

    Explicit amounts may be given as one integer for all sides, one per axis, or one pair per axis.
    """
    if isinstance(value, str):
        if value.lower() not in ("valid", "same"):
            raise ValueError(f'{where}: expected padding "valid", "same" or numbers, got {value!r}')
        return value.lower()
    entries = value if isinstance(value, tuple | list) else (value,) * axes
    if len(entries) != axes:
        raise ValueError(f"{where}: expected padding for {axes} axes, got {value!r}")
    pairs = []
    for entry in entries:
        pair = tuple(entry) if isinstance(entry, tuple | list) else (entry, entry)
        if len(pair) != 2:
            raise ValueError(f"{where}: expected {name} as pairs (before, after), got {value!r}")
        pairs.append((integer(where, name, pair[0], minimum=0), integer(where, name, pair[1], minimum=0)))
    return tuple(pairs)


def plain_padding(padding: str | tuple[tuple[int, int], ...]) -> str | list[int]:
    """As the core expects it: the name, or a flat list of amounts."""
    return padding if isinstance(padding, str) else [amount for pair in padding for amount in pair]


Margins = int | tuple[int, ...] | tuple[tuple[int, int], ...]


def margins_of(where: str, name: str, value: Any, axes: int) -> Margins:
    """`value`, amounts before and after each axis, unchanged.

    One integer for all sides, one per axis, or one pair per axis; for a single axis also the pair alone.
    """
    if not isinstance(value, tuple | list):
        return integer(where, name, value, minimum=0)
    if axes == 1 and len(value) == 2 and not isinstance(value[0], tuple | list):
        return tuple(integer(where, name, amount, minimum=0) for amount in value)
    if len(value) != axes:
        raise ValueError(f"{where}: expected {name} of one integer or one entry for each of {axes} axes, got {value!r}")
    if not any(isinstance(entry, tuple | list) for entry in value):
        return tuple(integer(where, name, amount, minimum=0) for amount in value)
    pairs = padding_of(where, value, axes, name)
    assert not isinstance(pairs, str)
    return pairs


def plain_margins(value: Margins, axes: int) -> list[int]:
    """As the core expects them: a flat list of the amounts before and after each axis."""
    if isinstance(value, int):
        return [value] * 2 * axes
    if axes == 1 and len(value) == 2:
        value = (value,)  # type: ignore[assignment]
    entries = [entry if isinstance(entry, tuple) else (entry, entry) for entry in value]
    return [amount for pair in entries for amount in pair]
