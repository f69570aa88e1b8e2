"""The random forest that stands in for the objective: grown by scikit-learn, deterministic for a seed.

Conditional parameters. The literature's standard for forests (SMAC, DeepCAVE) writes a value outside the range where
a parameter is not active. A tree can then read the branch off the child, and credits the child with what its parent
did: conditioning parameters absorbed by their children is what Baba, Ozaki and Watanabe (Conditional PED-ANOVA,
arXiv:2601.20800) hold against such adaptations. Functional ANOVA needs the objective on the whole product space
(Hutter, Hoos and Leyton-Brown 2014), where an inactive parameter may take any value and changes nothing. So each tree
is shown values drawn anew from the parameter's own range, and the shares converge to those of that extended objective.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sweeper.importance.factor import Factor
from sweeper.importance.scale import Choices, Floats, Ints

S = TypeVar("S")
T = TypeVar("T")

ROWS_PER_TREE = 20_000  # bounds the memory: 64 trees on so many rows hold about 120 MB
THREADED_FROM = 5_000  # cells of the table (trials × factors) from which threads are worth their start


@dataclass(frozen=True, eq=False)
class Tree:
    """One fitted tree, as arrays over its nodes; a negative feature marks a leaf."""

    feature: NDArray[np.int64]
    threshold: Floats
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: Floats  # of the forest's `y`
    orders: Mapping[int, Ints]  # column of choices → the place of each choice on this tree's line
    model: Any  # scikit-learn's own tree, which predicts

    def predict(self, positions: Floats) -> Floats:
        """(points,) what the tree says of points given as (points, factors) positions."""
        shown = positions.astype(np.float32)
        for column, order in self.orders.items():
            shown[:, column] = order[positions[:, column].astype(np.int64)]
        found: Floats = self.model.predict(shown).reshape(-1)
        return found


@dataclass(frozen=True, eq=False)
class Forest:
    """Fitted trees. They work on `y`; what they say in the target's own units is `offset + unit * y`."""

    factors: tuple[Factor, ...]
    trees: tuple[Tree, ...]
    y: Floats  # (trials,)
    unseen: Floats  # (trials,) mean prediction by the trees that have not seen the trial; NaN where all have
    offset: float
    unit: float


def grow(factors: Sequence[Factor], targets: Floats, *, n_trees: int, seed: int) -> Forest:
    """A forest on these factors and targets, each tree on a bootstrap sample of the trials.

    On continuous floats it is the forest that Optuna's fANOVA grows for the seed: tree generators are seeded
    in the order in which scikit-learn's RandomForestRegressor seeds them, and each draws its sample from its
    own seed.
    """
    generator = np.random.RandomState(seed)
    seeds = [int(generator.randint(np.iinfo(np.int32).max)) for _ in range(n_trees)]
    table = np.column_stack([factor.positions for factor in factors])
    y, offset, unit = _scaled(targets)
    grown = in_threads(lambda tree_seed: _grow_tree(factors, table, y, tree_seed), seeds, table.size)
    guesses, counts = np.zeros(len(y)), np.zeros(len(y))
    for _, unseen, guess in grown:
        guesses[unseen] += guess
        counts[unseen] += 1
    mean = np.divide(guesses, counts, out=np.full(len(y), np.nan), where=counts > 0)
    return Forest(tuple(factors), tuple(tree for tree, *_ in grown), y, mean, offset, unit)


def in_threads(work: Callable[[S], T], items: Sequence[S], cells: int) -> list[T]:
    """`work` on every item, in order; on all CPUs where a table of so many cells makes it worth while."""
    workers = min(len(items), len(os.sched_getaffinity(0))) if cells >= THREADED_FROM else 1
    if workers < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, items))


def _grow_tree(factors: Sequence[Factor], table: Floats, y: Floats, seed: int) -> tuple[Tree, Ints, Floats]:
    """One tree, the rows it has not seen, and what it predicts for them."""
    from sklearn.tree import DecisionTreeRegressor

    drawn = np.random.RandomState(seed).randint(0, len(y), min(len(y), ROWS_PER_TREE))
    counts = np.bincount(drawn, minlength=len(y))
    seen = np.flatnonzero(counts)
    unseen = np.flatnonzero(counts == 0)
    shown, orders = _shown(factors, table, np.random.default_rng(seed))
    model = DecisionTreeRegressor(random_state=seed)
    model.fit(shown[seen], y[seen], sample_weight=counts[seen].astype(np.float64), check_input=False)
    fitted = model.tree_
    tree = Tree(
        feature=fitted.feature,
        threshold=fitted.threshold,
        left=fitted.children_left,
        right=fitted.children_right,
        value=fitted.value.reshape(-1),
        orders=orders,
        model=fitted,
    )
    return tree, unseen, fitted.predict(shown[unseen]).reshape(-1)


def _shown(
    factors: Sequence[Factor], table: Floats, generator: np.random.Generator
) -> tuple[NDArray[np.float32], dict[int, Ints]]:
    """The table as one tree sees it: its own order of choices, its own draws for inactive parameters."""
    shown = table.astype(np.float32)
    orders: dict[int, Ints] = {}
    for column, factor in enumerate(factors):
        inactive = np.isnan(table[:, column])
        if inactive.any():
            shown[inactive, column] = factor.scale.draw(generator.random(int(inactive.sum())))
        if isinstance(factor.scale, Choices):
            orders[column] = generator.permutation(factor.scale.size)
            shown[:, column] = orders[column][shown[:, column].astype(np.int64)]
    return shown, orders


def _scaled(targets: Floats) -> tuple[Floats, float, float]:
    """Targets as the trees can work on them, with the offset and the unit that lead back.

    Trees stop splitting below an absolute impurity and lose digits when the mean dwarfs the spread; so do
    squares of huge numbers. Ordinary targets stay as they are, to the last bit.
    """
    quarter = targets / 4
    exponent = math.frexp(float(quarter.max() - quarter.min()))[1]
    unit = 1.0 if -20 < exponent < 40 else math.ldexp(1.0, min(exponent, 1000))
    y = targets / unit
    spread, middle = float(np.ptp(y)), float(np.median(y))
    offset = middle if abs(middle) > 2.0**16 * spread > 0 else 0.0
    return y - offset, offset * unit, unit
