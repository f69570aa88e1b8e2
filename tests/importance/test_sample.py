"""Which trials count, and what becomes of the factors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import TrialState

from sweeper.errors import ConfigError
from sweeper.importance.sample import better, objective, take
from sweeper.importance.scale import Choices, Interval, Levels
from tests.importance.sweeps import Space, ended, finished

SPACE: Space = {
    "lr": FloatDistribution(1e-4, 1, log=True),
    "depth": IntDistribution(1, 9),
    "act": CategoricalDistribution(["relu", "tanh", "gelu"]),
}
POINTS = [(1e-3, 2, "relu"), (1e-2, 5, "tanh"), (1e-1, 9, "gelu"), (0.5, 4, "relu")]
TRIALS = [finished(dict(zip(SPACE, p, strict=True)), SPACE, float(i)) for i, p in enumerate(POINTS)]


def test_what_is_not_used_is_counted_and_named() -> None:
    others = [ended(s) for s in (TrialState.FAIL, TrialState.FAIL, TrialState.PRUNED, TrialState.RUNNING)]
    odd = [finished({"depth": 3}, SPACE, math.inf), finished({"depth": 3}, SPACE, -math.inf)]
    sample = take([*TRIALS, *others, *odd], objective, {})
    assert sample.y.tolist() == [0, 1, 2, 3]
    assert sample.notes == ("4 of 10 trials used: 2 failed, 2 not finite, 1 pruned, 1 running",)


def test_a_target_may_be_missing_or_not_a_number() -> None:
    told = {0.0: 5.0, 1.0: None, 2.0: math.nan, 3.0: 7.0}
    sample = take(TRIALS, lambda trial: told[trial.values[0]], {})
    assert sample.y.tolist() == [5, 7]
    assert sample.notes == ("2 of 4 trials used: 1 not finite, 1 without the value",)


def test_several_objectives_must_be_chosen_from() -> None:
    trial = finished({"depth": 3}, SPACE, (1.0, 2.0))
    with pytest.raises(ConfigError, match="2 objectives"):
        take([trial], objective, {})
    assert take([trial], lambda trial: trial.values[1], {}).y.tolist() == [2.0]


def test_a_conditional_parameter_is_absent_where_it_was_not_active() -> None:
    sample = take([*TRIALS, finished({"lr": 0.01, "depth": 1}, SPACE, 9.0)], objective, {})
    act = next(factor for factor in sample.factors if factor.name == "act")
    assert np.isnan(act.positions).tolist() == [False] * 4 + [True]


def test_constants_are_set_apart() -> None:
    space: Space = {"x": FloatDistribution(0, 1), "n": IntDistribution(4, 4)}
    sample = take([finished({"x": x, "n": 4}, space, x) for x in (0.1, 0.4)], objective, {})
    assert [factor.name for factor in sample.factors] == ["x"]
    assert [(factor.name, factor.scale.only_value()) for factor in sample.constants] == [("n", 4)]
    assert sample.notes[-1] == "n was never varied"


def test_a_parameter_of_two_kinds_is_left_out_with_a_word() -> None:
    trials = [
        finished({"x": 0.5}, {"x": FloatDistribution(0, 1)}, 1.0),
        finished({"x": 1}, {"x": IntDistribution(0, 1)}, 2.0),
    ]
    sample = take(trials, objective, {})
    assert sample.factors == ()
    assert sample.notes[1].startswith("x is left out")


def test_circumstances_weigh_as_often_as_they_were_met() -> None:
    sample = take([*TRIALS, ended(TrialState.FAIL)], objective, {"gpu": ["A", "B", "A", "A", "C"]})
    gpu = sample.factors[-1]
    assert isinstance(gpu.scale, Choices)
    assert dict(zip(gpu.scale.values, gpu.scale.weights.tolist(), strict=True)) == {"A": 0.75, "B": 0.25}
    assert not gpu.is_parameter


def test_circumstances_must_be_given_for_every_trial() -> None:
    with pytest.raises(ConfigError, match="'gpu' has 1 values for 4 trials"):
        take(TRIALS, objective, {"gpu": ["A"]})


def test_a_parameter_cannot_be_a_circumstance_too() -> None:
    with pytest.raises(ConfigError, match="'depth' is a parameter of these trials already"):
        take(TRIALS, objective, {"depth": [1, 2, 3, 4]})


@pytest.mark.parametrize(("direction", "kept"), [(StudyDirection.MINIMIZE, [0, 1]), (StudyDirection.MAXIMIZE, [2, 3])])
def test_the_better_half_spans_its_own_ranges(direction: StudyDirection, kept: list[int]) -> None:
    sample = better(take(TRIALS, objective, {}), 0.5, direction)
    assert sample.y.tolist() == kept
    points = [POINTS[i] for i in kept]
    lr, depth, act = sample.factors
    assert isinstance(lr.scale, Interval)
    assert (lr.scale.low, lr.scale.high) == pytest.approx((min(p[0] for p in points), max(p[0] for p in points)))
    assert isinstance(depth.scale, Levels)
    assert depth.scale.values == tuple(range(min(p[1] for p in points), max(p[1] for p in points) + 1))
    assert depth.scale.weights.sum() == pytest.approx(1)
    assert isinstance(act.scale, Choices)
    assert set(act.scale.values) == {p[2] for p in points}
    assert act.scale.values_at(act.positions) == [p[2] for p in points]
    assert "the best 50%: 2 trials" in sample.notes[-1]


def test_what_good_trials_share_or_lack_is_said() -> None:
    space: Space = {**SPACE, "k": IntDistribution(1, 9)}
    good = [finished({"depth": i, "act": "relu"}, space, float(i)) for i in (1, 2, 3)]
    bad = [finished({"depth": i, "act": "tanh", "k": i}, space, 100.0 + i) for i in (4, 5, 6)]
    sample = better(take([*good, *bad], objective, {}), 0.5, StudyDirection.MINIMIZE)
    assert [factor.name for factor in sample.factors] == ["depth"]
    assert sample.notes[-2:] == ("all of these have act=relu", "none of these has k")


@pytest.mark.parametrize("quantile", [0.0, -1.0, 1.5, math.nan])
def test_a_quantile_is_a_share(quantile: float) -> None:
    with pytest.raises(ConfigError, match="above 0 and up to 1"):
        better(take(TRIALS, objective, {}), quantile, StudyDirection.MINIMIZE)
