"""Functional ANOVA of trees: which share of a tree's variance each factor, pair or larger set explains.

Hutter, Hoos and Leyton-Brown, An Efficient Approach for Assessing Hyperparameter Importance, ICML 2014.
Their algorithm 2 predicts at the middle of every cell; here a marginal is built at once from all leaves.
Everything is exact for each tree, and nothing is sampled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

import numpy as np

from sweeper.importance.boxes import Boxes, sums, unfold
from sweeper.importance.forest import Forest
from sweeper.importance.scale import Floats, Ints

WIDE = 256  # columns from which adding row by row outruns NumPy's running sum
CELLS_IN_CACHE = 1 << 18  # of a grid of joint marginals, worked on at a time: 2 MB
CELLS_AT_ONCE = 1 << 22  # of leaves by leaves: 32 MB

Set = tuple[int, ...]  # columns of factors, rising


def shares(forest: Forest, sets: Sequence[Set]) -> Floats:
    """(trees, sets) the share of each tree's variance that each set of factors explains beyond its subsets.

    A set of one factor is its main effect, of two a pairwise interaction, and so on. Trees without variance
    are left out, so there may be fewer rows than trees, or none. A share is never below 0.
    """
    return np.concatenate([_shares_in(boxes, sets) for boxes in unfold(forest)])


def _shares_in(boxes: Boxes, sets: Sequence[Set]) -> Floats:
    mains = main_effects(boxes)
    closed: dict[Set, Floats] = {(column,): mains[:, column] for column in range(len(boxes.cuts))}
    needed = {subset for columns in sets for subset in _subsets(columns)} - closed.keys()
    closed |= pair_variances(boxes, sorted(subset for subset in needed if len(subset) == 2))
    closed |= {subset: joint_variances(boxes, subset) for subset in needed if len(subset) > 2}
    effects = np.stack([_beyond_subsets(closed, columns) for columns in sets], axis=1)
    variances = boxes.variances()
    has_variance = variances > 0
    return np.maximum(effects[has_variance] / variances[has_variance, None], 0.0)


def _subsets(columns: Set) -> Iterator[Set]:
    """All of its subsets but the empty one, itself included."""
    for size in range(1, len(columns) + 1):
        yield from combinations(columns, size)


def _beyond_subsets(closed: dict[Set, Floats], columns: Set) -> Floats:
    """The variance of the set's own term: V_U in line 10 of algorithm 2, by inclusion and exclusion."""
    signed = [(-1) ** (len(columns) - len(subset)) * closed[subset] for subset in _subsets(columns)]
    total: Floats = np.sum(signed, axis=0)
    return total


def main_effects(boxes: Boxes) -> Floats:
    """(trees, factors) the variance of each factor's marginal: the paper's V_U for a set U of one.

    The marginal at x is the sum of value · volume / side over the leaves that hold x. Each leaf adds that
    number at its lower cut and takes it away at its upper one; the running sum over the sorted cuts is the
    marginal on every cell. O(leaves · (factors + log leaves)) for each tree, the sorting included.
    """
    effects = np.empty((boxes.n_trees, len(boxes.cuts)))
    mass = boxes.value * boxes.volume
    for column, cuts in enumerate(boxes.cuts):
        height = _divided(mass, boxes.sides(column))
        low, high, count = boxes.low[column], boxes.high[column], len(cuts.shares)
        marginal = np.cumsum(sums(low, height, count) - sums(high, height, count))
        effects[:, column] = np.add.reduceat(cuts.widths() * marginal**2, cuts.starts[:-1])
    return effects


def pair_variances(boxes: Boxes, pairs: Sequence[Set]) -> dict[Set, Floats]:
    """The variance of the joint marginal of each pair, (trees,) each.

    As for main effects, with difference arrays in two dimensions. All partners of a factor share one grid,
    side by side: each partner's differences add up to nothing at its end, where the next one begins.
    """
    found = {pair: np.empty(boxes.n_trees) for pair in pairs}
    for first in sorted({pair[0] for pair in pairs}):
        partners = [pair[1] for pair in pairs if pair[0] == first]
        for tree in range(boxes.n_trees):
            for partner, variance in zip(partners, _joint_with(boxes, tree, first, partners), strict=True):
                found[first, partner][tree] = variance
    return found


