"""The first difference of two descriptions, for error messages."""

from __future__ import annotations

from typing import Any

from nnfast.core.text import short_repr

__all__ = ["first_difference"]


def first_difference(expected: Any, got: Any, place: str = "") -> str | None:
    """Where two JSON values differ first, and how; None if they are equal.

    Examples
    --------
    >>> from nnfast.io.differences import first_difference
    >>> first_difference({"layers": [{"units": 3}]}, {"layers": [{"units": 4}]})
    'layers[0].units: 4 instead of 3'
    """
    if isinstance(expected, dict) and isinstance(got, dict):
        start = f"{place}." if place else ""
        for key in expected:
            if key not in got:
                return f"{start}{key}: none instead of {short_repr(expected[key])}"
            found = first_difference(expected[key], got[key], f"{start}{key}")
            if found is not None:
                return found
        more = [key for key in got if key not in expected]
        return f"{start}{more[0]}: {short_repr(got[more[0]])} instead of none" if more else None
    if isinstance(expected, list) and isinstance(got, list):
        for i, (one, other) in enumerate(zip(expected, got, strict=False)):
            found = first_difference(one, other, f"{place}[{i}]")
            if found is not None:
                return found
        return None if len(expected) == len(got) else f"number of {place}: {len(got)} instead of {len(expected)}"
    # 1 and True are equal.
    same = type(expected) is type(got) and expected == got
    return None if same else f"{place}: {short_repr(got)} instead of {short_repr(expected)}"
