"""The driver's desk: beside the trials it renews the lease, takes over from dead drivers and does what it is asked."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from sweeper.brake import Brake
from sweeper.errors import StorageError
from sweeper.sweep import first_of
from sweeper.trial import Answer, Request


class Office(Protocol):
    """The record as the desk sees it."""

    def beat(self, sweep: str) -> Future[None]: ...
    def bury(self, study: str, by: str) -> Future[int]: ...
    def extended(self, sweep: str, n_trials: int) -> Future[None]: ...
    def requests(self, sweep: str) -> Sequence[Request]: ...
    def answered(self, request: Request, answer: Answer) -> Future[None]: ...


class Driven(Protocol):
    """The loop as the desk sees it."""

    brake: Brake

    @property
    def running(self) -> int: ...
    def pause(self) -> None: ...
    def go_on(self) -> None: ...
    def wake(self) -> None: ...
    def scale(self, n_jobs: int) -> None: ...
    async def kill(self, number: int, why: str) -> bool: ...
    async def conduct(self) -> None: ...


class Target(Protocol):
    """The study as the desk sees it."""

    n_trials: int


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often a driver does what it does beside its trials, in seconds."""

    lease_s: float
    beat_s: float
    look_s: float  # for requests


@dataclass
class Desk:
    """What one driver sees to while its sweep runs."""

    study: str
    uuid: str  # of the sweep
    record: Office
    sweep: Driven
    target: Target
    reap: Callable[[], Awaitable[int]]  # gives the trials of buried drivers their due, and says how many there were
    rhythm: Rhythm

    async def conduct(self) -> None:
        """Run the sweep to its end. Superseded, with its trials let go, where another driver has taken over."""
        try:
            async with asyncio.TaskGroup() as group:
                beside = [group.create_task(self._keep_the_lease()), group.create_task(self._answer())]
                await self.sweep.conduct()
                for task in beside:
                    task.cancel()
        except BaseExceptionGroup as errors:
            raise first_of(errors) from None

    async def _keep_the_lease(self) -> None:
        """Beat, and bury the dead: but only who could beat for a whole lease knows that the others could as well."""
        loop = asyncio.get_running_loop()
        steady_since = before = loop.time()
        while True:
            await asyncio.wrap_future(self.record.beat(self.uuid))
            now = loop.time()
            if now - before > 2 * self.rhythm.beat_s:
                steady_since = now
            before = now
            if now - steady_since >= self.rhythm.lease_s:
                await asyncio.wrap_future(self.record.bury(self.study, self.uuid))
                if await self.reap():
                    self.sweep.wake()
            await asyncio.sleep(self.rhythm.beat_s)

    async def _answer(self) -> None:
        while True:
            for request in await self._asked():
                await asyncio.wrap_future(self.record.answered(request, await self._do(request)))
            await asyncio.sleep(self.rhythm.look_s)

    async def _asked(self) -> Sequence[Request]:
        try:
            return await asyncio.to_thread(self.record.requests, self.uuid)
        except StorageError:  # out of reach at the moment
            return ()

    async def _do(self, request: Request) -> Answer:
        order = _ORDERS.get(request.kind)
        if order is None:
            return Answer(False, f"this driver knows no request {request.kind!r}: it is of another release")
        try:
            return await order(self, request)
        except (KeyError, TypeError, ValueError):
            return Answer(False, f"this driver cannot read the request {request.kind!r}: it is of another release")

    async def _drain(self, _: Request) -> Answer:
        self.sweep.brake.drain(signal.SIGINT)
        return Answer(True, f"starts no new trials; {self._running()} still")

    async def _stop(self, _: Request) -> Answer:
        self.sweep.brake.stop(signal.SIGTERM)
        return Answer(True, f"stops; {self._running()} until a moment ago")

    async def _pause(self, _: Request) -> Answer:
        self.sweep.pause()
        return Answer(True, f"starts no new trials until `sweeper resume {self.study}`; {self._running()} still")

    async def _go_on(self, _: Request) -> Answer:
        self.sweep.go_on()
        return Answer(True, f"goes on; {self._running()}")

    async def _extend(self, request: Request) -> Answer:
        self.target.n_trials += _positive(request.argument["by"])
        await asyncio.wrap_future(self.record.extended(self.uuid, self.target.n_trials))
        self.sweep.wake()
        return Answer(True, f"the target is {self.target.n_trials} trials now")

    async def _scale(self, request: Request) -> Answer:
        n_jobs = _positive(request.argument["n_jobs"])
        self.sweep.scale(n_jobs)
        return Answer(True, f"runs at most {n_jobs} at once from now on, where there is room; {self._running()} now")

    async def _kill(self, request: Request) -> Answer:
        number = int(str(request.argument["number"]))
        if not await self.sweep.kill(number, f"killed by {request.user} on {request.host}"):
            return Answer(False, f"trial {number} does not run here at the moment")
        return Answer(True, f"trial {number} is being ended, as failed")

    def _running(self) -> str:
        return "1 trial runs" if self.sweep.running == 1 else f"{self.sweep.running} trials run"


def _positive(given: object) -> int:
    number = int(str(given))
    if number < 1:
        raise ValueError(f"{number} is not positive")
    return number


_ORDERS: dict[str, Callable[[Desk, Request], Awaitable[Answer]]] = {
    "stop": Desk._drain,
    "stop now": Desk._stop,
    "pause": Desk._pause,
    "resume": Desk._go_on,
    "extend": Desk._extend,
    "scale": Desk._scale,
    "kill": Desk._kill,
}
