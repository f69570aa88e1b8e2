"""The queue of a cluster: an actor that every driver reports to, and that says what each sweep may hold.

It holds no resources, belongs to no driver and ends with the last of them. It may die at any time: Ray starts it again,
somewhere, and it learns all there is to know from the next reports.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sweeper.launch.answer import answer
from sweeper.launch.node import offers
from sweeper.launch.slot import NAMESPACE
from sweeper.share.book import Book
from sweeper.share.claim import NOTHING, Amount, Claim, Grant, Standing

NAME = "queue"
_LEAST_BETWEEN_S = 0.05  # two settlements, or five times as long as the last one took
_LOOK_EVERY_S = 0.5  # at the nodes
_BELIEVED_S = 10.0  # what others use counts once Ray has said so for so long: it is late with what has changed
_PATIENCE_S = 10.0


@dataclass
class _Use:
    """What of each node is used by somebody who reports nothing: other jobs on the cluster, slots of dead drivers."""

    _looks: deque[tuple[float, Mapping[str, Amount]]] = field(default_factory=deque)

    def seen(self, now: float, used: Mapping[str, Amount], held: Mapping[str, Amount]) -> None:
        foreign = {
            node: (max(0.0, used[node][0] - cpus), max(0.0, used[node][1] - gpus))
            for node in used
            for cpus, gpus in [held.get(node, NOTHING)]
        }
        self._looks.append((now, foreign))
        while self._looks[0][0] < now - _BELIEVED_S:
            self._looks.popleft()

    def forget(self) -> None:
        """Believe the next look at once."""
        self._looks.clear()

    def foreign(self) -> dict[str, Amount]:
        found: dict[str, Amount] = dict(self._looks[-1][1]) if self._looks else {}
        for _, look in self._looks:
            for node, (cpus, gpus) in found.items():
                seen = look.get(node, NOTHING)
                found[node] = (min(cpus, seen[0]), min(gpus, seen[1]))
        return found


class QueueActor:
    """The book, and Ray's own view of the nodes."""

    def __init__(self) -> None:
        self._book = Book()
        self._use = _Use()
        self._nodes: list[dict[str, Any]] = []
        self._looked_at = -math.inf
        self._next_at = 0.0  # when it may be settled again
        self._due: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()

    async def report(self, claim: Claim, known: Grant | None, patience_s: float) -> Grant:
        """Take note of a claim; returns what is granted as soon as that is not what is `known`, or after a while."""
        if claim.by.sweep not in self._book:
            self._look_afresh()
        self._book.report(claim, time.monotonic())
        deadline = time.monotonic() + patience_s
        await self._settle_soon()
        while (granted := self._granted(claim)) is not None:
            left_s = deadline - time.monotonic()
            if known is None or _differs(granted, known) or left_s <= 0:
                return granted
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._settled.wait()
        return Grant()

    async def leave(self, sweep: str) -> int:
        """A sweep has ended; returns how many there are still."""
        self._book.leave(sweep)
        await self._settle_soon()
        return len(self._book)

    async def look(self) -> list[Standing]:
        self._settle()
        return self._book.standings()

    def _granted(self, claim: Claim) -> Grant | None:
        with contextlib.suppress(KeyError):  # another call of this driver has said that it leaves
            return self._book.grant(claim.by.sweep)
        return None

    async def _settle_soon(self) -> None:
        """At once, or when the settlement before is long enough ago."""
        if self._due is None or self._due.done():
            self._due = asyncio.create_task(self._settle_when_due())
        await self._due

    async def _settle_when_due(self) -> None:
        await asyncio.sleep(max(0.0, self._next_at - time.monotonic()))
        self._settle()

    def _settle(self) -> None:
        began = time.monotonic()
        before = len(self._book)
        self._book.drop_silent(began)
        if len(self._book) < before:
            self._look_afresh()
        if began - self._looked_at > _LOOK_EVERY_S:
            self._look(began)
        self._book.settle(offers(self._nodes, self._book.memories()), self._use.foreign(), began)
        ended = time.monotonic()
        self._next_at = ended + max(_LEAST_BETWEEN_S, 5 * (ended - began))
        settled, self._settled = self._settled, asyncio.Event()
        settled.set()

    def _look_afresh(self) -> None:
        """Who comes or falls silent may hold what was, or will be, taken for somebody else's."""
        self._use.forget()
        self._looked_at = -math.inf

    def _look(self, now: float) -> None:
        import ray
        from ray._private.state import available_resources_per_node  # a developer API of Ray's; it has no public one

        self._looked_at = now
        self._nodes = ray.nodes()  # type: ignore[no-untyped-call]
        free: Mapping[str, Mapping[str, float]] = available_resources_per_node()  # type: ignore[no-untyped-call]
        used = {
            node["NodeID"]: (_used(node, free, "CPU"), _used(node, free, "GPU"))
            for node in self._nodes
            if node["Alive"] and node["NodeID"] in free
        }
        self._use.seen(now, used, self._book.held())


def _used(node: Mapping[str, Any], free: Mapping[str, Mapping[str, float]], name: str) -> float:
    return float(node["Resources"].get(name, 0.0) - free[node["NodeID"]].get(name, 0.0))


def _differs(one: Grant, other: Grant) -> bool:
    return (one.allowed, one.most) != (other.allowed, other.most)


def queue() -> Any:
    """The queue of the cluster that this process has joined; it is started where there is none."""
    import ray

    return (
        ray.remote(QueueActor)
        .options(
            name=NAME,
            namespace=NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            num_cpus=0,
            max_restarts=-1,
            max_concurrency=1000,
            enable_task_events=False,
        )
        .remote()
    )


def standings() -> list[Standing]:
    """The sweeps on the cluster that this process has joined, by priority; none where no queue is up."""
    import ray

    try:
        actor = ray.get_actor(NAME, NAMESPACE)
        found: list[Standing] = answer(actor.look.remote(), _PATIENCE_S)
    except (ValueError, ray.exceptions.RayError):
        return []
    return found
