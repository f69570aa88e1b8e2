"""The driver's desk: beside the trials it renews the lease and takes over from drivers that are dead."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from sweeper.sweep import first_of


class Office(Protocol):
    """The record as the desk sees it."""

    def beat(self, sweep: str) -> Future[None]: ...
    def bury(self, study: str, by: str) -> Future[int]: ...


@dataclass
class Desk:
    """What one driver sees to while its sweep runs."""

    study: str
    sweep: str
    record: Office
    reap: Callable[[], Awaitable[int]]  # gives the trials of buried drivers their due, and says how many there were
    beat_s: float
    lease_s: float

    async def conduct(self, sweep: Coroutine[Any, Any, None]) -> None:
        """Run the sweep to its end. Superseded, with its trials let go, where another driver has taken over."""
        try:
            async with asyncio.TaskGroup() as group:
                attending = group.create_task(self._attend())
                await sweep
                attending.cancel()
        except BaseExceptionGroup as errors:
            raise first_of(errors) from None

    async def _attend(self) -> None:
        """Beat, and bury the dead: but only who could beat for a whole lease knows that the others could as well."""
        loop = asyncio.get_running_loop()
        steady_since = before = loop.time()
        while True:
            await asyncio.wrap_future(self.record.beat(self.sweep))
            now = loop.time()
            if now - before > 2 * self.beat_s:
                steady_since = now
            before = now
            if now - steady_since >= self.lease_s:
                await asyncio.wrap_future(self.record.bury(self.study, self.sweep))
                await self.reap()
            await asyncio.sleep(self.beat_s)
