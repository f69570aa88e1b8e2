"""The leaves of trees as boxes in the unit cube: a side is the part of a factor's measure that it covers.

Sides are kept as ranks among the sorted cuts of their tree, so that a marginal is a difference array over the
cuts. Several trees are unfolded at once, level by level.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweeper.importance.factor import Factor
from sweeper.importance.forest import Forest, Tree
from sweeper.importance.scale import Choices, Floats, Ints, cumulated

CELLS_AT_ONCE = 1 << 20  # nodes × factors unfolded together: a few MB of ranks, whatever the number of trials

Ranks = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Cuts:
    """Where the trees cut one factor: for each tree in turn 0, its cuts in rising order, 1."""

    shares: Floats  # (cuts of all trees,)
    starts: Ints  # (trees + 1,): tree t has shares[starts[t]:starts[t + 1]]

    def widths(self, tree: int | None = None) -> Floats:
        """The measure of the cell from each cut (of one tree or all) to the next; 0 for a tree's last cut."""
        if tree is not None:
            return np.diff(self.shares[self.starts[tree] : self.starts[tree + 1]], append=1.0)
        widths = np.diff(self.shares, append=1.0)
        widths[self.starts[1:] - 1] = 0.0
        return widths


@dataclass(frozen=True, eq=False)
class Boxes:
    """All leaves of some trees, tree after tree."""

    tree: Ints  # (leaves,) which of the trees
    value: Floats  # (leaves,) what the leaf predicts, less the mean of its tree
    volume: Floats  # (leaves,) the share of the space that the leaf covers
    mean: Floats  # (trees,)
    low: Ranks  # (factors, leaves) into the cuts of that factor
    high: Ranks
    cuts: tuple[Cuts, ...]  # one for each factor
    n_trees: int

    def sides(self, factor: int, leaves: slice = slice(None)) -> Floats:
        """(leaves,) how much of the factor's measure each leaf covers."""
        return _sides(self.cuts[factor], self.low[factor, leaves], self.high[factor, leaves])

    def leaves(self, tree: int) -> slice:
        """Where the leaves of one tree lie."""
        start, stop = np.searchsorted(self.tree, (tree, tree + 1))
        return slice(int(start), int(stop))

    def variances(self) -> Floats:
        """(trees,) the variance of each tree over the whole space."""
        return sums(self.tree, self.volume * self.value**2, self.n_trees)


def sums(keys: NDArray[np.integer], amounts: Floats, count: int) -> Floats:
    """(count,) the sum of the amounts that belong to each key from 0 to count - 1."""
    total: Floats = np.bincount(keys, amounts, count).astype(np.float64, copy=False)
    return total


def unfold(forest: Forest) -> Iterator[Boxes]:
    """The boxes of all trees, in batches that bound the memory."""
    batch: list[Tree] = []
    cells = 0
    for tree in forest.trees:
        size = len(tree.feature) * len(forest.factors)
        if batch and cells + size > CELLS_AT_ONCE:
            yield _unfold(batch, forest.factors)
            batch, cells = [], 0
        batch.append(tree)
        cells += size
    yield _unfold(batch, forest.factors)


def _unfold(trees: Sequence[Tree], factors: Sequence[Factor]) -> Boxes:
    sizes = np.array([len(tree.feature) for tree in trees])
    roots = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    owner = np.repeat(np.arange(len(trees)), sizes)
    feature = np.concatenate([tree.feature for tree in trees])
    threshold = np.concatenate([tree.threshold for tree in trees])
    left = np.concatenate([tree.left for tree in trees]) + roots[owner]
    right = np.concatenate([tree.right for tree in trees]) + roots[owner]
    rank = np.zeros(len(feature), dtype=np.int32)
    cuts = []
    for column, factor in enumerate(factors):
        nodes = np.flatnonzero(feature == column)
        shares = _shares(factor, column, trees, owner[nodes], threshold[nodes])
        found, rank[nodes] = _sort_cuts(owner[nodes], shares, len(trees))
        cuts.append(found)
    sides = _split(roots, feature, left, right, rank, cuts)
    leaves = np.flatnonzero(feature < 0)
    low, high = (np.ascontiguousarray(sides[leaves, end::2].T) for end in (0, 1))
    value = np.concatenate([tree.value for tree in trees])[leaves]
    return _boxes(owner[leaves], value, low, high, tuple(cuts), len(trees))


def _shares(factor: Factor, column: int, trees: Sequence[Tree], owner: Ints, thresholds: Floats) -> Floats:
    """The share of the factor's measure on the left side of each threshold."""
    if not isinstance(factor.scale, Choices):
        return factor.scale.below(thresholds)
    weights = np.empty((len(trees), factor.scale.size))
    for row, tree in enumerate(trees):
        weights[row, tree.orders[column]] = factor.scale.weights
    return cumulated(weights)[owner, np.floor(thresholds).astype(np.int64) + 1]


def _sort_cuts(owner: Ints, shares: Floats, n_trees: int) -> tuple[Cuts, Ints]:
    """The cuts of each tree, sorted and each kept once, with both ends; and the rank of every share given."""
    trees = np.concatenate((np.arange(n_trees), owner, np.arange(n_trees)))
    ends = np.concatenate((np.zeros(n_trees), shares, np.ones(n_trees)))
    order = np.lexsort((ends, trees))
    sorted_trees, sorted_ends = trees[order], ends[order]
    is_new = np.ones(len(order), dtype=bool)
    is_new[1:] = (sorted_trees[1:] != sorted_trees[:-1]) | (sorted_ends[1:] != sorted_ends[:-1])
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.cumsum(is_new) - 1
    starts = np.searchsorted(sorted_trees[is_new], np.arange(n_trees + 1))
    return Cuts(sorted_ends[is_new], starts), ranks[n_trees : n_trees + len(shares)]


def _split(roots: Ints, feature: Ints, left: Ints, right: Ints, rank: Ranks, cuts: Sequence[Cuts]) -> Ranks:
    """(nodes, 2 · factors) the box of every node: low and high rank for each factor."""
    sides = np.empty((len(feature), 2 * len(cuts)), dtype=np.int32)
    for column, found in enumerate(cuts):
        sides[roots, 2 * column] = found.starts[:-1]
        sides[roots, 2 * column + 1] = found.starts[1:] - 1
    parents = roots[feature[roots] >= 0]
    while len(parents):
        below, above = left[parents], right[parents]
        sides[below] = sides[above] = sides[parents]
        sides[below, 2 * feature[parents] + 1] = rank[parents]
        sides[above, 2 * feature[parents]] = rank[parents]
        children = np.concatenate((below, above))
        parents = children[feature[children] >= 0]
    return sides


def _boxes(tree: Ints, value: Floats, low: Ranks, high: Ranks, cuts: tuple[Cuts, ...], n_trees: int) -> Boxes:
    volume = np.ones(len(tree))
    for column, found in enumerate(cuts):
        volume *= _sides(found, low[column], high[column])
    mean = sums(tree, volume * value, n_trees)
    return Boxes(tree, value - mean[tree], volume, mean, low, high, cuts, n_trees)


def _sides(cuts: Cuts, low: Ranks, high: Ranks) -> Floats:
    sides: Floats = cuts.shares[high] - cuts.shares[low]
    return sides
