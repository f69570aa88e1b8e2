"""Our evaluator keeps Optuna's contract, and gives Optuna's numbers where Optuna's are right."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.importance import BaseImportanceEvaluator, FanovaImportanceEvaluator
from optuna.testing.pytest_importance import (
    BasicImportanceEvaluatorTestCase,
    ConditionalImportanceEvaluatorTestCase,
)

from sweeper.importance import FanovaEvaluator
from tests.importance.sweeps import Space, finished, random_sweep

Table = NDArray[np.float64]


class TestContract(BasicImportanceEvaluatorTestCase, ConditionalImportanceEvaluatorTestCase):
    @pytest.fixture
    def evaluator(self) -> Callable[..., BaseImportanceEvaluator]:
        return partial(FanovaEvaluator, seed=0)


def study_of(trials: list[optuna.trial.FrozenTrial]) -> optuna.Study:
    study = optuna.create_study()
    study.add_trials(trials)
    return study


@pytest.mark.slow
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


LISTS: Mapping[str, Callable[[int], tuple[BaseDistribution, list[object]]]] = {
    "choices": lambda size: (CategoricalDistribution(tuple(map(str, range(size)))), [str(i) for i in range(size)]),
    "integers": lambda size: (IntDistribution(1, size), list(range(1, size + 1))),
    "steps": lambda size: (FloatDistribution(0, 0.25 * (size - 1), step=0.25), [0.25 * i for i in range(size)]),
    "log integers": lambda size: (IntDistribution(1, size, log=True), list(range(1, size + 1))),
    "log floats": lambda size: (
        FloatDistribution(1e-4, 0.1, log=True),
        [float(f"{1e-4 * 1000 ** (i / (size - 1)):.6g}") for i in range(size)],
    ),
}


def factorial_table(seed: int) -> tuple[list[tuple[BaseDistribution, list[object]]], Table]:
    """Five parameters of mixed kinds and a value for each of their combinations: mains, pairs and triples."""
    generator = np.random.default_rng(seed)
    kinds = ["choices", "choices", "integers", "steps", ["log integers", "log floats"][seed % 2]]
    parameters = [LISTS[kind](int(generator.integers(3, 7))) for kind in kinds]
    table = np.zeros([len(values) for _, values in parameters])
    for order, strength in ((1, 1.0), (2, 0.4), (3, 0.15)):
        for axes in itertools.combinations(range(5), order):
            shape = [size if axis in axes else 1 for axis, size in enumerate(table.shape)]
            table = table + strength * generator.exponential() * generator.normal(size=shape)
    return parameters, table


@pytest.mark.slow
def test_on_full_factorial_tables_the_error_is_at_most_0_6_of_optunas() -> None:
    """Shares from 500 random rows of a table, against the shares of the whole table."""
    ours, theirs = [], []
    for seed in range(4):
        parameters, table = factorial_table(seed)
        names = [f"p{axis}" for axis in range(5)]
        truth = {
            name: float(table.mean(axis=tuple({0, 1, 2, 3, 4} - {axis})).var() / table.var())
            for axis, name in enumerate(names)
        }
        space: Space = {name: distribution for name, (distribution, _) in zip(names, parameters, strict=True)}
        rows = np.random.default_rng(seed).choice(table.size, min(500, table.size), replace=False)
        trials = []
        for row in rows:
            places = np.unravel_index(row, table.shape)
            point = {
                name: parameters[axis][1][place] for axis, (name, place) in enumerate(zip(names, places, strict=True))
            }
            trials.append(finished(point, space, float(table[places])))
        study = study_of(trials)
        for evaluator, errors in ((FanovaEvaluator(seed=0), ours), (FanovaImportanceEvaluator(seed=0), theirs)):
            found = evaluator.evaluate(study)
            errors += [abs(found[name] - truth[name]) for name in names]
    assert np.mean(ours) <= 0.6 * np.mean(theirs)
