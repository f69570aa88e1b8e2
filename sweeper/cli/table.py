"""A table of ready texts: fitted to a terminal by rich, aligned by spaces in a pipe."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.table import Table as RichTable
from rich.text import Text

MISSING = "–"
_GAP = 2  # spaces between columns
_NARROWEST_PARAMS = 28  # characters that parameters in one column need to stay readable


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `gives_way` says when it is left out on a narrow terminal: the greatest first, 0 never.

    Columns of parameters (`is_param`) are joined into one before they are left out.
    """

    title: str
    is_number: bool = False
    gives_way: int = 0
    is_param: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of printable texts under columns; a rich Text carries a style."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str | Text, ...], ...]
    left_out: tuple[str, ...] = ()  # titles of columns that the terminal had no room for

    @property
    def widths(self) -> list[int]:
        """Terminal cells that each column needs."""
        return [
            max(cell_len(column.title), *(cell_len(str(row[i])) for row in self.rows), 0)
            for i, column in enumerate(self.columns)
        ]

    @property
    def width(self) -> int:
        """Terminal cells that a whole row needs."""
        return sum(self.widths) + _GAP * (len(self.columns) - 1)


def fit(table: Table, width: int) -> Table:
    """The table without the columns that give way, as far as `width` demands, then with parameters joined."""
    ranks = sorted({column.gives_way for column in table.columns if column.gives_way}, reverse=True)
    for rank in ranks:
        if table.width <= width:
            return table
        table = _without(table, {column for column in table.columns if column.gives_way == rank})
    if table.width <= width or not any(column.is_param for column in table.columns):
        return table
    params = {column for column in table.columns if column.is_param}
    others = _without(table, params)
    if width - others.width - _GAP < _NARROWEST_PARAMS:
        return others
    return _with_params_joined(table)


def plain(table: Table) -> Iterator[str]:
    """Lines of aligned text, every cell whole."""
    widths = table.widths
    titles = tuple(column.title for column in table.columns)
    for row in (titles, *table.rows):
        cells = [
            _aligned(str(cell), width, column.is_number)
            for cell, width, column in zip(row, widths, table.columns, strict=True)
        ]
        yield (" " * _GAP).join(cells).rstrip()


def rich_table(table: Table) -> RichTable:
    """The table for a terminal: cells that are still too wide fold over several lines."""
    shown = RichTable(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
    for column in table.columns:
        shown.add_column(
            Text(column.title),
            justify="right" if column.is_number else "left",
            overflow="fold",
            no_wrap=column.is_number,
        )
    for row in table.rows:
        shown.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    return shown


def _without(table: Table, gone: Collection[Column]) -> Table:
    kept = [i for i, column in enumerate(table.columns) if column not in gone]
    return replace(
        table,
        columns=tuple(table.columns[i] for i in kept),
        rows=tuple(tuple(row[i] for i in kept) for row in table.rows),
        left_out=(*table.left_out, *(column.title for column in table.columns if column in gone)),
    )


def _with_params_joined(table: Table) -> Table:
    params = [i for i, column in enumerate(table.columns) if column.is_param]
    if len(params) < 2:
        return table
    first = params[0]

    def joined(row: tuple[str | Text, ...]) -> tuple[str | Text, ...]:
        used = [f"{table.columns[i].title}={row[i]}" for i in params if str(row[i]) != MISSING]
        others = [cell for i, cell in enumerate(row) if i not in params]
        return (*others[:first], " ".join(used), *others[first:])

    columns = [column for column in table.columns if not column.is_param]
    columns.insert(first, Column("params"))
    return replace(table, columns=tuple(columns), rows=tuple(joined(row) for row in table.rows))


def _aligned(cell: str, width: int, to_the_right: bool) -> str:
    padding = " " * (width - cell_len(cell))
    return padding + cell if to_the_right else cell + padding
