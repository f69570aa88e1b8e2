"""Leases: a driver holds one on its sweep and renews it; once it is over, or the process gone, it counts as dead."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import Connection, bindparam, select, update

from sweeper.errors import Superseded
from sweeper.record.alive import clock, is_alive
from sweeper.record.batch import Batch, Blind
from sweeper.record.statement import compiled
from sweeper.record.tables import runs, sweeps
from sweeper.trial import Failure

LEASE_S = 30.0  # how long a driver counts as alive without a sign
BEAT_S = 5.0  # how often it gives one

_END = select(sweeps.c.ended_at).where(sweeps.c.sweep == bindparam("sweep")).with_for_update(read=True)
_COLUMNS = (
    *(sweeps.c.sweep, sweeps.c.folder, sweeps.c.user, sweeps.c.host, sweeps.c.pid, sweeps.c.process),
    *(sweeps.c.started_at, sweeps.c.ended_at, sweeps.c.lease_until, sweeps.c.n_trials),
)


@dataclass(frozen=True, slots=True)
class Holder:
    """A sweep and who drives it."""

    sweep: str
    folder: str
    user: str
    host: str
    pid: int
    process: str | None
    started_at: float
    ended_at: float | None
    lease_until: float | None
    n_trials: int | None


def holders(connection: Connection, study: str) -> tuple[list[Holder], list[Holder]]:
    """The study's sweeps that have not ended: those whose driver lives, and those whose driver is dead."""
    query = select(*_COLUMNS).where(sweeps.c.study == study, sweeps.c.ended_at.is_(None)).order_by(sweeps.c.id)
    unended = [Holder(**row) for row in connection.execute(query).mappings()]
    now = clock(connection) if unended else 0.0
    alive = [one for one in unended if is_alive(one, now, connection.dialect.name)]
    return alive, [one for one in unended if one not in alive]


def bury(connection: Connection, dead: list[Holder]) -> None:
    """End sweeps whose driver is dead, with the runs it had: from now on it can write nothing more for them."""
    names = [one.sweep for one in dead]
    if names:
        now = time.time()
        of_dead = runs.c.sweep.in_(names) & (runs.c.state == TrialState.RUNNING.name)
        connection.execute(update(runs).where(of_dead), lost("the driver of its sweep is gone", now))
        unended = sweeps.c.sweep.in_(names) & sweeps.c.ended_at.is_(None)
        connection.execute(update(sweeps).where(unended), {"ended_at": now, "outcome": "lost"})


def lost(why: str, now: float) -> dict[str, object]:
    """The columns of a run that nobody hears of any more."""
    return {
        "state": TrialState.FAIL.name,
        "failure": Failure.LOST.value,
        "error": why,
        "ended_at": now,
        "ended_seq": -1,  # whatever the run itself says of its end, once it is read, is truer
    }


def check_held(connection: Connection, sweep: str) -> None:
    """Raise Superseded unless the sweep still has its driver; nobody ends it before this transaction does."""
    row = compiled(connection.dialect.name, _END).run(connection, {"sweep": sweep}).fetchone()
    if row is None or row[0] is not None:
        raise superseded(sweep)


def superseded(sweep: str) -> Superseded:
    """What a driver is told whose sweep is no longer its own."""
    return Superseded(
        f"another driver has taken over from this one (sweep {sweep[:8]}), which had not renewed its lease for "
        f"{LEASE_S:g} s; nothing more is written here"
    )


@dataclass(frozen=True, slots=True)
class Beat(Blind):
    """A sign of life: the lease is renewed. Superseded where the sweep has been taken over."""

    sweep: str

    def apply(self, batch: Batch) -> None:
        connection = batch.connection
        mine = (sweeps.c.sweep == self.sweep) & sweeps.c.ended_at.is_(None)
        renewed: Any = connection.execute(update(sweeps).where(mine), {"lease_until": clock(connection) + LEASE_S})
        if not renewed.rowcount:
            raise superseded(self.sweep)


@dataclass(frozen=True, slots=True)
class Bury(Blind):
    """Ends the sweeps of a study whose drivers are dead; gives how many. A driver does so only while it lives."""

    study: str
    by: str | None  # the sweep of the driver that does it; None for somebody who drives nothing

    def apply(self, batch: Batch) -> int:
        if self.by is not None:
            check_held(batch.connection, self.by)
        _, dead = holders(batch.connection, self.study)
        bury(batch.connection, dead)
        return len(dead)
