"""The site's addresses: everything that a view shows is in its address, so that a link can be passed on.

Names stand in the query and not in the path: browsers would take a study named `..` for a way up.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from starlette.datastructures import QueryParams

from sweeper.errors import ConfigError
from sweeper.history import query
from sweeper.history.leaderboard import Ask, Order
from sweeper.history.query import Field

SIZES = (25, 50, 100, 250)
USUAL_SIZE = SIZES[0]
MOST_COMPARED = 20


def address(path: str, **given: str | int | Iterable[str] | None) -> str:
    """A path with parameters; those that are None or empty are left out."""
    kept = [(key, value) for key, value in given.items() if value not in (None, "", ())]
    return f"{path}?{urllib.parse.urlencode(kept, doseq=True)}" if kept else path


def study_address(name: str) -> str:
    """The page of a study."""
    return address("/study", study=name)


def trial_address(study: str, number: int) -> str:
    """The page of a trial."""
    return address("/trial", trial=f"{study}/{number}")


@dataclass(frozen=True)
class View:
    """How the trials of a study are looked at."""

    study: str
    where: str = ""  # a query, as `sweeper search` takes it
    sort: str = ""  # a field, with - before it for the greatest first; empty for the best first
    columns: tuple[str, ...] = ()  # fields; empty for those that a study has by default
    page: int = 1
    size: int = USUAL_SIZE

    @classmethod
    def of(cls, given: QueryParams) -> View:
        """Read an address. Raises ConfigError and QueryError for what cannot be meant."""
        view = cls(
            study=required(given, "study"),
            where=given.get("where", "").strip(),
            sort=given.get("sort", ""),
            columns=tuple(dict.fromkeys(given.getlist("column"))),
            page=number(given, "page", 1),
            size=number(given, "size", USUAL_SIZE, SIZES[-1]),
        )
        _ = view.ask  # what cannot be meant is said at once
        return view

    @property
    def order(self) -> Order | None:
        """The field to sort by, where one is given."""
        if not self.sort:
            return None
        return Order(query.field(self.sort.removeprefix("-")), self.sort.startswith("-"))

    @property
    def fields(self) -> tuple[Field, ...]:
        """The columns as fields."""
        return tuple(query.field(column) for column in self.columns)

    @property
    def ask(self) -> Ask:
        """What to ask the record for."""
        condition = query.parse(self.where) if self.where else None
        return Ask(condition, self.order, self.fields, (self.page - 1) * self.size, self.size)

    def address(self, path: str = "/study", **changes: object) -> str:
        """The address of this view, or of one that differs in a few points."""
        view = replace(self, **changes)  # type: ignore[arg-type]
        return address(
            path,
            study=view.study,
            where=view.where,
            sort=view.sort,
            column=view.columns,
            page=None if view.page == 1 else view.page,
            size=None if view.size == USUAL_SIZE else view.size,
        )


def required(given: QueryParams, key: str) -> str:
    """A parameter that an address must have. Raises ConfigError."""
    if not given.get(key):
        raise ConfigError(f"the address lacks {key}=…: follow a link, or begin at the list of studies")
    return given[key]


def number(given: Mapping[str, str], key: str, default: int, most: int = 10**9) -> int:
    """A whole number from 1 on, at most `most`. Raises ConfigError."""
    text = given.get(key, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise ConfigError(f"{key}={text!r:.60} is no number from 1 to {most}")
    return int(text)
