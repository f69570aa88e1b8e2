"""Statements that both engines understand, and a way to run them that costs little."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ClauseElement,
    ColumnElement,
    Connection,
    Dialect,
    Enum,
    Executable,
    Insert,
    Integer,
    String,
    Table,
    Text,
    any_,
    bindparam,
    cast,
    func,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.sql.dml import ReturningInsert
from sqlalchemy.types import TypeEngine


def upsert(dialect: str, table: Table, *columns: str, key: Sequence[str] = (), later: str | None = None) -> Insert:
    """INSERT … ON CONFLICT (key, by default the primary key) DO UPDATE of `columns`; a row gives key and columns.

    With `later`, an existing row is replaced only where the new one's value in that column is greater.
    """
    elements = list(key) or [column.name for column in table.primary_key]
    given = {column: bindparam(column, type_=table.c[column].type) for column in (*elements, *columns)}
    statement = (sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)).values(given).inline()
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=elements,
        set_={column: new[column] for column in columns},
        where=None if later is None else table.c[later] < new[later],
    )


def insert_if_absent(dialect: str, table: Table, returning: str, *, key: Sequence[str]) -> ReturningInsert[Any]:
    """INSERT … ON CONFLICT (key) DO NOTHING RETURNING one column; no row comes back where there was one."""
    statement = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    return statement.on_conflict_do_nothing(index_elements=list(key)).returning(table.c[returning])


def execute_all(connection: Connection, statement: Executable, rows: Sequence[dict[str, Any]]) -> None:
    """Run a statement for each row; for one row without the detour through executemany."""
    if rows:
        connection.execute(statement, rows if len(rows) > 1 else rows[0])


_DIALECTS: dict[str, Dialect] = {
    "sqlite": sqlite.dialect(paramstyle="named"),
    "postgresql": psycopg.dialect(),  # type: ignore[no-untyped-call]
}


class Sql:
    """A statement compiled once, whose parameters are a mapping of the driver's own types.

    What SQLAlchemy does for each execution costs it 30 µs, SQLite's whole work on a row 5. Failures are the driver's.
    """

    def __init__(self, dialect: str, statement: ClauseElement) -> None:
        self.text = str(statement.compile(dialect=_DIALECTS[dialect]))

    def run(self, connection: Connection, row: Mapping[str, object]) -> Any:
        """The cursor of one execution."""
        return raw(connection).execute(self.text, row)

    def run_all(self, connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
        """One execution for each row."""
        if len(rows) == 1:
            raw(connection).execute(self.text, rows[0])
        elif rows:
            raw(connection).cursor().executemany(self.text, rows)


@functools.cache
def compiled(dialect: str, statement: ClauseElement) -> Sql:
    """A statement of a module, compiled at its first use."""
    return Sql(dialect, statement)


class UpsertOfMany:
    """INSERT … ON CONFLICT DO UPDATE, as `upsert` makes it, for many rows at once.

    PostgreSQL gets them as one list for each column: an execution for each row costs it and its driver more than the
    row itself.
    """

    def __init__(self, dialect: str, table: Table, *columns: str, key: Sequence[str]) -> None:
        self._is_listed = dialect == "postgresql"
        statement = upsert(dialect, table, *columns, key=key)
        if self._is_listed:
            names = [*key, *columns]
            lists = [cast(bindparam(name), postgresql.ARRAY(_unbounded(table.c[name].type))) for name in names]
            rows = func.unnest(*lists).table_valued(*names).render_derived()
            statement = postgresql.insert(table).from_select(names, select(*(rows.c[name] for name in names)))
            new = statement.excluded
            statement = statement.on_conflict_do_update(
                index_elements=list(key), set_={column: new[column] for column in columns}
            )
        self._sql = Sql(dialect, statement)

    def run(self, connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
        """Write rows of different keys."""
        if self._is_listed:
            self._sql.run(connection, {name: [row[name] for row in rows] for name in rows[0]})
        else:
            self._sql.run_all(connection, rows)


def _unbounded(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """A cast to VARCHAR(512) would cut without a word what is longer, where the column refuses it."""
    return Text() if isinstance(kind, String) and not isinstance(kind, Enum) else kind


def raw(connection: Connection) -> Any:
    """The driver's connection, sqlite3's or psycopg's."""
    return connection.connection.dbapi_connection


def is_one_of(dialect: str, column: ColumnElement[int], name: str) -> ColumnElement[bool]:
    """Whether a column's value is in a list given as the parameter `name`, made by `listed`."""
    if dialect == "sqlite":
        return column.in_(text(f"SELECT value FROM json_each(:{name})"))
    return column == any_(bindparam(name, type_=postgresql.ARRAY(Integer)))


def listed(dialect: str, values: Iterable[int]) -> object:
    """The parameter for `is_one_of`, in ascending order."""
    return json.dumps(sorted(values)) if dialect == "sqlite" else sorted(values)
