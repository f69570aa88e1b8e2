"""An Optuna storage that reads from memory and writes Optuna's own schema in group commits.

    study = optuna.create_study(storage=sweeper.Storage("sqlite:///sweeper.db"))

What Optuna's cached storage promises, it keeps: when a change of a study or of a trial's state returns, it
and all written before it are durable; params, attributes and intermediate values follow with the next one, or
0.2 s later.
"""

from __future__ import annotations

import copy
import json
import uuid
import weakref
from collections.abc import Callable, Container, Sequence
from functools import partial
from typing import Any, TypeVar

from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.storages import BaseStorage
from optuna.storages._base import DEFAULT_STUDY_NAME_PREFIX
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Table

from sweeper.errors import StorageError
from sweeper.record import studies
from sweeper.record.change import (
    Child,
    Claim,
    Claimed,
    DropStudy,
    NewStudy,
    NewTrial,
    State,
    StudyAttr,
)
from sweeper.record.child_rows import children_of, param_columns, point_columns
from sweeper.record.database import Database, open_database
from sweeper.record.memory import Memory
from sweeper.record.mirror import Mirror
from sweeper.record.optuna_rows import (
    study_system_attrs,
    study_user_attrs,
    trial_params,
    trial_points,
    trial_system_attrs,
    trial_user_attrs,
    utc_now,
)
from sweeper.record.outage import Health
from sweeper.record.owner import Adopt, OwnChild, OwnClaim, OwnState
from sweeper.record.writer import Writer

_NAME_LENGTH = 512  # of a study, a param, an attribute: Optuna's columns hold no more
_STEP_LIMIT = 2**31  # likewise

T = TypeVar("T")


