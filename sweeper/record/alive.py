"""Whether the driver of a sweep is alive, as far as anybody can know.

Time is the database's: PostgreSQL's clock, or for SQLite, whose file one machine alone uses, that machine's monotonic
clock. No driver's own clock counts, and setting the wall clock bends nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection, func, select

from sweeper.record.process import Fate, boot, boot_of, fate

monotonic = time.monotonic


@dataclass(frozen=True, slots=True)
class Lease:
    """A sweep's lease by itself."""

    ended_at: float | None
    process: str | None
    lease_until: float | None


class Held(Protocol):
    """What of a sweep's row tells whether its driver lives."""

    @property
    def ended_at(self) -> float | None: ...
    @property
    def process(self) -> str | None: ...
    @property
    def lease_until(self) -> float | None: ...


def clock(connection: Connection) -> float:
    """The present time, in seconds, by which leases are given."""
    if connection.dialect.name == "sqlite":
        return monotonic()
    return float(connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())


def is_alive(sweep: Held, now: float, dialect: str) -> bool:
    """Whether a driver is still at work on a sweep, as far as anybody can know."""
    if sweep.ended_at is not None or sweep.process is None or sweep.lease_until is None:
        return False
    if dialect == "sqlite" and boot_of(sweep.process) != boot():
        return False  # the machine was started anew since, and its clock with it
    return fate(sweep.process) is not Fate.GONE and now < sweep.lease_until
