"""Why a trial has its parameters: its sampler is asked again, and shown what it had seen.

The study is built up in memory as it stood at that moment, by what its ask put on record (`sweeper.sampler.ASK`), and
the trial is sampled there by the code that sampled it first (`sweeper.ask`). Nothing is written to the database.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from omegaconf import OmegaConf
from optuna.distributions import BaseDistribution
from optuna.pruners import NopPruner
from optuna.samplers import BaseSampler, GridSampler
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeper import sampler as sampling
from sweeper.ask import SampledStudy
from sweeper.errors import SweeperError
from sweeper.history import History, TrialName

_GIVEN = "fixed_params"  # Optuna's name for the parameters of a point that was enqueued
_GRID = "search_space"  # among the system attributes of each trial that GridSampler chose
_PARENTS = ":parent:"  # in the study's attributes in which genetic samplers keep the ids of a generation's parents
_CONSTRAINTS = "constraints:"  # how the system attributes of a trial begin in which Optuna keeps them
_AGAIN = "again"  # the name of the study in memory
_ROUNDING = 1e-6  # relative
_STATES = {"running": TrialState.RUNNING, "waiting": TrialState.WAITING}


class _Unknown(Exception):
    """A choice that cannot be made again; its text says why."""


@dataclass(frozen=True, slots=True)
class Why:
    """What a trial's parameters rest on, and whether they come out again."""

    params: Mapping[str, Any]
    given: tuple[str, ...]  # those that somebody enqueued: no sampler chose them
    sampler: str | None  # its class; None where the ask is not on record
    seed: int | None
    finished: int  # trials in its view, by what they were then
    running: int
    waiting: int
    startup: int | None  # with fewer finished trials than this, it draws at random
    again: Mapping[str, Any] | None  # what it chose when it was asked again; None where it could not be asked
    problem: str | None  # why it could not

    @property
    def is_same(self) -> bool | None:
        """Whether the same point came out; None where it could not be asked again."""
        return None if self.again is None else dict(self.again) == dict(self.params)

    @property
    def is_close(self) -> bool:
        """Whether the point that came out differs by rounding alone."""
        if self.again is None or self.again.keys() != self.params.keys():
            return False
        return all(_is_close(self.again[name], value) for name, value in self.params.items())

    @property
    def is_random(self) -> bool:
        """Whether the sampler had too little to learn from."""
        return self.startup is not None and self.finished < self.startup


def why(history: History, name: TrialName) -> Why:
    """Ask again for a trial. Raises NotFound where there is none."""
    runs = history.trial(name.study, name.number).runs
    past = _Past(*history.remembered(name.study), history.study(name.study).directions)
    trial = next(one for one in past.trials if one.number == name.number)
    view = trial.system_attrs.get(sampling.ASK)
    sampler, again, problem = None, None, None
    try:
        if view is None or not runs:
            raise _Unknown(_unasked(trial))
        sampler = _sampler(history.sweep(runs[0].sweep).settings.get("sampler"), past.trials)
        again = past.asked_again(trial, view, sampler)
    except _Unknown as unknown:
        problem = str(unknown)
    return Why(
        params=trial.params,
        given=tuple(trial.system_attrs.get(_GIVEN, ())),
        sampler=None if view is None else view["sampler"],
        seed=None if view is None else view["seed"],
        **_counts(view, trial.number),
        startup=getattr(sampler, "_n_startup_trials", None),
        again=again,
        problem=problem,
    )


def _unasked(trial: FrozenTrial) -> str:
    if trial.state == TrialState.WAITING:
        return "it is in line: nothing has been chosen yet"
    return "what its choice rested on is not on record: no sweep of sweeper's asked for it"


def _counts(view: Mapping[str, Any] | None, number: int) -> dict[str, int]:
    """How many other trials there were in a view, by what they were then."""
    if view is None:
        return {"finished": 0, **dict.fromkeys(_STATES, 0)}
    counts = {kind: len(set(view[kind]) - {number}) for kind in _STATES}
    return {"finished": view["last"] - sum(counts.values()), **counts}


