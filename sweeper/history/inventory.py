"""What a database is and holds, also one of an older or newer schema: versions, size, rows of each table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, column, func, inspect, select, table

from sweeper.history.connection import open_engine, reading, shown
from sweeper.history.schema import OPTUNA_VERSION
from sweeper.record.migrations import HEAD, VERSION_TABLE

_OPTUNA_VERSION_TABLE = "alembic_version"


@dataclass(frozen=True, slots=True)
class Inventory:
    """One database."""

    where: str  # its URL as it may be shown
    engine: str  # sqlite or postgresql
    optuna_schema: str | None  # the version of Optuna's tables; None where there are none
    sweeper_schema: str | None  # the version of ours
    advice: str | None  # what to do before sweeper can write here; None where nothing is
    size_bytes: int
    rows: dict[str, int]  # by table, Optuna's and ours

    @classmethod
    def of(cls, url: str) -> Inventory:
        """Look at the database at `url` without changing it. Raises StorageError where there is none."""
        engine, where = open_engine(url), shown(url)
        with reading(engine, where) as connection:
            names = inspect(connection).get_table_names()
            optuna_schema = _version(connection, _OPTUNA_VERSION_TABLE, names)
            sweeper_schema = _version(connection, VERSION_TABLE, names)
            return cls(
                where=where,
                engine=connection.dialect.name,
                optuna_schema=optuna_schema,
                sweeper_schema=sweeper_schema,
                advice=_advice(optuna_schema, sweeper_schema),
                size_bytes=_size(connection, where),
                rows={name: _count(connection, name) for name in sorted(names) if _is_counted(name, optuna_schema)},
            )


def _advice(optuna_schema: str | None, sweeper_schema: str | None) -> str | None:
    if optuna_schema is not None and optuna_schema < OPTUNA_VERSION:
        return "optuna storage upgrade --storage URL"
    if optuna_schema is not None and optuna_schema > OPTUNA_VERSION:
        return "pip install --upgrade sweeper optuna"
    if sweeper_schema is not None and sweeper_schema > HEAD:
        return "pip install --upgrade sweeper"
    if optuna_schema is None or sweeper_schema != HEAD:
        return "sweeper db upgrade --storage URL"
    return None


def _version(connection: Connection, version_table: str, names: list[str]) -> str | None:
    if version_table not in names:
        return None
    found = connection.execute(select(table(version_table, column("version_num")).c.version_num)).scalar()
    return None if found is None else str(found)


def _is_counted(name: str, optuna_schema: str | None) -> bool:
    if name in (_OPTUNA_VERSION_TABLE, VERSION_TABLE, "version_info"):
        return False
    return name.startswith("sweeper_") or (optuna_schema is not None and name.startswith(("stud", "trial")))


def _count(connection: Connection, name: str) -> int:
    return connection.execute(select(func.count()).select_from(table(name))).scalar_one()


def _size(connection: Connection, where: str) -> int:
    if connection.dialect.name == "sqlite":
        path = where.removeprefix("sqlite:///")
        return sum(file.stat().st_size for end in ("", "-wal") if (file := Path(path + end)).exists())
    return int(connection.execute(select(func.pg_database_size(func.current_database()))).scalar_one())
