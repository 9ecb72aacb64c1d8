"""Layered layout of a graph: rows from top to bottom, few crossings, boxes that do not overlap.

After Sugiyama, Tagawa & Toda (1981), Methods for visual understanding of hierarchical system structures,
DOI 10.1109/TSMC.1981.4308636: rows by the longest path, invisible points where edges pass rows, order within a row by
the mean of the neighbors, and places by least squares with a least distance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

__all__ = ["Edge", "Layout", "layered"]

_ROUNDS = 8
"""Of sorting rows, down and up."""
_MOST_POINTS = 20_000
"""In which edges pass rows: beyond, edges that pass many rows are straight lines."""


Item = Any
"""A box by its name, or a point in which an edge passes a row: the edge and the row."""


class Edge(NamedTuple):
    """From one box to another, from an output of it."""

    start: str
    end: str
    output: int = 0


class Layout(NamedTuple):
    """Where everything is."""

    rows: list[list[str]]
    """The boxes from left to right; without the invisible points."""
    middle: dict[str, float]
    """The x of the middle of each box."""
    passed: dict[Edge, list[float]]
    """The x at which an edge passes the rows between its ends, from top to bottom."""


def layered(widths: Mapping[str, float], edges: Sequence[Edge], gap: float) -> Layout:
    """Rows and places of boxes.

    Parameters
    ----------
    widths : dict of str to float
        Of the boxes by name; each comes after all those from which edges lead to it.
    edges : sequence of Edge
    gap : float
        Least distance between boxes, and between boxes and edges that pass them.
    """
    depth = _depths(widths, edges)
    rows: list[list[Item]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for name in widths:
        rows[depth[name]].append(name)
    size: dict[Item, float] = dict(widths)
    above: dict[Item, list[Item]] = {name: [] for name in widths}
    below: dict[Item, list[Item]] = {name: [] for name in widths}
    points: dict[Edge, list[Item]] = {}
    left = _MOST_POINTS
    for edge in dict.fromkeys(edges):
        between = range(depth[edge.start] + 1, depth[edge.end])
        left -= len(between)
        points[edge] = [(edge, row) for row in between] if left >= 0 else []
        for row, point in zip(between, points[edge], strict=False):
            rows[row].append(point)
            size[point], above[point], below[point] = gap / 2, [], []
        chain = [edge.start, *points[edge], edge.end]
        for one, other in pairwise(chain):
            below[one].append(other)
            above[other].append(one)
    _sort(rows, above, below)
    x = _places(rows, above, below, size, gap)
    named = [[item for item in row if isinstance(item, str)] for row in rows]
    middle = {name: x[name] for name in widths}
    return Layout(named, middle, {edge: [x[point] for point in found] for edge, found in points.items()})


def _depths(widths: Mapping[str, float], edges: Sequence[Edge]) -> dict[str, int]:
    """The longest path to each box; one without edges to it is as deep as it can be."""
    sources: dict[str, list[str]] = {name: [] for name in widths}
    targets: dict[str, list[str]] = {name: [] for name in widths}
    for edge in edges:
        sources[edge.end].append(edge.start)
        targets[edge.start].append(edge.end)
    depth: dict[str, int] = {}
    for name in widths:
        depth[name] = max((depth[source] + 1 for source in sources[name]), default=0)
    for name in widths:
        if not sources[name] and targets[name]:
            depth[name] = min(depth[target] for target in targets[name]) - 1
    return depth


def _sort(rows: list[list[Item]], above: Mapping[Item, list[Item]], below: Mapping[Item, list[Item]]) -> None:
    """Order each row by the means of the places of neighbors, and keep the order with the fewest crossings."""
    best, fewest = [list(row) for row in rows], _crossings(rows, below)
    for turn in range(2 * _ROUNDS):
        if not fewest:
            break
        down = turn % 2 == 0
        for row in range(1, len(rows)) if down else range(len(rows) - 2, -1, -1):
            place = {item: i for i, item in enumerate(rows[row - 1 if down else row + 1])}
            mean = {}
            for i, item in enumerate(rows[row]):
                found = [place[other] for other in (above if down else below)[item] if other in place]
                mean[item] = sum(found) / len(found) if found else float(i)
            rows[row].sort(key=mean.__getitem__)
        count = _crossings(rows, below)
        if count < fewest:
            best, fewest = [list(row) for row in rows], count
    rows[:] = best


def _crossings(rows: Sequence[Sequence[Item]], below: Mapping[Item, list[Item]]) -> int:
    """How many edges between neighboring rows cross."""
    total = 0
    for row, following in pairwise(rows):
        place = {item: i for i, item in enumerate(following)}
        ends = [
            place[other]
            for item in row
            for other in sorted(below[item], key=lambda o: place.get(o, -1))
            if other in place
        ]
        tree = [0] * (len(following) + 1)  # a binary indexed tree of the ends so far
        for seen, end in enumerate(ends):
            at, before = end + 1, 0
            while at:
                before += tree[at]
                at &= at - 1
            total += seen - before
            at = end + 1
            while at < len(tree):
                tree[at] += 1
                at += at & -at
    return total


def _places(
    rows: list[list[Item]],
    above: Mapping[Item, list[Item]],
    below: Mapping[Item, list[Item]],
    size: Mapping[Item, float],
    gap: float,
) -> dict[Item, float]:
    """The x of the middle of each item."""
    x: dict[Item, float] = {}
    offsets = []
    for row in rows:
        offset = [0.0]
        for one, other in pairwise(row):
            offset.append(offset[-1] + (size[one] + size[other]) / 2 + gap)
        offsets.append(offset)
        for item, distance in zip(row, offset, strict=True):
            x[item] = distance - offset[-1] / 2
    # The last turn is downwards, so that chains are straight.
    for turn in range(2 * _ROUNDS + 1):
        down = turn % 2 == 0
        first, second = (above, below) if down else (below, above)
        for i in range(len(rows)) if down else range(len(rows) - 1, -1, -1):
            wanted, weights = [], []
            for item in rows[i]:
                neighbors = first[item] or second[item]
                wanted.append(sum(x[other] for other in neighbors) / len(neighbors) if neighbors else x[item])
                # Edges that pass should be straight.
                weights.append(1.0 if isinstance(item, str) else 4.0)
            shifted = [place - distance for place, distance in zip(wanted, offsets[i], strict=True)]
            for item, place, distance in zip(rows[i], _ascending(shifted, weights), offsets[i], strict=True):
                x[item] = place + distance
    return x


def _ascending(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The ascending numbers that are closest to `values` in weighted least squares, by pooling neighbors."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        pools.append((value, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (v, w, n), (u, k, m) = pools.pop(), pools.pop()
            pools.append(((v * w + u * k) / (w + k), w + k, n + m))
    return [value for value, _, count in pools for _ in range(count)]
