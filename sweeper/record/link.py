"""The one connection of a process to its database: who may use it, and what a failure on it means."""

from __future__ import annotations

import itertools
import os
import socket
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sweeper.record.database import Database
from sweeper.record.failure import is_outage, reason
from sweeper.record.statement import raw
from sweeper.record.turn import Turn

_PATIENCE_S = 2.0  # how long a read waits for a write in progress
_TURN_S = 1.0  # how long a write waits in line before the database counts as out of reach
_PARTING_S = 0.2  # how long the end of a process waits for a thread that is still connecting
_REST_S = 1.0  # a read does not knock again at a database that was gone this short a while ago

T = TypeVar("T")


class Unreachable(Exception):
    """The database cannot be read just now."""


class Link:
    """A connection that is made when needed and made anew after a failure; one thread uses it at a time."""

    def __init__(self, database: Database) -> None:
        self.name = database.url
        self.dialect = database.dialect
        self._database = database
        self._lock = threading.RLock()
        self._connection: Connection | None = None
        self._generations = itertools.count()
        self._generation = 0
        self._failed_at = -_REST_S
        self._is_out = False  # writes fail: reads need not knock as well
        self._is_severed = False
        self._held_since: float | None = None
        self._turn = Turn(Path(database.engine.url.database or "")) if self.dialect == "sqlite" else None

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """The connection for a transaction that writes. On SQLite this waits in line with the other processes, while
        this one may go on reading.
        """
        if self._turn is not None:
            self._turn.take(_TURN_S)
        try:
            with self.held() as connection:
                yield connection
            self._is_out = False
        except Exception as error:
            self._is_out = is_outage(error)
            raise
        finally:
            if self._turn is not None:
                self._turn.leave()

    @contextmanager
    def held(self) -> Iterator[Connection]:
        """The connection, for this thread alone. Whatever fails on it rolls its transaction back."""
        with self._lock:
            self._held_since = time.monotonic()
            try:
                yield self._connected()
            except BaseException as error:
                self._recover(error)
                raise
            finally:
                self._held_since = None

    def read(self, query: Callable[[Connection], T]) -> T:
        """Run a query outside any transaction; raises Unreachable rather than wait for long."""
        if not self._lock.acquire(timeout=_PATIENCE_S):
            raise Unreachable(f"{self.name} is being written")
        try:
            rests = self._is_out or time.monotonic() < self._failed_at + _REST_S
            if self._connection is None and rests:
                raise Unreachable(f"{self.name} cannot be reached")
            return self._read(query)
        except Exception as error:
            if is_outage(error):
                raise Unreachable(f"{self.name} cannot be reached: {reason(error)}") from error
            raise
        finally:
            self._lock.release()

    def _read(self, query: Callable[[Connection], T]) -> T:
        was_connected = self._connection is not None
        try:
            with self.held() as connection:
                return query(connection)
        except Exception as error:
            if not (was_connected and self._connection is None and is_outage(error)):
                raise
        with self.held() as connection:  # the server may have been back for long since it was asked last
            return query(connection)

    def version(self, connection: Connection) -> Hashable:
        """What stays equal for as long as nobody else has written, as far as the engine can tell."""
        if self.dialect == "sqlite":
            return self._generation, raw(connection).execute("PRAGMA data_version").fetchone()
        return object()

    def begin(self, connection: Connection) -> None:
        """Start a transaction that writes."""
        raw(connection).execute("BEGIN IMMEDIATE" if self.dialect == "sqlite" else "BEGIN")

    def commit(self, connection: Connection) -> None:
        """End the transaction; when this raises, whether it was committed is unknown."""
        raw(connection).execute("COMMIT")

    def has_committed(self, connection: Connection) -> bool:
        """Whether a transaction that was interrupted while it was being committed is known to have been."""
        return self.dialect == "sqlite" and not raw(connection).in_transaction

    def is_up(self) -> bool:
        """Whether there is a connection, and nothing has gone wrong on it."""
        return self._connection is not None and not self._is_out

    def roll_back(self, connection: Connection) -> None:
        """End the transaction without a trace."""
        raw(connection).execute("ROLLBACK")

    def held_s(self) -> float:
        """For how long some thread has been using the connection; 0 where none is."""
        since = self._held_since
        return 0.0 if since is None else time.monotonic() - since

    def sever(self) -> None:
        """Use the database no more: who waits for its answer fails now, who asks later fails at once."""
        self._is_severed = True
        connection = self._connection
        if connection is not None and self.dialect == "postgresql":
            with suppress(Exception):  # it may be closed at this very moment
                _cut(connection)

    def close(self) -> None:
        """Let go of the connection."""
        if self._lock.acquire(timeout=-1 if not self._is_severed else _PARTING_S):
            try:
                self._drop()
            finally:
                self._lock.release()
        if self._turn is not None:
            self._turn.close()

    def _connected(self) -> Connection:
        if self._is_severed:
            raise Unreachable(f"{self.name} has been given up")
        if self._connection is None:
            self._connection = self._database.engine.connect()
            self._generation = next(self._generations)
        return self._connection

    def _recover(self, error: BaseException) -> None:
        if not isinstance(error, Exception):
            self._drop()  # interrupted in mid-sentence: its next words would be an answer to something else
        elif is_outage(error) and self._is_lost():
            self._failed_at = time.monotonic()
            self._drop()
        elif self._connection is not None:
            with suppress(DBAPIError):  # there may be no transaction any more, and then all is well
                self._connection.exec_driver_sql("ROLLBACK")

    def _is_lost(self) -> bool:
        """Whether the connection has to be made anew. One to a file never has: a locked file and a full disk pass,
        and whoever lets go of the file on a full disk may not get hold of it again.
        """
        return self._connection is None or self.dialect == "postgresql"

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.invalidate()  # not to ask for a rollback first: it may not answer
                connection.close()


def _cut(connection: Connection) -> None:
    with socket.socket(fileno=os.dup(raw(connection).pgconn.socket)) as wire:
        wire.shutdown(socket.SHUT_RDWR)
