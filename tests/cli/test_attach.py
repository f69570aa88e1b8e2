"""Looking on from outside: what an attached terminal is told, how it ends, and what a driver has printed."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from optuna.trial import TrialState

from sweeper.cli.display import LineDisplay
from sweeper.cli.following import Following
from sweeper.cli.progress import Progress
from sweeper.history import History
from tests.cli.conftest import Sweeper
from tests.history.database import Written, add


def test_starts_metrics_and_ends_are_told_once_each_as_their_driver_would(written: Written) -> None:
    study = written.study("digits")
    written.our_tables()
    add(study, 0.5)
    written.run("digits", 0)
    progress, said = Progress("digits", ["maximize"], 3, [], time.monotonic()), io.StringIO()
    following = Following(History(written.url), "digits", LineDisplay(progress, said))

    following.begin()
    following.look()
    assert said.getvalue() == ""  # what was over before is no news

    trial = study.ask()
    trial.suggest_float("lr", 0, 1)
    run = written.run("digits", 1, state="RUNNING", ended_at=None, runtime_s=None, curves={"loss": [0.9, 0.4]})
    following.look()
    following.look()
    assert said.getvalue().count("digits/1 started lr=") == 1
    assert progress.running[run].metrics == {"loss": 0.4}
    assert progress.running[run].step == 1

    study.tell(trial, 0.75)
    add(study, 0.6)  # and one that came and went between two looks
    written.run("digits", 2)
    following.look()
    following.look()
    assert said.getvalue().count("digits/1 complete 0.75") == 1
    assert said.getvalue().count("digits/2 complete 0.6") == 1
    assert not progress.running


def test_a_second_attempt_is_shown_as_such(written: Written) -> None:
    study = written.study("digits")
    written.our_tables()
    study.ask()
    progress, said = Progress("digits", ["maximize"], 3, [], time.monotonic()), io.StringIO()
    following = Following(History(written.url), "digits", LineDisplay(progress, said))
    following.begin()

    for attempt in range(2):
        written.run("digits", 0, attempt=attempt, state="RUNNING", ended_at=None)
        following.look()

    assert "digits/0 started\n" in said.getvalue()
    assert "digits/0 started (attempt 2)" in said.getvalue()


@pytest.mark.parametrize(("outcome", "status"), [("finished", 0), ("failed", 5), ("stopped", 130), ("lost", 4)])
def test_attaching_to_what_is_over_shows_the_end_and_takes_its_status(
    sweeper: Sweeper, written: Written, outcome: str, status: int
) -> None:
    study = written.study("digits")
    written.our_tables()
    written.sweep("digits", outcome=outcome)
    add(study, 0.5)

    found = sweeper("attach", "digits", "--storage", written.url)

    assert found.status == status
    assert "best trials of digits" in found.out


def test_who_never_was_launched_cannot_be_followed(sweeper: Sweeper, written: Written) -> None:
    add(written.study("digits"), 0.5, state=TrialState.COMPLETE)

    for verb in ("attach", "logs"):
        found = sweeper(verb, "digits", "--storage", written.url)
        assert (found.status, found.out) == (2, "")
        assert "was never launched by sweeper" in found.err


def test_the_log_of_a_detached_driver_lies_in_its_sweeps_folder(
    sweeper: Sweeper, written: Written, tmp_path: Path
) -> None:
    written.study("digits")
    written.our_tables()
    written.sweep("digits", folder=str(tmp_path))

    assert "to its own terminal" in sweeper("logs", "digits", "--storage", written.url).err
    (tmp_path / "driver.log").write_text("04:04:40Z 1 slot\n")
    assert sweeper("logs", "-f", "digits", "--storage", written.url).out == "04:04:40Z 1 slot\n"


def test_a_plan_cannot_be_detached(sweeper: Sweeper) -> None:
    found = sweeper("launch", "train.py", "--plan", "--detach")

    assert (found.status, found.out) == (2, "")
    assert "--plan starts nothing" in found.err
