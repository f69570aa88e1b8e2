"""Metric points on their way into the database, many at once; of two with one name and step the later seq is kept."""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection
from sqlalchemy.dialects import sqlite

from sweeper.record.statement import raw, upsert
from sweeper.record.tables import metrics

_NAMES = [column.name for column in metrics.columns]
_COLUMNS = ", ".join(_NAMES)
_ON_SQLITE = str(
    upsert("sqlite", metrics, "value", "time", "seq", later="seq").compile(dialect=sqlite.dialect(paramstyle="qmark"))
)
_ARRIVALS = """
CREATE TEMP TABLE IF NOT EXISTS sweeper_arrivals
(run_id bigint, name text, step bigint, value double precision, time double precision, seq bigint)
"""
_LEAVE = "TRUNCATE sweeper_arrivals"
_CHUNK = 20_000  # as many as PostgreSQL sorts in memory
_COPY = f"COPY sweeper_metrics ({_COLUMNS}) FROM STDIN (FORMAT BINARY)"
_COPY_ARRIVALS = f"COPY sweeper_arrivals ({_COLUMNS}) FROM STDIN (FORMAT BINARY)"
_MERGE = f"""
INSERT INTO sweeper_metrics AS known ({_COLUMNS})
SELECT DISTINCT ON (run_id, name, step) {_COLUMNS} FROM sweeper_arrivals ORDER BY run_id, name, step, seq DESC
ON CONFLICT (run_id, name, step) DO UPDATE
SET value = excluded.value, time = excluded.time, seq = excluded.seq WHERE known.seq < excluded.seq
"""
_BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # https://www.postgresql.org/docs/current/sql-copy.html
_END = b"\xff\xff"
_NUMBERS = {"run_id": ">i8", "step": ">i8", "value": ">f8", "time": ">f8", "seq": ">i8"}


@dataclass(frozen=True, slots=True)
class Curve:
    """New points of one name of one run, column by column."""

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)

    def extend(
        self, steps: Sequence[int], values: Sequence[float], times: Sequence[float], seqs: Sequence[int]
    ) -> None:
        self.steps.extend(steps)
        self.values.extend(values)
        self.times.extend(times)
        self.seqs.extend(seqs)


Curves = Mapping[tuple[int, str], Curve]  # by the run's id and the name


def write_points(connection: Connection, curves: Curves) -> None:
    """Store points in the present transaction."""
    if not curves:
        return
    if connection.dialect.name == "sqlite":
        raw(connection).executemany(_ON_SQLITE, _rows(curves))  # it takes NaN for NULL by itself
        return
    for chunk in _chunks(curves):
        _copy(raw(connection), chunk)


def curves_of(rows: Iterable[Sequence[Any]]) -> Curves:
    """Rows of the table, as it has them."""
    curves: defaultdict[tuple[int, str], Curve] = defaultdict(Curve)
    for run_id, name, step, value, time, seq in rows:
        curves[run_id, name].extend((step,), (math.nan if value is None else value,), (time,), (seq,))
    return curves


def _rows(curves: Curves) -> Iterator[tuple[object, ...]]:
    """One after the other, in the order of the table's columns and of its key."""
    ordered = sorted(curves.items(), key=lambda item: item[0])
    return chain.from_iterable(
        zip(repeat(run_id), repeat(name), curve.steps, curve.values, curve.times, curve.seqs)
        for (run_id, name), curve in ordered
    )


def _copy(driver: Any, rows: bytes) -> None:
    """Copy points into the table. Where one is known already, by way of a table of the session's own, from which they
    are merged: that takes twice as long, and executemany five times.
    """
    try:
        with driver.transaction(), driver.cursor() as cursor, cursor.copy(_COPY) as copy:
            copy.write(rows)
        return
    except driver.IntegrityError:
        pass
    with driver.cursor() as cursor:
        cursor.execute(_ARRIVALS)
        with cursor.copy(_COPY_ARRIVALS) as copy:
            copy.write(rows)
        cursor.execute(_MERGE)
        cursor.execute(_LEAVE)


def _chunks(curves: Curves) -> Iterator[bytes]:
    """The points in COPY's binary format."""
    rows, count = [_BEGIN], 0
    for (run_id, name), curve in sorted(curves.items(), key=lambda item: item[0]):
        for start in range(0, len(curve.steps), _CHUNK):
            part = slice(start, start + _CHUNK)
            given: dict[str, list[Any]] = {
                "step": curve.steps,
                "value": curve.values,
                "time": curve.times,
                "seq": curve.seqs,
            }
            columns = {name: np.array(column[part]) for name, column in given.items()}
            rows += _tuples({"run_id": run_id, "name": name.encode()}, columns)
            count += len(columns["step"])
            if count >= _CHUNK:
                yield b"".join([*rows, _END])
                rows, count = [_BEGIN], 0
    if count:
        yield b"".join([*rows, _END])


def _tuples(key: Mapping[str, Any], columns: Mapping[str, NDArray[Any]]) -> Iterator[bytes]:
    """Rows of one curve; NaN is NULL."""
    is_nan = np.isnan(columns["value"])
    for is_one, absent in ((~is_nan, None), (is_nan, "value")):
        rows = np.empty(np.count_nonzero(is_one), _layout(len(key["name"]), absent))
        rows["columns"] = len(_NAMES)
        for name in _NAMES:
            if name == absent:
                rows[_bytes_of(name)] = -1
            else:
                rows[_bytes_of(name)] = rows.dtype[name].itemsize
                rows[name] = key[name] if name in key else columns[name][is_one]
        yield rows.tobytes()


@functools.cache
def _layout(name_bytes: int, absent: str | None) -> np.dtype[np.void]:
    """How many columns there are, and each behind its length."""
    fields = [("columns", ">i2")]
    for name in _NAMES:
        fields.append((_bytes_of(name), ">i4"))
        if name != absent:
            fields.append((name, _NUMBERS.get(name, f"S{name_bytes}")))
    return np.dtype(fields)


def _bytes_of(name: str) -> str:
    return f"bytes of {name}"