def _sampler(config: object, trials: Sequence[FrozenTrial]) -> BaseSampler:
    """The sampler as it was set up. Only classes of Optuna's are made: a record may come from anywhere."""
    target = config.get("_target_") if isinstance(config, Mapping) else None
    if not isinstance(config, Mapping) or not str(target).startswith("optuna.samplers."):
        raise _Unknown(f"its sampler was {target}, and only Optuna's own are asked again")
    try:
        built = sampling.instantiated(OmegaConf.create(dict(config)), "sampler")
    except SweeperError as error:
        raise _Unknown(str(error)) from error
    if isinstance(built, BaseSampler):
        return built
    grid = next((one.system_attrs[_GRID] for one in trials if _GRID in one.system_attrs), None)
    if grid is None:
        raise _Unknown("the grid that it was taken from is not on record")
    return GridSampler(grid, seed=config.get("seed"))


@dataclass(frozen=True, slots=True)
class _Past:
    """A study as it is on record, from which it can be made as it was."""

    trials: Sequence[FrozenTrial]
    attributes: Mapping[str, Any]  # the study's, that Optuna calls system attributes
    directions: Sequence[str]

    def asked_again(self, trial: FrozenTrial, view: Mapping[str, Any], sampler: BaseSampler) -> Mapping[str, Any]:
        """The parameters that come out for a trial where the sampler is shown what it had seen."""
        shown = self.trials[: view["last"] + 1]
        if [one.number for one in shown] != list(range(view["last"] + 1)):
            raise _Unknown("trials that it had seen are on record no more")
        storage = InMemoryStorage()
        study_id = storage.create_new_study([StudyDirection[word.upper()] for word in self.directions], _AGAIN)
        for key, value in {**self._parents(), **view.get("counters", {})}.items():
            storage.set_study_system_attr(study_id, key, value)
        states = {number: state for kind, state in _STATES.items() for number in view[kind]}
        for one in shown:
            then = _unsampled(one) if one.number == trial.number else _as_then(one, states.get(one.number))
            storage.create_new_trial(study_id, then)
        study = SampledStudy(_AGAIN, storage, sampler, NopPruner(), view["seed"])
        return study.sampled(trial.number, lambda asked: _suggested(asked, trial.distributions)).params

    def _parents(self) -> dict[str, Any]:
        """The parents of each generation, for genetic samplers; in a storage in memory a trial's id is its number."""
        numbers = {one._trial_id: one.number for one in self.trials}
        kept = {key: ids for key, ids in self.attributes.items() if _PARENTS in key}
        return {key: [numbers[one] for one in ids if one in numbers] for key, ids in kept.items()}


def _unsampled(trial: FrozenTrial) -> FrozenTrial:
    """A trial that has just been claimed."""
    given = {_GIVEN: trial.system_attrs[_GIVEN]} if _GIVEN in trial.system_attrs else {}
    return create_trial(state=TrialState.RUNNING, system_attrs=given)


def _as_then(trial: FrozenTrial, unfinished: TrialState | None) -> FrozenTrial:
    """A trial in the state that it had: one that has ended since had no values then, and had broken no constraint."""
    if unfinished is None:
        return trial
    then = copy.copy(trial)
    then.state, then.values = unfinished, None
    then.system_attrs = {key: value for key, value in trial.system_attrs.items() if not key.startswith(_CONSTRAINTS)}
    return then


def _suggested(asked: optuna.Trial, distributions: Mapping[str, BaseDistribution]) -> Mapping[str, Any]:
    """The recorded parameters in the order in which they were asked for, branches as they were taken."""
    return {name: asked._suggest(name, distribution) for name, distribution in distributions.items()}


def _is_close(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_ROUNDING)
    return one == other
