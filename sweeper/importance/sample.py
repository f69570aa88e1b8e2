"""From trials to a sample: which trials count, what they gave, and the factors that varied between them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweeper.errors import ConfigError
from sweeper.importance.factor import Factor, distinct, distribution_key, parameter_scale
from sweeper.importance.scale import Choices, Floats, Interval, Levels, Scale, choice_key

Target = Callable[[FrozenTrial], float | None]

LEFT_OUT = {
    TrialState.FAIL: "failed",
    TrialState.PRUNED: "pruned",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


@dataclass(frozen=True, eq=False)
class Sample:
    """The trials that count: `y[i]` is what trial i gave, `factors[p].positions[i]` what it was given."""

    factors: tuple[Factor, ...]
    y: Floats  # (trials,)
    constants: tuple[Factor, ...]  # factors of a single value
    notes: tuple[str, ...]


def objective(trial: FrozenTrial) -> float | None:
    """The trial's one objective value; `ConfigError` where there are several."""
    values: list[float] | None = trial.values
    if values is None:
        return None
    if len(values) > 1:
        raise ConfigError(
            f"the study has {len(values)} objectives and importance explains one at a time; "
            "say which, by its name or its number"
        )
    return values[0]


def take(
    trials: Sequence[FrozenTrial],
    target: Target,
    circumstances: Mapping[str, Sequence[object]],
    params: Sequence[str] | None = None,
) -> Sample:
    """The sample of all completed trials with a finite target.

    `circumstances` holds, for each further factor, one value for each of `trials`. `params` restricts the
    factors to these parameters (default: every parameter that a used trial has).
    """
    for name, values in circumstances.items():
        if len(values) != len(trials):
            raise ConfigError(f"factor {name!r} has {len(values)} values for {len(trials)} trials; give one each")
    used, y, note = usable(trials, target)
    chosen = [trials[i] for i in used]
    names = distinct((name for trial in chosen for name in trial.params), str) if params is None else params
    for name in circumstances.keys() & set(names):
        raise ConfigError(f"{name!r} is a parameter of these trials already; leave it out of the further factors")
    found = {name: _parameter(name, chosen) for name in names}
    extras = [_circumstance(name, [values[i] for i in used]) for name, values in circumstances.items()]
    odd = [name for name, factor in found.items() if factor is None]
    kinds = [f"{name} is left out: it is of one kind in some trials, of another in others" for name in odd]
    factors = [factor for factor in (*found.values(), *extras) if factor]
    varied, constants = _told_apart(factors)
    never = f"{', '.join(f.name for f in constants)} {'was' if len(constants) == 1 else 'were'} never varied"
    return Sample(varied, y, constants, (note, *kinds, *([never] if constants else [])))


def _told_apart(factors: Sequence[Factor]) -> tuple[tuple[Factor, ...], tuple[Factor, ...]]:
    """Factors that vary, and those that do not."""
    varied = tuple(factor for factor in factors if factor.scale.size > 1)
    return varied, tuple(factor for factor in factors if factor.scale.size == 1)


def usable(trials: Sequence[FrozenTrial], target: Target) -> tuple[list[int], Floats, str]:
    """Indices and targets of the trials that count, and a sentence on the others."""
    used: list[int] = []
    values: list[float] = []
    lost: Counter[str] = Counter()
    for i, trial in enumerate(trials):
        if trial.state != TrialState.COMPLETE:
            lost[LEFT_OUT[trial.state]] += 1
            continue
        value = target(trial)
        if value is None:
            lost["without the value"] += 1
        elif not math.isfinite(value):
            lost["not finite"] += 1
        else:
            used.append(i)
            values.append(value)
    why = ", ".join(f"{count} {reason}" for reason, count in sorted(lost.items()))
    note = f"{len(used)} of {len(trials)} trials used" + (f": {why}" if why else "")
    return used, np.array(values, dtype=np.float64), note


def _parameter(name: str, trials: Sequence[FrozenTrial]) -> Factor | None:
    given = [(i, params[name]) for i, trial in enumerate(trials) if name in (params := trial.params)]
    holders, values = [i for i, _ in given], [value for _, value in given]
    objects = {id(found): found for found in (trials[i].distributions[name] for i in holders)}
    scale = parameter_scale(distinct(objects.values(), distribution_key), values)
    if scale is None:
        return None
    positions = np.full(len(trials), np.nan)
    positions[holders] = scale.place(values) if scale.size > 1 else 0.0
    return Factor(name, scale, positions)


def _circumstance(name: str, values: Sequence[object]) -> Factor:
    """A factor that nobody drew: each of its values weighs as often as it was met."""
    counts = Counter(map(choice_key, values))
    choices = distinct(values, choice_key)
    weights = np.array([counts[choice_key(choice)] for choice in choices]) / max(len(values), 1)
    scale = Choices(tuple(choices), weights)
    return Factor(name, scale, scale.place(values), is_parameter=False)


def better(sample: Sample, quantile: float, direction: StudyDirection) -> Sample:
    """The trials whose value is among the best `quantile` (0 to 1), with the ranges that they span.

    The forest learns from good trials alone, so it must not be asked about places where there are none:
    numbers keep the range, and choices the values, that good trials have.
    """
    if not 0 < quantile <= 1:
        raise ConfigError(f"quantile {quantile:g} is no share of the trials; give a number above 0 and up to 1")
    if len(sample.y) == 0:
        return sample
    sign = -1 if direction == StudyDirection.MAXIMIZE else 1
    limit = sign * float(np.quantile(sign * sample.y, quantile, method="inverted_cdf"))
    kept = sign * sample.y <= sign * limit
    active = [factor for factor in sample.factors if not np.isnan(factor.positions[kept]).all()]
    varied, same = _told_apart([_narrowed(factor, kept) for factor in active])
    side = "from" if direction == StudyDirection.MAXIMIZE else "up to"
    note = f"only the best {quantile:.0%}: {kept.sum()} trials, {side} {limit:g}, over the ranges they span"
    shared = [f"all of these have {factor.name}={factor.scale.only_value()}" for factor in same]
    gone = [f"none of these has {factor.name}" for factor in sample.factors if factor not in active]
    notes = (*sample.notes, note, *shared, *gone)
    return Sample(varied, sample.y[kept], (*sample.constants, *same), notes)


def _narrowed(factor: Factor, kept: NDArray[np.bool_]) -> Factor:
    positions = factor.positions[kept]
    active = positions[~np.isnan(positions)]
    values = factor.scale.values_at(active)
    scale = _spanned(factor.scale, active, values)
    moved = positions.copy()
    moved[~np.isnan(positions)] = scale.place(values) if scale.size > 1 else 0.0  # type: ignore[arg-type]  # of the scale's own kind
    return replace(factor, scale=scale, positions=moved)


def _spanned(scale: Scale, positions: Floats, values: Sequence[object]) -> Scale:
    """The part of a scale that these positions span."""
    if isinstance(scale, Interval):
        numbers = np.asarray(values, dtype=np.float64)
        return replace(scale, low=float(numbers.min()), high=float(numbers.max()))
    if isinstance(scale, Levels):
        low, high = np.searchsorted(scale.places, (positions.min(), positions.max()))
        part = slice(int(low), int(high) + 1)
        weights = scale.weights[part] / scale.weights[part].sum()
        return replace(scale, values=scale.values[part], weights=weights, places=scale.places[part])
    indices = np.unique(positions.astype(np.int64))
    weights = scale.weights[indices] / scale.weights[indices].sum()
    return Choices(tuple(scale.values[i] for i in indices), weights)
