"""Leaves as boxes: they tile the space."""

from __future__ import annotations

import numpy as np
import pytest

from sweeper.importance.boxes import unfold
from sweeper.importance.factor import Factor
from sweeper.importance.forest import Forest, grow
from sweeper.importance.scale import Choices, Interval, Levels


@pytest.fixture(scope="module")
def forest() -> Forest:
    generator = np.random.default_rng(0)
    scales = [Interval(0, 1), Levels.of([1, 2, 3]), Choices(("a", "b"), np.array([0.9, 0.1]))]
    factors = [Factor(str(i), scale, scale.draw(generator.random(80))) for i, scale in enumerate(scales)]
    return grow(factors, generator.normal(size=80), n_trees=6, seed=0)


def test_the_leaves_of_a_tree_fill_the_space_once(forest: Forest) -> None:
    (boxes,) = unfold(forest)
    assert np.bincount(boxes.tree, boxes.volume).tolist() == pytest.approx([1.0] * 6)
    assert np.all(boxes.low < boxes.high)


def test_values_are_told_from_the_mean_over_the_space(forest: Forest) -> None:
    (boxes,) = unfold(forest)
    assert np.bincount(boxes.tree, boxes.volume * boxes.value).tolist() == pytest.approx([0.0] * 6, abs=1e-12)
    points = np.random.default_rng(1).random((20_000, 3))
    positions = np.stack([f.scale.draw(points[:, i]) for i, f in enumerate(forest.factors)], axis=1)
    assert forest.trees[0].predict(positions).mean() == pytest.approx(boxes.mean[0], abs=0.03)


def test_cuts_rise_from_0_to_1_and_stand_once(forest: Forest) -> None:
    (boxes,) = unfold(forest)
    for cuts in boxes.cuts:
        for tree in range(boxes.n_trees):
            shares = cuts.shares[cuts.starts[tree] : cuts.starts[tree + 1]]
            assert (shares[0], shares[-1]) == (0.0, 1.0)
            assert np.all(np.diff(shares) > 0)
            assert cuts.widths(tree).sum() == pytest.approx(1.0)
        assert cuts.widths().sum() == pytest.approx(boxes.n_trees)


def test_a_cut_between_choices_lies_at_the_weight_of_those_below(forest: Forest) -> None:
    (boxes,) = unfold(forest)
    inner = set(np.round(boxes.cuts[2].shares, 9)) - {0.0, 1.0}
    assert inner <= {0.9, 0.1}
