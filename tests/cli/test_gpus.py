"""`sweeper gpus` on a bench: this machine's cards, whose they are, and what is said where there are none."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import pytest

from sweeper.run.process import MARKER, marker
from tests.cli.conftest import Sweeper
from tests.gpu_bench import GIB, Bench, Card
from tests.history.database import Written

# Looks as often as a test can wait for: `python -c HASTY gpus --watch`.
HASTY = """
from sweeper.cli import main, watching
watching._EVERY_S = 0.02
main()
"""


@pytest.fixture
def bench(gpu_library: Path, tmp_path: Path) -> Bench:
    return Bench(gpu_library, tmp_path / "cards", [Card("GPU-a", utilization=40), Card("GPU-b", name="Tesla T4")])


@pytest.fixture
def trial() -> Iterator[int]:
    """A process that carries the marker of a slot that lives, as a trial does."""
    environment = os.environ | {MARKER: marker()}
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as process:
        yield process.pid
        process.kill()


def gpus(bench: Bench, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`sweeper gpus ARGUMENTS` on a bench, in a process of its own: it is told at its start where the library is."""
    given = {name: value for name, value in os.environ.items() if name not in ("CUDA_VISIBLE_DEVICES", "RAY_ADDRESS")}
    given |= bench.environment()
    command = [sys.executable, "-m", "sweeper.cli", "gpus", *arguments]
    return subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, check=False)


def test_cards_their_trials_and_strangers(bench: Bench, trial: int, written: Written, tmp_path: Path) -> None:
    written.study("digits")
    written.our_tables()
    sweep = written.sweep("digits", ended_at=None, outcome=None)
    written.run("digits", 3, sweep=sweep, state="RUNNING", ended_at=None, gpus=json.dumps(["GPU-a"]))
    written.run("digits", 4, sweep=sweep, state="COMPLETE", gpus=json.dumps(["GPU-a"]))
    bench.change(0, processes=((trial, 3 * GIB), (os.getpid(), GIB)))

    found = json.loads(gpus(bench, tmp_path, "--json").stdout)
    assert [card["index"] for card in found] == [0, 1] and [card["uuid"] for card in found] == ["GPU-a", "GPU-b"]
    assert (found[0]["memory_total"], found[0]["memory_used"], found[0]["utilization"]) == (80 * GIB, 4 * GIB, 0.4)
    assert (found[0]["trials"], found[0]["others"]) == (["digits/3"], [os.getpid()])
    assert (found[1]["name"], found[1]["trials"], found[1]["others"]) == ("Tesla T4", [], [])
    shown = gpus(bench, tmp_path).stdout
    assert "digits/3" in shown and f"process {os.getpid()}" in shown and "40%" in shown


def test_no_gpu_here(sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert sweeper("gpus", "--json").json == []
    assert sweeper("gpus").out.startswith("There is no GPU here: ")


def test_a_card_that_is_lost_is_named(bench: Bench, tmp_path: Path) -> None:
    bench.change(1, error=15)
    done = gpus(bench, tmp_path)
    assert "GPU 1: GPU is lost" in done.stdout and "NVIDIA H100" in done.stdout


def test_watching_is_for_a_terminal(sweeper: Sweeper) -> None:
    done = sweeper("gpus", "--watch", "--json")
    assert done.status == 2 and "--watch is for a terminal" in done.err


def test_watching_shows_what_changes_until_ctrl_c(bench: Bench, tmp_path: Path) -> None:
    bench.write()
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (24, 120))
    command = [
        "env",
        "--default-signal=INT",
        "setsid",
        "--ctty",
        *(sys.executable, "-c", HASTY, "gpus", "--watch"),
    ]
    environment = os.environ | bench.environment() | {"TERM": "xterm-256color"}
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        with os.fdopen(ours, "rb+", buffering=0) as terminal:
            shown(terminal, "40%")
            bench.change(0, utilization=73)
            shown(terminal, "73%")
            terminal.write(b"\x03")
            assert process.wait() == 0


def shown(terminal: FileIO, words: str) -> None:
    """Read what a terminal is sent until the words are there."""
    text = b""
    while words.encode() not in text:
        text += terminal.read(1 << 16)
