"""A world for drivers to live and die in: a database with outages, machines that lose processes, a clock that is set.

Everything that a driver does to the world goes through `Driver.touch`, where it may die, and waits while it is frozen
or the database is away. All chance comes from one seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import random
import signal
import weakref
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self
from unittest import mock

from optuna.trial import TrialState
from sqlalchemy import Connection, Engine

from sweeper.brake import Brake
from sweeper.launch import MANY, T
from sweeper.record import Storage, alive
from sweeper.record.database import Database, make_engine, parse_url
from sweeper.record.memory import Memory
from sweeper.record.process import Fate, boot
from sweeper.record.waiting import Waiting
from sweeper.record.writer import FAREWELL_S, Writer
from sweeper.run.journal import Journal, JournalReader, journal_path, seal, written
from sweeper.trial import Ended, Event, Failure, Measured, Started, TrialSpec
from tests.simulated.loop import VirtualLoop

DRIVER: contextvars.ContextVar[Driver] = contextvars.ContextVar("driver")
BLIP_S = 1.0  # outages longer than this are spooled


class Dead(Exception):
    """The driver is no more; what is left of its code is unwound without touching anything."""


@dataclass(frozen=True)
class Faults:
    """What goes wrong in a story, and when; times are seconds of the story."""

    deaths: frozenset[int] = frozenset()  # operations of drivers, counted over the whole story
    outages: tuple[tuple[float, float], ...] = ()  # from, to
    freezes: tuple[tuple[float, float], ...] = ()  # when the driver of that time stops, and for how long
    jumps: tuple[tuple[float, float], ...] = ()  # when the wall clock is set, and by how much
    crash_rate: float = 0.0
    lost_rate: float = 0.0
    error_rate: float = 0.0
    duplicate_rate: float = 0.0
    death_is_seen: bool = True  # by the process table; else only the lease tells


class World:
    def __init__(self, seed: int, folder: Path, faults: Faults) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.faults = faults
        self.url = f"sqlite:///{folder}/study.db"
        self.loop = VirtualLoop()
        self.loop.perform = self._perform
        self.loop.set_exception_handler(self._complain)
        self.drivers: list[Driver] = []
        self.operations = 0
        self.processes: dict[str, Process] = {}  # by run
        self.acks = Acks()
        self.problems: list[str] = []
        self.in_thread: Driver | None = None
        self._reader: Connection | None = None

    @property
    def now(self) -> float:
        return self.loop.time()

    def latency(self) -> float:
        return self.random.choice((0.001, 0.01, 0.05, 0.3))

    def outage_end(self) -> float:
        return max((end for begin, end in self.faults.outages if begin <= self.now < end), default=0.0)

    def wall(self) -> float:
        return 1.8e9 + self.now + sum(by for at, by in self.faults.jumps if at <= self.now)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """The database as somebody who is no driver sees it; all of them share a connection."""
        if self._reader is None:
            self._reader = engine_of(self.url).connect()
        yield self._reader

    def read_no_more(self) -> None:
        if self._reader is not None:
            self._reader.close()

    @contextlib.contextmanager
    def natural_laws(self) -> Iterator[None]:
        """While this lasts, the clocks and the process table are this world's."""
        with (
            mock.patch.object(alive, "monotonic", lambda: self.now),
            mock.patch.object(alive, "fate", self._fate),
            mock.patch("time.time", self.wall),
        ):
            yield

    def _fate(self, process: str) -> Fate:
        driver = self.drivers[int(process.split(":")[2])]
        if driver.is_dead:
            return Fate.GONE if self.faults.death_is_seen else Fate.UNKNOWN
        return Fate.UNKNOWN

    def _perform(self, lane: object, future: asyncio.Future[Any], work: Callable[[], Any]) -> None:
        DRIVER.get().lane(lane).put(future, work)

    def _complain(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), Dead):
            self.problems.append(f"{context['message']}: {context.get('exception')!r}")


@dataclass
class Acks:
    """What drivers were told is done: none of it may be lost."""

    opened: dict[str, TrialSpec] = field(default_factory=dict)  # by run
    points: dict[tuple[str, str, int], float] = field(default_factory=dict)  # by run, name, step
    told: dict[int, Ended] = field(default_factory=dict)  # by number
    told_at: dict[int, float] = field(default_factory=dict)
    killed: dict[int, float] = field(default_factory=dict)  # by number; since when
    extended: int = 0


