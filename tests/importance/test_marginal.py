"""Curves and maps: means of the forest's prediction over all other factors."""

from __future__ import annotations

import numpy as np
import pytest

from sweeper.errors import NotFound
from sweeper.importance.factor import Factor
from sweeper.importance.forest import Forest, grow
from sweeper.importance.marginal import curve, joint
from sweeper.importance.scale import Choices, Floats, Interval, Levels

SCALES = {
    "lr": Interval(1e-4, 1.0, is_log=True),
    "act": Choices(("relu", "tanh", "gelu"), np.array([0.5, 0.25, 0.25])),
    "depth": Levels.of([1, 2, 4]),
    "width": Levels.of(range(500)),
}


@pytest.fixture(scope="module")
def forest() -> Forest:
    generator = np.random.default_rng(0)
    factors = [Factor(name, s, s.draw(generator.random(200))) for name, s in SCALES.items()]
    lr, act, depth, _ = (factor.positions for factor in factors)
    return grow(factors, 100 + lr + np.array([0, 5, 9])[act.astype(int)] * depth, n_trees=12, seed=0)


def sampled_mean(forest: Forest, fixed: dict[int, float]) -> float:
    """The forest's mean prediction with some positions fixed, over random points of the rest."""
    points = np.random.default_rng(1).random((4000, len(forest.factors)))
    positions = np.stack([f.scale.draw(points[:, i]) for i, f in enumerate(forest.factors)], axis=1)
    for column, position in fixed.items():
        positions[:, column] = position
    told: Floats = np.mean([tree.predict(positions) for tree in forest.trees], axis=0)
    return forest.offset + forest.unit * float(told.mean())


@pytest.mark.parametrize("column", [0, 1, 2])
def test_a_curve_is_the_mean_over_all_else(forest: Forest, column: int) -> None:
    factor = forest.factors[column]
    found = curve(forest, factor.name, points=5)
    for value, mean in zip(found.axis.values, found.mean, strict=True):
        position = float(factor.scale.place([value])[0])  # type: ignore[list-item]
        assert mean == pytest.approx(sampled_mean(forest, {column: position}), abs=0.3)
    assert np.all(found.std >= 0)
    assert found.axis.is_ordered == (factor.name != "act")
    assert found.axis.is_log == (factor.name == "lr")


def test_a_map_is_the_mean_over_all_else(forest: Forest) -> None:
    found = joint(forest, "depth", "act")
    assert found.mean.shape == (3, 3)
    for row, act in enumerate(found.y.values):
        for place in range(3):
            fixed = {1: float(SCALES["act"].place([act])[0]), 2: float(place)}
            assert found.mean[row, place] == pytest.approx(sampled_mean(forest, fixed), abs=0.5)


def test_the_mean_of_a_curve_by_weight_is_the_mean_of_the_map(forest: Forest) -> None:
    weights = SCALES["act"].weights  # type: ignore[union-attr]
    along = curve(forest, "act").mean @ weights
    square = weights @ joint(forest, "depth", "act").mean @ np.full(3, 1 / 3)
    assert along == pytest.approx(square)


def test_long_ranges_are_drawn_at_a_few_points(forest: Forest) -> None:
    found = curve(forest, "width", points=11)
    assert len(found.mean) == 11
    assert (found.axis.values[0], found.axis.values[-1]) == (0, 499)
    assert joint(forest, "lr", "width", points=7).mean.shape == (7, 7)


def test_an_unknown_factor_is_answered_with_those_there_are(forest: Forest) -> None:
    with pytest.raises(NotFound, match=r"'drop' did not vary .* lr, act, depth"):
        curve(forest, "drop")
    with pytest.raises(NotFound):
        joint(forest, "lr", "drop")
