"""What a run in the user's own process prints is in its log, and after the run on the terminal alone."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest

from sweeper.run.tee import copied_to


def test_what_is_printed_goes_to_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    with copied_to(tmp_path / "run" / "trial.log"):
        print("said")
        print("warned", file=sys.stderr)
    assert (sys.stdout, sys.stderr) == before
    assert (tmp_path / "run" / "trial.log").read_text() == "said\nwarned\n"
    assert capsys.readouterr() == ("said\n", "warned\n")


def test_who_keeps_the_stream_speaks_to_the_terminal_alone_once_the_run_is_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with copied_to(tmp_path / "trial.log"):
        kept = sys.stdout  # as a logging handler does
    kept.write("late\n")
    kept.flush()
    del kept
    gc.collect()  # what it is taken down with is no error either
    sys.stdout.write("later\n")
    assert (tmp_path / "trial.log").read_text() == ""
    assert capsys.readouterr().out == "late\nlater\n"