class Driver:
    """One driver process."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.index = len(world.drivers)
        self.uuid = f"{self.index + 1:032x}"
        self.process = f"{boot()}:0:{self.index}:0"
        self.is_dead = False
        self.task: asyncio.Task[Any] | None = None
        self.storage: SimulatedStorage | None = None
        self.brake: Brake | None = None  # of its loop, once there is one
        self._lanes: dict[int, Lane] = {}
        world.drivers.append(self)

    def lane(self, name: object) -> Lane:
        return self._lanes.setdefault(id(name), Lane(self))

    def touch(self) -> None:
        """An operation; the driver may die in it."""
        if self.is_dead:
            raise Dead
        self.world.operations += 1
        if self.world.operations in self.world.faults.deaths:
            self.die()
            raise Dead

    @property
    def has_parted(self) -> bool:
        """Whether it has given the database up, being about to end."""
        return self.storage is not None and self.storage.simulated.has_parted

    def interrupt(self) -> None:
        """As by SIGTERM: see `sweeper.interruption`."""
        if self.storage is not None:
            self.storage.hurry()
        if self.brake is not None:
            self.brake.stop(signal.SIGTERM)
        elif self.task is not None:
            self.die()  # there is no loop yet, nothing that it has begun

    def part(self) -> None:
        """Whatever waits for the database does so no longer."""
        for lane in self._lanes.values():
            lane.go_on()

    def die(self) -> None:
        """As by `kill -9`, with the processes that it started."""
        if not self.is_dead:
            if self.storage is not None:
                self.storage.simulated.perish()
            self.is_dead = True
            for process in self.world.processes.values():
                if process.slot.driver is self:
                    process.is_alive = False
            if self.task is not None:
                self.task.cancel()

    def hold(self) -> float:
        """Until when the driver does nothing, being frozen."""
        world = self.world
        alive = [driver for driver in world.drivers if not driver.is_dead]
        if not alive or alive[0] is not self:
            return 0.0
        return max((at + for_s for at, for_s in world.faults.freezes if at <= world.now < at + for_s), default=0.0)


class Lane:
    """A thread of a driver: work is done in order, when the driver is awake and the database there."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._queue: deque[tuple[asyncio.Future[Any], Callable[[], Any]]] = deque()
        self._is_busy = False
        self._waiting: asyncio.TimerHandle | None = None  # for an outage to end

    def put(self, future: asyncio.Future[Any], work: Callable[[], Any]) -> None:
        self._queue.append((future, work))
        if not self._is_busy:
            self._is_busy = True
            self._driver.world.loop.call_later(self._driver.world.latency(), self._next)

    def _next(self) -> None:
        driver, world = self._driver, self._driver.world
        wait = max(driver.hold(), 0.0 if driver.has_parted else world.outage_end())
        if wait > world.now and not driver.is_dead:
            self._waiting = world.loop.call_at(wait, self._next)
            return
        self._waiting = None
        future, work = self._queue.popleft()
        self._do(future, work)
        self._is_busy = bool(self._queue)
        if self._is_busy:
            world.loop.call_later(world.latency(), self._next)

    def go_on(self) -> None:
        """Wait for no outage to end."""
        if self._waiting is not None:
            self._waiting.cancel()
            self._next()

    def _do(self, future: asyncio.Future[Any], work: Callable[[], Any]) -> None:
        world = self._driver.world
        world.in_thread, before = self._driver, world.in_thread
        try:
            self._driver.touch()
            result = work()
        except BaseException as error:
            if not future.done():
                future.set_exception(error)
        else:
            if not future.done():
                future.set_result(result)
        finally:
            world.in_thread = before


