"""One trial on several nodes: its processes begin together and have one end.

The first is the trial, whose events are on record. The others run the same task as ranks 1, 2, …: in folders of their
own below the trial's, with a journal each and no artifacts. Where one of them fails, the trial fails with its words;
the cards of all are on record when it has ended.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from optuna.trial import TrialState

from sweeper.launch.slot import RaySlot
from sweeper.trial import Captured, Ended, Event, Failure, TrialSpec

_LEAVE_S = 30.0  # for the other ranks to end once the first has


class Gang:
    """Slots on as many nodes, as one."""

    def __init__(self, slots: Sequence[RaySlot]) -> None:
        self._slots = slots
        self._failed: Ended | None = None  # of the ranks beside the first, the one that failed first
        self._cards: dict[int, tuple[str, ...]] = {}  # UUIDs, by rank

    async def run(self, spec: TrialSpec) -> AsyncIterator[tuple[Event, ...]]:
        address, port = await self._slots[0].address()
        specs = [_of_rank(spec, rank, len(self._slots), address, port) for rank in range(len(self._slots))]
        beside = [
            asyncio.create_task(self._follow(slot, own)) for slot, own in zip(self._slots[1:], specs[1:], strict=True)
        ]
        try:
            async for events in self._slots[0].run(specs[0]):
                yield tuple(map(self._told, events))
            _, late = await asyncio.wait(beside, timeout=_LEAVE_S)
            if late:
                await self.stop(Failure.STOPPED, "the first rank has ended")
                await asyncio.wait(late)  # their slots take other trials then
        finally:
            for task in beside:
                task.cancel()

    async def answer(self, step: int, prune: bool) -> None:
        for slot in self._slots:
            await slot.answer(step, prune)

    async def stop(self, failure: Failure, error: str) -> None:
        for slot in self._slots:
            await slot.stop(failure, error)

    async def _follow(self, slot: RaySlot, spec: TrialSpec) -> None:
        end: Event | None = None
        rank = int(spec.variables["RANK"])
        async for events in slot.run(spec):
            end = events[-1]
            for event in events:
                if isinstance(event, Captured):
                    self._cards[rank] = event.gpus
        if isinstance(end, Ended) and end.state == TrialState.FAIL and self._failed is None:
            self._failed = replace(end, error=f"rank {rank}: {end.error}")
            for other in self._slots:
                if other is not slot:
                    await other.stop(end.failure or Failure.ERROR, f"rank {rank}: {end.error}")

    def _told(self, event: Event) -> Event:
        """What the first rank says, with what only all know: the cards of the others, and why one had failed before."""
        if isinstance(event, Captured):
            others = (card for _, cards in sorted(self._cards.items()) for card in cards)
            return replace(event, gpus=(*event.gpus, *others))
        if self._failed is None or not isinstance(event, Ended) or event.state != TrialState.FAIL:
            return event
        failed = self._failed
        return replace(event, failure=failed.failure, error=failed.error, traceback=failed.traceback)


def _of_rank(spec: TrialSpec, rank: int, size: int, address: str, port: int) -> TrialSpec:
    variables = {
        "MASTER_ADDR": address,
        "MASTER_PORT": str(port),
        "RANK": str(rank),
        "WORLD_SIZE": str(size),
        "NODE_RANK": str(rank),
        "LOCAL_RANK": "0",
    }
    own = replace(spec, variables={**spec.variables, **variables})
    if rank == 0:
        return own
    return replace(own, run=uuid.uuid4().hex, folder=f"{spec.folder}/rank-{rank}", artifacts="", collect=())
