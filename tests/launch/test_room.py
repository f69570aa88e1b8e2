"""Room on nodes, card by card, and the line for it."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.launch.line import Line
from sweeper.launch.room import Offer, Place, Room, needs, why_never
from sweeper.trial import Resources

GIB = 1 << 30
H = Offer("h", "h", cpus=16, gpus=8, accelerator="H100", gpu_memory=80 * GIB)
A = Offer("a", "a", cpus=8, gpus=4, accelerator="A100", gpu_memory=40 * GIB, labels={"zone": "x"})
T = Offer("t", "t", cpus=4, gpus=2, accelerator="T4", gpu_memory=16 * GIB, custom={"licence": 1})
C = Offer("c", "c", cpus=4)
NODES = (H, A, T, C)


def need(**what: object) -> Resources:
    return Resources(**{"cpus": 0.0, **what})  # type: ignore[arg-type]


def room(*offers: Offer) -> Room:
    made = Room()
    made.see(offers)
    return made


_needs = st.builds(
    Resources,
    cpus=st.sampled_from([0.0, 0.5, 1.0, 3.0]),
    gpus=st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0]),
    gpu_memory=st.sampled_from([0, 4 * GIB, 20 * GIB]),
    accelerators=st.sampled_from([(), ("H100",), ("A100", "T4")]),
    custom=st.sampled_from([(), (("licence", 1.0),)]),
    nodes=st.sampled_from([1, 1, 1, 2]),
)


@given(st.lists(st.tuples(_needs, st.booleans()), max_size=60))
def test_no_card_is_promised_beyond_its_share_whatever_is_taken_and_given(steps: list[tuple[Resources, bool]]) -> None:
    there, taken = room(*NODES), list[tuple[Place, ...]]()
    for wanted, gives in steps:
        if (places := there.take(wanted)) is not None:
            taken.append(places)
            assert len({place.node for place in places}) == wanted.nodes
        if gives and taken:
            there.give(taken.pop(0))
        for offer in NODES:
            held = [place for places in taken for place in places if place.node == offer.node]
            assert sum(place.need.cpus for place in held) <= offer.cpus + 1e-6
            for card in range(offer.gpus):
                assert sum(min(place.need.gpus, 1) for place in held if card in place.cards) <= 1 + 1e-6
            assert all(offer.is_of(place.need) for place in held)
    for places in taken:
        there.give(places)
    assert there.take(need(gpus=8.0)) is not None  # everything came back


@pytest.mark.parametrize(
    ("wanted", "node", "share"),
    [
        (need(gpus=1.0, accelerators=("A100",)), "a", 1.0),
        (need(gpus=3.0, accelerators=("T4", "A100")), "a", 3.0),
        (need(gpus=1.0, labels=(("zone", "!x"),), accelerators=("A100", "H100")), "h", 1.0),
        (need(gpus=1.0, labels=(("zone", "in(x, y)"),)), "a", 1.0),
        (need(custom=(("licence", 1.0),)), "t", 0.0),
        (need(gpu_memory=4 * GIB, accelerators=("T4",)), "t", 0.25),
        (need(gpu_memory=60 * GIB, gpus=1.0), "h", 1.0),
        (need(cpus=1.0), "c", 0.0),  # cards are kept for those that need them
    ],
)
def test_where_a_trial_goes_and_what_it_holds(wanted: Resources, node: str, share: float) -> None:
    (place,) = room(*NODES).take(wanted) or ()
    assert (place.node, place.need.gpus) == (node, pytest.approx(share))


def test_shares_fill_a_broken_card_before_they_break_another() -> None:
    there = room(H)
    cards = [places[0].cards for _ in range(4) if (places := there.take(need(gpus=0.4)))]
    assert cards == [(0,), (0,), (1,), (1,)]


def test_what_was_taken_on_a_node_that_is_gone_is_free_when_it_comes_again() -> None:
    there = room(T)
    places = there.take(need(gpus=2.0)) or ()
    there.see([])
    there.give(places)
    there.see([T])
    assert there.take(need(gpus=2.0)) is not None and there.take(need(gpus=0.1)) is None


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (need(gpus=9.0), "9×GPU, the largest node has 8"),
        (need(gpus=3.0, accelerators=("T4",)), "3×T4, the largest node has 2"),
        (need(gpus=1.0, accelerators=("B200",)), "1×B200, no node has that; the cluster has A100, H100, T4"),
        (need(gpu_memory=100 * GIB), "100 GiB of a card, the largest card has 80 GiB"),
        (need(cpus=99.0), "99 CPUs, the largest node has 16 CPUs"),
        (need(gpus=1.0, accelerators=("H100",), nodes=2), "2 nodes with 1×H100 each, only 1 node has that"),
        (need(custom=(("licence", 2.0),)), "2×licence, no node has all of it"),
    ],
)
def test_what_can_never_fit_is_told(wanted: Resources, told: str) -> None:
    assert not room(*NODES).could_ever(wanted)
    assert f"{needs(wanted)}, {why_never(wanted, NODES)}" == told


def test_others_go_past_one_that_waits_only_on_cards_that_it_does_not_wait_for() -> None:
    there = room(A)
    running = [there.take(need(gpus=share)) or () for share in (1.0, 1.0, 0.7, 0.6)]
    assert [places[0].cards for places in running] == [(0,), (1,), (2,), (3,)]
    small, large = need(gpus=0.3), need(gpus=1.0)
    found, left = there.placed([large, small, small])
    assert list(found) == [1] and found[1][0].cards == (2,)  # the card with the least on it is kept
    assert not left.fits(small) and there.fits(small)
    there.give(running[3])
    assert list(there.placed([large])[0]) == [0]


def test_what_a_trial_needs_is_asked_anew_while_it_waits() -> None:
    async def story() -> tuple[Place, ...]:
        line, known = Line(lambda: (T,)), [need(gpus=1.0)]
        line.see()
        for _ in range(2):
            await line.turn()
            await line.place(lambda: need(gpus=0.8))
        await line.turn()
        waiting = asyncio.create_task(line.place(lambda: known[0]))
        await asyncio.sleep(0)
        assert not waiting.done()
        known[0] = need(gpus=0.2)
        line.see()
        return await waiting

    assert asyncio.run(story())[0].need.gpus == 0.2


def test_a_trial_that_was_foretold_too_large_is_tried_alone() -> None:
    (place,) = room(T).take(need(gpu_memory=99 * GIB, is_packed=True)) or ()
    assert place.need.gpus == 1.0


def test_a_large_trial_is_not_starved_by_small_ones_and_idle_nodes_are_used() -> None:
    async def story() -> list[str]:
        told: list[str] = []
        line = Line(lambda: (A, T))
        line.see()

        async def trial(name: str, wanted: Resources) -> None:
            await line.turn()
            places = await line.place(lambda: wanted)
            told.append(f"{name} on {places[0].node}")
            await gates[name].wait()
            line.give(places)

        gates = {name: asyncio.Event() for name in ("small", "large", "late", "other")}
        async with asyncio.TaskGroup() as group:
            wishes = {
                "small": need(gpus=1.0, accelerators=("A100",)),
                "large": need(gpus=4.0, accelerators=("A100",)),
                "late": need(gpus=1.0, accelerators=("A100",)),
                "other": need(gpus=1.0, accelerators=("T4",)),
            }
            for name, wanted in wishes.items():
                group.create_task(trial(name, wanted))
                for _ in range(5):
                    await asyncio.sleep(0)
            assert told == ["small on a", "other on t"]  # three A100 are free, and kept for the large one
            for gate in gates.values():
                gate.set()
        return told

    assert asyncio.run(story()) == ["small on a", "other on t", "large on a", "late on a"]


def test_trials_are_not_chosen_long_before_there_is_room() -> None:
    async def story() -> int:
        line = Line(lambda: (T,))
        line.see()
        tasks, placed = [], 0

        async def trial() -> None:
            nonlocal placed
            await line.turn()
            placed += 1
            await line.place(lambda: need(gpus=1.0))

        for _ in range(10):
            tasks.append(asyncio.create_task(trial()))
        for _ in range(50):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        return placed

    assert asyncio.run(story()) == 3  # two run, one waits for the next card
