"""Where data sets may lie."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

__all__ = ["Location", "cache_folder"]


class Location(NamedTuple):
    """A place to look in: how it is called, its folder (None: not given), what to do so that it works."""

    title: str
    folder: Path | None
    remedy: str


def cache_folder() -> Path:
    """The user's folder for what nnfast keeps and could get again."""
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~\\AppData\\Local")
        return Path(local) / "nnfast" / "Cache"
    if sys.platform == "darwin":
        return Path(os.path.expanduser("~/Library/Caches/nnfast"))
    cache = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification has relative paths ignored.
    return Path(cache if os.path.isabs(cache) else os.path.expanduser("~/.cache")) / "nnfast"
