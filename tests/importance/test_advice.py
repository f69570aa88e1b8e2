"""Advice: edges that good trials crowd, parameters that do nothing, silence where nothing is known."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection

from sweeper.importance import advise, evaluate
from sweeper.importance.advice import Move, total_effects
from sweeper.importance.factor import Factor
from sweeper.importance.forest import grow
from sweeper.importance.scale import Interval
from tests.importance.sweeps import Space, random_sweep

SPACE: Space = {
    "lr": FloatDistribution(1e-5, 1e-1, log=True),
    "depth": IntDistribution(1, 8),
    "act": CategoricalDistribution(["relu", "tanh"]),
    "idle": FloatDistribution(0, 1),
}


def climbing(point: dict[str, Any]) -> float:
    """Better with every step of lr, worse with every layer."""
    return math.log10(point["lr"]) - 0.4 * point["depth"] + (point["act"] == "relu")


@pytest.mark.parametrize(("direction", "sign"), [(StudyDirection.MAXIMIZE, 1), (StudyDirection.MINIMIZE, -1)])
def test_edges_and_idle_parameters_are_found(direction: StudyDirection, sign: int) -> None:
    trials = random_sweep(SPACE, lambda point: sign * climbing(point), 300)
    found = {piece.parameter: piece for piece in advise(evaluate(trials, n_trees=32), direction)}
    assert {name: piece.move for name, piece in found.items()} == {
        "lr": Move.EXTEND_UP,
        "depth": Move.EXTEND_DOWN,
        "idle": Move.FREEZE,
    }
    assert found["lr"].sentence == "the best trials crowd the upper edge of lr (0.1): look beyond it"
    assert isinstance(found["idle"].value, float)
    assert found["idle"].sentence.startswith(f"freeze idle (at {found['idle'].value})")


def test_a_best_value_inside_the_range_is_no_edge() -> None:
    trials = random_sweep(SPACE, lambda point: (math.log10(point["lr"]) + 3) ** 2, 200)
    advice = advise(evaluate(trials, n_trees=16), StudyDirection.MINIMIZE)
    assert all(piece.parameter != "lr" for piece in advice)


def test_a_parameter_that_decides_among_good_trials_is_not_frozen() -> None:
    space: Space = {"lr": FloatDistribution(0, 1), "act": CategoricalDistribution(["relu", "tanh"])}
    trials = random_sweep(space, lambda p: 1000.0 * (p["lr"] > 0.5) + (p["act"] == "relu"), 300)
    importance = evaluate(trials, n_trees=16)
    assert importance.importances["act"] < 0.001
    assert "act" not in {piece.parameter for piece in advise(importance, StudyDirection.MINIMIZE)}


def test_what_few_trials_leave_open_is_not_frozen() -> None:
    """The share of `idle` is near 0, but its interval is wide: another sample of the trials may say otherwise."""
    importance = evaluate(random_sweep(SPACE, climbing, 300), n_trees=32, resamples=2)
    sure = replace(importance, intervals=importance.intervals | {"idle": (0.0, 0.01)})
    unsure = replace(importance, intervals=importance.intervals | {"idle": (0.0, 0.2)})
    assert "idle" in {piece.parameter for piece in advise(sure, StudyDirection.MAXIMIZE)}
    assert "idle" not in {piece.parameter for piece in advise(unsure, StudyDirection.MAXIMIZE)}


@pytest.mark.parametrize("count", [0, 1, 15])
def test_few_trials_give_no_advice(count: int) -> None:
    assert advise(evaluate(random_sweep(SPACE, climbing, count)), StudyDirection.MAXIMIZE) == []


def test_noise_gives_no_advice() -> None:
    generator = np.random.default_rng(0)
    trials = random_sweep(SPACE, lambda _: float(generator.normal()), 100)
    assert advise(evaluate(trials, n_trees=16), StudyDirection.MAXIMIZE) == []


def test_total_effects_count_interactions() -> None:
    """For y = a·b with a, b in [-1, 1] neither has a main effect, and both have all of the total one."""
    points = np.random.default_rng(0).random((600, 3))
    factors = [Factor(name, Interval(-1, 1), 2 * points[:, i] - 1) for i, name in enumerate("abc")]
    y = factors[0].positions * factors[1].positions
    a, b, idle = total_effects(grow(factors, y, n_trees=16, seed=0))
    assert min(a, b) > 0.85
    assert idle < 0.05
