"""Everything that one driver puts on record beside Optuna's tables: its sweep, its runs, and what is heard of
them.

Writes share the storage's writer, so that a trial's end and its value are one transaction; each gives a
future that resolves when it is durable, in order of submission.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass

from sweeper.record.entry import Heard, Nothing, RunOpened, SweepEnded, SweepOpened, columns_of
from sweeper.record.orphan import orphans
from sweeper.record.run_rows import text
from sweeper.record.storage import Storage
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


class Record:
    """The record of one driver, in the database of its storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._writer = storage.writer

    def sweep_opened(self, sweep: Sweep) -> Future[None]:
        """A sweep begins; runs that earlier drivers of its study left behind end as lost."""
        columns = {name: text(value) if isinstance(value, str) else value for name, value in asdict(sweep).items()}
        return self._writer.submit(SweepOpened(columns))

    def sweep_ended(self, sweep: str, outcome: str) -> Future[None]:
        """A sweep is over: finished, stopped or failed."""
        return self._writer.submit(SweepEnded(sweep, outcome, time.time()))

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
        """The numbers of the study's RUNNING trials whose driver is gone."""
        return self._storage.ask(lambda connection: orphans(connection, study))

    def close(self) -> None:
        """Wait until everything given so far is durable; the storage stays open."""
        self._writer.submit(Nothing()).result()
