"""Everything that one driver puts on record beside Optuna's tables: its sweep, its runs, and what is heard of
them.

Writes share the storage's writer, so that a trial's end and its value are one transaction; each gives a
future that resolves when it is durable, in order of submission.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState
from sqlalchemy import Connection, select

from sweeper.errors import StorageError, SweeperError
from sweeper.record.entry import CodeTaken, Heard, Judged, Nothing, RunAdopted, RunOpened, columns_of
from sweeper.record.lease import Beat, Bury
from sweeper.record.optuna_rows import studies, trials
from sweeper.record.outage import Health
from sweeper.record.owner import Orphan, driven, orphans
from sweeper.record.request import Answered, open_requests
from sweeper.record.run_rows import text
from sweeper.record.spool import taken_in
from sweeper.record.storage import Storage
from sweeper.record.sweep_entry import Extended, SweepEnded, SweepJoined, SweepOpened, ended_sweeps
from sweeper.record.tables import runs, sweeps
from sweeper.record.writer import FAREWELL_S
from sweeper.trial import Answer, Event, Failure, Request, TrialSpec


@dataclass(frozen=True)
class Sweep:
    """One launch: the columns of `sweeper_sweeps`. Texts arrive with their secrets masked."""

    sweep: str  # uuid4, 32 hex digits
    study: str
    command: str
    settings: str  # JSON
    space: str  # JSON
    sampler: str
    pruner: str
    user: str
    host: str
    pid: int
    process: str  # by `record.process.identity`
    folder: str
    cwd: str  # where the command was given
    n_trials: int
    started_at: float
    code: str | None = None  # sha256 of a code snapshot on record
    root: str | None = None  # where that code lay
    artifacts: str | None = None  # URL of the artifact store
    defaults: str | None = None  # JSON: the app's resolved config with no override at all


@dataclass(frozen=True)
class Code:
    """One state of the code: the columns of `sweeper_code`. Texts arrive with their secrets masked."""

    code: str  # sha256 of the document
    commit: str | None
    branch: str | None
    remote: str | None
    is_dirty: bool | None
    document: str  # JSON


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest run of a trial."""

    run: str
    attempt: int
    folder: str
    artifacts: str | None  # URL of its sweep's artifact store, secrets masked
    collect: tuple[str, ...]  # its sweep's patterns of what is kept of the folder


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A run that was not heard to its end."""

    number: int
    run: str
    folder: str


class Record:
    """The record of one driver, in the database of its storage."""

    def __init__(self, storage: Storage, outage_limit_s: float = 900.0) -> None:
        self._storage = storage
        self._writer = storage.writer
        self._outage_limit_s = outage_limit_s

    def sweep_opened(self, sweep: Sweep) -> Future[None]:
        """A sweep begins, with a lease; what earlier drivers of its study left behind ends as lost.

        The future fails with LaunchError, saying who it is, while another driver of the study lives.
        """
        return self._open(SweepOpened(_columns(sweep)), sweep)

    def sweep_joined(self, sweep: Sweep) -> Future[None]:
        """A sweep begins beside those that other living drivers have of its study."""
        return self._open(SweepJoined(_columns(sweep)), sweep)

    def _open(self, write: SweepJoined, sweep: Sweep) -> Future[None]:
        self._writer.spool_to(_spool_of(sweep.folder, sweep.sweep))
        self._storage.drive(sweep.sweep)
        return self._writer.submit(write)

    def beat(self, sweep: str) -> Future[None]:
        """Renew the lease. The future fails with Superseded where another driver has taken over."""
        return self._writer.submit(Beat(sweep))

    def bury(self, study: str, by: str | None) -> Future[int]:
        """End the sweeps of a study whose drivers are dead; gives how many there were."""
        return self._writer.submit(Bury(study, by))

    def extended(self, sweep: str, n_trials: int) -> Future[None]:
        """The study's target has changed."""
        return self._writer.submit(Extended(sweep, n_trials))

    def requests(self, sweep: str) -> list[Request]:
        """What the driver has been asked and has not answered. StorageError while the database is out of reach."""
        return self._storage.ask(lambda connection: open_requests(connection, sweep))

    def answered(self, request: Request, answer: Answer) -> Future[None]:
        """Say to whoever asked what came of it."""
        return self._writer.submit(Answered(request.request, answer))

    def sweep_ended(self, sweep: str, outcome: str) -> Future[None]:
        """A sweep is over: finished, stopped or failed."""
        return self._writer.submit(SweepEnded(sweep, outcome, time.time()))

    def code_taken(self, snapshot: Code) -> Future[None]:
        """A state of the code is on record from now on, once however often it is given."""
        columns = {name: text(value) if isinstance(value, str) else value for name, value in asdict(snapshot).items()}
        return self._writer.submit(CodeTaken(columns | {"taken_at": time.time()}))

    def judged(self, run: str, verdict: str) -> Future[None]:
        """How a run compares with the one that it repeats; the verdict is JSON."""
        return self._writer.submit(Judged(run, verdict))

    def run_opened(self, sweep: str, spec: TrialSpec) -> Future[None]:
        """A run is about to start; earlier attempts of its trial that never ended are lost.

        The future fails with StorageError where another driver has opened the same attempt.
        """
        return self._writer.submit(RunOpened(columns_of(sweep, spec)))

    def run_adopted(self, sweep: str, run: str) -> Future[None]:
        """A run whose driver is dead goes on, heard by the driver of this sweep."""
        return self._writer.submit(RunAdopted(run, sweep))

    def heard(self, events: Sequence[Event]) -> Future[None]:
        """What runs have done. To hear an event twice changes nothing, and of two points with one name and
        step the later seq is kept. The future fails with NotFound for a run that is not on record.
        """
        return self._writer.submit(Heard(tuple(events)))

    def heard_soon(self, events: Sequence[Event]) -> Future[None]:
        """As `heard`, but in one transaction with what is written next, such as the trial's value; within 0.2 s."""
        return self._writer.submit_soon(Heard(tuple(events)))

    def ended_sweeps(self, study: str) -> list[str]:
        """The sweeps of a study that are over, however they ended."""
        return [sweep for sweep, _ in self._storage.ask(lambda connection: ended_sweeps(connection, study))]

    def orphans(self, study: str) -> list[Orphan]:
        """The study's RUNNING trials whose driver is dead and buried.

        What those drivers had to leave in a spool is taken in first: a trial whose end was in it is no orphan.
        """
        for sweep, folder in self._storage.ask(lambda connection: ended_sweeps(connection, study)):
            self.take_in(_spool_of(folder, sweep))
        return self._storage.ask(lambda connection: orphans(connection, study))

    def driven(self, study: str) -> set[int]:
        """The numbers of the study's RUNNING trials whose sweep has not ended."""
        return self._storage.ask(lambda connection: driven(connection, study))

    def take_in(self, spool: Path) -> None:
        """Write what a driver that is gone left in a spool; one that is alive keeps its own."""
        with taken_in(spool) as writes:
            late = [self._writer.submit(write) for write in writes]
            for future in late:
                with suppress(KeyError, UpdateFinishedTrialError, SweeperError):  # it is in already, or void
                    future.result()

    def last_run(self, study: str, number: int) -> LastRun | None:
        """The newest run of a trial; None where none was opened."""
        return self._storage.ask(lambda connection: _last_run(connection, study, number))

    def given_up(self, study: str) -> list[GivenUp]:
        """The runs of a study's unfinished trials that did not end by themselves, in order of attempts."""
        return self._storage.ask(lambda connection: _given_up(connection, study))

    def health(self) -> Health:
        """Whether the database takes writes, and how many wait."""
        return self._writer.health()

    def takes_trials(self) -> bool:
        """Whether new trials may be placed: not once the database has been out of reach for the limit."""
        return self._writer.health().outage_s < self._outage_limit_s

    def hurry(self) -> None:
        """The driver is about to end: a database that takes nothing is waited for 3.5 s more, and no longer."""
        self._writer.hurry()

    @property
    def has_parted(self) -> bool:
        """Whether the database was given up in that hurry: every write fails by now, and waits in the spool."""
        return self._writer.has_parted

    def close(self) -> None:
        """Wait until everything given so far is durable; the storage stays open.

        While the database is out of reach, it is waited for 3.5 s. What is not written by then stays in the spool
        when the storage is closed, and the study's next launch takes it in.
        """
        given = self._writer.submit(Nothing())
        with suppress(TimeoutError, StorageError):
            given.result(FAREWELL_S)


