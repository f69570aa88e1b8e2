"""From finished trials to one result: each parameter's share of the variance, and how far to believe it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from types import MappingProxyType
from typing import Literal

import numpy as np
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from sweeper.errors import ConfigError, NotFound
from sweeper.importance.confidence import (
    BELIEVABLE,
    LEARNABLE,
    NORMAL_95,
    bootstrap_std,
    crowding,
    r_squared,
    trials_needed,
)
from sweeper.importance.fanova import Set, shares
from sweeper.importance.forest import Forest, grow
from sweeper.importance.sample import Sample, Target, better, objective, take

N_TREES = 64
MOST_PAIRED = 15  # parameters, whose 105 pairs take about four times as long as the forest
EMPTY: Mapping[str, Sequence[object]] = MappingProxyType({})

Pairs = Literal["all"] | Sequence[Sequence[str]]


@dataclass(frozen=True)
class Importance:
    """What varied, and which share of the variance of the target it explains. Shares are fractions of 1."""

    importances: Mapping[str, float]  # factor → share of its main effect, largest first
    std: Mapping[str, float]  # factor → standard deviation of that share over the trees
    r2: float | None  # out of bag: 1 explains everything, 0 nothing; None where it cannot be told
    n_trials: int  # trials used
    notes: tuple[str, ...]  # plain sentences: which trials counted, what to be careful about
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # 90%, by bootstrap
    pairs: Mapping[str, float] = field(default_factory=dict)  # "a*b" → share beyond the main effects
    pairs_std: Mapping[str, float] = field(default_factory=dict)
    constants: Mapping[str, object] = field(default_factory=dict)  # parameters of a single value, with it
    forest: Forest | None = field(default=None, repr=False, compare=False)  # for curves, maps and advice

    def record(self) -> dict[str, object]:
        """The result as plain values, for JSON."""
        return {
            "importances": dict(self.importances),
            "std": dict(self.std),
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
            "pairs": dict(self.pairs),
            "pairs_std": dict(self.pairs_std),
            "r2": self.r2,
            "n_trials": self.n_trials,
            "notes": list(self.notes),
        }


def evaluate(
    trials: Sequence[FrozenTrial],
    *,
    target: Target = objective,
    factors: Mapping[str, Sequence[object]] = EMPTY,
    params: Sequence[str] | None = None,
    pairs: Pairs = (),
    quantile: float = 1.0,
    direction: StudyDirection = StudyDirection.MINIMIZE,
    resamples: int = 0,
    n_trees: int = N_TREES,
    seed: int = 0,
) -> Importance:
    """Functional ANOVA of what the completed ones among `trials` gave; deterministic for a seed.

    `target`: what to explain, a number for each trial, or None where it has none. `factors`: circumstances to
    explain it by beside the parameters, one value for each of `trials`. `params`: only these parameters.
    `pairs`: "all", or sets of two or more names, whose interactions to give. `quantile`: only the best share
    of the trials, in the sense of `direction`. `resamples`: how many bootstrap samples the intervals rest on
    (20 do; 0 gives none). Raises `ConfigError` and `NotFound` on what cannot be.
    """
    sample = take(trials, target, factors, params)
    crowd = crowding(sample.factors)  # of all trials: the best ones crowd wherever they came from
    if quantile != 1:
        sample = better(sample, quantile, direction)
    sets = _sets(sample, pairs)
    trouble = _trouble(sample)
    zeros = {factor.name: 0.0 for factor in sample.constants}
    constants = {f.name: f.scale.only_value() for f in sample.constants if f.is_parameter}
    if trouble or not sample.factors:
        shown = {} if trouble else zeros
        return Importance(shown, shown, None, len(sample.y), (*sample.notes, *trouble), constants=constants)
    forest = grow(sample.factors, sample.y, n_trees=n_trees, seed=seed)
    names = [factor.name for factor in sample.factors]
    found = shares(forest, [*((column,) for column in range(len(names))), *sets.values()])
    if not len(found):
        same = f"no parameter tells these {len(sample.y)} trials apart: their values differ, their parameters do not"
        return Importance({}, {}, None, len(sample.y), (*sample.notes, same), constants=constants)
    mean, std = (dict(zip([*names, *sets], numbers.tolist(), strict=True)) for numbers in (found.mean(0), found.std(0)))
    ranking = sorted(names, key=mean.__getitem__, reverse=True)
    r2 = r_squared(forest)
    return Importance(
        importances={name: mean[name] for name in ranking} | zeros,
        std={name: std[name] for name in ranking} | zeros,
        r2=r2,
        n_trials=len(sample.y),
        notes=(*sample.notes, *_cautions(sample, r2, crowd, seed)),
        intervals=_intervals(sample, mean, resamples, seed),
        pairs={name: mean[name] for name in sorted(sets, key=mean.__getitem__, reverse=True)},
        pairs_std={name: std[name] for name in sorted(sets, key=mean.__getitem__, reverse=True)},
        constants=constants,
        forest=forest,
    )


def affordable_pairs(trials: Sequence[FrozenTrial]) -> Pairs:
    """All pairs where the trials have few parameters, none where there would be hundreds of pairs."""
    return "all" if len({name for trial in trials for name in trial.params}) <= MOST_PAIRED else ()


def _sets(sample: Sample, pairs: Pairs) -> dict[str, Set]:
    """The sets of columns to give interactions for, by name: "a*b". Sets with a constant have none."""
    columns = {factor.name: column for column, factor in enumerate(sample.factors)}
    if pairs == "all":
        return {"*".join(pair): (columns[pair[0]], columns[pair[1]]) for pair in combinations(columns, 2)}
    known = [*columns, *(factor.name for factor in sample.constants)]
    for name in {name for names in pairs for name in names} - set(known):
        raise NotFound(f"{name!r} is no parameter of these trials; there are {', '.join(known) or 'none'}")
    for names in pairs:
        if len(set(names)) < 2:
            raise ConfigError(f"{'*'.join(names)!r} is no pair; name two different parameters, or more")
    varied = [names for names in pairs if columns.keys() >= set(names)]
    return {"*".join(names): tuple(sorted({columns[name] for name in names})) for names in varied}


def _trouble(sample: Sample) -> tuple[str, ...]:
    """Why no share can be given, if none can."""
    count = len(sample.y)
    if count < 2:
        there = "there is one" if count else "there are none"
        return (f"importance needs at least two trials with a value: {there}",)
    if np.ptp(sample.y / 4) == 0:
        return (f"all {count} trials gave {sample.y[0]:g}: there is nothing to explain",)
    return ()


def _cautions(sample: Sample, r2: float | None, crowd: str | None, seed: int) -> list[str]:
    """What to be careful about when reading the shares."""
    cautions = []
    if r2 is None or r2 < BELIEVABLE:
        cautions.append(_on_fit(sample, r2, seed))
    if crowd:
        cautions.append(
            f"the trials are not spread evenly ({crowd}), as an adaptive sampler leaves them: the shares lean on "
            "few trials elsewhere; random sampling gives fair ones"
        )
    for factor in sample.factors:
        if not factor.is_parameter and factor.scale.size > len(sample.y) / 2:
            cautions.append(
                f"{factor.name} is different in most trials, so that its share cannot be told from chance: "
                "run the same parameters several times"
            )
    return cautions


def _on_fit(sample: Sample, r2: float | None, seed: int) -> str:
    if r2 is None:
        return f"{len(sample.y)} trials are too few to test the forest: do not believe the shares"
    explained = f"{r2:.0%} of the variance" if r2 > 0 else "nothing"
    needed = trials_needed(sample.factors, sample.y, r2, seed)
    unlikely = "run more trials" if len(sample.y) < LEARNABLE else "more trials alone may not help"
    more = f"about {needed} trials may do" if needed else unlikely
    return f"the forest explains {explained} of trials it has not seen, too little to believe the shares; {more}"


def _intervals(sample: Sample, mean: Mapping[str, float], resamples: int, seed: int) -> dict[str, tuple[float, float]]:
    """The 90% interval of each main effect, within 0 and 1."""
    if resamples < 2:
        return {}
    spread = bootstrap_std(sample.factors, sample.y, resamples=resamples, seed=seed)
    reach = {factor.name: NORMAL_95 * float(std) for factor, std in zip(sample.factors, spread, strict=True)}
    return {
        name: (max(0.0, mean[name] - reach[name]), min(1.0, mean[name] + reach[name]))
        for name in reach
        if np.isfinite(reach[name])
    }
