"""The loop: ask, place, hear, record, tell. It is handed everything that it speaks to, and knows no Ray, SQL or Hydra.

A slot that frees asks at once; nobody waits for the slowest trial of a batch. A trial whose attempt crashed or was lost
goes back in line, and whichever slot is free first takes it up again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import TrialState

from sweeper.attempt import Attempts
from sweeper.beside import beside
from sweeper.brake import Brake
from sweeper.budget import Tally
from sweeper.counterpart import Adopted, Ledger, Trials, Watcher
from sweeper.errors import StorageError, Superseded, SweeperError
from sweeper.launch import Launcher, Slot
from sweeper.lost import LostAttempts, end_among
from sweeper.packing import Packing
from sweeper.study import Asked
from sweeper.trial import Ended, Event, Failure, Metered, Reported, TrialSpec

STOPPED = "stopped on request; launching again tries this trial again"
_PATIENCE_S = 10.0  # with slots that were told to stop their trials: that takes 3 s, unless they are out of reach
MISPLACED = "held another share of its card than it turned out to need"


@dataclass
class _Running:
    slot: Slot
    asked: Asked
    is_killed: bool = False


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
    lost: LostAttempts = field(default_factory=LostAttempts)
    n_jobs: int | None = None  # most trials at once; None: one for each slot
    packing: Packing = field(default_factory=Packing)  # with `gpus: auto`, what trials turn out to need
    _running: dict[int, _Running] = field(default_factory=dict)
    _adopted: dict[Slot, Adopted] = field(default_factory=dict)  # by the slot that the launcher is going to offer
    _asked: set[int] = field(default_factory=set)  # trials that were asked for, and do not run yet
    _killed: set[str] = field(default_factory=set)  # runs
    _slots: int = 0
    _busy: int = 0  # slots that have a trial, or are asking for one
    _is_paused: bool = False
    _is_dry: bool = False  # the study had no trial to give when it was asked last, and nothing has come back since
    _turn: asyncio.Event = field(default_factory=asyncio.Event)  # set, and replaced, when there may be one to ask for
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _began: float | None = None  # by the loop's clock

    @property
    def running(self) -> int:
        """How many trials run at the moment."""
        return len(self._running)

    def pause(self) -> None:
        """Start no trial until `go_on`."""
        self._is_paused = True

    def go_on(self) -> None:
        """Start trials again."""
        self._is_paused = False
        self.wake()

    def wake(self) -> None:
        """There may be a trial to ask for where there was none."""
        self._is_dry = False
        self._wake()

    def scale(self, n_jobs: int) -> None:
        """Run so many trials at once, or as many as the launcher has slots for; those that run already go on."""
        self.n_jobs = n_jobs
        self.launcher.resize(n_jobs)
        self._wake()

    def adopt(self, found: Mapping[Slot, Adopted]) -> None:
        """Hear trials to their end that run in slots of dead drivers; these slots are the sweep's from then on."""
        self._adopted.update(found)
        self._busy += len(found)
        self.launcher.adopt(found)

    async def kill(self, number: int, why: str) -> bool:
        """End a running trial for good, as failed; False where it does not run here."""
        running = self._running.get(number)
        if running is None:
            return False
        running.is_killed = True
        await self.study.kill(running.asked, why)
        await running.slot.stop(Failure.STOPPED, why)
        return True

    async def conduct(self) -> None:
        """Keep every slot busy until nothing is left to do."""
        self._began = asyncio.get_running_loop().time()
        try:
            async with beside(self._stop_when_told()), asyncio.TaskGroup() as group:
                tasks: list[asyncio.Task[None]] = []
                tasks.append(group.create_task(self._offer(lambda work: tasks.append(group.create_task(work)))))
                await self._over.wait()
                for task in tasks:
                    task.cancel()  # those that wait for a slot, or for a trial
        except BaseExceptionGroup as group_of_errors:
            raise first_of(group_of_errors) from None
        await self._hear_the_lost()

    async def _offer(self, serve: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        """Put every slot of the launcher to work, those included that come while the sweep runs."""
        async for slot in self.launcher.slots(self._further):
            self._slots += 1
            if self._slots == 1:
                self.watcher.notice("")  # there is a slot: whatever was being started has started
            self.watcher.slots(self._slots)
            serve(self._serve(slot))
        if not self._slots:
            self._over.set()

    async def _serve(self, slot: Slot) -> None:
        """Keep one slot busy, for as long as it is wanted."""
        if (adopted := self._adopted.pop(slot, None)) is not None:
            on_record = self.record.run_adopted(self.uuid, adopted.spec.run)
            await self._see_to(adopted.asked, self._follow(slot, adopted.asked, adopted.spec, on_record))
        await slot.ready()
        while (asked := await self._next()) is not None:
            await self._see_to(asked, self._attempt(slot, asked))
            await slot.ready()
        self._slots -= 1
        self.watcher.slots(self._slots)
        await slot.close()

    async def _see_to(self, asked: Asked, attempt: Coroutine[Any, Any, Ended]) -> None:
        try:
            await self._settle(asked, await attempt)
        finally:
            self._asked.discard(asked.number)
            self._busy -= 1
            self._wake()
            self._see_whether_over()  # there may be nobody to wake: a slot that was lost waits for another place

    async def _next(self) -> Asked | None:
        """The next trial, once there is one: any that runs may have to be tried again. None: too many slots."""
        while self.n_jobs is None or self._slots <= self.n_jobs:
            turn = self._turn
            if not (self._is_paused or self._is_dry or self.brake.is_draining):
                self._busy += 1
                asked = await self._ask()
                if asked is not None and not self.brake.is_draining:
                    self._asked.add(asked.number)
                    return asked
                if asked is None:
                    self._is_dry = True
                else:  # the brake was pulled meanwhile: asking takes as long as an outage of the database
                    await self.study.give_back(asked)
                self._busy -= 1
            self._see_whether_over()
            await turn.wait()
        return None

    def _further(self) -> int:
        """How many more trials there may be to begin at once."""
        on_their_way = len(self._asked)
        if self._is_paused or self._is_dry or self.brake.is_draining:
            return on_their_way
        # what others have given back, only asking tells
        return on_their_way + (self.study.left() or int(not self._busy))

    def _see_whether_over(self) -> None:
        if not self._busy and (self._is_dry or self.brake.is_draining):
            self._over.set()

    def _wake(self) -> None:
        turn, self._turn = self._turn, asyncio.Event()
        turn.set()

    async def _settle(self, asked: Asked, ended: Ended) -> None:
        """See to what an attempt's end means for its trial."""
        self.packing.learn(asked.number, asked.params, ended)
        try:
            if ended.failure == Failure.STOPPED and self.brake.is_stopping and ended.run not in self._killed:
                await self._put_back(self.study.give_back(asked))
            elif self._is_preempted(ended):
                self.watcher.notice(f"trial {asked.number} {ended.error}; it goes on when there is room again")
                await self._put_back(self.study.give_back(asked))
            elif self.packing.is_crowded_out(asked.number, ended) and ended.run not in self._killed:
                self.watcher.notice(f"trial {asked.number} ran out of memory next to others; tried again alone")
                await self._put_back(self.study.give_back(asked))
            elif self._is_retried(asked, ended):
                left = self.attempts.retries - asked.retried
                self.watcher.notice(f"trial {asked.number} {ended.failure}: {ended.error}; tried again ({left} left)")
                await self._put_back(self.study.retry(asked))
            else:
                await self._late_end(asked.number)
                self.lost.forget(asked.number)
                await self.study.tell(asked, ended)
                self.tally.add(asked.number, ended)
        except Superseded as error:  # what this attempt came to is on record, and the trial is not ours any more
            self.watcher.notice(str(error))

    def _is_retried(self, asked: Asked, ended: Ended) -> bool:
        again = self.attempts.retries_after(ended, asked.retried) or self.packing.is_crowded_out(asked.number, ended)
        return again and ended.run not in self._killed

    def _is_preempted(self, ended: Ended) -> bool:
        return ended.failure == Failure.PREEMPTED and ended.run not in self._killed

    async def _put_back(self, work: Coroutine[Any, Any, None]) -> None:
        await work
        self._is_dry = False

    async def _ask(self) -> Asked | None:
        elapsed_s = asyncio.get_running_loop().time() - (self._began or 0.0)
        if (reason := self.tally.spent(elapsed_s)) is not None:
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
        if (ended := await self._late_end(asked.number)) is not None:
            self.watcher.notice(f"trial {asked.number} had ended after all, in an attempt that was given up as lost")
            self.watcher.told(spec, ended)
            return ended
        return await self._follow(slot, asked, spec, self.record.run_opened(self.uuid, spec))

    async def _late_end(self, number: int) -> Ended | None:
        """How an attempt ended that was given up as lost; what it has said is put on record in any case."""
        words = self.lost.words(number)
        if words:
            await asyncio.wrap_future(self.record.heard(words))
        return end_among(words)

    async def _follow(self, slot: Slot, asked: Asked, spec: TrialSpec, on_record: Future[None]) -> Ended:
        """Hear an attempt to its end."""
        try:
            await asyncio.wrap_future(on_record)  # before it runs
            self.watcher.opened(spec)
            ended = await self._run(slot, asked, spec)
        except BaseException as error:
            if self.brake.is_stopping:
                await self._give_up(asked, spec)
            else:
                await asyncio.shield(self._abandon(asked, spec, error))
            raise
        if ended.failure == Failure.LOST:
            self.lost.add(spec)
        if not (self._is_retried(asked, ended) or self._is_preempted(ended)):
            self.watcher.told(spec, ended)
        return ended

    async def _run(self, slot: Slot, asked: Asked, spec: TrialSpec) -> Ended:
        self._running[spec.number] = _Running(slot, asked)
        self._asked.discard(spec.number)
        self.tally.began(spec.number)
        try:
            if self.brake.is_stopping:  # it was pulled while this trial was on its way
                ended = _stopped(spec)
                await asyncio.wrap_future(self.record.heard([ended]))
                return ended
            last: Event | None = None
            async for events in slot.run(spec):  # to its very end: after the last event the slot clears up
                last = events[-1]
                if isinstance(events[-1], Ended):
                    self.record.heard_soon(events)  # durable once the study is told what the trial came to
                else:
                    self.record.heard(events)
                for event in events:
                    self.watcher.heard(spec, event)
                    await self._heed(slot, asked, event)
                if reports := [event for event in events if isinstance(event, Reported)]:
                    prune = await self.study.should_prune(asked, reports)
                    await slot.answer(reports[-1].step, prune)
        finally:
            self.tally.left(spec.number)
            if self._running.pop(spec.number).is_killed:
                self._killed.add(spec.run)
        if not isinstance(last, Ended):
            raise RuntimeError(f"the slot fell silent about run {spec.run}")
        return last

    async def _heed(self, slot: Slot, asked: Asked, event: Event) -> None:
        if isinstance(event, Metered):
            self.packing.heard(asked.number, asked.params, event)
            if not (self._is_paused or self.brake.is_draining) and self.packing.begins_anew(asked.number):
                await slot.stop(Failure.PREEMPTED, MISPLACED)
        if isinstance(event, Metered | Ended) and event.gpu_seconds is not None:
            self.tally.heard(asked.number, event.gpu_seconds)

    async def _abandon(self, asked: Asked, spec: TrialSpec, error: BaseException) -> None:
        text = f"the sweep broke off: {type(error).__name__}: {error}"
        # Before all that the run says itself: another driver may have heard its true end from its journal.
        end = Ended(spec.run, -1, time.time(), TrialState.FAIL, failure=Failure.STOPPED, error=text)
        self.record.heard([end])
        with contextlib.suppress(Superseded, StorageError):  # the next driver finds it as it is
            await self.study.give_back(asked)

    async def _give_up(self, asked: Asked, spec: TrialSpec) -> None:
        """Its slot gives no sign of an end: what its journal says is kept, an end of its own included."""
        self.lost.add(spec)
        with contextlib.suppress(StorageError):  # the next driver finds it as it is
            ended = await self._late_end(spec.number)
            if ended is None:
                ended = Ended(spec.run, -1, time.time(), TrialState.FAIL, failure=Failure.STOPPED, error=STOPPED)
                self.record.heard([ended])
            await self._settle(asked, ended)

    async def _hear_the_lost(self) -> None:
        """Put on record what those have said meanwhile whose trials go on in another launch, or never."""
        with contextlib.suppress(StorageError):  # it waits in the journals, and in the spool
            for number in self.lost.numbers():
                await self._late_end(number)

    async def _stop_when_told(self) -> None:
        await self.brake.watch(self._say_draining)
        self.watcher.notice("stopping the running trials")
        self.record.hurry()
        await asyncio.gather(*(one.slot.stop(Failure.STOPPED, STOPPED) for one in self._running.values()))
        await asyncio.sleep(_PATIENCE_S)
        for number in sorted(self._running):
            self.watcher.notice(f"trial {number} gives no sign of its end, and goes back in line")
        self._over.set()

    def _say_draining(self) -> None:
        self._see_whether_over()
        if self._running:
            self.watcher.notice(f"no new trials; {len(self._running)} running still (Ctrl-C again stops them)")


def _stopped(spec: TrialSpec) -> Ended:
    return Ended(spec.run, 0, time.time(), TrialState.FAIL, failure=Failure.STOPPED, error=STOPPED)


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that broke the loop, without the wrapping: the others are cancellations that it caused."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
