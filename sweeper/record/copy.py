"""A whole database copied into an empty one, row for row, from either engine to either: Optuna's tables and ours."""

from __future__ import annotations

from typing import Any

import optuna.storages._rdb.models
from sqlalchemy import Connection, Table, delete, func, insert, inspect, select

from sweeper.errors import StorageError
from sweeper.record import tables
from sweeper.record.database import Database, open_database, said_plainly
from sweeper.record.failure import is_refusal, reason
from sweeper.record.points import curves_of, write_points
from sweeper.record.schema import check_current

_OPTUNAS = optuna.storages._rdb.models.BaseModel.metadata
_VERSION = _OPTUNAS.tables["version_info"]  # written when a database is made
_CHUNK = 5_000  # rows in one statement


def copy_database(source: Connection, where: str, destination: str) -> dict[str, int]:
    """Copy what `source`, a transaction that reads, sees into the database at the URL `destination`; made if absent.

    Returns the number of rows of each table. All of it is there at the end, or nothing: whoever looks at the
    destination meanwhile sees it empty. `where` is what errors call the source. Raises StorageError where the source's
    schema is not the present one, or the destination has anything in it or cannot store a row.
    """
    wanted = _tables(source, where)
    database = open_database(destination)
    with said_plainly(database), database.engine.connect() as target:
        target.exec_driver_sql("BEGIN IMMEDIATE" if database.dialect == "sqlite" else "BEGIN")
        try:
            _check_empty(target, database)
            copied = {table.name: _copy(source, target, table, database) for table in wanted}
            if database.dialect == "postgresql":
                _go_on_numbering(target, wanted)
            target.exec_driver_sql("COMMIT")
        except BaseException:
            target.exec_driver_sql("ROLLBACK")
            raise
    return copied


def _tables(source: Connection, where: str) -> list[Table]:
    """The source's tables, each after those that it refers to; a database that only Optuna wrote has none of ours."""
    check_current(source, where)
    has_ours = inspect(source).has_table(tables.runs.name)
    return [*_OPTUNAS.sorted_tables, *(tables.metadata.sorted_tables if has_ours else ())]


def _check_empty(target: Connection, database: Database) -> None:
    """Raise StorageError where there is a row; afterwards nobody else can add one."""
    for table in (*_OPTUNAS.sorted_tables, *tables.metadata.sorted_tables):
        if database.dialect == "postgresql":
            target.exec_driver_sql(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE")
        if table is not _VERSION and target.execute(select(table).limit(1)).first() is not None:
            raise StorageError(
                f"{database.url} is not empty (there are rows in {table.name}), and a copy would mix two databases: "
                "name a new file or an empty database"
            )
    target.execute(delete(_VERSION))


def _copy(source: Connection, target: Connection, table: Table, database: Database) -> int:
    count = 0
    found = source.execution_options(yield_per=_CHUNK).execute(select(table).order_by(*table.primary_key))
    for rows in found.partitions():
        try:
            if table is tables.metrics:
                write_points(target, curves_of(rows))
            else:
                target.execute(insert(table), [dict(row._mapping) for row in rows])
        except Exception as error:
            if is_refusal(error):
                raise StorageError(
                    f"{database.url} cannot store a row of {table.name} ({reason(error)}): nothing was copied"
                ) from error
            raise
        count += len(rows)
    return count


def _go_on_numbering(target: Connection, wanted: list[Table]) -> None:
    """Have PostgreSQL give out ids after the last one copied, as SQLite does by itself."""
    for table in wanted:
        column: Any = table.autoincrement_column
        if column is not None:
            sequence = func.pg_get_serial_sequence(table.name, column.name)
            last = select(func.max(column)).scalar_subquery()
            target.execute(select(func.setval(sequence, last)).where(last.is_not(None)))
