"""Actors that Ray has wait, beside idle ones: simulated."""

from __future__ import annotations

import asyncio

import pytest
from hydra._internal.callbacks import Callbacks

from sweeper.launch import roving
from sweeper.launch.line import OpenLine
from sweeper.launch.room import Offer, Place
from sweeper.launch.roving import Berths
from sweeper.launch.slot import NodeGone, Placement
from sweeper.packing import Packing
from sweeper.run.app import App
from sweeper.trial import Resources
from tests.run import apps

HALF, WHOLE = Resources(cpus=0, gpus=0.5), Resources(cpus=0, gpus=1)


class Actor:
    """One that Ray places at once, unless it holds a whole card: that takes the end of all others."""

    def __init__(self, placement: Placement) -> None:
        self.is_whole = placement.resources.gpus == 1
        self.is_killed = False
        self.may_start = asyncio.Event()
        self.has_started = not self.is_whole

    async def started(self) -> None:
        if self.is_whole:
            await self.may_start.wait()

    def kill(self) -> None:
        self.is_killed = True


def test_an_actor_whose_node_goes_is_waited_for_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether Ray says what became of it or not."""
    monkeypatch.setattr(roving, "RaySlot", Actor)
    monkeypatch.setattr(roving, "_LONG_S", 0.01)
    nodes = [Offer("node", "node", cpus=4, gpus=1)]
    line = OpenLine(lambda: nodes)
    berths = Berths(Placement(App.of(apps.returns, Callbacks())), line, Packing())

    async def main() -> None:
        line.see()
        waiting = await berths.take(Place("node", WHOLE, (0,)))
        nodes.clear()
        line.see()
        await berths.started(waiting)

    with pytest.raises(NodeGone):
        asyncio.run(main())


def test_idle_actors_give_way_to_one_that_ray_has_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two halves are idle on one card by our books and on two by Ray's."""
    monkeypatch.setattr(roving, "RaySlot", Actor)
    monkeypatch.setattr(roving, "_LONG_S", 0.01)
    line = OpenLine(lambda: [Offer("node", "node", cpus=4, gpus=2)])
    berths = Berths(Placement(App.of(apps.returns, Callbacks())), line, Packing())

    async def main() -> list[bool]:
        line.see()
        idle = [await berths.take(Place("node", HALF, (0,))) for _ in range(2)]
        for one in idle:
            berths.put(one)
        waiting = await berths.take(Place("node", WHOLE, (1,)))
        starting = asyncio.create_task(berths.started(waiting))
        while not all(one.slot.is_killed for one in idle):
            await asyncio.sleep(0.001)
        waiting.slot.may_start.set()
        await starting
        return [one.slot.is_killed for one in (*idle, waiting)]

    assert asyncio.run(main()) == [True, True, False]
