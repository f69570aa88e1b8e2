"""Reading tables whole, for tests that compare databases."""

from __future__ import annotations

from typing import Any

from optuna.storages._rdb.models import BaseModel
from sqlalchemy import Connection, Table, select

from sweeper.record import Storage
from sweeper.record.tables import metadata, writers

TABLES: tuple[Table, ...] = (*BaseModel.metadata.sorted_tables, *metadata.sorted_tables)
_TIMES = {"datetime_start", "datetime_complete", "created_at", "started_at", "ended_at", "lease_until"}


def rows(storage: Storage, table: Table) -> list[dict[str, Any]]:
    """The rows of one table, by its primary key."""
    query = select(table).order_by(*table.primary_key)
    return storage.ask(lambda connection: [dict(row) for row in connection.execute(query).mappings()])


def everything(storage: Storage) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table that a write can touch, of times only whether there is one, without the ids that a
    retried write may skip.
    """
    return storage.ask(_everything)


def _everything(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for table in TABLES:
        if table is not writers:
            wanted = select(table).order_by(*table.primary_key)
            found[table.name] = [_comparable(table, dict(row)) for row in connection.execute(wanted).mappings()]
    return found


def _comparable(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    own_ids = {column.name for column in table.primary_key if not column.foreign_keys}
    return {
        name: value is not None if name in _TIMES else value
        for name, value in row.items()
        if not name.endswith("_id") and not (name == "id" and name in own_ids)
    }
