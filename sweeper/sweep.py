"""The loop: ask, place, hear, record, tell. It is handed everything that it speaks to, and knows no Ray, SQL or Hydra.

A slot that frees asks at once; nobody waits for the slowest trial of a batch. A trial whose attempt crashed or was lost
goes back in line, and whichever slot is free first takes it up again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from optuna.trial import TrialState

from sweeper.attempt import Attempts
from sweeper.budget import Tally
from sweeper.errors import SweeperError
from sweeper.launch import Launcher, Slot
from sweeper.study import Asked
from sweeper.trial import Ended, Event, Failure, Reported, TrialSpec

STOPPED = "stopped on request; launching again tries this trial again"


class Trials(Protocol):
    """The study as the loop sees it."""

    async def ask(self) -> Asked | None: ...
    async def should_prune(self, asked: Asked, reports: Sequence[Reported]) -> bool: ...
    async def tell(self, asked: Asked, ended: Ended) -> None: ...
    async def give_back(self, asked: Asked) -> None: ...
    async def retry(self, asked: Asked) -> None: ...


class Ledger(Protocol):
    """The record as the loop sees it; each future is done when the write is durable."""

    def run_opened(self, sweep: str, spec: TrialSpec) -> Future[None]: ...
    def heard(self, events: Sequence[Event]) -> Future[None]: ...


class Watcher(Protocol):
    """Whoever looks on: the display."""

    def opened(self, spec: TrialSpec) -> None: ...
    def heard(self, spec: TrialSpec, event: Event) -> None: ...
    def told(self, spec: TrialSpec, ended: Ended) -> None: ...
    def slots(self, total: int) -> None: ...
    def notice(self, text: str) -> None: ...


class Brake:
    """How a sweep is asked to end early: the first pull drains, the next stops. May be pulled from any thread."""

    def __init__(self) -> None:
        self.is_draining = False
        self.is_stopping = False
        self._pulled: Callable[[], None] = lambda: None

    def drain(self) -> None:
        """Start no further trial; let the running ones end."""
        self.is_draining = True
        self._pulled()

    def stop(self) -> None:
        """Stop the running trials too."""
        self.is_draining = self.is_stopping = True
        self._pulled()

    def pull(self) -> None:
        """What Ctrl-C does: drain, and the second time stop."""
        if self.is_draining:
            self.stop()
        else:
            self.drain()

    async def watch(self, drained: Callable[[], None]) -> None:
        """Return when the brake says stop; call `drained` when it first says drain."""
        loop = asyncio.get_running_loop()
        pulled = asyncio.Event()

        def pull() -> None:
            loop.call_soon_threadsafe(pulled.set)

        self._pulled = pull
        while not self.is_draining:
            await pulled.wait()
        drained()
        while not self.is_stopping:
            pulled.clear()
            await pulled.wait()


@dataclass
class Sweep:
    """One launch: everything that the loop is handed, and what runs at the moment."""

    uuid: str
    study: Trials
    launcher: Launcher
    record: Ledger
    spec: Callable[[Asked], TrialSpec]  # composes the trial; may raise SweeperError, which fails this trial alone
    tally: Tally
    watcher: Watcher
    brake: Brake
    attempts: Attempts = field(default_factory=Attempts)
    _running: dict[int, Slot] = field(default_factory=dict)
    _slots: int = 0
    _busy: int = 0  # slots that have a trial, or are asking for one
    _turn: asyncio.Event = field(default_factory=asyncio.Event)  # set, and replaced, when there may be one to ask for
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _began: float = field(default_factory=time.monotonic)

    async def conduct(self) -> None:
        """Keep every slot busy until nothing is left to do."""
        stopper = asyncio.create_task(self._stop_when_told())
        try:
            async with asyncio.TaskGroup() as group:
                tasks: list[asyncio.Task[None]] = []
                tasks.append(group.create_task(self._offer(lambda work: tasks.append(group.create_task(work)))))
                await self._over.wait()
                for task in tasks:
                    task.cancel()  # those that wait for a slot, or for a trial
        except BaseExceptionGroup as group_of_errors:
            raise _first(group_of_errors) from None
        finally:
            stopper.cancel()

    async def _offer(self, serve: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        """Put every slot of the launcher to work, those included that come while the sweep runs."""
        async for slot in self.launcher.slots():
            self._slots += 1
            if self._slots == 1:
                self.watcher.notice("")  # there is a slot: whatever was being started has started
            self.watcher.slots(self._slots)
            serve(self._serve(slot))
        if not self._slots:
            self._over.set()

    async def _serve(self, slot: Slot) -> None:
        """Keep one slot busy."""
        while True:
            await slot.ready()
            asked = await self._next()
            try:
                await self._settle(asked, await self._attempt(slot, asked))
            finally:
                self._busy -= 1
                self._wake()

    async def _next(self) -> Asked:
        """The next trial. While others run there may be one later, of those that have to be tried again."""
        while True:
            self._busy += 1
            asked = await self._ask()
            if asked is not None:
                return asked
            self._busy -= 1
            if not self._busy:
                self._over.set()
            await self._turn.wait()

    def _wake(self) -> None:
        turn, self._turn = self._turn, asyncio.Event()
        turn.set()

    async def _settle(self, asked: Asked, ended: Ended) -> None:
        """See to what an attempt's end means for its trial."""
        if ended.failure == Failure.STOPPED and self.brake.is_stopping:
            await self.study.give_back(asked)
        elif self.attempts.retries_after(ended, asked.retried):
            left = self.attempts.retries - asked.retried
            self.watcher.notice(f"trial {asked.number} {ended.failure}: {ended.error}; tried again ({left} left)")
            await self.study.retry(asked)
        else:
            await self.study.tell(asked, ended)
            self.tally.add(asked.number, ended)

    async def _ask(self) -> Asked | None:
        if self.brake.is_draining:
            return None
        if (reason := self.tally.spent(time.monotonic() - self._began)) is not None:
            self.watcher.notice(f"no further trials: {reason}")
            self.brake.drain()
            return None
        return await self.study.ask()

    async def _attempt(self, slot: Slot, asked: Asked) -> Ended:
        """Run one trial in `slot`. Whatever breaks on our side, the trial is not left RUNNING."""
        try:
            spec = self.spec(asked)
        except SweeperError as error:
            self.watcher.notice(f"trial {asked.number} cannot be composed: {error}")
            return Ended("", 0, time.time(), TrialState.FAIL, failure=Failure.ERROR, error=str(error))
        try:
            await asyncio.wrap_future(self.record.run_opened(self.uuid, spec))  # on record before it runs
            self.watcher.opened(spec)
            ended = await self._run(slot, asked, spec)
        except BaseException as error:
            await asyncio.shield(self._abandon(asked, spec, error))
            raise
        if not self.attempts.retries_after(ended, asked.retried):
            self.watcher.told(spec, ended)
        return ended

    async def _run(self, slot: Slot, asked: Asked, spec: TrialSpec) -> Ended:
        self._running[spec.number] = slot
        try:
            if self.brake.is_stopping:  # it was pulled while this trial was on its way
                ended = _stopped(spec)
                await asyncio.wrap_future(self.record.heard([ended]))
                return ended
            async for events in slot.run(spec):
                stored = self.record.heard(events)
                for event in events:
                    self.watcher.heard(spec, event)
                if reports := [event for event in events if isinstance(event, Reported)]:
                    prune = await self.study.should_prune(asked, reports)
                    await slot.answer(reports[-1].step, prune)
                if isinstance(last := events[-1], Ended):
                    await asyncio.wrap_future(stored)
                    return last
        finally:
            del self._running[spec.number]
        raise RuntimeError(f"the slot fell silent about run {spec.run}")

    async def _abandon(self, asked: Asked, spec: TrialSpec, error: BaseException) -> None:
        text = f"the sweep broke off: {type(error).__name__}: {error}"
        end = Ended(spec.run, 2**62, time.time(), TrialState.FAIL, failure=Failure.STOPPED, error=text)
        self.record.heard([end])
        await self.study.give_back(asked)

    async def _stop_when_told(self) -> None:
        await self.brake.watch(self._say_draining)
        self.watcher.notice("stopping the running trials")
        await asyncio.gather(*(slot.stop(Failure.STOPPED, STOPPED) for slot in self._running.values()))

    def _say_draining(self) -> None:
        self._wake()  # those that wait for a trial learn that none will come
        if self._running:
            self.watcher.notice(f"no new trials; {len(self._running)} running still (Ctrl-C again stops them)")


def _stopped(spec: TrialSpec) -> Ended:
    return Ended(spec.run, 0, time.time(), TrialState.FAIL, failure=Failure.STOPPED, error=STOPPED)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that broke the loop, without the wrapping: the others are cancellations that it caused."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
