"""PED-ANOVA, Optuna's own default, to lay beside functional ANOVA: it measures something else."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeper.importance.sample import Target, objective, usable


def ped_anova(
    trials: Sequence[FrozenTrial],
    *,
    target: Target = objective,
    direction: StudyDirection = StudyDirection.MINIMIZE,
) -> dict[str, float]:
    """How much each parameter differs between the best tenth of the trials and all of them; the sum is 1.

    Watanabe, Bansal and Hutter, PED-ANOVA, IJCAI 2023, as Optuna has it. Empty with fewer than two trials. It
    asks what it takes to be among the best, functional ANOVA what moves the value at all: the two may
    disagree.
    """
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    used, values, _ = usable(trials, target)
    if len(used) < 2:
        return {}
    sign = -1 if direction == StudyDirection.MAXIMIZE else 1
    with _quiet():
        study = optuna.create_study(direction="minimize")
        study.add_trials(
            create_trial(
                state=TrialState.COMPLETE,
                value=sign * value,
                params=trials[i].params,
                distributions=trials[i].distributions,
            )
            for i, value in zip(used, values.tolist(), strict=True)
        )
        return get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's word on a study that nobody asked for, and its warnings on few trials."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
