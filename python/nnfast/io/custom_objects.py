"""User-defined classes and functions, which files store by name only and readers look up in `custom_objects`."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nnfast.core.options import Configured, argument_values, function_name
from nnfast.core.text import short_repr

__all__ = ["custom_objects_of", "names_to_keep", "require_custom_objects"]


def names_to_keep(roots: Iterable[Any]) -> list[str]:
    """Names of all user-defined classes and functions in these objects.

    Two objects of the same name are an error, because a reader could not distinguish them. Names that are not
    identifiers cause a warning while there is still time to change them.
    """
    found: dict[str, Any] = {}
    for name, value in _named(roots):
        if found.setdefault(name, value) is not value:
            raise ValueError(
                f"expected different names of classes and functions, since a file keeps them by name alone, got two "
                f"called {name!r}; rename one"
            )
    own = sorted(name for name, value in found.items() if not _is_of_nnfast(value))
    for name in own:
        if not name.isidentifier() or getattr(found[name], "__name__", None) is None:
            warnings.warn(
                f"A file keeps {short_repr(found[name])} by the name {name!r} alone, and what reads it will need "
                f"custom_objects={{{name!r}: ...}}; write it with def, or use nnfast's own (nnfast.schedules for a "
                "learning rate), which a file keeps whole.",
                stacklevel=4,
            )
    return own


def custom_objects_of(roots: Iterable[Any]) -> dict[str, Any]:
    """The user-defined classes and functions in these objects by name."""
    return {name: value for name, value in _named(roots) if not _is_of_nnfast(value)}


def _named(values: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    for value in values:
        if isinstance(value, Configured):
            yield type(value).__name__, type(value)
            yield from _named(argument_values(value))
        elif isinstance(value, list | tuple):
            yield from _named(value)
        elif callable(value) and not isinstance(value, type):
            yield function_name(value), value


def _is_of_nnfast(value: Any) -> bool:
    return str(getattr(value, "__module__", "")).partition(".")[0] == "nnfast"


def require_custom_objects(names: Any, custom_objects: Mapping[str, Any]) -> None:
    """Raise an error unless the caller passed everything that the file needs."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"expected names of custom objects, got {short_repr(names)}")
    missing = [name for name in names if name not in custom_objects]
    if missing:
        wanted = ", ".join(f"{name!r}: {name if name.isidentifier() else '...'}" for name in missing)
        raise ValueError(
            f"expected custom_objects with {', '.join(map(repr, missing))}, classes or functions that the file keeps "
            f"by name alone; pass custom_objects={{{wanted}}}"
        )
