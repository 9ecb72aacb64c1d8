"""Names in braces in the paths of callbacks: those that a callback replaces, and those that nothing does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter
from typing import Any

from nnfast.core.text import short_repr

__all__ = ["fields_of", "filled_in", "require_literal"]

_FIELD = re.compile(r"\{(\w+)(:[^{}]*)?\}")


def fields_of(path: str) -> list[str]:
    """The names in braces."""
    return [field for _, field, _, _ in Formatter().parse(path) if field is not None]


def filled_in(where: str, path: str, values: Mapping[str, Any]) -> str:
    """The path with the values in place of their names."""
    try:
        return path.format(**values)
    except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        unknown = error.args[0] if isinstance(error, KeyError) else ""
        remedy = ""
        if str(unknown).startswith("val_") and not any(name.startswith("val_") for name in values):
            remedy = "; pass validation data to fit, and save after epochs"
        elif unknown == "member":
            remedy = "; Ensemble.fit replaces it"
        raise ValueError(
            f"{where}: expected a path with the names {', '.join(values)} and formats for numbers, got "
            f"{short_repr(path)}: {error}{remedy}"
        ) from error


def require_literal(where: str, path: str) -> None:
    """Refuse a path with a name in braces, for a callback that replaces none."""
    found = _FIELD.search(path)
    if found:
        replacing = "Ensemble.fit" if found[1] == "member" else "ModelCheckpoint"
        raise ValueError(
            f"{where}: expected a path, got {short_repr(path)}, in which {found[0]} stands for what only {replacing} "
            "knows; write a name without braces"
        )
