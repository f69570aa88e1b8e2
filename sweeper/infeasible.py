"""Points at which memory ran out: failed on record, and to the sampler finished points that broke a constraint.

Optuna's TPE and GP learn nothing from failed trials, and would go on asking for models that do not fit. What they do
learn from is a constraint (c-TPE; a constrained acquisition function), so they are shown such a trial as complete, with
the worst value there is and the constraint broken. Everybody else sees it failed. NSGA breeds from trials that did not
fail, and gains nothing from seeing the others: it only takes them for a generation (measured).
"""

from __future__ import annotations

import copy
from collections.abc import Container, Sequence

from optuna.pruners import BasePruner, HyperbandPruner
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

_ATTRIBUTE = "constraints:memory"  # where optuna.Trial.set_constraint("memory", …) of Optuna 5 puts it
_BROKEN, _KEPT = 1.0, 0.0
_LEARN = (TPESampler, GPSampler)


def mark(study: Study, trial: Trial | int) -> None:
    """Put on record that memory was not enough for a trial, or the one of this number, before it is told as failed."""
    storage = study._storage
    if isinstance(trial, int):
        trial_id = storage.get_trial_id_from_study_id_trial_number(study._study_id, trial)
    else:
        trial_id = trial._trial_id
    storage.set_trial_system_attr(trial_id, _ATTRIBUTE, _BROKEN)


def learns_from_any(sampler: BaseSampler) -> bool:
    """Whether the sampler knows what to make of a broken constraint."""
    return isinstance(sampler, _LEARN)


def in_view(pruner: BasePruner) -> BasePruner:
    """The pruner, whose brackets show a sampler the trials as its study does.

    With Hyperband Optuna's samplers do not look at the study, but at a copy that it makes of one for each bracket, and
    would find failed trials there.
    """
    if isinstance(pruner, HyperbandPruner):
        made = pruner._create_bracket_study

        def bracket(study: Study, bracket_id: int) -> Study:
            of_bracket = made(study, bracket_id)
            of_bracket._get_trials = study._get_trials  # type: ignore[method-assign]  # the copy has no hook
            return of_bracket

        pruner._create_bracket_study = bracket  # type: ignore[method-assign]  # nor has the pruner
    return pruner


def shown(
    trials: Sequence[FrozenTrial],
    states: Container[TrialState] | None,
    sampler: BaseSampler,
    directions: Sequence[StudyDirection],
) -> list[FrozenTrial]:
    """Of all `trials` those in `states`, None being any, as the sampler is to see them."""
    infeasible = {t.number for t in trials if t.state == TrialState.FAIL and _ATTRIBUTE in t.system_attrs}
    if infeasible:
        worst = _worst(trials, directions)
        trials = [_broken(trial, worst) if trial.number in infeasible else trial for trial in trials]
    found = [trial for trial in trials if states is None or trial.state in states]
    # GP asks for the same constraints in every trial, where the others count a missing one as kept
    return [_completed(trial, found) for trial in found] if infeasible and isinstance(sampler, GPSampler) else found


def _worst(trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> list[float]:
    values = [trial.values for trial in trials if trial.state == TrialState.COMPLETE]
    if not values:
        return [0.0] * len(directions)
    worst = {StudyDirection.MAXIMIZE: min, StudyDirection.MINIMIZE: max}
    return [worst[direction](column) for direction, column in zip(directions, zip(*values, strict=True), strict=True)]


def _broken(trial: FrozenTrial, values: list[float]) -> FrozenTrial:
    seen = copy.copy(trial)
    seen.state = TrialState.COMPLETE
    seen.values = values
    return seen


def _completed(trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> FrozenTrial:
    if trial.state != TrialState.COMPLETE:
        return trial
    names = {f"constraints:{name}" for other in trials for name in other.constraints}
    seen = copy.copy(trial)
    seen.system_attrs = dict.fromkeys(names, _KEPT) | trial.system_attrs
    return seen
