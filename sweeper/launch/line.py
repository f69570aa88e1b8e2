"""The line for room on a cluster, where each trial says itself what it holds.

Trials are placed in the order in which they came, but for those that stand in nobody's way: room is kept for who must
wait, and others may have the rest. How many wait at once is limited: a trial in line was chosen by the sampler without
what has ended since. What a trial needs is asked anew each time, for more may be known of it by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sweeper.launch.room import Offer, Place, Room
from sweeper.trial import Resources

MOST_AHEAD = 4  # trials that wait, at most: more than one only where there is room beside what is kept for them


@dataclass(eq=False)
class _Waiting:
    need: Callable[[], Resources | None]
    placed: asyncio.Future[tuple[Place, ...]]


@dataclass
class Line:
    """`look` gives the nodes that are there."""

    look: Callable[[], Iterable[Offer]]
    is_short: Callable[[], None] = lambda: None  # called when somebody has to wait
    room: Room = field(default_factory=Room)
    _left: Room = field(default_factory=Room)  # beside what is kept for those who wait
    _latest: Resources | None = None  # what was placed last
    _waiting: list[_Waiting] = field(default_factory=list)
    _turns: int = 0  # slots that may ask for a trial, or hold one that is not in line yet
    _asking: int = 0  # slots that wait for their turn
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def see(self) -> None:
        """Nodes may have come or gone."""
        self.room.see(self.look())
        self._move_up()

    async def turn(self) -> None:
        """Wait until one more trial may be asked for; `place` or `step_back` takes the turn back."""
        self._asking += 1
        try:
            while not self._may_ask():
                await self._changed.wait()
        finally:
            self._asking -= 1
        self._turns += 1

    async def turn_of_a_further_slot(self) -> None:
        """The same for a slot that is not there yet: those that are there go first."""
        while self._asking or not self._may_ask():
            await self._changed.wait()
        self._turns += 1

    def step_back(self) -> None:
        """Nothing was asked for."""
        self._turns -= 1
        self._wake()

    async def place(self, need: Callable[[], Resources | None]) -> tuple[Place, ...]:
        """Room for a trial, in its turn."""
        waiting = _Waiting(need, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._turns -= 1
        self._move_up()
        if not waiting.placed.done():
            self.is_short()
        try:
            return await waiting.placed
        except asyncio.CancelledError:
            self._leave(waiting)
            raise

    def length(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def first(self) -> Resources | None:
        """What the first in line needs."""
        return self._waiting[0].need() if self._waiting else None

    def give(self, places: Sequence[Place]) -> None:
        """A trial has ended."""
        self.room.give(places)
        self._move_up()

    async def keep_up(self, every_s: float, beside: Callable[[], None]) -> None:
        """Look at the nodes for ever, and do something else each time."""
        while True:
            await asyncio.sleep(every_s)
            self.see()
            beside()

    def _may_ask(self) -> bool:
        if self._turns:
            return False
        return not self._waiting or (len(self._waiting) < MOST_AHEAD and may_go_past(self._left, self._latest))

    def _move_up(self) -> None:
        self._waiting = [waiting for waiting in self._waiting if not waiting.placed.done()]  # some have just gone
        needs = [waiting.need() for waiting in self._waiting]
        found, self._left = self.room.placed(needs)
        moved = [(self._waiting[number], number) for number in found]
        for waiting, number in moved:
            self._waiting.remove(waiting)
            waiting.placed.set_result(found[number])
            self._latest = needs[number]
        self._wake()

    def _leave(self, waiting: _Waiting) -> None:
        if waiting in self._waiting:
            self._waiting.remove(waiting)
        elif waiting.placed.done() and not waiting.placed.cancelled():
            self.room.give(waiting.placed.result())  # it was placed in the very moment
        self._move_up()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class OpenLine(Line):
    """Where all trials hold the same. Slots stand in line before they have a trial, so there are no turns."""

    async def turn(self) -> None:
        pass

    async def further(self, need: Resources) -> tuple[Place, ...]:
        """Room for a slot that is not there yet: those that are there go first."""
        while self._waiting or (places := self.room.take(need)) is None:
            await self._changed.wait()
        return places


def may_go_past(left: Room, latest: Resources | None) -> bool:
    """Whether a trial is worth asking for while others wait: there is an idle node, or room for one like the last."""
    return bool(left.idle()) or (latest is not None and left.fits(latest))
