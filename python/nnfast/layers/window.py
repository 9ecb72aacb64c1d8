"""The options of layers that slide a window over one or two axes."""

from collections.abc import Sequence
from typing import Any

from nnfast.configured import integer

__all__ = ["padding_of", "sizes_of"]


def sizes_of(place: str, name: str, value: Any, axes: int) -> int | tuple[int, ...]:
    """`value`, one positive integer for all axes or one for each, as given."""
    if not isinstance(value, tuple | list):
        return integer(place, name, value)
    sizes = tuple(integer(place, name, size) for size in value)
    if len(sizes) != axes:
        raise ValueError(f"{place}: expected {name} of one number or {axes}, got {sizes}")
    return sizes


def each(value: int | Sequence[int], axes: int) -> list[int]:
    """A number for each axis."""
    return [value] * axes if isinstance(value, int) else list(value)


def padding_of(place: str, value: Any, axes: int) -> str | tuple[tuple[int, int], ...]:
    """ "valid", "same", or explicit amounts as pairs (before, after), one for each axis.

    Explicit amounts may be one integer for all sides, one for each axis, or a pair for each axis.
    """
    if isinstance(value, str):
        if value not in ("valid", "same"):
            raise ValueError(f'{place}: expected padding "valid", "same" or numbers, got {value!r}')
        return value
    entries = value if isinstance(value, tuple | list) else (value,) * axes
    if len(entries) != axes:
        raise ValueError(f"{place}: expected padding for {axes} axes, got {value!r}")
    pairs = []
    for entry in entries:
        pair = tuple(entry) if isinstance(entry, tuple | list) else (entry, entry)
        if len(pair) != 2:
            raise ValueError(f"{place}: expected padding as pairs (before, after), got {value!r}")
        pairs.append((integer(place, "padding", pair[0], least=0), integer(place, "padding", pair[1], least=0)))
    return tuple(pairs)


def plain_padding(padding: str | tuple[tuple[int, int], ...]) -> str | list[int]:
    """As the core takes it: the name, or all amounts in a row."""
    return padding if isinstance(padding, str) else [amount for pair in padding for amount in pair]
