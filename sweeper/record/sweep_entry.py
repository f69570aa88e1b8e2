"""The entries of a record about sweeps: one begins, alone or beside others, gets a new target, ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, select, update

from sweeper.errors import LaunchError
from sweeper.record.alive import clock
from sweeper.record.batch import Batch, Blind
from sweeper.record.lease import LEASE_S, Holder, bury, holders
from sweeper.record.optuna_rows import studies
from sweeper.record.statement import insert_if_absent
from sweeper.record.tables import sweeps


@dataclass(frozen=True, slots=True)
class SweepJoined(Blind):
    """A sweep, with the columns of its row, and its lease; what dead drivers of its study had is ended."""

    columns: Mapping[str, object]

    def apply(self, batch: Batch) -> None:
        connection, study = batch.connection, str(self.columns["study"])
        of_study = select(studies.c.study_id).where(studies.c.study_name == study)
        connection.execute(
            of_study.with_for_update(key_share=True)
        ).all()  # of two launches at once, one sees the other
        alive, dead = holders(connection, study)
        self.check([one for one in alive if one.sweep != self.columns["sweep"]], study)
        bury(connection, dead)
        statement = insert_if_absent(connection.dialect.name, sweeps, "id", key=("sweep",))
        connection.execute(statement, {**self.columns, "lease_until": clock(connection) + LEASE_S})

    def check(self, others: Sequence[Holder], study: str) -> None:
        """Raise where this sweep must not begin beside those that others drive."""


@dataclass(frozen=True, slots=True)
class SweepOpened(SweepJoined):
    """The same for a sweep that wants to be the only one of its study: LaunchError while another driver lives."""

    def check(self, others: Sequence[Holder], study: str) -> None:
        if others:
            who = " and ".join(
                f"{one.user}'s process {one.pid} on {one.host} since {_utc(one.started_at)}" for one in others
            )
            raise LaunchError(
                f"the study {study} is being swept by {who}; wait for it, type `sweeper stop {study}`, join it with "
                "hydra.sweeper.join=true, or give another hydra.sweeper.study_name"
            )


@dataclass(frozen=True, slots=True)
class SweepEnded(Blind):
    """A sweep's end."""

    sweep: str
    outcome: str
    time: float

    def apply(self, batch: Batch) -> None:
        statement = update(sweeps).where(sweeps.c.sweep == self.sweep)
        batch.connection.execute(statement, {"outcome": self.outcome, "ended_at": self.time})


@dataclass(frozen=True, slots=True)
class Extended(Blind):
    """A new target for a sweep's study."""

    sweep: str
    n_trials: int

    def apply(self, batch: Batch) -> None:
        batch.connection.execute(update(sweeps).where(sweeps.c.sweep == self.sweep), {"n_trials": self.n_trials})


def ended_sweeps(connection: Connection, study: str) -> list[tuple[str, str]]:
    """The sweeps of a study that are over, however they ended, each with its folder."""
    over = select(sweeps.c.sweep, sweeps.c.folder).where(sweeps.c.study == study, sweeps.c.ended_at.is_not(None))
    return [(row.sweep, row.folder) for row in connection.execute(over)]


def _utc(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
