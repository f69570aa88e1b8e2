"""Reads runs and their metrics from our own tables; without those tables there are none."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, func, inspect, select

from sweeper.errors import NotFound
from sweeper.history import decode
from sweeper.history.lookup import has_our_tables
from sweeper.history.rows import CostRow, Curve, RunRow, SpanRow
from sweeper.record.tables import metrics, sweeps
from sweeper.record.tables import runs as table

_LISTS = ("overrides", "gpus", "drift", "gaps")
_MAPPINGS = ("resources", "config", "determinism", "determinism_at_end")
_CHUNK = 500  # runs whose metrics are looked up in one statement
_NAMING_RUNS = 20  # runs that are asked for the names of metrics


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest attempt of a trial, as far as lists show it."""

    id: int
    run: str
    failure: str | None


def of_trial(connection: Connection, study: str, number: int) -> list[RunRow]:
    """The attempts of one trial, in order."""
    if not has_our_tables(connection):
        return []
    query = _rows().where(table.c.study == study, table.c.number == number).order_by(table.c.attempt)
    return [_row(row) for row in connection.execute(query).mappings()]


def one(connection: Connection, run: str, where: str) -> RunRow:
    """The run of this uuid.

    Raises:
        NotFound: there is none.
    """
    if has_our_tables(connection):
        found = connection.execute(_rows().where(table.c.run == run)).mappings().first()
        if found is not None:
            return _row(found)
    raise NotFound(f"there is no run {run!r} in {where}: `sweeper show STUDY/NUMBER` lists the runs of a trial")


def last_of(connection: Connection, study: str, numbers: Sequence[int] | None = None) -> dict[int, LastRun]:
    """The newest attempt of each trial that has one, by number: of `numbers`, or of the whole study."""
    if not has_our_tables(connection):
        return {}
    query = select(table.c.number, table.c.id, table.c.run, table.c.failure).where(table.c.study == study)
    query = query.order_by(table.c.number, table.c.attempt)
    if numbers is not None:
        query = query.where(table.c.number.in_(numbers))
    return {number: LastRun(*found) for number, *found in connection.execute(query)}


def newest(connection: Connection, study: str) -> dict[int, tuple[int, RunRow]]:
    """The newest attempt of each trial of a study, by number, with its id."""
    if not has_our_tables(connection):
        return {}
    query = _rows().add_columns(table.c.id).where(table.c.study == study, _is_newest())
    return {row["number"]: (row["id"], _row(row)) for row in connection.execute(query).mappings()}


def names_of(connection: Connection, run_ids: Sequence[int]) -> dict[int, str]:
    """The uuids of runs by their ids."""
    found: dict[int, str] = {}
    for start in range(0, len(run_ids), _CHUNK):
        query = select(table.c.id, table.c.run).where(table.c.id.in_(run_ids[start : start + _CHUNK]))
        found |= {row.id: row.run for row in connection.execute(query)}
    return found


def gpu_seconds(connection: Connection, study: str) -> dict[int, float]:
    """What each trial of a study took of cards, all attempts together, by number; without those nobody measured."""
    if not has_our_tables(connection):
        return {}
    total = func.sum(table.c.gpu_seconds)
    query = select(table.c.number, total).where(table.c.study == study).group_by(table.c.number)
    return {number: seconds for number, seconds in connection.execute(query) if seconds is not None}


def costs(connection: Connection, study: str) -> list[CostRow]:
    """What a study's runs took, all attempts counted, by the state that they ended in."""
    if not has_our_tables(connection):
        return []
    found: dict[str, list[float]] = {}
    query = select(table.c.state, table.c.runtime_s, table.c.gpus, table.c.gpu_seconds).where(table.c.study == study)
    for state, runtime_s, gpus, gpu_seconds in connection.execute(query):
        total = found.setdefault(state, [0, 0.0, 0.0])
        total[0] += 1
        total[1] += runtime_s or 0.0
        seen = (runtime_s or 0.0) * len(json.loads(gpus or "[]"))
        total[2] += seen if gpu_seconds is None else gpu_seconds
    return [CostRow(state, int(n), runtime_s, gpu_s) for state, (n, runtime_s, gpu_s) in sorted(found.items())]


def curves(connection: Connection, run: str) -> dict[str, Curve]:
    """Every metric of a run over its steps, by name."""
    if not has_our_tables(connection):
        return {}
    query = (
        select(metrics.c.name, metrics.c.step, metrics.c.value, metrics.c.time)
        .join(table, table.c.id == metrics.c.run_id)
        .where(table.c.run == run)
        .order_by(metrics.c.name, metrics.c.step)
    )
    points: dict[str, list[tuple[int, float, float]]] = {}
    for name, step, value, time in connection.execute(query):
        points.setdefault(name, []).append((step, decode.metric(value), time))
    return {name: Curve(*zip(*found, strict=True)) for name, found in points.items()}


def failures(connection: Connection, study: str) -> dict[str, int]:
    """Failed trials by the failure kind of their newest run, most frequent first."""
    if not has_our_tables(connection):
        return {}
    query = (
        select(table.c.failure, func.count().label("n"))
        .where(table.c.study == study, table.c.failure.is_not(None), _is_newest())
        .group_by(table.c.failure)
        .order_by(func.count().desc(), table.c.failure)
    )
    return {row.failure: row.n for row in connection.execute(query)}


