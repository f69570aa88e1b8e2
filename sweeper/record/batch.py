"""One transaction being put together: writes decide, parts hold their rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Protocol, TypeVar, cast

from sqlalchemy import Connection

from sweeper.record.statement import raw

T_co = TypeVar("T_co", covariant=True)


class Part(Protocol):
    """The rows of one room's tables in one transaction."""

    is_pipelined: ClassVar[bool]  # whether what it fetches and flushes may be sent to PostgreSQL at once

    def __init__(self, connection: Connection) -> None: ...

    def fetch(self) -> None:
        """Read, and lock, what the writes have asked for."""

    def flush(self) -> None:
        """Write the rows that the writes have left."""


P = TypeVar("P", bound=Part)


class Unforeseen(Exception):
    """A write cannot be decided before the database has been asked."""


class Batch:
    """One transaction being put together."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.parts: dict[type[Part], Part] = {}

    @property
    def connection(self) -> Connection:
        return self._connection

    def part(self, kind: type[P]) -> P:
        """The transaction's one object of this kind."""
        found = self.parts.get(kind)
        if found is None:
            found = self.parts[kind] = kind(self._connection)
        return cast(P, found)

    def fetch(self) -> None:
        """Read, and lock, what the writes have asked for."""
        for part in self.parts.values():
            part.fetch()

    def flush(self) -> None:
        """Write the rows that the writes have left."""
        for part in self.parts.values():
            part.flush()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Send PostgreSQL the statements of this block at once: they take one round trip.

        Only where all of them are the driver's own: SQLAlchemy finds no rows in a pipeline, and COPY is not allowed
        there.
        """
        driver = raw(self._connection)
        if self._connection.dialect.name == "postgresql" and all(part.is_pipelined for part in self.parts.values()):
            try:
                with driver.pipeline():
                    yield
            except Exception as error:
                cause = error.__context__
                if cause is not None and not isinstance(cause, Exception):
                    raise cause from None  # an interruption, over which the driver has stumbled
                raise
        else:
            yield


class Foreseen(Batch):
    """One that is put together before the database is asked, out of what is known of these rows; anything else is
    Unforeseen.
    """

    def __init__(self, connection: Connection, kind: type[Part], rows: Part) -> None:
        super().__init__(connection)
        self.parts[kind] = rows

    @property
    def connection(self) -> Connection:
        raise Unforeseen

    def part(self, kind: type[P]) -> P:
        if kind not in self.parts:
            raise Unforeseen
        return super().part(kind)


class Blind:
    """A write, or the base of one, whose decision needs no row of the batch's parts."""

    __slots__ = ()

    def prepare(self, batch: Batch) -> None:
        pass


class Write(Protocol[T_co]):
    """One change, as plain data."""

    def prepare(self, batch: Batch) -> None:
        """Ask the batch's parts for the rows that the decision needs."""

    def apply(self, batch: Batch) -> T_co:
        """Decide and leave rows with the parts; raise before leaving any, and only this write fails."""
