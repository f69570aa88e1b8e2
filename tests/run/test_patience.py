from __future__ import annotations

import math
import time
from pathlib import Path

from sweeper.run.patience import Patience
from sweeper.trial import Limits


def test_without_limits_it_is_never_lost(tmp_path: Path) -> None:
    patience = Patience(Limits(), tmp_path / "log")
    patience.begin()

    assert patience.until() == math.inf
    assert patience.lost(time.monotonic() + 1e9) is None


def test_the_timeout_counts_from_the_call_of_the_task(tmp_path: Path) -> None:
    patience = Patience(Limits(timeout_s=5.0), tmp_path / "log")
    assert patience.lost(time.monotonic() + 100.0) is None
    assert patience.lost(time.monotonic() + 700.0) == "hung for 600 s before the task was called"

    patience.begin()
    assert patience.lost(time.monotonic() + 4.0) is None
    assert patience.lost(time.monotonic() + 6.0) == "ran longer than hydra.sweeper.trial.timeout, 5 s"


def test_any_sign_breaks_the_silence(tmp_path: Path) -> None:
    log = tmp_path / "log"
    patience = Patience(Limits(silence_s=4.0), log)
    patience.begin()
    now = time.monotonic()
    for second in range(1, 20):
        log.write_text("." * second)
        assert patience.lost(now + second) is None

    assert patience.lost(now + 21.0) is None
    assert patience.lost(now + 23.5) == (
        "hung: logged, reported and printed nothing for 4 s, hydra.sweeper.trial.silence"
    )


def test_a_trial_that_was_told_to_end_is_not_told_again(tmp_path: Path) -> None:
    patience = Patience(Limits(timeout_s=1.0, silence_s=1.0), tmp_path / "log")
    patience.begin()
    patience.end()

    assert patience.lost(time.monotonic() + 100.0) is None
