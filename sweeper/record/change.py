"""The changes that a Storage makes to Optuna's tables, as plain data; each knows how to decide and what to
store.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from optuna.exceptions import DuplicatedStudyError
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Table, delete, select

from sweeper.record import optuna_rows as rows
from sweeper.record.batch import Batch, Blind
from sweeper.record.child_rows import ChildRow, value_columns
from sweeper.record.optuna_rows import OptunaRows, to_local, to_utc
from sweeper.record.statement import insert_if_absent
from sweeper.record.tables import OF_RUNS, requests, runs, sweeps, tags


@dataclass(frozen=True, slots=True)
class NewStudy(Blind):
    """A study that does not exist yet; gives its id."""

    name: str
    directions: tuple[StudyDirection, ...]

    def apply(self, batch: Batch) -> int:
        connection = batch.connection
        statement = insert_if_absent(connection.dialect.name, rows.studies, "study_id", key=("study_name",))
        study_id = connection.execute(statement, {"study_name": self.name}).scalar()
        if study_id is None:
            raise DuplicatedStudyError(f"the study {self.name!r} exists already")
        connection.execute(
            rows.study_directions.insert(),
            [
                {"study_id": study_id, "direction": direction, "objective": objective}
                for objective, direction in enumerate(self.directions)
            ],
        )
        return int(study_id)


@dataclass(frozen=True, slots=True)
class DropStudy(Blind):
    """A study with its trials, and our record of them."""

    study_id: int

    def apply(self, batch: Batch) -> None:
        connection, study_id = batch.connection, self.study_id
        name = connection.execute(select(rows.studies.c.study_name).where(rows.studies.c.study_id == study_id)).scalar()
        if name is None:
            raise KeyError(f"there is no study with the id {study_id}")
        of_study = select(rows.trials.c.trial_id).where(rows.trials.c.study_id == study_id)
        for table in _OF_TRIALS:
            connection.execute(delete(table).where(table.c.trial_id.in_(of_study)))
        for table in _OF_STUDIES:
            connection.execute(delete(table).where(table.c.study_id == study_id))
        ours = select(runs.c.id).where(runs.c.study == name)
        for table in OF_RUNS:
            connection.execute(delete(table).where(table.c.run_id.in_(ours)))
        connection.execute(delete(tags).where(tags.c.study == name))
        connection.execute(delete(runs).where(runs.c.study == name))
        for table in (requests, sweeps):
            connection.execute(delete(table).where(table.c.study == name))


_OF_TRIALS: tuple[Table, ...] = (
    rows.trial_params,
    rows.trial_values,
    rows.trial_points,
    rows.trial_user_attrs,
    rows.trial_system_attrs,
    rows.trial_heartbeats,
)
_OF_STUDIES: tuple[Table, ...] = (
    rows.trials,
    rows.study_user_attrs,
    rows.study_system_attrs,
    rows.study_directions,
    rows.studies,
)


@dataclass(frozen=True, slots=True)
class StudyAttr:
    """An attribute of a study, new or replaced."""

    table: Table  # study_user_attrs or study_system_attrs
    study_id: int
    key: str
    value_json: str

    def prepare(self, batch: Batch) -> None:
        batch.part(OptunaRows).want_study(self.study_id)

    def apply(self, batch: Batch) -> None:
        part = batch.part(OptunaRows)
        part.last_number(self.study_id)  # raises where there is no such study
        part.put(self.table, self.study_id, self.key, {"value_json": self.value_json})


@dataclass(frozen=True, slots=True)
class NewTrial:
    """A trial under the study's next number; gives it as Optuna will read it."""

    study_id: int
    now: datetime  # UTC without a zone
    template: FrozenTrial | None = None
    children: tuple[ChildRow, ...] = ()  # of the template

    def prepare(self, batch: Batch) -> None:
        batch.part(OptunaRows).want_number(self.study_id)

    def apply(self, batch: Batch) -> FrozenTrial:
        part = batch.part(OptunaRows)
        trial = self._trial()
        trial._trial_id, trial.number = part.new_trial(
            self.study_id, trial.state, to_utc(trial.datetime_start), to_utc(trial.datetime_complete)
        )
        for table, key, columns in self.children:
            part.put(table, trial._trial_id, key, columns)
        return trial

    def _trial(self) -> FrozenTrial:
        like = self.template
        return FrozenTrial(
            number=-1,
            trial_id=-1,
            state=TrialState.RUNNING if like is None else like.state,
            value=None,
            values=None if like is None else like.values,
            datetime_start=to_local(self.now) if like is None else like.datetime_start,
            datetime_complete=None if like is None else like.datetime_complete,
            params={} if like is None else dict(like.params),
            distributions={} if like is None else dict(like.distributions),
            user_attrs={} if like is None else dict(like.user_attrs),
            system_attrs={} if like is None else dict(like.system_attrs),
            intermediate_values={} if like is None else dict(like.intermediate_values),
        )


