"""What runs on the node: a host, spoken to over Ray, that goes on while nobody listens.

A trial's events are numbered from 0, as the lines of its journal are, and whoever listens names the first that it
lacks. What was heard is forgotten; where too much has gathered, it is read from the trial's journal instead. So a reply
that is lost costs nothing, and a driver that takes the place of a dead one hears everything.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sweeper.errors import LaunchError
from sweeper.launch import inventory
from sweeper.launch.travel import Ground, Travel
from sweeper.provenance.store import open_store
from sweeper.run.app import App
from sweeper.run.host import Host
from sweeper.run.journal import JournalReader, journal_path, so_far
from sweeper.trial import Ended, Event, Failure, Isolation, TrialSpec, behind, lines_of

GRACE_S = 3.0  # between SIGTERM and SIGKILL, where a driver ends a trial for good
_ABANDONED_S = 1800.0  # without a sign of a driver, and without a trial
_MOST_KEPT = 50_000  # events in memory
_PIECE_BYTES = 8 << 20  # of a file, in one answer


@dataclass(frozen=True, slots=True)
class Arrived:
    """What an actor finds where it was placed."""

    node: str  # Ray's id
    host: str
    lacks_code: bool = False  # the driver's folder is not to be seen here, and the code has not come along
    apart: str | None = None  # where the folders of runs lie, which only this node sees; None where the driver does
    is_far: bool = False  # whether files are to be taken from here, as the store is out of reach
    unforkable: str | None = None  # why trials are spawned though they were to be forked


class SlotActor:
    """A share of a node, and the trial that it runs or has run last."""

    def __init__(
        self, app: App, environment: dict[str, str], isolation: Isolation, travel: Travel | None = None
    ) -> None:
        self._problem: LaunchError | None = None
        self._ground: Ground | None = None
        try:
            self._ground = None if travel is None else travel.arrive()
        except LaunchError as problem:  # raised here, it would be a lost actor to the driver
            self._problem = problem
        self._host = Host(app if self._ground is None else self._ground.app(app), environment, isolation)
        self._spec: TrialSpec | None = None
        self._latest = ""  # the run that began last
        self._events: list[Event] = []
        self._first = 0  # the number of events[0]
        self._grown = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._heard_at = time.monotonic()
        self._watch: asyncio.Task[None] | None = None

    async def ready(self) -> Arrived:
        """Wait until the app is imported, unless the code is missing."""
        import ray

        if self._watch is None:
            self._watch = asyncio.create_task(self._leave_when_abandoned())
        if self._problem is not None:
            raise self._problem
        found = Arrived(ray.get_runtime_context().get_node_id(), socket.gethostname())
        ground = self._ground
        if ground is not None:
            found = replace(found, lacks_code=ground.lacks_code, apart=ground.apart, is_far=ground.store is not None)
        if not found.lacks_code:
            await self._host.ready()
        return replace(found, unforkable=self._host.unforkable)

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
        """Start a trial, unless it has begun already; returns its first events, as `hear` does."""
        if self._latest == spec.run:  # an answer was lost on its way
            return await self.hear(spec.run, 0, patience_s)
        self._spec, self._events, self._first = replace(spec, base=b"", payload=b""), [], 0
        self._latest = spec.run
        self._grown = asyncio.Event()
        self._work = asyncio.create_task(self._listen(self._here(spec)))
        return await self.hear(spec.run, 0, patience_s)

    async def hear(self, run: str, heard: int, patience_s: float) -> tuple[Event, ...]:
        """A run's events from number `heard` on, as soon as there are any; none after `patience_s`.

        Raises LookupError where it is not, or no longer, the one that is held here: Ray keeps no order among calls.
        """
        self._heard_at = time.monotonic()
        self._check_held(run)
        self._forget(heard)
        if heard == self._first + lines_of(self._events):
            try:
                async with asyncio.timeout(patience_s):
                    await self._grown.wait()
            except TimeoutError:
                return ()
            self._check_held(run)
        self._grown.clear()
        return (*self._from_journal(heard), *behind(self._events, heard - self._first))

    async def holds(self) -> TrialSpec | None:
        """The trial whose end nobody has heard yet; without what its config is made of."""
        return self._spec

    async def forget(self, run: str) -> None:
        """The end of this run was heard."""
        if self._spec is not None and self._spec.run == run:
            self._spec, self._events, self._first = None, [], 0

    def piece(self, sha256: str, offset: int) -> bytes:
        """Some of a file that waits here for the sweep's store; nothing behind its end."""
        with open_store(self._store()).open(sha256) as file:
            file.seek(offset)
            return file.read(_PIECE_BYTES)

    def file_taken(self, sha256: str) -> None:
        """It is in the sweep's store."""
        open_store(self._store()).discard(sha256, used_before=time.time())

    async def answer(self, step: int, prune: bool) -> None:
        self._host.answer(step, prune)

    async def stop(self, run: str, failure: Failure, error: str) -> None:
        """End the trial of this run; of any other, nothing is ended."""
        grace_s = GRACE_S
        if failure == Failure.PREEMPTED and self._spec is not None:  # it may take its time for a checkpoint
            grace_s = self._spec.limits.grace_s
        self._host.stop(run, failure, error, grace_s)

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

    async def _listen(self, spec: TrialSpec) -> None:
        """Gather what the trial says. Whatever breaks, its end is heard: nobody else knows that nothing more comes."""
        try:
            async for events in self._host.run(spec):
                self._gather(events)
        except Exception as error:
            self._host.close()
            heard = self._first + lines_of(self._events)
            self._gather(so_far(spec.folder, spec.run, heard, Failure.LOST, f"its slot broke: {error}"))

    def _gather(self, events: Sequence[Event]) -> None:
        self._events += events
        if lines_of(self._events) > _MOST_KEPT and not isinstance(events[-1], Ended):
            self._first += lines_of(self._events)
            self._events = []
        self._grown.set()

    def _check_held(self, run: str) -> None:
        if self._spec is None or self._spec.run != run:
            raise LookupError(f"run {run} is not held here")

    def _forget(self, heard: int) -> None:
        if heard > self._first:
            self._events = behind(self._events, heard - self._first)
            self._first = heard

    def _from_journal(self, heard: int) -> list[Event]:
        """Events that are no longer kept here."""
        if self._spec is None or heard >= self._first:
            return []
        own = self._here(self._spec)
        return JournalReader(journal_path(own.folder, own.run), own.run).read()[heard : self._first]

    def _here(self, spec: TrialSpec) -> TrialSpec:
        return spec if self._ground is None else self._ground.spec(spec)

    def _store(self) -> str:
        if self._ground is None or self._ground.store is None:
            raise LaunchError("nothing waits here: this node reaches the sweep's store")
        return self._ground.store
