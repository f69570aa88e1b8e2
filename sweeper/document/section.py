"""What a section of the report is made of: sentences, facts, tables, figures, commands. All text is plain text.

Sections say what is on record; how it looks is the template's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Drawing:
    """A figure with its words."""

    name: str  # of its file, where it is written to one
    figure: Figure
    gist: str  # what it says, for readers who do not see it


@dataclass(frozen=True)
class Sheet:
    """A table."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: frozenset[str] = frozenset()  # columns that stand to the right
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """One part of the report."""

    title: str
    lead: Sequence[str] = ()  # paragraphs before all else
    facts: Sequence[tuple[str, str]] = ()
    sheets: Sequence[Sheet] = ()
    drawings: Sequence[Drawing] = ()
    commands: Sequence[tuple[str, str]] = ()  # what it does, and what to type
    documents: Sequence[tuple[str, str]] = ()  # title and text, folded away
    notes: Sequence[str] = ()  # what to be careful about
    anchor: str = field(default="", compare=False)

    @property
    def identity(self) -> str:
        """What a link to it ends in."""
        return self.anchor or "-".join(self.title.lower().split())
