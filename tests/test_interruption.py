"""Ctrl-C and SIGTERM, once and twice, wherever a sweep is; also where it was started with Ctrl-C ignored."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sweeper.history import History
from tests.cli.test_order import APP

pytestmark = pytest.mark.slow


def launched(folder: Path, ignored: bool) -> subprocess.Popen[str]:
    """A sweep whose first trial runs and does not end, for there is no file `go`."""
    (folder / "app.py").write_text(APP)
    command = [sys.executable, "app.py", "-m", "hydra/sweeper=sweeper", "hydra.sweeper.launcher=inline"]
    wrapped = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"] if ignored else []  # as `nohup` and `&` in a script do
    process = subprocess.Popen(
        [*wrapped, *command, "hydra.sweeper.n_trials=3", "+x=interval(0,1)", "hydra.job.chdir=false"],
        cwd=folder,
        env={key: value for key, value in os.environ.items() if key != "SWEEPER_STORAGE"},
        stderr=subprocess.PIPE,
        text=True,
    )
    until(process, "app/0 started")
    return process


def until(process: subprocess.Popen[str], said: str) -> None:
    assert process.stderr is not None
    while said not in (line := process.stderr.readline()):
        assert line, f"the sweep ended before it said {said!r}"


@pytest.mark.parametrize("ignored", [False, True], ids=["as ever", "started with SIGINT ignored"])
def test_the_first_ctrl_c_drains_and_the_second_stops(tmp_path: Path, ignored: bool) -> None:
    process = launched(tmp_path, ignored)
    process.send_signal(signal.SIGINT)
    until(process, "no new trials; 1 running still (Ctrl-C again stops them)")
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    assert_resumable(tmp_path, "WAITING")


def test_a_drained_sweep_ends_with_what_ran(tmp_path: Path) -> None:
    process = launched(tmp_path, ignored=False)
    process.send_signal(signal.SIGINT)
    until(process, "no new trials")
    (tmp_path / "go").touch()
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    assert_resumable(tmp_path, "COMPLETE")


@pytest.mark.parametrize("times", [1, 2])
def test_sigterm_stops_at_once(tmp_path: Path, times: int) -> None:
    process = launched(tmp_path, ignored=False)
    for _ in range(times):
        process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 143, rest
    assert_resumable(tmp_path, "WAITING")


def assert_resumable(folder: Path, state: str) -> None:
    history = History(f"sqlite:///{folder}/sweeper.db")
    assert [trial.state for trial in history.trials("app")] == [state]
    (sweep,) = history.sweeps("app")
    assert (sweep.outcome, sweep.is_alive) == ("stopped", False)
