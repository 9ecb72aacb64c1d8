"""Text tables."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

__all__ = ["Table", "format_table", "html_table"]


def format_table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Rows of text under a ruled heading; the columns with indices in `right` are right-aligned."""
    widths = [max(len(line[i]) for line in [columns, *rows]) for i in range(len(columns))]
    lines = [columns, ["-" * width for width in widths], *rows]
    texts = []
    for line in lines:
        cells = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))]
        texts.append("  ".join(cells).rstrip())
    return "\n".join(texts)


def html_table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> str:
    """Rows of text as a table of HTML, for notebooks; arguments as of `format_table`."""
    from html import escape  # with a table of all entities, which takes longer to import than this module

    def line(cells: Sequence[str], tag: str) -> str:
        sides = ["right" if i in right else "left" for i in range(len(cells))]
        texts = (f'<{tag} style="text-align: {side}">{escape(c)}</{tag}>' for c, side in zip(cells, sides, strict=True))
        return f"<tr>{''.join(texts)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<table><thead>{line(columns, 'th')}</thead><tbody>{body}</tbody></table>"


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
        return format_table(*self._content()) if self.rows else "(no rows)"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(*self._content()) if self.rows else "(no rows)"

    def _content(self) -> tuple[list[str], list[list[str]], list[int]]:
        """Columns, texts of the rows, and which columns are right-aligned."""
        columns = list(self.rows[0])
        right = [i for i, c in enumerate(columns) if any(isinstance(row[c], int | float) for row in self.rows)]
        return columns, [[_cell(row[c]) for c in columns] for row in self.rows], right
