from __future__ import annotations

import io
import sys
import threading

import pytest
from rich.console import Console

from sweeper.cli.live import LiveDisplay, picture
from sweeper.cli.progress import Progress
from sweeper.trial import Failure
from tests.cli.events import complete, failed, measured, pruned, reported, spec


def sweep(target: int | None = 100, running: int = 4, metric_names: tuple[str, ...] = ("val/accuracy",)) -> Progress:
    """A sweep of four slots, some way on."""
    progress = Progress("digits", ("maximize",), target, [], now=0.0)
    progress.slots = max(running, 4)
    for number in range(10):
        trial = spec(number, metric_names=metric_names)
        progress.opened(trial, float(number))
        ended = complete(trial, number / 10) if number % 3 else pruned(trial)
        progress.told(trial, ended, number + 1.0)
    for number in range(10, 10 + running):
        trial = spec(number, metric_names=metric_names)
        progress.opened(trial, 10.0)
        progress.heard(trial, measured(trial, 3, loss=0.5))
    return progress


def drawn(progress: Progress, width: int = 80, height: int = 24, now: float = 20.0) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, highlight=False)
    console.print(picture(progress, now, height))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_the_picture_says_what_matters() -> None:
    lines = drawn(sweep())
    assert lines[0].startswith("digits ") and lines[0].endswith("10/100  20 s, about 3 min left")
    assert lines[1] == "trials  6 complete, 4 pruned, 4 running"
    assert lines[2] == "best    val/accuracy 0.8 in trial 8"
    assert lines[3] == "slots   4 of 4 busy"
    assert lines[5].split() == ["running", "for", "step", "last"]
    assert lines[6].split() == ["trial", "10", "10", "s", "3", "loss", "0.5"]


def test_a_report_is_shown_unless_it_was_logged_as_well() -> None:
    progress = sweep(running=2)
    first, second = spec(10), spec(11)
    progress.heard(first, reported(first, 3, 0.75))
    progress.heard(second, reported(second, 3, 0.5))
    lines = drawn(progress)
    assert lines[6].endswith("3  val/accuracy 0.75  loss 0.5") and lines[7].endswith("3  loss 0.5")


def test_an_open_end_has_no_bar_and_no_estimate() -> None:
    assert drawn(sweep(target=None))[0].endswith("10 trials  20 s")


def test_failures_are_listed_by_kind_and_the_last_ones_shown() -> None:
    progress = sweep()
    for number, kind in enumerate([Failure.ERROR, Failure.OOM, Failure.OOM, Failure.ERROR, Failure.OOM]):
        progress.told(spec(90 + number), failed(spec(90 + number), f"went wrong {number}", kind), 12.0)
    progress.notice = "draining: no new trials"
    lines = drawn(progress)
    assert "5 fail (3 oom, 2 error)" in lines[1]
    assert lines[-5:] == [
        "trial 92 oom  went wrong 2",
        "trial 93 error  went wrong 3",
        "trial 94 oom  went wrong 4",
        "",
        "draining: no new trials",
    ]


@pytest.mark.parametrize("height", [14, 18, 24, 50])
@pytest.mark.parametrize("width", [40, 60, 120])
def test_the_picture_fits_whatever_runs(width: int, height: int) -> None:
    progress = sweep(running=64)
    for number in range(3):
        progress.told(spec(80 + number), failed(spec(80 + number), "x" * 500), 12.0)
    progress.notice = "the database has been unreachable for 12 s; " * 5
    lines = drawn(progress, width, height)
    assert len(lines) <= height and max(len(line) for line in lines) <= width
    assert any(line.startswith("and ") and line.endswith(" more") for line in lines)


def test_hostile_text_is_escaped() -> None:
    progress = sweep(metric_names=("acc\x1b[2J",))
    progress.told(spec(0), failed(spec(0), "a\x1b]0;evil\x07\nb"), 12.0)
    found = "\n".join(drawn(progress))
    assert r"acc\x1b[2J" in found and r"a\x1b]0;evil\x07\nb" in found
    assert all(c == "\n" or c.isprintable() for c in found)


class Watched(io.StringIO):
    """A terminal that notes which threads draw on it."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn_by: set[int] = set()
        self.drawn = threading.Event()

    def write(self, text: str) -> int:
        self.drawn_by.add(threading.get_ident())
        if "trial 7" in text:
            self.drawn.set()
        return super().write(text)


def test_the_loop_never_draws_and_the_picture_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Watched()
    console = Console(file=terminal, force_terminal=True, width=80, height=24)
    display = LiveDisplay(Progress("digits", ("maximize",), 10, [], now=0.0), console)
    try:
        terminal.drawn_by.clear()
        display.slots(2)
        display.opened(spec(7))
        for step in range(2000):
            display.heard(spec(7), measured(spec(7), step, loss=0.5))
        display.notice("draining")
        assert terminal.drawn.wait(10)
        assert threading.get_ident() not in terminal.drawn_by
        display.told(spec(7), complete(spec(7), 0.5))
    finally:
        display.closed()
        display.closed()
    assert "\x1b[?25h" in terminal.getvalue()  # the cursor is back


def test_output_into_a_pipe_stays_there(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stdout", pipe)
    display = LiveDisplay(
        Progress("digits", ("maximize",), 10, [], now=0.0),
        Console(file=io.StringIO(), force_terminal=True, width=80, height=24),
    )
    print("the task's own line")
    display.closed()
    assert pipe.getvalue() == "the task's own line\n"
