"""What a running trial will need, by how those grew that have ended."""

from __future__ import annotations

import pytest

from sweeper.packing.growth import Course, Growth

GIB = 1 << 30


def course(*seen: tuple[float, int]) -> Course:
    made = Course({})
    for second, peak in seen:
        made.see(second, peak)
    return made


def taught(*ended: Course) -> Growth:
    growth = Growth()
    for one in ended:
        growth.learn(one, one.peak)
    return growth


def test_a_course_knows_its_peak_at_any_time() -> None:
    one = course((2, 0), (10, 3), (20, 2), (50, 4))
    assert (one.peak, one.now_s) == (4, 50)
    assert [one.at(second) for second in (5, 10, 49, 50, 99)] == [0, 3, 3, 4, 4]


@pytest.mark.parametrize(
    ("seen", "is_steady"),
    [
        ([(10, 3), (29, 3)], False),  # too young
        ([(10, 3), (30, 3)], True),
        ([(10, 3), (40, 4), (79, 4)], False),  # it has grown lately
        ([(10, 3), (40, 4), (80, 4)], True),
        ([(100, 0)], False),  # it has not come to its card
    ],
)
def test_steady_is_what_has_not_grown_for_half_of_its_time(seen: list[tuple[float, int]], is_steady: bool) -> None:
    assert course(*seen).is_steady is is_steady


def test_before_four_have_ended_a_trial_is_given_room_for_a_validation() -> None:
    ended = course((10, 4 * GIB), (600, 4 * GIB))
    assert taught(*[ended] * 3).needs(course((10, 4 * GIB), (40, 4 * GIB))) == 5 * GIB
    assert taught(*[ended] * 4).needs(course((10, 4 * GIB), (40, 4 * GIB))) == 4 * GIB


def test_a_trial_will_grow_as_others_did_after_the_same_second() -> None:
    ended = [course((10, 2 * GIB), (100, 3 * GIB), (600, 3 * GIB))] * 4
    growth = taught(*ended)
    assert growth.needs(course((10, 4 * GIB), (40, 4 * GIB))) == 6 * GIB
    assert growth.needs(course((10, 4 * GIB), (100, 4 * GIB))) == 4 * GIB


def test_one_that_lasts_longer_than_others_grows_no_more_than_these_did_at_their_last() -> None:
    growth = taught(*[course((10, 2 * GIB), (100, 3 * GIB), (600, 3 * GIB))] * 4)
    assert growth.needs(course((10, 4 * GIB), (9000, 4 * GIB))) == 4 * GIB


def test_what_its_peak_was_counts_where_nobody_had_looked_after_it_grew_last() -> None:
    growth = Growth()
    for _ in range(4):
        growth.learn(course((10, 2 * GIB), (50, 2 * GIB)), 3 * GIB)
    assert growth.needs(course((10, 4 * GIB), (40, 4 * GIB))) == 6 * GIB


def test_one_in_a_hundred_that_grows_more_than_the_others_is_not_what_all_are_given_room_for() -> None:
    ordinary = course((10, 2 * GIB), (600, 2 * GIB))
    odd = course((10, 2 * GIB), (100, 8 * GIB), (600, 8 * GIB))
    assert taught(odd, *[ordinary] * 99).needs(course((10, GIB), (40, GIB))) == GIB
    assert taught(*[odd] * 5, *[ordinary] * 95).needs(course((10, GIB), (40, GIB))) == 4 * GIB


def test_where_none_had_come_to_its_card_by_then_a_trial_is_given_room_as_before() -> None:
    growth = taught(*[course((100, 2 * GIB), (600, 2 * GIB))] * 4)
    assert growth.needs(course((10, 4 * GIB), (40, 4 * GIB))) == 5 * GIB
