"""Optuna's rows within one transaction: what they are, locked, and what they shall be."""

from __future__ import annotations

import functools
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import Connection, Table, bindparam, func, insert, select, text, update

from sweeper.record.statement import Sql, UpsertOfMany, is_one_of, listed

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

_CHILDREN: dict[Table, tuple[tuple[str, str], tuple[str, ...]]] = {  # each with its key and its other columns
    trial_params: (("trial_id", "param_name"), ("param_value", "distribution_json")),
    trial_values: (("trial_id", "objective"), ("value", "value_type")),
    trial_user_attrs: (("trial_id", "key"), ("value_json",)),
    trial_system_attrs: (("trial_id", "key"), ("value_json",)),
    trial_points: (("trial_id", "step"), ("intermediate_value", "intermediate_value_type")),
    study_user_attrs: (("study_id", "key"), ("value_json",)),
    study_system_attrs: (("study_id", "key"), ("value_json",)),
}

_NEW_IDS = {
    "sqlite": """
        WITH RECURSIVE place(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM place WHERE i < :count)
        SELECT i + (SELECT coalesce(max(trial_id), 0) FROM trials) FROM place
    """,
    "postgresql": "SELECT nextval(pg_get_serial_sequence('trials', 'trial_id')) FROM generate_series(1, :count)",
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

    Studies that get a trial are locked before their last number is read, and trials before their state is: two
    processes never give out one number, never claim one trial. Optuna's own storage takes the same locks.
    """

    is_pipelined: ClassVar[bool] = True

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.trials: dict[int, TrialRow] = {}
        self.last_numbers: dict[int, int] = {}  # of the studies asked for that exist; -1 for one without trials
        self.found_numbers: dict[int, int] = {}  # the same, before this transaction added any
        self._dialect = connection.dialect.name
        self._sql = _statements(self._dialect)
        self._wanted_studies: set[int] = set()
        self._wanted_trials: set[int] = set()
        self._wanted_ids = 0
        self._ids: deque[int] = deque()  # for trials to come
        self.new: list[int] = []  # ids, in order
        self._changed: set[int] = set()
        self._rows: defaultdict[Table, dict[tuple[Any, ...], dict[str, Any]]] = defaultdict(dict)

    def want_study(self, study_id: int) -> None:
        """Lock a study, to change it."""
        self._wanted_studies.add(study_id)

    def want_number(self, study_id: int) -> None:
        """Lock a study, to add a trial to it."""
        self._wanted_studies.add(study_id)
        self._wanted_ids += 1

    def want_trial(self, trial_id: int) -> None:
        """Lock a trial, to change it."""
        self._wanted_trials.add(trial_id)

    def fetch(self) -> None:
        """Ask for everything before reading any of it: in a pipeline, reading waits for the server."""
        numbers, new_ids, locked = [], [], []
        if self._wanted_studies:
            ids = {"ids": listed(self._dialect, self._wanted_studies)}
            if self._dialect == "postgresql":  # SQLite has locked everything already
                self._sql.lock_studies.run(self.connection, ids)
            numbers = self._sql.last_numbers.run(self.connection, ids)
        if self._wanted_ids:  # taken under the lock, so that a study's trials become visible in the order of their ids
            new_ids = self._sql.new_ids.run(self.connection, {"count": self._wanted_ids})
        if self._wanted_trials:
            ids = {"ids": listed(self._dialect, self._wanted_trials)}
            locked = self._sql.lock_trials.run(self.connection, ids)
        for study_id, last in numbers:
            self.last_numbers[study_id] = self.found_numbers[study_id] = -1 if last is None else last
        self._ids.extend(trial_id for (trial_id,) in new_ids)
        self._learn(locked)

    def lock_trial(self, trial_id: int) -> TrialRow:
        """A trial's row, locked; it is known to exist."""
        if trial_id not in self.trials:
            ids = {"ids": listed(self._dialect, [trial_id])}
            self._learn(self._sql.lock_trials.run(self.connection, ids))
        return self.trials[trial_id]

    def waiting(self, study_id: int, among: Iterable[int], after: int) -> list[int]:
        """The ids of a study's WAITING trials, in order: of those in `among`, and of those greater than `after`."""
        bounds = {"ids": listed(self._dialect, among), "study": study_id, "after": after}
        found = {trial_id: TrialState[state] for trial_id, state in self._sql.states.run(self.connection, bounds)}
        known = {trial_id: row.state for trial_id, row in self.trials.items() if row.study_id == study_id}
        return sorted(one for one, state in (found | known).items() if state == TrialState.WAITING)

    def _learn(self, rows: Iterable[Any]) -> None:
        for row in rows:
            self.trials[row[0]] = TrialRow(
                row[1], row[2], TrialState[row[3]], _from_driver(row[4]), _from_driver(row[5])
            )

    def new_trial(
        self, study_id: int, state: TrialState, start: datetime | None, complete: datetime | None
    ) -> tuple[int, int]:
        """Add a trial; returns its id and its number. Raises KeyError where there is no such study."""
        row = TrialRow(study_id, self.last_number(study_id) + 1, state, start, complete)
        trial_id = self._ids.popleft()
        self.last_numbers[study_id] = row.number
        self.new.append(trial_id)
        self.trials[trial_id] = row
        return trial_id, row.number

    def last_number(self, study_id: int) -> int:
        """The number of a study's last trial, -1 without trials. Raises KeyError where there is no such study."""
        if study_id not in self.last_numbers:
            raise KeyError(f"there is no study with the id {study_id}")
        return self.last_numbers[study_id]

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

    def put(self, table: Table, owner: int, key: int | str, columns: dict[str, object]) -> None:
        """A row of a child table, inserted or replaced: `owner` is a trial's or study's id, `key` a name, a step or
        an objective.
        """
        names = _CHILDREN[table][0]
        self._rows[table][owner, key] = {names[0]: owner, names[1]: key, **columns}

    def flush(self) -> None:
        new = [{"id": one, **self._place_of(one), **self._columns_of(self.trials[one])} for one in self.new]
        self._sql.new_trial.run_all(self.connection, new)
        changed = [{"id": one, **self._columns_of(self.trials[one])} for one in sorted(self._changed)]
        self._sql.change_trial.run_all(self.connection, changed)
        for table, rows in self._rows.items():
            self._sql.put[table].run(self.connection, list(rows.values()))

    def _place_of(self, trial_id: int) -> dict[str, object]:
        row = self.trials[trial_id]
        return {"study_id": row.study_id, "number": row.number}

    def _columns_of(self, row: TrialRow) -> dict[str, object]:
        def stored(time: datetime | None) -> object:
            if time is None or self._dialect == "postgresql":
                return time
            return time.isoformat(" ", "microseconds")

        return {
            "new_state": row.state.name,
            "new_start": stored(row.datetime_start),
            "new_complete": stored(row.datetime_complete),
        }


class _Statements:
    """The statements of one dialect. Enums go as their names, times as SQLAlchemy has its driver store them."""

    def __init__(self, dialect: str) -> None:
        of_ids = is_one_of(dialect, studies.c.study_id, "ids")
        lock = select(studies.c.study_id).where(of_ids).order_by(studies.c.study_id)
        # Not FOR UPDATE, so that others may still write rows that refer to the study.
        self.lock_studies = Sql(dialect, lock.with_for_update(key_share=True))
        newest = trials.alias("newest")
        newest_id = select(func.max(newest.c.trial_id)).where(newest.c.study_id == studies.c.study_id)
        last = select(trials.c.number).where(trials.c.trial_id == newest_id.correlate(studies).scalar_subquery())
        self.last_numbers = Sql(dialect, select(studies.c.study_id, last.scalar_subquery()).where(of_ids))
        row = select(
            *(trials.c.trial_id, trials.c.study_id, trials.c.number, trials.c.state),
            *(trials.c.datetime_start, trials.c.datetime_complete),
        ).where(is_one_of(dialect, trials.c.trial_id, "ids"))
        self.lock_trials = Sql(dialect, row.order_by(trials.c.trial_id).with_for_update())
        state = select(trials.c.trial_id, trials.c.state)
        among = state.where(is_one_of(dialect, trials.c.trial_id, "ids"))
        after = state.where(trials.c.study_id == bindparam("study"), trials.c.trial_id > bindparam("after"))
        self.states = Sql(dialect, among.union(after))
        changes = {
            "state": bindparam("new_state", type_=trials.c.state.type),
            "datetime_start": bindparam("new_start", type_=trials.c.datetime_start.type),
            "datetime_complete": bindparam("new_complete", type_=trials.c.datetime_complete.type),
        }
        place: dict[str, Any] = {name: bindparam(name) for name in ("number", "study_id")}
        new = insert(trials).values(trial_id=bindparam("id"), **place, **changes)
        self.new_trial = Sql(dialect, new.inline())
        self.new_ids = Sql(dialect, text(_NEW_IDS[dialect]))
        self.change_trial = Sql(dialect, update(trials).where(trials.c.trial_id == bindparam("id")).values(changes))
        self.put = {table: UpsertOfMany(dialect, table, *others, key=key) for table, (key, others) in _CHILDREN.items()}


_statements = functools.cache(_Statements)


def _from_driver(time: str | datetime | None) -> datetime | None:
    return datetime.fromisoformat(time) if isinstance(time, str) else time


def utc_now() -> datetime:
    """The present time as Optuna's tables have it."""
    return datetime.now(UTC).replace(tzinfo=None)


def to_utc(local: datetime | None) -> datetime | None:
    """Optuna's trials carry naive local times, its tables naive UTC."""
    return None if local is None else local.astimezone(UTC).replace(tzinfo=None)


def to_local(utc: datetime | None) -> datetime | None:
    """The inverse of `to_utc`."""
    return None if utc is None else utc.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)


def to_epoch(utc: datetime) -> float:
    """A time of Optuna's tables in seconds since the epoch."""
    return utc.replace(tzinfo=UTC).timestamp()
