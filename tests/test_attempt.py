from __future__ import annotations

import pytest
from optuna.trial import TrialState

from sweeper.attempt import Attempts
from sweeper.config.settings import Trial
from sweeper.errors import ConfigError
from sweeper.trial import Ended, Failure, Isolation, Limits


def failed(kind: Failure) -> Ended:
    return Ended("r", 0, 0.0, TrialState.FAIL, failure=kind)


def test_what_the_settings_say() -> None:
    settings = Trial(timeout="30m", silence="90", grace="0", retries=3, retry_on=["oom"], isolation="spawn")

    assert Attempts.of(settings) == Attempts(
        Limits(timeout_s=1800.0, silence_s=90.0, grace_s=0.0), Isolation.SPAWN, 3, frozenset({Failure.OOM})
    )


def test_without_settings_crashed_and_lost_trials_are_tried_again_twice() -> None:
    attempts = Attempts.of(Trial())

    assert attempts.limits == Limits(None, None, 10.0)
    for kind in Failure:
        expected = kind in (Failure.CRASHED, Failure.LOST)
        assert [attempts.retries_after(failed(kind), n) for n in range(3)] == [expected, expected, False]


def test_the_fault_of_the_machine_is_none_of_the_trials() -> None:
    error = "RuntimeError: CUDA error: uncorrectable ECC error encountered"
    ended = Ended("r", 0, 0.0, TrialState.FAIL, failure=Failure.ERROR, error=error)

    assert Attempts(retries=1).retries_after(ended, 0)
    assert not Attempts(retries=1).retries_after(ended, 1)


def test_a_trial_that_did_not_fail_is_not_tried_again() -> None:
    complete = Ended("r", 0, 0.0, TrialState.COMPLETE, values=(1.0,))

    assert not Attempts(retries=2).retries_after(complete, 0)


def test_every_bad_setting_is_named_at_once() -> None:
    settings = Trial(
        timeout="soon", silence="-1", grace="x", retries=-1, retry_on=["errors", "stopped"], isolation="docker"
    )

    with pytest.raises(ConfigError) as caught:
        Attempts.of(settings)
    lines = str(caught.value).splitlines()
    assert lines[0] == (
        "hydra.sweeper.trial.timeout is 'soon'; give a positive number of seconds, or one with a unit "
        "such as 90s, 30m, 2h or 1d"
    )
    assert lines[1].startswith("hydra.sweeper.trial.silence is '-1'; give")
    assert lines[2].startswith("hydra.sweeper.trial.grace is 'x'; give")
    assert lines[3] == "hydra.sweeper.trial.retries is -1; it must be 0 or more"
    assert lines[4].startswith("hydra.sweeper.trial.retry_on has 'errors'; did you mean error? the failure kinds are")
    assert lines[5].startswith("hydra.sweeper.trial.retry_on has 'stopped'; the failure kinds are crashed, error,")
    assert lines[6].startswith("hydra.sweeper.trial.isolation is 'docker'; it must be process")