class SimulatedWriter(Writer):
    """The real writer, its thread replaced by the story's order of events."""

    def __init__(self, database: Database, driver: Driver) -> None:
        super().__init__(database)
        self._driver = driver
        self._is_due = False

    def _put(self, write: Any, committed: Any, future: Future[Any] | None, *, is_urgent: bool) -> None:
        self._driver.touch()
        self._given += 1
        self._queue.append(Waiting(write, committed, future, is_urgent, self._given, 0.0))
        if self._has_parted:
            self._give_up()
            return
        world = self._driver.world
        if is_urgent and world.in_thread is self._driver:
            self._drain()
        elif not self._is_due or is_urgent:
            self._is_due = True
            world.loop.call_later(world.latency() if is_urgent else 0.2, self._when_due)

    def hurry(self) -> None:
        if not self._is_hurried:
            self._is_hurried = True
            self._driver.world.loop.call_later(FAREWELL_S, self._part_in_an_outage)

    def _part_in_an_outage(self) -> None:
        driver, world = self._driver, self._driver.world
        if driver.is_dead:
            return
        if world.outage_end() > world.now >= driver.hold():
            self._part()
            driver.part()
        else:
            world.loop.call_later(0.1, self._part_in_an_outage)

    def _when_due(self) -> None:
        driver, world = self._driver, self._driver.world
        wait = max(driver.hold(), world.outage_end())
        if driver.is_dead or self._has_parted:
            return
        if wait > world.now:
            if wait - world.now > BLIP_S:
                self._outage._present = (-1e9, "away")
                self._outage.keep([(one.ordinal, one.write) for one in self._queue])
            world.loop.call_at(wait, self._when_due)
            return
        self._is_due = False
        with contextlib.suppress(Dead):
            self._drain()

    def _drain(self) -> None:
        if self._queue:
            self._driver.touch()
            taken = self._transactions.of(list(self._queue))
            self._queue.clear()
            self._write(taken)

    def _settle(self, transaction: Any, answers: Any) -> None:
        self._driver.touch()  # it may die between the commit and the word of it
        super()._settle(transaction, answers)

    def perish(self) -> None:
        """What waits is gone, unless it was spooled; the lock on the spool goes with the process."""
        self._queue.clear()
        self._outage.end()
        self.link.close()


@cache
def engine_of(url: str) -> Engine:
    """One for all stories: what it has compiled serves them all, and it keeps no connection."""
    return make_engine(parse_url(url))


class SimulatedStorage(Storage):
    def __init__(self, driver: Driver) -> None:
        self.database = Database(engine_of(driver.world.url), driver.world.url, "sqlite")
        self.writer = self.simulated = SimulatedWriter(self.database, driver)
        self._memory = Memory(self.writer.link)
        self._sweep = None
        self._closed = weakref.finalize(self, lambda: None)
        self._driver = driver
        driver.storage = self

    def ask(self, query: Any) -> Any:
        self._driver.touch()
        return super().ask(query)


class Process:
    """A trial's process: writes its journal, which its slot reads to the driver."""

    def __init__(self, slot: SimulatedSlot, spec: TrialSpec) -> None:
        self.slot, self.spec, self.world = slot, spec, slot.driver.world
        self.is_alive = True
        self.events: asyncio.Queue[tuple[Event, ...]] = asyncio.Queue()
        self._sent = 0
        self._journal = journal_path(spec.folder, spec.run)
        fate = random.Random(f"{spec.number} {spec.attempt} {self.world.random.random()}")
        self._steps = [(fate.uniform(0.05, 2.0), self._event(seq)) for seq in range(1, fate.randint(2, 5))]
        self._steps.append((fate.uniform(0.05, 2.0), self._end(fate, len(self._steps) + 1)))
        faults = self.world.faults
        dies = fate.random()
        self._kind = Failure.CRASHED if dies < faults.crash_rate else Failure.LOST
        self._dies_at = fate.randrange(len(self._steps)) if dies < faults.crash_rate + faults.lost_rate else None
        self._append(Started(spec.run, 0, self.world.wall(), "simulated", 1))
        self.world.loop.call_later(self._steps[0][0], self._step, 0)

    def _event(self, seq: int) -> Event:
        value = float(self.spec.number * 100 + self.spec.attempt * 10 + seq)
        return Measured(self.spec.run, seq, self.world.wall(), seq, {"loss": value})

    def _end(self, fate: random.Random, seq: int) -> Ended:
        if fate.random() < self.world.faults.error_rate:
            return Ended(self.spec.run, seq, 0.0, TrialState.FAIL, failure=Failure.ERROR, error="it raised")
        value = objective(self.spec)
        return Ended(self.spec.run, seq, 0.0, TrialState.COMPLETE, values=(value,))

    def _step(self, index: int) -> None:
        if not self.is_alive:
            return
        if index == self._dies_at:
            self.is_alive = False
            self.world.loop.call_later(self.world.latency(), self._found_dead)
            return
        self._append(self._steps[index][1])
        if index + 1 < len(self._steps):
            self.world.loop.call_later(self._steps[index + 1][0], self._step, index + 1)
        else:
            self.is_alive = False

    def _found_dead(self) -> None:
        seal(self.spec.folder, self.spec.run, self._kind, "its process is gone")
        self._forward()

    def has_ended_itself(self) -> bool:
        """Whether its journal's first end is its own, and none after which a trial is tried again."""
        ends = [event for event in written(self.spec.folder, self.spec.run) if isinstance(event, Ended)]
        return bool(ends) and ends[0].failure in (None, Failure.ERROR)

    def stop(self, failure: Failure, error: str) -> None:
        if self.is_alive:
            self.is_alive = False
            seal(self.spec.folder, self.spec.run, failure, error)
            self._forward()

    def _append(self, event: Event) -> None:
        journal = Journal(self._journal)
        journal.append(event)
        journal.close()
        self._forward()

    def _forward(self) -> None:
        self.world.loop.call_later(self.world.latency(), self._deliver)

    def _deliver(self) -> None:
        """Read what is new in the journal to the driver, when it is awake; now and then what it knows already too."""
        driver = self.slot.driver
        if driver.hold() > self.world.now:
            self.world.loop.call_at(driver.hold(), self._deliver)
            return
        events = JournalReader(self._journal, self.spec.run).read()
        again = 1 if self._sent and self.world.random.random() < self.world.faults.duplicate_rate else 0
        fresh = events[max(self._sent - again, 0) :]
        if len(events) > self._sent:
            self._sent = len(events)
            self.events.put_nowait(tuple(fresh))


