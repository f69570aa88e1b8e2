"""One transaction being put together: writes decide, parts hold their rows."""

from __future__ import annotations

from typing import Protocol, TypeVar, cast

from sqlalchemy import Connection

T_co = TypeVar("T_co", covariant=True)


class Part(Protocol):
    """The rows of one room's tables in one transaction."""

    def __init__(self, connection: Connection) -> None: ...

    def fetch(self) -> None:
        """Read, and lock, what the writes have asked for."""

    def flush(self) -> None:
        """Write the rows that the writes have left."""


P = TypeVar("P", bound=Part)


class Batch:
    """One transaction being put together."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.parts: dict[type[Part], Part] = {}

    def part(self, kind: type[P]) -> P:
        """The transaction's one object of this kind."""
        found = self.parts.get(kind)
        if found is None:
            found = self.parts[kind] = kind(self.connection)
        return cast(P, found)


class Write(Protocol[T_co]):
    """One change, as plain data."""

    def prepare(self, batch: Batch) -> None:
        """Ask the batch's parts for the rows that the decision needs."""

    def apply(self, batch: Batch) -> T_co:
        """Decide and leave rows with the parts; raise before leaving any, and only this write fails."""
