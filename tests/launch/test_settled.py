"""Slots that lose their room between a trial's being asked for and its beginning, on actors that are simulated."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hydra._internal.callbacks import Callbacks
from optuna.trial import TrialState

from sweeper.launch import roving
from sweeper.launch.line import OpenLine
from sweeper.launch.room import Offer
from sweeper.launch.roving import Berths
from sweeper.launch.settled import SettledSlot
from sweeper.launch.slot import NodeGone, Placement
from sweeper.packing import Packing
from sweeper.run.app import App
from sweeper.trial import Ended, Event, Failure, Resources, TrialSpec
from tests.run import apps
from tests.spec import spec_for

NODE = Offer("node", "node", cpus=2)
NEED = Resources(cpus=1)


class Actor:
    """A slot whose trials end when they are told to."""

    made = 0
    has_started = True

    def __init__(self, placement: Placement) -> None:
        Actor.made += 1
        self.may_end = asyncio.Event()

    async def started(self) -> None: ...

    async def ready(self) -> None: ...

    async def is_free(self) -> bool:
        return True

    async def run(self, spec: TrialSpec) -> AsyncIterator[tuple[Event, ...]]:
        await self.may_end.wait()
        yield (Ended(spec.run, 0, time.time(), TrialState.COMPLETE),)

    def kill(self) -> None: ...


class Crew:
    """Two slots that are ready; the sweep may then hold room for one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.offer = NODE
        self.line = OpenLine(lambda: [self.offer])
        self.line.see()
        self.berths = Berths(Placement(App.of(apps.returns, Callbacks())), self.line, Packing())
        self.slots: list[SettledSlot] = []

    async def gather(self) -> tuple[SettledSlot, SettledSlot]:
        for _ in range(2):
            places = await self.line.further(NEED)
            self.slots.append(SettledSlot(self.berths, self.slots.remove, NEED, lambda: self.slots, places))
            await self.slots[-1].ready()
        one, two = self.slots
        return one, two

    def shrink(self) -> None:
        self.offer = replace(NODE, allowed=(1.0, 0.0))
        self.line.see()
        self.berths.give_way()

    def begin(self, slot: SettledSlot, number: int) -> asyncio.Task[list[Event]]:
        async def run() -> list[Event]:
            return [event async for events in slot.run(spec_for(self.folder, {}, number=number)) for event in events]

        return asyncio.create_task(run())

    def end_all(self) -> None:
        for berth in self.berths._busy:
            berth.slot.may_end.set()  # type: ignore[attr-defined]


@pytest.fixture
def crew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Crew:
    monkeypatch.setattr(roving, "RaySlot", Actor)
    monkeypatch.setattr(Actor, "made", 0)
    return Crew(tmp_path)


def test_so_does_one_whose_node_goes_while_its_actor_starts(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    async def goes(actor: Actor) -> None:
        if Actor.made == 3:
            crew.shrink()
            raise NodeGone("the node has gone")

    async def play() -> None:
        one, two = await crew.gather()
        first = crew.begin(two, 1)
        await settled_down()
        assert one.vacated("node") == (1.0, 0.0)
        monkeypatch.setattr(Actor, "started", goes)
        stranded = crew.begin(one, 0)
        await settled_down()
        assert one.is_stranded

        crew.end_all()

        assert [type(event) for event in await asyncio.wait_for(first, 5)] == [Ended]
        assert [type(event) for event in await asyncio.wait_for(stranded, 5)] == [Ended]

    asyncio.run(play())


def test_a_stop_in_the_moment_when_a_place_is_found_is_heard(crew: Crew) -> None:
    async def play() -> None:
        one, _ = await crew.gather()
        trial = crew.begin(one, 0)
        while one._boarding is None or not one._boarding.done():
            await asyncio.sleep(0)
        await one.stop(Failure.STOPPED, "stopped by the test")

        (end,) = await asyncio.wait_for(trial, 5)
        assert isinstance(end, Ended) and end.failure == Failure.STOPPED
        assert crew.line.room.taken("node") == (2.0, 0.0)  # the slot keeps its place

    asyncio.run(play())


def test_a_place_found_in_the_moment_of_a_stop_is_not_lost(crew: Crew) -> None:
    async def play() -> None:
        one, two = await crew.gather()
        crew.begin(two, 1)
        await settled_down()
        assert one.vacated("node") == (1.0, 0.0)
        trial = crew.begin(one, 0)
        while one._settling is None or not one._settling.done():
            await asyncio.sleep(0)
        await one.stop(Failure.STOPPED, "stopped by the test")
        await asyncio.wait_for(trial, 5)

        assert one.vacated("node") == (1.0, 0.0)  # it is still the slot's to give up
        assert crew.line.room.taken("node") == (1.0, 0.0)

    asyncio.run(play())


async def settled_down() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_trial_whose_slot_has_lost_its_room_takes_that_of_a_slot_without_one(crew: Crew) -> None:
    async def play() -> None:
        one, two = await crew.gather()
        crew.shrink()
        assert one.vacated("node") == (1.0, 0.0)

        trial = crew.begin(one, 0)
        await settled_down()
        crew.end_all()

        assert [type(event) for event in await asyncio.wait_for(trial, 5)] == [Ended]
        assert Actor.made == 2  # on the actor of the other slot, which asks for room when it is needed again
        assert two.vacated("node") is None

    asyncio.run(play())


def test_it_goes_on_in_the_place_of_the_first_slot_whose_trial_ends(crew: Crew) -> None:
    async def play() -> None:
        one, two = await crew.gather()
        crew.shrink()
        one.vacated("node")
        first = crew.begin(two, 1)
        stranded = crew.begin(one, 0)
        await settled_down()
        assert one.is_stranded

        crew.end_all()

        assert [type(event) for event in await asyncio.wait_for(first, 5)] == [Ended]
        assert [type(event) for event in await asyncio.wait_for(stranded, 5)] == [Ended]
        assert Actor.made == 2
        assert crew.line.room.taken("node") == (1.0, 0.0)

    asyncio.run(play())
