"""What to do about it: parameters whose best values lie at the edge of their range, and those not worth
varying.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

import numpy as np
from optuna.study import StudyDirection

from sweeper.importance.confidence import BELIEVABLE
from sweeper.importance.factor import Factor
from sweeper.importance.forest import Forest, grow, in_threads
from sweeper.importance.marginal import curve
from sweeper.importance.result import Importance
from sweeper.importance.sample import Sample, better
from sweeper.importance.scale import Choices, Floats, Interval, Ints, Levels

ENOUGH = 20  # trials below which nothing is advised
BEST = 0.1  # the share of trials that counts as the best, at least `FEWEST_BEST` of them
FEWEST_BEST = 5
EDGE = 0.1  # the share of the measure at either end where the best value must lie
SIDE = 0.25  # the share of the measure at that end that must hold `CROWDED` of the best trials
CROWDED = 0.5
GOOD = 0.25  # the share of trials that counts as good
NEGLIGIBLE = 0.02  # the total effect below which a parameter may be frozen, in all trials
NEGLIGIBLE_AMONG_GOOD = 0.05  # more: fewer trials leave more noise
PROBES = 1024  # points at which total effects are sampled


class Move(enum.StrEnum):
    """What a piece of advice suggests."""

    EXTEND_UP = "extend_up"
    EXTEND_DOWN = "extend_down"
    FREEZE = "freeze"


@dataclass(frozen=True)
class Advice:
    """One suggestion, with its sentence for people."""

    parameter: str
    move: Move
    sentence: str
    value: object = None  # where to freeze


def advise(importance: Importance, direction: StudyDirection, *, seed: int = 0) -> list[Advice]:
    """Suggestions for the next sweep; none where trials or fit are too poor to say anything."""
    forest = importance.forest
    if forest is None or importance.n_trials < ENOUGH:
        return []
    if importance.r2 is None or importance.r2 < BELIEVABLE:
        return []
    best, sign = best_trials(forest, direction, BEST), 1 if direction == StudyDirection.MAXIMIZE else -1
    idle = _idle(importance, forest, direction, seed)
    found = []
    for factor in forest.factors:
        if not factor.is_parameter:
            continue
        if factor.name in idle:
            effect, value = idle[factor.name]
            sentence = f"freeze {factor.name} (at {value}): with all it interacts with, it explains {effect:.1%}"
            found.append(Advice(factor.name, Move.FREEZE, sentence, value))
        elif move := _crowded_edge(forest, factor, best, sign):
            found.append(Advice(factor.name, move, _on_edge(factor, move)))
    return found


def _idle(
    importance: Importance, forest: Forest, direction: StudyDirection, seed: int
) -> dict[str, tuple[float, object]]:
    """Factors that do next to nothing, in all trials and among the good ones: their effect, their best value.

    A wide range of a strong parameter makes all others look idle: among good trials they may decide. Where the
    interval of a share reaches higher, too few trials say so.
    """
    sample = better(Sample(forest.factors, forest.y, (), ()), GOOD, direction)
    if not sample.factors or np.ptp(sample.y) == 0:
        return {}
    good = grow(sample.factors, sample.y, n_trees=len(forest.trees), seed=seed)
    everywhere, among_good = _named_effects(forest, seed), _named_effects(good, seed)
    found = {}
    for name, effect in among_good.items():
        likely = max(everywhere[name], importance.importances[name])
        _, at_most = importance.intervals.get(name, (0.0, likely))
        if likely < NEGLIGIBLE and max(effect, at_most) < NEGLIGIBLE_AMONG_GOOD:
            found[name] = (max(effect, likely), _best_value(good, name, direction))
    return found


def _best_value(forest: Forest, name: str, direction: StudyDirection) -> object:
    marginal = curve(forest, name)
    best = np.argmax(marginal.mean) if direction == StudyDirection.MAXIMIZE else np.argmin(marginal.mean)
    value = marginal.axis.values[int(best)]
    return float(f"{value:.3g}") if isinstance(value, float) else value


def _named_effects(forest: Forest, seed: int) -> dict[str, float]:
    effects = total_effects(forest, seed=seed).tolist()
    return {factor.name: effect for factor, effect in zip(forest.factors, effects, strict=True)}


def best_trials(forest: Forest, direction: StudyDirection, share: float) -> Ints:
    """Rows of the best trials, the best first: this share of all, but at least `FEWEST_BEST`."""
    ranking = np.argsort(-forest.y if direction == StudyDirection.MAXIMIZE else forest.y, kind="stable")
    return ranking[: max(FEWEST_BEST, math.ceil(share * len(ranking)))]


def total_effects(forest: Forest, *, seed: int = 0) -> Floats:
    """(factors,) the share of the forest's variance that would go if the factor were frozen, interactions
    included.

    The estimator of Jansen (1999) for Sobol's total index: half the mean square of the change when that
    factor alone is drawn anew, at `PROBES` random points. It looks at the mean of all trees, where their
    noise cancels.
    """
    generator = np.random.default_rng(seed)
    base, other = generator.random((2, PROBES, len(forest.factors)))
    points = [base]
    for column in range(len(forest.factors)):
        moved = base.copy()
        moved[:, column] = other[:, column]
        points.append(moved)
    predicted = _predict(forest, np.concatenate(points)).reshape(len(points), PROBES)
    variance = float(predicted[0].var())
    if variance == 0:
        return np.zeros(len(forest.factors))
    effects: Floats = np.mean((predicted[1:] - predicted[0]) ** 2, axis=1) / (2 * variance)
    return effects


def _predict(forest: Forest, shares: Floats) -> Floats:
    """(points,) the forest's prediction where each factor is at this share of its measure."""
    columns = [factor.scale.draw(shares[:, column]) for column, factor in enumerate(forest.factors)]
    positions = np.stack(columns, axis=1)
    predicted = in_threads(lambda tree: tree.predict(positions), forest.trees, positions.size)
    mean: Floats = np.mean(predicted, axis=0)
    return mean


def _crowded_edge(forest: Forest, factor: Factor, best: Ints, sign: int) -> Move | None:
    """The end of the range that holds most of the best trials and, all else averaged, the best value."""
    if isinstance(factor.scale, Choices) or factor.scale.size <= 2:
        return None
    positions = factor.positions[best]
    shares = _shares(factor.scale, positions[~np.isnan(positions)])
    if len(shares) < FEWEST_BEST:
        return None
    marginal = curve(forest, factor.name)
    peak = float(marginal.axis.shares[np.argmax(sign * marginal.mean)])
    ends = marginal.axis.shares[[0, -1]]
    if peak >= min(ends[1], 1 - EDGE) and np.mean(shares > 1 - SIDE) >= CROWDED:
        return Move.EXTEND_UP
    if peak <= max(ends[0], EDGE) and np.mean(shares < SIDE) >= CROWDED:
        return Move.EXTEND_DOWN
    return None


def _shares(scale: Interval | Levels, positions: Floats) -> Floats:
    """Where these positions lie in the measure, a level at its middle."""
    if isinstance(scale, Interval):
        return scale.below(positions)
    return scale.middles()[np.searchsorted(scale.places, positions)]


def _on_edge(factor: Factor, move: Move) -> str:
    side = "upper" if move == Move.EXTEND_UP else "lower"
    scale = factor.scale
    low, high = (scale.low, scale.high) if isinstance(scale, Interval) else (scale.values[0], scale.values[-1])
    end = high if move == Move.EXTEND_UP else low
    shown = f"{end:g}" if isinstance(end, float) else str(end)
    return f"the best trials crowd the {side} edge of {factor.name} ({shown}): look beyond it"
