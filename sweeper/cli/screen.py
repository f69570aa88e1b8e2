"""Standard output as a command writes to it: rich on a terminal, plain text in a pipe.

Texts given here are `printable` already. In a pipe nothing is coloured, wrapped or shortened.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from sweeper import text
from sweeper.cli.table import Table, fit, plain, rich_table

_LONGEST_VALUE = 40  # characters, on a terminal
_STATE_STYLES = {"COMPLETE": "green", "PRUNED": "yellow", "FAIL": "red", "RUNNING": "cyan", "WAITING": "dim"}


class Screen:
    """Lines, facts and tables; by default to standard output."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, markup=False, emoji=False)

    @property
    def is_terminal(self) -> bool:
        return self.console.is_terminal

    def value(self, found: object) -> str:
        """A value as this output takes it: shortened on a terminal, with every digit in a pipe."""
        if self.is_terminal:
            return text.shorten(text.value(found), _LONGEST_VALUE)
        return text.exact(found)

    def line(self, content: str | Text = "", style: str = "") -> None:
        """One line, which a terminal may wrap."""
        shown = content if isinstance(content, Text) else Text(content, style=style)
        self.console.print(shown, soft_wrap=not self.is_terminal)

    def heading(self, content: str) -> None:
        """The title of what follows, after a blank line."""
        self.line()
        self.line(content, "bold")

    def block(self, lines: Iterable[str], style: str = "", indent: int = 2) -> None:
        """Lines one below the other, indented."""
        for content in lines:
            if self.is_terminal:
                self.console.print(Padding(Text(content, style=style), (0, 0, 0, indent)))
            else:
                self.line(" " * indent + content)

    def facts(self, pairs: Sequence[tuple[str, str | Text]]) -> None:
        """Labels and what there is to say about each."""
        if self.is_terminal:
            grid = RichTable.grid(padding=(0, 2))
            grid.add_column(style="dim", no_wrap=True)
            grid.add_column(overflow="fold")
            for label, content in pairs:
                grid.add_row(label, content if isinstance(content, Text) else Text(content))
            self.console.print(grid)
            return
        width = max((len(label) for label, _ in pairs), default=0)
        for label, content in pairs:
            self.line(f"{label:<{width}}  {content}".rstrip())

    def table(self, table: Table) -> None:
        """A table: whole in a pipe, fitted to a terminal with a word on what had no room."""
        if not self.is_terminal:
            for line in plain(table):
                self.line(line)
            return
        fitted = fit(table, self.console.width)
        self.console.print(rich_table(fitted))
        named = ", ".join(title for title in fitted.left_out if title)
        if named:
            self.line(f"no room here for {named}; --json has all", "dim")


def state(name: str) -> Text:
    """The name of a state in its colour."""
    return Text(name.lower(), style=_STATE_STYLES.get(name, ""))
