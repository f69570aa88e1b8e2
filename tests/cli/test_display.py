from __future__ import annotations

import io
import os
import pty
import re
import sys

import pytest

from sweeper.cli.display import Display, LineDisplay, display_for
from sweeper.cli.live import LiveDisplay
from sweeper.cli.progress import Progress
from sweeper.trial import Failure
from tests.cli.events import complete, failed, measured, pruned, spec


def lines_of(stream: io.StringIO) -> list[str]:
    found = stream.getvalue().splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\dZ ", line) for line in found)
    return [line.partition(" ")[2] for line in found]


def line_display(stream: io.StringIO, directions: tuple[str, ...] = ("maximize",)) -> LineDisplay:
    return LineDisplay(Progress("digits", directions, 3, [], now=0.0), stream)


def test_a_line_for_every_start_and_end() -> None:
    stream = io.StringIO()
    display = line_display(stream)
    display.slots(2)
    display.slots(2)
    display.opened(spec(0))
    display.heard(spec(0), measured(spec(0), 1, loss=0.5))
    display.told(spec(0), complete(spec(0), 0.97123456))
    display.opened(spec(1, attempt=1))
    display.told(spec(1), failed(spec(1), "CUDA out of memory", Failure.OOM))
    display.told(spec(2), pruned(spec(2)))
    display.closed()
    display.closed()
    assert lines_of(stream) == [
        "2 slots",
        "digits/0 started lr=0.001 model=mlp",
        "digits/0 complete 0.971235 after 2.5 s; 1 of 3 finished, best 0.971235 in trial 0",
        "digits/1 started (attempt 2) lr=0.001 model=mlp",
        "digits/1 fail (oom: CUDA out of memory) after 0.5 s; 2 of 3 finished, best 0.971235 in trial 0",
        "digits/2 pruned after 1.5 s; 3 of 3 finished, best 0.971235 in trial 0",
        "sweep over; 3 of 3 finished, best 0.971235 in trial 0",
    ]


def test_a_notice_is_said_once_until_it_changes() -> None:
    stream = io.StringIO()
    display = line_display(stream)
    for notice in ("draining", "draining", "", "draining", "stopping\x1b[2J"):
        display.notice(notice)
    assert lines_of(stream) == ["draining", "draining", r"stopping\x1b[2J"]


def test_hostile_text_stays_on_its_line() -> None:
    stream = io.StringIO()
    display = line_display(stream)
    display.opened(spec(0, study="a\nb\x1b"))
    display.told(spec(0, study="a\nb\x1b"), failed(spec(0), "one\ntwo\x1b]0;evil\x07"))
    assert lines_of(stream)[1].startswith(r"a\nb\x1b/0 fail (error: one\ntwo\x1b]0;evil\x07) after")


def test_without_a_terminal_there_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    display: Display = display_for("digits", ["maximize"], 3)
    assert isinstance(display, LineDisplay)
    display.slots(4)
    found = capsys.readouterr()
    assert found.out == "" and found.err.endswith("4 slots\n")


@pytest.mark.parametrize(("term", "kind"), [("xterm-256color", LiveDisplay), ("dumb", LineDisplay)])
def test_on_a_terminal_there_is_a_picture(monkeypatch: pytest.MonkeyPatch, term: str, kind: type[Display]) -> None:
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", term)
    with os.fdopen(theirs, "w") as terminal, os.fdopen(ours, "rb", buffering=0):
        monkeypatch.setattr(sys, "stderr", terminal)
        display = display_for("digits", ["maximize"], 3)
        display.closed()
        assert isinstance(display, kind)
        monkeypatch.undo()