def objective(spec: TrialSpec) -> float:
    """What an attempt returns; no two attempts return the same, so that it is seen whose value was stored."""
    return float(spec.params["x"]) + spec.number + spec.attempt / 1024  # type: ignore[arg-type]


class SimulatedSlot:
    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.process: Process | None = None
        self.is_open = True

    async def ready(self) -> None:
        await asyncio.sleep(self.driver.world.latency())

    async def run(self, spec: TrialSpec) -> AsyncIterator[tuple[Event, ...]]:
        self.driver.touch()
        world = self.driver.world
        if self.process is not None and self.process.is_alive:
            world.problems.append(f"two trials in one slot: {self.process.spec.run} and {spec.run}")
        if spec.number in world.acks.told:
            world.problems.append(f"trial {spec.number} runs again although its end was acknowledged")
        if world.acks.killed.get(spec.number, world.now) < world.now:
            world.problems.append(f"trial {spec.number} runs again although it was killed")
        if spec.run not in world.acks.opened:
            world.problems.append(f"run {spec.run} starts before it is on record")
        world.problems += [
            f"run {spec.run} starts although {earlier.spec.run} had ended by itself"
            for earlier in world.processes.values()
            if earlier.spec.number == spec.number and earlier.has_ended_itself()
        ]
        process = world.processes[spec.run] = self.process = Process(self, spec)
        while True:
            events = await process.events.get()
            yield events
            if isinstance(events[-1], Ended):
                return

    async def answer(self, step: int, prune: bool) -> None:
        pass

    async def stop(self, failure: Failure, error: str) -> None:
        self.driver.touch()
        if self.process is not None:
            self.process.stop(failure, error)

    async def close(self) -> None:
        self.is_open = False


class SimulatedLauncher:
    def __init__(self, driver: Driver, n_jobs: int) -> None:
        self._driver = driver
        self._n_jobs = n_jobs
        self._resized = asyncio.Event()
        self.slots_made: list[SimulatedSlot] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def drive(self, main: Coroutine[Any, Any, T]) -> T:
        raise NotImplementedError("the story's loop runs everything")

    def resize(self, n_jobs: int) -> None:
        self._n_jobs = n_jobs
        self._resized.set()

    async def slots(self, further: Callable[[], int] = lambda: MANY) -> AsyncIterator[SimulatedSlot]:
        while True:
            while sum(slot.is_open for slot in self.slots_made) < self._n_jobs:
                await asyncio.sleep(self._driver.world.latency())
                self.slots_made.append(SimulatedSlot(self._driver))
                yield self.slots_made[-1]
            self._resized.clear()
            await self._resized.wait()


@dataclass
class Watcher:
    """Notes what the loop was told is durable, and how many trials it runs at once."""

    driver: Driver
    notices: list[str] = field(default_factory=list)
    busy: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def opened(self, spec: TrialSpec) -> None:
        pass

    def heard(self, spec: TrialSpec, event: Event) -> None:
        pass

    def told(self, spec: TrialSpec, ended: Ended) -> None:
        pass

    def slots(self, total: int) -> None:
        pass

    def notice(self, text: str) -> None:
        self.notices.append(text)
