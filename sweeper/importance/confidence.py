"""How far to believe the shares: what the forest explains of trials it has not seen, and how much is luck."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sweeper.importance.factor import Factor
from sweeper.importance.fanova import shares
from sweeper.importance.forest import Forest, grow
from sweeper.importance.scale import Floats, Interval, Ints, unevenness

BELIEVABLE = 0.5  # out-of-bag R² below which the bars describe the forest more than the objective
LEARNABLE = 16  # trials from which a learning curve can be drawn
LEARNING = 0.1  # R² below which a forest may just be forgetting noise, which looks like learning
TREES_PER_RESAMPLE = 4  # few: their own spread widens the intervals a little, to the safe side
ROWS_PER_RESAMPLE = 2_000  # a larger sample is bootstrapped by drawing so many of its rows
TREES_PER_PART = 16
NORMAL_95 = 1.6449  # quantile of the normal distribution that leaves 5% on each side
ALARM = 0.001  # probability of calling evenly spread trials crowded


def r_squared(forest: Forest) -> float | None:
    """Out-of-bag R²: the share of the variance that trees explain in trials they have not seen.

    Below 0 the forest predicts worse than the mean does. None with fewer than two such trials, or equal ones.
    """
    known = ~np.isnan(forest.unseen)
    if known.sum() < 2:
        return None
    y = forest.y[known]
    total = float(np.sum((y - y.mean()) ** 2))
    return 1 - float(np.sum((y - forest.unseen[known]) ** 2)) / total if total > 0 else None


def bootstrap_std(factors: Sequence[Factor], y: Floats, *, resamples: int, seed: int) -> Floats:
    """(factors,) how much the share of each main effect would vary between samples of as many trials.

    The standard deviation over forests grown on bootstrap samples of the trials (Efron 1979). The spread over
    the trees of one forest is no measure of this: its mean over 64 trees hardly varies. Of many trials fewer are
    drawn, and the deviation shrinks with the root of their number (m out of n bootstrap: Bickel, Götze and van Zwet,
    Statistica Sinica 7, 1997), so that intervals cost the same however many trials there are.
    """
    n_rows = min(len(y), ROWS_PER_RESAMPLE)
    generator = np.random.default_rng(seed)
    columns = [(column,) for column in range(len(factors))]
    means = []
    for _ in range(resamples):
        rows = generator.integers(0, len(y), n_rows)
        forest = _grow_on(factors, y, rows, TREES_PER_RESAMPLE, int(generator.integers(2**31)))
        found = shares(forest, columns)
        if len(found):
            means.append(found.mean(axis=0))
    if len(means) < 2:
        return np.full(len(factors), np.nan)
    spread: Floats = np.std(means, axis=0, ddof=1) * math.sqrt(n_rows / max(len(y), 1))
    return spread


def trials_needed(factors: Sequence[Factor], y: Floats, r2: float, seed: int) -> int | None:
    """About how many trials the forest would need for an R² of `BELIEVABLE`; None where more may not help.

    Forests on halves and quarters of the trials show how the unexplained share falls with their number; a
    power law through the three points, the usual shape of learning curves, is read where it crosses.
    """
    count = len(y)
    if count < LEARNABLE or r2 < LEARNING:
        return None
    points = [(count, 1 - r2)]
    generator = np.random.default_rng(seed)
    for parts in (2, 4):
        order = generator.permutation(count)
        left = [_unexplained(factors, y, order[part::parts], seed) for part in range(parts)]
        points.append((count // parts, float(np.mean(left))))
    sizes, unexplained = np.log(np.array(points)).T
    slope = -float(np.polyfit(sizes, unexplained, 1)[0])
    if slope <= 0.05:
        return None
    needed = count * math.exp((math.log(1 - r2) - math.log(1 - BELIEVABLE)) / slope)
    return int(round(needed, 1 - math.floor(math.log10(needed)))) if needed < 100 * count else None


def _unexplained(factors: Sequence[Factor], y: Floats, rows: Ints, seed: int) -> float:
    """The squared error in unseen trials of a forest on these rows, in variances of all the trials."""
    forest = _grow_on(factors, y, rows, TREES_PER_PART, seed)
    errors = (forest.y - forest.unseen)[~np.isnan(forest.unseen)]
    variance = float(np.var(y / forest.unit))
    return float(np.mean(errors**2)) / variance if len(errors) and variance > 0 else 1.0


def _grow_on(factors: Sequence[Factor], y: Floats, rows: Ints, n_trees: int, seed: int) -> Forest:
    part = [Factor(f.name, f.scale, f.positions[rows], f.is_parameter) for f in factors]
    return grow(part, y[rows], n_trees=n_trees, seed=seed)


def crowding(factors: Sequence[Factor]) -> str | None:
    """Where the trials lie thicker than a random sampler would lay them, in words; None where they do not.

    By the Dvoretzky-Kiefer-Wolfowitz inequality (with Massart's constant), which holds for every
    distribution: an alarm on evenly spread trials has a probability below `ALARM`.
    """
    parameters = [factor for factor in factors if factor.is_parameter]
    excess = [unevenness(factor.scale, factor.positions) - _tolerance(factor, len(parameters)) for factor in parameters]
    if not excess or max(excess) <= 0:
        return None
    worst = parameters[int(np.argmax(excess))]
    return _where_half(worst)


def _tolerance(factor: Factor, n_factors: int) -> float:
    count = np.count_nonzero(~np.isnan(factor.positions))
    return math.sqrt(math.log(2 * n_factors / ALARM) / (2 * count))


def _where_half(factor: Factor) -> str:
    positions = np.sort(factor.positions[~np.isnan(factor.positions)])
    half = math.ceil(len(positions) / 2)
    if isinstance(factor.scale, Interval):
        below = factor.scale.below(positions)
        width = float(np.min(below[half - 1 :] - below[: len(below) - half + 1]))
        return f"half of them lie in {width:.0%} of the range of {factor.name}"
    places, counts = np.unique(positions, return_counts=True)
    most = int(np.argmax(counts))
    value = factor.scale.values_at(places[most : most + 1])[0]
    return f"{counts[most] / len(positions):.0%} of them have {factor.name}={value}"
