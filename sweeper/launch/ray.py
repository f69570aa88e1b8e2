"""Trials on a Ray cluster: a slot is an actor that holds a share of some node and keeps a zygote there.

Ray places the actors and sets what GPUs they see. It re-runs no trial by itself: retries are ours, and on record. On a
cluster that others started, the actors outlive their driver: a trial goes on when its driver dies, and the next driver
hears it to its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import sys
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import replace
from typing import Any, Self

from sweeper.beside import as_long_as, beside
from sweeper.errors import LaunchError
from sweeper.launch import MANY, Slot, T, inventory
from sweeper.launch.answer import answer
from sweeper.launch.cluster import local_node, local_ray, running_cluster
from sweeper.launch.line import Line
from sweeper.launch.naming import named, names_of, sweep_of
from sweeper.launch.node import offers
from sweeper.launch.prospect import Node, Prospect
from sweeper.launch.room import Offer, Room, needs, why_never
from sweeper.launch.roving import Berths, RovingSlot
from sweeper.launch.settled import SettledSlot
from sweeper.launch.shared import Shared
from sweeper.launch.slot import NAMESPACE, Placement, RaySlot
from sweeper.packing import Packing
from sweeper.share.claim import Applicant
from sweeper.trial import Resources, TrialSpec

Nodes = Sequence[Mapping[str, Any]]  # as `ray.nodes()` has them

_LOOK_EVERY_S = 3.0  # for nodes that have joined
_PATIENCE_S = 30.0  # with a slot that was found, to say what it holds


class RayLauncher:
    """As many slots as the cluster offers, or `n_jobs` where that is fewer.

    `needs` are what trials may hold, as far as it is known; with `packing` each trial says it itself, and the packing
    is told how large cards are. On a cluster of others (`address`) the slots of an `applicant` outlive this driver, and
    share the cluster with those of others.
    """

    def __init__(
        self,
        placement: Placement,
        needs: Sequence[Resources],
        n_jobs: int | None,
        address: str | None,
        packing: Packing | None = None,
        applicant: Applicant | None = None,
    ) -> None:
        guest = applicant if address is not None else None
        self.outlives_drivers = guest is not None  # its slots do
        self._placement = replace(placement, resources=needs[0], name=None if guest is None else names_of(guest.sweep))
        self._needs = needs
        self._packing = packing
        self._n_jobs = n_jobs
        self._address = address
        self._slots: list[RaySlot] = []
        self._memories: dict[str, int] = {}  # bytes of a node's smallest card, where it matters
        self._berths: Berths | None = None
        self._is_warned = False
        self._adopted: asyncio.Queue[Slot] = asyncio.Queue()  # those that `slots` has still to offer
        self._undo = contextlib.ExitStack()
        self._shared = None if guest is None else self._part_of_a_cluster(guest)

    def __enter__(self) -> Self:
        ray = sys.modules.get("ray")
        if (
            ray is None or not ray.is_initialized()
        ):  # a Ray that this process has joined already is used, and left as it is
            self._undo.enter_context(local_ray() if self._address is None else running_cluster(self._address))
        return self

    def __exit__(self, *exc: object) -> None:
        for slot in self._slots:
            slot.kill()
        if self._berths is not None:
            self._berths.close()
        if self._shared is not None:
            self._shared.close()
        self._undo.close()

    def _part_of_a_cluster(self, applicant: Applicant) -> Shared:
        return Shared(
            self._placement,
            applicant,
            self._needs,
            self._packing,
            look=lambda: self._offers(self._nodes()),
            limit=lambda: self._n_jobs,
            warn=self._warn,
        )

    def prospect(self) -> Prospect:
        """What there is for trials, looked at without placing any. Raises LaunchError where one can never run."""
        if self._address is None:
            node = local_node()
            self._look_at_cards(lambda: {node["NodeID"]: inventory.here()})
            return self._seen("this machine", [node], node["Resources"])
        with self:
            import ray  # now: joining sets what Ray's C++ side reads when it is imported

            free: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
            self._look_at_cards(inventory.of_cluster)
            return self._seen(f"the Ray cluster at {self._address}", self._nodes(), free)

    def _seen(self, where: str, nodes: Nodes, free: Mapping[str, float]) -> Prospect:
        self._check_room(nodes)
        alive = [node for node in nodes if node["Alive"]]
        return Prospect(
            where=where,
            nodes=tuple(
                Node(
                    str(node.get("NodeManagerHostname") or node["NodeID"]),
                    node["Resources"].get("CPU", 0.0),
                    node["Resources"].get("GPU", 0.0),
                )
                for node in alive
            ),
            cpus_free=free.get("CPU", 0.0),
            gpus_free=free.get("GPU", 0.0),
            slots=self._fitting(nodes),
        )

    def drive(self, main: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(main)

    def orphaned(self, sweeps: Collection[str]) -> list[tuple[Slot, TrialSpec]]:
        """The slots that hold trials of these sweeps, whose drivers are gone; idle ones are given back."""
        import ray

        found: list[tuple[Slot, TrialSpec]] = []
        if self._shared is None:
            return found
        names = named(sweeps)
        self._shared.succeed(set(map(sweep_of, names)))
        for name in names:
            with contextlib.suppress(ValueError, ray.exceptions.RayError):  # it is gone by now, or does not answer
                actor = ray.get_actor(name, NAMESPACE)
                held: Any = answer(actor.holds.remote(), _PATIENCE_S)
                if held is None:
                    ray.kill(actor)
                else:
                    arrived: Any = answer(actor.ready.remote(), _PATIENCE_S)
                    slot = RaySlot(replace(self._placement, node=arrived.node), actor, held, arrived)
                    found.append((self._shared.adopted(slot, held.resources or self._needs[0]), held))
        return found

    def adopt(self, slots: Iterable[Slot]) -> None:
        for slot in slots:
            if isinstance(slot, SettledSlot) and self._shared is not None:
                self._shared.take_in(slot)
            self._adopted.put_nowait(slot)

    def resize(self, n_jobs: int) -> None:
        self._n_jobs = n_jobs  # `slots` looks every few seconds

    async def slots(self, further: Callable[[], int] = lambda: MANY) -> AsyncIterator[Slot]:
        """Those that were adopted, those that the cluster has room for, and more when nodes join it."""
        await asyncio.to_thread(self._look_at_cards, inventory.of_cluster)  # a busy node takes its time to answer
        self._check_room(self._nodes())
        async with (
            contextlib.aclosing(self._made(further)) as made,
            contextlib.aclosing(_either(self._adopted, made)) as found,
        ):
            async for slot in found:
                yield slot

    def _made(self, further: Callable[[], int]) -> AsyncGenerator[Slot]:
        if self._shared is not None:
            return self._shared.slots(further)
        return self._alike() if self._packing is None else self._roving(self._packing)

    async def _roving(self, packing: Packing) -> AsyncGenerator[Slot]:
        """One more whenever all that there are have found room for their trials."""
        line = Line(lambda: self._offers(self._nodes()))
        line.see()
        self._berths = Berths(self._placement, line, packing)
        count = 0

        def release(_: RovingSlot) -> None:
            nonlocal count
            count -= 1

        async def turn() -> None:
            while self._n_jobs is not None and count >= self._n_jobs:
                await asyncio.sleep(_LOOK_EVERY_S)
            await line.turn_of_a_further_slot()

        async with beside(line.keep_up(_LOOK_EVERY_S, self._berths.beat)) as looking:
            while True:
                await as_long_as((looking,), turn())
                count += 1
                yield RovingSlot(self._berths, release)

    async def _alike(self) -> AsyncGenerator[Slot]:
        ready: asyncio.Queue[RaySlot | LaunchError] = asyncio.Queue()
        waiting: set[asyncio.Task[None]] = set()
        try:
            while True:
                self._slots = [slot for slot in self._slots if not slot.is_closed]
                for _ in range(self._fitting(self._nodes()) - len(self._slots)):
                    slot = RaySlot(self._placement)
                    self._slots.append(slot)
                    waiting.add(asyncio.create_task(_when_ready(slot, ready)))
                try:
                    async with asyncio.timeout(_LOOK_EVERY_S):
                        found = await ready.get()
                except TimeoutError:
                    for slot in self._slots:
                        slot.beat()
                    continue
                if isinstance(found, LaunchError):
                    raise found
                self._warn(found)
                yield found
        finally:
            for task in waiting:
                task.cancel()

    def _warn(self, slot: RaySlot) -> None:
        if slot.unforkable is not None and not self._is_warned:
            self._is_warned = True
            self._placement.notice(
                f"the app {slot.unforkable}, which no fork survives: each trial gets a fresh interpreter, and imports "
                "everything anew; hydra.sweeper.trial.isolation=spawn asks for that"
            )

    def _check_room(self, nodes: Nodes) -> None:
        """Raise LaunchError where a trial could never run on the nodes that are there."""
        found, room = self._offers(nodes), Room()
        room.see(found)
        for need in self._needs:
            if not self._slots and not room.could_ever(need):
                why = why_never(need, found)
                raise LaunchError(f"a trial needs {needs(need)}, {why}; set hydra.sweeper.resources")

    def _look_at_cards(self, look: Callable[[], Mapping[str, inventory.Look]]) -> None:
        """Learn how large the cards of each node are, where it matters."""
        if any(need.gpu_memory or need.is_packed for need in self._needs):
            looks = look().items()
            self._memories = {node: min(card.memory_total for card in one.cards) for node, one in looks if one.cards}
            if self._packing is not None:
                self._packing.card = max(self._memories.values(), default=0)

    def _nodes(self) -> Nodes:
        import ray

        return ray.nodes()  # type: ignore[no-any-return, no-untyped-call]

    def _offers(self, nodes: Nodes) -> list[Offer]:
        return offers(nodes, self._memories, self._placement.health.closed)

    def _fitting(self, nodes: Nodes) -> int:
        """How many slots the nodes that are alive have room for, whoever uses them now."""
        most = math.inf if self._n_jobs is None else self._n_jobs
        room, fits = Room(), 0
        room.see(self._offers(nodes))
        while fits < most and room.take(self._needs[0]) is not None:
            fits += 1
        return fits


async def _either(queue: asyncio.Queue[Slot], further: AsyncIterator[Slot]) -> AsyncGenerator[Slot]:
    """What comes from either; the queue first."""
    sources: list[Callable[[], Awaitable[Slot]]] = [queue.get, further.__anext__]
    waiting = [asyncio.ensure_future(source()) for source in sources]
    try:
        while True:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            which = next(number for number, one in enumerate(waiting) if one.done())
            slot = waiting[which].result()
            waiting[which] = asyncio.ensure_future(sources[which]())
            yield slot
    finally:
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)


async def _when_ready(slot: RaySlot, ready: asyncio.Queue[RaySlot | LaunchError]) -> None:
    try:
        await slot.ready()
    except LaunchError as error:
        ready.put_nowait(error)
    else:
        ready.put_nowait(slot)
