"""Sampling one trial: from one view of the others, and from random numbers of the trial's own.

What the choice rests on is put on record with it (`sweeper.sampler.ASK`), so that it can be made again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Container, Mapping

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from sweeper import infeasible
from sweeper import sampler as sampling
from sweeper.trial import ParamValue

Suggest = Callable[[optuna.Trial], Mapping[str, ParamValue]]


class SampledStudy(optuna.Study):
    """Optuna's study, which seeds the sampler for each trial and shows it one view while it samples that trial."""

    _is_asking = False

    def __init__(self, name: str, storage: BaseStorage, sampler: BaseSampler, pruner: BasePruner, seed: int) -> None:
        super().__init__(name, storage, sampler, infeasible.in_view(pruner))
        self.seed = seed

    def sampled(self, trial_id: int, suggest: Suggest) -> optuna.Trial:
        """A claimed trial with its parameters; what they rest on is on record with it."""
        self._is_asking = True
        try:
            claimed = self._storage.get_trial(trial_id)
            view = sampling.view(self.sampler, self.seed, self._in_view(), self._counters())
            sampling.seed_for(self.sampler, self.seed, claimed.number)
            known = frozenset(claimed.params)  # Optuna changes this trial in place
            trial = optuna.Trial(self, trial_id)
            if suggest(trial).keys() - known:  # a trial that was interrupted has its params already
                self._storage.set_trial_system_attr(trial_id, sampling.ASK, view)
            return trial
        finally:
            self._is_asking = False

    def _in_view(self) -> dict[int, TrialState]:
        """The states of the trials that are not finished, and of the last one, in what the sampler is shown."""
        unfinished = self._storage.get_all_trials(self._study_id, False, (TrialState.RUNNING, TrialState.WAITING))
        trials = self._get_trials(deepcopy=False, use_cache=True)
        oldest = bisect_left(trials, unfinished[0].number, key=lambda trial: trial.number)
        return {one.number: one.state for one in trials[oldest:] if not one.state.is_finished() or one is trials[-1]}

    def _counters(self) -> dict[str, int]:
        """How far the study's quasi-random sequences have come: Optuna counts them among its attributes."""
        attributes = self._storage.get_study_system_attrs(self._study_id)
        return {key: place for key, place in attributes.items() if key.startswith(sampling.COUNTER)}

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        """The trials as samplers see them. While one is asked for, all that is read of the others is of one moment."""
        if not infeasible.learns_from_any(self.sampler):
            return super()._get_trials(deepcopy, states, use_cache or self._is_asking)
        trials = super()._get_trials(deepcopy, None, use_cache or self._is_asking)
        return infeasible.shown(trials, states, self.sampler, self.directions)

    def get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        """The trials as they are."""
        return super()._get_trials(deepcopy, states, self._is_asking)
