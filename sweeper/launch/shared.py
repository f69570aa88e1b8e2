"""A sweep's part of a cluster that others use as well: what it may hold comes from the queue, and changes as it runs.

Room is given back between trials, and within one only to a sweep of a higher priority.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from dataclasses import replace

from sweeper.beside import as_long_as, beside
from sweeper.launch.line import Line, OpenLine
from sweeper.launch.member import Member
from sweeper.launch.room import Offer
from sweeper.launch.roving import Berths, RovingSlot
from sweeper.launch.settled import SettledSlot
from sweeper.launch.slot import Placement, RaySlot
from sweeper.packing import Packing
from sweeper.share.claim import NOTHING, Amount, Applicant, Claim
from sweeper.trial import Resources

_LOOK_EVERY_S = 3.0
_SLACK = 1e-6


class Shared:
    """`needs` are what trials may hold, as far as is known: all the first of them, or with `packing` what each says.

    `look` gives the nodes that are there, `limit` how many slots there may be, if that is limited.
    """

    def __init__(
        self,
        placement: Placement,
        applicant: Applicant,
        needs: Sequence[Resources],
        packing: Packing | None,
        look: Callable[[], list[Offer]],
        limit: Callable[[], int | None],
        warn: Callable[[RaySlot], None],
    ) -> None:
        self._applicant = applicant
        self._placement = placement
        self._needs = needs
        self._need = needs[0] if packing is None else None
        self._look = look
        self._limit = limit
        self._further: Callable[[], int] = lambda: 0
        self._member = Member(self._claim, self._heed, placement.notice)
        self._line: Line | OpenLine = OpenLine(self._offers) if packing is None else Line(self._offers)
        self._line.is_short = self._member.has_news
        self._berths = Berths(placement, self._line, packing or Packing(), has_given=self._member.has_news, warn=warn)
        self._slots: set[RovingSlot] = set()
        self._heir_of: frozenset[str] = frozenset()

    def succeed(self, sweeps: Collection[str]) -> None:
        """The slots of these sweeps, whose drivers are dead, are given back or adopted."""
        self._heir_of |= frozenset(sweeps)

    def adopted(self, slot: RaySlot, held: Resources) -> SettledSlot:
        """One that was found at work; `take_in` makes it the sweep's."""
        return SettledSlot(self._berths, self._releasing, held, self._settled, found=slot)

    def take_in(self, slot: SettledSlot) -> None:
        self._line.see()
        slot.take_in()
        self._slots.add(slot)

    def close(self) -> None:
        self._berths.close()
        self._member.leave(self._applicant.sweep)

    async def slots(self, further: Callable[[], int]) -> AsyncGenerator[RovingSlot]:
        """One more whenever all that there are have found room."""
        self._further = further
        self._line.see()
        keeping_up = self._line.keep_up(_LOOK_EVERY_S, self._berths.beat)
        async with beside(self._member.attend()) as attending, beside(keeping_up) as looking:
            while True:
                slot = await as_long_as((attending, looking), self._one_more())
                self._slots.add(slot)
                yield slot

    async def _one_more(self) -> RovingSlot:
        while (limit := self._limit()) is not None and len(self._slots) >= limit:
            await asyncio.sleep(_LOOK_EVERY_S)
        if self._need is not None and isinstance(self._line, OpenLine):
            reserved = await self._line.further(self._need)
            return SettledSlot(self._berths, self._releasing, self._need, self._settled, reserved)
        await self._line.turn_of_a_further_slot()
        return RovingSlot(self._berths, self._releasing)

    def _settled(self) -> list[SettledSlot]:
        return [slot for slot in self._slots if isinstance(slot, SettledSlot)]

    def _releasing(self, slot: RovingSlot) -> None:
        self._slots.discard(slot)

    def _offers(self) -> list[Offer]:
        """The nodes, each with what the sweep may hold of it."""
        grant = self._member.grant
        if grant is None:
            return self._look()
        return [replace(offer, allowed=grant.allowed.get(offer.node, NOTHING)) for offer in self._look()]

    def _claim(self) -> Claim:
        held = self._berths.held()
        running = sum(slot.is_running for slot in self._slots)
        unit = self._unit()
        return Claim(
            by=self._applicant,
            unit=unit,
            held=held,
            running=running,
            wanted=self._wanted(running, unit, held),
            pace_s=self._berths.pace_s,
            closed=frozenset(self._placement.health.closed),
            memories={offer.node: offer.gpu_memory for offer in self._line.room.offers.values() if offer.gpu_memory},
            heir_of=self._heir_of,
            used_s=self._member.told.used_s,
            balance_s=self._member.told.balance_s,
        )

    def _unit(self) -> Resources:
        """What is claimed at a time: where trials differ, what the next in line needs, in whole cards if packed."""
        if self._need is not None:
            return self._need
        waiting = self._line.first()
        need = max(self._needs, key=lambda need: (need.gpus, need.cpus)) if waiting is None else waiting
        return replace(need, gpus=1.0, gpu_memory=0) if need.is_packed else need

    def _wanted(self, running: int, unit: Resources, held: dict[str, Amount]) -> int:
        """How many such units could be used now; where trials differ, one by one."""
        if self._need is not None:
            wanted = running + self._further()
            limit = self._limit()
            return wanted if limit is None else min(limit, wanted)
        sizes = [gpus / unit.gpus if unit.gpus else cpus / max(unit.cpus, _SLACK) for cpus, gpus in held.values()]
        return sum(math.ceil(size - _SLACK) for size in sizes) + self._line.length()

    def _heed(self) -> None:
        """Something else is granted: take what there is more, and give back what nobody needs here."""
        self._line.see()
        self._berths.give_way()
        held = {node: self._counted(amount) for node, amount in self._berths.held().items()}
        for node, offer in self._line.room.offers.items():
            held[node] = held.get(node, 0.0) - self._vacated(node, offer.most)
        grant = self._member.grant
        for node, most in ({} if grant is None else grant.most).items():
            self._preempt(node, held.get(node, 0.0) - most)

    def _vacated(self, node: str, most: Amount) -> float:
        """Have slots without a trial leave a node where more is held than `most`; how much will be given back."""
        cpus, gpus = self._line.room.taken(node)
        over, left = (cpus - most[0], gpus - most[1]), 0.0
        for slot in list(self._slots):
            if max(over) <= _SLACK:
                break
            if (given := slot.vacated(node)) is not None:
                over = (over[0] - given[0], over[1] - given[1])
                left += self._counted(given)
        return left

    def _preempt(self, node: str, amount: float) -> None:
        """End trials on a node, the youngest first, until so much of it will be given back."""
        here = sorted((slot for slot in self._slots if slot.held_on(node)), key=lambda slot: -slot.began_at)
        left = amount - sum(self._counted(slot.held_on(node)) for slot in here if slot.is_going)
        for slot in here:
            if left <= _SLACK:
                return
            if not slot.is_going:
                left -= self._counted(slot.held_on(node))
                slot.preempt()

    def _counted(self, held: Amount | None) -> float:
        cpus, gpus = held or NOTHING
        return gpus if self._unit().gpus else cpus
