from __future__ import annotations

import itertools

import pytest
from optuna.trial import TrialState

from sweeper.budget import Budget, Tally, told_apart
from sweeper.config.settings import Budget as BudgetSettings
from sweeper.config.settings import Settings
from sweeper.errors import ConfigError
from sweeper.trial import Ended, Failure

numbers = itertools.count()


def complete(value: float) -> Ended:
    return Ended("r", 0, 0.0, TrialState.COMPLETE, values=(value,))


def failed(error: str = "ValueError: no", kind: Failure = Failure.ERROR) -> Ended:
    return Ended("r", 0, 0.0, TrialState.FAIL, failure=kind, error=error)


def test_wall_time_ends_a_sweep() -> None:
    tally = Tally(Budget(wall_time_s=10), maximize=True)

    assert tally.spent(9.9) is None
    assert tally.spent(10.0) == "wall time of 10 s is over"


def test_a_plateau_is_counted_from_the_last_better_trial() -> None:
    tally = Tally(Budget(plateau_trials=2, plateau_min_delta=0.1), maximize=False)
    for value in (1.0, 0.95, 0.8, 0.75):
        tally.add(next(numbers), complete(value))
    assert tally.spent(0) is None

    tally.add(next(numbers), failed())
    assert tally.spent(0) == "no better trial among the last 2"


def test_without_a_limit_failures_stop_nothing_but_are_not_allowed_either() -> None:
    tally = Tally(Budget(), maximize=True)
    assert tally.is_within()
    for _ in range(20):
        tally.add(next(numbers), failed())

    assert tally.spent(0) is None
    assert not tally.is_within()


def test_allowed_failures() -> None:
    tally = Tally(Budget(max_failures=1), maximize=True)
    tally.add(next(numbers), failed())
    assert tally.spent(0) is None
    assert tally.is_within()

    tally.add(next(numbers), failed())
    assert tally.spent(0) == "2 trials failed, 1 are allowed"
    assert not tally.is_within()


def test_a_failure_rate_waits_for_ten_trials() -> None:
    tally = Tally(Budget(max_failure_rate=0.25), maximize=True)
    for _ in range(9):
        tally.add(next(numbers), failed())
    assert tally.spent(0) is None

    tally.add(next(numbers), failed())
    assert tally.spent(0) == "10 of 10 trials failed, 25% are allowed"


def test_every_bad_limit_is_named_at_once() -> None:
    settings = Settings(budget=BudgetSettings(max_failures=-1, max_failure_rate=2.0))

    with pytest.raises(ConfigError) as caught:
        Budget.of(settings)
    assert "max_failures is -1" in str(caught.value)
    assert "max_failure_rate is 2" in str(caught.value)


def test_failures_are_told_apart_by_kind_and_text_but_not_by_numbers() -> None:
    tally = Tally(Budget(), maximize=True)
    for number, ended in enumerate(
        [
            failed("IndexError: 7 is beyond 5"),
            failed("out of memory at 0x7f3a, 12.5 GiB", Failure.OOM),
            failed("out of memory at 0x11, 80 GiB", Failure.OOM),
            complete(1.0),
            failed("IndexError: 9 is beyond 5"),
            failed("IndexError: 9 is beyond 5", Failure.CRASHED),
            failed("out of memory at 0x11, 1e3 GiB", Failure.OOM),
        ]
    ):
        tally.add(number, ended)

    assert [(error.kind, error.text, error.count, error.first) for error in tally.errors()] == [
        ("oom", "out of memory at 0x7f3a, 12.5 GiB", 3, 1),
        ("error", "IndexError: 7 is beyond 5", 2, 0),
        ("crashed", "IndexError: 9 is beyond 5", 1, 5),
    ]


def test_distinct_errors_as_a_phrase() -> None:
    tally = Tally(Budget(), maximize=True)
    for number in range(9):
        tally.add(number, failed("ab"[number // 7] * (number + 1)))

    assert told_apart(tally.errors()).startswith("1 × a (trial 0); 1 × aa (trial 1); ")
    assert told_apart(tally.errors()).endswith("; and 4 more")
    tally.add(9, failed("a"))
    assert told_apart(tally.errors()).startswith("2 × a (first in trial 0); ")


def test_gpu_hours_count_what_running_trials_will_still_use() -> None:
    tally = Tally(Budget(gpu_seconds=7200.0), None)
    tally.began(0)
    tally.heard(0, 1800.0)
    tally.left(0)
    for number in (1, 2):
        tally.began(number)
    assert tally.gpu_seconds_foreseen() == 3 * 1800.0 and tally.spent(0.0) is None
    tally.heard(1, 3600.0)
    assert tally.spent(0.0) == "the budget of 2 GPU-hours is spent: 0.5 used, 2 once the running trials have ended"


def test_gpu_hours_of_nothing_cannot_be_meant() -> None:
    settings = Settings()
    settings.budget.gpu_hours = 0
    with pytest.raises(ConfigError, match=r"hydra.sweeper.budget.gpu_hours is 0; it must be more than 0"):
        Budget.of(settings)
