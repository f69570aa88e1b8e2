"""Scales: where values lie, what lies below a cut, and the way back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.importance.scale import Choices, Interval, Levels, Scale, unevenness

ORDERED = [
    Levels.of([1, 2, 3, 7]),
    Levels((1, 2, 4), np.array([0.5, 0.25, 0.25]), np.log([1, 2, 4]), is_log=True),
    Interval(-3.0, 5.0),
    Interval(1e-5, 1e-1, is_log=True),
    Interval(1e9, 1e9 + 1),  # a 32-bit float cannot tell its ends apart
    Interval(-1e300, 1e300),
    Interval(1e-300, 2e-300),
    Interval(999.5, 200_000.5, is_log=True, is_whole=True),
]


@pytest.mark.parametrize("scale", [*ORDERED, Choices(("a", None, True), np.array([0.2, 0.3, 0.5]))])
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_drawn_position_lies_at_its_share(scale: Scale, share: float) -> None:
    position = scale.draw(np.array([share]))
    assert scale.below(position)[0] >= share - 1e-9
    value = scale.values_at(position)
    again = scale.place(value)  # type: ignore[arg-type]
    rounding = 0.01 if isinstance(scale, Interval) and scale.is_whole else 1e-6
    assert abs(scale.below(again)[0] - scale.below(position)[0]) <= rounding


@pytest.mark.parametrize("scale", ORDERED)
def test_trees_can_tell_the_values_of_every_range_apart(scale: Scale) -> None:
    positions = scale.draw(np.linspace(0, 1, 4, endpoint=False))
    assert len(np.unique(positions.astype(np.float32))) >= 3
    assert np.isfinite(positions.astype(np.float32)).all()


@pytest.mark.parametrize("scale", ORDERED)
def test_nothing_lies_below_the_scale_and_all_of_it_below_its_end(scale: Scale) -> None:
    top = scale.draw(np.array([np.nextafter(1.0, 0.0)]))
    assert scale.below(np.array([-math.inf, math.inf])).tolist() == [0.0, 1.0]
    assert scale.below(top)[0] == pytest.approx(1.0)


def test_ordinary_floats_keep_their_digits() -> None:
    assert Interval(-3.0, 5.0).place([0.1]).tolist() == [0.1]


def test_integers_too_many_to_list_stay_within_their_range() -> None:
    scale = Interval(0.5, 99_999.5, is_log=True, is_whole=True)
    assert scale.values_at(scale.draw(np.array([0.0, np.nextafter(1.0, 0.0)]))) == [1, 99_999]


def test_choices_are_told_apart_by_type_and_nan_is_found() -> None:
    scale = Choices.of([True, 1, 1.0, "1", math.nan])
    assert scale.place([1.0, math.nan, True, "1", 1]).tolist() == [2, 4, 0, 3, 1]


def test_numbers_off_the_levels_go_to_the_nearest() -> None:
    scale = Levels.of([0.1, 0.2, 0.3])
    assert scale.values_at(scale.place([0.1 + 0.2, 0.1 * 2, -5, 9])) == [0.3, 0.2, 0.1, 0.3]


def test_unevenness_is_the_distance_from_the_measure() -> None:
    even = np.linspace(0, 1, 101)
    assert unevenness(Interval(0, 1), even) < 0.02
    assert unevenness(Interval(0, 1), even / 4) == pytest.approx(0.75)
    assert unevenness(Interval(0, 1), np.append(even, np.nan)) < 0.02
