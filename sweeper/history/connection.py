"""Opens a database for reading and nothing else, and says in one sentence what is wrong when it cannot."""

from __future__ import annotations

import re
import sqlite3
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from sqlalchemy import URL, Connection, create_engine, event, inspect, make_url, select
from sqlalchemy.engine import Engine
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from sweeper.errors import NoDatabase, StorageError
from sweeper.history.schema import OPTUNA_VERSION, alembic_version

_NO_COLUMN = re.compile(r"no such column: (\S+)|column (\S+) does not exist")  # SQLite, PostgreSQL
_BUSY_TIMEOUT_S = 10.0
_CONNECT_TIMEOUT_S = 10
_POSTGRES = {"postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"}
_SQLITE = {"sqlite", "sqlite+pysqlite"}


def open_engine(url: str) -> Engine:
    """An engine whose connections cannot write, to the SQLite file or PostgreSQL database that `url` names.

    Raises:
        StorageError: the URL names no database that can be read; nothing is created on the way.
    """
    parsed = _parse(url)
    if parsed.drivername in _SQLITE:
        return _sqlite_engine(parsed)
    if parsed.drivername in _POSTGRES:
        return _postgres_engine(parsed)
    raise StorageError(
        f"sweeper reads SQLite and PostgreSQL, not {parsed.drivername}: "
        "write sqlite:///FILE or postgresql://USER@HOST/DATABASE"
    )


def shown(url: str) -> str:
    """The URL as it may be shown: a file by its absolute path, a password masked wherever it stands."""
    parsed = _parse(url)
    if parsed.drivername in _SQLITE and parsed.database:
        return f"sqlite:///{Path(parsed.database).absolute()}"
    if "password" in parsed.query:
        parsed = parsed.update_query_dict({"password": "***"})
    return parsed.render_as_string(hide_password=True)


@contextmanager
def reading(engine: Engine, where: str) -> Iterator[Connection]:
    """One read-only transaction: all that is read inside is of one moment, whatever is written meanwhile."""
    try:
        with engine.connect() as connection, connection.begin():
            yield connection
    except SQLAlchemyError as error:
        raise _explained(error, where) from error


def check_schema(connection: Connection, where: str) -> None:
    """Raise StorageError unless the database holds Optuna's tables in a version that this module knows."""
    found = inspect(connection)
    if not (found.has_table("studies") and found.has_table("trials")):
        raise NoDatabase(
            f"{where} holds no studies (no table of Optuna's): name the database of your sweeps "
            "with --storage URL or $SWEEPER_STORAGE"
        )
    if not found.has_table("alembic_version"):
        return
    version = connection.execute(select(alembic_version.c.version_num)).scalar()
    if version is not None and version != OPTUNA_VERSION:
        raise StorageError(
            f"{where} has version {version} of Optuna's schema and sweeper reads {OPTUNA_VERSION}: "
            "an older one is brought up by `optuna storage upgrade --storage URL`, "
            "a newer one needs a newer sweeper"
        )


def _parse(url: str) -> URL:
    if not url.strip():
        raise StorageError("the database URL is empty: write for example sqlite:///sweeper.db")
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:
        # The text itself is kept back: it may hold a password.
        raise StorageError(
            "the database URL cannot be understood: write sqlite:///FILE or "
            "postgresql://USER:PASSWORD@HOST/DATABASE, with special characters of the password %-quoted"
        ) from error


def _sqlite_engine(url: URL) -> Engine:
    if url.host:
        raise StorageError(
            f"sqlite://{url.host}/… has two slashes where three are needed: write sqlite:///FILE for a file "
            "in this folder, sqlite:////FOLDER/FILE for an absolute path"
        )
    if not url.database or url.database == ":memory:":
        raise StorageError("the database URL names no file: write for example sqlite:///sweeper.db")
    path = Path(url.database).absolute()
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise (StorageError if path.is_dir() else NoDatabase)(
            f"the database {path} {what}: start a sweep, or name another database with --storage URL "
            "or $SWEEPER_STORAGE"
        )
    engine = create_engine("sqlite://", creator=partial(_connect_sqlite, path), poolclass=NullPool)
    # sqlite3 opens no transaction for SELECT by itself: each would see a moment of its own.
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _connect_sqlite(path: Path) -> sqlite3.Connection:
    """Read-only, also where the reader may not create the files that go with a write-ahead log."""
    quoted = urllib.parse.quote(str(path))
    open_as = partial(sqlite3.connect, timeout=_BUSY_TIMEOUT_S, isolation_level=None, uri=True)
    connection = open_as(f"file:{quoted}?mode=ro")
    try:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
    except sqlite3.OperationalError as error:
        connection.close()
        refused = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
        if not refused or any(Path(f"{path}{end}").exists() for end in ("-wal", "-journal")):
            raise
        # No log, and no right to create one: nobody is writing, so the file may be taken as it lies.
        return open_as(f"file:{quoted}?mode=ro&immutable=1")
    return connection


def _postgres_engine(url: URL) -> Engine:
    try:
        return create_engine(
            url.set(drivername="postgresql+psycopg"),
            poolclass=NullPool,
            isolation_level="REPEATABLE READ",
            execution_options={"postgresql_readonly": True},
            connect_args={"connect_timeout": _CONNECT_TIMEOUT_S},
        )
    except ImportError as error:
        raise StorageError(
            "PostgreSQL needs psycopg, which is not installed: type pip install 'sweeper[postgres]'"
        ) from error


def _explained(error: SQLAlchemyError, where: str) -> StorageError:
    cause = str(getattr(error, "orig", None) or error).strip()
    reason = cause.splitlines()[0] if cause else type(error).__name__
    if "not a database" in reason:
        return StorageError(f"{where} is no SQLite database: name another one with --storage URL or $SWEEPER_STORAGE")
    if "database is locked" in reason:
        return StorageError(
            f"{where} has been locked by another process for {_BUSY_TIMEOUT_S:.0f} s: try again in a moment"
        )
    if (missing := _NO_COLUMN.search(reason)) is not None:
        return StorageError(
            f"{where} was made by a sweeper from before 0.1.0, whose tables have no column {missing[1] or missing[2]}: "
            "read it with the version that made it, and name another database with --storage URL or $SWEEPER_STORAGE"
        )
    return StorageError(f"{where} cannot be read ({reason}): check that the database is there and may be read")
