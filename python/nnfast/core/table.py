"""Text tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["Table", "format_table"]


def format_table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Rows of text under a ruled heading; the columns with indices in `right` are right-aligned."""
    widths = [max(len(line[i]) for line in [columns, *rows]) for i in range(len(columns))]
    lines = [columns, ["-" * width for width in widths], *rows]
    texts = []
    for line in lines:
        cells = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))]
        texts.append("  ".join(cells).rstrip())
    return "\n".join(texts)


def _cell(value: Any) -> str:
    """Text of a cell: floats with six digits, lists without brackets, "-" for None."""
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


class Table:
    """Rows of named values, printed as a table.

    Attributes
    ----------
    rows : list of dict
        One dict per row, by column.

    Examples
    --------
    >>> from nnfast.core.table import Table
    >>> print(Table([{"name": "a", "value": 0.5}, {"name": "b", "value": None}]))
    name  value
    ----  -----
    a       0.5
    b         -
    """

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.rows[index]

    def __str__(self) -> str:
        if not self.rows:
            return "(no rows)"
        columns = list(self.rows[0])
        right = [i for i, c in enumerate(columns) if any(isinstance(row[c], int | float) for row in self.rows)]
        return format_table(columns, [[_cell(row[c]) for c in columns] for row in self.rows], right)

    __repr__ = __str__
