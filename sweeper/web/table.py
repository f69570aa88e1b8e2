"""A table of a page: ready texts with their links, and how each column can be sorted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweeper import text
from sweeper.web.address import address

LONGEST = 48  # characters of a cell; the whole text is in its title
MISSING = "–"


@dataclass(frozen=True)
class Cell:
    """One cell; `look` is a class of the style sheet."""

    text: str
    href: str = ""
    title: str = ""
    look: str = ""
    pick: str = ""  # the value of a check box that stands before the text


@dataclass(frozen=True)
class Column:
    """The head of a column; `href` sorts by it."""

    title: str
    is_number: bool = False
    href: str = ""
    sorted: str = ""  # ascending or descending, where the table is sorted by it
    whole: str = ""  # the title where it is shortened


@dataclass(frozen=True)
class Table:
    """What a reader sees as one table; `caption` names it for those who cannot see where it stands."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    nothing: str = "Nothing yet."  # what stands in the place of no rows
    csv: str = ""  # addresses of the same for programs
    json: str = ""


def forms(path: str, **given: str | int) -> dict[str, str]:
    """Where the same table is for programs."""
    return {"csv": address(path, **given, format="csv"), "json": address(path, **given)}


def value(found: object, digits: int = 5, longest: int = LONGEST) -> Cell:
    """A parameter, metric or objective value; nothing as a dash."""
    if found is None:
        return Cell(MISSING, look="missing")
    whole = text.value(found, digits) if isinstance(found, float) else text.value(found)
    exact = text.exact(found) if isinstance(found, float) else whole
    return Cell(text.shorten(whole, longest), title=exact if exact != whole or len(whole) > longest else "")


def under(found: Mapping[str, object], key: str) -> Cell:
    """What stands under a key, where None is a value like any other; nothing where there is no such key."""
    return Cell("null") if key in found and found[key] is None else value(found.get(key))


def words(found: str | None, href: str = "", longest: int = LONGEST) -> Cell:
    """A text as it was recorded, shortened."""
    whole = text.printable(found or MISSING)
    return Cell(text.shorten(whole, longest), href, whole if len(whole) > longest else "")


def state(name: str, failure: str | None = None) -> Cell:
    """The state of a trial in its colour, with why it failed."""
    shown = name.lower() + (f": {text.printable(failure)}" if failure else "")
    return Cell(shown, look=f"state {name.lower()}")


def column(title: str, *, is_number: bool = False, href: str = "", sorted_as: str = "") -> Column:
    """The head of a column of that title, shortened to its end, which tells parameters of one group apart."""
    whole = text.printable(title)
    shown = whole if len(whole) <= 28 else f"…{whole[-27:]}"
    return Column(shown, is_number, href, sorted_as, whole if shown != whole else "")
