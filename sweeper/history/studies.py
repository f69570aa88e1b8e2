"""Reads studies: what there is, how far each is, what was launched."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, select

from sweeper.errors import NotFound
from sweeper.history import best, decode, lookup
from sweeper.history.rows import STATES, StudyRow, SweepRow
from sweeper.history.schema import (
    studies,
    study_system_attributes,
    trial_params,
    trials,
)
from sweeper.record import alive, tables

_TELLING_TRIALS = 1000  # from which the space is read


def rows(connection: Connection, names: Sequence[str] | None = None) -> list[StudyRow]:
    """Studies by name, those of `names` or all."""
    query = select(studies.c.study_id, studies.c.study_name).order_by(studies.c.study_name)
    if names is not None:
        query = query.where(studies.c.study_name.in_(names))
    directions = lookup.all_directions(connection)
    names_of_metrics = metric_names(connection)
    wanted = connection.execute(query).all()
    activity = _activity(connection, None if names is None else [study_id for study_id, _ in wanted])
    sweeps = _sweep_activity(connection)
    found = []
    for study_id, name in wanted:
        study = lookup.Study(study_id, name, directions[study_id])
        counts, trial_times = activity.get(study_id, ({}, []))
        n_sweeps, sweep_times = sweeps.get(name, (0, []))
        times = [time for time in (*trial_times, *sweep_times) if time is not None]
        top = best.single(connection, study, 1) if len(study.directions) == 1 else []
        found.append(
            StudyRow(
                name=name,
                directions=study.directions,
                metric_names=names_of_metrics.get(study_id, ()),
                counts={state: counts.get(state, 0) for state in STATES},
                best_number=top[0].number if top else None,
                best_value=top[0].value if top else None,
                sweeps=n_sweeps,
                started_at=min(times, default=None),
                last_activity_at=max(times, default=None),
            )
        )
    return found


def sweep_rows(connection: Connection, study: str) -> list[SweepRow]:
    """The launches of a study, first to last."""
    if not lookup.has_our_tables(connection):
        return []
    t = tables.sweeps
    found = connection.execute(_sweep_columns().where(t.c.study == study).order_by(t.c.started_at, t.c.id))
    return [_sweep_row(row, connection) for row in found.mappings()]


def sweep_row(connection: Connection, sweep: str, where: str) -> SweepRow:
    """The launch of this uuid.

    Raises:
        NotFound: there is none.
    """
    found = connection.execute(_sweep_columns().where(tables.sweeps.c.sweep == sweep)).mappings().first()
    if found is None:
        raise NotFound(f"there is no sweep {sweep!r} in {where}: `sweeper show STUDY` lists the sweeps of a study")
    return _sweep_row(found, connection)


_MADE = ("settings", "space", "defaults", "is_alive")  # not as their columns have them


def _sweep_columns() -> Select[Any]:
    return select(tables.sweeps)


def _sweep_row(row: RowMapping, connection: Connection) -> SweepRow:
    lease = alive.Lease(row["ended_at"], row["process"], row["lease_until"])
    return SweepRow(
        **{name: row[name] for name in SweepRow.__slots__ if name not in _MADE},
        settings=json.loads(row["settings"]),
        space=json.loads(row["space"]),
        defaults=json.loads(row["defaults"] or "{}"),
        is_alive=alive.is_alive(lease, alive.clock(connection), connection.dialect.name),
    )


def space(connection: Connection, study: lookup.Study) -> dict[str, Mapping[str, object]]:
    """Each parameter's distribution as Optuna's JSON has it, in the order of first use.

    Of the newest trials, which tell the space as it is now: a study of 50,000 takes a second to read whole.
    """
    newest = (
        select(trials.c.trial_id)
        .where(trials.c.study_id == study.study_id)
        .order_by(trials.c.number.desc())
        .limit(_TELLING_TRIALS)
    )
    p = trial_params
    query = (
        select(p.c.param_name, p.c.distribution_json, func.min(p.c.param_id), func.max(p.c.param_id))
        .where(p.c.trial_id.in_(newest))
        .group_by(p.c.param_name, p.c.distribution_json)  # by the database: a few rows instead of one for each value
    )
    found = connection.execute(query).all()
    order = dict.fromkeys(name for name, *_ in sorted(found, key=lambda row: row[2]))
    latest = {name: text for name, text, *_ in sorted(found, key=lambda row: row[3])}
    return {name: json.loads(latest[name]) for name in order}


def system_attributes(connection: Connection, study: lookup.Study) -> dict[str, Any]:
    """What samplers and Optuna keep of a study, by key."""
    t = study_system_attributes
    query = select(t.c.key, t.c.value_json).where(t.c.study_id == study.study_id)
    return {key: json.loads(text) for key, text in connection.execute(query)}


def metric_names(connection: Connection) -> dict[int, tuple[str, ...]]:
    """The objectives' names of each study that names them, by the study's id."""
    t = study_system_attributes
    query = select(t.c.study_id, t.c.value_json).where(t.c.key == "study:metric_names")
    return {study_id: tuple(json.loads(text)) for study_id, text in connection.execute(query).all()}


def _activity(
    connection: Connection, study_ids: Sequence[int] | None
) -> dict[int, tuple[dict[str, int], list[float | None]]]:
    """For each study, of `study_ids` or of all: trials by state, the earliest start and the latest moments of them."""
    t = trials
    query = select(
        t.c.study_id,
        t.c.state,
        func.count(),
        func.min(t.c.datetime_start),
        func.max(t.c.datetime_start),
        func.max(t.c.datetime_complete),
    ).group_by(t.c.study_id, t.c.state)
    if study_ids is not None:
        query = query.where(t.c.study_id.in_(study_ids))
    found: dict[int, tuple[dict[str, int], list[float | None]]] = defaultdict(lambda: ({}, []))
    for study_id, state, count, *times in connection.execute(query).all():
        counts, moments = found[study_id]
        counts[state] = count
        moments.extend(decode.seconds(time) for time in times)
    return found


def _sweep_activity(connection: Connection) -> dict[str, tuple[int, list[float | None]]]:
    """For each study's name, its launches and the moments of the first and last."""
    if not lookup.has_our_tables(connection):
        return {}
    t = tables.sweeps
    query = select(
        t.c.study, func.count(), func.min(t.c.started_at), func.max(t.c.started_at), func.max(t.c.ended_at)
    ).group_by(t.c.study)
    return {study: (count, list(times)) for study, count, *times in connection.execute(query).all()}
