"""From trials to a sample: which trials count, what they gave, and the factors that varied between them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from sweeper.errors import ConfigError
from sweeper.importance.factor import Factor, distinct, distribution_key, parameter_scale
from sweeper.importance.scale import Choices, Floats, choice_key

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
    constants: tuple[str, ...]  # parameters of a single value
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
) -> Sample:
    """The sample of all completed trials with a finite target.

    `circumstances` holds, for each further factor, one value for each of `trials`.
    """
    for name, values in circumstances.items():
        if len(values) != len(trials):
            raise ConfigError(
                f"factor {name!r} has {len(values)} values for {len(trials)} trials; give one for each"
            )
    used, y, note = _usable(trials, target)
    chosen = [trials[i] for i in used]
    names = distinct((name for trial in chosen for name in trial.params), str)
    scales = {name: _parameter(name, chosen) for name in names}
    extras = [_circumstance(name, [values[i] for i in used]) for name, values in circumstances.items()]
    factors = [factor for factor in [*scales.values(), *extras] if factor is not None]
    odd = [name for name, factor in scales.items() if factor is None]
    return Sample(
        factors=tuple(factor for factor in factors if factor.scale.size > 1),
        y=y,
        constants=tuple(factor.name for factor in factors if factor.scale.size == 1),
        notes=(
            note,
            *(f"{name} is left out: it is of one kind in some trials, of another in others" for name in odd),
        ),
    )


def _usable(trials: Sequence[FrozenTrial], target: Target) -> tuple[list[int], Floats, str]:
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
    holders = [i for i, trial in enumerate(trials) if name in trial.params]
    values = [trials[i].params[name] for i in holders]
    kinds = distinct((trials[i].distributions[name] for i in holders), distribution_key)
    scale = parameter_scale(kinds, values)
    if scale is None:
        return None
    positions = np.full(len(trials), np.nan)
    positions[holders] = scale.place(values) if scale.size > 1 else 0.0
    return Factor(name, scale, positions)


def _circumstance(name: str, values: Sequence[object]) -> Factor:
    """A factor that nobody drew: each of its values weighs as often as it was met."""
    keys = Counter(map(choice_key, values))
    choices = distinct(values, choice_key)
    weights = np.array([keys[choice_key(choice)] for choice in choices]) / max(len(values), 1)
    scale = Choices(tuple(choices), weights)
    return Factor(name, scale, scale.place(values), is_parameter=False)
