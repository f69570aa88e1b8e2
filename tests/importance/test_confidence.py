"""How far to believe: fit on unseen trials, intervals, learning curves, crowded samples."""

from __future__ import annotations

import numpy as np
import pytest

from sweeper.importance import fanova
from sweeper.importance.confidence import bootstrap_std, crowding, r_squared, trials_needed
from sweeper.importance.factor import Factor
from sweeper.importance.forest import grow
from sweeper.importance.scale import Choices, Floats, Interval, Levels


def floats(count: int, seed: int = 0, n_factors: int = 3) -> tuple[list[Factor], Floats]:
    points = np.random.default_rng(seed).random((count, n_factors))
    return [Factor(f"x{i}", Interval(0, 1), points[:, i]) for i in range(n_factors)], points


def test_r_squared_is_high_for_a_function_and_none_for_noise() -> None:
    factors, points = floats(150)
    fitted = r_squared(grow(factors, points[:, 0] + points[:, 1], n_trees=24, seed=0))
    assert fitted is not None
    assert 0.85 < fitted < 1
    noise = r_squared(grow(factors, np.random.default_rng(1).normal(size=150), n_trees=24, seed=0))
    assert noise is not None
    assert noise < 0.1


def test_r_squared_is_that_of_scikit_learn() -> None:
    from sklearn.ensemble import RandomForestRegressor

    factors, points = floats(80)
    y = points[:, 0] ** 2 + points[:, 1]
    model = RandomForestRegressor(n_estimators=40, oob_score=True, random_state=5).fit(points, y)
    assert r_squared(grow(factors, y, n_trees=40, seed=5)) == pytest.approx(model.oob_score_)


def test_r_squared_of_two_trials_cannot_be_told_without_unseen_ones() -> None:
    factors, points = floats(2)
    assert r_squared(grow(factors, points[:, 0], n_trees=1, seed=0)) is None


def test_bootstrap_covers_what_other_trials_would_give() -> None:
    columns = [(i,) for i in range(3)]

    def objective(points: Floats, seed: int) -> Floats:
        return points[:, 0] ** 2 + points[:, 1] + 0.5 * np.random.default_rng(seed).normal(size=len(points))

    estimates = []
    for seed in range(12):
        factors, points = floats(80, seed)
        forest = grow(factors, objective(points, seed), n_trees=24, seed=0)
        estimates.append(fanova.shares(forest, columns).mean(axis=0))
    factors, points = floats(80, 100)
    spread = bootstrap_std(factors, objective(points, 100), resamples=20, seed=0)
    ratio = spread[:2] / np.std(estimates, axis=0, ddof=1)[:2]
    assert np.all((ratio > 0.5) & (ratio < 2.5))


def test_bootstrap_of_many_trials_rests_on_some_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    factors, points = floats(1200)
    y = points[:, 0] ** 2 + points[:, 1] + 0.5 * np.random.default_rng(0).normal(size=len(points))
    whole = bootstrap_std(factors, y, resamples=20, seed=0)[:2]
    monkeypatch.setattr("sweeper.importance.confidence.ROWS_PER_RESAMPLE", 300)
    ratio = bootstrap_std(factors, y, resamples=20, seed=0)[:2] / whole
    assert np.all((ratio > 0.4) & (ratio < 2.5))


def test_trials_needed_foretells_the_fit_of_more_trials() -> None:
    def objective(points: Floats) -> Floats:
        x = np.pi * (2 * points - 1)
        return np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2

    factors, points = floats(60, seed=3, n_factors=6)
    y = objective(points)
    r2 = r_squared(grow(factors, y, n_trees=32, seed=0))
    assert r2 is not None
    assert r2 < 0.5
    needed = trials_needed(factors, y, r2, seed=0)
    assert needed is not None
    assert 60 < needed < 1000
    more, points = floats(2 * needed, seed=4, n_factors=6)
    reached = r_squared(grow(more, objective(points), n_trees=32, seed=0))
    assert reached is not None
    assert reached > 0.5


def test_more_trials_of_noise_are_not_promised_to_help() -> None:
    factors, _ = floats(100)
    y = np.random.default_rng(2).normal(size=100)
    r2 = r_squared(grow(factors, y, n_trees=32, seed=0))
    assert r2 is not None
    assert trials_needed(factors, y, r2, seed=0) is None


def test_a_handful_of_trials_foretells_nothing() -> None:
    factors, points = floats(10)
    assert trials_needed(factors, points[:, 0], 0.3, seed=0) is None


def test_even_trials_are_not_called_crowded() -> None:
    generator = np.random.default_rng(0)
    scales = [
        Interval(1e-5, 1, is_log=True),
        Levels.of(range(5)),
        Choices(("a", "b", "c"), np.array([0.2, 0.2, 0.6])),
    ]
    for _ in range(50):
        factors = [Factor(str(i), s, s.draw(generator.random(200))) for i, s in enumerate(scales)]
        assert crowding(factors) is None


def test_crowded_trials_are_named_with_the_place() -> None:
    generator = np.random.default_rng(0)
    near = np.where(generator.random(100) < 0.6, 0.5 + 0.02 * generator.random(100), generator.random(100))
    even = Factor("even", Interval(0, 1), generator.random(100))
    found = crowding([even, Factor("lr", Interval(0, 1), near)])
    assert found is not None
    assert found.startswith("half of them lie in ")
    assert found.endswith("of the range of lr")
    same = np.where(generator.random(100) < 0.8, 1.0, 0.0)
    assert crowding([even, Factor("act", Choices.of(["relu", "tanh"]), same)]) == "82% of them have act=tanh"


def test_circumstances_may_be_uneven() -> None:
    gpu = Factor("gpu", Choices.of(["A", "B"]), np.zeros(100), is_parameter=False)
    assert crowding([gpu]) is None
