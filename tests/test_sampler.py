"""Same seed, sampler and completion order: the same suggestions, though another process asks each time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import optuna
import pytest
from omegaconf import OmegaConf
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from sweeper import sampler as sampling
from sweeper.record import Storage
from sweeper.space import Space
from sweeper.study import AskTellStudy, tell
from sweeper.trial import Ended
from tests.simulation import fresh_storage

SAMPLERS: dict[str, dict[str, Any]] = {
    "tpe": {"_target_": "optuna.samplers.TPESampler", "seed": 5, "n_startup_trials": 4, "constant_liar": True},
    "random": {"_target_": "optuna.samplers.RandomSampler", "seed": 5},
    "cmaes": {"_target_": "optuna.samplers.CmaEsSampler", "seed": 5, "n_startup_trials": 2},
    "qmc": {"_target_": "optuna.samplers.QMCSampler", "seed": 5, "warn_asynchronous_seeding": False},
    "nsgaii": {"_target_": "optuna.samplers.NSGAIISampler", "seed": 5, "population_size": 4},
    "nsgaiii": {"_target_": "optuna.samplers.NSGAIIISampler", "seed": 5, "population_size": 4},
    "brute_force": {"_target_": "optuna.samplers.BruteForceSampler", "seed": 5},
    "grid": {"_target_": "optuna.samplers.GridSampler", "_partial_": True, "seed": 5},
}
ORDER = [0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10]  # in which trials end, two at a time


def space_of(name: str) -> Space:
    if name in ("brute_force", "grid"):
        return Space.parse(["p.x=range(0, 6)", "p.y=range(0, 5)"], {}, None, {})  # type: ignore[arg-type]
    return Space.parse(["p.x=interval(-5, 5)", "p.y=interval(0, 1)"], {}, None, {})  # type: ignore[arg-type]


@pytest.fixture
def storage() -> Iterator[Storage]:
    storage = fresh_storage()
    yield storage
    storage.close()


def suggestions(name: str, storage: Storage, asks_per_driver: int) -> list[dict[str, Any]]:
    """What is chosen for 12 trials when a new driver, with a new sampler, comes after so many asks."""
    optuna.create_study(storage=storage, study_name="s")
    space = space_of(name)
    study: AskTellStudy | None = None
    running: dict[int, optuna.Trial] = {}
    ends = iter(ORDER)
    for number in range(len(ORDER)):
        if study is None or number % asks_per_driver == 0:
            sampler = sampling.build(OmegaConf.create(SAMPLERS[name]), space)
            study = AskTellStudy("s", storage, sampler, optuna.pruners.NopPruner(), seed=5)
        trial = study.ask_within(len(ORDER), space.suggest)
        assert trial is not None
        running[number] = trial
        while len(running) > 1 and (end := next(ends)) is not None:
            done = running.pop(end)
            study.tell(end, (done.params["p.x"] - 2) ** 2 + done.params["p.y"])
    return [trial.params for trial in storage.get_all_trials(study._study_id)]


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_new_driver_goes_on_as_the_old_one_would_have(name: str, storage: Storage) -> None:
    other = fresh_storage()
    assert suggestions(name, storage, asks_per_driver=100) == suggestions(name, other, asks_per_driver=1)
    other.close()


def test_a_trial_can_be_asked_for_again_from_what_is_on_record(storage: Storage) -> None:
    """With the view that its ask recorded, and nothing else, the same point comes out."""
    chosen = suggestions("tpe", storage, asks_per_driver=100)
    trials = storage.get_all_trials(storage.get_study_id_from_name("s"))
    view = trials[9].system_attrs[sampling.ASK]
    assert (view["sampler"], view["seed"], view["last"]) == ("TPESampler", 5, 9)
    unfinished = {*view["running"], *view["waiting"]}
    again = optuna.create_study(sampler=sampler_of("tpe"))
    for trial in trials[: view["last"] + 1]:
        if trial.number not in unfinished:
            again.add_trial(trial)
        elif trial.number != 9:
            again.add_trial(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState.RUNNING, params=trial.params, distributions=trial.distributions
                )
            )
    sampling.seed_for(again.sampler, view["seed"], 9)
    assert space_of("tpe").suggest(again.ask()) == chosen[9]


def sampler_of(name: str) -> BaseSampler:
    return sampling.build(OmegaConf.create(SAMPLERS[name]), space_of(name))


@pytest.mark.parametrize("name", ["tpe", "random", "cmaes", "qmc", "nsgaii", "nsgaiii"])
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_samplers_go_on_after_infinite_values_which_rank_as_they_are(
    storage: Storage, name: str, direction: str
) -> None:
    optuna.create_study(storage=storage, study_name="s", direction=direction)
    space = space_of(name)
    sampler = sampling.build(OmegaConf.create(SAMPLERS[name]), space)
    study = AskTellStudy("s", storage, sampler, optuna.pruners.NopPruner(), seed=5)
    for number, value in enumerate((math.inf, 1.0, -math.inf, 2.0, math.inf, 3.0, -math.inf, 4.0)):
        trial = study.ask_within(8, space.suggest)
        assert trial is not None
        tell(study, trial, Ended("r", 0, 0.0, TrialState.COMPLETE, values=(value,)))
        assert trial.number == number
    assert study.best_value == (-math.inf if direction == "minimize" else math.inf)
