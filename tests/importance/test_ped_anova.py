"""PED-ANOVA beside ours: Optuna's own numbers, without a word on the terminal."""

from __future__ import annotations

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import TrialState

from sweeper.importance import ped_anova
from tests.importance.sweeps import Space, ended, random_sweep

SPACE: Space = {"x": FloatDistribution(0, 1), "n": IntDistribution(1, 5)}


@pytest.mark.parametrize("direction", [StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE])
def test_it_is_what_optuna_gives(direction: StudyDirection, capfd: pytest.CaptureFixture[str]) -> None:
    trials = random_sweep(SPACE, lambda p: (p["x"] - 0.3) ** 2 + 0.01 * p["n"], 80)
    found = ped_anova([*trials, ended(TrialState.FAIL)], direction=direction)
    assert capfd.readouterr().err == ""
    study = optuna.create_study(direction=direction.name.lower())
    study.add_trials(trials)
    assert found == pytest.approx(optuna.importance.get_param_importances(study))


def test_one_trial_is_not_enough() -> None:
    assert ped_anova(random_sweep(SPACE, lambda p: p["x"], 1)) == {}
