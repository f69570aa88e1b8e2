from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.share.level import Want, fair

KINDS = ("a", "b", "c")
CAPACITIES = st.fixed_dictionaries({kind: st.floats(0, 64) for kind in KINDS})
WANTS = st.lists(
    st.builds(
        Want,
        weight=st.floats(0.1, 10),
        most=st.floats(0, 100),
        places=st.frozensets(st.sampled_from(KINDS), min_size=1),
        least=st.floats(0, 20),
        priority=st.integers(0, 2),
    ),
    max_size=5,
)


def servable(amounts: list[float], wants: list[Want], capacities: dict[str, float], slack: float = 1e-6) -> bool:
    """Whether nobody gets more than where he may be served there is: by Hall's theorem, for every set of kinds."""
    for bits in range(1 << len(KINDS)):
        region = frozenset(kind for number, kind in enumerate(KINDS) if bits >> number & 1)
        inside = sum(amount for amount, want in zip(amounts, wants, strict=True) if want.places <= region)
        if inside > sum(capacities[kind] for kind in region) + slack:
            return False
    return True


@given(WANTS, CAPACITIES)
def test_nobody_gets_more_than_there_is_or_he_can_use(wants: list[Want], capacities: dict[str, float]) -> None:
    given = fair(wants, capacities)

    assert servable(given, wants, capacities)
    assert all(-1e-9 <= amount <= want.most + 1e-9 for amount, want in zip(given, wants, strict=True))


@given(WANTS, CAPACITIES)
def test_nothing_is_left_that_somebody_could_use(wants: list[Want], capacities: dict[str, float]) -> None:
    given = fair(wants, capacities)

    for number, want in enumerate(wants):
        more = given[number] + 1e-3
        richer = [more if other == number else amount for other, amount in enumerate(given)]
        assert more > want.most or not servable(richer, wants, capacities, slack=1e-4)


@given(WANTS, CAPACITIES)
def test_nobody_could_have_more_at_the_cost_of_one_who_has_more_for_his_weight(
    wants: list[Want], capacities: dict[str, float]
) -> None:
    """Weighted max-min: whoever wants more could only take it from somebody who is no better off."""
    given = fair(wants, capacities)
    step = 1e-3

    for poor, want in enumerate(wants):
        for rich, other in enumerate(wants):
            floor = min(other.least, other.most)
            if want.priority != other.priority or given[rich] - step < floor or given[poor] + step > want.most:
                continue
            if given[rich] / other.weight > (given[poor] + step) / want.weight + 1e-2:
                moved = list(given)
                moved[poor] += step
                moved[rich] -= step
                assert not servable(moved, wants, capacities, slack=1e-5)


@given(WANTS, CAPACITIES)
def test_a_lower_priority_takes_nothing_from_a_higher_one(wants: list[Want], capacities: dict[str, float]) -> None:
    given = fair(wants, capacities)
    floors = [Want(one.weight, min(one.least, one.most), one.places, one.least) for one in wants if one.priority < 2]

    above = [one for one in wants if one.priority == 2]
    alone = fair([*above, *floors], capacities)

    kept = [amount for amount, one in zip(given, wants, strict=True) if one.priority == 2]
    assert kept == pytest.approx(alone[: len(above)], abs=1e-6)


@given(WANTS, CAPACITIES)
def test_whoever_asks_for_more_gets_no_less(wants: list[Want], capacities: dict[str, float]) -> None:
    given = fair(wants, capacities)

    for number, want in enumerate(wants):
        greedier = [
            Want(one.weight, one.most + 10, one.places, one.least, one.priority) if other == number else one
            for other, one in enumerate(wants)
        ]
        assert fair(greedier, capacities)[number] >= given[number] - 1e-6 or want.least > want.most


def test_two_to_one_and_what_one_cannot_use_is_the_others() -> None:
    everywhere = frozenset({"a"})

    assert fair([Want(2, 99, everywhere), Want(1, 99, everywhere)], {"a": 16}) == pytest.approx([32 / 3, 16 / 3])
    assert fair([Want(2, 3, everywhere), Want(1, 99, everywhere)], {"a": 16}) == [3, 13]
    assert fair([Want(2, 99, everywhere), Want(1, 99, everywhere, least=7)], {"a": 16}) == [9, 7]
    assert fair([Want(1, 4, everywhere, priority=1), Want(2, 99, everywhere), Want(1, 99, everywhere)], {"a": 16}) == [
        4,
        8,
        4,
    ]


def test_who_may_use_one_kind_of_card_alone_is_limited_by_it_alone() -> None:
    assert fair([Want(1, 99, frozenset({"a"})), Want(1, 99, frozenset({"a", "b"}))], {"a": 4, "b": 12}) == [4, 12]
    assert fair([], {"a": math.inf}) == []