class Storage(BaseStorage):
    """Studies and trials in the database at a URL, or in one that is open already.

    Safe for many threads and many processes. Raises StorageError where the database cannot be opened or
    refuses a value, and what `BaseStorage` says for everything else. Call `close` to let go of the database;
    the end of the process does it too.
    """

    def __init__(self, database: str | Database) -> None:
        self.database = open_database(database) if isinstance(database, str) else database
        self.writer = Writer(self.database)
        self._memory = Memory(self.writer.link)
        self._sweep: str | None = None
        self._closed = weakref.finalize(self, Writer.close, self.writer)

    def __reduce__(self) -> tuple[type[Storage], tuple[str]]:
        return Storage, (self.database.full_url,)

    def close(self) -> None:
        """Write what is left, then let go of the database."""
        self._closed()

    def hurry(self) -> None:
        """The process is about to end: wait for a database that is out of reach 3.5 s more, and no longer."""
        self.writer.hurry()

    def drive(self, sweep: str) -> None:
        """From now on, claim trials in a sweep's name and change the states of its own alone; else Superseded."""
        self._sweep = sweep

    def ask(self, query: Callable[[Connection], T]) -> T:
        """Run a query outside any transaction. Raises StorageError while the database is out of reach."""
        return self._memory.ask(query)

    def health(self) -> Health:
        """Whether the database takes writes, and how many wait."""
        return self.writer.health()

    # Studies

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        name = DEFAULT_STUDY_NAME_PREFIX + str(uuid.uuid4()) if study_name is None else study_name
        _check_name("study", name)
        return self.writer.perform(NewStudy(name, tuple(directions)), self._memory.forget)

    def delete_study(self, study_id: int) -> None:
        self.writer.perform(DropStudy(study_id), lambda _: self._memory.forget(study_id))

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._set_study_attr(study_user_attrs, study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._set_study_attr(study_system_attrs, study_id, key, value)

    def _set_study_attr(self, table: Table, study_id: int, key: str, value: Any) -> None:
        _check_name("attribute", key)
        write = StudyAttr(table, study_id, key, json.dumps(value))
        self.writer.perform(write, lambda _: self._memory.forget_attrs(table, study_id))

    def get_study_id_from_name(self, study_name: str) -> int:
        return self.ask(lambda connection: studies.id_of(connection, study_name))

    def get_study_name_from_id(self, study_id: int) -> str:
        return self.ask(lambda connection: studies.name_of(connection, study_id))

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return list(self._memory.directions(study_id))

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._memory.attrs(study_user_attrs, study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._memory.attrs(study_system_attrs, study_id)

    def get_all_studies(self) -> list[FrozenStudy]:
        return self.ask(studies.all_of)

    # Trials: changes of state

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        self._memory.known(study_id)
        children = () if template_trial is None else children_of(template_trial)
        write = NewTrial(study_id, utc_now(), template_trial, children)
        return self.writer.perform(write, partial(self._memory.created, study_id))._trial_id

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        mirror = self._memory.holding(trial_id)
        told = None if values is None else tuple(float(value) for value in values)
        change = State(trial_id, state, told, utc_now())
        is_anybodys = self._sweep is None or state == TrialState.RUNNING
        write = change if is_anybodys else OwnState(change, str(self._sweep))
        moved = self.writer.perform(write, partial(self._memory.moved, mirror, trial_id, told))
        if moved.changed and state == TrialState.RUNNING:
            self._take_over(mirror, trial_id)
        return moved.changed

    def claim_trial_within(self, study_id: int, limit: int) -> int | None:
        """Claim the study's first WAITING trial, or create one, in state RUNNING; returns its id.

        None once `limit` trials of the study are not WAITING: exact with any number of processes that ask this way.
        """
        mirror = self._memory.known(study_id)
        with self._memory.lock:
            unfinished, seen = tuple(mirror.unfinished), mirror.seen
        claim = Claim(study_id, limit, unfinished, seen, utc_now())
        write = claim if self._sweep is None else OwnClaim(claim, self._sweep)
        claimed = self.writer.perform(write, partial(self._claimed, mirror))
        if claimed is None:
            return None
        if claimed.new is None:
            self._take_over(mirror, claimed.trial_id)
        return claimed.trial_id

    def adopt_trial(self, trial_id: int, owner: str) -> bool:
        """Take over a running trial of a sweep that has ended; False where somebody else has done so."""
        mirror = self._memory.holding(trial_id)
        write = Adopt(trial_id, owner, str(self._sweep))
        adopted = self.writer.perform(write, lambda _: mirror.stale.add(trial_id))
        if adopted:
            self._take_over(mirror, trial_id)
        return adopted

    def _claimed(self, mirror: Mirror, claimed: Claimed | None) -> None:
        if claimed is not None and claimed.new is not None:
            self._memory.created(mirror.study_id, claimed.new)
        elif claimed is not None and claimed.moved is not None:
            self._memory.moved(mirror, claimed.trial_id, None, claimed.moved)

    def _take_over(self, mirror: Mirror, trial_id: int) -> None:
        """A claimed trial is read once more, and is this process's own from now on."""
        self._memory.fresh(mirror.study_id)
        with self._memory.lock:
            mirror.own.add(trial_id)

    # Trials: what they hold

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        def change(trial: FrozenTrial) -> None:
            trial._params = trial._params | {param_name: distribution.to_external_repr(param_value_internal)}
            trial._distributions = trial._distributions | {param_name: distribution}

        def check(mirror: Mirror) -> None:
            if param_name in mirror.distributions:
                check_distribution_compatibility(mirror.distributions[param_name], distribution)

        _check_name("param", param_name)
        columns = param_columns(param_value_internal, distribution)
        self._set(Child(trial_id, trial_params, param_name, columns), change, check)

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        def change(trial: FrozenTrial) -> None:
            trial.intermediate_values = trial.intermediate_values | {step: intermediate_value}

        if not -_STEP_LIMIT <= step < _STEP_LIMIT:
            raise StorageError(f"the step {step} does not fit Optuna's table: report steps below 2**31")
        self._set(Child(trial_id, trial_points, step, point_columns(intermediate_value)), change)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        def change(trial: FrozenTrial) -> None:
            trial._user_attrs = trial._user_attrs | {key: value}

        _check_name("attribute", key)
        self._set(Child(trial_id, trial_user_attrs, key, {"value_json": json.dumps(value)}), change)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        def change(trial: FrozenTrial) -> None:
            trial._system_attrs = trial._system_attrs | {key: value}

        _check_name("attribute", key)
        self._set(Child(trial_id, trial_system_attrs, key, {"value_json": json.dumps(value)}), change)

    def _set(
        self,
        child: Child,
        change: Callable[[FrozenTrial], None],
        check: Callable[[Mirror], None] = lambda mirror: None,
    ) -> None:
        """Write a child row: at once in memory and later in the database where the trial is ours, else the
        reverse.
        """
        mirror = self._memory.holding(child.trial_id)
        with self._memory.lock:
            if child.trial_id in mirror.own:
                check(mirror)
                mirror.alter(child.trial_id, change)
                self.writer.defer(child if self._sweep is None else OwnChild(child, self._sweep))
                return
        trial = self.get_trial(child.trial_id)
        self.check_trial_is_updatable(child.trial_id, trial.state)
        check(mirror)
        self.writer.perform(child, lambda _: mirror.stale.add(child.trial_id))

    # Trials: reading

    def get_trial(self, trial_id: int) -> FrozenTrial:
        mirror = self._memory.holding(trial_id)
        trial = mirror.get(trial_id)
        if trial is None or not (trial.state.is_finished() or trial_id in mirror.own):
            trial = self._memory.fresh(mirror.study_id).get(trial_id)
        if trial is None:
            raise KeyError(f"there is no trial with the id {trial_id}")
        return trial

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        mirror = self._memory.fresh(study_id)
        with self._memory.lock:
            trials = mirror.select(states)
        return copy.deepcopy(trials) if deepcopy else trials

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        trial = self._memory.known(study_id).at(trial_number) or self._memory.fresh(study_id).at(trial_number)
        if trial is None:
            raise KeyError(f"the study with the id {study_id} has no trial {trial_number}")
        return trial._trial_id


def _check_name(what: str, name: str) -> None:
    """One rule for both engines: what one stores, the other can take over."""
    if len(name) > _NAME_LENGTH:
        raise StorageError(
            f"the {what} name {name[:40]!r}… has {len(name)} characters, and Optuna's tables hold "
            f"{_NAME_LENGTH}: give a shorter one"
        )
    if "\0" in name:
        raise StorageError(f"the {what} name {name!r} has a NUL character, which PostgreSQL cannot store: remove it")