def last_values(connection: Connection, study: str, name: str) -> dict[int, float]:
    """One metric's value at the last step, by number, of each trial whose newest run has the metric."""
    if not has_our_tables(connection):
        return {}
    last = (
        select(metrics.c.value)
        .where(metrics.c.run_id == table.c.id, metrics.c.name == name)
        .order_by(metrics.c.step.desc())
        .limit(1)
        .scalar_subquery()
    )
    has_any = select(metrics.c.run_id).where(metrics.c.run_id == table.c.id, metrics.c.name == name).exists()
    query = select(table.c.number, last).where(table.c.study == study, has_any, _is_newest())
    return {number: decode.metric(value) for number, value in connection.execute(query)}


def column(connection: Connection, study: str, name: str) -> dict[int, object]:
    """A column of each trial's newest run, by number; NULL is left out. Empty where runs have no such column."""
    if not has_our_tables(connection) or name not in table.c:
        return {}
    if name not in {found["name"] for found in inspect(connection).get_columns(table.name)}:
        return {}  # a database of an older release
    query = select(table.c.number, table.c[name]).where(table.c.study == study, table.c[name].is_not(None))
    return {row.number: row[1] for row in connection.execute(query.where(_is_newest()))}


def spans(connection: Connection, study: str) -> list[SpanRow]:
    """Every attempt that has begun, by trial and attempt."""
    if not has_our_tables(connection):
        return []
    query = select(*(table.c[name] for name in SpanRow.__slots__))
    query = query.where(table.c.study == study, table.c.started_at.is_not(None))
    found = connection.execute(query.order_by(table.c.number, table.c.attempt)).mappings()
    return [SpanRow(**dict(row) | {"gpus": tuple(json.loads(row["gpus"] or "[]"))}) for row in found]


def on_gpus(connection: Connection) -> dict[str, list[str]]:
    """The running trials of sweeps that are not over, by the UUID of each card that they see."""
    if not has_our_tables(connection):
        return {}
    query = (
        select(table.c.study, table.c.number, table.c.gpus)
        .join(sweeps, sweeps.c.sweep == table.c.sweep)
        .where(table.c.state == "RUNNING", table.c.gpus.is_not(None), sweeps.c.ended_at.is_(None))
        .order_by(table.c.study, table.c.number)
    )
    found: dict[str, list[str]] = {}
    for study, number, gpus in connection.execute(query):
        for uuid in json.loads(gpus):
            found.setdefault(uuid, []).append(f"{study}/{number}")
    return found


def metric_names(connection: Connection, study: str) -> list[str]:
    """The metrics that the study's newest runs have."""
    if not has_our_tables(connection):
        return []
    query = select(table.c.id).where(table.c.study == study).order_by(table.c.number.desc(), table.c.attempt.desc())
    run_ids = connection.execute(query.limit(_NAMING_RUNS)).scalars().all()
    return sorted({name for found in last_metrics(connection, run_ids).values() for name in found})


def last_metrics(connection: Connection, run_ids: Sequence[int]) -> dict[int, dict[str, float]]:
    """The value at the last step of each metric, for each run id.

    Jumps along the primary key from one name to the next, so a long curve costs no more than a short one.
    """
    found: dict[int, dict[str, float]] = {run_id: {} for run_id in run_ids}
    for start in range(0, len(run_ids), _CHUNK):
        for run_id, name, value in _last_points(connection, run_ids[start : start + _CHUNK]):
            found[run_id][name] = decode.metric(value)
    return found


def last_metrics_of(connection: Connection, run: str) -> dict[str, float]:
    """The value at the last step of each metric of one run, named by its uuid."""
    if not has_our_tables(connection):
        return {}
    run_ids = connection.execute(select(table.c.id).where(table.c.run == run)).scalars().all()
    return {name: value for found in last_metrics(connection, run_ids).values() for name, value in found.items()}


def _last_points(connection: Connection, run_ids: Sequence[int]) -> Iterator[tuple[int, str, float | None]]:
    m = metrics.alias("m")
    first = select(func.min(m.c.name)).where(m.c.run_id == table.c.id).scalar_subquery()
    names = select(table.c.id.label("run_id"), first.label("name")).where(table.c.id.in_(run_ids))
    names_cte = names.cte("names", recursive=True)
    following = select(func.min(m.c.name)).where(m.c.run_id == names_cte.c.run_id, m.c.name > names_cte.c.name)
    names_cte = names_cte.union_all(
        select(names_cte.c.run_id, following.scalar_subquery()).where(names_cte.c.name.is_not(None))
    )
    last = (
        select(m.c.value)
        .where(m.c.run_id == names_cte.c.run_id, m.c.name == names_cte.c.name)
        .order_by(m.c.step.desc())
        .limit(1)
    )
    query = select(names_cte.c.run_id, names_cte.c.name, last.scalar_subquery()).where(names_cte.c.name.is_not(None))
    yield from connection.execute(query.order_by(names_cte.c.run_id, names_cte.c.name))


def _is_newest() -> ColumnElement[bool]:
    later = table.alias("later")
    return ~(
        select(later.c.id)
        .where(later.c.study == table.c.study, later.c.number == table.c.number)
        .where(later.c.attempt > table.c.attempt)
        .exists()
    )


def _rows() -> Select[Any]:
    """Only columns that are read: a database of an older release may lack the others."""
    return select(*(table.c[name] for name in RunRow.__slots__))


def _row(found: RowMapping) -> RunRow:
    kept = {name: found[name] for name in RunRow.__slots__}
    for name in _LISTS:
        kept[name] = tuple(json.loads(kept[name] or "[]"))
    for name in _MAPPINGS:
        kept[name] = json.loads(kept[name] or "{}")
    kept["verdict"] = None if kept["verdict"] is None else json.loads(kept["verdict"])
    return RunRow(**kept)