def _joint_with(boxes: Boxes, tree: int, first: int, partners: Sequence[int]) -> Floats:
    """(partners,) the variance of the joint marginals of a factor with each partner, in one tree."""
    leaves = boxes.leaves(tree)
    mass = boxes.value[leaves] * boxes.volume[leaves]
    height = _divided(mass, boxes.sides(first, leaves))
    columns, heights, widths, starts = [], [], [], [0]
    for partner in partners:
        local = starts[-1] - boxes.cuts[partner].starts[tree]
        share = _divided(height, boxes.sides(partner, leaves))
        columns += [boxes.low[partner, leaves] + local, boxes.high[partner, leaves] + local]
        heights += [share, -share]
        widths.append(boxes.cuts[partner].widths(tree))
        starts.append(starts[-1] + len(widths[-1]))
    begin = boxes.cuts[first].starts[tree]
    rows = [boxes.low[first, leaves] - begin, boxes.high[first, leaves] - begin]
    squares = _grid_squares(
        np.concatenate([np.tile(row, len(columns)) for row in rows]),
        np.tile(np.concatenate(columns), 2),
        np.concatenate([*heights, *(-height for height in heights)]),
        boxes.cuts[first].widths(tree),
        starts[-1],
    )
    variances: Floats = np.add.reduceat(squares * np.concatenate(widths), starts[:-1])
    return variances


def _grid_squares(rows: Ints, columns: Ints, steps: Floats, widths: Floats, n_columns: int) -> Floats:
    """(columns,) the mean over the rows of the squared marginals that these steps at cells add up to."""
    n_rows = max(1, CELLS_IN_CACHE // n_columns)
    squares, above = np.zeros(n_columns), np.zeros(n_columns)
    for start in range(0, len(widths), n_rows):
        height = min(n_rows, len(widths) - start)
        inside = slice(None) if height == len(widths) else (rows >= start) & (rows < start + height)
        cells = columns[inside] * height + (rows[inside] - start)
        flank = sums(cells, steps[inside], height * n_columns).reshape(n_columns, height)
        _add_up(flank)
        grid = np.ascontiguousarray(flank.T)
        grid[0] += above
        _add_up(grid)
        above = grid[-1].copy()
        squares += widths[start : start + height] @ np.square(grid, out=grid)
    return squares


def _add_up(grid: Floats) -> None:
    """Running sums down the rows, in place. Wide rows are added whole, several numbers to an instruction."""
    if grid.shape[1] < WIDE:
        np.cumsum(grid, axis=0, out=grid)
        return
    for above, row in pairwise(grid):
        np.add(above, row, out=row)


def joint_variances(boxes: Boxes, columns: Set) -> Floats:
    """(trees,) the variance of the joint marginal of any set of factors.

    Sums over pairs of leaves the product of their values, masses and overlaps: O(leaves²) for each tree
    however large the set, where a grid would grow with its power.
    """
    return np.array([_joint_in(boxes, columns, tree) for tree in range(boxes.n_trees)])


def _joint_in(boxes: Boxes, columns: Set, tree: int) -> float:
    leaves = boxes.leaves(tree)
    height = boxes.value[leaves] * boxes.volume[leaves]
    for column in columns:
        height = _divided(height, boxes.sides(column, leaves))
    ranks = np.stack([side[column, leaves] for column in columns for side in (boxes.low, boxes.high)])
    distinct, index = np.unique(ranks, axis=1, return_inverse=True)
    height = sums(index.reshape(-1), height, distinct.shape[1])
    ends = [boxes.cuts[column].shares[distinct[2 * i : 2 * i + 2]] for i, column in enumerate(columns)]
    variance = 0.0
    block = max(1, CELLS_AT_ONCE // len(height))
    for start in range(0, len(height), block):
        part = slice(start, start + block)
        overlap = np.ones((len(height[part]), len(height)))
        for low, high in ends:
            overlap *= np.maximum(np.minimum(high[part, None], high) - np.maximum(low[part, None], low), 0.0)
        variance += float(height[part] @ (overlap @ height))
    return variance


def _divided(mass: Floats, side: Floats) -> Floats:
    """Mass over side; 0 for a leaf that covers nothing of the factor, and so of the space."""
    return np.divide(mass, side, out=np.zeros_like(mass), where=side > 0)