def _spool_of(folder: str, sweep: str) -> Path:
    return Path(folder) / ".sweeper" / f"spool-{sweep}.jsonl"


def _columns(sweep: Sweep) -> dict[str, object]:
    return {name: text(value) if isinstance(value, str) else value for name, value in asdict(sweep).items()}


def _last_run(connection: Connection, study: str, number: int) -> LastRun | None:
    of_trial = (runs.c.study == study) & (runs.c.number == number)
    columns = (runs.c.run, runs.c.attempt, runs.c.folder, sweeps.c.artifacts, sweeps.c.settings)
    query = select(*columns).outerjoin_from(runs, sweeps, sweeps.c.sweep == runs.c.sweep).where(of_trial)
    row = connection.execute(query.order_by(runs.c.attempt.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    patterns = json.loads(row.settings or "{}").get("collect")
    return LastRun(row.run, row.attempt, row.folder, row.artifacts, tuple(patterns or ()))


def _given_up(connection: Connection, study: str) -> list[GivenUp]:
    unfinished = (
        select(trials.c.number)
        .join(studies, studies.c.study_id == trials.c.study_id)
        .where(studies.c.study_name == study, trials.c.state.in_([TrialState.RUNNING, TrialState.WAITING]))
    )
    failures = [Failure.LOST, Failure.STOPPED, Failure.PREEMPTED]
    of_them = (runs.c.study == study) & runs.c.failure.in_(failures) & runs.c.number.in_(unfinished)
    query = select(runs.c.number, runs.c.run, runs.c.folder).where(of_them).order_by(runs.c.number, runs.c.attempt)
    return [GivenUp(*row) for row in connection.execute(query)]
