"""A slot without a place of its own: each trial gets room for what it says that it holds.

Actors that fit are kept and used again, because a fresh one imports the app anew; they give way where the room is
needed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from optuna.trial import TrialState

from sweeper.errors import LaunchError
from sweeper.launch.gang import Gang
from sweeper.launch.line import Line
from sweeper.launch.room import Place, Room
from sweeper.launch.slot import NodeGone, Placement, RaySlot
from sweeper.packing import Packing
from sweeper.trial import Ended, Event, Failure, Resources, TrialSpec

PREEMPTED = "preempted for a sweep of a higher priority"
_LEAST_AT_ONCE = 2  # actors that begin on a node
_LONG_S = 30.0  # for an actor to be placed and to import the app, before others give way
_NEWEST = 0.1  # what the last trial counts of how long they take


@dataclass(eq=False)
class Berth:
    """An actor, and what is counted as taken for it, be it that Ray has it wait for that."""

    slot: RaySlot
    place: Place
    taken: tuple[Place, ...]


@dataclass
class Berths:
    """The actors of one launch, idle and at work.

    On a node no more begin at once than it has processors: each imports the app, and where all do so together, all
    trials of the node wait for the last. An actor that has become idle meanwhile is taken instead of a new one.
    """

    placement: Placement
    line: Line
    packing: Packing
    has_given: Callable[[], None] = lambda: None  # called when room is given back that others may want
    warn: Callable[[RaySlot], None] = lambda _: None  # is shown each actor that has imported the app
    pace_s: float = 0.0  # how long trials take, lately
    _taken: Room = field(default_factory=Room)  # by actors, where the line's is by trials
    _idle: list[Berth] = field(default_factory=list)  # the one that waits longest first
    _busy: set[Berth] = field(default_factory=set)
    _aside: dict[Berth, asyncio.Task[None]] = field(default_factory=dict)  # on cards that somebody else uses
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, place: Place) -> Berth:
        """An actor on a node with so much: one that is idle there, or a new one for which others give way."""
        while (berth := self._idle_at(place)) is None and not self._may_begin(place.node):
            await self._changed.wait()
        if berth is None:
            berth = self._new(place)
        else:
            self._idle.remove(berth)
        self._busy.add(berth)
        return berth

    async def started(self, berth: Berth) -> None:
        """Wait until it has imported the app.

        Where that takes long, all that are idle on its node give way: Ray may have put them on other cards than is
        thought here, and has it wait for a whole one. Raises NodeGone where its node is there no more.
        """
        starting = asyncio.ensure_future(berth.slot.started())
        try:
            while not (await asyncio.wait({starting}, timeout=_LONG_S))[0]:
                if berth.place.node not in self.line.room.offers:
                    raise NodeGone(f"{berth.place.node} went before Ray said what became of the actor")
                for idle in [one for one in self._idle if one.place.node == berth.place.node]:
                    self._idle.remove(idle)
                    self.drop(idle)
            await starting
        finally:
            starting.cancel()
        self.warn(berth.slot)
        self._wake()

    def set_aside(self, berth: Berth, place: Place) -> None:
        """Let nobody have its cards until they are free: somebody else is on them."""

        async def wait() -> None:
            try:
                await berth.slot.ready()
            except (NodeGone, LaunchError):
                self.drop(berth)
            else:
                self.put(berth)
            del self._aside[berth]
            self.line.give([place])

        self._aside[berth] = asyncio.create_task(wait())

    def put(self, berth: Berth) -> None:
        """It is idle now."""
        self._busy.discard(berth)
        self._idle.append(berth)
        self.give_way()
        self._wake()

    def took(self, seconds: float) -> None:
        """A trial has taken so long."""
        self.pace_s += (seconds - self.pace_s) * (_NEWEST if self.pace_s else 1.0)

    def held(self) -> dict[str, tuple[float, float]]:
        """CPUs and GPUs that they have of each node."""
        found: dict[str, tuple[float, float]] = {}
        for berth in (*self._busy, *self._idle):
            cpus, gpus = found.get(berth.place.node, (0.0, 0.0))
            found[berth.place.node] = (cpus + berth.place.need.cpus, gpus + berth.place.need.gpus)
        return found

    def give_way(self) -> None:
        """Drop idle ones where the sweep may hold no more so much."""
        self._taken.see(self.line.room.offers.values())
        for berth in list(self._idle):
            if self._taken.is_beyond(berth.place.node):
                self._idle.remove(berth)
                self.drop(berth)

    def take_in(self, slot: RaySlot, need: Resources) -> Party:
        """One of another driver, at work on its node."""
        self._taken.see(self.line.room.offers.values())
        place = self.line.room.seat(slot.node, need)
        berth = Berth(slot, place, (self._taken.seat(slot.node, need),))
        self._busy.add(berth)
        return Party([place], [berth])

    def drop(self, berth: Berth) -> None:
        """It is of no more use."""
        self._busy.discard(berth)
        self._taken.give(berth.taken)
        berth.slot.kill()
        self._wake()
        self.has_given()

    def beat(self) -> None:
        for berth in (*self._busy, *self._idle):
            berth.slot.beat()

    def close(self) -> None:
        for task in self._aside.values():
            task.cancel()
        for berth in (*self._busy, *self._idle):
            berth.slot.kill()

    def _idle_at(self, place: Place) -> Berth | None:
        fitting = [one for one in self._idle if (one.place.node, one.place.need) == (place.node, place.need)]
        return fitting[-1] if fitting else None

    def _may_begin(self, node: str) -> bool:
        beginning = sum(not one.slot.has_started for one in self._busy if one.place.node == node)
        offer = self.line.room.offers.get(node)
        return beginning < max(_LEAST_AT_ONCE, 0 if offer is None else offer.cpus)

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _new(self, place: Place) -> Berth:
        self._taken.see(self.line.room.offers.values())
        others = self.line.room.offers.keys() - {place.node}
        own = replace(place.need, nodes=1)
        while (found := self._taken.take(own, but=others)) is None:
            there = [one for one in self._idle if one.place.node == place.node]
            if not there:  # parts of several cards are free, or the node has gone: Ray has it wait
                found = (self._taken.seat(place.node, own),)
                break
            self._idle.remove(there[0])
            self.drop(there[0])
        slot = RaySlot(replace(self.placement, resources=place.need, node=place.node))
        return Berth(slot, place, found)


@dataclass(frozen=True, slots=True)
class Party:
    """What one trial runs on."""

    places: Sequence[Place]
    berths: list[Berth]

    def runner(self) -> RaySlot | Gang:
        slots = [berth.slot for berth in self.berths]
        return slots[0] if len(slots) == 1 else Gang(slots)


class RovingSlot:
    """Asks for room anew for each trial. It is released when it is one of the launch's slots no more."""

    def __init__(self, berths: Berths, release: Callable[[RovingSlot], None]) -> None:
        self._berths = berths
        self._line = berths.line
        self._release = release
        self._has_turn = True  # it was made because there was one
        self._runner: RaySlot | Gang | None = None
        self._stop: tuple[Failure, str] | None = None
        self._boarding: asyncio.Task[Party] | None = None
        self._aboard: Party | None = None
        self._going: asyncio.Task[None] | None = None  # while its trial is being preempted
        self.is_running = False  # it has a trial, be it one that waits for room
        self.began_at = 0.0

    @property
    def is_going(self) -> bool:
        return self._going is not None

    async def ready(self) -> None:
        if not self._has_turn:
            await self._line.turn()
            self._has_turn = True

    async def run(self, spec: TrialSpec) -> AsyncIterator[tuple[Event, ...]]:
        self._has_turn, self._stop, self._going = False, None, None
        self.is_running = True
        try:
            async for events in self._run(spec):
                yield events
        finally:
            self.is_running = False

    async def _run(self, spec: TrialSpec) -> AsyncIterator[tuple[Event, ...]]:
        self._boarding = asyncio.create_task(self._board(lambda: self._berths.packing.renewed(spec)))
        try:
            party = await self._boarding
        except asyncio.CancelledError:
            if self._stop is None:
                raise
            yield (_stopped(spec, *self._stop),)
            return
        finally:
            self._boarding = None
        if self._stop is not None:  # that came in the very moment
            self._disband(party, is_kept=True)
            yield (_stopped(spec, *self._stop),)
            return
        is_kept = False
        try:
            runner = self._runner = party.runner()
            self._aboard, self.began_at = party, time.monotonic()
            last: Event | None = None
            async for events in runner.run(replace(spec, resources=party.places[0].need)):
                yield events
                last = events[-1]
            is_kept = isinstance(last, Ended) and last.failure != Failure.LOST
        finally:
            self._runner, self._aboard = None, None
            self._berths.took(time.monotonic() - self.began_at)
            self._disband(party, is_kept)

    async def _board(self, need: Callable[[], Resources | None]) -> Party:
        """Find room, and have actors there that can take the trial."""
        while True:
            party = Party(await self._placed(need), [])
            aside: list[Berth] = []
            is_ready = False
            try:
                for place in party.places:
                    party.berths.append(await self._berths.take(place))
                for berth in party.berths:
                    await self._berths.started(berth)
                aside = [berth for berth in party.berths if not await berth.slot.is_free()]
                is_ready = not aside
                if is_ready:
                    return party
            except NodeGone:
                self._line.see()
            finally:
                if not is_ready:
                    self._give_up(party, aside)
            await self._line.turn()

    async def _placed(self, need: Callable[[], Resources | None]) -> Sequence[Place]:
        return await self._line.place(need)

    def _give_up(self, party: Party, aside: Collection[Berth]) -> None:
        """Leave the places again: those aside to nobody as long as somebody else is there."""
        for berth, place in zip(party.berths, party.places, strict=False):
            if berth in aside:
                self._berths.set_aside(berth, place)
            elif aside:
                self._berths.put(berth)
            else:
                self._berths.drop(berth)
        kept = {id(place) for berth, place in zip(party.berths, party.places, strict=False) if berth in aside}
        self._line.give([place for place in party.places if id(place) not in kept])

    def _disband(self, party: Party, is_kept: bool) -> None:
        for berth in party.berths:
            if is_kept:
                self._berths.put(berth)
            else:
                self._berths.drop(berth)
        self._line.give(party.places)

    async def answer(self, step: int, prune: bool) -> None:
        if self._runner is not None:
            await self._runner.answer(step, prune)

    async def stop(self, failure: Failure, error: str) -> None:
        self._stop = (failure, error)
        if self._runner is not None:
            await self._runner.stop(failure, error)
        elif self._boarding is not None:
            self._boarding.cancel()

    def forget(self) -> None:
        """It holds nothing between trials."""

    def vacated(self, node: str) -> tuple[float, float] | None:
        """Give up what is held of a node between trials; CPUs and GPUs, None where that is nothing."""
        return None

    def held_on(self, node: str) -> tuple[float, float] | None:
        """What the running trial holds of a node: CPUs and GPUs."""
        return None if self._aboard is None else amount_on(node, self._aboard.places)

    def preempt(self) -> None:
        """End the running trial, whose next attempt goes on from its checkpoint."""
        if self._runner is not None and self._going is None:
            self._going = asyncio.create_task(self._runner.stop(Failure.PREEMPTED, PREEMPTED))

    async def close(self) -> None:
        if self._has_turn:
            self._line.step_back()
        self._release(self)


def _stopped(spec: TrialSpec, failure: Failure, error: str) -> Ended:
    """The end of a trial that waited for room and never began."""
    return Ended(spec.run, 0, time.time(), TrialState.FAIL, failure=failure, error=error)


def amount_on(node: str, places: Sequence[Place]) -> tuple[float, float] | None:
    """CPUs and GPUs of a node that these places are; None where none is there."""
    here = [place.need for place in places if place.node == node]
    return (sum(need.cpus for need in here), sum(need.gpus for need in here)) if here else None
