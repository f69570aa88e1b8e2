from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.forecast import forecast

TIMES = st.lists(st.floats(0.001, 1e5), min_size=1, max_size=20)


def test_trials_that_all_take_the_same_fill_the_slots_in_waves() -> None:
    found = forecast([10.0], n_trials=7, slots=3)

    assert (found.wall_s, found.wall_low_s, found.wall_high_s, found.held_s) == (30.0, 30.0, 30.0, 70.0)


def test_nothing_left_takes_no_time() -> None:
    found = forecast([10.0, 20.0], n_trials=0, slots=3)

    assert (found.wall_s, found.held_s) == (0.0, 0.0)


@given(TIMES, st.integers(1, 40), st.integers(1, 8))
def test_it_lies_between_all_short_and_all_long(took: list[float], n_trials: int, slots: int) -> None:
    found = forecast(took, n_trials, slots)

    assert found.wall_low_s <= found.wall_s <= found.wall_high_s
    assert found.wall_s <= max(took) * n_trials * 1.000001
    assert min(took) * n_trials * 0.999999 <= found.held_s <= max(took) * n_trials * 1.000001
    assert found.wall_s * slots >= min(took) * n_trials * 0.999999
    assert forecast(took, n_trials, slots) == found


def test_few_runs_give_a_wider_answer_than_many_of_the_same_spread() -> None:
    few, many = (forecast([1.0, 5.0] * n, n_trials=200, slots=4) for n in (2, 200))

    assert few.wall_high_s - few.wall_low_s > 2 * (many.wall_high_s - many.wall_low_s)


def test_what_is_not_simulated_follows_in_proportion() -> None:
    found = forecast([2.0], n_trials=1_000_000, slots=10)

    assert found.wall_s == pytest.approx(200_000.0)
    assert found.held_s == pytest.approx(2_000_000.0)
