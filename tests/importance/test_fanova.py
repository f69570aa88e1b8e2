"""The decomposition against truths found another way: every cell of the grid, and closed forms."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeper.importance import fanova
from sweeper.importance.factor import Factor
from sweeper.importance.forest import Forest, Tree, grow
from sweeper.importance.scale import Choices, Floats, Interval, Levels, Scale

SCALES: dict[str, Callable[[int], Scale]] = {
    "choices": lambda size: Choices.of([f"c{i}" for i in range(size)]),
    "choices as met": lambda size: Choices(tuple(range(size)), np.arange(1, size + 1) / (size * (size + 1) / 2)),
    "integers": lambda size: Levels.of(range(3, 3 + size)),
    "log integers": lambda size: Levels(
        tuple(range(1, size + 1)),
        np.diff(np.log(np.arange(size + 1) + 0.5)) / math.log(2 * size + 1),
        np.log(np.arange(1, size + 1)),
        is_log=True,
    ),
    "floats": lambda size: Interval(-1.0, float(size)),
    "log floats": lambda size: Interval(1e-4, 10.0**size, is_log=True),
    "floats in a narrow range": lambda size: Interval(1e9, 1e9 + size),
}


def cells(factor: Factor, column: int, tree: Tree) -> tuple[Floats, Floats]:
    """Positions that stand for all values of a factor that this tree can tell apart, and their weights."""
    scale = factor.scale
    if not isinstance(scale, Interval):
        places = np.arange(scale.size, dtype=float) if isinstance(scale, Choices) else scale.places
        return places, scale.weights
    low, high = scale.place([scale.low, scale.high])
    cuts = np.unique(np.clip(tree.threshold[tree.feature == column], low, high))
    ends = np.unique(np.concatenate(([low], cuts, [high])))
    return (ends[1:] + ends[:-1]) / 2, np.diff(ends) / (high - low)


def brute_force(forest: Forest, tree: Tree, sets: list[tuple[int, ...]]) -> dict[tuple[int, ...], float]:
    """Shares of one tree by its own prediction on the full grid, by the definition of functional ANOVA."""
    places, weights = zip(*(cells(f, column, tree) for column, f in enumerate(forest.factors)), strict=True)
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*places, indexing="ij")], axis=1)
    values = tree.predict(grid).reshape([len(p) for p in places])
    mass = np.ones(())
    for weight in weights:
        mass = np.multiply.outer(mass, weight)
    values = values - np.sum(values * mass)
    total = np.sum(values**2 * mass)
    found: dict[tuple[int, ...], float] = {}
    for columns in sets:
        others = tuple(axis for axis in range(values.ndim) if axis not in columns)
        kept = mass.sum(axis=others)
        marginal = np.divide((values * mass).sum(axis=others), kept)
        found[columns] = float(np.sum(marginal**2 * kept)) / float(total)
        found[columns] -= sum(
            found[s] for size in range(1, len(columns)) for s in itertools.combinations(columns, size)
        )
    return found


@settings(max_examples=40, deadline=None)
@given(
    kinds=st.lists(st.tuples(st.sampled_from(sorted(SCALES)), st.integers(2, 5)), min_size=1, max_size=4),
    count=st.integers(4, 30),
    seed=st.integers(0, 10_000),
)
def test_shares_equal_brute_force_on_the_grid(kinds: list[tuple[str, int]], count: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    scales = [SCALES[kind](size) for kind, size in kinds]
    factors = [Factor(str(i), s, s.draw(generator.random(count))) for i, s in enumerate(scales)]
    forest = grow(factors, generator.normal(size=count), n_trees=3, seed=seed)
    sets = [s for size in range(1, 4) for s in itertools.combinations(range(len(factors)), size)]
    found = fanova.shares(forest, sets)
    varied = [tree for tree in forest.trees if len(tree.feature) > 1]
    assert len(found) == len(varied)
    for row, tree in zip(found, varied, strict=True):
        expected = brute_force(forest, tree, sets)
        assert row.tolist() == pytest.approx([expected[s] for s in sets], abs=1e-9)


def table(count: int, n_factors: int = 4, seed: int = 0) -> tuple[list[Factor], Floats]:
    generator = np.random.default_rng(seed)
    points = generator.random((count, n_factors))
    factors = [Factor(f"x{i}", Interval(0, 1), points[:, i]) for i in range(n_factors)]
    return factors, points


def test_all_interactions_together_explain_everything() -> None:
    factors, points = table(50)
    forest = grow(factors, np.sin(9 * points[:, 0]) * points[:, 1] + points[:, 2], n_trees=4, seed=0)
    sets = [s for size in range(1, 5) for s in itertools.combinations(range(4), size)]
    assert fanova.shares(forest, sets).sum(axis=1).tolist() == pytest.approx([1.0] * 4)


def test_memory_bounds_change_no_share(monkeypatch: pytest.MonkeyPatch) -> None:
    factors, points = table(60)
    forest = grow(factors, points[:, 0] * points[:, 1] + points[:, 3], n_trees=5, seed=0)
    sets = [s for size in range(1, 4) for s in itertools.combinations(range(4), size)]
    whole = fanova.shares(forest, sets)
    monkeypatch.setattr("sweeper.importance.fanova.CELLS_AT_ONCE", 7)
    monkeypatch.setattr("sweeper.importance.fanova.CELLS_IN_CACHE", 50)
    monkeypatch.setattr("sweeper.importance.fanova.WIDE", 3)
    monkeypatch.setattr("sweeper.importance.boxes.CELLS_AT_ONCE", 7)
    assert np.allclose(fanova.shares(forest, sets), whole, rtol=0, atol=1e-12)


ISHIGAMI = {(0,): 0.3139, (1,): 0.4424, (2,): 0.0, (0, 2): 0.2437}


def ishigami(points: Floats) -> Floats:
    """Ishigami and Homma 1990 with a = 7, b = 0.1; indices as in Saltelli et al., Global Sensitivity
    Analysis.
    """
    x = np.pi * (2 * points - 1)
    return np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])


G_WEIGHTS = np.array([0.0, 1.0, 4.5])


def g_function(points: Floats) -> Floats:
    """Sobol's g-function."""
    return np.prod((np.abs(4 * points - 2) + G_WEIGHTS) / (1 + G_WEIGHTS), axis=1)


def g_shares() -> dict[tuple[int, ...], float]:
    parts = 1 / (3 * (1 + G_WEIGHTS) ** 2)
    total = float(np.prod(1 + parts) - 1)
    sets = [s for size in (1, 2) for s in itertools.combinations(range(3), size)]
    return {s: float(np.prod(parts[list(s)])) / total for s in sets}


@pytest.mark.parametrize(("function", "truth"), [(ishigami, ISHIGAMI), (g_function, g_shares())])
def test_shares_approach_sobol_indices_as_trials_grow(
    function: Callable[[Floats], Floats], truth: dict[tuple[int, ...], float]
) -> None:
    errors = []
    for count in (100, 3000):
        factors, points = table(count, 3)
        found = fanova.shares(grow(factors, function(points), n_trees=24, seed=0), list(truth)).mean(axis=0)
        errors.append(float(np.max(np.abs(found - list(truth.values())))))
    assert errors[1] < 0.3 * errors[0]
    assert errors[1] < 0.07
