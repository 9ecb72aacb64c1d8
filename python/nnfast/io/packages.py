"""Packages that are optional."""

import importlib
from typing import Any

__all__ = ["required"]


def required(name: str, where: str, command: str) -> Any:
    """An optional package, or an error that says how to install it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ModuleNotFoundError(f"{where}: expected the package {name}, which is not installed; {command}") from error
