"""A slot without a place of its own: each trial gets room for what it says that it holds.

Actors that fit are kept and used again, because a fresh one imports the app anew; they give way where the room is
needed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace

from optuna.trial import TrialState

from sweeper.launch.gang import Gang
from sweeper.launch.line import Line
from sweeper.launch.room import Place, Room
from sweeper.launch.slot import NodeGone, Placement, RaySlot
from sweeper.trial import Ended, Event, Failure, Resources, TrialSpec


@dataclass(eq=False)
class Berth:
    """An actor, and what Ray counts as taken for it."""

    slot: RaySlot
    place: Place


@dataclass
class Berths:
    """The actors of one launch, idle and at work."""

    placement: Placement
    line: Line
    _taken: Room = field(default_factory=Room)  # by actors, where the line's is by trials
    _idle: list[Berth] = field(default_factory=list)  # the one that waits longest first
    _busy: set[Berth] = field(default_factory=set)

    def take(self, place: Place) -> Berth:
        """An actor on a node with so much: one that is idle there, or a new one for which others give way."""
        fitting = [one for one in self._idle if (one.place.node, one.place.need) == (place.node, place.need)]
        berth = fitting[-1] if fitting else self._new(place)
        if fitting:
            self._idle.remove(berth)
        self._busy.add(berth)
        return berth

    def put(self, berth: Berth) -> None:
        """It is idle now."""
        self._busy.discard(berth)
        self._idle.append(berth)

    def drop(self, berth: Berth) -> None:
        """It is of no more use."""
        self._busy.discard(berth)
        self._taken.give([berth.place])
        berth.slot.kill()

    def beat(self) -> None:
        for berth in (*self._busy, *self._idle):
            berth.slot.beat()

    def close(self) -> None:
        for berth in (*self._busy, *self._idle):
            berth.slot.kill()

    def _new(self, place: Place) -> Berth:
        self._taken.see(self.line.room.offers.values())
        others = self.line.room.offers.keys() - {place.node}
        while (found := self._taken.take(place.need, but=others)) is None:
            there = [one for one in self._idle if one.place.node == place.node]
            if not there:
                found = (place,)  # the node has gone meanwhile
                break
            self._idle.remove(there[0])
            self.drop(there[0])
        slot = RaySlot(replace(self.placement, resources=place.need, node=place.node))
        return Berth(slot, found[0])


@dataclass(frozen=True, slots=True)
class Party:
    """What one trial runs on."""

    places: Sequence[Place]
    berths: Sequence[Berth]

    def runner(self) -> RaySlot | Gang:
        slots = [berth.slot for berth in self.berths]
        return slots[0] if len(slots) == 1 else Gang(slots)


class RovingSlot:
    """Asks for room anew for each trial."""

    def __init__(self, berths: Berths, release: Callable[[], None]) -> None:
        self._berths = berths
        self._line = berths.line
        self._release = release  # one of the launch's slots less
        self._has_turn = True  # it was made because there was one
        self._runner: RaySlot | Gang | None = None
        self._stop: tuple[Failure, str] | None = None
        self._boarding: asyncio.Task[Party] | None = None

    async def ready(self) -> None:
        if not self._has_turn:
            await self._line.turn()
            self._has_turn = True

    async def run(self, spec: TrialSpec) -> AsyncIterator[tuple[Event, ...]]:
        self._has_turn, self._stop = False, None
        self._boarding = asyncio.create_task(self._board(spec.resources or Resources()))
        try:
            party = await self._boarding
        except asyncio.CancelledError:
            if self._stop is None:
                raise
            yield (_stopped(spec, *self._stop),)
            return
        finally:
            self._boarding = None
        is_kept = False
        try:
            runner = self._runner = party.runner()
            last: Event | None = None
            async for events in runner.run(replace(spec, resources=party.places[0].need)):
                yield events
                last = events[-1]
            is_kept = isinstance(last, Ended) and last.failure != Failure.LOST
        finally:
            self._runner = None
            self._disband(party, is_kept)

    async def _board(self, need: Resources) -> Party:
        """Find room, and have actors there that can take the trial."""
        while True:
            places = await self._line.place(need)
            party = Party(places, [self._berths.take(place) for place in places])
            is_ready = False
            try:
                for berth in party.berths:
                    await berth.slot.ready()
                is_ready = True
                return party
            except NodeGone:
                self._line.see()
            finally:
                if not is_ready:
                    self._disband(party, is_kept=False)
            await self._line.turn()

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

    async def close(self) -> None:
        if self._has_turn:
            self._line.step_back()
        self._release()


def _stopped(spec: TrialSpec, failure: Failure, error: str) -> Ended:
    """The end of a trial that waited for room and never began."""
    return Ended(spec.run, 0, time.time(), TrialState.FAIL, failure=failure, error=error)
