"""Texts of error messages, limited in length."""

from typing import Any

__all__ = ["short_repr", "shorten"]


def shorten(text: str, limit: int = 1000) -> str:
    """`text`, or its beginning and end if it has more than `limit` characters.

    Examples
    --------
    >>> from nnfast.core.text import shorten
    >>> shorten("a" * 30 + "b" * 30, limit=20)
    'aaaaaaaaaa ... (40 characters) ... bbbbbbbbbb'
    """
    half = limit // 2
    return text if len(text) <= limit else f"{text[:half]} ... ({len(text) - 2 * half} characters) ... {text[-half:]}"


def short_repr(value: Any) -> str:
    """The `repr` of a value, shortened."""
    try:
        return shorten(repr(value), 300)
    except RecursionError:
        return f"a {type(value).__name__} that is nested too deeply to be shown"
