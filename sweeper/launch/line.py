"""The line for room on a cluster, where each trial says itself what it holds.

Trials are placed in the order in which they came, but for those that stand in nobody's way: a trial may go before
others to a node that none of them could use. How many wait at once is limited: a trial in line was chosen by the
sampler without what has ended since.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sweeper.launch.room import Offer, Place, Room
from sweeper.trial import Resources

_MOST_AHEAD = 4  # trials that wait, at most: more than one only where there is room that none of them can use


@dataclass(eq=False)
class _Waiting:
    need: Resources
    placed: asyncio.Future[tuple[Place, ...]]


@dataclass
class Line:
    """`look` gives the nodes that are there."""

    look: Callable[[], Iterable[Offer]]
    room: Room = field(default_factory=Room)
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

    async def place(self, need: Resources) -> tuple[Place, ...]:
        """Room for a trial, in its turn."""
        waiting = _Waiting(need, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._turns -= 1
        self._move_up()
        try:
            return await waiting.placed
        except asyncio.CancelledError:
            self._leave(waiting)
            raise

    def give(self, places: Sequence[Place]) -> None:
        """A trial has ended."""
        self.room.give(places)
        self._move_up()

    @contextlib.asynccontextmanager
    async def kept_up(self, every_s: float, beside: Callable[[], None]) -> AsyncIterator[None]:
        """Look at the nodes meanwhile, and do something else each time."""

        async def look() -> None:
            while True:
                await asyncio.sleep(every_s)
                self.see()
                beside()

        task = asyncio.create_task(look())
        try:
            yield
        finally:
            task.cancel()

    def _may_ask(self) -> bool:
        if self._turns:
            return False
        if not self._waiting:
            return True
        return len(self._waiting) < _MOST_AHEAD and self._has_idle_room()

    def _has_idle_room(self) -> bool:
        """Whether a node has a card, or half of its processors, free that none of those who wait could use."""
        claimed = self._claimed(self._waiting)
        return any(node not in claimed for node in self.room.idle())

    def _move_up(self) -> None:
        for waiting in list(self._waiting):
            before = self._waiting[: self._waiting.index(waiting)]
            places = self.room.take(waiting.need, but=self._claimed(before))
            if places is not None:
                self._waiting.remove(waiting)
                waiting.placed.set_result(places)
        self._wake()

    def _claimed(self, waiting: Sequence[_Waiting]) -> set[str]:
        """Nodes that some of these could use once they are emptier."""
        return {node for one in waiting for node, offer in self.room.offers.items() if offer.suits(one.need)}

    def _leave(self, waiting: _Waiting) -> None:
        if waiting in self._waiting:
            self._waiting.remove(waiting)
        elif waiting.placed.done() and not waiting.placed.cancelled():
            self.room.give(waiting.placed.result())  # it was placed in the very moment
        self._move_up()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
