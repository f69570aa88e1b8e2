"""Everything that one driver puts on record beside Optuna's tables: its sweep, its runs, and what is heard of
them.

Writes share the storage's writer, so that a trial's end and its value are one transaction; each gives a
future that resolves when it is durable, in order of submission.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from optuna.exceptions import UpdateFinishedTrialError

from sweeper.errors import NotFound, StorageError
from sweeper.record.entry import CodeTaken, Heard, Judged, Nothing, RunOpened, SweepEnded, SweepOpened, columns_of
from sweeper.record.orphan import dead_sweeps, orphans
from sweeper.record.outage import Health
from sweeper.record.run_rows import text
from sweeper.record.spool import taken_in
from sweeper.record.storage import Storage
from sweeper.record.writer import FAREWELL_S
from sweeper.trial import Event, TrialSpec


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
    folder: str
    started_at: float
    code: str | None = None  # sha256 of a code snapshot on record
    root: str | None = None  # where that code lay
    cwd: str | None = None  # where the command was given
    artifacts: str | None = None  # URL of the artifact store


@dataclass(frozen=True)
class Code:
    """One state of the code: the columns of `sweeper_code`. Texts arrive with their secrets masked."""

    code: str  # sha256 of the document
    commit: str | None
    branch: str | None
    remote: str | None
    is_dirty: bool | None
    document: str  # JSON


class Record:
    """The record of one driver, in the database of its storage."""

    def __init__(self, storage: Storage, outage_limit_s: float = 900.0) -> None:
        self._storage = storage
        self._writer = storage.writer
        self._outage_limit_s = outage_limit_s

    def sweep_opened(self, sweep: Sweep) -> Future[None]:
        """A sweep begins; runs that earlier drivers of its study left behind end as lost."""
        columns = {name: text(value) if isinstance(value, str) else value for name, value in asdict(sweep).items()}
        self._writer.spool_to(_spool_of(sweep.folder, sweep.sweep))
        return self._writer.submit(SweepOpened(columns))

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

    def heard(self, events: Sequence[Event]) -> Future[None]:
        """What runs have done. To hear an event twice changes nothing, and of two points with one name and
        step the later seq is kept. The future fails with NotFound for a run that is not on record.
        """
        return self._writer.submit(Heard(tuple(events)))

    def orphans(self, study: str) -> list[int]:
        """The numbers of the study's RUNNING trials whose driver is gone.

        What those drivers had to leave in a spool is taken in first: a trial whose end was in it is no orphan.
        """
        for sweep, folder in self._storage.ask(lambda connection: dead_sweeps(connection, study)):
            self.take_in(_spool_of(folder, sweep))
        return self._storage.ask(lambda connection: orphans(connection, study))

    def take_in(self, spool: Path) -> None:
        """Write what a driver that is gone left in a spool; one that is alive keeps its own."""
        with taken_in(spool) as writes:
            late = [self._writer.submit(write) for write in writes]
            for future in late:
                with suppress(KeyError, UpdateFinishedTrialError, NotFound, StorageError):  # it is in already, or void
                    future.result()

    def health(self) -> Health:
        """Whether the database takes writes, and how many wait."""
        return self._writer.health()

    def takes_trials(self) -> bool:
        """Whether new trials may be placed: not once the database has been out of reach for the limit."""
        return self._writer.health().outage_s < self._outage_limit_s

    def close(self) -> None:
        """Wait until everything given so far is durable; the storage stays open.

        While the database is out of reach, it is waited for 5 s. What is not written by then stays in the spool
        when the storage is closed, and the study's next launch takes it in.
        """
        given = self._writer.submit(Nothing())
        with suppress(TimeoutError):
            given.result(FAREWELL_S)


def _spool_of(folder: str, sweep: str) -> Path:
    return Path(folder) / ".sweeper" / f"spool-{sweep}.jsonl"
