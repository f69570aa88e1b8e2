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
from sweeper.importance.result import Importance
from sweeper.importance.sample import Sample, better
from sweeper.importance.scale import Choices, Floats, Interval, Ints

ENOUGH = 20  # trials below which nothing is advised
BEST = 0.1  # the share of trials that counts as the best, at least `FEWEST_BEST` of them
FEWEST_BEST = 5
EDGE = 0.1  # the share of the measure at either end that counts as an edge
CROWDED = 0.5  # the share of the best trials that crowds an edge
GOOD = 0.25  # the share of trials that counts as good
NEGLIGIBLE = 0.02  # the total effect below which a parameter may be frozen
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
    best = best_trials(forest, direction, BEST)
    idle = _idle(forest, direction, seed)
    found = []
    for factor in forest.factors:
        if not factor.is_parameter:
            continue
        if factor.name in idle:
            value = _value_of(factor, best)
            sentence = (
                f"freeze {factor.name} (at {value}): with all it interacts with, it explains {idle[factor.name]:.1%}"
            )
            found.append(Advice(factor.name, Move.FREEZE, sentence, value))
        elif move := _crowded_edge(factor, best):
            found.append(Advice(factor.name, move, _on_edge(factor, move)))
    return found


def _idle(forest: Forest, direction: StudyDirection, seed: int) -> dict[str, float]:
    """Factors of negligible total effect, both in all trials and among the good ones.

    A wide range of a strong parameter makes all others look idle: among good trials they may decide.
    """
    everywhere = _named_effects(forest, seed)
    good = better(Sample(forest.factors, forest.y, {}, ()), GOOD, direction)
    among_good = _named_effects(grow(good.factors, good.y, n_trees=len(forest.trees), seed=seed), seed)
    effects = {name: max(effect, among_good.get(name, 0.0)) for name, effect in everywhere.items()}
    return {name: effect for name, effect in effects.items() if effect < NEGLIGIBLE}


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


def _value_of(factor: Factor, best: Ints) -> object:
    """The value of the best trial in which the factor was active."""
    positions = factor.positions[best]
    active = positions[~np.isnan(positions)]
    if not len(active):
        active = factor.positions[~np.isnan(factor.positions)]
    value = factor.scale.values_at(active[:1])[0]
    return float(f"{value:.3g}") if isinstance(value, float) else value


def _crowded_edge(factor: Factor, best: Ints) -> Move | None:
    """Which end of the range holds most of the best trials, if one does and is not most of the range."""
    if isinstance(factor.scale, Choices):
        return None
    positions = factor.positions[best]
    shares = factor.scale.below(positions[~np.isnan(positions)])
    top, bottom = 1 - EDGE, EDGE
    if not isinstance(factor.scale, Interval):
        weights = factor.scale.weights
        top, bottom = min(top, 1 - weights[-1] / 2), max(bottom, weights[0])
    if len(shares) < FEWEST_BEST or bottom > CROWDED / 1.5 or 1 - top > CROWDED / 3:
        return None
    if np.mean(shares > top) >= CROWDED:
        return Move.EXTEND_UP
    return Move.EXTEND_DOWN if np.mean(shares <= bottom + 1e-12) >= CROWDED else None


def _on_edge(factor: Factor, move: Move) -> str:
    side = "upper" if move == Move.EXTEND_UP else "lower"
    scale = factor.scale
    low, high = (scale.low, scale.high) if isinstance(scale, Interval) else (scale.values[0], scale.values[-1])
    end = high if move == Move.EXTEND_UP else low
    shown = f"{end:g}" if isinstance(end, float) else str(end)
    return f"the best trials crowd the {side} edge of {factor.name} ({shown}): look beyond it"