@dataclass(frozen=True, slots=True)
class Child:
    """A param, an attribute or an intermediate value of a trial that is not finished, new or replaced."""

    trial_id: int
    table: Table
    key: str | int
    columns: dict[str, object]

    def prepare(self, batch: Batch) -> None:
        batch.part(OptunaRows).want_trial(self.trial_id)

    def apply(self, batch: Batch) -> None:
        part = batch.part(OptunaRows)
        part.open_trial(self.trial_id)
        part.put(self.table, self.trial_id, self.key, self.columns)


@dataclass(frozen=True, slots=True)
class Moved:
    """What a change of state came to: the trial's row afterwards, local times; `changed` is False where it
    stayed.
    """

    changed: bool
    state: TrialState
    datetime_start: datetime | None
    datetime_complete: datetime | None


@dataclass(frozen=True, slots=True)
class State:
    """A trial's new state, with its objective values."""

    trial_id: int
    state: TrialState
    values: tuple[float, ...] | None
    now: datetime  # UTC without a zone

    def prepare(self, batch: Batch) -> None:
        batch.part(OptunaRows).want_trial(self.trial_id)

    def apply(self, batch: Batch) -> Moved:
        part = batch.part(OptunaRows)
        row = part.open_trial(self.trial_id)
        if self.state == TrialState.RUNNING and row.state != TrialState.WAITING:
            return _moved(row, changed=False)
        row.state = self.state
        if self.state == TrialState.RUNNING:
            row.datetime_start = self.now
        if self.state.is_finished():
            row.datetime_complete = self.now
        part.change(self.trial_id)
        for objective, value in enumerate(self.values or ()):
            part.put(rows.trial_values, self.trial_id, objective, value_columns(value))
        return _moved(row, changed=True)


@dataclass(frozen=True, slots=True)
class LateState:
    """A change of state that waited in a spool for longer than its driver lived."""

    change: State

    def prepare(self, batch: Batch) -> None:
        self.change.prepare(batch)

    def apply(self, batch: Batch) -> Moved:
        trial_id = self.change.trial_id
        start = batch.part(OptunaRows).open_trial(trial_id).datetime_start
        if start is not None and start > self.change.now:  # SQLite gives the ids of deleted trials out again
            raise KeyError(f"there is no trial with the id {trial_id} any more")
        return self.change.apply(batch)


@dataclass(frozen=True, slots=True)
class Claimed:
    """The trial that a claim came to: a new one, or a waiting one that runs now."""

    trial_id: int
    new: FrozenTrial | None
    moved: Moved | None


@dataclass(frozen=True, slots=True)
class Claim:
    """The first waiting trial or a new one, while fewer than `limit` of the study's trials have left the line.

    `unfinished` are ids among which are all waiting trials up to the id `seen`.
    """

    study_id: int
    limit: int
    unfinished: tuple[int, ...]
    seen: int
    now: datetime  # UTC without a zone

    def prepare(self, batch: Batch) -> None:
        batch.part(OptunaRows).want_number(self.study_id)

    def apply(self, batch: Batch) -> Claimed | None:
        part = batch.part(OptunaRows)
        taken = part.last_number(self.study_id) + 1
        waiting = part.waiting(self.study_id, self.unfinished, self.seen)
        if taken - len(waiting) >= self.limit:
            return None
        for trial_id in waiting:
            moved = self._claim(part, trial_id)
            if moved is not None:
                return Claimed(trial_id, None, moved)
        if taken >= self.limit:  # somebody without our manners has claimed the rest of the line just now
            return None
        trial = NewTrial(self.study_id, self.now).apply(batch)
        return Claimed(trial._trial_id, trial, None)

    def _claim(self, part: OptunaRows, trial_id: int) -> Moved | None:
        row = part.lock_trial(trial_id)
        if row.state != TrialState.WAITING:
            return None
        row.state, row.datetime_start = TrialState.RUNNING, self.now
        part.change(trial_id)
        return _moved(row, changed=True)


def _moved(row: rows.TrialRow, *, changed: bool) -> Moved:
    return Moved(changed, row.state, to_local(row.datetime_start), to_local(row.datetime_complete))
