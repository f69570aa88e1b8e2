"""Reads which runs are not wholly on record, and what is missing of each."""

from __future__ import annotations

import json
from collections.abc import Iterator

from sqlalchemy import Connection, RowMapping, select

from sweeper.history.lookup import has_our_tables
from sweeper.history.rows import AuditRow
from sweeper.record.tables import code, environments, runs

_COLUMNS = ("study", "number", "attempt", "run", "state", "completeness")


def rows(connection: Connection, study: str | None) -> list[AuditRow]:
    """Every run of a study, or of all, with what is amiss; nothing for a run that is whole."""
    if not has_our_tables(connection):
        return []
    t = runs
    query = (
        select(
            *(t.c[name] for name in (*_COLUMNS, "gaps", "drift", "determinism_at_end")),
            environments.c.environment.label("known_environment"),
            code.c.code.label("known_code"),
        )
        .join_from(t, environments, environments.c.environment == t.c.environment, isouter=True)
        .join(code, code.c.code == t.c.code, isouter=True)
        .order_by(t.c.study, t.c.number, t.c.attempt)
    )
    if study is not None:
        query = query.where(t.c.study == study)
    return [
        AuditRow(**{name: found[name] for name in _COLUMNS}, amiss=tuple(_amiss(found)))
        for found in connection.execute(query).mappings()
    ]


def _amiss(found: RowMapping) -> Iterator[str]:
    yield from json.loads(found["gaps"] or "[]")
    yield from (f"drift: {path}" for path in json.loads(found["drift"] or "[]"))
    if found["known_code"] is None:
        yield "code: it is not on record"
    if found["known_environment"] is None:
        yield "environment: it is not on record"
    elif found["determinism_at_end"] is None and found["state"] != "RUNNING":
        yield "determinism at the end: the run ended before it could be read"
