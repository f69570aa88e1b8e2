"""Our functional ANOVA behind Optuna's interface, for `optuna.importance.get_param_importances` and its
figures.
"""

from __future__ import annotations

from collections.abc import Callable

from optuna.importance import BaseImportanceEvaluator
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from sweeper.importance.result import N_TREES, evaluate
from sweeper.importance.sample import objective


class FanovaEvaluator(BaseImportanceEvaluator):
    """Shares of the variance that main effects explain, conditional parameters included.

    Equal to Optuna's `FanovaImportanceEvaluator` with the same seed on spaces of continuous floats.
    """

    def __init__(self, *, n_trees: int = N_TREES, seed: int = 0) -> None:
        self._n_trees = n_trees
        self._seed = seed

    def evaluate(
        self,
        study: Study,
        params: list[str] | None = None,
        *,
        target: Callable[[FrozenTrial], float] | None = None,
    ) -> dict[str, float]:
        """Parameter → share, largest first; 0 for each where nothing can be told.

        `params`: only these parameters, each of which some completed trial must have (`ValueError`
        otherwise).
        """
        if target is None and len(study.directions) > 1:
            raise ValueError(
                f"the study has {len(study.directions)} objectives; "
                "say which with target, as in target=lambda trial: trial.values[0]"
            )
        trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        known = {name for trial in trials for name in trial.params}
        wanted = sorted(known) if params is None else list(params)
        for name in wanted:
            if name not in known:
                raise ValueError(f"{name!r} is in no completed trial; there are {', '.join(sorted(known)) or 'none'}")
        if not wanted:
            return {}
        found = evaluate(trials, target=target or objective, params=wanted, n_trees=self._n_trees, seed=self._seed)
        return dict(found.importances) | {name: 0.0 for name in wanted if name not in found.importances}
