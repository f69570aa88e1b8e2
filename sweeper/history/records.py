"""Every trial of a study with all that is said of it, read in bulk: what exports and data frames are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from sweeper.history import decode, label, runs, trials
from sweeper.history.lookup import Study, has_our_tables
from sweeper.history.rows import RunRow, TrialRow
from sweeper.record.tables import runs as run_table
from sweeper.record.tables import test_metrics


@dataclass(frozen=True, slots=True)
class Record:
    """One trial: what the sampler chose, what came of it, its newest run, its last metrics, its tags."""

    study: str
    trial: TrialRow
    objectives: Mapping[str, float]
    run: RunRow | None  # None where sweeper did not run the trial
    metrics: Mapping[str, float]
    test_metrics: Mapping[str, float]
    tags: tuple[str, ...]


def records(connection: Connection, study: Study, objectives: tuple[str, ...]) -> list[Record]:
    """A study's trials by number."""
    newest = runs.newest(connection, study.name)
    ids = {number: run_id for number, (run_id, _) in newest.items()}
    last = runs.last_metrics(connection, list(ids.values()))
    tests = _last_tests(connection, study.name)
    tags = label.tags_in(connection, study.name)
    return [
        Record(
            study=study.name,
            trial=trial,
            objectives=dict(zip(objectives, trial.values or (), strict=False)),
            run=newest[trial.number][1] if trial.number in newest else None,
            metrics=last.get(ids.get(trial.number, -1), {}),
            test_metrics=tests.get(ids.get(trial.number, -1), {}),
            tags=tags.get(trial.number, ()),
        )
        for trial in trials.rows(connection, study, states=None, newest=None)
    ]


def _last_tests(connection: Connection, study: str) -> dict[int, dict[str, float]]:
    if not has_our_tables(connection):
        return {}
    t = test_metrics
    last = select(t.c.run_id, t.c.name, func.max(t.c.seq).label("seq")).group_by(t.c.run_id, t.c.name).subquery()
    query = (
        select(t.c.run_id, t.c.name, t.c.value)
        .join(last, (last.c.run_id == t.c.run_id) & (last.c.name == t.c.name) & (last.c.seq == t.c.seq))
        .join(run_table, run_table.c.id == t.c.run_id)
        .where(run_table.c.study == study)
    )
    found: dict[int, dict[str, float]] = {}
    for run_id, name, value in connection.execute(query):
        found.setdefault(run_id, {})[name] = decode.metric(value)
    return found
