from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from sweeper.launch.room import Offer, Room
from sweeper.share.fill import Asker, fill
from sweeper.trial import Resources
from tests.share.simulated import node


def room_of(*offers: Offer) -> Room:
    made = Room()
    made.see(offers)
    return made


def asker(
    goal: float, most: int = 99, gpus: float = 1, held: dict[str, int] | None = None, **more: float | int
) -> Asker:
    unit = Resources(cpus=0, gpus=gpus)
    given = {"least": 0.0, "priority": 0, "weight": 1.0} | more
    return Asker(unit=unit, slot=gpus, goal=goal, most=most, held=held or {}, **given)  # type: ignore[arg-type]


def counts(room: Room, *askers: Asker) -> list[int]:
    return [len(slots) for slots in fill(room, askers)]


ASKERS = st.lists(
    st.builds(
        asker,
        goal=st.floats(0, 16),
        most=st.integers(0, 9),
        gpus=st.sampled_from((0.25, 1.0, 2.0, 8.0)),
        held=st.fixed_dictionaries({"a": st.integers(0, 3), "b": st.integers(0, 3)}),
        least=st.sampled_from((0.0, 0.0, 2.0)),
        priority=st.integers(0, 1),
        weight=st.floats(0.5, 4),
    ),
    max_size=4,
)


@settings(max_examples=50)
@given(ASKERS)
def test_no_room_is_left_that_a_slot_of_somebody_fits_in(askers: list[Asker]) -> None:
    room = room_of(node("a"), node("b"))

    given = fill(room, askers)

    for one, slots in zip(askers, given, strict=True):
        assert len(slots) <= max(one.most, one.held_in_all)  # what nobody else wants stays
        assert len(slots) >= one.most or room.copy().take(one.unit) is None


@settings(max_examples=50)
@given(ASKERS)
def test_a_node_is_never_given_out_twice(askers: list[Asker]) -> None:
    given = fill(room_of(node("a"), node("b")), askers)

    taken = Counter[str]()
    for slots in given:
        for places in slots:
            taken.update({place.node: place.need.gpus for place in places})  # type: ignore[dict-item]
    assert all(used <= 8 + 1e-6 for used in taken.values())


@given(st.integers(0, 8), st.integers(0, 8))
def test_what_is_fair_already_stays_where_it_is(one: int, other: int) -> None:
    held = [{"a": one, "b": 8 - one}, {"a": 8 - one, "b": one}]

    given = fill(room_of(node("a"), node("b")), [asker(8, held=where) for where in held])

    assert [Counter(places[0].node for places in slots) for slots in given] == [Counter(where) for where in held]


def test_a_slot_does_not_change_hands_for_little() -> None:
    held = [{"a": 6}, {"a": 2}]

    assert counts(
        room_of(node("a")), *(asker(goal, held=where) for goal, where in zip((5.4, 2.6), held, strict=True))
    ) == [6, 2]
    assert counts(
        room_of(node("a")), *(asker(goal, held=where) for goal, where in zip((4.9, 3.1), held, strict=True))
    ) == [5, 3]


def test_small_ones_leave_a_node_whole_for_a_large_one() -> None:
    small, large = asker(8, held={"a": 8, "b": 8}), asker(8, gpus=8)

    given = fill(room_of(node("a"), node("b")), [small, large])

    assert [len(slots) for slots in given] == [8, 1]
    assert len({places[0].node for places in given[0]}) == 1


def test_what_does_not_fit_one_is_the_others() -> None:
    assert counts(room_of(node("a", gpus=4)), asker(2, gpus=8), asker(2)) == [0, 4]
    assert counts(room_of(node("a", gpus=4)), asker(2, gpus=3), asker(2)) == [1, 1]


def test_a_floor_comes_before_a_priority_and_a_priority_before_the_rest() -> None:
    assert counts(room_of(node("a")), asker(8, priority=1), asker(0, least=2.0)) == [6, 2]
    assert counts(room_of(node("a")), asker(8, priority=1), asker(0)) == [8, 0]
    assert counts(room_of(node("a")), asker(5, most=5, priority=1), asker(3)) == [5, 3]


def test_what_is_shared_among_many_goes_by_their_goals() -> None:
    assert counts(room_of(node("a"), node("b")), asker(8), asker(5.4), asker(2.6)) == [8, 5, 3]
