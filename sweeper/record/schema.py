"""Whose schema a database has: Optuna's, checked by version, and ours, brought up to date.

An up-to-date database costs two SELECTs. Anything else happens in one transaction that no other opening
process can share, so a crash in the middle leaves nothing behind and two processes never create the same
table.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import optuna.storages._rdb
from optuna.storages._rdb import models
from optuna.version import __version__ as optuna_version
from sqlalchemy import Connection, insert, inspect, select
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError

from sweeper.errors import StorageError
from sweeper.record import tables
from sweeper.record.failure import reason
from sweeper.record.migrations import HEAD, VERSION_TABLE, revision_in, upgrade

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

OPTUNA_REVISION = "v3.2.0.a"  # of every Optuna from 3.2 to 5.0
_LOCK = 0x53_57_45_45_50  # "SWEEP": the advisory lock under which schemas are created
_TRIES = 5


def bring_up_to_date(connection: Connection, name: str) -> None:
    """Make sure that the database has Optuna's schema and ours, both at the versions known here.

    `connection` is in autocommit mode; `name` is what errors call the database. Raises StorageError for a
    schema that is older or newer than can be used.
    """
    for left in reversed(range(_TRIES)):
        if _revisions(connection) == (OPTUNA_REVISION, HEAD):
            _check_columns(connection, name)
            return
        try:
            _create(connection, name)
        except (IntegrityError, ProgrammingError):
            # Optuna itself creates its tables without a lock: whoever loses that race looks again.
            if not left:
                raise


def check_current(connection: Connection, name: str) -> None:
    """Raise StorageError unless Optuna's schema, and ours where there is one, are at the versions known here.

    Writes nothing; `connection` may be in a transaction.
    """
    tables = set(inspect(connection).get_table_names())
    found = _optuna_revision(connection, tables)
    if found is None:
        raise StorageError(f"{name} has no tables of Optuna's: name the database of your sweeps")
    if found != OPTUNA_REVISION:
        _refuse(found, [revision.revision for revision in _optuna_script().walk_revisions()], name)
    ours = revision_in(connection) if VERSION_TABLE in tables else HEAD
    if ours != HEAD:
        raise StorageError(
            f"{name} has sweeper's schema in version {ours}, not {HEAD}: type `sweeper db upgrade --storage URL`"
        )


def _revisions(connection: Connection) -> tuple[str | None, str | None] | None:
    """The revisions of Optuna's schema and of ours; None where either has no version table yet."""
    try:
        row = connection.exec_driver_sql(
            f"SELECT (SELECT version_num FROM alembic_version), (SELECT version_num FROM {VERSION_TABLE})"
        ).one()
    except (OperationalError, ProgrammingError) as error:
        if not _misses_a_table(error):
            raise
        return None
    return row[0], row[1]


def _check_columns(connection: Connection, name: str) -> None:
    """Raise StorageError where our tables lack a column: until 0.1.0 the schema grew without another version."""
    nothing = []
    for table in tables.metadata.sorted_tables:
        columns = ", ".join(f'its."{column.name}"' for column in table.columns)
        nothing.append(
            f"SELECT NULL FROM (SELECT {columns} FROM {table.name} AS its WHERE 0 = 1) AS empty_{table.name}"
        )
    try:
        connection.exec_driver_sql(" UNION ALL ".join(nothing))
    except (OperationalError, ProgrammingError) as error:
        if not _misses_a_column(error):
            raise
        raise StorageError(
            f"{name} was made by a sweeper from before 0.1.0 ({reason(error)}): go on with the version that made it, "
            "or name another database with hydra.sweeper.storage, --storage or $SWEEPER_STORAGE"
        ) from error


def _misses_a_column(error: DBAPIError) -> bool:
    return "no such column" in str(error.orig) or getattr(error.orig, "sqlstate", None) == "42703"


def _misses_a_table(error: DBAPIError) -> bool:
    return "no such table" in str(error.orig) or getattr(error.orig, "sqlstate", None) == "42P01"


def _create(connection: Connection, name: str) -> None:
    sqlite = connection.dialect.name == "sqlite"
    connection.exec_driver_sql("BEGIN EXCLUSIVE" if sqlite else "BEGIN")
    try:
        if not sqlite:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        _optuna_schema(connection, name)
        upgrade(connection, name)
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        with suppress(DBAPIError):  # the server may be gone, and the transaction with it
            connection.exec_driver_sql("ROLLBACK")
        raise


def _optuna_schema(connection: Connection, name: str) -> None:
    """What `optuna.storages.RDBStorage` does when it opens a database, in one transaction."""
    tables = set(inspect(connection).get_table_names())
    found = _optuna_revision(connection, tables)
    if found == OPTUNA_REVISION:
        return
    script = _optuna_script()
    if found is not None:
        _refuse(found, [revision.revision for revision in script.walk_revisions()], name)
    models.BaseModel.metadata.create_all(connection)
    _stamp(connection, script, name)


def _optuna_revision(connection: Connection, tables: set[str]) -> str | None:
    if "alembic_version" not in tables:
        return None
    revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if revision is None else str(revision)


def _optuna_script() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(Path(next(iter(optuna.storages._rdb.__path__))) / "alembic"))


def _stamp(connection: Connection, script: ScriptDirectory, name: str) -> None:
    from alembic.migration import MigrationContext

    table = models.VersionInfoModel.__table__
    row = connection.execute(select(table.c.schema_version)).first()
    if row is None:
        connection.execute(insert(table).values(schema_version=models.SCHEMA_VERSION, library_version=optuna_version))
    elif row.schema_version != models.SCHEMA_VERSION:
        _refuse(f"before alembic, {row.schema_version}", [OPTUNA_REVISION], name)
    head = script.get_current_head()
    if head != OPTUNA_REVISION:
        _refuse(str(head), [OPTUNA_REVISION], name)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    MigrationContext.configure(connection).stamp(script, OPTUNA_REVISION)


def _refuse(found: str, known: list[str], name: str) -> None:
    if found in known:
        advice = "type `optuna storage upgrade --storage URL`"
    else:
        advice = "upgrade sweeper and optuna, or give another database"
    raise StorageError(
        f"{name} has Optuna's schema in version {found}, and sweeper writes version {OPTUNA_REVISION}: {advice}"
    )
