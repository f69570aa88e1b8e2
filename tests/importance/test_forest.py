"""The forest: deterministic, unharmed by the size of its targets, fair to conditional parameters."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from sweeper.importance import fanova
from sweeper.importance.factor import Factor
from sweeper.importance.forest import grow, in_threads
from sweeper.importance.scale import Choices, Floats, Interval

MAINS = [(0,), (1,), (2,)]


def three_floats(count: int = 120) -> tuple[list[Factor], Floats]:
    points = np.random.default_rng(5).random((count, 3))
    factors = [Factor(f"x{i}", Interval(0, 1), points[:, i]) for i in range(3)]
    return factors, points[:, 0] ** 2 + points[:, 1]


def test_a_seed_gives_the_same_forest_with_threads_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    factors, y = three_floats()
    alone = fanova.shares(grow(factors, y, n_trees=8, seed=3), MAINS)
    monkeypatch.setattr("sweeper.importance.forest.THREADED_FROM", 0)
    assert np.array_equal(fanova.shares(grow(factors, y, n_trees=8, seed=3), MAINS), alone)
    assert not np.array_equal(fanova.shares(grow(factors, y, n_trees=8, seed=4), MAINS), alone)


def test_large_tables_use_threads_and_keep_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeper.importance.forest.os.sched_getaffinity", lambda _: {0, 1})
    both = threading.Barrier(2, timeout=20)  # opens only if two items are under way at once

    def work(item: int) -> int:
        both.wait()
        return item

    assert in_threads(work, [1, 2, 3, 4], cells=10**6) == [1, 2, 3, 4]


@pytest.mark.parametrize("exponent", [-1000, -40, 40, 1020])
def test_shares_do_not_depend_on_the_unit_of_the_target(exponent: int) -> None:
    factors, y = three_floats()
    plain = fanova.shares(grow(factors, y, n_trees=8, seed=0), MAINS)
    assert np.array_equal(fanova.shares(grow(factors, np.ldexp(y, exponent), n_trees=8, seed=0), MAINS), plain)


@pytest.mark.parametrize("offset", [1e9, -1e12])
def test_shares_do_not_drown_in_a_large_mean(offset: float) -> None:
    factors, y = three_floats()
    plain = fanova.shares(grow(factors, y, n_trees=8, seed=0), MAINS).mean(axis=0)
    forest = grow(factors, y + offset, n_trees=8, seed=0)
    assert np.allclose(fanova.shares(forest, MAINS).mean(axis=0), plain, atol=0.01)
    told = forest.offset + forest.unit * np.concatenate([tree.value for tree in forest.trees])
    assert told.min() == pytest.approx(offset + y.min(), abs=0.1)
    assert told.max() == pytest.approx(offset + y.max(), abs=0.1)


def test_rows_of_a_tree_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    factors, y = three_floats()
    monkeypatch.setattr("sweeper.importance.forest.ROWS_PER_TREE", 10)
    forest = grow(factors, y, n_trees=4, seed=0)
    assert all(np.count_nonzero(tree.feature < 0) <= 10 for tree in forest.trees)


def test_the_order_of_choices_does_not_count() -> None:
    generator = np.random.default_rng(0)
    taken = generator.integers(0, 6, 150)
    y = np.array([0.0, 1, 0, 1, 0, 1])[taken] + 0.1 * generator.normal(size=150)
    orders = {tuple(tree.orders[0].tolist()) for tree in grow([choices(taken)], y, n_trees=6, seed=0).trees}
    assert len(orders) == 6
    assert all(sorted(order) == list(range(6)) for order in orders)


def choices(taken: np.ndarray) -> Factor:
    return Factor("c", Choices.of(list("abcdef")), taken.astype(float))


def conditional_sweep(count: int) -> tuple[list[Factor], Floats]:
    """Model a has the parameter x, model b has z; the models differ by far more than x and z matter."""
    generator = np.random.default_rng(1)
    model = generator.integers(0, 3, count)
    x, z = generator.random((2, count))
    y = np.select([model == 0, model == 1], [1.5 + 1.5 * x, 0.5 - z], 3.0)
    inactive = [np.where(model == 0, x, np.nan), np.where(model == 1, z, np.nan)]
    parent = Factor("model", Choices.of(["a", "b", "c"]), model.astype(float))
    return [parent, *(Factor(n, Interval(0, 1), p) for n, p in zip("xz", inactive, strict=True))], y


def test_conditional_parameters_get_the_share_they_have_where_inactive_ones_change_nothing() -> None:
    size = 40
    x, z = np.meshgrid(*[(np.arange(size) + 0.5) / size] * 2, indexing="ij")
    whole = np.stack([1.5 + 1.5 * x, 0.5 - z, np.full_like(x, 3.0)])
    truth = [float(np.var(whole.mean(axis=tuple({0, 1, 2} - {axis}))) / np.var(whole)) for axis in range(3)]
    factors, y = conditional_sweep(600)
    found = fanova.shares(grow(factors, y, n_trees=32, seed=0), MAINS).mean(axis=0)
    assert found.tolist() == pytest.approx(truth, abs=0.01)


def test_a_value_outside_the_range_would_credit_the_child_with_its_parent() -> None:
    factors, y = conditional_sweep(600)
    outside = [factors[0], *(replace(f, positions=np.nan_to_num(f.positions, nan=-1.0)) for f in factors[1:])]
    assert fanova.shares(grow(outside, y, n_trees=16, seed=0), MAINS).mean(axis=0)[0] < 0.5
    assert fanova.shares(grow(factors, y, n_trees=16, seed=0), MAINS).mean(axis=0)[0] > 0.9


def test_wide_choices_do_not_blow_up() -> None:
    generator = np.random.default_rng(2)
    taken = generator.integers(0, 20, (200, 30))
    factors = [Factor(f"c{i}", Choices.of(range(20)), taken[:, i].astype(float)) for i in range(30)]
    forest = grow(factors, (taken[:, 0] > 9) + 0.0, n_trees=8, seed=0)
    found = fanova.shares(forest, [(i,) for i in range(30)]).mean(axis=0)
    assert int(np.argmax(found)) == 0
