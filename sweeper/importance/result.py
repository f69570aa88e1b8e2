"""From finished trials to one result: each parameter's share of the variance, and how far to believe it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from optuna.trial import FrozenTrial

from sweeper.importance.confidence import r_squared
from sweeper.importance.fanova import shares_of_mains
from sweeper.importance.forest import Forest, grow
from sweeper.importance.sample import Sample, Target, objective, take
from sweeper.importance.scale import Floats

N_TREES = 64
NO_CIRCUMSTANCES: Mapping[str, Sequence[object]] = MappingProxyType({})


@dataclass(frozen=True)
class Importance:
    """What varied, and which share of the variance of the target it explains. Shares are fractions of 1."""

    importances: Mapping[str, float]  # factor → share of its main effect, largest first
    std: Mapping[str, float]  # factor → standard deviation of that share over the trees
    r2: float | None  # out of bag: 1 explains everything, 0 nothing; None where it cannot be told
    n_trials: int  # trials used
    notes: tuple[str, ...]  # plain sentences: which trials counted, what to be careful about
    forest: Forest | None = field(default=None, repr=False, compare=False)  # for curves, maps and advice


def evaluate(
    trials: Sequence[FrozenTrial],
    *,
    target: Target = objective,
    factors: Mapping[str, Sequence[object]] = NO_CIRCUMSTANCES,
    n_trees: int = N_TREES,
    seed: int = 0,
) -> Importance:
    """Functional ANOVA of what the completed ones among `trials` gave.

    `target` is what to explain: a number for each trial, None where it has none. `factors` are circumstances
    to explain it by beside the parameters, one value for each of `trials`. The same arguments give the same
    result.
    """
    sample = take(trials, target, factors)
    reason = _unexplainable(sample)
    if reason:
        return Importance({}, {}, None, len(sample.y), (*sample.notes, reason))
    if not sample.factors:
        zeros = dict.fromkeys(sample.constants, 0.0)
        return Importance(zeros, zeros, None, len(sample.y), (*sample.notes, *_on_constants(sample)))
    forest = grow(sample.factors, sample.y, n_trees=n_trees, seed=seed)
    shares = shares_of_mains(forest)
    importances, std = _by_name(sample, shares.mean(axis=0)), _by_name(sample, shares.std(axis=0))
    ranking = sorted(importances, key=importances.__getitem__, reverse=True)
    return Importance(
        importances={name: importances[name] for name in ranking},
        std={name: std[name] for name in ranking},
        r2=r_squared(forest),
        n_trials=len(sample.y),
        notes=(*sample.notes, *_on_constants(sample)),
        forest=forest,
    )


def _unexplainable(sample: Sample) -> str | None:
    """Why no share can be given, if none can."""
    if len(sample.y) < 2:
        return f"importance needs at least two trials with a value: there {_are(len(sample.y))}"
    if np.ptp(sample.y / 4) == 0:
        return f"all {len(sample.y)} trials gave {sample.y[0]:g}: there is nothing to explain"
    return None


def _are(count: int) -> str:
    return "is one" if count == 1 else "are none"


def _on_constants(sample: Sample) -> tuple[str, ...]:
    if not sample.constants:
        return ()
    verb = "was" if len(sample.constants) == 1 else "were"
    return (f"{', '.join(sample.constants)} {verb} never varied",)


def _by_name(sample: Sample, shares: Floats) -> dict[str, float]:
    named = {factor.name: float(share) for factor, share in zip(sample.factors, shares, strict=True)}
    return {**named, **dict.fromkeys(sample.constants, 0.0)}
