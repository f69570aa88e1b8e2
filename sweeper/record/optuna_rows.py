"""Optuna's rows within one transaction: what they are, locked, and what they shall be."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import BindParameter, Connection, Executable, Table, bindparam, insert, select, update

from sweeper.record.statement import execute_all, upsert

studies: Table = models.StudyModel.__table__
study_directions: Table = models.StudyDirectionModel.__table__
study_user_attrs: Table = models.StudyUserAttributeModel.__table__
study_system_attrs: Table = models.StudySystemAttributeModel.__table__
trials: Table = models.TrialModel.__table__
trial_user_attrs: Table = models.TrialUserAttributeModel.__table__
trial_system_attrs: Table = models.TrialSystemAttributeModel.__table__
trial_params: Table = models.TrialParamModel.__table__
trial_values: Table = models.TrialValueModel.__table__
trial_points: Table = models.TrialIntermediateValueModel.__table__
trial_heartbeats: Table = models.TrialHeartbeatModel.__table__

_IDS: BindParameter[list[int]] = bindparam("ids", expanding=True)
_LOCKED_STUDIES = (
    select(studies.c.study_id)
    .where(studies.c.study_id.in_(_IDS))
    .order_by(studies.c.study_id)
    .with_for_update(key_share=True)  # others may still write rows that refer to the study
)
_LOCKED_TRIALS = (
    select(
        trials.c.trial_id, trials.c.study_id, trials.c.number, trials.c.state, trials.c.datetime_start,
        trials.c.datetime_complete,
    )
    .where(trials.c.trial_id.in_(_IDS))
    .order_by(trials.c.trial_id)
    .with_for_update()
)  # fmt: skip
_LAST_NUMBER = (
    select(trials.c.number).where(trials.c.study_id == bindparam("study")).order_by(trials.c.trial_id.desc()).limit(1)
)
_NEW_TRIAL = insert(trials).returning(trials.c.trial_id)
_CHANGED_TRIAL = update(trials).where(trials.c.trial_id == bindparam("id"))  # what it sets, the rows say


@functools.cache
def _upserts(dialect: str) -> dict[Table, Executable]:
    return {
        trial_params: upsert(dialect, trial_params, "param_value", "distribution_json", key=("trial_id", "param_name")),
        trial_values: upsert(dialect, trial_values, "value", "value_type", key=("trial_id", "objective")),
        trial_user_attrs: upsert(dialect, trial_user_attrs, "value_json", key=("trial_id", "key")),
        trial_system_attrs: upsert(dialect, trial_system_attrs, "value_json", key=("trial_id", "key")),
        trial_points: upsert(
            dialect, trial_points, "intermediate_value", "intermediate_value_type", key=("trial_id", "step")
        ),
        study_user_attrs: upsert(dialect, study_user_attrs, "value_json", key=("study_id", "key")),
        study_system_attrs: upsert(dialect, study_system_attrs, "value_json", key=("study_id", "key")),
    }


@dataclass(slots=True)
class TrialRow:
    """A row of `trials`; times are UTC without a zone, as Optuna 5 stores them."""

    study_id: int
    number: int
    state: TrialState
    datetime_start: datetime | None
    datetime_complete: datetime | None


class OptunaRows:
    """The part of a transaction that Optuna's tables have in it.

    Studies that get a trial are locked before their last number is read, and trials before their state is:
    two processes never give out one number, never claim one trial. Optuna's own storage takes the same locks.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.trials: dict[int, TrialRow] = {}
        self.last_numbers: dict[int, int] = {}  # of the studies asked for, as far as they exist; -1 without trials
        self._wanted_studies: set[int] = set()
        self._wanted_trials: set[int] = set()
        self._changed: set[int] = set()
        self._rows: defaultdict[Table, dict[tuple[Any, ...], dict[str, Any]]] = defaultdict(dict)

    def want_study(self, study_id: int) -> None:
        """Lock a study, to give out numbers in it."""
        self._wanted_studies.add(study_id)

    def want_trial(self, trial_id: int) -> None:
        """Lock a trial, to change it."""
        self._wanted_trials.add(trial_id)

    def fetch(self) -> None:
        if self._wanted_studies:
            locked = self._select(_LOCKED_STUDIES, self._wanted_studies)
            for (study_id,) in locked:
                last = self.connection.execute(_LAST_NUMBER, {"study": study_id}).scalar()
                self.last_numbers[study_id] = -1 if last is None else last
        if self._wanted_trials:
            for row in self._select(_LOCKED_TRIALS, self._wanted_trials):
                self.trials[row.trial_id] = TrialRow(
                    row.study_id, row.number, row.state, row.datetime_start, row.datetime_complete
                )

    def new_trial(
        self, study_id: int, state: TrialState, start: datetime | None, complete: datetime | None
    ) -> tuple[int, int]:
        """Insert a trial; returns its id and its number. Raises KeyError where there is no such study."""
        if study_id not in self.last_numbers:
            raise KeyError(f"there is no study with the id {study_id}")
        row = TrialRow(study_id, self.last_numbers[study_id] + 1, state, start, complete)
        trial_id = self.connection.execute(
            _NEW_TRIAL,
            {
                "study_id": study_id,
                "number": row.number,
                "state": state,
                "datetime_start": start,
                "datetime_complete": complete,
            },
        ).scalar_one()
        self.last_numbers[study_id] = row.number
        self.trials[trial_id] = row
        return trial_id, row.number

    def open_trial(self, trial_id: int) -> TrialRow:
        """A trial that may still be changed. Raises KeyError, or UpdateFinishedTrialError."""
        row = self.trials.get(trial_id)
        if row is None:
            raise KeyError(f"there is no trial with the id {trial_id}")
        if row.state.is_finished():
            raise UpdateFinishedTrialError(f"Trial#{row.number} has already finished and can not be updated.")
        return row

    def change(self, trial_id: int) -> None:
        """The trial's row is to be written as it is in `trials` when the batch is complete."""
        self._changed.add(trial_id)

    def put(self, table: Table, *key: int | str, **columns: object) -> None:
        """A row of a child table, inserted or replaced; `key` is its owner's id and its name, step or
        objective.
        """
        names = _KEYS[table]
        self._rows[table][key] = dict(zip(names, key, strict=True)) | columns

    def flush(self) -> None:
        execute_all(self.connection, _CHANGED_TRIAL, [self._trial_row(one) for one in sorted(self._changed)])
        for table, rows in self._rows.items():
            execute_all(self.connection, _upserts(self.connection.dialect.name)[table], list(rows.values()))

    def _trial_row(self, trial_id: int) -> dict[str, object]:
        row = self.trials[trial_id]
        return {
            "id": trial_id,
            "state": row.state,
            "datetime_start": row.datetime_start,
            "datetime_complete": row.datetime_complete,
        }

    def _select(self, statement: Executable, ids: Iterable[int]) -> Sequence[Any]:
        return self.connection.execute(statement, {"ids": sorted(ids)}).all()


_KEYS: dict[Table, tuple[str, str]] = {
    trial_params: ("trial_id", "param_name"),
    trial_values: ("trial_id", "objective"),
    trial_user_attrs: ("trial_id", "key"),
    trial_system_attrs: ("trial_id", "key"),
    trial_points: ("trial_id", "step"),
    study_user_attrs: ("study_id", "key"),
    study_system_attrs: ("study_id", "key"),
}


def to_utc(local: datetime | None) -> datetime | None:
    """Optuna's trials carry naive local times, its tables naive UTC."""
    return None if local is None else local.astimezone(UTC).replace(tzinfo=None)


def to_local(utc: datetime | None) -> datetime | None:
    """The inverse of `to_utc`."""
    return None if utc is None else utc.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)


def to_epoch(utc: datetime) -> float:
    """A time of Optuna's tables in seconds since the epoch."""
    return utc.replace(tzinfo=UTC).timestamp()
