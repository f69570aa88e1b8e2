"""Trials packed into lanes: none overlap, no lane is superfluous, idle time is what is left."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.document.lane import SHORTEST_QUIET_S, Stay, sessions


def stay(number: int, start: float, end: float, place: str = "a") -> Stay:
    return Stay(number, "COMPLETE", place, start, end)


spans = st.tuples(st.integers(0, 50), st.integers(1, 9), st.sampled_from("ab"))


@given(given=st.lists(spans, min_size=1, max_size=30))
def test_lanes_hold_every_trial_once_without_overlap_and_are_as_few_as_can_be(
    given: list[tuple[int, int, str]],
) -> None:
    stays = [stay(i, float(start), float(start + length), place) for i, (start, length, place) in enumerate(given)]
    (session,) = sessions(stays)
    assert sorted(one.number for lane in session.lanes for one in lane.stays) == list(range(len(stays)))
    for lane in session.lanes:
        assert all(one.place == lane.place for one in lane.stays)
        assert all(before.end <= after.start for before, after in zip(lane.stays, lane.stays[1:], strict=False))
    for place in "ab":
        own = [one for one in stays if one.place == place]
        most = max((sum(other.start <= one.start < other.end for other in own) for one in own), default=0)
        assert sum(lane.place == place for lane in session.lanes) == most


def test_idle_is_what_lanes_offer_beyond_what_ran() -> None:
    (session,) = sessions([stay(0, 0, 10), stay(1, 0, 4), stay(2, 7, 10)])
    assert (session.offered_s, session.idle_s) == (20, 3)


def test_a_long_break_ends_a_session_and_counts_for_nothing() -> None:
    later = 4 + SHORTEST_QUIET_S + 1
    first, second = sessions([stay(1, later, later + 2), stay(0, 0, 4)])
    assert (first.start, first.end, second.start) == (0, 4, later)
    assert first.idle_s == second.idle_s == 0


def test_a_short_break_is_idle_time() -> None:
    (session,) = sessions([stay(0, 0, 4), stay(1, 30, 34)])
    assert session.idle_s == pytest.approx(26)


def test_no_trials_no_sessions() -> None:
    assert sessions([]) == []
