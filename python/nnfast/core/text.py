"""Texts of errors: they show what came, but no megabytes of it."""

from typing import Any

__all__ = ["shortened", "shown"]


def shortened(text: str, most: int = 1000) -> str:
    """`text`, or its beginning and end where it has more than `most` characters.

    Examples
    --------
    >>> from nnfast.core.text import shortened
    >>> shortened("a" * 30 + "b" * 30, most=20)
    'aaaaaaaaaa ... (40 characters) ... bbbbbbbbbb'
    """
    half = most // 2
    return text if len(text) <= most else f"{text[:half]} ... ({len(text) - 2 * half} characters) ... {text[-half:]}"


def shown(value: Any) -> str:
    """The `repr` of what came, shortened.

    Examples
    --------
    >>> from nnfast.core.text import shown
    >>> shown("a" * 500) == "'" + "a" * 149 + " ... (202 characters) ... " + "a" * 149 + "'"
    True
    """
    try:
        return shortened(repr(value), 300)
    except RecursionError:
        return f"a {type(value).__name__} that is nested too deeply to be shown"
