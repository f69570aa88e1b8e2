"""Statements that both engines understand, from SQLAlchemy's two dialects that know ON CONFLICT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Executable, Insert, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert


def upsert(dialect: str, table: Table, *columns: str, key: Sequence[str] = (), later: str | None = None) -> Insert:
    """INSERT … ON CONFLICT (key, by default the primary key) DO UPDATE of `columns`.

    With `later`, an existing row is replaced only where the new one's value in that column is greater.
    """
    elements = list(key) or [column.name for column in table.primary_key]
    if dialect == "sqlite":
        lite = sqlite.insert(table)
        return lite.on_conflict_do_update(
            index_elements=elements,
            set_={column: lite.excluded[column] for column in columns},
            where=None if later is None else table.c[later] < lite.excluded[later],
        )
    post = postgresql.insert(table)
    return post.on_conflict_do_update(
        index_elements=elements,
        set_={column: post.excluded[column] for column in columns},
        where=None if later is None else table.c[later] < post.excluded[later],
    )


def insert_if_absent(dialect: str, table: Table, returning: str, *, key: Sequence[str]) -> ReturningInsert[Any]:
    """INSERT … ON CONFLICT (key) DO NOTHING RETURNING one column; no row comes back where there was one."""
    statement = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    return statement.on_conflict_do_nothing(index_elements=list(key)).returning(table.c[returning])


def execute_all(connection: Connection, statement: Executable, rows: Sequence[dict[str, Any]]) -> None:
    """Run a statement for each row; for one row without the detour through executemany."""
    if rows:
        connection.execute(statement, rows if len(rows) > 1 else rows[0])
