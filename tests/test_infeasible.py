from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import optuna
import pytest
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from sweeper import infeasible
from sweeper.record import Storage
from sweeper.study import AskTellStudy, tell
from sweeper.trial import Ended, Failure

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


@pytest.fixture
def storage(sqlite_url: str) -> Iterator[Storage]:
    opened = Storage(sqlite_url)
    yield opened
    opened.close()


def opened(
    storage: Storage, sampler: BaseSampler, name: str = "fits", pruner: BasePruner | None = None
) -> AskTellStudy:
    optuna.create_study(storage=storage, study_name=name, direction="minimize")
    return AskTellStudy(name, storage, sampler, pruner or NopPruner(), seed=0)


def ended(failure: Failure | None, *values: float) -> Ended:
    state = TrialState.COMPLETE if failure is None else TrialState.FAIL
    return Ended("r", 0, 0.0, state, values=values or None, failure=failure)


def run(study: AskTellStudy, n_trials: int, failure: Failure) -> list[float]:
    """The wider the better, but nothing wider than 0.5 fits; what was tried, in order."""
    widths = []
    for _ in range(n_trials):
        trial = study.ask()
        width = trial.suggest_float("width", 0, 1)
        widths.append(width)
        trial.report(1 - width, 1)
        trial.should_prune()  # Hyperband makes its brackets the first time it is asked
        tell(study, trial, ended(failure) if width > 0.5 else ended(None, 1 - width))
    return widths


def test_a_trial_that_ran_out_of_memory_is_failed_on_record_and_infeasible_to_the_sampler(storage: Storage) -> None:
    study = opened(storage, TPESampler(seed=0))
    run(study, 12, Failure.OOM)
    too_wide = [trial.number for trial in study.get_trials() if trial.params["width"] > 0.5]
    assert too_wide

    stored = optuna.load_study(study_name="fits", storage=storage).trials
    assert [trial.number for trial in stored if trial.state == TrialState.FAIL] == too_wide
    assert [trial.number for trial in stored if trial.constraints == {"memory": 1.0}] == too_wide
    seen = {trial.number: trial for trial in study._get_trials(deepcopy=False, states=FINISHED)}
    assert sorted(seen) == list(range(12))
    worst = max(trial.value for trial in stored if trial.state == TrialState.COMPLETE)
    assert {seen[number].value for number in too_wide} == {worst}


@pytest.mark.parametrize("pruner", [NopPruner, partial(HyperbandPruner, max_resource=9)], ids=["none", "hyperband"])
def test_tpe_learns_to_stay_where_memory_suffices(storage: Storage, pruner: Callable[[], BasePruner]) -> None:
    def too_wide(failure: Failure) -> int:
        study = opened(storage, TPESampler(seed=1, n_startup_trials=8), failure.value, pruner())
        return sum(width > 0.5 for width in run(study, 48, failure)[24:])

    assert too_wide(Failure.OOM) < too_wide(Failure.ERROR)


@pytest.mark.parametrize("sampler", [RandomSampler(seed=0), NSGAIISampler(seed=0)])
def test_samplers_that_learn_nothing_see_the_trials_as_they_are(storage: Storage, sampler: BaseSampler) -> None:
    study = opened(storage, sampler)
    run(study, 6, Failure.OOM)

    assert all(trial.state == TrialState.COMPLETE for trial in study._get_trials(deepcopy=False, states=FINISHED))
    assert len(study.get_trials()) == 6


def test_gp_is_shown_the_same_constraints_in_every_trial() -> None:
    from optuna.samplers import GPSampler

    sampler = GPSampler.__new__(GPSampler)  # it would load torch; only what it is matters here
    fits = create_trial(value=1.0, constraints={"cost": -1.0})
    failed = create_trial(state=TrialState.FAIL, system_attrs={"constraints:memory": 1.0})
    failed.number = 1

    seen = infeasible.shown([fits, failed], FINISHED, sampler, [StudyDirection.MAXIMIZE])

    assert [trial.constraints for trial in seen] == [{"cost": -1.0, "memory": 0.0}, {"cost": 0.0, "memory": 1.0}]
    assert [trial.value for trial in seen] == [1.0, 1.0]
    assert fits.constraints == {"cost": -1.0}
    assert failed.state == TrialState.FAIL
