"""Reads what runs keep and what they read: artifacts, data, looks at the test data, without our tables none."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlalchemy import Connection, func, inspect, select

from sweeper.history import decode
from sweeper.history.kept_rows import ArtifactRow, BlobUse, DataRow, HeldOut, Looks
from sweeper.history.lookup import has_our_tables
from sweeper.record.tables import artifacts, data, metadata, runs, sweeps, test_metrics

_DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


def artifacts_of(connection: Connection, run: str) -> list[ArtifactRow]:
    """The files of one run, by name."""
    if not has_our_tables(connection):
        return []
    t = artifacts
    query = select(t.c.name, t.c.kind, t.c.size, t.c.sha256, t.c.error, t.c.time, sweeps.c.artifacts)
    query = query.join(runs, runs.c.id == t.c.run_id).join(sweeps, sweeps.c.sweep == runs.c.sweep, isouter=True)
    found = connection.execute(query.where(runs.c.run == run).order_by(t.c.name))
    return [ArtifactRow(*row) for row in found]


def data_of(connection: Connection, run: str) -> list[DataRow]:
    """The data that one run read, by name."""
    if not has_our_tables(connection):
        return []
    t = data
    query = select(t.c.name, t.c.url, t.c.files, t.c.size, t.c.sha256, t.c.manifest, t.c.error)
    found = connection.execute(query.join(runs, runs.c.id == t.c.run_id).where(runs.c.run == run).order_by(t.c.name))
    return [DataRow(*row) for row in found]


def test_metrics_of(connection: Connection, run: str) -> dict[str, HeldOut]:
    """The last value of each test metric of one run, with how often it was looked at."""
    if not has_our_tables(connection):
        return {}
    t = test_metrics
    query = select(t.c.name, t.c.value, t.c.step).join(runs, runs.c.id == t.c.run_id).where(runs.c.run == run)
    found: dict[str, HeldOut] = {}
    for name, value, step in connection.execute(query.order_by(t.c.name, t.c.seq)):
        looks = found[name].looks if name in found else 0
        found[name] = HeldOut(decode.metric(value), step, looks + 1)
    return found


def looks(connection: Connection, study: str) -> Looks:
    """How often the runs of a study have looked at test data; one call of `sweeper.log_test` is one look."""
    if not has_our_tables(connection):
        return Looks(0, 0)
    t = test_metrics
    calls = select(runs.c.number, t.c.run_id, t.c.seq).join(runs, runs.c.id == t.c.run_id)
    each = calls.where(runs.c.study == study).distinct().subquery()
    row = connection.execute(select(func.count(), func.count(each.c.number.distinct())).select_from(each)).one()
    return Looks(*row)


def uses(connection: Connection) -> Iterator[BlobUse]:
    """Every file on record that is in a store, with the trial it belongs to; a blob may have many."""
    if not has_our_tables(connection):
        return
    for table, only in ((artifacts, artifacts.c.sha256.is_not(None)), (data, data.c.manifest)):
        query = select(runs.c.study, runs.c.number, table.c.name, table.c.sha256, sweeps.c.artifacts)
        query = query.join(runs, runs.c.id == table.c.run_id)
        query = query.join(sweeps, sweeps.c.sweep == runs.c.sweep, isouter=True).where(only)
        for row in connection.execute(query.order_by(runs.c.study, runs.c.number, table.c.name)):
            yield BlobUse(*row)


def blobs(connection: Connection) -> set[str]:
    """The digests of all that is on record and may be in a store, from every column that is marked to hold such."""
    there = set(inspect(connection).get_table_names())
    found: set[str] = set()
    for table in metadata.tables.values():
        for column in table.columns if table.name in there else ():
            if column.info.get("blobs"):
                for (text,) in connection.execute(select(column).where(column.is_not(None)).distinct()):
                    found.update(_DIGEST.findall(text))
    return found


def earliest_open(connection: Connection) -> float | None:
    """When the oldest sweep began that has not ended; what it writes may not be on record yet."""
    if not has_our_tables(connection):
        return None
    query = select(func.min(sweeps.c.started_at)).where(sweeps.c.ended_at.is_(None))
    found: float | None = connection.execute(query).scalar()
    return found


def stores(connection: Connection) -> list[str]:
    """The stores of all sweeps, by URL."""
    if not has_our_tables(connection):
        return []
    query = select(sweeps.c.artifacts).where(sweeps.c.artifacts.is_not(None)).distinct()
    return list(connection.execute(query.order_by(sweeps.c.artifacts)).scalars())
