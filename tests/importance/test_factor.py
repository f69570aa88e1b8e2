"""From distributions to scales: what each value of a parameter weighs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from sweeper.importance.factor import distribution_key, parameter_scale
from sweeper.importance.scale import Choices, Interval, Levels

NONE_TRIED_TWICE = [float(i) for i in range(2, 7)]


def levels(distributions: Sequence[BaseDistribution], values: Sequence[object]) -> Levels:
    scale = parameter_scale(distributions, values)
    assert isinstance(scale, Levels)
    return scale


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        (IntDistribution(1, 5), (1, 2, 3, 4, 5)),
        (IntDistribution(10, 50, step=20), (10, 30, 50)),
        (FloatDistribution(0.1, 0.5, step=0.1), (0.1, 0.2, 0.3, 0.4, 0.5)),
    ],
)
def test_integers_and_steps_weigh_the_same_each(distribution: BaseDistribution, values: tuple[float, ...]) -> None:
    scale = levels([distribution], NONE_TRIED_TWICE)
    assert scale.values == values
    assert scale.weights.tolist() == pytest.approx([1 / len(values)] * len(values))


def test_choices_weigh_the_same_each() -> None:
    scale = parameter_scale([CategoricalDistribution(["a", None, 2])], ["a"] * 5)
    assert isinstance(scale, Choices)
    assert scale.values == ("a", None, 2)
    assert scale.weights.tolist() == pytest.approx([1 / 3] * 3)


def test_floats_weigh_by_length_and_on_a_log_scale_by_its_logarithm() -> None:
    assert parameter_scale([FloatDistribution(1, 3)], NONE_TRIED_TWICE) == Interval(1, 3)
    log = parameter_scale([FloatDistribution(1e-4, 1, log=True)], [0.1, 0.2])
    assert log == Interval(1e-4, 1, is_log=True)
    assert log.below(np.log([1e-2])).tolist() == pytest.approx([0.5])


def test_integers_on_a_log_scale_weigh_as_a_log_sampler_draws_them() -> None:
    scale = levels([IntDistribution(1, 4, log=True)], [1, 1, 2, 1, 3, 1, 4, 2])
    edges = [math.log(k) for k in (0.5, 1.5, 2.5, 3.5, 4.5)]
    expected = np.diff(edges) / (edges[-1] - edges[0])
    assert scale.weights.tolist() == pytest.approx(expected.tolist())
    assert scale.is_log


def test_integers_on_a_log_scale_weigh_the_same_each_where_trials_lie_evenly() -> None:
    scale = levels([IntDistribution(1, 8, log=True)], [1, 2, 3, 4, 5, 6, 7, 8] * 3)
    assert scale.weights.tolist() == pytest.approx([1 / 8] * 8)


@pytest.mark.parametrize(
    "distribution", [FloatDistribution(1e-4, 1, log=True), FloatDistribution(0, 1), IntDistribution(0, 1000)]
)
def test_numbers_tried_again_and_again_are_a_grid_of_equals(distribution: BaseDistribution) -> None:
    grid = [1, 100, 1000] if isinstance(distribution, IntDistribution) else [0.001, 0.01, 0.1]
    scale = levels([distribution], grid * 10)
    assert list(scale.values) == grid
    assert [type(value) for value in scale.values] == [type(value) for value in grid]
    assert scale.weights.tolist() == pytest.approx([1 / 3] * 3)


def test_ranges_that_changed_are_spanned() -> None:
    scale = parameter_scale([FloatDistribution(0, 1), FloatDistribution(0.5, 4)], NONE_TRIED_TWICE)
    assert scale == Interval(0, 4)
    assert levels([IntDistribution(0, 4, step=2), IntDistribution(2, 8, step=2)], NONE_TRIED_TWICE).size == 5
    assert levels([IntDistribution(0, 4, step=2), IntDistribution(1, 3)], NONE_TRIED_TWICE).values == (0, 1, 2, 3, 4)
    mixed = [FloatDistribution(0, 1, step=0.5), FloatDistribution(0.25, 1.25, step=0.5)]
    assert parameter_scale(mixed, NONE_TRIED_TWICE) == Interval(0, 1.25)


def test_a_parameter_of_two_kinds_has_no_scale() -> None:
    assert parameter_scale([FloatDistribution(0, 1), IntDistribution(0, 1)], [0.5, 1]) is None
    assert parameter_scale([CategoricalDistribution([1]), IntDistribution(0, 1)], [1, 1]) is None
    assert parameter_scale([FloatDistribution(1, 2), FloatDistribution(1, 2, log=True)], [1.5, 1.6]) is None


def test_a_range_of_one_value_is_constant() -> None:
    for distribution in (IntDistribution(3, 3), FloatDistribution(3, 3), CategoricalDistribution([3])):
        scale = parameter_scale([distribution], [3, 3])
        assert scale is not None
        assert (scale.size, scale.only_value()) == (1, 3)


def test_a_huge_range_of_integers_needs_no_list() -> None:
    scale = parameter_scale([IntDistribution(1, 10**9, log=True)], [1, 5, 10**8])
    assert scale == Interval(0.5, 10**9 + 0.5, is_log=True, is_whole=True)
    assert scale.values_at(scale.place([12_345])) == [12_345]


@pytest.mark.parametrize(
    "other",
    [IntDistribution(1, 5, step=2), IntDistribution(1, 6), FloatDistribution(1, 5), CategoricalDistribution([1, 5])],
)
def test_keys_differ_where_distributions_do(other: BaseDistribution) -> None:
    assert distribution_key(IntDistribution(1, 5)) == distribution_key(IntDistribution(1, 5))
    assert distribution_key(IntDistribution(1, 5)) != distribution_key(other)
