"""Watches whether the database takes what a sweep writes; says where it does not, and after a limit starts no trial."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from sweeper.beside import beside
from sweeper.brake import Brake

if TYPE_CHECKING:
    from sweeper.record.outage import Health

_LOOK_S = 1.0  # between two looks; an outage shorter than this is nobody's business


class Writing(Protocol):
    """The record as the vigil sees it."""

    def health(self) -> Health: ...
    def takes_trials(self) -> bool: ...


async def watched(
    sweep: Coroutine[Any, Any, None], record: Writing, notice: Callable[[str], None], brake: Brake
) -> None:
    """Run the sweep to its end, with an eye on its record."""
    async with beside(_watch(record, notice, brake)):
        await sweep


async def _watch(record: Writing, notice: Callable[[str], None], brake: Brake) -> None:
    is_out = False
    while True:
        health = record.health()
        if not is_out and health.outage_s >= _LOOK_S:
            is_out = True
            notice(f"the database cannot be written ({health.reason}): trials go on, and what they write waits on disk")
        elif is_out and health.outage_s == 0.0:
            is_out = False
            notice("the database can be written again")
        if not brake.is_draining and not record.takes_trials():
            minutes = health.outage_s / 60
            notice(f"no further trials: the database could not be written for {minutes:.0f} minutes ({health.reason})")
            brake.drain()
        await asyncio.sleep(_LOOK_S)
