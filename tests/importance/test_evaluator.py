"""Our evaluator keeps Optuna's contract, and gives Optuna's numbers where Optuna's are right."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.importance import BaseImportanceEvaluator, FanovaImportanceEvaluator
from optuna.testing.pytest_importance import (
    BasicImportanceEvaluatorTestCase,
    ConditionalImportanceEvaluatorTestCase,
)

from sweeper.importance import FanovaEvaluator
from tests.importance.sweeps import Space, finished, random_sweep


class TestContract(BasicImportanceEvaluatorTestCase, ConditionalImportanceEvaluatorTestCase):
    @pytest.fixture
    def evaluator(self) -> Callable[..., BaseImportanceEvaluator]:
        return partial(FanovaEvaluator, seed=0)


def study_of(trials: list[optuna.trial.FrozenTrial]) -> optuna.Study:
    study = optuna.create_study()
    study.add_trials(trials)
    return study


@settings(max_examples=12, deadline=None)
@given(
    bounds=st.lists(
        st.tuples(st.floats(-50, 50), st.floats(0.5, 200)).map(lambda end: (end[0], end[0] + end[1])),
        min_size=1,
        max_size=4,
    ),
    count=st.integers(8, 40),
    seed=st.integers(0, 2**31 - 1),
    offset=st.sampled_from([0.0, 1e3, -7.5]),
)
def test_continuous_floats_give_what_optuna_gives(
    bounds: list[tuple[float, float]], count: int, seed: int, offset: float
) -> None:
    """From 8 trials on: with fewer, trees of a single leaf turn up, whose rounding errors Optuna takes for
    variance.
    """
    space: Space = {f"x{i}": FloatDistribution(*ends) for i, ends in enumerate(bounds)}
    first, last = "x0", f"x{len(bounds) - 1}"
    trials = random_sweep(space, lambda p: p[first] ** 2 + p[first] * p[last] + offset, count, seed)
    study = study_of(trials)
    theirs = FanovaImportanceEvaluator(seed=seed, n_trees=16).evaluate(study)
    ours = FanovaEvaluator(seed=seed, n_trees=16).evaluate(study)
    assert ours == pytest.approx(theirs, abs=1e-9)


def test_a_subset_of_parameters_gives_what_optuna_gives() -> None:
    space: Space = {name: FloatDistribution(0, 1) for name in "abc"}
    study = study_of(random_sweep(space, lambda p: p["a"] + p["b"] * p["c"], 60))
    theirs = FanovaImportanceEvaluator(seed=4).evaluate(study, params=["a", "c"])
    assert FanovaEvaluator(seed=4).evaluate(study, params=["a", "c"]) == pytest.approx(theirs, abs=1e-9)


def test_several_objectives_need_a_target() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"])
    space: Space = {"x": FloatDistribution(0, 1)}
    study.add_trials([finished({"x": x}, space, (x, 1 - x)) for x in (0.1, 0.2, 0.7)])
    with pytest.raises(ValueError, match="2 objectives"):
        FanovaEvaluator().evaluate(study)
    assert FanovaEvaluator().evaluate(study, target=lambda trial: trial.values[1]) == {"x": pytest.approx(1.0)}
