"""Folders in which data sets are looked up."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

__all__ = ["Location", "cache_folder"]


class Location(NamedTuple):
    """A location to search: its title, its folder (None if not given), and what the user can do to provide it."""

    title: str
    folder: Path | None
    remedy: str


def cache_folder() -> Path:
    """The user's cache folder for nnfast."""
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~\\AppData\\Local")
        return Path(local) / "nnfast" / "Cache"
    if sys.platform == "darwin":
        return Path(os.path.expanduser("~/Library/Caches/nnfast"))
    cache = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says to ignore relative paths.
    return Path(cache if os.path.isabs(cache) else os.path.expanduser("~/.cache")) / "nnfast"
