"""One trial on several nodes: its processes begin together and have one end.

The first is the trial, whose events are on record. The others run the same task as ranks 1, 2, …: in folders of their
own below the trial's, with a journal each and no artifacts. Where one of them fails, the trial fails with its words.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from optuna.trial import TrialState

from sweeper.launch.slot import RaySlot
from sweeper.trial import Ended, Event, Failure, TrialSpec

_LEAVE_S = 30.0  # for the other ranks to end once the first has


class Gang:
    """Slots on as many nodes, as one."""

    def __init__(self, slots: Sequence[RaySlot]) -> None:
        self._slots = slots
        self._failed: Ended | None = None  # of the ranks beside the first, the one that failed first

    async def run(self, spec: TrialSpec) -> AsyncIterator[tuple[Event, ...]]:
        address, port = await self._slots[0].address()
        specs = [_of_rank(spec, rank, len(self._slots), address, port) for rank in range(len(self._slots))]
        beside = [
            asyncio.create_task(self._follow(slot, own)) for slot, own in zip(self._slots[1:], specs[1:], strict=True)
        ]
        try:
            async for events in self._slots[0].run(specs[0]):
                yield (*events[:-1], self._told(events[-1]))
            _, late = await asyncio.wait(beside, timeout=_LEAVE_S)
            if late:
                await self.stop(Failure.STOPPED, "the first rank has ended")
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
        async for events in slot.run(spec):
            end = events[-1]
        if isinstance(end, Ended) and end.state == TrialState.FAIL and self._failed is None:
            rank = spec.variables["RANK"]
            self._failed = replace(end, error=f"rank {rank}: {end.error}")
            for other in self._slots:
                if other is not slot:
                    await other.stop(end.failure or Failure.ERROR, f"rank {rank}: {end.error}")

    def _told(self, event: Event) -> Event:
        """The end of the first rank, for the reason for which another had failed before."""
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
