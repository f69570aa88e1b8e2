"""Functional ANOVA of trees: which share of a tree's variance each factor, pair or larger set explains.

Hutter, Hoos and Leyton-Brown, An Efficient Approach for Assessing Hyperparameter Importance, ICML 2014. Their
algorithm 2 predicts at the middle of every cell; here a marginal is built at once from all leaves (see
`main_effects`).
"""

from __future__ import annotations

import numpy as np

from sweeper.importance.boxes import Boxes, sums, unfold
from sweeper.importance.forest import Forest
from sweeper.importance.scale import Floats


def shares_of_mains(forest: Forest) -> Floats:
    """(trees, factors) share of each tree's variance that the main effect of each factor explains.

    Trees without variance are left out, so there may be fewer rows than trees, or none.
    """
    found = [_shares(main_effects(boxes), boxes.variances()) for boxes in unfold(forest)]
    return np.concatenate(found)


def main_effects(boxes: Boxes) -> Floats:
    """(trees, factors) variance of the marginal of each factor: V_U of equation 4 for a single factor U.

    The marginal at x is the sum of value · volume / side over the leaves that hold x. Each leaf adds that
    number at its lower cut and takes it away at its upper one; the running sum over the sorted cuts is the
    marginal on every cell. O(leaves · (factors + log leaves)) for each tree.
    """
    effects = np.empty((boxes.n_trees, len(boxes.cuts)))
    mass = boxes.value * boxes.volume
    for column, cuts in enumerate(boxes.cuts):
        side = boxes.sides(column)
        height = np.divide(mass, side, out=np.zeros_like(mass), where=side > 0)
        count = len(cuts.shares)
        steps = sums(boxes.low[column], height, count) - sums(boxes.high[column], height, count)
        marginal = np.cumsum(steps)
        effects[:, column] = np.add.reduceat(cuts.widths() * marginal**2, cuts.starts[:-1])
    return effects


def _shares(effects: Floats, variances: Floats) -> Floats:
    has_variance = variances > 0
    return effects[has_variance] / variances[has_variance, None]
