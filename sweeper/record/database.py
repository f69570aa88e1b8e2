"""Opening a database: which engine, how durable, whose schema; everything that can be wrong is said here,
once.

SQLite runs in WAL with synchronous=FULL, the one cheap setting that loses no acknowledged commit at a power
cut; PostgreSQL through psycopg 3 with synchronous_commit=on. Every connection is in the driver's autocommit
mode and transactions are written out (BEGIN IMMEDIATE … COMMIT), so that both engines do what the text says.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from sweeper.errors import StorageError
from sweeper.record.failure import is_busy, reason
from sweeper.record.place import check_place
from sweeper.record.schema import bring_up_to_date

_BUSY_MS = 1000  # how long one statement waits for SQLite's lock; the writer asks again for as long as it takes
_SETTLE_S = 30.0  # how long an opening process waits for others that open or create the same database
_SESSION = (
    "SET synchronous_commit = on",
    "SET idle_in_transaction_session_timeout = '60s'",  # a cut-off driver's locks end in any case
    "SET default_transaction_isolation = 'read committed'",
)


@dataclass(frozen=True)
class Database:
    """An open database of a schema that we know: Optuna's tables and ours."""

    engine: Engine = field(repr=False)
    url: str  # for display: the password is hidden
    dialect: str  # "sqlite" or "postgresql"

    @property
    def full_url(self) -> str:
        """The URL with its password; never print it."""
        return self.engine.url.render_as_string(hide_password=False)


def open_database(url: str) -> Database:
    """Open the database at `url`, creating the file and both schemas where absent.

    `url` is sqlite:///PATH or postgresql://[USER[:PASSWORD]@]HOST[:PORT]/NAME. Safe for many processes at
    once. Raises StorageError where the place, the file, the server or the schema cannot be used.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        check_place(Path(parsed.database or ""))
    engine = make_engine(parsed)
    backend = parsed.get_backend_name()
    database = Database(engine, parsed.set(drivername=backend).render_as_string(hide_password=True), backend)
    with said_plainly(database), engine.connect() as connection:
        _prepare(connection, database)
    return database


def parse_url(url: str) -> URL:
    """The SQLAlchemy URL for a storage URL as people write it. Raises StorageError where it is none of ours."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise StorageError(
            f"the storage {_masked(url)!r} is no database URL: give sqlite:///sweeper.db or postgresql://user@host/name"
        ) from error
    backend = parsed.drivername.partition("+")[0]
    if backend == "sqlite":
        if parsed.host:
            raise StorageError(
                f"the storage {url!r} has two slashes where SQLite takes three or four: "
                "sqlite:///relative.db or sqlite:////absolute/path.db"
            )
        if not parsed.database or parsed.database.startswith((":memory:", "file:")):
            raise StorageError(
                f"the storage {url!r} names no file, and a sweep is kept for good: give sqlite:///sweeper.db"
            )
        return parsed.set(drivername="sqlite", database=str(Path(parsed.database).absolute()))
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise StorageError(
        f"sweeper keeps its record in SQLite or PostgreSQL, not in {backend}: "
        "give sqlite:///sweeper.db or postgresql://user@host/name"
    )


def _masked(url: str) -> str:
    return re.sub(r"://[^/]*@", "://***@", url)


def make_engine(url: URL) -> Engine:
    """An engine whose every connection is durable, in autocommit, and the caller's own to keep."""
    backend = url.get_backend_name()
    options: dict[str, Any] = {"check_same_thread": False, "timeout": _BUSY_MS / 1000}
    if backend == "postgresql":
        # A server that went away without a word is noticed within seconds, not within TCP's quarter of an
        # hour.
        options = {
            "application_name": "sweeper",
            "connect_timeout": 5,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
        }
        options = {key: value for key, value in options.items() if key not in url.query}
    try:
        engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=options)
    except ImportError as error:
        raise StorageError(
            "PostgreSQL needs psycopg, which is not installed: pip install 'sweeper[postgres]'"
        ) from error
    event.listen(engine, "connect", _prepare_sqlite if backend == "sqlite" else _prepare_postgresql)
    return engine


def _prepare_sqlite(connection: Any, record: object) -> None:
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _prepare_postgresql(connection: Any, record: object) -> None:
    for statement in _SESSION:
        connection.execute(statement)


def _prepare(connection: Connection, database: Database) -> None:
    """Bring the database to what we need; those who open it at once take turns."""
    until = time.monotonic() + _SETTLE_S
    while True:
        try:
            if database.dialect == "sqlite":
                _use_wal(connection, database)
            bring_up_to_date(connection, database.url)
        except OperationalError as error:
            if not is_busy(error) or time.monotonic() > until:
                raise
        else:
            return
        time.sleep(random.uniform(0.001, 0.02))  # SQLite does not queue for these locks


def _use_wal(connection: Connection, database: Database) -> None:
    mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
    if mode != "wal":
        mode = connection.exec_driver_sql("PRAGMA journal_mode = WAL").scalar()
    if mode != "wal":
        raise StorageError(
            f"{database.url} cannot use write-ahead logging here (SQLite stays in mode {mode}): "
            "give a path on a local disk, or a postgresql:// URL"
        )


@contextmanager
def said_plainly(database: Database) -> Iterator[None]:
    """Turn what the driver raises while opening into one sentence."""
    try:
        yield
    except DBAPIError as error:
        if database.dialect == "postgresql":
            raise StorageError(
                f"{database.url} cannot be used ({reason(error)}): check that the server runs and the URL is right"
            ) from error
        raise StorageError(f"{database.url} cannot be used: {_sqlite_advice(reason(error))}") from error


def _sqlite_advice(why: str) -> str:
    if "not a database" in why:
        return "the file is no SQLite database; give another path"
    if "readonly" in why:
        return "it is read-only; chmod u+w the file and its folder, or give another path"
    if "full" in why:
        return "its disk is full; free some space and try again"
    if "malformed" in why:
        return "the file is damaged; restore it from a backup, or save what is left with `sqlite3 FILE .recover`"
    if "locked" in why:
        return "another process has kept it locked; end that process and try again"
    return why
