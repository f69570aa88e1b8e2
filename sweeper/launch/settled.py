"""A slot on a shared cluster where all trials hold the same: it has room before it asks for a trial.

It keeps its room and its actor from trial to trial, as long as the sweep may. Where they had to go between a trial's
being asked for and its beginning, that trial goes on in the place of the next slot that has none or has ended its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from sweeper.launch.room import Place
from sweeper.launch.roving import Berths, Party, RovingSlot, amount_on
from sweeper.launch.slot import NodeGone, RaySlot
from sweeper.share.claim import Amount
from sweeper.trial import Resources


class SettledSlot(RovingSlot):
    """`others` gives the slots of its sweep. `reserved` is the room that it is made for; `found` a slot at work of a
    driver that is gone.
    """

    def __init__(
        self,
        berths: Berths,
        release: Callable[[RovingSlot], None],
        need: Resources,
        others: Callable[[], Iterable[SettledSlot]],
        reserved: Sequence[Place] = (),
        found: RaySlot | None = None,
    ) -> None:
        super().__init__(berths, release)
        self._need = need
        self._others = others
        self._reserved = reserved
        self._found = found
        self._party: Party | None = None
        self._settling: asyncio.Task[Party] | None = None
        self._places: Sequence[Place] = reserved  # while it settles

    def take_in(self) -> None:
        """The slot that was found is the sweep's from now on."""
        if self._found is not None:
            self._party = self._berths.take_in(self._found, self._need)
            self._found = None
            self.is_running = True  # nobody else may have its place before the trial is heard

    async def ready(self) -> None:
        await self._settled()

    async def _settled(self) -> Party:
        while True:
            if self._party is None:
                await self._settle()
            elif await self._is_free(self._party):
                return self._party

    async def close(self) -> None:
        self._leave()
        self._line.give(self._reserved)
        self._reserved = ()
        self._release(self)

    def forget(self) -> None:
        if self._found is not None:
            self._found.kill()
        self._leave()

    def vacated(self, node: str) -> Amount | None:
        if self.is_running:
            return None
        if self._party is not None and (held := amount_on(node, self._party.places)) is not None:
            self._leave()
            return held
        if self._settling is not None and (held := amount_on(node, self._places)) is not None:
            self._settling.cancel()
            return held
        return None

    @property
    def is_stranded(self) -> bool:
        """It has a trial and no place for it."""
        return self.is_running and self._settling is not None and not (self._settling.done() or self._places)

    def take_over(self, party: Party) -> None:
        """Another slot's place is this one's, which stands in line no more."""
        if self._settling is not None:
            self._settling.cancel()
        self._party = party

    def yielded(self) -> Party | None:
        """Its place, where it has no trial; it is to find another one."""
        if self.is_running:
            return None
        party, self._party = self._party, None
        return party

    async def _settle(self) -> None:
        """Find room, and have an actor there. It may have to begin anew, where the room goes to somebody else."""
        settling = self._settling = asyncio.create_task(super()._board(lambda: self._need))
        try:
            await asyncio.wait({settling})
        finally:
            is_settled = not settling.cancel() and not settling.cancelled()
            self._settling, self._places = None, ()
            if is_settled:  # be it in the very moment when the wait for it was cancelled
                self._party = settling.result()

    async def _is_free(self, party: Party) -> bool:
        """Whether its actors can take a trial; where their node has gone, the room is given up."""
        try:
            for berth in party.berths:
                await berth.slot.ready()
        except NodeGone:
            self._leave()
        return self._party is party

    async def _board(self, need: Callable[[], Resources | None]) -> Party:
        if self._party is None:
            self._party = next((party for other in self._others() if (party := other.yielded())), None)
        return self._party or await self._settled()

    async def _placed(self, need: Callable[[], Resources | None]) -> Sequence[Place]:
        self._places = ()  # those of the attempt before, whose node has gone
        places, self._reserved = self._reserved or await super()._placed(need), ()
        self._places = places
        return places

    def _disband(self, party: Party, is_kept: bool) -> None:
        if is_kept and party is self._party and not any(self._line.room.is_beyond(one.node) for one in party.places):
            self._pass_on(party)
            return
        self._party = None
        super()._disband(party, is_kept=False)

    def _pass_on(self, party: Party) -> None:
        """Give its place to a trial that waits for one, so that it has not been chosen long before it begins."""
        stranded = next((other for other in self._others() if other.is_stranded), None)
        if stranded is not None:
            self._party = None
            stranded.take_over(party)

    def _leave(self) -> None:
        party, self._party = self._party, None
        if party is not None:
            super()._disband(party, is_kept=False)
