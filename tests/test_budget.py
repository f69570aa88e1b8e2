from __future__ import annotations

import pytest
from optuna.trial import TrialState

from sweeper.budget import Budget, Tally, seconds
from sweeper.config.settings import Budget as BudgetSettings
from sweeper.config.settings import Settings
from sweeper.errors import ConfigError
from sweeper.trial import Ended, Failure


def complete(value: float) -> Ended:
    return Ended("r", 0, 0.0, TrialState.COMPLETE, values=(value,))


def failed() -> Ended:
    return Ended("r", 0, 0.0, TrialState.FAIL, failure=Failure.ERROR, error="ValueError: no")


@pytest.mark.parametrize(("text", "value"), [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200), ("1d", 86400)])
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "-1", "0", "two hours", "1w"])
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError, match=r"budget\.wall_time .* 2h"):
        seconds(text)


def test_wall_time_ends_a_sweep() -> None:
    tally = Tally(Budget(wall_time_s=10), maximize=True)

    assert tally.spent(9.9) is None
    assert tally.spent(10.0) == "wall time of 10 s is over"


def test_a_plateau_is_counted_from_the_last_better_trial() -> None:
    tally = Tally(Budget(plateau_trials=2, plateau_min_delta=0.1), maximize=False)
    for value in (1.0, 0.95, 0.8, 0.75):
        tally.add(complete(value))
    assert tally.spent(0) is None

    tally.add(failed())
    assert tally.spent(0) == "no better trial among the last 2"


def test_without_a_limit_failures_stop_nothing_but_are_not_allowed_either() -> None:
    tally = Tally(Budget(), maximize=True)
    assert tally.is_within()
    for _ in range(20):
        tally.add(failed())

    assert tally.spent(0) is None
    assert not tally.is_within()


def test_allowed_failures() -> None:
    tally = Tally(Budget(max_failures=1), maximize=True)
    tally.add(failed())
    assert tally.spent(0) is None
    assert tally.is_within()

    tally.add(failed())
    assert tally.spent(0) == "2 trials failed, 1 are allowed"
    assert not tally.is_within()


def test_a_failure_rate_waits_for_ten_trials() -> None:
    tally = Tally(Budget(max_failure_rate=0.25), maximize=True)
    for _ in range(9):
        tally.add(failed())
    assert tally.spent(0) is None

    tally.add(failed())
    assert tally.spent(0) == "10 of 10 trials failed, 25% are allowed"


def test_every_bad_limit_is_named_at_once() -> None:
    settings = Settings(budget=BudgetSettings(max_failures=-1, max_failure_rate=2.0))

    with pytest.raises(ConfigError) as caught:
        Budget.of(settings)
    assert "max_failures is -1" in str(caught.value)
    assert "max_failure_rate is 2" in str(caught.value)
