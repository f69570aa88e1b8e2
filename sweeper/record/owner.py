"""Which driver a running trial belongs to: a system attribute of the trial, written with its claim.

A driver changes the state of a trial only while it is its own. One that was thought dead and comes back, after its
trials went to another, finds that it can no longer end them, give them back or claim more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from optuna.trial import TrialState
from sqlalchemy import Connection, bindparam, select

from sweeper.errors import Superseded
from sweeper.record.batch import Batch
from sweeper.record.change import Child, Claim, Claimed, LateState, Moved, State
from sweeper.record.lease import check_held
from sweeper.record.optuna_rows import OptunaRows, studies, trial_system_attrs, trials
from sweeper.record.statement import compiled
from sweeper.record.tables import sweeps

OWNER = "sweeper:sweep"
NOBODY_EVER = ""  # owns the trials that were made without a driver, by Optuna's own means

_OWNER = select(trial_system_attrs.c.value_json).where(
    trial_system_attrs.c.trial_id == bindparam("trial"), trial_system_attrs.c.key == bindparam("key")
)
_OWNER_OF_NAMED = (
    select(trial_system_attrs.c.value_json)
    .join(trials, trials.c.trial_id == trial_system_attrs.c.trial_id)
    .join(studies, studies.c.study_id == trials.c.study_id)
    .where(
        studies.c.study_name == bindparam("study"),
        trials.c.number == bindparam("number"),
        trial_system_attrs.c.key == bindparam("key"),
    )
)
_RUNNING = (
    select(trials.c.trial_id, trials.c.number, trial_system_attrs.c.value_json)
    .join(studies, studies.c.study_id == trials.c.study_id)
    .join(trial_system_attrs, trial_system_attrs.c.trial_id == trials.c.trial_id)
    .where(
        studies.c.study_name == bindparam("study"),
        trials.c.state == TrialState.RUNNING,
        trial_system_attrs.c.key == OWNER,
    )
    .order_by(trials.c.number)
)


@dataclass(frozen=True, slots=True)
class Orphan:
    """A running trial whose driver is dead."""

    trial_id: int
    number: int
    owner: str  # the sweep of that driver


def orphans(connection: Connection, study: str) -> list[Orphan]:
    """The study's RUNNING trials whose sweep has ended, by number; those of other programs are nobody's orphans."""
    return _running(connection, study)[1]


def driven(connection: Connection, study: str) -> set[int]:
    """The numbers of the study's RUNNING trials whose sweep has not ended."""
    return {trial.number for trial in _running(connection, study)[0]}


def _running(connection: Connection, study: str) -> tuple[list[Orphan], list[Orphan]]:
    """RUNNING trials of sweeps: those whose sweep has not ended, and the others."""
    running = [Orphan(row[0], row[1], json.loads(row[2])) for row in connection.execute(_RUNNING, {"study": study})]
    if not running:
        return [], []
    query = select(sweeps.c.sweep).where(sweeps.c.study == study, sweeps.c.ended_at.is_(None))
    unended = set(connection.execute(query).scalars())
    return [one for one in running if one.owner in unended], [one for one in running if one.owner not in unended]


def check_not_gone(connection: Connection, run: Mapping[str, object]) -> None:
    """Raise Superseded where the trial of a run that is to begin, by the columns of its row, is another driver's."""
    named = {"study": run["study"], "number": run["number"], "key": OWNER}
    row = compiled(connection.dialect.name, _OWNER_OF_NAMED).run(connection, named).fetchone()
    if row is not None and json.loads(row[0]) != run["sweep"]:
        raise Superseded(f"trial {run['number']} went to another driver before its run began here")


@dataclass(frozen=True, slots=True)
class OwnClaim:
    """A claim in a sweep's name."""

    claim: Claim
    sweep: str

    def prepare(self, batch: Batch) -> None:
        self.claim.prepare(batch)

    def apply(self, batch: Batch) -> Claimed | None:
        check_held(batch.connection, self.sweep)
        claimed = self.claim.apply(batch)
        if claimed is not None:
            _hand_to(batch, claimed.trial_id, self.sweep)
            if claimed.new is not None:
                claimed.new._system_attrs = {OWNER: self.sweep}
        return claimed


@dataclass(frozen=True, slots=True)
class OwnState:
    """A change of state of a trial that is a sweep's own; one that goes back in line is nobody's again."""

    change: State | LateState
    sweep: str

    @property
    def state(self) -> State:
        return self.change.change if isinstance(self.change, LateState) else self.change

    def prepare(self, batch: Batch) -> None:
        self.change.prepare(batch)

    def apply(self, batch: Batch) -> Moved:
        trial_id = self.state.trial_id
        _check_own(batch, trial_id, self.sweep)
        moved = self.change.apply(batch)
        if self.state.state == TrialState.WAITING:
            _hand_to(batch, trial_id, None)
        return moved


@dataclass(frozen=True, slots=True)
class OwnChild:
    """What a sweep says of a trial that is its own."""

    child: Child
    sweep: str

    def prepare(self, batch: Batch) -> None:
        self.child.prepare(batch)

    def apply(self, batch: Batch) -> None:
        _check_own(batch, self.child.trial_id, self.sweep)
        self.child.apply(batch)


@dataclass(frozen=True, slots=True)
class Adopt:
    """A dead driver's running trial becomes another's; False where it is none of that driver's any more."""

    trial_id: int
    owner: str
    heir: str

    def prepare(self, batch: Batch) -> None:
        batch.part(OptunaRows).want_trial(self.trial_id)

    def apply(self, batch: Batch) -> bool:
        check_held(batch.connection, self.heir)
        row = batch.part(OptunaRows).trials.get(self.trial_id)
        if row is None or _owner_of(batch, self.trial_id, row.state) != self.owner:
            return False
        _hand_to(batch, self.trial_id, self.heir)
        return True


class _Owners:
    """The part of a transaction that says whose trials are: many writes of one trial ask once."""

    is_pipelined: ClassVar[bool] = True

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._names: dict[int, str | None] = {}

    def of(self, trial_id: int) -> str | None:
        if trial_id not in self._names:
            owner = compiled(self._connection.dialect.name, _OWNER).run(
                self._connection, {"trial": trial_id, "key": OWNER}
            )
            row = owner.fetchone()
            self._names[trial_id] = NOBODY_EVER if row is None else json.loads(row[0])
        return self._names[trial_id]

    def now(self, trial_id: int, sweep: str | None) -> None:
        self._names[trial_id] = sweep

    def fetch(self) -> None:
        """Nothing is known before the writes ask."""

    def flush(self) -> None:
        """The rows are Optuna's."""


def _check_own(batch: Batch, trial_id: int, sweep: str) -> None:
    row = batch.part(OptunaRows).trials.get(trial_id)
    if row is None or row.state.is_finished():
        return  # for the change itself to find
    if _owner_of(batch, trial_id, row.state) not in (sweep, NOBODY_EVER):
        raise Superseded(f"trial {row.number} went to another driver: what became of it here is not written")


def _owner_of(batch: Batch, trial_id: int, state: TrialState) -> str | None:
    owner = batch.part(_Owners).of(trial_id)
    return owner if owner == NOBODY_EVER or state == TrialState.RUNNING else None


def _hand_to(batch: Batch, trial_id: int, sweep: str | None) -> None:
    batch.part(OptunaRows).put(trial_system_attrs, trial_id, OWNER, {"value_json": json.dumps(sweep)})
    batch.part(_Owners).now(trial_id, sweep)
