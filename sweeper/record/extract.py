"""One trial with all that is on record of it, copied into a new SQLite database that any sweeper and Optuna opens."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, Table, insert, or_, select

from sweeper.errors import NotFound
from sweeper.record import optuna_rows as rows
from sweeper.record.database import open_database
from sweeper.record.tables import OF_RUNS, code, environments, runs, sweeps, tags

_OF_TRIAL = (
    rows.trial_params,
    rows.trial_values,
    rows.trial_points,
    rows.trial_user_attrs,
    rows.trial_system_attrs,
)


class Named(Protocol):
    """A trial by its study and number."""

    @property
    def study(self) -> str: ...
    @property
    def number(self) -> int: ...


def extract(source: Connection, trial: Named, others: Collection[int], target: Path, artifacts: str) -> None:
    """Copy a trial, its study and its runs to `target`, a file that does not exist yet.

    Of the study's `others`, by number, goes with it what Optuna knows, and no run. `artifacts` is the store that the
    copy names in place of the one on record. Raises NotFound.
    """
    database = open_database(f"sqlite:///{target}")
    try:
        with database.engine.connect() as into:
            into.exec_driver_sql("BEGIN IMMEDIATE")
            copying = _Copying(source, into)
            copying.trials(trial, others)
            copying.runs(trial, artifacts)
            into.exec_driver_sql("COMMIT")
    finally:
        database.engine.dispose()


class _Copying:
    """From one database to another, row for row."""

    def __init__(self, source: Connection, into: Connection) -> None:
        self._source = source
        self._into = into

    def trials(self, trial: Named, others: Collection[int]) -> None:
        """What Optuna knows of the study, of the trial and of others."""
        studies, trials = rows.studies, rows.trials
        study_id = self._source.execute(select(studies.c.study_id).where(studies.c.study_name == trial.study)).scalar()
        numbers = trials.c.number.in_({trial.number, *others})
        query = select(trials.c.number, trials.c.trial_id).where(trials.c.study_id == study_id, numbers)
        ids = {row.number: row.trial_id for row in self._source.execute(query)}
        if trial.number not in ids:
            raise NotFound(f"there is no trial {trial.study}/{trial.number}")
        self._copy(studies, studies.c.study_id == study_id)
        self._copy(rows.study_directions, rows.study_directions.c.study_id == study_id)
        self._copy(rows.study_user_attrs, rows.study_user_attrs.c.study_id == study_id)
        attributes = rows.study_system_attrs
        is_told = _is_of_study_or(attributes.c.key, ids[trial.number])
        self._copy(attributes, (attributes.c.study_id == study_id) & is_told)
        for table in (trials, *_OF_TRIAL):
            self._copy(table, table.c.trial_id.in_(ids.values()))

    def runs(self, trial: Named, artifacts: str) -> None:
        """The trial's attempts with what they did and were made of."""
        of_trial = (runs.c.study == trial.study) & (runs.c.number == trial.number)
        found = self._copy(runs, of_trial)
        self._copy(sweeps, sweeps.c.sweep.in_(_values(found, "sweep")), {"artifacts": artifacts})
        self._copy(code, code.c.code.in_(_values(found, "code")))
        self._copy(environments, environments.c.environment.in_(_values(found, "environment")))
        for table in OF_RUNS:
            self._copy(table, table.c.run_id.in_(_values(found, "id")))
        self._copy(tags, (tags.c.study == trial.study) & (tags.c.number == trial.number))

    def _copy(
        self, table: Table, which: ColumnElement[bool], changes: Mapping[str, Any] | None = None
    ) -> Sequence[Mapping[str, Any]]:
        """The rows that were copied, as they are there."""
        query = select(table).where(which)
        found = [dict(row) | dict(changes or {}) for row in self._source.execute(query).mappings()]
        if found:
            self._into.execute(insert(table), found)
        return found


def _is_of_study_or(key: ColumnElement[str], trial_id: int) -> ColumnElement[bool]:
    """Not what optuna-dashboard keeps of other trials: their notes and files lie among the study's attributes."""
    of_trial = key.startswith(f"dashboard:{trial_id}:")
    of_others = key.regexp_match("^dashboard:[0-9]+:")
    return or_(of_trial, ~of_others)


def _values(found: Sequence[Mapping[str, Any]], column: str) -> list[Any]:
    return list({row[column] for row in found if row[column] is not None})
