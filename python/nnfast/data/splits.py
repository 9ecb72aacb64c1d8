"""How rows are divided into parts: by fractions, of every class, or in whole groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnfast.core.arrays import as_array
from nnfast.core.options import real
from nnfast.core.typing import Array

__all__ = ["as_fractions", "as_keys", "cuts", "grouped", "stratified"]


def as_fractions(given: Any) -> list[float]:
    """Fractions with the sum 1, each above 0."""
    where = "Dataset.split"
    if not isinstance(given, list | tuple | np.ndarray):
        share = real(where, "fractions", given, minimum=0.0, upper_bound=1.0)
        given = (share, 1 - share)
    found = [real(where, "fractions", share, minimum=0.0) for share in given]
    if not found or min(found) == 0 or abs(sum(found) - 1) > 1e-6:
        raise ValueError(
            f"{where}: expected fractions above 0 with the sum 1, got {', '.join(f'{share:g}' for share in found)}; "
            "use take(n) to leave rows out"
        )
    return found


def as_keys(name: str, given: Any, rows: int) -> Array:
    """Numbers of classes or groups, from 0, one for each row."""
    array = as_array(given, "Dataset.split", name)
    if array.shape != (rows,):
        raise ValueError(f"Dataset.split: expected {name} (N,) with one for each of the {rows} rows, got {array.shape}")
    numbers: Array = np.unique(array, return_inverse=True)[1]
    return numbers


def cuts(rows: int, shares: Sequence[float]) -> list[int]:
    """First rows of the parts after the first."""
    return [round(rows * share) for share in np.cumsum(shares)[:-1]]


def stratified(order: Array, classes: Array, shares: Sequence[float]) -> list[Array]:
    """Parts with their share of every class, rounded down or up; rounded so that the parts' sizes are right too."""
    parts: list[list[Array]] = [[] for _ in shares]
    debt = np.zeros(len(shares))  # rows that each part should have by now and has not
    for number in range(int(classes.max()) + 1):
        own = order[classes[order] == number]
        wanted = len(own) * np.asarray(shares)
        counts = np.floor(wanted + 1e-9).astype(int)
        rest = wanted - counts
        debt += rest
        up = sorted(range(len(shares)), key=lambda i: (rest[i] <= 1e-9, -debt[i]))[: len(own) - counts.sum()]
        counts[up] += 1
        debt[up] -= 1
        for part, rows in zip(parts, np.split(own, np.cumsum(counts)[:-1]), strict=True):
            part.append(rows)
    return [np.concatenate(part) for part in parts]


def grouped(order: Array, groups: Array, shares: Sequence[float]) -> list[Array]:
    """Parts of whole groups: from the largest group on, each goes to the part that lacks the most rows."""
    sizes = np.bincount(groups)
    firsts = np.full(len(sizes), len(order))
    np.minimum.at(firsts, groups[order], np.arange(len(order)))  # ties in the order of the first rows
    missing = len(order) * np.asarray(shares)
    part_of = np.zeros(len(sizes), np.int64)
    for group in np.lexsort((firsts, -sizes)):
        chosen = int(missing.argmax())
        part_of[group] = chosen
        missing[chosen] -= sizes[group]
    owners = part_of[groups[order]]
    return [order[owners == part] for part in range(len(shares))]
