"""What runs on the node: a host, spoken to over Ray, that goes on while nobody listens.

A trial's events are numbered from 0, and whoever listens names the first that it lacks. What was heard is forgotten;
where too much has gathered, it is read from the trial's journal instead. So a reply that is lost costs nothing, and a
driver that takes the place of a dead one hears everything.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace

from sweeper.launch import inventory
from sweeper.run.app import App
from sweeper.run.host import Host
from sweeper.run.journal import JournalReader, journal_path
from sweeper.trial import Ended, Event, Failure, Isolation, TrialSpec

GRACE_S = 3.0  # between SIGTERM and SIGKILL, where a driver ends a trial
_ABANDONED_S = 1800.0  # without a sign of a driver, and without a trial
_MOST_KEPT = 50_000  # events in memory


class SlotActor:
    """A share of a node, and the trial that it runs or has run last."""

    def __init__(self, app: App, environment: dict[str, str], isolation: Isolation) -> None:
        self._host = Host(app, environment, isolation)
        self._spec: TrialSpec | None = None
        self._events: list[Event] = []
        self._first = 0  # the number of events[0]
        self._grown = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._heard_at = time.monotonic()
        self._watch: asyncio.Task[None] | None = None

    async def ready(self) -> tuple[str, str | None]:
        """Wait until the app is imported; says on which node, and why trials are spawned if they cannot be forked."""
        import ray

        if self._watch is None:
            self._watch = asyncio.create_task(self._leave_when_abandoned())
        await self._host.ready()
        return ray.get_runtime_context().get_node_id(), self._host.unforkable

    async def obstacle(self, share: float) -> str | None:
        """Why a trial must not begin here now: somebody else is on the cards that this process sees."""
        return await asyncio.to_thread(inventory.obstacle, share)

    def address(self) -> tuple[str, int]:
        """Where processes of other nodes reach this one, and a port that is free here at the moment."""
        import ray

        with socket.socket() as free:
            free.bind(("", 0))
            own: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]  # Ray has no type there
            return own, free.getsockname()[1]

    async def begin(self, spec: TrialSpec, patience_s: float) -> tuple[Event, ...]:
        """Start a trial; returns its first events, as `hear` does."""
        self._spec, self._events, self._first = replace(spec, payload=b""), [], 0
        self._grown = asyncio.Event()
        self._work = asyncio.create_task(self._listen(self._host.run(spec)))
        return await self.hear(0, patience_s)

    async def hear(self, heard: int, patience_s: float) -> tuple[Event, ...]:
        """The running trial's events from number `heard` on, as soon as there are any; none after `patience_s`."""
        self._heard_at = time.monotonic()
        self._forget(heard)
        if heard == self._first + len(self._events):
            try:
                await asyncio.wait_for(self._grown.wait(), patience_s)
            except TimeoutError:
                return ()
        self._grown.clear()
        return (*self._from_journal(heard), *self._events[max(0, heard - self._first) :])

    async def holds(self) -> TrialSpec | None:
        """The trial whose end nobody has heard yet; without its payload."""
        return self._spec

    async def forget(self) -> None:
        """Its end was heard."""
        self._spec, self._events, self._first = None, [], 0

    async def answer(self, step: int, prune: bool) -> None:
        self._host.answer(step, prune)

    async def stop(self, failure: Failure, error: str) -> None:
        self._host.stop(failure, error, GRACE_S)

    async def beat(self) -> None:
        """Some driver lives."""
        self._heard_at = time.monotonic()

    async def _leave_when_abandoned(self) -> None:
        """Give the place back when no driver has come for long; what the last trial said lies in its journal."""
        while self._is_busy() or time.monotonic() - self._heard_at < _ABANDONED_S:
            await asyncio.sleep(_ABANDONED_S / 10)
        self._host.close()
        os._exit(0)

    def _is_busy(self) -> bool:
        return self._work is not None and not self._work.done()

    async def _listen(self, batches: AsyncIterator[tuple[Event, ...]]) -> None:
        async for events in batches:
            self._events += events
            if len(self._events) > _MOST_KEPT and not isinstance(events[-1], Ended):
                self._first += len(self._events)
                self._events = []
            self._grown.set()

    def _forget(self, heard: int) -> None:
        if heard > self._first:
            del self._events[: heard - self._first]
            self._first = heard

    def _from_journal(self, heard: int) -> list[Event]:
        """Events that are no longer kept here."""
        if self._spec is None or heard >= self._first:
            return []
        return JournalReader(journal_path(self._spec.folder, self._spec.run), self._spec.run).read()[
            heard : self._first
        ]
